"""In which order stations have the PLMNs of their cells: since when and until when each check read the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from controller.models.health import Health
from controller.models.measurement import ListedPlmns
from controller.store import Store

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
AB, BA = {"1": ("716-06", "716-15")}, {"1": ("716-15", "716-06")}


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def check(store: Store, minutes: int, plmns: Mapping[str, tuple[str, ...]] | None, station: str = "S1") -> None:
    """A check; with None, one that got no answer."""
    answered = plmns is not None
    store.healths.save(
        [Health(station=station, at=at(minutes), reachable=answered, plmns=dict(AB if plmns is None else plmns))]
    )


def listed(store: Store, since: int = 0) -> list[ListedPlmns]:
    return list(store.healths.listed_plmns("S1", at(since)))


def test_a_list_lasts_from_the_first_check_that_read_it_to_the_last(store: Store) -> None:
    for minutes, plmns in ((0, AB), (5, AB), (10, AB), (15, BA), (20, BA)):
        check(store, minutes, plmns)
    assert listed(store) == [
        ListedPlmns(at(0), at(10), False, AB),
        ListedPlmns(at(15), at(20), True, BA),
    ]
    assert listed(store, 12) == [ListedPlmns(at(15), at(20), True, BA)]


def test_a_change_back_between_two_others_is_seen_and_what_lasted_for_no_period_does_not_stay(store: Store) -> None:
    for minutes, plmns in ((0, AB), (5, AB), (10, BA), (15, AB), (20, AB)):
        check(store, minutes, plmns)
    assert listed(store) == [ListedPlmns(at(0), at(5), False, AB), ListedPlmns(at(15), at(20), True, AB)]


def test_a_station_that_changes_its_list_with_each_check_leaves_one_row(store: Store) -> None:
    for number in range(40):
        check(store, number, BA if number % 2 else AB)
    assert listed(store) == [ListedPlmns(at(39), at(39), True, BA)]


def test_a_station_with_too_many_lists_in_a_day_has_none_until_these_are_older(store: Store) -> None:
    for number in range(100):
        for minutes in (0, 5):
            check(store, 10 * number + minutes, BA if number % 2 else AB)
            check(store, 10 * number + minutes, AB, "S2")
    found = listed(store)
    assert [one.since for one in found] == [at(10 * number) for number in range(48)]
    assert not any(one.goes_on for one in found)
    (other,) = store.healths.listed_plmns("S2", at(0))
    assert (other.since, other.until) == (at(0), at(995))
    later = 24 * 60 + 300
    check(store, later, BA)
    assert listed(store, later) == [ListedPlmns(at(later), at(later), True, BA)]


def test_lists_longer_than_any_station_has_are_not_noted(store: Store) -> None:
    cells = {f"{number}": tuple(f"{mcc}-06" for mcc in range(710, 716)) for number in range(256)}
    check(store, 0, cells)
    check(store, 5, {**cells, "x" * 40_000: ("716-06",)})
    assert listed(store) == []
    check(store, 10, cells)
    assert listed(store) == [ListedPlmns(at(10), at(10), True, cells)]


def test_lists_go_with_the_measurements_of_their_time(store: Store) -> None:
    for minutes, plmns in ((0, AB), (5, AB), (10, BA), (20, BA), (25, AB)):
        check(store, minutes, plmns)
    keep = {900: timedelta(days=35), 3600: timedelta(days=400)}
    store.measurements.retire(at(10) + timedelta(days=35), keep)
    assert [one.since for one in listed(store)] == [at(10), at(25)]
    store.measurements.retire(at(600) + timedelta(days=400), keep)
    assert [one.since for one in listed(store)] == [at(25)]


def test_nothing_is_known_of_time_without_an_answer_or_without_a_check(store: Store) -> None:
    for minutes, plmns in ((0, AB), (5, AB), (10, None), (15, AB), (20, AB), (31, AB), (36, AB), (41, {})):
        check(store, minutes, plmns)
    assert listed(store) == [
        ListedPlmns(at(0), at(5), False, AB),
        ListedPlmns(at(15), at(20), False, AB),
        ListedPlmns(at(31), at(36), False, AB),
    ]


def test_what_answers_while_a_job_changes_it_tells_no_list(store: Store) -> None:
    for minutes in (0, 5):
        check(store, minutes, AB)
    told = Health(station="S1", at=at(6), reachable=True, changing=True, plmns=AB, locked=("1",))
    store.healths.save([told.model_copy(update={"missing": (("1", "716-06", "bitel", "/PLMN[716-06]"),)})])
    assert listed(store) == [ListedPlmns(at(0), at(5), False, AB)]


def test_an_older_check_that_comes_late_and_another_station_change_nothing(store: Store) -> None:
    check(store, 0, AB)
    check(store, 5, AB)
    check(store, 3, BA)
    check(store, 4, BA, "S2")
    assert listed(store) == [ListedPlmns(at(0), at(5), True, AB)]
