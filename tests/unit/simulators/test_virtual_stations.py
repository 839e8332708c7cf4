"""Stations that are made of functions: there while a pod of theirs is ready, and factory-fresh each time."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from simulators.clock import VirtualClock
from simulators.cloud.behaviour.controller import NF_DEPLOYMENTS
from simulators.connections import Outage
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.scenario import ScenarioError, read_scenario
from simulators.history import EventKind, json_lines
from simulators.network import FunctionRecord, NodeRecord, PoolRecord, SimulatedNetwork, read_network
from simulators.station import Station
from tests.unit.simulators.cloud.behaviour.bench import API, CU, DU, PACKAGE, PACKAGES, START
from tests.unit.simulators.equipment.stations import SETTLED, configure_nr
from tests.unit.simulators.netconf.bench import TINY

STATION = "T-NR-1"
#: Seconds until a function serves: pull, start, and some more.
SERVES = START + 20


def network() -> SimulatedNetwork:
    """The tiny network, with one station made of a DU, a CU-CP, the host's CU-UP and one of condor's own."""
    tiny = read_network(TINY)
    nodes = tuple(NodeRecord(f"node-{number}", 32, 256, 32, 4, ptp=True) for number in range(2))
    packages = {package.id: package for package in PACKAGES}
    packages["acme-up-1"] = replace(packages["acme-cu-1"], id="acme-up-1", kind="vcu-up", image=f"{CU[:-1]}e")
    functions = [
        FunctionRecord("DU-1", "acme-du-1", stations=(STATION,)),
        FunctionRecord("CP-1", "acme-cu-1", stations=(STATION,)),
        FunctionRecord("UP-1", "acme-up-1", stations=(STATION,)),
        FunctionRecord("UP-CONDOR", "acme-up-1", "condor", stations=(STATION,)),
    ]
    names = tuple(function.id for function in functions)
    stations = [replace(one, functions=names) if one.id == STATION else one for one in tiny.stations]
    pools = tuple(PoolRecord(f"edge-{number}", "127.0.0.1", 0, "edge", "cusco", "", nodes) for number in (1, 2))
    return replace(tiny, stations=tuple(stations), pools=pools, packages=packages, functions=tuple(functions))


class Bench:
    """A fleet without clients, whose functions come and go."""

    def __init__(self, files: SimulatedNetwork | None = None) -> None:
        self.clock = VirtualClock()
        self.fleet = Fleet(files or network(), FleetSettings(), self.clock)

    @property
    def station(self) -> Station:
        return self.fleet.stations[STATION]

    @property
    def outage(self) -> Outage | None:
        return self.fleet.transport.connections[STATION].outage

    def deploy(self, *functions: str, pool: str = "edge-1", image: str = DU, seconds: float = SERVES) -> None:
        cluster = self.fleet.pools[pool].cluster
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "minka-host"}}
        if cluster.get("namespaces", "", "minka-host") is None:
            cluster.create("namespaces", namespace)
        for function in functions:
            chosen = image if function.startswith("DU") else f"{CU[:-1]}e" if function.startswith("UP") else CU
            spec = {"provider": PACKAGE.get(chosen, "acme-up-1"), "image": chosen, "replicas": 1}
            metadata = {"namespace": "minka-host", "name": function.lower()}
            made = {"apiVersion": API, "kind": "NFDeployment", "metadata": metadata, "spec": spec}
            cluster.create(NF_DEPLOYMENTS, made)
        self.clock.advance(seconds)

    def delete(self, function: str, pool: str = "edge-1") -> None:
        self.fleet.pools[pool].cluster.delete(NF_DEPLOYMENTS, "minka-host", function.lower())
        self.clock.advance(20)

    def node_of(self, function: str) -> str:
        pods = self.fleet.pools["edge-1"].cluster.list("pods", labels=f"app.kubernetes.io/instance={function.lower()}")
        return str(pods[0]["spec"]["nodeName"])

    def configure(self) -> None:
        configure_nr(self.station)
        self.clock.advance(SETTLED)


def test_a_station_is_there_when_its_function_is_ready() -> None:
    bench = Bench()
    assert bench.outage is Outage.REFUSAL
    assert bench.fleet.transport.connections["T-LTE-1"].outage is None
    bench.deploy("DU-1", seconds=10)
    assert bench.outage is Outage.REFUSAL
    bench.clock.advance(SERVES)
    assert bench.outage is None
    assert bench.station.equipment.software.version == "1.0.0"
    assert [event.kind for event in bench.station.history.events()][-2:] == [EventKind.INSTANTIATED, EventKind.UP_AGAIN]


def test_a_station_comes_from_the_factory_each_time() -> None:
    bench = Bench()
    bench.deploy("DU-1", "CP-1", "UP-1", "UP-CONDOR")
    factory = bench.station.running
    bench.configure()
    assert bench.station.summary()["cells_on_air"] == 1
    node = bench.node_of("DU-1")
    bench.fleet.pools["edge-1"].begin_fault("node-lost", node)
    assert bench.outage is Outage.SILENCE
    assert bench.station.summary()["cells_on_air"] == 0
    bench.clock.advance(120)
    assert bench.outage is None
    assert bench.station.running == factory
    bench.configure()
    assert bench.station.summary()["cells_on_air"] == 1


def test_the_first_pod_keeps_the_address_until_it_is_gone() -> None:
    bench = Bench()
    bench.deploy("DU-1")
    bench.configure()
    configured = bench.station.running
    bench.deploy("DU-1", pool="edge-2")
    assert bench.station.running == configured
    bench.delete("DU-1")
    assert bench.outage is None
    assert bench.station.running != configured
    bench.delete("DU-1", "edge-2")
    assert bench.outage is Outage.REFUSAL


def test_power_at_the_site_does_not_bring_a_station_without_a_pod() -> None:
    bench = Bench()
    bench.deploy("DU-1")
    bench.delete("DU-1")
    bench.station.restart()
    fault = bench.station.equipment.begin_fault("mains-failure")
    bench.clock.advance(6 * 3600)
    bench.station.equipment.faults.end(fault)
    bench.clock.advance(60)
    assert bench.station.equipment.down


def test_core_links_need_the_control_plane_and_each_tenant_its_user_plane() -> None:
    bench = Bench()
    bench.deploy("DU-1", "UP-1", "UP-CONDOR")
    bench.configure()
    assert bench.station.summary()["links_up"] == 0
    bench.deploy("CP-1")
    assert bench.station.summary()["links_up"] == 4
    bench.delete("UP-CONDOR")
    assert bench.station.summary()["links_up"] == 3, "condor has no user plane, whatever the host has"
    bench.delete("UP-1")
    assert bench.station.summary()["links_up"] == 2
    bench.delete("CP-1")
    assert bench.station.summary()["links_up"] == 0
    assert bench.station.summary()["cells_on_air"] == 1


def test_what_is_no_gnbs_needs_no_cu() -> None:
    bench = Bench()
    bench.deploy("DU-1")
    (record,) = [one for one in network().stations if one.id == STATION]
    core = network().cores[0]
    ways = {one: bench.fleet.transport.carries(record, core.tenant, one) for one in (*core.mme, *core.amf, *core.upf)}
    assert ways == {**dict.fromkeys(core.mme, True), **dict.fromkeys((*core.amf, *core.upf), False)}


def test_a_pool_hangs_on_the_backhaul_of_its_site_and_stations_on_their_pool() -> None:
    tiny = network()
    stations = tuple(
        replace(one, site="pisac", backhaul="hill")
        if one.id == STATION
        else replace(one, site="ollanta", backhaul="hub")
        for one in tiny.stations
    )
    pools = tuple(replace(pool, site="ollanta") for pool in tiny.pools)
    bench = Bench(replace(tiny, stations=stations, pools=pools))
    reach = bench.fleet.transport.connections
    bench.deploy("DU-1", "CP-1", "UP-1", "UP-CONDOR")
    bench.configure()
    bench.fleet.transport.cut("hub")
    assert (reach["edge-1"].outage, bench.outage) == (Outage.SILENCE, Outage.SILENCE)
    bench.clock.advance(5)
    assert bench.station.summary()["links_up"] == 0
    bench.fleet.transport.restore("hub")
    assert (reach["edge-1"].outage, bench.outage) == (None, None)
    bench.fleet.transport.cut("hill")
    assert (reach["edge-1"].outage, bench.outage) == (None, None)
    bench.clock.advance(5)
    assert bench.station.summary()["links_up"] == 0
    bench.delete("DU-1")
    bench.fleet.transport.restore("hill")
    assert bench.outage is Outage.REFUSAL


def test_a_lost_clock_is_a_fault_of_the_station_until_it_runs_elsewhere() -> None:
    bench = Bench()
    bench.deploy("DU-1")
    pool = bench.fleet.pools["edge-1"]
    node = bench.node_of("DU-1")
    pool.begin_fault("ptp-lost", node)
    assert [fault.kind.name for fault in bench.station.equipment.faults] == ["sync-lost"]
    pool.begin_fault("node-lost", node)
    bench.clock.advance(120)
    assert bench.outage is None
    assert not list(bench.station.equipment.faults)


def test_without_pools_stations_of_functions_are_like_physical_ones() -> None:
    fleet = Fleet(network(), FleetSettings(pools=False), VirtualClock())
    assert not fleet.pools
    assert fleet.transport.connections[STATION].outage is None
    assert not fleet.stations[STATION].equipment.down


def test_functions_outlive_the_fleet_and_their_pods_do_not() -> None:
    before, after = Bench(), Bench()
    before.deploy("DU-1")
    uid = before.fleet.pools["edge-1"].cluster.list(NF_DEPLOYMENTS)[0]["metadata"]["uid"]
    saved = before.fleet.pools["edge-1"].saved
    before.clock.advance(60)
    assert before.fleet.pools["edge-1"].saved is saved
    pool = after.fleet.pools["edge-1"]
    pool.load_saved(before.fleet.pools["edge-1"].saved_text())
    assert pool.cluster.list("pods") == []
    after.clock.advance(SERVES)
    assert after.outage is None
    assert pool.cluster.list(NF_DEPLOYMENTS)[0]["metadata"]["uid"] == uid
    with pytest.raises(ValueError, match="a pool keeps no pods"):
        pool.load_saved('{"pods": []}')


# --------------------------------------------------------------------- scenarios

STORY = """events:
  - {at: 100, fault: node-lost, pools: edge-1, target: node-0}
  - {at: 100, fault: ptp-lost, pools: [edge-1, edge-2]}
  - {at: 150, fault: crash-looping, pools: edge-2}
  - {at: 200, clear: node-lost, pools: edge-1}
  - {at: 201, clear: all, pools: [edge-2]}
  - {at: 210, upgrade: v1.37.0, pools: [edge-2]}
"""


def test_faults_of_pools_are_played_the_same_each_time(tmp_path: Path) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(STORY)

    def played() -> str:
        bench, sink = Bench(), StringIO()
        bench.fleet.listen(events=json_lines(sink))
        read_scenario(file, network()).play(bench.fleet)
        bench.deploy("DU-1", seconds=300)
        return sink.getvalue()

    lines = [json.loads(line) for line in played().splitlines()]
    assert played() == played()
    told = [
        (line["station"], line["kind"], line["detail"].get("fault")) for line in lines if line["station"] != STATION
    ]
    assert ("edge-1", "network-fault", "node-lost") in told
    assert ("edge-2", "network-fault", "ptp-lost") in told
    assert ("edge-2", "not-struck", None) in told, "there is no function"
    assert ("edge-1", "network-fault-ended", "node-lost") in told
    assert ("edge-2", "network-fault-ended", "ptp-lost") in told
    assert ("edge-2", "software", None) in told


def test_a_share_of_the_pools_of_a_place_is_drawn_from_the_seed(tmp_path: Path) -> None:
    file = tmp_path / "story.yaml"
    file.write_text("events: [{at: 1, fault: node-lost, where: {region: cusco}, share: 0.5}]\n")
    drawn = {read_scenario(file, network(), str(seed)).events[0].pools for seed in range(10)}
    assert drawn == {("edge-1",), ("edge-2",)}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("{at: 1, fault: node-lost}", "an event has either pools or where"),
        ("{at: 1, fault: node-lost, where: {region: puno}}", "no pool has region puno"),
        ("{at: 1, fault: node-lost, stations: [T-NR-1]}", "node-lost strikes pools: name them with pools"),
        (
            "{at: 1, fault: vswr, pools: [edge-1]}",
            "pools are upgraded, and have faults that begin and are cleared: node-lost",
        ),
        ("{at: 1, restart: now, pools: [edge-1]}", "pools are upgraded, and have faults that begin"),
        ("{at: 1, upgrade: v1.37.0}", "an event has either pools or where"),
        ("{at: 1, upgrade: v1.37.0, stations: T-NR-1}", "upgrade is for pools: name them with pools, and no stations"),
        ("{at: 1, fault: node-lost, pools: [edge-7]}", "network tiny has no pool edge-7"),
        ("{at: 1, fault: node-lost, pools: [edge-1], target: node-7}", "edge-1 has no node or failure domain node-7"),
    ],
)
def test_what_a_scenario_says_of_pools_is_checked(tmp_path: Path, event: str, message: str) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(f"events:\n  - {event}\n")
    with pytest.raises(ScenarioError, match=message) as error:
        read_scenario(file, network())
    assert f"{file}:2:" in str(error.value)
