"""Folds reports into alarms: one alarm for each fault, whatever number and order of reports. Pure.

Reports of a batch apply in the order of their own times. At equal times clearing ones come first, so that an active
fault is not lost. Equal reports apply once, with their number. A report that is older than the latest one of its alarm
(from an earlier batch) is only counted.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from controller.models.alarm import (
    DIVERGED,
    FAULT,
    Alarm,
    AlarmReport,
    AlarmSource,
    AlarmState,
    PerceivedSeverity,
    is_worse,
)

#: States of alarms that somebody works on, or should.
OPEN = (AlarmState.RAISED, AlarmState.REPAIRING)
#: Fields of an alarm that name functions.
NAMED = ("functions", "degraded")
#: Fields of a shelved alarm.
_SHELVED = ("shelved_until", "shelved_by", "shelved_reason", "shelved_severity")
#: What is noted of an alarm that names other functions than before, and is as grave (``notifyChangedAlarmGeneral``).
RENEWED = "alarm.renewed"
#: An alarm that was over stands again: a person cleared it, or there was no room for a new one.
RETURNED = "alarm.returned"
#: Most faults of a device that a source may name within a time; after as many alarms, what returns makes no new one.
MOST_TOLD, TOLD_WITHIN = 500, timedelta(days=1)
#: Most faults of a device that its own lists and notifications may name within that time.
MOST_READ = 1000
#: Rows of the audit trail about an alarm that a batch of reports makes at most; the last is always among them.
MOST_ACTS = 10
#: Hexadecimal digits of a digest: 128 bits.
_DIGITS = 32


def identity(one: AlarmReport | Alarm) -> str:
    """Hash of a fault, the same for all its reports and alarms, so that one column finds them."""
    content = json.dumps([getattr(one, name) for name in FAULT], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def admitted(
    reports: Iterable[AlarmReport], known: Mapping[str, Mapping[str, AlarmSource]], real: Collection[str]
) -> list[bool]:
    """Whether each report of other systems, or in a device's own words, is taken in; the others are one fault too many.

    Whoever has a token may name any object and any problem of a device, and make an alarm of each. A source may name
    ``MOST_TOLD`` faults of a device that stand or came or changed within ``TOLD_WITHIN``. What is on record stays and
    goes on taking in reports (``Room`` bounds the alarms of faults that return), no other source or device has less
    room for it. A device may make up as much: in its lists and notifications it may name ``MOST_READ``. What Minka's
    own check finds is not bounded here: its objects and causes are those that Minka knows. Real faults always have
    room, so that who makes others up silences nobody: their number is that of the objects and causes that Minka knows.

    Args:
        reports: In the order in which they came.
        known: Faults of each device that stand or came or changed of late: their identities, with who vouches for them.
        real: Identities of faults of known causes at objects of the network files
            (``controller.intent.impact.is_real``).
    """
    taken: list[bool] = []
    faults = {device: set(of) for device, of in known.items()}
    told = Counter((device, source) for device, of in known.items() for source in of.values())
    for report in reports:
        there, fault, place = (
            faults.setdefault(report.station, set()),
            identity(report),
            (report.station, report.source),
        )
        most = MOST_TOLD if report.source.is_told else MOST_READ
        fits = told[place] < most or report.source is AlarmSource.CHECK
        taken.append(fits or fault in there or fault in real)
        if taken[-1]:
            told[place] += fault not in there
            there.add(fault)
    return taken


def digest(report: AlarmReport) -> str:
    """Digest of a report: equal for the same words of the same source about the same fault.

    The words are the text that the source sent; if that is not kept, the report itself, with its time.
    """
    words = report.body or f"{report.severity} {report.at.timestamp()} {report.text}"
    parts = (report.source, *(getattr(report, name) for name in FAULT), words)
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:_DIGITS]


def placed(source_time: datetime, received: datetime, oldest: timedelta) -> datetime:
    """The time that orders a report among others.

    A time in the future, or before ``oldest``, means a wrong clock; then the time of receipt counts.
    """
    return source_time if received - oldest <= source_time <= received else received


def takes_in(alarm: Alarm) -> bool:
    """Whether an alarm takes in further reports: somebody works on it, or people know of it and it is not cleared."""
    return alarm.state in OPEN or (alarm.state is AlarmState.ESCALATED and alarm.cleared is None)


@dataclass(frozen=True, slots=True)
class Folded:
    """An alarm with data that only the record has.

    Attributes:
        reported: Time of the newest event that changed the alarm.
        new: Whether it is not on record yet.
        recorded: When it went on record, whatever time its source says; None if it is new.
    """

    alarm: Alarm
    reported: datetime
    new: bool = False
    recorded: datetime | None = None

    @property
    def stands(self) -> bool:
        """Whether it takes in further reports (``takes_in``)."""
        return takes_in(self.alarm)

    @property
    def last_word(self) -> datetime:
        """Events before this time are late: they are counted, and change nothing."""
        return self.reported if self.alarm.cleared is None else max(self.reported, self.alarm.cleared)

    def counted(self, number: int) -> Folded:
        """A copy that counts so many more reports without news."""
        if not number:
            return self
        return replace(self, alarm=self.alarm.model_copy(update={"count": self.alarm.count + number}))


@dataclass(slots=True)
class Room:
    """Room for alarms of faults that return: as many as ``MOST_TOLD`` alarms of a device and source within a time.

    Beyond that a fault that comes back is its last alarm again. Nothing is lost: a fault that stands is known to stand,
    and clears when its source says so. Alarms of no device have room always: they are Minka's own.

    Attributes:
        since: Begin of that time.
        made: Alarms of each device and source that went on record since then.
    """

    since: datetime
    made: Counter[tuple[str, AlarmSource]] = field(default_factory=Counter)

    def folds(self, known: Folded, report: AlarmReport) -> bool:
        """Whether a fault that returns is its last alarm again. What a run repaired stays repaired."""
        late = known.recorded is None or known.recorded >= self.since
        ends = known.alarm.state in (AlarmState.CLEARED, AlarmState.ESCALATED)
        return late and ends and report.station != "" and self.made[report.station, report.source] >= MOST_TOLD

    def count(self, now: Folded) -> None:
        """Count a new alarm."""
        self.made[now.alarm.station, now.alarm.source] += 1


@dataclass(frozen=True, slots=True)
class Received:
    """A report of a batch, with its number of copies and its fault (``identity``)."""

    digest: str
    fault: str
    report: AlarmReport
    count: int


def in_order(digests: Iterable[str], reports: Iterable[AlarmReport]) -> list[Received]:
    """Reports of a batch with their digests, in the order in which they apply; equal reports are merged."""
    found: dict[str, Received] = {}
    for name, report in zip(digests, reports, strict=True):
        known = found.get(name)
        found[name] = (
            Received(name, identity(report), report, 1) if known is None else replace(known, count=known.count + 1)
        )
    return sorted(found.values(), key=_order)


def in_pieces(reports: Sequence[AlarmReport], most: int) -> list[list[int]]:
    """Places of reports that are taken in one after the other, ``most`` at once, in the order in which they apply.

    The pieces in their order fold into the same alarms as all at once.
    """
    received = [Received(digest(one), "", one, 1) for one in reports]
    places = sorted(range(len(reports)), key=lambda place: _order(received[place]))
    return [places[start : start + most] for start in range(0, len(places), most)]


def _order(one: Received) -> tuple[datetime, datetime, bool, str]:
    report = one.report
    return report.at, report.source_time or report.at, not _clears(report), one.digest


def folded(
    known: Folded | None, report: AlarmReport, new_id: Callable[[], str], room: Room | None = None
) -> tuple[Folded, str]:
    """Apply a report to the newest alarm of its identity; returns the alarm, and the action for the audit trail.

    Args:
        known: The newest alarm; None if there is none.
        report: The report, not received before.
        new_id: Makes the id of a new alarm.
        room: For alarms of faults that return; None is without bound.
    """
    if known is not None and known.alarm.cleared_by:
        return _contradicted(known, report)
    if known is None or not (report.at < known.last_word or known.stands or _clears(report)):
        if known is not None and room is not None and room.folds(known, report):
            return _returned(known, report)
        return _opened(report, new_id(), None if known is None else known.alarm)
    alarm, late = known.alarm, report.at < known.last_word
    change: dict[str, Any] = {"count": alarm.count + 1}
    action = ""
    if _confirms(alarm, report):
        change |= {"source": report.source, "seen": report.seen or report.at, "unread": False}
    if not late and known.stands:
        said, action = _said(alarm, report)
        change |= said
    reported = known.reported if late or _repeats(alarm, report) else report.at
    return replace(known, alarm=alarm.model_copy(update=change), reported=reported), action


def _confirms(alarm: Alarm, report: AlarmReport) -> bool:
    """Whether a reading of the device finds a fault of which others told, however late: then it vouches for it."""
    told = alarm.source.is_told and not report.source.is_told
    return told and takes_in(alarm) and alarm.cleared is None and not _clears(report)


def _repeats(alarm: Alarm, report: AlarmReport) -> bool:
    """Whether another system repeats what was read already: no reading is late because of it."""
    return report.source.is_told and not alarm.source.is_told and alarm.cleared is None and not _clears(report)


def _contradicted(known: Folded, report: AlarmReport) -> tuple[Folded, str]:
    """Apply a report to an alarm that a person cleared: it confirms that, or opens the alarm again."""
    change: dict[str, Any] = {"count": known.alarm.count + 1, "cleared_by": ""}
    action = ""
    if not _clears(report):
        change |= _back(known, report) | {"state": AlarmState.RAISED}
        action = RETURNED
    now = known.alarm.model_copy(update=change)
    return replace(known, alarm=now, reported=max(known.reported, report.at)), action


def _returned(known: Folded, report: AlarmReport) -> tuple[Folded, str]:
    """Apply a report of a fault that is back to its last alarm, since there is no room for a new one.

    Of an escalated alarm people know already: it is not escalated once more for each time.
    """
    alarm = known.alarm
    change = _back(known, report) | {"count": alarm.count + 1}
    if alarm.state is not AlarmState.ESCALATED:
        change["state"] = AlarmState.RAISED
    if alarm.is_shelved(report.at) and not _stays_shelved(alarm, report):
        change["shelved_until"] = None
    return replace(known, alarm=alarm.model_copy(update=change), reported=report.at), RETURNED


def _back(known: Folded, report: AlarmReport) -> dict[str, Any]:
    """Changes of an alarm that was over, and stands again."""
    at = max(report.at, known.last_word)
    change: dict[str, Any] = {"cleared": None, "changed": at, "seen": at, "ended": None}
    change |= {"source": report.source, "unread": report.unread, "severity": report.severity, "text": report.text}
    return change | _renewed(known.alarm, report)


def _said(alarm: Alarm, report: AlarmReport) -> tuple[dict[str, Any], str]:
    """Changes of a standing alarm by a report that is not late, and the action for the audit trail."""
    change: dict[str, Any] = {"changed": report.at}
    if _clears(report):
        change |= {"cleared": report.at, "ended": report.seen}
        if alarm.state is not AlarmState.RAISED:
            return change, "alarm.clear-reported"
        return change | {"state": AlarmState.CLEARED}, "alarm.cleared"
    if alarm.cleared is not None:
        change |= {"cleared": None, "seen": report.seen or report.at, "ended": None}
        change |= {"source": report.source, "unread": report.unread}
    change |= {"severity": report.severity, "text": report.text}
    renewed = _renewed(alarm, report)
    change |= renewed
    if alarm.is_shelved(report.at) and not _stays_shelved(alarm, report):
        return change | {"shelved_until": None}, "alarm.unshelved"
    if report.severity is not alarm.severity or alarm.cleared:
        return change, "alarm.changed"
    return change, RENEWED if renewed else ""


def _renewed(alarm: Alarm, report: AlarmReport) -> dict[str, Any]:
    """The functions that suffer now, where these are others than before; only our own check knows of any.

    A station that diverged once more may suffer in further cells; where it is not known in which, in any.
    """
    if report.source is not AlarmSource.CHECK:
        return {}
    if report.probable_cause == DIVERGED and not set(alarm.cells).issuperset(report.cells or (DIVERGED,)):
        return {"cells": tuple(sorted({*alarm.cells, *report.cells})) if report.cells else ()}
    named = {name: getattr(report, name) for name in NAMED}
    known = {name: getattr(alarm, name) for name in NAMED}
    return named if named != known else {}


def _stays_shelved(alarm: Alarm, report: AlarmReport) -> bool:
    """Whether a report leaves the fault of a shelved alarm no more severe than when people shelved it."""
    return alarm.shelved_severity is None or not is_worse(report.severity, alarm.shelved_severity)


def _opened(report: AlarmReport, alarm_id: str, before: Alarm | None) -> tuple[Folded, str]:
    """A new alarm; if it begins with a clearing report, it is over already.

    People mostly shelve faults that come and go: if the fault comes back, it is shelved as ``before``.
    """
    over = _clears(report)
    shelved = before is not None and before.is_shelved(report.at) and _stays_shelved(before, report)
    state = AlarmState.CLEARED if over else AlarmState.RAISED
    alarm = Alarm(
        **report.model_dump(exclude={"at", "seen"}),
        seen=None if over else report.seen,
        unread=report.unread,
        ended=report.seen if over else None,
        tenants=(report.tenant,) if report.tenant else (),
        id=alarm_id,
        state=state,
        raised=report.at,
        changed=report.at,
        cleared=report.at if over else None,
        **{name: getattr(before, name) for name in _SHELVED if shelved},
    )
    return Folded(alarm, report.at, new=True), f"alarm.{state.value}"


def _clears(report: AlarmReport) -> bool:
    return report.severity is PerceivedSeverity.CLEARED


#: A row for the audit trail: source, action, alarm, and the report that caused it.
_Act = tuple[str, str, Alarm, AlarmReport]


@dataclass(frozen=True, slots=True)
class Fold:
    """The effect of a batch of reports on alarms.

    Attributes:
        touched: New or changed alarms, by id.
        after: For each report of the batch, by digest: the id of its alarm, and the alarm after the report.
        acts: Rows for the audit trail, at most ``MOST_ACTS`` of each alarm.
    """

    touched: dict[str, Folded]
    after: dict[str, Alarm]
    acts: list[_Act]


def fold(
    batch: Iterable[Received],
    newest: dict[str, Folded],
    repeated: dict[str, Folded],
    new_id: Callable[[], str],
    room: Room | None = None,
) -> Fold:
    """Apply a batch of reports.

    Args:
        batch: From ``in_order``.
        newest: The newest alarm of each identity; updated here.
        repeated: Alarms of reports received before, by digest: such reports are counted there, and change nothing.
        new_id: See ``folded``.
        room: See ``folded``; updated here.
    """
    made = Fold({}, {}, [])
    for one in batch:
        known, action = repeated.get(one.digest), ""
        if known is not None:
            known = made.touched.get(known.alarm.id, known)
        if known is not None and known.alarm.cleared_by and not _clears(one.report):
            now, action = _contradicted(known, one.report)
            newest[one.fault] = now = now.counted(one.count - 1)
        elif known is None:
            before = newest.get(one.fault)
            now, action = folded(before, one.report, new_id, room)
            if room is not None and (before is None or before.alarm.id != now.alarm.id):
                room.count(now)
            newest[one.fault] = now = now.counted(one.count - 1)
        else:
            now = known.counted(one.count)
            if one.fault in newest and newest[one.fault].alarm.id == now.alarm.id:
                newest[one.fault] = now
        made.touched[now.alarm.id] = now
        made.after[one.digest] = now.alarm
        if action:
            made.acts.append((one.report.source, action, now.alarm, one.report))
    return replace(made, acts=_few(made.acts))


def _few(acts: Sequence[_Act]) -> list[_Act]:
    """Acts without those between the first and the last ones of alarms that change again and again within a batch.

    Of alarms that return, the first and the last.
    """
    left = Counter(alarm.id for _, _, alarm, _ in acts)
    most = dict.fromkeys(left, MOST_ACTS) | {alarm.id: 2 for _, action, alarm, _ in acts if action == RETURNED}
    kept, number = list[_Act](), Counter[str]()
    for act in acts:
        alarm = act[2].id
        left[alarm] -= 1
        if number[alarm] < most[alarm] - 1 or not left[alarm]:
            number[alarm] += 1
            kept.append(act)
    return kept
