"""Doubts about the record go on record, with an alarm."""

from __future__ import annotations

from controller.models.alarm import RECORD_DOUBTED, AlarmReport, PerceivedSeverity
from controller.store.alarms.alarms import escalate
from controller.store.alarms.receiving import take_reports
from controller.store.database import epochs
from controller.store.database.epochs import doubts
from controller.store.database.transaction import Tx


def doubted(tx: Tx) -> str:
    """Why nothing may begin on stations, empty if nothing is in doubt; puts a doubt that arises just now on record."""
    reason, number = epochs.doubt_of(tx.connection, tx.evidence, tx.notes)
    if number is not None:
        _open(tx, number, reason)
    return reason


def doubt(tx: Tx, reason: str) -> None:
    """Doubt the record because of what stations say, unless a doubt is already open."""
    number = epochs.new_doubt(tx.connection, tx.evidence, tx.notes)
    if number is not None:
        tx.evidence.doubt(reason)
        _open(tx, number, reason)


def _open(tx: Tx, number: int, reason: str) -> None:
    """Put a doubt on record, and notify people of it once."""
    row = tx.insert(doubts).values(number=number, reason=reason, since=tx.now)
    # Without the option SQLAlchemy tells -1 of an insert, whatever came of it.
    new = row.on_conflict_do_nothing(index_elements=["number"]).execution_options(preserve_rowcount=True)
    if not tx.execute(new).rowcount:
        return
    tx.note("engine", "record.doubted", "record", reason=reason, epoch=number)
    (alarm,) = take_reports(
        tx, [AlarmReport.of_controller("record", RECORD_DOUBTED, PerceivedSeverity.CRITICAL, tx.now, reason)]
    )
    escalate(tx, alarm, f"nothing is changed until a person decides (minka record show): {reason}", "engine")
