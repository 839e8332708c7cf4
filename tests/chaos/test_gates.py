"""Waves and units as one transaction, with real processes and stations: all of them change or none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.models.run import Decision, GateChoice, JobState, JournalStep, Outcome, RunState
from tests.chaos.attempts import STATION, Attempt, assert_one_effect, assert_right, begin, change, reached
from tests.support.process_system import ProcessSystem

pytestmark = pytest.mark.needs("initdb", "redis-server")
OTHER = "T-LTE-1"
#: In the order in which they are worked on.
STATIONS = ("T-BOTH-1", OTHER, STATION, "T-NR-1")


@pytest.fixture(autouse=True)
def _well_behaved(system: ProcessSystem) -> Iterator[None]:
    for station in STATIONS:
        system.clear_faults(station)
    yield
    for station in STATIONS:
        system.clear_faults(station)


def decision(system: ProcessSystem, attempt: Attempt) -> Decision | None:
    found = system.store.gates.decisions([(attempt.run, 0)])
    return found[0] if found else None


def decided(system: ProcessSystem, attempt: Attempt, choice: GateChoice) -> None:
    """Wait until the group is decided."""
    found: Decision = system.until("the wave is decided", lambda: decision(system, attempt))
    assert found.choice is choice, found.reason


def outcomes(system: ProcessSystem, attempt: Attempt) -> dict[str, Outcome | None]:
    return {job.station: job.outcome for job in system.store.runs.jobs(attempt.run)}


def assert_none(system: ProcessSystem, attempt: Attempt, *failed: str) -> None:
    """Nothing stands on any station, and only those named are to blame."""
    ended = assert_right(system, attempt, effects=False)
    assert ended.state in (RunState.FAILED, RunState.STOPPED, RunState.CANCELLED)
    blamed = {station for station, outcome in outcomes(system, attempt).items() if outcome is not Outcome.WITHDRAWN}
    assert blamed == set(failed)


def test_a_wave_is_confirmed_by_one_decision(system: ProcessSystem) -> None:
    attempt = begin(system, change(system, "*"), policy="wave")
    assert_right(system, attempt)
    found = decision(system, attempt)
    assert found is not None
    assert (found.unit, found.choice) == ("", GateChoice.CONFIRM)
    assert found.by.startswith(("worker", "scheduler"))
    # No station was confirmed before it.
    for each in attempt.plan.changes:
        confirming = next(
            row for row in system.journal(attempt.run, each.station) if row.step is JournalStep.CONFIRMING
        )
        assert confirming.at >= found.at
    assert system.call("GET", f"/runs/{attempt.run}/decisions")["results"][0]["choice"] == "confirm"


@pytest.mark.parametrize(("kind", "operation"), [("fail", "commit"), ("ok-without-effect", "edit-config")])
def test_one_that_fails_keeps_all_others_from_it(system: ProcessSystem, kind: str, operation: str) -> None:
    plan = change(system, "*")
    system.fault(STATION, kind, operation)
    attempt = begin(system, plan, policy="wave")
    assert_none(system, attempt, STATION)


def test_one_that_is_away_keeps_nobody_from_it(system: ProcessSystem) -> None:
    plan = change(system, "*")
    system.fault(STATION, "lock-denied", "lock", count=None)
    attempt = begin(system, plan, policy="wave")
    assert system.ended(attempt.run).state is RunState.PARTIAL
    system.clear_faults(STATION)
    found = outcomes(system, attempt)
    assert found.pop(STATION) is Outcome.DEFERRED
    assert set(found.values()) == {Outcome.SUCCEEDED}
    system.assert_recorded(attempt.run)


def test_a_station_that_reverts_after_the_decision_is_rolled_forward(system: ProcessSystem) -> None:
    plan = change(system, "*")
    system.fault(STATION, "delay", "confirm", seconds=6)
    attempt = begin(system, plan, policy="wave")
    decided(system, attempt, GateChoice.CONFIRM)
    system.control.post(f"/stations/{STATION}/restart").raise_for_status()
    assert_right(system, attempt)
    assert "restart" in system.changes(STATION, attempt.before[STATION])


def test_a_station_that_can_t_be_rolled_forward_diverges_and_people_are_notified(system: ProcessSystem) -> None:
    plan = change(system, "*")
    system.fault(STATION, "delay", "confirm", seconds=6)
    attempt = begin(system, plan, policy="wave")
    decided(system, attempt, GateChoice.CONFIRM)
    system.fault(STATION, "fail", "edit-config", count=None)
    system.control.post(f"/stations/{STATION}/restart").raise_for_status()
    assert system.ended(attempt.run).state is RunState.DIVERGED
    system.clear_faults(STATION)
    found = outcomes(system, attempt)
    assert found.pop(STATION) is Outcome.DIVERGED
    assert set(found.values()) == {Outcome.SUCCEEDED}
    system.assert_recorded(attempt.run)
    (alarm,) = system.store.alarms.standing([STATION])
    assert (alarm.probable_cause, alarm.object) == ("station-diverged", "station")
    assert attempt.run in alarm.text
    # It carries the old state, whole, and is planned again; then nobody needs to look any more.
    assert_one_effect(system.changes(STATION, attempt.before[STATION]), 1, effects=False)
    assert_right(system, begin(system, system.plan(STATION)))
    assert system.store.alarms.standing([STATION]) == []


def test_a_cancel_before_the_decision_takes_all_back(system: ProcessSystem) -> None:
    plan = change(system, "*")
    system.fault(STATION, "delay", "get", seconds=2, count=3)
    attempt = begin(system, plan, policy="wave")
    reached(system, attempt, JournalStep.GATED, OTHER)
    system.call("POST", f"/runs/{attempt.run}/cancel", status=202)
    assert_none(system, attempt)
    assert system.store.runs.get(attempt.run).state is RunState.CANCELLED


def test_a_hold_postpones_a_wave_which_goes_on_by_itself(system: ProcessSystem) -> None:
    """It is taken back whole, waits over the death of all workers, and is begun again when the hold is lifted."""
    plan = change(system, "*")
    first, *_, last = sorted(each.station for each in plan.changes)
    system.fault(first, "delay", "get", seconds=2, count=3)
    attempt = begin(system, plan, policy="wave", parallel=1)
    system.until("the first station is worked on", lambda: system.job(attempt.run, first).started)
    hold = system.call("POST", "/holds", {"target": last, "reason": "on the mast"}, status=201)

    def waiting() -> bool:
        jobs = system.store.runs.jobs(attempt.run)
        return all((job.state, job.round, job.started) == (JobState.WAITING, 1, None) for job in jobs)

    system.until("all of it waits", waiting)
    decided(system, attempt, GateChoice.POSTPONE)
    for each in plan.changes:
        assert_one_effect(system.changes(each.station, attempt.before[each.station]), len(each.phases), effects=False)
    for name in ("worker-1", "worker-2"):
        system.kill(name)
        system.start_worker(name)
    assert f"hold on {last}" in " ".join(system.store.runs.get(attempt.run).waits)
    system.store.holds.end(hold["id"], "ana")
    assert_right(system, attempt)
    assert [found.choice for found in system.store.gates.decisions([(attempt.run, 0)])][-1] is GateChoice.CONFIRM


@pytest.mark.parametrize("when", ["before", "after"])
def test_all_workers_die_around_the_decision(system: ProcessSystem, when: str) -> None:
    """Others finish what was decided, or decide; whatever a station's timer says meanwhile."""
    plan = change(system, "*")
    if when == "before":
        system.fault(STATION, "delay", "get", seconds=3, count=3)
    else:
        system.fault(STATION, "delay", "confirm", seconds=6)
    attempt = begin(system, plan, policy="wave", confirm_timeout=90)
    if when == "before":
        reached(system, attempt, JournalStep.GATED, OTHER)
        assert decision(system, attempt) is None
    else:
        decided(system, attempt, GateChoice.CONFIRM)
    for name in ("worker-1", "worker-2"):
        system.kill(name)
    system.clear_faults(STATION)
    for name in ("worker-1", "worker-2"):
        system.start_worker(name)
    assert_right(system, attempt)


def test_a_pause_outlives_all_workers(system: ProcessSystem) -> None:
    plan = change(system, "*")
    first = STATIONS[0]
    system.fault(first, "delay", "get", seconds=2, count=3)
    attempt = begin(system, plan, canary=1)
    system.until("the first station is worked on", lambda: system.job(attempt.run, first).started)
    assert system.call("POST", f"/runs/{attempt.run}/pause", status=202)["state"] == "paused"
    system.until("it rests", lambda: sum(outcome is not None for outcome in outcomes(system, attempt).values()) == 1)
    for name in ("worker-1", "worker-2", "scheduler"):
        system.stop(name)
    system.start("scheduler")
    for name in ("worker-1", "worker-2"):
        system.start_worker(name)
    assert system.store.runs.get(attempt.run).state is RunState.PAUSED
    assert sum(outcome is None for outcome in outcomes(system, attempt).values()) == len(plan.changes) - 1
    assert system.call("POST", f"/runs/{attempt.run}/resume", status=202)["state"] == "running"
    assert_right(system, attempt)
