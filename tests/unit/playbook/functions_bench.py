"""Functions on pools, and stations that live in them, in memory: a pod that starts knows nothing of the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from controller.assurance.checker import Checker
from controller.drivers.fake import ON_POOLS, SAFE, FakeDevices
from controller.drivers.target import DeviceTarget
from controller.models.alarm import AlarmSource
from controller.models.network import Network, network_digest
from controller.models.plan import Plan
from controller.models.run import Job, Outcome, Policy, Run, Strategy
from controller.nrm.tree import Tree
from controller.plan import pools_of
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.job import PlaybookProcedure, procedures
from controller.playbook.engine.preparation import DryRun, PlaybookPreparation
from controller.playbook.language.library import Library
from controller.ports.clock import VirtualClock
from controller.ports.notifier import FakeNotifier
from controller.ports.queue import FakeWakeups
from controller.ports.webhook import FakeWebhook
from controller.remediation.breaker import Breaker
from controller.remediation.guards import Limits, forbids
from controller.remediation.remediator import Remediator
from controller.runs.launch import Launcher
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.planning.undo import undo_plan
from controller.runs.planning.validity import Validity
from controller.runs.procedures import Tools
from controller.store import RunRequest, Store, open_store
from tests.support.definitions import load_rules
from tests.support.rules import promote
from tests.unit.plan import samples
from tests.unit.runs.group_bench import Mortal, _unless_killed
from tests.unit.runs.transaction_bench import TARGET, InstantStore, Killed, MortalDevices, empty

ROOT = Path(__file__).parents[3]
LIBRARY = Library.in_folder(ROOT / "playbooks", registry())


class FunctionBench:
    """A record, devices and workers.

    Attributes:
        network: Its functions may run on either pool.
        run_id: The latest run.
        library: Where its playbooks are.
    """

    def __init__(self, network: Network | None = None) -> None:
        self.network = network or samples.virtual()
        self.store, self.clock = _fresh()
        self.devices = FakeDevices(self.clock)
        self.run_id = ""
        self.library = LIBRARY
        self.load(self.network)
        for function in self.network.function_by_id:
            device = self.devices.add(function, ("function",), {f"/Function[{function}]": {}}, ON_POOLS)
            device.ready_after = 2.0
            device.started = partial(self._start, function)
        for station in self.network.stations:
            self.devices.add(station.id, station.profiles, factory(station.id), SAFE)
            self.devices[station.id].unreachable = "there is no pod"

    def _start(self, function: str, _pool: str) -> None:
        for station in self.network.stations_in.get(function, ()):
            self.devices[station].renew(factory(station))
            self.devices[station].unreachable = ""

    def load(self, network: Network) -> None:
        """Load other network files."""
        self.network = network
        self.store.networks.save(network, network_digest(network), "ana")

    async def judge(self) -> None:
        """Judge what of plans that wait follows from the files in force, as schedulers do."""
        await Validity(self.services().planner, self.clock).step()

    async def add_pools(self, *, ready: bool) -> None:
        """Pools as devices, which have nothing of ours on them, or are on record as the network files say."""
        for pool in self.network.pool_by_id:
            self.devices.add(pool, ("pool",), {f"/Pool[{pool}]": {}}, ON_POOLS)
        digest, network = self.store.networks.get()
        made = await self.services().planner.readied(network, digest, network.pool_by_id) if ready else None
        for change in made.changes if made else ():
            self.store.devices.adopt(change.station, change.gained, digest, "ana")

    def target_of(self, network: Network, device: str) -> DeviceTarget:
        return replace(TARGET, device=device, profiles=network.profiles_of(device))

    def services(self, life: Mortal | None = None) -> ActionServices:
        store, devices = InstantStore(self.store, life), MortalDevices(self.devices, life or Mortal())
        planner = Planner(store, devices, self.clock, self.target_of)  # type: ignore[arg-type]
        return ActionServices(store, planner, FakeWebhook(), self.clock)

    # --------------------------------------------------------------------- runs

    async def start(self, playbook: str, *, expect: Any = None, **given: object) -> Run:
        """Ask for a run."""
        services = self.services()
        preparation = PlaybookPreparation(services, lambda _: self.library, registry())
        launcher = Launcher(services.store, services.planner, FakeWakeups(), preparation)
        asked = RunRequest(playbook=playbook, parameters=given, expect_stations=expect, actor="ana", reason="test")
        run = await launcher.start(asked)
        self.run_id = run.id
        return run

    async def dry_run(self, playbook: str, **given: object) -> DryRun:
        preparation = PlaybookPreparation(self.services(), lambda _: self.library, registry())
        return await preparation.dry_run(RunRequest(playbook=playbook, parameters=given, actor="ana"))

    async def play(self, playbook: str, **given: object) -> dict[str, Outcome | None]:
        """A run from its request to its end; the outcome of each job."""
        await self.start(playbook, **given)
        await self.work()
        return self.outcomes

    async def plan(self, selector: str, expect: int | None = None, **remove: int) -> Plan:
        """The plan that brings devices to the network files, as people ask for it."""
        return await self.services().planner.plan(PlanRequest(selector, remove, expect), "ana")

    async def plan_back(self, run: str = "", **remove: int) -> Plan:
        """The plan that takes a run back; the latest if none is named."""
        return await undo_plan(self.services().planner, run or self.run_id, remove, "ana")

    async def begin(self, plan: Plan, policy: Policy = Policy.STATION, key: str | None = None) -> Run:
        """Ask for a plan to be carried out."""
        strategy = Strategy(policy=policy)
        services = self.services()
        preparation = PlaybookPreparation(services, lambda _: self.library, registry())
        launcher = Launcher(services.store, services.planner, FakeWakeups(), preparation)
        run = await launcher.start(RunRequest(plan=plan, actor="ana", strategy=strategy, key=key))
        self.run_id = run.id
        return run

    async def undo(self, run: str = "", **remove: int) -> dict[str, Outcome | None]:
        """A run taken back, as by ``minka undo`` and ``minka apply``; the outcome of each job."""
        await self.begin(await self.plan_back(run, **remove))
        await self.work()
        return self.outcomes

    async def instantiate(self, *functions: str) -> None:
        """Bring functions up."""
        for function in functions or tuple(self.network.function_by_id):
            outcomes = await self.play("instantiate-function", where=f"function={function}")
            assert set(outcomes.values()) == {Outcome.SUCCEEDED}, self.jobs

    async def work(self, *deaths: Mortal) -> None:
        """Processes that die one after the other, and one that lives."""
        for life in (*deaths, Mortal()):
            if await self.shift(life):
                return

    async def live(self, seconds: float) -> None:
        """A process works for a while."""
        assert not await self.shift(Mortal(), seconds, hangs=False)

    async def shift(self, life: Mortal, seconds: float = 900.0, *, hangs: bool = True) -> bool:
        """One process's life; whether the run ended before."""
        async with self.at_work(life) as process:
            begin, end = self.clock.monotonic(), self.clock.monotonic() + seconds
            while (now := self.clock.monotonic()) < end:
                await self.clock.advance(0.5 if now < begin + 60 else 4.0)
                if process.done() or life.dead:
                    return False
                if self.store.runs.get(self.run_id).state.terminal:
                    return True
            if hangs:
                raise AssertionError(f"the run hangs: {self.jobs}")
            return False

    @asynccontextmanager
    async def at_work(self, life: Mortal) -> AsyncIterator[asyncio.Task[None]]:
        """A process, which has ended afterwards and was declared dead."""
        services = self.services(life)
        of = procedures(PlaybookProcedure(services, registry()))
        devices = MortalDevices(self.devices, life)
        made = services.store, devices, self.clock, self.target_of
        tools = Tools(*made, procedure_of=of, forbids=forbids)  # type: ignore[arg-type]
        asyncio.get_running_loop().set_exception_handler(_unless_killed)
        process = asyncio.create_task(WorkerLoop("w", tools, FakeWakeups()).run(asyncio.Event()))
        try:
            yield process
        finally:
            process.cancel()
            (ended,) = await asyncio.gather(process, return_exceptions=True)
            for one in self.store.processes.alive():
                assert self.store.processes.declare_dead(one.id, one.counter)
            assert isinstance(ended, Killed | asyncio.CancelledError), ended

    # -------------------------------------------------------------------- looks

    async def look(self, *devices: str) -> None:
        """A listener begins, and looks at devices once."""
        checker = self._checker(frozenset(AlarmSource))
        await checker.record([await checker.check(self.network, device) for device in devices])

    async def look_twice(self, *devices: str) -> None:
        """What is wrong twice is an alarm."""
        checker = self._checker(frozenset(AlarmSource))
        for _ in range(2):
            await checker.record([await checker.check(self.network, device) for device in devices])
            self.clock.pause(10)

    def _checker(self, sources: frozenset[AlarmSource]) -> Checker:
        services = self.services()
        return Checker(services.store, services.planner, self.clock, sources)

    async def watch(self, seconds: int, until: Callable[[], bool], every: int = 10) -> float:
        """Listener, scheduler and worker do what they do until something is so; how many seconds that took."""
        rules = load_rules(ROOT / "playbooks" / "rules")
        promote(self.store, rules)
        services, checker, devices = (
            self.services(),
            self._checker(frozenset(AlarmSource)),
            sorted(self.network.device_kinds.keys() - self.network.pool_by_id.keys()),
        )
        launcher = Launcher(
            services.store,
            services.planner,
            FakeWakeups(),
            PlaybookPreparation(services, lambda _: LIBRARY, registry()),
        )
        remediator = Remediator(
            services.store,
            self._checker(frozenset()),
            launcher,
            FakeNotifier(),
            self.clock,
            lambda _: rules,
            breaker=Breaker(limit=1000),
            limits=Limits(1000, 1000, 1000, 1000, 100),
        )
        begin = self.clock.monotonic()
        async with self.at_work(Mortal()):
            for second in range(seconds):
                if second % every == 0:
                    await checker.record([await checker.check(self.network, device) for device in devices])
                    if until():
                        break
                await remediator.step()
                for _ in range(2):
                    await self.clock.advance(0.5)
            with suppress(asyncio.CancelledError):
                await remediator.settle()
        return self.clock.monotonic() - begin

    @property
    def jobs(self) -> list[Job]:
        return self.store.runs.jobs(self.run_id)

    @property
    def outcomes(self) -> dict[str, Outcome | None]:
        return {job.station: job.outcome for job in self.jobs}

    def pools(self, function: str) -> tuple[str, ...]:
        """Where a function is."""
        return pools_of(self.devices[function].running)

    def placed(self, function: str) -> tuple[str, ...]:
        """Where the ledger says that it is."""
        return pools_of(self.store.ledger.find([function]).get(function, {}))

    def carries(self, station: str) -> bool:
        """Whether a station carries all that is ours there, and nothing else."""
        ledger = self.store.ledger.find([station]).get(station, {})
        running: Tree = self.devices[station].running
        return bool(ledger) and set(ledger) == set(running)

    def lose_pool(self, function: str, pool: str) -> None:
        """The pool of a function does not answer any more, and its pod is gone."""
        self.devices[function].dark[pool] = f"{pool} does not answer"
        for station in self.network.stations_in.get(function, ()):
            self.devices[station].renew({})
            self.devices[station].unreachable = "its pod is gone"


def factory(station: str) -> Tree:
    """What a station carries in a pod that has just started."""
    return {f"/ManagedElement[{station}]": {}}


@cache
def _shared() -> tuple[Store, VirtualClock]:
    clock = VirtualClock(samples.NOW)
    return open_store("sqlite://", clock), clock


def _fresh() -> tuple[Store, VirtualClock]:
    """Always the same store, emptied: making one takes longer than a run does."""
    store, clock = _shared()
    empty(store)
    return store, clock
