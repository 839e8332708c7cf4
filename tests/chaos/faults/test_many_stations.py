"""Faults 7, 8 and 23: one of five stations fails, and two plans want the same one."""

from __future__ import annotations

import pytest

from controller.models.run import JobState, JournalStep, Outcome, RunState
from tests.chaos.attempts import assert_one_effect, begin, reached
from tests.chaos.faults.five_stations import ONE_BY_ONE, STATIONS, THIRD, change, change_files
from tests.support.process_system import ProcessSystem

pytestmark = pytest.mark.needs("initdb", "redis-server")


@pytest.fixture(autouse=True)
def _well_behaved(five: ProcessSystem) -> None:
    for station in STATIONS:
        five.clear_faults(station)


#: What the third station refuses: to prepare (fault 7), or to commit (fault 8).
REFUSED = {"prepare": "edit-config", "commit": "commit"}


@pytest.mark.parametrize("what", REFUSED)
def test_the_third_of_five_fails_and_the_rest_is_not_begun(five: ProcessSystem, what: str) -> None:
    """Policy station, one by one: two carry it, the third never did, two were never touched, all of it on record."""
    plan = change(five)
    five.fault(THIRD, "fail", REFUSED[what])
    attempt = begin(five, plan, **ONE_BY_ONE)
    assert five.ended(attempt.run).state is RunState.STOPPED
    five.assert_recorded(attempt.run)
    outcomes = [five.job(attempt.run, station).outcome for station in STATIONS]
    assert outcomes == [
        Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED_SAFE, Outcome.CANCELLED, Outcome.CANCELLED
    ]  # fmt: skip
    for each, outcome in zip(plan.changes, outcomes, strict=True):
        causes = five.changes(each.station, attempt.before[each.station])
        assert_one_effect(causes, len(each.phases), outcome is Outcome.SUCCEEDED)
        assert causes or outcome is not Outcome.SUCCEEDED
        five.assert_agree(each.station)
    # What is left is just what was not done.
    assert [each.station for each in five.plan("*").changes] == list(STATIONS[2:])


@pytest.mark.parametrize("what", [*REFUSED, "be confirmed in time"])
def test_the_third_of_five_fails_and_so_none_of_the_wave_is_changed(five: ProcessSystem, what: str) -> None:
    """Policy wave: whatever the others already carried under their timers is taken back, and read back."""
    plan = change(five)
    if what in REFUSED:
        five.fault(THIRD, "fail", REFUSED[what])
    else:
        # Its edit comes so late that the timers leave no room for a decision.
        five.fault(THIRD, "delay", "commit", seconds=6)
    attempt = begin(five, plan, policy="wave", wave_size=5, confirm_timeout=30 if what in REFUSED else 12)
    assert five.ended(attempt.run).state in (RunState.STOPPED, RunState.FAILED)
    five.assert_recorded(attempt.run)
    for each in plan.changes:
        outcome = five.job(attempt.run, each.station).outcome
        assert outcome in (Outcome.WITHDRAWN, Outcome.FAILED_SAFE, Outcome.ROLLED_BACK, Outcome.CANCELLED), outcome
        assert_one_effect(five.changes(each.station, attempt.before[each.station]), len(each.phases), False)
        five.assert_agree(each.station)
    assert [each.station for each in five.plan("*").changes] == list(STATIONS)
    # Nothing stands in the way of the next try.
    second = begin(five, five.plan("*"), policy="wave", wave_size=5)
    assert five.ended(second.run).counts == {"succeeded": 5}
    five.assert_recorded(second.run)


def test_a_second_plan_of_the_same_station_waits_and_is_then_refused_as_stale(five: ProcessSystem) -> None:
    first = change(five, THIRD)
    for operation in ("edit-config", "commit"):
        five.fault(THIRD, "delay", operation, seconds=4)
    one = begin(five, first)
    reached(five, one, JournalStep.EDITING, THIRD)
    # Planned from what the station carries before the first plan's commit.
    change_files(five)
    second = five.plan(THIRD)
    two = begin(five, second)
    five.until("it may begin", lambda: five.job(two.run, THIRD).state is JobState.READY)
    ended = five.ended(two.run)
    assert five.store.runs.get(one.run).state is RunState.SUCCEEDED
    assert ended.state is RunState.FAILED
    late, early = five.job(two.run, THIRD), five.job(one.run, THIRD)
    assert late.outcome is Outcome.REFUSED
    assert late.started is not None
    assert early.finished is not None
    assert late.started >= early.finished
    causes = five.changes(THIRD, one.before[THIRD])
    assert_one_effect(causes, len(first.changes[0].phases), True)
    five.assert_recorded(one.run)
    five.assert_recorded(two.run)
    five.assert_agree(THIRD)


def test_a_plan_made_on_older_network_files_is_refused(five: ProcessSystem) -> None:
    old = change(five, THIRD)
    change_files(five)
    refused = five.call("POST", "/runs", {"plan": old.id}, status=409)
    assert "older version" in refused["detail"]
