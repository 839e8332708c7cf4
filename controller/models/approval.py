"""Approvals and notices that a run needs, and the times when it may work."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, Field

from controller.models.alarm import PerceivedSeverity
from controller.models.network import Network
from controller.models.outage import NO_OUTAGE, OffAir, Outage, OutageKind
from controller.models.people import Role
from controller.models.plan import Extent
from controller.models.scalars import HOST, Identifier, Name, Noun
from controller.models.sharing import ActionClass, Consent, MaintenanceWindow
from controller.models.waiting import WaitCode, WaitReason, freeze_name, words


class Withdrawal(Noun):
    """What a tenant loses for good.

    Attributes:
        cells: Cells in which it loses a PLMN, as ``station/cell``, sorted.
        people: Population of the sites of these cells.
    """

    cells: tuple[str, ...]
    people: int

    def __str__(self) -> str:
        """Cells and people, in words."""
        count = f"{len(self.cells)} cells" if len(self.cells) != 1 else "1 cell"
        return f"{count} with about {self.people} people"


class Requirement(Noun):
    """One side's consent to a class of action.

    Attributes:
        side: Who agrees: a tenant's id, or ``host``.
        action: Class of the action; None for approvals that a playbook asks for (``guards.approvals``).
        consent: ``approval``: ``needed`` people of the side have to say yes. ``notice``: the side is notified
            ``lead_hours`` before. A standing consent makes no requirement.
        needed: Number of people, if consent is by approval.
        approvers: People who may approve; empty for all approvers of the side.
        clauses: Clauses of the agreement that let the host take service away instead; for ``reduce`` only.
        sign_in: Whether a yes counts only from people who signed in at the identity provider.
        lead_hours: Hours between the notice and the beginning.
        agreement: The agreement that requires it; empty if none does.
        stations: Number of stations that it is about.
        outage: The worst outage there, for an action that takes service away.
        off_air: The side's own cells that go off the air, for such an action, without those that other agreements of
            it are about; None where there are none, and of a plan, whose lines name the cells.
        withdrawn: What the side loses for good, for such an action, with the same exception; None if nothing.
        stands_for: Of the host: a tenant whose consent is a notice, which no person can be said to have given where a
            rule asks for the run.
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
    outage: Outage = NO_OUTAGE
    off_air: OffAir | None = None
    withdrawn: Withdrawal | None = None
    stands_for: str = ""

    @property
    def terms(self) -> Requirement:
        """Who agrees to which class of action, how and by which agreement: all but what the side is told."""
        return self.model_copy(update={"stations": 0, "outage": NO_OUTAGE, "off_air": None, "withdrawn": None})

    @property
    def contract(self) -> str:
        """What a contractual reason has to name: the agreement, or the tenant if it has none in force."""
        return self.agreement or self.side

    @property
    def as_reason(self) -> WaitReason:
        """Why work waits for the approvals that it asks for."""
        return WaitReason(
            code=WaitCode.APPROVAL,
            subject=HOST if self.action is None else self.side,
            needed=self.needed,
            approvers=self.approvers,
            action=self.action,
            sign_in=self.sign_in,
            stands_for=self.stands_for,
        )

    def is_met_by(self, contract: Contract) -> bool:
        """Whether a clause lets the host take service away; without an agreement in force no clauses are known."""
        named = self.action is ActionClass.REDUCE and contract.agreement == self.contract
        return named and (not self.agreement or contract.clause in self.clauses)


class Contract(Noun):
    """A contractual reason to take service away from a tenant.

    Attributes:
        agreement: Id of the agreement, or of the tenant if it has none in force.
        clause: Number of the clause, as in the contract.
    """

    agreement: Identifier
    clause: Name


class VoteChoice(StrEnum):
    """A person's vote."""

    APPROVE = "approve"
    REJECT = "reject"


class Vote(Noun):
    """A person's vote on a subject; only the last one of a person counts.

    Attributes:
        subject: SHA-256, hex: digest of a plan, or ``RunConstraints.subject``.
        contracts: Contractual reasons; only an approver of the host gives any.
        token: Id of the token used; empty if the person signed in at an identity provider.
        maker: Who made that token, and so could have voted in the person's place.
        issuer: The identity provider where the person signed in; empty if a token of ours was used.
        gone: Whether the vote does not count now. The person is disabled, no approver of that side, has no token in
            force that permits approvals, or belongs to a tenant that left; or the token used was revoked.
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

    def in_place_of(self, side: str, requirements: Iterable[Requirement]) -> Vote | None:
        """This vote as a tenant is told of it, in whose place the host decided by it; None if it did not.

        It names the contracts of that tenant alone, and no person. A reason that may be about other tenants is left
        out, which is one of a vote that names their contracts, too.
        """
        asked = [one for one in requirements if one.side == side]
        own = tuple(one for one in self.contracts if any(known.is_met_by(one) for known in asked))
        if self.side != HOST or self.choice is not VoteChoice.APPROVE or not own:
            return None
        return self.model_copy(
            update={
                "subject": "",
                "person": HOST,
                "token": "",
                "maker": "",
                "issuer": "",
                "contracts": own,
                "reason": self.reason if own == self.contracts else "",
            }
        )


class PartyWindows(Noun):
    """Weekly windows of one party that bind a run.

    Attributes:
        windows: The windows, in the time zone of the stations.
        tenant: The tenant whose agreement has them; empty where they are the host's, of a place or a playbook.
        agreement: That agreement; empty where they are the host's.
    """

    windows: tuple[MaintenanceWindow, ...]
    tenant: str = ""
    agreement: str = ""


class StationConstraints(Noun):
    """Constraints that several stations share.

    Attributes:
        region: Their region.
        timezone: IANA name, for the windows.
        tenants: Tenants whose nodes are edited or whose service is interrupted, sorted.
        windows: The weekly windows of each party; work needs a window of each.
        interrupts: Whether service is interrupted, for example because a cell goes off air.
        restarts: Whether a device or a unit of it restarts, whoever is served there.
        asks: Tenants with the classes of action that the run was judged for, whatever their consents say; sorted.
    """

    region: str
    timezone: str
    tenants: tuple[str, ...] = ()
    interrupts: bool = False
    restarts: bool = False
    windows: tuple[PartyWindows, ...] = ()
    asks: tuple[tuple[str, ActionClass], ...] = ()

    @property
    def takes_off_air(self) -> bool:
        """Whether a public warning binds it: who has no agreement with us gets the warning by these cells, too."""
        return self.interrupts or self.restarts

    @property
    def calendars(self) -> tuple[tuple[MaintenanceWindow, ...], ...]:
        """The windows, whosever they are; equal ones once."""
        return tuple(dict.fromkeys(one.windows for one in self.windows))

    def calendars_told(self, tenant: str) -> tuple[tuple[MaintenanceWindow, ...], ...]:
        """The windows that a tenant may know: its own and the host's, and not those of other tenants."""
        return tuple(dict.fromkeys(one.windows for one in self.windows if one.tenant in ("", tenant)))


class OpenInput(Noun):
    """An input of a playbook's step that names cells and is not known before the run, so that all cells count.

    Attributes:
        file: The playbook's file.
        step: Name of the step, which asks itself or by its ``undo``.
        input: Name of the input.
        expression: The expression as it is written.
        why: Why nothing bounds it, for people.
        stations: Number of stations where it is so.
    """

    file: str
    step: str
    input: str
    expression: str
    why: str
    stations: int = 0


class RunConstraints(Noun):
    """The constraints under which a run was accepted. They never change; votes, freezes, holds and overrides do.

    Attributes:
        subject: SHA-256 (hex) of what people approve.
        side: The tenant that the run is about, if it is about one only; otherwise ``host``.
        requirements: Approvals and notices that it needs.
        tenants: Tenants that are notified of it, sorted.
        groups: Constraints of groups of stations.
        stations: Site and index into ``groups`` of each station.
        beside: Of each function, the stations that it serves, with their sites and regions: holds and freezes there
            bind the function, too (``Network.bound_by``).
        about: By station, the cells that its consents are about, where they are not about all of it.
        asked_off: By station in ``about``, cells that go off the air with the tenants that were asked about them: each
            yes is for these cells, and for no others of its tenant.
        spared: By station, cells and tenants that need not agree although the run takes these cells off the air: they
            had no service there when it was prepared. The run works there only while that remains so.
        outages: The worst outage of each tenant whose service is interrupted.
        off_air: Of a playbook, the own cells of each tenant that go off the air; absent are those without any.
        steps_off_air: The same of each step, by its name; for the host the cells of all tenants.
        steps_about: Tenants that each step asks, or whose service it takes, by its name.
        withdrawn: What each tenant loses for good; absent are those that lose nothing so.
        open_inputs: Inputs that name cells and are not known yet, so that tenants of all cells are asked.
    """

    subject: str
    side: str = HOST
    requirements: tuple[Requirement, ...] = ()
    tenants: tuple[str, ...] = ()
    groups: tuple[StationConstraints, ...] = ()
    stations: dict[str, tuple[str, int]] = {}
    beside: dict[str, tuple[str, ...]] = {}
    about: dict[str, tuple[str, ...]] = {}
    asked_off: dict[str, tuple[tuple[str, str], ...]] = {}
    spared: dict[str, tuple[tuple[str, str], ...]] = {}
    outages: dict[str, Outage] = {}
    off_air: dict[str, OffAir] = {}
    steps_off_air: dict[str, dict[str, OffAir]] = {}
    steps_about: dict[str, tuple[str, ...]] = {}
    withdrawn: dict[str, Withdrawal] = {}
    open_inputs: tuple[OpenInput, ...] = ()

    def concerning(self, tenant: str) -> list[str]:
        """Stations where a tenant is concerned, sorted."""
        return sorted(name for name, (_, group) in self.stations.items() if tenant in self.groups[group].tenants)

    def needed_without(self, over: Collection[str]) -> tuple[Requirement, ...]:
        """The requirements that count once work on some stations is over: those that are about another one, too.

        One whose stations are not known (of a class that no station asks for) counts as long as any station is left.
        """
        left = {group for name, (_, group) in self.stations.items() if name not in over}
        known = {ask for group in self.groups for ask in group.asks}
        gone = known.difference(ask for group in left for ask in self.groups[group].asks)
        asked = (one for one in self.requirements if (one.stands_for or one.side, one.action) not in gone)
        return tuple(asked) if left else ()

    def lead_of(self, tenant: str) -> timedelta:
        """How long before the work a tenant has to be notified."""
        asked = (one for one in self.requirements if one.side == tenant and one.consent is Consent.NOTICE)
        return timedelta(hours=max((one.lead_hours for one in asked), default=0))

    def windows_of(self, tenant: str) -> dict[str, tuple[str, ...]]:
        """Stations whose windows are a tenant's own, sorted, each with the agreements that have them."""
        bound = [sorted({one.agreement for one in group.windows if one.tenant == tenant}) for group in self.groups]
        return {name: tuple(bound[group]) for name, (_, group) in sorted(self.stations.items()) if bound[group]}

    def withdrawn_from(self, tenant: str) -> tuple[str, ...]:
        """Cells that a tenant loses for good, as ``station/cell``."""
        lost = self.withdrawn.get(tenant)
        return lost.cells if lost is not None else ()

    def named_off(self, tenant: str) -> tuple[str, ...]:
        """Cells that a tenant loses for good, or that go off the air while others of its cells stay, sorted."""
        off = self.off_air.get(tenant)
        return tuple(sorted({*self.withdrawn_from(tenant), *(off.cells if off is not None else ())}))

    def with_approvers_of(self, network: Network) -> RunConstraints:
        """A copy with the approvers that the agreements of this network name now."""
        named = {agreement.id: agreement.approvers for agreement in network.agreements}
        asked = [
            one.model_copy(update={"approvers": named.get(one.agreement, one.approvers)}) for one in self.requirements
        ]
        return self.model_copy(update={"requirements": tuple(asked)})

    def of(self, station: str) -> StationConstraints | None:
        """The constraints of a station."""
        site_and_group = self.stations.get(station)
        return None if site_and_group is None else self.groups[site_and_group[1]]


class Outlook(Noun):
    """What a run waits for, or would wait for if it were accepted now.

    Attributes:
        subject: The subject of approvals.
        requirements: Approvals and notices that it needs.
        missing: Requirements that are not met yet, in words.
        unanswered: Those of which fewer users may give them now than are needed, in words.
        votes: Votes on the subject.
        tenants: Tenants that are notified.
        waits: Number of stations that may not begin now, by reason, with windows in local time.
        between: Number of stations where a later step may have to wait in addition, by reason; of a dry run.
        overridden: By whom and why windows and freezes are overridden; empty if they are not.
        extent: Of a plan: what it comes to.
        open_inputs: Inputs that name cells and are not known yet, so that tenants of all cells are asked.
    """

    subject: str
    requirements: tuple[Requirement, ...] = ()
    missing: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    votes: tuple[Vote, ...] = ()
    tenants: tuple[str, ...] = ()
    waits: dict[str, int] = {}
    between: dict[str, int] = {}
    overridden: str = ""
    extent: Extent | None = None
    open_inputs: tuple[OpenInput, ...] = ()


class Freeze(Noun):
    """A time in which nothing may change: everywhere, for a tenant, in a region or at a site.

    Attributes:
        warning: Id of its public warning (TS 23.041); empty for a freeze by people. A warning keeps cells on the air,
            so it binds only work that interrupts service or restarts a device.
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
        return freeze_name(self.target, self.warning)

    def as_reason(self, timezone: str) -> WaitReason:
        """Why work waits for its end, told in a time zone."""
        return WaitReason(
            code=WaitCode.WARNING if self.warning else WaitCode.FREEZE,
            subject=self.target,
            warning=self.warning,
            until=self.ends,
            timezone=timezone,
            because=self.reason,
        )


class Override(Noun):
    """A person's decision that a run works in spite of windows and freezes."""

    run: str
    by: str
    reason: str
    at: AwareDatetime


class NoticeKind(StrEnum):
    """Kind of a notice.

    A run is planned, was decided on by the host in the side's place, may begin in spite of the side's own windows or
    freezes since the host overrides them, waits for an approval that too few users may give now, began or ended at the
    side's stations. The host lifted a freeze of the side
    before its end. An incident began, grew, goes on in another, is told no more since no agreement of the side covers
    its cells, or is over.
    """

    PLANNED = "planned"
    DECIDED = "decided"
    OVERRIDDEN = "overridden"
    UNANSWERED = "unanswered"
    STARTED = "started"
    ENDED = "ended"
    FREEZE_LIFTED = "freeze-lifted"
    INCIDENT_RAISED = "incident-raised"
    INCIDENT_UPDATED = "incident-updated"
    INCIDENT_CONTINUED = "incident-continued"
    INCIDENT_WITHDRAWN = "incident-withdrawn"
    INCIDENT_CLEARED = "incident-cleared"


class NoticeOutage(Noun):
    """The outage of a side's service that a notice of a run is about: that of its worst cell.

    Attributes:
        kind: How it ends; ``until-unlocked`` and ``for-good`` are not ended by the run itself.
        seconds: As of ``Outage``.
        begins: When it begins: of planned work the earliest time, afterwards when the work began.
        ends: When it is expected to end, if it is ``timed`` or over; None while nobody knows.
        off_air: Of a playbook that is planned or begun, the side's own cells that go off the air; None if that is none.
    """

    kind: OutageKind
    seconds: int = 0
    begins: AwareDatetime
    ends: AwareDatetime | None = None
    off_air: OffAir | None = None

    @classmethod
    def of(
        cls, outage: Outage, begins: datetime, over: datetime | None = None, off_air: OffAir | None = None
    ) -> NoticeOutage | None:
        """The outage of work that begins then; None if it causes none.

        Args:
            outage: What the run does to the side.
            begins: See ``begins``.
            over: When the work ended, and with it an outage that it ends by itself.
            off_air: See ``off_air``.
        """
        if not outage.interrupts:
            return None
        timed = begins + timedelta(seconds=outage.seconds) if outage.kind is OutageKind.TIMED else None
        ends = None if outage.is_open else over or timed
        return cls(kind=outage.kind, seconds=outage.seconds, begins=begins, ends=ends, off_air=off_air)


class Notice(Noun):
    """A notice to a tenant about planned work, or to a side about an incident.

    Attributes:
        run: Id of its run; empty if it is about something else.
        incident: Id of its incident; empty if it is about something else. One about a freeze has neither.
        tenant: The side that gets it: a tenant's id, or ``host``.
        stations: Stations where the tenant is touched or interrupted, or has affected cells, sorted.
        begins: Earliest beginning of the work, by lead time, freezes, and windows of the tenant and the host, if the
            tenant was notified ahead.
        text: The text for people.
        sent: When it was first delivered; None if it was not yet.
        cells: Cells of the side that the incident affects, as ``station/cell``, sorted. Of a run: those that it takes
            the side out of for good, or off the air while others of its cells at the station stay.
        since: When the incident began for the side.
        what: Probable cause of the root.
        doing: What is being done about it, in words.
        outage: Of a run: the outage of the side's service; None if it causes none there, or nothing was done.
        tenants: Of a notice to the host about an incident: tenants whom it concerns, sorted; a tenant reads of no
            other.
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
    outage: NoticeOutage | None = None
    tenants: tuple[str, ...] = ()


class ToldNotice(Noun):
    """A notice as its side is told of it in a message; attributes as of ``Notice``.

    What is new on record about a notice stays out of messages until it is named here.
    """

    id: str
    run: str
    incident: str
    tenant: str
    kind: NoticeKind
    at: AwareDatetime
    stations: tuple[str, ...]
    begins: AwareDatetime | None
    text: str
    cells: tuple[str, ...]
    since: AwareDatetime | None
    what: str
    severity: PerceivedSeverity | None
    doing: str
    outage: NoticeOutage | None
    tenants: tuple[str, ...]

    @classmethod
    def of(cls, notice: Notice) -> ToldNotice:
        """What is told of a notice."""
        return cls(**{name: getattr(notice, name) for name in cls.model_fields})


class GatheredPlaces(Noun):
    """Where incidents of a message that lists several are.

    Attributes:
        incidents: Number of incidents.
        stations: Number of their stations.
        named: The first of these stations, by name.
        sites: Number of the sites of these stations.
        regions: Regions of these sites, sorted.
        tenants: Of a message to the host: tenants whom the incidents concern, sorted; a tenant reads of no other.
    """

    incidents: int
    stations: int
    named: tuple[str, ...] = ()
    sites: int = 0
    regions: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()


class GatheredCause(Noun):
    """Incidents of a message that have the same cause.

    Attributes:
        what: Probable cause of their roots.
        severity: The worst of those that stand; None if none does.
        places: Where they are.
    """

    what: str
    severity: PerceivedSeverity | None
    places: GatheredPlaces


class Gathered(Noun):
    """A message that lists several notices of incidents to one side.

    Attributes:
        side: The side: a tenant's id, or ``host``.
        kinds: Number of notices of each kind.
        severity: The worst of those that stand; None if none does.
        places: Where all of them are.
        causes: The incidents by cause, the gravest first.
        incidents: Ids of all incidents that it is about, the gravest first.
        notices: The first of its notices, the gravest first.
        more: How many it does not repeat.
        listing: The command that lists all notices.
        text: All of it for people.
    """

    side: str
    kinds: dict[str, int]
    severity: PerceivedSeverity | None
    places: GatheredPlaces
    causes: tuple[GatheredCause, ...]
    incidents: tuple[str, ...]
    notices: tuple[ToldNotice, ...]
    more: int = 0
    listing: str
    text: str


class Delivery(Noun):
    """A message on its way to a receiver: one notice, or several of incidents that were due to it together.

    Attributes:
        message: Id of the message: that of its notice, or of its own where it lists several.
        notice: Its notice; the oldest of several.
        count: Notices of the message.
        to: Id of the contact of the network files; empty for ``MINKA_NOTIFY_URL``.
        attempts: How often sending began.
        claimed: Whether an attempt to send it is under way.
    """

    message: str
    notice: Notice
    count: int = 1
    to: str = ""
    attempts: int = 0
    claimed: bool = False

    @property
    def key(self) -> str:
        """Key of all attempts, by which the receiver recognises a repetition."""
        return f"{self.message}-{self.to}" if self.to else self.message

    @property
    def receiver(self) -> str:
        """Who gets it: all of one contact of a side, or of the webhook of the settings."""
        return f"{self.notice.tenant}/{self.to}" if self.to else ""

    @property
    def about(self) -> str:
        """The incident or run that it is about: a receiver gets what is about the same in order.

        A message that lists several is about nothing else: what comes later waits until it is sent (``address``).
        """
        if self.count > 1:
            return self.message
        return f"{self.notice.tenant} {self.notice.incident or self.notice.run}"


@dataclass(frozen=True, slots=True)
class Clearance:
    """Whether a job may begin.

    Attributes:
        reasons: Why not; empty if it may.
        closes: When the window in which it may work closes; None if there is none.
    """

    reasons: tuple[WaitReason, ...] = ()
    closes: datetime | None = None

    @property
    def blocked(self) -> str:
        """Why not, for people; empty if it may."""
        return words(self.reasons)

    @property
    def until(self) -> datetime | None:
        """When the last of the reasons ends by itself; None if one of them does not."""
        ends = [one.until for one in self.reasons if one.until is not None]
        return max(ends) if ends and len(ends) == len(self.reasons) else None
