"""Rows of runs and their jobs, and the nouns made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import (
    Boolean,
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
    false,
    func,
    select,
    text,
    true,
)

from controller.models.errors import NotFoundError
from controller.models.run import PERSON, FoundState, GateChoice, Job, JobState, Outcome, Run, RunState, Strategy
from controller.models.stopping import StopReason
from controller.models.waiting import WaitReason, words
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.transaction import Tx
from controller.store.network.leases import leases

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
    # The tenant that the run is about, or the host: sides take turns.
    Column("side", String, nullable=False, server_default="host"),
    long_text("reason"),
    Column("created", Instant, nullable=False),
    Column("started", Instant),
    Column("finished", Instant),
    # Why nothing more may begin, as JSON (``packed_stop``); empty if work may go on.
    long_text("stopped"),
    # Whether its plan follows from network files; from when it has to be judged by those in force; and since when a
    # part of it does not follow from them.
    Column("from_files", Boolean, nullable=False, server_default=true()),
    Column("judge_from", Instant),
    Column("outdated", Instant),
    Column("wave", Integer, nullable=False),
    Column("waves", Integer, nullable=False),
    Column("idempotency_key", String, unique=True),
)

#: Texts of playbooks that runs were accepted with: a later change of the file does not change a run.
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
    # How often the job, or its unit or wave, was postponed.
    Column("round", Integer, nullable=False, server_default="0"),
    string("state"),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String),
    long_text("detail"),
    # Why it may not begin, as JSON (``packed_reasons``), empty if it may; when the window that it may work in closes.
    long_text("reasons"),
    Column("closes", Instant),
    # Since when what it should do does not follow from the network files in force: it never begins.
    Column("outdated", Instant),
    Column("ready", Instant),
    Column("started", Instant),
    Column("finished", Instant),
    Column("incarnation", String),
    # Until when it waits without a worker, unless woken; it keeps its device if it has begun.
    Column("rests", Instant),
    # Since when its device was unreachable or busy, while it is tried again.
    Column("deferred", Instant),
    # The gate at which its device is prepared and verified, and when the device reverts by itself there.
    Column("gate", Integer),
    Column("gate_until", Instant),
    # Whether it diverged in more than its changes.
    Column("beyond", Boolean, nullable=False, server_default=false()),
    # Whether it ended after it had sent operations that nobody asked for twice.
    Column("operated", Boolean, nullable=False, server_default=false()),
    # Whether its device answered ok and carried nothing of it then.
    Column("unseen", Boolean, nullable=False, server_default=false()),
    Column("unanswered", Boolean, nullable=False, server_default=false()),
    # Whether nobody could read its device back at its end; the state in which a later reading found it, and when.
    Column("unread", Boolean, nullable=False, server_default=false()),
    Column("found", String),
    Column("found_at", Instant),
    Index("ix_jobs_run_wave_station", "run", "wave", "station", unique=True),
    Index("ix_jobs_state_run", "state", "run"),
    Index("ix_jobs_station_finished", "station", "finished"),
    Index(
        "ix_jobs_unseen",
        "station",
        sqlite_where=text("unseen OR unanswered"),
        postgresql_where=text("unseen OR unanswered"),
    ),
    # One writer for each device, even if the code above has a bug.
    Index(
        "ix_jobs_claimed_station",
        "station",
        unique=True,
        sqlite_where=text("state = 'claimed'"),
        postgresql_where=text("state = 'claimed'"),
    ),
)

#: Columns that a job is made of, and no others: reading fewer columns is quicker, and a run has thousands of jobs.
JOB_COLUMNS = [jobs.c[name] for name in Job.model_fields if name in jobs.c]
_NAMES = [column.name for column in JOB_COLUMNS]
_columns_of = attrgetter(*_NAMES)
_RUNS = select(runs)
_RUN = _RUNS.where(runs.c.id == bindparam("run"))
_RUN_LOCKED = _RUN.with_for_update(key_share=True)
_PLAYBOOKS = select(run_playbooks)
_UNBEGUN = jobs.c.state.in_([JobState.WAITING.value, JobState.READY.value])
_GROUPS = (jobs.c.run, jobs.c.outcome, case((_UNBEGUN, jobs.c.reasons), else_="").label("reasons"))
_COUNTS = select(*_GROUPS, func.count().label("number")).group_by(*_GROUPS)
#: States of runs that are not terminal.
ACTIVE = tuple(state.value for state in RunState if not state.terminal)
#: Action of the audit trail when a person pauses a run.
PAUSE = "run.pause-requested"
#: Action of the audit row with which somebody lets it go on.
RESUME = "run.resumed"


@lru_cache(maxsize=1 << 10)
def packed_reasons(reasons: tuple[WaitReason, ...]) -> str:
    """Reasons as their column has them, equal ones always the same; empty if there are none."""
    return (
        orjson.dumps([one.model_dump(mode="json", exclude_defaults=True) for one in reasons]).decode()
        if reasons
        else ""
    )


@lru_cache(maxsize=1 << 10)
def unpacked_reasons(text: str) -> tuple[WaitReason, ...]:
    """Reasons from their column; cached, since the jobs of a run share them."""
    return tuple(map(WaitReason.model_validate, orjson.loads(text))) if text else ()


def packed_stop(reason: StopReason) -> str:
    """Why a run begins nothing more, as its column has it."""
    return reason.model_dump_json(exclude_defaults=True)


def load_run(tx: Tx, run_id: str, *, lock: bool = False) -> Run:
    """Load a run with its counts; ``lock`` locks its row (without keeping jobs from referring to it)."""
    row = tx.execute(_RUN_LOCKED if lock else _RUN, {"run": run_id}).one_or_none()
    if row is None:
        raise NotFoundError.of("run", run_id)
    return as_runs(tx, [row])[0]


def load_runs(tx: Tx, run_ids: Iterable[str]) -> list[Run]:
    """Load runs with their counts, in the order of their acceptance."""
    rows = tx.rows(_RUNS, runs.c.id, run_ids)
    return as_runs(tx, sorted(rows, key=lambda row: row.number))


def as_job(row: Row[Any], choice: GateChoice | None = None) -> Job:
    """A row as the noun; a run has thousands of them, which are read again and again."""
    return _job(_columns_of(row), choice)


@lru_cache(maxsize=1 << 15)
def _job(columns: tuple[Any, ...], choice: GateChoice | None) -> Job:
    """Our own rows need no validation."""
    values: dict[str, Any] = dict.fromkeys(Job.model_fields)
    values.update(zip(_NAMES, columns, strict=True), choice=choice)
    values["state"] = JobState(values["state"])
    values["reasons"] = unpacked_reasons(values["reasons"])
    if values["outcome"] is not None:
        values["outcome"] = Outcome(values["outcome"])
    if values["found"] is not None:
        values["found"] = FoundState(values["found"])
    return Job.model_construct(**values)


def as_runs(tx: Tx, rows: Sequence[Row[Any]]) -> list[Run]:
    """Make runs of rows, with their counts."""
    counts: dict[str, dict[str, int]] = {row.id: {} for row in rows}
    waits: dict[str, dict[str, int]] = {row.id: {} for row in rows}
    for row in tx.rows(_COUNTS, jobs.c.run, counts):
        outcome = row.outcome or "pending"
        counts[row.run][outcome] = counts[row.run].get(outcome, 0) + row.number
        if why := words(unpacked_reasons(row.reasons)):
            waits[row.run][why] = waits[row.run].get(why, 0) + row.number
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
            stopped=StopReason.model_validate_json(row.stopped) if row.stopped else None,
            outdated=row.outdated,
            judge_from=row.judge_from,
            wave=row.wave,
            waves=row.waves,
            counts=counts[row.id],
            waits=waits[row.id],
            playbook=used[row.id].digest if row.id in used else "",
            parameters=orjson.loads(used[row.id].parameters) if row.id in used else {},
        )
        for row in rows
    ]


#: Cached, since runs are read again and again.
_strategy = lru_cache(maxsize=1 << 8)(Strategy.model_validate_json)


def whose_key(cause: str, actor: str, key: str) -> str:
    """An idempotency key as it is kept: with its person, or the alarm of the run. Neither name has a blank."""
    return f"{actor if cause == PERSON else cause} {key}"


def reserved() -> ColumnElement[bool]:
    """Whether a job's device is reserved for this job, which has to recover its transaction."""
    return exists().where(leases.c.job == jobs.c.id, leases.c.station == jobs.c.station)
