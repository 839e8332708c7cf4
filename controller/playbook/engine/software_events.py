"""What a station notifies of one operation on its software."""

from __future__ import annotations

import asyncio
from datetime import datetime
from types import TracebackType

from controller.models.equipment import Operation, OperationKind, SoftwareEvent
from controller.models.errors import DeviceError, DeviceRefusedError
from controller.nrm.equipment import event_of
from controller.ports.clock import Clock
from controller.ports.devices import Devices, DeviceTarget

#: Operations whose end is notified.
_NOTIFIED = (OperationKind.DOWNLOAD, OperationKind.INSTALL, OperationKind.ACTIVATE)
#: Seconds until a lost subscription is tried again.
_RETRY = 2.0


class Hearing:
    """Listens while its context is open; entering waits until the station is listened to.

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
        self._heard: SoftwareEvent | None = None
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
        """Whether the station said that a download is complete; of all else it has more to show than its word."""
        return (
            self._operation.kind is OperationKind.DOWNLOAD
            and self._heard is not None
            and self._heard.status == "COMPLETED"
        )

    @property
    def failure(self) -> str:
        """What the station said went wrong, or an empty string."""
        if self._heard is None or self._heard.status == "COMPLETED":
            return ""
        return f"{self._heard.status} {self._heard.message}".rstrip()

    async def _listen(self, listening: asyncio.Event) -> None:
        since = self._operation.since if self._replay else None
        try:
            while True:
                try:
                    await self._follow(since, listening)
                except DeviceRefusedError:
                    if since is None:
                        return  # it notifies nobody
                    since = None
                    continue
                except DeviceError:
                    # What is said until we listen again is asked for.
                    since = self._operation.since
                listening.set()
                await self._clock.sleep(_RETRY)
        finally:
            listening.set()

    async def _follow(self, since: datetime | None, listening: asyncio.Event) -> None:
        async for notification in self._devices.notifications(self._target, since, listening):
            event = event_of(notification.name, notification.content, notification.at)
            if event is not None and self._concerns(event):
                self._heard = event

    def _concerns(self, event: SoftwareEvent) -> bool:
        since = self._operation.since
        if event.at is not None and since is not None and event.at < since:
            return False
        subject = self._operation.subject
        if self._operation.kind is OperationKind.DOWNLOAD:
            subject = subject.rpartition("/")[2]
        return (event.kind, event.subject) == (self._operation.kind, subject)
