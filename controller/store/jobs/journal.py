"""The journal of device transactions: writes rows of many devices with one statement of each kind."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, Integer, LargeBinary, Row, String, Table, bindparam, select, update

from controller.models.claim import Claim
from controller.models.errors import ConflictError, MinkaError, NotClearedError, RepairStoppedError
from controller.models.packing import unpacked
from controller.models.plan import Change
from controller.models.run import EDITING_STEPS, INSIDE, Holds, JournalEntry, JournalStep
from controller.models.step import transaction_of
from controller.models.waiting import words
from controller.store.alarms.doubts import doubted
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import INSERTS
from controller.store.database.repository import M_co, Repository, grouped, reads
from controller.store.database.transaction import Tx
from controller.store.jobs.run_rows import jobs, runs, unpacked_reasons
from controller.store.jobs.steps import steps
from controller.store.network.holds import holds_in_force, repair_stopped
from controller.store.network.leases import Holders, holds, leases, lock, lost
from controller.store.network.plans import changes
from controller.store.network.versions import current_network

journal = Table(
    "journal",
    metadata,
    Column("transaction", String, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("job", String, nullable=False, index=True),
    string("station"),
    Column("at", Instant, nullable=False),
    string("step"),
    Column("phase", Integer, nullable=False),
    long_text("persist"),
    Column("deadline", Instant),
    long_text("session"),
    long_text("detail"),
    # Paths that the device carried and faults that were there, compressed; only in ``read`` rows.
    Column("carried", LargeBinary),
    Column("excused", LargeBinary),
)

_ROWS = {
    dialect: insert(journal)
    .on_conflict_do_nothing(index_elements=["transaction", "seq"])
    .execution_options(preserve_rowcount=True)
    for dialect, insert in INSERTS.items()
}
_OF_JOURNAL = select(journal).order_by(journal.c.transaction, journal.c.seq)
#: Stations that come back with their function do so in any case.
_BACK = jobs.c.rank.in_(INSIDE).label("back")
_CLEARED = select(jobs.c.id, jobs.c.reasons, jobs.c.closes, jobs.c.outdated, runs.c.judge_from, _BACK).join(
    runs, runs.c.id == jobs.c.run
)
#: The newest edit of the ended jobs of a device.
_EDITED = (
    select(journal.c.job, journal.c.transaction, journal.c.phase, jobs.c.station, runs.c.plan)
    .join_from(jobs, runs, runs.c.id == jobs.c.run)
    .join(journal, journal.c.job == jobs.c.id)
    .where(jobs.c.station == bindparam("device"), jobs.c.finished.is_not(None), journal.c.step.in_(EDITING_STEPS))
    .order_by(journal.c.at.desc(), journal.c.seq.desc())
    .limit(1)
)
#: Changes that the steps of a playbook's job made, each in a transaction of its own; or the one of the run's plan.
_BY_STEPS = select(steps.c.position, steps.c.undo, steps.c.attempt, steps.c.change).where(
    steps.c.job == bindparam("of"), steps.c.change.is_not(None)
)
_BY_PLAN = select(changes.c.content).where(
    changes.c.plan == bindparam("plan"), changes.c.station == bindparam("device")
)
_OF_DEVICE = update(leases).where(leases.c.station == bindparam("device"))
_OF_JOB = update(jobs).where(jobs.c.id == bindparam("of"))
#: What a job notes of a commit of which nothing showed.
_IN_VAIN = {
    JournalStep.UNSEEN: _OF_JOB.values(unseen=True),
    JournalStep.UNANSWERED: _OF_JOB.values(unanswered=True),
}
_LOCKERS_OF = select(leases.c.lock_sessions).where(leases.c.station == bindparam("device"))
#: The value of ``lock_sessions`` before a session asks for the lock, and after it has got it: then no other of our
#: sessions holds it.
_LOCK_SESSIONS = {
    JournalStep.OPENED: _OF_DEVICE.values({"lock_sessions": leases.c.lock_sessions + " " + bindparam("session_id")}),
    JournalStep.LOCKED: _OF_DEVICE.values({"lock_sessions": bindparam("session_id"), "locked": True}),
}


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to be written. If it ``begins``, or begins ``further`` work, its job may edit the device after it."""

    entry: JournalEntry
    claim: Claim
    begins: bool = False
    further: bool = False


def _of(transaction: str) -> str:
    return transaction


class Journal(Repository[M_co]):
    """The journals of device transactions."""

    @grouped(NewRow)
    def append(self, tx: Tx, rows: Sequence[NewRow]) -> list[MinkaError | None]:
        """Append a journal row; an equal row changes nothing. If the row ``begins``, the job may then edit its device.

        If it begins ``further`` work of a job that has changed its device, only a hold there keeps it back.

        Raises:
            NotClearedError: The row begins work that may not begin now.
            LeaseLostError: The claim's fence is no longer the newest, or its incarnation was declared dead.
            ConflictError: The row belongs to another transaction, or its number is taken by another row.
        """
        return _write(tx, rows)

    @grouped(_of, "DEFERRED")
    def find(self, tx: Tx, transactions: Sequence[str]) -> list[list[JournalEntry]]:
        """Rows of a transaction in order."""
        found = _entries(tx, set(transactions))
        return [found[transaction] for transaction in transactions]

    @reads
    def edited_earlier(self, tx: Tx, station: str) -> tuple[Change, int] | None:
        """The change, of a plan or step, that an ended job edited last on a device, and the phase; None if none did.

        Its edits may still be in the candidate, if the device could not be reached before the job ended.
        """
        row = tx.execute(_EDITED, {"device": station}).first()
        change = None if row is None else _change_of(tx, row)
        return None if row is None or change is None else (unpacked(Change, change), row.phase)

    @reads
    def lock_sessions(self, tx: Tx, station: str) -> frozenset[str]:
        """NETCONF session ids of ours, of this or earlier transactions, that may still hold the lock of a device."""
        known = tx.execute(_LOCKERS_OF, {"device": station}).scalar()
        return frozenset((known or "").split())


def append_row(tx: Tx, entry: JournalEntry, claim: Claim) -> None:
    """Write a journal row under its lease; see ``Journal.append``."""
    (error,) = _write(tx, [NewRow(entry, claim)])
    if error is not None:
        raise error


def _write(tx: Tx, rows: Sequence[NewRow]) -> list[MinkaError | None]:
    held = lock(tx, [row.claim for row in rows])
    stopped = repair_stopped(tx) if any(row.begins and row.claim.run.automatic for row in rows) else ""
    errors = [_forbidden(row, held) or _stopped(row, stopped) for row in rows]
    ours = [row for row, error in zip(rows, errors, strict=True) if error is None]
    blocked = _blocked(tx, [row.claim for row in ours if row.begins])
    blocked |= _held(tx, [row.claim for row in ours if row.further])
    new = [_as_row(row.entry) for row in ours if not ((row.begins or row.further) and row.claim.job.id in blocked)]
    written = tx.execute(_ROWS[tx.dialect], new).rowcount if new else 0
    _note_lock_sessions(tx, [row.entry for row in ours])
    for step, statement in _IN_VAIN.items():
        if noted := [{"of": row.entry.job} for row in ours if row.entry.step is step]:
            tx.execute(statement, noted)
    if written == len(ours):
        return errors
    kept = _entries(tx, {row.entry.transaction for row in ours})
    return [error or _unwritten(row, kept, blocked) for row, error in zip(rows, errors, strict=True)]


def _note_lock_sessions(tx: Tx, entries: Sequence[JournalEntry]) -> None:
    for step, statement in _LOCK_SESSIONS.items():
        noted = [
            {"device": one.station, "session_id": one.session} for one in entries if one.step is step and one.session
        ]
        if noted:
            tx.execute(statement, noted)


def _forbidden(row: NewRow, held: Holders) -> MinkaError | None:
    entry, claim = row.entry, row.claim
    theirs, ours = entry.transaction.split(".")[0], claim.transaction.split(".")[0]
    if (theirs, entry.station) != (ours, claim.job.station):
        return ConflictError(f"a journal row of {entry.transaction} can't be written under {claim.transaction}")
    return None if holds(claim, held) else lost(claim)


def _stopped(row: NewRow, reason: str) -> MinkaError | None:
    """Refuse a repair that has changed nothing yet while repair is stopped."""
    return RepairStoppedError(reason) if reason and row.begins and row.claim.run.automatic else None


def _change_of(tx: Tx, edited: Row[Any]) -> bytes | None:
    """The change that a transaction carried out: that of a step, by the suffix of the transaction, or of the plan."""
    if "." not in edited.transaction:
        found: bytes | None = tx.execute(_BY_PLAN, {"plan": edited.plan, "device": edited.station}).scalar()
        return found
    for row in tx.execute(_BY_STEPS, {"of": edited.job}):
        if edited.transaction.endswith(f".{transaction_of(row.position, row.attempt, undo=row.undo)}"):
            return bytes(row.change)
    return None


def _blocked(tx: Tx, claims: Sequence[Claim]) -> dict[str, str]:
    """Jobs that may not begin now (see ``Approvals.reassess`` and ``Integrity``), and why."""
    if claims and (doubt := doubted(tx)):
        return {claim.job.id: f"the record is in doubt: {doubt}" for claim in claims}
    rows = tx.rows(_CLEARED, jobs.c.id, [claim.job.id for claim in claims])
    return {row.id: why for row in rows if (why := _why_not(row, tx.now))}


def _held(tx: Tx, claims: Sequence[Claim]) -> dict[str, str]:
    """Jobs whose device is under a hold now, and which one."""
    found = holds_in_force(tx, tx.now) if claims else []
    holds, current = Holds(found), current_network(tx) if found else None
    if current is None:
        return {}
    network = current[1]
    there = ((claim.job.id, claim.job.station) for claim in claims if network.manages(claim.job.station))
    return {job: hold.words for job, device in there if (hold := holds.binding(network, device)) is not None}


def _why_not(row: Row[Any], now: datetime) -> str:
    """Why a job may not begin; empty if it may."""
    if row.outdated is not None and not row.back:
        return "its plan does not follow from the network files and agreements in force any more"
    if row.judge_from is not None and row.judge_from <= now and not row.back:
        return "its plan has to be judged by the network files and agreements in force first"
    closed = row.closes is not None and row.closes <= now
    return words(unpacked_reasons(row.reasons)) or ("its window closed" if closed else "")


def _unwritten(row: NewRow, kept: dict[str, list[JournalEntry]], blocked: dict[str, str]) -> MinkaError | None:
    """Why a row is not on record; None if it is, now or from before."""
    entry, job = row.entry, row.claim.job
    known = kept[entry.transaction]
    if entry in known:
        return None
    if all(other.seq != entry.seq for other in known):
        return NotClearedError(f"{job.station} may not be worked on now: {blocked[job.id]}")
    return ConflictError(f"the journal of {entry.transaction} has another row {entry.seq}")


def _entries(tx: Tx, transactions: Iterable[str]) -> dict[str, list[JournalEntry]]:
    found: dict[str, list[JournalEntry]] = {transaction: [] for transaction in transactions}
    for row in tx.rows(_OF_JOURNAL, journal.c.transaction, found):
        found[row.transaction].append(_as_entry(row))
    return found


def _as_entry(row: Row[Any]) -> JournalEntry:
    return JournalEntry(
        **{**row._mapping, "carried": unpacked_names(row.carried), "excused": unpacked_names(row.excused)}
    )


def _as_row(entry: JournalEntry) -> dict[str, Any]:
    return {**dict(entry), "carried": _packed(entry.carried), "excused": _packed(entry.excused)}


def _packed(names: tuple[str, ...]) -> bytes | None:
    return zlib.compress(orjson.dumps(names), 1) if names else None


def unpacked_names(content: bytes | None) -> tuple[str, ...]:
    """Names as their column has them, compressed."""
    return () if content is None else tuple(orjson.loads(zlib.decompress(content)))
