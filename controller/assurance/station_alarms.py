"""Reports of alarms in stations' lists: active alarms of o-ran-fm (also notified), and records of AlarmList. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.assurance.health import STATION, link_cause, tenant_of
from controller.intent.impact import object_class_of
from controller.models.alarm import (
    CELL_OFF_AIR,
    HEARTBEAT_LOST,
    LETTERS,
    LINK_CAUSES,
    LOST_LINK_WORDS,
    SUPPLY_CAUSES,
    SUPPLY_WORDS,
    ActiveAlarm,
    Alarm,
    AlarmRecord,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.network import DeviceKind
from controller.models.run import LedgerEntry
from controller.models.untrusted import natural
from controller.models.ves import FaultFields
from controller.nrm.profiles import cell_of, link_kind, object_class
from controller.nrm.tree import (
    LONGEST_KEY,
    LONGEST_NAME,
    Observed,
    Path,
    child,
    is_below,
    is_too_long,
    names_in,
    path_of,
)

#: Key of a fault at a station: object, probable cause and specific problem.
Problem = tuple[str, str, str]
#: Alarms in a station's list.
Listed = Mapping[Problem, AlarmReport]
_Ledger = Mapping[Path, LedgerEntry]
#: Fault ids from here on are the vendor's; those below are faults of a radio unit (module o-ran-fm, fault-id).
_OF_VENDOR = 1000
#: Fault ids of a radio unit's port: its optical connection, its transceiver (O-RAN.WG4.MP, Annex A).
_OF_PORT = (21, 29)
_CLEARED = PerceivedSeverity.CLEARED
#: Where a word of a probable cause begins, as in lossOfSignal, and what separates words.
_WORD, _BETWEEN = re.compile(r"(?<=[a-z0-9])(?=[A-Z])"), re.compile(r"[^a-z0-9]+")
#: Prefix of probable causes in AlarmList, which may be any words, so that they differ from Minka's own; and their
#: length.
_3GPP, _LONGEST = "3gpp-", 64
#: Classes of objects that are none of our nodes, by VES's words for the type of an event's source.
_CLASSES = {"port": ObjectClass.PORT, "portThreshold": ObjectClass.PORT}


def report_of(station: str, alarm: ActiveAlarm, at: datetime, ledger: _Ledger) -> AlarmReport:
    """A report of an alarm that a station notified or lists.

    A fault source ``CLASS=id`` is looked up among the nodes of the ledger, so that the alarm names the object
    that failed as everything else does; other sources (``ru-1``) are objects by their own name, none is the station.
    Those of the standard's fault ids are radio units and their ports.
    A core link is the same fault as the one that our own check raises, and so is a cell that is totally out of
    service, which is what critical means (X.733 §8.1.2.3); everything else keeps fault id and source as its specific
    problem. ``at`` is by our own clock: the clocks of stations differ, and reports of all
    sources are put in order by their times.
    """
    path = _named(alarm.source, ledger)
    own = _own_cause(path, critical=alarm.stated is PerceivedSeverity.CRITICAL) if path else ""
    return AlarmReport(
        station=station,
        object=path or alarm.source or STATION,
        object_class=object_class(path) if path else _class_of(alarm),
        tenant=tenant_of(ledger[path]) if path else "",
        probable_cause=own or f"o-ran-fault-{alarm.fault}",
        specific_problem="" if own else alarm.source,
        severity=alarm.severity,
        text=alarm.text,
        source=AlarmSource.ORAN_FM,
        at=at,
        cells=tuple(sorted({f"{station}/{cell}" for name in alarm.affected if (cell := cell_of(path_of(name)))})),
    )


def report_of_record(station: str, record: AlarmRecord, at: datetime, ledger: _Ledger) -> AlarmReport:
    """A report of a record in a station's AlarmList.

    Its object is the path that its distinguished name means, or a node of the ledger where that name begins below the
    managed element; the element itself is the station, and names of other elements, or longer than ``LONGEST_NAME``,
    are but words. What our own check
    finds too is the same fault, as in ``report_of``, but for a core link that suffers less than majorly: that is not
    down. So are lost mains and a battery that feeds the station as a whole, whether an external input or the list tells
    of them. All else has the station's words, the probable cause behind ``3gpp-``. ``at`` is by our own clock.
    """
    element = child("", "ManagedElement", station)
    named = path_of(record.object)
    last = names_in(record.object)[-1:] if not named and not is_too_long(record.object) else ()
    path = named if is_below(named, element) else next((_node(kind, key, ledger) for kind, key in last), "")
    own = _own_cause(path, critical=record.severity is PerceivedSeverity.CRITICAL) if path and record.grave else ""
    whole = path == element or not record.object
    own = own or (_supply_cause(record.cause) if whole else "")
    return AlarmReport(
        station=station,
        object=STATION if whole else path or record.object,
        object_class=object_class(path) if path else object_class_of(None, "", record.object),
        tenant=tenant_of(ledger[path]) if path in ledger else "",
        probable_cause=own or _3gpp_cause(record.cause),
        specific_problem="" if own else record.problem,
        severity=record.severity,
        text=record.text,
        source=AlarmSource.ALARM_LIST,
        at=at,
    )


def report_of_fault(
    device: str,
    event: str,
    fault: FaultFields,
    at: datetime,
    ledger: _Ledger,
    standing: Iterable[Alarm],
    kind: DeviceKind,
) -> AlarmReport:
    """A report of a fault that a device sent by VES: the same as for a record of an AlarmList with these words.

    Its object is ``objectInstance`` of the additional information, a distinguished name, where there is one, else the
    interface. A fault of the ``standing`` alarms that the device reported by o-ran-fm in the same words is that one.
    Of a cell that is none of ours nobody knows that it takes service away: it is no cell off air, and at most major.
    """
    more = fault.alarm_additional_information
    # As the decoder of AlarmList cuts them, before anything reads them: an event may be one text of megabytes.
    named = (more.get("objectInstance") or fault.alarm_interface_a)[: LONGEST_NAME + 1]
    text = (more.get("additionalText") or fault.specific_problem)[:LETTERS]
    record = AlarmRecord(
        id=event[:LETTERS],
        object="" if named == device else named,
        type=fault.event_category[:LETTERS],
        cause=fault.alarm_condition[:LETTERS],
        problem=fault.specific_problem[:LETTERS],
        severity=fault.severity,
        text=text,
    )
    made = report_of_record(device, record, at, ledger).model_copy(update={"source": AlarmSource.VES})
    if made.probable_cause == CELL_OFF_AIR and made.object not in ledger:
        said = {"probable_cause": _3gpp_cause(record.cause), "specific_problem": record.problem}
        made = made.model_copy(update=said | {"severity": PerceivedSeverity.MAJOR})
    if not kind.rules.has_cells:
        whole = {"object": kind.value} if made.object == STATION else {}
        return made.model_copy(
            update={"object_class": _CLASSES.get(fault.event_source_type, ObjectClass.of_device(kind))} | whole
        )
    notified = (
        one for one in standing if one.station == device and one.source is AlarmSource.ORAN_FM and one.text == text
    )
    same = next((one for one in notified if _may_be_one(one.object, made.object)), None)
    if same is not None:
        names = ("object", "object_class", "tenant", "probable_cause", "specific_problem")
        return made.model_copy(update={name: getattr(same, name) for name in names})
    if made.object.startswith("/") or made.object == STATION:
        return made
    return made.model_copy(update={"object_class": _CLASSES.get(fault.event_source_type, made.object_class)})


def heartbeat_report(device: str, at: datetime, kind: DeviceKind, *, lost: bool) -> AlarmReport:
    """A report that a device's VES heartbeats stopped, or came back."""
    return AlarmReport(
        station=device,
        object=kind.value,
        object_class=ObjectClass.of_device(kind),
        probable_cause=HEARTBEAT_LOST,
        severity=PerceivedSeverity.MAJOR if lost else _CLEARED,
        text="its heartbeats (VES) do not come any more" if lost else "",
        source=AlarmSource.VES,
        at=at,
    )


def _named(name: str, ledger: _Ledger) -> Path:
    """The node of the ledger for ``CLASS=id``; empty if there is none."""
    kind, _, key = name.strip().partition("=")
    return _node(kind, key, ledger)


def _node(kind: str, key: str, ledger: _Ledger) -> Path:
    """The node of the ledger of a class with an id; empty if there is none."""
    if not kind.isidentifier() or not 0 < len(key) <= LONGEST_KEY:
        return ""
    last = child("", kind, key)
    return next((path for path in ledger if path.endswith(last)), "")


def _own_cause(path: Path, *, critical: bool) -> str:
    """Cause of a fault that our own check finds too; empty for any other."""
    if link := link_kind(path):
        return link_cause(link)
    return CELL_OFF_AIR if critical and object_class(path) is ObjectClass.CELL else ""


def _class_of(alarm: ActiveAlarm) -> ObjectClass:
    """Class of an alarm's object that is none of our nodes."""
    number = natural(alarm.fault)
    if not alarm.source or number is None or number >= _OF_VENDOR:
        return object_class_of(None, "", alarm.source)
    return ObjectClass.PORT if number in _OF_PORT else ObjectClass.RADIO_UNIT


def _spelled(words: str) -> str:
    return _BETWEEN.sub("-", _WORD.sub("-", words).lower()).strip("-")


def _3gpp_cause(words: str) -> str:
    """A probable cause of AlarmList in our spelling: ``lossOfSignal`` is ``3gpp-loss-of-signal``."""
    return f"{_3GPP}{_spelled(words) or 'indeterminate'}"[:_LONGEST].rstrip("-")


def _supply_cause(words: str) -> str:
    """Our cause for a probable cause of AlarmList that tells of the mains or the battery; empty for all others."""
    return SUPPLY_WORDS.get(_spelled(words), "")


def tells_of_lost_link(record: AlarmRecord) -> bool:
    """Whether the probable cause of a record of a core link says that it is lost, and not that it works badly."""
    return _spelled(record.cause) in LOST_LINK_WORDS


# ------------------------------------------------------------------------- lists


@dataclass(frozen=True, slots=True)
class ListReports:
    """Reports of all that a station lists: made once for all who ask, since a list may be long.

    Attributes:
        notified: Those of its active alarms (o-ran-fm).
        records: Records of its AlarmList, each with its report; None where it has no list, see ``Observed.records``.
    """

    notified: tuple[AlarmReport, ...]
    records: tuple[tuple[AlarmRecord, AlarmReport], ...] | None

    @classmethod
    def of(cls, station: str, observed: Observed, at: datetime, ledger: _Ledger) -> ListReports:
        """The reports of what a station says.

        Args:
            station: Its name.
            observed: What it says.
            at: When that was, by our own clock.
            ledger: Its nodes on record.
        """
        notified = tuple(report_of(station, alarm, at, ledger) for alarm in observed.alarms)
        if observed.records is None:
            return cls(notified, None)
        return cls(notified, tuple((one, report_of_record(station, one, at, ledger)) for one in observed.records))


def listed(
    reports: ListReports,
    reporting: Container[str] = (),
    sources: Container[AlarmSource] = frozenset(AlarmSource),
    wired: Container[str] = (),
) -> dict[AlarmSource, Listed]:
    """Alarms of a station, by its lists.

    Without core links, cells off air whose state it reports, and what its external inputs tell: those are checked
    themselves. A locked AlarmList is
    none: that it does not name a fault means nothing. Of records that mean the same fault the worst counts, and what
    is cleared there, and kept until somebody acknowledges it, is over.

    Args:
        reports: Of all that it lists.
        reporting: Ids of cells whose state it reports.
        sources: Whose words become alarms.
        wired: Causes of which its external inputs tell.
    """
    found = {AlarmSource.ORAN_FM: _by_problem(reports.notified, reporting, wired)}
    if reports.records is not None:
        known = reports.notified if AlarmSource.ORAN_FM in sources else ()
        from_records = _matched(reports.records, known)
        own = [made for _, made, same in from_records if same is None and made.severity is not _CLEARED]
        # The worst come last, so that they count.
        found[AlarmSource.ALARM_LIST] = _by_problem(reversed(own), reporting, wired)
    return found


def _matched(
    records: Iterable[tuple[AlarmRecord, AlarmReport]], notified: Iterable[AlarmReport]
) -> Iterator[tuple[AlarmRecord, AlarmReport, AlarmReport | None]]:
    """Records, each with its report, and with the ``notified`` report of the same fault, if there is one.

    A station that tells of a fault in both ways uses the same words. It is one alarm, known by what o-ran-fm calls it,
    since that comes at once.
    """
    by_text: dict[str, list[AlarmReport]] = {}
    for one in notified:
        by_text.setdefault(one.text, []).append(one)
    for record, made in records:
        candidates = by_text.get(record.text, []) if record.text and made.severity is not _CLEARED else []
        same = next((one for one in candidates if _may_be_one(one.object, made.object)), None)
        if same is not None:
            candidates.remove(same)
        yield record, made, same


def _may_be_one(one: str, other: str) -> bool:
    """Whether two objects may be the same: equal, or one is no node, and so a part of the station."""
    return one == other or not (one.startswith("/") and other.startswith("/"))


def records_by_problem(reports: ListReports) -> Iterator[tuple[Problem, AlarmRecord]]:
    """Active records of a station's list, by the keys that their alarms may have."""
    for record, made, same in _matched(reports.records or (), reports.notified):
        if made.severity is not _CLEARED:
            yield from ((problem_of(one), record) for one in (made, same) if one is not None)


def _by_problem(reports: Iterable[AlarmReport], reporting: Container[str], wired: Container[str]) -> Listed:
    return {problem_of(report): report for report in reports if not _is_checked(report, reporting, wired)}


def _is_checked(report: AlarmReport | Alarm, reporting: Container[str], wired: Container[str]) -> bool:
    cause = report.probable_cause
    if cause in SUPPLY_CAUSES:
        return cause in wired
    return cause in LINK_CAUSES or (cause == CELL_OFF_AIR and cell_of(report.object) in reporting)


def missed_alarms(
    before: Mapping[AlarmSource, Listed],
    now: Mapping[AlarmSource, Listed],
    since: datetime,
    at: datetime,
    standing: Collection[Alarm],
    reporting: Container[str] = (),
    wired: Container[str] = (),
) -> list[AlarmReport]:
    """Reports of listed alarms without a notification: lost with a subscription, or never sent.

    Two reads in a row must agree, since a list may change a moment after the notification. A list that one of them
    did not have, since it was locked, says nothing. Notified warnings are never cleared (module o-ran-fm,
    fault-severity), so that they are not listed means nothing.

    Args:
        before: What the first of the reads found.
        now: What the second found.
        since: When the first was begun.
        at: When the second was.
        standing: Alarms of the station that were not cleared.
        reporting: Ids of cells whose state the station reports.
        wired: Causes of which its external inputs tell.
    """
    kept = [source for source in now if source in before]
    was, is_now = (dict(_all(one, kept)) for one in (before, now))
    known = {problem_of(alarm): alarm for alarm in standing if not _is_checked(alarm, reporting, wired)}
    raised = [report for problem, report in is_now.items() if problem in was and _is_news(report, known.get(problem))]
    cleared = [
        _over(alarm, at)
        for problem, alarm in known.items()
        if not (problem in was or problem in is_now)
        and alarm.source in kept
        and not (alarm.source is AlarmSource.ORAN_FM and alarm.severity is PerceivedSeverity.WARNING)
        and alarm.changed < since
    ]
    return [*raised, *cleared]


def _is_news(report: AlarmReport, known: Alarm | None) -> bool:
    return known is None or known.severity is not report.severity or known.source.is_told


def _all(lists: Mapping[AlarmSource, Listed], kept: Iterable[AlarmSource]) -> Iterator[tuple[Problem, AlarmReport]]:
    for source in kept:
        yield from lists[source].items()


def problem_of(one: AlarmReport | Alarm) -> Problem:
    """Key of a report or alarm of a station."""
    return one.object, one.probable_cause, one.specific_problem


def _over(alarm: Alarm, at: datetime) -> AlarmReport:
    return AlarmReport(
        station=alarm.station,
        object=alarm.object,
        object_class=alarm.object_class,
        tenant=alarm.tenant,
        probable_cause=alarm.probable_cause,
        specific_problem=alarm.specific_problem,
        severity=_CLEARED,
        source=alarm.source,
        at=at,
    )
