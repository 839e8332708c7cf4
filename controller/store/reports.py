"""Reports of faults: many of them become few alarms, with as many statements as one takes."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update

from controller.models.alarm import Alarm, AlarmReport, AlarmState, PerceivedSeverity
from controller.store.encoding import as_noun
from controller.store.tables import alarms
from controller.store.transaction import Tx

OPEN = (AlarmState.RAISED, AlarmState.REPAIRING)
#: What makes two reports speak of the same fault.
_IDENTITY = ("station", "object", "tenant", "probable_cause", "specific_problem")
#: What a report may change of an alarm.
_CHANGED = ("severity", "text", "state", "changed", "cleared", "count")
#: Reports folded at once: SQLite takes 32,766 parameters in a statement.
_AT_ONCE = 10_000
_UPDATE = (
    update(alarms)
    .where(alarms.c.id == bindparam("of"))
    .values({name: bindparam(f"new_{name}") for name in (*_CHANGED, "reported")})
)


def identity(one: AlarmReport | Alarm) -> str:
    """The same for all reports of one fault: a hash, so that one column finds them."""
    content = json.dumps([getattr(one, name) for name in _IDENTITY], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def take_reports(tx: Tx, reports: Sequence[AlarmReport]) -> list[Alarm]:
    """See ``Store.report_alarms``."""
    taken: list[Alarm] = []
    for start in range(0, len(reports), _AT_ONCE):
        taken += _take(tx, reports[start : start + _AT_ONCE])
    return taken


def _take(tx: Tx, reports: Sequence[AlarmReport]) -> list[Alarm]:
    keys = [identity(report) for report in reports]
    # Not a lock for each: PostgreSQL has room for a few thousand.
    tx.guards({f"alarms {key[:2]}" for key in keys})
    known = _newest(tx, set(keys))
    taken, touched = [], dict[str, _Known]()
    for key, report in zip(keys, reports, strict=True):
        now, action = _folded(known.get(key), report)
        known[key] = touched[now.alarm.id] = now
        taken.append(now.alarm)
        if action:
            tx.note(report.source, action, now.alarm.id, **_told(report, now.alarm, action))
    _write(tx, touched.values())
    return taken


@dataclass(frozen=True, slots=True)
class _Known:
    """An alarm with what only the record knows of it.

    Attributes:
        reported: Time of the newest event that had its say.
        new: Whether it is not on record yet.
    """

    alarm: Alarm
    reported: datetime
    new: bool = False

    @property
    def stands(self) -> bool:
        """Whether further reports belong to it: work goes on, or people know and it was not cleared yet."""
        return self.alarm.state in OPEN or (self.alarm.state is AlarmState.ESCALATED and self.alarm.cleared is None)

    @property
    def last_word(self) -> datetime:
        """Events before this time are late: they count, and change nothing."""
        return self.reported if self.alarm.cleared is None else max(self.reported, self.alarm.cleared)


def _folded(known: _Known | None, report: AlarmReport) -> tuple[_Known, str]:
    """What becomes of the newest alarm of an identity by a report, and what is to be noted of that."""
    if known is None or not (report.at < known.last_word or known.stands or _clears(report)):
        return _opened(report)
    alarm, late = known.alarm, report.at < known.last_word
    change: dict[str, Any] = {"count": alarm.count + 1}
    action = ""
    if not late and known.stands:
        said, action = _said(alarm, report)
        change |= said
    reported = known.reported if late else report.at
    return _Known(alarm.model_copy(update=change), reported, known.new), action


def _said(alarm: Alarm, report: AlarmReport) -> tuple[dict[str, Any], str]:
    """What a report that is not late changes of an alarm that stands, and what is to be noted of that."""
    change: dict[str, Any] = {"changed": report.at}
    if _clears(report):
        change["cleared"] = report.at
        if alarm.state is not AlarmState.RAISED:
            return change, "alarm.clear-reported"
        return change | {"state": AlarmState.CLEARED}, "alarm.cleared"
    change |= {"severity": report.severity, "text": report.text, "cleared": None}
    return change, "alarm.changed" if report.severity is not alarm.severity or alarm.cleared else ""


def _opened(report: AlarmReport) -> tuple[_Known, str]:
    """A new alarm; one that begins with a clearing report is over already."""
    over = _clears(report)
    state = AlarmState.CLEARED if over else AlarmState.RAISED
    alarm = Alarm(
        **report.model_dump(exclude={"at"}),
        id=f"a-{secrets.token_hex(5)}",
        state=state,
        raised=report.at,
        changed=report.at,
        cleared=report.at if over else None,
    )
    return _Known(alarm, report.at, new=True), f"alarm.{state.value}"


def _clears(report: AlarmReport) -> bool:
    return report.severity is PerceivedSeverity.CLEARED


def _told(report: AlarmReport, alarm: Alarm, action: str) -> dict[str, object]:
    if alarm.count == 1 and action in ("alarm.raised", "alarm.cleared"):
        return {"object": report.object, "cause": report.probable_cause}
    return {"severity": report.severity.value, "at": report.at.isoformat()}


def _newest(tx: Tx, keys: set[str]) -> dict[str, _Known]:
    """The newest alarm of each identity, locked."""
    if not keys:
        return {}
    newest = select(func.max(alarms.c.number)).where(alarms.c.identity.in_(sorted(keys))).group_by(alarms.c.identity)
    rows = tx.execute(select(alarms).where(alarms.c.number.in_(newest)).order_by(alarms.c.number).with_for_update())
    return {row.identity: _Known(as_noun(Alarm, row), row.reported) for row in rows}


def _write(tx: Tx, touched: Iterable[_Known]) -> None:
    new, old = [], []
    for one in touched:
        if one.new:
            row = one.alarm.model_dump(mode="python") | {"identity": identity(one.alarm), "reported": one.reported}
            new.append({name: getattr(value, "value", value) for name, value in row.items()})
        else:
            values = {name: getattr(one.alarm, name) for name in _CHANGED} | {"reported": one.reported}
            change = {f"new_{name}": getattr(value, "value", value) for name, value in values.items()}
            old.append({"of": one.alarm.id, **change})
    # Before new ones: at most one alarm of an identity stands.
    if old:
        tx.execute(_UPDATE, old)
    if new:
        tx.execute(alarms.insert(), new)
