"""Alarms of a station: active ones as in o-ran-fm, and the records of the 3GPP AlarmList."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lxml import etree

from simulators.elements import leaf, node, root, timestamp
from simulators.equipment.fault_kinds import MAINS_LOST, AlarmKind

FM_NS = "urn:o-ran:fm:1.0"


class Detector(StrEnum):
    """The part of a station that detects a fault."""

    RADIO_UNIT = "radio-unit"
    BASE_STATION = "base-station"


class AlarmList(StrEnum):
    """How a station keeps the AlarmList of 3GPP."""

    KEPT = "kept"
    """Records outlive a restart."""
    REBUILT = "rebuilt"
    """A restart begins the list again: ids and numbers of notifications start over, and nothing is acknowledged."""
    LOCKED = "locked"
    """It locks itself again whenever somebody has unlocked it."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class AlarmSources:
    """The interfaces over which a vendor's stations report alarms.

    Attributes:
        oran_fm: Whether they have o-ran-fm.
        alarm_list: Whether and how they have the AlarmList.
        twice: Whether they report each alarm over both.
        external_io: Whether they have o-ran-externalio, with an input each for the mains and the battery of the site.
    """

    oran_fm: bool = True
    alarm_list: AlarmList = AlarmList.KEPT
    twice: bool = False
    external_io: bool = False

    def lists(self, alarm: Alarm) -> bool:
        """Whether an alarm belongs into the AlarmList: those of the base station, or all without o-ran-fm."""
        all_in_one = self.twice or not self.oran_fm
        return self.alarm_list is not AlarmList.MISSING and (all_in_one or alarm.teller is Detector.BASE_STATION)

    def notifies(self, alarm: Alarm) -> bool:
        """Whether o-ran-fm reports an alarm: those of radio units, or all without an AlarmList.

        The mains are no radio unit's: a station with external inputs tells of them there alone.
        """
        if self.external_io and alarm.fault_id == MAINS_LOST:
            return False
        all_in_one = self.twice or self.alarm_list is AlarmList.MISSING
        return self.oran_fm and (all_in_one or alarm.teller is Detector.RADIO_UNIT)


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm; a source has at most one active alarm per fault id.

    Attributes:
        fault_id: Number of the kind of fault.
        source: The faulty object, as in ``EP_S1C=claro-mme-1``.
        affected: Distinguished names of the affected objects.
        object: Distinguished name of the faulty object.
        severity: CRITICAL, MAJOR, MINOR or WARNING.
        cause: Probable cause by X.733.
        type: Alarm type by TS 28.532, as in EQUIPMENT_ALARM.
        problem: Specific problem, which stays the same while the alarm stands.
    """

    fault_id: int
    source: str
    affected: tuple[str, ...]
    severity: str
    text: str
    raised: datetime
    object: str = ""
    cause: str = ""
    type: str = "EQUIPMENT_ALARM"
    repair: str = ""
    problem: str = ""
    teller: Detector = Detector.BASE_STATION

    @classmethod
    def of(
        cls,
        kind: AlarmKind,
        source: str,
        affected: tuple[str, ...],
        raised: datetime,
        text: str = "",
        *,
        object: str = "",
        teller: Detector = Detector.BASE_STATION,
    ) -> Alarm:
        """An alarm of a kind; the faulty object is the affected one, unless it is named."""
        return cls(
            *(kind.fault_id, source, affected, kind.severity, text or kind.text, raised, object or affected[0]),
            *(kind.cause, kind.type, kind.repair, kind.problem or kind.text, teller),
        )

    @property
    def key(self) -> tuple[int, str]:
        """The key that identifies it among the active alarms."""
        return self.fault_id, self.source

    def active_element(self) -> etree._Element:
        """The entry of ``active-alarm-list``."""
        return self._element("active-alarms", self.raised, is_cleared=False)

    def notification_element(self, when: datetime, *, is_cleared: bool) -> etree._Element:
        """The content of the ``alarm-notif`` notification."""
        return self._element("alarm-notif", when, is_cleared=is_cleared)

    def _element(self, name: str, when: datetime, *, is_cleared: bool) -> etree._Element:
        element = root(FM_NS, name)
        leaf(element, "fault-id", str(self.fault_id))
        leaf(element, "fault-source", self.source)
        for affected in self.affected:
            leaf(node(element, "affected-objects"), "name", affected)
        leaf(element, "fault-severity", self.severity)
        leaf(element, "is-cleared", "true" if is_cleared else "false")
        leaf(element, "fault-text", self.text)
        if self.cause:
            leaf(element, "probable-cause", self.cause)
        if self.repair:
            leaf(element, "proposed-repair-actions", self.repair)
        leaf(element, "event-time", timestamp(when))
        leaf(element, "alarm-type", self.type.replace("_", "-"))
        return element


@dataclass(slots=True)
class Record:
    """An alarm in the 3GPP AlarmList, until it is both cleared and acknowledged (TS 28.623, AlarmRecordGrp).

    Attributes:
        notification: Number of the latest notification about it.
        acknowledged: Whether ackState says so.
        acknowledgement: When ackState changed.
    """

    id: str
    alarm: Alarm
    notification: int
    raised: datetime
    changed: datetime | None = None
    cleared: datetime | None = None
    acknowledged: bool = False
    acknowledgement: datetime | None = None

    def to_state(self) -> Mapping[str, Any]:
        """The record as state; leaves that managers write are in the configuration."""
        alarm = self.alarm
        times = {
            "alarmRaisedTime": self.raised,
            "alarmChangedTime": self.changed,
            "alarmClearedTime": self.cleared,
            "ackTime": self.acknowledgement,
        }
        values = {
            "alarmId": self.id,
            "objectInstance": alarm.object,
            "notificationId": str(self.notification),
            **{name: timestamp(when) for name, when in times.items() if when is not None},
            "alarmType": alarm.type,
            "probableCause": alarm.cause or "indeterminate",
            "specificProblem": alarm.problem or alarm.text,
            "perceivedSeverity": "CLEARED" if self.cleared else alarm.severity,
            "additionalText": alarm.text,
            "ackState": "ACKNOWLEDGED" if self.acknowledged else "UNACKNOWLEDGED",
        }
        return values | ({"proposedRepairActions": alarm.repair} if alarm.repair else {})


class Alarms:
    """The active alarms of a station, and its AlarmList once somebody has unlocked that.

    Attributes:
        sources: The interfaces over which it reports alarms.
        listed: Whether the AlarmList follows the alarms.
        modified: When a record changed last.
    """

    __slots__ = ("_active", "_notifications", "_records", "_records_made", "listed", "modified", "sources")

    def __init__(self) -> None:
        self._active: dict[tuple[int, str], Alarm] = {}
        self._records: dict[str, Record] = {}
        self._records_made = 0
        self._notifications = 0
        self.sources = AlarmSources()
        self.listed = False
        self.modified: datetime | None = None

    @property
    def active(self) -> Iterable[Alarm]:
        """The active alarms."""
        return self._active.values()

    @property
    def notified(self) -> Iterator[Alarm]:
        """The active alarms that o-ran-fm reports."""
        return filter(self.sources.notifies, self._active.values())

    @property
    def records(self) -> Iterable[Record]:
        """The records of the AlarmList."""
        return self._records.values()

    def raise_(self, alarm: Alarm) -> None:
        """Raise an alarm; it replaces one with the same key."""
        self._active[alarm.key] = alarm
        if self.listed:
            self._record(alarm, alarm.raised)

    def _record(self, alarm: Alarm, now: datetime) -> None:
        if not self.sources.lists(alarm):
            return
        record = self._standing(alarm)
        if record is None:
            self._records_made += 1
            name = f"a-{self._records_made:06}"
            self._records[name] = record = Record(name, alarm, 0, alarm.raised)
        elif record.alarm == alarm:
            return
        else:
            record.alarm, record.changed = alarm, now
        self._modified(record, now)

    def _standing(self, alarm: Alarm) -> Record | None:
        return next((r for r in self._records.values() if r.alarm.key == alarm.key and r.cleared is None), None)

    def _modified(self, record: Record, now: datetime) -> None:
        self._notifications += 1
        record.notification, self.modified = self._notifications, now

    def clear(self, alarm: Alarm, when: datetime) -> None:
        """Clear an alarm."""
        self._active.pop(alarm.key, None)
        record = self._standing(alarm) if self.listed else None
        if record is not None:
            record.cleared = when
            self._modified(record, when)

    def list_records(self, listed: bool, when: datetime) -> None:
        """Let the AlarmList follow the alarms from now on, or no longer (its administrativeState)."""
        if listed and not self.listed:
            for record in self._records.values():
                if record.cleared is None and record.alarm.key not in self._active:
                    record.cleared = when
                    self._modified(record, when)
            for alarm in self._active.values():
                self._record(alarm, when)
        self.listed = listed

    def rebuild_records(self, when: datetime) -> None:
        """Rebuild the AlarmList, with numbers that start over."""
        self._records.clear()
        self._records_made = self._notifications = 0
        for alarm in self._active.values() if self.listed else ():
            self._record(alarm, when)

    def acknowledge(self, acknowledged: Mapping[str, bool], when: datetime) -> None:
        """Apply what managers wrote into ackState of records, by id."""
        for name, record in self._records.items():
            wanted = acknowledged.get(name, False)
            if wanted != record.acknowledged:
                record.acknowledged, record.acknowledgement = wanted, when
                self._modified(record, when)

    def remove_done(self, when: datetime) -> None:
        """Remove the records that are both cleared and acknowledged."""
        for name in [name for name, record in self._records.items() if record.cleared and record.acknowledged]:
            del self._records[name]
            self.modified = when


def active_alarm_list(alarms: Iterable[Alarm]) -> etree._Element:
    """The ``active-alarm-list`` container."""
    container = root(FM_NS, "active-alarm-list")
    container.extend([alarm.active_element() for alarm in alarms])
    return container
