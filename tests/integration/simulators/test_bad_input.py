"""Whoever comes with bad intentions loses a connection of its own (faults 26 and 37), and a witness goes on.

In each test a witness holds a lock and reads while others flood, stall or lie; seeds make it repeatable.
"""

from __future__ import annotations

import asyncio
import random
import resource
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.fleet.fleet import Fleet, FleetSettings, anywhere
from simulators.fleet.inventory import Endpoint, TlsEndpoint
from simulators.netconf.framing import encode
from simulators.netconf.limits import BufferedInput, PendingLogins
from simulators.netconf.session import Session
from simulators.network import SimulatedNetwork, StationRecord
from tests.integration.simulators.client import BASE, HELLO, NetconfClient, login, netconf
from tests.support.waiting import until

STATION = "S-0"
PROFILES = ("lte-28658",)
LOCK = "<lock><target><candidate/></target></lock>"
READ = "<get-config><source><running/></source></get-config>"
BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    b"<rpc>&c;</rpc>"
)


@pytest.fixture(autouse=True)
def _many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8000)), hard))


def made_network(count: int) -> SimulatedNetwork:
    stations = tuple(StationRecord(f"S-{index}", "site", PROFILES, f"10.0.0.{index}", ()) for index in range(count))
    return SimulatedNetwork("made", stations, (), {})


@asynccontextmanager
async def witnessed(**limits: Any) -> AsyncIterator[Fleet]:
    """A fleet of three with a session on the first that must still be there, with its lock, at the end."""
    async with (
        Fleet(made_network(3), FleetSettings(tls=anywhere, **limits)) as fleet,
        netconf(fleet.endpoint(STATION)) as witness,
    ):
        assert "<ok/>" in await witness.rpc(LOCK)
        over = asyncio.Event()
        watching = asyncio.create_task(_watch(witness, over))
        yield fleet
        over.set()
        await watching
        assert list(fleet.stations[STATION].server.sessions) == [witness.session_id]
        async with netconf(fleet.endpoint("S-1")) as neighbour:
            assert "<data>" in await asyncio.wait_for(neighbour.rpc("<get/>"), 10)


async def _watch(witness: NetconfClient, over: asyncio.Event) -> None:
    """Read again and again; raises when an answer is late or the session gone."""
    while not over.is_set():
        async with asyncio.timeout(10):
            assert "<data>" in await witness.rpc(READ)
        await asyncio.sleep(0.02)


def opening(rng: random.Random) -> bytes:
    """How a connection begins that will never log in."""
    return rng.choice(
        [
            b"",
            b"SSH-2.0-slow",
            b"SSH-2.0-client\r\n",
            b"SSH-2.0-client\r\n" + struct.pack(">IB", rng.randrange(2**32), rng.randrange(256)),
            b"SSH-2.0-client\r\n" + rng.randbytes(rng.randrange(1, 2000)),
            b"GET / HTTP/1.1\r\n",
        ]
    )


@pytest.mark.parametrize("seed", range(3))
async def test_a_flood_of_half_open_connections(seed: int) -> None:
    """Fault 37 in short: a thousand that never log in, some of which trickle, on all doors at once."""
    rng = random.Random(seed)
    async with witnessed(max_pending_logins=100) as fleet:
        doors: list[Endpoint | TlsEndpoint] = [fleet.endpoint("S-0"), fleet.endpoint("S-1"), fleet.tls_endpoint("S-0")]
        buffered: list[socket.socket] = []
        try:
            for number in range(1000):
                door = doors[number % len(doors)]
                connection = socket.create_connection((door.address, door.port), timeout=10)
                connection.setblocking(False)
                connection.send(opening(rng) or b"\x16")
                buffered.append(connection)
                if number % 20 == 0:
                    await asyncio.sleep(0)
                    for trickling in rng.sample(buffered, min(5, len(buffered))):
                        _trickle(trickling, rng)
            await until(lambda: fleet.pending_logins.dropped > 200)
            assert len(fleet.pending_logins) <= 100
            async with netconf(fleet.endpoint("S-2")) as late:
                assert "<data>" in await late.rpc("<get/>")
        finally:
            for connection in buffered:
                connection.close()
        await until(lambda: len(fleet.pending_logins) == 0)


def _trickle(connection: socket.socket, rng: random.Random) -> None:
    """One byte more; the station may have hung up long ago."""
    try:
        connection.send(rng.randbytes(1))
    except OSError:
        connection.close()


async def test_logged_in_clients_without_a_session_make_room_too() -> None:
    async with witnessed(max_pending_logins=20) as fleet, AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(login(fleet.endpoint("S-1"))) for _ in range(30)]
        assert fleet.pending_logins.dropped >= 10
        await asyncio.wait_for(connections[0].wait_closed(), 10)
        assert not connections[-1].is_closed()


def held_by(session: object) -> int:
    assert isinstance(session, Session)
    return session.buffered


async def test_messages_that_never_end_cost_their_own_sessions() -> None:
    """Each stays below the limit of a message; all together do not fit."""
    async with witnessed(max_buffered=8 * 2**20) as fleet, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(netconf(fleet.endpoint("S-1"))) for _ in range(10)]
        for client in clients:
            client.write(b"\n#3000000\n" + b"x" * 2_900_000)
        await until(lambda: fleet.buffered_input.dropped >= 7)
        await until(lambda: sum(held_by(one) for one in fleet.stations["S-1"].server.sessions.values()) <= 8 * 2**20)
        assert 1 <= len(fleet.stations["S-1"].server.sessions) <= 3
        for session in list(fleet.stations["S-1"].server.sessions.values()):
            session.drop()


@pytest.mark.parametrize(
    "data",
    [
        b"\n#4294967295\n",
        b"\n#5000000\n",
        encode(BOMB, chunked=True),
        encode(b"<a>" * 100_000, chunked=True),
        encode(f'<rpc xmlns="{BASE}" message-id="1">'.encode() + b"<a/>" * 500_000, chunked=True),
    ],
)
@pytest.mark.parametrize("secure", [False, True], ids=["ssh", "tls"])
async def test_bad_messages_end_their_session(data: bytes, secure: bool) -> None:
    async with witnessed() as fleet:
        if secure:
            async with over_tls(fleet, "S-0") as (reader, writer):
                writer.write(encode(HELLO, chunked=False) + data)
                assert b"malformed-message" in await asyncio.wait_for(reader.read(), 20)
        else:
            async with netconf(fleet.endpoint("S-0")) as client:
                client.write(data)
                assert b"malformed-message" in await asyncio.wait_for(client.rest(), 20)
        await until(lambda: len(fleet.stations["S-0"].server.sessions) == 1)


@asynccontextmanager
async def over_tls(fleet: Fleet, station: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    at = fleet.tls_endpoint(station)
    reader, writer = await asyncio.open_connection(at.address, at.port, ssl=client_context(fleet))
    try:
        await reader.readuntil(b"]]>]]>")
        yield reader, writer
    finally:
        writer.transport.abort()


def client_context(fleet: Fleet) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=fleet.authority.certificate)
    with TemporaryDirectory() as folder:
        path = Path(folder, "client.pem")
        path.write_text(fleet.authority.client("minka"))
        context.load_cert_chain(path)
    return context


async def test_a_slow_reader_over_tls_holds_up_nobody() -> None:
    async with witnessed() as fleet:
        async with over_tls(fleet, "S-0") as (_, writer):
            assert isinstance(writer.transport, asyncio.Transport)
            writer.transport.pause_reading()
            rpc = encode(f'<rpc xmlns="{BASE}" message-id="1"><get/></rpc>'.encode(), chunked=True)
            writer.write(encode(HELLO, chunked=False) + rpc * 5000)
            await asyncio.sleep(0.5)
            async with netconf(fleet.endpoint("S-0")) as client:
                assert "<data>" in await asyncio.wait_for(client.rpc("<get/>"), 10)
        await until(lambda: len(fleet.stations["S-0"].server.sessions) == 1)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    noise=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=300),
            st.sampled_from([b"\n#", b"\n##\n", b"]]>]]>", b"<rpc", b"<!DOCTYPE", b"\x16\x03\x01\x02\x00\x01"]),
        ),
        min_size=1,
        max_size=8,
    ),
    door=st.sampled_from(["ssh", "tls", "inside ssh", "inside tls"]),
)
def test_noise_at_any_door(noise: list[bytes], door: str) -> None:
    async def run() -> None:
        async with witnessed() as fleet:
            async with asyncio.timeout(60):
                await _make_noise(fleet, door, noise)
            await until(lambda: len(fleet.stations["S-0"].server.sessions) == 1)

    asyncio.run(run())


async def _make_noise(fleet: Fleet, door: str, noise: list[bytes]) -> None:
    if door == "inside ssh":
        async with netconf(fleet.endpoint("S-0")) as client:
            with suppress(BrokenPipeError):  # the station has hung up already
                for data in noise:
                    client.write(data)
                    await asyncio.sleep(0)
    elif door == "inside tls":
        async with over_tls(fleet, "S-0") as (_, writer):
            for data in noise:
                writer.write(data)
                await asyncio.sleep(0)
    else:
        at = fleet.endpoint("S-0") if door == "ssh" else fleet.tls_endpoint("S-0")
        _, writer = await asyncio.open_connection(at.address, at.port)
        for data in noise:
            writer.write(data)
            await asyncio.sleep(0)
        writer.close()


class _Someone:
    def __init__(self, buffered: int = 0) -> None:
        self.buffered = buffered
        self.gone = False

    def abort(self) -> None:
        self.gone = True

    drop = abort


@given(most=st.integers(1, 10), comings=st.lists(st.booleans(), max_size=60))
def test_the_oldest_pending_logins_go_first(most: int, comings: list[bool]) -> None:
    pending_logins, waiting = PendingLogins(most), []
    for comes in comings:
        if comes:
            waiting.append(_Someone())
            pending_logins.add(waiting[-1])
        elif waiting:
            pending_logins.discard(waiting.pop())
        assert [one.gone for one in waiting] == [True] * max(0, len(waiting) - most) + [False] * min(most, len(waiting))
        waiting = [one for one in waiting if not one.gone]
        assert len(pending_logins) == len(waiting)


@given(sizes=st.lists(st.integers(0, 10_000_000), min_size=1, max_size=30), most=st.integers(1, 30_000_000))
def test_what_is_kept_fits_and_the_largest_go_first(sizes: list[int], most: int) -> None:
    buffered_input, sessions = BufferedInput(most), [_Someone(size) for size in sizes]
    for session in sessions:
        buffered_input.received(session)
    kept = [one.buffered for one in sessions if not one.gone and one.buffered > 64 * 1024]
    assert sum(kept) <= most
    assert buffered_input.dropped == sum(one.gone for one in sessions)
    assert not any(one.gone for one in sessions) or sum(sizes) > most
