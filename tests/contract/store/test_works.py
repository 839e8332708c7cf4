"""Work that tenants announce on their own cores: what it covers, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.alarm import Alarm, AlarmReport, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.announced_work import AnnouncedWork, intervals
from controller.models.errors import ConflictError, NotFoundError
from controller.ports.clock import VirtualClock
from controller.store import Page, Store
from controller.store.alarms import works

HOUR = timedelta(hours=1)


def announce(store: Store, clock: VirtualClock, begins: float, ends: float, *nodes: str) -> AnnouncedWork:
    now = clock.now()
    links = {node: f"entel-{node}" for node in nodes}
    return store.works.announce("entel", links, now + begins * HOUR, now + ends * HOUR, "eva", "upgrade")


def raised(store: Store, clock: VirtualClock, managed_object: str, tenant: str = "entel") -> Alarm:
    core_node = not managed_object.startswith("/")
    return store.alarms.report(
        AlarmReport(
            station="" if core_node else "A",
            object=managed_object,
            object_class=ObjectClass.CORE_NODE if core_node else ObjectClass.CORE_LINK,
            tenant=tenant,
            probable_cause="core-node-down" if core_node else "core-link-down",
            severity=PerceivedSeverity.MAJOR,
            source="check",
            at=clock.now(),
        )
    )


async def test_work_covers_links_and_nodes_of_its_tenant_while_it_lasts(store: Store, clock: VirtualClock) -> None:
    work = announce(store, clock, 1, 2, "mme-1")
    covered = [raised(store, clock, "entel-mme-1"), raised(store, clock, "/ManagedElement[A]/EP_S1C[entel-mme-1]")]
    others = [
        raised(store, clock, "/ManagedElement[A]/EP_S1C[entel-mme-2]"),
        raised(store, clock, "/ManagedElement[A]/EP_S1C[entel-mme-1]", "bitel"),
        raised(store, clock, "/ManagedElement[A]/EUtranCellFDD[1]"),
    ]
    assert [store.works.on(one) for one in covered] == [None, None]
    await clock.advance(3600)
    assert [store.works.on(one) for one in covered] == [work, work]
    assert [store.works.on(one) for one in others] == [None] * 3
    every = announce(store, clock, 0, 0.5)
    assert store.works.on(others[0]) == every
    assert store.works.on(covered[0]) == work  # the one that lasts longest
    await clock.advance(3600)
    assert [store.works.on(one) for one in covered] == [None, None]
    assert store.works.page(Page(), "entel") == (2, [every, work])
    assert store.works.page(Page(), "bitel") == (0, [])


async def test_nobody_is_called_for_what_is_announced(store: Store, clock: VirtualClock) -> None:
    alarm = raised(store, clock, "entel-mme-1")
    work = announce(store, clock, 0, 1)
    assert store.alarms.escalate(alarm, "it stands", actor="remediation") is None
    assert (store.alarms.get(alarm.id), store.escalations.pending()) == (alarm, [])
    store.works.cancel(work.id, "entel", "eva")
    moved = store.alarms.escalate(alarm, "it stands", actor="remediation")
    assert moved is not None
    assert (moved.state, len(store.escalations.pending())) == (AlarmState.ESCALATED, 1)


async def test_work_is_cancelled_by_its_tenant_and_what_was_under_way_stays(store: Store, clock: VirtualClock) -> None:
    begun, to_come = announce(store, clock, 0, 2, "mme-1"), announce(store, clock, 5, 6, "mme-1")
    start = clock.now()
    await clock.advance(1800)
    with pytest.raises(NotFoundError):
        store.works.cancel(begun.id, "bitel", "mallory")
    for work in (begun, to_come):
        store.works.cancel(work.id, "entel", "eva")
        with pytest.raises(NotFoundError):
            store.works.cancel(work.id, "entel", "eva")
    found = store.works.during(start, start + 10 * HOUR, "entel")
    assert [one.id for one in found] == [begun.id]
    assert intervals(found, "entel", "entel-mme-1") == [(start, start + 0.5 * HOUR)]
    assert store.works.during(start, start + 10 * HOUR, "bitel") == []
    acts = [(row.actor, row.action, row.object) for row in store.audit.page(Page())[1]]
    assert acts.count(("eva", "work.announced", begun.id)) == acts.count(("eva", "work.cancelled", begun.id)) == 1


def test_times_of_a_node_are_joined(store: Store, clock: VirtualClock) -> None:
    start = clock.now()
    for begins, ends, *nodes in ((3, 4, "mme-1"), (0, 2), (1, 1.5, "mme-1"), (2, 3, "mme-1"), (8, 9, "mme-2")):
        announce(store, clock, float(begins), float(ends), *map(str, nodes))
    found = store.works.during(start, start + 20 * HOUR)
    assert intervals(found, "entel", "entel-mme-1") == [(start, start + 4 * HOUR)]
    assert intervals(found, "entel", "entel-mme-2") == [(start, start + 2 * HOUR), (start + 8 * HOUR, start + 9 * HOUR)]
    assert intervals(found, "bitel", "entel-mme-1") == intervals(found, "entel", "") == []
    assert len(store.works.during(start + 4 * HOUR, start + 8 * HOUR)) == 0


def test_a_tenant_announces_so_much_and_no_more(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(works, "_MOST", 1)
    announce(store, clock, 1, 2)
    with pytest.raises(ConflictError, match="cancel one"):
        announce(store, clock, 3, 4)
    store.works.announce("bitel", {}, clock.now(), clock.now() + HOUR, "rosa", "upgrade")


async def test_a_tenant_announces_and_cancels_so_often_within_a_day_and_no_more(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(works, "MOST_A_DAY", 3)
    for _ in range(3):
        store.works.cancel(announce(store, clock, 1, 2).id, "entel", "eva")
    rows = store.audit.page(Page())[0]
    with pytest.raises(ConflictError, match="entel has announced 3 works within a day, which is the limit"):
        announce(store, clock, 1, 2)
    assert store.audit.page(Page())[0] == rows
    store.works.announce("bitel", {}, clock.now(), clock.now() + HOUR, "rosa", "upgrade")
    await clock.advance(24 * 3600 + 1)
    announce(store, clock, 1, 2)
