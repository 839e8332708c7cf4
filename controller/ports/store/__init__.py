"""The store: the database is the record of everything.

It has a repository for each noun: ``store.alarms``, ``store.runs``, ``store.ledger``. Each method of a repository is a
transaction: it happens as a whole, with its audit row, or not at all. If the database is down or locked for too long,
``StoreError`` is raised after a few attempts. If the connection is lost during the commit, the transaction may or may
not have happened: writing a journal row or the end of a job may simply be repeated, and ``claims.find`` returns what a
worker holds.

Methods are declared once (``controller.ports.store.repository``), and called in two ways. On a ``Store`` they block,
for threads of the API and the command line. On an ``AsyncStore`` they are coroutines, which its single writer thread
carries out and commits in groups::

    alarm = store.alarms.get("a-1")
    alarm = await async_store.alarms.get("a-1")

To change several repositories in one transaction, pass a function of a ``Store`` to ``transaction``. It may be
repeated, so it must change nothing but the record::

    def end(store: Store, alarm: Alarm) -> None:
        if store.alarms.move(alarm, AlarmState.CLEARED, actor="ana"):
            store.audit.append("ana", "alarm.checked", alarm.id)

    store.transaction(end, alarm)
    await async_store.transaction(end, alarm)

Code that needs one noun only takes its repository: ``Alarms[Sync]`` or ``Alarms[Async]``. The shipped fake is the real
store on a database in memory (``open_store("sqlite://")``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Concatenate, Generic, ParamSpec, TypeVar

from controller.ports.store.alarms import Alarms, Comments, Escalations, Heartbeats, Repairs, Reports, StartedRepair
from controller.ports.store.approvals import Approvals, Assess, ClearanceInput, Clearances, Freezes, Notices
from controller.ports.store.audit import EVERYTHING, Audit, AuditQuery, Integrity, TrailLog
from controller.ports.store.claims import Claim, Claims, JobResult, Journal, OpenJob, Reading, UnreadJob
from controller.ports.store.collections import Collections
from controller.ports.store.definitions import DefinitionVersions
from controller.ports.store.devices import Behaviours, Device, Devices, Healths, Networks
from controller.ports.store.gates import Gates, Soak, decision_for
from controller.ports.store.holds import Holds, Switches
from controller.ports.store.incidents import Incidents
from controller.ports.store.judgements import Judgements
from controller.ports.store.ledger import EVER, EndedJob, Ledger, LedgerState, changed_since
from controller.ports.store.measurements import CollectedFile, Gap, Measurements, StoredPeriods, UnknownCounter
from controller.ports.store.on_call import Calls
from controller.ports.store.people import NewToken, SignIn, SignIns, Tokens, Users
from controller.ports.store.plans import PlanHead, Plans
from controller.ports.store.processes import Incarnation, Processes, Status
from controller.ports.store.repository import Async, M_co, Method, Page, Repository, Sync, method
from controller.ports.store.requests import NewJob, PreparedRun, RunRequest, other_request
from controller.ports.store.rules import Rules
from controller.ports.store.runs import Decide, NewDecision, Questions, Runs, Steps, Transition
from controller.ports.store.statements import StatementFilter, Statements
from controller.ports.store.tenants import Tenants
from controller.ports.store.works import Works

P = ParamSpec("P")
T = TypeVar("T")

__all__ = [
    "EVER",
    "EVERYTHING",
    "Alarms",
    "Approvals",
    "Assess",
    "Async",
    "AsyncStore",
    "Audit",
    "AuditQuery",
    "Behaviours",
    "Calls",
    "Claim",
    "Claims",
    "ClearanceInput",
    "Clearances",
    "CollectedFile",
    "Collections",
    "Comments",
    "Decide",
    "DefinitionVersions",
    "Device",
    "Devices",
    "EndedJob",
    "Escalations",
    "Freezes",
    "Gap",
    "Gates",
    "Healths",
    "Heartbeats",
    "Holds",
    "Incarnation",
    "Incidents",
    "Integrity",
    "JobResult",
    "Journal",
    "Judgements",
    "Ledger",
    "LedgerState",
    "M_co",
    "Measurements",
    "Method",
    "Networks",
    "NewDecision",
    "NewJob",
    "NewToken",
    "Notices",
    "OpenJob",
    "Page",
    "PlanHead",
    "Plans",
    "PreparedRun",
    "Processes",
    "Questions",
    "Reading",
    "Records",
    "Repairs",
    "Reports",
    "Repository",
    "Rules",
    "RunRequest",
    "Runs",
    "SignIn",
    "SignIns",
    "Soak",
    "StartedRepair",
    "StatementFilter",
    "Statements",
    "Status",
    "Steps",
    "Store",
    "StoredPeriods",
    "Switches",
    "Sync",
    "Tenants",
    "Tokens",
    "TrailLog",
    "Transition",
    "UnknownCounter",
    "UnreadJob",
    "Users",
    "Works",
    "changed_since",
    "decision_for",
    "method",
    "other_request",
]


class Records(Generic[M_co]):
    """The repositories."""

    alarms: Alarms[M_co]
    approvals: Approvals[M_co]
    audit: Audit[M_co]
    behaviours: Behaviours[M_co]
    calls: Calls[M_co]
    claims: Claims[M_co]
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
    judgements: Judgements[M_co]
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


class Store(Records[Sync], ABC):
    """The record, for threads."""

    @abstractmethod
    def transaction(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` on this store in one transaction, and repeat it while that may help."""

    @abstractmethod
    def close(self) -> None:
        """Release connections."""


class AsyncStore(Records[Async], ABC):
    """The record, for coroutines. Calls that wait at the same time share a commit; heartbeats go first."""

    @abstractmethod
    async def transaction(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in the store's thread, in one transaction; it is committed when this returns."""

    @abstractmethod
    async def read(self, work: Callable[Concatenate[Store, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work``, which changes nothing, in one transaction that waits for no writer."""
