"""The worker's loop in virtual time: lives, deaths, a database that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from controller.models.errors import StoreError
from controller.models.run import JobState, Outcome, RunState
from controller.ports.fake_devices import Fault
from controller.ports.store import Page, Store, Transition
from controller.runs import loop as loop_module
from controller.runs.loop import BELIEF
from controller.runs.sweeper import BURY_AFTER
from controller.store.repository import Invocation, Urgent
from tests.unit.runs.plant import FlakyStore, Plant

T = TypeVar("T")


async def test_a_run_is_worked_off(plant: Plant) -> None:
    async with plant.working(plant.worker()):
        run = plant.submit()
        await plant.advance(5)
        plant.assert_succeeded(run)


async def test_a_ring_spares_the_wait_and_is_not_needed(plant: Plant) -> None:
    worker = plant.worker()
    async with plant.working(worker):
        run = plant.submit()
        plant.store.runs.advance(run, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
        await plant.clock.advance(0.01)
        assert plant.job(run).state is JobState.READY
        worker.wake(run)
        await plant.clock.advance(0.01)
        assert plant.job(run).state is not JobState.READY
        await plant.advance(5)
        plant.assert_succeeded(run)


async def test_a_ring_for_a_new_run_begins_it(plant: Plant) -> None:
    worker = plant.worker()
    async with plant.working(worker):
        await plant.clock.advance(0.2)
        run = plant.submit()
        worker.wake(run)
        await plant.clock.advance(0.2)
        assert plant.job(run).started is not None


async def test_stopping_lets_transactions_end_and_claims_nothing_more(plant: Plant) -> None:
    plant.device.latency = 0.5
    async with plant.working(plant.worker()) as stop:
        run = plant.submit()
        await plant.advance(2)
        assert plant.job(run).state is JobState.CLAIMED
        stop.set()
        second = plant.submit()
    assert plant.job(run).outcome is Outcome.SUCCEEDED
    assert plant.job(second).state in (JobState.WAITING, JobState.READY)
    assert not plant.device.sessions
    # It ended in good order: nobody has to find out that it is silent.
    assert plant.store.processes.alive() == []
    assert "worker.stopped" in {row.action for row in plant.store.audit.page(Page())[1]}


async def test_a_worker_that_is_to_end_waits_for_no_database(plant: Plant) -> None:
    """What it did is recovered by the next one."""
    store = FlakyStore(plant.store)
    plant.device.latency = 0.2
    async with plant.working(plant.worker(store)) as stop:
        run = plant.submit()
        await plant.advance(2)
        assert plant.job(run).state is JobState.CLAIMED
        store.away = True
        plant.device.latency = 10_000
        stop.set()
    assert not plant.device.sessions
    plant.device.latency = 0.2
    async with plant.working(plant.worker(name="next")):
        await plant.advance(BURY_AFTER + 30)
        plant.assert_succeeded(run)


async def test_a_database_that_is_away_in_mid_transaction(plant: Plant) -> None:
    """The session is given up, and the same worker takes over from itself when the record is back."""
    store = FlakyStore(plant.store)
    plant.device.latency = 0.2
    async with plant.working(plant.worker(store)):
        run = plant.submit()
        await plant.advance(2)
        assert plant.job(run).state is JobState.CLAIMED
        store.away = True
        await plant.advance(3)
        store.away = False
        await plant.advance(20)
        plant.assert_succeeded(run)


@pytest.mark.parametrize("calls", range(1, 24))
async def test_an_answer_of_the_database_that_is_lost(plant: Plant, calls: int) -> None:
    """Claim, journal, finish: each may have happened although nobody heard of it."""

    class Losing(FlakyStore):
        counted = 0

        async def call(self, work: Callable[[Store], T]) -> T:
            self.counted += 1
            self.lose = int(self.counted == calls + 2)
            return await super().call(work)

    store = Losing(plant.store)
    run = plant.submit()
    async with plant.working(plant.worker(store)):
        await plant.advance(30)
        plant.assert_succeeded(run)


async def test_a_worker_that_froze_is_buried_and_its_job_taken_over(plant: Plant) -> None:
    frozen = FlakyStore(plant.store)
    plant.device.latency = 0.3
    async with plant.working(plant.worker(frozen, "frozen")):
        run = plant.submit()
        await plant.advance(2)
        assert plant.job(run).state is JobState.CLAIMED
        frozen.thawed.clear()
        async with plant.working(plant.worker(name="living")):
            await plant.advance(BURY_AFTER - 3)
            assert plant.job(run).state is JobState.CLAIMED
            await plant.advance(30)
            plant.assert_succeeded(run)
            assert [one.name for one in plant.store.processes.alive()] == ["living"]
            frozen.thawed.set()
            await plant.advance(5)
            # Its late acts came to nothing, and it is back as another incarnation.
            assert sorted(one.name for one in plant.store.processes.alive()) == ["frozen", "living"]
    plant.assert_succeeded(run)
    assert len(plant.device.history) == 2


async def test_a_worker_that_was_buried_comes_back_as_another(plant: Plant) -> None:
    """Its job goes on under the new lease; the old one's session is gone from the station."""
    plant.device.latency = 1.0
    async with plant.working(plant.worker()):
        run = plant.submit()
        await plant.advance(3)
        assert plant.job(run).state is JobState.CLAIMED
        (first,) = plant.store.processes.alive()
        assert plant.store.processes.declare_dead(first.id, first.counter)
        await plant.advance(60)
        plant.assert_succeeded(run)
        (second,) = plant.store.processes.alive()
        assert second.id != first.id
        assert plant.job(run).attempts == 2


async def test_without_heartbeat_a_worker_stops_believing_in_its_leases(plant: Plant) -> None:
    store = FlakyStore(plant.store)
    worker = plant.worker(store)
    async with plant.working(worker):
        assert worker._alive(worker._incarnation)
        store.away = True
        await plant.advance(BELIEF + 2)
        assert not worker._alive(worker._incarnation)
        store.away = False
        await plant.advance(3)
        assert worker._alive(worker._incarnation)


async def test_a_stall_that_nobody_noticed_is_slept_off(plant: Plant) -> None:
    """Its own deadline passed, so it sends nothing more before its next heartbeat; then it goes on where it was."""
    store = FlakyStore(plant.store)
    plant.device.latency = 0.4
    locked: list[float] = []
    plant.device.faults.append(Fault("lock", act=lambda: locked.append(plant.clock.monotonic()), times=99))
    async with plant.working(plant.worker(store)):
        run = plant.submit()
        await plant.advance(2)
        assert plant.job(run).state is JobState.CLAIMED
        store.thawed.clear()
        await plant.advance(BELIEF + 3)
        store.thawed.set()
        await plant.advance(30)
        plant.assert_succeeded(run)
        assert plant.job(run).attempts == 1
    assert len(locked) == 1


async def test_a_stall_after_which_no_heartbeat_comes_through_is_recovered_from(plant: Plant) -> None:
    """It sends nothing more; but the job is still its own, and it takes it up again when it can."""

    class Heartless(FlakyStore):
        beats = True

        async def call(self, work: Callable[[Store], T]) -> T:
            if isinstance(work, Invocation) and isinstance(work.method, Urgent) and not self.beats:
                raise StoreError("no heartbeat comes through")
            return await super().call(work)

    store = Heartless(plant.store)
    plant.device.latency = 0.4
    locked: list[float] = []
    plant.device.faults.append(Fault("lock", act=lambda: locked.append(plant.clock.monotonic()), times=99))
    async with plant.working(plant.worker(store)):
        run = plant.submit()
        await plant.advance(2)
        assert plant.job(run).state is JobState.CLAIMED
        changes = len(plant.device.history)
        store.beats = False
        store.thawed.clear()
        await plant.advance(BELIEF + 3)
        store.thawed.set()
        await plant.advance(4)
        assert plant.job(run).state is JobState.CLAIMED
        assert len(plant.device.history) == changes
        store.beats = True
        await plant.advance(30)
        plant.assert_succeeded(run)
    assert len(locked) == 2


async def test_belief_ends_well_before_the_funeral() -> None:
    assert BELIEF * 2 < BURY_AFTER


async def test_a_job_that_kills_its_workers_is_given_up(plant: Plant) -> None:
    run = plant.submit()
    plant.store.runs.advance(run, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    for _ in range(loop_module._MAX_ATTEMPTS):
        incarnation = plant.store.processes.register("victim")
        assert plant.store.claims.take(incarnation, 1)
        assert plant.store.processes.declare_dead(incarnation, 0)
    async with plant.working(plant.worker()):
        await plant.advance(5)
    assert plant.job(run).outcome is Outcome.FAILED_SAFE
    assert "given up after 5 attempts" in plant.job(run).detail
    assert plant.store.runs.get(run).state is RunState.FAILED


async def test_an_error_of_ours_ends_the_job_and_not_the_worker(plant: Plant) -> None:
    def bug() -> None:
        raise ZeroDivisionError

    plant.device.faults.append(Fault("commit_confirmed", act=bug))
    async with plant.working(plant.worker()):
        run = plant.submit()
        await plant.advance(5)
        assert plant.job(run).outcome is Outcome.DIVERGED
        assert "ZeroDivisionError" in plant.job(run).detail
        assert plant.store.runs.get(run).state is RunState.DIVERGED
        again = plant.submit()
        await plant.advance(5)
        assert plant.store.runs.get(again).state is RunState.SUCCEEDED


async def test_a_broken_heart_ends_the_worker(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor starts it anew; a worker that only seems to live is worse."""
    worker = plant.worker()
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    await plant.clock.advance(1)
    monkeypatch.setattr(plant.store.processes, "heartbeat", lambda *_: 1 / 0)
    await plant.advance(3)
    with pytest.raises(ZeroDivisionError):
        await task
