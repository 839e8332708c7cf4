"""Hours and days from periods: which belong together, and how they add up."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.models.measurement import DAY, HOUR, MONTH, QUARTER, Measured, Subject
from controller.performance.rollups import Zones, rolled_up, span_of

VOLUME, PRBS, MOST = "DRB.PdcpSduVolumeDL", "RRU.PrbTotDl", "RRC.ConnMax"
BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
ZONES = ("America/Lima", "America/Santiago", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Dublin", "Pacific/Apia", "UTC")

#: Of the years 2011 to 2030.
moments = st.integers(1293840000, 1893456000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(moments, st.sampled_from((QUARTER, HOUR, DAY, MONTH)), st.sampled_from(ZONES))
@settings(max_examples=200, deadline=None)
def test_spans_follow_each_other_without_gaps(moment: datetime, level: int, name: str) -> None:
    zone = ZoneInfo(name)
    begin, end = span_of(moment, level, zone)
    assert begin <= moment < end
    assert span_of(begin, level, zone) == span_of(end - timedelta(microseconds=1), level, zone) == (begin, end)
    assert span_of(end, level, zone)[0] == end
    local = begin.astimezone(zone)
    assert level == QUARTER or local.minute == 0
    assert level != MONTH or local.day == 1
    assert level < DAY or (local.hour, local.minute) == (0, 0) or local.utcoffset() != end.astimezone(zone).utcoffset()


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-04-04", 25), ("2026-04-05", 24), ("2026-09-05", 24), ("2026-09-06", 23)],
)
def test_a_day_is_as_long_as_its_clocks_make_it(day: str, hours: int) -> None:
    zone = ZoneInfo("America/Santiago")
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=zone)
    begin, end = span_of(noon, DAY, zone)
    assert (end - begin) == timedelta(hours=hours)
    assert {span_of(begin + timedelta(hours=n), DAY, zone) for n in range(hours)} == {(begin, end)}


@pytest.mark.parametrize(("change", "halves"), [("2026-10-03T15:30", [30, 60]), ("2026-04-04T15:00", [30, 60])])
def test_each_quarter_is_part_of_one_hour_where_clocks_change_by_half_of_one(change: str, halves: list[int]) -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    changed = datetime.fromisoformat(change).replace(tzinfo=UTC)
    assert span_of(changed - timedelta(minutes=1), HOUR, zone) == (changed - timedelta(hours=1), changed)
    begin = changed
    for minutes in halves:
        end = begin + timedelta(minutes=minutes)
        quarters = [begin + n * timedelta(seconds=QUARTER) for n in range(minutes // 15)]
        assert {span_of(one, HOUR, zone) for one in quarters} == {(begin, end)}
        begin = end
    assert begin.astimezone(zone).minute == 0


def period(number: int, volume: float = 1.0, covered: float = QUARTER, *, suspect: bool = False) -> Measured:
    cells = {"1": {VOLUME: {Subject("716-15", 9): volume}, PRBS: {Subject(): volume}, MOST: {Subject(): volume}}}
    begin = BEGIN + number * timedelta(seconds=QUARTER)
    return Measured(station="A", begin=begin, seconds=QUARTER, covered=covered, suspect=suspect, cells=cells)


def hour(*periods: Measured) -> Measured:
    found = rolled_up("A", BEGIN, BEGIN + timedelta(hours=1), periods)
    assert found is not None
    return found


def test_nothing_is_made_of_nothing() -> None:
    assert rolled_up("A", BEGIN, BEGIN + timedelta(hours=1), []) is None


def test_means_are_weighted_with_the_time_that_was_measured() -> None:
    found = hour(period(0, 10.0), period(1, 40.0, covered=300.0))
    assert found.cells["1"] == {
        VOLUME: {Subject("716-15", 9): 50.0},
        PRBS: {Subject(): 17.5},
        MOST: {Subject(): 40.0},
    }
    assert (found.seconds, found.covered, found.suspect) == (HOUR, 1200.0, False)


def test_a_counter_that_is_not_always_there_is_weighted_with_its_own_time() -> None:
    cells = {"1": {PRBS: {Subject(slice="1-00000A"): 8.0}}}
    later = period(1).model_copy(update={"cells": cells})
    assert hour(period(0, 4.0), later).cells["1"][PRBS] == {Subject(): 4.0, Subject(slice="1-00000A"): 8.0}


def test_one_suspect_period_is_told_of() -> None:
    assert hour(period(0), period(1, suspect=True)).suspect


def test_more_periods_than_there_is_time_cover_no_more_than_that() -> None:
    assert hour(*(period(number) for number in range(6))).covered == HOUR


volumes = st.lists(st.floats(0, 1e6).map(lambda value: round(value, 6)), min_size=1, max_size=96)


@given(volumes, st.integers())
@settings(max_examples=60, deadline=None)
def test_a_day_is_the_sum_of_its_periods_in_whatever_order(values: list[float], seed: int) -> None:
    periods = [period(number, value) for number, value in enumerate(values)]
    by_hour: dict[datetime, list[Measured]] = {}
    for one in random.Random(seed).sample(periods, len(periods)):
        by_hour.setdefault(span_of(one.begin, HOUR, ZoneInfo("UTC"))[0], []).append(one)
    hours = [rolled_up("A", begin, begin + timedelta(hours=1), found) for begin, found in by_hour.items()]
    day = rolled_up("A", BEGIN, BEGIN + timedelta(days=1), [one for one in hours if one is not None])
    assert day is not None
    counters = day.cells["1"]
    assert counters[VOLUME][Subject("716-15", 9)] == pytest.approx(sum(values), abs=1e-3)
    assert counters[PRBS][Subject()] == pytest.approx(sum(values) / len(values), abs=1e-3)
    assert counters[MOST][Subject()] == max(values)
    assert day.covered == len(values) * QUARTER


def test_what_is_told_finer_from_some_time_on_is_in_the_sum_of_all() -> None:
    """Counted by PLMN alone, then by QCI, then with a total: what is the tenant's stays whole."""
    mine, other = Subject("716-15"), Subject("716-10")
    volumes: list[dict[Subject, float]] = [
        {mine: 10.0, other: 1.0},
        {mine._replace(qos=9): 20.0, mine._replace(qos=1): 2.0, other._replace(qos=9): 3.0},
        {Subject(): 50.0, mine: 40.0, other: 4.0},
    ]
    periods = [
        period(number).model_copy(update={"cells": {"1": {VOLUME: values, MOST: {mine: 7.0}}}})
        for number, values in enumerate(volumes)
    ]
    counted = hour(*periods).cells["1"][VOLUME]
    assert (counted[mine], counted[other], counted[Subject()]) == (72, 8, 86)
    assert (counted[mine._replace(qos=9)], counted[mine._replace(qos=1)]) == (20, 2)
    used = {Subject(slice="1-000001"): 10.0, Subject(slice="1-000002"): 30.0}
    prbs = [period(0).model_copy(update={"cells": {"1": {"RRU.PrbUsedDl": one}}}) for one in (used, {Subject(): 60.0})]
    assert hour(*prbs).cells["1"]["RRU.PrbUsedDl"][Subject()] == 50, "means of all that there is at a time"


def test_a_mean_of_spans_that_cover_no_time_is_unknown() -> None:
    """A central unit counts for a station that was not measured itself in that quarter."""
    load, busy = "RRU.PrbTotDl", "RRC.ConnMean"
    own = period(0).model_copy(update={"cells": {"1": {load: {Subject(): 5.0}}}})
    theirs = period(1, covered=0.0).model_copy(update={"cells": {"1": {busy: {Subject(): 3.0}}}})
    assert hour(own, theirs).cells == {"1": {load: {Subject(): 5.0}, busy: {}}}


_SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("level", [HOUR, DAY, MONTH])
def test_days_end_where_their_time_zone_does(level: int) -> None:
    """Each moment is in one span, and spans meet, whatever zones come and go."""
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    said = ("America/Lima", "America/Lima", "Asia/Kolkata", "Pacific/Kiritimati", "Asia/Tokyo", "America/Lima")
    hours = (-900, 30.5, 100.25, 100.5, 250, 400.9)
    zones = Zones.of((begin + timedelta(hours=at), name) for at, name in zip(hours, said, strict=True))
    assert [(at, zone.key) for at, zone in zones.held[1:]] == [
        # Kolkata held for no full hour.
        (begin + timedelta(hours=101), "Pacific/Kiritimati"),
        (begin + timedelta(hours=250), "Asia/Tokyo"),
        (begin + timedelta(hours=401), "America/Lima"),
    ]
    at, end = begin, begin + timedelta(days=40)
    while at < end:
        since, until = zones.span_of(at, level)
        assert since <= at < until
        assert zones.span_of(until - _SECOND, level) == (since, until)
        assert zones.span_of(until, level)[0] == until
        at = until


def test_without_a_network_days_are_those_of_utc() -> None:
    day = datetime(2026, 6, 1, tzinfo=UTC)
    assert Zones.of(()).span_of(day + timedelta(hours=5), DAY) == (day, day + timedelta(days=1))
