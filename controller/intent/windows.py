"""Weekly windows in local time, as points in time. Pure.

When clocks are set and a local time occurs twice or not at all, the shorter window counts: it is never open at a local
time outside of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from controller.models.sharing import MaintenanceWindow, Weekday

Interval = tuple[datetime, datetime]
#: Windows of one owner. Work that several owners bind needs an open window of each.
Calendar = tuple[MaintenanceWindow, ...]

#: How far ahead openings are searched. Windows recur weekly; the rest allows for clocks that are set.
HORIZON = timedelta(days=15)
_DAYS = tuple(Weekday)


def opening(calendars: Iterable[Calendar], zone: ZoneInfo, now: datetime, seconds: float = 0) -> Interval | None:
    """The first time, from ``now`` on or around it, at which all calendars are open for more than ``seconds``.

    Args:
        calendars: Calendars of all owners; one without windows is always open.
        zone: The time zone of their local times.
        now: A time with a time zone.
        seconds: Time that the work needs, from ``now`` or from the beginning if that is later.

    Returns:
        Beginning and end (UTC), or None if there is no such time within two weeks.
    """
    return common_opening(((calendar, zone) for calendar in calendars), now, seconds)


def common_opening(
    calendars: Iterable[tuple[Calendar, ZoneInfo]], now: datetime, seconds: float = 0
) -> Interval | None:
    """``opening`` of calendars that each have a time zone of their own."""
    until = now + HORIZON
    common: Sequence[Interval] = ((now - timedelta(days=1), until),)
    for calendar, zone in calendars:
        if calendar:
            common = _overlap(common, openings(calendar, zone, now, until))
    for begin, end in common:
        if (end - max(begin, now)).total_seconds() > seconds:
            return begin, end
    return None


def never_closes(interval: Interval, now: datetime) -> bool:
    """Whether an opening lasts to the end of the search."""
    return interval[1] >= now + HORIZON


def openings(calendar: Calendar, zone: ZoneInfo, since: datetime, until: datetime) -> list[Interval]:
    """When at least one window of a calendar is open, in order and without overlap."""
    first = since.astimezone(zone).date() - timedelta(days=2)
    days = [first + timedelta(days=n) for n in range((until.astimezone(zone).date() - first).days + 1)]
    found = sorted(
        interval
        for window in calendar
        for day in days
        if _DAYS[day.weekday()] in window.days and (interval := _interval(window, day, zone)) is not None
    )
    merged: list[Interval] = []
    for begin, end in found:
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _interval(window: MaintenanceWindow, day: date, zone: ZoneInfo) -> Interval | None:
    """A window that begins on a local day; None if nothing of it is left because the clock is set."""
    last = day if window.end > window.start else day + timedelta(days=1)
    begin, end = max(_instants(day, window.start, zone)), min(_instants(last, window.end, zone))
    return (begin, end) if begin < end else None


def _instants(day: date, at: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both readings of a local time (PEP 495), which differ only when the clock is set."""
    local = datetime.combine(day, at, zone)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _overlap(one: Sequence[Interval], other: Sequence[Interval]) -> list[Interval]:
    """Times when both are open."""
    both = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return sorted((begin, end) for begin, end in both if begin < end)
