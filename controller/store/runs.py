"""Runs and their jobs: acceptance, progress, cancelling."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, and_, case, exists, func, or_, select, update

from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.plan import Plan
from controller.models.run import PERSON, Decision, GateVerdict, Job, JobState, Outcome, Policy, Run, RunState, Strategy
from controller.models.scalars import HOST
from controller.models.step import RunPlaybook
from controller.ports.requests import PreparedRun, other_request
from controller.ports.store import Decide, NewJob, Page, Transition
from controller.store.decisions import anew, decide_on, load_decisions, verdict_of
from controller.store.encoding import chunks, rows_of
from controller.store.involvement import note_run
from controller.store.record import doubted
from controller.store.tables import changes, jobs, leases, plans, playbooks, run_playbooks, runs
from controller.store.terms import keep_terms
from controller.store.transaction import Transactions, Tx, reads, writes

_JOB = (
    *("id", "run", "wave", "station", "unit", "rank", "round", "state", "attempts", "gate", "gate_until", "verdict"),
    *("outcome", "detail", "deferred", "blocked", "closes", "started", "finished"),
)
#: The same for all: by itself each noun would keep a set of its own, as large as its values together.
_SET = set(_JOB)

#: States of runs that are not terminal.
ACTIVE = tuple(state.value for state in RunState if not state.terminal)


def whose_key(cause: str, actor: str, key: str) -> str:
    """A key as it is kept: of a person, or of the alarm that a run is for; neither has a blank in its name."""
    return f"{actor if cause == PERSON else cause} {key}"


class RunRecords(Transactions):
    """Executions of procedures."""

    @writes
    def create_run(self, tx: Tx, new: PreparedRun) -> Run:
        """See ``Store.create_run``."""
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
            raise ConflictError(f"nothing is begun while the record is in doubt (minka record show): {doubt}")
        _check_plan(tx, plan, [] if new.playbook else new.jobs)
        run_id = f"r-{secrets.token_hex(5)}"
        tx.execute(
            runs.insert().values(
                id=run_id,
                procedure=new.procedure,
                plan=plan.id,
                network_digest=plan.network_digest,
                state=RunState.QUEUED.value,
                strategy=new.strategy.model_dump_json(),
                cause=request.cause,
                requested_by=request.actor,
                side=HOST if new.terms is None else new.terms.side,
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
        note_run(tx, run_id, (change for change in plan.changes if change.station in stations))
        if new.terms is not None:
            keep_terms(tx, run_id, new.terms, request, once=new.playbook is not None)
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
    def run(self, tx: Tx, run_id: str) -> Run:
        """See ``Store.run``."""
        return load_run(tx, run_id)

    @reads
    def runs(self, tx: Tx, page: Page, states: Iterable[RunState] | None = None) -> tuple[int, list[Run]]:
        """See ``Store.runs``."""
        chosen = [] if states is None else [runs.c.state.in_([state.value for state in states])]
        total = tx.execute(select(func.count()).select_from(runs).where(*chosen)).scalar_one()
        newest = select(runs).where(*chosen).order_by(runs.c.number.desc())
        return total, as_runs(tx, tx.execute(newest.limit(page.limit).offset(page.offset)).all())

    @reads
    def jobs(self, tx: Tx, run_id: str) -> list[Job]:
        """See ``Store.jobs``."""
        return _jobs(tx, load_run(tx, run_id))

    @writes
    def advance(self, tx: Tx, run_id: str, decide: Decide, by: str = "engine") -> Transition | None:
        """See ``Store.advance``."""
        run = load_run(tx, run_id, lock=True)
        if run.state.terminal:
            return None
        transition = decide(run, _jobs(tx, run))
        if transition is None or (_begins(transition) and doubted(tx)):
            return None
        return transition if _carry_out(tx, run, transition, by) else None

    @reads
    def active_runs(self, tx: Tx) -> list[str]:
        """See ``Store.active_runs``."""
        query = select(runs.c.id).where(runs.c.state.in_(ACTIVE)).order_by(runs.c.number)
        return list(tx.execute(query).scalars())


def _begins(transition: Transition) -> bool:
    """Whether anything may begin that could not before."""
    return transition.wave is not None or bool(transition.ready)


def load_run(tx: Tx, run_id: str, *, lock: bool = False) -> Run:
    """A run with its counts, its row locked if asked (without keeping jobs from referring to it)."""
    query = select(runs).where(runs.c.id == run_id)
    row = tx.execute(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no run {run_id}")
    return as_runs(tx, [row])[0]


def load_runs(tx: Tx, run_ids: Sequence[str]) -> list[Run]:
    """Runs with their counts, in the order of their acceptance."""
    rows = rows_of(tx, select(runs), runs.c.id, run_ids)
    return as_runs(tx, sorted(rows, key=lambda row: row.number))


def as_job(row: Row[Any], verdict: GateVerdict | None = None) -> Job:
    """A row as the noun; a run has thousands of them, which are looked at again and again."""
    return _job(
        row.id,
        row.run,
        row.wave,
        row.station,
        row.unit,
        row.rank,
        row.round,
        row.state,
        row.attempts,
        row.gate,
        row.gate_until,
        verdict,
        row.outcome,
        row.detail,
        row.deferred,
        row.blocked,
        row.closes,
        row.started,
        row.finished,
    )


@lru_cache(maxsize=1 << 15)
def _job(*values: Any) -> Job:
    """Our own rows need no validation."""
    known = dict(zip(_JOB, values, strict=True))
    outcome = None if known["outcome"] is None else Outcome(known["outcome"])
    return Job.model_construct(_SET, **known | {"state": JobState(known["state"]), "outcome": outcome})


def _jobs(tx: Tx, run: Run) -> list[Job]:
    rows = tx.execute(select(jobs).where(jobs.c.run == run.id).order_by(jobs.c.wave, jobs.c.station))
    if run.strategy.policy is Policy.STATION:
        return [as_job(row) for row in rows]
    decided: dict[tuple[int, str], list[Decision]] = {}
    for decision in load_decisions(tx, [(run.id, wave) for wave in range(run.wave + 1)]):
        decided.setdefault((decision.wave, decision.unit), []).append(decision)
    return [as_job(row, verdict_of(row, decided)) for row in rows]


def as_runs(tx: Tx, rows: Sequence[Row[Any]]) -> list[Run]:
    """Rows as nouns, with their counts."""
    counts: dict[str, dict[str, int]] = {row.id: {} for row in rows}
    waits: dict[str, dict[str, int]] = {row.id: {} for row in rows}
    unbegun = jobs.c.state.in_([JobState.WAITING.value, JobState.READY.value])
    groups = (jobs.c.run, jobs.c.outcome, case((unbegun, jobs.c.blocked), else_="").label("blocked"))
    query = select(*groups, func.count().label("number")).group_by(*groups)
    for row in rows_of(tx, query, jobs.c.run, counts):
        outcome = row.outcome or "pending"
        counts[row.run][outcome] = counts[row.run].get(outcome, 0) + row.number
        if row.blocked:
            waits[row.run][row.blocked] = row.number
    used = {row.run: row for row in rows_of(tx, select(run_playbooks), run_playbooks.c.run, counts)}
    return [
        Run(
            id=row.id,
            procedure=row.procedure,
            plan=row.plan,
            state=RunState(row.state),
            strategy=Strategy.model_validate_json(row.strategy),
            cause=row.cause,
            requested_by=row.requested_by,
            reason=row.reason,
            created=row.created,
            started=row.started,
            finished=row.finished,
            halted=row.halted,
            wave=row.wave,
            waves=row.waves,
            counts=counts[row.id],
            waits=waits[row.id],
            playbook=used[row.id].digest if row.id in used else "",
            parameters=orjson.loads(used[row.id].parameters) if row.id in used else {},
        )
        for row in rows
    ]


def _same_request(known: Run, new: PreparedRun) -> bool:
    """Whether a run is what is asked for; a playbook's plan may differ, since devices move on meanwhile."""
    if not new.request.automatic and known.reason != new.request.reason:
        return False
    if new.playbook is not None:
        return (known.playbook, known.parameters) == (new.playbook.digest, new.playbook.parameters)
    return (known.plan, known.procedure, known.strategy) == (new.plan.id, new.procedure, new.strategy)


def _keep_playbook(tx: Tx, run_id: str, used: RunPlaybook) -> None:
    """What a new run executes."""
    row = tx.insert(playbooks).values(digest=used.digest, name=used.name, content=zlib.compress(used.text.encode()))
    tx.execute(row.on_conflict_do_nothing(index_elements=["digest"]))
    parameters = orjson.dumps(used.parameters, option=orjson.OPT_SORT_KEYS).decode()
    tx.execute(run_playbooks.insert().values(run=run_id, digest=used.digest, parameters=parameters))


def _check_plan(tx: Tx, plan: Plan, new_jobs: Sequence[NewJob]) -> None:
    if tx.execute(select(plans.c.digest).where(plans.c.id == plan.id)).scalar() != plan.digest:
        raise NotFoundError(f"there is no plan {plan.id}")
    changed = set(tx.execute(select(changes.c.station).where(changes.c.plan == plan.id)).scalars())
    strangers = sorted({job.station for job in new_jobs} - changed)
    if strangers:
        raise InputError(f"the plan {plan.id} changes nothing on {', '.join(strangers[:5])}")


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
    stations = sorted({job.station for job in new_jobs})  # the same order of locks in every process
    tx.execute(
        tx.insert(leases).on_conflict_do_nothing(index_elements=["station"]),
        [{"station": station, "fence": 0} for station in stations],
    )


def reserved() -> ColumnElement[bool]:
    """Whether a job's device waits for just this job to recover its transaction."""
    return exists().where(leases.c.job == jobs.c.id, leases.c.station == jobs.c.station)


def _carry_out(tx: Tx, run: Run, transition: Transition, by: str) -> bool:
    """Do what was decided; False where only jobs that must be recovered first are left to end."""
    values: dict[str, Any] = {"state": transition.state.value}
    if transition.wave is not None:
        values["wave"] = transition.wave
    if run.started is None and transition.state is RunState.RUNNING:
        values["started"] = tx.now
    if transition.state.terminal:
        values["finished"] = tx.now
    seen = and_(runs.c.id == run.id, runs.c.state == run.state.value, runs.c.wave == run.wave)
    if tx.execute(update(runs).where(seen).values(values)).rowcount != 1:
        raise ConflictError(f"run {run.id} moved on meanwhile")
    moved = _move_jobs(tx, run, transition) + sum(decide_on(tx, run, verdict, by) for verdict in transition.verdicts)
    if transition.state.terminal:
        left = tx.execute(
            select(func.count()).where(jobs.c.run == run.id, jobs.c.state != JobState.DONE.value)
        ).scalar_one()
        if left:
            raise ConflictError(f"run {run.id} can't end {transition.state.value} with {left} jobs open")
    if transition.state is run.state and transition.wave is None and not moved:
        return False
    if transition.withdrawn or transition.postponed or not (transition.verdicts or transition.ready):
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
            reason=transition.reason,
        )
    return True


def _move_jobs(tx: Tx, run: Run, transition: Transition) -> int:
    """Open and end jobs; how many."""
    of_run, waiting = jobs.c.run == run.id, jobs.c.state == JobState.WAITING.value
    unbegun = and_(of_run, jobs.c.state.in_([JobState.WAITING.value, JobState.READY.value]), ~reserved())
    ready = {"state": JobState.READY.value, "ready": tx.now}
    moved = 0
    if transition.cancel_rest:
        moved += tx.execute(update(jobs).where(unbegun).values(_ended(tx, Outcome.CANCELLED))).rowcount
    if transition.wave is not None:
        moved += 1
        if run.strategy.policy is Policy.STATION:
            opened = and_(of_run, jobs.c.wave == transition.wave, jobs.c.rank == 0, waiting)
            tx.execute(update(jobs).where(opened).values(ready))
    for ids in chunks(transition.ready):
        moved += tx.execute(update(jobs).where(waiting, jobs.c.id.in_(ids)).values(ready)).rowcount
    withdrawn = _ended(tx, Outcome.WITHDRAWN) | {"detail": transition.reason}
    for ids in chunks(transition.withdrawn):
        moved += tx.execute(update(jobs).where(unbegun, jobs.c.id.in_(ids)).values(withdrawn)).rowcount
    # Who was away while its wave was postponed takes part when that begins anew.
    postponed = or_(unbegun, and_(of_run, jobs.c.outcome == Outcome.DEFERRED.value))
    for ids in chunks(transition.postponed):
        moved += tx.execute(update(jobs).where(postponed, jobs.c.id.in_(ids)).values(anew(transition.reason))).rowcount
    return moved


def _ended(tx: Tx, outcome: Outcome) -> dict[str, Any]:
    return {"state": JobState.DONE.value, "outcome": outcome.value, "finished": tx.now}
