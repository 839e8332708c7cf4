"""A fleet over real SSH: many stations at once, log-in, and what one client can't do to another."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import asyncssh
import pytest

from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import EventKind
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.framing import encode
from simulators.netconf.profiles import STANDARD
from simulators.network import SimulatedNetwork, StationRecord, read_network
from simulators.ssh import Credentials
from tests.integration.simulators.client import BASE, HELLO, label_edit, login, netconf

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
STATION = "T-LTE-1"


def made_network(count: int) -> SimulatedNetwork:
    stations = tuple(
        StationRecord(f"S-{index:03}", "site", ("lte-28658",), f"10.0.0.{index}", ()) for index in range(count)
    )
    return SimulatedNetwork("made", stations, (), {})


async def test_a_hundred_stations_are_changed_at_once() -> None:
    async with Fleet(made_network(100)) as fleet:

        async def change(station: str) -> str:
            async with netconf(fleet.endpoint(station)) as client:
                assert "<ok/>" in await client.rpc(label_edit(station, f"label of {station}"))
                assert "<ok/>" in await client.rpc("<commit/>")
                return await client.rpc("<get-config><source><running/></source></get-config>")

        replies = await asyncio.gather(*(change(station) for station in fleet.stations))
        for station, reply in zip(fleet.stations.values(), replies, strict=True):
            assert f"<userLabel>label of {station.id}</userLabel>" in reply
            assert station.history.counts[EventKind.RUNNING_CHANGED] == 1


async def test_endpoints_differ_and_are_written_down(tmp_path: Path) -> None:
    async with Fleet(read_network(TINY)) as fleet:
        fleet.write_endpoints(tmp_path / "endpoints.csv")
        with (tmp_path / "endpoints.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["station"] for row in rows] == sorted(fleet.stations)
        assert len({row["port"] for row in rows}) == len(rows)
        assert len({row["host_key"] for row in rows}) == len(rows)
        again = read_network(TINY, tmp_path / "endpoints.csv")
        assert again.endpoints[STATION].port == fleet.endpoint(STATION).port


async def test_host_keys_are_those_of_the_shipped_file() -> None:
    with (TINY / "endpoints.csv").open(newline="") as file:
        shipped = {row["station"]: row["host_key"] for row in csv.DictReader(file)}
    async with Fleet(read_network(TINY)) as fleet:
        assert {endpoint.station: endpoint.host_key for endpoint in fleet.endpoints()} == shipped


async def test_passwords_and_keys() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    credentials = Credentials("ops", "right", (key.export_public_key().decode(),))
    async with Fleet(read_network(TINY), FleetSettings(credentials=credentials, only=[STATION])) as fleet:
        endpoint = fleet.endpoint(STATION)
        for good in ({"password": "right"}, {"password": None, "client_keys": [key]}):
            async with netconf(endpoint, username="ops", **good) as client:
                assert client.session_id
        other = asyncssh.generate_private_key("ssh-ed25519")
        for bad in (
            {"username": "ops", "password": "wrong"},
            {"username": "root", "password": "right"},
            {"username": "ops", "password": None, "client_keys": [other]},
        ):
            with pytest.raises(asyncssh.PermissionDenied):
                async with login(endpoint, **bad):
                    pass
        assert fleet.stations[STATION].history.counts[EventKind.AUTHENTICATION_FAILED] == 2


async def test_no_other_subsystem_and_no_command_is_served() -> None:
    async with (
        Fleet(read_network(TINY), FleetSettings(only=[STATION])) as fleet,
        login(fleet.endpoint(STATION)) as connection,
    ):
        for wanted in ({"subsystem": "shell"}, {"command": "scp -f /pm"}):
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_session(**wanted)


async def test_station_faults_refuse_sessions_and_change_the_host_key() -> None:
    async with Fleet(read_network(TINY), FleetSettings(only=[STATION])) as fleet:
        endpoint, station = fleet.endpoint(STATION), fleet.stations[STATION]
        station.faults.inject(Fault(FaultKind.CHANGED_HOST_KEY))
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            async with login(endpoint):
                pass
        station.faults.inject(Fault(FaultKind.REFUSE_SESSIONS, count=2))
        for _ in range(2):
            with pytest.raises((OSError, asyncssh.Error)):
                async with login(endpoint):
                    pass
        async with netconf(endpoint) as client:
            assert "<data>" in await client.rpc("<get/>")


async def test_sessions_are_limited() -> None:
    async with (
        Fleet(read_network(TINY), FleetSettings(only=[STATION])) as fleet,
        login(fleet.endpoint(STATION)) as connection,
    ):
        allowed = range(STANDARD.max_sessions)
        opened = [await connection.open_session(subsystem="netconf", encoding=None) for _ in allowed]
        assert len(fleet.stations[STATION].server.sessions) == len(opened)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_session(subsystem="netconf", encoding=None)


async def test_bad_clients_disturb_nobody() -> None:
    """Fault 26: raw noise on the port, broken frames, entity bombs, and clients that vanish."""
    async with Fleet(read_network(TINY)) as fleet:
        endpoint = fleet.endpoint(STATION)
        async with netconf(endpoint) as witness:
            assert "<ok/>" in await witness.rpc("<lock><target><candidate/></target></lock>")
            assert "<ok/>" in await witness.rpc(label_edit(STATION, "kept"))
            for noise in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 5000, b"SSH-2.0-x\r\n" + b"\xff" * 3000):
                _, writer = await asyncio.open_connection(endpoint.address, endpoint.port)
                writer.write(noise)
                await asyncio.sleep(0.05)
                writer.close()
            for data in (b"\n#99999999999\n", b"\n#4\n<rpc", b"\n#7\n<a>]]>]\n##\n", b"<rpc/>]]>]]>"):
                async with netconf(endpoint) as client:
                    client.write(data)
                    if data != b"\n#4\n<rpc":
                        assert b"<ok/>" not in await asyncio.wait_for(client.rest(), 20)
            reply = await witness.rpc("<get-config><source><candidate/></source></get-config>")
            assert "<userLabel>kept</userLabel>" in reply
            assert "<ok/>" in await witness.rpc("<commit/>")
        async with netconf(fleet.endpoint("T-NR-1")) as neighbour:
            assert "<data>" in await neighbour.rpc("<get/>")


async def test_client_that_does_not_read_does_not_hold_up_others() -> None:
    async with Fleet(read_network(TINY), FleetSettings(only=[STATION])) as fleet:
        endpoint = fleet.endpoint(STATION)
        async with login(endpoint) as connection:
            writer, _, _ = await connection.open_session(subsystem="netconf", encoding=None, window=4096)
            rpc = f'<rpc xmlns="{BASE}" message-id="1"><get/></rpc>'.encode()
            writer.write(encode(HELLO, chunked=False) + encode(rpc, chunked=True) * 200)
            await asyncio.sleep(0.2)
            async with netconf(endpoint) as client:
                assert "<data>" in await asyncio.wait_for(client.rpc("<get/>"), 10)
            assert 1 in fleet.stations[STATION].server.sessions
