"""Whether the database is the newest known record: compares it with the newest audit row known elsewhere.

A restored backup, or a standby that lost commits, is older than what stations already carry, and later changes would
look like drift. So nothing begins until a person decides which is right. Each decision begins a new epoch of the
record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Row, String, Table, bindparam, func, select

from controller.store.database.audit_chain import DECIDED, LAST, Note, audit, last_decision
from controller.store.database.columns import Instant, long_text, metadata
from controller.store.database.evidence import Evidence, Head

#: When this record was found to be older than what is known elsewhere, and a person's decision about it. The greatest
#: number of a decided doubt is the epoch of the record, as far as the audit trail proves that decision.
doubts = Table(
    "doubts",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    long_text("reason"),
    Column("since", Instant, nullable=False),
    Column("decided", Instant),
    Column("choice", String),
)

#: How many decisions an older record can lack. More than people decide, so a doubt with a greater number was made up:
#: it can be decided, and counts for no epoch.
_MOST_EPOCHS = 1000
_State = Row[Any, Any, Any, Any, Any]
_NUMBER = select(func.coalesce(func.max(doubts.c.number), 0)).where(doubts.c.number <= bindparam("most"))
_EPOCH = _NUMBER.where(doubts.c.decided.is_not(None))
_OPEN = select(doubts.c.reason).where(doubts.c.decided.is_(None)).order_by(doubts.c.number).limit(1)
_STATE = select(
    _EPOCH.scalar_subquery().label("epoch"),
    _OPEN.scalar_subquery().label("open"),
    _NUMBER.scalar_subquery().label("newest"),
    select(audit.c.hash).where(audit.c.id == bindparam("known")).scalar_subquery().label("hash"),
    LAST.scalar_subquery().label("last"),
)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The database beside what is known elsewhere.

    Attributes:
        known: The newest head.
        state: What the database says.
        decided: Whether a person has decided since, as the audit trail proves.
    """

    known: Head
    state: _State
    decided: bool

    @property
    def epoch(self) -> int:
        """Epoch of the record. A decision that nothing proves began none."""
        return int(self.state.epoch if self.decided else min(self.state.epoch, self.known.epoch))

    @property
    def is_forged(self) -> bool:
        """Whether the database says that a person has decided since, and nothing proves it."""
        return not self.decided and self.state.epoch > self.known.epoch

    @property
    def next_number(self) -> int:
        """Number of a new doubt, greater than any known epoch, since its decision begins a new one."""
        return int(max(self.state.newest, self.known.epoch)) + 1

    @property
    def older(self) -> str:
        """What shows that the database is an older record than the known one; empty if nothing does."""
        if self.decided:
            return ""
        known, state = self.known, self.state
        if known.doubt:
            return known.doubt
        if self.is_forged:
            return f"no audit row proves decision {state.epoch}, which the database holds: somebody changed it"
        last = state.last or 0
        if state.epoch < known.epoch:
            return f"decision {known.epoch} on an older record is missing from the database: it was restored"
        if known.number and state.hash is None:
            return f"the audit trail ends at row {last}, and row {known.number} was on record: the database is older"
        if known.number and state.hash != known.hash:
            return f"row {known.number} of the audit trail differs from the one on record: this is another database"
        return ""


def doubt_of(connection: Connection, evidence: Evidence, notes: Sequence[Note]) -> tuple[str, int | None]:
    """Why the record is in doubt, empty if it is not; and the number of the doubt if it is not on record yet.

    Args:
        connection: The transaction.
        evidence: What is known outside of the database.
        notes: Audit rows that the transaction writes at its end.
    """
    compared = _compared(connection, evidence, notes)
    if compared.state.open is not None:
        return compared.state.open, None
    reason = compared.older
    if not reason:
        return "", None
    evidence.doubt(reason)
    return reason, compared.next_number


def noted(connection: Connection, evidence: Evidence, notes: Sequence[Note]) -> tuple[int, bool]:
    """The epoch of the record, and whether it is known to be in doubt; for transactions that only read.

    What these see may be older than what others committed meanwhile, so they find no doubt themselves; but a decision
    and its audit row are committed together.
    """
    compared = _compared(connection, evidence, notes)
    doubted = compared.is_forged or (bool(compared.known.doubt) and not compared.decided)
    return compared.epoch, compared.state.open is not None or doubted


def shown(connection: Connection, evidence: Evidence, notes: Sequence[Note]) -> tuple[int, str]:
    """The epoch of the record, and why it is in doubt, also if nobody noted that yet. Nothing is noted here.

    A transaction that only reads asks so first of all, before it sees anything older.
    """
    compared = _compared(connection, evidence, notes)
    return compared.epoch, compared.state.open or compared.older


def epoch_of(connection: Connection, evidence: Evidence, notes: Sequence[Note]) -> int:
    """Epoch of the record; keeps a doubt that arises here outside of the database."""
    compared = _compared(connection, evidence, notes)
    if reason := compared.older:
        evidence.doubt(reason)
    return compared.epoch


def new_doubt(connection: Connection, evidence: Evidence, notes: Sequence[Note]) -> int | None:
    """The number of a doubt that arose outside of the database; None if a doubt is already open."""
    compared = _compared(connection, evidence, notes)
    return compared.next_number if compared.state.open is None else None


def made_up(evidence: Evidence) -> ColumnElement[bool]:
    """Doubts whose number no process here can have given."""
    return doubts.c.number > evidence.newest().epoch + _MOST_EPOCHS


def _compared(connection: Connection, evidence: Evidence, notes: Sequence[Note]) -> _Compared:
    # In this order: what is known now was committed before, so the query sees it. That holds for transactions that may
    # write, from their begin, and not for others, which go on with what they saw at their first query (SQLite).
    known = evidence.newest()
    state = connection.execute(_STATE, {"known": known.number, "most": known.epoch + _MOST_EPOCHS}).one()
    decided = state.epoch > known.epoch and _is_proved(connection, evidence, notes, known, state.epoch)
    return _Compared(known, state, decided)


def _is_proved(connection: Connection, evidence: Evidence, notes: Sequence[Note], known: Head, epoch: int) -> bool:
    """Whether a person decided so, and not somebody who can only write to the database.

    A decision ends every doubt, also one about rows that were cut off, and nothing signs its row of ``doubts``. Its
    audit row is signed.
    """
    if known == Head():
        return True  # Nothing is known that this record could lack.
    if any(note.action == DECIDED and int(note.detail["epoch"]) >= epoch for note in notes):
        return True  # This transaction decides it.
    decision = last_decision(connection, evidence)
    if decision.epoch < epoch:
        return False
    evidence.saw(decision)  # So it has to be proved once.
    return True
