"""What jobs wait for without a worker: a person's answer, the end of a soak; a part of ``Store``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from controller.models.question import Question
from controller.models.run import Wait

if TYPE_CHECKING:
    from controller.ports.store import Claim


@dataclass(frozen=True, slots=True)
class Resting:
    """A job that can do nothing until then, or until it is woken: it gives its worker free and keeps its device."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Soak:
    """How the soak of a wave stands.

    Attributes:
        pending: Jobs of the wave that have neither ended nor passed.
        failed: What failed first, by station and in words, or an empty string.
    """

    pending: int
    failed: str


class WaitingRecords(Protocol):
    """Questions, the soak of waves, and all that runs wait for."""

    def waits(self, run_ids: Collection[str]) -> dict[str, tuple[Wait, ...]]:
        """What each of these runs waits for, a pause first; runs that wait for nothing or have ended are left out."""
        ...

    def ask(self, question: Question, claim: Claim) -> Question:
        """Ask a question unless it was asked before; it as it stands now. Raises LeaseLostError."""
        ...

    def answer(self, run: str, answer: str, *, actor: str, reason: str = "", question: str = "") -> Question:
        """Answer the open question of a run, or one of several by its id; whoever waits for it goes on.

        Raises:
            NotFoundError: The run has no such open question.
            ConflictError: It has several, and none was named.
            InputError: The answer is none of the choices.
        """
        ...

    def take_default(self, question: str) -> Question:
        """Answer a question by its default, as nobody did; one that was answered meanwhile stays so."""
        ...

    def questions(self, run: str = "", *, unanswered: bool = True) -> list[Question]:
        """Questions of active runs, or of one run whatever its state, oldest first.

        Raises:
            NotFoundError: There is no such run.
        """
        ...

    def soaked(self, claim: Claim, position: int) -> Soak:
        """How the wave of a job stands whose verdicts are the steps at ``position``.

        With a failure, or none pending, those who wait for it are woken; a failure is the end of the run. Devices that
        come behind it in its unit may begin: it waits for them, and they for no more of it.
        """
        ...
