"""Whose a collection is, when it is due again, and what is counted of it."""

from __future__ import annotations

from datetime import timedelta

from controller.ports.clock import VirtualClock
from controller.store import Store

MINUTE = timedelta(minutes=1)


def test_a_collection_is_one_workers_until_it_is_finished_or_its_lease_ends(store: Store, clock: VirtualClock) -> None:
    now = clock.now()
    store.collections.follow({"A": now, "B": now + MINUTE, "C": now - MINUTE})
    assert store.collections.waiting() == 2
    assert [one.station for one in store.collections.take("w1", 1, MINUTE)] == ["C"], "the longest due goes first"
    (a,) = store.collections.take("w2", 9, MINUTE)
    assert (a.station, a.holder, a.since, a.tried) == ("A", "w2", now, None)
    assert store.collections.take("w3", 9, MINUTE) == []
    end = a.model_copy(update={"due": now + 15 * MINUTE, "tried": now, "newest": now, "missing": 3, "again": ("x",)})
    assert store.collections.finish([end], {("periods", "new"): 2, ("files_refused", "gone"): 0}) == []
    clock.pause(60)
    assert [one.station for one in store.collections.take("w3", 9, MINUTE)] == ["C", "B"], "the lease of w1 has ended"
    kept = store.collections.find(["A"])["A"]
    assert (kept.due, kept.newest, kept.missing, kept.again, kept.holder) == (end.due, now, 3, ("x",), "")


def test_what_another_worker_took_meanwhile_is_not_finished(store: Store, clock: VirtualClock) -> None:
    store.collections.follow({"A": clock.now()})
    (first,) = store.collections.take("w1", 1, MINUTE)
    clock.pause(61)
    (second,) = store.collections.take("w2", 1, MINUTE)
    later = first.due + 9 * MINUTE
    assert store.collections.finish([first.model_copy(update={"due": later, "failures": 7})], {}) == ["A"]
    assert store.collections.finish([second.model_copy(update={"due": later, "failures": 1})], {}) == []
    assert store.collections.find()["A"].failures == 1
    assert store.collections.finish([second], {}) == ["A"], "it is nobody's now"


def test_a_station_that_hurries_is_due_at_once_even_while_it_is_collected(store: Store, clock: VirtualClock) -> None:
    now = clock.now()
    store.collections.follow({"A": now, "B": now + 9 * MINUTE})
    (a,) = store.collections.take("w1", 1, MINUTE)
    clock.pause(1)
    assert store.collections.hurry(["B", "nobody"]) == ["B"]
    store.collections.finish([a.model_copy(update={"due": now + 15 * MINUTE})], {})
    assert store.collections.hurry(["A"]) == ["A"]
    assert {one.station for one in store.collections.take("w1", 9, MINUTE)} == {"A", "B"}
    clock.pause(1)
    store.collections.hurry(["A"])
    (a, _) = store.collections.find(["A", "B"]).values()
    store.collections.finish([a.model_copy(update={"due": now + 15 * MINUTE, "holder": "w1"})], {})
    assert store.collections.find(["A"])["A"].due <= clock.now(), "what it was told of came after it had looked"


def test_a_station_that_hurries_all_the_time_has_a_pace(store: Store, clock: VirtualClock) -> None:
    store.collections.follow({"A": clock.now()})
    begun = clock.now()
    collected = 0
    for second in range(600):  # It says each second that it has files, whether it is collected or not.
        store.collections.hurry(["A"])
        for one in store.collections.take("w1", 9, MINUTE):
            collected += 1
            store.collections.hurry(["A"])
            end = {"due": clock.now() + 15 * MINUTE, "tried": clock.now()}
            store.collections.finish([one.model_copy(update=end)], {})
        clock.pause(1)
        assert collected <= 2 + second / 5
    assert clock.now() - begun == 10 * MINUTE
    assert collected >= 50, "once in ten seconds"


def test_a_station_with_files_left_has_its_turn_whatever_it_says(store: Store, clock: VirtualClock) -> None:
    store.collections.follow({"A": clock.now()})
    (one,) = store.collections.take("w1", 9, MINUTE)
    clock.pause(1)
    store.collections.hurry(["A"])
    turn = clock.now() + MINUTE
    store.collections.finish([one.model_copy(update={"due": turn, "tried": clock.now(), "turns": 7})], {})
    clock.pause(30)
    assert store.collections.hurry(["A"]) == []
    assert (store.collections.find()["A"].due, store.collections.find()["A"].turns) == (turn, 7)


def test_stations_come_and_go_and_a_worker_that_ends_gives_back(store: Store, clock: VirtualClock) -> None:
    now = clock.now()
    store.collections.follow({"A": now, "B": now})
    store.collections.take("w1", 9, MINUTE)
    store.collections.release("w1")
    assert store.collections.waiting() == 2
    store.collections.follow({"B": now + MINUTE, "C": now})
    found = store.collections.find()
    assert (sorted(found), found["B"].due) == (["B", "C"], now), "what is followed already stays as it is"
    store.collections.follow({})
    assert store.collections.find() == {}


def test_what_came_is_counted_for_good(store: Store) -> None:
    for number in (1, 2):
        store.collections.finish(
            [], {("periods", "new"): number, ("files_refused", "oversized"): 1, ("periods", "late"): 0}
        )
    figures = store.status.figures()
    assert figures["minka_collection_periods_total"]["new",] == 3
    assert figures["minka_collection_periods_total"]["late",] == 0
    assert figures["minka_collection_files_refused_total"] == {("oversized",): 2}
