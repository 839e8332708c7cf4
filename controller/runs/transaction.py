"""One change on one device, as a transaction that survives lost replies, dead workers and lying devices.

The steps are those of ARCHITECTURE.md ("One job, step by step"). The journal row that names an act is on
record before the act. Whoever continues (this process after a lost session, another one after a take-over)
starts by reading what the device and the journal say, so there is one way to recover, not two.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from controller.models.errors import (
    AuthenticationError,
    DeviceBusyError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    SessionLostError,
)
from controller.models.plan import Change, Edit
from controller.models.run import JournalEntry, Outcome, Step
from controller.nrm.apply import apply_edits
from controller.nrm.fingerprint import differences, matches
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Tree
from controller.ports.clock import Clock
from controller.ports.devices import Devices, DeviceSession, DeviceTarget, Observed
from controller.ports.store import Claim, JobResult
from controller.runs import checks
from controller.runs.effects import Effects, cuts_the_way, effects, unfinished
from controller.runs.record import Record

log = structlog.get_logger()

#: How often a confirm or a cancel is repeated to a device that answers ok and does nothing.
_ASKS = 3
#: Seconds after our deadline in which the device's own timer, started a little later, runs out too.
_TIMER_LAG = 3.0
#: Error-tag by which a device says that no confirmed commit waits under the token (RFC 6241 §8.4.5.1).
_NOT_PENDING = "invalid-value"
_BY_ITSELF = "the station reverted by itself before the confirm reached it"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a transaction tries, in seconds.

    Attributes:
        confirm_budget: Left on the device's timer at least when a confirm is sent.
        busy: Trying for a lock that another session holds.
        retry: Between attempts to reach a device that carries something of ours.
        unresolved: After the device's own deadline, before such a device is given up as diverged.
        beginnings: Fresh attempts of a transaction, each only after read-back proved nothing happened.
        effect: After which an operation that was not answered, and of which nothing shows, was not carried out.
    """

    confirm_budget: float = 5.0
    busy: float = 10.0
    retry: float = 1.0
    unresolved: float = 120.0
    beginnings: int = 3
    effect: float = 30.0


class Transaction:
    """Brings one claim to its result."""

    def __init__(
        self,
        claim: Claim,
        target: DeviceTarget,
        devices: Devices,
        record: Record,
        clock: Clock,
        patience: Patience = Patience(),
    ) -> None:
        if claim.change is None:
            raise ValueError(f"job {claim.job.id} has no change")
        self._change: Change = claim.change
        self._strategy = claim.run.strategy
        self._id = claim.transaction
        self._target = target
        self._devices = devices
        self._record = record
        self._clock = clock
        self._patience = patience
        self._root = root_spec(target.profiles)
        self._whole = effects(self._root, self._change.phases)
        self._log = log.bind(station=target.station, run=claim.run.id, transaction=claim.transaction)

    async def run(self) -> JobResult:
        """Work until the outcome is known.

        Raises:
            LeaseLostError: Another worker owns the device; nothing more was sent to it.
            StoreError: The record is away, so nothing more was sent; running again continues.
        """
        await self._record.load()
        give_up = self._clock.monotonic() + self._strategy.confirm_timeout + self._patience.unresolved
        tries = 0
        while True:
            try:
                async with self._devices.session(self._target) as session:
                    return await self._work(session)
            except DeviceError as error:
                tries += 1
                result = self._given_up(error, tries, late=self._clock.monotonic() > give_up)
                if result is not None:
                    return result
                self._log.warning("transaction.interrupted", reason=error.message)
            await self._clock.sleep(self._patience.retry)

    def _given_up(self, error: DeviceError, tries: int, *, late: bool) -> JobResult | None:
        """The result where trying on is of no use; None where it is.

        A device that may carry something of ours is not left alone until it is read back: all that
        ends this early is a host key or a credential that it does not know any more.
        """
        denied = isinstance(error, HostKeyError | AuthenticationError)
        if self._record.mark is not None:
            detail = f"{error.message} What the station carries could not be read back."
            return JobResult(Outcome.DIVERGED, detail) if late or denied else None
        if denied or isinstance(error, DeviceRefusedError):
            return JobResult(Outcome.FAILED_SAFE, error.message)
        if not isinstance(error, SessionLostError):
            return JobResult(Outcome.DEFERRED, error.message)
        if tries < self._patience.beginnings:
            return None
        return JobResult(Outcome.FAILED_SAFE, f"{error.message} Nothing was committed.")

    # ------------------------------------------------------------- one session

    async def _work(self, session: DeviceSession) -> JobResult:
        past, mark = self._record.sessions, self._record.mark
        await self._record.write(Step.OPENED, session=session.session_id)
        await self._lock(session, past)
        await session.discard()
        observed = await session.read()
        result = None
        if mark is not None:
            result = await self._recover(session, observed, mark)
            observed = await session.read() if result is None else observed
        if result is None:
            result = await self._fresh(session, observed)
        await self._leave(session)
        return result

    async def _lock(self, session: DeviceSession, past: frozenset[str]) -> None:
        """Lock, killing only sessions that our own journal names.

        Attempts become rare: some servers run their timers only while nobody talks to them.
        """
        end = self._clock.monotonic() + self._patience.busy
        pause = 0.1
        while True:
            try:
                await session.lock()
                break
            except DeviceBusyError as busy:
                if self._clock.monotonic() > end:
                    raise
                if busy.holder in past:
                    await self._kill(session, busy.holder)
            await self._clock.sleep(pause * (1 + random.random()))  # noqa: S311 - jitter
            pause = min(1.6, pause * 2)
        await self._record.write(Step.LOCKED, session=session.session_id)

    async def _kill(self, session: DeviceSession, holder: str) -> None:
        self._record.check()
        try:
            await session.kill(holder)
        except DeviceRefusedError as gone:
            self._log.info("transaction.kill_refused", reason=gone.message)

    async def _leave(self, session: DeviceSession) -> None:
        """Unlock; a device that refuses even that gets the session closed."""
        try:
            await session.unlock()
        except DeviceRefusedError as error:
            self._log.info("transaction.unlock_refused", reason=error.message)
            await session.abandon()

    async def _fresh(self, session: DeviceSession, observed: Observed) -> JobResult:
        """Begin: the device carries nothing of ours yet."""
        if not matches(self._root, observed.tree, self._change.fingerprint):
            if self._whole.after_holds(observed.tree):
                return self._success(Outcome.UNCHANGED, "the station carries this already")
            return JobResult(
                Outcome.REFUSED, "the station changed since the plan was made (fingerprint): plan again and look"
            )
        guarded, can = cuts_the_way(self._root, self._change.phases), session.capabilities
        if guarded and not (can.safe_commit or can.timed_reload):
            return JobResult(
                Outcome.REFUSED, "this could cut the way to the device, which can't come back from that by itself"
            )
        await self._record.write(Step.READ, detail="\n".join(checks.excused(self._change, observed)))
        if not (can.safe_commit or guarded):
            return await self._carry_out(session, observed.tree)
        persist = f"minka-{self._id}-{self._record.beginnings}"
        deadline = self._clock.now() + timedelta(seconds=self._strategy.confirm_timeout)
        return await self._carry_out(session, observed.tree, persist, deadline)

    async def _carry_out(
        self, session: DeviceSession, before: Tree, persist: str = "", deadline: datetime | None = None
    ) -> JobResult:
        """All phases, then the decision; without a persist token the stored inverse is the safety net."""
        expected = before
        for index, phase in enumerate(self._change.phases):
            try:
                await self._send(session, index, persist, deadline)
                expected = apply_edits(self._root, expected, phase.edits)
            except DeviceRefusedError as error:
                return await self._take_back(session, error.message)
            wrong = self._differences((await session.read()).tree, expected)
            if wrong:
                return await self._take_back(session, f"the station answered ok but carries something else: {wrong}")
            await self._record.write(Step.PREPARED, phase=index, persist=persist, deadline=deadline)
            missing = await checks.unmet(
                session, phase.wait, self._record.excused, self._clock, self._strategy.check_timeout
            )
            if missing:
                return await self._take_back(session, missing)
        return await self._gate(session, expected)

    async def _send(self, session: DeviceSession, index: int, persist: str, deadline: datetime | None) -> None:
        """One phase's edit and commit. Without a candidate the edit itself takes effect."""
        edits = self._change.phases[index].edits
        await self._record.write(Step.EDITING if deadline else Step.COMMITTING, phase=index)
        self._record.check()
        await session.edit(edits)
        if deadline is None:
            self._record.check()
            await session.commit()
            return
        await self._record.write(Step.COMMITTING, phase=index, persist=persist, deadline=deadline)
        self._record.check()
        # One deadline for all phases. Should the wall clock be set back, the timer is still never extended.
        left = math.ceil(self._left(deadline))
        await session.commit_confirmed(persist, max(1, left), follows=index > 0)

    def _left(self, deadline: datetime) -> float:
        """Seconds until the deadline, and never more than it was away at first."""
        return min(float(self._strategy.confirm_timeout), (deadline - self._clock.now()).total_seconds())

    # ---------------------------------------------------------------- decision

    async def _gate(self, session: DeviceSession, expected: Tree) -> JobResult:
        """Checks, then confirm or take back."""
        missing = await checks.unmet(
            session, self._change.checks, self._record.excused, self._clock, self._strategy.check_timeout
        )
        if missing:
            return await self._take_back(session, missing)
        foreign = self._differences((await session.read()).tree, expected)
        if foreign:
            return await self._take_back(session, f"the station was changed behind our back meanwhile: {foreign}")
        last = self._record.mark
        if last is None or last.deadline is None:
            return await self._verified(session)
        left = self._left(last.deadline)
        if left < self._patience.confirm_budget:
            return await self._take_back(session, f"only {left:.0f} s were left to confirm")
        await self._record.write(Step.CONFIRMING, phase=last.phase, persist=last.persist, deadline=last.deadline)
        return await self._confirm(session, last)

    async def _confirm(self, session: DeviceSession, mark: JournalEntry) -> JobResult:
        """Confirm until the device says that nothing waits for it any more: an ok proves nothing.

        After an ok running looks the same whether the commit is confirmed or still about to revert. A refusal
        proves nothing either, unless it comes after an ok or says that nothing waits under this token.
        """
        said_ok = False
        for _ in range(_ASKS):
            self._record.check()
            try:
                await session.confirm(mark.persist)
                said_ok = True
            except DeviceRefusedError as refused:
                self._log.debug("transaction.confirm_refused", reason=refused.message)
                if said_ok or refused.tag == _NOT_PENDING:
                    # It was confirmed, now or earlier, or it reverted. The device's tree tells.
                    break
        else:
            await self._outlive(mark)
        return await self._verified(session)

    async def _outlive(self, mark: JournalEntry) -> None:
        """Wait until the device's timer must have run out, whatever the time of day was when it was started."""
        if mark.deadline is not None:
            await self._clock.sleep(self._strategy.confirm_timeout + _TIMER_LAG)

    async def _verified(self, session: DeviceSession) -> JobResult:
        """The last read."""
        seen = await session.read()
        if self._whole.after_holds(seen.tree):
            self._record.check()
            try:
                await session.copy_to_startup()
            except DeviceRefusedError as error:
                return self._success(Outcome.SUCCEEDED, f"not kept over a restart: {error.message}")
            return self._success(Outcome.SUCCEEDED, checks.unseen(self._change, seen))
        if self._whole.before_holds(seen.tree):
            return JobResult(Outcome.ROLLED_BACK, _BY_ITSELF)
        return JobResult(Outcome.DIVERGED, "after the confirm the station carries neither the old nor the new state")

    # ------------------------------------------------------ recover, take back

    async def _recover(self, session: DeviceSession, observed: Observed, mark: JournalEntry) -> JobResult | None:
        """Continue from what device and journal say; None means begin afresh."""
        self._log.info("transaction.recover", step=mark.step, phase=mark.phase)
        if await session.read_candidate() != observed.tree:
            raise SessionLostError("The candidate could not be brought back to running.")
        new, old = self._whole.after_holds(observed.tree), self._whole.before_holds(observed.tree)
        if mark.step is Step.CONFIRMING and new:
            return await self._confirm(session, mark)
        if mark.step is Step.CONFIRMING and old:
            return JobResult(Outcome.ROLLED_BACK, _BY_ITSELF)
        if mark.step in (Step.COMMITTING, Step.PREPARED):
            if new and mark.phase == len(self._change.phases) - 1:
                return await self._gate(session, observed.tree)
            if old and mark.step is Step.PREPARED and mark.deadline and self._left(mark.deadline) > 0:
                # Not the timer. What makes a station restart is not tried once more.
                return JobResult(Outcome.ROLLED_BACK, "the station lost the change before its time: did it restart?")
        result = await self._take_back(session, mark.detail or "interrupted, and taken back")
        decided = mark.step in (Step.CANCELLING, Step.REVERTING, Step.CONFIRMING)
        if decided or result.outcome is Outcome.DIVERGED or self._record.beginnings >= self._patience.beginnings:
            return result
        return None

    async def _take_back(self, session: DeviceSession, reason: str) -> JobResult:
        """Cancel the pending commit, or apply the inverse, and read back."""
        self._log.warning("transaction.take_back", reason=reason)
        await session.discard()
        mark = self._record.mark
        if mark is None:
            return JobResult(Outcome.FAILED_SAFE, reason)
        sent = effects(self._root, self._change.phases[: mark.phase + 1])
        untouched = not self._record.committed and sent.before_holds((await session.read()).tree)
        if mark.persist:
            await self._record.write(
                Step.CANCELLING, phase=mark.phase, persist=mark.persist, deadline=mark.deadline, detail=reason
            )
            await self._cancel(session, mark, sent)
        return await self._restored(session, mark, reason, Outcome.FAILED_SAFE if untouched else Outcome.ROLLED_BACK)

    async def _cancel(self, session: DeviceSession, mark: JournalEntry, sent: Effects) -> None:
        """Cancel; a device that carries ours all the same is left to its own timer."""
        for _ in range(_ASKS):
            self._record.check()
            try:
                await session.cancel(mark.persist)
            except DeviceRefusedError as error:
                # Nothing is pending: it never was, it reverted, or it was confirmed.
                self._log.info("transaction.cancel_refused", reason=error.message)
            if sent.before_holds((await session.read()).tree):
                return
        await self._outlive(mark)

    async def _restored(self, session: DeviceSession, mark: JournalEntry, reason: str, done: Outcome) -> JobResult:
        """Read back; where something of ours is left, apply the stored inverse of what is."""
        phases = self._change.phases[: mark.phase + 1]
        seen = await session.read()
        for count in range(len(phases), 0, -1):
            if effects(self._root, phases[:count]).before_holds(seen.tree):
                return JobResult(done, reason)
            inverse: Sequence[Edit] = phases[count - 1].inverse
            if not effects(self._root, [phases[count - 1]]).after_holds(seen.tree):
                inverse = () if session.capabilities.atomic else unfinished(inverse, seen.tree)
            if not inverse:
                continue
            await self._record.write(Step.REVERTING, phase=count - 1, detail=reason)
            self._record.check()
            try:
                await session.edit(inverse)
                await session.commit()
            except DeviceRefusedError as error:
                return JobResult(Outcome.DIVERGED, f"{reason}; taking it back was refused: {error.message}")
            done = Outcome.ROLLED_BACK
            seen = await session.read()
        if effects(self._root, phases).before_holds(seen.tree):
            return JobResult(done, reason)
        return JobResult(Outcome.DIVERGED, f"{reason}; the station could not be brought back to its old state")

    def _differences(self, seen: Tree, expected: Tree) -> str:
        """Where two trees differ within what the change edits and checks, in words."""
        return ", ".join(differences(self._root, seen, expected, self._change.fingerprint.paths)[:3])

    def _success(self, outcome: Outcome, detail: str = "") -> JobResult:
        return JobResult(outcome, detail, gained=self._change.gained, lost=self._change.lost, applied=True)
