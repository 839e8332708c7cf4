"""o-ran-fm ``alarm-notif`` notifications (namespace urn:o-ran:fm:1.0) as alarm reports. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lxml import etree

from controller.assurance.health import CORE_LINK_DOWN, STATION, tenant_of
from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.run import LedgerEntry
from controller.nrm.tree import Path, step

_FM = "{urn:o-ran:fm:1.0}"
#: Qualified name of the notification.
ALARM_NOTIF = f"{_FM}alarm-notif"
#: Fault sources that are core links: the classes of their endpoints.
_ENDPOINTS = ("EP_S1C", "EP_NgC", "EP_NgU")


def report_of(
    station: str, content: etree._Element, at: datetime, ledger: Iterable[tuple[Path, LedgerEntry]]
) -> AlarmReport:
    """A notification as a report.

    A fault source ``EP_…=id`` is looked up among the nodes of the ledger, so that the alarm is about the
    same object as the one that our own check raises; everything else is about the station and keeps
    fault id and source as its specific problem. ``at`` is when it came in by our own clock: the clocks of
    stations differ, and reports of all sources are put in order by their times.
    """
    source = _text(content, "fault-source")
    cleared = _text(content, "is-cleared") == "true"
    severity = PerceivedSeverity.CLEARED if cleared else _severity(_text(content, "fault-severity"))
    name, _, key = source.partition("=")
    for path, entry in ledger if name in _ENDPOINTS else ():
        if step(path) == (name, (key,)):
            return AlarmReport(
                station=station,
                object=path,
                tenant=tenant_of(entry),
                probable_cause=CORE_LINK_DOWN,
                severity=severity,
                text=_text(content, "fault-text"),
                source=AlarmSource.ORAN_FM,
                at=at,
            )
    return AlarmReport(
        station=station,
        object=STATION,
        probable_cause=f"o-ran-fault-{_text(content, 'fault-id')}",
        specific_problem=source,
        severity=severity,
        text=_text(content, "fault-text"),
        source=AlarmSource.ORAN_FM,
        at=at,
    )


def _severity(word: str) -> PerceivedSeverity:
    try:
        return PerceivedSeverity(word)
    except ValueError:
        return PerceivedSeverity.INDETERMINATE


def _text(content: etree._Element, name: str) -> str:
    return (content.findtext(f"{_FM}{name}") or "").strip()
