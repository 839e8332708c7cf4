"""The shipped sample networks keep all contracts, before and after the demo's new agreement."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from controller.intent import compile_intent
from controller.intent.placement import place
from controller.inventory.load import load_network
from controller.models.facts import BroadcastFact, Fact
from controller.models.network import Network, Rat
from controller.rehearsal.twin import provisioned
from simulators.clock import VirtualClock
from simulators.network import Surroundings, read_network
from simulators.station import Station, StationSettings

NETWORKS = Path(__file__).parents[3] / "deploy" / "networks"
TODAY = date(2026, 6, 15)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("peru", ["45 satellite links of 20 Mbit/s ("]),  # a hop to a satellite is what there is in the jungle
        ("peru-mini", ["1 satellite link of 20 Mbit/s (satellite-ucayali-01)"]),
        ("peru-virtual", []),
    ],
)
def test_no_findings_but_of_satellite_links(name: str, said: list[str]) -> None:
    network = load_network(NETWORKS / name)
    intent = compile_intent(network, TODAY)
    assert [(one.code, one.severity) for one in intent.findings] == [("backhaul-capacity", "warning")] * len(said)
    assert all(one.message.startswith(start) for one, start in zip(intent.findings, said, strict=True))
    assert set(intent.facts) == set(network.station_by_id)
    broadcasts = [fact for facts in intent.facts.values() for fact in facts if isinstance(fact, BroadcastFact)]
    on_air = {(fact.station, fact.cell) for fact in broadcasts if fact.station not in network.central_units}
    assert on_air == {(cell.station, cell.id) for cell in network.cells}
    # One tenant has tracking areas and node ids of its own in one region, in all cells that it is on.
    theirs = [
        f for facts in intent.facts.values() for f in facts if isinstance(f, BroadcastFact) and "bitel" in f.owners
    ]
    assert {network.region_of(f.station) for f in theirs if f.own is not None} == (
        {"tumbes"} if name == "peru" else set()
    )
    assert not [f for f in theirs if f.own is None and network.region_of(f.station) == "tumbes"]


def test_the_demo_brings_entel_onto_all_stations_of_cusco_and_changes_nothing_else(tmp_path: Path) -> None:
    shutil.copytree(NETWORKS / "peru-mini", tmp_path / "network")
    before = load_network(tmp_path / "network")
    shutil.copy(NETWORKS / "peru-mini-add-entel.yaml", tmp_path / "network" / "add-entel.yaml")
    network = load_network(tmp_path / "network")
    old, new = compile_intent(before, TODAY), compile_intent(network, TODAY)
    assert [one.code for one in new.findings] == ["backhaul-capacity"]
    gained = {station: set(new.facts[station]) - set(old.facts[station]) for station in new.facts}
    assert {station for station, facts in gained.items() if facts} == {
        station for station in network.station_by_id if network.region_of(station) == "cusco"
    }
    assert all(_is_entels(fact) for facts in gained.values() for fact in facts)
    assert all(set(old.facts[station]) <= set(new.facts[station]) for station in old.facts)


def _is_entels(fact: Fact) -> bool:
    return fact.owners == ("entel",)


def test_functions_of_the_demo_run_at_both_edges(tmp_path: Path) -> None:
    shutil.copytree(NETWORKS / "peru-mini", tmp_path / "network")
    shutil.copy(NETWORKS / "peru-mini-add-edge.yaml", tmp_path / "network" / "add-edge.yaml")
    network = load_network(tmp_path / "network")
    assert [one.code for one in compile_intent(network, TODAY).findings] == ["backhaul-capacity"]
    placed = place(network, TODAY)
    assert {choice.pool for choice in placed.choices.values()} == {"edge-pucallpa-1", "edge-pucallpa-2"}
    assert len(placed.choices) == len(network.functions) == 3


def test_all_functions_of_the_virtual_network_have_a_pool() -> None:
    network = load_network(NETWORKS / "peru-virtual")
    placed = place(network, TODAY)
    assert [choice.reason for choice in placed.unplaced] == []
    assert len(placed.choices) == len(network.functions)
    assert placed.choices["UP-LIM-ENTEL"].pool == "regional-lima"


def test_each_tenant_carries_traffic_in_each_cell_and_nr_beside_lte_only_by_its_anchors() -> None:
    network = load_network(NETWORKS / "peru-mini")
    facts = compile_intent(network, TODAY).facts
    on_air = {(f.station, f.cell, f.plmn) for of in facts.values() for f in of if isinstance(f, BroadcastFact)}
    assert _carried(network) == on_air

    dependent = tuple(station for station in network.stations if not network.is_standalone(station))
    without = _carried(network.model_copy(update={"stations": dependent, "neighbours": ()}))
    nr = {(cell.station, cell.id) for cell in network.cells if cell.rat is Rat.NR}
    here = {one for one in on_air if one[0] in {station.id for station in dependent}}
    assert {one[:2] for one in here - without} == {one[:2] for one in here} & nr
    assert here - without == {one for one in here if one[:2] in nr}


def _carried(network: Network) -> set[tuple[str, str, str]]:
    """PLMNs that carry traffic, by station and cell, on simulated stations that were configured as the files say."""
    twin, found = read_network(NETWORKS / "peru-mini"), set()
    clock = VirtualClock()
    configs = provisioned(network, twin, TODAY)
    around = Surroundings.of(twin)
    for record in (replace(one, population=5000) for one in twin.stations if one.id in configs):
        station = Station(record, twin.cores, clock, StationSettings(settle_seconds=1), around)
        station.datastores.load_saved(configs[record.id])
        clock.advance(1800)
        for name, counters in station.equipment.performance.measure().values.items():
            for counter, value in counters.items():
                told = re.match(r"DRB\.PdcpSduVolumeD[lL]\.(\d+-\d+)\.", counter)
                if told and value > 0:
                    found.add((record.id, name.rpartition("=")[2], told[1]))
    return found
