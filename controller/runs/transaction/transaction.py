"""One change on one device, as a transaction that survives lost replies, dead workers and false answers.

The steps are those of ARCHITECTURE.md ("One job, step by step"). The journal row that names an act is on
record before the act. Whoever continues (this process after a lost session, another one after a take-over)
starts by reading what the device and the journal say, so there is one way to recover, not two.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from controller.drivers.protocols import Devices, DeviceSession, Observed, confirmed_commit, read_candidate, session_id
from controller.drivers.target import DeviceTarget
from controller.models.behaviour import Behaviour
from controller.models.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceRefusedError,
    OutOfTurnError,
    SessionLostError,
    UnreachableError,
)
from controller.models.many import first_names
from controller.models.plan import Change, Edit, Op, WaitFor
from controller.models.run import Decision, GateChoice, JournalEntry, JournalStep, Outcome
from controller.nrm.apply import appending, apply_edits, names_places, sent_to_end
from controller.nrm.fingerprint import differences, matches
from controller.nrm.generation import generation_edit, generation_of
from controller.nrm.profiles import root_spec
from controller.nrm.schema import lasting
from controller.nrm.tree import Path, Tree, child
from controller.ports.clock import Clock
from controller.runs.poller import Poller
from controller.runs.transaction import checks
from controller.runs.transaction.completion import BY_ITSELF, PLACE_REFUSED, Completion
from controller.runs.transaction.effects import astray, changed_service, cuts_the_way, effects, vanished
from controller.runs.transaction.gates import Gate
from controller.runs.transaction.lock import Lock
from controller.runs.transaction.patience import Patience, Trouble
from controller.runs.transaction.probe import Findings, Probe, learn_no_places
from controller.runs.transaction.record import Record
from controller.store import Claim, JobResult

log = structlog.get_logger()


class Transaction:
    """Brings one claim to its result.

    Args:
        gate: Where the device waits, prepared and verified, until its group is decided; None where the
            device is confirmed on its own.
        findings: Shared by the transactions of one process; None shares with nobody.
        cancelled: Waits until a person cancels a run; None where nobody can. It cuts the wait for a function, which may
            be long.
    """

    def __init__(
        self,
        claim: Claim,
        target: DeviceTarget,
        devices: Devices,
        record: Record,
        clock: Clock,
        patience: Patience,
        gate: Gate | None = None,
        findings: Findings | None = None,
        cancelled: Poller[str, bool] | None = None,
    ) -> None:
        if claim.change is None:
            raise ValueError(f"job {claim.job.id} has no change")
        self._claim = claim
        self._change: Change = claim.change
        self._strategy = claim.run.strategy
        self._id = claim.transaction
        self._target = target
        self._devices = devices
        self._record = record
        self._clock = clock
        self._patience = patience
        self._gate = gate
        self._findings = findings or Findings(clock)
        self._cancelled = cancelled
        self._cut = False
        self._before: Tree = {}
        #: What changed beside the change, of what tenants' service rests on.
        self._beside: tuple[Path, ...] = ()
        self._decided: Decision | None = None
        self._behaviour = Behaviour()
        self._kept_out = ""
        self._busy = False
        self._generation: tuple[Edit, ...] = ()
        self._timer = claim.run.strategy.timer()
        self._root = root_spec(target.profiles)
        self._lock = Lock(target, record, clock, patience.busy, self._change)
        ensure, learn = self._lock.ensure, self._learn_no_places
        self._completion = Completion(self._root, self._change, record, clock, self._timer, ensure, learn)
        self._whole = self._completion.whole
        self._log = log.bind(station=target.device, run=claim.run.id, transaction=claim.transaction)

    async def run(self) -> JobResult:
        """Work until the outcome is known.

        Raises:
            LeaseLostError: Another worker owns the device; nothing more was sent to it.
            StoreError: The record is away, so nothing more was sent; running again continues.
        """
        await self._record.load()
        trouble = Trouble(self._patience, self._clock.monotonic(), self._timer)
        tries = 0
        while True:
            if self._gate is not None and self._decided is None:
                self._decided = await self._gate.decision_so_far()
            try:
                async with self._devices.session(self._target) as session:
                    return self._final(await self._work(session))
            except DeviceError as error:
                tries += 1
                unknown = "What the station carries could not be read back." if self._may_carry else ""
                late = trouble.lasts(self._clock.monotonic())
                result = self._patience.given_up(error, tries, unknown=unknown, late=late)
                if result is not None:
                    return self._final(result)
                if isinstance(error, DeviceBusyError):
                    self._kept_out, self._lock.rival = error.message, error.holder
                self._log.warning("transaction.interrupted", reason=error.message)
            await self._clock.sleep(self._patience.retry)

    @property
    def _may_carry(self) -> bool:
        """Whether the device may carry something of ours, or will have to."""
        return self._record.mark is not None or self._confirmed

    @property
    def _confirmed(self) -> bool:
        """Whether its group was confirmed: then the station has to carry the change in the end."""
        return self._decided is not None and self._decided.choice is GateChoice.CONFIRM

    def _final(self, result: JobResult) -> JobResult:
        """The final result, considering the group's decision, who cancelled it, and who blocked us."""
        if result.outcome is Outcome.DIVERGED and self._may_carry and not result.gained:
            result = replace(result, gained=astray(self._change))
        if self._cut and result.outcome in (Outcome.ROLLED_BACK, Outcome.FAILED_SAFE):
            result = replace(result, outcome=Outcome.WITHDRAWN)
        if self._kept_out and not result.outcome.good:
            result = replace(result, detail=f"{result.detail}; nobody could take it over: {self._kept_out}")
        if self._decided is None or result.outcome.good or result.outcome is Outcome.DIVERGED:
            return result
        if self._confirmed:
            detail = f"its {self._claim.run.strategy.policy} was confirmed, and the device is not as it was decided"
            return replace(result, outcome=Outcome.DIVERGED, detail=f"{detail}: {result.detail}")
        return replace(result, outcome=Outcome.WITHDRAWN, detail=self._decided.reason)

    # ------------------------------------------------------------- one session

    async def _work(self, session: DeviceSession) -> JobResult:
        mark = self._record.mark
        await self._record.write(JournalStep.OPENED, session=session_id(session))
        await self._lock.begin(session)
        if self._lock.foreign and mark is not None:
            return await self._completion.withdraw(session, mark, self._lock.foreign)
        observed = await self._clean(session)
        await self._record.check_generation(generation_of(self._root, observed, self._target.device))
        result = None
        if mark is not None:
            result = await self._recover(session, observed, mark)
        if result is None and mark is not None:
            await self._lock.ensure(session)
            observed = await self._clean(session)
        if result is None:
            result = await self._fresh(session, observed)
        result = await self._whole_station(session, result)
        await self._lock.leave(session)
        return result

    async def _whole_station(self, session: DeviceSession, result: JobResult) -> JobResult:
        """A result that left the station unchanged, unless other configuration was lost, or stays as it changed."""
        if result.outcome.good or result.outcome is Outcome.DIVERGED or not self._record.carried:
            return result
        seen = await session.read()
        stays = differences(self._root, seen.tree, self._before, self._beside, seen.writers)
        kept = f"changed beside the change, and not taken back with it: {first_names(stays)}" if stays else ""
        wrong = self._gone(seen) or kept
        if not wrong:
            return result
        return replace(result, outcome=Outcome.DIVERGED, detail=f"{wrong}; {result.detail}", beyond=True)

    async def _clean(self, session: DeviceSession) -> Observed:
        """The device's configuration, after discarding what a reverted change left in the candidate."""
        await session.discard()
        observed = await session.read()
        if self._gone(observed):
            await self._clock.sleep(self._patience.load)
            observed = await session.read()
        return self._whole_of(observed)

    def _whole_of(self, seen: Observed) -> Observed:
        """A reading that shows all that the change touches; else raises UnreachableError."""
        if reason := seen.unseen(*self._change.fingerprint.paths):
            raise UnreachableError(reason)
        return seen

    async def _fresh(self, session: DeviceSession, observed: Observed) -> JobResult:
        """Begin: the device carries nothing of ours yet."""
        self._busy = False
        if self._decided is not None and not self._confirmed:
            return JobResult(Outcome.WITHDRAWN)
        if (unfit := await self._unfit(observed)) is not None:
            return unfit
        guarded, can = cuts_the_way(self._root, self._change.phases), session.capabilities
        probe = Probe(self._target, self._record, self._clock, self._findings, self._id)
        self._behaviour = await probe.behaviour(session, observed)
        self._completion.places = self._behaviour.places
        if probe.harm:
            return JobResult(Outcome.DIVERGED, probe.harm, beyond=True)
        if probe.withheld:
            return JobResult(Outcome.REFUSED, probe.withheld)
        safe = can.safe_commit and self._behaviour.guards(len(self._change.phases))
        if can.safe_commit and not safe:
            why = self._behaviour.reason or "it accepts no confirmed commit that follows another one"
            self._completion.unguarded = f"changed without a timer, by the stored inverse alone: {why}"
        if guarded and not (safe or can.timed_reload):
            return JobResult(
                Outcome.REFUSED, "this could cut the management path to the device, which can't restore it by itself"
            )
        if self._gate is not None and not (safe or self._confirmed) and await self._gate.goes_last():
            raise OutOfTurnError
        if self._target.carries:
            self._generation = generation_edit(self._root, observed, self._target.device, self._claim.fence)
        await self._record.write(
            JournalStep.READ,
            decided=self._confirmed,
            carried=tuple(lasting(self._root, observed.tree)),
            excused=checks.excused(self._change, observed),
        )
        if not (safe or guarded):
            return await self._carry_out(session, observed.tree)
        persist = f"minka-{self._id}-{self._record.beginnings}"
        deadline = self._clock.now() + timedelta(seconds=self._timer)
        return await self._carry_out(session, observed.tree, persist, deadline)

    async def _unfit(self, observed: Observed) -> JobResult | None:
        """The result if the station is not as the plan found it, or an undo does not hold any more; else None."""
        if gone := self._gone(observed):
            return JobResult(Outcome.DIVERGED, gone, beyond=True)
        if matches(self._root, observed.tree, self._change.fingerprint):
            later = await self._record.changed_since(self._change)
            return JobResult(Outcome.REFUSED, later) if later else None
        if self._whole.after_holds(observed.tree):
            return self._completion.success(Outcome.UNCHANGED, "the device carries this already")
        if child("", self._root.name, self._target.device) not in observed.tree:
            return JobResult(Outcome.DIVERGED, "the station carries nothing any more", beyond=True)
        return JobResult(Outcome.REFUSED, "the station changed since the plan was made (fingerprint): make a new plan")

    def _gone(self, seen: Observed) -> str:
        """What the station has lost since this transaction began, beyond what the change removes, in words."""
        return vanished(self._record.carried, self._change.phases, seen)

    async def _carry_out(
        self, session: DeviceSession, before: Tree, persist: str = "", deadline: datetime | None = None
    ) -> JobResult:
        """All phases, then the decision; without a persist token the stored inverse is the safety net."""
        expected, seen, self._before = before, Observed(before), before
        for index, phase in enumerate(self._change.phases):
            try:
                await self._send(session, index, persist, deadline)
                expected = apply_edits(self._root, expected, phase.edits)
            except DeviceRefusedError as error:
                placeless = await self._refuses_places(session, phase.edits, error, expected)
                return await self._completion.take_back(session, f"{error.message}{placeless}")
            except DeviceBusyError:
                self._busy = True
                raise
            seen = await session.read()
            if sent_to_end(seen.tree, phase.edits):
                await self._learn_no_places(session, seen)
            if wrong := self._astray(seen, expected):
                return await self._belied(session, index, seen, wrong)
            await self._record.write(JournalStep.PREPARED, phase=index, persist=persist, deadline=deadline)
            missing, seen = await self._unmet(session, phase.wait, seen, expected)
            if wrong := self._wrong(missing, seen, expected):
                return await self._completion.take_back(session, wrong)
        return await self._settle(session, expected, seen)

    async def _belied(self, session: DeviceSession, index: int, seen: Observed, wrong: str) -> JobResult:
        """Take back what was answered ok and is not as it was sent; where nothing of it shows it may still come."""
        if not effects(self._root, self._change.phases[index : index + 1]).before_holds(seen.tree):
            reason = f"the device answered ok but carries something else: {wrong}"
            return await self._completion.take_back(session, reason)
        reason = f"the device answered ok and carries nothing of it: {wrong}"
        mark = self._record.mark
        assert mark is not None
        await self._record.write(
            JournalStep.UNSEEN, phase=index, persist=mark.persist, deadline=mark.deadline, detail=reason
        )
        return await self._completion.take_back(session, reason)

    async def _refuses_places(
        self, session: DeviceSession, edits: Sequence[Edit], error: DeviceRefusedError, tree: Tree
    ) -> str:
        """Find out whether edits were refused for the places that they name, and learn it; in words, empty if not."""
        if error.tag not in PLACE_REFUSED or not names_places(tree, edits):
            return ""
        if session.capabilities.candidate:
            await session.discard()
            await self._record.check()
            try:
                await session.edit(appending(edits))
            except DeviceRefusedError:
                return ""
            await session.discard()
        elif error.tag == "operation-failed":
            return ""
        await self._learn_no_places(session, await session.read())
        return "; its server puts no entry of a list in a place: make a new plan, which appends them and says so"

    async def _learn_no_places(self, session: DeviceSession, seen: Observed) -> None:
        await learn_no_places(session, self._target, self._record, seen)

    async def _send(self, session: DeviceSession, index: int, persist: str, deadline: datetime | None) -> None:
        """Edit and commit one phase. Without a candidate or a timer the edit itself may take effect."""
        edits = self._change.phases[index].edits
        guarded = None if deadline is None else confirmed_commit(session)
        direct = guarded is None and not session.capabilities.candidate
        await self._record.write(JournalStep.COMMITTING if direct else JournalStep.EDITING, phase=index)
        await self._record.check()
        await session.edit([*edits, *self._generation] if index == 0 else edits)
        if not direct:
            await self._record.write(JournalStep.COMMITTING, phase=index, persist=persist, deadline=deadline)
        await self._record.check()
        if guarded is None or deadline is None:
            await session.commit(self._record.check)
            return
        # One deadline for all phases. If the wall clock is set back, the timer is still never extended.
        left = math.ceil(self._left(deadline))
        await guarded.commit_confirmed(persist, max(1, left), self._behaviour.follow_up if index else None)

    def _left(self, deadline: datetime) -> float:
        """Seconds until the deadline, at most the initial time."""
        return min(float(self._timer), (deadline - self._clock.now()).total_seconds())

    # ---------------------------------------------------------------- decision

    async def _settle(self, session: DeviceSession, expected: Tree, seen: Observed) -> JobResult:
        """Check, then confirm or take back; at a gate together with the group."""
        self._completion.expected = expected
        missing, seen = await self._unmet(session, self._change.checks, seen, expected, quiet=True)
        # The last read of the checks also shows foreign edits; no other read is compared.
        wrong = self._wrong(missing, seen, expected)
        # Once it is on record that the device is at a gate, an earlier decision binds it.
        if wrong and not await self._is_bound():
            return await self._completion.take_back(session, wrong)
        if self._gate is not None:
            return await self._at_gate(session, self._gate)
        last = self._record.mark
        if last is None or last.deadline is None:
            return await self._completion.verified(session)
        left = self._left(last.deadline)
        if left < self._patience.confirm_budget:
            return await self._completion.take_back(session, f"only {left:.0f} s were left to confirm")
        return await self._confirm(session, last)

    async def _confirm(self, session: DeviceSession, mark: JournalEntry) -> JobResult:
        """Confirm; without the lock only if nobody else edited the candidate meanwhile."""
        if not self._lock.taken:
            await self._check_candidate(session, (await session.read()).tree)
        await self._record.write(JournalStep.CONFIRMING, phase=mark.phase, persist=mark.persist, deadline=mark.deadline)
        return await self._completion.confirm(session, mark)

    async def _unmet(
        self,
        session: DeviceSession,
        conditions: Sequence[WaitFor],
        seen: Observed,
        expected: Tree,
        *,
        quiet: bool = False,
    ) -> tuple[str, Observed]:
        """See ``checks.unmet``."""

        def astray(now: Observed) -> bool:
            # A pool that is away just now may be back before the wait is over.
            return not now.dark and bool(self._astray(now, expected, waiting=True))

        wait = partial(checks.unmet, session, conditions, self._record.excused, seen, self._clock)
        wait = partial(wait, self._strategy.check_timeout, quiet=quiet, astray=astray)
        if self._cancelled is None or not any(one.kind == "ready" for one in conditions):
            return await wait()
        asked = asyncio.ensure_future(self._cancelled.wait(self._claim.run.id))

        self._cut = False

        def cut() -> bool:
            """Whether a person cancels the run; a wait that asks ends with a yes."""
            # If the record is away, the next write notices it.
            self._cut = asked.done() and asked.exception() is None
            return self._cut

        try:
            return await wait(cut=cut)
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def _is_bound(self) -> bool:
        """Leave the gate, if the device is at one; returns whether the decision of its group came first."""
        mark = self._record.mark
        if self._gate is None or self._decided is not None or mark is None or mark.step is not JournalStep.GATED:
            return False
        self._decided = await self._gate.leave()
        return self._decided is not None

    async def _at_gate(self, session: DeviceSession, gate: Gate) -> JobResult:
        """Wait, prepared, until the group is decided; then confirm or take back."""
        mark = self._record.mark
        assert mark is not None
        if self._decided is None:
            await self._record.write(
                JournalStep.GATED, phase=mark.phase, persist=mark.persist, deadline=mark.deadline, gate=gate
            )
            self._decided = await gate.decision()
        if not self._confirmed:
            return await self._completion.take_back(session, self._decided.reason)
        if mark.deadline is None:
            return await self._completion.verified(session)
        result = await self._confirm(session, mark)
        if result.outcome is Outcome.ROLLED_BACK and self._record.beginnings < self._patience.beginnings:
            # Its timer or a restart came before the decision: it is rolled forward.
            await self._lock.ensure(session)
            return await self._fresh(session, await self._clean(session))
        return result

    # ----------------------------------------------------------------- recover

    async def _recover(self, session: DeviceSession, observed: Observed, mark: JournalEntry) -> JobResult | None:
        """Continue from what device and journal say; None means to begin from the start."""
        self._log.info("transaction.recover", step=mark.step, phase=mark.phase)
        observed = await self._awaited(session, observed, mark)
        await self._check_candidate(session, observed.tree)
        new, old = self._whole.after_holds(observed.tree), self._whole.before_holds(observed.tree)
        if self._decided is not None or (not new and await self._is_bound()):
            return await self._follow(session, new=new and mark.phase == len(self._change.phases) - 1, old=old)
        if mark.step is JournalStep.CONFIRMING and new:
            return await self._completion.confirm(session, mark)
        if mark.step is JournalStep.CONFIRMING and old:
            return JobResult(Outcome.ROLLED_BACK, BY_ITSELF)
        if mark.step in (JournalStep.COMMITTING, JournalStep.PREPARED, JournalStep.GATED):
            if new and mark.phase == len(self._change.phases) - 1:
                return await self._settle(session, observed.tree, observed)
            early = mark.deadline and mark.step is not JournalStep.COMMITTING and self._left(mark.deadline) > 0
            if old and (early or (mark.deadline and not session.capabilities.safe_commit)):
                # Not the timer, or a reload in its place. A change that makes a device restart is not tried again.
                return JobResult(Outcome.ROLLED_BACK, "the station lost the change before its time: did it restart?")
        result = await self._completion.take_back(session, mark.detail or "interrupted, and taken back")
        if self._busy and result.outcome is Outcome.FAILED_SAFE and not self._record.unseen:
            # Others kept us from committing, as by a lock of running alone, and read-back proved that nothing happened.
            result = replace(result, outcome=Outcome.DEFERRED)
        decided = self._record.unseen or mark.step in (
            JournalStep.CANCELLING,
            JournalStep.REVERTING,
            JournalStep.CONFIRMING,
        )
        if decided or result.outcome is Outcome.DIVERGED or self._record.beginnings >= self._patience.beginnings:
            return result
        return None

    async def _awaited(self, session: DeviceSession, observed: Observed, mark: JournalEntry) -> Observed:
        """Read until an edit or commit that was not answered shows, or counts as not carried out.

        A device may go on with what it was sent when the session has ended. What it does later than this is looked for
        by health checks, for which it goes on record here.
        """
        sent = effects(self._root, self._change.phases[mark.phase : mark.phase + 1])
        nothing = {JournalStep.COMMITTING: sent.before_holds, JournalStep.REVERTING: sent.after_holds}.get(mark.step)
        if nothing is None or self._busy or not nothing(observed.tree):
            return observed
        end = self._clock.monotonic() + self._patience.effect
        seen = self._whole_of(await self._completion.until(session, lambda tree: not nothing(tree), end))
        if nothing(seen.tree):
            await self._record.write(JournalStep.UNANSWERED, phase=mark.phase)
        return seen

    async def _check_candidate(self, session: DeviceSession, running: Tree) -> None:
        """A confirming commit commits all of the candidate, including edits of others."""
        if await read_candidate(session) != running:
            raise SessionLostError("The candidate could not be brought back to running.")

    async def _follow(self, session: DeviceSession, *, new: bool, old: bool) -> JobResult | None:
        """Finish what was decided for the group; None means to begin from the start, to roll forward."""
        assert self._gate is not None
        assert self._decided is not None
        if not self._confirmed:
            return await self._completion.take_back(session, self._decided.reason)
        if new:
            return await self._at_gate(session, self._gate)
        if not old:
            result = await self._completion.take_back(session, "half-way, and its group was confirmed")
            if result.outcome is Outcome.DIVERGED:
                return result
        if self._record.beginnings >= self._patience.beginnings:
            return JobResult(Outcome.ROLLED_BACK, f"not reached in {self._record.beginnings} attempts")
        return None

    def _wrong(self, missing: str, seen: Observed, expected: Tree) -> str:
        """Conditions that were not reached, and foreign edits since a phase was carried out, in words.

        A device whose timer runs may have reverted by itself while something was waited for: nobody else did it then.
        """
        mark = self._record.mark
        timed = mark is not None and mark.deadline is not None
        foreign = "" if missing and timed else self._astray(seen, expected, waiting=True)
        meddled = f"somebody else changed the device in the meantime: {foreign}" if foreign else ""
        return "; ".join(filter(None, (missing, meddled)))

    def _astray(self, seen: Observed, expected: Tree, *, waiting: bool = False) -> str:
        """Where the station differs from the expected state, in words.

        That is within what the change edits and checks, and in all that tenants' service rests on: their shares, PLMNs,
        slices and links, and the identities of cells, whoever's they are. To confirm would make it theirs for good.

        The last phase may remove what the others replaced. A device that reverts nothing by itself is past that then:
        the way back would interrupt once more, and may end at nothing. So what others changed besides stays, as drift.
        """
        last = self._change.phases[1:][-1:]
        replaces = any(all(edit.op is Op.DELETE for edit in phase.edits) for phase in last) and not self._change.reverts
        replaced = replaces and self._whole.after_holds(seen.tree)
        # What is not ready yet can't become ready as it was asked for, whatever of it was changed.
        paths = (*self._change.fingerprint.paths, *(checks.coming(self._change, seen) if waiting else ()))
        if not replaced and (beside := changed_service(self._root, seen, expected)):
            self._beside = tuple(dict.fromkeys((*self._beside, *beside)))
        paths = (*paths, *self._beside)
        found = () if replaced else differences(self._root, seen.tree, expected, paths, seen.writers)
        return first_names(found) or self._gone(seen)
