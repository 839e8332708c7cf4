"""Devices whose heartbeats stay away are reported, and nothing that keeps us from hearing them makes them silent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from controller.assurance.heartbeats import HeartbeatWatch
from controller.models.alarm import Alarm, AlarmState
from controller.models.network import network_digest
from controller.models.process import ProcessRole
from controller.ports.clock import VirtualClock
from controller.store import LoopStore, Page, Store, open_store
from tests.unit.plan import samples


class Bench:
    """A station S1 that beats every ten seconds, and a watch that looks every five."""

    def __init__(self, store: Store, loop_store: LoopStore, clock: VirtualClock) -> None:
        self.store, self.clock = store, clock
        self.watch = HeartbeatWatch(loop_store, clock, 3)
        self.api = store.processes.register("api", ProcessRole.API)

    async def pass_by(self, seconds: int, *, heard: tuple[str, ...] = (), api: bool = True) -> None:
        for second in range(0, seconds, 5):
            if api:
                self.store.processes.heartbeat(self.api)
            if heard and second % 10 == 0:
                self.store.heartbeats.beat(dict.fromkeys(heard, 10.0), 60)
            await self.watch.step()
            self.clock.pause(5)

    def alarms(self) -> list[Alarm]:
        return self.store.alarms.page(Page())[1]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    network = samples.network(("alfa",))
    store.networks.save(network, network_digest(network), "ana")
    loop_store = LoopStore(store)
    yield Bench(store, loop_store, clock)
    await loop_store.close()
    store.close()


async def test_three_heartbeats_that_stay_away_are_an_alarm_once(bench: Bench) -> None:
    await bench.pass_by(60, heard=("S1", "S2", "unknown"))
    await bench.pass_by(20, heard=("S2",))
    assert bench.alarms() == []
    await bench.pass_by(30, heard=("S2",))
    (alarm,) = bench.alarms()
    assert (alarm.station, alarm.object, alarm.probable_cause) == ("S1", "station", "heartbeat-lost")
    assert (alarm.state, alarm.count, alarm.tenants) == (AlarmState.RAISED, 1, ())


async def test_a_restart_of_ours_and_an_api_that_is_away_make_nobody_silent(bench: Bench) -> None:
    await bench.pass_by(20, heard=("S1",))
    bench.clock.pause(3600)  # nobody looked
    await bench.pass_by(15)
    assert bench.alarms() == []
    await bench.pass_by(20, heard=("S1",))
    bench.store.processes.end(bench.api)
    await bench.pass_by(600, api=False)
    assert bench.alarms() == []
