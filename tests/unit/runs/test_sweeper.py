"""The sweeper in virtual time: it moves runs on, buries the dead, and rings again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from controller.models.approval import RunConstraints, StationConstraints
from controller.models.errors import ConflictError, StoreError
from controller.models.run import RunState, Strategy
from controller.ports.queue import FakeWakeups
from controller.runs.approval.clearance import reassess
from controller.runs.sweeper import DEAD_AFTER, Sweeper
from controller.store import NewJob
from tests.support.launch import prepared
from tests.unit.runs.transaction_bench import STATION
from tests.unit.runs.worker_bench import FlakyStore, WorkerBench


async def test_the_scheduler_s_sweeper_rings_again_for_whatever_is_not_done(bench: WorkerBench) -> None:
    sweeper = Sweeper(FlakyStore(bench.store), bench.wakeups, bench.clock, reminds=True)
    run = bench.submit()
    await sweeper.sweep()
    await sweeper.sweep()
    assert bench.wakeups.runs.count(run) >= 2
    assert bench.store.runs.get(run).state is RunState.RUNNING


async def test_a_worker_s_sweeper_rings_for_new_waves_only(bench: WorkerBench) -> None:
    sweeper = Sweeper(FlakyStore(bench.store), bench.wakeups, bench.clock)
    run = bench.submit()
    await sweeper.sweep()
    await sweeper.sweep()
    assert bench.wakeups.runs == [run]


async def test_declaring_dead_waits_for_a_counter_that_stands_still(bench: WorkerBench) -> None:
    sweeper = Sweeper(FlakyStore(bench.store), bench.wakeups, bench.clock)
    beating, silent = bench.store.processes.register("beating"), bench.store.processes.register("silent")
    for _ in range(int(DEAD_AFTER) + 2):
        bench.store.processes.heartbeat(beating)
        await sweeper.sweep()
        await bench.clock.advance(1)
    assert [one.id for one in bench.store.processes.alive()] == [beating]
    assert silent != beating


async def test_whether_anybody_could_beat_is_asked_only_where_somebody_did_not(
    bench: WorkerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a write, which no calm round needs."""
    store = FlakyStore(bench.store)
    sweeper = Sweeper(store, bench.wakeups, bench.clock)
    asked: list[float] = []
    check, start = store.status.check_writable, bench.clock.monotonic()

    async def counted() -> None:
        asked.append(bench.clock.monotonic() - start)
        await check()

    monkeypatch.setattr(store.status, "check_writable", counted)
    worker = bench.store.processes.register("w")
    for second in range(20):
        if second < 10:
            bench.store.processes.heartbeat(worker)
        await sweeper.sweep()
        await bench.clock.advance(1)
    # Its last heartbeat was seen at 9 s; it is doubted once that is more than 5 s ago.
    assert asked == [15, 16, 17, 18, 19]


async def test_an_observer_that_slept_buries_nobody_who_lived_meanwhile(bench: WorkerBench) -> None:
    sweeper = Sweeper(FlakyStore(bench.store), bench.wakeups, bench.clock)
    worker = bench.store.processes.register("w")
    await sweeper.sweep()
    bench.store.processes.heartbeat(worker)
    await bench.clock.advance(1000)
    await sweeper.sweep()
    assert [one.id for one in bench.store.processes.alive()] == [worker]


async def _look(bench: WorkerBench, sweeper: Sweeper, seconds: float) -> None:
    """Let the observer look every second."""
    for _ in range(int(seconds)):
        await sweeper.sweep()
        await bench.clock.advance(1)


def _fill_disk(bench: WorkerBench, monkeypatch: pytest.MonkeyPatch, store: FlakyStore) -> None:
    def refuse() -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(bench.store.status, "check_writable", refuse)


def _take_away(bench: WorkerBench, monkeypatch: pytest.MonkeyPatch, store: FlakyStore) -> None:
    store.away = True


def _hang(bench: WorkerBench, monkeypatch: pytest.MonkeyPatch, store: FlakyStore) -> None:
    store.thawed.clear()


@pytest.mark.parametrize("outage", [_take_away, _fill_disk, _hang])
async def test_while_nobody_could_beat_nobody_dies(
    bench: WorkerBench,
    monkeypatch: pytest.MonkeyPatch,
    outage: Callable[[WorkerBench, pytest.MonkeyPatch, FlakyStore], None],
) -> None:
    """Who observes begins to count again after the outage, and then buries the dead only."""
    store = FlakyStore(bench.store)
    sweeper = Sweeper(store, bench.wakeups, bench.clock)
    living, dead = bench.store.processes.register("living"), bench.store.processes.register("dead")
    await _look(bench, sweeper, 4)
    outage(bench, monkeypatch, store)
    looking = asyncio.create_task(_look(bench, sweeper, 60))
    await bench.advance(60)
    store.away = False
    monkeypatch.undo()
    store.thawed.set()
    await bench.advance(1)
    looking.cancel()
    await _look(bench, sweeper, 8)
    assert {one.id for one in bench.store.processes.alive()} == {living, dead}
    for _ in range(int(DEAD_AFTER)):
        bench.store.processes.heartbeat(living)
        await _look(bench, sweeper, 1)
    assert [one.id for one in bench.store.processes.alive()] == [living]


async def test_an_observer_that_was_held_up_with_all_others_buries_none_at_first_sight(bench: WorkerBench) -> None:
    """As on a machine that slept: nobody beat, and nobody looked."""
    sweeper = Sweeper(FlakyStore(bench.store), bench.wakeups, bench.clock)
    worker = bench.store.processes.register("w")
    await _look(bench, sweeper, 4)
    await bench.clock.advance(1000)
    await _look(bench, sweeper, 3)
    assert [one.id for one in bench.store.processes.alive()] == [worker]
    await _look(bench, sweeper, DEAD_AFTER)
    assert bench.store.processes.alive() == []


async def test_workers_outlive_a_database_that_was_away_for_long(bench: WorkerBench) -> None:
    """Its work goes on under the same leases: nobody took it for dead."""
    stores = FlakyStore(bench.store), FlakyStore(bench.store)
    bench.device.latency = 0.3
    async with bench.working(bench.worker(stores[0], "one")), bench.working(bench.worker(stores[1], "two")):
        run = bench.submit()
        await bench.advance(2.5)
        before = bench.store.processes.alive()
        for store in stores:
            store.away = True
        await bench.advance(DEAD_AFTER + 5)
        for store in stores:
            store.away = False
            await bench.advance(4)
        await bench.advance(30)
        bench.assert_succeeded(run)
        assert [one.id for one in bench.store.processes.alive()] == [one.id for one in before]
        assert bench.job(run).attempts == 1


async def test_a_database_that_is_down_ends_a_round_and_no_more(bench: WorkerBench) -> None:
    store = FlakyStore(bench.store)
    sweeper = Sweeper(store, bench.wakeups, bench.clock)
    run = bench.submit()
    store.away = True
    await sweeper.sweep()
    store.away = False
    await sweeper.sweep()
    assert bench.store.runs.get(run).state is RunState.RUNNING


async def test_what_another_process_said_of_a_job_before_it_died_is_put_right(bench: WorkerBench) -> None:
    group = StationConstraints(region="r", timezone="America/Lima")
    constraints = RunConstraints(subject="s", groups=(group,), stations={STATION: ("s", 0)})
    run = bench.store.runs.create(
        prepared(bench.scenario.plan, "apply", Strategy(), [NewJob(0, STATION)], actor="ana", constraints=constraints)
    )
    sweeper = Sweeper(FlakyStore(bench.store), bench.wakeups, bench.clock)
    await sweeper.sweep()
    # A hold came, and ended before anybody else looked.
    hold = bench.store.holds.add(STATION, "ana", "on the mast", None)
    reassess(bench.store, bench.clock, FakeWakeups())
    bench.store.holds.end(hold.id, "ana")
    assert "on the mast" in bench.job(run.id).blocked
    for _ in range(20):
        await sweeper.sweep()
        await bench.clock.advance(1)
    assert bench.job(run.id).blocked == ""


@pytest.mark.parametrize("error", [ConflictError, ZeroDivisionError])
async def test_a_run_that_can_t_be_moved_keeps_no_other_from_it(
    bench: WorkerBench, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    bad, good = bench.submit(), bench.submit()
    real = bench.store.runs.advance

    def advance(run_id: str, decide: object, by: str) -> object:
        if run_id == bad:
            raise error
        return real(run_id, decide, by)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.store.runs, "advance", advance)
    await Sweeper(FlakyStore(bench.store), bench.wakeups, bench.clock).sweep()
    assert bench.store.runs.get(good).state is RunState.RUNNING
    assert bench.store.runs.get(bad).state is RunState.QUEUED
