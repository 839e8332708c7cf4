"""Alarms of a station: active ones in the words of o-ran-fm, and the records of the 3GPP AlarmList."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree

from simulators.elements import leaf, node, root, timestamp
from simulators.equipment.fault_kinds import AlarmKind

FM_NS = "urn:o-ran:fm:1.0"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm; a source has at most one active alarm per fault id.

    Attributes:
        fault_id: Number of the kind of fault.
        source: What is at fault, as in ``EP_S1C=claro-mme-1``.
        affected: Distinguished names of the objects that suffer.
        severity: CRITICAL, MAJOR, MINOR or WARNING.
        cause: Probable cause in the words of X.733.
        type: In the words of TS 28.532, as in EQUIPMENT_ALARM.
    """

    fault_id: int
    source: str
    affected: tuple[str, ...]
    severity: str
    text: str
    raised: datetime
    cause: str = ""
    type: str = "EQUIPMENT_ALARM"
    repair: str = ""

    @classmethod
    def of(cls, kind: AlarmKind, source: str, affected: tuple[str, ...], raised: datetime, text: str = "") -> Alarm:
        """An alarm of a kind."""
        return cls(
            *(kind.fault_id, source, affected, kind.severity, text or kind.text, raised),
            *(kind.cause, kind.type, kind.repair),
        )

    @property
    def key(self) -> tuple[int, str]:
        """What tells it from the other active alarms."""
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
    """An alarm in the 3GPP AlarmList, until it is both cleared and acknowledged (TS 28.532)."""

    id: str
    alarm: Alarm
    notification: int
    cleared: datetime | None = None

    def to_state(self, acknowledged: bool) -> Mapping[str, Any]:
        """The record as state; what managers write stands in the configuration."""
        alarm = self.alarm
        values = {
            "alarmId": self.id,
            "objectInstance": alarm.affected[0] if alarm.affected else alarm.source,
            "notificationId": str(self.notification),
            "alarmRaisedTime": timestamp(alarm.raised),
            "alarmType": alarm.type,
            "probableCause": alarm.cause or "indeterminate",
            "specificProblem": f"{alarm.fault_id} {alarm.source}",
            "perceivedSeverity": "CLEARED" if self.cleared else alarm.severity,
            "additionalText": alarm.text,
            "ackState": "ACKNOWLEDGED" if acknowledged else "UNACKNOWLEDGED",
        }
        if alarm.repair:
            values["proposedRepairActions"] = alarm.repair
        if self.cleared:
            values["alarmClearedTime"] = timestamp(self.cleared)
        return values


class Alarms:
    """The active alarms of a station, and its AlarmList once somebody has unlocked that."""

    __slots__ = ("_active", "_notifications", "_records", "_records_made", "listed", "modified")

    def __init__(self) -> None:
        self._active: dict[tuple[int, str], Alarm] = {}
        self._records: dict[str, Record] = {}
        self._records_made = 0
        self._notifications = 0
        self.listed = False
        self.modified: datetime | None = None

    @property
    def active(self) -> Iterable[Alarm]:
        """The active alarms."""
        return self._active.values()

    @property
    def records(self) -> Iterable[Record]:
        """The records of the AlarmList."""
        return self._records.values()

    def raise_(self, alarm: Alarm) -> None:
        """Take an alarm on; one of the same key is replaced."""
        self._active[alarm.key] = alarm
        self._notifications += 1
        if self.listed:
            self._record(alarm)

    def _record(self, alarm: Alarm) -> None:
        self.modified = alarm.raised
        known = next((r for r in self._records.values() if r.alarm.key == alarm.key and r.cleared is None), None)
        if known is not None:
            known.alarm, known.notification = alarm, self._notifications
            return
        self._records_made += 1
        name = f"a-{self._records_made:06}"
        self._records[name] = Record(name, alarm, self._notifications)

    def clear(self, alarm: Alarm, when: datetime) -> None:
        """Let an alarm end."""
        self._active.pop(alarm.key, None)
        self._notifications += 1
        if not self.listed:
            return
        self.modified = when
        for record in self._records.values():
            if record.alarm.key == alarm.key and record.cleared is None:
                record.cleared, record.notification = when, self._notifications

    def list_records(self, listed: bool, when: datetime) -> None:
        """Let the AlarmList follow the alarms from now on, or no longer (its administrativeState)."""
        if listed and not self.listed:
            for record in self._records.values():
                if record.cleared is None and record.alarm.key not in self._active:
                    record.cleared, self.modified = when, when
            for alarm in self._active.values():
                self._record(alarm)
        self.listed = listed

    def remove_done(self, acknowledged: frozenset[str]) -> frozenset[str]:
        """Remove the records that are both cleared and acknowledged; return their ids."""
        done = frozenset(name for name in acknowledged if name in self._records and self._records[name].cleared)
        for name in done:
            del self._records[name]
        return done


def active_alarm_list(alarms: Iterable[Alarm]) -> etree._Element:
    """The ``active-alarm-list`` container."""
    container = root(FM_NS, "active-alarm-list")
    container.extend([alarm.active_element() for alarm in alarms])
    return container
