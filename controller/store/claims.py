"""Claims: which jobs a worker gets, and what it writes while it holds their devices."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, exists, func, or_, select, update

from controller.models.errors import ConflictError, LeaseLostError, NotClearedError
from controller.models.plan import Change
from controller.models.run import JobState, JournalEntry, Outcome, Run, RunState, Step
from controller.ports.store import Claim, JobResult
from controller.store.encoding import rows_of, unpacked
from controller.store.ledger import change_ledger
from controller.store.runs import as_job, load_run
from controller.store.tables import Instant, changes, devices, jobs, journal, leases, runs, workers
from controller.store.transaction import INSERTS, Insert, Transactions, Tx, reads, writes
from controller.store.workers import buried

#: Whether a job may begin now (see ``ApprovalRecords.clear``).
_CLEARED = and_(jobs.c.blocked == "", or_(jobs.c.closes.is_(None), jobs.c.closes > bindparam("now", type_=Instant())))


def _under_lease(insert: Insert, *further: ColumnElement[bool]) -> Insert:
    """A journal row that is written only if the lease, which it locks, is still the claim's: one round trip."""
    values = [bindparam(column.name, type_=column.type) for column in journal.c]
    device = leases.c.station == bindparam("station", type_=journal.c.station.type)
    ours = and_(device, leases.c.fence == bindparam("fence"), leases.c.incarnation == bindparam("holder"))
    rows = insert.from_select(list(journal.c), select(*values).where(ours, *further).with_for_update())
    written = rows.on_conflict_do_nothing(index_elements=["transaction", "seq"])
    return written.execution_options(preserve_rowcount=True)


# Built once: building them for each journal row takes longer than the database does.
_LEASE = select(leases.c.fence, leases.c.incarnation).where(leases.c.station == bindparam("device")).with_for_update()
_JOURNAL_ROW = {dialect: _under_lease(insert(journal)) for dialect, insert in INSERTS.items()}
_OF_CLEARED = exists().where(jobs.c.id == bindparam("job", type_=jobs.c.id.type), _CLEARED)
_FIRST_ROW = {dialect: _under_lease(insert(journal), _OF_CLEARED) for dialect, insert in INSERTS.items()}


class ClaimRecords(Transactions):
    """Leases of devices, and the journal of what was done under them."""

    @writes
    def claim(self, tx: Tx, incarnation: str, limit: int) -> list[Claim]:
        """See ``Store.claim``."""
        # A shared lock: a funeral waits until this claim is on record, and then gives it away too.
        alive = select(workers.c.alive).where(workers.c.id == incarnation).with_for_update(read=True)
        if not tx.execute(alive).scalar():
            raise buried(incarnation)
        chosen = _choose(tx, limit)
        if not chosen:
            return []
        _take(tx, chosen, incarnation)
        return _claims(tx, [row.id for row in chosen])

    @reads
    def leased(self, tx: Tx, stations: Iterable[str]) -> frozenset[str]:
        """See ``Store.leased``."""
        wanted = frozenset(stations)
        busy = select(leases.c.station).where(or_(leases.c.incarnation.is_not(None), leases.c.transaction.is_not(None)))
        return wanted & frozenset(tx.execute(busy).scalars())

    @reads
    def held(self, tx: Tx, incarnation: str) -> list[Claim]:
        """See ``Store.held``."""
        query = select(leases.c.job).where(leases.c.incarnation == incarnation)
        return _claims(tx, tx.execute(query).scalars().all())

    @writes
    def journal(self, tx: Tx, entry: JournalEntry, claim: Claim) -> None:
        """See ``Store.journal``."""
        _write(tx, entry, claim, first=False)

    @writes
    def begin(self, tx: Tx, entry: JournalEntry, claim: Claim) -> None:
        """See ``Store.begin``."""
        _write(tx, entry, claim, first=True)

    @reads
    def journal_of(self, tx: Tx, transaction: str) -> list[JournalEntry]:
        """See ``Store.journal_of``."""
        rows = tx.execute(select(journal).where(journal.c.transaction == transaction).order_by(journal.c.seq))
        return [_as_entry(row) for row in rows]

    @writes
    def release(self, tx: Tx, claim: Claim, detail: str, *, keep_transaction: bool) -> None:
        """See ``Store.release``."""
        check_lease(tx, claim)
        ready = {"state": JobState.READY.value, "ready": tx.now, "detail": detail, "incarnation": None}
        # What is given back did not end its worker, so it is no attempt that counts.
        tx.execute(update(jobs).where(jobs.c.id == claim.job.id).values(ready | {"attempts": jobs.c.attempts - 1}))
        _free(tx, claim, keep_transaction=keep_transaction)
        tx.note(claim.incarnation, "job.released", claim.job.id, transaction=claim.transaction, detail=detail)

    @writes
    def finish(self, tx: Tx, claim: Claim, result: JobResult) -> None:
        """See ``Store.finish``."""
        try:
            check_lease(tx, claim)
        except LeaseLostError:
            if _is_finished(tx, claim, result):
                return
            raise
        done = {"state": JobState.DONE.value, "outcome": result.outcome.value, "finished": tx.now}
        tx.execute(
            update(jobs).where(jobs.c.id == claim.job.id).values(done | {"detail": result.detail, "incarnation": None})
        )
        change_ledger(tx, claim.job.station, result.gained, result.lost, job=claim.job.id, plan=claim.run.plan)
        if result.applied:
            applied = {"network_digest": claim.network_digest, "applied": tx.now}
            row = tx.insert(devices).values(station=claim.job.station, **applied)
            tx.execute(row.on_conflict_do_update(index_elements=["station"], set_=applied))
        _close_journal(tx, claim, result.outcome)
        _free(tx, claim, keep_transaction=False)
        tx.note(
            claim.incarnation,
            "job.finished",
            claim.job.id,
            outcome=result.outcome.value,
            transaction=claim.transaction,
            requested_by=claim.run.requested_by,
            detail=result.detail,
        )


def _write(tx: Tx, entry: JournalEntry, claim: Claim, *, first: bool) -> None:
    """Write a journal row; the first one of a beginning only if the job may begin."""
    if (entry.transaction.split(".")[0], entry.station) != (claim.transaction.split(".")[0], claim.job.station):
        raise ConflictError(f"a journal row of {entry.transaction} can't be written under {claim.transaction}")
    values = entry.model_dump() | {"fence": claim.fence, "holder": claim.incarnation}
    statement = _FIRST_ROW if first else _JOURNAL_ROW
    if tx.execute(statement[tx.dialect], values | ({"now": tx.now} if first else {})).rowcount == 1:
        return
    check_lease(tx, claim)
    same = and_(journal.c.transaction == entry.transaction, journal.c.seq == entry.seq)
    kept = tx.execute(select(journal).where(same)).one_or_none()
    if kept is None:
        blocked = tx.execute(select(jobs.c.blocked).where(jobs.c.id == claim.job.id)).scalar_one()
        raise NotClearedError(f"{claim.job.station} may not be worked on now: {blocked or 'its window closed'}")
    if _as_entry(kept) != entry:
        raise ConflictError(f"the journal of {entry.transaction} has another row {entry.seq}")


def _choose(tx: Tx, limit: int) -> list[Row[Any]]:
    """Claimable jobs in turns of their runs, one per device, leases locked."""
    open_runs = _lock_runs(tx)
    room = {run_id: strategy.strategy.parallel - _claimed(tx, run_id) for run_id, strategy in open_runs.items()}
    chosen: list[Row[Any]] = []
    candidates = _candidates(tx, [run_id for run_id in open_runs if room[run_id] > 0], limit)
    free = _lock_leases(tx, candidates)
    for row in candidates:
        transaction, job = free.get(row.station, ("", None))
        if len(chosen) < limit and room[row.run] > 0 and (transaction is None or job == row.id):
            chosen.append(row)
            room[row.run] -= 1
            del free[row.station]
    return chosen


def _lock_runs(tx: Tx) -> dict[str, Run]:
    has_ready = select(jobs.c.run).where(jobs.c.state == JobState.READY.value)
    query = select(runs.c.id).where(
        runs.c.state.in_([RunState.RUNNING.value, RunState.CANCELLING.value]), runs.c.id.in_(has_ready)
    )
    locked = tx.execute(query.order_by(runs.c.number).with_for_update(key_share=True)).scalars().all()
    return {run_id: load_run(tx, run_id) for run_id in locked}


def _claimed(tx: Tx, run_id: str) -> int:
    query = select(func.count()).where(jobs.c.run == run_id, jobs.c.state == JobState.CLAIMED.value)
    return int(tx.execute(query).scalar_one())


def _candidates(tx: Tx, run_ids: Sequence[str], limit: int) -> Sequence[Row[Any]]:
    if not run_ids:
        return []
    recovers = leases.c.job.is_not_distinct_from(jobs.c.id)
    turn = func.row_number().over(partition_by=jobs.c.run, order_by=[recovers.desc(), jobs.c.wave, jobs.c.station])
    ready = (
        select(jobs.c.id, jobs.c.run, jobs.c.station, jobs.c.attempts, runs.c.number, turn.label("turn"))
        .join(runs, runs.c.id == jobs.c.run)
        .join(leases, leases.c.station == jobs.c.station)
        .where(jobs.c.state == JobState.READY.value, jobs.c.run.in_(run_ids))
        .where(or_(recovers, and_(leases.c.transaction.is_(None), runs.c.state == RunState.RUNNING.value, _CLEARED)))
        .subquery()
    )
    query = select(ready).where(ready.c.turn <= limit).order_by(ready.c.turn, ready.c.number)
    return tx.execute(query, {"now": tx.now}).all()


def _lock_leases(tx: Tx, candidates: Sequence[Row[Any]]) -> dict[str, tuple[str | None, str | None]]:
    """Transaction and job that hold each device, as of now; devices that someone is at are absent."""
    query = select(leases.c.station, leases.c.transaction, leases.c.job).with_for_update(skip_locked=True)
    rows = rows_of(tx, query, leases.c.station, [row.station for row in candidates])
    return {row.station: (row.transaction, row.job) for row in rows}


def _take(tx: Tx, chosen: Sequence[Row[Any]], incarnation: str) -> None:
    values = {
        "fence": leases.c.fence + 1,
        "recovers": leases.c.transaction.is_not(None),
        "transaction": func.coalesce(leases.c.transaction, bindparam("fresh")),
        "job": bindparam("taken"),
        "incarnation": incarnation,
    }
    tx.execute(
        update(leases).where(leases.c.station == bindparam("device")).values(values),
        [{"device": row.station, "fresh": f"t-{secrets.token_hex(8)}", "taken": row.id} for row in chosen],
    )
    claimed = {
        "state": JobState.CLAIMED.value,
        "attempts": jobs.c.attempts + 1,
        "started": func.coalesce(jobs.c.started, tx.now),
        "incarnation": incarnation,
    }
    taken = [{"taken": row.id} for row in chosen]
    tx.execute(update(jobs).where(jobs.c.id == bindparam("taken")).values(claimed), taken)


def _claims(tx: Tx, job_ids: Sequence[str]) -> list[Claim]:
    """Claims of jobs as they are on record, in the order of ``job_ids``."""
    query = select(jobs, leases.c.transaction, leases.c.fence, leases.c.recovers, runs.c.network_digest, runs.c.plan)
    query = query.join(leases, leases.c.job == jobs.c.id).join(runs, runs.c.id == jobs.c.run)
    rows = {row.id: row for row in rows_of(tx, query, jobs.c.id, job_ids)}
    run_of = {run_id: load_run(tx, run_id) for run_id in {row.run for row in rows.values()}}
    contents = _changes(tx, rows.values())
    return [
        Claim(
            job=as_job(row),
            run=run_of[row.run],
            change=_change(contents.get((row.plan, row.station))),
            network_digest=row.network_digest,
            transaction=row.transaction,
            fence=row.fence,
            incarnation=row.incarnation,
            recovers=row.recovers,
        )
        for row in (rows[job_id] for job_id in job_ids)
    ]


def _change(content: bytes | None) -> Change | None:
    return None if content is None else unpacked(Change, content)


def _changes(tx: Tx, rows: Iterable[Row[Any]]) -> dict[tuple[str, str], bytes]:
    stations: dict[str, list[str]] = {}
    for row in rows:
        stations.setdefault(row.plan, []).append(row.station)
    contents = {}
    for plan, wanted in stations.items():
        query = select(changes.c.station, changes.c.content).where(changes.c.plan == plan)
        for row in rows_of(tx, query, changes.c.station, wanted):
            contents[plan, row.station] = row.content
    return contents


def check_lease(tx: Tx, claim: Claim) -> None:
    """Lock the lease and see that it is still the claim's."""
    if tx.execute(_LEASE, {"device": claim.job.station}).one_or_none() != (claim.fence, claim.incarnation):
        raise LeaseLostError(f"{claim.job.station} is no longer leased to {claim.incarnation}")


def _is_finished(tx: Tx, claim: Claim, result: JobResult) -> bool:
    """Whether this very call was carried out before, and only its answer was lost."""
    query = select(jobs.c.outcome, leases.c.fence).join(leases, leases.c.station == jobs.c.station)
    row = tx.execute(query.where(jobs.c.id == claim.job.id)).one_or_none()
    return row is not None and (row.outcome, row.fence) == (result.outcome.value, claim.fence)


def _close_journal(tx: Tx, claim: Claim, outcome: Outcome) -> None:
    last = select(func.coalesce(func.max(journal.c.seq) + 1, 0)).where(journal.c.transaction == claim.transaction)
    tx.execute(
        journal.insert().values(
            transaction=claim.transaction,
            seq=last.scalar_subquery(),
            job=claim.job.id,
            station=claim.job.station,
            at=tx.now,
            step=Step.FINISHED.value,
            phase=0,
            detail=outcome.value,
        )
    )


def _free(tx: Tx, claim: Claim, *, keep_transaction: bool) -> None:
    values: dict[str, str | None] = {"incarnation": None}
    if not keep_transaction:
        values |= {"transaction": None, "job": None}
    tx.execute(update(leases).where(leases.c.station == claim.job.station).values(values))


def _as_entry(row: Row[Any]) -> JournalEntry:
    return JournalEntry(**row._mapping)
