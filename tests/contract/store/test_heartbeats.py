"""When devices were heard, and what they say of themselves."""

from __future__ import annotations

from controller.ports.clock import VirtualClock
from controller.store import Page, Store
from tests.support.records import START


def test_devices_are_heard_lost_once_and_heard_again(store: Store, clock: VirtualClock) -> None:
    assert store.heartbeats.beat({}, 60) == []
    assert store.heartbeats.beat({"A": None, "B": 5.0}, 60) == []
    clock.pause(1)
    assert store.heartbeats.beat({"A": 30.0, "B": None}, 60) == []
    first, second = store.heartbeats.find()
    assert [(one.device, one.interval, one.lost) for one in (first, second)] == [("A", 30, False), ("B", 5, False)]
    assert not store.heartbeats.lose("A", START), "it was heard since"
    assert [store.heartbeats.lose("A", first.at) for _ in range(2)] == [True, False]
    assert store.heartbeats.beat({"A": None, "B": None}, 60) == ["A"]
    assert store.heartbeats.beat({"A": None}, 60) == []


def test_what_a_device_says_of_itself_is_on_the_trail_where_it_is_new(store: Store) -> None:
    for serial in ("7", "7", "8"):
        store.heartbeats.register("A", {"serial_number": serial})
    rows = [row for row in store.audit.page(Page())[1] if row.action == "device.registered"]
    assert [(row.actor, row.object, row.detail) for row in rows] == [
        ("ves", "A", {"serial_number": "8"}),
        ("ves", "A", {"serial_number": "7"}),
    ]
