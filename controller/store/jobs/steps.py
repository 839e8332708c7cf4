"""Steps of jobs that execute playbooks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    bindparam,
    false,
    select,
)

from controller.models.claim import Claim
from controller.models.equipment import Operation
from controller.models.packing import packed, unpacked
from controller.models.plan import Change
from controller.models.step import StepRecord, StepState, transaction_of
from controller.plan import carried
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import INSERTS
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx
from controller.store.jobs.involvement import note_change
from controller.store.network.leases import RESERVED, check_lease, leases

steps = Table(
    "steps",
    metadata,
    Column("job", String, ForeignKey("jobs.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("undo", Boolean, primary_key=True),
    string("name"),
    string("action"),
    string("state"),
    Column("attempt", Integer, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("change", LargeBinary),
    # JSON; empty if there are none.
    long_text("operations"),
    long_text("sent"),
    Column("output", Text, nullable=False),
    Column("outcome", String),
    long_text("detail"),
    Column("beyond", Boolean, nullable=False, server_default=false()),
    # Whether it may wait for long and does nothing meanwhile (a person's answer, the end of a soak).
    Column("waits", Boolean, nullable=False, server_default=false()),
    Column("started", Instant, nullable=False),
    Column("finished", Instant),
)

_OPERATIONS = TypeAdapter(tuple[Operation, ...])
_KEY = ("job", "position", "undo")
_WRITTEN = {
    dialect: (row := insert(steps)).on_conflict_do_update(
        index_elements=_KEY,
        set_={column.name: row.excluded[column.name] for column in steps.c if column.name not in _KEY},
    )
    for dialect, insert in INSERTS.items()
}
_CHANGED = select(steps).where(steps.c.change.is_not(None)).order_by(steps.c.job, steps.c.position, steps.c.undo)
_BEGUN = select(
    steps.c.job,
    steps.c.position,
    steps.c.undo,
    steps.c.attempt,
    steps.c.operations,
    steps.c.change.is_not(None).label("changes"),
).where(steps.c.state == StepState.STARTED.value)
_OF_JOB = select(steps).where(steps.c.job == bindparam("of")).order_by(steps.c.position, steps.c.undo)


class Steps(Repository[M_co]):
    """Steps of jobs that execute playbooks."""

    @writes
    def write(self, tx: Tx, step: StepRecord, claim: Claim) -> None:
        """Keep a step in its current state; an equal step changes nothing.

        Raises:
            LeaseLostError: The claim's fence is no longer the newest, or its incarnation was declared dead.
        """
        check_lease(tx, claim)
        tx.execute(_WRITTEN[tx.dialect], _as_row(step))
        if step.change is not None:
            note_change(tx, claim.run.id, step.change)
        if step.state is not StepState.STARTED:
            tx.note(
                claim.incarnation,
                "step.undone" if step.undo else "step.finished",
                f"{step.job}.{step.position}",
                step=step.name,
                does=step.action,
                state=step.state.value,
                outcome=step.outcome and step.outcome.value,
                requested_by=claim.run.requested_by,
                detail=step.detail,
            )

    @reads
    def find(self, tx: Tx, job: str) -> list[StepRecord]:
        """Steps of a job in order, each followed by its undoing."""
        rows = tx.execute(_OF_JOB, {"of": job})
        return [as_step(row) for row in rows]

    @reads
    def carried(self, tx: Tx, stations: Iterable[str]) -> dict[str, tuple[Change, ...]]:
        """Changes that stations carry by jobs that have not ended, in order; they are not in the ledger yet."""
        at = {row.job: row.station for row in tx.rows(RESERVED, leases.c.station, stations)}
        made: dict[str, list[StepRecord]] = defaultdict(list)
        for row in tx.rows(_CHANGED, steps.c.job, at) if at else ():
            made[at[row.job]].append(as_step(row))
        return {station: changes for station, rows in made.items() if (changes := tuple(carried(rows)))}


def carried_by(tx: Tx, jobs: Collection[str]) -> Iterator[tuple[Change, ...]]:
    """Changes that devices carry by the steps of jobs, in order, job by job."""
    made: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in tx.rows(_CHANGED, steps.c.job, jobs) if jobs else ():
        made[row.job].append(row)
    return (tuple(carried(map(as_step, rows))) for rows in made.values())


def acting(tx: Tx, jobs: Collection[str]) -> Iterator[tuple[str, str, bool]]:
    """Steps that are about to change their device or to interrupt service there, or do so.

    Their jobs and transactions, and whether the device may not be reached meanwhile.
    """
    for row in tx.rows(_BEGUN, steps.c.job, jobs) if jobs else ():
        operations = _unpacked(row.operations)
        if row.changes or any(operation.kind.interrupts for operation in operations):
            restarts = any(operation.kind.restarts for operation in operations)
            yield row.job, transaction_of(row.position, row.attempt, undo=row.undo), restarts


def _as_row(step: StepRecord) -> dict[str, Any]:
    return step.model_dump(exclude={"change", "operations", "sent", "inputs", "output", "state", "outcome"}) | {
        "state": step.state.value,
        "outcome": step.outcome and step.outcome.value,
        "inputs": orjson.dumps(step.inputs, option=orjson.OPT_SORT_KEYS).decode(),
        "output": orjson.dumps(step.output, option=orjson.OPT_SORT_KEYS).decode(),
        "change": None if step.change is None else packed(step.change),
        "operations": _packed(step.operations),
        "sent": _packed(step.sent),
    }


def as_step(row: Row[Any]) -> StepRecord:
    """A step from its row."""
    change = None if row.change is None else unpacked(Change, row.change)
    values = dict(row._mapping) | {"change": change, "inputs": orjson.loads(row.inputs)}
    acts = {"operations": _unpacked(row.operations), "sent": _unpacked(row.sent)}
    return StepRecord(**values | {"output": orjson.loads(row.output)} | acts)


def _packed(operations: tuple[Operation, ...]) -> str:
    return _OPERATIONS.dump_json(operations).decode() if operations else ""


def _unpacked(content: str) -> tuple[Operation, ...]:
    return _OPERATIONS.validate_json(content) if content else ()
