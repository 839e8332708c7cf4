"""What ended jobs left on their stations, as it is known now."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    Row,
    and_,
    or_,
    select,
)

from controller.models.ended_job import EndedJob
from controller.models.packing import unpacked
from controller.models.plan import Change
from controller.models.run import UNDO, FoundState, LedgerBefore, LedgerEntry, Outcome
from controller.models.step import StepRecord, StepState
from controller.nrm.tree import Path
from controller.plan import carrying
from controller.store.database.transaction import Tx
from controller.store.jobs.run_rows import jobs, run_playbooks, runs
from controller.store.jobs.steps import as_step, steps
from controller.store.network.ledger import ledger_history
from controller.store.network.plans import changes, plans

_SUCCEEDED, _DIVERGED, _LATE = Outcome.SUCCEEDED.value, Outcome.DIVERGED.value, FoundState.LATE.value


def ended_jobs(tx: Tx, stations: Iterable[str], since: datetime) -> list[EndedJob]:
    """Jobs as they ended, with what was found out since (``EndedJob.as_found``): see ``Runs.ended_jobs``."""
    used = select(run_playbooks.c.digest).where(run_playbooks.c.run == runs.c.id).scalar_subquery()
    query = (
        select(jobs, runs.c.plan, runs.c.procedure, runs.c.cause, used.label("playbook"))
        .join(runs, runs.c.id == jobs.c.run)
        .where(or_(jobs.c.finished >= since, jobs.c.found_at >= since))
    )
    found = sorted(tx.rows(query, jobs.c.station, stations), key=lambda row: (row.finished, row.id))
    before = ledger_before(tx, [row.id for row in found])
    left, unsure, operated = _left(tx, found)
    undoes = {plan: _undoes(tx, plan) for plan in {row.plan for row in found if row.procedure == UNDO}}
    return [
        EndedJob(
            run=row.run,
            procedure=row.procedure,
            cause=row.cause,
            job=row.id,
            station=row.station,
            finished=row.finished,
            outcome=Outcome(row.outcome),
            changes=left.get(row.id, ()),
            before=before.get(row.id, LedgerBefore()),
            undoes=undoes.get(row.plan, ""),
            unsure=unsure.get(row.id, ()),
            beyond=row.beyond or row.id in operated,
            started=row.started,
            found=None if row.found is None else FoundState(row.found),
            found_at=row.found_at,
        )
        for row in found
    ]


def ledger_before(tx: Tx, job_ids: Sequence[str]) -> dict[str, LedgerBefore]:
    """What the ledger said before each job; one of which was found out later what it left has changed it twice."""
    parts: dict[str, list[LedgerBefore]] = {}
    same = and_(ledger_history.c.station == jobs.c.station, ledger_history.c.job == jobs.c.id)
    query = select(jobs.c.id.label("job"), ledger_history.c.before).join(ledger_history, same)
    for row in tx.rows(query.order_by(ledger_history.c.number), jobs.c.id, job_ids) if job_ids else ():
        parts.setdefault(row.job, []).append(unpacked(LedgerBefore, row.before))
    return {job: _first(found) for job, found in parts.items()}


def _first(parts: Sequence[LedgerBefore]) -> LedgerBefore:
    """What the first of several changes of a ledger found of each node."""
    if len(parts) == 1:
        return parts[0]
    entries: dict[Path, LedgerEntry | None] = {}
    for part in reversed(parts):
        entries |= dict.fromkeys(part.absent) | {entry.path: entry for entry in part.entries}
    known = tuple(entry for entry in entries.values() if entry is not None)
    return LedgerBefore(entries=known, absent=tuple(sorted(path for path, entry in entries.items() if entry is None)))


_Made = dict[str, tuple[Change, ...]]


def _left(tx: Tx, found: Sequence[Row[Any]]) -> tuple[_Made, _Made, frozenset[str]]:
    """Changes that jobs made on their stations and did not take back, in order; and those of which nobody knows.

    The third part is jobs with an operation of which nobody knows how it ended.
    """
    # A plan may be applied again after it was taken back.
    planned: dict[tuple[str, str], list[str]] = {}
    diverged = {row.id for row in found if row.outcome == _DIVERGED or row.found == _LATE}
    for row in found:
        if not row.playbook and (row.outcome == _SUCCEEDED or row.id in diverged):
            planned.setdefault((row.plan, row.station), []).append(row.id)
    left: dict[str, list[Change]] = {}
    unsure: dict[str, list[Change]] = {}
    for job, change in _of_plans(tx, planned):
        (unsure if job in diverged else left)[job] = [change]
    query = select(steps).order_by(steps.c.job, steps.c.position)
    rows = list(tx.rows(query, steps.c.job, [row.id for row in found if row.playbook]))
    done: dict[str, list[StepRecord]] = {}
    for row in rows:
        if row.change is not None:
            done.setdefault(row.job, []).append(as_step(row))
    for job, its in done.items():
        if made := [row.change for row in carrying(its) if row.changed and row.change is not None]:
            left[job] = made
    open_ended = [
        row
        for row in rows
        if row.job in diverged and (row.outcome == _DIVERGED or row.state == StepState.STARTED.value)
    ]
    for row in open_ended:
        if not row.undo and row.change is not None:
            unsure.setdefault(row.job, []).append(unpacked(Change, row.change))
    return _fixed(left), _fixed(unsure), frozenset(row.job for row in open_ended if row.operations)


def _fixed(made: Mapping[str, Sequence[Change]]) -> _Made:
    return {job: tuple(changes) for job, changes in made.items()}


def _undoes(tx: Tx, plan: str) -> str:
    head = tx.execute(select(plans.c.head).where(plans.c.id == plan)).scalar_one()
    return str(orjson.loads(zlib.decompress(head))["undoes"])


def _of_plans(tx: Tx, planned: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[tuple[str, Change]]:
    by_plan: dict[str, list[str]] = {}
    for plan, station in planned:
        by_plan.setdefault(plan, []).append(station)
    for plan, stations in by_plan.items():
        query = select(changes.c.station, changes.c.content).where(changes.c.plan == plan)
        for row in tx.rows(query, changes.c.station, stations):
            change = unpacked(Change, row.content)
            for job in planned[plan, row.station]:
                yield job, change
