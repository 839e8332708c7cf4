"""Call home (RFC 8071): stations connect to us, and are NETCONF servers like any other from then on.

A caller is identified by its host key alone, never by its address. A caller outside of its credential's networks gets
no credential. Thousands may call at once, for example after a power cut: all connections are accepted, silent ones
cost nothing, and few handshakes run at a time, so that open sessions keep working.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

import asyncssh
import structlog

from controller.device.connect import HOST_KEYS, Connector, LightClient, Login
from controller.device.transport import Transport
from controller.models.errors import AuthenticationError, SessionLostError
from controller.ports.devices import DeviceTarget

#: Backlog of connections that the system holds until we accept them.
BACKLOG = 4096
#: Seconds until the next accept after the system refused one.
_PAUSE = 1.0

log = structlog.get_logger()

Arrival = Callable[[DeviceTarget, asyncssh.SSHClientConnection, Transport], None]
#: The stations that may call from now on; None while they are the same as before.
Callers = Callable[[], Awaitable[Iterable[DeviceTarget] | None]]


async def _the_same() -> None:
    """Expect nobody else than before."""


class CallHome:
    """Accepts calls and hands the sessions on; belongs to one loop.

    Args:
        connector: Logs in.
        arrived: Gets target, connection and greeted session of each station that called.
        callers: Most connections that have sent nothing yet; a further one replaces the oldest.
        at_once: Handshakes at a time.
        silence: Seconds within which a caller must send its first byte; SSH servers send first.
    """

    def __init__(
        self,
        connector: Connector,
        arrived: Arrival,
        *,
        callers: int = 4096,
        at_once: int = 64,
        silence: float = 20.0,
    ) -> None:
        self._connector = connector
        self._arrived = arrived
        self._callers = callers
        self._silence = silence
        self._turns = asyncio.Semaphore(at_once)
        self._expected: dict[bytes, DeviceTarget] = {}
        self._keys: dict[str, bytes] = {}
        self._silent: OrderedDict[asyncio.Task[None], None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._may_call: Callers = _the_same

    @property
    def listening(self) -> bool:
        """Whether calls are accepted."""
        return self._listener is not None

    def expect(self, target: DeviceTarget) -> None:
        """Accept a station by its host key, which replaces an earlier key of the same station."""
        key = base64.b64decode(target.host_key.split()[1])
        self._expected.pop(self._keys.get(target.station, b""), None)
        self._keys[target.station] = key
        self._expected[key] = target

    def expect_only(self, targets: Iterable[DeviceTarget]) -> None:
        """Accept these stations, and no others any more."""
        self._expected.clear()
        self._keys.clear()
        for target in targets:
            self.expect(target)

    def listen(self, address: str, port: int, may_call: Callers = _the_same) -> int:
        """Accept calls; return the port, which the system chooses for 0.

        Args:
            address: Where to listen.
            port: Where to listen.
            may_call: Asked before a caller is looked at, so that it is judged by the network files in force.

        Raises:
            OSError: The address can't be listened on.
        """
        self._may_call = may_call
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family, backlog=BACKLOG)
        self._listener.setblocking(False)
        self._start(self._accept(self._listener))
        bound: int = self._listener.getsockname()[1]
        return bound

    async def close(self) -> None:
        """Accept no more calls; sessions that were handed on stay open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                caller, peer = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("device.call_not_accepted", reason=str(error))
                self._drop_oldest()
                await asyncio.wait([loop.create_future()], timeout=_PAUSE)
                continue
            task = self._start(self._answer(caller, str(peer[0])))
            self._silent[task] = None
            if len(self._silent) > self._callers:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        if self._silent:
            self._silent.popitem(last=False)[0].cancel()

    async def _answer(self, caller: socket.socket, peer: str) -> None:
        me = asyncio.current_task()
        assert me is not None
        try:
            async with asyncio.timeout(self._silence):
                await _speaks(caller)
            self._silent.pop(me, None)
            async with self._turns:
                if (stations := await self._may_call()) is not None:
                    self.expect_only(stations)
                await self._let_in(caller, peer)
        except TimeoutError:
            log.info("device.caller_said_nothing", peer=peer)
        finally:
            self._silent.pop(me, None)
            caller.close()

    async def _let_in(self, caller: socket.socket, peer: str) -> None:
        visitor = _Visitor(self._expected, self._connector, peer)
        try:
            async with asyncio.timeout(self._connector.timeout):
                connection, transport = await self._greet(caller, visitor)
        except (OSError, asyncssh.Error, SessionLostError, AuthenticationError) as error:
            reason = visitor.refusal or f"{type(error).__name__}: {error}"
            station = visitor.target.station if visitor.target else None
            log.warning("device.call_refused", peer=peer, station=station, reason=reason)
        else:
            assert visitor.target is not None
            self._arrived(visitor.target, connection, transport)

    async def _greet(self, caller: socket.socket, visitor: _Visitor) -> tuple[asyncssh.SSHClientConnection, Transport]:
        connection = await asyncssh.connect(
            # The connection closes its own copy; this socket is ours.
            sock=caller.dup(),
            config=None,
            options=self._connector.options,
            client_factory=lambda: visitor,
            known_hosts=([], [], []),
            server_host_key_algs=HOST_KEYS,
            username="",
        )
        try:
            assert visitor.target is not None
            return connection, await self._connector.session_on(connection, visitor.target.station)
        except BaseException:
            connection.abort()
            raise


class _Visitor(LightClient):
    """Our side of a call: identifies the caller by its host key, then logs in.

    Attributes:
        target: The station that called; None until its host key was seen.
        refusal: Why the caller is refused.
    """

    def __init__(self, expected: Mapping[bytes, DeviceTarget], connector: Connector, peer: str) -> None:
        self._expected = expected
        self._connector = connector
        self._peer = peer
        self._connection: asyncssh.SSHClientConnection | None = None
        self._login = Login()
        self.target: DeviceTarget | None = None
        self.refusal = ""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Note that the caller speaks SSH."""
        super().connection_made(conn)
        self._connection = conn

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether a station with this key is expected."""
        target = self._expected.get(key.public_data)
        if target is None:
            self.refusal = f"no known station has the host key {key.get_fingerprint()}"
            return False
        self.target = target
        try:
            self._login = self._connector.login(target, self._peer)
        except AuthenticationError as error:
            self.refusal = error.message
            return False
        assert self._connection is not None
        # asyncssh asks for the user name before the host is known, but reads it only now.
        self._connection._username = target.username
        return True

    def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        """Offer our key, once."""
        key, self._login = self._login.key, Login(self._login.password)
        return key

    def password_auth_requested(self) -> str | None:
        """Offer our password, once."""
        password, self._login = self._login.password, Login()
        return password.get_secret_value() if password else None


async def _speaks(caller: socket.socket) -> None:
    """Wait for the first byte without reading it."""
    loop = asyncio.get_running_loop()
    spoken = asyncio.Event()
    loop.add_reader(caller, spoken.set)
    try:
        await spoken.wait()
    finally:
        loop.remove_reader(caller)
