"""Alarms of stations on the wire, in o-ran-fm (O-RAN.WG4.MP, module o-ran-fm). Pure."""

from __future__ import annotations

from lxml import etree

from controller.models.alarm import ActiveAlarm, PerceivedSeverity
from controller.nrm import namespaces as ns

_FM = f"{{{ns.ORAN_FM}}}"
#: Qualified name of the notification of an alarm that was raised or cleared.
ALARM_NOTIF = f"{_FM}alarm-notif"


def alarms_filter() -> etree._Element:
    """Content of a subtree filter (RFC 6241 §6) for the list of active alarms."""
    return etree.Element(f"{_FM}active-alarm-list", nsmap=ns.as_default(ns.ORAN_FM))


def decode_alarms(data: etree._Element) -> tuple[ActiveAlarm, ...]:
    """The active alarms in a reply, in the station's order; empty if it lists none."""
    return tuple(map(decode_alarm, data.iter(f"{_FM}active-alarms")))


def decode_alarm(element: etree._Element) -> ActiveAlarm:
    """An entry of the list, or the content of a notification; CLEARED if it says so."""
    cleared = _text(element, "is-cleared") == "true"
    stated = PerceivedSeverity.of(_text(element, "fault-severity"))
    return ActiveAlarm(
        fault=_text(element, "fault-id"),
        source=_text(element, "fault-source"),
        severity=PerceivedSeverity.CLEARED if cleared else stated,
        stated=stated,
        text=_text(element, "fault-text"),
        affected=tuple(
            " ".join((name.text or "").split()) for name in element.iterfind(f"{_FM}affected-objects/{_FM}name")
        ),
    )


def _text(element: etree._Element, name: str) -> str:
    return " ".join((element.findtext(f"{_FM}{name}") or "").split())
