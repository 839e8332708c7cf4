"""Holds and switches."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import Boolean, Column, Integer, String, Table, and_, bindparam, or_, select, update

from controller.models.alarm import REMEDIATION_STOPPED, SwitchState
from controller.models.errors import NotFoundError
from controller.models.run import Hold
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import as_noun
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx

holds = Table(
    "holds",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    string("target"),
    string("by"),
    long_text("reason"),
    Column("created", Instant, nullable=False),
    Column("until", Instant),
    Column("ended", Instant),
)

switches = Table(
    "switches",
    metadata,
    Column("name", String, primary_key=True),
    Column("on", Boolean, nullable=False),
    Column("since", Instant),
    long_text("by"),
    long_text("reason"),
)
_LASTS = or_(holds.c.until.is_(None), holds.c.until > bindparam("at", type_=Instant()))
_STANDS = or_(holds.c.ended.is_(None), holds.c.ended > bindparam("at", type_=Instant()))
_IN_FORCE = select(holds).where(_STANDS, _LASTS).order_by(holds.c.number.desc())
_SWITCH = select(switches).where(switches.c.name == bindparam("switch"))
_IS_ON = _SWITCH.with_only_columns(switches.c.on)


class Holds(Repository[M_co]):
    """Holds that people put on stations."""

    @writes
    def add(self, tx: Tx, target: str, by: str, reason: str, until: datetime | None) -> Hold:
        """Put a hold."""
        hold = Hold(id=f"h-{secrets.token_hex(4)}", target=target, by=by, reason=reason, created=tx.now, until=until)
        tx.execute(holds.insert().values(hold.model_dump()))
        tx.note(by, "hold.put", target, hold=hold.id, reason=reason, until=until and until.isoformat())
        return hold

    @writes
    def end(self, tx: Tx, hold_id: str, actor: str) -> None:
        """End a hold now. Raises NotFoundError."""
        in_force = and_(holds.c.id == hold_id, holds.c.ended.is_(None))
        target = tx.execute(select(holds.c.target).where(in_force).with_for_update()).scalar()
        if target is None:
            raise NotFoundError.of("hold", hold_id)
        tx.execute(update(holds).where(in_force).values(ended=tx.now))
        tx.note(actor, "hold.lifted", target, hold=hold_id)

    @reads
    def find(self, tx: Tx, at: datetime) -> list[Hold]:
        """Holds that are in force at a time, those that were put later too, as long as they last."""
        return holds_in_force(tx, at)


class Switches(Repository[M_co]):
    """Switches. They are off until somebody sets them. ``remediation-stopped`` is the kill switch."""

    @reads
    def is_on(self, tx: Tx, name: str) -> bool:
        """Whether a switch is on."""
        return bool(tx.execute(_IS_ON, {"switch": name}).scalar())

    @reads
    def get(self, tx: Tx, name: str) -> SwitchState:
        """A switch as it was last set: since when, by whom and why."""
        row = tx.execute(_SWITCH, {"switch": name}).one_or_none()
        return SwitchState() if row is None else as_noun(SwitchState, row)

    @writes
    def set(self, tx: Tx, name: str, on: bool, actor: str, reason: str = "") -> None:
        """Set a switch."""
        values = {"on": on, "since": tx.now, "by": actor, "reason": reason}
        row = tx.insert(switches).values(name=name, **values)
        tx.execute(row.on_conflict_do_update(index_elements=["name"], set_=values))
        tx.note(actor, "switch.set", name, on="on" if on else "off", reason=reason)


def repair_stopped(tx: Tx) -> str:
    """Why automatic repair is stopped; empty while it is not."""
    row = tx.execute(_SWITCH, {"switch": REMEDIATION_STOPPED}).one_or_none()
    return as_noun(SwitchState, row).stops if row is not None and row.on else ""


def holds_in_force(tx: Tx, at: datetime) -> list[Hold]:
    """Holds in force, newest first."""
    return [as_noun(Hold, row) for row in tx.execute(_IN_FORCE, {"at": at})]
