"""The end of a change on a device: confirmed and verified, or taken back and verified."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from controller.models.errors import DeviceRefusedError
from controller.models.plan import Change, Edit
from controller.models.run import JournalEntry, JournalStep, Outcome
from controller.nrm.containers import made_by, sparing
from controller.nrm.schema import NodeSpec
from controller.ports.clock import Clock
from controller.ports.devices import DeviceSession
from controller.ports.store import JobResult
from controller.runs.transaction import checks
from controller.runs.transaction.effects import Effects, effects, unfinished, vanished
from controller.runs.transaction.record import Record

log = structlog.get_logger()

#: How often a confirm or cancel is repeated if the device answers ok and does nothing.
_ASKS = 3
#: Seconds after our deadline until the device's own timer, which started a little later, has also expired.
_TIMER_LAG = 3.0
#: Error-tag with which a device says that no confirmed commit is pending under the token (RFC 6241 §8.4.5.1).
_NOT_PENDING = "invalid-value"
#: The parameter that a server refuses for the same reason under another tag: netconfd answers ``operation-failed``.
_TOKEN = "persist-id"  # noqa: S105 - the name of a leaf
BY_ITSELF = "the station reverted by itself before the confirm reached it"


class Completion:
    """The last acts of a transaction.

    Args:
        timer: Seconds of a confirmed commit.
        lock: Makes sure that the session holds the lock: after a take-over by token it may not have it yet.

    Attributes:
        whole: The net effect of all phases.
        unguarded: Why the change ran without the confirmed commit that the device offers; empty where it ran with it.
    """

    def __init__(
        self,
        root: NodeSpec,
        change: Change,
        record: Record,
        clock: Clock,
        timer: float,
        lock: Callable[[DeviceSession], Awaitable[None]],
    ) -> None:
        self._lock = lock
        self._root = root
        self._change = change
        self._record = record
        self._clock = clock
        self._timer = timer
        self.whole = effects(root, change.phases)
        self.unguarded = ""

    async def confirm(self, session: DeviceSession, mark: JournalEntry) -> JobResult:
        """Confirm until the device says that nothing is pending any more: an ok proves nothing.

        After an ok running looks the same whether the commit is confirmed or still about to revert. A refusal
        proves nothing either, unless it comes after an ok or says that nothing waits under this token.
        """
        said_ok = False
        for _ in range(_ASKS):
            await self._record.check()
            try:
                await session.confirm(mark.persist)
                said_ok = True
            except DeviceRefusedError as refused:
                log.debug("transaction.confirm_refused", station=self._change.station, reason=refused.message)
                if said_ok or refused.tag == _NOT_PENDING or refused.node == _TOKEN:
                    # It was confirmed, now or earlier, or it reverted. The device's tree shows which.
                    break
        else:
            await self._outlive(mark)
        return await self.verified(session)

    async def _outlive(self, mark: JournalEntry) -> None:
        """Wait until the device's timer must have expired, whatever the wall clock said when it started."""
        if mark.deadline is not None:
            await self._clock.sleep(self._timer + _TIMER_LAG)

    async def verified(self, session: DeviceSession) -> JobResult:
        """The last read."""
        seen = await session.read()
        gone = vanished(self._record.carried, self._change.phases, seen)
        if gone and self.whole.after_holds(seen.tree):
            return replace(self.success(Outcome.DIVERGED, gone), applied=False, beyond=True)
        if self.whole.after_holds(seen.tree):
            await self._record.check()
            try:
                await session.copy_to_startup()
            except DeviceRefusedError as error:
                return self.success(Outcome.SUCCEEDED, f"not kept over a restart: {error.message}")
            remarks = filter(None, (self.unguarded, checks.remark(self._change, seen)))
            return self.success(Outcome.SUCCEEDED, "; ".join(remarks))
        if self.whole.before_holds(seen.tree):
            return JobResult(Outcome.ROLLED_BACK, BY_ITSELF)
        return JobResult(Outcome.DIVERGED, "after the confirm the device carries neither the old nor the new state")

    def success(self, outcome: Outcome, detail: str = "") -> JobResult:
        """The result if the station carries the change."""
        return JobResult(outcome, detail, gained=self._change.gained, lost=self._change.lost, applied=True)

    async def take_back(self, session: DeviceSession, reason: str) -> JobResult:
        """Cancel the pending commit, or apply the inverse, and read back."""
        log.warning("transaction.take_back", station=self._change.station, reason=reason)
        await session.discard()
        mark = self._record.mark
        if mark is None:
            return JobResult(Outcome.FAILED_SAFE, reason)
        sent = effects(self._root, self._change.phases[: mark.phase + 1])
        untouched = not self._record.committed and sent.before_holds((await session.read()).tree)
        if mark.persist:
            await self._record.write(
                JournalStep.CANCELLING, phase=mark.phase, persist=mark.persist, deadline=mark.deadline, detail=reason
            )
            reason = await self._cancel(session, mark, sent, reason)
        return await self._restored(session, mark, reason, Outcome.FAILED_SAFE if untouched else Outcome.ROLLED_BACK)

    async def withdraw(self, session: DeviceSession, mark: JournalEntry, reason: str) -> JobResult:
        """Cancel the pending commit only: the candidate holds edits of others, so nothing else may be done.

        A confirm would commit them, a discard would lose them. A commit that was confirmed already can't be cancelled.
        """
        sent = effects(self._root, self._change.phases[: mark.phase + 1])
        await self._record.write(
            JournalStep.CANCELLING, phase=mark.phase, persist=mark.persist, deadline=mark.deadline, detail=reason
        )
        reason = await self._ask_back(session, mark, sent, reason)
        seen = await session.read()
        if sent.before_holds(seen.tree):
            return JobResult(Outcome.ROLLED_BACK, reason)
        return await self.verified(session)

    async def _cancel(self, session: DeviceSession, mark: JournalEntry, sent: Effects, reason: str) -> str:
        """As ``_ask_back``, for a candidate that nobody else edited."""
        reason = await self._ask_back(session, mark, sent, reason)
        # Some servers leave in the candidate what they took out of running.
        await session.discard()
        return reason

    async def _ask_back(self, session: DeviceSession, mark: JournalEntry, sent: Effects, reason: str) -> str:
        """Cancel; if the device still carries our change, its own timer takes it back.

        Returns:
            The reason, with why the cancel did nothing where it did not: people wait for that timer.
        """
        why = "answers ok to the cancel and still carries the change"
        for _ in range(_ASKS):
            await self._record.check()
            try:
                await session.cancel(mark.persist)
            except DeviceRefusedError as error:
                # Nothing is pending: it never was, it reverted, or it was confirmed.
                log.info("transaction.cancel_refused", station=self._change.station, reason=error.message)
                why = f"refused the cancel ({error.message}) and still carries the change"
            if sent.before_holds((await session.read()).tree):
                return reason
        if mark.deadline is None:
            return reason
        ends = self._clock.now() + timedelta(seconds=self._timer + _TIMER_LAG)
        timer = f"its own timer takes it back by {ends:%Y-%m-%d %H:%M:%S} UTC"
        told = f"{reason}; {self._change.station} {why}: {timer}"
        await self._record.write(
            JournalStep.CANCELLING, phase=mark.phase, persist=mark.persist, deadline=mark.deadline, detail=told
        )
        await self._outlive(mark)
        return told

    async def _restored(self, session: DeviceSession, mark: JournalEntry, reason: str, done: Outcome) -> JobResult:
        """Read back; if something of ours is left, apply the part of the stored inverse for it."""
        phases = self._change.phases[: mark.phase + 1]
        seen = await session.read()
        for count in range(len(phases), 0, -1):
            if effects(self._root, phases[:count]).before_holds(seen.tree):
                return JobResult(done, reason)
            made, taken = made_by(self._change), phases[count - 1].inverse
            inverse: Sequence[Edit] = sparing(self._root, taken, seen.tree, seen.unknown, made)
            if not effects(self._root, [phases[count - 1]]).after_holds(seen.tree):
                inverse = () if session.capabilities.atomic else unfinished(self._root, inverse, seen.tree)
            if not inverse:
                continue
            await self._lock(session)
            await self._record.write(JournalStep.REVERTING, phase=count - 1, detail=reason)
            await self._record.check()
            try:
                await session.edit(inverse)
                await self._record.check()
                await session.commit(self._record.check)
            except DeviceRefusedError as error:
                return JobResult(Outcome.DIVERGED, f"{reason}; taking it back was refused: {error.message}")
            done = Outcome.ROLLED_BACK
            seen = await session.read()
        if effects(self._root, phases).before_holds(seen.tree):
            return JobResult(done, reason)
        return JobResult(Outcome.DIVERGED, f"{reason}; the device could not be brought back to its old state")
