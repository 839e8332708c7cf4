"""Stations are lost and come back in every way, while alarms come and go: then Minka's alarms are those of the station.

Virtual time, and sessions as over the network. Checks by the clock are so rare that a station is read in time only
because its session was replaced, or because it said that its list was built again.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from controller.api.services import Services
from controller.drivers.registry import target_of
from controller.listener.process import Listener
from controller.models.alarm import CELL_OFF_AIR, LINK_CAUSES, Alarm, AlarmSource
from controller.models.settings import Settings
from controller.observe.exposition import exposition
from controller.ports.queue import FakeWakeups
from controller.rehearsal.minka import copy_of, parts_on
from controller.rehearsal.report import Baseline, prepare
from controller.rehearsal.timeline import LoopClock, VirtualLoop
from controller.runs.planning.importer import Importer
from controller.store import Page
from simulators.connections import Outage
from simulators.equipment.fault_kinds import CELL_ALARM, LINK_ALARM, USER_PLANE_ALARM
from simulators.netconf.profiles import PROFILES
from tests.integration.alarms.system import TINY
from tests.support.apps import app_with
from tests.support.callers import admit
from tests.support.soak import SOAK

#: Stations, each with other habits of telling alarms.
VENDORS = {
    "T-LTE-1": "standard",
    "T-LTE-2": "oran-fm-only",
    "T-NR-1": "alarm-list-rebuilt",
    "T-BOTH-1": "alarms-twice",
}
FAULTS = ("vswr", "sfp", "licence-gone", "wrong-software")
#: One that stands throughout, so nothing may end its alarm.
THROUGHOUT = "fan"
SEED = int(os.environ.get("MINKA_SEED", secrets.randbits(32) if SOAK else 13))
ROUNDS = 40 if SOAK else 1
#: Seconds between checks by the clock; after a session was replaced until two checks are on record; that a check takes
#: which began before an outage was over; until a session on which nothing comes is given up; between two checks of a
#: station that asks for them.
INTERVAL, RESYNCHRONISED, OPENING, SILENT, ASKED_APART = 120.0, 5.0, 20.0, 60.0, 5.0
TOKEN = "token-of-a-source"


class Bench:
    """The listener on the twin of a network, and the door for events of stations."""

    def __init__(self, ground: Baseline) -> None:
        stage = ground.stage()
        for name, profile in VENDORS.items():
            stage.fleet.stations[name].change_profile(PROFILES[profile])
        stage.clock.advance(120.0)
        self.fleet = stage.fleet
        self.loop = VirtualLoop(stage.clock)
        self.clock = LoopClock(self.loop, stage.clock)
        self.store = copy_of(ground.record, self.clock)
        self._parts = parts_on(stage.fleet, self.store, self.clock, ground.settings)
        admit(self.store, TOKEN)

    async def listen(self, play: Callable[[], Awaitable[None]]) -> None:
        """Play something while the listener runs."""
        parts, stop = self._parts, asyncio.Event()
        wakeups = vars(parts)["wakeups"] = FakeWakeups()
        listener = Listener(
            parts.loop_store, parts.devices, parts.checker(), self.clock, target_of, wakeups, health_interval=INTERVAL
        )
        running = asyncio.create_task(listener.run(stop))
        await play()
        stop.set()
        await running

    def send(self, event: Any) -> int:
        """Send an event of a station to the API: on a loop and thread of its own, for which time stands still."""
        answers: list[int] = []
        thread = Thread(target=lambda: answers.append(asyncio.run(self._send(event))))
        thread.start()
        thread.join()
        return answers[0]

    async def _send(self, event: Any) -> int:
        parts = self._parts
        importer = Importer(parts.loop_store, parts.devices, self.clock)
        words = parts.settings, self.store, parts.devices, parts.planner, importer, FakeWakeups(), self.clock
        app = app_with(Services(*words, partial(exposition, self.store, self.clock)))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://minka", headers=headers
        ) as client:
            return (await client.post("/eventListener/v7", json={"event": event})).status_code

    def alarms(self, station: str) -> list[Alarm]:
        """What the station has told, as far as Minka does not check that itself."""
        _, found = self.store.alarms.page(Page(limit=1000))
        told = (one for one in found if one.source in (AlarmSource.ORAN_FM, AlarmSource.ALARM_LIST))
        own = {*LINK_CAUSES, CELL_OFF_AIR}
        return [one for one in told if one.station == station and one.probable_cause not in own]


class Life:
    """What one station goes through: each way of being lost once in a round, in an order of chance."""

    def __init__(self, bench: Bench, name: str) -> None:
        self._bench = bench
        self._station = bench.fleet.stations[name]
        self._reach = bench.fleet.transport.connections[name]
        self._chance = random.Random(f"{SEED}/{name}")
        self._faults: dict[tuple[str, str], Any] = {}
        self._done: list[str] = []

    async def play(self) -> None:
        """Live through all rounds."""
        self._station.equipment.begin_fault(THROUGHOUT)
        await self._subscribed()
        await self._sleep(RESYNCHRONISED)
        self._same("begin")
        ways = (self._closed, self._refused, self._silent, self._half_open, self._restarted, self._rebuilt)
        for _ in range(ROUNDS):
            for way in self._chance.sample(ways, len(ways)):
                await way()
                await self._sleep(self._chance.uniform(1, 60))
        (stood,) = (one for one in self._bench.alarms(self._station.id) if one.text == "fan broken")
        assert stood.cleared is None

    # ------------------------------------------------------------ ways to be lost

    async def _closed(self) -> None:
        self._station.server.drop_sessions()
        await self._come_and_go(1)
        await self._back("closed")

    async def _refused(self) -> None:
        self._reach.cut(Outage.REFUSAL)
        await self._come_and_go(self._chance.uniform(5, 100))
        self._reach.restore()
        await self._back("refused")

    async def _silent(self) -> None:
        self._reach.cut(Outage.SILENCE)
        await self._come_and_go(self._chance.uniform(5, 100))
        self._reach.restore()
        await self._back("silent", OPENING)

    async def _half_open(self) -> None:
        """The station forgets its connections, nobody hears of it, and new ones work."""
        self._reach.cut(Outage.SILENCE)
        self._reach.outage = None
        await self._come_and_go(1)
        await self._sleep(INTERVAL + SILENT + RESYNCHRONISED)
        self._same("half open")
        await self._come_and_go(1)
        self._reach.reset_silent()  # as once nothing answers that SSH sends to keep it open
        await self._back("half open, and given up")

    async def _restarted(self) -> None:
        self._station.restart()
        await self._come_and_go(self._station.boot_seconds)
        await self._back("restarted")

    async def _rebuilt(self) -> None:
        """Its session stays."""
        await self._sleep(ASKED_APART)
        await self._come_and_go(0)
        now = self._bench.clock.now()
        self._station.equipment.alarms.rebuild_records(now)
        assert self._bench.send(_rebuilt_event(self._station.id, now)) == 202
        await self._sleep(RESYNCHRONISED)
        self._same("rebuilt")

    # ------------------------------------------------------------------- what is there

    async def _come_and_go(self, seconds: float) -> None:
        """Let alarms come and go for so long."""
        for _ in range(self._chance.randint(1, 4)):
            await self._sleep(self._chance.uniform(0, seconds / 5))
            equipment = self._station.equipment
            if self._faults and self._chance.random() < 0.5:
                equipment.faults.end(self._faults.pop(self._chance.choice(sorted(self._faults))))
                continue
            what = self._chance.choice(FAULTS), ""
            if what not in self._faults:
                self._faults[what] = equipment.begin_fault(*what)

    async def _back(self, way: str, more: float = 0.0) -> None:
        """Once its session is replaced, Minka is to know all soon; until then more may happen."""
        await self._subscribed()
        await self._sleep(RESYNCHRONISED + more)
        self._same(way)

    async def _subscribed(self) -> None:
        for _ in range(400):
            if any(session.subscription for session in self._station.server.sessions.values()):
                return
            if self._chance.random() < 0.02:
                await self._come_and_go(0)
            await self._sleep(0.5)
        raise AssertionError(f"seed {SEED}: nobody subscribes to {self._station.id} after {self._done}")

    def _same(self, way: str) -> None:
        self._done.append(way)
        checked = {kind.fault_id for kind in (CELL_ALARM, LINK_ALARM, USER_PLANE_ALARM)}
        stands = Counter(one.text for one in self._station.equipment.alarms.active if one.fault_id not in checked)
        known = Counter(one.text for one in self._bench.alarms(self._station.id) if one.cleared is None)
        assert known == stands, f"seed {SEED}: {self._station.id} after {self._done}"

    async def _sleep(self, seconds: float) -> None:
        await self._bench.clock.sleep(seconds)


def test_whenever_a_station_comes_back_its_alarms_are_those_that_it_has(tmp_path: Path) -> None:
    bench = Bench(prepare(TINY, Settings(home=tmp_path)))

    async def play() -> None:
        await asyncio.gather(*(Life(bench, name).play() for name in VENDORS))

    bench.loop.run(bench.listen(play))
    bench.store.close()


def _rebuilt_event(station: str, now: datetime) -> Any:
    moment = int(now.timestamp() * 1_000_000)
    header = {
        "domain": "stndDefined",
        "eventId": f"{station}-{moment}",
        "eventName": "stndDefined_notifyAlarmListRebuilt",
        "stndDefinedNamespace": "3GPP-FaultSupervision",
        "sequence": 0,
        "priority": "Normal",
        "reportingEntityName": station,
        "sourceName": station,
        "startEpochMicrosec": moment,
        "lastEpochMicrosec": moment,
        "version": "4.1",
        "vesEventListenerVersion": "7.2.1",
    }
    data = {
        "href": f"ManagedElement={station}",
        "notificationId": 1,
        "notificationType": "notifyAlarmListRebuilt",
        "eventTime": now.isoformat(),
        "systemDN": f"ManagedElement={station}",
        "reason": "its list was lost",
    }
    fields = {"data": data, "stndDefinedFieldsVersion": "1.0"}
    return {"commonEventHeader": header, "stndDefinedFields": fields}
