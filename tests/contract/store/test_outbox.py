"""In which order messages to people go: the gravest incident first, its news in order, nobody behind the deaf."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from controller.models.alarm import AlarmReport, PerceivedSeverity
from controller.models.approval import NoticeKind
from controller.models.on_call import Call
from controller.ports.clock import VirtualClock
from controller.store import SqlStore, incident_notices
from controller.store.columns import metadata

notices, deliveries = metadata.tables["notices"], metadata.tables["deliveries"]
CRITICAL, MAJOR, MINOR = PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR, PerceivedSeverity.MINOR
RAISED, UPDATED, CLEARED = NoticeKind.INCIDENT_RAISED, NoticeKind.INCIDENT_UPDATED, NoticeKind.INCIDENT_CLEARED


def told(
    store: SqlStore,
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
    store.database.run(lambda tx: tx.execute(notices.insert().values(about)))
    store.database.run(lambda tx: tx.execute(deliveries.insert().values(way)))


def waiting(store: SqlStore, to: str = "noc") -> list[str]:
    return [one.notice.id for one in store.notices.pending() if one.to == to]


async def test_what_is_critical_goes_before_hundreds_of_small_ones_with_what_was_told_of_it_before(
    store: SqlStore, clock: VirtualClock
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


async def test_that_an_incident_is_over_waits_for_what_began(store: SqlStore, clock: VirtualClock) -> None:
    told(store, clock, "old.over", CRITICAL, CLEARED)
    await clock.advance(1)
    told(store, clock, "new.began", MINOR)
    told(store, clock, "short.began", CRITICAL)
    told(store, clock, "short.over", CRITICAL, CLEARED)
    assert waiting(store) == ["short.began", "short.over", "new.began", "old.over"]


async def test_what_a_contact_refuses_again_and_again_keeps_neither_its_equals_nor_the_new_waiting(
    store: SqlStore, clock: VirtualClock
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


async def test_a_contact_is_not_behind_another_one(store: SqlStore, clock: VirtualClock) -> None:
    for number in range(50):
        told(store, clock, f"deaf-{number:02}.began", CRITICAL, to="deaf", attempts=9)
    told(store, clock, "small.began", MINOR, to="desk")
    assert waiting(store, "desk") == ["small.began"]


async def test_of_an_incident_with_much_news_the_first_ones_are_taken(store: SqlStore, clock: VirtualClock) -> None:
    for number in range(50):
        told(store, clock, f"grows.{number:02}", CRITICAL, UPDATED)
    told(store, clock, "other.began", MINOR)
    found = waiting(store)
    assert found[:2] == ["grows.00", "grows.01"]
    assert "other.began" in found


async def test_notices_of_the_gravest_incidents_are_written_first(store: SqlStore, clock: VirtualClock) -> None:
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


def escalated(store: SqlStore, clock: VirtualClock, number: int, severity: PerceivedSeverity) -> str:
    report = AlarmReport(
        station="A", object=f"/x[{number}]", probable_cause="fan", severity=severity, source="check", at=clock.now()
    )
    alarm = store.alarms.report(report)
    assert store.alarms.escalate(alarm, "it stands", actor="remediation")
    return alarm.id


async def test_the_gravest_escalations_are_sent_first_and_their_calls_are_made_and_repeated_first(
    store: SqlStore, clock: VirtualClock
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
    assert store.calls.pending()[0].alarm == grave
    assert len(store.calls.pending()) == 20
    await clock.advance(700)
    assert store.calls.due()[0].alarm == grave
    assert len(store.calls.due()) == 26
