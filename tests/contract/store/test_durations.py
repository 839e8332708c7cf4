"""How long runs, waves and jobs took, and how large plans are."""

from __future__ import annotations

from controller.models.metrics import METRIC, counted
from controller.models.run import Outcome, Run, RunState
from controller.ports.clock import VirtualClock
from controller.store import JobResult, Store, Transition
from tests.support.records import start_run, stations


def carry_out(store: Store, clock: VirtualClock, run: Run, *seconds: float) -> None:
    """Let the jobs of a run take some time each, one after the other, and end it."""
    worker = store.processes.register("w")
    claims = store.claims.take(worker, len(seconds))
    for claim, took in zip(claims, seconds, strict=True):
        clock.pause(took)
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    store.processes.end(worker)
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.SUCCEEDED))


def test_they_are_counted_once_and_by_every_process(store: Store, clock: VirtualClock) -> None:
    run = start_run(store, stations(2), salt="a")
    assert store.status.spreads() == {"minka_plan_devices": {(): counted("minka_plan_devices", [2])}}
    clock.pause(3)
    carry_out(store, clock, run, 20, 40)
    expected = {
        "minka_plan_devices": {(): counted("minka_plan_devices", [2])},
        "minka_run_duration_seconds": {("apply", "succeeded"): counted("minka_run_duration_seconds", [63])},
        "minka_wave_duration_seconds": {("apply",): counted("minka_wave_duration_seconds", [60])},
        "minka_job_duration_seconds": {("succeeded",): counted("minka_job_duration_seconds", [20, 60])},
    }
    for _ in range(2):
        assert store.status.spreads() == expected
    # While a run is under way, its jobs that ended count already.
    second = start_run(store, stations(2), salt="b")
    (claim, _) = store.claims.take(store.processes.register("x"), 2)
    clock.pause(5)
    store.claims.finish(claim, JobResult(Outcome.ROLLED_BACK))
    assert store.status.spreads()["minka_job_duration_seconds"] == {
        ("succeeded",): counted("minka_job_duration_seconds", [20, 60]),
        ("rolled-back",): counted("minka_job_duration_seconds", [5]),
    }
    assert store.status.spreads()["minka_wave_duration_seconds"] == expected["minka_wave_duration_seconds"]
    assert second.state is RunState.RUNNING
    # A process that is asked for the first time finds the same.
    assert Store(store.database).status.spreads() == store.status.spreads()


def test_a_figure_is_in_the_first_bucket_that_holds_it() -> None:
    bounds = METRIC["minka_plan_devices"].bounds
    assert counted("minka_plan_devices", [1, 1.5, 2, 1e9]) == [1, 2, *[0] * (len(bounds) - 2), 1, 1e9 + 4.5]
