"""Sessions to routers: one at a time for each, in a bounded number of threads, since netmiko blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

from controller.device.cli_line import CliLine, login_of
from controller.device.cli_session import CliSession
from controller.device.reach import address_of
from controller.models.errors import UnreachableError
from controller.ports.devices import DeviceTarget
from controller.ports.secrets import Secrets


class CliDevices:
    """Opens sessions to routers; none is kept, as the lines of a router are few. Belongs to one loop.

    Args:
        secrets: Resolves credentials, at each connect.
        limit: Sessions at once.
        timeout: Seconds to wait for an answer.
        connect_timeout: Seconds for opening a session.
    """

    def __init__(self, secrets: Secrets, *, limit: int, timeout: float, connect_timeout: float) -> None:
        self._secrets = secrets
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._free = asyncio.Semaphore(limit)
        # A session that was given up may hold a thread until its connection notices.
        self._threads = ThreadPoolExecutor(limit + 4, thread_name_prefix="router")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._in_use: set[CliSession] = set()

    @asynccontextmanager
    async def session(self, target: DeviceTarget) -> AsyncIterator[CliSession]:
        """See ``Devices.session``."""
        turn = self._turns.setdefault(target.station, asyncio.Lock())
        async with turn, self._free:
            address = await self._address_of(target)
            login = login_of(target, address, self._secrets)

            def opened() -> CliLine:
                return CliLine(replace(target, address=address), login, self._connect_timeout, self._timeout)

            opening = asyncio.get_running_loop().run_in_executor(self._threads, opened)
            try:
                line = await asyncio.shield(opening)
            except asyncio.CancelledError:
                # A thread can't be stopped: what it opens for nobody is closed. Routers have few lines.
                opening.add_done_callback(self._unwanted)
                raise
            session = CliSession(target, line, opened, self._threads)
            self._in_use.add(session)
            try:
                yield session
            finally:
                self._in_use.discard(session)
                self._threads.submit(session.drop)

    async def _address_of(self, target: DeviceTarget) -> str:
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await address_of(target, self._secrets)
        except OSError as error:
            failure = UnreachableError(f"{target.station} ({target.address}) can't be reached: {error}")
        raise failure

    def _unwanted(self, opening: asyncio.Future[CliLine]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            opening.result().close()

    @property
    def count(self) -> int:
        """Sessions in use."""
        return len(self._in_use)

    def close(self) -> None:
        """Cut all sessions off."""
        for session in self._in_use:
            self._threads.submit(session.drop)
        self._threads.shutdown(wait=False)
