"""Windows against an oracle that only looks at the clock on the wall, across days on which it is set."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.windows import Calendar, never_closes, opening
from controller.models.approval import PartyWindows, RunConstraints, StationConstraints
from controller.models.errors import InputError
from controller.models.run import Policy, Strategy
from controller.models.sharing import MaintenanceWindow, Weekday
from controller.runs.rollout.timers import check_windows
from controller.store import NewJob

#: Peru, central Mexico and Quintana Roo have no summer time; the border to the United States has, Chile in the south.
ZONES = [
    "America/Lima",
    "America/Mexico_City",
    "America/Cancun",
    "America/Tijuana",
    "America/Santiago",
    "Europe/Madrid",
]
#: Days around which clocks are set somewhere in 2026.
TURNS = [datetime(2026, *day, tzinfo=UTC) for day in ((3, 8), (3, 29), (4, 5), (9, 6), (10, 25), (11, 1))]

times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
bounds = st.lists(times, min_size=2, max_size=2, unique=True)
days = st.lists(st.sampled_from(list(Weekday)), min_size=1, max_size=7, unique=True).map(tuple)
windows = st.builds(
    lambda days, bounds: MaintenanceWindow(days=days, start=bounds[0], end=bounds[1]), days=days, bounds=bounds
)
calendars = st.lists(windows, max_size=3).map(tuple)
instants = st.builds(
    lambda turn, minutes: turn + timedelta(minutes=minutes), st.sampled_from(TURNS), st.integers(-4 * 1440, 3 * 1440)
)


def _shows(window: MaintenanceWindow, wall: datetime) -> bool:
    """Whether the clock on the wall shows a time within the window."""
    today, yesterday = (list(Weekday)[(wall - timedelta(days=ago)).weekday()] for ago in (0, 1))
    now = wall.time()
    if window.start < window.end:
        return today in window.days and window.start <= now < window.end
    return (today in window.days and now >= window.start) or (yesterday in window.days and now < window.end)


def _open(calendar: Calendar, zone: ZoneInfo, at: datetime) -> bool:
    return not calendar or any(_shows(window, at.astimezone(zone).replace(tzinfo=None)) for window in calendar)


@settings(deadline=None)
@given(st.lists(calendars, max_size=3), st.sampled_from(ZONES), instants, st.integers(0, 7200))
def test_an_opening_lies_within_all_windows_and_is_long_enough(
    owners: list[Calendar], zone: str, now: datetime, seconds: int
) -> None:
    found = opening(owners, ZoneInfo(zone), now, seconds)
    if found is None:
        return
    begin, end = max(found[0], now), found[1]
    assert (end - begin).total_seconds() > seconds
    step = (end - begin) / 50
    for moment in (begin + step * n for n in range(50)):
        assert all(_open(calendar, ZoneInfo(zone), moment) for calendar in owners), moment


@settings(deadline=None)
@given(st.lists(calendars, max_size=3), st.sampled_from(ZONES), instants)
def test_nothing_earlier_is_missed_but_where_the_clock_is_set(owners: list[Calendar], zone: str, now: datetime) -> None:
    local = ZoneInfo(zone)
    found = opening(owners, local, now)
    first = now + timedelta(days=10) if found is None else max(found[0], now)
    moment = now
    while moment < min(first, now + timedelta(days=9)):
        shown = all(_open(calendar, local, moment) for calendar in owners)
        assert not shown or _turned(moment, local), moment
        moment += timedelta(minutes=15)


def _turned(at: datetime, zone: ZoneInfo) -> bool:
    """Whether the clock is set within a day."""
    return len({(at + timedelta(hours=h)).astimezone(zone).utcoffset() for h in range(-26, 27)}) > 1


@settings(deadline=None)
@given(st.sampled_from(ZONES), instants)
def test_without_windows_it_is_always_open(zone: str, now: datetime) -> None:
    found = opening([(), ()], ZoneInfo(zone), now, 3600)
    assert found is not None
    assert never_closes(found, now)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(ZONES), instants, bounds)
def test_windows_of_all_hours_never_close(zone: str, now: datetime, bounds: list[time]) -> None:
    one, other = bounds
    whole = (MaintenanceWindow(start=one, end=other), MaintenanceWindow(start=other, end=one))
    found = opening([whole, ()], ZoneInfo(zone), now, 3600)
    assert found is not None
    assert never_closes(found, now) or _turned(found[1], ZoneInfo(zone))


def _window(days: str, start: str, end: str) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate({"days": days.split(), "start": start, "end": end})


@pytest.mark.parametrize(
    ("now", "begin", "end"),
    [
        ("2026-11-28T12:00", "2026-11-29T04:00", "2026-11-29T10:00"),  # Saturday noon: tonight, 23:00 to 05:00 in Lima
        ("2026-11-29T09:59", "2026-11-29T04:00", "2026-11-29T10:00"),  # it is open, for one minute more
        ("2026-11-29T10:00", "2026-11-30T04:00", "2026-11-30T10:00"),  # Sunday morning: closed until Sunday night
    ],
)
def test_a_window_past_midnight_belongs_to_the_day_on_which_it_begins(now: str, begin: str, end: str) -> None:
    found = opening([(_window("sat sun", "23:00", "05:00"),)], ZoneInfo("America/Lima"), _utc(now))
    assert found == (_utc(begin), _utc(end))


def test_owners_must_all_be_open() -> None:
    one, other = (_window("mon tue", "00:00", "04:00"),), (_window("tue wed", "02:00", "06:00"),)
    found = opening([one, other], ZoneInfo("America/Lima"), _utc("2026-11-23T12:00"))
    assert found == (_utc("2026-11-24T07:00"), _utc("2026-11-24T09:00"))
    assert (
        opening([one, (_window("sun", "00:00", "04:00"),)], ZoneInfo("America/Lima"), _utc("2026-11-23T12:00")) is None
    )


def test_what_does_not_fit_waits_for_the_next_window() -> None:
    nightly = [(_window("mon tue wed thu fri sat sun", "01:00", "02:00"),)]
    now = _utc("2026-11-23T06:58")  # 01:58 in Lima
    assert opening(nightly, ZoneInfo("America/Lima"), now, 60) == (_utc("2026-11-23T06:00"), _utc("2026-11-23T07:00"))
    assert opening(nightly, ZoneInfo("America/Lima"), now, 120) == (_utc("2026-11-24T06:00"), _utc("2026-11-24T07:00"))
    assert opening(nightly, ZoneInfo("America/Lima"), now, 3600) is None


def test_an_opening_closes_with_its_last_moment_unless_that_is_as_far_as_anybody_looks() -> None:
    now = _utc("2026-11-23T12:00")
    (_, far), soon = opening([()], ZoneInfo("America/Lima"), now) or (now, now), now + timedelta(hours=1)
    assert far - now > timedelta(days=14)
    assert never_closes((now, far), now)
    assert not never_closes((now, far - timedelta(microseconds=1)), now)
    assert not never_closes((now, soon), now)


def test_a_local_time_that_comes_twice_or_never_makes_the_window_shorter() -> None:
    tijuana = ZoneInfo("America/Tijuana")
    autumn = opening([(_window("sun", "01:30", "04:00"),)], tijuana, _utc("2026-11-01T00:00"))
    assert autumn == (_utc("2026-11-01T09:30"), _utc("2026-11-01T12:00"))  # the second 01:30
    spring = opening([(_window("sun", "01:00", "02:30"),)], tijuana, _utc("2026-03-08T00:00"))
    assert spring is not None
    assert spring[1] <= _utc("2026-03-08T10:00")  # there is no 02:30, and 03:00 is outside


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _bound(zone: str, *windows: MaintenanceWindow) -> StationConstraints:
    return StationConstraints(
        region="r", timezone=zone, windows=tuple(PartyWindows(windows=one) for one in (windows,) if one)
    )


@pytest.mark.parametrize("policy", [Policy.UNIT, Policy.WAVE])
def test_windows_that_are_never_open_together_are_reported_up_front(policy: Policy) -> None:
    """Each for itself would wait for its window, and the group for ever."""
    night, morning = (_window("sat sun", *hours) for hours in (("01:00", "03:00"), ("02:30", "05:00")))
    now, strategy = _utc("2026-11-23T12:00"), Strategy(policy=policy, confirm_timeout=1700)
    jobs = [NewJob(0, "A", "U"), NewJob(0, "B", "U"), NewJob(0, "C", "C")]

    def check(one: StationConstraints, other: StationConstraints, seconds: int = 1700, of: Policy = policy) -> None:
        constraints = RunConstraints(
            subject="s",
            groups=(one, other, _bound("America/Lima")),
            stations={"A": ("a", 0), "B": ("b", 1), "C": ("c", 2)},
        )
        chosen = strategy.model_copy(update={"confirm_timeout": seconds, "policy": of})
        check_windows(chosen, jobs, constraints, now)

    late, early = (_bound("America/Lima", window) for window in (night, morning))
    check(late, early)  # half an hour together
    name = "unit U" if policy is Policy.UNIT else "wave 0"
    with pytest.raises(InputError, match=f"the windows of {name} are never open together for 1800 s"):
        check(late, early, 1800)
    check(late, early, 1800, Policy.STATION)
    # The same hours elsewhere are others: in Tijuana it is three hours earlier.
    with pytest.raises(InputError):
        check(late, _bound("America/Tijuana", night))
    # Where one alone has no window that is long enough, its run says so, and may be overridden.
    check(_bound("America/Lima", _window("sat", "01:00", "01:10")), early)
