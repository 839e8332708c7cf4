"""The store: all repositories over one database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from controller.models.metrics import Observations
from controller.ports.clock import Clock, SystemClock
from controller.store.across.networks import Networks
from controller.store.across.status import Status
from controller.store.across.tenants import Tenants
from controller.store.alarms.alarms import Alarms, Escalations
from controller.store.alarms.heartbeats import Heartbeats
from controller.store.alarms.repairs import Repairs
from controller.store.alarms.reports import Reports
from controller.store.alarms.rules import Rules
from controller.store.alarms.works import Works
from controller.store.audit.audit import Audit
from controller.store.audit.integrity import Integrity
from controller.store.audit.trail_log import TrailLog
from controller.store.database.engine import PATIENCE, ROLE, SILENCE, make_engine
from controller.store.database.evidence import Evidence
from controller.store.database.repository import Async, AsyncRepository, M_co, Repository, Sync
from controller.store.database.transaction import Database
from controller.store.incidents.incidents import Incidents
from controller.store.incidents.notices import Notices
from controller.store.incidents.on_call import Calls
from controller.store.jobs.gates import Gates
from controller.store.jobs.journal import Journal
from controller.store.jobs.processes import Processes
from controller.store.jobs.questions import Questions
from controller.store.jobs.steps import Steps
from controller.store.network.behaviours import Behaviours
from controller.store.network.collections import Collections
from controller.store.network.definitions import DefinitionVersions
from controller.store.network.devices import Devices, Healths
from controller.store.network.holds import Holds, Switches
from controller.store.network.ledger import Ledger
from controller.store.network.plans import Plans
from controller.store.people.comments import Comments
from controller.store.people.people import SignIns, Tokens, Users
from controller.store.performance.collected_files import CollectedFiles
from controller.store.performance.kpi_evaluations import KpiEvaluations
from controller.store.performance.measurements import Measurements
from controller.store.performance.statements import Statements
from controller.store.runs.approvals import Approvals, Freezes
from controller.store.runs.claims import Claims
from controller.store.runs.runs import Runs
from controller.store.upgrade import upgrade_database

P = ParamSpec("P")
T = TypeVar("T")


class Records(Generic[M_co]):
    """The repositories."""

    alarms: Alarms[M_co]
    approvals: Approvals[M_co]
    audit: Audit[M_co]
    behaviours: Behaviours[M_co]
    calls: Calls[M_co]
    claims: Claims[M_co]
    collected_files: CollectedFiles[M_co]
    collections: Collections[M_co]
    comments: Comments[M_co]
    definitions: DefinitionVersions[M_co]
    devices: Devices[M_co]
    escalations: Escalations[M_co]
    freezes: Freezes[M_co]
    gates: Gates[M_co]
    healths: Healths[M_co]
    heartbeats: Heartbeats[M_co]
    holds: Holds[M_co]
    incidents: Incidents[M_co]
    integrity: Integrity[M_co]
    journal: Journal[M_co]
    kpi_evaluations: KpiEvaluations[M_co]
    ledger: Ledger[M_co]
    measurements: Measurements[M_co]
    networks: Networks[M_co]
    notices: Notices[M_co]
    plans: Plans[M_co]
    processes: Processes[M_co]
    questions: Questions[M_co]
    repairs: Repairs[M_co]
    reports: Reports[M_co]
    rules: Rules[M_co]
    runs: Runs[M_co]
    sign_ins: SignIns[M_co]
    statements: Statements[M_co]
    status: Status[M_co]
    steps: Steps[M_co]
    switches: Switches[M_co]
    tenants: Tenants[M_co]
    tokens: Tokens[M_co]
    trail: TrailLog[M_co]
    users: Users[M_co]
    works: Works[M_co]


@dataclass(frozen=True, slots=True)
class Read:
    """A piece of work that changes nothing."""

    work: Callable[[Store], Any]

    def __call__(self, store: Store) -> Any:
        """Carry out the work in one transaction."""
        return store.database.run(lambda tx: store.database.join(tx, partial(self.work, store)), "DEFERRED")


class Store(Records[Sync]):
    """The record, for threads, on SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.alarms = Alarms(database)
        self.approvals = Approvals(database)
        self.audit = Audit(database)
        self.behaviours = Behaviours(database)
        self.calls = Calls(database)
        self.claims = Claims(database)
        self.collected_files = CollectedFiles(database)
        self.collections = Collections(database)
        self.comments = Comments(database)
        self.definitions = DefinitionVersions(database)
        self.devices = Devices(database)
        self.escalations = Escalations(database)
        self.freezes = Freezes(database)
        self.gates = Gates(database)
        self.healths = Healths(database)
        self.heartbeats = Heartbeats(database)
        self.holds = Holds(database)
        self.incidents = Incidents(database)
        self.integrity = Integrity(database)
        self.journal = Journal(database)
        self.kpi_evaluations = KpiEvaluations(database)
        self.ledger = Ledger(database)
        self.measurements = Measurements(database)
        self.networks = Networks(database)
        self.notices = Notices(database)
        self.plans = Plans(database)
        self.processes = Processes(database)
        self.questions = Questions(database)
        self.repairs = Repairs(database)
        self.reports = Reports(database)
        self.rules = Rules(database)
        self.runs = Runs(database)
        self.sign_ins = SignIns(database)
        self.statements = Statements(database)
        self.status = Status(database)
        self.steps = Steps(database)
        self.switches = Switches(database)
        self.tenants = Tenants(database)
        self.tokens = Tokens(database)
        self.trail = TrailLog(database)
        self.users = Users(database)
        self.works = Works(database)

    def transaction(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on this store in one transaction, and repeat it while that may help."""
        return self.database.run(lambda tx: self.database.join(tx, partial(work, self, *args, **kwargs)))

    def close(self) -> None:
        """Release connections."""
        self.database.engine.dispose()


class AsyncStore(Records[Async], ABC):
    """The record, for coroutines. Calls that wait at the same time share a commit; heartbeats go first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        for name, repository in vars(store).items():
            if isinstance(repository, Repository):
                setattr(self, name, AsyncRepository(repository, self.call))

    async def transaction(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in the store's thread, in one transaction; it is committed when this returns."""
        return await self.call(lambda store: store.transaction(work, *args, **kwargs))

    async def read(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work``, which changes nothing, in one transaction that waits for no writer."""
        found: T = await self.call(Read(lambda store: work(store, *args, **kwargs)))
        return found

    @abstractmethod
    async def call(self, work: Callable[[Store], T]) -> T:
        """Carry out ``work``."""


def open_store(
    url: str,
    clock: Clock | None = None,
    *,
    evidence: Callable[[Store], Evidence] | None = None,
    busy_timeout: float = PATIENCE,
    silence: float = SILENCE,
    observations: Observations | None = None,
    role: str = ROLE,
) -> Store:
    """Open a database, upgraded to this version's tables.

    Args:
        url: ``sqlite:///path``, ``postgresql://…``, or ``sqlite://`` for a database in memory that
            lives as long as the store (the shipped fake of tests).
        clock: Source of time; the machine's own by default.
        evidence: Makes the evidence outside of the database (``controller.store.database.evidence``); None for none.
        busy_timeout: Seconds for which one call waits for locks that others keep, in all its attempts together.
        silence: Seconds without an answer after which PostgreSQL is taken to hang.
        observations: Counts what is found damaged.
        role: Of whose process the connections are, as an administrator of PostgreSQL sees it.

    Raises:
        StoreError: The database is unreachable, or was made by a version that this one does not know.
    """
    engine = make_engine(url, busy_timeout, silence, role)
    database = Database(engine, clock or SystemClock(), observations=observations, patience=busy_timeout)
    try:
        upgrade_database(database)
        store = Store(database)
        if evidence is not None:
            database.evidence = evidence(store)
    except BaseException:
        database.engine.dispose()
        raise
    return store
