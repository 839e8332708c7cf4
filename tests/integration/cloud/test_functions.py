"""A base station of a function, on simulated pools with nodes, pods and a vendor's operator: brought up and moved."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.kubernetes.devices import CloudDevices
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.registry import target_of
from controller.inventory.load import load_network
from controller.models.alarm import AlarmSource, AlarmState, ObjectClass
from controller.models.network import network_digest
from controller.models.run import Run, RunState, Strategy
from controller.nrm.profiles.function import deployment_path
from controller.nrm.tree import Tree
from controller.plan import pools_of
from controller.ports.secrets import FakeSecrets
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.planning.undo import undo_plan
from controller.store import RunRequest
from simulators.clock import RealClock
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.alarms.system import TINY, LocalSystem, rules, until
from tests.support.launch import submit
from tests.support.secrets import LocalSecrets

STATION, FUNCTION, GATEWAY = "T-LTE-1", "BBU-1", "GW-1"
_POOL = "{0},edge,cusco,,{0}.example,6443,pool-authority,pool-token,0\n"
_FILES = {
    "pools.csv": "id,where,region,site,address,port,authority,credential,spare_nodes\n"
    + "".join(_POOL.format(name) for name in ("edge-1", "edge-2")),
    "nodes.csv": "pool,id,cpus,memory_gb,hugepages_gb,accelerators,ptp\n"
    + "".join(
        f"{name},node-{n},32,128,32,4,true\n"
        for name, nodes in (("edge-1", 2), ("edge-2", 1))
        for n in range(1, nodes + 1)
    ),
    "latencies.csv": "pool,site,microseconds\nedge-1,ollanta,40\nedge-2,ollanta,60\nedge-1,pisac,40\nedge-2,pisac,60\n",
    "functions.csv": f"id,package,max_latency_us\n{FUNCTION},bbu,100\n{GATEWAY},gate-1,\n",
    "packages.yaml": f"""packages:
- {{id: bbu, kind: vbbu, vendor: Acme, version: "1.0", image: "registry.example/bbu@sha256:{7:064x}", cpus: 8,
   memory_gb: 16, hugepages_gb: 4, accelerators: 1, ptp: true, start_seconds: 10, profiles: lte-28658}}
- {{id: gate-1, kind: gateway, vendor: Acme, version: "1.0", image: "registry.example/gate@sha256:{8:064x}", cpus: 2,
   memory_gb: 4, start_seconds: 5}}
- {{id: gate-2, kind: gateway, vendor: Acme, version: "2.0", image: "registry.example/gate@sha256:{9:064x}", cpus: 2,
   memory_gb: 4, start_seconds: 5}}
""",
}


def files(folder: Path) -> Path:
    """The tiny network, one station of which is made of a function."""
    made = Path(shutil.copytree(TINY, folder / "network"))
    for name, text in _FILES.items():
        (made / name).write_text(text, encoding="utf-8")
    header, *rows = (made / "stations.csv").read_text(encoding="utf-8").splitlines()
    of = {STATION: FUNCTION, "T-LTE-2": GATEWAY}
    lines = [f"{header},functions", *(f"{row},{of.get(row.partition(',')[0], '')}" for row in rows)]
    (made / "stations.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


class Cloud(LocalSystem):
    """A controller, and a fleet whose time runs twenty times as fast."""

    def __init__(self, folder: Path, stack: AsyncExitStack, fleet: Fleet) -> None:
        super().__init__(folder, stack, fleet, frozenset(AlarmSource), 2.0)
        at = fleet.pool_endpoint("edge-1")
        secrets = FakeSecrets({"pool-authority": at.authority, "pool-token": at.token})
        self.devices = AllDevices(
            LocalSecrets(),
            rpc_timeout=10,
            connect_timeout=5,
            others={KubernetesTarget: partial(CloudDevices, secrets, self.clock)},
        )
        stack.push_async_callback(self.devices.close)
        self.planner = Planner(self.loop_store, self.devices, self.clock, target_of)
        self.world = self.world.__class__(self.loop_store, self.planner, self.webhook, self.clock)

    def load(self, folder: Path, called: Mapping[str, str] = MappingProxyType({})) -> None:
        """Load network files, with stations and pools where they listen; of pools with a new id, by their former."""
        self.fleet.write_endpoints(folder / "endpoints.csv")
        network = load_network(folder)
        pools = [
            one.model_copy(update={"address": at.address, "port": at.port})
            for one in network.pools
            for at in [self.fleet.pool_endpoint(called.get(one.id, one.id))]
        ]
        self.network = network.model_copy(update={"pools": tuple(pools)})
        self.store.networks.save(self.network, network_digest(self.network), "ana")

    async def prepare_pools(self) -> None:
        """Make namespaces and quotas."""
        await self.planner.adopt("pool=*", "ana")
        plan = await self.planner.plan(PlanRequest("pool=*", expect_stations=2), "ana")
        await self.ends(submit(self.store, self.wakeups, RunRequest(plan=plan, actor="ana", strategy=Strategy())))

    async def play(self, playbook: str, **given: object) -> None:
        await self.ends(await self.playbooks().start(playbook, given))

    async def ends(self, run: Run) -> None:
        async def done() -> bool:
            return self.store.runs.get(run.id).state.terminal

        await until(f"{run.procedure} ends", done, 120)
        assert self.store.runs.get(run.id).state is RunState.SUCCEEDED, self.store.runs.jobs(run.id)

    async def carries(self, device: str) -> Tree:
        return (await self.planner.read(self.network, device)).tree


@pytest.fixture
async def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    folder = files(tmp_path)
    settings = FleetSettings(stations=StationSettings(settle_seconds=0.1))
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(read_network(folder), settings, RealClock(speed=20)))
        made = Cloud(tmp_path, stack, fleet)
        made.load(folder)
        await made.work()
        yield made


async def test_a_station_comes_up_on_an_empty_pool_and_moves_with_its_function(system: Cloud) -> None:
    run = await system.playbooks().start("provision-station", {"station": STATION})
    await system.ends(run)
    jobs = {job.station: job for job in system.store.runs.jobs(run.id)}
    assert jobs.keys() == {"edge-1", FUNCTION, STATION}, "and no pool that it does not come to"
    assert jobs["edge-1"].wave < jobs[FUNCTION].wave == jobs[STATION].wave
    before = await system.carries(STATION)
    ledger = system.store.ledger.find([STATION])[STATION]
    assert {owner for entry in ledger.values() for owner in entry.owners} == {"host", "andes", "condor"}
    assert pools_of(await system.carries(FUNCTION)) == ("edge-1",)
    await system.play("move-function", function=FUNCTION)
    assert len(system.store.ledger.find(["edge-2"])["edge-2"]) > 3, "nobody had planned it before"
    assert pools_of(await system.carries(FUNCTION)) == ("edge-2",)
    assert pools_of(system.store.ledger.find([FUNCTION])[FUNCTION]) == ("edge-2",)
    assert await system.carries(STATION) == before


async def test_a_pool_that_gets_a_new_id_keeps_its_functions(system: Cloud, tmp_path: Path) -> None:
    """As docs/reference/network-files.md says; the function is not touched, and plans tell of it until then."""
    await system.prepare_pools()
    await system.play("instantiate-function", where=f"function={GATEWAY}")
    assert pools_of(system.store.ledger.find([GATEWAY])[GATEWAY]) == ("edge-1",)
    folder = tmp_path / "network"
    for name in ("pools.csv", "nodes.csv", "latencies.csv"):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace("edge-1,", "edge-9,"), encoding="utf-8")
    system.load(folder, {"edge-9": "edge-1"})

    async def findings() -> list[str]:
        made = await system.planner.plan(PlanRequest("function=*"), "ana")
        assert not made.changes
        return [one.code for one in made.findings if one.station == GATEWAY]

    assert await findings() == ["function-pool-gone"]
    await system.planner.adopt("pool=edge-9", "ana")
    await system.planner.adopt(f"function={GATEWAY}", "ana")
    run = await system.playbooks().start("move-function", {"function": GATEWAY, "pool": "edge-9"})
    await system.ends(run)
    assert pools_of(system.store.ledger.find([GATEWAY])[GATEWAY]) == ("edge-9",)
    made = [job.changes for job in system.store.runs.ended_jobs([GATEWAY], run.created) if job.run == run.id]
    assert not [change.phases for changes in made for change in changes if change.phases], "the pool was left alone"
    assert await findings() == []


async def test_functions_are_scaled_moved_upgraded_and_terminated(system: Cloud, tmp_path: Path) -> None:
    async def at(function: str) -> tuple[str, ...]:
        return pools_of(await system.carries(function))

    await system.prepare_pools()
    await system.play("instantiate-function", where="function=*")
    here = deployment_path(GATEWAY, (await at(GATEWAY))[0])
    await system.play("scale-function", function=GATEWAY, replicas=2)
    assert (await system.carries(GATEWAY))[here]["replicas"] == "2"
    await system.play("heal-function", where=f"function={GATEWAY}")
    assert (await system.carries(GATEWAY))[here]["replicas"] == "2", "what is well is left alone"
    await system.play("drain-pool", pool="edge-1")
    assert (await at(FUNCTION), await at(GATEWAY)) == (("edge-2",), ("edge-2",))
    await system.play("rebalance")
    assert await at(FUNCTION) == ("edge-1",), "nearest to its station"
    functions = tmp_path / "network" / "functions.csv"
    functions.write_text(functions.read_text(encoding="utf-8").replace("gate-1", "gate-2"), encoding="utf-8")
    system.load(tmp_path / "network")
    await system.play("upgrade-function", where=f"function={GATEWAY}")
    (pool,) = await at(GATEWAY)
    assert f"{9:064x}" in (await system.carries(GATEWAY))[deployment_path(GATEWAY, pool)]["image"]
    await system.play("revert-function", where=f"function={GATEWAY}")
    assert f"{8:064x}" in (await system.carries(GATEWAY))[deployment_path(GATEWAY, pool)]["image"]
    stations = tmp_path / "network" / "stations.csv"
    stations.write_text(stations.read_text(encoding="utf-8").replace(GATEWAY, ""), encoding="utf-8")
    system.load(tmp_path / "network")
    nodes = len(system.store.ledger.find([GATEWAY])[GATEWAY])
    await system.play("terminate-function", function=GATEWAY, nodes=nodes)
    assert not system.store.ledger.find([GATEWAY]).get(GATEWAY)
    left = [pool.cluster.list("nfdeployments.workload.nephio.org") for pool in system.fleet.pools.values()]
    assert [one["metadata"]["name"] for found in left for one in found] == [FUNCTION.lower()]
    assert await at(FUNCTION) == ("edge-1",)


async def test_nodes_are_drained_one_after_the_other_and_come_back_into_use(system: Cloud) -> None:
    cluster = system.fleet.pools["edge-1"].cluster

    def pods(node: str) -> list[str]:
        found = [one for one in cluster.list("pods") if one["spec"].get("nodeName") == node]
        return [str(one["metadata"]["labels"]["minka.dev/function"]) for one in found]

    def cordoned() -> dict[str, bool]:
        return {one["metadata"]["name"]: bool(one["spec"].get("unschedulable")) for one in cluster.list("nodes")}

    await system.play("instantiate-function", where=f"function={FUNCTION}")
    before = await system.carries(STATION)
    first, second = ("node-1", "node-2") if pods("node-1") else ("node-2", "node-1")
    run = await system.playbooks().start("drain-node", {"pool": "edge-1", "node": first})
    await system.ends(run)
    # Another node had room: a pod there was ready before the old one went, which its disruption budget saw to.
    assert (pods(first), pods(second), cordoned()) == ([], [FUNCTION], {first: True, second: False})
    deployment = (await system.carries(FUNCTION))[deployment_path(FUNCTION, "edge-1")]
    assert "replicas" not in deployment
    assert await system.carries(STATION) == before
    plan = await undo_plan(system.planner, run.id, {}, "ana")
    await system.ends(submit(system.store, system.wakeups, RunRequest(plan=plan, actor="ana", strategy=Strategy())))
    assert (pods(second), cordoned()) == ([FUNCTION], {first: False, second: False})
    # Where no other node takes it, since people took that out of use, it goes to the other pool, which is made ready.
    assert "edge-2" not in system.store.ledger.find(["edge-2"])
    node = cluster.edited(cluster.get("nodes", "", first) or {})
    node["spec"]["unschedulable"] = True
    cluster.update("nodes", node, manager="kubectl")
    await system.play("drain-node", pool="edge-1", node=second)
    assert (pods(first), pods(second), cordoned()) == ([], [], {first: True, second: True})
    assert pools_of(await system.carries(FUNCTION)) == ("edge-2",)
    assert await system.carries(STATION) == before
    # What people decide of a node is no drift, and stays when Minka gives its node up.
    node = cluster.edited(cluster.get("nodes", "", second) or {})
    del node["spec"]["unschedulable"]
    cluster.update("nodes", node, manager="kubectl")
    await system.play("repair-drift", where="pool=edge-1")
    assert cordoned() == {first: True, second: False}
    await system.play("uncordon-node", pool="edge-1", node=second)
    assert cordoned() == {first: True, second: False}
    assert not [path for path in system.store.ledger.find(["edge-1"])["edge-1"] if "Node[" in path]


async def test_a_node_that_lost_its_clock_is_drained_once_somebody_agrees(system: Cloud) -> None:
    pool = system.fleet.pools["edge-1"]

    def node() -> str:
        return next(str(one["spec"]["nodeName"]) for one in pool.cluster.list("pods"))

    await system.prepare_pools()
    await system.play("instantiate-function", where=f"function={FUNCTION}")
    there = node()
    system.listen()
    system.remediate(chosen=[rule for rule in rules() if rule.name == "ptp-lost"])
    pool.begin_fault("ptp-lost", there)
    alarm = await system.ended("edge-1", AlarmState.ESCALATED)
    assert (alarm.object, alarm.object_class, alarm.functions) == (there, ObjectClass.NODE, (FUNCTION,))
    assert set(alarm.tenants) == {"andes", "condor"}
    # Its station serves still, and would not for as long as its function moves.
    assert "it needs people's consent" in alarm.note
    assert {one.root for one in system.alarms(STATION) if one.probable_cause == "3gpp-timing-problem"} == {alarm.id}
    await system.play("drain-node", pool="edge-1", node=there)
    assert node() != there

    async def over() -> bool:
        return system.alarms("edge-1")[-1].cleared is not None

    await until("nothing that needs a clock is on the node", over)
