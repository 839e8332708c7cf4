"""What workers write while they hold devices: journal rows and ends of jobs, of many devices at once.

A worker has hundreds of transactions under way, which all write the same few kinds of rows. So the
statements are built once, and each is sent once for a whole group of rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Boolean, Row, and_, bindparam, case, func, insert, select, update

from controller.models.alarm import DIVERGED, AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.errors import ConflictError, LeaseLostError, MinkaError, NotClearedError
from controller.models.run import JobState, JournalEntry, JournalStep, Outcome
from controller.ports.store import Claim, JobResult
from controller.ports.store_calls import Finishing, Journalling
from controller.store.decisions import begun_anew, put_back
from controller.store.encoding import rows_of
from controller.store.ledger import LedgerChange, change_ledger
from controller.store.record import doubted
from controller.store.reports import take_reports
from controller.store.tables import alarms, devices, jobs, journal, leases
from controller.store.transaction import INSERTS, Transactions, Tx, reads, writes

_Leases = dict[str, tuple[int, str | None]]

_LEASES = select(leases.c.station, leases.c.fence, leases.c.incarnation).order_by(leases.c.station).with_for_update()
_ROWS = {
    dialect: insert(journal)
    .on_conflict_do_nothing(index_elements=["transaction", "seq"])
    .execution_options(preserve_rowcount=True)
    for dialect, insert in INSERTS.items()
}
_OF_JOURNAL = select(journal).order_by(journal.c.transaction, journal.c.seq)
_END = (
    update(jobs)
    .where(jobs.c.id == bindparam("ended"))
    .values({"incarnation": None, **{name: bindparam(name) for name in ("state", "outcome", "finished", "detail")}})
)
_FREE = (
    update(leases)
    .where(leases.c.station == bindparam("device"))
    .values(
        {
            "incarnation": None,
            "transaction": None,
            "job": None,
            "lockers": case((and_(leases.c.locked, bindparam("well", type_=Boolean)), ""), else_=leases.c.lockers),
        }
    )
)
_OF_DEVICE = update(leases).where(leases.c.station == bindparam("device"))
#: What becomes of ``lockers`` before a session asks for the lock, and when it has it: then nobody else of ours does.
_LOCKERS = {
    JournalStep.OPENED: _OF_DEVICE.values({"lockers": leases.c.lockers + " " + bindparam("session_id")}),
    JournalStep.LOCKED: _OF_DEVICE.values({"lockers": bindparam("session_id"), "locked": True}),
}
_LAST = select(func.coalesce(func.max(journal.c.seq) + 1, 0)).where(journal.c.transaction == bindparam("of"))
_CLOSE = insert(journal).values(
    {
        "seq": _LAST.scalar_subquery(),
        **{name: bindparam(name) for name in ("transaction", "job", "station", "at", "step", "phase", "detail")},
    }
)


class JournalRecords(Transactions):
    """The journal of what is done under leases, and how it ends."""

    @writes
    def journal(self, tx: Tx, entry: JournalEntry, claim: Claim) -> None:
        """See ``Store.journal``."""
        append(tx, entry, claim)

    @writes
    def begin(self, tx: Tx, entry: JournalEntry, claim: Claim) -> None:
        """See ``Store.begin``."""
        _raise(_write(tx, [Journalling(entry, claim, first=True)]))

    @writes
    def journal_all(self, tx: Tx, rows: Sequence[Journalling]) -> list[MinkaError | None]:
        """See ``Store.journal_all``."""
        return _write(tx, rows)

    @reads
    def journal_of(self, tx: Tx, transaction: str) -> list[JournalEntry]:
        """See ``Store.journal_of``."""
        return _entries(tx, [transaction])[transaction]

    @reads
    def journals_of(self, tx: Tx, transactions: Iterable[str]) -> dict[str, list[JournalEntry]]:
        """See ``Store.journals_of``."""
        return _entries(tx, transactions)

    @reads
    def lockers(self, tx: Tx, station: str) -> frozenset[str]:
        """See ``Store.lockers``."""
        known = tx.execute(select(leases.c.lockers).where(leases.c.station == station)).scalar()
        return frozenset((known or "").split())

    @writes
    def finish(self, tx: Tx, claim: Claim, result: JobResult) -> None:
        """See ``Store.finish``."""
        _raise(_finish(tx, [Finishing(claim, result)]))

    @writes
    def finish_all(self, tx: Tx, ends: Sequence[Finishing]) -> list[MinkaError | None]:
        """See ``Store.finish_all``."""
        return _finish(tx, ends)


def append(tx: Tx, entry: JournalEntry, claim: Claim) -> None:
    """Write a journal row under its lease; see ``Store.journal``."""
    _raise(_write(tx, [Journalling(entry, claim)]))


def check_lease(tx: Tx, claim: Claim) -> None:
    """Lock the lease and see that it is still the claim's."""
    if not _holds(claim, _lock(tx, [claim])):
        raise _lost(claim)


def _lock(tx: Tx, claims: Iterable[Claim]) -> _Leases:
    """Lock leases; fence and holder by station. In the same order in every process."""
    rows = rows_of(tx, _LEASES, leases.c.station, [claim.job.station for claim in claims])
    return {row.station: (row.fence, row.incarnation) for row in rows}


def _holds(claim: Claim, held: _Leases) -> bool:
    return held.get(claim.job.station) == (claim.fence, claim.incarnation)


def _lost(claim: Claim) -> LeaseLostError:
    return LeaseLostError(f"{claim.job.station} is no longer leased to {claim.incarnation}")


def _raise(errors: Sequence[MinkaError | None]) -> None:
    for error in errors:
        if error is not None:
            raise error


# --------------------------------------------------------------------------- journal


def _write(tx: Tx, rows: Sequence[Journalling]) -> list[MinkaError | None]:
    held = _lock(tx, [row.claim for row in rows])
    errors = [_forbidden(row, held) for row in rows]
    ours = [row for row, error in zip(rows, errors, strict=True) if error is None]
    blocked = _blocked(tx, [row.claim for row in ours if row.first])
    new = [_as_row(row.entry) for row in ours if not (row.first and row.claim.job.id in blocked)]
    written = tx.execute(_ROWS[tx.dialect], new).rowcount if new else 0
    _note_lockers(tx, [row.entry for row in ours])
    if written == len(ours):
        return errors
    kept = _entries(tx, {row.entry.transaction for row in ours})
    return [error or _unwritten(row, kept, blocked) for row, error in zip(rows, errors, strict=True)]


def _note_lockers(tx: Tx, entries: Sequence[JournalEntry]) -> None:
    for step, statement in _LOCKERS.items():
        noted = [
            {"device": one.station, "session_id": one.session} for one in entries if one.step is step and one.session
        ]
        if noted:
            tx.execute(statement, noted)


def _forbidden(row: Journalling, held: _Leases) -> MinkaError | None:
    entry, claim = row.entry, row.claim
    theirs, ours = entry.transaction.split(".")[0], claim.transaction.split(".")[0]
    if (theirs, entry.station) != (ours, claim.job.station):
        return ConflictError(f"a journal row of {entry.transaction} can't be written under {claim.transaction}")
    return None if _holds(claim, held) else _lost(claim)


def _blocked(tx: Tx, claims: Sequence[Claim]) -> dict[str, str]:
    """Jobs that may not begin now (see ``ApprovalRecords.clear`` and ``RecordGuard``), and why."""
    if claims and (doubt := doubted(tx)):
        return {claim.job.id: f"the record is in doubt: {doubt}" for claim in claims}
    query = select(jobs.c.id, jobs.c.blocked, jobs.c.closes)
    rows = rows_of(tx, query, jobs.c.id, [claim.job.id for claim in claims])
    return {
        row.id: row.blocked or "its window closed"
        for row in rows
        if row.blocked or (row.closes is not None and row.closes <= tx.now)
    }


def _unwritten(row: Journalling, kept: dict[str, list[JournalEntry]], blocked: dict[str, str]) -> MinkaError | None:
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
    for row in rows_of(tx, _OF_JOURNAL, journal.c.transaction, found):
        found[row.transaction].append(_as_entry(row))
    return found


def _as_entry(row: Row[Any]) -> JournalEntry:
    carried = () if row.carried is None else tuple(orjson.loads(zlib.decompress(row.carried)))
    return JournalEntry(**{**row._mapping, "carried": carried})


def _as_row(entry: JournalEntry) -> dict[str, Any]:
    carried = zlib.compress(orjson.dumps(entry.carried)) if entry.carried else None
    return {**entry.model_dump(), "carried": carried}


# ------------------------------------------------------------------------------ ends


def _finish(tx: Tx, ends: Sequence[Finishing]) -> list[MinkaError | None]:
    held = _lock(tx, [end.claim for end in ends])
    ours = [end for end in ends if _holds(end.claim, held)]
    errors: list[MinkaError | None] = [
        None if _holds(end.claim, held) or _is_finished(tx, end) else _lost(end.claim) for end in ends
    ]
    anew = begun_anew(tx, (end for end in ours if _left_nothing(end.result)))
    ended = [end for end in ours if end.claim.job.id not in anew]
    if ended:
        _end_jobs(tx, ended)
        _keep_applied(tx, [end.claim for end in ended if end.result.applied])
    _tell_diverged(tx, ended)
    for end in ours:
        if end.claim.job.id in anew:
            put_back(tx, end.claim.job.id, anew[end.claim.job.id])
    if ours:
        came_to = ("postponed" if end.claim.job.id in anew else end.result.outcome.value for end in ours)
        _close(tx, [(end, detail) for end, detail in zip(ours, came_to, strict=True)])
    for claim, result in ((end.claim, end.result) for end in ours):
        tx.note(
            claim.incarnation,
            "job.postponed" if claim.job.id in anew else "job.finished",
            claim.job.id,
            outcome=result.outcome.value,
            transaction=claim.transaction,
            requested_by=claim.run.requested_by,
            detail=result.detail,
        )
    return errors


def _left_nothing(result: JobResult) -> bool:
    """Whether a job's group was not to be, or its device away or busy, and nothing of the job is left on the device."""
    back = result.outcome in (Outcome.WITHDRAWN, Outcome.DEFERRED)
    return back and not (result.gained or result.lost or result.applied)


def _tell_diverged(tx: Tx, ends: Sequence[Finishing]) -> None:
    """Raise an alarm for each station that is not as it should be; clear it where a later job ended well."""
    told = select(alarms.c.station).where(alarms.c.probable_cause == DIVERGED, alarms.c.cleared.is_(None))
    good = [end.claim.job.station for end in ends if end.result.outcome.good]
    well = {row.station for row in rows_of(tx, told, alarms.c.station, good)}
    reports = [
        AlarmReport(
            station=claim.job.station,
            object="station",
            probable_cause=DIVERGED,
            severity=PerceivedSeverity.MAJOR if diverged else PerceivedSeverity.CLEARED,
            text=f"run {claim.run.id}: {result.detail}",
            source=AlarmSource.CHECK,
            at=tx.now,
        )
        for claim, result in ((end.claim, end.result) for end in ends)
        if (diverged := result.outcome is Outcome.DIVERGED) or claim.job.station in well
    ]
    take_reports(tx, reports)


def _end_jobs(tx: Tx, ends: Sequence[Finishing]) -> None:
    """Jobs and ledger."""
    done = {"state": JobState.DONE.value, "finished": tx.now}
    tx.execute(
        _END,
        [
            {"ended": end.claim.job.id, "outcome": end.result.outcome.value, "detail": end.result.detail, **done}
            for end in ends
        ],
    )
    change_ledger(
        tx,
        [
            LedgerChange(claim.job.station, result.gained, result.lost, job=claim.job.id, plan=claim.run.plan)
            for claim, result in ((end.claim, end.result) for end in ends)
        ],
    )


def _close(tx: Tx, ends: Sequence[tuple[Finishing, str]]) -> None:
    """Journals and leases of claims that are over, each with what it came to."""
    closed = {"at": tx.now, "step": JournalStep.FINISHED.value, "phase": 0}
    tx.execute(
        _CLOSE,
        [
            {
                "transaction": claim.transaction,
                "of": claim.transaction,
                "job": claim.job.id,
                "station": claim.job.station,
                "detail": detail,
                **closed,
            }
            for claim, detail in ((end.claim, detail) for end, detail in ends)
        ],
    )
    tx.execute(_FREE, [{"device": end.claim.job.station, "well": end.result.outcome.good} for end, _ in ends])


def _keep_applied(tx: Tx, claims: Sequence[Claim]) -> None:
    """Which network version devices now carry."""
    if not claims:
        return
    row = tx.insert(devices)
    values = {name: row.excluded[name] for name in ("network_digest", "applied")}
    tx.execute(
        row.on_conflict_do_update(index_elements=["station"], set_=values),
        [
            {"station": claim.job.station, "network_digest": claim.network_digest, "applied": tx.now}
            for claim in sorted(claims, key=lambda claim: claim.job.station)
        ],
    )


def _is_finished(tx: Tx, end: Finishing) -> bool:
    """Whether this very call was carried out before, and only its answer was lost."""
    query = select(jobs.c.outcome, jobs.c.round, leases.c.fence).join(leases, leases.c.station == jobs.c.station)
    row = tx.execute(query.where(jobs.c.id == end.claim.job.id)).one_or_none()
    if row is None or row.fence != end.claim.fence:
        return False
    return bool(row.outcome == end.result.outcome.value or row.round > end.claim.job.round)
