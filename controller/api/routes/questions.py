"""Questions that runs ask people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, cut
from controller.models.people import Permission, Person
from controller.models.question import Question

router = Router(prefix="/v1/questions", tags=["questions"])


class Answer(Body):
    """An answer, its question where the run has several, and a reason."""

    run: str
    answer: str = Field(min_length=1, max_length=4000)
    question: str = ""
    reason: str = ""


@router.get("")
def questions(
    backend: Backend,
    paging: Paging,
    _: Annotated[Person, needs(Permission.OVERSEE)],
    run: str = "",
    every: bool = False,
) -> Listing[Question]:
    """Open questions, of active runs or of one run; ``every`` also lists answered ones."""
    return cut(backend.store.questions.find(run, unanswered=not every), paging)


@router.post("")
def answer(asked: Answer, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> Question:
    """Answer a question; the run continues. The first answer counts."""
    answered = backend.store.questions.answer(
        asked.run, asked.answer, actor=who.name, reason=asked.reason, question=asked.question
    )
    backend.wakeups.wake_workers(asked.run)
    return answered
