"""Repairs that rules started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, Index, Integer, Row, String, Table, and_, delete, func, select

from controller.models.alarm import AlarmState
from controller.store.alarms.alarm_rows import alarms
from controller.store.database.columns import Instant, metadata, string
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx


@dataclass(frozen=True, slots=True)
class StartedRepair:
    """A repair that a rule started.

    Attributes:
        object: Path of the object for which repairs are counted.
        station: Device of the alarm.
        tenants: Tenants that the alarm concerned.
        root: Id of the root that the alarm followed from then; empty if it was a root itself.
    """

    rule: str
    object: str
    at: datetime
    alarm: str
    run: str
    station: str
    tenants: tuple[str, ...]
    root: str = ""


repairs = Table(
    "repairs",
    metadata,
    Column("number", Integer, primary_key=True),
    string("rule"),
    string("object"),
    Column("at", Instant, nullable=False),
    string("alarm"),
    string("run"),
    # The root that the alarm followed from when the repair started.
    Column("root", String, nullable=False, server_default=""),
    Index("ix_repairs_rule_object_at", "rule", "object", "at"),
    Index("ix_repairs_at", "at"),
)


#: Guard: only one transaction at a time begins a repair.
_BEGINNING = "repairs"
_STARTED = (
    select(
        *(repairs.c[name] for name in ("rule", "object", "at", "alarm", "run", "root")),
        *(alarms.c[name] for name in ("station", "tenants")),
    )
    .join(alarms, alarms.c.id == repairs.c.alarm)
    .order_by(repairs.c.number)
)


class Repairs(Repository[M_co]):
    """Runs that rules started for alarms."""

    @reads
    def count(self, tx: Tx, rule: str, object_path: str, since: datetime) -> int:
        """Repair runs that a rule started for an object since then."""
        chosen = and_(repairs.c.rule == rule, repairs.c.object == object_path, repairs.c.at >= since)
        return int(tx.execute(select(func.count()).select_from(repairs).where(chosen)).scalar_one())

    @reads
    def going_on(self, tx: Tx, rule: str, object_path: str) -> str:
        """The run in which a rule repairs an object, or whose success is being verified; empty if there is none."""
        query = select(repairs.c.run).join(alarms, and_(alarms.c.id == repairs.c.alarm, alarms.c.run == repairs.c.run))
        works = alarms.c.state == AlarmState.REPAIRING.value
        chosen = query.where(repairs.c.rule == rule, repairs.c.object == object_path, works)
        return str(tx.execute(chosen.order_by(repairs.c.number.desc()).limit(1)).scalar() or "")

    @writes
    def count_all(self, tx: Tx, since: datetime) -> int:
        """Repair runs that any rule started since then; other callers wait for the end of this transaction."""
        tx.guard(_BEGINNING)
        return int(tx.execute(select(func.count()).select_from(repairs).where(repairs.c.at >= since)).scalar_one())

    @writes
    def alone(self, tx: Tx) -> None:
        """Let no other transaction begin a repair before the end of this one."""
        tx.guard(_BEGINNING)

    @reads
    def since(self, tx: Tx, at: datetime) -> list[StartedRepair]:
        """Repairs that any rule started since then, oldest first."""
        return [_as_started(row) for row in tx.execute(_STARTED.where(repairs.c.at >= at))]

    @reads
    def count_for_root(self, tx: Tx, alarm_id: str, since: datetime) -> int:
        """Repair runs that any rule started since then for the root that an alarm outlived."""
        root = select(alarms.c.followed).where(alarms.c.id == alarm_id, alarms.c.followed != "").scalar_subquery()
        chosen = and_(repairs.c.alarm == root, repairs.c.at >= since)
        return int(tx.execute(select(func.count()).select_from(repairs).where(chosen)).scalar_one())

    @reads
    def of_run(self, tx: Tx, run_id: str) -> StartedRepair | None:
        """The repair that a run carries out; None if it carries out none."""
        row = tx.execute(_STARTED.where(repairs.c.run == run_id)).one_or_none()
        return None if row is None else _as_started(row)

    @writes
    def record(self, tx: Tx, rule: str, object_path: str, alarm_id: str, run_id: str) -> None:
        """Record that a rule started a repair."""
        row = {"rule": rule, "object": object_path, "at": tx.now, "alarm": alarm_id, "run": run_id}
        root = select(alarms.c.root).where(alarms.c.id == alarm_id).scalar_subquery()
        tx.execute(repairs.insert().values(row | {"root": func.coalesce(root, "")}))
        tx.note(rule, "repair.started", alarm_id, object=object_path, run=run_id)

    @writes
    def withdraw(self, tx: Tx, run_id: str) -> None:
        """Do not count a repair whose run was stopped before it acted."""
        row = tx.execute(select(repairs.c.rule, repairs.c.alarm).where(repairs.c.run == run_id)).one_or_none()
        if row is not None:
            tx.execute(delete(repairs).where(repairs.c.run == run_id))
            tx.note(row.rule, "repair.withdrawn", row.alarm, run=run_id)


def _as_started(row: Row[Any]) -> StartedRepair:
    return StartedRepair(**{**row._mapping, "tenants": tuple(orjson.loads(row.tenants))})
