"""Faults 10, 13, 14, 20 and 38: workers that hear nothing, die of their job, hang, or live in another time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from kombu import Connection
from sqlalchemy import select, update

from controller.models.run import JournalStep, Outcome, RunState
from controller.queue.app import QUEUE
from controller.runs import loop
from controller.runs.rollout.transitions import decide
from controller.store.jobs.run_rows import jobs, runs
from tests.chaos.attempts import assert_one_effect, assert_right, begin, reached
from tests.chaos.faults.five_stations import STATIONS, THIRD, change, change_files, odd_worker
from tests.support.forks import ForkedProcess
from tests.support.process_system import ProcessSystem

pytestmark = pytest.mark.needs("initdb", "redis-server")


@pytest.fixture(autouse=True)
def _nobody_at_work(five: ProcessSystem) -> None:
    """No worker, unless a test starts one."""
    for station in STATIONS:
        five.clear_faults(station)
    for name in [name for name in five.processes if "worker" in name]:
        five.stop(name)
    if "scheduler" not in five.processes:
        five.start("scheduler")


@contextmanager
def _redis(system: ProcessSystem) -> Iterator[Any]:
    """A client of the broker."""
    assert system.redis is not None
    with Connection(system.redis.url) as connection:
        yield connection.channel().client


def _waiting(system: ProcessSystem) -> int:
    """Messages in the queue."""
    with _redis(system) as client:
        return int(client.llen(QUEUE))


def _sent(system: ProcessSystem) -> int:
    """Messages that were ever put into a queue."""
    with _redis(system) as client:
        return int(client.info("commandstats").get("cmdstat_lpush", {"calls": 0})["calls"])


def _more_sent(system: ProcessSystem, than: int) -> bool:
    return _sent(system) > than


def _stop_at_brpop(system: ProcessSystem, worker: ForkedProcess) -> None:
    """Stop a worker when it has just begun to wait for a message, for a second at most."""
    with _redis(system) as client:

        def asks() -> int:
            return int(client.info("commandstats").get("cmdstat_brpop", {"calls": 0})["calls"])

        before = asks()
        system.until("it asks for a message", lambda: asks() > before)
    worker.send_signal(signal.SIGSTOP)


def test_a_ring_that_is_lost_with_the_worker_that_popped_it(five: ProcessSystem) -> None:
    """Fault 10: stopped at BRPOP, Redis hands it the message, and it is killed: the message is gone."""
    five.stop("scheduler")
    worker = five.start_worker("worker-1")
    for _ in range(5):
        plan = change(five, THIRD)
        five.until("nothing is left to hear", lambda: _waiting(five) == 0)
        sent = _sent(five)
        attempt = begin(five, plan, partial(_stop_at_brpop, five, worker))
        # The API rings after it has answered.
        five.until("its ring was sent", partial(_more_sent, five, sent))
        if _waiting(five) == 0:
            break
        worker.send_signal(signal.SIGCONT)  # it came when nobody asked any more: once again
        assert_right(five, attempt)
    else:
        raise AssertionError("no ring came while the worker that was stopped waited for one")
    five.kill("worker-1")
    assert _waiting(five) == 0
    five.start_worker("worker-2")
    assert_right(five, attempt)


def test_a_job_that_kills_its_workers_is_given_up(five: ProcessSystem) -> None:
    """Fault 13: after so many workers that died with it nobody takes it up any more, and people see it."""
    plan = change(five, THIRD)
    five.stop("scheduler")
    attempt = begin(five, plan)
    five.store.runs.advance(attempt.run, lambda run, jobs: decide(run, jobs, run.created))
    for _ in range(loop._MAX_ATTEMPTS):
        victim = five.store.processes.register("victim")
        assert [claim.job.station for claim in five.store.claims.take(victim, 10)] == [THIRD]
        assert five.store.processes.declare_dead(victim, 0)
    five.start_worker("worker-1")
    assert five.ended(attempt.run).state is RunState.FAILED
    job = five.job(attempt.run, THIRD)
    assert job.outcome is Outcome.FAILED_SAFE
    assert "given up after" in job.detail
    five.assert_recorded(attempt.run)
    assert not five.changes(THIRD, attempt.before[THIRD])


def test_a_worker_that_hangs_is_replaced(five: ProcessSystem) -> None:
    """Fault 14: the process is up and its consumer hears rings, but its loop does nothing any more."""
    plan = change(five, THIRD)
    odd_worker(five, "worker-1")
    five.fault(THIRD, "delay", "commit", seconds=2)
    attempt = begin(five, plan)
    reached(five, attempt, JournalStep.COMMITTING, THIRD)
    hung = five.processes["worker-1"]
    hung.send_signal(signal.SIGALRM)
    five.until("it ends by itself", lambda: hung.poll() is not None)
    assert "process.hangs" in five.log("worker-1")
    # Whoever supervises started it again, and it recovers what it left.
    assert_right(five, attempt)


def test_an_old_worker_leaves_to_newer_ones_what_only_they_understand(five: ProcessSystem) -> None:
    """Fault 38: what a newer version asked for is neither begun nor ended by it, and holds up nothing else."""
    change_files(five)
    five.stop("scheduler")
    future, known = (begin(five, five.plan(station)) for station in (THIRD, STATIONS[0]))
    with five.store.database.engine.begin() as connection:
        row = connection.execute(select(runs.c.strategy).where(runs.c.id == future.run)).scalar_one()
        newer = row.removesuffix("}") + ', "from_the_future": true}'
        connection.execute(update(runs).where(runs.c.id == future.run).values(strategy=newer))
    ended = list(five.ends)
    five.start_worker("worker-1")
    assert_right(five, known)
    with five.store.database.engine.begin() as connection:
        waiting = select(jobs.c.attempts, jobs.c.outcome).where(jobs.c.run == future.run)
        assert connection.execute(waiting).all() == [(0, None)]
    assert five.ends == ended, "the old worker did not live through it"
    with five.store.database.engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == future.run).values(strategy=row))
    assert_right(five, future)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_take_over_between_clocks_that_disagree_by_an_hour(five: ProcessSystem, hours: int) -> None:
    """Fault 20: neither the dead worker's deadline nor its heartbeat is judged by anybody's time of day."""
    plan = change(five, THIRD)
    odd_worker(five, "worker-1", "--ahead", str(3600 * hours))
    five.fault(THIRD, "delay", "commit", seconds=3)
    attempt = begin(five, plan)
    reached(five, attempt, JournalStep.COMMITTING, THIRD)
    five.kill("worker-1")
    five.start_worker("worker-2")
    ended = five.ended(attempt.run)
    five.assert_recorded(attempt.run)
    # What a wrong clock may cost is the change, never the station's state or the record's truth.
    job = five.job(attempt.run, THIRD)
    assert job.outcome in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK)
    assert ended.state is (RunState.SUCCEEDED if job.outcome is Outcome.SUCCEEDED else RunState.FAILED)
    causes = five.changes(THIRD, attempt.before[THIRD])
    assert_one_effect(causes, len(plan.changes[0].phases), job.outcome is Outcome.SUCCEEDED)
    five.assert_agree(THIRD)
