"""How notices become messages, and in which order these go: the gravest first, news in order, none behind the deaf."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from controller.models.alarm import PAGE, TICKET, AlarmReport, PerceivedSeverity
from controller.models.approval import NoticeKind
from controller.models.on_call import Call
from controller.ports.clock import VirtualClock
from controller.store import Store
from controller.store.database.columns import metadata
from controller.store.incidents import incident_notices
from controller.store.incidents.notices import INTERVAL

notices, deliveries = metadata.tables["notices"], metadata.tables["deliveries"]
CRITICAL, MAJOR, MINOR = PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR, PerceivedSeverity.MINOR
RAISED, UPDATED, CLEARED = NoticeKind.INCIDENT_RAISED, NoticeKind.INCIDENT_UPDATED, NoticeKind.INCIDENT_CLEARED


def told(
    store: Store,
    clock: VirtualClock,
    name: str,
    severity: PerceivedSeverity,
    kind: NoticeKind = RAISED,
    to: str = "noc",
    attempts: int = 0,
) -> None:
    """A notice about the incident before the point of its name, which is on its way to a contact."""
    at = clock.now()
    about: dict[str, Any] = {"id": name, "incident": name.partition(".")[0], "tenant": "andes", "at": at}
    about |= {"kind": kind.value} | {"stations": "[]", "severity": severity.value, "addressed": True}
    way = {"notice": name, "to": to, "at": at, "attempts": attempts, "claimed": False}
    way |= {"message": name, "gathered": at, "refused": attempts > 0}
    store.database.run(lambda tx: tx.execute(notices.insert().values(about)))
    store.database.run(lambda tx: tx.execute(deliveries.insert().values(way)))


def waiting(store: Store, to: str = "noc") -> list[str]:
    return [one.notice.id for one in store.notices.pending() if one.to == to]


async def test_what_is_critical_goes_before_hundreds_of_small_ones_with_what_was_told_of_it_before(
    store: Store, clock: VirtualClock
) -> None:
    told(store, clock, "grave.began", MINOR)
    for number in range(300):
        told(store, clock, f"small-{number:03}.began", MINOR)
    told(store, clock, "large.began", MAJOR)
    await clock.advance(60)
    told(store, clock, "grave.worse", CRITICAL, UPDATED)
    told(store, clock, "over.over", CRITICAL, CLEARED)
    assert waiting(store)[:4] == ["grave.began", "grave.worse", "large.began", "small-000.began"]
    assert len(waiting(store)) < 30, "a round takes a few of each contact"


async def test_that_an_incident_is_over_waits_for_what_began(store: Store, clock: VirtualClock) -> None:
    told(store, clock, "old.over", CRITICAL, CLEARED)
    await clock.advance(1)
    told(store, clock, "new.began", MINOR)
    told(store, clock, "short.began", CRITICAL)
    told(store, clock, "short.over", CRITICAL, CLEARED)
    assert waiting(store) == ["short.began", "short.over", "new.began", "old.over"]


async def test_what_a_contact_refuses_again_and_again_keeps_neither_its_equals_nor_the_new_waiting(
    store: Store, clock: VirtualClock
) -> None:
    for number in range(40):
        told(store, clock, f"refused-{number:02}.began", CRITICAL, attempts=3)
    told(store, clock, "rarely.began", CRITICAL, attempts=1)
    await clock.advance(1)
    told(store, clock, "new.began", MINOR)
    found = waiting(store)
    assert found[0] == "rarely.began", "what was tried least goes first among equals"
    assert "new.began" in found
    assert len(found) < 30


async def test_a_contact_is_not_behind_another_one(store: Store, clock: VirtualClock) -> None:
    for number in range(50):
        told(store, clock, f"deaf-{number:02}.began", CRITICAL, to="deaf", attempts=9)
    told(store, clock, "small.began", MINOR, to="desk")
    assert waiting(store, "desk") == ["small.began"]


async def test_of_an_incident_with_much_news_the_first_ones_are_taken(store: Store, clock: VirtualClock) -> None:
    for number in range(50):
        told(store, clock, f"grows.{number:02}", CRITICAL, UPDATED)
    told(store, clock, "other.began", MINOR)
    found = waiting(store)
    assert found[:2] == ["grows.00", "grows.01"]
    assert "other.began" in found


async def test_notices_of_the_gravest_incidents_are_written_first(store: Store, clock: VirtualClock) -> None:
    def reported(number: int, severity: PerceivedSeverity) -> str:
        report = AlarmReport(
            station="A", object=f"/x[{number}]", probable_cause="fan", severity=severity, source="check", at=clock.now()
        )
        return store.alarms.report(report).incident

    small = [reported(number, MINOR) for number in range(3)]
    over = reported(7, MINOR)
    reported(7, PerceivedSeverity.CLEARED)
    await clock.advance(5)
    grave = reported(9, CRITICAL)
    await clock.advance(60)
    rows = store.database.run(lambda tx: tx.execute(incident_notices.DUE, {"now": tx.now}).all())
    assert [row.id for row in rows] == [grave, *small, over]


def escalated(store: Store, clock: VirtualClock, number: int, severity: PerceivedSeverity, kind: str = PAGE) -> str:
    report = AlarmReport(
        station="A", object=f"/x[{number}]", probable_cause="fan", severity=severity, source="check", at=clock.now()
    )
    alarm = store.alarms.report(report)
    assert store.alarms.escalate(alarm, "it stands", actor="remediation", kind=kind)
    return alarm.id


async def test_the_gravest_escalations_are_sent_first_and_their_calls_are_made_and_repeated_first(
    store: Store, clock: VirtualClock
) -> None:
    for number in range(25):
        escalated(store, clock, number, MINOR)
    await clock.advance(1)
    grave = escalated(store, clock, 99, CRITICAL)
    found = store.escalations.pending()
    assert found[0].alarm == grave
    assert len(found) == 20
    while found:
        for one in reversed(found):
            call = Call(
                alarm=one.alarm,
                escalation=one.number,
                side="host",
                number=1,
                duty="always",
                place=0,
                nth=1,
                contact="noc",
                at=clock.now(),
                next=clock.now() + timedelta(minutes=10),
            )
            store.calls.begin(one, [call])
            await clock.advance(1)
        found = store.escalations.pending()
    store.calls.gather()
    (message,) = store.calls.pending()
    assert message.call.alarm == store.calls.listed(message)[0].alarm == grave
    assert len(store.calls.listed(message)) == 26
    await clock.advance(700)
    assert store.calls.due()[0].alarm == grave
    assert len(store.calls.due()) == 26


async def test_pages_go_before_graver_and_older_tickets_of_which_none_is_behind_a_page(
    store: Store, clock: VirtualClock
) -> None:
    tickets = {escalated(store, clock, number, CRITICAL, TICKET) for number in range(30)}
    await clock.advance(1)
    small = escalated(store, clock, 97, MINOR)
    await clock.advance(1)
    late, large = (escalated(store, clock, number, severity) for number, severity in ((98, MINOR), (99, MAJOR)))
    found = [one.alarm for one in store.escalations.pending()]
    assert found[:3] == [large, small, late], "the gravest page first, then the oldest"
    assert set(found[3:]) < tickets
    assert len(found) == 3 + 20, "a round takes a few of each kind"
    for one in store.escalations.pending():
        call = Call(
            alarm=one.alarm,
            escalation=one.number,
            side="host",
            number=1,
            kind=one.kind,
            duty="always",
            place=0,
            nth=1,
            contact="noc",
            at=clock.now(),
            next=clock.now() + timedelta(minutes=10),
        )
        store.calls.begin(one, [call])
    store.calls.gather()
    assert [one.call.kind for one in store.calls.pending()] == [PAGE, TICKET]
    await clock.advance(700)
    assert [one.kind for one in store.calls.due()] == [PAGE] * 3 + [TICKET] * 20


def due(store: Store, clock: VirtualClock, name: str, severity: PerceivedSeverity, side: str = "andes") -> None:
    """A notice that waits to be gathered into a message to its receiver."""
    told(store, clock, name, severity, CLEARED if name.endswith(".over") else RAISED)
    waits = deliveries.update().where(deliveries.c.notice == name).values(message=None, gathered=None)
    store.database.run(lambda tx: tx.execute(waits))
    store.database.run(lambda tx: tx.execute(notices.update().where(notices.c.id == name).values(tenant=side)))


def listed(store: Store) -> list[set[str]]:
    """Notices of each message that waits, in the order of the messages."""
    return [{said.id for said in store.notices.gathered(one)} for one in store.notices.pending()]


async def test_what_is_due_to_a_receiver_together_is_one_message_of_its_side_alone(
    store: Store, clock: VirtualClock
) -> None:
    for number in range(60):
        due(store, clock, f"a-{number}.began", CRITICAL if number == 7 else MINOR)
        due(store, clock, f"b-{number}.began", MINOR, side="condor")
    store.notices.address(webhook=False)
    of = {one.notice.tenant: one for one in store.notices.pending()}
    assert {side: one.count for side, one in of.items()} == {"andes": 60, "condor": 60}
    for side, one in of.items():
        assert {said.tenant for said in store.notices.gathered(one)} == {side}
    assert len({one.key for one in of.values()}) == 2


async def test_what_comes_while_a_message_is_on_its_way_is_the_next_one(store: Store, clock: VirtualClock) -> None:
    due(store, clock, "first.began", MINOR)
    store.notices.address(webhook=False)
    (one,) = store.notices.pending()
    assert (one.count, one.key) == (1, "first.began-noc"), "one alone is a message as ever, at once"
    for number in range(5):
        due(store, clock, f"next-{number}.began", MINOR)
    due(store, clock, "first.over", MINOR)
    await clock.advance(INTERVAL.total_seconds())
    store.notices.address(webhook=False)
    assert listed(store) == [{"first.began"}], "nobody reads that it is over before it reads that it began"
    claimed = store.notices.claim(one)
    assert claimed is not None
    store.notices.delivered(claimed)
    store.notices.address(webhook=False)
    assert listed(store) == [{"first.over", *(f"next-{number}.began" for number in range(5))}]


async def test_after_a_message_only_what_is_graver_does_not_wait(store: Store, clock: VirtualClock) -> None:
    def send() -> list[set[str]]:
        store.notices.address(webhook=False)
        found = listed(store)
        for one in store.notices.pending():
            claimed = store.notices.claim(one)
            assert claimed is not None
            store.notices.delivered(claimed)
        return found

    due(store, clock, "small.began", MINOR)
    assert send() == [{"small.began"}]
    await clock.advance(1)
    due(store, clock, "equal.began", MINOR)
    assert send() == []
    await clock.advance(1)
    due(store, clock, "grave.began", CRITICAL)
    assert send() == [{"equal.began", "grave.began"}], "what is critical waits for nothing that is less"
    await clock.advance(1)
    due(store, clock, "again.began", CRITICAL)
    assert send() == []
    await clock.advance(INTERVAL.total_seconds())
    assert send() == [{"again.began"}]


async def test_a_message_that_is_refused_is_sent_by_halves_until_one_notice_is_left(
    store: Store, clock: VirtualClock
) -> None:
    names = [f"i-{number}.{news}" for number in range(32) for news in ("began", "worse")]
    for name in names:
        due(store, clock, name, MINOR)
    store.notices.address(webhook=False)
    sent: Counter[str] = Counter()
    keys = []
    for _ in range(20):
        for one in [one for one in store.notices.pending() if not one.attempts]:
            ids = [said.id for said in store.notices.gathered(one)]
            keys.append(one.key)
            claimed = store.notices.claim(one)
            assert claimed is not None
            if "i-9.worse" in ids:
                store.notices.refuse(one, "it says too much")
                store.notices.release(claimed)
            else:
                store.notices.delivered(claimed)
                sent.update(ids)
        store.notices.address(webhook=False)
    assert sent == Counter(name for name in names if name != "i-9.worse"), "each once"
    assert len(keys) == len(set(keys)) <= 2 * 8, "halves have keys of their own, and are few"
    assert listed(store) == [{"i-9.worse"}]
    due(store, clock, "new.began", MINOR)
    await clock.advance(INTERVAL.total_seconds())
    store.notices.address(webhook=False)
    assert {"new.began"} in listed(store), "what is refused holds up nothing"


async def test_of_a_message_that_somebody_else_took_over_nothing_is_parted(store: Store, clock: VirtualClock) -> None:
    for number in range(4):
        due(store, clock, f"i-{number}.began", MINOR)
    store.notices.address(webhook=False)
    (seen,) = store.notices.pending()
    claimed = store.notices.claim(seen)
    assert claimed is not None
    assert store.notices.claim(seen) is None
    again = store.notices.claim(claimed)
    assert again is not None
    store.notices.refuse(seen, "too large")
    assert [one.key for one in store.notices.pending()] == [seen.key]
    store.notices.delivered(again)
    assert store.notices.pending() == []


async def test_a_notice_of_another_kind_is_not_behind_a_storm(store: Store, clock: VirtualClock) -> None:
    for number in range(300):
        told(store, clock, f"alone-{number:03}.began", CRITICAL)
    told(store, clock, "vote", MINOR)
    of_a_run = notices.update().where(notices.c.id == "vote").values(incident=None)
    store.database.run(lambda tx: tx.execute(of_a_run))
    assert waiting(store)[:2] == ["alone-000.began", "vote"]
