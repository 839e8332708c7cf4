"""The store: all repositories over one database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from controller.models.metrics import Observations
from controller.ports.clock import Clock, SystemClock
from controller.ports.store import AsyncStore, Store
from controller.store.alarms import SqlAlarms, SqlEscalations, SqlRepairs
from controller.store.approvals import SqlApprovals, SqlFreezes
from controller.store.audit import SqlAudit
from controller.store.behaviours import SqlBehaviours
from controller.store.claims import SqlClaims
from controller.store.collections import SqlCollections
from controller.store.comments import SqlComments
from controller.store.definitions import SqlDefinitions
from controller.store.devices import SqlDevices, SqlHealths
from controller.store.engine import SILENCE, make_engine
from controller.store.evidence import Evidence
from controller.store.gates import SqlGates
from controller.store.heartbeats import SqlHeartbeats
from controller.store.holds import SqlHolds, SqlSwitches
from controller.store.incidents import SqlIncidents
from controller.store.integrity import SqlIntegrity
from controller.store.journal import SqlJournal
from controller.store.judgements import SqlJudgements
from controller.store.ledger import SqlLedger
from controller.store.measurements import SqlMeasurements
from controller.store.networks import SqlNetworks
from controller.store.notices import SqlNotices
from controller.store.on_call import SqlCalls
from controller.store.people import SqlSignIns, SqlTokens, SqlUsers
from controller.store.plans import SqlPlans
from controller.store.processes import SqlProcesses
from controller.store.questions import SqlQuestions
from controller.store.reports import SqlReports
from controller.store.repository import AsyncRepository, SqlRepository
from controller.store.rules import SqlRules
from controller.store.runs import SqlRuns
from controller.store.statements import SqlStatements
from controller.store.status import SqlStatus
from controller.store.steps import SqlSteps
from controller.store.tenants import SqlTenants
from controller.store.trail_log import SqlTrailLog
from controller.store.transaction import Database
from controller.store.upgrade import upgrade_engine
from controller.store.works import SqlWorks

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """A piece of work that changes nothing."""

    work: Callable[[SqlStore], Any]

    def __call__(self, store: SqlStore) -> Any:
        """Carry out the work in one transaction."""
        return store.database.run(lambda tx: store.database.join(tx, partial(self.work, store)), "DEFERRED")


class SqlStore(Store):
    """``Store`` on SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.alarms = SqlAlarms(database)
        self.approvals = SqlApprovals(database)
        self.audit = SqlAudit(database)
        self.behaviours = SqlBehaviours(database)
        self.calls = SqlCalls(database)
        self.claims = SqlClaims(database)
        self.collections = SqlCollections(database)
        self.comments = SqlComments(database)
        self.definitions = SqlDefinitions(database)
        self.devices = SqlDevices(database)
        self.escalations = SqlEscalations(database)
        self.freezes = SqlFreezes(database)
        self.gates = SqlGates(database)
        self.healths = SqlHealths(database)
        self.heartbeats = SqlHeartbeats(database)
        self.holds = SqlHolds(database)
        self.incidents = SqlIncidents(database)
        self.integrity = SqlIntegrity(database)
        self.journal = SqlJournal(database)
        self.judgements = SqlJudgements(database)
        self.ledger = SqlLedger(database)
        self.measurements = SqlMeasurements(database)
        self.networks = SqlNetworks(database)
        self.notices = SqlNotices(database)
        self.plans = SqlPlans(database)
        self.processes = SqlProcesses(database)
        self.questions = SqlQuestions(database)
        self.repairs = SqlRepairs(database)
        self.reports = SqlReports(database)
        self.rules = SqlRules(database)
        self.runs = SqlRuns(database)
        self.sign_ins = SqlSignIns(database)
        self.statements = SqlStatements(database)
        self.status = SqlStatus(database)
        self.steps = SqlSteps(database)
        self.switches = SqlSwitches(database)
        self.tenants = SqlTenants(database)
        self.tokens = SqlTokens(database)
        self.trail = SqlTrailLog(database)
        self.users = SqlUsers(database)
        self.works = SqlWorks(database)

    def transaction(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on this store in one transaction, and repeat it while that may help."""
        return self.database.run(lambda tx: self.database.join(tx, partial(work, self, *args, **kwargs)))

    def close(self) -> None:
        """Release connections."""
        self.database.engine.dispose()


class AsyncSqlStore(AsyncStore):
    """``AsyncStore`` whose calls are carried out on a ``SqlStore`` by ``call``."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        for name, repository in vars(store).items():
            if isinstance(repository, SqlRepository):
                setattr(self, name, AsyncRepository(repository, self.call))

    async def transaction(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on the store in one transaction."""
        return await self.call(lambda store: store.transaction(work, *args, **kwargs))

    async def read(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work``, which changes nothing, on the store in one transaction."""
        found: T = await self.call(Read(lambda store: work(store, *args, **kwargs)))  # type: ignore[arg-type]
        return found

    @abstractmethod
    async def call(self, work: Callable[[Store], T]) -> T:
        """Carry out ``work``."""


def open_store(
    url: str,
    clock: Clock | None = None,
    *,
    evidence: Callable[[SqlStore], Evidence] | None = None,
    busy_timeout: float = 5.0,
    silence: float = SILENCE,
    observations: Observations | None = None,
) -> SqlStore:
    """Open a database, upgraded to this version's tables.

    Args:
        url: ``sqlite:///path``, ``postgresql://…``, or ``sqlite://`` for a database in memory that
            lives as long as the store (the shipped fake of tests).
        clock: Source of time; the machine's own by default.
        evidence: Makes the evidence outside of the database (``controller.store.evidence``); None for none.
        busy_timeout: Seconds that one attempt waits for a lock of the database.
        silence: Seconds without an answer after which PostgreSQL is taken to hang.
        observations: Counts what is found damaged.

    Raises:
        StoreError: The database is unreachable, or was made by a version that this one does not know.
    """
    database = Database(make_engine(url, busy_timeout, silence), clock or SystemClock(), observations=observations)
    try:
        upgrade_engine(database.engine, database.clock)
        store = SqlStore(database)
        if evidence is not None:
            database.evidence = evidence(store)
    except BaseException:
        database.engine.dispose()
        raise
    return store
