"""What jobs did to their devices, and when, by their journals, steps and changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, case, func, or_, select

from controller.intent.interruptions import Act, Work
from controller.intent.times import Times, union
from controller.models.packing import unpacked
from controller.models.plan import Change
from controller.models.run import INSIDE, JournalStep
from controller.models.step import StepRecord
from controller.store.database.columns import Instant
from controller.store.database.transaction import Tx
from controller.store.jobs.journal import journal
from controller.store.jobs.run_rows import jobs, runs
from controller.store.jobs.steps import as_step, steps
from controller.store.network.plans import changes

#: What is needed of a job that began.
BEGUN_JOB = (
    jobs.c.id,
    jobs.c.run,
    jobs.c.station,
    jobs.c.wave,
    jobs.c.unit,
    jobs.c.started,
    jobs.c.finished,
    runs.c.plan,
)
#: Jobs that began, and had not ended before a time.
_CHANGING = select(jobs.c.id, jobs.c.station, jobs.c.finished).where(
    jobs.c.started.is_not(None), or_(jobs.c.finished.is_(None), jobs.c.finished > bindparam("since", type_=Instant()))
)
#: The first steps of a device transaction after which its device may be another.
_ACTS = (JournalStep.EDITING.value, JournalStep.COMMITTING.value, JournalStep.OPERATING.value)
_SPANS = select(
    journal.c.job,
    journal.c.transaction,
    func.min(case((journal.c.step.in_(_ACTS), journal.c.at))).label("since"),
    func.max(case((journal.c.step == JournalStep.FINISHED.value, journal.c.at))).label("until"),
).group_by(journal.c.job, journal.c.transaction)
_STEPS = select(steps).where(or_(steps.c.change.is_not(None), steps.c.operations != "", steps.c.waits))
_CHANGES = select(changes.c.station, changes.c.content).where(changes.c.plan == bindparam("plan"))
#: Jobs of stations that live in a function of their unit, and when they first soaked or waited.
_MATES = (
    select(
        jobs.c.run,
        jobs.c.wave,
        jobs.c.unit,
        jobs.c.station,
        jobs.c.finished,
        func.min(case((steps.c.waits, steps.c.started))).label("rests"),
    )
    .outerjoin(steps, steps.c.job == jobs.c.id)
    .where(jobs.c.rank.in_(INSIDE))
    .group_by(jobs.c.id)
)


class _Span(NamedTuple):
    transaction: str
    since: datetime
    until: datetime


def works_of(tx: Tx, functions: Collection[str], begun: Sequence[Row[Any]]) -> dict[str, Work]:
    """What jobs (``BEGUN_JOB``) did, by job; without the tenants that they may interrupt.

    Args:
        tx: A transaction.
        functions: Ids of the devices that are functions.
        begun: The jobs.
    """
    by_id = {row.id: row for row in begun}
    spans = _spans(tx, by_id)
    done: dict[str, list[StepRecord]] = defaultdict(list)
    for row in tx.rows(_STEPS, steps.c.job, by_id) if by_id else ():
        done[row.job].append(as_step(row))
    plain = _changes(tx, [row for row in begun if row.id in spans and row.id not in done])
    mates: dict[tuple[object, ...], dict[str, datetime]] = defaultdict(dict)
    restarting = {row.run for row in begun if row.station in functions}
    for row in tx.rows(_MATES, jobs.c.run, restarting) if restarting else ():
        mates[row.run, row.wave, row.unit][row.station] = row.rests or row.finished or tx.now
    return {
        job: Work(
            device=row.station,
            acts=sorted(_acts(spans.get(job, ()), done[job], plain.get(job)), key=lambda act: act.since),
            tenants=(),
            until=row.finished or tx.now,
            rests=[step.started for step in done[job] if step.waits],
            inside=mates.get((row.run, row.wave, row.unit)),
        )
        for job, row in by_id.items()
    }


def times_changed(tx: Tx, stations: Iterable[str], since: datetime) -> dict[str, Times]:
    """When jobs changed stations since a time, or may have: transactions in which something was done."""
    rows = tx.rows(_CHANGING, jobs.c.station, stations, since=since)
    by_id = {row.id: row for row in rows}
    found: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for job, spans in _spans(tx, by_id).items():
        found[by_id[job].station].extend((one.since, one.until) for one in spans)
    return {station: union(times) for station, times in found.items()}


def _spans(tx: Tx, by_id: Mapping[str, Row[Any]]) -> dict[str, list[_Span]]:
    """Transactions of jobs in which something was done, with their begin and end."""
    found: dict[str, list[_Span]] = defaultdict(list)
    for row in tx.rows(_SPANS, journal.c.job, by_id) if by_id else ():
        if row.since is not None:
            found[row.job].append(_Span(row.transaction, row.since, row.until or by_id[row.job].finished or tx.now))
    return found


def _changes(tx: Tx, begun: Iterable[Row[Any]]) -> dict[str, Change]:
    """Changes of plans that jobs carried out as a whole, by job."""
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for row in begun:
        wanted[row.plan][row.station] = row.id
    return {
        job_of[row.station]: unpacked(Change, row.content)
        for plan, job_of in wanted.items()
        for row in tx.rows(_CHANGES, changes.c.station, job_of, plan=plan)
    }


def _acts(spans: Iterable[_Span], done: Sequence[StepRecord], plain: Change | None) -> Iterator[Act]:
    """What a job did in each transaction: one of its own, or one of a step, whose last attempt stands for all."""
    by_step = {step.transaction.partition(".")[0]: step for step in done}
    for transaction, since, until in spans:
        own = transaction.partition(".")[2]
        step = by_step.get(own.partition(".")[0])
        if step is None:
            yield Act(since, until, plain)
            continue
        cells = tuple(map(str, step.output.get("cells", ())))
        stays = own == step.transaction and (step.outcome is None or step.outcome.good)
        yield Act(since, until, step.change, step.operations, cells, stays)
