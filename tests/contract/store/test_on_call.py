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
from controller.store.incidents.on_call import HOLD

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
    """Keys of the messages that wait, once what is due is gathered."""
    store.calls.gather()
    return [one.key for one in store.calls.pending()]


def listed(store: Store) -> list[list[str]]:
    """Alarms of each message that waits, once what is due is gathered."""
    store.calls.gather()
    return [[call.alarm for call in store.calls.listed(one)] for one in store.calls.pending()]


def send(store: Store) -> list[list[str]]:
    """Send all that waits; the alarms of each message."""
    found = listed(store)
    for one in store.calls.pending():
        claimed = store.calls.claim(one)
        assert claimed is not None
        store.calls.delivered(claimed)
    return found


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
    assert pending(store) == [f"call-{alarm.id}-1-host-1"]
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
    assert len(pending(store)) == 1
    (first,) = store.calls.page(Page())[1]
    store.calls.follow(first, call(one, clock, number=2, contact="rider"))
    assert len(pending(store)) == 2
    report(store, clock, severity=PerceivedSeverity.CLEARED)
    assert pending(store) == [f"call-{alarm.id}-1-host-1"]
    await clock.advance(90_000)
    assert pending(store) == []


async def test_a_contact_that_takes_nothing_keeps_no_other_waiting(store: Store, clock: VirtualClock) -> None:
    for number in range(25):
        _, one = escalated(store, clock, number)
        store.calls.begin(one, [call(one, clock, contact="rider" if number == 24 else "noc")])
        store.calls.gather()
    waiting = {known.call.contact: known for known in store.calls.pending()}
    assert waiting.keys() == {"noc", "rider"}
    claimed = store.calls.claim(waiting["noc"])
    assert claimed is not None
    store.calls.release(claimed, "noc is away")
    await clock.advance(HOLD.total_seconds())
    assert len(pending(store)) == 2, "what comes while a message is on its way is the next one"


async def test_what_is_due_to_a_contact_together_is_one_message_of_its_side_and_kind(
    store: Store, clock: VirtualClock
) -> None:
    found: dict[str, set[str]] = {"host noc page": set(), "host noc ticket": set(), "entel noc page": set()}
    for number in range(30):
        alarm, one = escalated(store, clock, number)
        kind = "ticket" if number % 3 == 0 else "page"
        made = [call(one, clock, kind=kind), *([call(one, clock, "entel")] if kind == "page" else [])]
        store.calls.begin(one, made)
        for known in made:
            found[f"{known.side} {known.contact} {known.kind}"].add(alarm.id)
    store.calls.gather()
    messages = store.calls.pending()
    told = {
        f"{one.call.side} {one.call.contact} {one.call.kind}": {known.alarm for known in store.calls.listed(one)}
        for one in messages
    }
    assert told == found
    assert len({one.key for one in messages}) == len(messages) == 3
    again = {one.key: one for one in store.calls.pending()}
    assert again == {one.key: one for one in messages}, "the same until it is sent"


async def test_after_a_message_only_what_is_graver_calls_at_once_until_somebody_acknowledges(
    store: Store, clock: VirtualClock
) -> None:
    def comes(number: int, severity: PerceivedSeverity = PerceivedSeverity.MAJOR, **changes: Any) -> str:
        alarm = report(store, clock, number, severity)
        store.alarms.escalate(alarm, "it stands", actor="remediation")
        one = store.escalations.get(alarm.id, 1)
        store.calls.begin(one, [call(one, clock, **changes)])
        return alarm.id

    first = comes(1)
    assert send(store) == [[first]], "a first call goes at once"
    await clock.advance(1)
    waits = [comes(number) for number in range(2, 6)]
    assert send(store) == []
    ticket = comes(6, kind="ticket")
    assert send(store) == [[ticket]], "neither of pages and tickets waits for the other"
    await clock.advance(1)
    grave = comes(7, PerceivedSeverity.CRITICAL)
    (told,) = send(store)
    assert told[0] == grave
    assert sorted(told) == sorted([*waits, grave]), "with all that waits"
    equal = comes(8, PerceivedSeverity.CRITICAL)
    assert send(store) == []
    known = store.calls.page(Page(limit=100))[1]
    (message,) = {one.message for one in known if one.alarm == grave}
    later = comes(9)
    done = store.calls.acknowledge(message, "host", "rosa")
    assert {one.alarm for one in done} == set(told)
    assert store.calls.acknowledge(message, "entel", "eva") == [], "each side for itself"
    standing = {one.alarm for one in store.calls.page(Page(limit=100), unacknowledged=True)[1]}
    assert standing == {first, ticket, equal, later}, "nothing is acknowledged that was not told in it"
    assert send(store) == [[equal, later]], "who acknowledged is told at once of what waited"
    last = comes(10)
    await clock.advance(HOLD.total_seconds() - 1)
    assert send(store) == []
    await clock.advance(1)
    assert send(store) == [[last]], "and who does not, after a time"


async def test_a_call_that_waited_is_followed_as_much_later_and_a_repetition_takes_along_what_waits(
    store: Store, clock: VirtualClock
) -> None:
    minute = MINUTE.total_seconds()
    _, one = escalated(store, clock, 1)
    store.calls.begin(one, [call(one, clock, next=clock.now() + 2 * MINUTE)])
    assert len(send(store)) == 1
    await clock.advance(minute)
    _, other = escalated(store, clock, 2)
    store.calls.begin(other, [call(other, clock)])
    await clock.advance(minute)
    (due,) = store.calls.due()
    assert store.calls.follow(due, call(one, clock, number=2, nth=2))
    assert sorted(send(store)[0]) == sorted([one.alarm, other.alarm])
    (known,) = [call for call in store.calls.page(Page())[1] if call.alarm == other.alarm]
    assert known.next == clock.now() + 10 * MINUTE, "people have as long as ever to acknowledge it"


async def test_of_a_message_a_graver_escalation_of_its_alarm_is_not_acknowledged(
    store: Store, clock: VirtualClock
) -> None:
    found = [escalated(store, clock, number) for number in range(2)]
    for _, one in found:
        store.calls.begin(one, [call(one, clock)])
    (told,) = send(store)
    (message,) = {one.message for one in store.calls.page(Page())[1]}
    graver = report(store, clock, 0, PerceivedSeverity.CRITICAL)
    assert store.alarms.escalate(graver, "it is dark", actor="remediation")
    second = store.escalations.get(graver.id, 2)
    store.calls.begin(second, [call(second, clock)])
    assert {one.alarm for one in store.calls.acknowledge(message, "host", "rosa")} == set(told)
    assert pending(store) == [f"call-{graver.id}-2-host-1"]
    store.calls.acknowledge(f"call-{graver.id}-2-host-1", "host", "rosa")
    assert store.status.figures()["minka_calls_unacknowledged"] == {("calling",): 0.0, ("used-up",): 0.0}


async def test_a_message_that_is_refused_is_sent_by_halves_until_one_call_is_left(
    store: Store, clock: VirtualClock
) -> None:
    for number in range(16):
        _, one = escalated(store, clock, number)
        store.calls.begin(one, [call(one, clock)])
    assert store.status.figures()["minka_calls_unacknowledged"]["calling",] == 16.0
    store.calls.gather()
    (first,) = store.calls.pending()
    bad = store.calls.listed(first)[5].alarm
    sent: list[str] = []
    keys: list[str] = []
    for _ in range(12):
        for message in [waiting for waiting in store.calls.pending() if not waiting.attempts]:
            found = [known.alarm for known in store.calls.listed(message)]
            claimed = store.calls.claim(message)
            assert claimed is not None
            keys.append(message.key)
            if bad in found:
                store.calls.refuse(message, "it says too much")
                store.calls.release(claimed, "it says too much")
            else:
                store.calls.delivered(claimed)
                sent += found
    assert len(sent) == len(set(sent)) == 15
    assert len(keys) == len(set(keys)) <= 2 * 5
    assert store.status.figures()["minka_deliveries_failing"]["call",] == 1.0
    assert [one.call.alarm for one in store.calls.pending()] == [bad]
    store.calls.acknowledge_incident(store.alarms.get(sent[0]).incident, "rosa")
    await clock.advance(HOLD.total_seconds())
    _, one = escalated(store, clock, 99)
    store.calls.begin(one, [call(one, clock)])
    assert f"call-{one.alarm}-1-host-1" in pending(store), "what is refused holds up nothing"


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
