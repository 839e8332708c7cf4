"""Stations that go silent, from the look that does not come back to the alarm, whatever job has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any, cast

from controller.assurance.checker import Checker
from controller.drivers.fake import FakeDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import DeviceSession
from controller.drivers.target import DeviceTarget
from controller.listener.checks import Checks
from controller.models.alarm import UNREACHABLE, AlarmSource
from controller.models.equipment import Operation, OperationKind
from controller.models.network import Network
from controller.models.run import Outcome
from controller.models.step import StepRecord, StepState
from controller.ports.clock import VirtualClock
from controller.runs.planning.planner import Planner
from controller.store import JobResult, Page, Store, open_store
from tests.support.quick_stores import DirectStore
from tests.support.records import make_entry, make_network, start_run
from tests.unit.listener.test_checks import INTERVAL
from tests.unit.plan import samples

#: Seconds that opening a session takes until it is given up, as ``AllDevices`` has it.
CONNECT_TIMEOUT = 20.0
DARK, WELL = ("D1", "D2", "D3"), ("W1", "W2")


class SilentDevices(FakeDevices):
    """Fake devices of which some answer nothing: who opens a session to one waits for the time-out."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self._waits = clock

    @asynccontextmanager
    async def _session(self, target: DeviceTarget) -> AsyncIterator[DeviceSession]:
        if self[target.device].unreachable:
            await self._waits.sleep(CONNECT_TIMEOUT)
        async with super()._session(target) as session:
            yield session


def _target(_network: Network, station: str) -> DeviceTarget:
    return NetconfTarget(station, samples.PROFILES, "192.0.2.1", 830, "", "minka", "env:X")


async def _rounds(checks: Checks, clock: VirtualClock, seconds: float) -> None:
    for _ in range(int(seconds * 2)):
        await checks.begin()
        await clock.advance(0.5)
        await checks.record()


def _dark(store: Store) -> list[str]:
    _, alarms = store.alarms.page(Page(limit=100))
    return sorted(alarm.station for alarm in alarms if alarm.probable_cause == UNREACHABLE and alarm.cleared is None)


def _bench(store: Store, clock: VirtualClock) -> tuple[SilentDevices, Checks]:
    """Checks of some adopted stations."""
    digest, network = make_network()
    store.networks.save(network, digest, "ana")
    devices = SilentDevices(clock)
    for station in (*DARK, *WELL):
        devices.add(station, samples.PROFILES, {})
        store.devices.adopt(station, (), digest, "ana")
    loop_store = cast("Any", DirectStore(store))
    planner = Planner(loop_store, devices, clock, _target)
    checks = Checks(loop_store, Checker(loop_store, planner, clock, frozenset(AlarmSource)), clock, INTERVAL)
    checks.follow((*DARK, *WELL))
    return devices, checks


async def test_a_station_that_goes_silent_while_a_job_changes_it_is_reported_like_any_other() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        devices, checks = _bench(store, clock)
        await _rounds(checks, clock, 10)
        seen = store.healths.find()["D1"]
        start_run(store, ["D1"])
        (claim,) = store.claims.take(store.processes.register("w"), 1)
        store.journal.append(make_entry(claim, 0), claim)
        await _rounds(checks, clock, 2 * INTERVAL)
        assert store.healths.find()["D1"] == seen, "it answers, and is neither as it was nor as it will be"

        devices["D1"].unreachable = "no answer"
        await _rounds(checks, clock, 2 * INTERVAL + 2 * CONNECT_TIMEOUT)
        assert not store.healths.find()["D1"].reachable
        assert _dark(store) == ["D1"]

        devices["D1"].unreachable = ""
        await _rounds(checks, clock, INTERVAL + CONNECT_TIMEOUT)
        assert _dark(store) == [], "it answers, though the job still has it"
        back = store.healths.find()["D1"]
        assert (back.reachable, back.changing, back.was_read, back.read) == (True, True, False, seen.read)

        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
        await _rounds(checks, clock, 10)
        assert store.healths.find()["D1"].was_read
        await checks.close()


async def test_a_station_that_its_job_restarts_is_not_reported_before_that_is_over() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        devices, checks = _bench(store, clock)
        await _rounds(checks, clock, 10)
        run = start_run(store, ["D1"])
        (claim,) = store.claims.take(store.processes.register("w"), 1)
        reset = StepRecord(
            job=claim.job.id,
            position=0,
            name="restart",
            action="restart-station",
            state=StepState.STARTED,
            operations=(Operation(kind=OperationKind.RESET, seconds=600),),
            started=clock.now(),
        )
        store.steps.write(reset, claim)
        entry = make_entry(claim, 0).model_copy(update={"transaction": f"{claim.transaction}.{reset.transaction}"})
        store.journal.append(entry, claim)
        devices["D1"].unreachable = "no answer"
        await _rounds(checks, clock, 4 * INTERVAL)
        assert (_dark(store), store.healths.find()["D1"].reachable) == ([], True), run.id
        store.steps.write(reset.model_copy(update={"state": StepState.FAILED}), claim)
        await _rounds(checks, clock, INTERVAL + 2 * CONNECT_TIMEOUT)
        assert _dark(store) == ["D1"]
        await checks.close()


async def test_stations_that_go_silent_are_reported_and_cleared_when_they_answer_again() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        devices, checks = _bench(store, clock)
        await _rounds(checks, clock, 10)
        assert all(health.reachable for health in store.healths.find().values())

        for station in DARK:
            devices[station].unreachable = "no answer"
        await _rounds(checks, clock, 2 * INTERVAL + 2 * CONNECT_TIMEOUT)
        assert {name for name, health in store.healths.find().items() if not health.reachable} == set(DARK)
        assert _dark(store) == sorted(DARK)

        for station in DARK:
            devices[station].unreachable = ""
        await _rounds(checks, clock, INTERVAL + CONNECT_TIMEOUT)
        assert _dark(store) == []
        await checks.close()
