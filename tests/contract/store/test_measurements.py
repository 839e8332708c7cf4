"""What stations counted: each period once, hours and days from them, gaps, and how long it is kept."""

from __future__ import annotations

import sqlite3
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from controller.models.measurement import DAY, GRANULARITIES, HOUR, LARGEST, MONTH, QUARTER, Measured, Subject
from controller.models.metrics import sums_and_states
from controller.models.network import network_digest
from controller.performance.kpis import EVERYBODY, CounterQuery, Subscribers, cell_counts
from controller.performance.rollups import Zones, rolled_up
from controller.ports.clock import VirtualClock
from controller.store import CollectedFile, Gap, Page, Store, StoredPeriods, open_store
from controller.store.database.transaction import Tx
from controller.store.performance import collected_files, measurements, roll_ups, rows
from tests.support.records import make_network

VOLUME, PRBS, MOST = "DRB.PdcpSduVolumeDL", "RRU.PrbTotDl", "RRC.ConnMax"
BITEL = Subject("716-15", 9)
QUARTERS = timedelta(seconds=QUARTER)


@pytest.fixture
def start(clock: VirtualClock) -> datetime:
    """A midnight three days ago."""
    return clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)


def period(
    begin: datetime,
    volume: float = 10.0,
    station: str = "A",
    *,
    seconds: int = QUARTER,
    prbs: float = 50.0,
    suspect: bool = False,
    covered: float | None = None,
    **more: float,
) -> Measured:
    counters = {VOLUME: {BITEL: volume, Subject(): volume + 0.5}, PRBS: {Subject(): prbs}, MOST: {Subject(): volume}}
    counters |= {name: {Subject(): value} for name, value in more.items()}
    lasted = float(seconds) if covered is None else covered
    return Measured(
        station=station, begin=begin, seconds=seconds, covered=lasted, suspect=suspect, cells={"1": counters}
    )


def every(store: Store, seconds: int = QUARTER, stations: tuple[str, ...] | None = None) -> list[Measured]:
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    return list(store.measurements.read(begin, begin + timedelta(days=40_000), seconds, stations))


def settle(store: Store, clock: VirtualClock) -> int:
    count = 0
    while done := store.measurements.roll_up(clock.now()):
        count += done
    return count


def test_periods_come_back_as_they_were(store: Store, start: datetime) -> None:
    first, second = period(start), period(start + QUARTERS, 1 / 3)
    other = period(start, 7.0, "B")
    assert store.measurements.put([other, second, first]) == StoredPeriods(new=3)
    assert every(store) == [first, second, other]
    assert every(store, stations=("B",)) == [other]
    assert every(store, HOUR) == []
    assert list(store.measurements.read(start, start + QUARTERS, QUARTER)) == [first, other]
    assert store.measurements.put([]) == StoredPeriods()


def test_pages_hold_all_rows_once(store: Store, start: datetime) -> None:
    wanted = [period(start + n * QUARTERS, float(n), station) for station in "ABC" for n in range(5)]
    store.measurements.put(reversed(wanted))
    end, begin = start + timedelta(days=1), start + 2 * QUARTERS
    for limit in (1, 4, 100):
        found, after = [], None
        while page := store.measurements.page(start, end, QUARTER, after=after, limit=limit):
            assert len(page) <= limit + 5
            found += page
            after = page[-1].station, page[-1].begin
        assert found == wanted
    assert store.measurements.page(start, end, QUARTER, after=("B", begin), limit=100) == wanted[8:]
    assert store.measurements.page(start, end, QUARTER, ["C", "A"], ("A", begin), 100) == wanted[3:5] + wanted[10:]


def test_where_values_stand_is_looked_up_whatever_cells_a_tenant_has(store: Store, start: datetime) -> None:
    store.measurements.put([period(start)])
    read = [
        list(store.measurements.read(start, start + timedelta(days=1), QUARTER, ["A"], who=who))
        for cell in ("A/1", "A/2")
        for who in [Subscribers(frozenset({"716-06"}), cells=frozenset({cell}))]
    ]
    assert read[0] == read[1] != []
    assert all(choice.who.cells is None for _, choice in rows._chosen)


def test_amounts_are_what_is_wanted_of_each_row(store: Store, start: datetime, clock: VirtualClock) -> None:
    store.measurements.put(period(start + n * QUARTERS, n / 3, station) for station in "ABC" for n in range(8))
    more: dict[str, Any] = {"seconds": HOUR, "prbs": 90.0, "RRU.PrbUsedDl": 1.0}
    store.measurements.put([period(start, 9.0, "B", **more)])
    settle(store, clock)  # B measured the first hour itself, and it is worked out too
    bitel = Subscribers(frozenset({BITEL.plmn}))
    asked = (VOLUME, EVERYBODY, 0), (VOLUME, bitel, 0), (VOLUME, bitel, 1), (PRBS, bitel, 0), ("RRU.PrbUsedDl",)
    wanted = [CounterQuery(*each) for each in asked]
    for level in (QUARTER, HOUR):
        rows = store.measurements.read(start, start + timedelta(days=1), level, "BC")
        found = list(store.measurements.amounts(start, start + timedelta(days=1), level, "BC", wanted))
        assert found == [cell_counts(row, wanted) for row in rows]
    assert found[0] == ("B", start, HOUR, {"1": (9.5, 9.0, 0, None, 1.0)})


def test_each_period_counts_once(store: Store, start: datetime) -> None:
    one = period(start)
    assert store.measurements.put([one, one]) == StoredPeriods(new=1, repeated=1)
    assert store.measurements.put([one]) == StoredPeriods(repeated=1)
    for _ in range(2):
        assert store.measurements.put([period(start, 11.0)]) == StoredPeriods(conflicting=1)
    assert every(store) == [one]
    notes = [row for row in store.audit.page(Page())[1] if row.action == "measurement.differed"]
    assert [row.object for row in notes] == ["A"]  # once for the period
    detail = notes[0].detail
    assert (detail["begin"], detail["seconds"]) == (start.isoformat(), "900")
    assert detail["differs"] == (
        f"1/{VOLUME} 10.5, not 11.5; 1/{VOLUME}['716-15', 9, ''] 10.0, not 11.0; 1/{MOST} 10.0, not 11.0"
    )


def test_a_second_attempt_puts_the_same(store: Store, start: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorname = "SQLITE_BUSY"
    real, failures = roll_ups.zones_on_record, [OperationalError("SELECT", {}, busy)]

    def zone(tx: Tx) -> Zones:
        if failures:
            raise failures.pop()
        return real(tx)

    monkeypatch.setattr(measurements, "zones_on_record", zone)
    wanted = [period(start), period(start + QUARTERS)]
    assert store.measurements.put(one for one in wanted) == StoredPeriods(new=2)
    assert every(store) == wanted


def test_a_whole_period_replaces_a_suspect_one(store: Store, start: datetime) -> None:
    suspect, whole = period(start, 4.0, suspect=True, covered=300.0), period(start, 10.0)
    assert store.measurements.put([suspect]) == StoredPeriods(new=1)
    assert store.measurements.put([whole]) == StoredPeriods(replaced=1)
    assert store.measurements.put([suspect]) == StoredPeriods(repeated=1)
    assert every(store) == [whole]


def test_jobs_of_a_station_complete_each_other(store: Store, start: datetime) -> None:
    one = period(start)
    more = Measured(station="A", begin=start, seconds=QUARTER, covered=900, cells={"2": {PRBS: {Subject(): 3.0}}})
    assert store.measurements.put([one]) == StoredPeriods(new=1)
    assert store.measurements.put([more]) == StoredPeriods(replaced=1)
    assert store.measurements.put([more, one]) == StoredPeriods(repeated=2)
    assert every(store) == [one.model_copy(update={"cells": one.cells | more.cells})]


def test_clocks_that_are_wrong_leave_no_periods_behind(store: Store, clock: VirtualClock) -> None:
    soon, later = period(clock.now() + QUARTERS), period(clock.now() + timedelta(days=400))
    assert store.measurements.put([soon, later]) == StoredPeriods(new=1, refused=1)
    assert store.measurements.put([period(clock.now(), seconds=DAY + 1)]) == StoredPeriods(refused=1)


def test_only_granularities_go_on_record(store: Store, start: datetime) -> None:
    odd = [period(start, seconds=seconds) for seconds in range(1, 2000, 7) if seconds not in GRANULARITIES]
    known = [period(start, seconds=seconds) for seconds in GRANULARITIES]
    assert store.measurements.put([*odd, *known]) == StoredPeriods(new=len(known), refused=len(odd))


@pytest.mark.parametrize("seconds", GRANULARITIES)
def test_the_number_of_periods_in_a_time_is_bounded_whatever_a_station_writes(
    store: Store, start: datetime, seconds: int
) -> None:
    moved = [timedelta(microseconds=number) for number in range(1, 200)]
    moved += [timedelta(minutes=number) for number in range(1, 24 * 60)]
    flood = [period(start + one, seconds=seconds) for one in moved]
    for begin in (start, start + timedelta(seconds=seconds)):
        assert store.measurements.put([period(begin, seconds=seconds)]) == StoredPeriods(new=1)
    for some in (flood, flood[::-1]):
        store.measurements.put(some)
    begins = sorted(one.begin for one in every(store, seconds))
    least = timedelta(seconds=seconds if seconds < DAY else DAY - HOUR)  # A day may have 23 hours.
    assert all(after - one >= least for one, after in pairwise(begins))
    assert len(begins) <= 2 + DAY / seconds
    assert {start, start + timedelta(seconds=seconds)} <= set(begins), "the first ones stay"


@pytest.mark.parametrize("seconds", [1800, HOUR])
def test_what_overlaps_a_period_of_its_length_is_refused_and_told_of(
    store: Store, start: datetime, seconds: int
) -> None:
    assert store.measurements.put([period(start, seconds=seconds), period(start)]) == StoredPeriods(new=2)
    with structlog.testing.capture_logs() as said:
        late = [period(start + n * QUARTERS, seconds=seconds) for n in (-1, 1)]
        assert store.measurements.put([*late, period(start, seconds=seconds)]) == StoredPeriods(repeated=1, refused=2)
    (told,) = said
    assert (told["event"], told["reason"]) == ("measurement.refused", "overlap")
    assert (told["station"], told["level"], told["periods"]) == ("A", seconds, 2)


def test_hours_and_days_of_all_time_zones_go_on_record(store: Store, start: datetime) -> None:
    for name in ("Asia/Kathmandu", "Asia/Kolkata", "Pacific/Chatham", "America/St_Johns", "America/Lima"):
        midnight = datetime(2025, 9, 6, tzinfo=ZoneInfo(name)).astimezone(UTC)
        hours = [period(midnight + n * timedelta(hours=1), station=name, seconds=HOUR) for n in range(24)]
        wanted = [*hours, period(midnight, station=name, seconds=DAY)]
        assert store.measurements.put(wanted) == StoredPeriods(new=25)
    # In Santiago clocks went forward in the night to the 7th: 24 hours before the next midnight are in the 6th too.
    days = [datetime(2025, 9, day, tzinfo=ZoneInfo("America/Santiago")).astimezone(UTC) for day in (6, 8)]
    wanted = [period(days[0], seconds=DAY), period(days[1] - timedelta(days=1), seconds=DAY)]
    assert wanted[1].begin - wanted[0].begin == timedelta(hours=23)
    assert store.measurements.put(wanted) == StoredPeriods(new=2)


async def test_a_flood_of_differing_periods_is_on_the_audit_trail_as_a_flood(
    store: Store, clock: VirtualClock, start: datetime
) -> None:
    keep = {level: timedelta(days=100) for level in (QUARTER, HOUR, DAY, MONTH)}
    begins = [start - n * QUARTERS for n in range(100)]
    store.measurements.put(period(begin, station=name) for begin in begins for name in "AB")
    for some in (begins[:15], begins[15:]):
        assert store.measurements.put([period(begin, 11.0) for begin in some]).conflicting == len(some)
    store.measurements.put([period(begins[0], 11.0, "B")])

    def notes(station: str) -> list[dict[str, str]]:
        rows = store.audit.page(Page(limit=1000))[1]
        return [row.detail for row in rows if (row.action, row.object) == ("measurement.differed", station)]

    assert (len(notes("A")), len(notes("B"))) == (20, 1)
    store.measurements.retire(clock.now(), keep)
    assert len(notes("A")) == 20
    since = clock.now()
    await clock.advance(DAY)
    for _ in range(2):
        store.measurements.retire(clock.now(), keep)
        assert (len(notes("A")), len(notes("B"))) == (21, 1)
    assert notes("A")[0] == {"count": "80", "since": since.isoformat()}
    late = [period(start - n * QUARTERS, station="A") for n in range(100, 140)]
    store.measurements.put(late)
    store.measurements.put(one.model_copy(update={"cells": {"1": {PRBS: {Subject(): 1.0}}}}) for one in late)
    await clock.advance(DAY)
    last = late[0].model_copy(update={"begin": start + QUARTERS})
    store.measurements.put([last, last.model_copy(update={"cells": {"1": {PRBS: {Subject(): 1.0}}}})])
    assert [one.get("count") for one in notes("A")[:3]] == [None, "20", None], "the next day begins with its own rows"


@pytest.mark.parametrize("value", [1e308, float("inf"), float("nan"), LARGEST * 2])
async def test_a_value_that_can_not_be_harms_nobody(
    store: Store, clock: VirtualClock, start: datetime, value: float
) -> None:
    bad = period(start, station="B")
    bad = bad.model_copy(update={"cells": {"1": {VOLUME: {BITEL: value}}}})
    assert store.measurements.put([bad, period(start)]) == StoredPeriods(new=1, refused=1)
    settle(store, clock)
    assert [one.station for level in (QUARTER, HOUR, DAY) for one in every(store, level)] == ["A"] * 3


def damage(store: Store, station: str, content: bytes) -> None:
    """Overwrite the values of a station's rows."""

    def write(tx: Tx) -> None:
        tx.execute(update(rows.measurements).where(rows.measurements.c.station == station).values(content=content))

    store.database.run(write)


def damaged(store: Store) -> float:
    """How often a damaged row was left out, as this process puts it on record."""
    sums, _ = sums_and_states(store.database.observations.encoded())
    return sums["minka_measurement_rows_damaged_total"][()][0]


@pytest.mark.parametrize(
    "content", [zlib.compress(b"[null,null,null,null]"), b"no zlib", zlib.compress(b"[1,")], ids=["null", "zlib", "cut"]
)
async def test_a_damaged_row_is_left_out_and_told_of_and_harms_nobody(
    store: Store, clock: VirtualClock, start: datetime, content: bytes
) -> None:
    store.measurements.put(period(start + n * QUARTERS, station=name) for name in "ABC" for n in range(4))
    damage(store, "B", content)
    asked = start, start + timedelta(days=1), QUARTER
    assert damaged(store) == 0, "Prometheus sees an increase from 0 only"
    with structlog.testing.capture_logs() as said:
        assert [one.station for one in every(store)] == ["A"] * 4 + ["C"] * 4
        assert damaged(store) == 4
        assert [one.station for one in store.measurements.totals(*asked, "ABC")] == ["A", "C"]
        volume = [CounterQuery(VOLUME)]
        assert {one.station for one in store.measurements.amounts(*asked, "ABC", volume)} == {"A", "C"}
        assert settle(store, clock) > 0
    assert {(one["event"], one["station"]) for one in said} == {("measurement.damaged", "B")}
    assert damaged(store) == len(said)
    assert [one.station for one in every(store, DAY)] == ["A", "C"]
    # The station's file is there still, and is read again.
    assert store.measurements.put([period(start, station="B")]) == StoredPeriods(new=1)
    settle(store, clock)
    assert [one.station for one in every(store, DAY)] == ["A", "B", "C"]


async def test_a_station_that_can_not_be_rolled_up_stops_no_other(
    store: Store, clock: VirtualClock, start: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.measurements.put(period(start, station=name) for name in "ABC")
    made = rolled_up

    def breaks(station: str, *rest: Any) -> Measured | None:
        if station == "B":
            raise ValueError("a bug")
        return made(station, *rest)

    monkeypatch.setattr(rows, "rolled_up", breaks)
    with structlog.testing.capture_logs() as said:
        settle(store, clock)
    assert [one.station for one in every(store, DAY)] == ["A", "C"]
    assert {(one["event"], one["station"]) for one in said} == {("measurement.not_rolled_up", "B")}


def test_many_periods_of_a_station_are_few_statements(
    store: Store, start: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [period(start - timedelta(days=30) + n * QUARTERS) for n in range(600)]
    statements = []
    execute = Tx.execute

    def counted(tx: Tx, *given: Any, **more: Any) -> Any:
        statements.append(given)
        return execute(tx, *given, **more)

    monkeypatch.setattr(Tx, "execute", counted)
    assert store.measurements.put(many) == StoredPeriods(new=600)
    assert store.measurements.put(many) == StoredPeriods(repeated=600)
    assert len(statements) < 60


async def test_hours_and_days_follow_from_periods(store: Store, clock: VirtualClock, start: datetime) -> None:
    store.measurements.put(period(start + n * QUARTERS, float(n), prbs=float(n)) for n in (3, 1, 0, 2))
    assert settle(store, clock) == 2
    (hour,) = every(store, HOUR)
    assert (hour.begin, hour.seconds, hour.covered) == (start, HOUR, HOUR)
    assert hour.cells == {
        "1": {
            MOST: {Subject(): 3.0},
            VOLUME: {Subject(): 8.0, BITEL: 6.0},
            PRBS: {Subject(): 1.5},
        }
    }
    (day,) = every(store, DAY)
    assert (day.seconds, day.covered, day.cells) == (DAY, HOUR, hour.cells)
    assert settle(store, clock) == 0


async def test_late_periods_are_worked_in(store: Store, clock: VirtualClock, start: datetime) -> None:
    store.measurements.put([period(start, 1.0), period(start + QUARTERS, 2.0, suspect=True)])
    settle(store, clock)
    store.measurements.put([period(start + QUARTERS, 3.0), period(start + 2 * QUARTERS, 4.0)])
    settle(store, clock)
    (hour,), (day,) = every(store, HOUR), every(store, DAY)
    assert hour.cells["1"][VOLUME][BITEL] == day.cells["1"][VOLUME][BITEL] == 8.0
    assert (hour.covered, hour.suspect) == (day.covered, day.suspect) == (2700.0, False)


async def test_an_hour_is_worked_out_when_it_is_over(store: Store, clock: VirtualClock) -> None:
    begin = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    await clock.advance((begin + QUARTERS - clock.now()).total_seconds())
    store.measurements.put([period(begin)])
    assert settle(store, clock) == 0
    await clock.advance(3600)
    assert settle(store, clock) == 0  # files of its last period are under way
    await clock.advance(900)
    assert settle(store, clock) == 1


async def test_short_periods_are_there_as_quarters(store: Store, clock: VirtualClock, start: datetime) -> None:
    five = timedelta(minutes=5)
    store.measurements.put(period(start + n * five, 1.0, seconds=300) for n in range(12))
    settle(store, clock)
    assert [one.cells["1"][VOLUME][BITEL] for one in every(store, 300)] == [1.0] * 12
    assert [one.cells["1"][VOLUME][BITEL] for one in every(store)] == [3.0] * 4
    assert [one.cells["1"][VOLUME][BITEL] for one in every(store, HOUR)] == [12.0]


async def test_a_month_is_worked_out_from_its_days_when_it_is_over(store: Store, clock: VirtualClock) -> None:
    begin = clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (begin + timedelta(days=31)).replace(day=1)
    days = [begin + timedelta(days=number) for number in range((end - begin).days)]
    await clock.advance((end - clock.now()).total_seconds() + HOUR)
    store.measurements.put(period(day, number + 1.0, seconds=DAY) for number, day in enumerate(days[:-2]))
    assert (settle(store, clock), every(store, MONTH)) == (0, []), "the last days may still come"
    await clock.advance(2 * HOUR)
    settle(store, clock)
    store.measurements.put([period(days[-1], 1000.0, seconds=DAY, prbs=80.0)])
    assert settle(store, clock) == 1, "a day that comes late sets it right"
    (month,) = every(store, MONTH)
    whole = sum(range(1, len(days) - 1)) + 1000.0
    assert (month.begin, month.seconds, month.covered) == (begin, len(days) * DAY, (len(days) - 1) * DAY)
    assert month.cells["1"][VOLUME][BITEL] == whole
    assert month.cells["1"][PRBS][Subject()] == pytest.approx(50 + 30 / (len(days) - 1), abs=1e-6)
    assert month.cells["1"][MOST][Subject()] == 1000.0


async def test_what_is_measured_by_the_hour_stands_beside_what_is_worked_out(
    store: Store, clock: VirtualClock, start: datetime
) -> None:
    counters = {VOLUME: {BITEL: 39.0}, "MM.HoExeInterReq": {Subject(): 5.0}}
    own = Measured(station="A", begin=start, seconds=HOUR, covered=HOUR, cells={"1": counters})
    store.measurements.put([own, *(period(start + n * QUARTERS) for n in range(4))])
    settle(store, clock)
    (hour,), (day,) = every(store, HOUR), every(store, DAY)
    assert hour.cells == day.cells
    assert hour.cells["1"] == {
        VOLUME: {BITEL: 39.0},
        PRBS: {Subject(): 50.0},
        MOST: {Subject(): 10.0},
        "MM.HoExeInterReq": {Subject(): 5.0},
    }


def test_gaps_are_spans_without_whole_data(store: Store, clock: VirtualClock, start: datetime) -> None:
    store.measurements.put(period(start + n * QUARTERS) for n in (0, 1, 4, 5, 6, 7))
    store.measurements.put([period(start, station="B", covered=100.0), period(start - timedelta(days=30), station="C")])
    end = start + 8 * QUARTERS
    gaps = [Gap("A", start + 2 * QUARTERS, start + 4 * QUARTERS), Gap("B", start, end)]
    for _ in range(2):
        assert store.measurements.gaps(start, end) == gaps
        settle(store, clock)
    assert store.measurements.gaps(start, end, ["C"]) == [Gap("C", start, end)]
    assert store.measurements.gaps(start, start + QUARTERS, ["A"]) == []


async def test_rows_are_kept_as_long_as_wanted(store: Store, clock: VirtualClock, start: datetime) -> None:
    five = timedelta(minutes=5)
    store.measurements.put(period(start + n * five, seconds=300) for n in range(12))
    settle(store, clock)
    store.collected_files.put([CollectedFile(station="A", name="C1.xml", digest="d", at=start)])
    store.collected_files.miss("A", {"VS.Strange": 1})
    keep = {QUARTER: 10, HOUR: 20, DAY: 30, MONTH: 70}
    levels = 300, QUARTER, HOUR, DAY, MONTH
    left_after = {7: (12, 4, 1, 1, 1), 17: (0, 0, 1, 1, 1), 27: (0, 0, 0, 1, 1), 37: (0, 0, 0, 0, 1), 90: (0,) * 5}
    for days, left in left_after.items():
        await clock.advance((start + timedelta(days=days) - clock.now()).total_seconds())
        settle(store, clock)
        while store.measurements.retire(clock.now(), {level: timedelta(days=age) for level, age in keep.items()}):
            pass
        assert tuple(len(every(store, level)) for level in levels) == left
    assert store.measurements.retired(1800) is None
    for level, age in ((300, 10), (QUARTER, 10), (HOUR, 20), (DAY, 30)):
        before = store.measurements.retired(level)
        assert before is not None
        assert start < before <= clock.now() - timedelta(days=age)
    assert store.collected_files.known("A", ["C1.xml"]) == {}
    assert store.collected_files.unknown() == []
    with store.database.engine.connect() as connection:
        assert connection.execute(rows.layouts.select()).all() == []


async def test_files_that_were_taken_are_known_for_a_week(store: Store, clock: VirtualClock) -> None:
    keep = {QUARTER: timedelta(days=35), HOUR: timedelta(days=400), DAY: timedelta(days=3650)}
    store.collected_files.put([CollectedFile(station="A", name="C1.xml", digest="d")])
    for days, known in ((6, True), (2, False)):
        await clock.advance(days * DAY)
        store.measurements.retire(clock.now(), keep)
        assert bool(store.collected_files.known("A", ["C1.xml"])) is known


async def test_what_comes_later_than_periods_are_kept_takes_nothing_away(
    store: Store, clock: VirtualClock, start: datetime
) -> None:
    keep = {QUARTER: timedelta(days=10), HOUR: timedelta(days=20), DAY: timedelta(days=30)}
    store.measurements.put(period(start + n * QUARTERS) for n in range(3))
    settle(store, clock)
    await clock.advance(8 * DAY)
    while store.measurements.retire(clock.now(), keep):
        pass
    store.measurements.put([period(start + 3 * QUARTERS)])
    settle(store, clock)
    assert [one.cells["1"][VOLUME][BITEL] for level in (HOUR, DAY) for one in every(store, level)] == [30.0, 30.0]


async def test_what_is_not_worked_out_yet_is_kept(store: Store, clock: VirtualClock, start: datetime) -> None:
    keep = {QUARTER: timedelta(days=2), HOUR: timedelta(days=20), DAY: timedelta(days=30)}
    store.measurements.put(period(start + n * QUARTERS) for n in range(4))
    assert store.measurements.retire(clock.now(), keep) == 0
    settle(store, clock)
    assert store.measurements.retire(clock.now(), keep) == 4
    assert [one.covered for one in every(store, HOUR)] == [HOUR]


def test_files_are_taken_once(store: Store, clock: VirtualClock) -> None:
    good = CollectedFile(station="A", name="C1.xml", digest="1f", periods=3, at=clock.now())
    bad = CollectedFile(station="A", name="C2.xml", digest="2f", error="C2.xml, line 1: no XML", at=clock.now())
    store.collected_files.put([good, bad])
    store.collected_files.put([])
    assert store.collected_files.known("A", ["C1.xml", "C2.xml", "C3.xml"]) == {"C1.xml": good, "C2.xml": bad}
    assert store.collected_files.known("B", ["C1.xml"]) == {}
    assert store.collected_files.newest("A", 10) == [bad, good]
    assert store.collected_files.newest("A", 1) == [bad]
    assert store.collected_files.newest("B", 10) == []
    again = bad.model_copy(update={"digest": "3f", "error": "", "periods": 1})
    store.collected_files.put([again])
    assert store.collected_files.known("A", ["C2.xml"]) == {"C2.xml": again}


def test_unknown_counters_are_named_once_and_counted(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collected_files, "_MOST_UNKNOWN", 2)
    assert store.collected_files.miss("A", {"VS.Strange": 2}) == ["VS.Strange"]
    assert store.collected_files.miss("B", {"VS.Strange": 3, "VS.Other": 1, "VS.Third": 4}) == ["VS.Other"]
    assert store.collected_files.miss("B", {}) == []
    found = {one.name: (one.count, one.station) for one in store.collected_files.unknown()}
    assert found == {"VS.Strange": (5, "A"), "VS.Other": (1, "B"), "(others)": (4, "B")}


async def test_days_are_those_of_the_network(store: Store, clock: VirtualClock) -> None:
    _, network = make_network()
    santiago = network.header.model_copy(update={"timezone": "America/Santiago"})
    network = network.model_copy(update={"header": santiago})
    store.networks.save(network, network_digest(network), "ana")
    # There the clocks went from 24:00 to 01:00 in the night to the 7th of September 2025.
    begin = datetime(2025, 9, 6, 4, tzinfo=UTC)
    store.measurements.put(period(begin + n * timedelta(hours=1), 1.0, seconds=HOUR) for n in range(24 + 23 + 1))
    settle(store, clock)
    days = [(one.begin - begin, one.seconds, one.covered, one.cells["1"][VOLUME][BITEL]) for one in every(store, DAY)]
    assert days == [
        (timedelta(0), DAY, DAY, 24.0),
        (timedelta(days=1), DAY - HOUR, DAY - HOUR, 23.0),
        (timedelta(days=1, hours=23), DAY, HOUR, 1.0),
    ]


def _in_zone(store: Store, zone: str) -> None:
    _, network = make_network()
    network = network.model_copy(update={"header": network.header.model_copy(update={"timezone": zone})})
    store.networks.save(network, network_digest(network), "ana")


@pytest.mark.parametrize("zone", ["America/Mexico_City", "Asia/Tokyo", "Pacific/Kiritimati", "Asia/Kolkata"])
async def test_no_hour_is_part_of_two_days_or_of_none_when_the_time_zone_changes(
    store: Store, clock: VirtualClock, zone: str
) -> None:
    """Whether measurements came before the change, after it, or late, of days before it."""
    _in_zone(store, "America/Lima")
    begin = clock.now().replace(hour=5, minute=0, second=0, microsecond=0)  # Midnight in Lima.
    late = begin + 7 * timedelta(hours=1)

    def counted(hours: range) -> None:
        moments = [begin + n * timedelta(hours=1) for n in hours]
        store.measurements.put(period(one, 1.0, seconds=HOUR) for one in moments if one != late)

    await clock.advance((begin + timedelta(hours=25, minutes=9) - clock.now()).total_seconds())
    counted(range(25))
    settle(store, clock)
    _in_zone(store, zone)
    changed = begin + timedelta(hours=26)  # The next full hour.
    await clock.advance((begin + timedelta(days=4) - clock.now()).total_seconds())
    counted(range(25, 90))
    settle(store, clock)
    await clock.advance((begin + timedelta(days=6) - clock.now()).total_seconds())
    store.measurements.put([period(late, 1.0, seconds=HOUR)])
    settle(store, clock)
    days = every(store, DAY)
    spans = [(one.begin, one.begin + timedelta(seconds=one.seconds)) for one in days]
    assert spans[:3] == [
        (begin, begin + timedelta(days=1)),
        (begin + timedelta(days=1), changed),
        (changed, spans[2][1]),
    ]
    assert spans[2][1].astimezone(ZoneInfo(zone)).time() == time()
    assert all(one[1] == after[0] for one, after in pairwise(spans))
    assert sum(one.cells["1"][VOLUME][BITEL] for one in days) == 90
    assert [one.cells["1"][VOLUME][BITEL] for one in days[:2]] == [24, 2]


@pytest.mark.parametrize(("midnight", "hours"), [("2026-10-04", 23.5), ("2027-04-04", 24.5)])
async def test_no_half_hour_is_lost_on_the_day_on_which_clocks_change_by_half_of_one(
    store: Store, clock: VirtualClock, midnight: str, hours: float
) -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    _in_zone(store, zone.key)
    begin = datetime.fromisoformat(midnight).replace(tzinfo=zone).astimezone(UTC)
    await clock.advance((begin + timedelta(days=2) - clock.now()).total_seconds())
    store.measurements.put(period(begin + n * timedelta(seconds=QUARTER), 1.0) for n in range(int(4 * hours)))
    settle(store, clock)
    (day,) = [one for one in every(store, DAY) if one.begin == begin]
    assert (day.seconds, day.cells["1"][VOLUME][BITEL]) == (hours * HOUR, 4 * hours)


def test_an_hour_is_worked_out_outside_of_transactions_and_anew_where_others_write_meanwhile(
    store: Store, clock: VirtualClock, start: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.measurements.put([period(start), period(start, station="B")])
    work, worked = roll_ups._worked_out, list[str]()

    def meanwhile(*given: Any) -> Measured | None:
        rows = given[3]
        worked.append(rows[0].station)
        if len(worked) == 1:
            assert store.measurements.put([period(start + QUARTERS)]).new == 1  # inside of one it could not be put
        return work(*given)

    monkeypatch.setattr(roll_ups, "_worked_out", meanwhile)
    assert store.measurements.roll_up(clock.now()) == 2
    assert worked == ["A", "B", "A"], "B's rows were the same"
    assert [one.covered for one in every(store, HOUR)] == [2.0 * QUARTER, QUARTER]
    monkeypatch.undo()
    settle(store, clock)
    assert [one.covered for one in every(store, HOUR)] == [2.0 * QUARTER, QUARTER]


def test_what_is_new_is_packed_before_it_is_put(store: Store, start: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    pack, others = rows.packed_row, [period(start, station="B")]

    def meanwhile(*given: Any, **more: Any) -> Any:
        if others:
            store.measurements.put([others.pop()])  # inside of a transaction it could not be put
        return pack(*given, **more)

    monkeypatch.setattr(measurements, "packed_row", meanwhile)
    assert store.measurements.put([period(start)]).new == 1
    assert [one.station for one in every(store)] == ["A", "B"]


def test_workers_that_have_the_same_period_lose_nothing(shared_url: str, clock: VirtualClock, start: datetime) -> None:
    """Each of two puts a job of its own of the same periods, while a third works the hours out again and again."""
    stations = [f"S{number}" for number in range(12)]
    counters = [VOLUME, PRBS]

    def job(counter: str) -> list[Measured]:
        cells = {"1": {counter: {Subject(): 2.0}}}
        return [
            Measured(station=name, begin=start + n * QUARTERS, seconds=QUARTER, covered=QUARTER, cells=cells)
            for name in stations
            for n in range(4)
        ]

    with closing(open_store(shared_url, clock)) as store:
        together = Barrier(3)

        def put(counter: str) -> list[StoredPeriods]:
            together.wait()
            periods = job(counter)
            return [store.measurements.put(periods[at : at + 8]) for at in range(0, len(periods), 8)]

        def roll_up() -> None:
            together.wait()
            for _ in range(20):
                store.measurements.roll_up(clock.now())

        with ThreadPoolExecutor(3) as threads:
            puts, rolling = [threads.submit(put, counter) for counter in counters], threads.submit(roll_up)
            taken = [one for future in puts for one in future.result()]
            rolling.result()
        assert (sum(one.new for one in taken), sum(one.replaced for one in taken)) == (48, 48)
        settle(store, clock)
        hours = every(store, HOUR)
        assert [one.station for one in hours] == sorted(stations)
        assert all(one.cells == {"1": {VOLUME: {Subject(): 8.0}, PRBS: {Subject(): 2.0}}} for one in hours)
