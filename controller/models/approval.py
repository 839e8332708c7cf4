"""Who has to agree to a run, when it may work, and notices to tenants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, Field

from controller.models.alarm import PerceivedSeverity
from controller.models.network import Network
from controller.models.people import Role
from controller.models.scalars import HOST, Identifier, Name, Noun
from controller.models.sharing import ActionClass, Consent, MaintenanceWindow


class Requirement(Noun):
    """One side's consent to a class of action.

    Attributes:
        side: Who agrees: a tenant's id, or ``host``.
        action: Class of the action; None for the eyes that a playbook asks for (``guards.approvals``).
        consent: ``approval``: ``needed`` people of the side have to say yes. ``notice``: the side is notified
            ``lead_hours`` before. What an agreement gives as standing is no requirement.
        needed: How many people, where consent is by approval.
        approvers: Who may be among them; empty for all approvers of the side.
        clauses: Clauses of the agreement that let the host take service away instead; for ``reduce`` only.
        sign_in: Whether a yes counts only from who signed in at the identity provider.
        lead_hours: Between notice and beginning.
        agreement: The agreement that says so; empty where none does.
        stations: How many stations it is about.
    """

    side: str
    action: ActionClass | None = None
    consent: Consent = Consent.APPROVAL
    needed: int = 1
    approvers: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    sign_in: bool = False
    lead_hours: int = 0
    agreement: str = ""
    stations: int = 0

    @property
    def contract(self) -> str:
        """What a contractual reason names: the agreement, or the tenant that has none in force."""
        return self.agreement or self.side


class Contract(Noun):
    """A contractual reason to take service away from a tenant: what gives the host the right to.

    Attributes:
        agreement: Id of the agreement; of the tenant, where none of its agreements is in force.
        clause: Number of the clause, as the contract has it.
    """

    agreement: Identifier
    clause: Name


class VoteChoice(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    REJECT = "reject"


class Vote(Noun):
    """What one person said to a subject; of several only the last counts.

    Attributes:
        subject: SHA-256, hex: digest of a plan, or ``RunConstraints.subject``.
        contracts: Contractual reasons; only an approver of the host gives any.
        token: Id of the token that it was said with; empty for whoever signed in at an identity provider.
        maker: Who made that token, and so could have said it in the person's place.
        issuer: The identity provider where the person had signed in; empty where a token of ours was used.
        gone: Whether the person may not say it now: disabled, no approver of that side, without a token in force that
            lets them approve, or of a tenant that left the network; or the token that it was said with was revoked.
    """

    subject: str
    person: str
    side: str
    role: Role
    choice: VoteChoice
    reason: str = ""
    contracts: tuple[Contract, ...] = ()
    at: AwareDatetime
    token: str = ""
    maker: str = ""
    issuer: str = ""
    gone: bool = False


class StationConstraints(Noun):
    """What binds stations that have the same of it.

    Attributes:
        region: Where they are.
        timezone: IANA name, for the windows.
        tenants: Whose nodes are edited or whose service is interrupted, sorted.
        calendars: Weekly windows of all that have to agree on the time, each its own.
        interrupts: Whether service is interrupted, as where a cell goes off air.
    """

    region: str
    timezone: str
    tenants: tuple[str, ...] = ()
    interrupts: bool = False
    calendars: tuple[tuple[MaintenanceWindow, ...], ...] = ()


class RunConstraints(Noun):
    """What a run was accepted under. It never changes; votes, freezes, holds and overrides come and go.

    Attributes:
        subject: What people approve, SHA-256, hex.
        side: For whom it runs: the one tenant it is about, else ``host``.
        requirements: Who has to agree.
        tenants: Tenants that are notified of it, sorted.
        groups: What binds stations.
        stations: Site and index into ``groups`` of each station.
        beside: Of functions, the stations that they serve, with their sites and regions: holds and freezes there bind
            them, too (``Network.bound_by``).
        spared: By station, cells and tenants that were not asked although the run takes these cells off the air: they
            got no service when it was prepared. It works there only while that is so.
    """

    subject: str
    side: str = HOST
    requirements: tuple[Requirement, ...] = ()
    tenants: tuple[str, ...] = ()
    groups: tuple[StationConstraints, ...] = ()
    stations: dict[str, tuple[str, int]] = {}
    beside: dict[str, tuple[str, ...]] = {}
    spared: dict[str, tuple[tuple[str, str], ...]] = {}

    def concerning(self, tenant: str) -> list[str]:
        """Stations where a tenant is concerned, sorted."""
        return sorted(name for name, (_, group) in self.stations.items() if tenant in self.groups[group].tenants)

    def with_approvers_of(self, network: Network) -> RunConstraints:
        """The same, where those may approve whom the agreements of this network name."""
        named = {agreement.id: agreement.approvers for agreement in network.agreements}
        asked = [
            one.model_copy(update={"approvers": named.get(one.agreement, one.approvers)}) for one in self.requirements
        ]
        return self.model_copy(update={"requirements": tuple(asked)})

    def of(self, station: str) -> StationConstraints | None:
        """What binds one station."""
        site_and_group = self.stations.get(station)
        return None if site_and_group is None else self.groups[site_and_group[1]]


class Outlook(Noun):
    """What a run waits for, or would wait for if it were accepted now.

    Attributes:
        subject: What people approve.
        requirements: Who has to agree, by approval or by notice.
        missing: Of these, what is not approved yet, in words.
        votes: What people said.
        tenants: Tenants that are notified.
        waits: How many stations may not begin now, by the reason, with windows in local time.
        overridden: By whom and why windows and freezes are outdone; empty if they are not.
    """

    subject: str
    requirements: tuple[Requirement, ...] = ()
    missing: tuple[str, ...] = ()
    votes: tuple[Vote, ...] = ()
    tenants: tuple[str, ...] = ()
    waits: dict[str, int] = {}
    overridden: str = ""


class Freeze(Noun):
    """A time in which nothing is changed for everybody, for a tenant, in a region or at a site.

    Attributes:
        warning: Id of the public warning (TS 23.041) that it is for, an empty string for a freeze by people. A warning
            keeps cells on the air: it binds what interrupts service, and nothing else.
    """

    id: str
    target: str = Field(description="network, tenant:<id>, region:<id> or site:<id>.")
    begins: AwareDatetime
    ends: AwareDatetime
    by: str
    reason: str
    created: AwareDatetime
    warning: str = ""

    @property
    def name(self) -> str:
        """What it is and where, in words."""
        return f"public warning {self.warning} in {self.target}" if self.warning else f"freeze of {self.target}"


class Override(Noun):
    """A person's decision that a run works in spite of windows and freezes."""

    run: str
    by: str
    reason: str
    at: AwareDatetime


class NoticeKind(StrEnum):
    """A notice to a side: that a run will be, began, ended at its stations; that an incident began, grew, is over."""

    PLANNED = "planned"
    STARTED = "started"
    ENDED = "ended"
    INCIDENT_RAISED = "incident-raised"
    INCIDENT_UPDATED = "incident-updated"
    INCIDENT_CLEARED = "incident-cleared"


class Notice(Noun):
    """A notice to a tenant of planned work, and to a side of incidents that concern it.

    Attributes:
        run: Id of the run that it is about, empty where that is an incident.
        incident: Id of the incident, empty where it is about a run.
        tenant: Whom it tells: a tenant's id, or ``host``.
        stations: Stations where the tenant is touched or interrupted, or has cells that suffer, sorted.
        begins: When work may begin at the earliest, where the tenant was notified ahead.
        text: For people.
        sent: When somebody took it first; None while nobody has.
        cells: Cells of the side that suffer from the incident, as ``station/cell``, sorted.
        since: When the incident began for the side.
        what: Probable cause of what failed.
        doing: What is being done about it, in words.
    """

    id: str
    run: str = ""
    incident: str = ""
    tenant: str
    kind: NoticeKind
    at: AwareDatetime
    stations: tuple[str, ...] = ()
    begins: AwareDatetime | None = None
    text: str = ""
    sent: AwareDatetime | None = None
    cells: tuple[str, ...] = ()
    since: AwareDatetime | None = None
    what: str = ""
    severity: PerceivedSeverity | None = None
    doing: str = ""


class Delivery(Noun):
    """A notice on its way to one of its receivers.

    Attributes:
        to: Id of the contact of the network files; empty for ``MINKA_NOTIFY_URL``.
        attempts: How often somebody began to tell it.
        claimed: Whether somebody began and did not say yet how it ended.
    """

    notice: Notice
    to: str = ""
    attempts: int = 0
    claimed: bool = False

    @property
    def key(self) -> str:
        """The same for each attempt, so that its receiver knows a repetition."""
        return f"{self.notice.id}-{self.to}" if self.to else self.notice.id


@dataclass(frozen=True, slots=True)
class Clearance:
    """Whether a job may begin.

    Attributes:
        blocked: Why not, for people; empty if it may.
        until: When that ends by itself, if it does.
        closes: When the window that it may work in closes; None if none does.
    """

    blocked: str = ""
    until: datetime | None = None
    closes: datetime | None = None
