"""Pools over the wire: their API, the stations of their functions, the control interface."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest
from typer.testing import CliRunner

from simulators.cli import app
from simulators.clock import VirtualClock
from simulators.control.app import serve_control
from simulators.fleet.fleet import Fleet
from simulators.fleet.inventory import Exports
from tests.integration.simulators.client import netconf
from tests.support import http
from tests.unit.simulators.cloud.behaviour.bench import API, DU
from tests.unit.simulators.test_virtual_stations import SERVES, STATION, network

PATH = f"/apis/{API}/namespaces/minka-host/nfdeployments/du-1"


@dataclass(frozen=True)
class Bench:
    """A fleet in virtual time, and a client of the API of its first pool."""

    fleet: Fleet
    clock: VirtualClock
    api: httpx.AsyncClient

    async def deploy(self) -> None:
        """Apply a namespace and a function, and wait in virtual time."""
        headers = {"content-type": "application/apply-patch+yaml"}
        spec = {"provider": "acme-du-1", "image": DU}
        for path, obj in (
            ("/api/v1/namespaces/minka-host", {"apiVersion": "v1", "kind": "Namespace"}),
            (PATH, {"apiVersion": API, "kind": "NFDeployment", "spec": spec}),
        ):
            content = json.dumps({**obj, "metadata": {"name": path.rpartition("/")[2]}})
            answer = await self.api.patch(path, params={"fieldManager": "minka"}, content=content, headers=headers)
            assert answer.status_code == 201, answer.text
        self.clock.advance(SERVES)

    async def condition(self, kind: str) -> str:
        """A condition of the function."""
        found = (await self.api.get(PATH)).json()["status"]["conditions"]
        return str(next(one["status"] for one in found if one["type"] == kind))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = VirtualClock()
    async with Fleet(network(), clock=clock) as fleet:
        at = fleet.pool_endpoint("edge-1")
        trust = ssl.create_default_context(cadata=at.authority)
        headers = {"authorization": f"Bearer {at.token}"}
        url = f"https://{at.address}:{at.port}"
        async with http.async_client(base_url=url, verify=trust, headers=headers) as api:
            yield Bench(fleet, clock, api)


async def test_what_is_applied_becomes_a_station_and_a_lost_node_takes_it_away(bench: Bench) -> None:
    endpoint = bench.fleet.endpoint(STATION)
    with pytest.raises((OSError, asyncssh.Error)):
        async with netconf(endpoint):
            pass
    await bench.deploy()
    assert await bench.condition("Ready") == "True"
    async with netconf(endpoint) as client:
        assert f"<userLabel>{STATION}</userLabel>" in await client.rpc("<get/>")
        bench.fleet.pools["edge-1"].begin_fault("node-lost", "node-0")
        bench.fleet.pools["edge-1"].begin_fault("node-lost", "node-1")
        assert STATION in bench.fleet.transport.off_net()
    bench.clock.advance(30)
    assert await bench.condition("Ready") == "False"
    bench.fleet.pools["edge-1"].faults.clear()
    bench.clock.advance(2 * SERVES)
    async with netconf(endpoint) as client:
        assert "<data" in await client.rpc("<get/>")


async def test_the_control_interface_shows_pools_and_takes_faults(bench: Bench) -> None:
    await bench.deploy()
    async with serve_control(bench.fleet) as url, http.async_client(base_url=url) as control:
        first, second = (await control.get("/pools")).json()
        shown = [first[name] for name in ("pool", "nodes_ready", "pods_ready", "functions_ready")]
        assert shown == ["edge-1", 2, 1, 1]
        assert second["functions"] == 0
        begun = await control.post("/pools/edge-1/faults", json={"fault": "node-lost", "target": "node-1"})
        assert begun.status_code == 201
        assert [fault["target"] for fault in begun.json()] == ["node-1"]
        assert (await control.get("/pools/edge-1/faults")).json() == begun.json()
        assert (await control.delete("/pools/edge-1/faults")).json() == {"cleared": 1}
        kinds = [event["kind"] for event in (await control.get("/pools/edge-1/history")).json()]
        assert kinds.count("network-fault") == kinds.count("network-fault-ended") == 1
        refused = await control.post("/pools/edge-1/faults", json={"fault": "node-lost", "target": "node-9"})
        assert (refused.status_code, refused.json()["detail"]) == (404, "edge-1 has no node node-9")
        assert (await control.get("/pools/edge-9")).status_code == 404
        assert "node-lost" in {kind["fault"] for kind in (await control.get("/pool-faults")).json()}


async def test_commands_let_faults_begin_and_clear_them(bench: Bench) -> None:
    async with serve_control(bench.fleet) as url:

        async def command(*words: str) -> Any:
            said = await asyncio.to_thread(CliRunner().invoke, app, ["pool", *words, "--control", url])
            return json.loads(said.stdout) if said.exit_code == 0 else said.stderr

        assert [pool["pool"] for pool in await command("list")] == ["edge-1", "edge-2"]
        (begun,) = await command("fault", "edge-1", "node-lost", "--target", "node-0", "--seed", "7")
        assert await command("faults", "edge-1") == [begun]
        assert "edge-2 has no function" in await command("fault", "edge-2", "never-ready")
        assert await command("clear", "edge-1", "--id", str(begun["id"])) == {"cleared": 1}
        assert (await command("upgrade", "edge-2", "v1.37.0"))["upgrading_to"] == "v1.37.0"
        bench.clock.advance(120)
        nodes = bench.fleet.pools["edge-2"].cluster.list("nodes")
        assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} == {"v1.37.0"}


@pytest.mark.needs("kubectl")
async def test_kubectl_works_with_what_a_fleet_writes(bench: Bench, tmp_path: Path) -> None:
    await bench.deploy()
    endpoints = [bench.fleet.pool_endpoint(pool) for pool in bench.fleet.pools]
    Exports(kubeconfigs=tmp_path).write([], [], bench.fleet.seed, (), endpoints)
    assert {file.name for file in tmp_path.iterdir()} == {"edge-1.yaml", "edge-2.yaml"}
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--kubeconfig", tmp_path / "edge-1.yaml", "--cache-dir", tmp_path / "cache"),
        *("get", "nfd,pods", "-n", "minka-host", "--no-headers"),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    deployment, pod = (line.split() for line in said.decode().splitlines() if line)
    assert deployment[:4] == ["nfdeployment.workload.nephio.org/du-1", "acme-du-1", "1", "True"]
    assert pod[1:3] == ["1/1", "Running"]
