"""A whole system in one process: simulated stations, worker, listener, remediation and API on one loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from lxml import etree

from controller.api.services import Services
from controller.assurance.checker import Checker
from controller.drivers.devices import AllDevices
from controller.drivers.registry import target_of
from controller.inventory.load import load_network
from controller.listener.process import Listener
from controller.models.alarm import Alarm, AlarmSource, AlarmState
from controller.models.metrics import Observations
from controller.models.network import network_digest
from controller.models.people import Person
from controller.models.run import OnHold, Run, RunState, Strategy
from controller.models.settings import Settings
from controller.observe.exposition import exposition
from controller.observe.rounds import repeat
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.job import PlaybookProcedure, procedures
from controller.playbook.engine.preparation import DryRun, PlaybookPreparation
from controller.playbook.language.library import Library
from controller.ports.clock import SystemClock
from controller.ports.notifier import FakeNotifier, Notifier
from controller.ports.queue import FakeWakeups
from controller.ports.webhook import FakeWebhook
from controller.remediation.guards import forbids
from controller.remediation.remediator import Remediator
from controller.remediation.rules import Rule
from controller.runs.launch import Launcher
from controller.runs.loop import WorkerLoop
from controller.runs.planning.importer import Importer
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.procedures import Tools
from controller.store import LoopStore, Page, RunRequest, open_store
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.netconf.profiles import PROFILES
from simulators.network import read_network
from simulators.station import StationSettings
from tests.support.apps import app_with
from tests.support.callers import admit
from tests.support.definitions import load_rules, put_in_force
from tests.support.launch import submit
from tests.support.rules import promote
from tests.support.secrets import LocalSecrets

ROOT = Path(__file__).parents[3]
PLAYBOOKS = ROOT / "playbooks"
TINY = ROOT / "tests" / "fixtures" / "networks" / "tiny"
#: A station of one tenant's core links, and another.
LTE, NR = "T-LTE-1", "T-NR-1"
TOKEN = "a-token-of-this-test"
#: Seconds within which everything in these tests happens, on a machine that does much else.
PATIENCE = 40.0


def rules(settle: float = 0.2, verify: float = 60) -> tuple[Rule, ...]:
    """The shipped rules, less patient."""
    return tuple(
        rule.model_copy(
            update={
                "guards": rule.guards.model_copy(update={"settle_seconds": settle}),
                "verify": rule.verify.model_copy(update={"within_seconds": verify, "settle_seconds": 0}),
            }
        )
        for rule in load_rules(PLAYBOOKS / "rules")
    )


async def until(what: str, holds: Callable[[], Awaitable[object]], seconds: float = PATIENCE) -> None:
    """Wait until ``holds`` is true."""
    end = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(0.1)


class Playbooks:
    """Playbooks of a folder, as people rehearse and start them."""

    def __init__(self, system: LocalSystem, folder: Path) -> None:
        library = Library.in_folder(folder, registry())
        self._preparation = PlaybookPreparation(system.world, lambda _: library, registry())
        self.launcher = Launcher(system.loop_store, system.planner, system.wakeups, self._preparation)

    async def start(
        self,
        name: str,
        given: Mapping[str, Any],
        actor: str = "ana",
        reason: str = "",
        key: str | None = None,
        asker: Person | None = None,
        expect: int | None = None,
    ) -> Run:
        """Start a run."""
        asked = RunRequest(playbook=name, parameters=given, actor=actor, reason=reason, key=key, asker=asker)
        return await self.launcher.start(replace(asked, expect_stations=expect))

    async def dry_run(
        self, name: str, given: Mapping[str, Any], on_hold: OnHold | None = None, expect: int | None = None
    ) -> DryRun:
        """Rehearse one."""
        return await self._preparation.dry_run(
            RunRequest(playbook=name, parameters=given, actor="ana", on_hold=on_hold, expect_stations=expect)
        )


class LocalSystem:
    """Everything but processes."""

    def __init__(
        self,
        folder: Path,
        stack: AsyncExitStack,
        fleet: Fleet,
        sources: frozenset[AlarmSource],
        interval: float,
        database: str = "",
    ) -> None:
        self.fleet = fleet
        self.clock = SystemClock()
        self._stack = stack
        self._interval = interval
        self.settings = Settings(home=folder, alarm_sources=" ".join(sources), database_url=database)
        self.store = open_store(self.settings.database, self.clock)
        put_in_force(self.store)
        stack.callback(self.store.close)
        self.loop_store = LoopStore(self.store)
        stack.push_async_callback(self.loop_store.close)
        self.measured = Observations()
        self.devices = AllDevices(LocalSecrets(), rpc_timeout=10, connect_timeout=5, observations=self.measured)
        stack.push_async_callback(self.devices.close)
        self.planner = Planner(self.loop_store, self.devices, self.clock, target_of)
        self._worker: WorkerLoop | None = None
        self._remediators: list[asyncio.Event] = []
        self.wakeups = FakeWakeups(self._wake_worker, self._wake_remediators)
        self.webhook = FakeWebhook()
        self.world = ActionServices(
            self.loop_store, self.planner, self.webhook, self.clock, sources=("sftp://10.0.0.1/images/",)
        )

    # ------------------------------------------------------------------ parts

    async def work(self) -> None:
        """Start a worker."""
        of = procedures(PlaybookProcedure(self.world, registry()))
        tools = Tools(self.loop_store, self.devices, self.clock, target_of, procedure_of=of, forbids=forbids)
        stop = asyncio.Event()
        self._worker = WorkerLoop("worker", tools, self.wakeups)
        self.worker = asyncio.create_task(self._worker.run(stop))
        self._stack.push_async_callback(self._end, self.worker, stop)

    def playbooks(self, folder: Path = PLAYBOOKS) -> Playbooks:
        """Playbooks of a folder, the shipped ones by default."""
        return Playbooks(self, folder)

    def listen(self) -> None:
        """Start a listener."""
        listener = Listener(
            self.loop_store,
            self.devices,
            self.checker(self.settings.sources),
            self.clock,
            target_of,
            self.wakeups,
            health_interval=self._interval,
            notified_alarms=AlarmSource.ORAN_FM in self.settings.sources,
        )
        stop = asyncio.Event()
        self._stack.push_async_callback(self._end, asyncio.create_task(listener.run(stop)), stop)

    def checker(self, sources: Collection[AlarmSource] = ()) -> Checker:
        """A checker of its own."""
        return Checker(self.loop_store, self.planner, self.clock, sources, settle=0.5)

    def remediator(self, notifier: Notifier | None = None, chosen: Sequence[Rule] | None = None) -> Remediator:
        """A remediator that does nothing by itself; its rules may act."""
        chosen = rules() if chosen is None else chosen
        promote(self.store, chosen)
        return Remediator(
            self.loop_store,
            self.checker(),
            self.playbooks().launcher,
            notifier or FakeNotifier(),
            self.clock,
            lambda _: tuple(chosen),
        )

    def remediate(self, notifier: Notifier | None = None, chosen: Sequence[Rule] | None = None) -> None:
        """Start a remediator."""
        made, wake = self.remediator(notifier, chosen), asyncio.Event()
        self._remediators.append(wake)
        task = asyncio.create_task(repeat("remediation", made.step, self.clock, 0.4, wake=wake))
        self._stack.push_async_callback(self._end, task)

    def _wake_worker(self, run: str) -> None:
        if self._worker is not None:
            self._worker.wake(run)

    def _wake_remediators(self) -> None:
        for wake in self._remediators:
            wake.set()

    @staticmethod
    async def _end(task: asyncio.Task[None], stop: asyncio.Event | None = None) -> None:
        if stop is not None:
            stop.set()
        else:
            task.cancel()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 30)

    def app(self) -> FastAPI:
        """The API."""
        admit(self.store, TOKEN)
        return app_with(
            Services(
                settings=self.settings,
                store=self.store,
                devices=self.devices,
                planner=self.planner,
                importer=Importer(self.loop_store, self.devices, self.clock),
                wakeups=self.wakeups,
                clock=self.clock,
                exposition=partial(exposition, self.store, self.clock),
            )
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the API."""
        transport = httpx.ASGITransport(self.app())
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://minka", headers=headers) as client:
            yield client

    # ------------------------------------------------------------------- acts

    async def provision(self) -> None:
        """Load the network, adopt all stations and apply it as a person would; needs a worker."""
        plan = await self.planner.plan(PlanRequest("*", expect_stations=len(self.fleet.stations)), "ana")
        run = submit(self.store, self.wakeups, RunRequest(plan=plan, actor="ana", strategy=Strategy(canary=0)))

        async def done() -> bool:
            return self.store.runs.get(run.id).state.terminal

        await until("the network is applied", done)
        assert self.store.runs.get(run.id).state is RunState.SUCCEEDED, self.store.runs.jobs(run.id)

    async def adopt(self, endpoints: Path) -> None:
        """Load the network and adopt all stations."""
        network = load_network(TINY, endpoints=endpoints)
        self.store.networks.save(network, network_digest(network), "ana")
        await self.planner.adopt("*", "ana")

    async def observed(self) -> None:
        """Wait until the listener saw every station well."""

        async def well() -> bool:
            healths = self.store.healths.find().values()
            return len(healths) == len(self.fleet.stations) and all(
                not health.drift and health.links and all(link.up for link in health.links) for health in healths
            )

        await until("all is well", well)

    def change(self, station: str, cell: str = "1", **leaves: str) -> None:
        """Change attributes of a cell behind the controller's back."""
        text = "".join(f"<{name}>{value}</{name}>" for name, value in leaves.items())
        self.edit(station, f"<EUtranCellFDD><id>{cell}</id><attributes>{text}</attributes></EUtranCellFDD>")

    def edit(self, station: str, function: str) -> None:
        """Merge the content of an ENBFunction into a station behind the controller's back."""
        config = (
            f'<ManagedElement xmlns="urn:3gpp:sa5:_3gpp-common-managed-element"><id>{station}</id>'
            f'<ENBFunction xmlns="urn:minka:eutran-nrm"><id>1</id>{function}</ENBFunction></ManagedElement>'
        )
        self.fleet.stations[station].datastores.foreign_edit(etree.fromstring(config))

    def running(self, station: str) -> str:
        """Running configuration of a station."""
        return self.fleet.stations[station].datastores.running.to_text()

    def alarms(self, station: str | None = None) -> list[Alarm]:
        """All alarms, oldest first."""
        _, found = self.store.alarms.page(Page(limit=1000))
        return [alarm for alarm in reversed(found) if station in (None, alarm.station)]

    async def ended(self, station: str, state: AlarmState) -> Alarm:
        """Wait until the newest alarm of a station is in a state."""

        async def holds() -> bool:
            found = self.alarms(station)
            return bool(found) and found[-1].state is state

        try:
            await until(f"an alarm of {station} is {state}", holds)
        except AssertionError:
            raise AssertionError(self.alarms(station)) from None
        return self.alarms(station)[-1]

    async def told(self) -> None:
        """Wait until people were notified of all escalations."""

        async def holds() -> bool:
            return not self.store.escalations.pending()

        await until("people are told", holds)

    def runs_for_alarms(self) -> int:
        """How many repairs were started."""
        _, runs = self.store.runs.page(Page(limit=1000))
        return sum(run.cause.startswith("alarm:") for run in runs)


@asynccontextmanager
async def open_system(
    folder: Path,
    *,
    sources: frozenset[AlarmSource] = frozenset(AlarmSource),
    interval: float = 2.0,
    before_adoption: Callable[[LocalSystem], None] | None = None,
    apply: bool = True,
    profile: str = "standard",
    database: str = "",
) -> AsyncIterator[LocalSystem]:
    """A system whose stations are adopted and configured; listener and remediation are not started yet."""
    async with AsyncExitStack() as stack:
        stations = StationSettings(PROFILES[profile], settle_seconds=0.2)
        fleet = Fleet(read_network(TINY), FleetSettings(stations=stations))
        await stack.enter_async_context(fleet)
        system = LocalSystem(folder, stack, fleet, sources, interval, database)
        endpoints = folder / "endpoints.csv"
        fleet.write_endpoints(endpoints)
        if before_adoption:
            before_adoption(system)
        await system.adopt(endpoints)
        await system.work()
        if apply:
            await system.provision()
        yield system
