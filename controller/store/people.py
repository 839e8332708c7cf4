"""What people put on record themselves: holds, switches, acts; and the audit trail of everyone."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import and_, func, or_, select, text, update

from controller.models.alarm import SwitchState
from controller.models.audit import AuditAnchor, AuditBreak
from controller.models.errors import NotFoundError
from controller.models.run import AuditRow, Hold
from controller.ports.people import EVERYTHING, AuditQuery
from controller.ports.store import Page
from controller.store import audit, trust
from controller.store.encoding import as_noun
from controller.store.tables import audit as audit_rows
from controller.store.tables import holds, switches
from controller.store.transaction import Transactions, Tx, reads, writes


class PeopleRecords(Transactions):
    """Acts of people."""

    @writes
    def add_hold(self, tx: Tx, target: str, by: str, reason: str, until: datetime | None) -> Hold:
        """See ``Store.add_hold``."""
        hold = Hold(id=f"h-{secrets.token_hex(4)}", target=target, by=by, reason=reason, created=tx.now, until=until)
        tx.execute(holds.insert().values(hold.model_dump()))
        tx.note(by, "hold.put", target, hold=hold.id, reason=reason, until=until and until.isoformat())
        return hold

    @writes
    def end_hold(self, tx: Tx, hold_id: str, actor: str) -> None:
        """See ``Store.end_hold``."""
        in_force = and_(holds.c.id == hold_id, holds.c.ended.is_(None))
        target = tx.execute(select(holds.c.target).where(in_force).with_for_update()).scalar()
        if target is None:
            raise NotFoundError(f"there is no hold {hold_id}")
        tx.execute(update(holds).where(in_force).values(ended=tx.now))
        tx.note(actor, "hold.lifted", target, hold=hold_id)

    @reads
    def holds(self, tx: Tx, at: datetime) -> list[Hold]:
        """See ``Store.holds``."""
        return holds_in_force(tx, at)

    @reads
    def switch(self, tx: Tx, name: str) -> bool:
        """See ``Store.switch``."""
        return bool(tx.execute(select(switches.c.on).where(switches.c.name == name)).scalar())

    @reads
    def switch_state(self, tx: Tx, name: str) -> SwitchState:
        """See ``Store.switch_state``."""
        row = tx.execute(select(switches).where(switches.c.name == name)).one_or_none()
        return SwitchState() if row is None else as_noun(SwitchState, row)

    @writes
    def set_switch(self, tx: Tx, name: str, on: bool, actor: str, reason: str = "") -> None:
        """See ``Store.set_switch``."""
        values = {"on": on, "since": tx.now, "by": actor, "reason": reason}
        row = tx.insert(switches).values(name=name, **values)
        tx.execute(row.on_conflict_do_update(index_elements=["name"], set_=values))
        tx.note(actor, "switch.set", name, on="on" if on else "off", reason=reason)

    @writes
    def audit(self, tx: Tx, actor: str, action: str, target: str, detail: Mapping[str, str] | None = None) -> None:
        """See ``Store.audit``."""
        tx.note(actor, action, target, **(detail or {}))

    @reads
    def audit_rows(self, tx: Tx, page: Page, wanted: AuditQuery = EVERYTHING) -> tuple[int, list[AuditRow]]:
        """See ``Store.audit_rows``."""
        chosen = audit.matching(audit_rows.c, wanted)
        total = tx.execute(select(func.count()).select_from(audit_rows).where(*chosen)).scalar_one()
        newest = (
            select(audit_rows).where(*chosen).order_by(audit_rows.c.id.desc()).limit(page.limit).offset(page.offset)
        )
        return total, [audit.as_noun(row) for row in tx.execute(newest)]

    @reads
    def verify_audit(self, tx: Tx) -> AuditBreak | None:
        """See ``Store.verify_audit``."""
        if tx.dialect == "postgresql":
            # Rows and head as of one moment: what others append meanwhile is no break.
            tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return audit.first_broken(tx.connection, tx.custody.keys)

    @reads
    def verify_anchors(self, tx: Tx, anchors: Iterable[AuditAnchor]) -> AuditBreak | None:
        """See ``Store.verify_anchors``."""
        return audit.first_unanchored(tx.connection, anchors)

    @reads
    def audit_key(self, tx: Tx) -> str:
        """Id of the key that the newest audit row is signed with; empty where there is none."""
        return tx.execute(select(audit_rows.c.key).order_by(audit_rows.c.id.desc()).limit(1)).scalar() or ""

    @reads
    def audit_head(self, tx: Tx) -> AuditAnchor:
        """See ``Store.audit_head``."""
        number, digest = audit.newest(tx.connection)
        return AuditAnchor(epoch=trust.epoch_of(tx.connection, tx.custody), number=number, hash=digest)


def holds_in_force(tx: Tx, at: datetime) -> list[Hold]:
    """Holds in force, newest first."""
    in_force = and_(holds.c.ended.is_(None), or_(holds.c.until.is_(None), holds.c.until > at))
    rows = tx.execute(select(holds).where(in_force).order_by(holds.c.number.desc()))
    names = tuple(Hold.model_fields)
    return [Hold(**{name: row._mapping[name] for name in names}) for row in rows]
