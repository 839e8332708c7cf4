"""When shifts begin and end, in whatever time zone and on days when clocks are set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.intent.shifts import changes_of_shift, current_shift, last_shift

THREE = changes_of_shift("06:00,14:00,22:00")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "begin", "end"),
    [
        # 09:00 in Lima: the night shift is over.
        ("2026-12-01T14:00", "America/Lima", "2026-12-01T03:00", "2026-12-01T11:00"),
        # To the second at which it ends.
        ("2026-12-01T11:00", "America/Lima", "2026-12-01T03:00", "2026-12-01T11:00"),
        # A second less, it is under way: the one before is the last.
        ("2026-12-01T10:59:59", "America/Lima", "2026-11-30T19:00", "2026-12-01T03:00"),
        ("2026-12-01T00:20", "Asia/Kathmandu", "2026-11-30T16:15", "2026-12-01T00:15"),
        ("2026-12-01T00:00", "Pacific/Kiritimati", "2026-11-30T16:00", "2026-12-01T00:00"),
        # The night in which Madrid's clocks go ahead is an hour shorter, and the one in which they go back longer.
        ("2026-03-29T10:00", "Europe/Madrid", "2026-03-28T21:00", "2026-03-29T04:00"),
        ("2026-10-25T10:00", "Europe/Madrid", "2026-10-24T20:00", "2026-10-25T05:00"),
    ],
)
def test_the_last_shift_is_the_one_that_is_over(now: str, zone: str, begin: str, end: str) -> None:
    assert last_shift(utc(now), THREE, ZoneInfo(zone)) == (utc(begin), utc(end))
    assert current_shift(utc(now), THREE, ZoneInfo(zone)) == (utc(end), utc(now))


def test_one_change_a_day_makes_shifts_of_a_day() -> None:
    begin, end = last_shift(utc("2026-12-01T14:00"), changes_of_shift("06:00"), ZoneInfo("America/Lima"))
    assert (begin, end - begin) == (utc("2026-11-30T11:00"), timedelta(days=1))
    # Before it changes today, the shift that is over began two days ago.
    early = last_shift(utc("2026-12-01T10:00"), changes_of_shift("06:00"), ZoneInfo("America/Lima"))
    assert early == (utc("2026-11-29T11:00"), utc("2026-11-30T11:00"))
    assert changes_of_shift("22:00,06:00,22:00") == changes_of_shift("06:00,22:00")


def test_changes_in_the_hour_that_a_day_lacks_still_give_shifts_in_order() -> None:
    """02:30 does not exist on that day, and is not skipped."""
    begins = changes_of_shift("02:30,03:15,14:00")
    begin, end = last_shift(utc("2026-03-29T09:00"), begins, ZoneInfo("Europe/Madrid"))
    assert begin < end <= utc("2026-03-29T09:00")
