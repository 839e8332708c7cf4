"""Playbooks as a procedure of runs, and one playbook on one device: its steps, its group's gates, the soak of its wave.

If any of these fails, what was done is undone, the last step first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from controller.inventory.source import Report
from controller.models.errors import (
    ConflictError,
    DeviceError,
    InputError,
    LeaseLostError,
    MinkaError,
    NotClearedError,
    NotFoundError,
    StoreError,
)
from controller.models.plan import Change
from controller.models.run import INSIDE, GateChoice, Job, JobState, Outcome, Policy, Run, RunState
from controller.models.step import StepRecord, StepState
from controller.playbook.engine.consents import CELLS
from controller.playbook.engine.context import ActionServices, StationContext
from controller.playbook.engine.steps import JobSteps
from controller.playbook.language.expressions import may_hold
from controller.playbook.language.library import parse
from controller.playbook.language.playbook import PlanSource, Playbook
from controller.playbook.language.registry import DeviceAccess, Postponement, Registry
from controller.runs.approval.consent import RunOccasion
from controller.runs.procedures import Procedure, Suspension, Tools, procedure
from controller.runs.rollout.group_decisions import ROUNDS
from controller.runs.transaction.effects import astray
from controller.runs.transaction.record import Alive
from controller.store import Claim, JobResult, Soak

#: Seconds after which a device that waits for the others of its wave checks by itself.
_POLL = 60.0
#: Seconds in which a function should be ready again after it was taken back, and between two checks.
_READY, _PAUSE = 120.0, 3.0


def soaks(playbook: Playbook, parameters: Mapping[str, Any]) -> bool:
    """Whether a device of a run may have to be checked after a soak."""
    _, known = playbook.may_run(parameters)
    return any(may_hold(check.when, known) for check in playbook.soak_checks)


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
        renewed: RunOccasion | None,
    ) -> None:
        self._claim = claim
        self._playbook = playbook
        self._context = context
        self._tools = tools
        self._changing = [registry.action(step.action).access is DeviceAccess.CHANGES for step in playbook.steps]
        given = claim.run.parameters
        named = (given.get(name) for name, one in playbook.parameters.items() if one.secret)
        secrets = frozenset(filter(None, named))
        self._steps = JobSteps(claim, registry, context, tools, alive, renewed, secrets)

    async def work(self) -> JobResult | Suspension:
        """Work until the outcome is known, or until the job can only wait.

        Raises:
            LeaseLostError: Another worker owns the device.
            StoreError: The record is away; working again continues.
        """
        try:
            ended = await self._work()
        except (LeaseLostError, NotClearedError, StoreError):
            raise
        except MinkaError as error:
            # Its text ends on record, and may be that of a device.
            raise MinkaError(self._steps.mask.masked(error.message)) from None
        if isinstance(ended, Suspension):
            return replace(ended, reason=self._steps.mask.masked(ended.reason))
        restored = ended.restored and await self._is_whole()
        return replace(ended, detail=self._steps.mask.masked(ended.detail), restored=restored)

    async def _is_whole(self) -> bool:
        """Whether a repair left no primary PLMN behind others, as far as the station can be read."""
        try:
            return not await self._context.displaced_primaries()
        except (ConflictError, DeviceError):
            return False

    async def _work(self) -> JobResult | Suspension:
        steps = self._steps
        await steps.load()
        if not steps.rows and (reason := await self._homeless()):
            return self._result(Outcome.WITHDRAWN, reason)
        if not steps.rows and self._claim.job.rank in INSIDE and (plan := self._playbook.plan) and plan.adopt:
            homes = await self._homes()
            came = bool(homes) and all(job.outcome not in (Outcome.UNCHANGED, Outcome.SKIPPED) for job in homes)
            await self._context.adopt(self._claim.run.requested_by, fresh=came)
        # Of what is on record, all but the last has ended: it is taken back with what came after it, or not at all.
        last = max((position for position, undo in steps.rows if not undo), default=0)
        for position, step in enumerate(self._playbook.steps):
            row = steps.rows.get((position, False))
            if position >= last and await steps.has_yet_to_act(row) and (reason := await self._cancelled()):
                return await self._cut(position, row, reason)
            row = await steps.run(position, step)
            if row.state is StepState.STARTED and steps.later is not None:
                return await self._waits(position, row, steps.later)
            if row.state is StepState.FAILED:
                return await self._ended_at(position, row)
            if self._changing[position] and (reason := await self._pass_gate(position)):
                return await self._withdrawn(position, reason)
            if step.register_ is not None and row.state is StepState.DONE:
                steps.names[step.register_] = row.output
        if any(self._changing) and (reason := await self._pass_gate(len(self._changing))):
            return await self._withdrawn(len(self._changing) - 1, reason)
        return await self._soak() if soaks(self._playbook, self._claim.run.parameters) else self._succeeded()

    async def _ended_at(self, position: int, row: StepRecord) -> JobResult | Suspension:
        """The end of a job at a step that failed, or that gave way to what will be over: then it begins again."""
        ended = await self._failed(position, row)
        if isinstance(ended, Suspension) or not (self._alone and await self._steps.gave_way(row)):
            return ended
        if self._claim.job.round + 1 < ROUNDS:
            return replace(ended, again=True)
        return replace(ended, detail=f"{ended.detail}; it was begun {ROUNDS} times")

    async def _waits(self, position: int, row: StepRecord, later: Postponement) -> JobResult | Suspension:
        """The rest of a job whose step waits, or its end if its group was cancelled meanwhile."""
        if row.acts and (reason := await self._cancelled()):
            return await self._cut(position, row, reason)
        return Suspension(later.until, later.reason)

    async def _cut(self, position: int, row: StepRecord | None, reason: str) -> JobResult | Suspension:
        """The end of a job whose group was cancelled before the step at a position has acted."""
        if row is None:
            return await self._withdrawn(position - 1, reason)
        if row.state is StepState.STARTED:
            await self._steps.end(row, StepState.FAILED, reason, outcome=Outcome.WITHDRAWN)
        return await self._withdrawn(position, reason)

    @property
    def _alone(self) -> bool:
        """Whether the device is decided on its own, so that it may begin again without others."""
        return self._claim.run.strategy.policy is Policy.STATION

    # --------------------------------------------------------------- functions

    # A station that lives in a function loses its configuration with the function's pod. So the station is brought back
    # however its function's job ended; and if the function is taken back after its soak, only after that.

    async def _homes(self) -> list[Job]:
        """Jobs of this run on the functions that the station lives in."""
        if self._claim.job.rank not in INSIDE:
            return []
        inside, here = self._context.network.stations_in, self._claim.job.station
        mates = await self._tools.store.runs.mates(self._claim.job)
        return [job for job in mates if here in inside.get(job.station, ())]

    async def _homeless(self) -> str:
        """Why the station can't be brought back: its function failed, and runs nowhere."""
        failed = [job for job in await self._homes() if job.outcome is not None and not job.outcome.good]
        for job in failed:
            if reason := await self._context.not_ready(job.station, _READY, _PAUSE):
                return f"{job.station} ended {job.outcome}: {reason}"
        return ""

    # ------------------------------------------------------------------- gates

    # If the run confirms or takes back units or waves as a whole, all devices of a group pass a gate together at each
    # step that changes them, even devices without a change there; and at one after the last step, so that a failure in
    # between takes all back.

    async def _cancelled(self) -> str:
        """Why the group was cancelled at a gate; empty if it was not. After a cancel no further step begins."""
        gate = self._tools.gates.of(self._claim, len(self._changing) + 1)
        decision = await gate.decision_so_far() if gate is not None else None
        return decision.reason if decision is not None else ""

    async def _pass_gate(self, number: int) -> str:
        """Pass a gate with the group; returns why the group was cancelled there, or an empty string."""
        gate = self._tools.gates.of(self._claim, number)
        if gate is None or number < (self._claim.job.gate or 0):
            return ""
        await gate.stand()
        decision = await gate.decision()
        return "" if decision.choice is GateChoice.CONFIRM else decision.reason

    # -------------------------------------------------------------------- soak

    # The wave waits for a while, is checked again, and stays or is undone as a whole. Each device soaks in its own job,
    # without a worker, and puts its result on record as a step after the others. The last result of the wave, or a
    # failure, wakes the others.

    async def _soak(self) -> JobResult | Suspension:
        first = len(self._playbook.steps)
        found = first + 1 + len(self._playbook.soak_checks)
        if (found, False) not in self._steps.rows:
            wave = await self._wave(found)
            rest = None if wave.failed else await self._stand(first)
            if rest is not None:
                return rest
            await self._check_again(first + 1, found, wave.failed)
        wave = await self._wave(found)
        if wave.failed:
            if any(job.state is not JobState.DONE for job in await self._homes()):
                return self._rest(_PAUSE, "comes back after its function")
            failed = self._steps.new(first - 1, "soak", "soak")
            return await self._failed(
                first - 1, failed.model_copy(update={"detail": wave.failed, "outcome": Outcome.FAILED_SAFE})
            )
        return self._rest(_POLL, f"waits for {wave.pending} of its wave") if wave.pending else self._succeeded()

    async def _wave(self, position: int) -> Soak:
        return await self._tools.store.gates.soak(self._claim, position)

    async def _stand(self, position: int) -> Suspension | None:
        """Wait until the soak is over; shorter if somebody cancelled the run, or if no check concerns the device."""
        row = self._steps.rows.get((position, False))
        if row is None:
            row = self._steps.new(position, "soak", "soak", waits=True)
            await self._steps.write(row)
        checked = any(self._steps.may_apply(check) for check in self._playbook.soak_checks)
        seconds = self._playbook.soak_seconds(self._claim.run.parameters) if checked else 0
        left = row.started + timedelta(seconds=seconds) - self._tools.clock.now()
        if row.state is StepState.STARTED:
            if left > timedelta() and self._claim.run.state is not RunState.CANCELLING:
                return self._rest(left.total_seconds(), "soaks")
            await self._steps.end(row, StepState.DONE)
        return None

    async def _check_again(self, position: int, found: int, elsewhere: str) -> None:
        """Check the device again, and put the result on record; after a failure elsewhere it is not checked."""
        wrong = ""
        for index, check in enumerate(() if elsewhere else self._playbook.soak_checks, position):
            row = await self._steps.run(index, check)
            if row.state is StepState.FAILED:
                wrong = f"check {check.name!r} after the soak: {row.detail}"
                break
        row = self._steps.new(found, "soak-result", "soak-result")
        if elsewhere:
            await self._steps.end(row, StepState.SKIPPED, elsewhere)
        elif wrong:
            await self._steps.end(row, StepState.FAILED, wrong, outcome=Outcome.FAILED_SAFE)
        else:
            await self._steps.end(row, StepState.DONE)

    def _rest(self, seconds: float, reason: str) -> Suspension:
        return Suspension(self._tools.clock.now() + timedelta(seconds=seconds), reason)

    # ------------------------------------------------------------------ result

    async def _withdrawn(self, position: int, reason: str) -> JobResult | Suspension:
        """The end of a job whose group was cancelled."""
        withdrawn = self._steps.new(position, "gate", "gate")
        return await self._failed(
            position, withdrawn.model_copy(update={"detail": reason, "outcome": Outcome.WITHDRAWN})
        )

    async def _failed(self, position: int, failed: StepRecord) -> JobResult | Suspension:
        """Undo all steps, the last one first, and return how the job ended; it waits where a hold binds the device.

        Where an ``undo`` of the playbook takes back less than its step did, or something else, the device is in no
        state that somebody decided, so it has diverged: the record of what stays leads back, and people are called.
        Whoever continues comes here again by what is on record.
        """
        detail = f"step {failed.name!r}: {failed.detail}"
        if failed.outcome is Outcome.DIVERGED:
            return replace(self._result(Outcome.DIVERGED, detail, failed.change), beyond=failed.beyond)
        undone = False
        for index in range(position, -1, -1):
            row = self._steps.rows[index, False]
            if not self._needs_undoing(row):
                continue
            back = await self._steps.undo(row, self._playbook.steps[index].undo)
            if back.state is StepState.STARTED and self._steps.later is not None:
                later = self._steps.later
                return Suspension(later.until, f"{detail}; step {row.name!r} is not undone yet: {later.reason}")
            if back.state is StepState.FAILED:
                stuck = f"step {row.name!r} could not be undone: {back.detail}"
                return replace(self._result(Outcome.DIVERGED, f"{detail}; {stuck}", row.change), beyond=back.beyond)
            undone = undone or back.changed
        if stays := await self._steps.standing():
            return self._result(Outcome.DIVERGED, f"{detail}; after all undos of the playbook, {stays}")
        done = self._steps.operated
        detail += "; what was done before was undone" if undone else ""
        detail += f"; this took place and is not taken back: {', '.join(done.values())}" if done else ""
        before = self._steps.sent_before
        detail += f"; sent before, by an attempt that failed: {', '.join(before.values())}" if before else ""
        if self._steps.outlasted:
            return self._result(Outcome.DIVERGED, f"{detail}; the next start takes other software than before")
        own_fault = failed.outcome not in (Outcome.WITHDRAWN, Outcome.CANCELLED)
        if undone or self._steps.evicted:
            return self._result(Outcome.ROLLED_BACK if own_fault else Outcome.WITHDRAWN, detail)
        return self._result(_ended(failed.outcome, operated=bool(done) or self._steps.has_operated), detail)

    def _needs_undoing(self, row: StepRecord) -> bool:
        """Whether a step left something: a change, or what its ``undo`` takes back."""
        undo = self._playbook.steps[row.position].undo
        if self._changing[row.position]:
            return row.changed and (row.change is not None or undo is not None)
        return row.state is StepState.DONE and undo is not None

    def _succeeded(self) -> JobResult:
        rows = (self._steps.rows.get((position, False)) for position, changes in enumerate(self._changing) if changes)
        proposed = [row for row in rows if row is not None]
        remarks = self._steps.remarks
        if proposed and all(row.state is StepState.SKIPPED for row in proposed):
            why = "; ".join(dict.fromkeys(row.detail for row in proposed))
            return self._result(
                Outcome.SKIPPED, "; ".join([f"no step that changes a device applies ({why})", *remarks])
            )
        if proposed and not any(row.changed for row in proposed):
            due = [row.inputs for row in proposed if row.state is not StepState.SKIPPED]
            none = all(CELLS in given and not given[CELLS] for given in due)
            why = "there is nothing to do: its steps name no cell" if none else "the device carries this already"
            return self._result(Outcome.UNCHANGED, "; ".join([why, *remarks]))
        return self._result(Outcome.SUCCEEDED, "; ".join(remarks))

    def _result(self, outcome: Outcome, detail: str, stray: Change | None = None) -> JobResult:
        """The result, with the nodes that stay on the device entering the ledger.

        If nobody knows whether the device carries a change, both the nodes that it made and those that it removed
        count.
        """
        changes = list(self._steps.carried)
        plan = self._playbook.plan
        gained = [node for change in changes for node in change.gained] + [*(astray(stray) if stray else ())]
        kept = stray.lost if stray and not stray.reverts else ()
        return JobResult(
            outcome,
            detail,
            gained=tuple({node.path: node for node in gained}.values()),
            lost=tuple(path for change in changes for path in change.lost if path not in kept),
            applied=(plan is None or plan.source is PlanSource.NETWORK) and self._claim.change in changes,
            restored=plan is not None
            and plan.source is PlanSource.APPLIED
            and outcome in (Outcome.SUCCEEDED, Outcome.UNCHANGED),
            operated=self._steps.has_operated,
        )


def _ended(outcome: Outcome | None, *, operated: bool) -> Outcome:
    """The outcome of a job whose step failed, where no change stays: after operations, none by which nothing was sent.

    A step that did what it was to do, or had nothing to do, and then failed its checks did not end well.
    """
    ended = Outcome.REFUSED if outcome is None else Outcome.FAILED_SAFE if outcome.good else outcome
    instead = {Outcome.REFUSED: Outcome.FAILED_SAFE, Outcome.CANCELLED: Outcome.WITHDRAWN}
    return instead.get(ended, ended) if operated else ended


class PlaybookProcedure:
    """Executes runs by the playbook that they were accepted with, even if its file has changed since."""

    def __init__(self, services: ActionServices, registry: Registry) -> None:
        self._services = services
        self._registry = registry
        self._parsed = lru_cache(maxsize=64)(self._parse)

    async def work(self, claim: Claim, tools: Tools, alive: Alive) -> JobResult | Suspension:
        """See ``StationJob``.

        Raises:
            InputError: This worker does not know the playbook's actions (a package is missing).
        """
        digest = claim.run.playbook
        text = await tools.store.runs.playbook(digest)
        playbook = self._parsed(text)
        digest, network = await tools.store.networks.get()
        if not network.manages(claim.job.station):
            raise NotFoundError(f"{claim.job.station} is no longer in the network files")
        context = StationContext(self._services, network, claim.job.station, claim.change, claim.job.id)
        now, turn = tools.clock.now(), network.next_terms(claim.run.created)
        renewed = digest != claim.network_digest or (turn is not None and turn <= now)
        asked = RunOccasion("", now, automatic=claim.run.automatic, restores=playbook.restores) if renewed else None
        return await StationJob(claim, playbook, self._registry, context, tools, alive, asked).work()

    async def touched(self, claim: Claim, tools: Tools) -> bool:
        """Whether a step that changes the device has begun, succeeded or diverged."""
        rows = await tools.store.steps.find(claim.job.id)
        left = (Outcome.SUCCEEDED, Outcome.DIVERGED)
        return any(row.acts and (row.state is StepState.STARTED or row.outcome in left) for row in rows)

    def _parse(self, text: str) -> Playbook:
        report = Report()
        loaded = parse(text, "the run's playbook", self._registry, report)
        if loaded is None:
            raise InputError("\n".join(str(problem) for problem in report.problems))
        return loaded.playbook


def procedures(playbooks: PlaybookProcedure) -> Callable[[Run], Procedure]:
    """The procedure of each run: a playbook, or a built-in one."""

    def of(run: Run) -> Procedure:
        return playbooks if run.playbook else procedure(run.procedure)

    return of
