"""In which order stations have the PLMNs of their cells: since when and until when each check read the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from controller.models.health import Health
from controller.models.measurement import ListedPlmns
from controller.store import SqlStore

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
AB, BA = {"1": ("716-06", "716-15")}, {"1": ("716-15", "716-06")}


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def check(store: SqlStore, minutes: int, plmns: Mapping[str, tuple[str, ...]] | None, station: str = "S1") -> None:
    """A check; with None, one that got no answer."""
    answered = plmns is not None
    store.healths.save(
        [Health(station=station, at=at(minutes), reachable=answered, plmns=dict(AB if plmns is None else plmns))]
    )


def listed(store: SqlStore, since: int = 0) -> list[ListedPlmns]:
    return list(store.healths.listed_plmns("S1", at(since)))


def test_a_list_lasts_from_the_first_check_that_read_it_to_the_last(store: SqlStore) -> None:
    for minutes, plmns in ((0, AB), (5, AB), (10, AB), (15, BA), (20, BA)):
        check(store, minutes, plmns)
    assert listed(store) == [
        ListedPlmns(at(0), at(10), False, AB),
        ListedPlmns(at(15), at(20), True, BA),
    ]
    assert listed(store, 12) == [ListedPlmns(at(15), at(20), True, BA)]


def test_a_change_back_between_two_others_is_seen(store: SqlStore) -> None:
    for minutes, plmns in ((0, AB), (5, BA), (10, AB)):
        check(store, minutes, plmns)
    assert [(one.since, one.until, one.cells) for one in listed(store)] == [
        (at(0), at(0), AB),
        (at(5), at(5), BA),
        (at(10), at(10), AB),
    ]


def test_nothing_is_known_of_time_without_an_answer_or_without_a_check(store: SqlStore) -> None:
    for minutes, plmns in ((0, AB), (5, AB), (10, None), (15, AB), (20, AB), (31, AB), (36, {})):
        check(store, minutes, plmns)
    assert listed(store) == [
        ListedPlmns(at(0), at(5), False, AB),
        ListedPlmns(at(15), at(20), False, AB),
        ListedPlmns(at(31), at(31), False, AB),
    ]


def test_an_older_check_that_comes_late_and_another_station_change_nothing(store: SqlStore) -> None:
    check(store, 0, AB)
    check(store, 5, AB)
    check(store, 3, BA)
    check(store, 4, BA, "S2")
    assert listed(store) == [ListedPlmns(at(0), at(5), True, AB)]
