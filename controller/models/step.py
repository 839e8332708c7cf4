"""Steps of playbook runs on record: intent and outcome."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime

from controller.models.equipment import Operation
from controller.models.network import Noun
from controller.models.plan import Change
from controller.models.run import Outcome


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
        inputs: Inputs of the action, with expressions evaluated.
        change: The step's change of the device, if there is one; on record before it is sent.
        operations: Its operations on the device; on record before they are sent.
        output: Output of the action.
        outcome: How the device transaction ended, if there was one.
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
    output: dict[str, Any] = {}
    outcome: Outcome | None = None
    detail: str = ""
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
        return f"{self.position}{'u' if self.undo else ''}.{self.attempt}"


class RunPlaybook(Noun):
    """The playbook of a run as it was when the run was accepted, with its parameters.

    Attributes:
        digest: SHA-256 of the text, hex.
        text: The YAML file, whole.
        parameters: By name, in plain JSON values.
    """

    name: str
    digest: str
    text: str
    parameters: dict[str, Any] = {}
