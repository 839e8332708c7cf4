"""One playbook on one station: steps in order, each on record before and after; on failure what was done is undone.

Whoever takes the job over starts from the record: finished steps stay finished, a step that was begun is resumed by
its device transaction (which reads journal and device), repeated, or failed, as its action says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from controller.models.errors import (
    ConflictError,
    InputError,
    LeaseLostError,
    MinkaError,
    NotClearedError,
    StoreError,
)
from controller.models.run import Outcome, RunState
from controller.models.step import StepRecord, StepState
from controller.nrm.profiles import root_spec
from controller.plan import undo_change
from controller.playbook.engine.acts import CUT, act, bounded, outcome_of
from controller.playbook.engine.context import Asking, StationContext, held_by
from controller.playbook.engine.gates import Gating
from controller.playbook.engine.rows import again, carried, goes_on, remarks
from controller.playbook.engine.soak import Soaking
from controller.playbook.language.expressions import Expression, evaluate
from controller.playbook.language.playbook import OUTPUT, RUN, TARGET, PlanSource, Playbook, Step, target_names
from controller.playbook.language.registry import Action, Later, Proposal, Registry, Remarked, Repeat, Touches, Unmet
from controller.ports.store import Claim, JobResult
from controller.ports.waiting import Resting
from controller.runs.procedures import Tools
from controller.runs.transaction.effects import effects
from controller.runs.transaction.record import Alive, Record

log = structlog.get_logger()


class StationJob:
    """Brings one claim of a playbook's run to its result."""

    def __init__(
        self,
        claim: Claim,
        playbook: Playbook,
        registry: Registry,
        context: StationContext,
        tools: Tools,
        alive: Alive,
    ) -> None:
        self._claim = claim
        self._playbook = playbook
        self._registry = registry
        self._context = context
        self._tools = tools
        self._alive = alive
        changing = [registry.action(step.action).touches is Touches.CHANGES for step in playbook.steps]
        self._gating = Gating(claim, tools, changing)
        self._rows: dict[tuple[int, bool], StepRecord] = {}
        self._later: Later | None = None
        self._names: dict[str, Any] = {
            **claim.run.parameters,
            TARGET: target_names(context.network, context.station),
            RUN: {"id": claim.run.id, "requested_by": claim.run.requested_by, "reason": claim.run.reason},
        }

    async def work(self) -> JobResult | Resting:
        """Work until the outcome is known, or there is nothing to do but wait.

        Raises:
            LeaseLostError: Another worker owns the device.
            StoreError: The record is away; working again continues.
        """
        rows = await self._tools.store.call(lambda store: store.steps(self._claim.job.id))
        self._rows = {(row.position, row.undo): row for row in rows}
        for position, step in enumerate(self._playbook.steps):
            row = self._rows.get((position, False))
            if (row is None or not row.acts) and (withdrawn := await self._gating.cancelled()):
                return await self._withdrawn(position - 1, withdrawn)
            if row is None or row.state is StepState.STARTED or goes_on(step, row, self._rows):
                row = await self._step(position, step, row)
            elif wrong := self._unmet(step, row):
                # Its worker died between the act and the verdict.
                row = await self._end(row, StepState.FAILED, wrong)
            if row.state is StepState.STARTED and self._later is not None:
                return Resting(self._later.until, self._later.reason)
            if row.state is StepState.FAILED:
                return await self._failed(position, row)
            if withdrawn := await self._gating.behind(position):
                return await self._withdrawn(position, withdrawn)
            if step.register_ is not None and row.state is StepState.DONE:
                self._names[step.register_] = row.output
        if withdrawn := await self._gating.at_end():
            return await self._withdrawn(position, withdrawn)
        return await self._soak() if self._playbook.soak_checks else self._succeeded()

    async def _soak(self) -> JobResult | Resting:
        """Let the wave stand and look again; where it fails, what the steps did is undone."""
        soaking = Soaking(
            self._claim,
            self._playbook,
            self._tools,
            self._names,
            self._rows,
            self._row,
            self._write,
            self._end,
            self._step,
        )
        wrong = await soaking.verdict()
        if not wrong or isinstance(wrong, Resting):
            return wrong or self._succeeded()
        last = len(self._playbook.steps) - 1
        failed = self._row(last, "soak", "soak").model_copy(update={"detail": wrong, "outcome": Outcome.FAILED_SAFE})
        return await self._failed(last, failed)

    # ------------------------------------------------------------------ a step

    async def _step(self, position: int, step: Step, begun: StepRecord | None) -> StepRecord:
        """Bring one step to its end."""
        action = self._registry.action(step.action)
        row = begun
        try:
            if begun is not None and begun.state is StepState.FAILED:
                row = again(begun)
            elif begun is not None and not begun.acts and action.repeat is Repeat.NEVER:
                return await self._end(begun, StepState.FAILED, "interrupted: whether it happened is not known")
            if row is None:
                if step.when is not None and not Expression(step.when).value(self._names):
                    skipped = self._row(position, step.name, action.name)
                    return await self._end(skipped, StepState.SKIPPED, f"when: {step.when}")
                given = action.check_inputs(evaluate(step.with_, self._names)).model_dump(mode="json")
                row = self._row(position, step.name, action.name).model_copy(update={"inputs": given})
        except InputError as error:
            return await self._end(self._row(position, step.name, action.name), StepState.FAILED, error.message)
        while True:
            row = await self._attempt(row, action, step.timeout)
            if wrong := self._unmet(step, row):
                row = await self._end(row, StepState.FAILED, wrong, outcome=row.outcome or Outcome.FAILED_SAFE)
            if not goes_on(step, row, self._rows):
                return row
            if await self._bounded(self._tools.clock.sleep(step.retry_seconds)) is CUT:
                detail = f"{row.detail}; {CUT.reason}"
                return await self._end(row, StepState.FAILED, detail, outcome=Outcome.CANCELLED)
            row = again(row)

    async def _attempt(self, row: StepRecord, action: Action, timeout: float | None) -> StepRecord:  # noqa: ASYNC109 - kept by the Clock
        """One try of a step, or the rest of one that was begun."""
        try:
            if not row.acts:
                said = await self._ask(row, action, timeout)
                if not isinstance(said, Proposal):
                    return await self._told(row, said)
                wanted = {"change": said.change, "operations": said.operations}
                row = row.model_copy(update={**wanted, "output": said.output.model_dump(mode="json")})
                if not row.acts:
                    return await self._end(row, StepState.DONE, "nothing to change", outcome=Outcome.UNCHANGED)
                await self._write(row)
            return await self._act(row)
        except (LeaseLostError, NotClearedError, StoreError):
            raise
        except MinkaError as error:
            return await self._end(row, StepState.FAILED, error.message, outcome=outcome_of(error))
        except Exception as error:
            log.exception("step.bug", job=row.job, step=row.name)
            detail = f"an error in the action {action.name}: {type(error).__name__}"
            return await self._end(row, StepState.FAILED, detail, outcome=Outcome.REFUSED)

    async def _ask(self, row: StepRecord, action: Action, timeout: float | None) -> Any:  # noqa: ASYNC109
        """What the action has to say to a step that is on record, or would change something and may."""
        if action.touches is Touches.CHANGES:
            await self._check_holds()
        elif action.waits and self._claim.run.state is RunState.CANCELLING:
            return Unmet("the run was cancelled", Outcome.CANCELLED)
        else:
            await self._write(row)
        return await self._perform(row, action, timeout)

    async def _told(self, row: StepRecord, said: Any) -> StepRecord:
        """The end of a step that only looked; it is as it was where there is nothing to do but wait."""
        if isinstance(said, Later):
            self._later = said
            return row
        if isinstance(said, Unmet):
            return await self._end(row, StepState.FAILED, said.reason, outcome=said.outcome)
        remark = said.remark if isinstance(said, Remarked) else ""
        return await self._end(row, StepState.DONE, remark, output=said.model_dump(mode="json"))

    async def _perform(self, row: StepRecord, action: Action, timeout: float | None) -> Any:  # noqa: ASYNC109
        """Let the action act; where it only looks, no longer than ``timeout`` seconds or until the run is cancelled."""
        given = action.check_inputs(row.inputs)
        key = f"{row.job}.{row.position}{'.undo' if row.undo else ''}"
        asking = Asking(self._claim, row.name, row.position)
        acting = action.perform(self._context.at_step(key, tuple(carried(self._rows)), asking), given)
        if row.undo or action.touches is Touches.CHANGES:
            return await acting
        return await self._bounded(acting, timeout)

    async def _bounded(self, acting: Awaitable[Any], timeout: float | None = None) -> Any:  # noqa: ASYNC109
        return await bounded(acting, self._tools.clock, timeout, self._tools.cancelled, self._claim.run.id)

    async def _act(self, row: StepRecord) -> StepRecord:
        """The device transaction of a step that has its change on record, or its operations."""
        claim = replace(self._claim, change=row.change, transaction=f"{self._claim.transaction}.{row.transaction}")
        record = Record(claim, self._tools.store, self._tools.clock, self._alive, first=not self._begun)
        gate = None if row.undo else self._gating.at(row.position)
        result = await act(claim, row, self._context.network, gate, self._tools, record)
        state = StepState.DONE if result.outcome.good else StepState.FAILED
        return await self._end(row, state, result.detail, outcome=result.outcome)

    def _unmet(self, step: Step, row: StepRecord) -> str:
        """The first check of a finished step that does not hold, in words."""
        if row.state is not StepState.DONE:
            return ""
        try:
            for text in step.checks:
                if not Expression(text).value({**self._names, OUTPUT: row.output}):
                    return f"check failed: {text}"
        except InputError as error:
            return f"check failed: {error.message}"
        return ""

    # -------------------------------------------------------------------- undo

    async def _withdrawn(self, position: int, reason: str) -> JobResult:
        """The end of a job whose group was cancelled."""
        withdrawn = self._row(position, "gate", "gate").model_copy(
            update={"detail": reason, "outcome": Outcome.WITHDRAWN}
        )
        return await self._failed(position, withdrawn)

    async def _failed(self, position: int, failed: StepRecord) -> JobResult:
        """Undo what was done, the last step first, and say how the job ended."""
        detail = f"step {failed.name!r}: {failed.detail}"
        if failed.outcome is Outcome.DIVERGED:
            return self._result(Outcome.DIVERGED, detail)
        stuck: list[str] = []
        undone = False
        for index in range(position, -1, -1):
            row = self._rows[index, False]
            if stuck or not self._needs_undoing(row):
                continue
            back = await self._undo(row)
            undone = undone or back.changed
            if back.state is StepState.FAILED:
                stuck.append(f"step {row.name!r} could not be undone: {back.detail}")
        if stuck:
            return self._result(Outcome.DIVERGED, f"{detail}; {stuck[0]}")
        if undone:
            own_fault = failed.outcome not in (Outcome.WITHDRAWN, Outcome.CANCELLED)
            outcome = Outcome.ROLLED_BACK if own_fault else Outcome.WITHDRAWN
            return self._result(outcome, f"{detail}; what was done before was undone")
        return self._result(failed.outcome or Outcome.REFUSED, detail)

    def _needs_undoing(self, row: StepRecord) -> bool:
        """Whether a step left something: a change, or what its ``undo`` takes back."""
        undo = self._playbook.steps[row.position].undo
        if self._registry.action(row.action).touches is Touches.CHANGES:
            return row.changed and (row.change is not None or undo is not None)
        return row.state is StepState.DONE and undo is not None

    async def _undo(self, row: StepRecord) -> StepRecord:
        """Bring the undoing of one step to its end; a station that is away is waited for."""
        begun = self._rows.get((row.position, True))
        if begun is not None and begun.state is not StepState.STARTED:
            return begun
        undo = self._playbook.steps[row.position].undo
        current = begun or self._row(row.position, row.name, undo.action if undo else "inverse", undo=True)
        end = self._tools.clock.monotonic() + self._tools.patience.unresolved
        while True:
            if undo is not None:
                current = await self._undo_by_action(current, undo.action, undo.with_)
            else:
                current = await self._undo_by_inverse(current, row)
            waits = current.outcome is Outcome.DEFERRED and self._tools.clock.monotonic() < end
            if not waits:
                return current
            await self._tools.clock.sleep(self._tools.patience.retry)
            current = again(current)

    async def _undo_by_action(self, row: StepRecord, name: str, given: Mapping[str, Any]) -> StepRecord:
        action = self._registry.action(name)
        if not row.acts and not row.inputs:
            try:
                inputs = action.check_inputs(evaluate(given, self._names)).model_dump(mode="json")
            except InputError as error:
                return await self._end(row, StepState.FAILED, error.message)
            row = row.model_copy(update={"inputs": inputs})
        return await self._attempt(row, action, None)

    async def _undo_by_inverse(self, row: StepRecord, done: StepRecord) -> StepRecord:
        """Take the step's change back by its own inverse, under a fingerprint of the station as it is now."""
        assert done.change is not None
        try:
            if row.change is None:
                await self._check_holds()
                observed = await self._context.read()
                effect = effects(root_spec(self._context.profiles), done.change.phases)
                if not effect.after_holds(observed.tree):
                    raise ConflictError("the station was changed since")
                change = undo_change(self._context.profiles, done.change, observed)
                row = row.model_copy(update={"change": change})
                await self._write(row)
            return await self._act(row)
        except (LeaseLostError, NotClearedError, StoreError):
            raise
        except MinkaError as error:
            return await self._end(row, StepState.FAILED, error.message, outcome=outcome_of(error))

    async def _check_holds(self) -> None:
        """Holds bind whatever changes a station, undoing too: who is on the mast must not be surprised.

        Raises:
            NotClearedError: The station is under a hold, and the job has changed nothing: it begins afterwards.
            ConflictError: The station is under a hold, and the job can't wait for its end half-way.
        """
        now = self._tools.clock.now()
        holds = await self._tools.store.call(lambda store: store.holds(now))
        if held := held_by(self._context.network, self._context.station, holds):
            raise ConflictError(held) if self._begun else NotClearedError(held)

    @property
    def _begun(self) -> bool:
        """Whether the job has changed the station."""
        return any(row.changed for row in self._rows.values())

    # ------------------------------------------------------------------ record

    def _row(self, position: int, name: str, action: str, *, undo: bool = False) -> StepRecord:
        return StepRecord(
            job=self._claim.job.id,
            position=position,
            undo=undo,
            name=name,
            action=action,
            state=StepState.STARTED,
            started=self._tools.clock.now(),
        )

    async def _write(self, row: StepRecord) -> None:
        await self._tools.store.call(lambda store: store.write_step(row, self._claim))
        self._rows[row.position, row.undo] = row

    async def _end(
        self,
        row: StepRecord,
        state: StepState,
        detail: str = "",
        *,
        outcome: Outcome | None = None,
        output: dict[str, Any] | None = None,
    ) -> StepRecord:
        ended = row.model_copy(
            update={
                "state": state,
                "detail": detail,
                "finished": self._tools.clock.now(),
                "outcome": outcome or row.outcome,
                "output": row.output if output is None else output,
            }
        )
        await self._write(ended)
        return ended

    # ------------------------------------------------------------------ result

    def _succeeded(self) -> JobResult:
        rows = [row for row in self._rows.values() if not row.undo and row.position < len(self._playbook.steps)]
        said = remarks(self._rows)
        proposed = [row for row in rows if self._registry.action(row.action).touches is Touches.CHANGES]
        if proposed and not any(row.changed for row in proposed):
            return self._result(Outcome.UNCHANGED, "; ".join(["the station carries this already", *said]))
        return self._result(Outcome.SUCCEEDED, "; ".join(said))

    def _result(self, outcome: Outcome, detail: str) -> JobResult:
        """The result with what stays on the station entering the ledger."""
        changes = list(carried(self._rows))
        plan = self._playbook.plan
        return JobResult(
            outcome,
            detail,
            gained=tuple(node for change in changes for node in change.gained),
            lost=tuple(path for change in changes for path in change.lost),
            applied=plan is not None and plan.source is PlanSource.NETWORK and self._claim.change in changes,
        )
