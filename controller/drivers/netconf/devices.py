"""Open sessions, kept between uses: one per device, handed to one caller at a time, bounded in number.

A device that calls home is treated the same, except that it opens the connection.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Literal
from weakref import WeakValueDictionary

import asyncssh

from controller.drivers.netconf.callhome import Callers, CallHome, Door
from controller.drivers.netconf.capabilities import KnownModules
from controller.drivers.netconf.connect import Connector, pinned_key
from controller.drivers.netconf.files import files_on
from controller.drivers.netconf.requests import INTERLEAVE
from controller.drivers.netconf.session import NetconfSession, Opening, subscribe
from controller.drivers.netconf.ssh_callers import SshCallers
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.transport import Borrowed, Connection, Shared, Transport
from controller.drivers.protocols import DeviceFiles, Notification
from controller.models.errors import DeviceError, DeviceRefusedError, SessionLostError, UnreachableError, in_words
from controller.models.metrics import Observations
from controller.ports.secrets import Secrets

#: Most sessions at once, by default. An idle one takes 25 kB; a new one costs half as much as a transaction.
LIMIT = 10_000


class NetconfDevices:
    """NETCONF over SSH and TLS. Belongs to one loop.

    Implements ``controller.drivers.protocols.DevicesOf``, with files and notifications.

    Args:
        secrets: Resolves credentials, at each connect.
        limit: Sessions at once, in use and idle together; notification sessions are not counted.
        rpc_timeout: Seconds to wait for a reply, and for a file.
        connect_timeout: Seconds for opening a session.
        keepalive: Seconds of silence after which a connection is probed.
        call_timeout: Seconds to wait for a station that calls home; O-RAN stations try every 60 s.
        connector: Replaces the network, for example in a rehearsal.
        observations: Gets the response times of devices, and the failures to open a session.
        untrusted: Software whose confirmed commit is not used, see ``Capabilities.software``.
    """

    def __init__(
        self,
        secrets: Secrets,
        *,
        limit: int = LIMIT,
        rpc_timeout: float = 60.0,
        connect_timeout: float = 20.0,
        keepalive: float = 30.0,
        call_timeout: float = 90.0,
        connector: Connector | None = None,
        observations: Observations | None = None,
        untrusted: frozenset[str] = frozenset(),
    ) -> None:
        self._observations = seen = observations or Observations()
        self._connector = connector or Connector(secrets, connect_timeout, keepalive, rpc_timeout)
        self._patience = rpc_timeout
        self._limit = limit
        self._free = asyncio.Semaphore(limit)
        self._taken = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._in_use: set[NetconfSession] = set()
        self._subscribed: set[Transport] = set()
        self._idle: OrderedDict[str, tuple[NetconfTarget, NetconfSession]] = OrderedDict()
        #: The latest session of each station.
        self._latest: WeakValueDictionary[str, NetconfSession] = WeakValueDictionary()
        self._known = KnownModules(untrusted=untrusted)
        doors: dict[str, Callable[[], Door]] = {
            "ssh": partial(SshCallers, self._connector),
            "tls": partial(_tls_callers, secrets, keepalive, rpc_timeout),
        }
        self._home = CallHome(
            doors, self._connector.timeout, self._called, observations=seen, departed=self._known_otherwise
        )
        self._call_timeout = call_timeout
        #: Each station that called last, as it was known then, its connection, and the first session on it.
        self._callers: dict[str, tuple[NetconfTarget, Connection, Transport]] = {}
        self._awaited: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def session(self, target: NetconfTarget) -> AsyncIterator[NetconfSession]:
        """See ``Devices.session``."""
        turn = self._turns.setdefault(target.device, asyncio.Lock())
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
                if session.reusable and target.device not in self._idle:
                    self._idle[target.device] = (target, session)
                else:
                    session.drop("it can't be reused, or the station called again")

    @asynccontextmanager
    async def aside(self, target: NetconfTarget) -> AsyncIterator[NetconfSession]:
        """See ``Devices.aside``."""
        turn = self._turns.get(target.device)
        if turn is None or not turn.locked():
            async with self.session(target) as session:
                yield session
            return
        async with self._slot():
            connection, transport = await self._opening(target)(target)
            beside = NetconfSession(target, connection, transport, self._known)
            self._in_use.add(beside)
            try:
                yield beside
            finally:
                self._in_use.discard(beside)
                if not isinstance(connection, Shared):
                    await beside.close()

    @asynccontextmanager
    async def files(self, target: NetconfTarget) -> AsyncIterator[DeviceFiles]:
        """See ``Devices.files``; where server and session share a port, they share the connection."""
        async with AsyncExitStack() as ends:
            connection = await self._file_connection(target, ends)
            yield await ends.enter_async_context(files_on(connection, target.device, target.folder, self._patience))

    async def _file_connection(self, target: NetconfTarget, ends: AsyncExitStack) -> asyncssh.SSHClientConnection:
        if not target.folder:
            raise DeviceRefusedError(f"the network files name no folder of measurement files for {target.device}.")
        connection: Connection
        if target.call_home:
            connection, _ = await self._caller(target)
        elif target.file_port != target.port:
            connection = await self._connector.open_files(target)
            ends.callback(connection.abort)
        else:
            session = self._latest.get(target.device)
            if session is None or session.lost or session.target != target:
                async with self.session(target):
                    session = self._latest[target.device]
            connection = session.connection
        if not isinstance(connection, asyncssh.SSHClientConnection):
            raise DeviceRefusedError(f"{target.device} is not reached over SSH, so it serves no files.")
        return connection

    def notifications(
        self, target: NetconfTarget, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        """See ``Devices.notifications``."""
        opening = self._opening(target)
        if _has_one_session(target):
            opening = _interleaving(opening)
        return subscribe(opening, target, self._subscribed, since, listening)

    def listen(
        self, address: str, port: int, may_call: Callers | None = None, transport: Literal["ssh", "tls"] = "ssh"
    ) -> int:
        """Let stations call home; return the port.

        Args:
            address: Where to listen.
            port: Where to listen.
            may_call: See ``CallHome.listen``; None for those that are expected by name only.
            transport: The transport of those that call there.

        Raises:
            OSError: The address can't be listened on.
        """
        asked = {"may_call": may_call} if may_call else {}
        return self._home.listen(address, port, transport=transport, **asked)

    def expect(self, targets: Iterable[NetconfTarget]) -> None:
        """Let these stations in when they call, before anybody asks for them; unknown callers are refused."""
        for target in targets:
            self._home.expect(target)

    async def close(self) -> None:
        """See ``Devices.close``; sessions in use are cut off."""
        await self._home.close()
        for session in self._in_use:
            session.drop("the controller shuts down")
        idle = [session for _, session in self._idle.values()]
        self._idle.clear()
        await asyncio.gather(*(session.close() for session in idle))

    @property
    def counts(self) -> dict[str, int]:
        """Number of sessions by state: ``in-use`` and ``idle`` for requests, ``subscribed`` for notifications."""
        return {
            "in-use": len(self._in_use),
            "idle": len(self._idle),
            "subscribed": len(self._subscribed),
        }

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._free:
            self._taken += 1
            try:
                yield
            finally:
                self._taken -= 1

    def _warm(self, target: NetconfTarget) -> NetconfSession | None:
        """The idle session of a target; one that ended, or was opened with other parameters, is dropped."""
        opened_for, session = self._idle.pop(target.device, (None, None))
        if session is None:
            return None
        if opened_for == target and session.reusable:
            return session
        session.drop("the target changed")
        return None

    async def _open(self, target: NetconfTarget) -> NetconfSession:
        if target.call_home:
            return await self._await_call(target)
        self._make_room()
        connection, transport = await self._opening(target)(target)
        session = self._latest[target.device] = NetconfSession(target, connection, transport, self._known)
        return session

    def _opening(self, target: NetconfTarget) -> Opening:
        """A function that opens a session, and records failures."""
        opening = self._open_beside if target.call_home else self._connector.open

        async def opened(target: NetconfTarget) -> tuple[Connection, Transport]:
            try:
                connection, transport = await opening(target)
            except DeviceError as error:
                self._observations.count("minka_session_openings_total", error.code)
                raise
            if not isinstance(connection, Shared):
                self._observations.count("minka_session_openings_total", "opened")
            transport.observations = self._observations
            return connection, transport

        return opened

    def _make_room(self) -> None:
        # The taken slots include the caller's; idle sessions make room for it.
        while self._idle and len(self._idle) + self._taken > self._limit:
            _, (_, oldest) = self._idle.popitem(last=False)
            oldest.drop("another device needed its place")

    # ------------------------------------------------------------------ call home

    async def _await_call(self, target: NetconfTarget) -> NetconfSession:
        """The session of a station that has called or calls in time."""
        called = await self._expect_now(target)
        while (session := self._warm(target)) is None:
            called.clear()
            await self._next_call(target, called)
        return session

    async def _caller(self, target: NetconfTarget) -> tuple[Connection, Transport]:
        """The connection that a station opened to us, with its first session."""
        called = await self._expect_now(target)
        while (found := self._open_call(target)) is None:
            called.clear()
            await self._next_call(target, called)
        return found

    def _open_call(self, target: NetconfTarget) -> tuple[Connection, Transport] | None:
        """The open connection of a station that called; None if it was known by something else then."""
        caller, connection, first = self._callers.get(target.device, (None, None, None))
        if caller is None or connection is None or first is None:
            return None
        same = caller.identification == target.identification
        return (connection, first) if same and not _has_ended(connection, first) else None

    async def _open_beside(self, target: NetconfTarget) -> tuple[Connection, Transport]:
        """Open one more session on the connection that a station opened to us; over TLS there is but one to share."""
        connection, first = await self._caller(target)
        if not isinstance(connection, asyncssh.SSHClientConnection):
            return Shared(), first
        try:
            async with asyncio.timeout(self._connector.timeout):
                return Borrowed(), await self._connector.session_on(connection, target.device)
        except (OSError, asyncssh.Error, SessionLostError) as error:
            failure = UnreachableError(f"{target.device} opened no further session: {in_words(error)}")
        raise failure

    async def _expect_now(self, target: NetconfTarget) -> asyncio.Event:
        if not self._home.listens(target.transport):
            setting = "MINKA_CALL_HOME_TLS" if target.transport == "tls" else "MINKA_CALL_HOME"
            raise UnreachableError(
                f"{target.device} calls home over {target.transport.upper()}, and this process accepts no such calls: "
                f"set {setting}."
            )
        if target.transport == "ssh":
            pinned_key(target)  # a station whose pinned key is none is not waited for
        await self._home.expect_in_force(target)
        return self._awaited.setdefault(target.device, asyncio.Event())

    async def _next_call(self, target: NetconfTarget, called: asyncio.Event) -> None:
        since = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._call_timeout):
                await called.wait()
        except TimeoutError:
            said = f"{target.device} did not call home within {self._call_timeout:g} s."
            refused, kind = self._home.refused_since(target.device, since)
            failure = UnreachableError(f"{said} {refused}.".removesuffix(" ."), kind or "")
        else:
            return
        raise failure

    def _known_otherwise(self, target: NetconfTarget) -> None:
        """End the sessions of a station that called, and that the network files in force know by something else."""
        why, station = "the network files in force know the station by another key or certificate", target.device
        opened_for, idle = self._idle.get(station, (None, None))
        if opened_for is not None and idle is not None and opened_for.identification == target.identification:
            del self._idle[station]
            idle.drop(why)
        for session in tuple(self._in_use):
            if session.target.device == station and session.target.identification == target.identification:
                session.drop(why)
        caller, connection, _ = self._callers.get(station, (None, None, None))
        if caller is not None and connection is not None and caller.identification == target.identification:
            del self._callers[station]
            connection.abort()

    def _called(self, target: NetconfTarget, connection: Connection, transport: Transport) -> None:
        """Keep the session of a station that called, in place of an older idle one."""
        transport.observations = self._observations
        session = NetconfSession(target, connection, transport, self._known)
        _, older = self._idle.pop(target.device, (None, None))
        if older is not None:
            older.drop("the station called again")
        waited_for = target.device in self._turns
        if not waited_for and len(self._idle) + self._taken >= self._limit:
            session.drop("there are too many sessions")
            return
        self._idle[target.device] = (target, session)
        self._callers[target.device] = target, connection, transport
        if called := self._awaited.get(target.device):
            called.set()


def _tls_callers(secrets: Secrets, keepalive: float, patience: float) -> Door:
    """The door for callers over TLS."""
    from controller.drivers.netconf.tls_callers import TlsCallers  # noqa: PLC0415 - its library only where stations call so

    return TlsCallers(secrets, keepalive, patience)


def _has_ended(connection: Connection, first: Transport) -> bool:
    return connection.is_closed() if isinstance(connection, asyncssh.SSHClientConnection) else first.lost


def _has_one_session(target: NetconfTarget) -> bool:
    """Whether all that is done on a station has to share one session: TLS carries one, and we can't connect to it."""
    return target.call_home and target.transport == "tls"


def _interleaving(opening: Opening) -> Opening:
    """Open a session for notifications that others go on to use (RFC 5277 §6)."""

    async def opened(target: NetconfTarget) -> tuple[Connection, Transport]:
        connection, transport = await opening(target)
        if INTERLEAVE not in transport.hello:
            raise DeviceRefusedError(
                f"{target.device} has one session, on which it takes no requests beside a subscription (interleave)."
            )
        return connection, transport

    return opened
