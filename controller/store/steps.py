"""Playbooks of runs and their steps."""

from __future__ import annotations

import zlib
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Row, select

from controller.models.equipment import Operation
from controller.models.errors import NotFoundError
from controller.models.packing import packed, unpacked
from controller.models.plan import Change
from controller.models.run import PERSON, Run
from controller.models.step import StepRecord, StepState
from controller.ports.store import Claim
from controller.store.involvement import note_run
from controller.store.journals import check_lease
from controller.store.runs import load_run, whose_key
from controller.store.tables import playbooks, runs, steps
from controller.store.transaction import Transactions, Tx, reads, writes

_OPERATIONS = TypeAdapter(tuple[Operation, ...])
_KEY = ("job", "position", "undo")


class StepRecords(Transactions):
    """See ``controller.ports.playbooks.PlaybookRecords``."""

    @reads
    def playbook_text(self, tx: Tx, digest: str) -> str:
        """See ``PlaybookRecords.playbook_text``."""
        content = tx.execute(select(playbooks.c.content).where(playbooks.c.digest == digest)).scalar()
        if content is None:
            raise NotFoundError(f"no run has a playbook {digest}")
        return zlib.decompress(content).decode()

    @reads
    def run_of_key(self, tx: Tx, idempotency_key: str, person: str) -> Run | None:
        """See ``PlaybookRecords.run_of_key``."""
        key = whose_key(PERSON, person, idempotency_key)
        found = tx.execute(select(runs.c.id).where(runs.c.idempotency_key == key)).scalar()
        return None if found is None else load_run(tx, found)

    @writes
    def write_step(self, tx: Tx, step: StepRecord, claim: Claim) -> None:
        """See ``PlaybookRecords.write_step``."""
        check_lease(tx, claim)
        row = _as_row(step)
        values = {name: value for name, value in row.items() if name not in _KEY}
        tx.execute(tx.insert(steps).values(row).on_conflict_do_update(index_elements=_KEY, set_=values))
        if step.change is not None:
            note_run(tx, claim.run.id, (step.change,))
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
    def steps(self, tx: Tx, job: str) -> list[StepRecord]:
        """See ``PlaybookRecords.steps``."""
        rows = tx.execute(select(steps).where(steps.c.job == job).order_by(steps.c.position, steps.c.undo))
        return [_as_step(row) for row in rows]


def _as_row(step: StepRecord) -> dict[str, Any]:
    return step.model_dump(exclude={"change", "operations", "inputs", "output", "state", "outcome"}) | {
        "state": step.state.value,
        "outcome": step.outcome and step.outcome.value,
        "inputs": orjson.dumps(step.inputs, option=orjson.OPT_SORT_KEYS).decode(),
        "output": orjson.dumps(step.output, option=orjson.OPT_SORT_KEYS).decode(),
        "change": None if step.change is None else packed(step.change),
        "operations": _OPERATIONS.dump_json(step.operations).decode() if step.operations else "",
    }


def _as_step(row: Row[Any]) -> StepRecord:
    change = None if row.change is None else unpacked(Change, row.change)
    values = dict(row._mapping) | {"change": change, "inputs": orjson.loads(row.inputs)}
    operations = _OPERATIONS.validate_json(row.operations) if row.operations else ()
    return StepRecord(**values | {"output": orjson.loads(row.output), "operations": operations})
