"""NETCONF over TLS: our device layer against simulated stations, and what either side refuses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.models.errors import AuthenticationError, HostKeyError, UnreachableError
from controller.ports.secrets import FakeSecrets
from simulators.fleet.fleet import Fleet, FleetSettings, anywhere
from simulators.fleet.inventory import TlsEndpoint
from simulators.history import EventKind
from simulators.netconf.certificates import Authority
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.framing import encode
from simulators.network import SimulatedNetwork, StationRecord
from tests.integration.device.edits import cell, function
from tests.integration.simulators.client import BASE, HELLO, change_in
from tests.support.sessions import to_station

PROFILES = ("lte-28658",)


def made_network(count: int) -> SimulatedNetwork:
    stations = tuple(StationRecord(f"S-{index}", "site", PROFILES, f"10.0.0.{index}", ()) for index in range(count))
    return SimulatedNetwork("made", stations, (), {})


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with Fleet(made_network(3), FleetSettings(tls=anywhere)) as running:
        yield running


@pytest.fixture
def secrets(fleet: Fleet) -> dict[str, str]:
    return {
        "ours": fleet.authority.client("minka"),
        "ca": fleet.authority.certificate,
        "nobody": fleet.authority.client("nobody"),
        "foreign": Authority("another").client("minka"),
        "foreign-ca": Authority("another").certificate,
        "noise": "no certificate",
    }


@pytest.fixture
async def devices(secrets: dict[str, str]) -> AsyncIterator[AllDevices]:
    pool = AllDevices(FakeSecrets(secrets), rpc_timeout=10, connect_timeout=10)
    yield pool
    await pool.close()


def target(fleet: Fleet, station: str = "S-0") -> NetconfTarget:
    at = fleet.tls_endpoint(station)
    return NetconfTarget(
        *(station, PROFILES, at.address, at.port, "", "unused", ""),
        transport="tls",
        certificate=at.certificate,
        client_certificate="ours",
    )


async def test_a_whole_transaction(fleet: Fleet, devices: AllDevices) -> None:
    async with to_station(devices, target(fleet)) as session:
        assert session.capabilities.safe_commit
        await session.lock()
        await session.edit(list(function("S-0")))
        await session.commit_confirmed("token", 60)
        await session.confirm("token")
        assert len((await session.read()).tree) > 1
        await session.unlock()
        first = session.session_id
    async with to_station(devices, target(fleet)) as session:
        assert session.session_id == first, "a warm session is kept"
    opened = fleet.stations["S-0"].history.events(EventKind.SESSION_OPENED)
    assert [event.user for event in opened] == ["minka"]


async def test_large_answers_and_many_sessions(fleet: Fleet, devices: AllDevices) -> None:
    """More than one TLS record each way."""
    text = "x" * 200_000
    async with devices.session(target(fleet)) as session:
        await session.edit([*function("S-0"), *cell("S-0", userLabel=text)])
        await session.commit()
        assert text in str((await session.read()).tree)

    async def read(station: str) -> None:
        async with devices.session(target(fleet, station)) as session:
            await session.read()

    await asyncio.gather(*(read(station) for station in fleet.stations for _ in range(10)))


async def test_an_authority_that_vouches_is_enough(fleet: Fleet, devices: AllDevices) -> None:
    by_authority = replace(target(fleet), certificate="", authority="ca")
    async with devices.session(by_authority) as session:
        await session.read()


async def test_notifications_over_tls(fleet: Fleet, devices: AllDevices) -> None:
    notifications = devices.notifications(target(fleet))
    waiting = asyncio.ensure_future(change_in(notifications))
    async with asyncio.timeout(60), devices.session(target(fleet)) as session:
        while not any(known.subscription for known in fleet.stations["S-0"].server.sessions.values()):
            await asyncio.sleep(0.01)
        await session.edit(list(function("S-0")))
        await session.commit()
        await waiting
    assert isinstance(notifications, AsyncGenerator)
    await notifications.aclose()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"certificate": f"sha256:{'00' * 32}"}, "another certificate than the pinned one"),
        ({"certificate": "", "authority": ""}, "another certificate than the pinned one"),
        ({"certificate": "", "authority": "foreign-ca"}, "showed a certificate that is not accepted"),
        ({"certificate": "", "authority": "ca", "address": "localhost"}, "Hostname mismatch"),
    ],
)
async def test_a_wrong_certificate_gets_nothing(
    fleet: Fleet, devices: AllDevices, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(HostKeyError, match=says) as caught:
        async with devices.session(replace(target(fleet), **change)):
            pass
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "protocol-error" not in fleet.stations["S-0"].history.counts


async def test_a_station_with_a_changed_certificate(fleet: Fleet, devices: AllDevices) -> None:
    fleet.stations["S-0"].faults.inject(Fault(FaultKind.CHANGED_HOST_KEY))
    with pytest.raises(HostKeyError):
        async with devices.session(target(fleet)):
            pass
    async with devices.session(target(fleet)) as session:
        await session.read()


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("foreign", "refused the certificate in foreign .*UNKNOWN_CA"),
        ("noise", "noise holds no certificate, or not its key"),
        ("missing", "no credential 'missing'"),
    ],
)
async def test_our_certificate_must_be_right(fleet: Fleet, devices: AllDevices, reference: str, says: str) -> None:
    with pytest.raises(AuthenticationError, match=says) as caught:
        async with devices.session(replace(target(fleet), client_certificate=reference)):
            pass
    assert caught.value.__context__ is None


async def test_a_user_the_station_does_not_know(fleet: Fleet, devices: AllDevices) -> None:
    with pytest.raises(UnreachableError, match="opened no session"):
        async with devices.session(replace(target(fleet), client_certificate="nobody")):
            pass
    failed = fleet.stations["S-0"].history.events(EventKind.AUTHENTICATION_FAILED)
    assert [event.user for event in failed] == ["nobody"]


async def test_nobody_without_a_certificate_is_let_in(fleet: Fleet) -> None:
    at = fleet.tls_endpoint("S-0")
    context = ssl.create_default_context(cadata=fleet.authority.certificate)
    reader, writer = await asyncio.open_connection(at.address, at.port, ssl=context)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def test_other_clients_of_tls_talk_to_it(fleet: Fleet, secrets: dict[str, str], tmp_path: Path) -> None:
    """The standard library's own client: TLS 1.2 too, and a good-bye at the end."""
    at = fleet.tls_endpoint("S-0")
    context = ssl.create_default_context(cadata=fleet.authority.certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    path = tmp_path / "client.pem"
    path.write_text(secrets["ours"])
    context.load_cert_chain(path)
    reader, writer = await asyncio.open_connection(at.address, at.port, ssl=context)
    hello = await asyncio.wait_for(reader.readuntil(b"]]>]]>"), 10)
    assert b"session-id" in hello
    writer.write(hello.replace(b"<session-id>1</session-id>", b"").replace(b"base:1.1", b"base:9"))
    writer.write(b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><close-session/></rpc>]]>]]>')
    assert b"<ok/>" in await asyncio.wait_for(reader.read(), 10)
    writer.close()


def test_certificates_are_the_same_every_time() -> None:
    assert Authority("seed").station("S", "127.0.0.1") == Authority("seed").station("S", "127.0.0.1")
    assert Authority("seed").fingerprint("S", "127.0.0.1") != Authority("other").fingerprint("S", "127.0.0.1")


async def test_a_client_that_closes_its_half_still_gets_its_replies(
    fleet: Fleet, secrets: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "client.pem").write_text(secrets["ours"])
    context = ssl.create_default_context(cadata=secrets["ca"])
    context.check_hostname = False
    context.load_cert_chain(tmp_path / "client.pem")
    at = fleet.tls_endpoint("S-0")
    fleet.stations["S-0"].faults.inject(Fault(FaultKind.DELAY, "get-config", seconds=0.3))
    rpc = f'<rpc xmlns="{BASE}" message-id="8"><get-config><source><running/></source></get-config></rpc>'
    shown = await asyncio.to_thread(
        _half_closed, context, at, encode(HELLO, chunked=False) + encode(rpc.encode(), chunked=True)
    )
    assert b'message-id="8"' in shown
    assert not fleet.stations["S-0"].server.sessions


def _half_closed(context: ssl.SSLContext, at: TlsEndpoint, typed: bytes) -> bytes:
    """Send, say that nothing more comes (close_notify, FIN), and read until the server has closed too."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="station")
    shown = b""
    with socket.create_connection((at.address, at.port), 10) as tcp:

        def play(act: Callable[[], object]) -> Any:
            while True:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        tcp.sendall(outgoing.read())
                    if not (data := tcp.recv(65536)):
                        return b""
                    incoming.write(data)

        play(tls.do_handshake)
        tls.write(typed)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        tcp.sendall(outgoing.read())
        tcp.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ssl.SSLZeroReturnError):
            while plain := play(lambda: tls.read(65536)):
                shown += plain
    return shown
