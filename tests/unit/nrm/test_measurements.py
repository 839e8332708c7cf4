"""Measurements on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from controller.models.measurement import Period
from controller.nrm.measurements import decode_measurements

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


def test_a_job_without_times_hides_no_other() -> None:
    timeless = "<end-time>2026-06-15T12:15:00Z</end-time></job>"
    periods = decode_measurements(performance(f"{timeless}<job><id> j2 </id>{TIMES}"))
    assert [period.job for period in periods] == ["j2"]
