"""A controller's record and a station in memory, in time that jumps, for transactions to go wrong in."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, cached_property
from typing import TypeVar
from weakref import WeakKeyDictionary

from controller.drivers.fake import SAFE, FakeDevice, FakeDevices, Fault, FaultKind
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import Capabilities, DeviceSession, Notification
from controller.drivers.target import DeviceTarget
from controller.models.network import Network, network_digest
from controller.models.plan import Change, Changes, Plan
from controller.models.run import JournalEntry, JournalStep, Run, RunState, Strategy
from controller.nrm.profiles import root_spec
from controller.nrm.schema import spec_of
from controller.nrm.tree import Observed, Path, Tree
from controller.plan import StationView
from controller.ports.clock import VirtualClock
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.record import Record
from controller.runs.transaction.transaction import Transaction
from controller.store import AsyncStore, Claim, JobResult, NewJob, Page, Store, Transition, open_store
from controller.store.database.columns import metadata
from tests.support.launch import prepared
from tests.support.quick_stores import copy_tables
from tests.unit.plan import samples

T = TypeVar("T")
STATION = "S1"
TARGET = NetconfTarget(STATION, samples.PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")
QUICK = Strategy(check_timeout=2, confirm_timeout=60)
#: Offers a candidate, but no confirmed commit that could be trusted.
STARTING = replace(SAFE, startup=True)
UNSAFE = Capabilities(candidate=True, confirmed_commit=False, writable_running=False, startup=False, validate=True)


class JumpClock(VirtualClock):
    """Virtual time in which whoever sleeps is the only one awake: sleeping moves it on."""

    async def sleep(self, seconds: float) -> None:
        self.pause(seconds)
        await asyncio.sleep(0)


class Killed(BaseException):
    """The process died here."""


@dataclass
class Interrupter:
    """Kills at the n-th call of a device or of the record.

    Attributes:
        at: Number of the call, from 1; 0 never kills.
        after: Whether the call still takes effect.
        hung: Whether the host vanished, so that the device keeps session and locks.
        calls: What was called, in order.
    """

    at: int = 0
    after: bool = False
    hung: bool = False
    calls: list[str] = field(default_factory=list)

    def due(self, name: str) -> bool:
        self.calls.append(name)
        return len(self.calls) == self.at

    async def reach(self, name: str) -> bool:
        """Come to a call; whether the process dies in it."""
        return self.due(name)


class InstantStore(AsyncStore):
    """A store without a thread."""

    def __init__(self, store: Store, interrupter: Interrupter | None = None) -> None:
        super().__init__(store)
        self._interrupter = interrupter or Interrupter()

    async def call(self, work: Callable[[Store], T]) -> T:
        await asyncio.sleep(0)
        killed = await self._interrupter.reach("record")
        if killed and not self._interrupter.after:
            raise Killed
        result = work(self._store)
        if killed:
            raise Killed
        return result


class _Session:
    """A session whose every call may be the process's last."""

    def __init__(self, session: DeviceSession, interrupter: Interrupter) -> None:
        self._session = session
        self._interrupter = interrupter

    def __getattr__(self, name: str) -> object:
        attribute = getattr(self._session, name)
        if name in ("session_id", "capabilities"):
            return attribute

        async def call(*args: object, **kwargs: object) -> object:
            killed = await self._interrupter.reach(name)
            if killed and not self._interrupter.after:
                self._die()
            result = await attribute(*args, **kwargs)
            if killed:
                self._die()
            return result

        return call

    def _die(self) -> None:
        if self._interrupter.hung:
            self._session._hung = True  # type: ignore[attr-defined]
        raise Killed


class MortalDevices:
    """``Devices`` for a process that may die."""

    def __init__(self, devices: FakeDevices, interrupter: Interrupter) -> None:
        self._devices = devices
        self._interrupter = interrupter

    @asynccontextmanager
    async def session(self, target: DeviceTarget) -> AsyncIterator[DeviceSession]:
        async with self._devices.session(target) as session:
            yield _Session(session, self._interrupter)  # type: ignore[misc]

    def notifications(
        self, target: DeviceTarget, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        return self._devices.notifications(target, since, listening)


def _retuned() -> Network:
    cells = [cell.model_dump() for cell in samples.network().cells]
    for cell in cells:
        if cell["rat"] == "LTE":
            cell["pci"] = 7
    return samples.network(cells=cells)


@dataclass(frozen=True)
class Scenario:
    """A station, and what is planned on it."""

    before: Observed
    plan: Plan
    capabilities: Capabilities = SAFE

    @cached_property
    def change(self) -> Change:
        return samples.only_change(self.plan)

    @cached_property
    def after(self) -> Tree:
        view = StationView(self.before, adopted=True)
        observed = samples.apply(samples.network(), self.change, view).observed
        assert observed is not None
        return observed.tree


@cache
def add_tenant(capabilities: Capabilities = SAFE, *, reserved: bool = False) -> Scenario:
    """One phase: a third tenant comes onto the station."""
    old, options = samples.network(), replace(samples.FREELY, reserved=reserved)
    made = samples.plan(samples.network(("alfa", "beta", "gamma")), {STATION: samples.view(old)}, options)
    return Scenario(samples.carrying(old), made, capabilities)


@cache
def add_tenant_in_two() -> Scenario:
    """Two phases, both of which create nodes."""
    whole = add_tenant()
    (phase,) = whole.change.phases
    half = len(phase.edits) // 2
    parts = [phase.edits[:half], phase.edits[half:]]
    taken_back = [tuple(undo for undo in phase.inverse if undo.path in {edit.path for edit in part}) for part in parts]
    phases = tuple(
        phase.model_copy(update={"edits": part, "inverse": inverse})
        for part, inverse in zip(parts, taken_back, strict=True)
    )
    made = whole.plan.model_copy(update={"changes": Changes.of([whole.change.model_copy(update={"phases": phases})])})
    return Scenario(whole.before, made)


@cache
def retune(capabilities: Capabilities = SAFE) -> Scenario:
    """Three phases: lock, edit, unlock."""
    old = samples.network()
    return Scenario(samples.carrying(old), samples.plan(_retuned(), {STATION: samples.view(old)}), capabilities)


@cache
def change_primary(capabilities: Capabilities = SAFE) -> Scenario:
    """Five phases: lock, a third tenant comes, the others go behind it in two, unlock."""
    old = samples.network()
    cells = [cell.model_dump() | {"primary_plmn": "716-03"} for cell in old.cells]
    header = {**old.header.model_dump(), "host_plmn": "716-01"}
    new = samples.network(("alfa", "beta", "gamma"), cells=cells, header=header)
    options = replace(samples.FREELY, identities=True)
    return Scenario(samples.carrying(old), samples.plan(new, {STATION: samples.view(old)}, options), capabilities)


def new_world() -> tuple[Store, JumpClock]:
    """An empty record, and a time of its own."""
    clock = JumpClock()
    return open_store("sqlite://", clock), clock


@cache
def _shared_store() -> tuple[Store, JumpClock]:
    """Always the same store: making one takes longer than a transaction does."""
    return new_world()


_TABLES = [f'"{table.name}"' for table in metadata.sorted_tables]
_Rows = list[tuple[str, list[tuple[object, ...]]]]
#: What a network and a plan are on record, by store: each has its own time.
_begun: WeakKeyDictionary[Store, dict[object, _Rows]] = WeakKeyDictionary()


def begin_anew(store: Store, network: Network, plan: Plan) -> None:
    """Delete all that is on record but a network and a plan, whose rows are those that were written the first time."""
    digest = network_digest(network)
    key = digest, plan.digest, tuple(plan.changes.packed.items())
    begun = _begun.setdefault(store, {})
    empty(store)
    with _driver(store) as driver, driver:
        driver.execute("BEGIN")
        for table, rows in begun.get(key, ()):
            driver.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    if key not in begun:
        store.networks.save(network, digest, "ana")
        store.plans.save(plan, "ana")
        with _driver(store) as driver:
            kept = [(table, driver.execute(f"SELECT * FROM {table}").fetchall()) for table in _TABLES]
        begun[key] = [(table, rows) for table, rows in kept if rows]


def empty(store: Store) -> None:
    """Delete all that is on record."""
    # A test that ran into its time-out may have lost the connection, and a database in memory with it.
    copy_tables(store.database.engine)
    with _driver(store) as driver, driver:
        driver.execute("BEGIN")
        for table in reversed(_TABLES):
            driver.execute(f"DELETE FROM {table}")


@contextmanager
def _driver(store: Store) -> Iterator[sqlite3.Connection]:
    with closing(store.database.engine.raw_connection()) as connection:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        yield driver


def _in_order(tree: Tree) -> list[Path]:
    """Entries of lists that are in order, list by list: those of other lists stand anyhow."""
    root = root_spec(samples.PROFILES)
    found = [path for path in tree if (spec := spec_of(root, path)) is not None and spec.user_ordered]
    return sorted(found, key=lambda path: path[: path.rindex("[")])


class TransactionBench:
    """One run of one plan on one station. There is only one world at a time.

    Args:
        scenario: What the plan changes.
        strategy: How the run goes.
        world: Its record and its time; by default those that all tests share, where time goes on from test to test.
    """

    def __init__(
        self,
        scenario: Scenario,
        strategy: Strategy | None = None,
        world: tuple[Store, JumpClock] | None = None,
    ) -> None:
        self.scenario = scenario
        self.store, self.clock = world or _shared_store()
        begin_anew(self.store, samples.network(), scenario.plan)
        self.devices = FakeDevices(self.clock)
        self.device: FakeDevice = self.devices.add(
            STATION, samples.PROFILES, scenario.before.tree, scenario.capabilities
        )
        self.alive = True
        self.run = self.start(strategy or Strategy())

    def start(self, strategy: Strategy) -> Run:
        jobs = [NewJob(0, STATION)]
        run = self.store.runs.create(prepared(self.scenario.plan, "apply", strategy, jobs, actor="ana"))
        self.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
        return self.store.runs.get(run.id)

    def claim(self) -> Claim:
        """The job, in the hands of a new worker."""
        (claim,) = self.store.claims.take(self.store.processes.register("w"), 10)
        return claim

    def declare_dead(self, claim: Claim) -> None:
        """Declare the worker of a claim dead."""
        counter = next(one.counter for one in self.store.processes.alive() if one.id == claim.incarnation)
        assert self.store.processes.declare_dead(claim.incarnation, counter)

    def transaction(self, claim: Claim, interrupter: Interrupter | None = None) -> Transaction:
        interrupter = interrupter or Interrupter()
        record = Record(claim, InstantStore(self.store, interrupter), self.clock, self.believes)
        devices = MortalDevices(self.devices, interrupter)
        return Transaction(claim, TARGET, devices, record, self.clock, Patience())  # type: ignore[arg-type]

    async def believes(self) -> bool:
        return self.alive

    async def work(self, claim: Claim | None = None) -> JobResult:
        """Bring the job to its end, on record."""
        claim = claim or self.claim()
        result = await self.transaction(claim).run()
        self.store.claims.finish(claim, result)
        return result

    # ------------------------------------------------------------------ faults

    def fault(self, operation: str, wrong: FaultKind | None = None, *, skip: int = 0, times: int = 1) -> None:
        self.device.faults.append(Fault(operation, wrong, skip=skip, times=times))

    def act(self, operation: str, act: Callable[[], None], *, skip: int = 0) -> None:
        self.device.faults.append(Fault(operation, None, act, skip))

    def break_link(self) -> None:
        """The new tenant's core does not answer."""
        self.device.broken_links = {path for path in self.scenario.after if "EP_S1C[gamma" in path}

    # ------------------------------------------------------------------- looks

    @property
    def changes(self) -> int:
        """Changes of running so far."""
        return len(self.device.history) - 1

    @property
    def steps(self) -> list[JournalStep]:
        return [row.step for row in self.journal]

    @property
    def journal(self) -> list[JournalEntry]:
        (transaction,) = {row.transaction for row in self._rows()} or {""}
        return self.store.journal.find(transaction)

    def _rows(self) -> list[JournalEntry]:
        with self.store.database.engine.connect() as connection:
            names = connection.exec_driver_sql('SELECT DISTINCT "transaction" FROM journal').scalars().all()
        return [row for name in names for row in self.store.journal.find(name)]

    def outlive_timers(self) -> None:
        """Let every timer of the device run out."""
        self.clock.pause(4000)

    def assert_settled(self, result: JobResult) -> None:
        """Device, ledger and record say the same, now and after every timer; nothing is left behind."""
        done = result.outcome.good
        self.outlive_timers()
        expected = self.scenario.after if done else self.scenario.before.tree
        assert self.device.running == expected, result
        assert _in_order(self.device.running) == _in_order(expected), result
        assert not self.device.pending
        assert not self.device.lock_holder
        assert self.device.candidate == self.device.running or not self.scenario.capabilities.candidate
        ledger = self.store.ledger.find([STATION]).get(STATION, {})
        gained = {node.path for node in self.scenario.change.gained}
        assert set(ledger) == (gained if done else set())
        (job,) = self.store.runs.jobs(self.run.id)
        assert job.outcome is result.outcome
        assert self.steps.count(JournalStep.FINISHED) == 1
        assert not self.store.claims.busy([STATION])
        assert self.store.audit.verify() is None
        _, rows = self.store.audit.page(Page(limit=1000))
        assert sum(row.action == "job.finished" for row in rows) == 1
