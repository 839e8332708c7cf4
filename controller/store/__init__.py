"""The store: the database is the record of everything.

It has a repository for each noun: ``store.alarms``, ``store.runs``, ``store.ledger``. Each method of a repository is a
transaction: it happens as a whole, with its audit row, or not at all. If the database is down or locked for too long,
``StoreError`` is raised after a few attempts. If the connection is lost during the commit, the transaction may or may
not have happened: writing a journal row or the end of a job may simply be repeated, and ``claims.find`` returns what a
worker holds.

Methods are declared once, where they are carried out (``controller.store.database.repository``), and called in two
ways. On a ``Store`` they block, for threads of the API and the command line. On an ``AsyncStore`` they are coroutines,
which its single writer thread carries out and commits in groups::

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

from controller.models.claim import Claim, JobResult, OpenJob, Reading, UnreadJob
from controller.models.ended_job import EVER, EndedJob, changed_since
from controller.store.across.networks import Networks
from controller.store.across.status import Status
from controller.store.across.tenants import Tenants
from controller.store.alarms.alarms import Alarms, Escalations
from controller.store.alarms.heartbeats import Heartbeats
from controller.store.alarms.repairs import Repairs, StartedRepair
from controller.store.alarms.reports import Reports
from controller.store.alarms.rules import Rules
from controller.store.alarms.works import Works
from controller.store.audit.audit import Audit
from controller.store.audit.integrity import Integrity
from controller.store.audit.trail_log import TrailLog
from controller.store.database.audit_chain import EVERYTHING, AuditQuery
from controller.store.database.repository import Async, M_co, Method, Page, Repository, Sync
from controller.store.incidents.incidents import Incidents
from controller.store.incidents.notices import Notices
from controller.store.incidents.on_call import Calls
from controller.store.jobs.decisions import NewDecision, decision_for
from controller.store.jobs.gates import Gates, Soak
from controller.store.jobs.journal import Journal
from controller.store.jobs.processes import Incarnation, Processes
from controller.store.jobs.questions import Questions
from controller.store.jobs.requests import NewJob, PreparedRun, RunRequest, other_request
from controller.store.jobs.steps import Steps
from controller.store.loop import LoopStore
from controller.store.network.behaviours import Behaviours
from controller.store.network.collections import Collections
from controller.store.network.definitions import DefinitionVersions
from controller.store.network.devices import Device, Devices, Healths
from controller.store.network.holds import Holds, Switches
from controller.store.network.ledger import Ledger, LedgerState
from controller.store.network.plans import PlanHead, Plans
from controller.store.people.comments import Comments
from controller.store.people.people import NewToken, SignIn, SignIns, Tokens, Users
from controller.store.performance.collected_files import CollectedFile, UnknownCounter
from controller.store.performance.kpi_evaluations import KpiEvaluations
from controller.store.performance.measurements import Gap, Measurements, StoredPeriods
from controller.store.performance.statements import StatementFilter, Statements
from controller.store.runs.approvals import Approvals, Assess, ClearanceInput, Clearances, Freezes
from controller.store.runs.claims import Claims
from controller.store.runs.runs import Decide, Runs, Transition
from controller.store.store import AsyncStore, Records, Store, open_store
from controller.store.upgrade import upgrade

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
    "KpiEvaluations",
    "Ledger",
    "LedgerState",
    "LoopStore",
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
    "open_store",
    "other_request",
    "upgrade",
]
