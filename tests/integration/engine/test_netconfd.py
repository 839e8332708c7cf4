"""The main job, straight through the real path, on a server that nobody here wrote: Debian's netconfd.

A station of ``peru-mini`` stands on netconfd behind OpenSSH: network files → plan → run → NETCONF → ledger. netconfd
reports no states for our modules, so configuration is verified by read-back and the outcome says what was not checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.assurance.checker import Checker
from controller.device import SshDevices
from controller.inventory.load import load_network
from controller.models.alarm import AlarmSource
from controller.models.health import Health, ServiceState
from controller.models.network import Network, network_digest
from controller.models.plan import Plan
from controller.models.run import Job, JournalStep, Outcome, RunState, Strategy
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.preparation import PlaybookPreparation
from controller.playbook.language.library import Library
from controller.ports.clock import SystemClock
from controller.ports.devices import target_of
from controller.ports.notifier import FakeNotifier
from controller.ports.queue import FakeWakeups
from controller.ports.store import JobResult, Page, RunRequest, Transition
from controller.ports.webhook import FakeWebhook
from controller.remediation.remediator import Remediator
from controller.remediation.rules import load_rules
from controller.runs.launch import Launcher
from controller.runs.loop import WorkerLoop
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.procedures import Tools
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.record import Record, always
from controller.runs.transaction.transaction import Transaction
from controller.store import LoopStore, SqlStore, open_store
from tests.support.launch import submit
from tests.support.netconfd import Netconfd, netconfd
from tests.support.rules import promote
from tests.support.secrets import LocalSecrets
from tests.unit.runs.transaction_bench import InstantStore, Interrupter, Killed, MortalDevices

RULES = Path(__file__).parents[3] / "playbooks" / "rules"
NETWORKS = Path(__file__).parents[3] / "deploy" / "networks"
STATION = "PE-CUS-0147"  # LTE and NR
OTHER = "PE-CUS-0145"

pytestmark = pytest.mark.needs("netconfd", "sshd")


@pytest.fixture(scope="module")
def server() -> Iterator[Netconfd]:
    with netconfd() as running:
        yield running


def network_at(server: Netconfd, folder: Path, *, entel: bool = False, station: str = STATION) -> Network:
    """``peru-mini`` with a station's endpoint on netconfd."""
    endpoints = folder / "endpoints.csv"
    ssh = server.ssh
    row = f"{station},127.0.0.1,{ssh.port},{ssh.host_key},{ssh.username},{ssh.credential}"
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


class LocalSystem:
    """Store, devices and planner of one controller."""

    def __init__(self, store: SqlStore) -> None:
        self.store, self.loop_store, self.clock = store, LoopStore(store), SystemClock()
        self.devices = SshDevices(LocalSecrets(), rpc_timeout=20, connect_timeout=20)
        self.planner = Planner(self.loop_store, self.devices, self.clock, target_of)

    async def plan(self, network: Network, station: str = STATION) -> Plan:
        """Load a version and plan a station."""
        self.store.networks.save(network, network_digest(network), "ana")
        return await self.planner.plan(PlanRequest(station), "ana")

    async def apply(self, plan: Plan) -> tuple[RunState, Job]:
        """Apply a plan to its end."""
        wakeups = FakeWakeups()
        worker = WorkerLoop("w", Tools(self.loop_store, self.devices, self.clock, target_of), wakeups)
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        run = submit(self.store, wakeups, RunRequest(plan=plan, actor="ana", strategy=Strategy(check_timeout=1)))
        while not self.store.runs.get(run.id).state.terminal:
            await asyncio.sleep(0.1)
        stop.set()
        await task
        (job,) = self.store.runs.jobs(run.id)
        return self.store.runs.get(run.id).state, job

    async def watch(self, network: Network) -> Health:
        """Look three times, as the listener does, and let the remediation loop work; the last health."""
        checker = Checker(self.loop_store, self.planner, self.clock, frozenset(AlarmSource))
        rules = load_rules(RULES)
        promote(self.store, rules)
        bench = ActionServices(self.loop_store, self.planner, FakeWebhook(), self.clock)
        playbooks = PlaybookPreparation(bench, Library(RULES.parent, registry()))
        launcher = Launcher(self.loop_store, self.planner, FakeWakeups(), playbooks)
        remediator = Remediator(self.loop_store, checker, launcher, FakeNotifier(), self.clock, rules)
        for _ in range(3):
            await checker.record([await checker.check(network, STATION)])
            await remediator.step()
            await remediator.settle()
        return self.store.healths.find()[STATION]

    async def close(self) -> None:
        """Close all."""
        await self.devices.close()
        await self.loop_store.close()
        self.store.close()


async def test_from_network_files_to_a_verified_station(server: Netconfd, tmp_path: Path) -> None:
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        three = network_at(server, tmp_path)
        system.store.networks.save(three, network_digest(three), "ana")
        await system.planner.adopt(STATION, "ana")
        state, job = await system.apply(await system.plan(three))
        assert (state, job.detail) == (
            RunState.SUCCEEDED,
            "the station reports no states: cells and core links were not checked",
        )
        assert (await system.plan(three)).is_empty
        assert await system.planner.drift([STATION]) == {STATION: ()}

        # What it does not tell is unknown: no alarm is raised, and nothing is repaired.
        health = await system.watch(three)
        assert {link.state for link in health.links} == set(health.cells.values()) == {ServiceState.UNKNOWN}
        assert system.store.alarms.page(Page(10)) == (0, [])
        assert system.store.runs.page(Page(10))[0] == 1

        # A fourth tenant comes: only its nodes change.
        onboard = await system.plan(network_at(server, tmp_path, entel=True))
        assert [change.touched for change in onboard.changes] == [("entel",)]
        before = (await system.planner.read(three, STATION)).tree
        assert (await system.apply(onboard))[0] is RunState.SUCCEEDED
        after = (await system.planner.read(three, STATION)).tree
        new = {path for path in after if path not in before}
        ledger = system.store.ledger.find([STATION])[STATION]
        assert new
        assert all(ledger[path].owners == ("entel",) for path in new)
        assert {path: after[path] for path in before} == dict(before)
    finally:
        await system.close()


class _BehindCommits(Interrupter):
    """Kills behind so many confirmed commits."""

    def __init__(self, commits: int) -> None:
        super().__init__(after=True)
        self._commits = commits

    def due(self, name: str) -> bool:
        self.calls.append(name)
        return name == "commit_confirmed" and self.calls.count(name) == self._commits


async def test_a_dead_workers_commit_is_confirmed_by_its_token(server: Netconfd, tmp_path: Path) -> None:
    """netconfd denies all locks while a commit is pending, and takes confirm and cancel without."""
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        network = network_at(server, tmp_path, station=OTHER)
        system.store.networks.save(network, network_digest(network), "ana")
        await system.planner.adopt(OTHER, "ana")
        plan = await system.plan(network, OTHER)
        run = submit(
            system.store, FakeWakeups(), RunRequest(plan=plan, actor="ana", strategy=Strategy(check_timeout=1))
        )
        system.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))

        transactions: list[str] = []

        async def work(interrupter: Interrupter) -> JobResult:
            (claim,) = system.store.claims.take(system.store.processes.register("w"), 10)
            transactions.append(claim.transaction)
            record = Record(claim, InstantStore(system.store), system.clock, always)
            devices = MortalDevices(system.devices, interrupter)  # type: ignore[arg-type]
            target = target_of(network, OTHER)
            transaction = Transaction(claim, target, devices, record, system.clock, Patience())  # type: ignore[arg-type]
            try:
                return await transaction.run()
            except Killed:
                (one,) = [known for known in system.store.processes.alive() if known.id == claim.incarnation]
                system.store.processes.declare_dead(one.id, one.counter)
                raise

        with pytest.raises(Killed):
            # The probe sends two.
            await work(_BehindCommits(2 + len(plan.changes[0].phases)))
        begun = system.clock.monotonic()
        result = await work(Interrupter())
        assert result.outcome is Outcome.SUCCEEDED, result.detail
        assert system.clock.monotonic() - begun < 30  # the commit's timer has 61 s
        rows = system.store.journal.find(transactions[0])
        assert [row.step for row in rows].count(JournalStep.READ) == 1  # nothing was done twice
        (probe,) = [row for row in rows if row.step is JournalStep.PROBING]
        assert probe.persist != next(row.persist for row in rows if row.step is JournalStep.COMMITTING)
    finally:
        await system.close()
