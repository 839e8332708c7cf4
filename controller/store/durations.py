"""How long runs, waves and jobs took, and how large plans are: histograms over all that is on record."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select

from controller.models.metrics import Spreads, counted, joined
from controller.models.run import JobState, RunState
from controller.store.plans import changes, plans
from controller.store.run_rows import ACTIVE, jobs, runs
from controller.store.transaction import Tx

#: Procedures with series of their own, and what all others are called.
MOST_PROCEDURES, OTHER_PROCEDURE = 50, "other"
_ENDED = [state.value for state in RunState if state.terminal]
_RUNS = select(runs.c.id, runs.c.procedure, runs.c.state, runs.c.started, runs.c.finished)
_JOBS = select(jobs.c.run, jobs.c.wave, jobs.c.state, jobs.c.outcome, jobs.c.started, jobs.c.finished)
_SIZES = select(changes.c.plan, func.count().label("devices")).group_by(changes.c.plan)
_PROCEDURES = select(runs.c.procedure).group_by(runs.c.procedure).order_by(func.min(runs.c.number))

_Sums = dict[str, Spreads]


class _Counted(NamedTuple):
    """What was counted already: runs that ended and plans, which do not change any more."""

    runs: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    sums: Mapping[str, Spreads] = {}


class Durations:
    """Histograms over the record; each process counts what has ended once, and from then on what is new."""

    def __init__(self) -> None:
        self._counted = _Counted()
        self._lock = threading.Lock()

    def read(self, tx: Tx) -> _Sums:
        """The histograms by metric and label values."""
        with self._lock:
            ended = tx.execute(_RUNS.where(runs.c.state.in_(_ENDED))).all()
            planned = frozenset(tx.execute(select(plans.c.id)).scalars())
            before, over = self._counted, frozenset(row.id for row in ended)
            if not (before.runs <= over and before.plans <= planned):  # the record is another one, as after a restore
                before = _Counted()
            named = frozenset(tx.execute(_PROCEDURES.limit(MOST_PROCEDURES)).scalars())
            fresh = [row for row in ended if row.id not in before.runs]
            sizes = _plan_sizes(tx, planned - before.plans)
            self._counted = _Counted(over, planned, joined(before.sums, _of_runs(tx, fresh, named), sizes))
            active = tx.execute(_RUNS.where(runs.c.state.in_(ACTIVE))).all()
            return joined(self._counted.sums, _of_runs(tx, active, named))


def _plan_sizes(tx: Tx, fresh: Collection[str]) -> _Sums:
    found = {row.plan: row.devices for row in tx.rows(_SIZES, changes.c.plan, fresh)} if fresh else {}
    return {"minka_plan_devices": {(): counted("minka_plan_devices", (found.get(plan, 0) for plan in fresh))}}


def _of_runs(tx: Tx, of: Sequence[Row[Any]], named: Collection[str]) -> _Sums:
    """Runs that ended, waves of them all of whose jobs did, and jobs that did."""
    procedures = {row.id: row.procedure if row.procedure in named else OTHER_PROCEDURE for row in of}
    took: dict[str, dict[tuple[str, ...], list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in of:
        if row.started is not None and row.finished is not None:
            labels = procedures[row.id], row.state
            took["minka_run_duration_seconds"][labels].append((row.finished - row.started).total_seconds())
    waves: dict[tuple[str, int], list[Row[Any]]] = defaultdict(list)
    for job in tx.rows(_JOBS, jobs.c.run, procedures) if procedures else ():
        waves[job.run, job.wave].append(job)
        if job.started is not None and job.finished is not None:
            seconds = (job.finished - job.started).total_seconds()
            took["minka_job_duration_seconds"][job.outcome or "",].append(seconds)
    for (run, _), members in waves.items():
        if (seconds := _wave_seconds(members)) is not None:
            took["minka_wave_duration_seconds"][procedures[run],].append(seconds)
    return {metric: {key: counted(metric, values) for key, values in by.items()} for metric, by in took.items()}


def _wave_seconds(members: Iterable[Row[Any]]) -> float | None:
    """From the beginning of its first job to the end of its last; None where one has not ended, or none ever began."""
    began = [job for job in members if job.started is not None]
    if not began or any(job.state != JobState.DONE.value or job.finished is None for job in began):
        return None
    return float((max(job.finished for job in began) - min(job.started for job in began)).total_seconds())
