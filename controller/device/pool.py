"""Warm sessions: one per device, handed to one caller at a time, bounded in number."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from controller.device.connect import Connector
from controller.device.notifications import subscribe
from controller.device.session import NetconfSession
from controller.ports.devices import DeviceSession, DeviceTarget, Notification
from controller.ports.secrets import Secrets


class SshDevices:
    """NETCONF over SSH; implements ``controller.ports.devices.Devices``. Belongs to one loop.

    Args:
        secrets: Resolves credentials, at each connect.
        limit: Sessions at once, in use and idle together; notification sessions are not counted.
        rpc_timeout: Seconds to wait for the answer of a request.
        connect_timeout: Seconds for opening a session.
        keepalive: Seconds of silence after which a connection is probed.
    """

    def __init__(
        self,
        secrets: Secrets,
        *,
        limit: int = 4000,
        rpc_timeout: float = 60.0,
        connect_timeout: float = 20.0,
        keepalive: float = 30.0,
    ) -> None:
        self._connector = Connector(secrets, connect_timeout, keepalive, rpc_timeout)
        self._limit = limit
        self._free = asyncio.Semaphore(limit)
        self._taken = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._in_use: set[NetconfSession] = set()
        self._idle: OrderedDict[str, tuple[DeviceTarget, NetconfSession]] = OrderedDict()

    @asynccontextmanager
    async def session(self, target: DeviceTarget) -> AsyncIterator[DeviceSession]:
        """See ``Devices.session``."""
        turn = self._turns.setdefault(target.station, asyncio.Lock())
        async with turn, self._slot():
            session = self._warm(target) or await self._open(target)
            self._in_use.add(session)
            try:
                yield session
            except BaseException:
                session.drop("its transaction failed")
                raise
            finally:
                self._in_use.discard(session)
                session.forget()
                if session.reusable:
                    self._idle[target.station] = (target, session)
                else:
                    session.drop("it can't be reused")

    def notifications(self, target: DeviceTarget) -> AsyncIterator[Notification]:
        """See ``Devices.notifications``."""
        return subscribe(self._connector, target)

    async def close(self) -> None:
        """See ``Devices.close``; sessions in use are cut off."""
        for session in self._in_use:
            session.drop("the controller shuts down")
        idle = [session for _, session in self._idle.values()]
        self._idle.clear()
        await asyncio.gather(*(session.close() for session in idle))

    @property
    def counts(self) -> dict[str, int]:
        """Sessions by state, ``in-use`` and ``idle``."""
        return {"in-use": len(self._in_use), "idle": len(self._idle)}

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._free:
            self._taken += 1
            try:
                yield
            finally:
                self._taken -= 1

    def _warm(self, target: DeviceTarget) -> NetconfSession | None:
        """The idle session of this very target; one that died, or was opened otherwise, is dropped."""
        opened_for, session = self._idle.pop(target.station, (None, None))
        if session is None:
            return None
        if opened_for == target and session.reusable:
            return session
        session.drop("the target changed")
        return None

    async def _open(self, target: DeviceTarget) -> NetconfSession:
        # The caller's slot is counted among the taken ones; idle sessions make room for it.
        while self._idle and len(self._idle) + self._taken > self._limit:
            _, (_, oldest) = self._idle.popitem(last=False)
            oldest.drop("another device needed its place")
        connection, transport = await self._connector.open(target)
        return NetconfSession(target, connection, transport)
