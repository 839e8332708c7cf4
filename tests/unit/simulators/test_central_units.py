"""DUs of simulated networks whose central units have endpoints of their own, configured as Minka plans them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.drivers.netconf.codec import encode_edit
from controller.intent import compile_intent
from controller.models.network import Network
from controller.nrm.profiles import render, root_spec
from controller.nrm.tree import Observed
from controller.plan import PlanOptions, StationView, plan_station
from simulators.clock import VirtualClock
from simulators.cloud.behaviour.controller import NF_DEPLOYMENTS
from simulators.datastore import Config
from simulators.equipment.performance import PERIOD
from simulators.equipment.truth import truth_of
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import PoolRecord, SimulatedNetwork, read_network
from simulators.station import Station
from tests.support.network_files import write_network
from tests.unit.intent.clouds import split_gnb

PARTS = ("CP-E", "UP-E", "UP-B-E", "S1", "S2")
HALVES = ("S1.n78-1", "S2.n78-1")
ALFA, BETA = "716-01", "716-02"
PROFILES = ("nr-28541",)
SETTLED = 3.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, SimulatedNetwork]:
    """The network as Minka has it, and as the simulators read it."""
    return written(tmp_path_factory.mktemp("network"))


def written(folder: Path, **agreed: Any) -> tuple[Network, SimulatedNetwork]:
    """Some thousand people live at each site; ``agreed`` is what alfa's agreement has besides."""
    draft = split_gnb(("edge-1", "edge-2")).model_dump(mode="json")
    draft["agreements"][0] |= agreed
    for site in draft["sites"]:
        site["population"] = 20_000
    network = Network.model_validate(draft)
    write_network(network, folder)
    return network, read_network(folder)


class Bench:
    """The gNB, of which nothing is configured yet."""

    def __init__(self, files: tuple[Network, SimulatedNetwork], *, pools: bool = False) -> None:
        self.network, known = files
        self.clock = VirtualClock()
        here = replace(known, pools=tuple(map(_local, known.pools)))
        self.fleet = Fleet(here, FleetSettings(pools=pools), self.clock)
        self.facts = compile_intent(self.network, date(2026, 6, 15)).facts

    def configure(self, *names: str, without: str = "") -> None:
        """Configure stations as a plan of Minka does; nodes with a text in their path are left out."""
        for name in names:
            rendered = render(PROFILES, self.facts[name])
            tree = {path: leaves for path, leaves in rendered.tree.items() if not without or without not in path}
            wanted = replace(rendered, tree=tree, owners={path: rendered.owners[path] for path in tree})
            view = StationView(Observed({f"/ManagedElement[{name}]": {}}), adopted=True, ledger={})
            change = plan_station(name, PROFILES, wanted, view, PlanOptions()).change
            assert change is not None
            for phase in change.phases:
                for element in encode_edit(root_spec(PROFILES), phase.edits):
                    self.fleet.stations[name].datastores.foreign_edit(element)
        self.clock.advance(SETTLED)

    def on_air(self, *names: str) -> list[int]:
        return [self.fleet.stations[name].summary()["cells_on_air"] for name in names]

    def attached(self, name: str) -> set[str]:
        """Tenants whose users can attach."""
        return {tenant for _, tenant in self.fleet.stations[name].equipment.radio.paths.signalling}

    def carried(self, name: str) -> dict[str, float]:
        """How much of each tenant's user traffic gets through."""
        paths = self.fleet.stations[name].equipment.radio.paths
        return {tenant: paths.carried("NR", tenant, "") for tenant in ("alfa", "beta")}

    def drop(self, name: str, end: str) -> None:
        """Somebody deletes an end of an interface at a station."""
        station = self.fleet.stations[name]
        station.overwrite(_without(station, end))
        self.clock.advance(SETTLED)


def _local(pool: PoolRecord) -> PoolRecord:
    return replace(pool, address="127.0.0.1", port=0)


def _without(station: Station, end: str) -> Config:
    """Its configuration without the entries of a list."""
    text = station.running.to_text()
    begin, finish = f"<{end} ", f"</{end}>"
    while begin in text:
        at = text.index(begin)
        text = text[:at] + text[text.index(finish, at) + len(finish) :]
    return Config.from_xml(
        station.schema, f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">{text}</config>'.encode()
    )


def test_cells_are_on_air_once_the_central_unit_has_them(files: tuple[Network, SimulatedNetwork]) -> None:
    bench = Bench(files)
    bench.configure("S1", "S2")
    assert bench.on_air("S1", "S2") == [0, 0]
    assert list(bench.fleet.stations["S1"].equipment.alarms.active)
    bench.configure("CP-E")
    assert bench.on_air("S1", "S2") == [1, 1]
    assert bench.attached("S1") == {"alfa", "beta"}
    assert bench.carried("S1") == {"alfa": 0.0, "beta": 0.0}
    bench.configure("UP-B-E")
    assert bench.carried("S1") == {"alfa": 0.0, "beta": 1.0}
    bench.configure("UP-E")
    assert bench.carried("S1") == bench.carried("S2") == {"alfa": 1.0, "beta": 1.0}
    assert not list(bench.fleet.stations["S1"].equipment.alarms.active)


@pytest.mark.parametrize(
    ("station", "end", "on_air", "carried"),
    [
        ("S1", "EP_F1C", [0, 1], {"alfa": 0.0, "beta": 0.0}),
        ("CP-E", "EP_F1C", [0, 0], {"alfa": 0.0, "beta": 0.0}),
        ("S1", "EP_F1U", [1, 1], {"alfa": 0.0, "beta": 0.0}),
        ("UP-E", "EP_F1U", [1, 1], {"alfa": 0.0, "beta": 1.0}),
        ("UP-B-E", "EP_E1", [1, 1], {"alfa": 1.0, "beta": 0.0}),
        ("CP-E", "EP_E1", [1, 1], {"alfa": 0.0, "beta": 0.0}),
        ("UP-B-E", "EP_NgU", [1, 1], {"alfa": 1.0, "beta": 0.0}),
    ],
)
def test_each_interface_takes_both_ends(
    files: tuple[Network, SimulatedNetwork], station: str, end: str, on_air: list[int], carried: dict[str, float]
) -> None:
    bench = Bench(files)
    bench.configure(*PARTS)
    assert bench.carried("S1") == {"alfa": 1.0, "beta": 1.0}
    bench.drop(station, end)
    assert bench.on_air("S1", "S2") == on_air
    assert bench.carried("S1") == carried


def test_a_user_plane_carries_the_plmns_that_it_has(files: tuple[Network, SimulatedNetwork]) -> None:
    bench = Bench(files)
    bench.configure("S1", "CP-E", "UP-E")
    bench.configure("UP-B-E", without="pLMNInfoList[")
    assert bench.carried("S1") == {"alfa": 1.0, "beta": 0.0}


def test_a_central_unit_lives_in_its_function_and_comes_from_the_factory(
    files: tuple[Network, SimulatedNetwork],
) -> None:
    bench = Bench(files, pools=True)
    connections = bench.fleet.transport.connections
    assert {name for name in PARTS if connections[name].outage is not None} == {*PARTS}
    deploy(bench, ["CP", "UP", "UP-B", "DU-1", "DU-2"], replicas=1)
    assert not {name for name in PARTS if connections[name].outage is not None}
    bench.configure(*PARTS)
    assert bench.on_air("S1", "S2") == [1, 1]
    cluster = bench.fleet.pools["edge-1"].cluster
    cluster.delete(NF_DEPLOYMENTS, "minka-host", "up")
    bench.clock.advance(20)
    assert bench.on_air("S1", "S2") == [1, 1]
    assert bench.carried("S1") == {"alfa": 0.0, "beta": 1.0}
    cluster.delete(NF_DEPLOYMENTS, "minka-host", "cp")
    bench.clock.advance(20)
    assert bench.on_air("S1", "S2") == [0, 0]
    deploy(bench, ["CP", "UP"], replicas=1)
    assert bench.on_air("S1", "S2") == [0, 0]
    bench.configure("CP-E", "UP-E")
    assert bench.on_air("S1", "S2") == [1, 1]
    assert bench.carried("S1") == {"alfa": 1.0, "beta": 1.0}


def test_a_replica_that_is_left_keeps_what_the_central_unit_carries(files: tuple[Network, SimulatedNetwork]) -> None:
    bench = Bench(files, pools=True)
    deploy(bench, ["CP"], replicas=2)
    bench.configure("CP-E")
    configured = bench.fleet.stations["CP-E"].running
    cluster = bench.fleet.pools["edge-1"].cluster
    for pod in cluster.list("pods", labels="app.kubernetes.io/instance=cp")[:1]:
        cluster.delete("pods", "minka-host", pod["metadata"]["name"])
    bench.clock.advance(60)
    assert bench.fleet.stations["CP-E"].running == configured


def deploy(bench: Bench, functions: Iterable[str], replicas: int) -> None:
    cluster = bench.fleet.pools["edge-1"].cluster
    if cluster.get("namespaces", "", "minka-host") is None:
        cluster.create("namespaces", {"metadata": {"name": "minka-host"}})
    for name in functions:
        package = bench.network.package_by_id[bench.network.function_by_id[name].package]
        cluster.create(
            NF_DEPLOYMENTS,
            {
                "apiVersion": "workload.nephio.org/v1alpha1",
                "kind": "NFDeployment",
                "metadata": {"namespace": "minka-host", "name": name.lower()},
                "spec": {"provider": package.id, "image": package.image, "replicas": replicas},
            },
        )
    bench.clock.advance(package.start_seconds + 120)


def counted(bench: Bench, name: str) -> dict[str, dict[str, float]]:
    """Counters of a station in a full period from now on, by object."""
    bench.clock.advance(2 * PERIOD - bench.clock.now().timestamp() % PERIOD)
    return bench.fleet.stations[name].equipment.performance.measure().values


def total(counters: dict[str, float], family: str) -> float:
    """Of all causes and members."""
    return sum(value for name, value in counters.items() if f"{name}.".startswith(f"{family}."))


def test_the_control_plane_counts_the_central_halves_of_all_its_cells(
    files: tuple[Network, SimulatedNetwork],
) -> None:
    bench = Bench(files)
    bench.configure(*PARTS)
    central, du = counted(bench, "CP-E"), counted(bench, "S1")
    assert sorted(central) == [f"ManagedElement=CP-E,GNBCUCPFunction=1,NRCellCU={name}" for name in HALVES]
    for counters in central.values():
        assert total(counters, "RRC.ConnEstabSucc") > 0.9 * total(counters, "RRC.ConnEstabAtt") > 0
        assert total(counters, "DRB.EstabAtt") > 0
        assert not total(counters, "DRB.PdcpSduVolumeDL"), "PDCP of users does not end there"
    assert {name.rpartition(",")[2].partition("=")[0] for name in du} == {"NRCellDU"}
    bench.drop("S1", "EP_F1C")
    left, right = counted(bench, "CP-E"), bench.fleet.stations["CP-E"].equipment.performance.measure()
    assert [name.rpartition("=")[2] for name in left] == [HALVES[1]]
    assert not right.suspect


@pytest.mark.parametrize("resource", ["RRC", "DRB"])
def test_shares_at_central_units_divide_what_their_cells_give(
    files: tuple[Network, SimulatedNetwork], tmp_path: Path, resource: str
) -> None:
    divided = Bench(written(tmp_path, shares=[{"resource": resource, "max": 1}]))
    divided.configure(*PARTS)
    assert ("CP-E" if resource == "RRC" else "UP-E") in holding(divided, resource)
    free = Bench(files)
    free.configure(*PARTS)
    before, after = counted(free, "CP-E"), counted(divided, "CP-E")
    tried = "RRC.ConnEstab" if resource == "RRC" else "DRB.Estab"
    assert sorted(after) == sorted(before)
    for name, counters in after.items():
        assert total(before[name], f"{tried}Succ") > 0.9 * total(before[name], f"{tried}Att")
        assert 0 < total(counters, f"{tried}Succ") < 0.9 * total(counters, f"{tried}Att")
    volumes = [carried_volume(bench, "UP-E", ALFA) for bench in (free, divided)]
    assert 0 < volumes[1] < 0.9 * volumes[0]
    others = [carried_volume(bench, "UP-B-E", BETA) for bench in (free, divided)]
    assert 0 < others[0] == pytest.approx(others[1])


def carried_volume(bench: Bench, unit: str, plmn: str) -> float:
    """Mbit that a user plane counted down for a PLMN in the latest period."""
    (counters,) = bench.fleet.stations[unit].equipment.performance.measure().values.values()
    return total(counters, f"QosFlow.PdcpSduVolumeDL.{plmn}")


def test_each_user_plane_counts_the_volume_that_it_carries_as_it_really_was(
    files: tuple[Network, SimulatedNetwork],
) -> None:
    bench = Bench(files)
    bench.configure(*PARTS)
    units = {"UP-E": ALFA, "UP-B-E": BETA}
    counted(bench, "UP-E")
    end = bench.fleet.stations["UP-E"].equipment.performance.period_begin()
    really: defaultdict[tuple[str, str, int, str], float] = defaultdict(float)
    for du in ("S1", "S2"):
        truth = truth_of(bench.fleet.stations[du].equipment.performance, end - timedelta(seconds=PERIOD), end)
        for (_, plmn, slice_, qci), (down, up) in truth.volume.items():
            really["DL", plmn, qci, slice_] += down
            really["UL", plmn, qci, slice_] += up
    assert min(really.values()) > 0
    for unit, own in units.items():
        ((name, counters),) = bench.fleet.stations[unit].equipment.performance.measure().values.items()
        assert name == f"ManagedElement={unit},GNBCUUPFunction=1"
        wanted = {
            f"QosFlow.PdcpSduVolume{way}.{plmn}.{qci}.{slice_}": value
            for (way, plmn, qci, slice_), value in really.items()
            if plmn == own
        }
        assert counters == pytest.approx(wanted, rel=1e-6, abs=1e-5)


def holding(bench: Bench, resource: str) -> set[str]:
    """Stations that have a share of a resource."""
    stations = bench.fleet.stations.items()
    return {name for name, one in stations if f"<resourceType>{resource}<" in one.running.to_text()}
