"""The steps of one playbook's job on one device: each is brought to its end, or taken back, on record before and after.

Whoever takes the job over starts from the record: finished steps stay finished, a step that was begun is resumed by
its device transaction (which reads journal and device), repeated, or failed, as its action says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from pydantic import SecretStr

from controller.models.approval import RunConstraints
from controller.models.equipment import Operation, OperationKind
from controller.models.errors import (
    ConflictError,
    DeviceError,
    DeviceRefusedError,
    InputError,
    LeaseLostError,
    MinkaError,
    NotClearedError,
    OutOfTurnError,
    RepairStoppedError,
    Retry,
    StoreError,
    UnreachableError,
)
from controller.models.many import first_names
from controller.models.plan import Change, LedgerNode
from controller.models.run import INSIDE, Holds, JournalEntry, JournalStep, Outcome, RunState, restarted
from controller.models.sharing import ActionClass
from controller.models.step import INVERSE, StepRecord, StepState
from controller.nrm.profiles import root_spec
from controller.plan import carried, carrying, nodes_behind, undo_change
from controller.playbook.engine.consents import beyond, effect_of_act, taken_unasked
from controller.playbook.engine.context import AskingStep, StationContext
from controller.playbook.engine.operations import operate
from controller.playbook.engine.secret_inputs import NO_SECRETS, resolved
from controller.playbook.language.expressions import Expression, evaluate
from controller.playbook.language.playbook import OUTPUT, RUN, TARGET, Step, Undo, target_names
from controller.playbook.language.registry import (
    NOTHING,
    Action,
    DeviceAccess,
    Postponement,
    Proposal,
    Registry,
    Remarks,
    Repeat,
    ServiceLoss,
    UnmetCondition,
)
from controller.runs.approval.clearance import freeze_on, further_clearance, places_of
from controller.runs.approval.consent import Effect, RunOccasion, ask_more, effect_of, terms_at, terms_of
from controller.runs.procedures import Disturbance, Tools
from controller.runs.transaction.effects import effects
from controller.runs.transaction.record import Alive, Record
from controller.store import Claim
from controller.store.jobs.left_locks import kept_locked, what_stays

log = structlog.get_logger()

#: Result of a step that a person cancelled.
_CUT = UnmetCondition("cancelled by a person", Outcome.CANCELLED)
#: Time until the next check of what is in the way of a step, since somebody may end it.
_POLL = timedelta(seconds=60)
#: Rows of a journal from which on the device may have received something.
_BEGINNINGS = (JournalStep.PROBING, JournalStep.READ, JournalStep.OPERATING)
#: Outcomes after which a change may be tried again, since the device carries nothing of it.
_RETRIED = (Outcome.FAILED_SAFE, Outcome.ROLLED_BACK, Outcome.DEFERRED)
#: Classes of action whose consent lets an action take service.
_TAKING = (ActionClass.INTERRUPT, ActionClass.REDUCE)
#: Fields that a further attempt resets.
_FORGOTTEN: Mapping[str, Any] = {"change": None, "operations": (), "outcome": None}


class JobSteps:
    """The steps of one claim, as its record has them.

    Args:
        renewed: The occasion, as of now, where other files or agreements are in force than when the run was accepted.

    Attributes:
        rows: By position, and whether they are the undoing.
        names: What expressions know so far.
        later: What the step, or the undoing of one, waits for, if there is nothing to do meanwhile.
        mask: Secrets of the run, whichever step and device get them.
    """

    def __init__(
        self,
        claim: Claim,
        registry: Registry,
        context: StationContext,
        tools: Tools,
        alive: Alive,
        renewed: RunOccasion | None,
        secrets: frozenset[str] = frozenset(),
    ) -> None:
        self._claim = claim
        self._registry = registry
        self._context = context
        self._tools = tools
        self._alive = alive
        self._renewed = renewed
        self.rows: dict[tuple[int, bool], StepRecord] = {}
        self.later: Postponement | None = None
        self._secrets = secrets
        self.mask = NO_SECRETS
        self.names: dict[str, Any] = {
            **claim.run.parameters,
            TARGET: target_names(context.network, context.station),
            RUN: {"id": claim.run.id, "requested_by": claim.run.requested_by, "reason": claim.run.reason},
        }

    # ------------------------------------------------------------------ record

    async def load(self) -> None:
        """Read the record, and the secrets of the run, which an earlier worker or another device may have got."""
        to_mask = self._context.services.to_mask
        self.mask = self.mask.with_secrets((name, to_mask(name)) for name in sorted(self._secrets))
        rows = await self._tools.store.steps.find(self._claim.job.id)
        self.rows = {(row.position, row.undo): row for row in rows}

    def new(self, position: int, name: str, action: str, *, undo: bool = False, waits: bool = False) -> StepRecord:
        """A step that begins now, and is not on record yet."""
        return StepRecord(
            job=self._claim.job.id,
            position=position,
            undo=undo,
            name=name,
            action=action,
            state=StepState.STARTED,
            waits=waits,
            started=self._tools.clock.now(),
        )

    async def write(self, row: StepRecord) -> None:
        """Put the current state of a step on record, without secrets of the run."""
        if self.mask:
            said = {"detail": self.mask.masked(row.detail), "output": self.mask.masked(row.output)}
            row = row.model_copy(update=said)
        await self._tools.store.steps.write(row, self._claim)
        self.rows[row.position, row.undo] = row

    async def end(
        self,
        row: StepRecord,
        state: StepState,
        detail: str = "",
        *,
        outcome: Outcome | None = None,
        output: dict[str, Any] | None = None,
    ) -> StepRecord:
        """Put the end of a step on record."""
        ended = row.model_copy(
            update={
                "state": state,
                "detail": detail,
                "finished": self._tools.clock.now(),
                "outcome": outcome or row.outcome,
                "output": row.output if output is None else output,
            }
        )
        await self.write(ended)
        return self.rows[row.position, row.undo]

    @property
    def begun(self) -> bool:
        """Whether the job has changed the device."""
        return any(row.changed for row in self.rows.values())

    @property
    def evicted(self) -> bool:
        """Whether pods of the function were evicted: the stations in them have lost their configuration."""
        done = (operation.kind for row in self.rows.values() if row.changed for operation in row.operations)
        return OperationKind.EVICT in done

    @property
    def operated(self) -> dict[Operation, str]:
        """Operations that took place and that no undo took back, each with its step in words.

        An undo that finds nothing to do says that the station is as it is to be.
        """
        steps = [row for (_, undo), row in sorted(self.rows.items()) if not undo and row.changed]
        left = [row for row in steps if not _is_good(self.rows.get((row.position, True)))]
        return {one: f"{one} (step {row.name!r})" for row in left for one in row.operations}

    @property
    def sent_before(self) -> dict[Operation, str]:
        """Operations that an attempt sent which failed before the last one of its step, each with its step in words."""
        rows = [row for _, row in sorted(self.rows.items())]
        before = [(row, one) for row in rows for one in row.sent if one not in row.operations]
        return {one: f"{one} (step {row.name!r})" for row, one in before if not one.kind.brings}

    @property
    def has_operated(self) -> bool:
        """Whether an operation was sent that nobody asked for twice, by whatever attempt and whatever came of it."""
        return any(not one.kind.brings for row in self.rows.values() for one in row.sent)

    @property
    def outlasted(self) -> bool:
        """Whether something of these operations stays (``outlasts``), and no undo of the playbook came after them."""
        left = self.operated
        lasting = [
            row
            for (_, undo), row in self.rows.items()
            if not undo and any(one.kind.outlasts and one in left for one in row.operations)
        ]
        backs = [row for (_, undo), row in self.rows.items() if undo and row.action != INVERSE and _is_good(row)]
        return any(all(back.position < row.position for back in backs) for row in lasting)

    @property
    def carried(self) -> Iterator[Change]:
        """Changes that the device carries and that were not undone."""
        return carried(self.rows.values())

    async def standing(self) -> str:
        """What the job's steps and their undos have changed and left so, in words; empty if nothing.

        What was applied before the run, and only came back by it, is as it was.
        """
        changes = [row.change for row in carrying(self.rows.values()) if row.changed and row.change is not None]
        ledger = await self._tools.store.ledger.find([self._context.station]) if changes else {}
        return what_stays(changes, ledger.get(self._context.station, {}))

    @property
    def remarks(self) -> list[str]:
        """Remarks of successful steps, for people."""
        done = [row for _, row in sorted(self.rows.items()) if row.state is StepState.DONE]
        told = {row.name: row.output.get("remark") if row.outcome is Outcome.UNCHANGED else row.detail for row in done}
        return [f"{name}: {said}" for name, said in told.items() if said]

    # ---------------------------------------------------------------- one step

    async def run(self, position: int, step: Step) -> StepRecord:
        """Bring a step to its end, or as far as possible without a long wait; ended steps stay as they are.

        Raises:
            LeaseLostError: Another worker owns the device.
            StoreError: The record is away; running it again continues.
        """
        row = self.rows.get((position, False))
        if row is None or row.state is StepState.STARTED or self._tried_again(step, row):
            return await self._run(position, step, row)
        if wrong := self._unmet(step, row):
            # Its worker died after the act and before the checks.
            return await self.end(row, StepState.FAILED, wrong)
        return row

    async def _run(self, position: int, step: Step, begun: StepRecord | None) -> StepRecord:
        action = self._registry.action(step.action)
        row = begun
        try:
            if begun is not None and begun.state is StepState.FAILED:
                row = _again(begun)
            elif begun is not None and not begun.acts and action.repeat is Repeat.NEVER:
                return await self.end(begun, StepState.FAILED, "interrupted: whether it happened is not known")
            if row is None:
                if not self._applies(step):
                    skipped = self.new(position, step.name, action.name)
                    return await self.end(skipped, StepState.SKIPPED, f"when: {step.when}")
                given = action.recorded(evaluate(step.with_, self.names))
                new = self.new(position, step.name, action.name, waits=action.waits)
                row = new.model_copy(update={"inputs": given})
        except InputError as error:
            failed = self.new(position, step.name, action.name)
            return await self.end(failed, StepState.FAILED, error.message, outcome=Outcome.FAILED_SAFE)
        while True:
            row = await self._attempt(row, action, step.timeout)
            if wrong := self._unmet(step, row):
                row = await self.end(row, StepState.FAILED, wrong, outcome=row.outcome or Outcome.FAILED_SAFE)
            if not self._tried_again(step, row):
                return row
            if await self._bounded(self._tools.clock.sleep(step.retry_seconds)) is _CUT:
                detail = f"{row.detail}; {_CUT.reason}"
                return await self.end(row, StepState.FAILED, detail, outcome=Outcome.CANCELLED)
            row = _again(row)

    def _applies(self, step: Step) -> bool:
        """Whether a step that is due is not skipped: what is not defined now stays so. Raises InputError."""
        return step.when is None or Expression(step.when).truth(self.names)

    def may_apply(self, check: Step) -> bool:
        """Whether a check after the soak is not skipped; one that can't be evaluated will fail."""
        try:
            return self._applies(check)
        except InputError:
            return True

    def _tried_again(self, step: Step, row: StepRecord) -> bool:
        """Whether a failed step is tried again.

        A check that finds a device away that the job has changed says nothing of the change: it is made again for as
        long as a change of a device that is away waits for it.
        """
        if row.state is not StepState.FAILED or any(undo for _, undo in self.rows):
            return False
        if row.attempt <= step.retries and row.outcome in _RETRIED:
            return True
        checks = self._registry.action(step.action).access is DeviceAccess.READS
        late = row.started + timedelta(seconds=self._tools.patience.unresolved)
        return checks and self.begun and row.outcome is Outcome.DEFERRED and self._tools.clock.now() < late

    def _unmet(self, step: Step, row: StepRecord) -> str:
        """The first check of a finished step that does not hold, in words."""
        if row.state is not StepState.DONE:
            return ""
        try:
            for text in step.checks:
                check, names = Expression(text), {**self.names, OUTPUT: row.output}
                if not check.truth(names):
                    found = check.found(names)
                    return f"check failed: {text}" + (f" ({found})" if found else "")
        except InputError as error:
            return f"check failed: {error.message}"
        return ""

    # -------------------------------------------------------------- an attempt

    async def _attempt(self, row: StepRecord, action: Action, timeout: float | None) -> StepRecord:  # noqa: ASYNC109 - kept by the Clock
        """One attempt at a step, or the rest of one that has begun."""
        self.later = None
        try:
            if not row.acts:
                said = await self._ask(row, action, timeout)
                if not isinstance(said, Proposal):
                    return await self._checked(row, action, said)
                self.mask.check(said.change, *said.operations)
                wanted = {"change": said.change, "operations": said.operations}
                output = said.output.model_dump(mode="json")
                action.check_bounds(row.inputs, output)
                row = row.model_copy(update={**wanted, "output": output})
                if not row.acts:
                    told = said.remark or NOTHING
                    return await self.end(row, StepState.DONE, told, outcome=Outcome.UNCHANGED)
                await self.write(row)
            if not await self._sent(row):
                await self._check_repair(row)
                await self._check_consent(row)
            return await self._act_or_wait(row)
        except (LeaseLostError, StoreError):
            raise
        except (NotClearedError, RepairStoppedError) as error:
            return await self._forbidden(row, error)
        except MinkaError as error:
            return await self.end(row, StepState.FAILED, error.message, outcome=_outcome_of(error))
        except Exception as error:
            # The text of the error, and values around, may hold a secret.
            log.error("step.bug", job=row.job, step=row.name, exc_info=not self.mask, error=type(error).__name__)  # noqa: TRY400
            detail = f"an error in the action {action.name} itself: the worker's log says more"
            return await self.end(row, StepState.FAILED, detail, outcome=Outcome.BUG)

    async def _forbidden(self, row: StepRecord, error: NotClearedError | RepairStoppedError) -> StepRecord:
        """The end of a step that may not be begun now; raises the error where the job may begin with it later.

        A further attempt of a job that has operated is none that waits for another window: it would do that again.
        """
        if isinstance(error, RepairStoppedError):
            if error.sent:
                detail = f"{error.message}; whether what was sent before had an effect is not known"
                return await self.end(row, StepState.FAILED, detail, outcome=Outcome.DIVERGED)
            return await self.end(row, StepState.FAILED, error.message, outcome=Outcome.CANCELLED)
        if not self.has_operated or isinstance(error, OutOfTurnError):
            raise error
        return await self.end(row, StepState.FAILED, error.message, outcome=Outcome.WITHDRAWN)

    async def _ask(self, row: StepRecord, action: Action, timeout: float | None) -> Any:  # noqa: ASYNC109
        """The action's result for a step that is on record, or that would change something and may."""
        if action.access is DeviceAccess.CHANGES:
            if held := await self._held(row):
                return _CUT if await self._is_cancelled(row) else held
        elif action.waits and self._claim.run.state is RunState.CANCELLING:
            return UnmetCondition("the run was cancelled", Outcome.CANCELLED)
        else:
            await self.write(row)
        return await self._perform(row, action, timeout)

    async def _perform(self, row: StepRecord, action: Action, timeout: float | None) -> Any:  # noqa: ASYNC109
        """Let the action act; if it only reads, until ``timeout`` seconds are over or the run is cancelled."""
        values: Mapping[str, SecretStr] = {}
        if action.secrets:
            target = self._tools.target_of(self._context.network, self._claim.job.station)
            services = self._context.services
            values = await resolved(action, row.inputs, target, services.credentials, services.secret_for)
            self.mask = self.mask.with_secrets((row.inputs[one], value) for one, value in values.items())
        given = action.check_inputs({**row.inputs, **values})
        acting = action.perform(self._at(row).with_mask(self.mask), given)
        if row.undo or action.access is DeviceAccess.CHANGES:
            return await acting
        return await self._bounded(acting, timeout)

    def _at(self, row: StepRecord) -> StationContext:
        """The device as an action of a step sees it."""
        key = f"{row.job}.{row.position}{'.undo' if row.undo else ''}"
        acting = (one for _, one in sorted(self.rows.items()) if one.acts and not one.undo)
        transactions = tuple(f"{self._claim.transaction}.{one.transaction}" for one in acting)
        return self._context.at_step(
            key, tuple(carrying(self.rows.values())), AskingStep(self._claim, row.name, row.position, transactions)
        )

    async def _bounded(self, acting: Awaitable[Any], timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """The result of an act, unless its time is over or its run is cancelled before."""
        act = asyncio.ensure_future(acting)
        cut = asyncio.ensure_future(self._cancelled())
        others: set[asyncio.Future[Any]] = {cut}
        if timeout is not None:
            others.add(asyncio.ensure_future(self._tools.clock.sleep(timeout)))
        try:
            await asyncio.wait({act, *others}, return_when=asyncio.FIRST_COMPLETED)
            if act.done():
                return act.result()
            # If the record is away, the next write notices it.
            return _CUT if cut.done() and cut.result() else UnmetCondition(f"not done within {timeout:g} s")
        finally:
            for future in (act, *others):
                future.cancel()
            await asyncio.gather(act, *others, return_exceptions=True)

    async def _is_cancelled(self, row: StepRecord) -> bool:
        """Whether a step is cancelled with its run by now; not an undo, which a cancel is no reason to leave out.

        Nor at a station that lost its configuration with its function.
        """
        if row.undo or self._claim.job.rank in INSIDE:
            return False
        run = self._claim.run.id
        return run in await self._tools.store.runs.cancelling([run])

    async def _cancelled(self) -> bool:
        """Wait until the run is cancelled; not for a station that lost its configuration with its function."""
        if self._claim.job.rank in INSIDE:
            await asyncio.Event().wait()
        return await self._tools.cancelled.wait(self._claim.run.id)

    async def _checked(self, row: StepRecord, action: Action, said: Any) -> StepRecord:
        """The end of a step that only read; unchanged if the step can only wait."""
        if isinstance(said, Postponement):
            self.later = replace(said, reason=self.mask.masked(said.reason))
            return row
        if isinstance(said, UnmetCondition):
            return await self.end(row, StepState.FAILED, said.reason, outcome=said.outcome)
        remark, output = said.remark if isinstance(said, Remarks) else "", said.model_dump(mode="json")
        action.check_bounds(row.inputs, output)
        return await self.end(row, StepState.DONE, remark, output=output)

    async def _act_or_wait(self, row: StepRecord) -> StepRecord:
        """Carry out a step on record, or the undoing of one, unless something is in the way.

        That is a hold, or of a step that interrupts service a public warning, a freeze or a closed window. Then it
        waits. But a cancel ends the wait of a step, and a job that keeps cells off the air is taken back instead of
        waiting for all but a lift: nobody there would get the warning, or agreed to an outage so long. Under a hold
        nothing is taken back either.
        """
        if await self._sent(row):
            return await self._act(row)
        if held := await self._held(row):
            return await self._wait(row, held)
        closed = await self._warned(row) or await self._closed(row)
        if closed is None:
            return await self._act(row)
        locked = kept_locked(self.carried)
        if not locked or await self._is_cancelled(row):
            return await self._wait(row, closed)
        words = f"{closed.reason}; until then, {first_names(locked)} may not stay off the air"
        return await self.end(row, StepState.FAILED, words, outcome=Outcome.WITHDRAWN)

    async def _wait(self, row: StepRecord, later: Postponement) -> StepRecord:
        """Let a step wait, or end it if its run was cancelled."""
        if await self._is_cancelled(row):
            return await self.end(row, StepState.FAILED, _CUT.reason, outcome=Outcome.CANCELLED)
        self.later = replace(later, reason=self.mask.masked(later.reason))
        return row

    async def _act(self, row: StepRecord) -> StepRecord:
        """Carry out a step on record; it waits if a hold comes before its first edit."""
        try:
            return await self._transact(row)
        except OutOfTurnError:
            raise
        except NotClearedError as error:
            if not (self.begun or row.undo):
                raise
            return await self._wait(row, Postponement(self._tools.clock.now() + _POLL, error.message))

    async def _transact(self, row: StepRecord) -> StepRecord:
        """Carry out the device transaction or the operations of a step on record."""
        claim = replace(self._claim, change=row.change, transaction=f"{self._claim.transaction}.{row.transaction}")
        tools, network = self._tools, self._context.network
        first = not (self.begun or row.undo)
        record = Record(claim, tools.store, tools.clock, self._alive, first=first, masked=self.mask.masked)
        if row.operations:
            target = tools.target_of(network, claim.job.station)
            result = await operate(row.operations, target, tools.devices, record, tools.clock, tools.patience)
            sent = (one for index, one in enumerate(row.operations) if record.count(JournalStep.OPERATING, index))
            row = row.model_copy(update={"sent": (*row.sent, *sent)})
        else:
            gate = None if row.undo else tools.gates.of(self._claim, row.position)
            result = await tools.transact(claim, network, record, gate, cuts=not row.undo)
        await record.write(JournalStep.FINISHED, detail=result.outcome)
        if not result.outcome.good:
            ended = row.model_copy(update={"beyond": result.beyond})
            return await self.end(ended, StepState.FAILED, result.detail, outcome=result.outcome)
        told = filter(None, (result.detail, row.output.get("remark")))
        return await self.end(row, StepState.DONE, "; ".join(told), outcome=result.outcome)

    async def _held(self, row: StepRecord) -> Postponement | None:
        """The end of a hold, or the time of the next check of it; None if the device is under none.

        It binds every change of a device, also an undo, to protect a person on the mast. So what is begun stays as it
        is.

        Raises:
            NotClearedError: The device is under a hold, and the job has changed nothing: it begins afterwards.
        """
        now = self._tools.clock.now()
        holds = Holds(await self._tools.store.holds.find(now))
        hold = holds.binding(self._context.network, self._context.station)
        if hold is None:
            return None
        if not (self.begun or row.undo):
            raise NotClearedError(hold.words)
        locked = kept_locked(self.carried)
        stays = f"; what the run locked stays off the air until then: {first_names(locked)}" if locked else ""
        return Postponement(min(hold.until or now + _POLL, now + _POLL), f"{hold.words}{stays}")

    async def _check_repair(self, row: StepRecord) -> None:
        """Check guards again before a rule's run begins, since it may have waited for people or a window.

        Raises:
            RepairStoppedError: One does.
            DeviceError: The station could not be read.
        """
        run, tools = self._claim.run, self._tools
        if row.undo or not run.automatic or self.begun or await self._comes_back():
            return
        disturbance = Disturbance(_interrupts(row), _restarts(row))
        if no := await tools.store.transaction(tools.forbids, run, disturbance, tools.clock.now()):
            raise RepairStoppedError(no)
        # The alarm of the station may not have come yet.
        if disturbance.restarts and await self._on_battery():
            raise RepairStoppedError("the station runs on its battery")

    async def _comes_back(self) -> bool:
        """Whether the station lives in a function that the run has begun: its alarm ends when that is ready."""
        job = self._claim.job
        mates = await self._tools.store.runs.mates(job) if job.rank in INSIDE else []
        return (job.wave, job.unit) in restarted(mates)

    async def _on_battery(self) -> bool:
        """Whether the station says that it runs on battery; other devices and many stations say nothing about that."""
        if not self._context.network.device_kinds[self._context.station].rules.tells_power:
            return False
        try:
            return (await self._context.equipment()).power == "BATTERY"
        except DeviceRefusedError:
            return False

    async def _check_consent(self, row: StepRecord) -> None:
        """Check by the values and states of now that tenants were asked for all that a step takes from them.

        An expression may have had another value when the run was accepted, a tenant may have come to the device or got
        its service back since then, and agreements may ask for more.

        Raises:
            ConflictError: A tenant was not.
            RepairStoppedError: The same, of what a rule asked for, and may ask for again.
            DeviceError: The station could not be read.
        """
        action, change = self._registry.action(row.action), self._own(row)
        said = not row.undo and action.consent is not None and (action.takes is None or _interrupts(row))
        # An undo that says what it takes was asked about with its step; whoever came since then does not stop it.
        takes = action.consent not in _TAKING if row.undo else True
        acts = takes and (change is not None or any(operation.kind.interrupts for operation in row.operations))
        planned = row.change if self._renewed is not None and change is None and not row.undo else None
        judged = said or acts or planned is not None
        standing = await self._tools.store.approvals.standing(self._claim.run.id) if judged else None
        if standing is None:
            return
        given = action.check_inputs(row.inputs)
        loss = await action.loss(self._at(row), given) if said else None
        nodes = [*await self._nodes(), *(node for one in self.carried for node in one.gained)]
        effect = effect_of_act(action, given, loss, self._context.network, self._context.station, nodes)
        words = self._beyond(action, effect, loss, standing.constraints) if said else ""
        if acts and not words:
            station = self._context.station
            group, about = standing.constraints.of(station), standing.constraints.about.get(station, ())
            asked = group.asks if group is not None else ()
            words = taken_unasked(action, change, row.operations, nodes, asked, about, loss)
        if self._renewed is not None and not (row.undo or words):
            effects = [effect_of(planned, restores=self._renewed.restores)] if planned is not None else []
            words = self._asked_more([*effects, *([effect] if said else [])], standing.constraints, self._renewed)
        if words:
            raise RepairStoppedError(words) if self._claim.run.automatic else ConflictError(f"{words}: ask again")

    def _own(self, row: StepRecord) -> Change | None:
        """The change of a step; None for that of the run's plan, which tenants were asked about by itself."""
        return None if row.change == self._context.planned else row.change

    def _beyond(
        self,
        action: Action,
        effect: Effect,
        loss: ServiceLoss | None,
        constraints: RunConstraints,
    ) -> str:
        """What tenants were not asked for of all that an action says that it may take from them, in words."""
        station = self._context.station
        spared = {*constraints.spared.get(station, ())}
        served = set() if action.takes is None else spared if loss is None else loss.serving & spared
        wrong = [f"{what} serves {tenant} again" for what, tenant in sorted(served)]
        wrong = wrong or [f"it would {what}" for what in beyond(constraints, effect)]
        return f"{', '.join(wrong)}, whose consent was not asked" if wrong else ""

    def _asked_more(self, effects: Iterable[Effect], constraints: RunConstraints, renewed: RunOccasion) -> str:
        """What agreements in force now ask for beyond what the run was accepted under, in words."""
        accepted = terms_of(constraints, self._context.station)
        found = (terms_at(self._context.network, [one], renewed)[one.station] for one in effects)
        asks = accepted is not None and any(ask_more(one, accepted) for one in found)
        return "agreements in force now ask for more than the run was accepted under" if asks else ""

    async def _nodes(self) -> list[LedgerNode]:
        """Nodes of ours on the device, and on stations that its function serves."""
        network, station = self._context.network, self._context.station
        ledger = await self._tools.store.ledger.find([station, *network.stations_served.get(station, ())])
        return list(nodes_behind(network, station, ledger))

    async def gave_way(self, row: StepRecord) -> bool:
        """Whether a failed step was not begun since a warning, freeze or window is in its way, and it may not wait."""
        return row.outcome is Outcome.WITHDRAWN and not await self._sent(row)

    async def has_yet_to_act(self, row: StepRecord | None) -> bool:
        """Whether nobody went to the device for a step, so that it may still be left out.

        A session of a dead worker may still hold the lock there: whoever brings the step to its end takes it back.
        """
        if row is None or not row.acts:
            return True
        return row.state is StepState.STARTED and not await self._journal(row)

    async def _journal(self, row: StepRecord) -> list[JournalEntry]:
        return await self._tools.store.journal.find(f"{self._claim.transaction}.{row.transaction}")

    async def _sent(self, row: StepRecord) -> bool:
        """Whether the station may have received something of a step: then the step is brought to its end."""
        return any(one.step in _BEGINNINGS for one in await self._journal(row))

    async def _warned(self, row: StepRecord) -> Postponement | None:
        """The end of a public warning that a step waits for since it interrupts, or the time of the next check.

        What failed is taken back, whatever runs meanwhile.
        """
        if row.undo or not _interrupts(row):
            return None
        store, now = self._tools.store, self._tools.clock.now()
        warnings = [freeze for freeze in await store.freezes.find(now) if freeze.warning]
        warning = freeze_on(places_of(self._context.network, self._context.station), warnings, now, interrupts=True)
        if warning is None:
            return None
        standing = await store.approvals.standing(self._claim.run.id)
        overridden = standing is not None and standing.override is not None
        words = f"{warning.name}: {warning.reason}"
        return None if overridden else Postponement(min(warning.ends, now + _POLL), words)

    async def _closed(self, row: StepRecord) -> Postponement | None:
        """The freeze or window that a step waits for since it interrupts, or the time of the next check.

        A job that has changed nothing waits as one that has not begun, and a station that lost its configuration with
        its function for nothing.
        """
        job, now = self._claim.job, self._tools.clock.now()
        if row.undo or not (_interrupts(row) and self.begun) or job.rank in INSIDE:
            return None
        standing = await self._tools.store.approvals.standing(self._claim.run.id)
        if standing is None or job.station not in standing.constraints.stations:
            return None
        found = further_clearance(standing, job.station, now)
        return Postponement(min(found.until or now + _POLL, now + _POLL), found.blocked) if found.reasons else None

    # -------------------------------------------------------------------- undo

    async def undo(self, row: StepRecord, undo: Undo | None) -> StepRecord:
        """Undo a step, by an action or by its inverse; waits for a device that is away.

        It stays ``STARTED`` while a hold binds the device (``later``). Raises as ``run`` does.
        """
        begun = self.rows.get((row.position, True))
        if begun is not None and begun.state is not StepState.STARTED:
            return begun
        current = begun or self.new(row.position, row.name, undo.action if undo else INVERSE, undo=True)
        end = self._tools.clock.monotonic() + self._tools.patience.unresolved
        while True:
            if undo is not None:
                current = await self._undo_by_action(current, undo)
            else:
                current = await self._undo_by_inverse(current, row)
            waits = current.outcome is Outcome.DEFERRED and self._tools.clock.monotonic() < end
            if not waits:
                return current
            await self._tools.clock.sleep(self._tools.patience.retry)
            current = _again(current)

    async def _undo_by_action(self, row: StepRecord, undo: Undo) -> StepRecord:
        action = self._registry.action(undo.action)
        if not row.acts and not row.inputs:
            try:
                inputs = action.recorded(evaluate(undo.with_, self.names))
            except InputError as error:
                return await self.end(row, StepState.FAILED, error.message)
            row = row.model_copy(update={"inputs": inputs})
        return await self._attempt(row, action, None)

    async def _undo_by_inverse(self, row: StepRecord, done: StepRecord) -> StepRecord:
        """Take the step's change back by its inverse, under a fingerprint of the station as it is now."""
        assert done.change is not None
        self.later = None
        try:
            if row.change is None:
                if held := await self._held(row):
                    return await self._wait(row, held)
                observed = await self._context.read()
                if reason := observed.unseen(*done.change.fingerprint.paths):
                    raise UnreachableError(reason)
                effect = effects(root_spec(self._context.profiles), done.change.phases)
                if not effect.after_holds(observed.tree):
                    raise ConflictError("the station was changed since")
                change = undo_change(self._context.profiles, done.change, observed)
                row = row.model_copy(update={"change": change})
                await self.write(row)
            return await self._act_or_wait(row)
        except (LeaseLostError, NotClearedError, StoreError):
            raise
        except MinkaError as error:
            return await self.end(row, StepState.FAILED, error.message, outcome=_outcome_of(error))


def _is_good(row: StepRecord | None) -> bool:
    """Whether a step brought the device to where it was to be."""
    return row is not None and row.outcome is not None and row.outcome.good


def _interrupts(row: StepRecord) -> bool:
    """Whether a step interrupts service: a cell goes off air, a link goes down, the station restarts."""
    if any(operation.kind.interrupts for operation in row.operations):
        return True
    return row.change is not None and (row.change.restarts or row.change.worst_outage.interrupts)


def _restarts(row: StepRecord) -> bool:
    """Whether a step restarts the device or a unit of it, which may not come back from that on battery."""
    if any(operation.kind.restarts for operation in row.operations):
        return True
    return row.change is not None and row.change.restarts


def _again(row: StepRecord) -> StepRecord:
    """A further attempt at a step."""
    return row.model_copy(update={"attempt": row.attempt + 1, "state": StepState.STARTED, **_FORGOTTEN})


def _outcome_of(error: MinkaError) -> Outcome:
    """The outcome of a step whose action raised this error: nothing was sent to the device."""
    if isinstance(error, InputError):
        return Outcome.REFUSED
    if isinstance(error, UnreachableError):
        return Outcome.DEFERRED
    if isinstance(error, DeviceError) and error.retry is not Retry.NEVER:
        return Outcome.DEFERRED
    return Outcome.FAILED_SAFE
