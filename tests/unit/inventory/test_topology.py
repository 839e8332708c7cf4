"""The backhaul tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.inventory.load import load_network
from controller.inventory.topology import Topology
from controller.models.errors import NotFoundError
from tests.unit.inventory.files import write


def test_follows_the_tree_both_ways(tmp_path: Path) -> None:
    topology = Topology(load_network(write(tmp_path)))

    assert [node.id for node in topology.path_to_core("PE-CUS-0001")] == ["hill", "core"]
    assert topology.path_to_core("PE-PUN-0001") == ()
    assert topology.node_of("PE-PUN-0001") is None
    assert topology.stations_below("core") == ("PE-CUS-0001",)
    assert topology.stations_below("peak") == ()


def test_names_what_is_not_there(tmp_path: Path) -> None:
    topology = Topology(load_network(write(tmp_path)))

    with pytest.raises(NotFoundError, match="no such station: PE-XXX-1"):
        topology.path_to_core("PE-XXX-1")
    with pytest.raises(NotFoundError, match="no such backhaul node: hil"):
        topology.stations_below("hil")


def test_every_station_of_the_sample_reaches_the_core_and_is_found_below_its_path() -> None:
    network = load_network(Path("deploy/networks/peru-mini"))
    topology = Topology(network)

    for station in network.stations:
        path = topology.path_to_core(station.id)
        assert path[-1].id == "core-lima"
        assert all(station.id in topology.stations_below(node.id) for node in path)
