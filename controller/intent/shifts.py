"""Shifts of a NOC: when one ends and the next begins, in local time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

Period = tuple[datetime, datetime]


def changes_of_shift(text: str) -> tuple[time, ...]:
    """Local times at which shifts begin, from a setting such as ``06:00,14:00,22:00``."""
    return tuple(sorted({time.fromisoformat(one) for one in text.split(",")}))


def last_shift(now: datetime, begins: Sequence[time], zone: ZoneInfo) -> Period:
    """Begin and end of the last shift that is over, in UTC."""
    *_, before, begin = _begins(now, begins, zone)
    return before, begin


def current_shift(now: datetime, begins: Sequence[time], zone: ZoneInfo) -> Period:
    """Begin of the shift that is under way, in UTC; and now."""
    *_, begin = _begins(now, begins, zone)
    return begin, now


def _begins(now: datetime, begins: Sequence[time], zone: ZoneInfo) -> list[datetime]:
    """When shifts began in the last days, oldest first.

    A local time that a clock change leaves out has the offset from before; one that comes twice counts the first time.
    """
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=days) for days in (3, 2, 1, 0)]
    found = {datetime.combine(day, at, zone).astimezone(UTC) for day in days for at in begins}
    return sorted(at for at in found if at <= now)
