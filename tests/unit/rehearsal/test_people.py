"""When people know of a fault that no repair ended: by its place, and while it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.models.alarm import BACKHAUL_DOWN, CELL_OFF_AIR, CORE_NODE_DOWN, UNREACHABLE
from controller.rehearsal.judge import median_of
from controller.rehearsal.people import Told, Word, told_of
from controller.rehearsal.truth import StruckFault
from simulators.network import read_network
from tests.unit.intent.test_roots import alarm

MINI = read_network(Path(__file__).parents[3] / "deploy" / "networks" / "peru-mini")
END = 10_000.0
#: A node with these stations below it, and one beside it.
NODE, BELOW, BESIDE = "microwave-ucayali-01-1", "PE-UCA-0001", "PE-CUS-0145"
assert next(one for one in MINI.stations if one.id == BELOW).backhaul in MINI.below(NODE)


def word(at: float, station: str = BELOW, *, calls: bool = False, **of: Any) -> Word:
    return Word(at, alarm(station, **{"object": f"{station}/1", "probable_cause": CELL_OFF_AIR, **of}), calls)


def told(one: StruckFault, *words: Word) -> Told:
    return told_of([one], words, MINI, END)


def fault(kind: str = "vswr", target: str = "", since: float = 100.0, ended: float | None = None) -> StruckFault:
    station = "" if kind in ("cut", "lost-core") else BELOW
    return StruckFault("0", kind, station, target, since, ended=ended)


def test_the_first_alarm_and_the_first_call_at_the_place_count() -> None:
    said = (word(160), word(170), word(400, calls=True), word(900, calls=True))
    assert told(fault(), *said) == Told(60, 300)
    assert told(fault(), word(160, BESIDE), word(200, BESIDE, calls=True)) == Told(None, None)


@pytest.mark.parametrize(("at", "known"), [(99.9, None), (100.0, 0.0), (499.9, 399.9), (500.0, None)])
def test_what_is_said_before_a_fault_or_when_it_is_over_tells_nobody_of_it(at: float, known: float | None) -> None:
    found = told(fault(ended=500.0), word(at, calls=True))
    assert found.called == (None if known is None else pytest.approx(known))


def test_what_is_said_after_the_day_does_not_count() -> None:
    assert told(fault(), word(END, calls=True)).called is None
    assert told(fault(ended=END + 50), word(END + 10, calls=True)).called is None


def test_a_cut_is_known_by_the_node_or_one_below_it_or_by_stations_that_cannot_be_reached() -> None:
    def lost(node: str) -> Word:
        return word(150, "", probable_cause=BACKHAUL_DOWN, object=node)

    assert told(fault("cut", NODE), lost(NODE)).alarm == 50
    assert told(fault("cut", NODE), lost("microwave-ucayali-01-2")).alarm == 50
    assert told(fault("cut", NODE), lost("fibre-cusco")).alarm is None
    assert told(fault("cut", NODE), word(150, probable_cause=UNREACHABLE)).alarm == 50
    assert told(fault("cut", NODE), word(150, BESIDE, probable_cause=UNREACHABLE)).alarm is None
    assert told(fault("cut", NODE), word(150)).alarm is None, "a cell there has its own fault"


def test_a_lost_core_is_known_by_its_nodes() -> None:
    def lost(tenant: str) -> Word:
        return word(130, "", probable_cause=CORE_NODE_DOWN, object="x-mme", tenant=tenant)

    assert told(fault("lost-core", "claro"), lost("claro")).alarm == 30
    assert told(fault("lost-core", "claro"), lost("bitel")).alarm is None
    assert told(fault("lost-core", "claro"), word(130, tenant="claro")).alarm is None


def test_of_a_cause_with_several_stations_the_first_that_is_known_counts_from_when_it_struck() -> None:
    members = [fault(since=200.0), StruckFault("0", "mains-failure", BESIDE, "", 100.0)]
    assert told_of(members, [word(250), word(260, BESIDE)], MINI, END).alarm == 150


def test_the_median_is_of_those_that_are_known() -> None:
    assert median_of([None, 30.0, 10.0, 20.0]) == 20.0
    assert median_of([None]) is None
