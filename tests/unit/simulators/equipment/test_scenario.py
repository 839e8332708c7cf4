"""Scenarios: read with line numbers, played on the clock, and the same bytes from the same seed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from simulators.clock import VirtualClock
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.scenario import ScenarioError, read_scenario
from simulators.history import EventKind, json_lines
from simulators.network import read_network
from tests.unit.simulators.equipment.stations import configure
from tests.unit.simulators.netconf.bench import TINY, cell, enb, link

NETWORK = read_network(TINY)
NIGHT = """\
scenario: a bad night
seed: "42"
events:
  - {at: 0, edit: cell.xml, stations: T-LTE-1}
  - {at: "00:10:00", fault: mains-failure, where: {backhaul: hub}}
  - {at: 1200, fault: vswr, stations: [T-LTE-1], target: ru-1}
  - {at: "02:00:00", fault: cell-down, where: {region: cusco}}
  - {at: "05:00:00", fault: high-temperature, where: {everywhere: true}, share: 0.5}
  - {at: 90000, clear: vswr, stations: [T-LTE-1]}
  - {at: 90060, restart: now, stations: [T-LTE-1]}
"""


def written(folder: Path, text: str = NIGHT) -> Path:
    (folder / "cell.xml").write_text(enb(cell() + link()))
    path = folder / "night.yaml"
    path.write_text(text)
    return path


def unconnected(seed: str | None = None) -> tuple[Fleet, VirtualClock]:
    clock = VirtualClock()
    return Fleet(NETWORK, FleetSettings(seed=seed), clock), clock


def history(folder: Path, *, seed: str | None = None, hours: float = 30) -> str:
    fleet, clock = unconnected(seed)
    sink = io.StringIO()
    fleet.listen(events=json_lines(sink))
    read_scenario(written(folder), NETWORK, seed).play(fleet)
    clock.advance(hours * 3600)
    return sink.getvalue()


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    first = history(tmp_path)
    assert first == history(tmp_path)
    assert len(first.splitlines()) > 20
    assert first != history(tmp_path, seed="43")


def test_events_happen_in_time_and_in_order(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in history(tmp_path).splitlines()]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    mains = [line for line in lines if line["detail"].get("fault") == "mains-failure"]
    assert {line["station"] for line in mains} == set(NETWORK_IDS)
    assert {line["time"] for line in mains if line["kind"] == "network-fault"} >= {"2026-01-01T00:10:00+00:00"}
    kinds = {line["kind"] for line in lines if line["station"] == "T-LTE-1"}
    assert {"running-changed", "network-fault", "alarm-raised", "restarted", "up-again"} <= kinds


NETWORK_IDS = [record.id for record in NETWORK.stations]


def test_faults_of_files_come_and_go(tmp_path: Path) -> None:
    text = """events:
      - {at: 10, fault: file-late, seconds: 60, count: 3, stations: T-LTE-1}
      - {at: 20, fault: file-gone, stations: T-LTE-1}
      - {at: 30, clear: file-gone, stations: T-LTE-1}
    """
    fleet, clock = unconnected()
    read_scenario(written(tmp_path, text), NETWORK).play(fleet)
    clock.advance(25)
    faults = fleet.stations["T-LTE-1"].equipment.file_faults
    assert [(fault.kind, fault.seconds, fault.count) for fault in faults] == [
        ("file-late", 60, 3),
        ("file-gone", 0, None),
    ]
    clock.advance(10)
    assert [fault.kind for fault in faults] == ["file-late"]


def test_what_cannot_strike_is_noted(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in history(tmp_path, hours=3).splitlines()]
    missed = [line for line in lines if line["kind"] == EventKind.NOT_STRUCK]
    assert [(line["station"], line["detail"]["name"]) for line in missed] == [("T-LTE-2", "cell-down")]


def test_share_is_drawn_from_the_seed(tmp_path: Path) -> None:
    text = "events: [{at: 1, fault: fan, where: {everywhere: true}, share: 0.5}]\n"
    path = written(tmp_path, text)
    drawn = {read_scenario(path, NETWORK, str(seed)).events[0].stations for seed in range(20)}
    assert len(drawn) > 1
    assert {len(stations) for stations in drawn} == {2}


def test_backhaul_means_all_below(tmp_path: Path) -> None:
    def stations(node: str) -> tuple[str, ...]:
        path = written(tmp_path, f"events: [{{at: 1, fault: fan, where: {{backhaul: {node}}}}}]\n")
        return read_scenario(path, NETWORK).events[0].stations

    assert stations("hub") == tuple(sorted(NETWORK_IDS))
    assert stations("hill") == ("T-BOTH-1", "T-LTE-2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", ":1: a scenario is a mapping"),
        ("events: [\n", "night.yaml"),
        ("seed: 1\n", "events is a list"),
        ("colour: red\nevents: []\n", ":1: 'colour' is none of"),
        ("events:\n  - {at: 1, fault: fan, stations: [NOPE]}\n", ":2: network tiny has no station NOPE"),
        ("events:\n\n  - at: soon\n    fault: fan\n    stations: T-LTE-1\n", ":3: at is a number"),
        ("events:\n  - at: 1\n    stations: T-LTE-1\n    fault: flood\n", ":4: no network fault is called 'flood'"),
        ("events:\n  - {at: 1, fault: fan}\n", ":2: an event has either stations or where"),
        ("events:\n  - {at: 1, fault: fan, where: {region: x}}\n", ":2: no station has region x"),
        ("events:\n  - {at: 1, fault: fan, where: {moon: x}}\n", ":2: where has exactly one of"),
        ("events:\n  - {at: 1, stations: T-LTE-1}\n", ":2: an event has exactly one of"),
        ("events:\n  - {at: 1, fault: fan, where: {everywhere: true}, share: 2}\n", ":2: share is above 0"),
        ("events:\n  - {at: 1, edit: none.xml, stations: T-LTE-1}\n", ":2: none.xml is no XML file"),
        ("events:\n  - {at: 1, fault: fan, stations: T-LTE-1, cell: 1}\n", ":2: 'cell' is none of"),
        ("events:\n  - {at: 1, fault: file-late, stations: T-LTE-1}\n", ":2: file-late needs seconds"),
        ("events:\n  - {at: 1, fault: file-gone, count: 0, stations: T-LTE-1}\n", ":2: count is a number of"),
        ("events:\n  - {at: 1, fault: fan, seconds: 1, stations: T-LTE-1}\n", ":2: seconds is for faults of files"),
        ("events:\n  - {at: 1, fault: clock-step, seconds: x, stations: T-LTE-1}\n", ":2: seconds is a number"),
        ("events: [3]\n", "an event is a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message.replace("'", ".")) as caught:
        read_scenario(written(tmp_path, text), NETWORK)
    assert "night.yaml" in str(caught.value)


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    text = "events:\n  - {at: x, fault: y, stations: z}\n  - {at: 1, fault: fan, stations: T-LTE-1, a: b}\n"
    with pytest.raises(ScenarioError) as caught:
        read_scenario(written(tmp_path, text), NETWORK)
    assert len(str(caught.value).splitlines()) == 4


def test_a_day_of_a_network_costs_moments(tmp_path: Path) -> None:
    fleet, clock = unconnected()
    for station in fleet.stations.values():
        if station.id.startswith("T-LTE"):
            configure(station, enb(cell(), station.id))
    read_scenario(written(tmp_path), NETWORK).play(fleet)
    clock.advance(24 * 3600)
    assert clock.monotonic() == 24 * 3600


def test_a_cut_takes_what_hangs_below_off_the_net_until_it_is_mended(tmp_path: Path) -> None:
    story = """\
events:
  - {at: 0, edit: cell.xml, stations: T-LTE-1}
  - {at: 600, cut: hub}
  - {at: 1200, restore: hub}
"""
    fleet, clock = unconnected()
    read_scenario(written(tmp_path, story), NETWORK).play(fleet)
    clock.advance(700)
    assert "T-LTE-1" in fleet.transport.off_net()
    (alarm,) = fleet.stations["T-LTE-1"].equipment.alarms.active
    assert "core link" in alarm.text
    clock.advance(600)
    assert fleet.transport.off_net() == []
    assert not list(fleet.stations["T-LTE-1"].equipment.alarms.active)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("{at: 1, cut: nowhere}", "no backhaul node nowhere"),
        ("{at: 1, cut: hub, stations: [T-LTE-1]}", "cut names a node and nothing else"),
        ("{at: 1, restore: hub, share: 0.5}", "restore names a node and nothing else"),
    ],
)
def test_a_cut_names_a_node_and_nothing_else(tmp_path: Path, event: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=f":2: .*{said}"):
        read_scenario(written(tmp_path, f"events:\n  - {event}\n"), NETWORK)
