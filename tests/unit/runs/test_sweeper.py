"""The sweeper in virtual time: it moves runs on, buries the dead, and rings again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from controller.models.approval import RunTerms, StationTerms
from controller.models.errors import ConflictError, StoreError
from controller.models.run import RunState, Strategy
from controller.ports.queue import FakeDoorbell
from controller.ports.store import NewJob
from controller.runs.approval.clearance import reassess
from controller.runs.sweeper import BURY_AFTER, Sweeper
from tests.support.launch import prepared
from tests.unit.runs.plant import FlakyStore, Plant
from tests.unit.runs.world import STATION


async def test_the_scheduler_s_sweeper_rings_again_for_whatever_is_not_done(plant: Plant) -> None:
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock, reminds=True)
    run = plant.submit()
    await sweeper.sweep()
    await sweeper.sweep()
    assert plant.bell.rings.count(run) >= 2
    assert plant.store.runs.get(run).state is RunState.RUNNING


async def test_a_worker_s_sweeper_rings_for_new_waves_only(plant: Plant) -> None:
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock)
    run = plant.submit()
    await sweeper.sweep()
    await sweeper.sweep()
    assert plant.bell.rings == [run]


async def test_burials_wait_for_a_counter_that_stands_still(plant: Plant) -> None:
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock)
    beating, silent = plant.store.processes.register("beating"), plant.store.processes.register("silent")
    for _ in range(int(BURY_AFTER) + 2):
        plant.store.processes.heartbeat(beating)
        await sweeper.sweep()
        await plant.clock.advance(1)
    assert [one.id for one in plant.store.processes.alive()] == [beating]
    assert silent != beating


async def test_an_observer_that_slept_buries_nobody_who_lived_meanwhile(plant: Plant) -> None:
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock)
    worker = plant.store.processes.register("w")
    await sweeper.sweep()
    plant.store.processes.heartbeat(worker)
    await plant.clock.advance(1000)
    await sweeper.sweep()
    assert [one.id for one in plant.store.processes.alive()] == [worker]


async def _look(plant: Plant, sweeper: Sweeper, seconds: float) -> None:
    """Let the observer look every second."""
    for _ in range(int(seconds)):
        await sweeper.sweep()
        await plant.clock.advance(1)


def _fill_disk(plant: Plant, monkeypatch: pytest.MonkeyPatch, store: FlakyStore) -> None:
    def refuse() -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(plant.store.status, "check_writable", refuse)


def _take_away(plant: Plant, monkeypatch: pytest.MonkeyPatch, store: FlakyStore) -> None:
    store.away = True


def _hang(plant: Plant, monkeypatch: pytest.MonkeyPatch, store: FlakyStore) -> None:
    store.thawed.clear()


@pytest.mark.parametrize("outage", [_take_away, _fill_disk, _hang])
async def test_while_nobody_could_beat_nobody_dies(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, outage: Callable[[Plant, pytest.MonkeyPatch, FlakyStore], None]
) -> None:
    """Who observes begins to count anew after the outage, and then buries the dead only."""
    store = FlakyStore(plant.store)
    sweeper = Sweeper(store, plant.bell, plant.clock)
    living, dead = plant.store.processes.register("living"), plant.store.processes.register("dead")
    await _look(plant, sweeper, 4)
    outage(plant, monkeypatch, store)
    looking = asyncio.create_task(_look(plant, sweeper, 60))
    await plant.advance(60)
    store.away = False
    monkeypatch.undo()
    store.thawed.set()
    await plant.advance(1)
    looking.cancel()
    await _look(plant, sweeper, 8)
    assert {one.id for one in plant.store.processes.alive()} == {living, dead}
    for _ in range(int(BURY_AFTER)):
        plant.store.processes.heartbeat(living)
        await _look(plant, sweeper, 1)
    assert [one.id for one in plant.store.processes.alive()] == [living]


async def test_an_observer_that_was_held_up_with_all_others_buries_none_at_first_sight(plant: Plant) -> None:
    """As on a machine that slept: nobody beat, and nobody looked."""
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock)
    worker = plant.store.processes.register("w")
    await _look(plant, sweeper, 4)
    await plant.clock.advance(1000)
    await _look(plant, sweeper, 3)
    assert [one.id for one in plant.store.processes.alive()] == [worker]
    await _look(plant, sweeper, BURY_AFTER)
    assert plant.store.processes.alive() == []


async def test_workers_outlive_a_database_that_was_away_for_long(plant: Plant) -> None:
    """Its work goes on under the same leases: nobody took it for dead."""
    stores = FlakyStore(plant.store), FlakyStore(plant.store)
    plant.device.latency = 0.3
    async with plant.working(plant.worker(stores[0], "one")), plant.working(plant.worker(stores[1], "two")):
        run = plant.submit()
        await plant.advance(2.5)
        before = plant.store.processes.alive()
        for store in stores:
            store.away = True
        await plant.advance(BURY_AFTER + 5)
        for store in stores:
            store.away = False
            await plant.advance(4)
        await plant.advance(30)
        plant.assert_succeeded(run)
        assert [one.id for one in plant.store.processes.alive()] == [one.id for one in before]
        assert plant.job(run).attempts == 1


async def test_a_database_that_is_down_ends_a_round_and_no_more(plant: Plant) -> None:
    store = FlakyStore(plant.store)
    sweeper = Sweeper(store, plant.bell, plant.clock)
    run = plant.submit()
    store.away = True
    await sweeper.sweep()
    store.away = False
    await sweeper.sweep()
    assert plant.store.runs.get(run).state is RunState.RUNNING


async def test_what_another_process_said_of_a_job_before_it_died_is_put_right(plant: Plant) -> None:
    group = StationTerms(region="r", timezone="America/Lima")
    terms = RunTerms(subject="s", groups=(group,), stations={STATION: ("s", 0)})
    run = plant.store.runs.create(
        prepared(plant.scenario.plan, "apply", Strategy(), [NewJob(0, STATION)], actor="ana", terms=terms)
    )
    sweeper = Sweeper(FlakyStore(plant.store), plant.bell, plant.clock)
    await sweeper.sweep()
    # A hold came, and ended before anybody else looked.
    hold = plant.store.holds.add(STATION, "ana", "on the mast", None)
    reassess(plant.store, plant.clock, FakeDoorbell())
    plant.store.holds.end(hold.id, "ana")
    assert "on the mast" in plant.job(run.id).blocked
    for _ in range(20):
        await sweeper.sweep()
        await plant.clock.advance(1)
    assert plant.job(run.id).blocked == ""


@pytest.mark.parametrize("error", [ConflictError, ZeroDivisionError])
async def test_a_run_that_can_t_be_moved_keeps_no_other_from_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    bad, good = plant.submit(), plant.submit()
    real = plant.store.runs.advance

    def advance(run_id: str, decide: object, by: str) -> object:
        if run_id == bad:
            raise error
        return real(run_id, decide, by)  # type: ignore[arg-type]

    monkeypatch.setattr(plant.store.runs, "advance", advance)
    await Sweeper(FlakyStore(plant.store), plant.bell, plant.clock).sweep()
    assert plant.store.runs.get(good).state is RunState.RUNNING
    assert plant.store.runs.get(bad).state is RunState.QUEUED
