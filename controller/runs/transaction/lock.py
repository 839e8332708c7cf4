"""A device's lock for one of our sessions: take it, go on without it if the token is enough, and release it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from datetime import datetime

import structlog

from controller.drivers.protocols import DeviceSession, Locks, locks, read_candidate, session_id
from controller.drivers.target import DeviceTarget
from controller.models.errors import DeviceBusyError, DeviceRefusedError, UncommittedEditsError
from controller.models.plan import Change, Edit, Phase
from controller.models.run import JournalStep
from controller.nrm.apply import apply_edits
from controller.nrm.containers import made_by, sparing
from controller.nrm.profiles import root_spec
from controller.ports.clock import Clock
from controller.runs.transaction.probe import cancel_probe
from controller.runs.transaction.record import Record

log = structlog.get_logger()

#: Holder of a lock that belongs to no NETCONF session (RFC 6241 §7.5).
_NOBODY = "0"


class Lock:
    """The lock of the session in which a transaction or operation works; the lease alone where sessions have no locks.

    Args:
        target: The device.
        record: Of what is done there.
        clock: For the pauses.
        patience: Seconds to try for a lock that another session holds.
        change: What is edited there; None where nothing is.

    Attributes:
        taken: Whether the session has it, or there is none to take.
        rival: Session that kept us out when we had no lock; killed at the next beginning if it is ours.
        foreign: Why the job goes on without the lock, if the candidate holds edits of somebody else; they stay there.
    """

    def __init__(
        self, target: DeviceTarget, record: Record, clock: Clock, patience: float, change: Change | None = None
    ) -> None:
        self._root = root_spec(target.profiles)
        self._station = target.device
        self._change = change
        self._record = record
        self._clock = clock
        self._patience = patience
        self.taken = False
        self.rival = _NOBODY
        self.foreign = ""
        #: Sessions that kept us out since we had the lock last, and when each was met first.
        self._met: dict[str, datetime] = {}

    async def begin(self, session: DeviceSession) -> None:
        """Lock; or go on without, if the device denies locks while a confirmed commit of ours may be pending.

        Some devices then deny all locks, and name no session. The token still ends the commit.
        """
        self.taken, self.foreign = False, ""
        if (known := locks(session)) is not None:
            await self._kill_ours(known, self.rival)
        self.taken = await self._taken(session, token_is_enough=True)

    async def take(self, session: DeviceSession) -> None:
        """Lock, if the session does not have the lock yet. Raises DeviceBusyError."""
        self.taken = False
        self.taken = await self._taken(session, token_is_enough=False)

    async def ensure(self, session: DeviceSession) -> None:
        """Lock, if the token was enough so far: nothing is edited without the lock."""
        if not self.taken:
            await self.take(session)

    async def leave(self, session: DeviceSession) -> None:
        """Unlock; if the device refuses even that, close the session. Nothing of ours is left in the candidate."""
        known = locks(session)
        if known is None or self.foreign:
            return
        try:
            await (known.unlock() if self.taken else session.discard())
        except DeviceRefusedError as error:
            log.info("transaction.unlock_refused", station=self._station, reason=error.message)
            await known.abandon()

    async def _taken(self, session: DeviceSession, *, token_is_enough: bool) -> bool:
        """Lock if the session can. False: the job goes on without the lock."""
        known = locks(session)
        if known is not None and not await self._locked(session, known, token_is_enough=token_is_enough):
            return False
        self._met.clear()
        await self._record.write(JournalStep.LOCKED, session=session_id(session))
        return True

    async def _locked(self, session: DeviceSession, known: Locks, *, token_is_enough: bool) -> bool:
        """Lock, and kill only sessions that our own record names. False: the token is enough, and there is no lock.

        Attempts become less frequent: some servers run their timers only while nobody talks to them.
        """
        end = self._clock.monotonic() + self._patience
        pause = 0.1
        while True:
            try:
                await known.lock()
            except DeviceBusyError as busy:
                self._met.setdefault(busy.holder, self._clock.now())
                left = isinstance(busy, UncommittedEditsError)
                ours = left and await self._left_by_us(session)
                if not ours and busy.holder == _NOBODY and token_is_enough and await self._has_token(session, known):
                    log.warning("transaction.not_locked", station=self._station, reason=busy.message)
                    self.foreign = busy.message if left else ""
                    return False
                if self._clock.monotonic() > end:
                    raise await self._with_holder(busy) from None
                await (session.discard() if ours else self._kill_ours(known, busy.holder))
            else:
                return True
            await self._clock.sleep(pause * (1 + random.random()))  # noqa: S311 - jitter
            pause = min(1.6, pause * 2)

    async def _with_holder(self, busy: DeviceBusyError) -> DeviceBusyError:
        """The refusal, with who holds the lock and since when, as far as that is known (RFC 6241 §7.5)."""
        if busy.holder == _NOBODY or isinstance(busy, UncommittedEditsError):
            return busy
        whose = "one of Minka's own that was lost" if await self._record.ours(busy.holder) else "none of Minka's"
        since = f"since {self._met[busy.holder]:%Y-%m-%d %H:%M:%S} UTC or before"
        held = f"NETCONF session {busy.holder}, which is {whose}, holds the lock {since}"
        return DeviceBusyError(f"{busy.message}; {held}", busy.holder)

    async def _kill_ours(self, known: Locks, holder: str) -> None:
        """Kill the session that holds the lock if our own record names it; one that refuses is tried again later."""
        if holder in (_NOBODY, known.session_id) or not await self._record.ours(holder):
            return
        await self._record.check()
        try:
            await known.kill(holder)
        except DeviceRefusedError as gone:
            log.info("transaction.kill_refused", station=self._station, reason=gone.message)

    async def _has_token(self, session: DeviceSession, known: Locks) -> bool:
        """Whether a confirmed commit of the change may be pending under our token; a probe's commit is cancelled."""
        mark = self._record.mark
        if mark is None:
            try:
                await cancel_probe(session, self._record)
            except DeviceBusyError as busy:
                await self._kill_ours(known, busy.holder)
        return mark is not None and bool(mark.persist)

    async def _left_by_us(self, session: DeviceSession) -> bool:
        """Whether the candidate contains exactly what edits of this transaction make of running, or of the last one.

        That may be those of several phases: running may have gone back meanwhile, by the timer or a cancel, and some
        servers leave the candidate as it was. A job may have ended before it could reach its device again.
        """
        last, earlier = self._record.edited, await self._record.edited_earlier()
        edited = [(self._change, last.phase)] if last is not None and self._change is not None else []
        edited += [earlier] if earlier is not None else []
        if not edited:
            return False
        seen, candidate = await session.read(), await read_candidate(session)
        for change, phase in edited:
            made = made_by(change)
            for edits in _in_a_row(change.phases[: phase + 1]):
                # To take something back spares what others put into it.
                for some in (edits, sparing(self._root, edits, seen.tree, seen.unknown, made)):
                    with contextlib.suppress(DeviceRefusedError):
                        if apply_edits(self._root, seen.tree, some) == candidate:
                            return True
        return False


def _in_a_row(phases: Sequence[Phase]) -> Iterator[list[Edit]]:
    """Edits of phases that follow each other, forth; and their inverses, back."""
    for first in range(len(phases)):
        for end in range(first + 1, len(phases) + 1):
            some = phases[first:end]
            yield [edit for phase in some for edit in phase.edits]
            yield [edit for phase in reversed(some) for edit in phase.inverse]
