"""Workers that are killed, stopped and woken at the worst moments, as real processes."""

from __future__ import annotations

import os
import random
import signal
import time

import httpx
import pytest

from controller.models.run import JournalStep
from controller.runs.sweeper import DEAD_AFTER
from tests.chaos.attempts import STATION, Attempt, assert_right, begin, change, held, reached
from tests.support.process_system import ProcessSystem
from tests.support.soak import SOAK

pytestmark = pytest.mark.needs("initdb", "redis-server")

#: The journal's step after which the worker is killed, and the operation that is slow then.
MOMENTS = {
    "before the edit": (JournalStep.EDITING, "edit-config"),
    "before the commit": (JournalStep.COMMITTING, "commit"),
    "before the confirm": (JournalStep.CONFIRMING, "confirm"),
}


@pytest.fixture(autouse=True)
def _one_worker(system: ProcessSystem) -> None:
    """Only one worker is at work when a run begins, so that it is the one to be struck."""
    system.clear_faults(STATION)
    for name in ("worker-1", "worker-2"):
        if name in system.processes:
            system.stop(name)
    system.start_worker("worker-1")


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(system: ProcessSystem, moment: str) -> None:
    step, operation = MOMENTS[moment]
    plan = change(system)
    system.fault(STATION, "delay", operation, seconds=6)
    attempt = begin(system, plan)
    reached(system, attempt, step)
    system.kill("worker-1")
    assert_taken_over(system, attempt)


def test_killed_after_the_commit(system: ProcessSystem) -> None:
    with held(system, change(system)) as attempt:
        system.kill("worker-1")
    assert_taken_over(system, attempt)


def assert_taken_over(system: ProcessSystem, attempt: Attempt) -> None:
    """The first worker is dead; the second one ends its job."""
    system.start_worker("worker-2")
    assert_right(system, attempt)
    assert system.job(attempt.run, STATION).attempts == 2
    assert "worker.declared_dead" in system.log("worker-2") + system.log("scheduler")


def probe(system: ProcessSystem, role: str) -> httpx.Response:
    """Whether any process of a role does its work."""
    return system.api.get("/readyz", params={"role": role})


def assert_seen(system: ProcessSystem, role: str, ready: int) -> None:
    """One process of the role is down, and the metrics say so."""
    lines = system.api.get("/metrics").text.splitlines()
    up = [line for line in lines if line.startswith(f'minka_process_up{{instance="{role}-')]
    assert sum(line.endswith(" 0.0") for line in up) == 1, up
    assert f'minka_processes_ready{{role="{role}"}} {ready:.1f}' in lines


def test_stopped_and_woken_when_its_job_belongs_to_another(system: ProcessSystem) -> None:
    plan = change(system)
    system.fault(STATION, "delay", "commit", seconds=6)
    attempt = begin(system, plan)
    reached(system, attempt, JournalStep.COMMITTING)
    stopped = system.processes["worker-1"].pid
    os.kill(stopped, signal.SIGSTOP)
    os.kill(system.processes["scheduler"].pid, signal.SIGSTOP)
    system.start_worker("worker-2")
    system.until("it is declared dead", lambda: "worker-1" not in {one.name for one in system.store.processes.alive()})
    assert_seen(system, "worker", 1)
    system.until("the scheduler is missed", lambda: not probe(system, "scheduler").is_success, 30)
    assert_seen(system, "scheduler", 0)
    os.kill(system.processes["scheduler"].pid, signal.SIGCONT)
    system.until("the scheduler is back", lambda: probe(system, "scheduler").is_success)
    os.kill(stopped, signal.SIGCONT)
    assert_right(system, attempt)
    assert system.job(attempt.run, STATION).attempts == 2
    # It is back as another incarnation, and nothing it still wanted to do counts.
    system.until("it is back", lambda: "worker-1" in {one.name for one in system.store.processes.alive()})
    assert system.store.audit.verify() is None
    assert system.store.runs.get(attempt.run).counts == {"succeeded": 1}
    assert DEAD_AFTER < 20


def test_a_worker_that_is_asked_to_end_ends_its_transactions_first(system: ProcessSystem) -> None:
    plan = change(system)
    system.fault(STATION, "delay", "commit", seconds=3)
    attempt = begin(system, plan)
    reached(system, attempt, JournalStep.COMMITTING)
    assert system.stop("worker-1") == 0
    assert system.job(attempt.run, STATION).attempts == 1
    system.start_worker("worker-2")
    assert_right(system, attempt)


def test_by_chance(system: ProcessSystem, chance: random.Random) -> None:
    """Faults of all stations at once and workers killed at random, one round with a fixed seed; a soak does many."""
    for _ in range(int(os.environ.get("MINKA_ROUNDS", "30" if SOAK else "1"))):
        plan = change(system, "*")
        for each in plan.changes:
            kind = chance.choice(["delay", "drop-after", "drop-before", "lose-reply"])
            operation = chance.choice(["edit-config", "commit", "confirm", "lock", "get"])
            system.fault(each.station, kind, operation, **({"seconds": 2} if kind == "delay" else {}))
        attempt = begin(system, plan, stop_after=10)
        name = f"worker-{chance.randint(1, 2)}"
        if name in system.processes and chance.random() < 0.7:
            time.sleep(chance.random() * 3)
            system.kill(name)
            system.start_worker(name)
        assert_right(system, attempt)
        for each in plan.changes:
            system.clear_faults(each.station)
