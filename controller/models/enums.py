"""Enumerations that the command line offers or shows too; they import nothing else, so that its help is quick."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """State of a run. The last six are terminal; a run ends in exactly one of them.

    ``paused``: what is under way reaches its end, nothing more begins until a person resumes it.
    """

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    DIVERGED = "diverged"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens."""
        return self not in (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING)


class Outcome(StrEnum):
    """How a job ended on its device. ``unknown`` is resolved by read-back before a job is done.

    A job that comes to ``deferred`` while its run is patient, or to ``withdrawn`` with a group that was postponed,
    begins again instead.
    """

    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    FAILED_SAFE = "failed-safe"
    ROLLED_BACK = "rolled-back"
    REFUSED = "refused"
    DEFERRED = "deferred"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    DIVERGED = "diverged"

    @property
    def good(self) -> bool:
        """Whether the device carries what was wanted."""
        return self in (Outcome.SUCCEEDED, Outcome.UNCHANGED)

    @property
    def counts_as_failure(self) -> bool:
        """Whether it counts towards a run's stop threshold (an unreachable device does not)."""
        return self in (Outcome.FAILED_SAFE, Outcome.ROLLED_BACK, Outcome.REFUSED, Outcome.DIVERGED)


class Policy(StrEnum):
    """What is confirmed or taken back together: a station, a unit (``NewJob.unit``), or a whole wave."""

    STATION = "station"
    UNIT = "unit"
    WAVE = "wave"


class Role(StrEnum):
    """What a person may do. The last two are a tenant's own people, all others the host's."""

    HOST_VIEWER = "host-viewer"
    NOC_ENGINEER = "noc-engineer"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"
    TENANT_VIEWER = "tenant-viewer"
    TENANT_APPROVER = "tenant-approver"

    @property
    def of_tenant(self) -> bool:
        """Whether it is a role of a tenant's own people."""
        return self in (Role.TENANT_VIEWER, Role.TENANT_APPROVER)


class Permission(StrEnum):
    """What a route needs, a role gives, and a token's scope may be cut down to."""

    READ = "read"
    OVERSEE = "oversee"
    PLAN = "plan"
    RUN = "run"
    STOP = "stop"
    APPROVE = "approve"
    OVERRIDE = "override"
    NETWORK = "network"
    PEOPLE = "people"
    TOKENS = "tokens"
    METRICS = "metrics"
    WEBHOOK = "webhook"
    WARN = "warn"
    ANNOUNCE = "announce"
    COMMENT = "comment"
    PROMOTE = "promote"


class AlarmState(StrEnum):
    """Where an alarm is in its life; the last three are terminal, but an escalated one may be repaired again."""

    RAISED = "raised"
    REPAIRING = "repairing"
    CLEARED = "cleared"
    REPAIRED = "repaired"
    ESCALATED = "escalated"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens to it."""
        return self in (AlarmState.CLEARED, AlarmState.REPAIRED, AlarmState.ESCALATED)


class IncidentState(StrEnum):
    """Where an incident is in its life; one that was ``merged`` is part of another one."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


class RuleMode(StrEnum):
    """What a rule may do, from least to most: note what it would do, ask a person first, or act."""

    OBSERVE = "observe"
    ASK = "ask"
    AUTO = "auto"


class ProposalState(StrEnum):
    """What became of what a rule proposed.

    ``observed``: nothing, by the rule's mode. ``asked``, ``approved``, ``denied``, ``void``: a person is or was asked;
    what is void counts no more. ``refused``: it could not be planned. ``running``, ``succeeded``, ``failed``: its run.
    """

    OBSERVED = "observed"
    ASKED = "asked"
    APPROVED = "approved"
    DENIED = "denied"
    VOID = "void"
    REFUSED = "refused"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RecordChoice(StrEnum):
    """Which of the two is right where stations carry what the record does not know of.

    ``record``: what the record says; what stations carry beyond it is drift, and is repaired.
    ``devices``: what stations carry; it is taken for applied.
    """

    RECORD = "record"
    DEVICES = "devices"


class StatementKind(StrEnum):
    """What a statement is about."""

    SLA = "sla"
    VOLUME = "volume"
    QUALITY = "quality"
    CAPACITY = "capacity"
    SETTLEMENT = "settlement"


class StatementForm(StrEnum):
    """Files of a statement."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
