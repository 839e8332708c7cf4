"""Operations of a step on one station: on record before they are sent, proven by reading back, never repeated blindly.

A restart ends the session that asked for it, and an answer may be lost; neither says what happened. Whoever
continues, this process or another, reads first: a restart shows in when the station started, an installation in
the slot. Once the job may not begin any more, nothing is sent again either. Downloads leave nothing to read; their end
is notified, and they are harmless to repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType

import structlog

from controller.drivers.netconf.equipment import event_of
from controller.drivers.protocols import Devices, DeviceSession, Observed, equipped, session_id
from controller.drivers.target import DeviceTarget
from controller.models.equipment import Equipment, Operation, OperationKind, SoftwareEvent
from controller.models.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceRefusedError,
    NotClearedError,
)
from controller.models.run import JournalStep, Outcome
from controller.ports.clock import Clock
from controller.runs.transaction.lock import Lock
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.record import Record
from controller.store import JobResult

log = structlog.get_logger()

#: Seconds between two checks, at first and at most.
_SOON, _GENTLY = 0.2, 2.0
#: Most attempts to send an operation, each after it was seen that the one before did nothing.
_SENDS = 3
#: Operations whose end the station notifies.
_NOTIFIED = (OperationKind.DOWNLOAD, OperationKind.INSTALL, OperationKind.ACTIVATE)
#: Operations after which it may run other software, though under the same name: how it behaves is learned anew.
_OTHER_SOFTWARE = (OperationKind.ACTIVATE, OperationKind.RESET)
#: Seconds until a lost subscription is tried again.
_RETRY = 2.0
#: Stations may report their start time rounded down to this.
_SECOND = 1.0


async def operate(
    operations: Sequence[Operation],
    target: DeviceTarget,
    devices: Devices,
    record: Record,
    clock: Clock,
    patience: Patience,
) -> JobResult:
    """Carry out operations in order, until one fails.

    Raises:
        LeaseLostError: Another worker owns the device; nothing more was sent to it.
        StoreError: The record is away, so nothing more was sent; calling again continues.
    """
    await record.load()
    for index, operation in enumerate(operations):
        result = await _Operating(index, operation, target, devices, record, clock, patience).run()
        if result.outcome.good:
            continue
        if index and result.outcome is not Outcome.DIVERGED:
            done = ", ".join(str(one) for one in operations[:index])
            return JobResult(Outcome.DIVERGED, f"{result.detail}; done before it: {done}")
        return result
    return JobResult(Outcome.SUCCEEDED, "")


def happened(operation: Operation, seen: Equipment) -> bool:
    """Whether the station shows that an operation was carried out."""
    since = operation.since
    if operation.kind is OperationKind.RESET:
        return since is not None and seen.restarted is not None and seen.restarted > since
    if operation.kind is OperationKind.RESET_UNIT:
        unit = seen.unit(operation.subject)
        return since is not None and unit is not None and unit.restarted is not None and unit.restarted > since
    if operation.kind is OperationKind.RELOAD_LICENCE:
        return seen.licence == "VALID"
    if operation.kind is OperationKind.EVICT:
        return not seen.pods_on(operation.subject)
    slot = seen.slot(operation.subject)
    if operation.kind is OperationKind.INSTALL:
        return slot is not None and slot.status == "VALID" and slot.version == operation.version
    return operation.kind is OperationKind.ACTIVATE and slot is not None and slot.active


def acknowledged(operation: Operation, seen: Observed) -> bool:
    """Whether a station's list shows that records are acknowledged; cleared ones leave the list then."""
    waiting = {record.id for record in seen.records or () if not record.acknowledged_by}
    return seen.records is not None and waiting.isdisjoint(operation.records)


def _only_just_started(operation: Operation, seen: Equipment) -> bool:
    """Whether the last start was within the same second, so that a new restart might not show."""
    if operation.kind not in (OperationKind.RESET, OperationKind.RESET_UNIT) or operation.since is None:
        return False
    return seen.now is None or operation.since.replace(microsecond=0) == seen.now.replace(microsecond=0)


class _Operating:
    """Brings one operation to its result."""

    def __init__(
        self,
        index: int,
        operation: Operation,
        target: DeviceTarget,
        devices: Devices,
        record: Record,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._index = index
        self._operation = operation
        self._target = target
        self._devices = devices
        self._record = record
        self._clock = clock
        self._patience = patience
        self._lock = Lock(target, record, clock, patience.busy)
        sent, begun = record.last(JournalStep.OPERATING, index), record.last(JournalStep.PREPARED, index)
        self._sends = record.count(JournalStep.OPERATING, index)
        #: Whether the job may not begin any more: what is not answered is then not sent again.
        self._barred = False
        #: Whether a session that we lost may still hold the lock.
        self._left_lock = sent is not None
        #: Whether the station said that it begins.
        self._begun = sent is not None and begun is not None and begun.seq > sent.seq
        self._sent = clock.monotonic()
        left = operation.seconds
        if sent is not None and sent.deadline is not None:
            left = min(left, (sent.deadline - clock.now()).total_seconds())
        self._end = clock.monotonic() + left
        self._events = _SoftwareEvents(devices, target, operation, clock, replay=sent is not None)

    async def run(self) -> JobResult:
        """Work until the outcome is known."""
        tries = 0
        async with self._events:
            while True:
                try:
                    async with self._devices.session(self._target) as session:
                        return await self._work(session)
                except DeviceError as error:
                    tries += 1
                    # After it was sent, wait for the station: being away is what a restart looks like.
                    unknown = f"Whether {self._operation} worked is not known." if self._sends else ""
                    late = self._clock.monotonic() > self._end
                    result = self._patience.given_up(error, tries, unknown=unknown, late=late)
                    if result is not None:
                        return result
                    log.info("operation.interrupted", operation=str(self._operation), reason=error.message)
                await self._clock.sleep(self._patience.retry)

    async def _work(self, session: DeviceSession) -> JobResult:
        """Check, send if need be, check again, within one session."""
        pause = _SOON
        while True:
            worked, seen = await self._look(session)
            if worked or self._events.completed:
                await self._free(session)
                return self._proven(seen)
            if failure := self._events.failure:
                return JobResult(Outcome.FAILED_SAFE, f"{self._operation} failed: {failure}")
            if self._may_send():
                if _only_just_started(self._operation, seen):
                    await self._clock.sleep(_SECOND)
                refusal = await self._send(session)
                if refusal:
                    return JobResult(Outcome.FAILED_SAFE, f"the station does not begin {self._operation}: {refusal}")
            elif self._clock.monotonic() > self._end:
                return self._unseen()
            await self._clock.sleep(pause)
            pause = min(_GENTLY, pause * 1.6)

    async def _look(self, session: DeviceSession) -> tuple[bool, Equipment]:
        """Whether the station shows that it worked, and the station's equipment."""
        if self._operation.kind is OperationKind.ACKNOWLEDGE:
            return acknowledged(self._operation, await session.read()), Equipment()
        known = equipped(session)
        seen = Equipment() if known is None else await known.equipment()
        return happened(self._operation, seen), seen

    def _may_send(self) -> bool:
        """Whether nothing was sent yet, or an unanswered request has done nothing.

        An eviction names its pods, so to send it again is harmless; and what was answered may never have been done.
        """
        if self._barred or not self._sends:
            return not self._barred
        silent = self._clock.monotonic() - self._sent > self._patience.effect
        repeats = not self._begun or self._operation.kind is OperationKind.EVICT
        return silent and repeats and self._sends < _SENDS

    async def _send(self, session: DeviceSession) -> str:
        """Send it; returns why the station refuses, empty if it begins.

        Under the lock where nobody may be in the middle of a change.
        """
        exclusive = self._operation.kind.exclusive
        await self._record.write(
            JournalStep.OPENED, phase=self._index, session=session_id(session) if exclusive else ""
        )
        if exclusive:
            self._left_lock = True
            await self._lock.take(session)
        deadline = self._clock.now() + timedelta(seconds=self._operation.seconds)
        try:
            await self._record.write(
                JournalStep.OPERATING, phase=self._index, deadline=deadline, detail=str(self._operation)
            )
        except NotClearedError:
            if not self._sends:
                raise
            # The job would be given back, and its operation done in another window, though it may come yet.
            self._barred = True
            if exclusive:
                await self._leave(session)
            return ""
        self._sends += 1
        self._sent = self._clock.monotonic()
        self._end = self._sent + self._operation.seconds
        if self._operation.kind in _OTHER_SOFTWARE:
            await self._record.forget_behaviour()
        await self._record.check()
        try:
            refusal = await self._operate(session)
        except DeviceRefusedError as error:
            refusal = error.message
        if not refusal:
            await self._record.write(JournalStep.PREPARED, phase=self._index, detail="the station begins it")
            self._begun = True
        if exclusive and (refusal or self._operation.kind is not OperationKind.RESET):
            await self._leave(session)
        return refusal

    async def _leave(self, session: DeviceSession) -> None:
        await self._lock.leave(session)
        self._left_lock = False

    async def _operate(self, session: DeviceSession) -> str:
        known = equipped(session)
        if known is None:
            return f"{self._target.device} has no operation {self._operation}"
        return await known.operate(self._operation)

    async def _free(self, session: DeviceSession) -> None:
        """Free a lock that a lost session of ours holds; a restart ended all of them."""
        if self._left_lock and self._operation.kind is not OperationKind.RESET:
            with suppress(DeviceBusyError):
                await self._lock.take(session)
                await self._lock.leave(session)

    def _proven(self, seen: Equipment) -> JobResult:
        """The result after it happened, with a check of the wanted slot."""
        running, wanted = seen.running, self._operation.subject
        if self._operation.kind is OperationKind.RESET and wanted and (running is None or running.name != wanted):
            where = running.name if running else "nobody knows what"
            return JobResult(Outcome.FAILED_SAFE, f"the station started from {where} instead of {wanted}")
        return JobResult(Outcome.SUCCEEDED, "")

    def _unseen(self) -> JobResult:
        """The result if no effect shows: it may still happen, except an eviction."""
        detail = f"{self._operation} was sent, and nothing shows of it after {self._operation.seconds:g} s"
        late = self._operation.kind.interrupts and self._operation.kind is not OperationKind.EVICT
        return JobResult(Outcome.DIVERGED if late else Outcome.FAILED_SAFE, detail)


class _SoftwareEvents:
    """Notifications of a station about one operation on its software, while the context is open.

    Entering waits until the subscription stands.

    Args:
        replay: Whether the operation may have been sent before, so that what was notified since counts, too.
    """

    def __init__(
        self, devices: Devices, target: DeviceTarget, operation: Operation, clock: Clock, *, replay: bool
    ) -> None:
        self._devices = devices
        self._target = target
        self._operation = operation
        self._clock = clock
        self._replay = replay
        self._event: SoftwareEvent | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        if self._operation.kind in _NOTIFIED:
            listening = asyncio.Event()
            self._task = asyncio.create_task(self._listen(listening))
            await listening.wait()

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def completed(self) -> bool:
        """Whether the station said that a download is complete; other operations show in its state."""
        return (
            self._operation.kind is OperationKind.DOWNLOAD
            and self._event is not None
            and self._event.status == "COMPLETED"
        )

    @property
    def failure(self) -> str:
        """The failure that the station notified; empty if there is none."""
        if self._event is None or self._event.status == "COMPLETED":
            return ""
        return f"{self._event.status} {self._event.message}".rstrip()

    async def _listen(self, listening: asyncio.Event) -> None:
        since = self._operation.since if self._replay else None
        try:
            while True:
                try:
                    await self._follow(since, listening)
                except DeviceRefusedError:
                    if since is None:
                        return  # it sends no notifications
                    since = None
                    continue
                except DeviceError:
                    # Ask for what is notified until we listen again.
                    since = self._operation.since
                listening.set()
                await self._clock.sleep(_RETRY)
        finally:
            listening.set()

    async def _follow(self, since: datetime | None, listening: asyncio.Event) -> None:
        async for notification in self._devices.notifications(self._target, since, listening.set):
            event = event_of(notification.name, notification.content, notification.at)
            if event is not None and self._concerns(event):
                self._event = event

    def _concerns(self, event: SoftwareEvent) -> bool:
        since = self._operation.since
        if event.at is not None and since is not None and event.at < since:
            return False
        subject = self._operation.subject
        if self._operation.kind is OperationKind.DOWNLOAD:
            subject = subject.rpartition("/")[2]
        return (event.kind, event.subject) == (self._operation.kind, subject)
