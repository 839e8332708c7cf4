"""Call home (RFC 8071): stations connect to us, and are NETCONF servers like any other from then on.

A caller is identified by its host key or certificate alone, never by its address. A caller outside of its credential's
networks gets no credential. Thousands may call at once, for example after a power cut: connections are accepted, silent
ones cost nothing, and few handshakes run at a time, so that open sessions keep working. Anybody can call and say
little: a handshake that proves nothing passes its turn on, and of those who proved nothing the oldest make room. A
station that proved who it is keeps one turn, however often it calls.

SSH and TLS differ in their doors (``ssh_callers``, ``tls_callers``): who speaks first, and what identifies a caller.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, Protocol

import asyncssh
import structlog

from controller.drivers.address import quoted
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.transport import Connection, Transport
from controller.models.errors import AuthenticationError, SessionLostError, UnreachableError, in_words
from controller.models.health import Refusal
from controller.models.many import first_names
from controller.models.metrics import Observations

#: Backlog of connections that the system holds until we accept them.
BACKLOG = 4096
#: Most connections that are accepted before others have their turns.
_ACCEPTED = 64
#: Seconds until the next accept after the system refused one.
_PAUSE = 1.0
#: Seconds between two looks at who may call, where nobody calls.
_LOOK = 5.0
#: Most refused callers that are remembered of nobody knows whom, and that are told of at once.
_STRANGERS, _TOLD = 16, 3

log = structlog.get_logger()

Arrival = Callable[[NetconfTarget, Connection, Transport], None]
#: The stations that may call from now on; None while they are the same as before.
Callers = Callable[[], Awaitable[Iterable[NetconfTarget] | None]]


async def _the_same() -> None:
    """Expect nobody else than before."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """One caller that was refused.

    Attributes:
        at: When, by the loop's clock.
        said: From where it called and why it is refused, in words.
        kind: The reason as a code; ``Refusal.STRANGER`` of callers that nobody knows and that do not say who they are.
    """

    at: float
    said: str
    kind: Refusal = Refusal.STRANGER


class Visit(Protocol):
    """One call, from the accepted connection to the session.

    Attributes:
        target: The station that called; None until that is known.
        refusal: Why the caller is refused; empty while it is not.
        kind: The same as a code; that it broke off where we refused nothing.
        meant: The station that a refused caller claims to be, where it does and ``target`` is None.
        proved: Whether the caller proved that it is the target: it has the private key.
        opening: What we say before the caller said anything.
    """

    target: NetconfTarget | None
    refusal: str
    kind: Refusal
    meant: str
    opening: bytes

    @property
    def proved(self) -> bool:
        """See above."""
        ...

    async def greet(self, caller: socket.socket) -> tuple[Connection, Transport]:
        """Identify the caller, log in and exchange hellos; callers bound the time.

        The connection works on a copy of the socket.

        Raises:
            OSError, asyncssh.Error, SessionLostError, AuthenticationError: The caller is refused, or broke off.
        """
        ...


class Door(Protocol):
    """How stations call over one transport.

    Attributes:
        we_begin: Whether we speak first; otherwise the caller does.
    """

    we_begin: bool

    def expect(self, target: NetconfTarget) -> Hashable:
        """Expect a station; gives the identity by which it is known when it calls."""
        ...

    def visit(self, expected: Mapping[Hashable, NetconfTarget], peer: str) -> Visit:
        """Begin a call from an IP address; ``expected`` are the stations that may call, by identity."""
        ...


class _Expected:
    """The stations that may call over one transport, by identity."""

    def __init__(self, make: Callable[[], Door]) -> None:
        self._make = make
        self.by_identity: dict[Hashable, NetconfTarget] = {}
        self._identities: dict[str, Hashable] = {}

    @cached_property
    def door(self) -> Door:
        """How they call; made when the first one may."""
        return self._make()

    def add(self, target: NetconfTarget) -> None:
        """Expect a station by its identity, which replaces an earlier one of the same station.

        An earlier one may be another station's by now, as where two stations change keys with each other.
        """
        identity = self.door.expect(target)
        before = self.by_identity.get(self._identities.get(target.device))
        if before is not None and before.device == target.device:
            del self.by_identity[self._identities[target.device]]
        self._identities[target.device] = identity
        self.by_identity[identity] = target

    def clear(self) -> None:
        """Expect nobody."""
        self.by_identity.clear()
        self._identities.clear()


class CallHome:
    """Accepts calls and hands the sessions on; belongs to one loop.

    All transports share its bounds.

    Args:
        doors: Makes how stations call, by transport.
        timeout: Seconds for a handshake, log-in and hellos.
        arrived: Gets target, connection and greeted session of each station that called.
        callers: Most connections whose callers have not proved yet who they are; a further one replaces the oldest.
        at_once: Handshakes at a time.
        proof: Seconds after which a handshake no longer counts as one of them, if the caller has not proved by then who
            it is. A slow caller goes on beside them; one that says a byte and no more keeps nobody waiting.
        silence: Seconds within which a caller must send its first byte, if it speaks first.
        begun: Most calls at a time that we began with, since each costs 60 kB; others wait.
        patience: Seconds within which a caller must answer if we spoke first.
        observations: Counts calls.
        departed: Gets each station that may no longer call by what it was known by, as it was known.
    """

    def __init__(
        self,
        doors: Mapping[str, Callable[[], Door]],
        timeout: float,
        arrived: Arrival,
        *,
        callers: int = 4096,
        at_once: int = 64,
        proof: float = 2.0,
        silence: float = 20.0,
        begun: int = 1024,
        patience: float = 10.0,
        observations: Observations | None = None,
        departed: Callable[[NetconfTarget], None] = lambda _target: None,
    ) -> None:
        self._departed = departed
        #: The last refused callers that claimed to be a station of the network files, by station; and of others.
        self._refused: dict[str, _Refused] = {}
        self._strangers: deque[_Refused] = deque(maxlen=_STRANGERS)
        self._expected = {transport: _Expected(make) for transport, make in doors.items()}
        self._timeout = timeout
        self._arrived = arrived
        self._callers = callers
        self._silence = silence
        self._begun = asyncio.Semaphore(begun)
        self._patience = patience
        self._observations = observations or Observations()
        self._turns = asyncio.Semaphore(at_once)
        #: Stations that keep a turn beyond the time for a proof.
        self._keeping: set[str] = set()
        self._proof = proof
        #: Callers from the oldest on, with their visits once they have spoken. Those who proved who they are may be
        #: among them, and are passed over.
        self._unproved: OrderedDict[asyncio.Task[None], Visit | None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, socket.socket] = {}
        self._may_call: Callers = _the_same
        #: The stations of the network files in force, by id; None while nobody has said which these are.
        self._in_force: dict[str, NetconfTarget] | None = None

    def listens(self, transport: str) -> bool:
        """Whether calls over a transport are accepted."""
        return transport in self._listeners

    def expect(self, target: NetconfTarget) -> None:
        """Accept a station by its identity, which replaces an earlier one of the same station."""
        self._expected[target.transport].add(target)

    def expect_only(self, targets: Iterable[NetconfTarget]) -> None:
        """Accept these stations, and no others any more."""
        for expected in self._expected.values():
            expected.clear()
        before, self._in_force = self._in_force or {}, {target.device: target for target in targets}
        for target in self._in_force.values():
            self.expect(target)
        self._refused = {station: told for station, told in self._refused.items() if station in self._in_force}
        for station, target in before.items():
            now = self._in_force.get(station)
            if now is None or now.identification != target.identification:
                self._departed(target)

    def refused_since(self, station: str, since: float) -> tuple[str, Refusal | None]:
        """Callers that were refused since a time of the loop's clock and may have been this station: words and code.

        Those that claimed to be it, else those that nobody knows; no words and no code if there were none.
        """
        mine = self._refused.get(station)
        if mine is not None and mine.at >= since:
            return f"A caller that claims to be {station} was refused: {mine.said}", mine.kind
        others = [one.said for one in self._strangers if one.at >= since]
        if not others:
            return "", None
        return f"Callers that nobody knows were refused: {first_names(others[::-1], _TOLD, '; ')}", Refusal.STRANGER

    async def expect_in_force(self, target: NetconfTarget) -> None:
        """Accept a station for which somebody asks, who may have older network files than those in force.

        Raises:
            UnreachableError: The files in force say otherwise by what it is known, or have no such station.
        """
        await self._look_who_may_call()
        if self._in_force is not None:
            known = self._in_force.get(target.device)
            if known is None:
                raise UnreachableError(f"the network files in force have no station {target.device} that calls home.")
            if known.identification != target.identification:
                raise UnreachableError(
                    f"{target.device} calls home, and the network files in force name another host key, certificate, "
                    "authority or login for it than this work was planned with; plan it again."
                )
        self.expect(target)

    def listen(self, address: str, port: int, may_call: Callers = _the_same, transport: str = "ssh") -> int:
        """Accept calls; return the port, which the system chooses for 0.

        Args:
            address: Where to listen.
            port: Where to listen.
            may_call: Asked before a caller is looked at, so that it is judged by the network files in force.
            transport: The transport over which stations call there.

        Raises:
            OSError: The address can't be listened on.
        """
        self._may_call = may_call
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = self._listeners[transport] = socket.create_server((address, port), family=family, backlog=BACKLOG)
        listener.setblocking(False)
        self._start(self._accept(listener, transport))
        self._start(self._keep_looking())
        bound: int = listener.getsockname()[1]
        return bound

    async def close(self) -> None:
        """Accept no more calls; sessions that were handed on stay open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    async def _keep_looking(self) -> None:
        """End the sessions of stations that may no longer call, though nobody calls or asks."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.wait([loop.create_future()], timeout=_LOOK)
            try:
                await self._look_who_may_call()
            except Exception:
                log.exception("device.callers_not_known")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket, transport: str) -> None:
        loop = asyncio.get_running_loop()
        for accepted in count(1):
            if not accepted % _ACCEPTED:
                # Where callers wait, accepting them gives nobody else a turn.
                await asyncio.wait([loop.create_future()], timeout=0)
            try:
                caller, peer = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("device.call_not_accepted", reason=str(error))
                self._drop_oldest()
                await asyncio.wait([loop.create_future()], timeout=_PAUSE)
                continue
            task = self._start(self._answer(caller, str(peer[0]), transport))
            self._unproved[task] = None
            if len(self._unproved) > self._callers:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Hang up on the oldest caller that has not proved who it is."""
        while self._unproved:
            task, visit = self._unproved.popitem(last=False)
            if visit is None or not visit.proved:
                log.info("device.caller_made_room", spoke=visit is not None, others=len(self._unproved))
                task.cancel()
                return

    async def _answer(self, caller: socket.socket, peer: str, transport: str) -> None:
        me = asyncio.current_task()
        assert me is not None
        expected, result = self._expected[transport], "silent"
        try:
            async with self._begun if expected.door.we_begin else nullcontext():
                if expected.door.we_begin:
                    await self._look_who_may_call()
                async with asyncio.timeout(self._patience if expected.door.we_begin else self._silence):
                    visit = await self._begin(expected, caller, peer)
                    await _speaks(caller)
                result = "refused"
                self._unproved[me] = visit
                async with self._turn(visit):
                    await self._look_who_may_call()
                    result = await self._let_in(visit, caller, peer, transport)
        except TimeoutError:
            log.info("device.caller_said_nothing", peer=peer)
        except OSError as error:
            log.info("device.caller_broke_off", peer=peer, reason=str(error))
        finally:
            self._observations.count("minka_calls_total", transport, result)
            self._unproved.pop(me, None)
            caller.close()

    @asynccontextmanager
    async def _turn(self, visit: Visit) -> AsyncIterator[None]:
        """A turn for a handshake, which passes on to the next one unless the caller proves in time who it is.

        A station keeps one turn: it may call many times at once, and stall each time.
        """

        def pass_on() -> None:
            station = visit.target.device if visit.target is not None and visit.proved else ""
            if not station or station in self._keeping:
                turn.close()
            else:
                self._keeping.add(station)
                turn.callback(self._keeping.discard, station)

        with ExitStack() as turn:
            await self._turns.acquire()
            turn.callback(self._turns.release)
            late = asyncio.get_running_loop().call_later(self._proof, pass_on)
            try:
                yield
            finally:
                late.cancel()

    async def _begin(self, expected: _Expected, caller: socket.socket, peer: str) -> Visit:
        visit = expected.door.visit(expected.by_identity, peer)
        if visit.opening:
            await asyncio.get_running_loop().sock_sendall(caller, visit.opening)
        return visit

    async def _look_who_may_call(self) -> None:
        if (stations := await self._may_call()) is not None:
            self.expect_only(stations)

    async def _let_in(self, visit: Visit, caller: socket.socket, peer: str, transport: str) -> str:
        try:
            async with asyncio.timeout(self._timeout):
                connection, session = await visit.greet(caller)
        except (OSError, asyncssh.Error, SessionLostError, AuthenticationError) as error:
            reason = visit.refusal or _why(error)
            station = visit.target.device if visit.target else None
            said = {}
            if isinstance(error, asyncssh.DisconnectError) and not visit.refusal:  # where we refuse, the reason is ours
                said = {"caller_said": quoted(error.reason)}
            log.warning("device.call_refused", peer=peer, station=station, transport=transport, reason=reason, **said)
            self._remember(station or visit.meant, f"{peer}: {reason}", visit.kind)
            self._observations.count("minka_calls_refused_total", transport, visit.kind)
            return "refused"
        except Exception:  # a bug of ours, and no fault of the caller
            log.exception("device.call_failed", peer=peer, transport=transport)
            return "failed"
        assert visit.target is not None
        self._refused.pop(visit.target.device, None)
        self._arrived(visit.target, connection, session)
        return "accepted"

    def _remember(self, station: str, said: str, kind: Refusal) -> None:
        now = asyncio.get_running_loop().time()
        if station:
            self._refused[station] = _Refused(now, said, kind)
        else:
            self._strangers.append(_Refused(now, said))


def _why(error: Exception) -> str:
    """Why a call failed, in our own words: plans and errors repeat them, and anybody may call and say anything."""
    if isinstance(error, asyncssh.PermissionDenied):
        return "it refused the login"
    if isinstance(error, asyncssh.DisconnectError):
        return f"its SSH connection ended before it was let in (code {error.code})"
    return quoted(in_words(error))


async def _speaks(caller: socket.socket) -> None:
    """Wait for the first byte without reading it."""
    loop = asyncio.get_running_loop()
    spoken = asyncio.Event()
    loop.add_reader(caller, spoken.set)
    try:
        await spoken.wait()
    finally:
        loop.remove_reader(caller)
