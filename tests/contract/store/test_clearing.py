"""Alarms that a person had to clear: over on record, and back as soon as their source says otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.models.alarm import Alarm, AlarmReport, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.errors import ConflictError, NotFoundError
from controller.ports.clock import VirtualClock
from controller.store import Page, Store

MAJOR, CRITICAL, CLEARED = PerceivedSeverity.MAJOR, PerceivedSeverity.CRITICAL, PerceivedSeverity.CLEARED


def report(clock: VirtualClock, severity: PerceivedSeverity = MAJOR, body: str = "") -> AlarmReport:
    """What Alertmanager says: the same words, and the time at which it began, each time."""
    return AlarmReport(
        station="A",
        object="station",
        probable_cause="other-alert",
        specific_problem="StationPower",
        severity=severity,
        source=AlarmSource.ALERTMANAGER,
        at=clock.now(),
        body=body,
    )


async def test_what_a_person_cleared_is_back_when_its_source_repeats_the_very_same_words(
    store: Store, clock: VirtualClock
) -> None:
    firing = report(clock, body="firing")
    alarm = store.alarms.report(firing)
    await clock.advance(3600)
    cleared = store.alarms.clear(alarm.id, "ana", "Prometheus was replaced")
    assert (cleared.state, cleared.cleared, cleared.cleared_by) == (AlarmState.CLEARED, clock.now(), "ana")
    assert cleared.note == "Prometheus was replaced"
    with pytest.raises(ConflictError, match="is over"):
        store.alarms.clear(alarm.id, "ana", "again")
    await clock.advance(60)
    back = store.alarms.report(firing)
    assert (back.id, back.state, back.cleared, back.cleared_by) == (alarm.id, AlarmState.RAISED, None, "")
    assert store.alarms.get(alarm.id) == back
    assert store.incidents.get(back.incident).closed is None
    again = store.alarms.report(firing)
    assert (again.id, again.count) == (alarm.id, 3)
    acts = [(row.actor, row.action) for row in store.audit.page(Page())[1] if row.object == alarm.id]
    assert acts.count(("ana", "alarm.cleared")) == acts.count(("alertmanager", "alarm.returned")) == 1


async def test_a_source_that_agrees_ends_it_and_what_comes_then_is_a_new_alarm(
    store: Store, clock: VirtualClock
) -> None:
    alarm = store.alarms.report(report(clock))
    store.alarms.clear(alarm.id, "ana", "the unit was taken down")
    await clock.advance(60)
    assert store.alarms.report(report(clock, CLEARED)).cleared_by == ""
    await clock.advance(60)
    second = store.alarms.report(report(clock))
    assert (second.id != alarm.id, second.state) == (True, AlarmState.RAISED)
    assert store.alarms.get(alarm.id).state is AlarmState.CLEARED
    with pytest.raises(NotFoundError):
        store.alarms.clear("a-none", "ana", "x")


async def test_what_was_escalated_and_cleared_is_back_raised_and_worse(store: Store, clock: VirtualClock) -> None:
    alarm = store.alarms.report(report(clock))
    escalated = store.alarms.escalate(alarm, "no rule", actor="remediation")
    assert escalated is not None
    store.alarms.clear(alarm.id, "ana", "gone")
    await clock.advance(60)
    back = store.alarms.report(report(clock, CRITICAL))
    assert (back.id, back.state, back.severity) == (alarm.id, AlarmState.RAISED, CRITICAL)
    assert back.changed == clock.now() >= alarm.raised + timedelta(seconds=60)


def alarm_of(source: AlarmSource, severity: PerceivedSeverity = MAJOR, **more: object) -> Alarm:
    given = {
        "id": "a-1",
        "station": "A",
        "object": "station",
        "tenant": "",
        "probable_cause": "x",
        "specific_problem": "",
        "severity": severity,
        "text": "",
        "source": source,
        "state": AlarmState.RAISED,
        "raised": VirtualClock().now(),
        "changed": VirtualClock().now(),
    }
    return Alarm.model_validate(given | more)


@pytest.mark.parametrize(
    ("alarm", "enabled", "read", "kept"),
    [
        (alarm_of(AlarmSource.CHECK), True, True, "check clears it once it is over; shelve it until then"),
        (alarm_of(AlarmSource.ALARM_LIST), True, True, "alarm-list clears it"),
        (alarm_of(AlarmSource.ORAN_FM), True, True, "oran-fm clears it"),
        (alarm_of(AlarmSource.CHECK, station=""), True, False, "check clears it"),
        (alarm_of(AlarmSource.ORAN_FM, PerceivedSeverity.WARNING), True, True, ""),
        (alarm_of(AlarmSource.ALERTMANAGER), True, True, ""),
        (alarm_of(AlarmSource.VES), True, True, ""),
        (alarm_of(AlarmSource.CHECK), False, True, ""),
        (alarm_of(AlarmSource.ALARM_LIST), True, False, ""),
        (alarm_of(AlarmSource.ALERTMANAGER, state=AlarmState.REPAIRING, run="r-1"), True, True, "run r-1 works on it"),
        (alarm_of(AlarmSource.ALERTMANAGER, cleared=VirtualClock().now()), True, True, "it is over"),
    ],
)
def test_a_person_clears_what_its_source_never_will(alarm: Alarm, enabled: bool, read: bool, kept: str) -> None:
    said = alarm.kept_by(enabled=enabled, read=read)
    assert said.startswith(kept)
    assert bool(said) is bool(kept)
