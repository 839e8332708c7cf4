"""A fleet in several processes, started from the command line: endpoints, one control interface, its end."""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from simulators.cli import app
from simulators.fleet.inventory import Endpoint
from simulators.network import counted
from simulators.processes import check_open_files, shares
from tests.integration.simulators.client import label_edit, netconf
from tests.support import http
from tests.support.ports import free_ports
from tests.support.processes import is_alive

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
FREE = ("--address", "127.0.0.1", "--port-base")


@asynccontextmanager
async def fleet(*options: object) -> AsyncIterator[tuple[dict[str, Any], asyncio.subprocess.Process]]:
    words = [str(option) for option in options]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "up", "--control", "127.0.0.1:0", *words), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield json.loads(await asyncio.wait_for(process.stdout.readline(), 30)), process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def test_an_api_server_runs_alone(tmp_path: Path) -> None:
    words = ("api-server", "--user", "admin=system:masters", "--user", "viewer", "--kubeconfig", tmp_path / "kube.yaml")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", *map(str, words)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))["url"]
        (cluster,) = yaml.safe_load((tmp_path / "kube.yaml").read_text())["clusters"]
        assert cluster["cluster"]["server"] == url
        context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["cluster"]["certificate-authority-data"]).decode()
        )
        async with http.async_client(verify=context, base_url=url) as client:
            nodes = {
                name: await client.get("/api/v1/nodes", headers={"authorization": f"Bearer {name}"})
                for name in ("admin", "viewer", "other")
            }
        assert {name: answer.status_code for name, answer in nodes.items()} == {
            "admin": 200,
            "viewer": 403,
            "other": 401,
        }
        assert nodes["admin"].json()["items"] == []
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


async def test_routers_listen_behind_the_stations(tmp_path: Path) -> None:
    ssh, routers, first = tmp_path / "ssh.csv", tmp_path / "routers.csv", free_ports(5)
    options = ("--endpoints-out", ssh, "--routers", "bare", "--routers-out", routers, *FREE, first)
    async with fleet("--network", TINY, *options):
        assert [int(row["port"]) for row in rows(ssh)] == [first + number for number in range(4)]
        (router,) = rows(routers)
        assert (router["id"], router["address"], int(router["port"])) == ("R-OLLANTA", "127.0.0.1", first + 4)
        reader, writer = await asyncio.open_connection("127.0.0.1", first + 4)
        assert (await reader.readline()).startswith(b"SSH-2.0")
        writer.close()


async def test_every_station_is_reached_through_files_and_front(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("ssh.csv", "tls.csv", "certificates", "hosts.yaml", "inventory.yaml")}
    options: tuple[object, ...] = ("--endpoints-out", files["ssh.csv"], "--export-nornir", files["hosts.yaml"])
    options += ("--export-ansible", files["inventory.yaml"], "--tls", free_ports(7))
    options += ("--tls-endpoints-out", files["tls.csv"], "--certificates", files["certificates"])
    async with fleet("--count", 7, "--processes", 3, *FREE, free_ports(7), *options) as (ready, process):
        assert ready["endpoints"] == 7
        assert len(ready["processes"]) == 3
        endpoints = [
            Endpoint(row["station"], row["address"], int(row["port"]), row["host_key"])
            for row in rows(files["ssh.csv"])
        ]
        assert [endpoint.station for endpoint in endpoints] == [f"S-{number:05}" for number in range(1, 8)]
        for endpoint in endpoints:
            async with netconf(endpoint) as client:
                assert "<ok/>" in await client.rpc(label_edit(endpoint.station, "new"))
                assert "<ok/>" in await client.rpc("<commit/>")
        async with http.async_client(base_url=ready["control"]) as control:
            stations = (await control.get("/stations")).json()
            assert sorted(station["station"] for station in stations) == [one.station for one in endpoints]
            assert {station["revision"] for station in stations} == {1}
            fault = {"kind": "lock-denied", "operation": "lock"}
            assert (await control.post("/stations/S-00006/faults", json=fault)).status_code == 201
            assert [one["kind"] for one in (await control.get("/stations/S-00006/faults")).json()] == ["lock-denied"]
            assert (await control.get("/stations/S-00099")).status_code == 404
            history = await control.get("/stations/S-00002/history", params={"kind": "running-changed"})
            assert len(history.json()) == 1
        assert len(rows(files["tls.csv"])) == 7
        assert (files["certificates"] / "client.pem").stat().st_mode & 0o077 == 0
        nornir = yaml.safe_load(files["hosts.yaml"].read_text())
        assert nornir["S-00003"]["port"] == endpoints[2].port
        ansible = yaml.safe_load(files["inventory.yaml"].read_text())["all"]["children"]["stations"]
        assert ansible["hosts"]["S-00003"]["ansible_port"] == endpoints[2].port
        assert "minka-sim" not in "".join(path.read_text() for path in files.values() if path.is_file())
        process.terminate()
        assert await process.wait() == 0
        assert not any(map(is_alive, ready["processes"]))


async def test_processes_end_with_the_one_that_started_them() -> None:
    async with fleet("--network", TINY, "--processes", 2, *FREE, free_ports(4)) as (ready, process):
        process.send_signal(signal.SIGKILL)
        await process.wait()
        async with asyncio.timeout(60):
            while any(map(is_alive, ready["processes"])):
                await asyncio.sleep(0.05)


async def test_the_fleet_ends_with_any_of_its_processes() -> None:
    async with fleet("--network", TINY, "--processes", 2, *FREE, free_ports(4)) as (ready, process):
        os.kill(ready["processes"][0], signal.SIGKILL)
        assert await asyncio.wait_for(process.wait(), 20) == 1
        assert not any(map(is_alive, ready["processes"]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "give either --network or --count"),
        (("--count", 3, "--network", TINY), "give either --network or --count"),
        (("--count", 40_000, "--processes", 2), "processes: the system grants each"),
        (("--count", 2, "--processes", 2, "--history", "h"), "need all stations in one process"),
    ],
)
def test_what_cannot_run_says_why(options: tuple[object, ...], says: str) -> None:
    result = CliRunner().invoke(app, ["up", *map(str, options)])
    assert result.exit_code == 1
    assert says in result.output


async def test_a_process_that_cannot_listen_says_why() -> None:
    words = ("--count", "2", "--processes", "2", "--address", "192.0.2.1", "--port-base", "9000")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulators", "up", *words), stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert "192.0.2.1" in said.decode()


def test_shares_hold_every_station_once() -> None:
    names = [station.id for station in counted(10).stations]
    assert sorted(name for share in shares(names, 4) for name in share) == names
    assert [len(share) for share in shares(names[:2], 4)] == [1, 1]


def test_open_files_say_how_many_processes_it_takes() -> None:
    check_open_files(9_000, 1, 1, 20_000)
    with pytest.raises(ValueError, match="31000 stations need 4 processes: the system grants each 20000 open files"):
        check_open_files(31_000, 1, 1, 20_000)
