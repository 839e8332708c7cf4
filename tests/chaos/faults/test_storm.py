"""Chance against real processes: PostgreSQL, Redis, five stations over NETCONF, and runs of all policies.

Each round sets off one or two runs, breaks what chance says while they are under way, mends it, and then compares
stations, ledger, jobs and audit trail. ``MINKA_SEED`` plays the rounds again; a soak plays many.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from controller.models.run import Outcome, Policy, RunState
from tests.chaos.attempts import Attempt, assert_one_effect, begin
from tests.chaos.faults.five_stations import STATIONS, change
from tests.chaos.faults.trail import assert_all_or_nothing
from tests.support.process_system import ProcessSystem
from tests.support.soak import SOAK

pytestmark = [pytest.mark.needs("initdb", "redis-server"), pytest.mark.timeout(36000 if SOAK else 400)]
ROUNDS = int(os.environ.get("MINKA_ROUNDS", "40" if SOAK else "2"))


def _break_stations(system: ProcessSystem, chance: random.Random) -> None:
    for station in chance.sample(STATIONS, chance.randint(1, 3)):
        kind = chance.choice(["delay", "drop-after", "drop-before", "lose-reply", "fail", "ok-without-effect"])
        operation = chance.choice(["edit-config", "commit", "confirm", "lock", "get"])
        if kind in ("fail", "ok-without-effect") and operation in ("lock", "get"):
            operation = "commit"
        system.fault(station, kind, operation, **({"seconds": 2} if kind == "delay" else {}))


def _restart_station(system: ProcessSystem, chance: random.Random) -> None:
    system.control.post(f"/stations/{chance.choice(STATIONS)}/restart").raise_for_status()


def _kill_worker(system: ProcessSystem, chance: random.Random) -> None:
    name = f"worker-{chance.randint(1, 2)}"
    system.kill(name)
    system.start_worker(name)


def _end_worker(system: ProcessSystem, chance: random.Random) -> None:
    system.processes[f"worker-{chance.randint(1, 2)}"].terminate()  # started again when it has ended


def _freeze_worker(system: ProcessSystem, chance: random.Random) -> None:
    process = system.processes[f"worker-{chance.randint(1, 2)}"]
    process.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(1, 20 if SOAK else 8))
    process.send_signal(signal.SIGCONT)


def _lose_queue(system: ProcessSystem, chance: random.Random) -> None:
    assert system.redis is not None
    chance.choice([system.redis.restart, system.redis.wipe])()


def _kill_scheduler(system: ProcessSystem, chance: random.Random) -> None:
    system.kill("scheduler")
    system.start("scheduler")


_BREAKS: tuple[Callable[[ProcessSystem, random.Random], None], ...] = (
    _break_stations, _break_stations, _restart_station, _kill_worker, _end_worker, _freeze_worker, _lose_queue,
    _kill_scheduler,
)  # fmt: skip


def _meddle(system: ProcessSystem, chance: random.Random, run: str) -> None:
    """A person pauses, resumes or cancels; a run that has ended meanwhile stays as it is."""
    what = chance.choice(["", "", "pause", "cancel"])
    if what:
        system.api.post(f"/v1/runs/{run}/{what}")
    if what == "pause":
        time.sleep(chance.random())
        system.api.post(f"/v1/runs/{run}/resume")


@contextmanager
def _broken(system: ProcessSystem) -> Iterator[None]:
    """Whatever is broken within is mended at the end."""
    try:
        yield
    finally:
        for process in system.processes.values():
            process.send_signal(signal.SIGCONT)
        for station in STATIONS:
            system.clear_faults(station)


def _assert_true(system: ProcessSystem, attempt: Attempt) -> None:
    """One end; each station carries it once or not at all; what it carries is what was decided and is on record."""
    ended = system.ended(attempt.run)
    system.assert_recorded(attempt.run)
    if ended.state is not RunState.DIVERGED:
        assert_all_or_nothing(system.store, [attempt.run])
    for each in attempt.plan.changes:
        job = system.job(attempt.run, each.station)
        assert job.outcome is not None
        causes = system.changes(each.station, attempt.before[each.station])
        assert job.outcome is not Outcome.DIVERGED, (job.detail, causes)
        assert_one_effect(causes, len(each.phases), job.outcome.good)
        system.assert_agree(each.station)
        gained = frozenset(node.path for node in each.gained) if job.outcome.good else frozenset()
        ledger = frozenset(system.store.ledger.find([each.station])[each.station])
        assert ledger == attempt.ledger[each.station] | gained
    left = {job.station for job in system.store.runs.jobs(attempt.run) if job.outcome is None or not job.outcome.good}
    assert {each.station for each in system.plan("*").changes} == left


def test_storm(five: ProcessSystem, chance: random.Random) -> None:
    for number in range(ROUNDS):
        policy = chance.choice(list(Policy))
        with _broken(five):
            attempt = begin(
                five, change(five), policy=policy, canary=chance.randint(0, 1), wave_size=chance.randint(1, 5),
                stop_after=chance.randint(1, 5), confirm_timeout=40,
            )  # fmt: skip
            done = [chance.choice(_BREAKS) for _ in range(chance.randint(1, 3))]
            for act in done:
                time.sleep(chance.uniform(0, 1.5))
                act(five, chance)
            _meddle(five, chance, attempt.run)
        try:
            _assert_true(five, attempt)
        except AssertionError as error:
            acts = ", ".join(act.__name__.strip("_") for act in done)
            raise AssertionError(f"round {number}, policy {policy}, after: {acts}: {error}") from error
