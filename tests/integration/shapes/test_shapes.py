"""The main job over real processes, the same in both shapes. The tests of a shape build on one another."""

from __future__ import annotations

import statistics

from controller.models.run import JournalStep, Outcome, RunState
from controller.store import Page
from tests.integration.shapes.conftest import PERU_MINI
from tests.support.minka import ROOT
from tests.support.process_system import ProcessSystem

#: Whoever comes first waits for all of it to start.
ENTEL = (ROOT / "deploy" / "networks" / "peru-mini-add-entel.yaml").read_text(encoding="utf-8")
STATIONS = 24


def test_load_and_adopt(running: ProcessSystem) -> None:
    running.load(PERU_MINI)
    said = running.call("POST", "/devices/adopt", {"selector": "*"})
    assert len(said) == STATIONS
    assert {one["code"] for one in said.values()} == {"adopted"}, said
    assert len(running.store.devices.find()) == STATIONS


def test_apply_all_of_it(running: ProcessSystem) -> None:
    plan = running.plan()
    assert len(plan.changes) == STATIONS
    run = running.apply(plan, wave_size=8)
    ended = running.ended(run)
    assert ended.state is RunState.SUCCEEDED, running.store.runs.jobs(run)
    assert ended.counts == {"succeeded": STATIONS}
    assert ended.waves == 2  # a tracking area each, of LTE and NR together
    running.assert_recorded(run)
    for change in plan.changes:
        changes = running.changes(change.station)
        assert changes == ["confirmed-commit"] * len(change.phases), (change.station, changes)
        assert len(running.history(change.station, "confirmed")) >= 1
        running.assert_agree(change.station)


def test_a_second_plan_is_empty(running: ProcessSystem) -> None:
    plan = running.plan()
    assert plan.is_empty
    assert len(plan.unchanged) == STATIONS
    refused = running.call("POST", "/runs", {"plan": plan.id}, status=409)
    assert "nothing" in refused["detail"]


def test_one_key_one_run(running: ProcessSystem) -> None:
    running.load(PERU_MINI, entel_yaml=ENTEL)
    plan = running.plan()
    assert 0 < len(plan.changes) < STATIONS
    first = running.apply(plan, "only-once")
    assert running.apply(plan, "only-once") == first
    assert running.ended(first).state is RunState.SUCCEEDED
    assert running.apply(plan, "only-once") == first
    total, _ = running.store.runs.page(Page(limit=1000))
    assert total == 2


def test_cancel_lets_what_runs_end_and_starts_nothing_more(running: ProcessSystem) -> None:
    """Another agreement file changes all stations once more."""
    agreements = (PERU_MINI / "agreements.yaml").read_text(encoding="utf-8")
    running.load(PERU_MINI, entel_yaml=ENTEL, agreements_yaml=agreements.replace("max: 80", "max: 81"))
    plan = running.plan()
    assert len(plan.changes) >= 3
    for change in plan.changes:
        running.fault(change.station, "delay", "edit-config", seconds=5)
    run = running.apply(plan, canary=1, wave_size=2)
    canary = next(job.station for job in running.store.runs.jobs(run) if job.wave == 0)
    running.until(
        "the canary is under way", lambda: any(row.step is JournalStep.EDITING for row in running.journal(run, canary))
    )
    running.call("POST", f"/runs/{run}/cancel", status=202)
    ended = running.ended(run)
    for change in plan.changes:
        running.clear_faults(change.station)
    assert ended.state is RunState.CANCELLED
    outcomes = {job.station: job.outcome for job in running.store.runs.jobs(run)}
    assert outcomes.pop(canary) is Outcome.SUCCEEDED
    assert set(outcomes.values()) == {Outcome.CANCELLED}
    running.assert_recorded(run)


def test_a_run_is_taken_up_quickly(running: ProcessSystem) -> None:
    agreements = (PERU_MINI / "agreements.yaml").read_text(encoding="utf-8")
    took = []
    for share in (82, 83, 84):
        changed = agreements.replace("max: 80", f"max: {share}")
        running.load(PERU_MINI, entel_yaml=ENTEL, agreements_yaml=changed)
        plan = running.plan("PE-CUS-0145")
        run = running.apply(plan)
        ended = running.ended(run)
        assert ended.state is RunState.SUCCEEDED
        job = running.job(run, "PE-CUS-0145")
        assert job.started is not None
        took.append((job.started - ended.created).total_seconds())
    assert statistics.median(took) < 2, took


def test_workers_end_in_good_order(running: ProcessSystem) -> None:
    for name in ("worker-1", "worker-2"):
        assert running.stop(name) == 0
        running.start_worker(name)
