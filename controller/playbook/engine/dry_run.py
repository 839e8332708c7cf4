"""What the steps of a playbook would do on a station, from one read of it; nothing is sent, and nothing waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from controller.models.errors import DeviceError, InputError, MinkaError
from controller.models.network import Network, Noun
from controller.models.outage import NO_OUTAGE, Outage
from controller.models.plan import Change, DiffRow
from controller.models.sharing import ActionClass
from controller.nrm.profiles import cell_of
from controller.playbook.engine.consents import taken_unasked
from controller.playbook.engine.context import ActionServices, DryRunContext
from controller.playbook.language.endings import outage_of_step
from controller.playbook.language.expressions import ABSENT, UNKNOWN, Expression, Unsettled, foreseen, may_hold
from controller.playbook.language.playbook import OUTPUT, RUN, TARGET, Playbook, Step, target_names
from controller.playbook.language.registry import (
    ALL,
    Action,
    CellNames,
    DeviceAccess,
    Postponement,
    Proposal,
    Registry,
    Remarks,
    ServiceLoss,
    UnmetCondition,
)
from controller.store.jobs.left_locks import what_stays


class Placeholder(str):
    """Stands in texts of a dry run for what is known once the run is accepted; no condition is decided by it."""

    __slots__ = ()


_LATER = "an earlier step will find"
#: As long as the id of a run.
THIS_RUN = Placeholder("r-(this run)")
NO_REASON = Placeholder("(the run's reason)")


class StepPreview(Noun):
    """What a step would do on a station; it causes no outage, or none that is known yet, unless it says so.

    Attributes:
        fails: Whether it would fail as the station is now, so that the run would not come any further there.
        undo: What takes the step back if a later one fails; empty where there is nothing to take back.
    """

    step: str
    action: str
    says: str
    outage: Outage = NO_OUTAGE
    fails: bool = False
    undo: str = ""
    diff: tuple[DiffRow, ...] = ()


class StationPreview(Noun):
    """What a run would do on a station.

    Attributes:
        rank: Order within its wave and unit: of a site, the router or the stations first.
    """

    station: str
    wave: int
    rank: int = 0
    steps: tuple[StepPreview, ...]


@dataclass(frozen=True, slots=True)
class Previewer:
    """Previews what one playbook would do."""

    services: ActionServices
    registry: Registry
    playbook: Playbook

    async def steps(
        self, network: Network, station: str, planned: Change | None, given: Mapping[str, Any]
    ) -> tuple[StepPreview, ...]:
        """What the steps would do on one station; those behind a step that would fail are not reached.

        Args:
            network: Current network.
            station: The station.
            planned: What the run's plan does there.
            given: Parameters, and ``run``, with placeholders for what is not known before the run is accepted.
        """
        section = self.playbook.plan
        adopts = section.adopt if section is not None else planned is not None
        context = DryRunContext(self.services, network, station, planned, "dry-run", adopts=adopts)
        names: dict[str, Any] = {**given, TARGET: target_names(network, station)}
        found: list[StepPreview] = []
        for index, step in enumerate(self.playbook.steps):
            try:
                seen = await self._step(step, context, names)
            except DeviceError as error:
                if not context.foreseen:
                    return (*found, _failing(step, error), *self._not_reached(index, names))
                seen = _Seen(StepPreview(step=step.name, action=step.action, says="once it is there"))
            except MinkaError as error:
                return (*found, _failing(step, error), *self._not_reached(index, names))
            if seen.output is None and self.registry.action(step.action).access is DeviceAccess.CHANGES:
                context.depending.append(step.name)
            # Without an output yet, the name stays unknown to later expressions.
            if seen.output is not None and step.register_ is not None:
                names[step.register_] = seen.output
            undo = await self._undo(step, seen, context, names) if seen.leaves else ""
            found.append(seen.preview.model_copy(update={"undo": undo}))
        return (*found, *[await self._soak_check(check, context, names) for check in self.playbook.soak_checks])

    def _not_reached(self, index: int, names: Mapping[str, Any]) -> Iterator[StepPreview]:
        """The steps behind one that would fail, of which no more is worked out than which are skipped in any case."""
        failing = self.playbook.steps[index].name
        for step in (*self.playbook.steps[index + 1 :], *self.playbook.soak_checks):
            says = f"not reached, since step {failing!r} would fail"
            if step.when is not None and not may_hold(step.when, _settled(step.when, names)):
                says = f"skipped: {step.when}"
            yield StepPreview(step=step.name, action=step.action, says=says)

    async def _soak_check(self, check: Step, context: DryRunContext, names: Mapping[str, Any]) -> StepPreview:
        says = f"skipped: {check.when}"
        if check.when is None or may_hold(check.when, _settled(check.when, names)):
            says = f"after a soak of {self.playbook.soak_seconds(names)} s, or the wave is undone"
            if wrong := await self._wrong(check.action, check.with_, context, names):
                says = f"{says}; it would fail: {wrong}"
        return StepPreview(step=check.name, action=check.action, says=says)

    async def _wrong(
        self, name: str, given: Mapping[str, Any], context: DryRunContext, names: Mapping[str, Any]
    ) -> str:
        """What is wrong with those inputs of an action that are known already, in words; empty if nothing is."""
        try:
            found = {one: foreseen(value, names) for one, value in given.items()}
            unknown = {one for one, value in found.items() if value is UNKNOWN}
            known = {one: value for one, value in found.items() if one not in unknown}
            await self.registry.action(name).judge(context, known, unknown)
        except MinkaError as error:
            return error.message
        return ""

    async def _step(self, step: Step, context: DryRunContext, names: Mapping[str, Any]) -> _Seen:
        action = self.registry.action(step.action)

        def seen(says: str, output: Any = None, *, leaves: bool = True, fails: bool = False) -> _Seen:
            made = StepPreview(step=step.name, action=action.name, says=says, fails=fails)
            return _Seen(made, output, leaves=leaves)

        applies = step.when is None or Expression(step.when).foretold(_settled(step.when, names))
        given = foreseen(step.with_, names) if applies else {}
        if applies is False:
            return seen(f"skipped: {step.when}", ABSENT, leaves=False)
        context.words.clear()
        if untried := self._untried(step, applies, given, names):
            wrong = await self._wrong(step.action, step.with_, context, names)
            if wrong and applies:
                raise MinkaError(wrong)
            return seen("; ".join([untried, *context.words, *([f"it would fail: {wrong}"] if wrong else [])]))
        inputs = action.check_inputs(given)
        said = await action.perform(context, inputs)
        if isinstance(said, Proposal) and (wrong := await _unasked(action, inputs, said, context)):
            raise MinkaError(wrong)
        if shutting := await _matters(action, inputs, said, context):
            if not isinstance(said, Proposal):
                return seen(f"not known before: it depends on whether the last users have left {shutting}")
            done = await self._done(step, said, context, names)
            says = f"{done.preview.says}; unless the last users have left {shutting} by then"
            return _Seen(done.preview.model_copy(update={"says": says}), None, leaves=done.leaves)
        if isinstance(said, UnmetCondition):
            # After an earlier change of this dry run there is no state yet that could be read.
            later = (context.applied or context.asked) and not said.lasting
            says = f"would check again; now: {said.reason}" if later else f"would fail now: {said.reason}"
            return seen(says, leaves=False, fails=not later)
        if isinstance(said, Postponement):
            return seen("; ".join([*context.words, *(f"goes on if {text}" for text in step.checks)]))
        return await self._done(step, said, context, names)

    def _untried(self, step: Step, applies: bool | None, given: Any, names: Mapping[str, Any]) -> str:
        """Why a step is not worked out, in words; empty if it is."""
        if applies is None or given is UNKNOWN:
            of_run = RUN in Expression(step.when or "").names and RUN not in _settled(step.when or "", names)
            return f"depends on what {'is known once the run is accepted' if of_run else _LATER}"
        named = [
            given[name] for name in sorted(self.registry.action(step.action).secrets) if given.get(name) is not None
        ]
        return f"is not tried: it takes the secret {' and '.join(named)}" if named else ""

    async def _done(self, step: Step, said: Any, context: DryRunContext, names: Mapping[str, Any]) -> _Seen:
        """The preview of a step whose output is known."""
        output = said.output if isinstance(said, Proposal) else said
        says = (said.remark if isinstance(said, Remarks) else "") or "; ".join(context.words) or "ok"
        diff: tuple[DiffRow, ...] = ()
        outage, leaves = NO_OUTAGE, True
        if isinstance(said, Proposal):
            outage = outage_of_step(self.playbook, self.registry, step, names, said.outage)
            says = "; ".join(filter(None, (said.words(outage), said.remark)))
            leaves = said.change is not None or bool(said.operations or said.foreseen)
            context.foreseen.extend(filter(None, [said.foreseen]))
            context.asked.extend(said.operations)
            if said.change is not None:
                if not said.change.reverts:
                    says += (
                        "; it can't revert by itself: it has only its inverse, and changes last in a unit without order"
                    )
                diff = said.change.diff
                await context.apply(said.change, step.name)
        plain = output.model_dump(mode="json")
        known = {**names, OUTPUT: plain}
        wrong = [text for text in step.checks if Expression(text).foretold(_settled(text, known)) is False]
        if wrong:
            says = f"check would fail: {wrong[0]}"
        preview = StepPreview(
            step=step.name, action=step.action, says=says, outage=outage, fails=bool(wrong), diff=diff
        )
        change = said.change if isinstance(said, Proposal) else None
        return _Seen(preview, plain, leaves=leaves and not wrong, change=change)

    async def _undo(self, step: Step, seen: _Seen, context: DryRunContext, names: Mapping[str, Any]) -> str:
        """What takes a step back if a later one fails: its ``undo``, or the inverse of its change."""
        if step.undo is None:
            return _inverse(self.registry.action(step.action), seen)
        back = self.registry.action(step.undo.action)
        try:
            given = foreseen(step.undo.with_, names)
        except InputError as error:
            return f"{back.name} would fail: {error.message}"
        if given is UNKNOWN:
            wrong = await self._wrong(back.name, step.undo.with_, context, names)
            comes = f" would fail: {wrong}" if wrong else ", by what is known then"
            return f"{back.name} {_shown(step.undo.with_)}{comes}"
        words = f"{back.name} {_shown(given)}".rstrip()
        if not seen.preview.diff or any(given.get(name) is not None for name in back.secrets):
            return words
        # The device is as after the step, so what the undo would do there can be worked out.
        try:
            said = await back.perform(context, back.check_inputs(given))
        except MinkaError as error:
            return f"{words} would fail: {error.message}"
        does, change = (f"{words}: {said.says}", said.change) if isinstance(said, Proposal) else (words, None)
        stays = what_stays([*filter(None, (seen.change, change))], await context.ledger())
        return f"{does}; after that alone, {stays}" if stays else does


@dataclass(frozen=True, slots=True)
class _Seen:
    """A step that was tried.

    Attributes:
        output: Its output; ``ABSENT`` if it is skipped, None where it is not known yet.
        leaves: Whether it leaves something, or may, that is taken back if a later step fails.
        change: Its change of the device; None if it has none, or none that is known.
    """

    preview: StepPreview
    output: Mapping[str, Any] | Literal[Unsettled.ABSENT] | None = None
    leaves: bool = True
    change: Change | None = None


async def _unasked(action: Action, inputs: Noun, said: Proposal[Any], context: DryRunContext) -> str:
    """What a step would take from tenants whom the run would not ask for it, in words; empty if nothing."""
    change = None if said.change == context.planned else said.change
    if change is None and not said.outage.interrupts:
        return ""
    ledger = await context.ledger()
    named = inputs.cells if isinstance(inputs, CellNames) else ALL
    # Whom an action spares that says what it takes is known only by the station's health: the worker judges that.
    tells = action.takes is not None and action.consent is ActionClass.INTERRUPT
    there = frozenset((cell_of(path), owner) for path, entry in ledger.items() for owner in entry.owners)
    loss = ServiceLoss(idle=there) if tells else None
    return taken_unasked(
        action, change, said.operations, [*ledger.values()], about=() if named == ALL else named, loss=loss
    )


async def _matters(action: Action, inputs: Any, said: Any, context: DryRunContext) -> str:
    """Cells that the run shuts down, if what an action says depends on whether they are locked by then; else empty."""
    shutting = context.shutting
    if not shutting or (action.access is not DeviceAccess.READS and not isinstance(said, Proposal)):
        return ""
    try:
        then = await action.perform(context.once_locked(), inputs)
    except MinkaError:
        then = None
    same = said.output == then.output if isinstance(said, Proposal) and isinstance(then, Proposal) else said == then
    return "" if same else f"cell {', '.join(map(cell_of, shutting))}"


def _inverse(action: Action, seen: _Seen) -> str:
    """What takes back a step without an ``undo``: the inverse of its change, where it has one."""
    if seen.preview.diff:
        return "the inverse of its change"
    if action.access is not DeviceAccess.CHANGES:
        return ""
    # Without an output the step was not worked out, and so neither is whether it has a change.
    return "nothing takes it back" if seen.output is not None else "the inverse of its change, if it makes one"


def _settled(text: str, names: Mapping[str, Any]) -> Mapping[str, Any]:
    """Names by which a condition is judged: without ``run``, where it depends on a placeholder of that."""
    uses = {member for name, member in Expression(text).members if name == RUN}
    known = {name for name, value in names.get(RUN, {}).items() if not isinstance(value, Placeholder)}
    if RUN not in Expression(text).names or (uses and uses <= known):
        return names
    return {name: value for name, value in names.items() if name != RUN}


def _shown(given: Mapping[str, Any]) -> str:
    """Inputs in short, as in ``cells=L1,L2``."""
    plain = {name: ",".join(map(str, one)) if isinstance(one, list | tuple) else one for name, one in given.items()}
    return " ".join(f"{name}={value}" for name, value in plain.items())


def _failing(step: Step, error: MinkaError) -> StepPreview:
    return StepPreview(step=step.name, action=step.action, says=f"would fail: {error.message}", fails=True)
