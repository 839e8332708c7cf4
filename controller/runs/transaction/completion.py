"""The end of a change on a device: confirmed and verified, or taken back and verified."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from controller.drivers.protocols import DeviceSession, confirmed_commit, startup
from controller.models.errors import DeviceBusyError, DeviceRefusedError
from controller.models.many import first_names
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind
from controller.models.run import TIMER_LAG, JournalEntry, JournalStep, Outcome
from controller.nrm.apply import appending, names_places, sent_to_end
from controller.nrm.containers import made_by, sparing
from controller.nrm.fingerprint import differences
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, Path, Tree, within_root
from controller.ports.clock import Clock
from controller.runs.transaction import checks
from controller.runs.transaction.effects import Effects, changed, effects, unfinished, vanished
from controller.runs.transaction.record import Record
from controller.store import JobResult

log = structlog.get_logger()

#: How often a confirm or cancel is repeated if the device answers ok and does nothing.
_ASKS = 3
#: Seconds between two readings of a device that answered ok and does not show it yet. Some run their timers only while
#: nobody talks to them.
_PACE = 5.0
#: Error-tag with which a device says that no confirmed commit is pending under the token (RFC 6241 §8.4.5.1).
_NOT_PENDING = "invalid-value"
#: The parameter that a server refuses for the same reason under another tag: netconfd answers ``operation-failed``.
_TOKEN = "persist-id"  # noqa: S105 - the name of a leaf
#: Error-tags with which servers refuse the place of an entry (RFC 7950 §7.8.6).
PLACE_REFUSED = frozenset({"bad-attribute", "unknown-attribute", "operation-failed", "operation-not-supported"})
BY_ITSELF = "the station reverted by itself before the confirm reached it"


class Completion:
    """The last acts of a transaction.

    Args:
        timer: Seconds of a confirmed commit.
        lock: Makes sure that the session holds the lock: after a take-over by token it may not have it yet.
        learn_no_places: Puts on record that the server knows no places in lists in order.

    Attributes:
        whole: The net effect of all phases.
        unguarded: Why the change ran without the confirmed commit that the device offers; empty where it ran with it.
        expected: The device with the change, as it was read before and changed since; None where that is not known.
        places: Whether the server puts entries in places, as far as that is known.
    """

    def __init__(
        self,
        root: NodeSpec,
        change: Change,
        record: Record,
        clock: Clock,
        timer: float,
        lock: Callable[[DeviceSession], Awaitable[None]],
        learn_no_places: Callable[[DeviceSession, Observed], Awaitable[None]],
    ) -> None:
        self._lock = lock
        self._learn_no_places = learn_no_places
        self._root = root
        self._change = change
        self._record = record
        self._clock = clock
        self._timer = timer
        self.whole = effects(root, change.phases)
        self.unguarded = ""
        self.expected: Tree | None = None
        self.places = True

    async def confirm(self, session: DeviceSession, mark: JournalEntry) -> JobResult:
        """Confirm until the device says that nothing is pending any more: an ok proves nothing.

        After an ok running looks the same whether the commit is confirmed or still about to revert. A refusal
        proves nothing either, unless it comes after an ok or says that nothing waits under this token.
        """
        said_ok = False
        for _ in range(_ASKS):
            await self._record.check()
            try:
                await confirmed_commit(session).confirm(mark.persist)
                said_ok = True
            except DeviceRefusedError as refused:
                log.debug("transaction.confirm_refused", station=self._change.station, reason=refused.message)
                if said_ok or _nothing_pends(refused):
                    # It was confirmed, now or earlier, or it reverted. The device's tree shows which.
                    break
        else:
            await self._outlive(mark)
        return await self.verified(session)

    async def _outlive(self, mark: JournalEntry) -> None:
        """Wait until the device's timer must have expired, whatever the wall clock said when it started."""
        if mark.deadline is not None:
            await self._clock.sleep(self._timer + TIMER_LAG)

    async def verified(self, session: DeviceSession) -> JobResult:
        """The last read."""
        seen = await session.read()
        gone = vanished(self._record.carried, self._change.phases, seen)
        if gone and self.whole.after_holds(seen.tree):
            return replace(self.success(Outcome.DIVERGED, gone), applied=False, beyond=True)
        if self.whole.after_holds(seen.tree):
            # Also where there is nothing to copy: only the worker that still has the device reports a success.
            await self._record.check()
            if (kept := startup(session)) is not None:
                try:
                    await kept.copy_to_startup()
                except DeviceRefusedError as error:
                    return self.success(Outcome.SUCCEEDED, f"not kept over a restart: {error.message}")
            remarks = filter(None, (self.unguarded, checks.remark(self._change, seen), self._beside(seen)))
            return self.success(Outcome.SUCCEEDED, "; ".join(remarks))
        if self.whole.before_holds(seen.tree):
            return JobResult(Outcome.ROLLED_BACK, BY_ITSELF)
        return JobResult(Outcome.DIVERGED, "after the confirm the device carries neither the old nor the new state")

    def _beside(self, seen: Observed) -> str:
        """What is otherwise than the change leaves it, in words: the change is kept by then, so it is told."""
        if self.expected is None:
            return ""
        paths = [path for path in changed(self._root, seen, self.expected) if path in self.expected]
        found = differences(self._root, seen.tree, self.expected, paths, seen.writers)
        return f"changed beside it, by nobody's plan: {first_names(found)}" if found else ""

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
        done = Outcome.FAILED_SAFE if untouched else Outcome.ROLLED_BACK
        result = await self._restored(session, mark, reason, done)
        return await self._no_more(session, mark, sent, result) if self._record.unseen else result

    async def _no_more(self, session: DeviceSession, mark: JournalEntry, sent: Effects, result: JobResult) -> JobResult:
        """Read until nothing more can be expected of a commit that was answered ok; take back what appears of it.

        The bound is the time that the device was given, or would have been given where nothing was timed.
        """
        begun = self._clock.monotonic()
        end = begun + self._timer + TIMER_LAG
        last = f"nothing of it took effect within {self._timer + TIMER_LAG:.0f} s"
        while result.outcome is not Outcome.DIVERGED:
            seen = await self.until(session, lambda tree: not sent.before_holds(tree), end)
            if sent.before_holds(seen.tree):
                return replace(result, detail="; ".join(filter(None, (result.detail, last))))
            last, after = "", self._clock.monotonic() - begun
            late = f"{result.detail}; it took effect about {after:.0f} s later, and was taken back"
            log.warning("transaction.late", station=self._change.station, phase=mark.phase, seconds=after)
            if mark.persist:
                late = await self._cancel(session, mark, sent, late)
            result = await self._restored(session, mark, late, Outcome.ROLLED_BACK)
        return result

    async def until(self, session: DeviceSession, holds: Callable[[Tree], bool], end: float) -> Observed:
        """Read sparsely until the tree is as it is waited for, or the time has come; returns the last reading."""
        seen = await session.read()
        while not holds(seen.tree) and (left := end - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(_PACE, left))
            seen = await session.read()
        return seen

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
        pends = False
        for _ in range(_ASKS):
            await self._record.check()
            busy: DeviceBusyError | None = None
            try:
                await confirmed_commit(session).cancel(mark.persist)
                pends = True
            except DeviceRefusedError as error:
                # Nothing is pending: it never was, it reverted, or it was confirmed.
                pends = pends or not _nothing_pends(error)
                log.info("transaction.cancel_refused", station=self._change.station, reason=error.message)
                why = f"refused the cancel ({error.message}) and still carries the change"
            except DeviceBusyError as error:
                busy = error
            if sent.before_holds((await session.read()).tree):
                return reason
            if busy is not None:
                raise busy
        # What came late and is not pending came as an ordinary commit, which no timer takes back.
        if mark.deadline is None or (self._record.unseen and not pends):
            return reason
        ends = self._clock.now() + timedelta(seconds=self._timer + TIMER_LAG)
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
        ends: list[Path] = []
        for count in range(len(phases), 0, -1):
            if effects(self._root, phases[:count]).before_holds(seen.tree):
                return JobResult(done, _in_words(reason, ends))
            inverse = self._inverse(session, phases[count - 1], seen)
            if not inverse:
                continue
            await self._lock(session)
            if refused := await self._revert(session, count - 1, inverse, reason, seen):
                return await self._unfinished(session, phases[:count], f"{_in_words(reason, ends)}; {refused}")
            done = Outcome.ROLLED_BACK
            seen = await self._undone(session, phases[count - 1])
            ends += sent_to_end(seen.tree, inverse)
            if ends and self.places:
                self.places = False
                await self._learn_no_places(session, seen)
        if effects(self._root, phases).before_holds(seen.tree):
            return JobResult(done, _in_words(reason, ends))
        return JobResult(
            Outcome.DIVERGED, f"{_in_words(reason, ends)}; the device could not be brought back to its old state"
        )

    async def _undone(self, session: DeviceSession, phase: Phase) -> Observed:
        """Read back an inverse that was answered ok: it may take effect later, as a phase may."""
        made = effects(self._root, [phase])
        end = self._clock.monotonic() + self._timer + TIMER_LAG
        return await self.until(session, lambda tree: not made.after_holds(tree), end)

    def _inverse(self, session: DeviceSession, phase: Phase, seen: Observed) -> Sequence[Edit]:
        """The part of a phase's inverse that is left to do; empty if nothing is, or nobody knows what."""
        inverse: Sequence[Edit] = sparing(self._root, phase.inverse, seen.tree, seen.unknown, made_by(self._change))
        if effects(self._root, [phase]).after_holds(seen.tree):
            return inverse
        return () if session.capabilities.atomic else unfinished(self._root, inverse, seen.tree)

    async def _revert(
        self, session: DeviceSession, index: int, inverse: Sequence[Edit], reason: str, seen: Observed
    ) -> str:
        """Apply an inverse; returns why it was refused, empty if it was not.

        Where the server refuses to put entries in their places they are appended: they serve there, too.
        """
        await self._record.write(JournalStep.REVERTING, phase=index, detail=reason)
        edits = inverse if self.places else appending(inverse)
        refused = await self._applied(session, edits)
        if (
            refused is not None
            and refused.tag in PLACE_REFUSED
            and any(edit.after_sibling is not None for edit in edits)
        ):
            if await self._applied(session, appending(inverse)) is not None:
                return f"taking it back was refused: {refused.message}"
            if names_places(seen.tree, edits):
                self.places = False
                await self._learn_no_places(session, seen)
            return ""
        return "" if refused is None else f"taking it back was refused: {refused.message}"

    async def _applied(self, session: DeviceSession, edits: Sequence[Edit]) -> DeviceRefusedError | None:
        """Edit and commit; returns the refusal, after which nothing is left in the candidate."""
        await self._record.check()
        try:
            await session.edit(edits)
            await self._record.check()
            await session.commit(self._record.check)
        except DeviceRefusedError as error:
            await session.discard()
            return error
        return None

    async def _unfinished(self, session: DeviceSession, phases: Sequence[Phase], said: str) -> JobResult:
        """An inverse was refused: the cells that we locked come back on air all the same, since they serve others.

        Nothing else is taken back: what came before may be what serves now, as the new one of two core links.
        """
        for index in range(len(phases) - 2, -1, -1):
            seen = await session.read()
            locked = unfinished(self._root, phases[index].inverse, seen.tree)
            unlock = [edit for edit in locked if edit.op is Op.MERGE and phases[index].kind is PhaseKind.LOCK]
            if unlock:
                await self._lock(session)
                refused = await self._revert(session, index, unlock, said, seen)
                names = first_names([within_root(edit.path) for edit in unlock])
                said = f"{said}; {names}: {refused or 'unlocked all the same'}"
        tree = (await session.read()).tree
        left = [edit for phase in phases for edit in unfinished(self._root, phase.inverse, tree)]
        names = first_names(list(dict.fromkeys(within_root(edit.path) for edit in left)))
        return JobResult(Outcome.DIVERGED, f"{said}; not as it was before: {names}" if names else said)


def _nothing_pends(refused: DeviceRefusedError) -> bool:
    """Whether a device refuses a confirm or cancel since no confirmed commit is pending under its token."""
    return refused.tag == _NOT_PENDING or refused.node == _TOKEN


def _in_words(reason: str, ends: Sequence[Path]) -> str:
    """Why a change was taken back, and what came back to the end of its list instead of its place."""
    if not ends:
        return reason
    names = first_names(list(map(within_root, ends)))
    return f"{reason}; the server put to the end of the list what stood elsewhere in it: {names}"
