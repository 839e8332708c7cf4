"""Active alarms of a station in the words of o-ran-fm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from simulators.elements import leaf, node, root

FM_NS = "urn:o-ran:fm:1.0"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm; a source has at most one active alarm per fault id.

    Attributes:
        fault_id: Number of the kind of fault.
        source: What is at fault, as in ``EP_S1C=claro-mme-1``.
        affected: Distinguished names of the objects that suffer.
        severity: CRITICAL, MAJOR, MINOR or WARNING.
    """

    fault_id: int
    source: str
    affected: tuple[str, ...]
    severity: str
    text: str
    raised: datetime

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
        leaf(element, "event-time", timestamp(when))
        return element


def timestamp(when: datetime) -> str:
    """A date-and-time of RFC 6991 in UTC."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def active_alarm_list(alarms: Iterable[Alarm]) -> etree._Element:
    """The ``active-alarm-list`` container."""
    container = root(FM_NS, "active-alarm-list")
    container.extend([alarm.active_element() for alarm in alarms])
    return container
