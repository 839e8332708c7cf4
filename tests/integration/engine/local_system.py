"""One controller of a test, with a station of ``peru-mini`` on any server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from controller.assurance.checker import Checker
from controller.drivers.devices import AllDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.registry import target_of
from controller.inventory.load import load_network
from controller.models.alarm import AlarmSource
from controller.models.health import Health
from controller.models.network import Network, network_digest
from controller.models.plan import Plan
from controller.models.run import Job, RunState, Strategy
from controller.models.step import StepRecord, StepState
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.preparation import PlaybookPreparation
from controller.playbook.language.library import Library
from controller.ports.clock import SystemClock
from controller.ports.notifier import FakeNotifier
from controller.ports.queue import FakeWakeups
from controller.ports.webhook import FakeWebhook
from controller.remediation.remediator import Remediator
from controller.runs.launch import Launcher
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.procedures import Tools
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.record import Record, always
from controller.runs.transaction.transaction import Transaction
from controller.store import JobResult, LoopStore, RunRequest, Store, Transition
from tests.support.definitions import load_rules
from tests.support.launch import submit
from tests.support.rules import promote
from tests.support.secrets import LocalSecrets
from tests.unit.runs.transaction_bench import InstantStore, Interrupter, Killed, MortalDevices

RULES = Path(__file__).parents[3] / "playbooks" / "rules"
NETWORKS = Path(__file__).parents[3] / "deploy" / "networks"


def network_at(target: NetconfTarget, folder: Path, *, entel: bool = False) -> Network:
    """``peru-mini`` with a station's endpoint where the target is."""
    endpoints = folder / "endpoints.csv"
    row = ",".join(
        (target.device, target.address, str(target.port), target.host_key, target.username, target.credential)
    )
    endpoints.write_text(f"station,address,port,host_key,username,credential\n{row}\n", encoding="utf-8")
    network = load_network(NETWORKS / "peru-mini", endpoints=endpoints)
    if not entel:
        return network
    whole = folder / "network"
    whole.mkdir()
    for path in (NETWORKS / "peru-mini").iterdir():
        (whole / path.name).write_bytes(path.read_bytes())
    (whole / "entel.yaml").write_bytes((NETWORKS / "peru-mini-add-entel.yaml").read_bytes())
    return load_network(whole, endpoints=endpoints)


class Behind(Interrupter):
    """Kills a worker behind so many calls of a kind."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(after=True)
        self._name, self._count = name, count

    def due(self, name: str) -> bool:
        self.calls.append(name)
        return name == self._name and self.calls.count(name) == self._count


class LocalSystem:
    """Store, devices and planner of one controller."""

    def __init__(self, store: Store) -> None:
        self.store, self.loop_store, self.clock = store, LoopStore(store), SystemClock()
        self.devices = AllDevices(LocalSecrets(), rpc_timeout=20, connect_timeout=20)
        self.transactions: list[str] = []
        self.planner = Planner(self.loop_store, self.devices, self.clock, target_of)

    async def plan(self, network: Network, station: str) -> Plan:
        """Load a version and plan a station."""
        self.store.networks.save(network, network_digest(network), "ana")
        return await self.planner.plan(PlanRequest(station), "ana")

    async def apply(self, plan: Plan, *, patience: int = 1) -> tuple[RunState, Job]:
        """Apply a plan to its end."""
        wakeups = FakeWakeups()
        worker = WorkerLoop("w", Tools(self.loop_store, self.devices, self.clock, target_of), wakeups)
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        run = submit(self.store, wakeups, RunRequest(plan=plan, actor="ana", strategy=Strategy(check_timeout=patience)))
        while not self.store.runs.get(run.id).state.terminal:
            await asyncio.sleep(0.1)
        stop.set()
        await task
        (job,) = self.store.runs.jobs(run.id)
        return self.store.runs.get(run.id).state, job

    def begin(self, plan: Plan, confirm_timeout: int | None = None) -> None:
        """Begin a run without a worker: ``work`` is one."""
        strategy = Strategy(check_timeout=1, confirm_timeout=confirm_timeout)
        asked = RunRequest(plan=plan, actor="ana", strategy=strategy)
        run = submit(self.store, FakeWakeups(), asked)
        self.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))

    async def work(self, network: Network, interrupter: Interrupter, *, step: bool = False) -> JobResult:
        """Work on the next job, or as a ``step`` of one, as a worker that may be killed, and is then declared dead."""
        (claim,) = self.store.claims.take(self.store.processes.register("w"), 10)
        if step:
            row = StepRecord(
                job=claim.job.id,
                position=0,
                name="apply",
                action="apply-intent",
                state=StepState.STARTED,
                change=claim.change,
                started=self.clock.now(),
            )
            self.store.steps.write(row, claim)
            claim = replace(claim, transaction=f"{claim.transaction}.{row.transaction}")
        self.transactions.append(claim.transaction)
        record = Record(claim, InstantStore(self.store), self.clock, always)
        devices = MortalDevices(self.devices, interrupter)  # type: ignore[arg-type]
        target = target_of(network, claim.job.station)
        transaction = Transaction(claim, target, devices, record, self.clock, Patience(busy=1))  # type: ignore[arg-type]
        try:
            return await transaction.run()
        except Killed:
            (one,) = [known for known in self.store.processes.alive() if known.id == claim.incarnation]
            self.store.processes.declare_dead(one.id, one.counter)
            raise

    async def watch(self, network: Network, station: str) -> Health:
        """Look three times, as the listener does, and let the remediation loop work; the last health."""
        checker = Checker(self.loop_store, self.planner, self.clock, frozenset(AlarmSource))
        rules = load_rules(RULES)
        promote(self.store, rules)
        bench = ActionServices(self.loop_store, self.planner, FakeWebhook(), self.clock)
        playbooks = PlaybookPreparation(bench, lambda _: Library.in_folder(RULES.parent, registry()), registry())
        launcher = Launcher(self.loop_store, self.planner, FakeWakeups(), playbooks)
        remediator = Remediator(self.loop_store, checker, launcher, FakeNotifier(), self.clock, lambda _: rules)
        for _ in range(3):
            await checker.record([await checker.check(network, station)])
            await remediator.step()
            await remediator.settle()
        return self.store.healths.find()[station]

    async def close(self) -> None:
        """Close all."""
        await self.devices.close()
        await self.loop_store.close()
        self.store.close()
