"""What the steps of a playbook would do on a station, from one read of it; nothing is sent, and nothing waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from controller.models.errors import DeviceError, MinkaError
from controller.models.network import Network, Noun
from controller.models.outage import NO_OUTAGE, Outage
from controller.models.plan import Change, DiffRow
from controller.playbook.engine.context import ActionServices, DryRunContext
from controller.playbook.language.expressions import ABSENT, UNKNOWN, Expression, Unsettled, foreseen, may_hold
from controller.playbook.language.playbook import OUTPUT, TARGET, Playbook, Step, target_names
from controller.playbook.language.registry import Proposal, Registry, Remarks, UnmetCondition


class StepPreview(Noun):
    """What a step would do on a station; it causes no outage, or none that is known yet, unless it says so.

    Attributes:
        fails: Whether it would fail as the station is now, so that the run would not come any further there.
    """

    step: str
    action: str
    says: str
    outage: Outage = NO_OUTAGE
    fails: bool = False
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
        """What the steps would do on one station, up to the first step where that is not known.

        Args:
            network: Current network.
            station: The station.
            planned: What the run's plan does there.
            given: Parameters, and ``run``.
        """
        section = self.playbook.plan
        adopts = section.adopt if section is not None else planned is not None
        context = DryRunContext(self.services, network, station, planned, "dry-run", adopts=adopts)
        names: dict[str, Any] = {**given, TARGET: target_names(network, station)}
        found: list[StepPreview] = []
        for step in self.playbook.steps:
            try:
                preview, output = await self._step(step, context, names)
            except DeviceError as error:
                if not context.foreseen:
                    found.append(_failing(step, error))
                    break
                preview = StepPreview(step=step.name, action=step.action, says="once it is there")
                output = None
            except MinkaError as error:
                found.append(_failing(step, error))
                break
            found.append(preview)
            # Without an output yet, the name stays unknown to later expressions.
            if output is not None and step.register_ is not None:
                names[step.register_] = output
        return (*found, *(self._soak_check(check, names) for check in self.playbook.soak_checks))

    def _soak_check(self, check: Step, names: Mapping[str, Any]) -> StepPreview:
        says = f"skipped: {check.when}"
        if may_hold(check.when, names):
            says = f"after a soak of {self.playbook.soak_seconds(names)} s, or the wave is undone"
        return StepPreview(step=check.name, action=check.action, says=says)

    async def _step(
        self, step: Step, context: DryRunContext, names: Mapping[str, Any]
    ) -> tuple[StepPreview, Mapping[str, Any] | Literal[Unsettled.ABSENT] | None]:
        """The preview of a step, with its output; None where that is not known yet."""
        action = self.registry.action(step.action)
        diff: tuple[DiffRow, ...] = ()
        outage = NO_OUTAGE
        applies = step.when is None or Expression(step.when).foretold(names)
        given = foreseen(step.with_, names) if applies else {}
        if applies is False:
            return StepPreview(step=step.name, action=action.name, says=f"skipped: {step.when}"), ABSENT
        if applies is None or given is UNKNOWN:
            says = "depends on what an earlier step will find"
            return StepPreview(step=step.name, action=action.name, says=says), None
        if named := [given[name] for name in sorted(action.secrets) if given.get(name) is not None]:
            says = f"is not tried: it takes the secret {' and '.join(named)}"
            return StepPreview(step=step.name, action=action.name, says=says), None
        context.words.clear()
        said = await action.perform(context, action.check_inputs(given))
        if isinstance(said, UnmetCondition):
            # After an earlier change of this dry run there is no state yet that could be read.
            later = context.applied or context.asked
            says = f"would check again; now: {said.reason}" if later else f"would fail now: {said.reason}"
            return StepPreview(step=step.name, action=action.name, says=says, fails=not later), None
        output = said.output if isinstance(said, Proposal) else said
        says = (said.remark if isinstance(said, Remarks) else "") or "; ".join(context.words) or "ok"
        if isinstance(said, Proposal):
            says, outage = "; ".join(filter(None, (said.says, said.remark))), said.outage
            context.foreseen.extend(filter(None, [said.foreseen]))
            context.asked.extend(said.operations)
            if said.change is not None:
                weak = not said.change.reverts or any(not seen.reverts for seen in context.seen)
                says += "; it can't revert by itself, so it changes last and has only its inverse" if weak else ""
                diff = said.change.diff
                await context.apply(said.change)
        plain = output.model_dump(mode="json")
        wrong = [text for text in step.checks if not Expression(text).value({**names, OUTPUT: plain})]
        if wrong:
            says = f"check would fail: {wrong[0]}"
        name, fails = action.name, bool(wrong)
        return StepPreview(step=step.name, action=name, says=says, outage=outage, fails=fails, diff=diff), plain


def _failing(step: Step, error: MinkaError) -> StepPreview:
    return StepPreview(step=step.name, action=step.action, says=f"would fail: {error.message}", fails=True)
