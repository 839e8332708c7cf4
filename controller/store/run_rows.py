"""Rows of runs and their jobs, and the nouns that they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    bindparam,
    case,
    exists,
    func,
    select,
    text,
)

from controller.models.errors import NotFoundError
from controller.models.run import PERSON, GateChoice, Job, JobState, Outcome, Run, RunState, Strategy
from controller.store.columns import Instant, long_text, metadata, string
from controller.store.leases import leases
from controller.store.transaction import Tx

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    string("procedure"),
    Column("plan", String, ForeignKey("plans.id"), nullable=False),
    string("network_digest"),
    Column("state", String, nullable=False, index=True),
    Column("strategy", Text, nullable=False),
    string("cause"),
    string("requested_by"),
    # The tenant that it is about, or the host: sides take turns.
    Column("side", String, nullable=False, server_default="host"),
    long_text("reason"),
    Column("created", Instant, nullable=False),
    Column("started", Instant),
    Column("finished", Instant),
    # Why nothing more may begin, whatever failures the strategy bears; empty while that is not so.
    long_text("halted"),
    Column("wave", Integer, nullable=False),
    Column("waves", Integer, nullable=False),
    Column("idempotency_key", String, unique=True),
)

#: Texts of playbooks that runs were accepted with: a file that changes later changes no run.
playbooks = Table(
    "playbooks",
    metadata,
    Column("digest", String, primary_key=True),
    string("name"),
    Column("content", LargeBinary, nullable=False),
)

run_playbooks = Table(
    "run_playbooks",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("digest", String, ForeignKey("playbooks.digest"), nullable=False),
    Column("parameters", Text, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", String, ForeignKey("runs.id"), nullable=False),
    Column("wave", Integer, nullable=False),
    string("station"),
    long_text("unit"),
    Column("rank", Integer, nullable=False, server_default="0"),
    # How often it, or its unit or wave, was postponed.
    Column("round", Integer, nullable=False, server_default="0"),
    string("state"),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String),
    long_text("detail"),
    # Why it may not begin, empty if it may; and when the window that it may work in closes.
    long_text("blocked"),
    Column("closes", Instant),
    Column("ready", Instant),
    Column("started", Instant),
    Column("finished", Instant),
    Column("incarnation", String),
    # Until when it waits without a worker, unless woken; it keeps its device if it has begun.
    Column("rests", Instant),
    # Since when its device could not be reached or was busy, where it is tried again.
    Column("deferred", Instant),
    # The gate at which its device stands, prepared and verified, and when the device reverts by itself there.
    Column("gate", Integer),
    Column("gate_until", Instant),
    Index("ix_jobs_run_wave_station", "run", "wave", "station", unique=True),
    Index("ix_jobs_state_run", "state", "run"),
    Index("ix_jobs_station_finished", "station", "finished"),
    # One writer per device, whatever the code above believes.
    Index(
        "ix_jobs_claimed_station",
        "station",
        unique=True,
        sqlite_where=text("state = 'claimed'"),
        postgresql_where=text("state = 'claimed'"),
    ),
)

_JOB = (
    *("id", "run", "wave", "station", "unit", "rank", "round", "state", "attempts", "gate", "gate_until", "choice"),
    *("outcome", "detail", "deferred", "blocked", "closes", "started", "finished"),
)
#: The same for all: by itself each noun would keep a set of its own, as large as its values together.
_SET = set(_JOB)
#: Of the table, all that a job is made of: each column less is quicker to read, and a run has thousands of jobs.
JOB_COLUMNS = [jobs.c[name] for name in _JOB if name in jobs.c]
_RUNS = select(runs)
_RUN = _RUNS.where(runs.c.id == bindparam("run"))
_RUN_LOCKED = _RUN.with_for_update(key_share=True)
_PLAYBOOKS = select(run_playbooks)
_UNBEGUN = jobs.c.state.in_([JobState.WAITING.value, JobState.READY.value])
_GROUPS = (jobs.c.run, jobs.c.outcome, case((_UNBEGUN, jobs.c.blocked), else_="").label("blocked"))
_COUNTS = select(*_GROUPS, func.count().label("number")).group_by(*_GROUPS)
#: States of runs that are not terminal.
ACTIVE = tuple(state.value for state in RunState if not state.terminal)
#: Act on record when a person pauses a run.
PAUSE = "run.pause-requested"


def load_run(tx: Tx, run_id: str, *, lock: bool = False) -> Run:
    """A run with its counts, its row locked if asked (without keeping jobs from referring to it)."""
    row = tx.execute(_RUN_LOCKED if lock else _RUN, {"run": run_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no run {run_id}")
    return as_runs(tx, [row])[0]


def load_runs(tx: Tx, run_ids: Iterable[str]) -> list[Run]:
    """Runs with their counts, in the order of their acceptance."""
    rows = tx.rows(_RUNS, runs.c.id, run_ids)
    return as_runs(tx, sorted(rows, key=lambda row: row.number))


def as_job(row: Row[Any], choice: GateChoice | None = None) -> Job:
    """A row as the noun; a run has thousands of them, which are read again and again."""
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
        choice,
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


def as_runs(tx: Tx, rows: Sequence[Row[Any]]) -> list[Run]:
    """Rows as nouns, with their counts."""
    counts: dict[str, dict[str, int]] = {row.id: {} for row in rows}
    waits: dict[str, dict[str, int]] = {row.id: {} for row in rows}
    for row in tx.rows(_COUNTS, jobs.c.run, counts):
        outcome = row.outcome or "pending"
        counts[row.run][outcome] = counts[row.run].get(outcome, 0) + row.number
        if row.blocked:
            waits[row.run][row.blocked] = row.number
    used = {row.run: row for row in tx.rows(_PLAYBOOKS, run_playbooks.c.run, counts)}
    return [
        Run(
            id=row.id,
            procedure=row.procedure,
            plan=row.plan,
            state=RunState(row.state),
            strategy=_strategy(row.strategy),
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


#: Runs are read again and again.
_strategy = lru_cache(maxsize=1 << 8)(Strategy.model_validate_json)


def whose_key(cause: str, actor: str, key: str) -> str:
    """A key as it is kept: of a person, or of the alarm that a run is for; neither has a blank in its name."""
    return f"{actor if cause == PERSON else cause} {key}"


def reserved() -> ColumnElement[bool]:
    """Whether a job's device waits for just this job to recover its transaction."""
    return exists().where(leases.c.job == jobs.c.id, leases.c.station == jobs.c.station)
