"""Reports from o-ran-fm: from single notifications, and from two reads of a station's alarm list. Pure."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from datetime import datetime

from controller.assurance.health import STATION, link_cause, tenant_of
from controller.intent.impact import object_class_of
from controller.models.alarm import (
    CELL_OFF_AIR,
    LINK_CAUSES,
    ActiveAlarm,
    Alarm,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.run import LedgerEntry
from controller.nrm.profiles import cell_of, link_kind, object_class
from controller.nrm.tree import Path, path_of, step

#: What a station listed: reports by object, probable cause and specific problem.
Listed = Mapping[tuple[str, str, str], AlarmReport]
#: Fault ids from here on are the vendor's; those below are what fails in a radio unit (module o-ran-fm, fault-id).
_OF_VENDOR = 1000
#: Fault ids of what fails at a port of a radio unit: its optical connection, its transceiver (O-RAN.WG4.MP, Annex A).
_OF_PORT = (21, 29)


def report_of(station: str, alarm: ActiveAlarm, at: datetime, ledger: Mapping[Path, LedgerEntry]) -> AlarmReport:
    """An alarm that a station notified or lists as a report.

    A fault source ``CLASS=id`` is looked up among the nodes of the ledger, so that the alarm names the object
    that failed as everything else does; other sources (``ru-1``) are objects by their own name, none is the station.
    Those of the standard's fault ids are radio units and their ports.
    A core link is the same fault as the one that our own check raises, and so is a cell that is totally out of
    service, which is what critical means (X.733 §8.1.2.3); everything else keeps fault id and source as its specific
    problem. ``at`` is by our own clock: the clocks of stations differ, and reports of all
    sources are put in order by their times.
    """
    name, _, key = alarm.source.partition("=")
    found = (path for path in ledger if step(path) == (name, (key,))) if key else iter(())
    path = next(found, None)
    own = "" if path is None else _own_cause(path, alarm)
    return AlarmReport(
        station=station,
        object=path or alarm.source or STATION,
        object_class=object_class(path) if path else _class_of(alarm),
        tenant="" if path is None else tenant_of(ledger[path]),
        probable_cause=own or f"o-ran-fault-{alarm.fault}",
        specific_problem="" if own else alarm.source,
        severity=alarm.severity,
        text=alarm.text,
        source=AlarmSource.ORAN_FM,
        at=at,
        cells=tuple(sorted({f"{station}/{cell}" for name in alarm.affected if (cell := cell_of(path_of(name)))})),
    )


def _own_cause(path: Path, alarm: ActiveAlarm) -> str:
    """Cause of the fault that our own check finds too, an empty string for any other."""
    if link := link_kind(path):
        return link_cause(link)
    out_of_service = alarm.stated is PerceivedSeverity.CRITICAL and object_class(path) is ObjectClass.CELL
    return CELL_OFF_AIR if out_of_service else ""


def _class_of(alarm: ActiveAlarm) -> ObjectClass:
    """Class of what is none of our nodes."""
    number = int(alarm.fault) if alarm.fault.isdecimal() else _OF_VENDOR
    if not alarm.source or number >= _OF_VENDOR:
        return object_class_of(None, "", alarm.source)
    return ObjectClass.PORT if number in _OF_PORT else ObjectClass.RADIO_UNIT


def listed(
    station: str,
    alarms: Collection[ActiveAlarm],
    at: datetime,
    ledger: Mapping[Path, LedgerEntry],
    told: Container[str] = (),
) -> dict[tuple[str, str, str], AlarmReport]:
    """What a station lists, without core links, and cells off air whose state it tells: those are checked themselves.

    ``told`` are ids of cells whose state the station tells.
    """
    reports = (report_of(station, alarm, at, ledger) for alarm in alarms)
    return {_problem(report): report for report in reports if not _is_checked(report, told)}


def _is_checked(report: AlarmReport | Alarm, told: Container[str]) -> bool:
    cause = report.probable_cause
    return cause in LINK_CAUSES or (cause == CELL_OFF_AIR and cell_of(report.object) in told)


def missed_alarms(
    before: Listed,
    now: Listed,
    since: datetime,
    at: datetime,
    standing: Collection[Alarm],
    told: Container[str] = (),
) -> list[AlarmReport]:
    """Reports from a station's alarm list that no notification brought: lost with a subscription, or never sent.

    Two reads in a row must agree, since a list may change a moment after the notification. Warnings are
    notified and never cleared (module o-ran-fm, fault-severity), so that they are not listed means nothing.

    Args:
        before: What the first of the reads found.
        now: What the second found.
        since: When the first was begun.
        at: When the second was.
        standing: Alarms of the station that were not cleared.
        told: Ids of cells whose state the station tells.
    """
    known = {_problem(alarm): alarm for alarm in standing if not _is_checked(alarm, told)}
    raised = [
        report
        for problem, report in now.items()
        if problem in before and (problem not in known or known[problem].severity is not report.severity)
    ]
    cleared = [
        _over(alarm, at)
        for problem, alarm in known.items()
        if not (problem in before or problem in now)
        and alarm.source is AlarmSource.ORAN_FM
        and alarm.severity is not PerceivedSeverity.WARNING
        and alarm.changed < since
    ]
    return [*raised, *cleared]


def _problem(one: AlarmReport | Alarm) -> tuple[str, str, str]:
    return one.object, one.probable_cause, one.specific_problem


def _over(alarm: Alarm, at: datetime) -> AlarmReport:
    return AlarmReport(
        station=alarm.station,
        object=alarm.object,
        object_class=alarm.object_class,
        tenant=alarm.tenant,
        probable_cause=alarm.probable_cause,
        specific_problem=alarm.specific_problem,
        severity=PerceivedSeverity.CLEARED,
        source=AlarmSource.ORAN_FM,
        at=at,
    )
