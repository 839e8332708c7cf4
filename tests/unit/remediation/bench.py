"""Schedulers without stations: the real record in memory, virtual time, and whoever plans, looks and works faked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from controller.assurance.checker import Checker
from controller.assurance.health import STATION
from controller.inventory.load import load_network
from controller.models.alarm import (
    CONFIGURATION_DRIFT,
    CORE_LINK_DOWN,
    Alarm,
    AlarmReport,
    AlarmSource,
    PerceivedSeverity,
)
from controller.models.approval import PartyWindows, Requirement, RunConstraints, StationConstraints
from controller.models.errors import PlanRefusedError
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.network import Network, network_digest
from controller.models.rule import RuleMode
from controller.models.run import Run, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.ports.clock import VirtualClock
from controller.ports.notifier import FakeNotifier, Notifier
from controller.ports.webhook import FakeContacts
from controller.remediation.breaker import Breaker
from controller.remediation.guards import Limits
from controller.remediation.on_call import Caller
from controller.remediation.remediator import Remediator
from controller.remediation.rules import Match, Rule, RuleGuards, Rung, Verify, rules_in_force
from controller.runs.launch import Launcher
from controller.store import AsyncStore, NewJob, Page, PreparedRun, RunRequest, Store, Transition, open_store
from controller.store.database.transaction import Unready
from tests.support.records import make_plan
from tests.support.rules import promote

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
STATION_ID = "T-LTE-1"
LINK = "/EP_S1C[one]"
RULES = tuple(
    Rule(
        name=cause,
        description="",
        match=Match(causes=(cause,)),
        ladder=(Rung(playbook=playbook, parameters={"object": "{{ alarm.object }}"}),),
        guards=RuleGuards(settle_seconds=0),
        verify=Verify(within_seconds=60, settle_seconds=0),
    )
    for cause, playbook in ((CORE_LINK_DOWN, "recreate-core-endpoint"), (CONFIGURATION_DRIFT, "repair-drift"))
)


#: So much that no rate and no share says no.
UNLIMITED = Limits(10_000, 10_000, 10_000, 10_000, 100)


@cache
def tiny() -> Network:
    """The small network of tests."""
    return load_network(TINY)


T = TypeVar("T")


class TurnsStore(AsyncStore):
    """A store without a thread, where others have their turn before each call."""

    def __init__(self, store: Store, seed: int) -> None:
        super().__init__(store)
        self._dice = random.Random(seed)

    async def call(self, work: Callable[[Store], T]) -> T:
        for _ in range(self._dice.randrange(4)):
            await asyncio.sleep(0)
        (result,) = self._store.database.together([lambda: work(self._store)])
        while isinstance(result, Unready):  # as the loop of schedulers does: controller/store/loop.py
            result.prepare()
            (result,) = self._store.database.together([lambda: work(self._store)])
        if isinstance(result, Exception):
            raise result
        return result


class FakeLauncher:
    """Prepares a run for whatever it is asked, unless ``refusal`` is set; ``meanwhile`` is called while it does."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.meanwhile: Any = None
        self.refusal = ""
        self.idle = False
        self.repairs = True
        self.interrupts = False
        self.restarts = False
        self.jobs: tuple[NewJob, ...] = ()
        self.spared: tuple[tuple[str, str], ...] = ()
        self.requirements: tuple[Requirement, ...] = ()
        self.calendar: tuple[MaintenanceWindow, ...] = ()
        self.asked: list[RunRequest] = []

    async def prepare(self, request: RunRequest) -> PreparedRun:
        self.asked.append(request)
        if self.meanwhile:
            self.meanwhile()
        if self.refusal:
            raise PlanRefusedError(self.refusal)
        plan = make_plan([STATION_ID], f"{request.parameters} {self._bench.clock.now()}")
        self._bench.store.plans.save(plan, "rule")
        windows = (PartyWindows(windows=self.calendar),) if self.calendar else ()
        group = StationConstraints(
            region="cusco", timezone="UTC", interrupts=self.interrupts, restarts=self.restarts, windows=windows
        )
        spared = {STATION_ID: self.spared} if self.spared else {}
        constraints = RunConstraints(
            subject="s",
            requirements=self.requirements,
            groups=(group,),
            stations={STATION_ID: ("s", 0)},
            spared=spared,
        )
        return PreparedRun(
            request=request,
            procedure="apply",
            plan=plan,
            jobs=self.jobs,
            strategy=Strategy(canary=0),
            idle=self.idle,
            repairs=self.repairs,
            constraints=constraints,
            from_files=False,
        )


class BenchLauncher:
    """Puts runs on record in a transaction of one scheduler's store."""

    def __init__(self, fake: FakeLauncher, store: TurnsStore) -> None:
        self._fake, self._store = fake, store

    async def prepare(self, request: RunRequest) -> PreparedRun:
        return await self._fake.prepare(request)

    async def accept(self, new: PreparedRun, record: Callable[[Store, PreparedRun], Run | None]) -> Run | None:
        return await self._store.transaction(record, new)


class FakeChecker:
    """Stations with the links in ``down``, whose state is ``state``, and the drift in ``drifted``; all else is well.

    Of links that are well those in ``up`` are told.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.down: set[tuple[str, str]] = set()
        self.up: set[tuple[str, str]] = set()
        self.state = ServiceState.DOWN
        self.drifted: set[str] = set()
        self.locked: tuple[str, ...] = ()
        self.reachable = True
        self.battery = False
        self.looks = 0

    async def on_battery(self, station: str) -> bool:
        return self.battery

    async def health(self, station: str) -> Health:
        self.looks += 1
        told = {**dict.fromkeys(self.up, ServiceState.UP), **dict.fromkeys(self.down, self.state)}
        links = (
            LinkHealth(path=path, tenant="", kind="S1C", state=state)
            for (at, path), state in told.items()
            if at == station
        )
        drift = int(station in self.drifted)
        return Health(
            station=station,
            at=self._clock.now(),
            reachable=self.reachable,
            reason="" if self.reachable else "unreachable",
            locked=self.locked,
            links=tuple(links),
            drift=drift,
        )


class Bench:
    """One record, and what the schedulers on it are made of."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock = store, clock
        self.launcher, self.checker, self.people = FakeLauncher(self), FakeChecker(clock), FakeNotifier()
        self._schedulers = 0
        store.networks.save(tiny(), network_digest(tiny()), "ana")

    def scheduler(
        self,
        notifier: Notifier | None = None,
        rules: Sequence[Rule] | None = RULES,
        breaker: Breaker = Breaker(limit=10_000),  # noqa: B008  # a frozen value
        limits: Limits = UNLIMITED,
        mode: RuleMode | None = RuleMode.AUTO,
        contacts: FakeContacts | None = None,
    ) -> Remediator:
        """The remediation of one more scheduler, with its rules in a mode.

        Args:
            notifier: Notifies people.
            rules: The rules; None for those in force on record.
            breaker: Stops all.
            limits: Of rates and shares.
            mode: The mode of the rules; None to leave them as they are.
            contacts: Contacts that schedules call; with None there are no schedules.
        """
        self._schedulers += 1
        if mode is not None:
            promote(self.store, rules_in_force(self.store) if rules is None else rules, mode)
        store = TurnsStore(self.store, self._schedulers)
        return Remediator(
            cast("Any", store),
            cast("Checker", self.checker),
            cast("Launcher", BenchLauncher(self.launcher, store)),
            notifier or self.people,
            self.clock,
            rules_in_force if rules is None else lambda _: tuple(rules),
            breaker=breaker,
            limits=limits,
            caller=None if contacts is None else Caller(cast("Any", store), contacts, self.clock),
        )

    async def round(self, *schedulers: Remediator, seconds: float = 5) -> None:
        """A round of each scheduler, at the same time; then time goes on."""
        await asyncio.gather(*(one.step() for one in schedulers))
        await asyncio.gather(*(one.settle() for one in schedulers))
        await self.clock.advance(seconds)

    def breaks(self, path: str = LINK, station: str = STATION_ID, tenant: str = "") -> Alarm:
        """A link goes down, and is reported."""
        self.checker.down.add((station, path))
        return self.report(path, CORE_LINK_DOWN, station=station, tenant=tenant)

    def drifts(self, station: str = STATION_ID) -> Alarm:
        """A station drifts, and that is reported."""
        self.checker.drifted.add(station)
        return self.report(STATION, CONFIGURATION_DRIFT, station=station)

    def heals(self, alarm: Alarm) -> Alarm:
        """What an alarm is about becomes well, and that is reported."""
        self.checker.down.discard((alarm.station, alarm.object))
        if alarm.probable_cause == CONFIGURATION_DRIFT:
            self.checker.drifted.discard(alarm.station)
        return self.report(
            alarm.object, alarm.probable_cause, PerceivedSeverity.CLEARED, station=alarm.station, tenant=alarm.tenant
        )

    def freeze(self, target: str) -> None:
        """People let nothing be changed there for an hour."""
        now = self.clock.now()
        self.store.freezes.add(target, now, now + timedelta(hours=1), "ana", "election")

    def doubt(self) -> None:
        """A station carries what the record does not know of."""
        self.store.devices.adopt(STATION_ID, (), network_digest(tiny()), "ana")
        self.store.integrity.check_fences({STATION_ID: 99})

    def report(
        self,
        managed_object: str,
        cause: str,
        severity: PerceivedSeverity = PerceivedSeverity.MAJOR,
        station: str = STATION_ID,
        source: AlarmSource = AlarmSource.CHECK,
        tenant: str = "",
    ) -> Alarm:
        """What a source says now."""
        return self.store.alarms.report(
            AlarmReport(
                station=station,
                object=managed_object,
                tenant=tenant,
                probable_cause=cause,
                severity=severity,
                source=source,
                at=self.clock.now(),
            )
        )

    def work(self, incurable: Collection[str] = ()) -> None:
        """A worker ends all runs well; other alarms than these then clear, as listener and check would say."""
        for run_id in self.store.runs.active():
            self.store.runs.advance(run_id, lambda _run, _jobs: Transition(RunState.SUCCEEDED, cancel_rest=True))
            alarm = self.store.runs.get(run_id).cause.removeprefix("alarm:")
            if alarm not in incurable:
                self.heals(self.store.alarms.get(alarm))

    def alarm(self, alarm: Alarm) -> Alarm:
        """The alarm as it is now."""
        return self.store.alarms.get(alarm.id)

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        return self.store.runs.page(Page(limit=1000))[1][::-1]


@contextmanager
def open_bench() -> Iterator[Bench]:
    """A bench of one test."""
    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    try:
        yield Bench(store, clock)
    finally:
        store.close()
