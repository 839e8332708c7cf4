"""Reports on record: what came, once, and for a time."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from controller.intent import folding
from controller.models.alarm import Alarm, AlarmReport, AlarmSource, AlarmState
from controller.ports.clock import VirtualClock
from controller.store import Page, Store
from tests.contract.store.test_alarms import CLEARED, CRITICAL, MAJOR, report
from tests.support.records import START, replayed


def said(at: int, body: str, station: str = "A") -> AlarmReport:
    return report(MAJOR, at, station).model_copy(update={"source": AlarmSource.ALERTMANAGER, "body": body})


def alarms(store: Store) -> dict[str, Alarm]:
    return {alarm.id: alarm for alarm in store.alarms.page(Page(limit=1000))[1]}


def test_alarms_folded_from_the_record_are_those_that_were_folded_live(store: Store) -> None:
    dice = random.Random(11)
    for _ in range(12):
        severities = [dice.choice([MAJOR, CRITICAL, CLEARED]) for _ in range(10)]
        store.alarms.report_all([report(one, dice.randrange(40), dice.choice("ABC")) for one in severities])
    kept = store.reports.after(-1, 1000)
    assert sum(one.count for one in kept) == 120 > len(kept)
    again = {now.alarm.id: now.alarm for _, now in replayed(kept)}
    live = {name: alarm.model_copy(update={"incident": ""}) for name, alarm in alarms(store).items()}
    assert again == live


def test_the_same_body_counts_and_changes_nothing(store: Store, clock: VirtualClock) -> None:
    first = store.alarms.report(said(1, "fires"))
    store.alarms.report(report(CLEARED, 5))
    row = len(store.audit.page(Page())[1])
    clock.pause(3600)
    later = [said(1, "fires"), said(1, "fires")]
    # A replay of what is over: were it new, an alarm would be raised.
    again = store.alarms.report_all([one.model_copy(update={"at": clock.now()}) for one in later])
    assert [(one.id, one.state, one.count) for one in again] == [(first.id, AlarmState.CLEARED, 4)] * 2
    assert len(alarms(store)) == 1
    assert len(store.audit.page(Page())[1]) == row
    kept, _ = store.reports.of_alarm(first.id, 10)
    assert (kept.count, kept.received, kept.last) == (3, START, clock.now())
    assert (kept.report, kept.alarm) == (said(1, "fires"), first.id)


def test_a_wrong_clock_is_marked_and_what_it_said_is_kept(store: Store) -> None:
    wrong = said(0, "1970").model_copy(update={"source_time": START - timedelta(days=20_000)})
    alarm = store.alarms.report(wrong)
    store.alarms.report(said(1, "right"))
    marked, right = store.reports.of_alarm(alarm.id, 10)
    assert (marked.skewed, marked.report.source_time, right.skewed) == (True, wrong.source_time, False)
    assert [one.digest for one in store.reports.of_alarm(alarm.id, 1)] == [right.digest]


def test_reports_are_asked_for_by_number_and_by_when_they_came(store: Store, clock: VirtualClock) -> None:
    for second in range(4):
        store.alarms.report(said(second, str(second)))
        clock.pause(10)
    numbers = [one.number for one in store.reports.after(-1, 10)]
    assert numbers == sorted(numbers)
    assert [one.number for one in store.reports.after(numbers[0], 2)] == numbers[1:3]
    since, until = START + timedelta(seconds=10), START + timedelta(seconds=30)
    assert [one.number for one in store.reports.after(-1, 10, since, until)] == numbers[1:3]


def test_old_reports_and_those_over_the_most_are_deleted(store: Store, clock: VirtualClock) -> None:
    assert store.reports.prune(timedelta(days=30), 10) == 0
    store.alarms.report_all([said(1, "repeated"), said(1, "once", "B")])
    clock.pause(20 * 86_400)
    store.alarms.report(said(1, "repeated"))
    clock.pause(11 * 86_400)
    assert store.reports.prune(timedelta(days=30), 10) == 1, "the other was received again since"
    store.alarms.report_all([said(second, str(second)) for second in range(5)])
    assert store.reports.prune(timedelta(days=30), 3) == 3
    assert len(store.reports.after(-1, 10)) == 3
    assert store.reports.prune(timedelta(days=30), 3) == 0
    assert len(alarms(store)) == 2, "alarms outlive their reports"


def test_a_fault_that_comes_and_goes_without_end_makes_few_alarms_and_loses_nothing(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_TOLD", 5)
    clock.pause(3600)
    told = [said(at, str(at)).model_copy(update={"severity": (MAJOR, CLEARED)[at % 2]}) for at in range(201)]
    for begin in range(0, len(told), 67):
        assert None not in store.alarms.take_told(told[begin : begin + 67], (), {})
    found = alarms(store)
    assert (len(found), sum(one.count for one in found.values())) == (5, 201)
    (last,) = [one for one in found.values() if one.cleared is None]
    assert (last.state, last.changed) == (AlarmState.RAISED, told[-1].at)
    assert store.incidents.get(last.incident).closed is None
    rows = [row for row in store.audit.page(Page(limit=1000))[1] if row.action.startswith("alarm.")]
    assert len(rows) <= 5 * 2 + 3 * 2
    assert store.alarms.take_told([said(300, "over").model_copy(update={"severity": CLEARED})], (), {})[0] is not None
    assert store.alarms.get(last.id).state is AlarmState.CLEARED
    # After a day there is room again.
    clock.pause(2 * 86_400)
    now = (clock.now() - START).total_seconds()
    (new,) = store.alarms.take_told([said(int(now), "again")], (), {})
    assert new is not None
    assert new.id not in found


def test_faults_that_are_told_late_use_room_all_the_same(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What began and ended days ago, as its source says, came today."""
    monkeypatch.setattr(folding, "MOST_TOLD", 3)
    clock.pause(5 * 86_400)
    for number in range(6):
        made_up = [
            said(at, f"{number} {at}").model_copy(update={"severity": severity, "specific_problem": f"p-{number}"})
            for at, severity in enumerate((MAJOR, CLEARED))
        ]
        store.alarms.take_told(made_up, (), {})
    assert len(alarms(store)) == 3
