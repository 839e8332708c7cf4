"""Shelved alarms, and comments: kept out of the way for a time, on record, and back when that is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.alarm import Alarm, AlarmFilter, AlarmReport, AlarmState, PerceivedSeverity
from controller.models.errors import ConflictError, NotFoundError
from controller.ports.clock import VirtualClock
from controller.store import Page, Store
from controller.store.people import comments

MINOR, MAJOR, CRITICAL = PerceivedSeverity.MINOR, PerceivedSeverity.MAJOR, PerceivedSeverity.CRITICAL
CLEARED = PerceivedSeverity.CLEARED


def report(store: Store, clock: VirtualClock, severity: PerceivedSeverity, station: str = "A") -> Alarm:
    return store.alarms.report(
        AlarmReport(
            station=station,
            object="ru-1",
            probable_cause="o-ran-fault-9",
            severity=severity,
            source="oran-fm",
            at=clock.now(),
        )
    )


def shelve(store: Store, clock: VirtualClock, alarm: Alarm, hours: float = 1) -> Alarm:
    return store.alarms.shelve(alarm.id, clock.now() + timedelta(hours=hours), "ana", "parts ordered")


async def test_a_shelved_alarm_is_listed_as_such_and_nobody_is_called_until_it_is_over(
    store: Store, clock: VirtualClock
) -> None:
    alarm, other = report(store, clock, MAJOR), report(store, clock, MAJOR, "B")
    shelved = shelve(store, clock, alarm)
    assert (shelved.state, shelved.shelved_by, shelved.shelved_severity) == (AlarmState.RAISED, "ana", MAJOR)
    assert store.alarms.get(alarm.id) == shelved

    def listed(*, shelved: bool) -> list[str]:
        return [one.id for one in store.alarms.page(Page(), None, AlarmFilter(shelved=shelved))[1]]

    assert (listed(shelved=True), listed(shelved=False)) == ([alarm.id], [other.id])
    assert store.alarms.escalate(shelved, "it stands", actor="remediation") is None
    assert store.escalations.pending() == []
    await clock.advance(3600)
    assert (listed(shelved=True), listed(shelved=False)) == ([], [other.id, alarm.id])
    assert store.alarms.escalate(shelved, "it stands", actor="remediation") is not None
    acts = [(row.actor, row.action) for row in store.audit.page(Page())[1] if row.object == alarm.id]
    assert ("ana", "alarm.shelved") in acts


async def test_what_people_were_to_be_told_waits_while_it_is_shelved(store: Store, clock: VirtualClock) -> None:
    alarm = report(store, clock, MAJOR)
    assert store.alarms.escalate(alarm, "it stands", actor="remediation") is not None
    shelve(store, clock, alarm)
    assert store.escalations.pending() == []
    await clock.advance(3600)
    assert [one.alarm for one in store.escalations.pending()] == [alarm.id]


async def test_what_becomes_worse_than_it_was_shelved_for_is_back(store: Store, clock: VirtualClock) -> None:
    alarm = report(store, clock, MAJOR)
    shelve(store, clock, alarm)
    for severity in (MINOR, MAJOR):
        await clock.advance(60)
        assert report(store, clock, severity).is_shelved(clock.now())
    await clock.advance(60)
    assert not report(store, clock, CRITICAL).is_shelved(clock.now())
    assert not store.alarms.get(alarm.id).is_shelved(clock.now())
    acts = [(row.actor, row.action, row.detail.get("severity")) for row in store.audit.page(Page())[1]]
    assert acts.count(("oran-fm", "alarm.unshelved", "CRITICAL")) == 1
    await clock.advance(60)
    report(store, clock, CRITICAL)
    assert [act for _, act, _ in acts].count("alarm.unshelved") == 1


async def test_a_fault_that_comes_and_goes_stays_shelved_and_no_longer(store: Store, clock: VirtualClock) -> None:
    first = report(store, clock, MAJOR)
    shelve(store, clock, first)
    await clock.advance(60)
    report(store, clock, CLEARED)
    await clock.advance(60)
    second = report(store, clock, MAJOR)
    assert second.id != first.id
    assert store.alarms.get(second.id) == second
    assert (second.is_shelved(clock.now()), second.shelved_reason) == (True, "parts ordered")
    report(store, clock, CLEARED)
    await clock.advance(60)
    assert not report(store, clock, CRITICAL).is_shelved(clock.now())
    report(store, clock, CLEARED)
    await clock.advance(3600)
    assert report(store, clock, MAJOR).shelved_until is None


def test_what_stands_is_shelved_and_what_is_shelved_comes_back(store: Store, clock: VirtualClock) -> None:
    alarm = report(store, clock, MAJOR)
    with pytest.raises(ConflictError, match="not shelved"):
        store.alarms.unshelve(alarm.id, "ana", "")
    shelve(store, clock, alarm)
    assert not store.alarms.unshelve(alarm.id, "ben", "the part is here").is_shelved(clock.now())
    assert not store.alarms.get(alarm.id).is_shelved(clock.now())
    report(store, clock, CLEARED)
    with pytest.raises(ConflictError, match="is over"):
        shelve(store, clock, alarm)
    with pytest.raises(NotFoundError):
        store.alarms.shelve("a-none", clock.now(), "ana", "")


def test_acknowledged_alarms_are_listed_apart(store: Store, clock: VirtualClock) -> None:
    alarm, other = report(store, clock, MAJOR), report(store, clock, MAJOR, "B")
    store.alarms.acknowledge(alarm.id, "ana", actor="ana")
    for known, found in ((True, alarm), (False, other)):
        assert [one.id for one in store.alarms.page(Page(), None, AlarmFilter(acknowledged=known))[1]] == [found.id]


def test_a_tenant_reads_its_own_comments_and_what_the_host_says_to_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = store.comments.add("a-1", "ana", "host", "the supplier is late again")
    to_both = store.comments.add("a-1", "ana", "host", "back at 9", ("entel", "bitel"))
    own = store.comments.add("a-1", "eva", "entel", "our users complain")
    store.comments.add("a-2", "ana", "host", "another one", ("entel",))
    assert store.comments.on("a-1") == [inside, to_both, own]
    assert store.comments.on("a-1", "entel") == [to_both, own]
    assert store.comments.on("a-1", "bitel") == [to_both]
    assert store.comments.on("a-1", "claro") == []
    (row,) = (row for row in store.audit.page(Page())[1] if row.detail.get("comment") == own.id)
    assert (row.actor, row.action, row.object, row.detail["text"]) == ("eva", "comment.added", "a-1", own.text)
    monkeypatch.setattr(comments, "_MOST", 2)
    with pytest.raises(ConflictError, match="2 comments of host"):
        store.comments.add("a-1", "ana", "host", "one too many")
    store.comments.add("a-1", "eva", "entel", "and more")
