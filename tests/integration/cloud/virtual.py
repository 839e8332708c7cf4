"""Whole runs on simulated pools and stations in one process and in virtual time: worker, pools, pods, stations, people.

Requests to pools and RPCs to stations are those that go over the wire in production; only what carries the bytes is
replaced. So a run costs a fraction of a second, and can be broken off at each of its calls.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from controller.assurance.checker import Checker
from controller.drivers.devices import AllDevices
from controller.drivers.kubernetes.api import PoolApi, Sent, _Opened
from controller.drivers.kubernetes.devices import CloudDevices
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.drivers.netconf.transport import Transport
from controller.drivers.registry import target_of
from controller.inventory.load import load_network
from controller.models.alarm import AlarmSource
from controller.models.errors import SessionLostError
from controller.models.network import Network, network_digest
from controller.models.plan import LedgerNode, Plan
from controller.models.run import Job, Outcome, Run, Strategy
from controller.nrm.tree import Tree
from controller.observe.rounds import Rounds
from controller.plan import pools_of
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.job import PlaybookProcedure, procedures
from controller.playbook.engine.preparation import PlaybookPreparation
from controller.playbook.language.library import Library
from controller.ports.notifier import FakeNotifier
from controller.ports.queue import FakeWakeups
from controller.ports.secrets import FakeSecrets
from controller.ports.webhook import FakeWebhook
from controller.rehearsal.play import BEGINS
from controller.rehearsal.timeline import LoopClock, VirtualLoop
from controller.rehearsal.twin import MemoryConnector
from controller.remediation.guards import forbids
from controller.remediation.remediator import Remediator
from controller.runs.launch import Launcher
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.planning.undo import undo_plan
from controller.runs.procedures import Tools
from controller.store import Page, RunRequest, open_store
from simulators.clock import VirtualClock
from simulators.cloud.server.answers import Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.faults import ApiFaultKind, spoiled
from simulators.cloud.server.requests import Request
from simulators.connections import Connections, Outage
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import read_network
from simulators.station import StationSettings
from tests.integration.alarms.system import PLAYBOOKS
from tests.support.definitions import load_rules, put_in_force
from tests.support.launch import submit
from tests.support.rules import promote
from tests.unit.runs.group_bench import Mortal, _unless_killed
from tests.unit.runs.transaction_bench import InstantStore, Killed

#: Of what a function consists on a pool.
KINDS = ("nfdeployments.workload.nephio.org", "configmaps", "poddisruptionbudgets.policy")
#: Seconds between two looks of a worker for work that nobody told it of: in virtual time they are a third of all CPU.
POLL = 4.0
#: What pools ask of whoever signs in, and where it is kept.
_SECRETS: dict[str, str | None] = {"pool-authority": "", "pool-token": "minka-sim"}


def prepared(folder: Path) -> Path:
    """Network files in which there is another release of the function, and tenants agree to all beforehand."""
    agreements = folder / "agreements.yaml"
    text = agreements.read_text(encoding="utf-8")
    agreements.write_text(text.replace("    scope:", "    consents: {reduce: standing}\n    scope:"), encoding="utf-8")
    packages = folder / "packages.yaml"
    text = packages.read_text(encoding="utf-8")
    newer = (
        text.partition("- ")[2].partition("\n- ")[0].replace("id: bbu,", "id: bbu-2,").replace(f"{7:064x}", f"{6:064x}")
    )
    packages.write_text(f"{text}- {newer}\n", encoding="utf-8")
    return folder


#: Requests that write, and all requests to pools, as calls are named.
WRITES = (" PATCH", " DELETE", " POST")
REQUESTS = (" GET", *WRITES)


@dataclass
class Stricken(Mortal):
    """A process at one of whose requests to pools something happens.

    What happens to pools makes a difference at the next request at the earliest: so these are all the moments.

    Attributes:
        among: Which requests count.
        left: How many of its calls after that it dies; None lets it live.
    """

    strike: Callable[[], None] = lambda: None
    among: tuple[str, ...] = REQUESTS
    left: int | None = None

    def due(self, name: str) -> bool:
        if self.dead:
            raise Killed
        if self.left is not None and len(self.calls) >= self.at:
            self.left -= 1
        if name.endswith(self.among):
            self.calls.append(name)
            if len(self.calls) == self.at:
                self.strike()
        return self.dead

    @property
    def dead(self) -> bool:
        return self.left == 0


@dataclass
class Watched(Mortal):
    """A process that lives, and notes at which of its calls the world is another one than at the call before.

    A worker that dies leaves the world as it is. So it makes no difference at which of the calls it dies between which
    nothing changed, and these are all the moments at which it may die.

    Attributes:
        world: What pools and record are now.
        moments: The calls.
    """

    world: Callable[[], object] = lambda: None
    moments: list[int] = field(default_factory=list)
    _before: object = None

    def due(self, name: str) -> bool:
        told = self.calls and self.calls[-1] not in ("record", "get", "get-config") and " " not in self.calls[-1]
        now, before = self.world(), self._before
        self.calls.append(name)
        if told or now != before:
            self.moments.append(len(self.calls))
        self._before = now
        return False


#: The shipped playbooks.
LIBRARY = Library.in_folder(PLAYBOOKS, registry())


class VirtualCloud:
    """A record, workers one after the other, and the fleet of a network with functions.

    Attributes:
        clock: Of the fleet.
        ways: To the API of each pool; those of the fleet come back whenever it works out its ways anew.
        life: The process that is at work: each of its calls to a pool, a station or the record may be its last.
        run: The latest run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(BEGINS)
        settings = FleetSettings(stations=StationSettings(settle_seconds=1.0))
        self.fleet = Fleet(read_network(folder), settings, self.clock)
        self.loop = VirtualLoop(self.clock)
        self.time = LoopClock(self.loop, self.clock)
        self.store = open_store("sqlite://", self.time)
        put_in_force(self.store)
        with closing(self.store.database.engine.raw_connection()) as one:  # of which a record in memory has just one
            self._connection: Any = one.driver_connection
        self.life: Mortal = Mortal()
        self.run: Run
        self.ways = {name: Connections() for name in self.fleet.pools}
        self._wires = {name: _Wire(self.fleet, name, way) for name, way in self.ways.items()}
        self.load()

    def connect(self, patch: pytest.MonkeyPatch) -> None:
        """Let all that is asked of pools and stations take the way through memory, as long as the patch lasts."""

        async def open_(api: PoolApi) -> _Opened:
            headers = {"Authorization": f"Bearer {_SECRETS['pool-token']}", "User-Agent": "minka"}
            client = httpx.AsyncClient(
                transport=self._wires[api.target.device], base_url="https://pool", headers=headers, trust_env=False
            )
            return _Opened(client, (None, SecretStr(""), None))

        patch.setattr(PoolApi, "_open", open_)
        for owner, name in ((PoolApi, "_send"), (Transport, "answer")):
            patch.setattr(owner, name, self._mortal(getattr(owner, name)))
        patch.setattr("controller.runs.loop._POLL", POLL)

    def _mortal(self, asked: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(owner: Any, *given: Any, **named: Any) -> Any:
            life = self.life
            (what, *_) = given
            name = f"{owner.target.device} {what.method}" if isinstance(what, Sent) else str(what.name)
            killed = await life.reach(name)
            if killed and not life.after:
                raise Killed
            answer = await asked(owner, *given, **named)
            if killed or life.dead:
                raise Killed
            return answer

        return call

    def load(self) -> None:
        """Load the network files as they are now."""
        self.network: Network = load_network(self.folder)
        self.store.networks.save(self.network, network_digest(self.network), "ana")

    def rewrite(self, file: str, one: str, other: str) -> None:
        """Put one text in the place of the other in the network files, or the other way round, and load them."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(one, other) if one in text else text.replace(other, one), encoding="utf-8")
        self.load()

    def play(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something on the loop."""
        self.loop.set_exception_handler(_unless_killed)
        self.loop.run_until_complete(work)

    # ---------------------------------------------------------------- processes

    def _devices(self) -> AllDevices:
        cloud = CloudDevices(FakeSecrets(_SECRETS), self.time)
        return AllDevices(
            FakeSecrets({}), connector=MemoryConnector(self.fleet), others={KubernetesTarget: lambda: cloud}
        )

    def services(self, devices: AllDevices, life: Mortal | None = None) -> ActionServices:
        store = InstantStore(self.store, life)
        return ActionServices(store, Planner(store, devices, self.time, target_of), FakeWebhook(), self.time)

    async def shift(self, life: Mortal, seconds: float = 2000.0) -> bool:
        """One process's life; whether the run ended before."""
        self.life, devices = life, self._devices()
        services = self.services(devices, life)
        of = procedures(PlaybookProcedure(services, registry()))
        tools = Tools(services.store, devices, self.time, target_of, procedure_of=of, forbids=forbids)
        process = asyncio.create_task(WorkerLoop("w", tools, FakeWakeups()).run(asyncio.Event()))
        end = self.time.monotonic() + seconds
        try:
            while self.time.monotonic() < end:
                await self.time.sleep(2.0)
                if life.dead or process.done():
                    return False
                if self.store.runs.get(self.run.id).state.terminal:
                    return True
            raise AssertionError(f"the run hangs: {self.jobs}")
        finally:
            process.cancel()
            (ended,) = await asyncio.gather(process, return_exceptions=True)
            for one in self.store.processes.alive():
                assert self.store.processes.declare_dead(one.id, one.counter)
            for station in self.fleet.stations.values():
                station.server.drop_sessions()
            self.life = Mortal()
            with suppress(SessionLostError, Killed):
                await devices.close()
            assert isinstance(ended, Killed | asyncio.CancelledError), ended

    async def work(self, *deaths: Mortal) -> None:
        """Processes that die one after the other, and one that lives, until the run has ended."""
        for life in (*deaths, Mortal()):
            if await self.shift(life):
                return

    async def start(self, playbook: str, **given: object) -> Run:
        """Ask for a run."""
        devices = self._devices()
        services = self.services(devices)
        preparation = PlaybookPreparation(services, lambda _: LIBRARY, registry())
        launcher = Launcher(services.store, services.planner, FakeWakeups(), preparation)
        self.run = await launcher.start(RunRequest(playbook=playbook, parameters=given, actor="ana", reason="test"))
        await devices.close()
        return self.run

    async def plan(self, selector: str, expect: int) -> Plan:
        """The plan that brings so many devices to the network files."""
        devices = self._devices()
        plan = await self.services(devices).planner.plan(PlanRequest(selector, expect_stations=expect), "ana")
        await devices.close()
        return plan

    async def plan_back(self, run: str, **remove: int) -> Plan:
        """The plan that takes a run back."""
        devices = self._devices()
        plan = await undo_plan(self.services(devices).planner, run, remove, "ana")
        await devices.close()
        return plan

    def begin(self, plan: Plan) -> Run:
        """Ask for a plan to be carried out."""
        self.run = submit(self.store, FakeWakeups(), RunRequest(plan=plan, actor="ana", strategy=Strategy()))
        return self.run

    async def done(self, playbook: str, *deaths: Mortal, **given: object) -> dict[str, Outcome | None]:
        """A run from its request to its end; the outcome of each job."""
        await self.start(playbook, **given)
        await self.work(*deaths)
        return {job.station: job.outcome for job in self.jobs}

    async def watch(self, rules: Collection[str], ends: Callable[[], object], seconds: float = 3600.0) -> None:
        """Listener, scheduler and workers do what they do until something is so; these of the shipped rules may act."""
        devices, known = self._devices(), load_rules(PLAYBOOKS / "rules")
        services = self.services(devices)
        promote(self.store, [rule for rule in known if rule.name in rules])
        checker, looks = (
            Checker(services.store, services.planner, self.time, sources)
            for sources in (frozenset(AlarmSource), frozenset[AlarmSource]())
        )
        preparation = PlaybookPreparation(services, lambda _: LIBRARY, registry())
        launcher = Launcher(services.store, services.planner, FakeWakeups(), preparation)
        remediator = Remediator(services.store, looks, launcher, FakeNotifier(), self.time, lambda _: known)

        async def check() -> None:
            records = self.store.devices.find()
            adopted = [one for one, record in records.items() if record.adopted is not None and record.retired is None]
            await checker.record([await checker.check(self.network, one) for one in adopted])

        rounds, end = Rounds(self.time), self.time.monotonic() + seconds
        rounds.start("checks", check, 30.0)
        rounds.start("remediation", remediator.step, 5.0)
        while not ends():
            assert self.time.monotonic() < end, self.store.alarms.page(Page(limit=100))
            await self.time.sleep(5.0)
            for run in self.store.runs.active():
                self.run = self.store.runs.get(run)
                await self.shift(Mortal())
        await rounds.stop()
        await remediator.settle()
        await devices.close()

    async def prepare_pools(self) -> None:
        """Make namespaces and quotas."""
        devices = self._devices()
        await self.services(devices).planner.adopt("pool=*", "ana")
        await devices.close()
        self.begin(await self.plan("pool=*", len(self.fleet.pools)))
        await self.work()
        assert all(job.outcome is Outcome.SUCCEEDED for job in self.jobs), self.jobs

    def forget(self, device: str) -> None:
        """Let the record be as if a device had never been adopted."""
        for table in ("ledger", "devices"):
            self._connection.execute(f"DELETE FROM {table} WHERE station = ?", (device,))
        self._connection.commit()

    # -------------------------------------------------------------------- looks

    @property
    def jobs(self) -> list[Job]:
        return self.store.runs.jobs(self.run.id)

    def world(self) -> object:
        """What pools and record are now: another value as soon as something was written there."""
        pools = tuple(pool.cluster.store.revision for pool in self.fleet.pools.values())
        return pools, self._connection.total_changes

    async def carried(self, device: str) -> Tree:
        devices = self._devices()
        try:
            return (await self.services(devices).planner.read(self.network, device)).tree
        finally:
            await devices.close()

    def objects(self, function: str) -> Counter[tuple[str, str]]:
        """The objects of a function by pool and kind, whoever made them."""
        return Counter(
            (name, kind)
            for name, pool in self.fleet.pools.items()
            for kind in KINDS
            for one in pool.cluster.list(kind)
            if one["metadata"]["name"] == function.lower()
        )

    def pods(self, function: str) -> list[tuple[str, str]]:
        """Pods of a function that are not about to end, by pool and node."""
        return sorted(
            (name, str(one["spec"].get("nodeName", "")))
            for name, pool in self.fleet.pools.items()
            for one in pool.cluster.list("pods")
            if one["metadata"].get("labels", {}).get("minka.dev/function") == function
            and "deletionTimestamp" not in one["metadata"]
        )

    def nodes(self, device: str) -> list[LedgerNode]:
        """What is ours on a device, by the ledger."""
        return sorted((one.node for one in self.store.ledger.find([device])[device].values()), key=lambda one: one.path)

    def placed(self, function: str) -> tuple[str, ...]:
        """Where the ledger says that a function is."""
        return pools_of(self.store.ledger.find([function]).get(function, {}))


class _Wire(httpx.AsyncBaseTransport):
    """The way to the API of a pool."""

    def __init__(self, fleet: Fleet, pool: str, way: Connections) -> None:
        self._api = Api(fleet.pools[pool].cluster)
        self._faults = fleet.pools[pool].api_faults
        self._way = way

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the pool's listener does."""
        if self._way.outage is Outage.REFUSAL:
            raise httpx.ConnectError("connection refused")
        if self._way.outage is Outage.SILENCE:
            await asyncio.sleep(math.inf)
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = request.url.raw_path.decode()
        asked = Request.of_target(request.method, target, headers=headers, body=await request.aread())
        strikes = self._faults.strikes(asked)
        if ApiFaultKind.DROP_BEFORE in strikes:
            raise httpx.ReadError("")
        found = spoiled(self._api, asked, strikes) if strikes else self._api.handle(asked)
        assert isinstance(found, Response), "nobody watches here"
        if ApiFaultKind.DROP_AFTER in strikes:
            raise httpx.ReadError("")
        if ApiFaultKind.DELAY in strikes:
            await asyncio.sleep(strikes[ApiFaultKind.DELAY].seconds)
        return httpx.Response(found.status, headers=list(found.headers), stream=_Body(found.body))


class _Body(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content
