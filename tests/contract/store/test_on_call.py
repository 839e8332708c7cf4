"""Calls to who is on call: each is made once, whoever sees it as due, and ends where somebody acknowledges."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.models.alarm import Alarm, AlarmReport, Escalation, PerceivedSeverity
from controller.models.errors import NotFoundError
from controller.models.on_call import Call
from controller.ports.clock import VirtualClock
from controller.store import Page, Store

MINUTE = timedelta(minutes=1)


def escalated(store: Store, clock: VirtualClock, number: int = 1) -> tuple[Alarm, Escalation]:
    alarm = report(store, clock, number)
    assert store.alarms.escalate(alarm, "it stands", actor="remediation")
    return alarm, store.escalations.get(alarm.id, 1)


def report(
    store: Store, clock: VirtualClock, number: int = 1, severity: PerceivedSeverity = PerceivedSeverity.MAJOR
) -> Alarm:
    return store.alarms.report(
        AlarmReport(
            station="A",
            object=f"/x[{number}]",
            probable_cause="fan",
            severity=severity,
            source="check",
            at=clock.now(),
        )
    )


def call(one: Escalation, clock: VirtualClock, side: str = "host", **changes: Any) -> Call:
    made = Call(
        alarm=one.alarm,
        escalation=one.number,
        side=side,
        number=1,
        duty="always",
        place=0,
        nth=1,
        contact="noc",
        at=clock.now(),
        next=clock.now() + 10 * MINUTE,
    )
    return made.model_copy(update=changes)


def pending(store: Store) -> list[str]:
    return [one.key for one in store.calls.pending()]


async def test_a_call_takes_over_its_escalation_and_is_followed_once(store: Store, clock: VirtualClock) -> None:
    alarm, one = escalated(store, clock)
    assert (one.severity, one.reason) == (PerceivedSeverity.MAJOR, "it stands")
    with pytest.raises(NotFoundError):
        store.escalations.get(alarm.id, 2)
    store.calls.begin(one, [call(one, clock, "entel")])
    assert len(store.escalations.pending()) == 1, "a tenant's call takes nothing from the host"
    for _ in range(2):
        store.calls.begin(one, [call(one, clock), call(one, clock, "entel")])
    assert store.escalations.pending() == []
    assert (store.calls.page(Page())[0], store.calls.page(Page(), "entel")[0]) == (2, 1)
    assert store.calls.due() == []
    await clock.advance(600)
    first, other = sorted(store.calls.due(), key=lambda due: due.side, reverse=True)
    after = call(one, clock, number=2, nth=2)
    assert store.calls.follow(first, after)
    assert not store.calls.follow(first, after), "somebody else made it meanwhile"
    store.calls.postpone(first, clock.now())
    store.calls.postpone(other, clock.now() + MINUTE)
    assert store.calls.due() == []
    await clock.advance(600)
    assert [due.key for due in store.calls.due()] == [f"call-{alarm.id}-1-entel-1", f"call-{alarm.id}-1-host-2"]
    assert store.calls.follow(store.calls.due()[1], None, "all were called")
    (last,) = [known for known in store.calls.page(Page(), unacknowledged=True)[1] if known.side == "host"]
    assert (last.number, last.used_up, last.next) == (2, True, None)
    assert store.status.figures()["minka_calls_unacknowledged"] == {("calling",): 0.0, ("used-up",): 1.0}


async def test_what_is_acknowledged_is_neither_sent_nor_followed(store: Store, clock: VirtualClock) -> None:
    alarm, one = escalated(store, clock)
    store.calls.begin(one, [call(one, clock), call(one, clock, "entel")])
    assert store.calls.acknowledge("a-nowhere", "host", "rosa") == []
    (seen,) = [known for known in store.calls.page(Page(), unacknowledged=True)[1] if known.side == "host"]
    for by in ("rosa", "eva"):
        (known,) = store.calls.acknowledge(alarm.id, "host", by)
        assert (known.acknowledged_by, known.next) == ("rosa", None)
    assert not store.calls.follow(seen, call(one, clock, number=2))
    assert pending(store) == [f"call-{alarm.id}-1-entel-1"]
    store.calls.acknowledge_incident(store.alarms.get(alarm.id).incident, "eva")
    assert store.calls.page(Page(), "entel", unacknowledged=True)[0] == 1, "the host acknowledges for itself"


async def test_what_nobody_acknowledged_is_listed_with_the_gravest_first(store: Store, clock: VirtualClock) -> None:
    grave = report(store, clock, 1, PerceivedSeverity.CRITICAL)
    store.alarms.escalate(grave, "it stands", actor="remediation")
    known = [store.escalations.get(grave.id, 1)]
    for number in range(2, 5):
        await clock.advance(60)
        known.append(escalated(store, clock, number)[1])
    for one in known:
        store.calls.begin(one, [call(one, clock), call(one, clock, "entel")])
    total, found = store.calls.page(Page(limit=2), unacknowledged=True)
    assert (total, [one.alarm for one in found]) == (8, [grave.id, grave.id])
    _, mine = store.calls.page(Page(limit=4), "entel", unacknowledged=True)
    assert {one.side for one in mine} == {"entel"}


async def test_a_call_is_claimed_by_one_and_sent_once(store: Store, clock: VirtualClock) -> None:
    alarm, one = escalated(store, clock)
    store.calls.begin(one, [call(one, clock)])
    (seen,) = store.calls.pending()
    claimed = store.calls.claim(seen)
    assert claimed is not None
    assert store.calls.claim(seen) is None
    store.calls.release(claimed, "noc is away")
    assert store.status.figures()["minka_deliveries_failing"]["call",] == 1.0
    (again,) = store.calls.pending()
    taken = store.calls.claim(again)
    assert taken is not None
    store.calls.release(claimed, "late")
    for _ in range(2):
        store.calls.delivered(taken)
    assert store.calls.pending() == []
    rows = [row.action for row in store.audit.page(Page())[1] if row.object == alarm.id and "people" in row.action]
    assert rows == ["alarm.people-notified", "alarm.people-not-notified"]


async def test_only_the_first_call_is_sent_about_what_is_over_and_none_after_a_day(
    store: Store, clock: VirtualClock
) -> None:
    alarm, one = escalated(store, clock)
    store.calls.begin(one, [call(one, clock)])
    (first,) = store.calls.page(Page())[1]
    store.calls.follow(first, call(one, clock, number=2))
    assert len(pending(store)) == 2
    report(store, clock, severity=PerceivedSeverity.CLEARED)
    assert pending(store) == [f"call-{alarm.id}-1-host-1"]
    await clock.advance(90_000)
    assert pending(store) == []


async def test_a_contact_that_takes_nothing_keeps_no_other_waiting(store: Store, clock: VirtualClock) -> None:
    for number in range(25):
        _, one = escalated(store, clock, number)
        store.calls.begin(one, [call(one, clock, contact="rider" if number == 24 else "noc")])
    contacts = [known.contact for known in store.calls.pending()]
    assert (contacts.count("noc"), contacts.count("rider")) == (20, 1)


async def test_hand_overs_hold_until_their_end(store: Store, clock: VirtualClock) -> None:
    until = clock.now() + 60 * MINUTE
    first = store.calls.hand_over("host", "noc", "rider", until, by="rosa", reason="ill")
    other = store.calls.hand_over("entel", "noc", "deputy", until, by="eva", reason="ill")
    assert store.calls.hand_overs(clock.now()) == [first, other]
    await clock.advance(60)
    second = store.calls.hand_over("host", "noc", "manager", until + MINUTE, by="rosa", reason="ill")
    assert store.calls.hand_overs(clock.now()) == [other, second]
    with pytest.raises(NotFoundError):
        store.calls.end_hand_over(second.id, "entel", by="mallory")
    assert store.calls.hand_overs(until) == [second]
    store.calls.end_hand_over(second.id, "host", by="rosa")
    assert store.calls.hand_overs(clock.now()) == [other]
