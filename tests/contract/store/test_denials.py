"""What was denied: on the trail one by one to begin with, as a number where there is a flood."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

from controller.models.people import Person, Role
from controller.models.run import AuditRow
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store
from controller.store.audit.audit import EACH, PERIOD
from tests.support.records import START

HOUR = PERIOD.total_seconds()


def denied(store: Store) -> list[AuditRow]:
    rows = store.audit.page(Page(limit=1000))[1]
    return [row for row in reversed(rows) if row.action == "access.denied"]


def number(rows: list[AuditRow]) -> int:
    """How many denials rows are about."""
    return sum(int(row.detail.get("count", "1")) for row in rows)


def flood(store: Store, times: int, actor: str = "rosa", side: str = "bitel", permission: str = "read") -> None:
    for index in range(times):
        store.audit.deny(actor, side, permission, f"GET /v1/devices/S{index}")


def test_a_flood_is_a_number(store: Store, clock: VirtualClock) -> None:
    for _ in range(EACH + 30):
        store.audit.deny("rosa", "bitel", "read", "GET /v1/devices/S1")
        clock.pause(1)
    store.audit.deny("rosa", "bitel", "read", "GET /v1/devices/S2")
    each = denied(store)
    assert [(row.actor, row.object, row.detail) for row in each] == [
        ("rosa", "GET /v1/devices/S1", {"permission": "read"})
    ] * EACH
    clock.pause(HOUR - EACH - 31)
    store.audit.sum_up_denials()
    assert denied(store) == each
    clock.pause(1)
    store.audit.sum_up_denials()
    (summed,) = denied(store)[EACH:]
    assert summed.detail == {"permission": "read", "count": "31", "since": START.isoformat()}
    assert (summed.actor, summed.object, summed.at) == (
        "rosa",
        "GET /v1/devices/S2",
        START + timedelta(seconds=EACH + 30),
    )
    clock.pause(HOUR)
    store.audit.sum_up_denials()
    assert denied(store) == [*each, summed]
    assert store.audit.verify() is None


def test_an_hour_later_each_counts_again(store: Store, clock: VirtualClock) -> None:
    flood(store, EACH + 5)
    clock.pause(HOUR)
    flood(store, EACH)
    rows = denied(store)
    assert (len(rows), number(rows)) == (EACH + 1 + EACH, EACH + 5 + EACH)
    assert rows[EACH].detail["count"] == "5"


def test_what_was_not_many_leaves_nothing_to_sum_up(store: Store, clock: VirtualClock) -> None:
    flood(store, EACH)
    clock.pause(HOUR)
    store.audit.sum_up_denials()
    assert len(denied(store)) == EACH


def test_callers_and_what_they_lack_are_counted_apart(store: Store, clock: VirtualClock) -> None:
    flood(store, EACH + 2)
    flood(store, EACH + 3, permission="run")
    flood(store, EACH + 4, actor="tom")
    clock.pause(HOUR)
    store.audit.sum_up_denials()
    counts = {(row.actor, row.detail["permission"], row.detail["count"]) for row in denied(store)[3 * EACH :]}
    assert counts == {("rosa", "read", "2"), ("rosa", "run", "3"), ("tom", "read", "4")}


def test_several_at_once_are_one_row(store: Store, clock: VirtualClock) -> None:
    for _ in range(EACH + 2):
        store.audit.deny("somebody", "", "", "GET /v1/me", 1000)
    clock.pause(HOUR)
    store.audit.sum_up_denials()
    rows = denied(store)
    assert (len(rows), number(rows)) == (EACH + 1, 1000 * (EACH + 2))
    assert [row.detail for row in rows[-2:]] == [{"count": "1000"}, {"count": "2000", "since": START.isoformat()}]


def test_what_was_denied_on_another_side_stays_there(store: Store, clock: VirtualClock) -> None:
    store.users.add(Person(name="ana", role=Role.ADMINISTRATOR), "ana")
    store.users.add(Person(name="rosa", role=Role.TENANT_VIEWER, tenant="bitel"), "ana")
    flood(store, EACH + 2)
    clock.pause(60)
    store.users.change(Person(name="rosa", role=Role.TENANT_VIEWER, tenant="claro"), "ana")
    flood(store, EACH + 1, side="claro")
    clock.pause(HOUR)
    store.audit.sum_up_denials()
    hers = [row for row, own in store.tenants.audit("claro", (), Page(limit=100))[1] if own]
    assert [row.detail.get("count") for row in hers if row.action == "access.denied"].count("1") == 1
    assert number([row for row in hers if row.action == "access.denied"]) == EACH + 1


def test_none_is_lost_or_counted_twice_among_processes(shared_url: str, clock: VirtualClock) -> None:
    with closing(open_store(shared_url, clock)) as one, closing(open_store(shared_url, clock)) as other:

        def work(index: int) -> None:
            store = one if index % 2 else other
            store.audit.deny("rosa", "bitel", "read", f"GET /v1/devices/S{index}")
            if index % 10 == 0:
                clock.pause(HOUR / 2)
                store.audit.sum_up_denials()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(120)))
        clock.pause(HOUR)
        one.audit.sum_up_denials()
        assert number(denied(one)) == 120
        assert one.audit.verify() is None
