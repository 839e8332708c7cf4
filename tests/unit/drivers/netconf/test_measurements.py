"""Measurements on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from controller.drivers.netconf.measurements import decode_measurements
from controller.models.measurement import GRANULARITIES, HOUR, Period, Unread, aligned

BEGIN, END = datetime(2026, 6, 15, 12, 0, tzinfo=UTC), datetime(2026, 6, 15, 12, 15, tzinfo=UTC)


def performance(*fields: str) -> etree._Element:
    """A station's answer with one job; an object has a name and its counters."""
    job = "".join(fields)
    return etree.fromstring(
        f'<data><performance xmlns="urn:minka:performance"><job><id>j1</id>{job}</job></performance></data>'
    )


TIMES = "<begin-time>2026-06-15T12:00:00Z</begin-time><end-time>2026-06-15T12:15:00Z</end-time>"


@pytest.mark.parametrize(("told", "suspect"), [("true", True), ("false", False), (" true ", True), (None, False)])
def test_a_period_is_suspect_where_its_station_says_so(told: str | None, suspect: bool) -> None:
    flag = "" if told is None else f"<suspect>{told}</suspect>"
    assert decode_measurements(performance(TIMES, flag)) == (
        Period(job="j1", begin=BEGIN, end=END, suspect=suspect, values={}),
    )


def test_a_period_without_its_times_is_left_out() -> None:
    assert decode_measurements(performance("<begin-time>2026-06-15T12:00:00Z</begin-time>")) == ()


def test_counters_are_read_by_object_and_what_is_no_number_is_left_out() -> None:
    counters = (("first", "1.5"), ("odd", "n/a"), ("none", ""), ("last", " 2 "))
    told = "".join(f"<counter><name> {name} </name><value>{value}</value></counter>" for name, value in counters)
    (period,) = decode_measurements(
        performance(TIMES, f"<object><name>Cell=1</name>{told}</object>", "<object><name>Cell=2</name></object>")
    )
    assert period.values == {"Cell=1": {"first": 1.5, "last": 2.0}, "Cell=2": {}}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("inf", Unread.IMPOSSIBLE),
        ("-inf", Unread.IMPOSSIBLE),
        ("1e400", Unread.IMPOSSIBLE),
        ("9" * 400, Unread.IMPOSSIBLE),
        ("1e308", Unread.IMPOSSIBLE),
        ("nan", Unread.NO_NUMBER),
        ("1_000", Unread.NO_NUMBER),
    ],
)
def test_a_value_that_can_not_be_read_is_left_out_with_its_reason(value: str, reason: Unread) -> None:
    told = "".join(f"<counter><name>{n}</name><value>{v}</value></counter>" for n, v in (("odd", value), ("good", "1")))
    (period,) = decode_measurements(performance(TIMES, f"<object><name>Cell=1</name>{told}</object>"))
    assert (period.values, period.unread) == ({"Cell=1": {"good": 1.0}}, {reason.value: 1})
    assert period.suspect is (reason is Unread.IMPOSSIBLE)


def test_a_period_that_ends_before_it_begins_has_no_values() -> None:
    told = "<object><name>Cell=1</name><counter><name>c</name><value>1</value></counter></object>"
    backwards = "<begin-time>2026-06-15T12:15:00Z</begin-time><end-time>2026-06-15T12:00:00Z</end-time>"
    (period,) = decode_measurements(performance(backwards, told))
    assert (period.values, period.unread, period.granularity) == ({}, {Unread.GRANULARITY.value: 1}, 0)


@pytest.mark.parametrize(("seconds", "granularity"), [(900, 900), (899.6, 900), (HOUR, HOUR), (901, 0), (7, 0), (0, 0)])
def test_a_granularity_is_one_of_the_standard(seconds: float, granularity: int) -> None:
    assert Period(job="1", begin=BEGIN, end=BEGIN + timedelta(seconds=seconds)).granularity == granularity


@pytest.mark.parametrize("seconds", GRANULARITIES)
@pytest.mark.parametrize("late", [0.0, 1.0, -1.0, 0.000001, 30.0, -30.0, 30.1, -30.1, 149.0])
def test_a_period_is_on_its_grid_or_some_seconds_off(seconds: int, late: float) -> None:
    off = timedelta(seconds=late)
    one = Period(job="1", begin=BEGIN - timedelta(seconds=seconds) + off, end=BEGIN + off)
    assert one.aligned == (BEGIN - timedelta(seconds=seconds) if abs(late) <= 30 else None)


def test_a_period_at_an_end_of_the_calendar_is_on_the_grid_or_not() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert aligned(first + timedelta(seconds=3), 900) == first
    assert aligned(last, 900) is None
    assert aligned(BEGIN, 7) is None


def test_a_job_without_times_hides_no_other() -> None:
    timeless = "<end-time>2026-06-15T12:15:00Z</end-time></job>"
    periods = decode_measurements(performance(f"{timeless}<job><id> j2 </id>{TIMES}"))
    assert [period.job for period in periods] == ["j2"]
