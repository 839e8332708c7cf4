"""What may go wrong with measurement files."""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.equipment.file_faults import FileFault, FileFaultKind
from simulators.equipment.files import GARBAGE, KEPT, FileHabits, Garbage
from simulators.equipment.performance import PERIOD
from simulators.equipment.truth import truth_of
from simulators.station import Station
from tests.unit.simulators.equipment.stations import ANDES, configure
from tests.unit.simulators.equipment.test_files import content_of, files_of, hours, job, periods, results

QUARTER = 900.0


@pytest.fixture
def measured(station: Station, clock: VirtualClock) -> Station:
    """A station with a job, half an hour after the first begin of a period."""
    configure(station, job())
    clock.advance(2 * QUARTER - clock.monotonic())
    return station


def spoil(station: Station, kind: FileFaultKind, *, seconds: float = 0.0, count: int | None = 1) -> FileFault:
    return station.equipment.file_faults.inject(FileFault(kind, seconds=seconds, count=count))


def volume(station: Station) -> float:
    """Mbit of one tenant's QCI 9 in all files of a station, each period once."""
    found = {end: mbit for file in files_of(station) for _, end, _, mbit in periods(station, file.name)}
    return sum(found.values())


def test_a_late_file_comes_late(measured: Station, clock: VirtualClock) -> None:
    spoil(measured, FileFaultKind.LATE, seconds=1000, count=1)
    clock.advance(QUARTER + 999)
    assert hours(measured) == ["A0015-0030", "A0045-0100"]
    clock.advance(1)
    assert hours(measured) == ["A0015-0030", "A0030-0045", "A0045-0100"]
    (late,) = [file for file in files_of(measured) if file.name.startswith("A20260101.0030")]
    assert late.written == late.end + timedelta(seconds=1000)


def test_a_file_out_of_order_comes_after_the_next_one_with_its_periods_backwards(
    station: Station, clock: VirtualClock
) -> None:
    configure(station, job(seconds=300))
    clock.advance(2 * QUARTER - clock.monotonic())
    spoil(station, FileFaultKind.OUT_OF_ORDER)
    clock.advance(2 * QUARTER)
    assert hours(station)[-1] == "C0045-0100"
    assert "C0030-0045" not in hours(station)
    clock.advance(60)
    assert [end[11:16] for _, end, _, _ in periods(station, "C20260101.0030")] == ["00:45", "00:40", "00:35"]


def test_a_doubled_file_has_the_same_content_and_a_running_count(measured: Station, clock: VirtualClock) -> None:
    spoil(measured, FileFaultKind.DOUBLED)
    clock.advance(QUARTER)
    one, other = [file for file in files_of(measured) if file.end == clock.now()]
    assert other.name == one.name.replace(".xml", "_-_2.xml")
    assert content_of(measured, one) == content_of(measured, other)


def test_a_missing_file_never_comes(measured: Station, clock: VirtualClock) -> None:
    spoil(measured, FileFaultKind.MISSING, count=2)
    clock.advance(3 * QUARTER)
    assert hours(measured) == ["A0015-0030", "A0100-0115"]


def test_a_suspect_file_has_half_and_a_whole_one_may_follow(measured: Station, clock: VirtualClock) -> None:
    whole = measured.equipment.performance
    spoil(measured, FileFaultKind.SUSPECT, seconds=300)
    clock.advance(QUARTER)
    ((_, _, suspect, half),) = periods(measured, "A20260101.0030")
    counters = whole.measure().values["ManagedElement=T-LTE-1,ENBFunction=1,EUtranCellFDD=1"]
    assert suspect
    assert half == pytest.approx(counters[f"DRB.PdcpSduVolumeDl.{ANDES}.9"] / 2)
    clock.advance(300)
    ((_, _, suspect, mbit),) = periods(measured, "A20260101.0030+0000-0045+0000_-pm_T-LTE-1_-_2")
    assert not suspect
    assert mbit == pytest.approx(2 * half)


@pytest.mark.parametrize("habits", [FileHabits(), FileHabits(compressed=True)])
def test_a_truncated_file_ends_in_its_middle(measured: Station, clock: VirtualClock, habits: FileHabits) -> None:
    spoil(measured, FileFaultKind.TRUNCATED)
    clock.advance(QUARTER)
    (file,) = [file for file in files_of(measured) if file.end == clock.now()]
    content = content_of(measured, file, habits)
    with pytest.raises((etree.XMLSyntaxError, EOFError)):
        etree.fromstring(gzip.decompress(content) if habits.compressed else content)


def test_a_file_may_be_gone_when_it_is_asked_for(measured: Station, clock: VirtualClock) -> None:
    spoil(measured, FileFaultKind.GONE)
    clock.advance(QUARTER)
    file = next(iter(files_of(measured)))
    assert (file.end, files_of(measured).find(file.name)) == (clock.now(), None)


def test_garbage_and_bombs_are_large_and_cost_nothing(measured: Station, clock: VirtualClock) -> None:
    spoil(measured, FileFaultKind.GARBAGE)
    clock.advance(QUARTER)
    garbage = files_of(measured).content(next(iter(files_of(measured))))
    assert isinstance(garbage, Garbage)
    assert len(garbage) == GARBAGE == 100_000_000
    assert garbage[255:258] == b"\xff\x00\x01" == garbage[65536 * 3 + 255 : 65536 * 3 + 258]
    assert len(garbage[0:262144]) == 262144
    assert len(garbage[GARBAGE - 10 : GARBAGE + 10]) == 10
    assert garbage[GARBAGE : GARBAGE + 10] == b""
    spoil(measured, FileFaultKind.BOMB)
    clock.advance(QUARTER)
    bomb = content_of(measured, next(iter(files_of(measured))))
    assert len(bomb) < 200_000
    assert len(gzip.decompress(bomb)) == 100_000_000


def test_unknown_counters_stand_beside_known_ones(measured: Station, clock: VirtualClock) -> None:
    configure(measured, job().replace("<performanceMetrics>DRB</performanceMetrics>", "").replace("RRU", "RRC"))
    spoil(measured, FileFaultKind.COUNTERS_UNKNOWN, count=None)
    clock.advance(2 * QUARTER)
    every = job(name="every").replace("DRB", "minka-Wombat").replace("RRU", "RRC")
    configure(measured, every)
    clock.advance(2 * QUARTER)
    file = next(file for file in files_of(measured) if file.job.id == "every")
    found = results(content_of(measured, file))
    cell = "ManagedElement=T-LTE-1,ENBFunction=1,EUtranCellFDD=1"
    assert found[cell, "minka-Wombat.Rate"] == "17"
    assert found[cell, "RRC.ConnMax"] == "NULL"
    assert float(found[cell, "RRC.ConnMean"]) > 0
    assert found["ManagedElement=T-LTE-1,Wombat=1", "minka-Wombat.Rate"] == "-1"


def test_the_granularity_may_be_another_than_the_job_says(measured: Station, clock: VirtualClock) -> None:
    spoil(measured, FileFaultKind.GRANULARITY_CHANGED, seconds=300)
    clock.advance(QUARTER)
    assert [duration for duration, *_ in periods(measured, "C20260101.0030")] == ["PT300S"] * 3


class TestClockStep:
    def test_forward(self, measured: Station, clock: VirtualClock) -> None:
        begin = clock.now() - timedelta(seconds=QUARTER)
        clock.advance(300)
        fault = spoil(measured, FileFaultKind.CLOCK_STEP, seconds=2000)
        # 00:35:00 became 01:08:20: the period of 00:30 has five minutes, and that of 01:00 begins with a gap.
        assert hours(measured) == ["A0015-0030", "A0030-0045"]
        clock.advance(QUARTER)
        assert hours(measured) == ["A0015-0030", "A0030-0045", "A0100-0115"]
        assert [periods(measured, f"A20260101.{at}")[0][2] for at in ("0015", "0030", "0100")] == [False, True, True]
        clock.advance(3 * QUARTER)
        measured.equipment.file_faults.clear(fault.id)
        clock.advance(3 * QUARTER)
        truth = truth_of(measured.equipment.performance, begin, clock.now() - timedelta(seconds=300))
        assert volume(measured) == pytest.approx(truth.volume["1", ANDES, "", 9][0], abs=0.01)

    def test_back(self, measured: Station, clock: VirtualClock) -> None:
        begin = clock.now() - timedelta(seconds=QUARTER)
        clock.advance(300)
        spoil(measured, FileFaultKind.CLOCK_STEP, seconds=-QUARTER)
        # 00:35 became 00:20: the period of 00:15 goes on, and its file is written again.
        clock.advance(600)
        assert hours(measured) == ["A0015-0030"]
        assert periods(measured, "A20260101.0015")[0][2]
        clock.advance(QUARTER)
        assert hours(measured) == ["A0015-0030", "A0030-0045"]
        truth = truth_of(measured.equipment.performance, begin, clock.now())
        assert volume(measured) == pytest.approx(truth.volume["1", ANDES, "", 9][0], abs=0.01)


def test_chance_is_drawn_from_the_seed(measured: Station, clock: VirtualClock) -> None:
    measured.equipment.file_faults.inject(FileFault(FileFaultKind.MISSING, count=None, probability=0.5))
    clock.advance(40 * QUARTER)
    assert 10 < len(hours(measured)) - 1 < 30
    assert hours(measured) == hours(measured)


def test_a_cleared_fault_stays_in_the_files_of_its_time(measured: Station, clock: VirtualClock) -> None:
    fault = spoil(measured, FileFaultKind.MISSING, count=None)
    clock.advance(QUARTER)
    assert measured.equipment.file_faults.clear(fault.id) == 1
    assert not list(measured.equipment.file_faults)
    clock.advance(QUARTER)
    assert hours(measured) == ["A0015-0030", "A0045-0100"]
    clock.advance(KEPT.total_seconds())
    assert len(hours(measured)) == KEPT.total_seconds() / PERIOD + 1


@pytest.mark.parametrize(
    ("kind", "seconds", "words"),
    [
        (FileFaultKind.LATE, 0, "file-late needs seconds"),
        (FileFaultKind.SUSPECT, -1, "seconds of file-suspect are not below zero"),
        (FileFaultKind.GRANULARITY_CHANGED, 700, "divide 900"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(
    measured: Station, kind: FileFaultKind, seconds: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        spoil(measured, kind, seconds=seconds)
