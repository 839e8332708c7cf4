"""Alarms: many reports become one alarm, whatever their number and order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, and_, func, or_, select, update

from controller.models.alarm import OTHER_ALERT, Alarm, AlarmFilter, AlarmReport, AlarmState, Escalation
from controller.models.errors import NotFoundError
from controller.ports.store import Page
from controller.store.encoding import as_noun, rows_of
from controller.store.reports import OPEN, take_reports
from controller.store.tables import alarms, audit, escalations, refused_alerts, repairs
from controller.store.transaction import Transactions, Tx, reads, writes


class AlarmRecords(Transactions):
    """Faults, and the repairs that rules started for them."""

    @writes
    def report_alarm(self, tx: Tx, report: AlarmReport) -> Alarm:
        """See ``Store.report_alarm``."""
        return take_reports(tx, [report])[0]

    @writes
    def report_alarms(
        self, tx: Tx, reports: Sequence[AlarmReport], refused: Mapping[str, int] | None = None
    ) -> list[Alarm]:
        """See ``Store.report_alarms``."""
        taken = take_reports(tx, reports)
        if refused:
            row = tx.insert(refused_alerts)
            more = {"number": refused_alerts.c.number + row.excluded.number}
            rows = [{"reason": reason, "number": number} for reason, number in sorted(refused.items())]
            tx.execute(row.on_conflict_do_update(index_elements=["reason"], set_=more), rows)
        return taken

    @reads
    def standing_alarms(self, tx: Tx, stations: Iterable[str] | None = None) -> list[Alarm]:
        """See ``Store.standing_alarms``."""
        standing = select(alarms).where(_standing()).order_by(alarms.c.number)
        return [as_alarm(row) for row in rows_of(tx, standing, alarms.c.station, stations)]

    @reads
    def alarm_changes(self, tx: Tx, since: int | None) -> tuple[int, list[str]]:
        """See ``Store.alarm_changes``: rows of the trail commit with what they tell of, and in the order of numbers."""
        head = int(tx.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())
        if since is None or since > head:
            found = select(alarms.c.id).where(_standing()).order_by(alarms.c.number)
        else:
            told = and_(audit.c.id > since, audit.c.action.startswith("alarm."))
            found = select(audit.c.object).where(told).distinct()
        return head, list(tx.execute(found).scalars())

    @reads
    def alarm(self, tx: Tx, alarm_id: str) -> Alarm:
        """See ``Store.alarm``."""
        return _load(tx, alarm_id)

    @reads
    def alarms(
        self, tx: Tx, page: Page, states: Iterable[AlarmState] | None = None, like: AlarmFilter | None = None
    ) -> tuple[int, list[Alarm]]:
        """See ``Store.alarms``."""
        chosen = conditions(like or AlarmFilter())
        if states is not None:
            chosen.append(alarms.c.state.in_([state.value for state in states]))
        total = tx.execute(select(func.count()).select_from(alarms).where(*chosen)).scalar_one()
        newest = select(alarms).where(*chosen).order_by(alarms.c.number.desc())
        return total, [as_alarm(row) for row in tx.execute(newest.limit(page.limit).offset(page.offset))]

    @writes
    def move_alarm(
        self, tx: Tx, seen: Alarm, state: AlarmState, *, actor: str, run: str = "", note: str = ""
    ) -> Alarm | None:
        """See ``Store.move_alarm``."""
        return _move(tx, seen, {"state": state.value, "run": run, "note": note}, actor)

    @writes
    def escalate_alarm(self, tx: Tx, seen: Alarm, reason: str, *, actor: str) -> Alarm | None:
        """See ``Store.escalate_alarm``."""
        return escalate(tx, seen, reason, actor)

    @reads
    def untold_escalations(self, tx: Tx) -> list[Escalation]:
        """See ``Store.untold_escalations``."""
        waiting = select(escalations).where(escalations.c.told.is_(None))
        return [as_noun(Escalation, row) for row in tx.execute(waiting.order_by(escalations.c.at, escalations.c.alarm))]

    @writes
    def claim_escalation(self, tx: Tx, seen: Escalation) -> Escalation | None:
        """See ``Store.claim_escalation``."""
        claimed = seen.model_copy(update={"attempts": seen.attempts + 1, "claimed": True})
        values = {"attempts": claimed.attempts, "claimed": True}
        return claimed if tx.execute(_untold(seen).values(values)).rowcount else None

    @writes
    def release_escalation(self, tx: Tx, claimed: Escalation) -> None:
        """See ``Store.release_escalation``."""
        tx.execute(_untold(claimed).values(claimed=False))

    @writes
    def escalation_told(self, tx: Tx, claimed: Escalation) -> None:
        """See ``Store.escalation_told``."""
        same = and_(escalations.c.alarm == claimed.alarm, escalations.c.number == claimed.number)
        told = update(escalations).where(same, escalations.c.told.is_(None)).values(told=tx.now, claimed=False)
        if tx.execute(told).rowcount:
            tx.note("remediation", "alarm.people-told", claimed.alarm, key=claimed.key, attempts=claimed.attempts)

    @reads
    def repairs_since(self, tx: Tx, rule: str, object_path: str, since: datetime) -> int:
        """See ``Store.repairs_since``."""
        chosen = and_(repairs.c.rule == rule, repairs.c.object == object_path, repairs.c.at >= since)
        return int(tx.execute(select(func.count()).select_from(repairs).where(chosen)).scalar_one())

    @writes
    def all_repairs_since(self, tx: Tx, since: datetime) -> int:
        """See ``Store.all_repairs_since``."""
        tx.guard("repairs")
        return int(tx.execute(select(func.count()).select_from(repairs).where(repairs.c.at >= since)).scalar_one())

    @writes
    def record_repair(self, tx: Tx, rule: str, object_path: str, alarm_id: str, run_id: str) -> None:
        """See ``Store.record_repair``."""
        row = {"rule": rule, "object": object_path, "at": tx.now, "alarm": alarm_id, "run": run_id}
        tx.execute(repairs.insert().values(row))
        tx.note(rule, "repair.started", alarm_id, object=object_path, run=run_id)


def _standing() -> ColumnElement[bool]:
    """Whether an alarm takes in reports."""
    told = and_(alarms.c.state == AlarmState.ESCALATED.value, alarms.c.cleared.is_(None))
    return or_(alarms.c.state.in_([state.value for state in OPEN]), told)


def conditions(like: AlarmFilter) -> list[ColumnElement[bool]]:
    """What alarms of a filter have in common."""
    columns = (
        (alarms.c.state, [state.value for state in like.states]),
        (alarms.c.station, like.stations),
        (alarms.c.tenant, like.tenants),
        (alarms.c.severity, [severity.value for severity in like.severities]),
    )
    found: list[ColumnElement[bool]] = [column.in_(values) for column, values in columns if values]
    if like.objects:
        ends = (alarms.c.object.endswith(f"/{name}", autoescape=True) for name in like.objects)
        found.append(or_(alarms.c.object.in_(like.objects), *ends))
    if like.causes:
        others = and_(alarms.c.probable_cause == OTHER_ALERT, alarms.c.specific_problem.in_(like.causes))
        found.append(or_(alarms.c.probable_cause.in_(like.causes), others))
    return found if like.since is None else [*found, alarms.c.changed >= like.since]


def escalate(tx: Tx, seen: Alarm, reason: str, actor: str) -> Alarm | None:
    """See ``Store.escalate_alarm``."""
    moved = _move(tx, seen, {"state": AlarmState.ESCALATED.value, "note": reason, "escalated": tx.now}, actor)
    if moved is not None:
        earlier = select(func.coalesce(func.max(escalations.c.number), 0)).where(escalations.c.alarm == seen.id)
        number = int(tx.execute(earlier).scalar_one()) + 1
        row = {"alarm": seen.id, "number": number, "reason": reason, "at": tx.now, "attempts": 0, "claimed": False}
        tx.execute(escalations.insert().values(row))
    return moved


def _move(tx: Tx, seen: Alarm, values: dict[str, Any], actor: str) -> Alarm | None:
    """See ``Store.move_alarm``; empty values stay as they are."""
    before = _load(tx, seen.id, lock=True)
    if (before.state, before.run, before.cleared) != (seen.state, seen.run, seen.cleared):
        return None
    state = values["state"]
    new = {name: value for name, value in values.items() if value} | {"changed": tx.now}
    if state in (AlarmState.CLEARED, AlarmState.REPAIRED) and before.cleared is None:
        new["cleared"] = tx.now
    tx.execute(update(alarms).where(alarms.c.id == seen.id).values(new))
    run, note = values.get("run", ""), values["note"]
    tx.note(actor, f"alarm.{state}", seen.id, before=before.state.value, run=run, note=note)
    return _load(tx, seen.id)


def _untold(seen: Escalation) -> Update:
    """An update of an escalation that is still as it was seen."""
    names = ("alarm", "number", "attempts", "claimed")
    same = and_(*(escalations.c[name] == getattr(seen, name) for name in names))
    return update(escalations).where(same, escalations.c.told.is_(None))


def _load(tx: Tx, alarm_id: str, *, lock: bool = False) -> Alarm:
    query = select(alarms).where(alarms.c.id == alarm_id)
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no alarm {alarm_id}")
    return as_alarm(row)


def as_alarm(row: Row[Any]) -> Alarm:
    """A row as the noun."""
    return as_noun(Alarm, row)
