"""Measurement files over SFTP, to asyncssh's client and to OpenSSH's."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.connections import Outage
from simulators.equipment.file_faults import FileFault, FileFaultKind
from simulators.equipment.files import GARBAGE
from simulators.equipment.measurements import MEAS_DATA
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.push import FilesReady, Push
from simulators.netconf import sftp
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.profiles import PROFILES
from simulators.network import read_network
from simulators.ssh import Credentials
from simulators.station import StationSettings
from tests.integration.simulators.client import login, netconf
from tests.integration.simulators.test_living import Receiver
from tests.unit.simulators.equipment.stations import configure
from tests.unit.simulators.equipment.test_files import job
from tests.unit.simulators.netconf.bench import cell, enb, link, s1u

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
STATION = "T-LTE-1"
LATEST = "A20260101.0030+0000-0045+0000_-pm_T-LTE-1.xml"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
    path.chmod(0o600)
    return path


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def fleet(key: Path, clock: VirtualClock) -> AsyncIterator[Fleet]:
    public = asyncssh.read_private_key(key).export_public_key().decode()
    settings = FleetSettings(only=[STATION], credentials=Credentials(authorized_keys=(public,)))
    async with Fleet(read_network(TINY), settings, clock) as running:
        configure(running.stations[STATION], enb(cell() + link() + s1u()), job())
        clock.advance(3 * 900.0)
        yield running


async def names(client: asyncssh.SFTPClient, folder: str = "/pm") -> list[str]:
    return [name for name in map(str, await client.listdir(folder)) if name not in (".", "..")]


async def read(client: asyncssh.SFTPClient, path: str) -> bytes:
    async with client.open(path, "rb") as file:
        content = await file.read()
    assert isinstance(content, bytes)
    return content


async def test_files_are_listed_and_read(fleet: Fleet, clock: VirtualClock, tmp_path: Path) -> None:
    async with login(fleet.endpoint(STATION)) as connection, connection.start_sftp_client() as client:
        assert await names(client, ".") == ["pm"]
        earlier = [LATEST.replace("0030+0000-0045", times) for times in ("0000+0000-0015", "0015+0000-0030")]
        assert await names(client) == [*earlier, LATEST]
        content = await read(client, f"/pm/{LATEST}")
        assert etree.fromstring(content).tag == f"{{{MEAS_DATA.namespace}}}measDataFile"
        attributes = await client.stat(f"/pm/{LATEST}")
        assert (attributes.size, attributes.mtime) == (len(content), int(clock.now().timestamp()))
        await client.get(f"/pm/{LATEST}", tmp_path)
        assert (tmp_path / LATEST).read_bytes() == content
        clock.advance(900)
        assert len(await names(client)) == 4


async def test_netconf_and_files_go_over_one_connection(fleet: Fleet) -> None:
    async with login(fleet.endpoint(STATION)) as connection:
        client = await connection.start_sftp_client()
        writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
        assert b"<hello" in await reader.readuntil(b"]]>]]>")
        writer.close()
        assert LATEST in await names(client)
    async with netconf(fleet.endpoint(STATION)) as session:
        assert "<ok/>" in await session.rpc("<discard-changes/>")


@pytest.mark.needs("sftp")
async def test_openssh_fetches_files(fleet: Fleet, key: Path, tmp_path: Path) -> None:
    endpoint = fleet.endpoint(STATION)
    known, batch = tmp_path / "known_hosts", tmp_path / "batch"
    known.write_text(f"[{endpoint.address}]:{endpoint.port} {endpoint.host_key}\n")
    batch.write_text(f"cd pm\nls -l\nget *0045* {tmp_path}/\n")
    options = ["-F", "none", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes", "-i", str(key)]
    process = await asyncio.create_subprocess_exec(
        *("sftp", *options, "-b", str(batch), "-P", str(endpoint.port), f"minka@{endpoint.address}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    assert "-r--r--r--" in out.decode()
    assert (tmp_path / LATEST).read_bytes().startswith(b"<?xml")


async def test_nothing_is_written_and_nothing_else_is_read(fleet: Fleet) -> None:
    async with login(fleet.endpoint(STATION)) as connection, connection.start_sftp_client() as client:
        path = f"/pm/{LATEST}"
        for refused in (
            client.open("/pm/x", "wb"),
            client.open(path, "rb+"),
            client.remove(path),
            client.mkdir("/pm/x"),
            client.rename(path, "/pm/x"),
            client.symlink("/etc/passwd", "/pm/x"),
            client.chmod(path, 0o777),
            client.statvfs("/pm"),
        ):
            with pytest.raises(asyncssh.SFTPPermissionDenied):
                await refused
        for missing in ("/etc/passwd", "/pm/../etc/passwd", "/pm/x", f"/{LATEST}", f"/pm/pm/{LATEST}"):
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await client.open(missing, "rb")
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.listdir("/etc")


def test_no_request_reaches_the_files_of_the_machine() -> None:
    helpers = {"channel", "connection", "env", "logger", "convert_attrs", "exit", "map_path", "reverse_map_path"}
    helpers |= {"format_user", "format_group", "format_longname"}
    requests = {name for name in vars(asyncssh.SFTPServer) if not name.startswith("_")} - helpers
    assert requests <= set(vars(sftp.PmFolder))


async def test_open_files_are_limited(fleet: Fleet) -> None:
    async with login(fleet.endpoint(STATION)) as connection, connection.start_sftp_client() as client:
        files = [await client.open(f"/pm/{LATEST}", "rb") for _ in range(sftp.MAX_OPEN)]
        with pytest.raises(asyncssh.SFTPFailure):
            await client.open(f"/pm/{LATEST}", "rb")
        await files[0].close()
        await client.open(f"/pm/{LATEST}", "rb")


async def test_a_wrong_password_and_a_changed_host_key_are_no_way_in(fleet: Fleet) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        async with login(fleet.endpoint(STATION), password="wrong"):
            pass
    fleet.stations[STATION].faults.inject(Fault(FaultKind.CHANGED_HOST_KEY))
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        async with login(fleet.endpoint(STATION)):
            pass


async def test_a_restart_ends_transfers(fleet: Fleet) -> None:
    async with login(fleet.endpoint(STATION)) as connection, connection.start_sftp_client() as client:
        assert await names(client)
        fleet.clock.advance(1)  # type: ignore[attr-defined]
        fleet.stations[STATION].restart()
        with pytest.raises((asyncssh.ConnectionLost, asyncssh.SFTPConnectionLost)):
            await names(client)


async def test_a_profile_compresses_files(clock: VirtualClock) -> None:
    settings = FleetSettings(only=[STATION], stations=StationSettings(profile=PROFILES["files-compressed"]))
    async with Fleet(read_network(TINY), settings, clock) as fleet:
        configure(fleet.stations[STATION], enb(cell() + link() + s1u()), job())
        clock.advance(3 * 900.0)
        async with login(fleet.endpoint(STATION)) as connection, connection.start_sftp_client() as client:
            assert gzip.decompress(await read(client, f"/pm/{LATEST}.gz")).startswith(b"<?xml")


async def test_garbage_is_sent_as_it_is_read_and_a_file_that_is_gone_is_not_found(
    fleet: Fleet, clock: VirtualClock
) -> None:
    faults = fleet.stations[STATION].equipment.file_faults
    faults.inject(FileFault(FileFaultKind.GARBAGE))
    clock.advance(900)
    faults.inject(FileFault(FileFaultKind.GONE))
    clock.advance(900)
    async with login(fleet.endpoint(STATION)) as connection, connection.start_sftp_client() as client:
        *_, garbage, gone = await names(client)
        assert (await client.stat(f"/pm/{garbage}")).size == GARBAGE
        async with client.open(f"/pm/{garbage}", "rb") as file:
            end: object = await file.read(4, GARBAGE - 4)
        assert end == bytes(range((GARBAGE - 4) % 256, (GARBAGE - 4) % 256 + 4))
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.open(f"/pm/{gone}", "rb")


async def test_a_profile_has_no_files() -> None:
    settings = FleetSettings(only=[STATION], stations=StationSettings(profile=PROFILES["no-files"]))
    async with Fleet(read_network(TINY), settings) as fleet:
        async with login(fleet.endpoint(STATION)) as connection:
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.start_sftp_client()
        async with netconf(fleet.endpoint(STATION)) as session:
            assert "<ok/>" in await session.rpc("<discard-changes/>")


async def test_files_are_announced_as_they_come(clock: VirtualClock) -> None:
    receiver = Receiver()
    async with receiver.listening() as url:
        settings = FleetSettings(only=[STATION, "T-LTE-2"], file_ready=url)
        async with Fleet(read_network(TINY), settings, clock) as fleet:
            for station in fleet.stations.values():
                here = (text.replace(STATION, station.id) for text in (enb(cell() + link() + s1u()), job()))
                configure(station, *here)
            fleet.transport.connections["T-LTE-2"].cut(Outage.SILENCE)
            clock.advance(2 * 900.0 - 1)
            (first,) = await receiver.got(1)
            clock.advance(61)
            _, second = await receiver.got(2)
            endpoint = fleet.endpoint(STATION)
            event = second["event"]
            assert event["commonEventHeader"]["domain"] == "stndDefined"
            assert event["commonEventHeader"]["sourceName"] == STATION
            assert event["commonEventHeader"]["sequence"] == 2
            assert first["event"]["stndDefinedFields"]["data"]["eventTime"] == "2026-01-01T00:15:00Z"
            data = event["stndDefinedFields"]["data"]
            (ready,) = data["fileInfoList"]
            assert data["notificationType"] == "notifyFileReady"
            assert (ready["fileReadyTime"], ready["fileCompression"]) == ("2026-01-01T00:30:00Z", "no")
            begin = f"sftp://{endpoint.address}:{endpoint.port}"
            assert ready["fileLocation"].startswith(f"{begin}/pm/A20260101.0015")
            async with login(endpoint) as connection, connection.start_sftp_client() as client:
                assert len(await read(client, ready["fileLocation"].removeprefix(begin))) == ready["fileSize"]


async def test_a_late_file_is_announced_when_it_comes(clock: VirtualClock) -> None:
    told: list[str] = []
    async with Fleet(read_network(TINY), FleetSettings(only=[STATION]), clock) as fleet:
        station = fleet.stations[STATION]
        push = Push("http://127.0.0.1:9/", clock)
        push.put = lambda make: told.append(make(1)["event"]["stndDefinedFields"]["data"]["eventTime"][11:16])  # type: ignore[method-assign]
        ready = FilesReady(push, clock, [station], lambda _: "sftp://here/pm")
        ready.poll()
        configure(station, enb(cell() + link() + s1u()), job())
        station.equipment.file_faults.inject(FileFault(FileFaultKind.LATE, seconds=1500))
        clock.advance(2 * 900.0 + 60)
        assert told == ["00:30"]
        clock.advance(900)
        assert told == ["00:30", "00:40", "00:45"]
        ready.stop()
        clock.advance(900)
        assert len(told) == 3
