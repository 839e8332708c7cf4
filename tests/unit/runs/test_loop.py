"""The worker's loop in virtual time: lives, deaths, a database that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from controller.drivers.fake import Fault
from controller.models.errors import BUG, StoreError
from controller.models.run import JobState, Outcome, RunState, Strategy
from controller.runs import loop as loop_module
from controller.runs.loop import BELIEF
from controller.runs.sweeper import DEAD_AFTER
from controller.runs.transaction.patience import Patience
from controller.store import NewJob, Page, Store, Transition
from controller.store.database.repository import Invocation, Urgent
from tests.unit.runs.group_bench import GroupBench
from tests.unit.runs.worker_bench import FlakyStore, WorkerBench

T = TypeVar("T")


async def test_a_run_is_worked_off(bench: WorkerBench) -> None:
    async with bench.working(bench.worker()):
        run = bench.submit()
        await bench.advance(5)
        bench.assert_succeeded(run)


async def test_a_ring_spares_the_wait_and_is_not_needed(bench: WorkerBench) -> None:
    worker = bench.worker()
    async with bench.working(worker):
        run = bench.submit()
        bench.store.runs.advance(run, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
        await bench.clock.advance(0.01)
        assert bench.job(run).state is JobState.READY
        worker.wake(run)
        await bench.clock.advance(0.01)
        assert bench.job(run).state is not JobState.READY
        await bench.advance(5)
        bench.assert_succeeded(run)


async def test_a_ring_for_a_new_run_begins_it(bench: WorkerBench) -> None:
    worker = bench.worker()
    async with bench.working(worker):
        await bench.clock.advance(0.2)
        run = bench.submit()
        worker.wake(run)
        await bench.clock.advance(0.2)
        assert bench.job(run).started is not None


async def test_stopping_lets_transactions_end_and_claims_nothing_more(bench: WorkerBench) -> None:
    bench.device.latency = 0.5
    async with bench.working(bench.worker()) as stop:
        run = bench.submit()
        await bench.advance(2)
        assert bench.job(run).state is JobState.CLAIMED
        stop.set()
        second = bench.submit()
    assert bench.job(run).outcome is Outcome.SUCCEEDED
    assert bench.job(second).state in (JobState.WAITING, JobState.READY)
    assert not bench.device.sessions
    # It ended in good order: nobody has to find out that it is silent.
    assert bench.store.processes.alive() == []
    assert "worker.stopped" in {row.action for row in bench.store.audit.page(Page())[1]}


async def test_a_worker_that_is_to_end_waits_for_no_database(bench: WorkerBench) -> None:
    """What it did is recovered by the next one."""
    store = FlakyStore(bench.store)
    bench.device.latency = 0.2
    async with bench.working(bench.worker(store)) as stop:
        run = bench.submit()
        await bench.advance(2)
        assert bench.job(run).state is JobState.CLAIMED
        store.away = True
        bench.device.latency = 10_000
        stop.set()
    assert not bench.device.sessions
    bench.device.latency = 0.2
    async with bench.working(bench.worker(name="next")):
        await bench.advance(DEAD_AFTER + 30)
        bench.assert_succeeded(run)


async def test_a_database_that_is_away_in_mid_transaction(bench: WorkerBench) -> None:
    """The session is given up, and the same worker takes over from itself when the record is back."""
    store = FlakyStore(bench.store)
    bench.device.latency = 0.2
    async with bench.working(bench.worker(store)):
        run = bench.submit()
        await bench.advance(2)
        assert bench.job(run).state is JobState.CLAIMED
        store.away = True
        await bench.advance(3)
        store.away = False
        await bench.advance(20)
        bench.assert_succeeded(run)


@pytest.mark.parametrize("calls", range(1, 24))
async def test_an_answer_of_the_database_that_is_lost(bench: WorkerBench, calls: int) -> None:
    """Claim, journal, finish: each may have happened although nobody heard of it."""

    class Losing(FlakyStore):
        counted = 0

        async def call(self, work: Callable[[Store], T]) -> T:
            self.counted += 1
            self.lose = int(self.counted == calls + 2)
            return await super().call(work)

    store = Losing(bench.store)
    run = bench.submit()
    async with bench.working(bench.worker(store)):
        # Where the answer to the row before a commit is lost, nobody knows whether it was sent: that is looked for.
        await bench.advance(30 + Patience().effect)
        bench.assert_succeeded(run)


async def test_a_worker_that_froze_is_buried_and_its_job_taken_over(bench: WorkerBench) -> None:
    frozen = FlakyStore(bench.store)
    bench.device.latency = 0.3
    async with bench.working(bench.worker(frozen, "frozen")):
        run = bench.submit()
        await bench.advance(2)
        assert bench.job(run).state is JobState.CLAIMED
        frozen.thawed.clear()
        async with bench.working(bench.worker(name="living")):
            await bench.advance(DEAD_AFTER - 3)
            assert bench.job(run).state is JobState.CLAIMED
            await bench.advance(30)
            bench.assert_succeeded(run)
            assert [one.name for one in bench.store.processes.alive()] == ["living"]
            frozen.thawed.set()
            await bench.advance(5)
            # Its late acts came to nothing, and it is back as another incarnation.
            assert sorted(one.name for one in bench.store.processes.alive()) == ["frozen", "living"]
    bench.assert_succeeded(run)
    assert len(bench.device.history) == 2


async def test_a_worker_that_was_buried_comes_back_as_another(bench: WorkerBench) -> None:
    """Its job goes on under the new lease; the old one's session is gone from the station."""
    bench.device.latency = 1.0
    async with bench.working(bench.worker()):
        run = bench.submit()
        await bench.advance(3)
        assert bench.job(run).state is JobState.CLAIMED
        (first,) = bench.store.processes.alive()
        assert bench.store.processes.declare_dead(first.id, first.counter)
        await bench.advance(60)
        bench.assert_succeeded(run)
        (second,) = bench.store.processes.alive()
        assert second.id != first.id
        assert bench.job(run).attempts == 2


async def test_without_heartbeat_a_worker_stops_believing_in_its_leases(bench: WorkerBench) -> None:
    store = FlakyStore(bench.store)
    worker = bench.worker(store)
    async with bench.working(worker):
        assert worker._alive(worker._incarnation)
        store.away = True
        await bench.advance(BELIEF + 2)
        assert not worker._alive(worker._incarnation)
        store.away = False
        await bench.advance(3)
        assert worker._alive(worker._incarnation)


async def test_a_stall_that_nobody_noticed_is_slept_off(bench: WorkerBench) -> None:
    """Its own deadline passed, so it sends nothing more before its next heartbeat; then it goes on where it was."""
    store = FlakyStore(bench.store)
    bench.device.latency = 0.4
    locked: list[float] = []
    bench.device.faults.append(Fault("lock", act=lambda: locked.append(bench.clock.monotonic()), times=99))
    async with bench.working(bench.worker(store)):
        run = bench.submit()
        await bench.advance(2)
        assert bench.job(run).state is JobState.CLAIMED
        store.thawed.clear()
        await bench.advance(BELIEF + 3)
        store.thawed.set()
        await bench.advance(30)
        bench.assert_succeeded(run)
        assert bench.job(run).attempts == 1
    assert len(locked) == 1


async def test_a_stall_after_which_no_heartbeat_comes_through_is_recovered_from(bench: WorkerBench) -> None:
    """It sends nothing more; but the job is still its own, and it takes it up again when it can."""

    class Heartless(FlakyStore):
        beats = True

        async def call(self, work: Callable[[Store], T]) -> T:
            if isinstance(work, Invocation) and isinstance(work.method, Urgent) and not self.beats:
                raise StoreError("no heartbeat comes through")
            return await super().call(work)

    store = Heartless(bench.store)
    bench.device.latency = 0.4
    locked: list[float] = []
    bench.device.faults.append(Fault("lock", act=lambda: locked.append(bench.clock.monotonic()), times=99))
    async with bench.working(bench.worker(store)):
        run = bench.submit()
        await bench.advance(2)
        assert bench.job(run).state is JobState.CLAIMED
        changes = len(bench.device.history)
        store.beats = False
        store.thawed.clear()
        await bench.advance(BELIEF + 3)
        store.thawed.set()
        await bench.advance(4)
        assert bench.job(run).state is JobState.CLAIMED
        assert len(bench.device.history) == changes
        store.beats = True
        await bench.advance(30)
        bench.assert_succeeded(run)
    assert len(locked) == 2


async def test_belief_ends_well_before_a_worker_is_declared_dead() -> None:
    assert BELIEF * 2 < DEAD_AFTER


async def test_a_job_that_kills_its_workers_is_given_up(bench: WorkerBench) -> None:
    run = bench.submit()
    bench.store.runs.advance(run, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    for _ in range(loop_module._MAX_ATTEMPTS):
        incarnation = bench.store.processes.register("victim")
        assert bench.store.claims.take(incarnation, 1)
        assert bench.store.processes.declare_dead(incarnation, 0)
    async with bench.working(bench.worker()):
        await bench.advance(5)
    assert bench.job(run).outcome is Outcome.FAILED_SAFE
    assert "given up after 5 attempts" in bench.job(run).detail
    assert bench.store.runs.get(run).state is RunState.FAILED


async def test_an_error_of_ours_ends_the_job_and_not_the_worker(bench: WorkerBench) -> None:
    def bug() -> None:
        raise ZeroDivisionError

    bench.device.faults.append(Fault("commit_confirmed", act=bug))
    async with bench.working(bench.worker()):
        run = bench.submit()
        await bench.advance(5)
        assert bench.job(run).outcome is Outcome.DIVERGED
        assert BUG in bench.job(run).detail
        assert bench.store.runs.get(run).state is RunState.DIVERGED
        again = bench.submit()
        await bench.advance(5)
        assert bench.store.runs.get(again).state is RunState.SUCCEEDED


async def test_a_broken_heart_ends_the_worker(bench: WorkerBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor starts it again; a worker that only seems to live is worse."""
    worker = bench.worker()
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    await bench.clock.advance(1)
    monkeypatch.setattr(bench.store.processes, "heartbeat", lambda *_, **__: 1 / 0)
    await bench.advance(3)
    with pytest.raises(ZeroDivisionError):
        await task


async def test_a_job_that_ended_well_decides_nothing_while_others_of_its_run_are_under_way_here(
    bench: WorkerBench,
) -> None:
    worker, run = bench.worker(), bench.submit()
    bench.store.runs.advance(run, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    (claim,) = bench.store.claims.take(bench.store.processes.register("w"), 1)
    own = (claim.job.id, claim.fence)
    done: asyncio.Task[None] = asyncio.create_task(asyncio.sleep(0))
    await done
    for others, works in (
        ([], False),
        ([own], False),
        ([own, (f"{run}.A", 1)], True),
        ([(f"{run}.Z", 9), own], True),
        ([(claim.job.id, claim.fence - 1)], True),
        ([(claim.job.id, claim.fence + 1)], True),
        ([(f"{run}0.A", 1), (f"a{run}.A", 1)], False),
    ):
        worker._running = dict.fromkeys(others, done)
        assert worker._works_on(claim) is works, others


async def test_the_last_of_jobs_that_end_at_the_same_moment_moves_the_run_on() -> None:
    """Each of them sees the others end: the run does not wait for the next round over everything."""
    bench = GroupBench([NewJob(0, name) for name in ("A", "B", "C")], Strategy(canary=0))
    await bench.work()
    run, ends = bench.store.runs.get(bench.run), {job.finished for job in bench.store.runs.jobs(bench.run)}
    (end,) = ends
    assert run.state is RunState.SUCCEEDED
    assert run.finished is not None
    assert end is not None
    assert run.finished - end < timedelta(seconds=0.2)
