"""Claims: which jobs a worker gets, with the leases of their devices, and how jobs end."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from sqlalchemy import Boolean, Integer, Row, Select, and_, bindparam, case, func, insert, or_, select, update

from controller.intent.interruptions import Act, reached
from controller.models.alarm import DIVERGED, AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.claim import Claim, JobResult, OpenJob, Reading, UnreadJob
from controller.models.ended_job import EndedJob
from controller.models.errors import MinkaError
from controller.models.network import Network
from controller.models.packing import unpacked
from controller.models.plan import Change
from controller.models.process import ProcessRole
from controller.models.run import (
    EDITING_STEPS,
    INSIDE,
    JobState,
    JournalStep,
    Outcome,
    Run,
    RunState,
)
from controller.models.step import StepRecord, StepState
from controller.plan import carried
from controller.store.alarms.alarm_rows import alarms
from controller.store.alarms.alarms import escalate
from controller.store.alarms.doubts import doubted
from controller.store.alarms.receiving import take_reports
from controller.store.database.columns import Instant
from controller.store.database.repository import M_co, Repository, grouped, reads, writes
from controller.store.database.transaction import Tx
from controller.store.jobs.decisions import End, begun_anew, put_back
from controller.store.jobs.divergences import unresolved
from controller.store.jobs.ended_jobs import ended_jobs
from controller.store.jobs.journal import journal
from controller.store.jobs.processes import declared_dead, workers
from controller.store.jobs.run_rows import as_job, jobs, load_run, load_runs, runs
from controller.store.jobs.steps import acting, as_step, steps
from controller.store.network.devices import note_applied
from controller.store.network.leases import RESERVED, check_lease, holds, leases, lock, lost
from controller.store.network.ledger import LedgerChange, change_ledger
from controller.store.network.plans import changes
from controller.store.network.versions import current_network
from controller.store.runs.unread import STANDING, take_readings, touched_words, unread_jobs

log = structlog.get_logger()
#: Whether a job may begin now (see ``Approvals.reassess``).
_CLEARED = and_(jobs.c.reasons == "", or_(jobs.c.closes.is_(None), jobs.c.closes > bindparam("now", type_=Instant())))
#: Whether a job has nothing to wait for (see ``Claims.release``).
_RESTED = or_(jobs.c.rests.is_(None), jobs.c.rests <= bindparam("now", type_=Instant()))
#: States of runs that give out jobs. A paused run only completes units under way; in a cancelled run, stations whose
#: function restarted are brought back.
_BEGINNING = (RunState.RUNNING.value, RunState.PAUSED.value)
_BEGINS = or_(runs.c.state.in_(_BEGINNING), and_(runs.c.state == RunState.CANCELLING.value, jobs.c.rank.in_(INSIDE)))
#: Nothing begins that does not follow from the network files in force, or is not judged by them yet; but stations whose
#: function restarted are brought back.
_JUDGED = or_(runs.c.judge_from.is_(None), runs.c.judge_from > bindparam("now", type_=Instant()))
_IN_FORCE = or_(and_(_JUDGED, jobs.c.outdated.is_(None)), jobs.c.rank.in_(INSIDE))
_RECOVERS = leases.c.job.is_not_distinct_from(jobs.c.id)
#: Whether a worker may claim a job at ``now``, by its row and those of its run and lease.
CLAIMABLE = and_(
    jobs.c.state == JobState.READY.value,
    _RESTED,
    or_(_RECOVERS, and_(leases.c.transaction.is_(None), _BEGINS, _IN_FORCE, _CLEARED)),
)
_TAKE_LEASE = (
    update(leases)
    .where(leases.c.station == bindparam("device"))
    .values(
        {
            "fence": leases.c.fence + leases.c.owed + 1,
            "owed": 0,
            "recovers": leases.c.transaction.is_not(None),
            "locked": and_(leases.c.locked, leases.c.transaction.is_not(None)),
            "transaction": func.coalesce(leases.c.transaction, bindparam("fresh")),
            "job": bindparam("taken"),
            "incarnation": bindparam("incarnation"),
        }
    )
)
_TAKE_JOB = (
    update(jobs)
    .where(jobs.c.id == bindparam("taken"))
    .values(
        {
            "state": JobState.CLAIMED.value,
            "attempts": jobs.c.attempts + 1,
            "started": func.coalesce(jobs.c.started, bindparam("now", type_=Instant())),
            "incarnation": bindparam("incarnation"),
            "rests": None,
        }
    )
)
_END = (
    update(jobs)
    .where(jobs.c.id == bindparam("ended"))
    .values(
        {"incarnation": None}
        | {name: bindparam(name) for name in ("state", "outcome", "finished", "detail", "beyond", "unread", "operated")}
    )
)
_LEAVE = update(leases).where(leases.c.station == bindparam("device")).values(incarnation=None)
_GIVE_BACK = _LEAVE.values(transaction=None, job=None)
_FREE = (
    update(leases)
    .where(leases.c.station == bindparam("device"))
    .values(
        {
            "incarnation": None,
            "transaction": None,
            "job": None,
            "lock_sessions": case(
                (and_(leases.c.locked, bindparam("well", type_=Boolean)), ""), else_=leases.c.lock_sessions
            ),
        }
    )
)
#: Whether a worker is alive. The lock is shared: a process that declares the worker dead waits until the claim is on
#: record, and then gives back that claim too.
_ALIVE = select(workers.c.alive).where(workers.c.id == bindparam("worker")).with_for_update(read=True)
_CREW = select(func.count()).select_from(workers).where(workers.c.alive, workers.c.role == ProcessRole.WORKER.value)
#: Jobs at a gate only wait. If they counted, a wave larger than the limit could never be complete at its gate.
_UNDER_WAY = and_(jobs.c.state == JobState.CLAIMED.value, jobs.c.gate.is_(None))
#: Jobs under way: all, and those of one worker.
_PORTIONS = select(
    func.count().label("all"), func.count().filter(jobs.c.incarnation == bindparam("worker")).label("mine")
).where(_UNDER_WAY)
_BY_RUN = (
    select(jobs.c.run, func.count().label("number"))
    .where(jobs.c.run.in_(bindparam("runs", expanding=True)), _UNDER_WAY)
    .group_by(jobs.c.run)
)
_OPEN_RUNS = (
    select(runs.c.id)
    .where(
        runs.c.state.in_([*_BEGINNING, RunState.CANCELLING.value]),
        runs.c.id.in_(select(jobs.c.run).where(jobs.c.state == JobState.READY.value)),
    )
    .order_by(runs.c.number)
    .with_for_update(key_share=True)
)
_LEASES = select(leases.c.station, leases.c.transaction, leases.c.job).with_for_update(skip_locked=True)
_OF_CLAIMS = (
    select(jobs, leases.c.transaction, leases.c.fence, leases.c.recovers, runs.c.network_digest, runs.c.plan)
    .join(leases, leases.c.job == jobs.c.id)
    .join(runs, runs.c.id == jobs.c.run)
)
_FINISHED = (
    select(jobs.c.outcome, jobs.c.round, leases.c.fence)
    .join(leases, leases.c.station == jobs.c.station)
    .where(jobs.c.id == bindparam("job"))
)
_OF_WORKER = select(leases.c.job).where(leases.c.incarnation == bindparam("worker"))
_BUSY = select(leases.c.station).where(or_(leases.c.incarnation.is_not(None), leases.c.transaction.is_not(None)))
#: Transactions with a row. A job's own one ends with the job, and that of a step with the step, so there is no end.
_BEGUN = select(journal.c.transaction).distinct()
#: Of these, those that may have changed something on their device.
_EDITING = _BEGUN.where(journal.c.step.in_([step.value for step in EDITING_STEPS]))
_OPEN = select(jobs, runs.c.plan).join(runs, runs.c.id == jobs.c.run)
_ACTING = select(steps).where(or_(steps.c.change.is_not(None), steps.c.operations != "")).order_by(steps.c.position)
_CHANGES = select(changes.c.station, changes.c.content).where(changes.c.plan == bindparam("plan"))
_LAST = select(func.coalesce(func.max(journal.c.seq) + 1, 0)).where(journal.c.transaction == bindparam("of"))
_CLOSE = insert(journal).values(
    {
        "seq": _LAST.scalar_subquery(),
        **{name: bindparam(name) for name in ("transaction", "job", "station", "at", "step", "phase", "detail")},
    }
)


class Claims(Repository[M_co]):
    """Jobs that workers hold, with the leases of their devices."""

    @writes
    def take(self, tx: Tx, incarnation: str, limit: int) -> list[Claim]:
        """Claim up to ``limit`` jobs with the leases of their devices, at most this worker's share.

        Together with its current jobs it gets as many as an equal split among the living workers gives.

        A device under another lease is left out; one with an unresolved transaction is given only to the job of that
        transaction. A run's ``strategy.parallel`` is never exceeded. Sides (``RunConstraints.side``) take turns, and so
        do the runs of a side, so that none starves another.
        A job that may not begin (``Approvals.reassess``) is left out; a ``cancelling`` run gives only jobs that recover
        a transaction. While the record is in doubt there are none. Raises LeaseLostError if the incarnation was
        declared dead.
        """
        if not tx.execute(_ALIVE, {"worker": incarnation}).scalar():
            raise declared_dead(incarnation)
        if doubted(tx):
            return []
        crew = max(1, tx.execute(_CREW).scalar_one())
        chosen = _choose(tx, limit * crew)
        chosen = chosen[: min(limit, _portion(tx, len(chosen), crew, incarnation))]
        if not chosen:
            return []
        _take(tx, chosen, incarnation)
        return _claims(tx, [row.id for row in chosen])

    @reads
    def busy(self, tx: Tx, stations: Iterable[str]) -> frozenset[str]:
        """Those of the stations that a job works on, or that are reserved to recover a transaction."""
        wanted = frozenset(stations)
        return wanted & frozenset(tx.execute(_BUSY).scalars())

    @reads
    def in_transaction(self, tx: Tx, stations: Iterable[str]) -> dict[str, bool]:
        """Those of the stations that are just being changed, and so are neither as they were nor as they will be.

        A device transaction is open there, or an operation that interrupts service. A job that only soaks, reads or
        waits does not count. For each, whether it may not be reached by what is done to it: an operation restarts it.
        """
        reserved = {row.job: row for row in tx.rows(RESERVED, leases.c.station, stations)}
        own = {row.transaction: (row.station, False) for row in reserved.values()}
        of_steps = {
            f"{reserved[job].transaction}.{suffix}": (reserved[job].station, restarts)
            for job, suffix, restarts in acting(tx, reserved)
        }
        begun = {row.transaction for row in tx.rows(_BEGUN, journal.c.transaction, [*own, *of_steps])} if own else ()
        return dict(sorted((own | of_steps)[transaction] for transaction in begun))

    @reads
    def open_jobs(self, tx: Tx, stations: Iterable[str]) -> list[OpenJob]:
        """Jobs that have one of these stations now, worked on or not: at most one a station."""
        return _open_jobs(tx, {row.job: row.transaction for row in tx.rows(RESERVED, leases.c.station, stations)})

    @reads
    def unread(self, tx: Tx, stations: Iterable[str]) -> list[UnreadJob]:
        """Jobs on the stations that diverged since nobody could read them back, and of which that is still not known.

        At most one a station, and none where something else is left of jobs that diverged there, or of a playbook, of
        which the states between its steps are none that anybody decided.
        """
        return unread_jobs(tx, stations)

    @writes
    def found(self, tx: Tx, readings: Sequence[Reading]) -> None:
        """Put on record what readings found (``unread``): the state, the ledger, an audit row; and end the alarm.

        The job's own outcome stays. A reading changes nothing if a job came to the station since it began, if nodes of
        the ledger that it would change were changed since the job, or while the record is in doubt. One that found
        neither state renews the words of the alarm.
        """
        take_readings(tx, readings)

    @reads
    def find(self, tx: Tx, incarnation: str) -> list[Claim]:
        """Claims that an incarnation has on record, to compare with its own list after a ``StoreError``."""
        return _claims(tx, tx.execute(_OF_WORKER, {"worker": incarnation}).scalars().all())

    @writes
    def release(
        self,
        tx: Tx,
        claim: Claim,
        detail: str,
        *,
        keep_transaction: bool,
        until: datetime | None = None,
        rank: int | None = None,
    ) -> None:
        """Give a job back (``ready``) to be tried again, for example if the process stops at a safe point.

        ``keep_transaction`` reserves the device for the job, to recover the transaction. Before ``until`` the job is
        claimed only if an answer, the end of its wave's soak, or a cancel wakes it. With a new ``rank`` it becomes
        ``waiting`` until that rank's turn.
        """
        check_lease(tx, claim)
        state = JobState.READY if rank is None else JobState.WAITING
        ready = {"state": state.value, "ready": until or tx.now, "detail": detail, "incarnation": None}
        # A job that is given back did not end its worker, so the attempt does not count. Where it left nothing on the
        # device, it has not begun either.
        values: dict[str, Any] = ready | {"attempts": jobs.c.attempts - 1, "rests": until}
        if rank is not None:
            values["rank"] = rank
        if not keep_transaction:
            values["started"] = None
        tx.execute(update(jobs).where(jobs.c.id == claim.job.id).values(values))
        _free(tx, claim, keep_transaction=keep_transaction)
        tx.note(claim.incarnation, "job.released", claim.job.id, transaction=claim.transaction, detail=detail)

    @grouped(End)
    def finish(self, tx: Tx, ends: Sequence[End]) -> list[MinkaError | None]:
        """End a job: state, outcome, ledger, device record, last journal row, audit row, lease.

        The store writes the journal's ``finished`` row itself. An equal second call changes nothing. A job does not end
        if it was ``withdrawn`` because its group was postponed or its result says ``again``, or ``deferred`` while its
        run is patient. Then it left nothing on its device, did not operate, and waits as if it had never begun. Raises
        LeaseLostError.
        """
        return _finish(tx, ends)


def _open_jobs(tx: Tx, transactions: Mapping[str, str]) -> list[OpenJob]:
    """Jobs that have not ended, from their device transactions."""
    rows = list(tx.rows(_OPEN, jobs.c.id, transactions)) if transactions else []
    by_steps = {run.id for run in load_runs(tx, {row.run for row in rows}) if run.playbook}
    contents = _changes(tx, [row for row in rows if row.run not in by_steps])
    done = _acts(tx, [row.id for row in rows if row.run in by_steps])
    sent: dict[str, list[tuple[str, Change]]] = {}
    for row in rows:
        change = _change(contents.get((row.plan, row.station)))
        sent[row.id] = [] if change is None else [(transactions[row.id], change)]
        sent[row.id] += [
            (f"{transactions[row.id]}.{step.transaction}", step.change)
            for step in done.get(row.id, ())
            if step.change is not None and (step.state is StepState.STARTED or step.outcome is Outcome.DIVERGED)
        ]
    wanted = {transaction for each in sent.values() for transaction, _ in each}
    begun = {row.transaction for row in tx.rows(_EDITING, journal.c.transaction, wanted)} if wanted else set()
    return [
        OpenJob(
            run=row.run,
            job=row.id,
            station=row.station,
            waits="" if row.state == JobState.CLAIMED.value else row.detail,
            changes=tuple(carried(done.get(row.id, ()))),
            unsure=tuple(change for transaction, change in sent[row.id] if transaction in begun),
            started=row.started,
        )
        for row in rows
    ]


def _portion(tx: Tx, chosen: int, crew: int, incarnation: str) -> int:
    """How many of the chosen jobs this worker may take, given what it and the other workers already work on."""
    row = tx.execute(_PORTIONS, {"worker": incarnation}).one()
    return max(0, math.ceil((chosen + int(row.all)) / crew) - int(row.mine))


def _choose(tx: Tx, limit: int) -> list[Row[Any]]:
    """Claimable jobs, one per device, in turns of sides and of their runs; locks their leases."""
    open_runs = _lock_runs(tx)
    claimed = {row.run: row.number for row in tx.execute(_BY_RUN, {"runs": list(open_runs)})} if open_runs else {}
    room = {run_id: run.strategy.parallel - claimed.get(run_id, 0) for run_id, run in open_runs.items()}
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
    locked = tx.execute(_OPEN_RUNS).scalars().all()
    found: dict[str, Run] = {}
    for run_id in locked:
        try:
            found[run_id] = load_run(tx, run_id)
        except ValueError as error:
            # A newer version wrote this run; workers of that version claim its jobs.
            log.info("run.of_a_newer_version", run=run_id, reason=str(error))
    return found


def _candidates(tx: Tx, run_ids: Sequence[str], limit: int) -> Sequence[Row[Any]]:
    if not run_ids:
        return []
    return tx.execute(_candidates_query(), {"runs": list(run_ids), "limit": limit, "now": tx.now}).all()


@cache
def _candidates_query() -> Select[Any]:
    # Units one after the other: the sooner a unit is complete at its gate, the shorter it waits there.
    order = [_RECOVERS.desc(), jobs.c.wave, jobs.c.unit, jobs.c.rank, jobs.c.station]
    turn = func.row_number().over(partition_by=jobs.c.run, order_by=order)
    ready = (
        select(jobs.c.id, jobs.c.run, jobs.c.station, jobs.c.attempts, runs.c.number, runs.c.side, turn.label("turn"))
        .join(runs, runs.c.id == jobs.c.run)
        .join(leases, leases.c.station == jobs.c.station)
        .where(jobs.c.run.in_(bindparam("runs", expanding=True)), CLAIMABLE)
        .subquery()
    )
    # Sides take turns, and within a side its runs, so that a side with many jobs does not delay the others.
    place = func.row_number().over(partition_by=ready.c.side, order_by=[ready.c.turn, ready.c.number])
    limit = bindparam("limit", type_=Integer())
    placed = select(ready, place.label("place")).where(ready.c.turn <= limit).subquery()
    return select(placed).where(placed.c.place <= limit).order_by(placed.c.place, placed.c.number)


def _lock_leases(tx: Tx, candidates: Sequence[Row[Any]]) -> dict[str, tuple[str | None, str | None]]:
    """Transaction and job that hold each device now; without devices whose lease another transaction has locked."""
    rows = tx.rows(_LEASES, leases.c.station, [row.station for row in candidates])
    return {row.station: (row.transaction, row.job) for row in rows}


def _take(tx: Tx, chosen: Sequence[Row[Any]], incarnation: str) -> None:
    taken = [{"taken": row.id, "incarnation": incarnation} for row in chosen]
    fresh = [{"device": row.station, "fresh": f"t-{secrets.token_hex(8)}"} for row in chosen]
    tx.execute(_TAKE_LEASE, [one | lease for one, lease in zip(taken, fresh, strict=True)])
    tx.execute(_TAKE_JOB, [one | {"now": tx.now} for one in taken])


def _claims(tx: Tx, job_ids: Sequence[str]) -> list[Claim]:
    """Claims of jobs as they are on record, in the order of ``job_ids``."""
    rows = {row.id: row for row in tx.rows(_OF_CLAIMS, jobs.c.id, job_ids)}
    run_of = {run.id: run for run in load_runs(tx, {row.run for row in rows.values()})}
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
        for row in tx.rows(_CHANGES, changes.c.station, wanted, plan=plan):
            contents[plan, row.station] = row.content
    return contents


def _free(tx: Tx, claim: Claim, *, keep_transaction: bool) -> None:
    tx.execute(_LEAVE if keep_transaction else _GIVE_BACK, {"device": claim.job.station})


def _finish(tx: Tx, ends: Sequence[End]) -> list[MinkaError | None]:
    held = lock(tx, [end.claim for end in ends])
    ours = [end for end in ends if holds(end.claim, held)]
    errors: list[MinkaError | None] = [
        None if holds(end.claim, held) or _is_finished(tx, end) else lost(end.claim) for end in ends
    ]
    now = tx.now  # the end of a job that diverges and its alarm have the same time
    again = begun_anew(tx, (end for end in ours if _left_nothing(end.result)))
    ended = [end for end in ours if end.claim.job.id not in again]
    if ended:
        _end_jobs(tx, ended, now)
        note_applied(tx, {end.claim.job.station: end.claim.network_digest for end in ended if end.result.applied})
    _notify_diverged(tx, ended, now)
    for end in ours:
        if end.claim.job.id in again:
            put_back(tx, jobs.c.id == end.claim.job.id, again[end.claim.job.id])
    if ours:
        came_to = ("postponed" if end.claim.job.id in again else end.result.outcome.value for end in ours)
        _close(tx, [(end, detail) for end, detail in zip(ours, came_to, strict=True)])
    for claim, result in ((end.claim, end.result) for end in ours):
        tx.note(
            claim.incarnation,
            "job.postponed" if claim.job.id in again else "job.finished",
            claim.job.id,
            outcome=result.outcome.value,
            transaction=claim.transaction,
            requested_by=claim.run.requested_by,
            detail=result.detail,
        )
    return errors


def _left_nothing(result: JobResult) -> bool:
    """Whether a job was withdrawn or deferred, and left nothing on its device."""
    back = result.outcome in (Outcome.WITHDRAWN, Outcome.DEFERRED)
    return back and not (result.gained or result.lost or result.applied)


def _notify_diverged(tx: Tx, ends: Sequence[End], now: datetime) -> None:
    """Raise an alarm for each station that differs from what was applied; clear it where a job brought all back."""
    back = _brought_back(tx, ends)
    found = [
        (claim, result, diverged)
        for claim, result in ((end.claim, end.result) for end in ends)
        if (diverged := result.outcome is Outcome.DIVERGED) or claim.job.station in back
    ]
    if not found:
        return
    network = current[1] if (current := current_network(tx)) else None
    done = _acts(tx, [claim.job.id for claim, _, diverged in found if diverged])
    news = [_report(network, now, claim, result, done.get(claim.job.id, ())) for claim, result, _ in found]
    taken = take_reports(tx, news)
    for alarm, (claim, result, diverged) in zip(taken, found, strict=True):
        if diverged:
            by_itself = result.unread and not claim.run.playbook
            escalate(tx, alarm, _call(claim, by_itself=by_itself), claim.incarnation)


def _brought_back(tx: Tx, ends: Sequence[End]) -> frozenset[str]:
    """Stations that had diverged, and where nothing of that is left after these jobs."""
    good = {end.claim.job.station: end for end in ends if end.result.outcome.good}
    since = {row.station: row.raised for row in tx.rows(STANDING, alarms.c.station, good)}
    done: dict[str, list[EndedJob]] = {station: [] for station in since}
    for job in ended_jobs(tx, since, min(since.values())) if since else ():
        if job.known >= since[job.station]:
            done[job.station].append(_as_found(job.as_found(), good[job.station]))
    asked = {station: end.claim.run.created for station, end in good.items() if end.result.restored}
    restored = {station: at for station, at in asked.items() if station in since and at >= since[station]}
    return frozenset(
        station
        for station, found in done.items()
        if station in restored or any(job.outcome is Outcome.DIVERGED for job in found)
        if not unresolved(_in_order(found, good[station].claim.job.id), restored.get(station))
    )


def _in_order(done: Iterable[EndedJob], last: str) -> list[EndedJob]:
    """The jobs with one as the last, since it ends now: another may have ended in the same instant."""
    return sorted(done, key=lambda job: job.job == last)


def _as_found(job: EndedJob, end: End) -> EndedJob:
    """A job with all that its device is known to carry: the whole change of a plan that it found there already."""
    claim, unchanged = end.claim, end.result.outcome is Outcome.UNCHANGED
    if job.job != claim.job.id or not unchanged or claim.run.playbook or claim.change is None:
        return job
    return replace(job, changes=(claim.change,))


def _report(
    network: Network | None, now: datetime, claim: Claim, result: JobResult, done: Sequence[StepRecord]
) -> AlarmReport:
    """What is said of a station after a job: that it diverged, with the cells that suffer from it, or that it is well.

    Whether the cells serve, the next check says (``controller.assurance.health``).
    """
    station, diverged = claim.job.station, result.outcome is Outcome.DIVERGED
    cells: tuple[str, ...] = ()
    if network is not None and diverged and not result.beyond:
        cells = reached(network, station, *_made(claim, done))
    device = ObjectClass.STATION if network is None else ObjectClass.of_device(network.kind_of(station))
    words = touched_words(cells)
    return AlarmReport(
        station=station,
        object=device.value,
        object_class=device,
        probable_cause=DIVERGED,
        severity=PerceivedSeverity.MAJOR if diverged else PerceivedSeverity.CLEARED,
        text=f"run {claim.run.id}: {words}; {result.detail}" if diverged else f"run {claim.run.id} brought it back",
        source=AlarmSource.CHECK,
        at=now,
        cells=cells,
    )


def _call(claim: Claim, *, by_itself: bool) -> str:
    """Why people are called, and what they can do: a person has to decide, unless a reading ends this by itself."""
    station, run = claim.job.station, claim.run.id
    unread = " (where it is one of both, the next health check that reads it ends this alarm)" if by_itself else ""
    return (
        f"run {run} ended diverged: {station} may carry its old state, its new one or neither{unread}; compare it "
        f"with the record once it answers: minka device drift {station}; read what serves: minka device show {station} "
        f"(a cell that it left locked goes on the air alone by: minka playbook run unlock-cell station={station} "
        f"cell=CELL); bring it back alone: minka playbook run repair-drift where=device={station}, or all of the run: "
        f"minka undo {run}"
    )


def _acts(tx: Tx, job_ids: Sequence[str]) -> Mapping[str, Sequence[StepRecord]]:
    """Steps of jobs that act on their device, by job."""
    found: dict[str, list[StepRecord]] = {job: [] for job in job_ids}
    for row in tx.rows(_ACTING, steps.c.job, job_ids) if job_ids else ():
        found[row.job].append(as_step(row))
    return found


def _made(claim: Claim, done: Sequence[StepRecord]) -> tuple[list[Change], list[Act]]:
    """All changes and operations that a job may have made on its device."""
    changes = [step.change for step in done if step.change is not None]
    if not claim.run.playbook and claim.change is not None:
        changes.append(claim.change)
    acts = [
        Act(step.started, step.started, None, step.operations, tuple(map(str, step.output.get("cells", ()))))
        for step in done
        if step.operations
    ]
    return changes, acts


def _end_jobs(tx: Tx, ends: Sequence[End], now: datetime) -> None:
    """End jobs, and change the ledger."""
    done = {"state": JobState.DONE.value, "finished": now}
    tx.execute(
        _END,
        [
            {"ended": end.claim.job.id, "outcome": result.outcome.value, "detail": result.detail, **done}
            | {"beyond": result.beyond, "unread": result.unread, "operated": result.operated}
            for end, result in ((end, end.result) for end in ends)
        ],
    )
    change_ledger(
        tx,
        [
            LedgerChange(claim.job.station, result.gained, result.lost, job=claim.job.id, plan=claim.run.plan)
            for claim, result in ((end.claim, end.result) for end in ends)
        ],
    )


def _close(tx: Tx, ends: Sequence[tuple[End, str]]) -> None:
    """Close journals and leases of claims that ended, each with its outcome."""
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


def _is_finished(tx: Tx, end: End) -> bool:
    """Whether this very call was carried out before, and only its answer was lost."""
    row = tx.execute(_FINISHED, {"job": end.claim.job.id}).one_or_none()
    if row is None or row.fence != end.claim.fence:
        return False
    return bool(row.outcome == end.result.outcome.value or row.round > end.claim.job.round)
