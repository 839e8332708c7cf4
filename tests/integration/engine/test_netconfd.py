"""The main job, straight through the real path, on a server that nobody here wrote: Debian's netconfd.

A station of ``peru-mini`` stands on netconfd behind OpenSSH: network files → plan → run → NETCONF → ledger. netconfd
reports no states for our modules, so configuration is verified by read-back and the outcome says what was not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.models.health import ServiceState
from controller.models.network import network_digest
from controller.models.run import JournalStep, Outcome, RunState, Strategy
from controller.ports.devices import target_of
from controller.ports.queue import FakeWakeups
from controller.ports.store import JobResult, Page, RunRequest, Transition
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.record import Record, always
from controller.runs.transaction.transaction import Transaction
from controller.store import open_store
from tests.integration.engine.local_system import LocalSystem, network_at
from tests.support.launch import submit
from tests.support.netconfd import Netconfd, netconfd
from tests.unit.runs.transaction_bench import InstantStore, Interrupter, Killed, MortalDevices

STATION = "PE-CUS-0147"  # LTE and NR
OTHER = "PE-CUS-0145"

pytestmark = pytest.mark.needs("netconfd", "sshd")


@pytest.fixture(scope="module")
def server() -> Iterator[Netconfd]:
    with netconfd() as running:
        yield running


async def test_from_network_files_to_a_verified_station(server: Netconfd, tmp_path: Path) -> None:
    system = LocalSystem(open_store(f"sqlite:///{tmp_path / 'record.sqlite3'}"))
    try:
        three = network_at(server.target(STATION), tmp_path)
        system.store.networks.save(three, network_digest(three), "ana")
        await system.planner.adopt(STATION, "ana")
        state, job = await system.apply(await system.plan(three, STATION))
        assert (state, job.detail) == (
            RunState.SUCCEEDED,
            "the station reports no states: cells and core links were not checked",
        )
        assert (await system.plan(three, STATION)).is_empty
        assert await system.planner.drift([STATION]) == {STATION: ()}

        # What it does not tell is unknown: no alarm is raised, and nothing is repaired.
        health = await system.watch(three, STATION)
        assert {link.state for link in health.links} == set(health.cells.values()) == {ServiceState.UNKNOWN}
        assert system.store.alarms.page(Page(10)) == (0, [])
        assert system.store.runs.page(Page(10))[0] == 1

        # A fourth tenant comes: only its nodes change.
        onboard = await system.plan(network_at(server.target(STATION), tmp_path, entel=True), STATION)
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
        network = network_at(server.target(OTHER), tmp_path)
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
