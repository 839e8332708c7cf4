"""The worker's loop and the sweeper in virtual time: lives, deaths, a database that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from controller.models.errors import ConflictError, StoreError
from controller.models.run import Job, JobState, Outcome, RunState, Strategy
from controller.plan import network_digest
from controller.ports.clock import VirtualClock
from controller.ports.fake_device import FakeDevice, Fault
from controller.ports.fake_devices import FakeDevices
from controller.ports.queue import FakeDoorbell
from controller.ports.store import JobResult, NewJob, Page, Store, Transition
from controller.runs import loop as loop_module
from controller.runs.loop import BELIEF, WorkerLoop
from controller.runs.procedures import Tools
from controller.runs.sweeper import BURY_AFTER, Sweeper
from controller.store import SqlStore, open_store
from tests.unit.plan import samples
from tests.unit.runs.world import STATION, TARGET, add_tenant

T = TypeVar("T")


class FlakyStore:
    """A ``StoreLoop`` on a store in memory.

    Attributes:
        away: Whether calls raise StoreError without taking place.
        lose: Calls that still take place although their answer is lost.
        thawed: Calls wait for it before they take place.
    """

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.away = False
        self.lose = 0
        self.thawed = asyncio.Event()
        self.thawed.set()

    async def call(self, method: Callable[[Store], T]) -> T:
        await asyncio.sleep(0)
        await self.thawed.wait()
        if self.away:
            raise StoreError
        result = method(self.store)
        if self.lose:
            self.lose -= 1
            raise StoreError("the answer was lost")
        return result


class Watcher:
    """An observer that notes everything."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[Outcome] = []
        self.moved: list[RunState] = []

    def job_started(self, job: Job) -> None:
        self.started.append(job.station)

    def job_finished(self, job: Job, result: JobResult, seconds: float) -> None:
        self.finished.append(result.outcome)

    def run_moved(self, run_id: str, transition: Transition) -> None:
        self.moved.append(transition.state)


class Saboteur:
    """An observer that always throws."""

    def job_started(self, job: Job) -> None:
        raise RuntimeError

    def job_finished(self, job: Job, result: JobResult, seconds: float) -> None:
        raise RuntimeError

    def run_moved(self, run_id: str, transition: Transition) -> None:
        raise RuntimeError


class Plant:
    """A record, a station and workers."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = open_store("sqlite://", self.clock)
        self.devices = FakeDevices(self.clock)
        self.scenario = add_tenant()
        self.device: FakeDevice = self.devices.add(STATION, samples.PROFILES, self.scenario.before.tree)
        self.bell = FakeDoorbell()
        self.watcher = Watcher()
        self.store.save_network(samples.network(), network_digest(samples.network()), "ana")
        self.store.save_plan(self.scenario.plan, "ana")

    def submit(self) -> str:
        jobs = [NewJob(0, STATION)]
        return self.store.create_run(self.scenario.plan, "apply", Strategy(), jobs, cause="person", actor="ana").id

    def worker(self, store: FlakyStore | None = None, name: str = "w") -> WorkerLoop:
        tools = Tools(store or FlakyStore(self.store), self.devices, self.clock, lambda _network, _station: TARGET)
        return WorkerLoop(name, tools, self.bell, observers=(Saboteur(), self.watcher))

    @asynccontextmanager
    async def working(self, worker: WorkerLoop) -> AsyncIterator[asyncio.Event]:
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        await self.clock.advance(0)
        try:
            yield stop
        finally:
            stop.set()
            for _ in range(400):
                if task.done():
                    break
                await self.clock.advance(1)
            await task

    async def advance(self, seconds: float, step: float = 0.25) -> None:
        for _ in range(int(seconds / step)):
            await self.clock.advance(step)

    def job(self, run: str) -> Job:
        (job,) = self.store.jobs(run)
        return job

    def assert_succeeded(self, run: str) -> None:
        assert self.store.run(run).state is RunState.SUCCEEDED
        assert self.device.running == self.scenario.after
        assert set(self.store.ledger()[STATION]) == {node.path for node in self.scenario.change.gained}
        assert self.store.verify_audit() is None
        _, rows = self.store.audit_rows(Page(1000))
        assert sum(row.action == "job.finished" for row in rows) == 1


@pytest.fixture
async def plant() -> AsyncIterator[Plant]:
    plant = Plant()
    yield plant
    plant.store.close()


async def test_a_run_is_worked_off_and_told_although_an_observer_throws(plant: Plant) -> None:
    async with plant.working(plant.worker()):
        run = plant.submit()
        await plant.advance(5)
        plant.assert_succeeded(run)
    assert plant.watcher.started == [STATION]
    assert plant.watcher.finished == [Outcome.SUCCEEDED]
    assert plant.watcher.moved == [RunState.RUNNING, RunState.SUCCEEDED]


async def test_a_ring_spares_the_wait_and_is_not_needed(plant: Plant) -> None:
    worker = plant.worker()
    async with plant.working(worker):
        run = plant.submit()
        plant.store.advance(run, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
        await plant.clock.advance(0.01)
        assert plant.job(run).state is JobState.READY
        worker.wake()
        await plant.clock.advance(0.01)
        assert plant.job(run).state is not JobState.READY
        await plant.advance(5)
        plant.assert_succeeded(run)


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
    store = FlakyStore(plant.store)
    counted = 0
    real = store.call

    async def call(method: Callable[[Store], T]) -> T:
        nonlocal counted
        counted += 1
        store.lose = int(counted == calls + 2)
        return await real(method)

    store.call = call  # type: ignore[method-assign]
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
            assert [one.name for one in plant.store.incarnations()] == ["living"]
            frozen.thawed.set()
            await plant.advance(5)
            # Its late acts came to nothing, and it is back as another incarnation.
            assert sorted(one.name for one in plant.store.incarnations()) == ["frozen", "living"]
    plant.assert_succeeded(run)
    assert len(plant.device.history) == 2


async def test_a_worker_that_was_buried_comes_back_as_another(plant: Plant) -> None:
    """Its job goes on under the new lease; the old one's session is gone from the station."""
    plant.device.latency = 1.0
    async with plant.working(plant.worker()):
        run = plant.submit()
        await plant.advance(3)
        assert plant.job(run).state is JobState.CLAIMED
        (first,) = plant.store.incarnations()
        assert plant.store.bury(first.id, first.counter)
        await plant.advance(60)
        plant.assert_succeeded(run)
        (second,) = plant.store.incarnations()
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
    """Its own deadline passed, so it sent nothing more; but the job is still its own, and it takes it up again."""
    store = FlakyStore(plant.store)
    plant.device.latency = 0.4
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


async def test_belief_ends_well_before_the_funeral() -> None:
    assert BELIEF * 2 < BURY_AFTER


async def test_a_job_that_kills_its_workers_is_given_up(plant: Plant) -> None:
    run = plant.submit()
    plant.store.advance(run, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    for _ in range(loop_module._MAX_ATTEMPTS):
        incarnation = plant.store.register_worker("victim")
        assert plant.store.claim(incarnation, 1)
        assert plant.store.bury(incarnation, 0)
    async with plant.working(plant.worker()):
        await plant.advance(5)
    assert plant.job(run).outcome is Outcome.FAILED_SAFE
    assert "given up after 5 attempts" in plant.job(run).detail
    assert plant.store.run(run).state is RunState.FAILED


async def test_an_error_of_ours_ends_the_job_and_not_the_worker(plant: Plant) -> None:
    def bug() -> None:
        raise ZeroDivisionError

    plant.device.faults.append(Fault("commit_confirmed", act=bug))
    async with plant.working(plant.worker()):
        run = plant.submit()
        await plant.advance(5)
        assert plant.job(run).outcome is Outcome.DIVERGED
        assert "ZeroDivisionError" in plant.job(run).detail
        assert plant.store.run(run).state is RunState.DIVERGED
        again = plant.submit()
        await plant.advance(5)
        assert plant.store.run(again).state is RunState.SUCCEEDED


async def test_a_broken_heart_ends_the_worker(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor starts it anew; a worker that only seems to live is worse."""
    worker = plant.worker()
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    await plant.clock.advance(1)
    monkeypatch.setattr(plant.store, "heartbeat", lambda *_: 1 / 0)
    await plant.advance(3)
    with pytest.raises(ZeroDivisionError):
        await task


# ---------------------------------------------------------------------- sweeper


async def test_the_scheduler_s_sweeper_rings_again_for_whatever_is_not_done(plant: Plant) -> None:
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock, reminds=True)
    run = plant.submit()
    await sweeper.sweep()
    await sweeper.sweep()
    assert plant.bell.rings.count(run) >= 2
    assert plant.store.run(run).state is RunState.RUNNING


async def test_a_worker_s_sweeper_rings_for_new_waves_only(plant: Plant) -> None:
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock)
    run = plant.submit()
    await sweeper.sweep()
    await sweeper.sweep()
    assert plant.bell.rings == [run]


async def test_burials_wait_for_a_counter_that_stands_still(plant: Plant) -> None:
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock)
    beating, silent = plant.store.register_worker("beating"), plant.store.register_worker("silent")
    for _ in range(int(BURY_AFTER) + 2):
        plant.store.heartbeat(beating)
        await sweeper.sweep()
        await plant.clock.advance(1)
    assert [one.id for one in plant.store.incarnations()] == [beating]
    assert silent != beating


async def test_an_observer_that_slept_buries_nobody_who_lived_meanwhile(plant: Plant) -> None:
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock)
    worker = plant.store.register_worker("w")
    await sweeper.sweep()
    plant.store.heartbeat(worker)
    await plant.clock.advance(1000)
    await sweeper.sweep()
    assert [one.id for one in plant.store.incarnations()] == [worker]


async def test_a_database_that_is_down_ends_a_round_and_no_more(plant: Plant) -> None:
    store = FlakyStore(plant.store)
    sweeper = Sweeper(store, plant.bell, plant.clock)
    run = plant.submit()
    store.away = True
    await sweeper.sweep()
    store.away = False
    await sweeper.sweep()
    assert plant.store.run(run).state is RunState.RUNNING


@pytest.mark.parametrize("error", [ConflictError, ZeroDivisionError])
async def test_a_run_that_can_t_be_moved_keeps_no_other_from_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    bad, good = plant.submit(), plant.submit()
    real = plant.store.advance

    def advance(run_id: str, decide: object, by: str) -> object:
        if run_id == bad:
            raise error
        return real(run_id, decide, by)  # type: ignore[arg-type]

    monkeypatch.setattr(plant.store, "advance", advance)
    await Sweeper(FlakyStore(plant.store), plant.bell, plant.clock).sweep()
    assert plant.store.run(good).state is RunState.RUNNING
    assert plant.store.run(bad).state is RunState.QUEUED
