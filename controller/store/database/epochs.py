"""Whether the database is the newest known record: compares it with the newest audit row known elsewhere.

A restored backup, or a standby that lost commits, is older than what stations already carry, and later changes would
look like drift. So nothing begins until a person decides which is right. Each decision begins a new epoch of the
record.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Row, String, Table, bindparam, func, select

from controller.store.database.audit_chain import audit, audit_head
from controller.store.database.columns import Instant, long_text, metadata
from controller.store.database.evidence import Evidence, Head

#: When this record was found to be older than what is known elsewhere, and a person's decision about it. The greatest
#: number of a decided doubt is the epoch of the record.
doubts = Table(
    "doubts",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    long_text("reason"),
    Column("since", Instant, nullable=False),
    Column("decided", Instant),
    Column("choice", String),
)

_State = Row[Any, Any, Any, Any, Any]
#: When a person last decided which of two records is right; NULL if never.
LAST_DECISION = select(func.max(doubts.c.decided, type_=Instant()))
_EPOCH = select(func.coalesce(func.max(doubts.c.number), 0)).where(doubts.c.decided.is_not(None))
_OPEN = select(doubts.c.reason).where(doubts.c.decided.is_(None)).order_by(doubts.c.number).limit(1)
_STATE = select(
    _EPOCH.scalar_subquery().label("epoch"),
    _OPEN.scalar_subquery().label("open"),
    select(func.coalesce(func.max(doubts.c.number), 0)).scalar_subquery().label("newest"),
    select(audit.c.hash).where(audit.c.id == bindparam("known")).scalar_subquery().label("hash"),
    select(audit_head.c.last).scalar_subquery().label("last"),
)


def doubt_of(connection: Connection, evidence: Evidence) -> tuple[str, int | None]:
    """Why the record is in doubt, empty if it is not; and the number of the doubt if it is not on record yet."""
    known, state = _compared(connection, evidence)
    if state.open is not None:
        return state.open, None
    reason = _older(known, state)
    if not reason:
        return "", None
    evidence.doubt(reason)
    return reason, next_number(known, state)


def noted(connection: Connection, evidence: Evidence) -> tuple[int, bool]:
    """The epoch of the record, and whether it is known to be in doubt; for transactions that only read.

    What these see may be older than what others committed meanwhile, so they find no doubt themselves.
    """
    known, state = _compared(connection, evidence)
    decided = state.epoch > known.epoch
    return int(state.epoch), state.open is not None or (bool(known.doubt) and not decided)


def epoch_of(connection: Connection, evidence: Evidence) -> int:
    """Epoch of the record; keeps a doubt that arises here outside of the database."""
    known, state = _compared(connection, evidence)
    if reason := _older(known, state):
        evidence.doubt(reason)
    return int(state.epoch)


def new_doubt(connection: Connection, evidence: Evidence) -> int | None:
    """The number of a doubt that arose outside of the database; None if a doubt is already open."""
    known, state = _compared(connection, evidence)
    return next_number(known, state) if state.open is None else None


def next_number(known: Head, state: _State) -> int:
    """Number of a new doubt, greater than any known epoch, since its decision begins a new one."""
    return int(max(state.newest, known.epoch)) + 1


def _compared(connection: Connection, evidence: Evidence) -> tuple[Head, _State]:
    # In this order: what is known now was committed before, so the query sees it. That holds for transactions that may
    # write, from their begin, and not for others, which go on with what they saw at their first query (SQLite).
    known = evidence.newest()
    return known, connection.execute(_STATE, {"known": known.number}).one()


def _older(known: Head, state: _State) -> str:
    """What shows that the database is an older record than the known one; empty if nothing does."""
    if state.epoch > known.epoch:
        return ""  # a person has decided since
    if known.doubt:
        return known.doubt
    last = state.last or 0
    if state.epoch < known.epoch:
        return f"decision {known.epoch} on an older record is missing from the database: it was restored"
    if known.number and state.hash is None:
        return f"the audit trail ends at row {last}, and row {known.number} was on record: the database is older"
    if known.number and state.hash != known.hash:
        return f"row {known.number} of the audit trail differs from the one on record: this is another database"
    return ""
