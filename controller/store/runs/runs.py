"""Runs: acceptance, progress, requests of people, and what runs wait for."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, or_, select, update

from controller.access.disclosure import JOBS_ENDED
from controller.models.ended_job import EndedJob
from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.many import first_names
from controller.models.plan import Plan
from controller.models.run import (
    ALARM,
    PERSON,
    Decision,
    Job,
    JobState,
    JournalStep,
    Outcome,
    Policy,
    Run,
    RunState,
    Strategy,
    Wait,
)
from controller.models.scalars import HOST
from controller.models.step import RunPlaybook, StepState
from controller.models.stopping import StopReason
from controller.models.waiting import WaitCode, codes_of, ways, words
from controller.store.alarms.doubts import doubted
from controller.store.database import audit_chain
from controller.store.database.audit_chain import audit
from controller.store.database.columns import Instant
from controller.store.database.queries import chunks
from controller.store.database.repository import M_co, Page, Repository, reads, writes
from controller.store.database.transaction import Tx
from controller.store.jobs.decisions import NewDecision, again, choice_of, decide_on, load_decisions, put_back
from controller.store.jobs.ended_jobs import ended_jobs
from controller.store.jobs.involvement import note_run
from controller.store.jobs.journal import journal
from controller.store.jobs.processes import worker_seen
from controller.store.jobs.questions import as_question, is_open, questions
from controller.store.jobs.requests import NewJob, PreparedRun, other_request
from controller.store.jobs.run_rows import (
    ACTIVE,
    JOB_COLUMNS,
    PAUSE,
    RESUME,
    as_job,
    as_runs,
    jobs,
    load_run,
    packed_stop,
    playbooks,
    reserved,
    run_playbooks,
    runs,
    unpacked_reasons,
    whose_key,
)
from controller.store.jobs.steps import steps
from controller.store.network.leases import leases
from controller.store.network.plans import changes, plans
from controller.store.network.versions import NETWORK_GUARD, check_files, files_in_force
from controller.store.runs.run_constraints import keep_constraints


@dataclass(frozen=True, slots=True)
class Transition:
    """The next change of a run, all in one transaction.

    Attributes:
        wave: Wave that opens, or None. If each station is decided on its own, its jobs of rank 0 become claimable.
        cancel_rest: Whether unclaimed jobs end ``cancelled``.
        spared: Ids of jobs that do not: they may still begin.
        reason: Why, for the record.
        stopped: Why the run begins nothing more, where this stops it; kept on the run. The first such reason stays.
        decisions: New decisions at gates.
        ready: Ids of waiting jobs that become claimable.
        withdrawn: Ids of jobs not begun that end ``withdrawn``.
        postponed: Ids of jobs not begun, or ended ``deferred``, whose unit or wave was postponed. Those that operated
            stay as they ended.
        outdated: Ids of jobs not begun that end ``cancelled``, since what they should do does not follow any more from
            the network files in force.
    """

    state: RunState
    wave: int | None = None
    cancel_rest: bool = False
    spared: tuple[str, ...] = ()
    reason: str = ""
    stopped: StopReason | None = None
    decisions: tuple[NewDecision, ...] = ()
    ready: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()


Decide = Callable[[Run, Sequence[Job]], Transition | None]


_PAUSABLE = (RunState.QUEUED, RunState.RUNNING)
_CANCELLABLE = (*_PAUSABLE, RunState.PAUSED)
_ACTIVE = select(runs.c.id).where(runs.c.state.in_(ACTIVE)).order_by(runs.c.number)
_CANCELLING = select(runs.c.id).where(runs.c.state == RunState.CANCELLING.value)
#: Jobs of a device that workers have, or that may begin now, including those of a planned window, and those of a repair
#: that was begun a moment ago, before the engine opens them.
_UNDER_WAY = (
    select(runs.c.id)
    .join(jobs, jobs.c.run == runs.c.id)
    .where(
        jobs.c.station == bindparam("device"),
        runs.c.state.in_(ACTIVE),
        or_(
            jobs.c.state == JobState.CLAIMED.value,
            and_(jobs.c.state == JobState.READY.value, jobs.c.reasons == ""),
            and_(jobs.c.state == JobState.WAITING.value, jobs.c.reasons == "", runs.c.cause.startswith(ALARM)),
            and_(
                jobs.c.state != JobState.DONE.value,
                jobs.c.reasons == "",
                jobs.c.closes > bindparam("now", type_=Instant()),
            ),
        ),
    )
    .order_by(runs.c.number)
    .limit(1)
)
#: How long a step reads before people are told what it waits for.
_LONG = timedelta(seconds=5)
#: Outcomes of jobs that changed something, or that were stopped before they could.
_LEAVING = (Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.DIVERGED, Outcome.CANCELLED)
_LEFT = (
    select(jobs.c.finished)
    .where(
        jobs.c.station == bindparam("device"),
        jobs.c.outcome.in_([one.value for one in _LEAVING]),
    )
    .order_by(jobs.c.finished.desc())
    .limit(1)
)
_UNJUDGED = (
    select(runs)
    .where(runs.c.state.in_(ACTIVE), runs.c.judge_from <= bindparam("now", type_=Instant()))
    .order_by(runs.c.number)
)
_JOBS = select(*JOB_COLUMNS).where(jobs.c.run == bindparam("run")).order_by(jobs.c.wave, jobs.c.station)
_MATES = _JOBS.where(jobs.c.wave == bindparam("wave"), jobs.c.unit == bindparam("unit"))


class Runs(Repository[M_co]):
    """Executions of procedures."""

    @writes
    def create(self, tx: Tx, new: PreparedRun) -> Run:
        """Accept a run (state ``queued``) with its jobs (``waiting``), and keep its constraints.

        If the same person (or alarm, if that is the cause) used the key before, returns that run, provided that the
        request is the same: plan, procedure and strategy (or playbook and parameters), and the person's reason.
        The request counts as a yes of an asker who may approve, with the contractual reasons of the request.

        Raises:
            ConflictError: The key was used for something else.
        """
        request, plan = new.request, new.plan
        key = None if request.key is None else whose_key(request.cause, request.actor, request.key)
        if key is not None:
            tx.guard(f"run {key}")
            kept = tx.execute(select(runs).where(runs.c.idempotency_key == key)).one_or_none()
            if kept is not None:
                known = as_runs(tx, [kept])[0]
                if not _same_request(known, new):
                    raise other_request(known)
                return known
        if doubt := doubted(tx):
            raise ConflictError(f"nothing starts while the record is in doubt (minka record show): {doubt}")
        if new.from_files:
            check_files(tx, plan)
        tenants = _tenants_in(tx, plan)
        if not new.playbook:
            _check_jobs(plan, new.jobs, tenants)
        run_id = f"r-{secrets.token_hex(5)}"
        tx.execute(
            runs.insert().values(
                id=run_id,
                procedure=new.procedure,
                plan=plan.id,
                network_digest=plan.network_digest,
                from_files=new.from_files,
                judge_from=new.judge_from if new.from_files else None,
                state=RunState.QUEUED.value,
                strategy=new.strategy.model_dump_json(),
                cause=request.cause,
                requested_by=request.actor,
                side=HOST if new.constraints is None else new.constraints.side,
                reason=request.reason,
                created=tx.now,
                wave=0,
                waves=1 + max((job.wave for job in new.jobs), default=-1),
                idempotency_key=key,
            )
        )
        if new.playbook is not None:
            _keep_playbook(tx, run_id, new.playbook)
        _insert_jobs(tx, run_id, new.jobs)
        stations = {job.station for job in new.jobs}
        note_run(tx, run_id, {station: there for station, there in tenants.items() if station in stations})
        if new.constraints is not None:
            keep_constraints(tx, run_id, new.constraints, new.content, request, new.begins)
        tx.note(
            request.actor,
            "run.created",
            run_id,
            plan=plan.id,
            procedure=new.procedure,
            cause=request.cause,
            jobs=len(new.jobs),
            playbook=new.playbook and new.playbook.digest,
            parameters=new.playbook and orjson.dumps(new.playbook.parameters).decode(),
        )
        return load_run(tx, run_id)

    @reads
    def get(self, tx: Tx, run_id: str) -> Run:
        """A run with its counts. Raises NotFoundError."""
        return load_run(tx, run_id)

    @reads
    def page(self, tx: Tx, page: Page, states: Iterable[RunState] | None = None) -> tuple[int, list[Run]]:
        """Total and one page of runs, newest first."""
        chosen = [] if states is None else [runs.c.state.in_([state.value for state in states])]
        total = tx.execute(select(func.count()).select_from(runs).where(*chosen)).scalar_one()
        newest = select(runs).where(*chosen).order_by(runs.c.number.desc())
        return total, as_runs(tx, tx.execute(newest.limit(page.limit).offset(page.offset)).all())

    @reads
    def jobs(self, tx: Tx, run_id: str) -> list[Job]:
        """All jobs of a run, by wave and station."""
        return _jobs(tx, load_run(tx, run_id))

    @reads
    def ended_jobs(self, tx: Tx, stations: Iterable[str], since: datetime) -> list[EndedJob]:
        """Jobs on the stations that ended since then, or of which it was found out since what they left; oldest first.

        Each is as it is known now (``EndedJob.as_found``).
        """
        return [job.as_found() for job in ended_jobs(tx, stations, since)]

    @reads
    def mates(self, tx: Tx, job: Job) -> list[Job]:
        """All jobs of a job's wave and unit."""
        return [as_job(row) for row in tx.execute(_MATES, {"run": job.run, "wave": job.wave, "unit": job.unit})]

    @writes
    def advance(self, tx: Tx, run_id: str, decide: Decide, by: str = "engine") -> Transition | None:
        """Let ``decide`` judge a run and its jobs, and carry out the result, in one transaction.

        The run stays locked meanwhile, so ``decide`` must be quick and pure; it may be called again when the
        transaction is repeated. It is not called for a terminal run. ``cancel_rest`` spares jobs that must still
        recover a transaction: they stay claimable until they are done. ``by`` is who decides, for the record.

        Raises:
            NotFoundError: There is no such run.
            ConflictError: A terminal state was asked for while jobs are not done.
        """
        run = load_run(tx, run_id, lock=True)
        if run.state.terminal:
            return None
        transition = decide(run, _jobs(tx, run))
        if transition is None or (_begins(transition) and doubted(tx)):
            return None
        return transition if _carry_out(tx, run, transition, by) else None

    @reads
    def unjudged(self, tx: Tx) -> list[Run]:
        """Runs under way that begin nothing more before their plans are judged by what is in force, oldest first."""
        return as_runs(tx, tx.execute(_UNJUDGED, {"now": tx.now}).all())

    @writes
    def judge(self, tx: Tx, run_id: str, digest: str, void: Collection[str], judge_from: datetime | None) -> bool:
        """Put on record what of a run's plan does not follow from the network files in force, and let the rest begin.

        Args:
            run_id: The run.
            digest: The network files that it was judged by; if others are in force by now, nothing is recorded.
            void: Ids of jobs that must not begin any more. Those that began already are completed.
            judge_from: From when it has to be judged again; None for not before other files are loaded.

        Returns:
            Whether it is on record.
        """
        tx.guard(NETWORK_GUARD)
        run = load_run(tx, run_id, lock=True)
        if run.state.terminal or files_in_force(tx) != digest:
            return False
        for ids in chunks(sorted(void)):
            begun = and_(jobs.c.run == run_id, jobs.c.id.in_(ids), jobs.c.state != JobState.DONE.value)
            tx.execute(update(jobs).where(begun, jobs.c.outdated.is_(None)).values(outdated=tx.now))
        since = run.outdated or (tx.now if void else None)
        tx.execute(update(runs).where(runs.c.id == run_id).values(outdated=since, judge_from=judge_from))
        tx.note("engine", "run.judged", run_id, plan=run.plan, network=digest, outdated=len(void))
        return True

    @reads
    def active(self, tx: Tx) -> list[str]:
        """Ids of runs that are not terminal, oldest first."""
        return list(tx.execute(_ACTIVE).scalars())

    @reads
    def under_way(self, tx: Tx, device: str, now: datetime) -> str:
        """Id of the run that works on a device, or may begin there in a window that is open now; empty if none."""
        return str(tx.execute(_UNDER_WAY, {"device": device, "now": now}).scalar() or "")

    @reads
    def left(self, tx: Tx, device: str) -> datetime | None:
        """When a run last ended at a device after it changed it, or was stopped before it could; None if none did."""
        return tx.execute(_LEFT, {"device": device}).scalar()

    @writes
    def cancel(self, tx: Tx, run_id: str, actor: str) -> Run:
        """Turn a run that is not terminal into ``cancelling``; terminal runs stay as they are."""
        return cancel_run(tx, run_id, actor)

    @reads
    def cancelling(self, tx: Tx, run_ids: Iterable[str]) -> frozenset[str]:
        """Those of the runs that a person has cancelled and that have not ended."""
        return frozenset(row.id for row in tx.rows(_CANCELLING, runs.c.id, run_ids))

    @writes
    def pause(self, tx: Tx, run_id: str, actor: str) -> Run:
        """Turn ``queued``/``running`` into ``paused``, and put back claimable jobs of units not begun."""
        run = _request(tx, run_id, actor, _PAUSABLE, RunState.PAUSED, PAUSE)
        if run.state is RunState.PAUSED:
            unbegun = and_(jobs.c.run == run_id, jobs.c.state == JobState.READY.value, ~reserved(), ~_begun(run))
            tx.execute(update(jobs).where(unbegun).values(state=JobState.WAITING.value))
        return run

    @writes
    def resume(self, tx: Tx, run_id: str, actor: str) -> Run:
        """Turn ``paused`` back into the state before; other runs stay as they are."""
        was = RunState.RUNNING if load_run(tx, run_id).started else RunState.QUEUED
        return _request(tx, run_id, actor, (RunState.PAUSED,), was, RESUME)

    @reads
    def find_by_key(self, tx: Tx, idempotency_key: str, person: str) -> Run | None:
        """The run that was accepted with this key of this person, or None; equal keys of other people do not count."""
        key = whose_key(PERSON, person, idempotency_key)
        found = tx.execute(select(runs.c.id).where(runs.c.idempotency_key == key)).scalar()
        return None if found is None else load_run(tx, found)

    @reads
    def waits(self, tx: Tx, run_ids: Collection[str]) -> dict[str, tuple[Wait, ...]]:
        """What each of these runs waits for, a pause first; runs that have ended or wait for nothing are left out."""
        active = and_(runs.c.id.in_(run_ids), runs.c.state.in_(ACTIVE))
        found: dict[str, list[Wait]] = {}
        asking = [*_asking(tx, active)]
        held = (*_blocked(tx, active), *_unjudged(tx, active))
        beside = (*held, *_resting(tx, active), *_behind(tx, active), *_reading(tx, active), *_reverting(tx, active))
        for run, wait in (*_paused(tx, active), *asking, *beside, *_soaking(tx, active)):
            found.setdefault(run, []).append(wait)
        return {run: tuple(waits) for run, waits in found.items()}

    @reads
    def unworked(self, tx: Tx, run_ids: Collection[str]) -> dict[str, Wait]:
        """The wait of each of these runs of which jobs could go on if a worker lived; none while one does."""
        return unworked(tx, runs.c.id.in_(run_ids))

    @reads
    def playbook(self, tx: Tx, digest: str) -> str:
        """Text of a playbook that a run was accepted with. Raises NotFoundError."""
        content = tx.execute(select(playbooks.c.content).where(playbooks.c.digest == digest)).scalar()
        if content is None:
            raise NotFoundError(f"no run has a playbook {digest}")
        return zlib.decompress(content).decode()


def counted_waits(tx: Tx) -> Iterator[tuple[str, Wait]]:
    """Waits of all runs under way that metrics count: pauses, questions, what jobs may not begin for, no worker."""
    active = runs.c.state.in_(ACTIVE)
    yield from (*_paused(tx, active), *_asking(tx, active), *_blocked(tx, active), *unworked(tx, active).items())


def unworked(tx: Tx, which: ColumnElement[bool]) -> dict[str, Wait]:
    """Do what ``Runs.unworked`` does, as part of a transaction."""
    living, last = worker_seen(tx)
    if living:
        return {}
    ended = f"; the last one was heard of at {last:%Y-%m-%d %H:%M:%S} UTC" if last else "; none was ever started"
    goes_on = and_(jobs.c.state != JobState.DONE.value, jobs.c.reasons == "")
    goes_on = and_(goes_on, or_(jobs.c.rests.is_(None), jobs.c.rests <= tx.now))
    since = func.min(_due(tx), type_=Instant()).label("since")
    query = select(jobs.c.run, since, func.count().label("stations")).join(runs, runs.c.id == jobs.c.run)
    query = query.where(which, runs.c.state.in_(ACTIVE), runs.c.state != RunState.PAUSED.value, goes_on)
    return {
        row.run: Wait(
            codes=(WaitCode.WORKER,),
            what=f"no worker lives that could go on with it{ended}",
            since=row.since if last is None else max(row.since, last),
            who="whoever operates Minka: minka worker, with the same MINKA_DATABASE_URL and MINKA_BROKER_URL",
            stations=row.stations,
        )
        for row in tx.execute(query.group_by(jobs.c.run))
    }


def _begins(transition: Transition) -> bool:
    """Whether a transition lets anything begin."""
    return transition.wave is not None or bool(transition.ready)


def _jobs(tx: Tx, run: Run) -> list[Job]:
    rows = tx.execute(_JOBS, {"run": run.id})
    if run.strategy.policy is Policy.STATION:
        return [as_job(row) for row in rows]
    decided: dict[tuple[int, str], list[Decision]] = {}
    for decision in load_decisions(tx, [(run.id, wave) for wave in range(run.wave + 1)]):
        decided.setdefault((decision.wave, decision.unit), []).append(decision)
    return [as_job(row, choice_of(row, decided)) for row in rows]


def _same_request(known: Run, new: PreparedRun) -> bool:
    """Whether a known run matches a request. A playbook's plan may differ, since devices change meanwhile."""
    if not new.request.automatic and known.reason != new.request.reason:
        return False
    if new.playbook is not None and new.request.plan is None:
        return (known.playbook, known.parameters) == (new.playbook.digest, new.playbook.parameters)
    return (known.plan, known.procedure, known.strategy) == (new.plan.id, new.procedure, new.strategy)


def _keep_playbook(tx: Tx, run_id: str, used: RunPlaybook) -> None:
    """Keep the text of the playbook that a new run executes."""
    row = tx.insert(playbooks).values(digest=used.digest, name=used.name, content=zlib.compress(used.text.encode()))
    tx.execute(row.on_conflict_do_nothing(index_elements=["digest"]))
    parameters = orjson.dumps(used.parameters, option=orjson.OPT_SORT_KEYS).decode()
    tx.execute(run_playbooks.insert().values(run=run_id, digest=used.digest, parameters=parameters))


def _tenants_in(tx: Tx, plan: Plan) -> dict[str, list[str]]:
    """Tenants that a plan touches or interrupts, by station that it changes."""
    if tx.execute(select(plans.c.digest).where(plans.c.id == plan.id)).scalar() != plan.digest:
        raise NotFoundError.of("plan", plan.id)
    rows = tx.execute(select(changes.c.station, changes.c.tenants).where(changes.c.plan == plan.id))
    return {row.station: orjson.loads(row.tenants) for row in rows}


def _check_jobs(plan: Plan, new_jobs: Sequence[NewJob], changed: Collection[str]) -> None:
    unchanged = sorted({job.station for job in new_jobs}.difference(changed))
    if unchanged:
        raise InputError(f"the plan {plan.id} changes nothing on {first_names(unchanged, 5)}")


def _insert_jobs(tx: Tx, run_id: str, new_jobs: Sequence[NewJob]) -> None:
    if not new_jobs:
        return
    rows = [
        {
            "id": f"{run_id}.{job.wave}.{job.station}",
            "run": run_id,
            "wave": job.wave,
            "station": job.station,
            "unit": job.unit or job.station,
            "rank": job.rank,
            "state": JobState.WAITING.value,
            "attempts": 0,
            "detail": "",
        }
        for job in new_jobs
    ]
    tx.execute(jobs.insert(), rows)
    stations = sorted({job.station for job in new_jobs})  # The same order of locks in every process.
    tx.execute(
        tx.insert(leases).on_conflict_do_nothing(index_elements=["station"]),
        [{"station": station, "fence": 0} for station in stations],
    )


def _carry_out(tx: Tx, run: Run, transition: Transition, by: str) -> bool:
    """Carry out a transition; False if only jobs that must be recovered first are left to end."""
    values: dict[str, Any] = {"state": transition.state.value}
    if transition.wave is not None:
        values["wave"] = transition.wave
    if run.started is None and transition.state is RunState.RUNNING:
        values["started"] = tx.now
    if transition.state.terminal:
        values["finished"] = tx.now
    if transition.stopped is not None and run.stopped is None:
        values["stopped"] = packed_stop(transition.stopped)
    seen = and_(runs.c.id == run.id, runs.c.state == run.state.value, runs.c.wave == run.wave)
    if tx.execute(update(runs).where(seen).values(values)).rowcount != 1:
        raise ConflictError(f"run {run.id} changed in the meantime")
    moved = _move_jobs(tx, run, transition) + sum(decide_on(tx, run, choice, by) for choice in transition.decisions)
    if transition.state.terminal:
        left = tx.execute(
            select(func.count()).where(jobs.c.run == run.id, jobs.c.state != JobState.DONE.value)
        ).scalar_one()
        if left:
            raise ConflictError(f"run {run.id} can't end {transition.state.value} with {left} jobs open")
    if transition.state is run.state and transition.wave is None and not moved:
        return False
    if (
        transition.withdrawn
        or transition.postponed
        or transition.outdated
        or not (transition.decisions or transition.ready)
    ):
        tx.note(
            "engine",
            "run.advanced",
            run.id,
            before=run.state.value,
            after=transition.state.value,
            wave=transition.wave,
            cancel_rest=transition.cancel_rest or None,
            withdrawn=len(transition.withdrawn) or None,
            postponed=len(transition.postponed) or None,
            outdated=len(transition.outdated) or None,
            reason=transition.reason,
        )
    return True


def _move_jobs(tx: Tx, run: Run, transition: Transition) -> int:
    """Open and end jobs; returns how many."""
    of_run, waiting = jobs.c.run == run.id, jobs.c.state == JobState.WAITING.value
    unbegun = and_(of_run, jobs.c.state.in_([JobState.WAITING.value, JobState.READY.value]), ~reserved())
    ready = {"state": JobState.READY.value, "ready": tx.now}
    moved = 0
    ended = 0
    if transition.cancel_rest:
        rest = and_(unbegun, jobs.c.id.not_in(transition.spared)) if transition.spared else unbegun
        ended += tx.execute(update(jobs).where(rest).values(_ended(tx, Outcome.CANCELLED))).rowcount
    if transition.wave is not None:
        moved += 1
        if run.strategy.policy is Policy.STATION:
            opened = and_(of_run, jobs.c.wave == transition.wave, jobs.c.rank == 0, waiting)
            tx.execute(update(jobs).where(opened).values(ready))
    for ids in chunks(transition.ready):
        moved += tx.execute(update(jobs).where(waiting, jobs.c.id.in_(ids)).values(ready)).rowcount
    outdated = _ended(tx, Outcome.CANCELLED) | {"detail": transition.reason}
    for ids in chunks(transition.outdated):
        ended += tx.execute(update(jobs).where(unbegun, jobs.c.id.in_(ids)).values(outdated)).rowcount
    withdrawn = _ended(tx, Outcome.WITHDRAWN) | {"detail": transition.reason}
    for ids in chunks(transition.withdrawn):
        ended += tx.execute(update(jobs).where(unbegun, jobs.c.id.in_(ids)).values(withdrawn)).rowcount
    if ended:
        tx.note("engine", JOBS_ENDED, run.id, count=ended)
    # Devices that were away while their wave was postponed take part when it begins again.
    postponed = or_(unbegun, and_(of_run, jobs.c.outcome == Outcome.DEFERRED.value, ~jobs.c.operated))
    for ids in chunks(transition.postponed):
        moved += put_back(tx, and_(postponed, jobs.c.id.in_(ids)), again(transition.reason))
    return moved + ended


def _ended(tx: Tx, outcome: Outcome) -> dict[str, Any]:
    return {"state": JobState.DONE.value, "outcome": outcome.value, "finished": tx.now}


def _begun(run: Run) -> ColumnElement[bool]:
    """Whether work on a job's unit (with policy ``wave``, on its wave) has begun."""
    mate = jobs.alias()
    same = and_(mate.c.run == jobs.c.run, mate.c.wave == jobs.c.wave, mate.c.round == jobs.c.round)
    same = and_(same, mate.c.id != jobs.c.id)
    if run.strategy.policy is not Policy.WAVE:
        same = and_(same, mate.c.unit == jobs.c.unit)
    return exists().where(same, or_(mate.c.started.is_not(None), mate.c.gate.is_not(None)))


def cancel_run(tx: Tx, run_id: str, actor: str) -> Run:
    """Let nothing more of a run begin; wakes jobs that rest, so that they notice."""
    run = _request(tx, run_id, actor, _CANCELLABLE, RunState.CANCELLING, "run.cancel-requested")
    if run.state is RunState.CANCELLING:
        tx.execute(update(jobs).where(jobs.c.run == run_id, jobs.c.rests.is_not(None)).values(rests=None))
    return run


def _request(tx: Tx, run_id: str, actor: str, allowed: Sequence[RunState], state: RunState, action: str) -> Run:
    """Set the state that a person asks for, if the run is in one of the ``allowed`` states."""
    run = load_run(tx, run_id, lock=True)
    if run.state not in allowed:
        return run
    tx.execute(update(runs).where(runs.c.id == run_id).values(state=state.value))
    tx.note(actor, action, run_id)
    return run.model_copy(update={"state": state})


def _paused(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs that a person paused; by whom and when is said by the audit trail, as far as it is as it was written."""
    act = and_(audit_chain.NUMBERED, audit.c.object == runs.c.id, audit.c.action.in_([PAUSE, RESUME]))
    query = select(runs.c.id, runs.c.created, audit.c.id.label("act")).outerjoin(audit, act)
    rows = tx.execute(query.where(active, runs.c.state == RunState.PAUSED.value).order_by(audit.c.id)).all()
    numbers = [row.act for row in rows if row.act is not None]
    acts = {act.id: act for act in audit_chain.intact(tx.connection, numbers, tx.evidence.keys)}
    last = {row.id: acts[row.act] for row in rows if row.act in acts}  # The last act of each run.
    for run, created in {row.id: row.created for row in rows}.items():
        # If the last one is a resumption, the row of the pause after it is not as it was written.
        paused = last.get(run)
        if paused is not None and paused.action == RESUME:
            paused = None
        by = f" by {paused.actor}" if paused is not None and paused.actor else ""
        yield (
            run,
            Wait(
                codes=(WaitCode.PAUSE,),
                what=f"paused{by}",
                since=created if paused is None else paused.at,
                who="whoever may run: minka resume",
            ),
        )


def _asking(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs that ask people something."""
    query = select(questions).join(runs, runs.c.id == questions.c.run).where(active, *is_open(tx))
    for row in tx.execute(query.order_by(questions.c.asked, questions.c.id)):
        asked = as_question(row)
        choices = f" ({' or '.join(asked.choices)})" if asked.choices else ""
        what = f"asks: {asked.text}{choices}, until {asked.until:%Y-%m-%d %H:%M} UTC"
        who = f"whoever may run: minka answer {asked.run} … --question {asked.id}"
        yield (
            asked.run,
            Wait(codes=(WaitCode.QUESTION,), what=what, since=asked.asked, who=who, stations=int(bool(asked.station))),
        )


def _due(tx: Tx) -> ColumnElement[datetime]:
    """When a job could have been begun; a job that rests until a later time has waited since it began."""
    begun = func.coalesce(jobs.c.started, runs.c.created)
    return case((jobs.c.ready > tx.now, begun), else_=func.coalesce(jobs.c.ready, runs.c.created))


def _blocked(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs with jobs that may not begin, by reason, and since when they would have begun."""
    unbegun = jobs.c.state.in_([JobState.WAITING.value, JobState.READY.value])
    since = func.min(_due(tx), type_=Instant()).label("since")
    query = select(jobs.c.run, jobs.c.reasons, since, func.count().label("stations")).join(
        runs, runs.c.id == jobs.c.run
    )
    query = query.where(active, unbegun, jobs.c.reasons != "").group_by(jobs.c.run, jobs.c.reasons)
    for row in tx.execute(query.order_by(jobs.c.reasons)):
        codes = codes_of(reasons := unpacked_reasons(row.reasons))
        what, who = words(reasons), ways(codes)
        yield row.run, Wait(codes=codes, what=what, since=row.since, who=who, stations=row.stations)


def _resting(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs with jobs that rest with their device until a time, such as that of a soak, by what they said."""
    asks = exists().where(questions.c.run == jobs.c.run, *is_open(tx))
    since = func.min(jobs.c.started, type_=Instant()).label("since")
    until = func.max(jobs.c.rests, type_=Instant()).label("until")
    query = select(jobs.c.run, jobs.c.detail, since, until, func.count().label("stations"))
    query = query.join(runs, runs.c.id == jobs.c.run).where(active, jobs.c.state == JobState.READY.value, ~asks)
    query = query.where(jobs.c.reasons == "", jobs.c.rests > tx.now, jobs.c.started.is_not(None))
    for row in tx.execute(query.group_by(jobs.c.run, jobs.c.detail).order_by(jobs.c.detail)):
        who = f"it is looked at again by {row.until:%Y-%m-%d %H:%M:%S} UTC"
        yield row.run, Wait(codes=(WaitCode.STEP,), what=row.detail, since=row.since, who=who, stations=row.stations)


def _behind(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs with jobs that may begin, and whose devices another run has."""
    other = jobs.alias()
    has = or_(other.c.state == JobState.CLAIMED.value, and_(other.c.started.is_not(None), other.c.rests.is_not(None)))
    since = func.min(_due(tx), type_=Instant()).label("since")
    query = select(jobs.c.run, other.c.run.label("other"), since, func.count().label("stations"))
    query = query.join(runs, runs.c.id == jobs.c.run)
    query = query.join(other, and_(other.c.station == jobs.c.station, other.c.run != jobs.c.run, has))
    query = query.where(active, jobs.c.state == JobState.READY.value, jobs.c.reasons == "", jobs.c.started.is_(None))
    query = query.where(other.c.state != JobState.DONE.value).group_by(jobs.c.run, other.c.run)
    for row in tx.execute(query.order_by(other.c.run)):
        yield (
            row.run,
            Wait(codes=(WaitCode.RUN,), what=f"run {row.other} works there", since=row.since, stations=row.stations),
        )


def _unjudged(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs of which nothing more begins before it is known what still follows from the files in force."""
    unbegun = func.count().filter(jobs.c.started.is_(None), jobs.c.state != JobState.DONE.value).label("stations")
    query = select(runs.c.id, runs.c.judge_from, unbegun).join(jobs, jobs.c.run == runs.c.id)
    query = query.where(active, runs.c.judge_from <= tx.now).group_by(runs.c.id, runs.c.judge_from)
    for row in tx.execute(query.having(unbegun > 0).order_by(runs.c.id)):
        what = "network files or agreements changed, and it is not known yet what of its plan still holds"
        yield (
            row.id,
            Wait(codes=(WaitCode.FILES,), what=what, since=row.judge_from, who="a scheduler", stations=row.stations),
        )


def _reading(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs with jobs whose step reads their device, or waits for a state of it, for a while already."""
    since = func.min(steps.c.started, type_=Instant()).label("since")
    query = select(jobs.c.run, steps.c.name, steps.c.action, since, func.count().label("stations"))
    query = query.join(runs, runs.c.id == jobs.c.run).join(steps, steps.c.job == jobs.c.id)
    query = query.where(active, jobs.c.state == JobState.CLAIMED.value, steps.c.state == StepState.STARTED.value)
    query = query.where(steps.c.change.is_(None), steps.c.operations == "", steps.c.started <= tx.now - _LONG)
    for row in tx.execute(query.group_by(jobs.c.run, steps.c.name, steps.c.action).order_by(steps.c.name)):
        what = f"step {row.name!r}: {row.action}"
        yield row.run, Wait(codes=(WaitCode.STEP,), what=what, since=row.since, stations=row.stations)


def _reverting(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs with jobs that take a change back for a while already, as where the station's own timer has to do so."""
    later = journal.alias()
    is_last = ~exists().where(later.c.transaction == journal.c.transaction, later.c.seq > journal.c.seq)
    query = select(jobs.c.run, journal.c.detail, journal.c.at).join(runs, runs.c.id == jobs.c.run)
    query = query.join(journal, journal.c.job == jobs.c.id)
    query = query.where(active, jobs.c.state == JobState.CLAIMED.value, journal.c.step == JournalStep.CANCELLING.value)
    query = query.where(journal.c.at <= tx.now - _LONG, is_last)
    for row in tx.execute(query.order_by(journal.c.at, jobs.c.id)):
        yield row.run, Wait(codes=(WaitCode.TIMER,), what=row.detail, since=row.at, stations=1)


def _soaking(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs whose wave has ended, and stands for a while before the next one begins."""
    here = jobs.c.wave == runs.c.wave
    ended = func.max(case((here, jobs.c.finished)), type_=Instant()).label("ended")
    open_ = func.sum(case((and_(here, jobs.c.state != JobState.DONE.value), 1), else_=0))
    later = func.sum(case((jobs.c.wave > runs.c.wave, 1), else_=0)).label("later")
    query = select(runs.c.id, runs.c.wave, runs.c.strategy, ended, later).join(jobs, jobs.c.run == runs.c.id)
    query = query.where(active, runs.c.state == RunState.RUNNING.value)
    query = query.group_by(runs.c.id, runs.c.wave, runs.c.strategy).having(open_ == 0, later > 0)
    for row in tx.execute(query.order_by(runs.c.id)):
        soak = Strategy.model_validate_json(row.strategy).soak
        if row.ended is not None and tx.now < (until := row.ended + timedelta(seconds=soak)):
            what = f"wave {row.wave} stands until {until:%Y-%m-%d %H:%M:%S} UTC before the next one begins"
            yield row.id, Wait(codes=(WaitCode.SOAK,), what=what, since=row.ended, stations=row.later)
