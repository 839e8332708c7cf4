"""Steps of playbook runs on record: intent and outcome."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime

from controller.models.equipment import Operation
from controller.models.network import Noun
from controller.models.plan import Change
from controller.models.run import Outcome

#: Action of an undo where the playbook names none: the inverse of the step's change.
INVERSE = "inverse"


class StepState(StrEnum):
    """State of a step on one station. All but ``started`` are final."""

    STARTED = "started"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class StepRecord(Noun):
    """One step of a playbook on one station, written before and after its act.

    Attributes:
        position: Index of the step in the playbook, from 0.
        undo: Whether this is the undoing of the step, and not the step itself.
        attempt: Number of the try, from 1; part of the device transaction's name.
        inputs: Inputs of the action, with expressions evaluated; secrets by the names of their credentials.
        change: The step's change of the device, if there is one; on record before it is sent.
        operations: Its operations on the device; on record before they are sent.
        sent: Those that were sent, by this attempt and by all before it, whatever came of them.
        output: Output of the action.
        outcome: How the device transaction ended, if there was one.
        beyond: Whether it diverged in more than the change edits, such as nodes that are gone though nobody asked.
        waits: Whether it is one that may wait for long and does nothing meanwhile: for a person's answer, or for the
            end of a soak.
    """

    job: str
    position: int
    undo: bool = False
    name: str
    action: str
    state: StepState
    attempt: int = 1
    inputs: dict[str, Any] = {}
    change: Change | None = None
    operations: tuple[Operation, ...] = ()
    sent: tuple[Operation, ...] = ()
    output: dict[str, Any] = {}
    outcome: Outcome | None = None
    detail: str = ""
    beyond: bool = False
    waits: bool = False
    started: AwareDatetime
    finished: AwareDatetime | None = None

    @property
    def changed(self) -> bool:
        """Whether the step changed the device."""
        return self.acts and self.outcome is Outcome.SUCCEEDED

    @property
    def acts(self) -> bool:
        """Whether the step has anything to do on the device."""
        return self.change is not None or bool(self.operations)

    @property
    def transaction(self) -> str:
        """Suffix that distinguishes the step's device transaction from others of its job."""
        return transaction_of(self.position, self.attempt, undo=self.undo)


def transaction_of(position: int, attempt: int, *, undo: bool) -> str:
    """Suffix of the device transaction of a step (``StepRecord.transaction``)."""
    return f"{position}{'u' if undo else ''}.{attempt}"


class RunPlaybook(Noun):
    """The playbook of a run as it was when the run was accepted, with its parameters.

    Attributes:
        digest: SHA-256 of the text, hex.
        text: The YAML file, whole.
        parameters: By name, in plain JSON values; of secrets, the names of their credentials.
    """

    name: str
    digest: str
    text: str
    parameters: dict[str, Any] = {}
