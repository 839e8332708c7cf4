"""The shipped fake of ``Devices``: sessions to base stations in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial

from lxml import etree

from controller.models.behaviour import FollowUp
from controller.models.equipment import Equipment, Operation
from controller.models.errors import DeviceRefusedError, HostKeyError, SessionLostError, UnreachableError
from controller.models.measurement import Period
from controller.models.plan import Edit
from controller.nrm.profiles import root_spec
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, Tree
from controller.ports.clock import Clock
from controller.ports.devices import Capabilities, DeviceSession, DeviceTarget, Notification
from controller.ports.fake_device import RUNNING_ONLY, SAFE, FakeDevice, Fault, Wrong

__all__ = ["RUNNING_ONLY", "SAFE", "FakeDevice", "FakeDevices", "FakeSession", "Fault", "Wrong"]


class FakeSession:
    """One session to a fake device."""

    def __init__(self, device: FakeDevice, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._id = device.open()
        self._hung = False

    @property
    def session_id(self) -> str:
        """See ``DeviceSession.session_id``."""
        return self._id

    @property
    def capabilities(self) -> Capabilities:
        """See ``DeviceSession.capabilities``."""
        return self._device.capabilities

    async def lock(self) -> None:
        """See ``DeviceSession.lock``."""
        await self._do("lock", lambda: self._device.lock(self._id))

    async def unlock(self) -> None:
        """See ``DeviceSession.unlock``."""
        await self._do("unlock", lambda: self._device.unlock(self._id))

    async def discard(self) -> None:
        """See ``DeviceSession.discard``."""

        def act() -> None:
            self._device.discard()

        await self._do("discard", act)

    async def read(self) -> Observed:
        """See ``DeviceSession.read``."""
        await self._do("read", lambda: None)
        return self._device.observe()

    async def read_candidate(self) -> Tree:
        """See ``DeviceSession.read_candidate``."""
        await self._do("read_candidate", lambda: None)
        return dict(self._device.candidate if self._device.capabilities.candidate else self._device.running)

    async def edit(self, edits: Sequence[Edit]) -> None:
        """See ``DeviceSession.edit``."""
        await self._do("edit", lambda: self._device.edit(self._id, edits))

    async def commit(self) -> None:
        """See ``DeviceSession.commit``."""
        await self._do("commit", lambda: self._device.commit(self._id))

    async def commit_confirmed(self, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:  # noqa: ASYNC109 - of the RPC
        """See ``DeviceSession.commit_confirmed``."""
        await self._do("commit_confirmed", lambda: self._device.commit_confirmed(self._id, persist, timeout, follow_up))

    async def confirm(self, persist: str) -> None:
        """See ``DeviceSession.confirm``."""
        await self._do("confirm", lambda: self._device.confirm(self._id, persist))

    async def cancel(self, persist: str) -> None:
        """See ``DeviceSession.cancel``."""
        await self._do("cancel", lambda: self._device.cancel(self._id, persist))

    async def copy_to_startup(self) -> None:
        """See ``DeviceSession.copy_to_startup``."""

        def act() -> None:
            self._device.startup = self._device.running

        await self._do("copy_to_startup", act)

    async def equipment(self) -> Equipment:
        """See ``DeviceSession.equipment``."""
        await self._do("equipment", lambda: None)
        return self._device.equipment.look()

    async def measurements(self) -> tuple[Period, ...]:
        """See ``DeviceSession.measurements``."""
        await self._do("measurements", lambda: None)
        return self._device.equipment.periods

    async def operate(self, operation: Operation) -> str:
        """See ``DeviceSession.operate``."""
        said: list[str] = []
        await self._do("operate", lambda: said.append(self._device.equipment.operate(operation)))
        return said[0] if said else ""

    async def kill(self, session_id: str) -> None:
        """See ``DeviceSession.kill``."""

        def act() -> None:
            if session_id == self._id or session_id not in self._device.sessions:
                raise DeviceRefusedError(f"invalid-value: there is no other session {session_id}")
            self._device.end(session_id)

        await self._do("kill", act)

    async def abandon(self) -> None:
        """See ``DeviceSession.abandon``."""
        self._device.end(self._id)

    def leave(self) -> None:
        """End it, unless it hangs: then the device does not know that we are gone."""
        if not self._hung:
            self._device.end(self._id)

    async def _do(self, operation: str, act: Callable[[], None]) -> None:
        """Carry out one operation with whatever is scripted to go wrong."""
        if self._device.latency:
            await self._clock.sleep(self._device.latency)
        if self._hung or self._id not in self._device.sessions:
            raise SessionLostError(f"the session to {self._device.station} has ended")
        fault = self._next_fault(operation)
        if fault and fault.act:
            fault.act()
        wrong = fault.wrong if fault else None
        if wrong is Wrong.REFUSE:
            raise DeviceRefusedError(f"operation-failed: {self._device.station} refuses {operation}")
        if wrong is Wrong.DROP_BEFORE or self._id not in self._device.sessions:
            self._device.end(self._id)
            raise SessionLostError(f"the session to {self._device.station} ended before {operation}")
        if wrong is not Wrong.LIE:
            act()
            self._device.log.append(f"{self._id} {operation}")
        if wrong in (Wrong.DROP_AFTER, Wrong.LOSE_REPLY):
            self._hung = wrong is Wrong.LOSE_REPLY
            self.leave()
            raise SessionLostError(f"no answer to {operation} from {self._device.station}")

    def _next_fault(self, operation: str) -> Fault | None:
        for fault in self._device.faults:
            if fault.operation != operation or not fault.times:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
        return None


class FakeDevices:
    """The shipped fake of ``Devices``.

    Args:
        clock: Time of the devices' timers, latencies and states.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._devices: dict[str, FakeDevice] = {}
        self._listeners: defaultdict[str, list[asyncio.Queue[Notification | None]]] = defaultdict(list)

    def add(
        self, station: str, profiles: tuple[str, ...] | NodeSpec, tree: Tree, capabilities: Capabilities = SAFE
    ) -> FakeDevice:
        """Put up a station that carries ``tree``."""
        root = profiles if isinstance(profiles, NodeSpec) else root_spec(profiles)
        device = FakeDevice(station, root, tree, capabilities, self._clock)
        device.equipment.notify = partial(self.notify, station)
        self._devices[station] = device
        return device

    def __getitem__(self, station: str) -> FakeDevice:
        return self._devices[station]

    def session(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """See ``Devices.session``; every session is a fresh one."""
        return self._session(target)

    def aside(self, target: DeviceTarget) -> AbstractAsyncContextManager[DeviceSession]:
        """See ``Devices.aside``."""
        return self._session(target)

    @asynccontextmanager
    async def _session(self, target: DeviceTarget) -> AsyncIterator[DeviceSession]:
        device = self._devices.get(target.station)
        if device is None or device.unreachable:
            raise UnreachableError(f"{target.station}: {device.unreachable if device else 'there is no such station'}")
        if device.host_key not in ("", target.host_key):
            raise HostKeyError(f"{target.station} showed another host key than the inventory pins")
        session = FakeSession(device, self._clock)
        try:
            yield session
        finally:
            session.leave()

    def notify(self, station: str, content: etree._Element) -> None:
        """Send a notification to whoever listens to the station."""
        for listener in self._listeners[station]:
            listener.put_nowait(Notification(station, self._clock.now(), str(content.tag), content))

    def end_notifications(self, station: str) -> None:
        """End the sessions of whoever listens to the station."""
        for listener in self._listeners[station]:
            listener.put_nowait(None)

    async def notifications(
        self, target: DeviceTarget, since: datetime | None = None, listening: asyncio.Event | None = None
    ) -> AsyncIterator[Notification]:
        """See ``Devices.notifications``; fake stations remember nothing."""
        if since is not None:
            raise DeviceRefusedError(f"operation-failed: {target.station} does not support replay")
        arrived: asyncio.Queue[Notification | None] = asyncio.Queue()
        async with self._session(target):
            self._listeners[target.station].append(arrived)
            if listening is not None:
                listening.set()
            try:
                while (notification := await arrived.get()) is not None:
                    yield notification
            finally:
                self._listeners[target.station].remove(arrived)
        raise SessionLostError(f"the notification session to {target.station} has ended")

    async def close(self) -> None:
        """See ``Devices.close``."""
        for station in self._listeners:
            self.end_notifications(station)
        for device in self._devices.values():
            for session in tuple(device.sessions):
                device.end(session)
