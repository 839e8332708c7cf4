"""The store: all parts of the record over one database."""

from __future__ import annotations

from collections.abc import Callable

from controller.ports.clock import Clock, SystemClock
from controller.store.accounts import AccountRecords
from controller.store.alarms import AlarmRecords
from controller.store.approvals import ApprovalRecords
from controller.store.behaviours import BehaviourRecords
from controller.store.claims import ClaimRecords
from controller.store.custody import Custody
from controller.store.denials import DenialRecords
from controller.store.engine import SILENCE, make_engine
from controller.store.figures import FigureRecords
from controller.store.gates import GateRecords
from controller.store.journals import JournalRecords
from controller.store.ledger import LedgerHistory
from controller.store.networks import NetworkRecords
from controller.store.notices import NoticeRecords
from controller.store.people import PeopleRecords
from controller.store.plans import PlanRecords
from controller.store.record import RecordGuard
from controller.store.requests import RequestRecords
from controller.store.runs import RunRecords
from controller.store.signins import SignInRecords
from controller.store.steps import StepRecords
from controller.store.tenants import TenantRecords
from controller.store.upgrade import upgrade_engine
from controller.store.waiting import WaitingRecords
from controller.store.workers import WorkerRecords


class SqlStore(
    NetworkRecords,
    PlanRecords,
    RunRecords,
    RequestRecords,
    StepRecords,
    WorkerRecords,
    ClaimRecords,
    JournalRecords,
    GateRecords,
    AlarmRecords,
    PeopleRecords,
    AccountRecords,
    SignInRecords,
    DenialRecords,
    TenantRecords,
    ApprovalRecords,
    NoticeRecords,
    FigureRecords,
    LedgerHistory,
    WaitingRecords,
    BehaviourRecords,
    RecordGuard,
):
    """``Store`` on SQLite or PostgreSQL."""

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()


def open_store(
    url: str,
    clock: Clock | None = None,
    *,
    custody: Callable[[SqlStore], Custody] | None = None,
    busy_timeout: float = 5.0,
    silence: float = SILENCE,
) -> SqlStore:
    """Open a database, upgraded to this version's tables.

    Args:
        url: ``sqlite:///path``, ``postgresql://…``, or ``sqlite://`` for a database in memory that
            lives as long as the store (the shipped fake of tests).
        clock: Source of time; the machine's own by default.
        custody: Makes what is kept outside of the database (``controller.store.custody``); None to keep nothing.
        busy_timeout: Seconds that one attempt waits for a lock of the database.
        silence: Seconds without an answer after which PostgreSQL is taken to hang.

    Raises:
        StoreError: The database is unreachable, or was made by a newer version.
    """
    clock = clock or SystemClock()
    engine = make_engine(url, busy_timeout, silence)
    try:
        upgrade_engine(engine, clock)
    except BaseException:
        engine.dispose()
        raise
    store = SqlStore(engine, clock)
    if custody is None:
        return store
    try:
        return SqlStore(engine, clock, custody(store))
    except BaseException:
        store.close()
        raise
