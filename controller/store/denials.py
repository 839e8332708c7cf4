"""Requests that were denied: the first of a kind are on the audit trail one by one, a flood of them as a number."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Row, and_, case, delete

from controller.store.audit import Note
from controller.store.people_tables import denials
from controller.store.transaction import Transactions, Tx, writes

#: For how long what one caller is denied for want of one permission is counted together, and how much of it gets a
#: row of its own. What comes beyond gets a single row with its number: the trail grows with callers, not with requests.
PERIOD, EACH = timedelta(hours=1), 20
_ACTION = "access.denied"
_KEY = (denials.c.actor, denials.c.side, denials.c.permission)


class DenialRecords(Transactions):
    """See ``controller.ports.people.PeopleRecords``."""

    @writes
    def deny(self, tx: Tx, actor: str, side: str, permission: str, asked: str, times: int = 1) -> None:
        """See ``PeopleRecords.deny``."""
        values = {"actor": actor, "side": side, "permission": permission}
        same = and_(*(column == values[column.name] for column in _KEY))
        for row in tx.execute(delete(denials).where(same, denials.c.since <= tx.now - PERIOD).returning(denials)):
            _sum_up(tx, row)
        room = denials.c.told < EACH
        counted = {
            "told": case((room, denials.c.told + 1), else_=denials.c.told),
            "more": case((room, 0), else_=denials.c.more + times),
            "asked": asked,
            "at": tx.now,
        }
        first = values | {"since": tx.now, "told": 1, "more": 0, "asked": asked, "at": tx.now}
        made = tx.insert(denials).values(first).on_conflict_do_update(index_elements=_KEY, set_=counted)
        if not tx.execute(made.returning(denials.c.more)).scalar_one():
            tx.note(actor, _ACTION, asked, permission=permission, count=times if times > 1 else "")

    @writes
    def sum_up_denials(self, tx: Tx) -> None:
        """See ``PeopleRecords.sum_up_denials``."""
        tx.guard("denials")
        for row in tx.execute(delete(denials).where(denials.c.since <= tx.now - PERIOD).returning(denials)):
            _sum_up(tx, row)


def _sum_up(tx: Tx, row: Row[Any]) -> None:
    """Put on the trail what had no row of its own, as of the last of it: by then its caller was on that side."""
    if row.more:
        detail = {"permission": row.permission, "count": str(row.more), "since": row.since.isoformat()}
        detail = {name: value for name, value in detail.items() if value}
        tx.notes.append(Note(row.at, row.actor, _ACTION, row.asked, detail))
