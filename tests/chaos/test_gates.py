"""Waves and units as one transaction, with real processes and stations: all of them change or none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.models.run import Decision, GateVerdict, JobState, JournalStep, Outcome, RunState
from tests.chaos.world import STATION, Attempt, assert_one_effect, assert_right, begin, change, reached
from tests.support.controller import Plant

pytestmark = [pytest.mark.needs("initdb", "redis-server"), pytest.mark.timeout(400)]
OTHER = "T-LTE-1"
#: In the order in which they are worked on.
STATIONS = ("T-BOTH-1", OTHER, STATION, "T-NR-1")


@pytest.fixture(autouse=True)
def _well_behaved(site: Plant) -> Iterator[None]:
    for station in STATIONS:
        site.clear_faults(station)
    yield
    for station in STATIONS:
        site.clear_faults(station)


def decision(site: Plant, attempt: Attempt) -> Decision | None:
    found = site.store.gates.decisions([(attempt.run, 0)])
    return found[0] if found else None


def decided(site: Plant, attempt: Attempt, verdict: GateVerdict) -> None:
    """Wait until the group is decided."""
    found: Decision = site.until("the wave is decided", lambda: decision(site, attempt))
    assert found.verdict is verdict, found.reason


def outcomes(site: Plant, attempt: Attempt) -> dict[str, Outcome | None]:
    return {job.station: job.outcome for job in site.store.runs.jobs(attempt.run)}


def assert_none(site: Plant, attempt: Attempt, *failed: str) -> None:
    """Nothing stands on any station, and only those named are to blame."""
    ended = assert_right(site, attempt, effects=False)
    assert ended.state in (RunState.FAILED, RunState.STOPPED, RunState.CANCELLED)
    blamed = {station for station, outcome in outcomes(site, attempt).items() if outcome is not Outcome.WITHDRAWN}
    assert blamed == set(failed)


def test_a_wave_is_confirmed_by_one_decision(site: Plant) -> None:
    attempt = begin(site, change(site, "*"), policy="wave")
    assert_right(site, attempt)
    found = decision(site, attempt)
    assert found is not None
    assert (found.unit, found.verdict) == ("", GateVerdict.CONFIRM)
    assert found.by.startswith(("worker", "scheduler"))
    # No station was confirmed before it.
    for each in attempt.plan.changes:
        confirming = next(row for row in site.journal(attempt.run, each.station) if row.step is JournalStep.CONFIRMING)
        assert confirming.at >= found.at
    assert site.call("GET", f"/runs/{attempt.run}/decisions")["results"][0]["verdict"] == "confirm"


@pytest.mark.parametrize(("kind", "operation"), [("fail", "commit"), ("ok-without-effect", "edit-config")])
def test_one_that_fails_keeps_all_others_from_it(site: Plant, kind: str, operation: str) -> None:
    plan = change(site, "*")
    site.fault(STATION, kind, operation)
    attempt = begin(site, plan, policy="wave")
    assert_none(site, attempt, STATION)


def test_one_that_is_away_keeps_nobody_from_it(site: Plant) -> None:
    plan = change(site, "*")
    site.fault(STATION, "lock-denied", "lock", count=None)
    attempt = begin(site, plan, policy="wave")
    assert site.ended(attempt.run).state is RunState.PARTIAL
    site.clear_faults(STATION)
    found = outcomes(site, attempt)
    assert found.pop(STATION) is Outcome.DEFERRED
    assert set(found.values()) == {Outcome.SUCCEEDED}
    site.assert_recorded(attempt.run)


def test_a_station_that_reverts_after_the_decision_is_rolled_forward(site: Plant) -> None:
    plan = change(site, "*")
    site.fault(STATION, "delay", "confirm", seconds=6)
    attempt = begin(site, plan, policy="wave")
    decided(site, attempt, GateVerdict.CONFIRM)
    site.control.post(f"/stations/{STATION}/restart").raise_for_status()
    assert_right(site, attempt)
    assert "restart" in site.changes(STATION, attempt.before[STATION])


def test_a_station_that_can_t_be_rolled_forward_diverges_and_people_are_told(site: Plant) -> None:
    plan = change(site, "*")
    site.fault(STATION, "delay", "confirm", seconds=6)
    attempt = begin(site, plan, policy="wave")
    decided(site, attempt, GateVerdict.CONFIRM)
    site.fault(STATION, "fail", "edit-config", count=None)
    site.control.post(f"/stations/{STATION}/restart").raise_for_status()
    assert site.ended(attempt.run).state is RunState.DIVERGED
    site.clear_faults(STATION)
    found = outcomes(site, attempt)
    assert found.pop(STATION) is Outcome.DIVERGED
    assert set(found.values()) == {Outcome.SUCCEEDED}
    site.assert_recorded(attempt.run)
    (alarm,) = site.store.alarms.standing([STATION])
    assert (alarm.probable_cause, alarm.object) == ("station-diverged", "station")
    assert attempt.run in alarm.text
    # It carries the old state, whole, and is planned anew; then nobody needs to look any more.
    assert_one_effect(site.changes(STATION, attempt.before[STATION]), 1, effects=False)
    assert_right(site, begin(site, site.plan(STATION)))
    assert site.store.alarms.standing([STATION]) == []


def test_a_cancel_before_the_decision_takes_all_back(site: Plant) -> None:
    plan = change(site, "*")
    site.fault(STATION, "delay", "get", seconds=2, count=3)
    attempt = begin(site, plan, policy="wave")
    reached(site, attempt, JournalStep.GATED, OTHER)
    site.call("POST", f"/runs/{attempt.run}/cancel", status=202)
    assert_none(site, attempt)
    assert site.store.runs.get(attempt.run).state is RunState.CANCELLED


def test_a_hold_postpones_a_wave_which_goes_on_by_itself(site: Plant) -> None:
    """It is taken back whole, waits over the death of all workers, and is begun anew when the hold is lifted."""
    plan = change(site, "*")
    first, *_, last = sorted(each.station for each in plan.changes)
    site.fault(first, "delay", "get", seconds=2, count=3)
    attempt = begin(site, plan, policy="wave", parallel=1)
    site.until("the first station is worked on", lambda: site.job(attempt.run, first).started)
    hold = site.call("POST", "/holds", {"target": last, "reason": "on the mast"}, status=201)

    def waiting() -> bool:
        jobs = site.store.runs.jobs(attempt.run)
        return all((job.state, job.round, job.started) == (JobState.WAITING, 1, None) for job in jobs)

    site.until("all of it waits", waiting)
    decided(site, attempt, GateVerdict.POSTPONE)
    for each in plan.changes:
        assert_one_effect(site.changes(each.station, attempt.before[each.station]), len(each.phases), effects=False)
    for name in ("worker-1", "worker-2"):
        site.kill(name)
        site.start_worker(name)
    assert f"hold on {last}" in " ".join(site.store.runs.get(attempt.run).waits)
    site.store.holds.end(hold["id"], "ana")
    assert_right(site, attempt)
    assert [found.verdict for found in site.store.gates.decisions([(attempt.run, 0)])][-1] is GateVerdict.CONFIRM


@pytest.mark.parametrize("when", ["before", "after"])
def test_all_workers_die_around_the_decision(site: Plant, when: str) -> None:
    """Others finish what was decided, or decide; whatever a station's timer says meanwhile."""
    plan = change(site, "*")
    if when == "before":
        site.fault(STATION, "delay", "get", seconds=3, count=3)
    else:
        site.fault(STATION, "delay", "confirm", seconds=6)
    attempt = begin(site, plan, policy="wave", confirm_timeout=90)
    if when == "before":
        reached(site, attempt, JournalStep.GATED, OTHER)
        assert decision(site, attempt) is None
    else:
        decided(site, attempt, GateVerdict.CONFIRM)
    for name in ("worker-1", "worker-2"):
        site.kill(name)
    site.clear_faults(STATION)
    for name in ("worker-1", "worker-2"):
        site.start_worker(name)
    assert_right(site, attempt)


def test_a_pause_outlives_all_workers(site: Plant) -> None:
    plan = change(site, "*")
    first = STATIONS[0]
    site.fault(first, "delay", "get", seconds=2, count=3)
    attempt = begin(site, plan, canary=1)
    site.until("the first station is worked on", lambda: site.job(attempt.run, first).started)
    assert site.call("POST", f"/runs/{attempt.run}/pause", status=202)["state"] == "paused"
    site.until("it rests", lambda: sum(outcome is not None for outcome in outcomes(site, attempt).values()) == 1)
    for name in ("worker-1", "worker-2", "scheduler"):
        site.stop(name)
    site.start("scheduler")
    for name in ("worker-1", "worker-2"):
        site.start_worker(name)
    assert site.store.runs.get(attempt.run).state is RunState.PAUSED
    assert sum(outcome is None for outcome in outcomes(site, attempt).values()) == len(plan.changes) - 1
    assert site.call("POST", f"/runs/{attempt.run}/resume", status=202)["state"] == "running"
    assert_right(site, attempt)
