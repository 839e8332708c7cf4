"""Questions of runs to people."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, ForeignKey, Row, String, Table, Text, select, update

from controller.models.claim import Claim
from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.question import Question
from controller.store.database.columns import Instant, metadata
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx
from controller.store.jobs.run_rows import ACTIVE, jobs, load_run, runs
from controller.store.network.leases import check_lease

questions = Table(
    "questions",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", String, ForeignKey("runs.id"), nullable=False, index=True),
    Column("step", String, nullable=False),
    Column("station", String, nullable=False),
    Column("text", Text, nullable=False),
    # A JSON array.
    Column("choices", Text, nullable=False),
    Column("default", String, nullable=False),
    Column("asked", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("answer", Text, nullable=False, server_default=""),
    Column("by", String, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("answered", Instant),
)

#: Actor of answers by default.
NOBODY = "nobody"


class Questions(Repository[M_co]):
    """Questions of runs to people."""

    @writes
    def ask(self, tx: Tx, question: Question, claim: Claim) -> Question:
        """Ask a question, unless it was asked before; returns it as it is now. Raises LeaseLostError."""
        check_lease(tx, claim)
        row = question.model_dump() | {"choices": orjson.dumps(question.choices).decode()}
        made = tx.insert(questions).values(row).on_conflict_do_nothing(index_elements=["id"])
        if tx.execute(made.execution_options(preserve_rowcount=True)).rowcount:
            tx.note(claim.incarnation, "question.asked", question.id, text=question.text)
        return _load(tx, question.id)

    @writes
    def answer(self, tx: Tx, run: str, answer: str, *, actor: str, reason: str = "", question: str = "") -> Question:
        """Answer the open question of a run, or one of several by its id; jobs that wait for it go on.

        Raises:
            NotFoundError: The run has no such open question.
            ConflictError: It has several, and none was named.
            InputError: The answer is not among the choices.
        """
        load_run(tx, run, lock=True)
        query = select(questions.c.id).where(questions.c.run == run, *is_open(tx))
        found = sorted(tx.execute(query.where(questions.c.id == question) if question else query).scalars())
        if not found:
            raise NotFoundError(f"run {run} has no open question {question}".rstrip())
        if len(found) > 1:
            raise ConflictError(f"run {run} has several open questions; name one: {', '.join(found)}")
        asked = _load(tx, found[0])
        if not answer or (asked.choices and answer not in asked.choices):
            raise InputError(
                f"{answer!r} is no answer to {asked.text!r}: {' or '.join(asked.choices) or 'say something'}"
            )
        return _settle(tx, asked, answer, actor, reason)

    @writes
    def take_default(self, tx: Tx, question: str) -> Question:
        """Answer a question by its default, since nobody did; an answer that came meanwhile stays."""
        asked = _load(tx, question)
        load_run(tx, asked.run, lock=True)
        asked = _load(tx, question)
        return asked if asked.answered else _settle(tx, asked, asked.default, NOBODY, "nobody answered in time")

    @reads
    def find(self, tx: Tx, run: str = "", *, unanswered: bool = True) -> list[Question]:
        """Questions of active runs, or of one run in any state, oldest first.

        Raises:
            NotFoundError: There is no such run.
        """
        if run:
            load_run(tx, run)
        query = select(questions).join(runs, runs.c.id == questions.c.run)
        query = query.where(questions.c.run == run) if run else query.where(runs.c.state.in_(ACTIVE))
        if unanswered:
            query = query.where(*is_open(tx))
        return [as_question(row) for row in tx.execute(query.order_by(questions.c.asked, questions.c.id))]


def is_open(tx: Tx) -> tuple[ColumnElement[bool], ...]:
    """Conditions of questions that somebody can still answer."""
    return questions.c.answered.is_(None), questions.c.until > tx.now


def _settle(tx: Tx, asked: Question, answer: str, by: str, reason: str) -> Question:
    values = {"answer": answer, "by": by, "reason": reason, "answered": tx.now}
    tx.execute(update(questions).where(questions.c.id == asked.id).values(values))
    tx.execute(update(jobs).where(jobs.c.run == asked.run, jobs.c.rests.is_not(None)).values(rests=None))
    tx.note(by, "question.answered", asked.id, answer=answer, reason=reason)
    return _load(tx, asked.id)


def _load(tx: Tx, question: str) -> Question:
    row = tx.execute(select(questions).where(questions.c.id == question)).one_or_none()
    if row is None:
        raise NotFoundError.of("question", question)
    return as_question(row)


def as_question(row: Row[Any]) -> Question:
    """Make a question of a row."""
    return Question(**dict(row._mapping) | {"choices": tuple(orjson.loads(row.choices))})
