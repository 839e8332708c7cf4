"""The store: the database is the record of everything.

It has a repository for each noun: ``store.alarms``, ``store.runs``, ``store.ledger``. Each method of a repository is a
transaction: it happens as a whole, with its audit row, or not at all. If the database is down or locked for too long,
``StoreError`` is raised after a few attempts. If the connection is lost during the commit, the transaction may or may
not have happened: writing a journal row or the end of a job may simply be repeated, and ``claims.find`` returns what a
worker holds.

Methods are declared once, where they are carried out (``controller.store.repository``), and called in two ways. On a
``Store`` they block, for threads of the API and the command line. On an ``AsyncStore`` they are coroutines, which its
single writer thread carries out and commits in groups::

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
from controller.store.alarms import Alarms, Escalations, Repairs, StartedRepair
from controller.store.approvals import Approvals, Assess, ClearanceInput, Clearances, Freezes
from controller.store.audit import Audit
from controller.store.audit_chain import EVERYTHING, AuditQuery
from controller.store.behaviours import Behaviours
from controller.store.claims import Claims
from controller.store.collections import Collections
from controller.store.comments import Comments
from controller.store.decisions import NewDecision, decision_for
from controller.store.definitions import DefinitionVersions
from controller.store.devices import Device, Devices, Healths
from controller.store.gates import Gates, Soak
from controller.store.heartbeats import Heartbeats
from controller.store.holds import Holds, Switches
from controller.store.incidents import Incidents
from controller.store.integrity import Integrity
from controller.store.journal import Journal
from controller.store.judgements import Judgements
from controller.store.ledger import Ledger, LedgerState
from controller.store.loop import LoopStore
from controller.store.measurements import CollectedFile, Gap, Measurements, StoredPeriods, UnknownCounter
from controller.store.networks import Networks
from controller.store.notices import Notices
from controller.store.on_call import Calls
from controller.store.people import NewToken, SignIn, SignIns, Tokens, Users
from controller.store.plans import PlanHead, Plans
from controller.store.processes import Incarnation, Processes
from controller.store.questions import Questions
from controller.store.reports import Reports
from controller.store.repository import Async, M_co, Method, Page, Repository, Sync
from controller.store.requests import NewJob, PreparedRun, RunRequest, other_request
from controller.store.rules import Rules
from controller.store.runs import Decide, Runs, Transition
from controller.store.statements import StatementFilter, Statements
from controller.store.status import Status
from controller.store.steps import Steps
from controller.store.store import AsyncStore, Records, Store, open_store
from controller.store.tenants import Tenants
from controller.store.trail_log import TrailLog
from controller.store.upgrade import upgrade
from controller.store.works import Works

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
