"""Stations that go silent, from the look that does not come back to the alarm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any, cast

from controller.assurance.checker import Checker
from controller.listener.checks import Checks
from controller.models.alarm import UNREACHABLE, AlarmSource
from controller.models.network import Network
from controller.ports.clock import VirtualClock
from controller.ports.devices import DeviceSession, DeviceTarget
from controller.ports.fake_devices import FakeDevices
from controller.ports.store import Page, Store
from controller.runs.planning.planner import Planner
from controller.store import open_store
from tests.support.quick_stores import DirectStore
from tests.support.records import make_network
from tests.unit.listener.test_checks import INTERVAL
from tests.unit.plan import samples

#: Seconds that opening a session takes until it is given up, as ``SshDevices`` has it.
CONNECT_TIMEOUT = 20.0
DARK, WELL = ("D1", "D2", "D3"), ("W1", "W2")


class SilentDevices(FakeDevices):
    """Fake devices of which some answer nothing: who opens a session to one waits for the time-out."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self._waits = clock

    @asynccontextmanager
    async def _session(self, target: DeviceTarget) -> AsyncIterator[DeviceSession]:
        if self[target.station].unreachable:
            await self._waits.sleep(CONNECT_TIMEOUT)
        async with super()._session(target) as session:
            yield session


def _target(_network: Network, station: str) -> DeviceTarget:
    return DeviceTarget(station, "192.0.2.1", 830, "", "minka", "env:X", samples.PROFILES)


async def _rounds(checks: Checks, clock: VirtualClock, seconds: float) -> None:
    for _ in range(int(seconds * 2)):
        await checks.begin()
        await clock.advance(0.5)
        await checks.record()


def _dark(store: Store) -> list[str]:
    _, alarms = store.alarms.page(Page(limit=100))
    return sorted(alarm.station for alarm in alarms if alarm.probable_cause == UNREACHABLE and alarm.cleared is None)


async def test_stations_that_go_silent_are_reported_and_cleared_when_they_answer_again() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
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
