"""Stations that call home, and a controller that knows them by nothing but their host keys."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.bootstrap import parts
from controller.drivers.devices import AllDevices
from controller.drivers.netconf.callhome import CallHome, Door
from controller.drivers.netconf.connect import Connector
from controller.drivers.netconf.ssh_callers import SshCallers
from controller.drivers.netconf.target import NetconfTarget
from controller.inventory.load import load_network
from controller.models.errors import HostKeyUnreadableError, InputError, UnreachableError
from controller.models.health import Refusal
from controller.models.network import Endpoint
from controller.models.process import ProcessRole
from controller.models.settings import Settings
from controller.ports.secrets import FakeSecrets
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import EventKind
from simulators.host_keys import public_host_key
from simulators.netconf.callhome import Home
from simulators.netconf.faults import Fault, FaultKind
from simulators.network import SimulatedNetwork, StationRecord, read_network
from simulators.ssh import Credentials
from tests.integration.device.edits import function
from tests.integration.simulators.client import change_in
from tests.support.ports import free_port, free_ports
from tests.support.sessions import to_station
from tests.support.waiting import until

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
PROFILES = ("lte-28658",)
SECRETS = FakeSecrets({"device": "minka-sim", "wrong": "wrong"})


def made_network(count: int) -> SimulatedNetwork:
    stations = tuple(StationRecord(f"S-{index}", "site", PROFILES, f"10.0.0.{index}", ()) for index in range(count))
    return SimulatedNetwork("made", stations, (), {})


def target(station: str, **fields: Any) -> NetconfTarget:
    known = NetconfTarget(
        station, PROFILES, "", 830, public_host_key("made", station), "minka", "device", call_home=True
    )
    return replace(known, **fields)


def doors() -> dict[str, Callable[[], Door]]:
    return {"ssh": lambda: SshCallers(Connector(SECRETS, 10, 30, 10))}


@asynccontextmanager
async def at_home(
    call_timeout: float = 10.0, connect_timeout: float = 20.0, limit: int = 4000
) -> AsyncIterator[tuple[AllDevices, int]]:
    devices = AllDevices(
        SECRETS, rpc_timeout=20, call_timeout=call_timeout, connect_timeout=connect_timeout, limit=limit
    )
    try:
        yield devices, devices.listen("127.0.0.1", 0)
    finally:
        await devices.close()


@contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_transaction_on_a_station_that_called() -> None:
    async with (
        at_home() as (devices, port),
        Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port)])) as fleet,
    ):
        async with to_station(devices, target("S-0")) as session:
            await session.lock()
            await session.edit(list(function("S-0")))
            await session.commit()
            await session.unlock()
            first = session.session_id
        async with to_station(devices, target("S-0")) as session:
            assert session.session_id == first
        assert fleet.stations["S-0"].revision == 1


async def test_a_station_calls_again_after_a_restart() -> None:
    async with (
        at_home() as (devices, port),
        Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port, 0.1)])) as fleet,
    ):
        async with to_station(devices, target("S-0")) as session:
            first = session.session_id
        _, known = devices.stations._idle["S-0"]
        fleet.stations["S-0"].restart()
        await until(lambda: not known.reusable)
        async with to_station(devices, target("S-0")) as session:
            assert session.session_id != first
            await session.read()


async def test_a_station_calls_until_somebody_listens() -> None:
    port = free_port()
    async with Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port, 0.1)])):
        await asyncio.sleep(0.3)
        devices = AllDevices(SECRETS)
        devices.listen("127.0.0.1", port)
        async with devices.session(target("S-0")) as session:
            await session.read()
        await devices.close()


async def test_who_is_not_expected_is_refused_whatever_the_address() -> None:
    """Both stations call from one address; only the one whose key is known gets our password."""
    async with at_home(call_timeout=3) as (devices, port):
        devices.expect([target("S-0", host_key=public_host_key("made", "S-1"))])
        async with Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port, 0.1)])) as fleet:
            wrong = target("S-0", host_key=public_host_key("other", "S-0"))
            with pytest.raises(UnreachableError, match="S-0 did not call home within 3 s"):
                async with devices.session(wrong):
                    pass
            assert fleet.stations["S-0"].history.counts[EventKind.SESSION_OPENED] == 0
            assert fleet.stations["S-0"].history.counts[EventKind.AUTHENTICATION_FAILED] == 0
            async with devices.session(target("S-0")) as session:
                await session.read()


async def test_a_changed_host_key_is_refused() -> None:
    async with at_home() as (devices, port):
        devices.expect([target("S-0")])
        fleet = Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port, 0.2)]))
        fleet.stations["S-0"].faults.inject(Fault(FaultKind.CHANGED_HOST_KEY))
        async with fleet, devices.session(target("S-0")) as session:
            assert not list(fleet.stations["S-0"].faults), "the first call showed another key"
            await session.read()


async def test_each_station_has_its_own_user_and_credential() -> None:
    async with at_home(call_timeout=3) as (devices, port):
        credentials = Credentials("ops", "minka-sim")
        async with Fleet(
            made_network(2), FleetSettings(homes=[Home("127.0.0.1", port, 0.2)], credentials=credentials)
        ) as fleet:
            async with devices.session(target("S-0", username="ops")) as session:
                await session.read()
            with pytest.raises(UnreachableError):
                async with devices.session(target("S-1", username="ops", credential="wrong")):
                    pass
            assert fleet.stations["S-1"].history.counts[EventKind.AUTHENTICATION_FAILED] >= 1
            with pytest.raises(UnreachableError):
                async with devices.session(target("S-1", username="ops", credential="missing")):
                    pass


async def test_notifications_come_beside_the_session_of_the_same_call() -> None:
    async with (
        at_home() as (devices, port),
        Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port)])) as fleet,
    ):
        notifications = devices.notifications(target("S-0"))
        waiting = asyncio.ensure_future(change_in(notifications))
        async with asyncio.timeout(60), devices.session(target("S-0")) as session:
            while not any(known.subscription for known in fleet.stations["S-0"].server.sessions.values()):
                await asyncio.sleep(0.01)
            await session.edit(list(function("S-0")))
            await session.commit()
            await waiting
        assert isinstance(notifications, AsyncGenerator)
        await notifications.aclose()
        async with devices.session(target("S-0")) as session:
            await session.read()


async def test_nobody_takes_calls_here() -> None:
    devices = AllDevices(SECRETS)
    with pytest.raises(UnreachableError, match="over SSH, and this process accepts no such calls"):
        async with devices.session(target("S-0")):
            pass


@pytest.mark.parametrize("key", ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5A", "ssh-ed25519 AAAA"])
async def test_a_pinned_key_that_is_none_keeps_no_other_station_out(key: str) -> None:
    async with (
        at_home() as (devices, port),
        Fleet(made_network(2), FleetSettings(homes=[Home("127.0.0.1", port)])),
    ):
        damaged = target("S-0", host_key=key)
        devices.expect([damaged, target("S-1")])
        with pytest.raises(HostKeyUnreadableError, match="S-0: the host key in the network files can't be read"):
            async with devices.session(damaged):
                pass
        async with to_station(devices, target("S-1")) as session:
            assert session.session_id


async def test_more_stations_than_the_pool_holds_disturb_no_session() -> None:
    async with at_home(limit=3) as (devices, port):
        devices.expect(target(f"S-{index}") for index in range(10))
        async with (
            Fleet(made_network(10), FleetSettings(homes=[Home("127.0.0.1", port, 0.2)])),
            devices.session(target("S-7")) as held,
        ):
            await asyncio.sleep(0.5)
            await held.read()
            assert sum(devices.counts.values()) <= 3
            async with devices.session(target("S-2")) as other:
                await other.read()


async def test_a_storm_of_calls_among_silent_callers() -> None:
    """All stations call at once, a thousand others say nothing, and a session at work goes on."""
    stations, silent = 400, 1000
    with many_files():
        async with at_home(call_timeout=60) as (devices, port):
            names = [f"S-{index}" for index in range(stations)]
            devices.expect(map(target, names))
            held = [socket.create_connection(("127.0.0.1", port)) for _ in range(silent)]
            async with Fleet(made_network(stations), FleetSettings(homes=[Home("127.0.0.1", port)])) as fleet:

                async def work(name: str) -> None:
                    async with devices.session(target(name)) as session:
                        await session.read()

                async with devices.session(target("S-0")) as session:
                    storm = asyncio.gather(*map(work, names[1:]))
                    while not storm.done():
                        await asyncio.wait_for(session.read(), 5)
                        await asyncio.sleep(0.02)
                    await storm
                opened = [station.history.counts[EventKind.SESSION_OPENED] for station in fleet.stations.values()]
                assert opened == [1] * stations, "nobody had to call twice"
            for connection in held:
                connection.close()


async def test_the_oldest_silent_callers_make_room() -> None:
    taken: list[str] = []
    home = CallHome(doors(), 10, lambda target, *_: taken.append(target.device), callers=20)
    port = home.listen("127.0.0.1", 0)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
    async with asyncio.timeout(60):
        for reader, _ in held[:30]:
            assert await reader.read() == b""
    home.expect(target("S-0"))
    async with Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port)])), asyncio.timeout(60):
        while not taken:
            await asyncio.sleep(0.01)
    assert [reader.at_eof() for reader, _ in held[30:]].count(True) <= 1
    for _, writer in held:
        writer.close()
    await home.close()


async def one_byte_callers(port: int, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Callers that say one byte, and nothing more."""
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in held:
        writer.write(b"S")
    return held


async def test_callers_that_say_one_byte_keep_no_station_out() -> None:
    """They fill all turns ten times over, and none of them is hung up on before the station is in."""
    taken: list[str] = []
    home = CallHome(doors(), 600, lambda known, *_: taken.append(known.device), at_once=4, proof=0.05)
    port = home.listen("127.0.0.1", 0)
    home.expect(target("S-0"))
    held = await one_byte_callers(port, 40)
    await until(home._turns.locked)
    async with Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port)])):
        await until(lambda: bool(taken))
    assert len(home._unproved) == len(held)
    for _, writer in held:
        writer.close()
    await home.close()


async def test_the_oldest_callers_that_prove_nothing_make_room() -> None:
    home = CallHome(doors(), 600, lambda *_: None, callers=20, at_once=4)
    port = home.listen("127.0.0.1", 0)
    held = await one_byte_callers(port, 20)
    await until(lambda: [visit is not None for visit in home._unproved.values()] == [True] * 20)
    held += [await asyncio.open_connection("127.0.0.1", port) for _ in range(15)]
    async with asyncio.timeout(30):
        for reader, _ in held[:15]:
            with suppress(ConnectionResetError):  # its byte was not read
                while await reader.read(100):
                    pass
    assert len(home._unproved) == 20
    for _, writer in held:
        writer.close()
    await home.close()


class _Proven:
    """A visit, and the door of it: the caller has proved who it is, and takes its time then."""

    refusal, opening, proved, we_begin = "", b"", True, False

    def __init__(self) -> None:
        self.target: NetconfTarget | None = target("S-0")
        self.greeted = 0

    def expect(self, target: NetconfTarget) -> str:
        return target.device

    def visit(self, expected: Mapping[Hashable, NetconfTarget], peer: str) -> _Proven:
        return self

    async def greet(self, caller: socket.socket) -> Any:
        self.greeted += 1
        await asyncio.Event().wait()


async def test_who_proved_who_it_is_keeps_its_turn_and_makes_no_room() -> None:
    door = _Proven()
    home = CallHome({"ssh": lambda: cast("Door", door)}, 600, lambda *_: None, callers=2, at_once=1, proof=0.01)
    port = home.listen("127.0.0.1", 0)
    held = await one_byte_callers(port, 1)
    await until(lambda: door.greeted == 1)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    async with asyncio.timeout(30):
        for reader, _ in silent[:3]:
            assert await reader.read() == b""
    assert (home._turns.locked(), held[0][0].at_eof()) == (True, False)
    for _, writer in held + silent:
        writer.close()
    await home.close()


async def test_a_station_keeps_one_turn_however_often_it_calls() -> None:
    """One that stalls each of its handshakes keeps no other station out."""
    door = _Proven()
    home = CallHome({"ssh": lambda: cast("Door", door)}, 600, lambda *_: None, at_once=2, proof=0.01)
    held = await one_byte_callers(home.listen("127.0.0.1", 0), 10)
    await until(lambda: door.greeted == 10)
    await until(lambda: not home._turns.locked())  # nine of them have passed their turns on
    for _, writer in held:
        writer.close()
    await home.close()
    assert not home._keeping


async def test_a_silent_caller_is_hung_up_on() -> None:
    home = CallHome(doors(), 10, lambda *_: None, silence=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", home.listen("127.0.0.1", 0))
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await home.close()


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 5000, b"SSH-2.0-x\r\n" + b"\xff" * 3000])
async def test_noise_is_refused_and_the_next_caller_is_let_in(noise: bytes) -> None:
    async with at_home(connect_timeout=1) as (devices, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(noise)
        await asyncio.wait_for(reader.read(), 20)
        writer.close()
        async with (
            Fleet(made_network(1), FleetSettings(homes=[Home("127.0.0.1", port)])),
            devices.session(target("S-0")) as session,
        ):
            await session.read()


async def test_what_a_stranger_says_reaches_the_log_only_and_is_bounded_there(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, object]] = []
    log = SimpleNamespace(warning=lambda _, **more: said.append(more), info=lambda *_, **__: None)
    monkeypatch.setattr("controller.drivers.netconf.callhome.log", log)
    words = b"FREE\nTEXT" * 2000
    payload = (
        b"\x01" + (11).to_bytes(4) + len(words).to_bytes(4) + words + (0).to_bytes(4)
    )  # DISCONNECT, RFC 4253 §11.1
    padding = 8 - (len(payload) + 5) % 8 + 8
    packet = (1 + len(payload) + padding).to_bytes(4) + bytes([padding]) + payload + bytes(padding)
    home = CallHome(doors(), 10, lambda *_: None)
    since = asyncio.get_running_loop().time()
    _, writer = await asyncio.open_connection("127.0.0.1", home.listen("127.0.0.1", 0))
    writer.write(b"SSH-2.0-x\r\n" + packet)
    await until(lambda: bool(said))
    told, kind = home.refused_since("S-0", since)
    assert kind is Refusal.STRANGER
    assert "its SSH connection ended before it was let in (code 11)" in told
    assert "FREE" not in told
    assert "FREE" not in str(said[0]["reason"])
    quoted = str(said[0]["caller_said"])
    assert quoted.startswith("FREE?TEXT")
    assert len(quoted) == 200
    writer.close()
    await home.close()


async def test_processes_expect_the_stations_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    port = free_ports(2) + 1
    network = load_network(TINY)
    calling = [
        Endpoint(station=endpoint.station, host_key=endpoint.host_key, call_home=True) for endpoint in network.endpoints
    ]
    settings = Settings(home=tmp_path / "home", call_home=f"127.0.0.1:{port - 1}")
    async with parts(settings, ProcessRole.LISTENER) as made:
        made.store.networks.save(network.model_copy(update={"endpoints": tuple(calling)}), "digest", "test")
        await made.take_calls(ProcessRole.WORKER)
        home = Home("127.0.0.1", port)
        async with Fleet(read_network(TINY), FleetSettings(homes=[home])), asyncio.timeout(60):
            while made.devices.counts["idle"] < len(calling):
                await asyncio.sleep(0.02)
            with pytest.raises(InputError, match=f"stations can't call home at 127.0.0.1 port {port}"):
                await made.take_calls(ProcessRole.WORKER)


async def test_calls_are_judged_by_the_network_files_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that listens before any network is loaded lets its stations in afterwards, and out of it again."""
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    said: list[str] = []
    log = SimpleNamespace(warning=lambda event, **_: said.append(event), info=lambda *_, **__: None)
    monkeypatch.setattr("controller.drivers.netconf.callhome.log", log)
    port = free_ports(2) + 1
    network = load_network(TINY)
    calling = tuple(
        Endpoint(station=endpoint.station, host_key=endpoint.host_key, call_home=True) for endpoint in network.endpoints
    )
    settings = Settings(home=tmp_path / "home", call_home=f"127.0.0.1:{port - 1}")
    home = Home("127.0.0.1", port, again_seconds=0.1)
    async with parts(settings, ProcessRole.LISTENER) as made:
        await made.take_calls(ProcessRole.WORKER)
        async with Fleet(read_network(TINY), FleetSettings(homes=[home])):
            await until(lambda: said.count("device.call_refused") > len(calling))
            assert made.devices.counts["idle"] == 0
            made.store.networks.save(network.model_copy(update={"endpoints": calling}), "digest", "test")
            await until(lambda: made.devices.counts["idle"] == len(calling))
            # One that left the files is refused when it calls again.
            made.store.networks.save(network.model_copy(update={"endpoints": calling[1:]}), "later", "test")
            said.clear()

            # Its session ends, and it is refused when it calls again.
            await until(lambda: said.count("device.call_refused") > 1)
            assert calling[0].station not in made.devices.stations._callers
