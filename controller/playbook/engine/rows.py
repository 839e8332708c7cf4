"""What the steps of a job that are on record say, whoever reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.models.plan import Change
from controller.models.run import Outcome
from controller.models.step import StepRecord, StepState
from controller.playbook.language.playbook import Step

#: Steps by position, and whether they are the undoing.
Rows = Mapping[tuple[int, bool], StepRecord]

#: Outcomes after which a change may be tried again: the station carries nothing of it.
_AGAIN = (Outcome.FAILED_SAFE, Outcome.ROLLED_BACK, Outcome.DEFERRED)
#: What a further try forgets of the one before.
_UNDONE: Mapping[str, Any] = {"change": None, "operations": (), "outcome": None}


def carried(rows: Rows) -> Iterator[Change]:
    """Changes that the station carries, and that were not undone."""
    for row in rows.values():
        back = rows.get((row.position, True))
        undone = row.undo or (back is not None and back.state is StepState.DONE)
        if row.change is not None and row.outcome is not None and row.outcome.good and not undone:
            yield row.change


def remarks(rows: Rows) -> list[str]:
    """What people should know of steps that went well."""
    found = [row for _, row in sorted(rows.items()) if row.state is StepState.DONE]
    return [f"{row.name}: {row.detail}" for row in found if row.detail and row.outcome is not Outcome.UNCHANGED]


def goes_on(step: Step, row: StepRecord, rows: Rows) -> bool:
    """Whether a step that failed is tried once more."""
    undoing = any(undo for _, undo in rows)
    return row.state is StepState.FAILED and row.attempt <= step.retries and row.outcome in _AGAIN and not undoing


def again(row: StepRecord) -> StepRecord:
    """A further try of a step."""
    return row.model_copy(update={"attempt": row.attempt + 1, "state": StepState.STARTED, **_UNDONE})
