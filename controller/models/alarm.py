"""Alarms: one model for every source (o-ran-fm notifications, Alertmanager, own checks)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from controller.models.enums import AlarmState as AlarmState  # noqa: PLC0414 - offered here, beside what it is about
from controller.models.network import Noun

#: Switch in the store that stops all automatic repair while it is on.
REMEDIATION_STOPPED = "remediation-stopped"
#: Who sets that switch where no person does, and the probable cause of the alarm that says so.
BREAKER = "breaker"
TOO_MANY_REPAIRS = "too-many-repairs"
#: How far a source's clock may be from ours.
SKEW = timedelta(minutes=1)
#: Probable cause of a rule that demoted itself.
RULE_DEMOTED = "rule-demoted"
#: Beginning of the note of an alarm whose repair does not start.
WAITS = "waits: "
#: Probable cause of a core link of the control plane that is down, and of one that carries no users' packets.
CORE_LINK_DOWN = "core-link-down"
USER_PLANE_DOWN = "user-plane-down"
#: Causes of core links, of which a station may not tell the state.
LINK_CAUSES = frozenset((CORE_LINK_DOWN, USER_PLANE_DOWN))
#: Probable cause of a station whose core links are all down, those of several tenants.
ALL_LINKS_DOWN = "all-core-links-down"
#: Probable cause of a core node, or S-GWs of a tenant, that most stations have lost.
CORE_NODE_DOWN = "core-node-down"
#: Probable cause of a security gateway, or a network of several core nodes, that most stations have lost.
REMOTE_END_DOWN = "remote-end-down"
#: Probable cause of a node of the backhaul below which nothing can be reached.
BACKHAUL_DOWN = "backhaul-down"
#: Probable causes of a station that runs on its battery: by o-ran-fm, and as X.733 calls it in an AlarmList.
POWER_CAUSES = frozenset({"o-ran-fault-26", "3gpp-power-problem"})
#: Probable causes of a station without an external time source, as `POWER_CAUSES` of one without mains.
HOLDOVER_CAUSES = frozenset({"o-ran-fault-17", "3gpp-timing-problem"})
#: What makes two reports speak of the same fault.
FAULT = ("station", "object", "tenant", "probable_cause", "specific_problem")
#: Probable cause of a cell that should serve and does not.
CELL_OFF_AIR = "cell-off-air"
#: Probable cause of a cell that says it serves, and that nobody uses although people always do at this hour.
SLEEPING_CELL = "sleeping-cell"
#: Probable cause of an indicator (the specific problem) that is worse than it uses to be at these hours.
KPI_DEGRADED = "kpi-degraded"
#: Probable cause of a device that can't be reached.
UNREACHABLE = "station-unreachable"
#: Probable cause of a port of a router that is not shut and gets no signal.
PORT_DOWN = "port-down"
#: Probable causes of a function that is ready on no pool, and of one that runs on two.
FUNCTION_DOWN, FUNCTION_TWICE = "function-down", "function-twice"
#: Probable cause of a function that serves with fewer replicas than it should have.
FUNCTION_DEGRADED = "function-degraded"
#: Probable causes of a node of a pool that is lost, that is short of memory, disk or processes, and whose clock follows
#: PTP no more although functions on it need that.
NODE_LOST, NODE_PRESSURE, PTP_LOST = "node-lost", "node-pressure", "ptp-lost"
#: Probable causes of a pool where pods of functions find no node, and of one that has lost its reserve.
POOL_FULL, POOL_NEARLY_FULL = "pool-full", "pool-nearly-full"
#: Probable cause of a function whose container crashes again and again.
FUNCTION_CRASH_LOOPING = "function-crash-looping"
#: Probable causes of servers of which the O2 IMS of their pool lists alarms, and of an O2 IMS that does not answer.
HARDWARE_ALARM, IMS_UNREACHABLE = "hardware-alarm", "ims-unreachable"
#: What Minka finds wrong in a pool, by reading its nodes and pods.
POOL_CAUSES = frozenset((NODE_LOST, NODE_PRESSURE, PTP_LOST, POOL_FULL, POOL_NEARLY_FULL, FUNCTION_CRASH_LOOPING))
POOL_CAUSES |= {HARDWARE_ALARM, IMS_UNREACHABLE}
#: Probable cause of a device that reported by VES that it lives, and does so no more.
HEARTBEAT_LOST = "heartbeat-lost"
#: Probable cause of managed nodes that differ from what was applied.
CONFIGURATION_DRIFT = "configuration-drift"
#: Probable cause of a virtual station that has lost all that was applied to it: its function has a new pod.
CONFIGURATION_LOST = "configuration-lost"
#: Causes of alarms that take service away, and with those that keep anybody from seeing whether there is any.
LOSES = LINK_CAUSES | {ALL_LINKS_DOWN, CELL_OFF_AIR, FUNCTION_DOWN, CONFIGURATION_LOST}
COUNTED = LOSES | {UNREACHABLE}
#: Probable cause of a list of alarms full of what is over and was never acknowledged.
ALARM_LIST_CROWDED = "alarm-list-crowded"
#: Probable cause of alerts whose own is not known; it is their specific problem.
OTHER_ALERT = "other-alert"
#: Probable cause of a station that a run left otherwise than was decided, until a later run ends well there.
DIVERGED = "station-diverged"
#: Probable cause of a record that is older than what is known outside of the database, until a person has decided.
RECORD_DOUBTED = "record-doubted"


class SwitchState(Noun):
    """A switch as it was last set.

    Attributes:
        since: When that was; None if never.
        by: Who did it.
    """

    on: bool = False
    since: AwareDatetime | None = None
    by: str = ""
    reason: str = ""

    @property
    def stops(self) -> str:
        """That automatic repair is stopped, by whom and why."""
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
        """From a station's word; of one that is none it is not known how bad it is."""
        return next((severity for severity in cls if severity.value == word), cls.INDETERMINATE)


#: Severities from what is known least to the worst (X.733 §8.1.2.3).
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


@dataclass(frozen=True, slots=True)
class ActiveAlarm:
    """An alarm as a station lists it (o-ran-fm); it has one at most for a fault and a source.

    Attributes:
        fault: Number of the kind of fault.
        source: What is at fault, as in ``EP_S1C=claro-mme-1``.
        stated: Its severity where it stands, also where ``severity`` says that it is cleared.
        affected: Names of the objects that suffer, as the station gives them; empty where it names none.
    """

    fault: str
    source: str
    severity: PerceivedSeverity
    text: str
    affected: tuple[str, ...] = ()
    stated: PerceivedSeverity = PerceivedSeverity.INDETERMINATE

    @property
    def name(self) -> str:
        """What tells it from the others of its station, and is no device path."""
        return f"alarm {self.fault} {self.source}"

    @property
    def grave(self) -> bool:
        """Whether service suffers: critical and major (X.733 §8.1.2.3)."""
        return self.severity in (PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR)


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """A record of a station's AlarmList (TS 28.622, module _3gpp-common-fm).

    Attributes:
        id: By which the station knows it; a list that it builds again has others.
        object: Distinguished name of what failed (``objectInstance``).
        type: Kind of alarm, as in EQUIPMENT_ALARM.
        cause: Probable cause, in whatever words.
        problem: Specific problem, in whatever words.
        severity: CLEARED where the fault is over and nobody has acknowledged that.
        acknowledged_by: Who acknowledged it at the station, as far as that tells; empty where nobody did.
        raised: When it was raised, by the station's clock (``alarmRaisedTime``); None where it does not tell.
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
        """What tells it from the others of its station, and is no device path."""
        return f"alarm {self.cause} {self.problem} {self.object}"

    @property
    def grave(self) -> bool:
        """Whether service suffers: critical and major (X.733 §8.1.2.3)."""
        return self.severity in (PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR)


class AlarmSource(StrEnum):
    """Who says that something is wrong."""

    CHECK = "check"
    ORAN_FM = "oran-fm"
    ALARM_LIST = "alarm-list"
    ALERTMANAGER = "alertmanager"
    VES = "ves"


class AlertRefusal(StrEnum):
    """Why an alert becomes no alarm."""

    NO_STATION = "no-station"
    UNKNOWN_STATION = "unknown-station"
    UNKNOWN_TENANT = "unknown-tenant"
    UNREAD_DOMAIN = "unread-domain"
    """A VES event of a domain from which no alarms are made."""
    OWN = "own"
    """It says what Minka itself says of an incident."""
    TRUNCATED = "truncated"
    """Alertmanager cut it off, and it could not be read back."""


class Alarm(Noun):
    """A normalised fault on an object.

    Identity for deduplication is (source kind independent) station, object, tenant, probable cause and
    specific problem (TS 28.532); while one is open, further reports only count up.

    Attributes:
        object: Managed object that failed: a device path (``controller.nrm.tree``), ``station/cell``, a name of the
            device's own (``ru-1``), or ``station`` or ``router`` for the device as a whole.
        object_class: Its class.
        tenant: Tenant whose own object it is, empty where it is the host's or shared.
        probable_cause: Kebab-case, as in ``core-link-down`` or ``configuration-drift``.
        source: Who said it first.
        note: What became of it, or what its repair waits for.
        count: Reports received.
        run: Id of the latest repair run, empty if none.
        escalated: When people were last asked to see to it, None if never.
        seen: Since when its source saw it, where that was before it was raised; service counts from then.
        ended: When its source saw it end, where that was before it was cleared; service counts until then.
        cells: Cells that suffer, as ``station/cell``, sorted.
        tenants: Tenants that are notified of it, sorted: those whose own object it is, or who share the cells.
        functions: Functions that suffer where a pool or a part of it failed, sorted.
        degraded: Functions that lost pods by that, and have others that are ready, sorted.
        acknowledged: When somebody first said that people know of it, None if nobody did.
        acknowledged_by: Who that was, here or at the station.
        root: Id of the alarm that it follows from, empty where it is a root itself.
        released: When its root was over and it still stood, None if never.
        incident: Id of the incident that it is part of; empty where it was over when it came on record.
        cleared_by: The person who said that it is over, an empty string where its source did.
        shelved_until: Until when nobody is called for it and nothing repairs it, None where it was not shelved.
        shelved_by: Who shelved it.
        shelved_reason: Why.
        shelved_severity: Its severity then; once it is worse, the alarm is back.
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
    incident: str = ""
    cleared_by: str = ""
    shelved_until: AwareDatetime | None = None
    shelved_by: str = ""
    shelved_reason: str = ""
    shelved_severity: PerceivedSeverity | None = None

    def kept_by(self, *, enabled: bool, read: bool) -> str:
        """Why no person may clear it; empty if its source never will.

        Args:
            enabled: Whether its source may raise and clear alarms.
            read: Whether its device is read.
        """
        if self.cleared is not None or self.state in (AlarmState.CLEARED, AlarmState.REPAIRED):
            return "it is over"
        if self.state is AlarmState.REPAIRING:
            return f"run {self.run} works on it"
        pushed = self.source in (AlarmSource.ALERTMANAGER, AlarmSource.VES)
        notified = self.source is AlarmSource.ORAN_FM and self.severity is PerceivedSeverity.WARNING
        if not enabled or pushed or notified or (self.station and not read):
            return ""
        return f"{self.source} clears it once it is over; shelve it until then: minka alarms shelve {self.id}"

    def is_shelved(self, at: datetime) -> bool:
        """Whether it is shelved at a time (ISA-18.2)."""
        return self.shelved_until is not None and at < self.shelved_until


#: Kinds of escalations.
PAGE, TICKET = "page", "ticket"


class Escalation(Noun):
    """The notification of an alarm for people: on record with the alarm's state, before anybody is notified.

    Attributes:
        number: Of the alarm's escalations, from 1.
        kind: ``page``, for somebody to act on now, or ``ticket``, where somebody has to go there.
        attempts: How often somebody began to tell it.
        claimed: Whether somebody began and did not say yet how it ended.
    """

    alarm: str
    number: int
    kind: str = PAGE
    reason: str
    at: AwareDatetime
    attempts: int = 0
    claimed: bool = False

    @property
    def key(self) -> str:
        """The same for each attempt, so that its receiver knows a repetition."""
        return f"escalate-{self.alarm}" if self.number == 1 else f"escalate-{self.alarm}-{self.number}"


class Comment(Noun):
    """What a person said of an alarm, or of another thing that has comments.

    Attributes:
        about: Id of the alarm.
        by: Who said it.
        side: That person's side, a tenant's id or ``host``.
        to: Tenants that the host says it to; none for the host's own people alone.
    """

    id: str
    about: str
    at: AwareDatetime
    by: str
    side: str
    to: tuple[str, ...] = ()
    text: str


class AlarmFilter(Noun):
    """Which alarms are asked for; of what is empty all.

    Attributes:
        objects: Whole, or the end of a path from a step on, as in ``EUtranCellFDD[1]``.
        causes: Probable causes, or names of alerts whose cause is not known.
        since: Only those that changed since then.
        roots: Only those that follow from no other.
        root: Only those that follow from this alarm.
        shelved: Only those that are shelved now, or only those that are not; None for both.
        acknowledged: The same of those that people know of.
    """

    states: tuple[AlarmState, ...] = ()
    stations: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    severities: tuple[PerceivedSeverity, ...] = ()
    since: AwareDatetime | None = None
    roots: bool = False
    root: str = ""
    shelved: bool | None = None
    acknowledged: bool | None = None


#: Letters of each text of a source that are kept.
LETTERS = 1000
_Words = Annotated[str, AfterValidator(lambda words: words[:LETTERS])]


class AlarmReport(Noun):
    """What a source says, before deduplication. ``severity`` CLEARED clears the open alarm.

    Of its words (object, specific problem, text) the first ``LETTERS`` letters count.

    Attributes:
        at: The time by which it takes its place among others: never one of the future.
        cells: Cells that suffer, as ``station/cell``, where the source names them; else they follow from the object.
        functions: See ``Alarm``, as of ``degraded``.
        seen: Since when its source saw what is said, the fault or its end, where it took a while to be sure or the
            station reported the time; None where that is ``at``.
        source_time: The event's time as the source reported it, where ``at`` is another one.
        body: What the source sent, where that is kept.
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
    # How it came is no word about the fault: neither is part of what is made of it.
    source_time: AwareDatetime | None = Field(default=None, exclude=True)
    body: str = Field(default="", exclude=True)

    @classmethod
    def of_controller(
        cls, managed_object: str, cause: str, severity: PerceivedSeverity, at: datetime, text: str = ""
    ) -> AlarmReport:
        """What Minka says of an object of its own, which is on no station."""
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
        """Whether the source's clock is too far from ours to order its reports by."""
        return self.source_time is not None and abs(self.source_time - self.at) > SKEW


class RecordedReport(Noun):
    """A report on record.

    Attributes:
        number: Its place: in this order reports were taken.
        digest: Of its body (``controller.intent.folding.digest``).
        alarm: Id of the alarm that it became part of.
        received: When it was received first.
        last: When it was received last.
        count: How often it was received.
        skewed: Whether the source's clock was wrong, and the time of receipt was taken.
        report: The report; its body is cut.
    """

    number: int
    digest: str
    alarm: str
    received: AwareDatetime
    last: AwareDatetime
    count: int
    skewed: bool
    report: AlarmReport
