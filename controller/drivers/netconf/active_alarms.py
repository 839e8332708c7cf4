"""Alarms of stations on the wire, in o-ran-fm (O-RAN.WG4.MP, module o-ran-fm). Pure."""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice

from lxml import etree

from controller.models.alarm import LETTERS, ActiveAlarm, PerceivedSeverity
from controller.nrm import namespaces as ns

#: Most alarms that are read, the worst first, and most objects of each: stations are not trusted.
MOST_ALARMS, MOST_AFFECTED = 1000, 100
_FM = f"{{{ns.ORAN_FM}}}"
#: Qualified name of the notification of an alarm that was raised or cleared.
ALARM_NOTIF = f"{_FM}alarm-notif"


def alarms_filter() -> etree._Element:
    """Content of a subtree filter (RFC 6241 §6) for the list of active alarms."""
    return etree.Element(f"{_FM}active-alarm-list", nsmap=ns.as_default(ns.ORAN_FM))


def decode_alarms(data: etree._Element) -> tuple[ActiveAlarm, ...]:
    """The active alarms in a reply's ``<data>``, in the station's order; empty if it lists none."""
    found = data.findall(f"{_FM}active-alarm-list/{_FM}active-alarms")
    if len(found) > MOST_ALARMS:
        worst = nsmallest(MOST_ALARMS, range(len(found)), key=lambda at: _rank(found[at]))
        found = [found[at] for at in sorted(worst)]
    return tuple(map(decode_alarm, found))


def _rank(alarm: etree._Element) -> int:
    return list(PerceivedSeverity).index(PerceivedSeverity.of(_text(alarm, "fault-severity")))


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
            _short(name.text) for name in islice(element.iterfind(f"{_FM}affected-objects/{_FM}name"), MOST_AFFECTED)
        ),
    )


def _text(element: etree._Element, name: str) -> str:
    return _short(element.findtext(f"{_FM}{name}"))


def _short(text: str | None) -> str:
    return " ".join((text or "")[:LETTERS].split())
