"""Enumerations that the command line uses too; they import nothing else, so that its help is quick."""

from __future__ import annotations

from enum import StrEnum

#: Why a plan leaves a device out that was not adopted; the same words wherever plans are made and shown.
OBSERVE_ONLY = "not adopted: observe-only"


class AdoptionCode(StrEnum):
    """Outcome of adopting a device.

    - ``adopted``: its nodes that are as the network files have them are on record.
    - ``empty``: it is adopted with nothing on record, since the function of which it is made does not run yet.
    - ``foreign``: it is not adopted, since it carries a managed element that nobody agreed to.
    - ``unread``: it is not adopted, since it could not be read.
    """

    ADOPTED = "adopted"
    EMPTY = "empty"
    FOREIGN = "foreign"
    UNREAD = "unread"

    @property
    def adopted(self) -> bool:
        """Whether Minka manages the device now."""
        return self in (AdoptionCode.ADOPTED, AdoptionCode.EMPTY)


class RunState(StrEnum):
    """State of a run. The last six are terminal; a run ends in exactly one of them.

    ``paused``: devices under way are completed, and no others begin until a person resumes it.
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
        """Whether the state is final."""
        return self not in (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING)


class Outcome(StrEnum):
    """How a job ended on its device. ``unknown`` is resolved by read-back before a job is done.

    A job that would end ``deferred`` while its run is patient, or ``withdrawn`` with a postponed group or for a
    public warning, freeze or closed window, begins again instead.
    """

    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED_SAFE = "failed-safe"
    ROLLED_BACK = "rolled-back"
    REFUSED = "refused"
    BUG = "bug"
    DEFERRED = "deferred"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    DIVERGED = "diverged"

    @property
    def good(self) -> bool:
        """Whether the device carries what was wanted of it, which is nothing for one that was skipped."""
        return self in (Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED)

    @property
    def counts_as_failure(self) -> bool:
        """Whether it counts towards a run's stop threshold (an unreachable device does not)."""
        return self in (Outcome.FAILED_SAFE, Outcome.ROLLED_BACK, Outcome.REFUSED, Outcome.BUG, Outcome.DIVERGED)


class FoundState(StrEnum):
    """The state in which a later reading found a device of which nobody could know all when its job ended.

    ``late``: it carries what the job had sent, or phases of it, which had been answered ok without effect.
    """

    PLANNED = "planned"
    BEFORE = "before"
    LATE = "late"

    @property
    def words(self) -> str:
        """The state, for people."""
        return {
            FoundState.PLANNED: "the state that was planned",
            FoundState.BEFORE: "the state of before the run",
            FoundState.LATE: "what the run had sent in vain, or a part of it",
        }[self]


class Policy(StrEnum):
    """Which devices are confirmed or taken back together: a station, a unit (``NewJob.unit``), or a whole wave."""

    STATION = "station"
    UNIT = "unit"
    WAVE = "wave"


class Role(StrEnum):
    """Role of a person. The last two are for a tenant's own people, all others for the host's."""

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
    """A permission that a route needs, a role gives, and a token's scope may be limited to."""

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
    ON_CALL = "on-call"


class AlarmState(StrEnum):
    """State of an alarm; the last three are terminal, but an escalated alarm may be repaired again."""

    RAISED = "raised"
    REPAIRING = "repairing"
    CLEARED = "cleared"
    REPAIRED = "repaired"
    ESCALATED = "escalated"

    @property
    def terminal(self) -> bool:
        """Whether the state is final."""
        return self in (AlarmState.CLEARED, AlarmState.REPAIRED, AlarmState.ESCALATED)


#: Action of the audit trail: a fault that stood before a root is an incident of its own, beside that of the root.
APART = "incident.kept-apart"


class IncidentState(StrEnum):
    """State of an incident; a ``merged`` one is part of another."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


class RuleMode(StrEnum):
    """What a rule may do, from least to most: note what it would do, ask a person first, or act."""

    OBSERVE = "observe"
    ASK = "ask"
    AUTO = "auto"


class ProposalState(StrEnum):
    """State of a rule's proposal.

    ``observed``: nothing happens, by the rule's mode. ``asked``, ``approved``, ``denied``: a person is or was asked.
    ``void``: the question or approval does not count any more. ``refused``: it could not be planned. ``running``,
    ``succeeded``, ``failed``: the state of its run. ``told``: its run changes nothing on devices, so it is no repair.
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
    TOLD = "told"


class RecordChoice(StrEnum):
    """Which side is right if stations carry something that the record does not have.

    ``record``: the record; where stations differ from it, that is drift, and is repaired. Nodes that are not on record
    stay, unknown, until stations are adopted again.
    ``devices``: the stations; their configuration counts as applied.
    """

    RECORD = "record"
    DEVICES = "devices"


class StatementKind(StrEnum):
    """Subject of a statement."""

    SLA = "sla"
    VOLUME = "volume"
    QUALITY = "quality"
    CAPACITY = "capacity"
    SETTLEMENT = "settlement"


class StatementForm(StrEnum):
    """Format of a statement's file."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
