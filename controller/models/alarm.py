"""Alarms: one model for every source (o-ran-fm notifications, Alertmanager, own checks)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple, assert_never

from pydantic import AfterValidator, AwareDatetime, Field

from controller.models.enums import AlarmState as AlarmState  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.network import DeviceKind, Noun
from controller.models.waiting import WaitCode

#: Switch in the store that stops all automatic repair while it is on.
REMEDIATION_STOPPED = "remediation-stopped"
#: Actor that sets this switch if no person does, and probable cause of its alarm.
BREAKER = "breaker"
TOO_MANY_REPAIRS = "too-many-repairs"
#: How far a source's clock may be from ours.
SKEW = timedelta(minutes=1)
#: Probable cause of a rule that demoted itself.
RULE_DEMOTED = "rule-demoted"
#: Probable cause of a file of a rule, playbook or KPI that is in force and can't be used.
DEFINITION_LEFT_OUT = "definition-left-out"
#: How the note of an alarm begins for people while its repair waits; ``Alarm.waits`` says whether it does.
_WAITS = "waits: "
#: Probable causes of a core link of the control plane that is down, and of one of the user plane that carries no
#: packets.
CORE_LINK_DOWN = "core-link-down"
USER_PLANE_DOWN = "user-plane-down"
#: Causes of core links; a station may not report the state of these links.
LINK_CAUSES = frozenset((CORE_LINK_DOWN, USER_PLANE_DOWN))
#: Probable cause of a station whose core links are all down, those of several tenants.
ALL_LINKS_DOWN = "all-core-links-down"
#: Probable cause of a core node, or of S-GWs of a tenant, that most stations have lost.
CORE_NODE_DOWN = "core-node-down"
#: Probable cause of a security gateway, or of a network of several core nodes, that most stations have lost.
REMOTE_END_DOWN = "remote-end-down"
#: Probable cause of a backhaul node below which nothing can be reached.
BACKHAUL_DOWN = "backhaul-down"
#: Probable causes of a station whose mains are lost, and of one on battery for an unknown reason: by external inputs
#: that the network files name at its site, or by its AlarmList.
MAINS_LOST, ON_BATTERY = "mains-lost", "on-battery"
SUPPLY_CAUSES = frozenset({MAINS_LOST, ON_BATTERY})
#: Words of an AlarmList for these (probable causes of M.3100, as in IANAItuProbableCause of RFC 3877), in our spelling.
SUPPLY_WORDS = {
    "commercial-power-failure": MAINS_LOST,
    "battery-discharging": ON_BATTERY,
    "low-battery-threshold": ON_BATTERY,
}
#: Words of an AlarmList for a link that is lost (of M.3100 and X.733), in our spelling. Others may tell of one that
#: works badly.
LOST_LINK_WORDS = frozenset({"connection-establishment-error", "loss-of-frame", "loss-of-signal", "unavailable"})
#: Probable causes of a faulty power unit (o-ran-alarm-id 26), or of any problem with power: no word of the mains.
POWER_UNIT_CAUSES = frozenset(
    {
        "o-ran-fault-26",
        "3gpp-power-problem",
        "3gpp-power-supply-failure",
        "3gpp-rectifier-failure",
    }
)
#: Probable causes of all problems with power.
POWER_CAUSES = SUPPLY_CAUSES | POWER_UNIT_CAUSES
#: Probable causes of a station without an external time source, in the same two forms.
HOLDOVER_CAUSES = frozenset({"o-ran-fault-17", "3gpp-timing-problem"})
#: Fields that identify a fault: reports with equal values are about the same one.
FAULT = ("station", "object", "tenant", "probable_cause", "specific_problem")
#: Probable cause of a radio unit without a sign of life, whose cells are all off air, and whose fronthaul has no fault.
RADIO_UNIT_LOST = "radio-unit-lost"
#: Probable cause of a cell that should serve and does not.
CELL_OFF_AIR = "cell-off-air"
#: Probable cause of a PLMN that was applied to a cell and that its station does not have any more: a part of drift
#: that takes service away from the PLMN's tenant.
PLMN_MISSING = "plmn-missing"
#: Probable cause of a cell that goes off air again and again, each time for less than it takes to be an alarm.
CELL_UNSTABLE = "cell-unstable"
#: Probable cause of a cell that says it serves, and that nobody uses at an hour when people usually do.
SLEEPING_CELL = "sleeping-cell"
#: Probable cause of a KPI (the specific problem) that is worse than usual at these hours.
KPI_DEGRADED = "kpi-degraded"
#: Probable cause of a device that can't be reached.
UNREACHABLE = "station-unreachable"
#: Probable cause of a router's port that is not shut down and gets no signal.
PORT_DOWN = "port-down"
#: Probable causes of a function that is ready on no pool, and of one that runs on two.
FUNCTION_DOWN, FUNCTION_TWICE = "function-down", "function-twice"
#: Probable cause of a function of which nobody knows whether it serves: a pool of it can't be read, it is ready on no
#: other, and nothing that depends on it serves as far as is known.
FUNCTION_UNSEEN = "function-unseen"
#: Probable cause of a function that serves with too few replicas.
FUNCTION_DEGRADED = "function-degraded"
#: Probable causes of a pool's node that is lost; that lacks memory, disk or processes; whose clock does not follow PTP
#: although functions on it need that.
NODE_LOST, NODE_PRESSURE, PTP_LOST = "node-lost", "node-pressure", "ptp-lost"
#: Probable causes of a pool where pods of functions find no node, and of one that has lost its reserve.
POOL_FULL, POOL_NEARLY_FULL = "pool-full", "pool-nearly-full"
#: Probable cause of a function with a container that crashes again and again.
FUNCTION_CRASH_LOOPING = "function-crash-looping"
#: Probable causes of servers with alarms in their pool's O2 IMS, and of an O2 IMS that does not answer.
HARDWARE_ALARM, IMS_UNREACHABLE = "hardware-alarm", "ims-unreachable"
#: Causes that Minka finds in a pool by reading its nodes and pods.
POOL_CAUSES = frozenset((NODE_LOST, NODE_PRESSURE, PTP_LOST, POOL_FULL, POOL_NEARLY_FULL, FUNCTION_CRASH_LOOPING))
POOL_CAUSES |= {HARDWARE_ALARM, IMS_UNREACHABLE}
#: Probable cause of a device whose VES heartbeats stopped.
HEARTBEAT_LOST = "heartbeat-lost"
#: Causes from which others may follow, whoever reports them (``controller.intent.roots``). A webhook may name them on
#: objects that are on record only.
SPREADING_CAUSES = (
    POWER_CAUSES
    | {BACKHAUL_DOWN, REMOTE_END_DOWN, CORE_NODE_DOWN, PORT_DOWN, ALL_LINKS_DOWN, RADIO_UNIT_LOST}
    | {NODE_LOST, PTP_LOST, POOL_FULL, FUNCTION_CRASH_LOOPING, FUNCTION_DOWN, FUNCTION_UNSEEN}
)
#: Probable cause of managed nodes that differ from what was applied.
CONFIGURATION_DRIFT = "configuration-drift"
#: Probable cause of a virtual station that has lost its whole configuration: its function has a new pod.
CONFIGURATION_LOST = "configuration-lost"
SPREADING_CAUSES |= {CONFIGURATION_DRIFT, CONFIGURATION_LOST}
#: Causes of alarms that take service away; those that hide whether there is service; and both, by whose times lost
#: minutes count. When a PLMN was missing is counted by what checks read of each (``controller.intent.delivery``).
LOSES = LINK_CAUSES | {ALL_LINKS_DOWN, CELL_OFF_AIR, PLMN_MISSING, FUNCTION_DOWN, CONFIGURATION_LOST}
HIDES = frozenset((UNREACHABLE, FUNCTION_UNSEEN))
COUNTED = (LOSES - {PLMN_MISSING}) | HIDES
#: Probable cause of cells and core links whose state a station tells in words that no specification has.
STATE_UNKNOWN = "state-unknown"
#: Probable cause of an alarm list full of cleared alarms that nobody acknowledged.
ALARM_LIST_CROWDED = "alarm-list-crowded"
#: Probable cause of alerts without a known one; their own becomes the specific problem.
OTHER_ALERT = "other-alert"
#: Probable cause of a station that a run left in a state nobody decided on, until what it touched there is back.
DIVERGED = "station-diverged"
#: Probable cause of a record that is older than what is known outside of the database, until a person decides.
RECORD_DOUBTED = "record-doubted"
#: Probable cause of a failed health check by an error in Minka itself, until all of them work again.
CHECK_FAILED = "check-failed"


class SwitchState(Noun):
    """A switch as it was last set.

    Attributes:
        since: When it was set; None if never.
        by: Who set it.
    """

    on: bool = False
    since: AwareDatetime | None = None
    by: str = ""
    reason: str = ""

    @property
    def stops(self) -> str:
        """A sentence for people: automatic repair is stopped, by whom and why."""
        return f"automatic repair is stopped by {self.by}{self.reason and ': '}{self.reason}"


class PerceivedSeverity(StrEnum):
    """X.733 perceived severity (TS 28.532)."""

    CRITICAL = "CRITICAL"
    MAJOR = "MAJOR"
    MINOR = "MINOR"
    WARNING = "WARNING"
    INDETERMINATE = "INDETERMINATE"
    CLEARED = "CLEARED"

    @classmethod
    def of(cls, word: str) -> PerceivedSeverity:
        """The severity of a station's word; INDETERMINATE for an unknown word."""
        return next((severity for severity in cls if severity.value == word), cls.INDETERMINATE)


#: Severities from the least known to the worst (X.733 §8.1.2.3).
_BY_WEIGHT = (
    PerceivedSeverity.CLEARED,
    PerceivedSeverity.INDETERMINATE,
    PerceivedSeverity.WARNING,
    PerceivedSeverity.MINOR,
    PerceivedSeverity.MAJOR,
    PerceivedSeverity.CRITICAL,
)


def is_worse(one: PerceivedSeverity, other: PerceivedSeverity) -> bool:
    """Whether a severity is worse than another one."""
    return _BY_WEIGHT.index(one) > _BY_WEIGHT.index(other)


class ObjectClass(StrEnum):
    """Class of the managed object that failed."""

    CELL = "cell"
    CORE_LINK = "core-link"
    CARRIER = "carrier"
    RADIO_UNIT = "radio-unit"
    PORT = "port"
    STATION = "station"
    ROUTER = "router"
    FUNCTION = "function"
    POOL = "pool"
    NODE = "node"
    """A server of a pool."""
    CORE_NODE = "core-node"
    BACKHAUL = "backhaul"
    CONTROLLER = "controller"
    """Minka itself: its record, its breaker."""

    @classmethod
    def of_device(cls, kind: DeviceKind) -> ObjectClass:
        """The class of a device that failed as a whole, by its kind."""
        match kind:
            case DeviceKind.STATION:
                return cls.STATION
            case DeviceKind.ROUTER:
                return cls.ROUTER
            case DeviceKind.FUNCTION:
                return cls.FUNCTION
            case DeviceKind.POOL:
                return cls.POOL
            case _:
                assert_never(kind)


@dataclass(frozen=True, slots=True)
class ActiveAlarm:
    """An alarm in a station's list (o-ran-fm), which has at most one for a fault and source.

    Attributes:
        fault: Number of the kind of fault.
        source: The object at fault, as in ``EP_S1C=claro-mme-1``.
        stated: Its severity while active, also if ``severity`` says that it is cleared.
        affected: Names of affected objects, as the station gives them; empty if it names none.
    """

    fault: str
    source: str
    severity: PerceivedSeverity
    text: str
    affected: tuple[str, ...] = ()
    stated: PerceivedSeverity = PerceivedSeverity.INDETERMINATE

    @property
    def name(self) -> str:
        """Unique name of the alarm at its station; not a device path."""
        return f"alarm {self.fault} {self.source}"

    @property
    def grave(self) -> bool:
        """Whether service is affected: critical and major (X.733 §8.1.2.3)."""
        return self.severity in (PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR)


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """A record of a station's AlarmList (TS 28.622, module _3gpp-common-fm).

    Attributes:
        id: The station's id of it; a rebuilt list has other ids.
        object: Distinguished name of the failed object (``objectInstance``).
        type: Kind of alarm, as in EQUIPMENT_ALARM.
        cause: Probable cause, in the station's words.
        problem: Specific problem, in the station's words.
        severity: CLEARED if the fault is over and nobody has acknowledged that.
        acknowledged_by: Who acknowledged it at the station, if the station says so; empty if nobody did.
        raised: When it was raised, by the station's clock (``alarmRaisedTime``); None if the station does not say.
        cleared: When it was cleared (``alarmClearedTime``), likewise.
    """

    id: str
    object: str
    type: str
    cause: str
    problem: str
    severity: PerceivedSeverity
    text: str
    acknowledged_by: str = ""
    raised: datetime | None = None
    cleared: datetime | None = None

    @property
    def name(self) -> str:
        """Unique name of the record at its station; not a device path."""
        return f"alarm {self.cause} {self.problem} {self.object}"

    @property
    def grave(self) -> bool:
        """Whether service is affected: critical and major (X.733 §8.1.2.3)."""
        return self.severity in (PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR)


class AlarmSource(StrEnum):
    """The source of an alarm."""

    CHECK = "check"
    ORAN_FM = "oran-fm"
    ALARM_LIST = "alarm-list"
    ALERTMANAGER = "alertmanager"
    VES = "ves"

    @property
    def is_told(self) -> bool:
        """Whether others send it to Minka, instead of being read from the device over its own session.

        Whoever has a token may send it: no reading of a device gives way to it.
        """
        return self in (AlarmSource.ALERTMANAGER, AlarmSource.VES)


class AlertRefusal(StrEnum):
    """Why an alert becomes no alarm."""

    NO_STATION = "no-station"
    UNKNOWN_STATION = "unknown-station"
    UNKNOWN_TENANT = "unknown-tenant"
    UNREAD_DOMAIN = "unread-domain"
    """A VES event of a domain from which no alarms are made."""
    OWN = "own"
    """It repeats what Minka itself says of an incident."""
    TOO_MANY = "too-many"
    """Its source named too many other faults of the device already (``controller.intent.folding.admitted``)."""
    TRUNCATED = "truncated"
    """Alertmanager truncated it, and the rest could not be read from there."""


class AlarmNote(NamedTuple):
    """How an alarm went on, or what its repair waits for; see ``Alarm``."""

    note: str
    waits: tuple[WaitCode, ...] = ()
    awaits: str = ""

    @classmethod
    def waiting(cls, words: str, *codes: WaitCode) -> AlarmNote:
        """The note of an alarm whose repair waits."""
        return cls(f"{_WAITS}{words}", codes or (WaitCode.OTHER,), words)


class Alarm(Noun):
    """A normalised fault on an object.

    Station, object, tenant, probable cause and specific problem identify it for deduplication (TS 28.532), whatever its
    source. While one is open, further reports are only counted.

    Attributes:
        object: Managed object that failed: a device path (``controller.nrm.tree``), ``station/cell``, a name of the
            device's own (``ru-1``), or ``station`` or ``router`` for the device as a whole.
        object_class: Class of the object.
        tenant: Tenant that owns the object; empty if it is the host's or shared.
        probable_cause: Kebab-case, as in ``core-link-down`` or ``configuration-drift``.
        source: The source that vouches for it: the one that reported it first or brought it back, or, once a reading of
            its station found the same fault, that reading.
        note: How it went on, or what its repair waits for, for people.
        waits: What its repair waits for before there is a run; empty if the note tells how it went on.
        awaits: The same in words alone, as a part of the note.
        count: Reports received.
        run: Id of the latest repair run, empty if none.
        escalated: When it was last handed over to people; None if never. A page while its repair waits is none.
        seen: When its source saw it begin, if that was before ``raised``, or come back; lost service counts from then.
        ended: When its source saw it end, if that was before ``cleared``; lost service counts until then.
        unread: Whether another system reported it, and no check read the state of its object then.
        cells: Affected cells, as ``station/cell``, sorted.
        tenants: Tenants to notify, sorted: the object's owner, or those that share the cells.
        functions: Affected functions if a pool or a part of it failed, sorted.
        degraded: Functions that lost some pods, but have others that are ready, sorted.
        acknowledged: When somebody first acknowledged it; None if nobody did.
        acknowledged_by: Who that was, here or at the station.
        root: Id of the alarm that it follows from; empty if it is a root itself.
        released: When it outlived its root; None if never.
        incident: Id of its incident; empty if it was over before it came on record.
        cleared_by: The person who cleared it; empty if its source did.
        shelved_until: Until when nobody is notified and nothing repairs it; None if it was not shelved.
        shelved_by: Who shelved it.
        shelved_reason: Why.
        shelved_severity: Its severity then; a more severe report ends the shelving.
    """

    id: str
    station: str
    object: str
    object_class: ObjectClass = ObjectClass.STATION
    tenant: str
    probable_cause: str
    specific_problem: str
    severity: PerceivedSeverity
    text: str
    source: AlarmSource
    state: AlarmState
    raised: AwareDatetime
    changed: AwareDatetime
    cleared: AwareDatetime | None = None
    count: int = 1
    run: str = ""
    note: str = ""
    waits: tuple[WaitCode, ...] = ()
    # Whoever is told of an alarm has its note.
    awaits: str = Field(default="", exclude=True)
    escalated: AwareDatetime | None = None
    cells: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    acknowledged: AwareDatetime | None = None
    acknowledged_by: str = ""
    root: str = ""
    released: AwareDatetime | None = None
    seen: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    unread: bool = False
    incident: str = ""
    cleared_by: str = ""
    shelved_until: AwareDatetime | None = None
    shelved_by: str = ""
    shelved_reason: str = ""
    shelved_severity: PerceivedSeverity | None = None

    @property
    def noted(self) -> AlarmNote:
        """Its note, with what its repair waits for."""
        return AlarmNote(self.note, self.waits, self.awaits)

    @property
    def order(self) -> tuple[datetime, *tuple[str, ...]]:
        """Its place among alarms: the oldest first, and of those of the same moment by the fault itself.

        An id is drawn by lot, and would let chance say which of two faults is told of first.
        """
        return (self.raised, self.probable_cause, *(getattr(self, name) for name in FAULT), self.id)

    def kept_by(self, *, enabled: bool, read: bool) -> str:
        """Why people may not clear it; empty if they may, because its source never will.

        Args:
            enabled: Whether its source may raise and clear alarms.
            read: Whether its device is read.
        """
        if self.cleared is not None or self.state in (AlarmState.CLEARED, AlarmState.REPAIRED):
            return "it is over"
        if self.state is AlarmState.REPAIRING:
            return f"run {self.run} works on it"
        pushed = self.source.is_told
        notified = self.source is AlarmSource.ORAN_FM and self.severity is PerceivedSeverity.WARNING
        if not enabled or pushed or notified or (self.station and not read):
            return ""
        return f"{self.source} clears it once it is over; shelve it until then: minka alarms shelve {self.id}"

    def is_shelved(self, at: datetime) -> bool:
        """Whether it is shelved at a time (ISA-18.2)."""
        return self.shelved_until is not None and at < self.shelved_until


class AlarmPart(Noun):
    """A tenant's part of an alarm that concerns it.

    Attributes:
        there: Whether the failed device is disclosed to it.
        named: Whether the failed object is.
        cells: Affected cells that are shared with it, as ``station/cell``, sorted.
        sites: Population of their sites, by site.
        left_cells: Affected cells that were shared with it while the alarm stood, and then no more, sorted.
        left_sites: Population of their sites then.
    """

    there: bool
    named: bool
    cells: tuple[str, ...] = ()
    sites: Mapping[str, int] = Field(default_factory=dict)
    left_cells: tuple[str, ...] = ()
    left_sites: Mapping[str, int] = Field(default_factory=dict)

    @property
    def ever(self) -> tuple[str, ...]:
        """Affected cells that are or were shared with it, sorted."""
        return tuple(sorted({*self.cells, *self.left_cells})) if self.left_cells else self.cells


class ToldAlarm(Alarm):
    """An alarm as a tenant is told of it; one that concerns it no more, as it was when it ceased to.

    Attributes:
        cells: Affected cells that are shared with the tenant; once it is over, also those that were meanwhile.
        changed: When the tenant was told otherwise last.
        told_to: The tenant.
        part: Its part of the alarm.
        until: When it ceased to concern the tenant; None if it still does, or did when it was over.
    """

    told_to: str
    part: AlarmPart
    until: AwareDatetime | None = None

    @property
    def stands(self) -> bool:
        """Whether it stands, as far as the tenant is told."""
        return self.cleared is None and self.until is None

    @property
    def sites(self) -> Mapping[str, int]:
        """Population of the sites of its cells, by site."""
        return self.part.sites if self.cleared is None else {**self.part.left_sites, **self.part.sites}


#: Kinds of escalation.
PAGE, TICKET = "page", "ticket"


class Escalation(Noun):
    """A notification of people about an alarm; on record with the alarm's state before it is sent.

    Attributes:
        number: Its number among the alarm's escalations, from 1.
        kind: ``page`` if somebody has to act now, or ``ticket`` if somebody has to go there.
        severity: Severity of the alarm, with what follows from it, when it was made.
        attempts: How often sending began.
        claimed: Whether an attempt to send it is under way.
    """

    alarm: str
    number: int
    kind: str = PAGE
    severity: PerceivedSeverity
    reason: str
    at: AwareDatetime
    attempts: int = 0
    claimed: bool = False

    @property
    def key(self) -> str:
        """Key of all attempts, by which the receiver recognises a repetition."""
        return f"escalate-{self.alarm}" if self.number == 1 else f"escalate-{self.alarm}-{self.number}"

    @property
    def receiver(self) -> str:
        """Who gets it: one receiver of all pages, and one of all tickets, so that no page waits for a ticket."""
        return self.kind

    @property
    def about(self) -> str:
        """The alarm that it is about: a receiver gets what is about the same in order."""
        return self.alarm


class Comment(Noun):
    """A comment of a person on an alarm, or on another object that has comments.

    Attributes:
        about: Id of the alarm.
        by: Who said it.
        side: That person's side, a tenant's id or ``host``.
        to: Tenants that may read a comment of the host; empty for the host's own people only.
    """

    id: str
    about: str
    at: AwareDatetime
    by: str
    side: str
    to: tuple[str, ...] = ()
    text: str


class AlarmFilter(Noun):
    """Which alarms are wanted; an empty field matches all.

    Attributes:
        states: ``raised`` is every alarm that stands, whatever is done about it: X.733 and TS 28.111 know active alarms
            and cleared ones, and an alarm that is repaired or escalated is active until it is cleared.
        objects: A whole path, or the last steps of one, as in ``EUtranCellFDD[1]``.
        causes: Probable causes, or names of alerts whose cause is not known.
        since: Only those that changed since then.
        standing: Only those that are not over; False for those that are over as well. None is False, except that
            ``escalated`` then selects only what still stands: such an alarm keeps its state when it is over.
        roots: Only those that follow from no other.
        root: Only those that follow from this alarm.
        shelved: Only those that are shelved now, or only those that are not; None for both.
        acknowledged: The same for acknowledged ones.
    """

    states: tuple[AlarmState, ...] = ()
    stations: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    severities: tuple[PerceivedSeverity, ...] = ()
    since: AwareDatetime | None = None
    standing: bool | None = None
    roots: bool = False
    root: str = ""
    shelved: bool | None = None
    acknowledged: bool | None = None

    @property
    def looked_for(self) -> tuple[AlarmState, ...]:
        """The states themselves that it selects, of which an alarm has one."""
        active = (AlarmState.RAISED, AlarmState.REPAIRING, AlarmState.ESCALATED)
        return tuple(dict.fromkeys((*self.states, *(active if AlarmState.RAISED in self.states else ()))))

    @property
    def leaves_out_ended(self) -> bool:
        """Whether escalated alarms that are over are left out, though others that are over are not."""
        if AlarmState.ESCALATED in self.states:
            return self.standing is None
        return AlarmState.RAISED in self.states


#: Characters of each text of a source that are kept.
LETTERS = 1000
#: Characters of the text of a source that are kept with a report.
LONGEST_BODY = 4096
_Words = Annotated[str, AfterValidator(lambda words: words[:LETTERS])]


class AlarmReport(Noun):
    """A source's report, before deduplication. ``severity`` CLEARED clears the open alarm.

    Object, specific problem and text are cut to ``LETTERS`` characters.

    Attributes:
        at: The time that orders it among other reports; never in the future.
        cells: Affected cells, as ``station/cell``, if the source names them; otherwise they follow from the object.
        functions: See ``Alarm``; ``degraded`` too.
        seen: When the fault began or ended, if that was before ``at``: the source needed a while to be sure, or the
            station reported the time. None if it is ``at``.
        unread: See ``Alarm``.
        source_time: The event's time as the source reported it, if it differs from ``at``.
        body: The text that the source sent, if it is kept.
    """

    station: str
    object: _Words
    object_class: ObjectClass = ObjectClass.STATION
    tenant: str = ""
    probable_cause: str
    specific_problem: _Words = ""
    severity: PerceivedSeverity
    text: _Words = ""
    source: AlarmSource
    at: AwareDatetime
    cells: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    seen: AwareDatetime | None = None
    # A matter of the moment of its receipt, which its alarm keeps.
    unread: bool = Field(default=False, exclude=True)
    # These describe the transmission and not the fault, so nothing that is made of the report includes them.
    source_time: AwareDatetime | None = Field(default=None, exclude=True)
    body: str = Field(default="", exclude=True)

    @classmethod
    def of_controller(
        cls, managed_object: str, cause: str, severity: PerceivedSeverity, at: datetime, text: str = ""
    ) -> AlarmReport:
        """A report of Minka about an object of its own, which is on no station."""
        return cls(
            station="",
            object=managed_object,
            object_class=ObjectClass.CONTROLLER,
            probable_cause=cause,
            severity=severity,
            text=text,
            source=AlarmSource.CHECK,
            at=at,
        )

    @property
    def skewed(self) -> bool:
        """Whether the source's clock differs too much from ours to order its reports by."""
        return self.source_time is not None and abs(self.source_time - self.at) > SKEW


class RecordedReport(Noun):
    """A report on record.

    Attributes:
        number: Its number in the order of arrival.
        digest: Digest of its body (``controller.intent.folding.digest``).
        alarm: Id of the alarm that it became part of.
        received: When it was received first.
        last: When it was received last.
        count: How often it was received.
        skewed: Whether the source's clock was wrong, so that the time of receipt is used.
        report: The report; its body is shortened.
    """

    number: int
    digest: str
    alarm: str
    received: AwareDatetime
    last: AwareDatetime
    count: int
    skewed: bool
    report: AlarmReport
