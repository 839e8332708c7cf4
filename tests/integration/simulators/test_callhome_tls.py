"""Stations that call home over TLS, and a controller that knows them by nothing but their certificates."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.bootstrap import parts
from controller.drivers.devices import AllDevices
from controller.drivers.netconf.callhome import CallHome
from controller.drivers.netconf.session import NetconfSession
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.tls_callers import Identity, TlsCallers
from controller.drivers.protocols import session_id
from controller.inventory.load import load_network
from controller.models.errors import DeviceRefusedError, SessionLostError, UnreachableError
from controller.models.metrics import Observations, sums_and_states
from controller.models.network import Endpoint
from controller.models.process import ProcessRole
from controller.models.settings import Settings
from controller.ports.secrets import FakeSecrets
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import EventKind
from simulators.netconf.callhome import Home
from simulators.netconf.certificates import Authority
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.framing import encode
from simulators.network import read_network
from tests.integration.device.edits import function, rename
from tests.integration.simulators.client import HELLO, change_in
from tests.integration.simulators.test_callhome import PROFILES, TINY, made_network, many_files
from tests.support.ports import free_ports
from tests.support.sessions import to_station
from tests.support.waiting import until

AUTHORITY = Authority("made")
#: Stations call from the address at which they listen.
SOURCE = "127.0.0.1"
SECRETS = FakeSecrets(
    {
        "ours": AUTHORITY.client("minka"),
        "nobody": AUTHORITY.client("nobody"),
        "foreign": Authority("another").client("minka"),
        "ca": AUTHORITY.certificate,
    }
)


def target(station: str, **fields: Any) -> NetconfTarget:
    known = NetconfTarget(
        *(station, PROFILES, station, 0, "", "", ""),
        transport="tls",
        certificate=AUTHORITY.fingerprint(station, SOURCE),
        client_certificate="ours",
        call_home=True,
    )
    return replace(known, **fields)


@asynccontextmanager
async def at_home(call_timeout: float = 20.0, connect_timeout: float = 20.0) -> AsyncIterator[tuple[AllDevices, int]]:
    devices = AllDevices(
        SECRETS, rpc_timeout=20, call_timeout=call_timeout, connect_timeout=connect_timeout, observations=Observations()
    )
    try:
        yield devices, devices.listen(SOURCE, 0, transport="tls")
    finally:
        await devices.close()


def calling(port: int, count: int = 1, again: float = 0.1) -> Fleet:
    return Fleet(made_network(count), FleetSettings(homes=[Home(SOURCE, port, again, tls=True)]))


async def test_a_station_is_changed_loses_its_connection_and_calls_again() -> None:
    async with at_home() as (devices, port), calling(port) as fleet:
        async with to_station(devices, target("S-0")) as session:
            assert session.capabilities.safe_commit
            await session.lock()
            await session.edit(list(function("S-0")))
            await session.commit_confirmed("token", 60)
            await session.confirm("token")
            await session.unlock()
            first = session.session_id
        async with to_station(devices, target("S-0")) as session:
            assert session.session_id == first, "a warm session is kept"
        _, known = devices.stations._idle["S-0"]
        fleet.stations["S-0"].restart()
        await until(lambda: not known.reusable)
        async with to_station(devices, target("S-0")) as session:
            assert session.session_id != first
            assert len((await session.read()).tree) > 1
        opened = fleet.stations["S-0"].history.events(EventKind.SESSION_OPENED)
        assert {event.user for event in opened} == {"minka"}
        assert fleet.stations["S-0"].revision == 1


async def test_an_authority_vouches_for_the_id_or_for_the_name_in_the_files() -> None:
    for known in (
        target("S-0", certificate="", authority="ca"),
        target("S-0", certificate="", authority="ca", address=SOURCE),
        target("S-0", authority="ca"),
    ):
        async with at_home() as (devices, port), calling(port), devices.session(known) as session:
            await session.read()


async def test_who_is_not_expected_is_refused_and_counted_and_sees_no_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[dict[str, Any]] = []
    log = SimpleNamespace(warning=lambda _event, **fields: said.append(fields), info=lambda *_, **__: None)
    monkeypatch.setattr("controller.drivers.netconf.callhome.log", log)
    async with at_home(call_timeout=3) as (devices, port), calling(port) as fleet:
        wrong = target("S-0", certificate=AUTHORITY.fingerprint("S-1", SOURCE))
        with pytest.raises(UnreachableError, match="S-0 did not call home within 3 s") as away:
            async with devices.session(wrong):
                pass
        shown = AUTHORITY.fingerprint("S-0", SOURCE)
        reason = (
            f"no known station has the certificate {shown} (subject CN=S-0, issuer CN=made simulated stations); "
            f"it names S-0, for which the network files pin {wrong.certificate}"
        )
        assert said[0]["reason"] == reason
        # So does the error, and with it each door that shows it; health and alarms have the code.
        assert away.value.refusal == "unknown"
        assert away.value.message.endswith(f"A caller that claims to be S-0 was refused: {SOURCE}: {reason}.")
        assert counted(devices, "minka_calls_refused_total") == {"unknown": len(said)}
        assert (said[0]["station"], said[0]["transport"]) == (None, "tls")
        history = fleet.stations["S-0"].history.counts
        assert history[EventKind.SESSION_OPENED] == history[EventKind.AUTHENTICATION_FAILED] == 0
        assert counted(devices)["refused"] == len(said)
        async with devices.session(target("S-0")) as session:
            await session.read()
        assert counted(devices)["accepted"] == 1


def counted(of: AllDevices | Observations, metric: str = "minka_calls_total") -> dict[str, float]:
    """Number of calls over TLS by what became of them, or by why they were refused."""
    observations = of if isinstance(of, Observations) else of.stations._observations
    sums, _ = sums_and_states(observations.encoded())
    return {result: values[0] for (way, result), values in sums.get(metric, {}).items() if way == "tls"}


async def test_a_changed_certificate_is_refused() -> None:
    async with at_home() as (devices, port):
        devices.expect([target("S-0")])
        fleet = calling(port)
        fleet.stations["S-0"].faults.inject(Fault(FaultKind.CHANGED_HOST_KEY))
        async with fleet, devices.session(target("S-0")) as session:
            assert not list(fleet.stations["S-0"].faults), "the first call showed another certificate"
            await session.read()


@asynccontextmanager
async def at_home_with(*in_force: NetconfTarget) -> AsyncIterator[tuple[AllDevices, int, list[list[NetconfTarget]]]]:
    """A controller with network files in force; it takes others from the list, once."""
    news = [list(in_force)]

    async def may_call() -> list[NetconfTarget] | None:
        return news.pop() if news else None

    devices = AllDevices(SECRETS, rpc_timeout=20, call_timeout=60, connect_timeout=20, observations=Observations())
    try:
        yield devices, devices.listen(SOURCE, 0, may_call, transport="tls"), news
    finally:
        await devices.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"certificate": f"sha256:{'0' * 64}"}, "name another host key, certificate, authority or login"),
        ({"authority": "ca"}, "name another host key, certificate, authority or login"),
        ({"client_certificate": "nobody"}, "name another host key, certificate, authority or login"),
        ({"device": "S-1"}, "have no station S-0 that calls home"),
    ],
)
async def test_work_of_older_network_files_does_not_bring_their_pins_back(change: dict[str, Any], says: str) -> None:
    in_force = replace(target("S-0"), **change)
    async with at_home_with(in_force) as (devices, port, _), calling(port):
        await until(lambda: bool(counted(devices)))
        for asking in (devices.session, devices.aside):
            with pytest.raises(UnreachableError, match=says):
                async with asking(target("S-0")):
                    pass
        assert list(devices.stations._home._expected["tls"].by_identity.values()) == [in_force]


async def test_work_of_older_network_files_goes_on_where_they_know_the_station_alike() -> None:
    other = target("S-0", profiles=("other",))
    async with at_home_with(other) as (devices, port, _), calling(port), devices.session(target("S-0")) as session:
        await session.read()


async def test_a_connection_of_a_replaced_certificate_is_not_used_any_more() -> None:
    """The station called before its pin was replaced; whoever follows it waits for another call."""
    async with at_home_with(target("S-0")) as (devices, port, news), calling(port):
        await until(lambda: devices.counts["idle"] == 1)
        renewed = target("S-0", certificate="", authority="ca")
        assert devices.stations._open_call(target("S-0")) is not None
        news.append([renewed])
        assert devices.stations._open_call(renewed) is None
        notifications = devices.notifications(renewed)
        waiting = asyncio.ensure_future(anext(aiter(notifications)))
        await until(lambda: devices.stations._home._expected["tls"].by_identity.keys() == {Identity("name", "s-0")})
        assert devices.counts["subscribed"] == 0
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize("renewed", [[target("S-0", certificate="", authority="ca")], []], ids=["another pin", "gone"])
async def test_sessions_of_a_replaced_pin_end_though_nobody_calls_or_asks(
    renewed: list[NetconfTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.drivers.netconf.callhome._LOOK", 0.05)
    async with at_home_with(target("S-0"), target("S-1")) as (devices, port, news), calling(port, 2):
        await until(lambda: devices.counts["idle"] == 2)
        async with devices.session(target("S-0")) as used, devices.session(target("S-1")) as other:
            await used.read()
            news.append([*renewed, target("S-1")])
            assert isinstance(used, NetconfSession)
            await until(lambda: used.lost)
            with pytest.raises(SessionLostError, match="by another key or certificate"):
                await used.read()
            await other.read()
        assert devices.stations._open_call(target("S-0")) is None
        assert devices.stations._open_call(target("S-1")) is not None


async def test_an_error_of_ours_is_logged_and_counted_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []
    log = SimpleNamespace(exception=lambda event, **_: failed.append(event), info=lambda *_, **__: None)
    monkeypatch.setattr("controller.drivers.netconf.callhome.log", log)

    def buggy(*_: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("controller.drivers.netconf.tls_callers._Known.caller", buggy)
    async with at_home(call_timeout=3) as (devices, port), calling(port):
        devices.expect([target("S-0")])
        await until(lambda: "device.call_failed" in failed)
        await until(lambda: counted(devices).get("failed", 0) > 0)
        assert "refused" not in counted(devices)


async def test_a_station_that_refuses_our_certificate_is_not_reached() -> None:
    async with at_home(call_timeout=3) as (devices, port), calling(port, 2) as fleet:
        for station, ours in (("S-0", "nobody"), ("S-1", "foreign")):
            with pytest.raises(UnreachableError):
                async with devices.session(target(station, client_certificate=ours)):
                    pass
        assert fleet.stations["S-0"].history.counts[EventKind.AUTHENTICATION_FAILED] >= 1
        assert fleet.stations["S-1"].history.counts[EventKind.SESSION_OPENED] == 0


async def test_notifications_and_readings_share_the_one_session() -> None:
    async with at_home() as (devices, port), calling(port) as fleet:
        station = fleet.stations["S-0"]
        changes = [list(function("S-0")), [rename("S-0", "first", "second")]]
        for round_ in range(2):  # who follows next goes on with the subscription
            notifications = devices.notifications(target("S-0"))
            waiting = asyncio.ensure_future(change_in(notifications))
            async with asyncio.timeout(60), to_station(devices, target("S-0")) as session:
                await until(lambda: devices.counts["subscribed"] == 1)
                await until(lambda: any(known.subscription for known in station.server.sessions.values()))
                with pytest.raises(DeviceRefusedError, match="on which somebody follows notifications already"):
                    await anext(aiter(devices.notifications(target("S-0"))))
                async with devices.aside(target("S-0")) as beside:
                    assert session_id(beside) == session.session_id
                    await beside.read()
                await session.edit(changes[round_])
                await session.commit()
                await waiting
            assert isinstance(notifications, AsyncGenerator)
            await notifications.aclose()
        with pytest.raises(DeviceRefusedError, match="whose subscription replays nothing"):
            await anext(aiter(devices.notifications(target("S-0"), station.clock.now())))
        assert station.history.counts[EventKind.SESSION_OPENED] == 1


async def test_nobody_takes_calls_over_tls_here() -> None:
    devices = AllDevices(SECRETS)
    devices.listen(SOURCE, 0)
    with pytest.raises(UnreachableError, match="accepts no such calls: set MINKA_CALL_HOME_TLS"):
        async with devices.session(target("S-0")):
            pass
    await devices.close()


async def test_a_storm_of_calls_among_silent_callers() -> None:
    """All stations call at once, as many others say nothing, and a session at work goes on."""
    stations, silent = 150, 300
    with many_files():
        async with at_home(call_timeout=90) as (devices, port):
            names = [f"S-{index}" for index in range(stations)]
            devices.expect(map(target, names))
            held = [await asyncio.open_connection(SOURCE, port) for _ in range(silent)]
            async with calling(port, stations, again=60) as fleet:

                async def work(name: str) -> None:
                    async with devices.session(target(name)) as session:
                        await session.read()

                async with devices.session(target("S-0")) as session:
                    storm = asyncio.gather(*map(work, names[1:]))
                    while not storm.done():
                        await asyncio.wait_for(session.read(), 20)
                        await asyncio.sleep(0.02)
                    await storm
                opened = [station.history.counts[EventKind.SESSION_OPENED] for station in fleet.stations.values()]
                assert opened == [1] * stations, "nobody had to call twice"
            for _, writer in held:
                writer.close()


async def test_callers_that_never_answer_give_their_places_back() -> None:
    """Few places, all taken by callers that say nothing, or one byte at a time: the next station gets in after them."""
    taken: list[str] = []
    observations = Observations()
    home = CallHome(
        {"tls": lambda: TlsCallers(SECRETS, 30, 10)},
        1.0,
        lambda known, *_: taken.append(known.device),
        at_once=4,
        begun=8,
        patience=0.3,
        observations=observations,
    )
    port = home.listen(SOURCE, 0, transport="tls")
    home.expect(target("S-0"))

    async def drip(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            for byte in b"\x16\x03\x03\x40\x00" * 1000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)

    held = [await asyncio.open_connection(SOURCE, port) for _ in range(24)]
    dripping = [asyncio.ensure_future(drip(writer)) for _, writer in held[::3]]
    async with calling(port):
        await until(lambda: bool(taken))
    assert {"silent", "refused", "accepted"} <= counted(observations).keys()
    for one in dripping:
        one.cancel()
    for _, writer in held:
        writer.close()
    await home.close()


async def test_callers_that_say_one_byte_keep_no_station_out() -> None:
    """They fill all turns ten times over, and none of them is hung up on before the station is in."""
    taken: list[str] = []
    home = CallHome(
        {"tls": lambda: TlsCallers(SECRETS, 30, 10)},
        600,
        lambda known, *_: taken.append(known.device),
        at_once=4,
        proof=0.05,
        patience=600,
    )
    port = home.listen(SOURCE, 0, transport="tls")
    home.expect(target("S-0"))
    held = [await asyncio.open_connection(SOURCE, port) for _ in range(40)]
    for _, writer in held:
        writer.write(b"\x16")
    await until(home._turns.locked)
    async with calling(port):
        await until(lambda: bool(taken))
    assert len(home._unproved) == len(held)
    for _, writer in held:
        writer.close()
    await home.close()


def _alert() -> bytes:
    return b"\x15\x03\x03\x00\x02\x02\x28"


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x00" * 5000,
        b"SSH-2.0-x\r\n",
        encode(HELLO, chunked=False),
        b"\x16\x03\x03\xff\xff" + b"\x02" * 70_000,
        _alert(),
        b"\x17\x03\x03\x00\x00" * 3000,
    ],
)
async def test_noise_is_refused_and_the_next_caller_is_let_in(noise: bytes) -> None:
    async with at_home(connect_timeout=5) as (devices, port):
        reader, writer = await asyncio.open_connection(SOURCE, port)
        writer.write(noise)
        with contextlib.suppress(OSError):
            assert (await asyncio.wait_for(reader.read(), 20))[:1] in (b"\x16", b"")
        writer.close()
        async with calling(port), devices.session(target("S-0")) as session:
            await session.read()
        assert counted(devices)["refused"] >= 1


async def test_a_caller_that_breaks_off_in_the_midst_is_refused() -> None:
    async with at_home(connect_timeout=5) as (devices, port):
        for cut in (1, 5, 80, 500):
            reader, writer = await asyncio.open_connection(SOURCE, port)
            writer.write(_server_flight(await reader.read(4096))[:cut])
            writer.close()
        await until(lambda: counted(devices).get("refused", 0) == 4)


def _server_flight(opening: bytes) -> bytes:
    """The answer of a station to the beginning of a handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(opening)
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    with contextlib.suppress(ssl.SSLError):
        tls.do_handshake()
    return (outgoing.read() + b"\x16\x03\x03\x40\x00" + bytes(600))[:600]


async def test_processes_expect_the_stations_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, files = load_network(TINY), read_network(TINY)
    authority = Authority(files.id)
    monkeypatch.setenv("MINKA_OURS", authority.client("minka"))
    credentials = tmp_path / "credentials.yaml"
    credentials.write_text("credentials:\n  ours: {reference: env:MINKA_OURS, networks: [127.0.0.0/8]}\n")
    port = free_ports(2) + 1
    known = tuple(
        Endpoint(
            station=one.station,
            transport="tls",
            certificate=authority.fingerprint(one.station, SOURCE),
            client_certificate="ours",
            call_home=True,
        )
        for one in network.endpoints
    )
    settings = Settings(home=tmp_path / "home", call_home_tls=f"{SOURCE}:{port - 1}", credentials=credentials)
    home = Home(SOURCE, port, again_seconds=0.1, tls=True)
    async with parts(settings, ProcessRole.LISTENER) as made:
        await made.take_calls(ProcessRole.WORKER)
        async with Fleet(files, FleetSettings(homes=[home])):
            await until(lambda: counted(made.observations).get("refused", 0) > len(known))
            made.store.networks.save(network.model_copy(update={"endpoints": known}), "over-tls", "test")
            await until(lambda: made.devices.counts["idle"] == len(known))


@pytest.mark.needs("openssl")
async def test_openssl_as_the_station_finds_our_certificate_good(tmp_path: Path) -> None:
    """Another TLS server, with NETCONF spoken by hand; a relay opens both connections, as a station would."""
    ca, own = tmp_path / "ca.pem", tmp_path / "station.pem"
    ca.write_text(AUTHORITY.certificate)
    own.write_text(AUTHORITY.station("S-0", SOURCE))
    at = free_ports(1)
    asked = [
        "-accept",
        f"{SOURCE}:{at}",
        "-cert",
        own,
        "-key",
        own,
        "-CAfile",
        ca,
        "-Verify",
        "1",
        "-verify_return_error",
    ]
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(
        "openssl", "s_server", "-naccept", "1", *map(str, asked), stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert server.stdin is not None
    assert server.stdout is not None
    ready = await asyncio.wait_for(server.stdout.readuntil(b"ACCEPT\n"), 20)
    assert ready
    async with at_home() as (devices, port):
        devices.expect([target("S-0")])
        home = await asyncio.open_connection(SOURCE, port)
        station = await asyncio.open_connection(SOURCE, at)
        relays = [
            asyncio.ensure_future(_relay(home[0], station[1])),
            asyncio.ensure_future(_relay(station[0], home[1])),
        ]
        hello = HELLO.replace(b"</capabilities>", b"</capabilities><session-id>7</session-id>")
        server.stdin.write(encode(hello, chunked=False))
        said = await asyncio.wait_for(server.stdout.readuntil(b"hello>]]>]]>"), 20)
        assert b"urn:ietf:params:netconf:base:1.1" in said
        async with to_station(devices, target("S-0")) as session:
            assert session.session_id == "7"
        for one in relays:
            one.cancel()
        for _, writer in (home, station):
            writer.close()
    server.stdin.close()
    _, judged = await asyncio.wait_for(server.communicate(), 20)
    assert b"depth=0 CN=minka\nverify return:1\n" in judged


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
    writer.close()
