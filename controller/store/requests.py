"""What people ask of runs: cancel, pause, resume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, and_, exists, or_, select, update

from controller.models.run import JobState, Policy, Run, RunState
from controller.store.encoding import rows_of
from controller.store.runs import load_run, reserved
from controller.store.tables import jobs, runs
from controller.store.transaction import Transactions, Tx, reads, writes

#: Act on record when a person pauses a run.
PAUSE = "run.pause-requested"
_PAUSABLE = (RunState.QUEUED, RunState.RUNNING)
_CANCELLABLE = (*_PAUSABLE, RunState.PAUSED)


class RequestRecords(Transactions):
    """People's say in runs under way."""

    @writes
    def request_cancel(self, tx: Tx, run_id: str, actor: str) -> Run:
        """See ``Store.request_cancel``."""
        return cancel_run(tx, run_id, actor)

    @reads
    def cancelling(self, tx: Tx, run_ids: Iterable[str]) -> frozenset[str]:
        """See ``Store.cancelling``."""
        query = select(runs.c.id).where(runs.c.state == RunState.CANCELLING.value)
        return frozenset(row.id for row in rows_of(tx, query, runs.c.id, run_ids))

    @writes
    def request_pause(self, tx: Tx, run_id: str, actor: str) -> Run:
        """See ``Store.request_pause``."""
        run = _request(tx, run_id, actor, _PAUSABLE, RunState.PAUSED, PAUSE)
        if run.state is RunState.PAUSED:
            unbegun = and_(jobs.c.run == run_id, jobs.c.state == JobState.READY.value, ~reserved(), ~_begun(run))
            tx.execute(update(jobs).where(unbegun).values(state=JobState.WAITING.value))
        return run

    @writes
    def request_resume(self, tx: Tx, run_id: str, actor: str) -> Run:
        """See ``Store.request_resume``."""
        was = RunState.RUNNING if load_run(tx, run_id).started else RunState.QUEUED
        return _request(tx, run_id, actor, (RunState.PAUSED,), was, "run.resumed")


def _begun(run: Run) -> ColumnElement[bool]:
    """Whether work on a job's unit (with policy ``wave``, on its wave) was begun."""
    mate = jobs.alias()
    same = and_(mate.c.run == jobs.c.run, mate.c.wave == jobs.c.wave, mate.c.round == jobs.c.round)
    same = and_(same, mate.c.id != jobs.c.id)
    if run.strategy.policy is not Policy.WAVE:
        same = and_(same, mate.c.unit == jobs.c.unit)
    return exists().where(same, or_(mate.c.started.is_not(None), mate.c.gate.is_not(None)))


def cancel_run(tx: Tx, run_id: str, actor: str) -> Run:
    """Let nothing more of a run begin; jobs that rest are woken, to see it."""
    run = _request(tx, run_id, actor, _CANCELLABLE, RunState.CANCELLING, "run.cancel-requested")
    if run.state is RunState.CANCELLING:
        tx.execute(update(jobs).where(jobs.c.run == run_id, jobs.c.rests.is_not(None)).values(rests=None))
    return run


def _request(tx: Tx, run_id: str, actor: str, allowed: Sequence[RunState], state: RunState, action: str) -> Run:
    """What a person wants of a run; one in another state stays as it is."""
    run = load_run(tx, run_id, lock=True)
    if run.state not in allowed:
        return run
    tx.execute(update(runs).where(runs.c.id == run_id).values(state=state.value))
    tx.note(actor, action, run_id)
    return run.model_copy(update={"state": state})
