"""What playbooks need from outside: their part of the record, and a webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from controller.models.run import Run
from controller.models.step import StepRecord

if TYPE_CHECKING:
    from controller.ports.store import Claim


class PlaybookRecords(Protocol):
    """Texts of playbooks, and steps; a part of ``Store``."""

    def playbook_text(self, digest: str) -> str:
        """Text of a playbook that some run was accepted with. Raises NotFoundError."""
        ...

    def run_of_key(self, idempotency_key: str, person: str) -> Run | None:
        """The run that was accepted with a person's key, or None; others' keys are others, whatever they say."""
        ...

    def write_step(self, step: StepRecord, claim: Claim) -> None:
        """Keep a step as it now is; the very same step again changes nothing.

        Raises:
            LeaseLostError: The claim's fence is no longer the newest, or its incarnation was buried.
        """
        ...

    def steps(self, job: str) -> list[StepRecord]:
        """Steps of a job in order, each followed by its undoing."""
        ...


class Webhook(Protocol):
    """Tells another program of something."""

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Post JSON, at least once; the same ``key`` marks repetitions. Raises MinkaError if it was not taken."""
        ...


class FakeWebhook:
    """The shipped fake: remembers by key what was posted."""

    def __init__(self) -> None:
        self.sent: dict[str, dict[str, Any]] = {}

    async def post(self, content: Mapping[str, Any], key: str) -> None:
        """Remember it."""
        self.sent[key] = dict(content)
