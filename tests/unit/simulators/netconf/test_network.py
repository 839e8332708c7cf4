"""The simulators' own reader of network files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simulators.network import NetworkFileError, read_network
from tests.unit.simulators.netconf.bench import tiny

HEADER = "network: {id: x, name: X, country: PE, timezone: America/Lima}\n"
TENANT = "- {id: t, name: T, plmns: ['999-01'], core: {vlan: 7, mme_pool: [{id: m, address: 10.0.0.1}]}}"
STATION = {"id": "S", "site": "s", "profiles": "lte-28658", "transport_address": "10.1.0.1"}


def test_the_tiny_network() -> None:
    network = tiny()
    assert network.id == "tiny"
    assert [station.id for station in network.stations] == ["T-BOTH-1", "T-LTE-1", "T-LTE-2", "T-NR-1"]
    both = network.stations[0]
    assert both.profiles == ("lte-28658", "nr-28541")
    assert both.cells == ("1", "n78-1")
    assert [(core.tenant, core.vlan) for core in network.cores] == [("andes", 101), ("condor", 102), ("vicuna", 103)]
    assert network.cores[0].mme == {"10.41.0.1", "10.41.0.2"}
    assert network.endpoints["T-NR-1"].port == 8300


def test_yaml_at_any_depth_and_csv_go_together(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "net.yaml").write_text(HEADER)
    (tmp_path / "a" / "tenants.yaml").write_text(f"tenants:\n  {TENANT}\nregions: []\n")
    (tmp_path / "a" / "b" / "more.yaml").write_text(f"stations:\n  - {STATION}\n")
    (tmp_path / "a" / "stations.csv").write_text(
        "id,site,profiles,transport_address\nR,s,lte-28658 nr-28541,10.1.0.2\n"
    )
    (tmp_path / "a" / "other.csv").write_text("id\nnot-a-station\n")
    network = read_network(tmp_path)
    assert [(station.id, station.profiles) for station in network.stations] == [
        ("R", ("lte-28658", "nr-28541")),
        ("S", ("lte-28658",)),
    ]
    assert network.endpoints == {}


def test_another_endpoints_file_replaces_the_network_s(tmp_path: Path) -> None:
    from tests.unit.simulators.netconf.bench import TINY

    other = tmp_path / "lab.csv"
    other.write_text("station,address,port,host_key\nT-LTE-1,10.0.0.1,,\n")
    network = read_network(TINY, other)
    assert {name: (e.address, e.port) for name, e in network.endpoints.items()} == {"T-LTE-1": ("10.0.0.1", 830)}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "0 network headers"),
        ({"a.yaml": HEADER, "b.yaml": HEADER}, "2 network headers"),
        ({"a.yaml": "[1"}, "a.yaml"),
        ({"a.yaml": "- 1\n"}, "not a mapping"),
        ({"a.yaml": HEADER, "stations.csv": "id,site\nS,s\n"}, "lacks transport_address"),
        ({"a.yaml": HEADER, "endpoints.csv": "station,address,port\nS,a,many\n"}, "no whole number"),
        ({"a.yaml": HEADER, "b.yaml": "stations: [7]\n"}, "no list of mappings"),
        ({"a.yaml": HEADER, "b.yaml": "stations: {}\ncells: S\n"}, "no list of mappings"),
        ({"a.yaml": HEADER, "b.yaml": "stations: [{id: ''}]\n"}, "lacks id"),
        ({"a.yaml": HEADER, "stations.csv": b"id,site\n\xff\xfe,s\n"}, "stations.csv"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(NetworkFileError, match=message):
        read_network(tmp_path)


@pytest.mark.parametrize("name", ["stations.csv", "stations.yaml"])
def test_a_fifo_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(NetworkFileError, match=rf"{name} is not a regular file"):
        read_network(tmp_path)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(NetworkFileError, match="not a directory"):
        read_network(tmp_path / "nowhere")
