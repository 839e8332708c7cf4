"""Minka on the twin: its real parts, wired as in production, with the twin's time and sessions.

Listener, checks, store, remediator, guards, run engine and shipped rules are the real ones. What is left out: routers,
the API, the queue (wake-ups go straight to the loops), and the disk.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from controller.bootstrap import Parts, open_memory, put_first_definitions
from controller.drivers.registry import target_of
from controller.listener.process import Listener
from controller.models.alarm import AlarmSource
from controller.models.credentials import LOOPBACK_ONLY
from controller.models.network import Network, network_digest
from controller.models.rule import EVERYWHERE, REGION, RuleMode
from controller.models.settings import Settings
from controller.observe.rounds import Rounds
from controller.ports.clock import Clock, VirtualClock
from controller.ports.notifier import FakeNotifier, Notifier
from controller.ports.queue import FakeWakeups
from controller.ports.secrets import FakeSecrets
from controller.ports.webhook import Contacts, FakeContacts, FakeWebhook, Webhook
from controller.rehearsal.day import Day, Restriction
from controller.rehearsal.people import Word
from controller.rehearsal.play import BEGINS, DAY_BEGINS, Stage, begin
from controller.rehearsal.timeline import LoopClock, VirtualLoop
from controller.rehearsal.twin import MemoryDevices
from controller.remediation.rules import rules_in_force
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner
from controller.store import AsyncStore, AuditQuery, Page, Store
from controller.store.database.repository import Invocation
from simulators.fleet.fleet import Fleet

T = TypeVar("T")
#: Seconds of polling after an event, and the longest time until a station's change shows.
_STIR, _LINGER = 4.0, 180.0
#: Skipped time is a multiple of this many seconds, so that rounds keep their order.
_GRID = 2.0
#: Rows of the audit trail by which people know, and more than there are of a day.
_CALLED = frozenset(("alarm.escalated", "alarm.called"))
_SAID, _ALL = _CALLED | {"alarm.raised", "alarm.returned", "alarm.changed"}, 10_000_000
#: Actor that switches automation on.
PERSON = "rehearsal"


class InlineStore(AsyncStore):
    """The store of one process without threads: each call is carried out and committed at once.

    Attributes:
        stirred: Is called when a call may have changed something that others poll for.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.stirred: Callable[[], None] = lambda: None
        self._kept: dict[str, Any] = {}
        with closing(store.database.engine.raw_connection()) as one:  # of which a record in memory has just one
            self._connection: Any = one.driver_connection
        self._head: int | None = None

    async def call(self, work: Callable[[Store], T]) -> T:
        """Carry it out."""
        if not isinstance(work, Invocation):
            return self._noticed(work)
        name = f"{type(work.repository).__name__}.{work.method.name}"
        if name == "Devices.find" and not work.args and not work.kwargs:
            # Asked for all the time, but changed by adoption only.
            if name not in self._kept:
                self._kept[name] = work(self._store)
            kept: T = self._kept[name]
            return kept
        if name.startswith("Devices.") and work.method.name != "find":
            self._kept.clear()
        done: T = work(self._store) if name == "Processes.heartbeat" else self._noticed(work)
        return done

    def _noticed(self, work: Callable[[Store], T]) -> T:
        try:
            return work(self._store)
        finally:
            (head,) = self._connection.execute("SELECT max(id) FROM audit").fetchone()
            if head != self._head:  # all changes that others act on write an audit row
                self._head = head
                self.stirred()

    async def close(self) -> None:
        """Nothing waits."""


def copy_of(record: Store, clock: Clock) -> Store:
    """A record in memory that begins with all that another one in memory holds."""
    made = open_memory(clock)
    engines = record.database.engine, made.database.engine
    with closing(engines[0].raw_connection()) as source, closing(engines[1].raw_connection()) as to:
        source.driver_connection.backup(to.driver_connection)  # type: ignore[union-attr]
    return made


class PlayedParts(Parts):
    """Parts of which nothing reaches anybody: a fault that is only played calls, mails and notifies nobody."""

    def webhook(self) -> Webhook:
        """A fake: takes all, and keeps it to itself."""
        return FakeWebhook()

    def channels(self) -> dict[str, Webhook]:
        """A fake for each channel of production."""
        return {name: FakeWebhook() for name in super().channels()}

    def contacts(self) -> Contacts:
        """A fake, as ``webhook``."""
        return FakeContacts()

    def pager(self) -> Notifier:
        """A fake, as ``webhook``."""
        return FakeNotifier()


def parts_on(fleet: Fleet, store: Store, clock: Clock, settings: Settings) -> Parts:
    """What its processes are made of."""
    loop_store, secrets, devices = InlineStore(store), FakeSecrets({}), MemoryDevices(fleet)
    planner = Planner(loop_store, devices, clock, target_of)
    settings = settings.cut_off()
    return PlayedParts(settings, clock, store, loop_store, devices, planner, LOOPBACK_ONLY, secrets)  # type: ignore[arg-type]


def adopted(network: Network, stage: Stage, settings: Settings) -> Store:
    """A record with the network, with all its stations read and adopted."""
    loop = VirtualLoop(stage.clock)
    clock = LoopClock(loop, stage.clock)
    store = open_memory(clock)
    store.networks.save(network, network_digest(network), PERSON)
    put_first_definitions(store, settings)
    parts = parts_on(stage.fleet, store, clock, settings)
    found = loop.run(parts.planner.adopt_devices([station.id for station in network.stations], PERSON))
    if strange := [f"{name}: {said.words}" for name, said in found.items() if not said.code.adopted]:
        raise RuntimeError("\n".join(strange))
    store.database.clock = VirtualClock()
    return store


class Minka:
    """A controller that reacts to a stage.

    Args:
        record: What it knows when the day begins.
        every_check: Whether it also checks stations at which nothing happened, and never skips a round: for the
            proof that this changes nothing.
        measures: Whether it also collects what stations counted, and works out hours and days.
    """

    def __init__(
        self, stage: Stage, record: Store, settings: Settings, *, every_check: bool = False, measures: bool = False
    ) -> None:
        self.stage = stage
        self.loop = VirtualLoop(stage.clock)
        self.clock = LoopClock(self.loop, stage.clock)
        self.store = copy_of(record, self.clock)
        self.settings = settings
        self._every_check = every_check
        self._measures = measures
        self._stirred = 0.0
        #: By station, until when its checks may show something new.
        self._touched: dict[str, float] = {}
        self._seen: set[str] = set()
        self._began = False

    def play(self, day: Day) -> None:
        """Play a day."""
        self.loop.run(self._day(day))
        rules = rules_in_force(self.store)
        found = {rule.name: self.store.rules.figures(rule.name) for rule in rules}
        self.stage.rules = {name: (one.successes, one.failures) for name, one in found.items() if one.sample}
        self.stage.words = self._words()
        self.store.close()

    def _words(self) -> list[Word]:
        """What the audit trail has of alarms that were raised or came back, and of people who were called."""
        _, rows = self.store.audit.page(Page(limit=_ALL), AuditQuery(action="alarm.*"))
        rows = [row for row in reversed(rows) if row.action in _SAID]
        alarms = {alarm.id: alarm for alarm in self.store.alarms.find({row.object for row in rows})}
        return [
            Word((row.at - BEGINS).total_seconds(), alarms[row.object], row.action in _CALLED)
            for row in rows
            if row.at is not None and row.object in alarms
        ]

    async def _day(self, day: Day) -> None:
        parts = parts_on(self.stage.fleet, self.store, self.clock, self.settings)
        parts.loop_store.stirred = self._stir  # type: ignore[attr-defined]
        wake = asyncio.Event()
        wakeups = vars(parts)["wakeups"] = _Wakeups(wake)
        self._worker = parts.worker_loop("rehearsal")
        wakeups.worker = self._worker
        self._listener = Listener(
            parts.loop_store,
            parts.devices,
            parts.checker(),
            self.clock,
            target_of,
            parts.wakeups,
            health_interval=self.settings.health_interval,
            notified_alarms=AlarmSource.ORAN_FM in self.settings.sources,
            worth=self._worth,
        )
        self._remediator = parts.remediator()
        self._promote()
        stop, rounds = asyncio.Event(), Rounds(self.clock)
        tasks = [asyncio.create_task(self._listener.run(stop)), asyncio.create_task(self._worker.run(stop))]
        rounds.start("remediation", self._remediator.step, 1.0, wake)
        self._collector = parts.collector("rehearsal")
        if self._measures:
            rounds.start("collection", parts.collection_schedule().step, 5.0)
            rounds.start("collector", self._collector.step, 1.0, self._collector.work)
            rounds.start("measurements", parts.work_out_measurements, 60.0)
        await self._begin(parts, day)
        self._people(day)
        if self._every_check:
            self.loop.idleness = None
        await self.loop.sleep(day.hours * 3600)
        self.loop.idleness = None
        stop.set()
        await rounds.stop()
        await asyncio.gather(*tasks)

    def _promote(self) -> None:
        """Let all rules act by themselves, region by region and everywhere else, as a named person may."""
        regions = [f"{REGION}{region.id}" for region in self.store.networks.get()[1].regions]
        for rule in rules_in_force(self.store):
            words = {"by": PERSON, "reason": "a rehearsal", "digest": rule.digest}
            for scope in (EVERYWHERE, *regions):
                self.store.rules.set_mode(rule.name, scope, RuleMode.AUTO, **words)

    async def _begin(self, parts: Parts, day: Day) -> None:
        """Begin the day after all stations were checked and subscribed to."""
        many = len(self.stage.fleet.stations)
        while len(self._seen) < many or parts.devices.counts["subscribed"] < many:
            await self.clock.sleep(2.0)
            self._seen = set(self.store.healths.find())
        self._began = True
        self.loop.idleness = self
        await self.loop.sleep(DAY_BEGINS - self.loop.time())
        begin(self.stage, day)
        self._follow_twin()

    def _follow_twin(self) -> None:
        for station in self.stage.fleet.stations.values():
            station.equipment.followers = (*station.equipment.followers, self._touch)
        self.stage.fleet.listen(
            events=lambda name, _event: self._touch(name), alarms=lambda name, *_: self._touch(name)
        )

    def _people(self, day: Day) -> None:
        """Schedule what people do."""
        for stop in day.stops:
            self.stage.clock.call_later(stop.begins, partial(self._stop, stop))

    def _stop(self, stop: Restriction) -> None:
        now = self.clock.now()
        ends = now + timedelta(seconds=stop.ends - stop.begins)
        if stop.kind == "hold":
            self.store.holds.add(stop.target, PERSON, "a rigger is on the mast", ends)
        elif stop.kind == "freeze":
            self.store.freezes.add(stop.target, now, ends, PERSON, "an election")
        else:
            self.store.freezes.warn(f"warning-{stop.target}", [stop.target], now, ends, PERSON, "tsunami")
        self._stir()

    # ------------------------------------------------------------------- passing over

    def _stir(self) -> None:
        self._stirred = self.loop.time()

    def _touch(self, station: str) -> None:
        self._touched[station] = self.loop.time() + _LINGER
        self._stir()

    def _worth(self, station: str) -> bool:
        if not self._began:
            return station not in self._seen
        return self._every_check or self._touched.get(station, -1.0) >= self.loop.time()

    def until(self) -> float | None:
        """See ``Idleness``."""
        now = self.loop.time()
        if now - self._stirred < _STIR or not self._worker.idle or not self._listener.checks.idle:
            return None
        if not self._collector.idle:
            return None
        self._touched = {name: until for name, until in self._touched.items() if until >= now}
        checks = self._listener.checks
        turns = (checks.turn_of(name) for name in (*self._touched, *checks.wanted))
        due = min((self._remediator.next_round, *turns), default=math.inf)
        due -= (due - DAY_BEGINS) % _GRID if due < math.inf else 0.0
        return due if due > now else None


class _Wakeups(FakeWakeups):
    """Wakes worker and remediation in this process."""

    def __init__(self, scheduler: asyncio.Event) -> None:
        super().__init__()
        self.worker: WorkerLoop | None = None
        self._scheduler = scheduler

    def wake_workers(self, run: str) -> None:
        """Wake the worker."""
        if self.worker is not None:
            self.worker.wake(run)

    def wake_scheduler(self) -> None:
        """Wake remediation."""
        self._scheduler.set()
