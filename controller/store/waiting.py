"""Questions to people, and the soak of waves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    ForeignKey,
    Row,
    Select,
    String,
    Table,
    Text,
    and_,
    exists,
    func,
    select,
    update,
)

from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.question import Question
from controller.models.run import JobState, RunState, Wait
from controller.models.step import StepState
from controller.ports.store import Claim
from controller.ports.waiting import Soak
from controller.runs.approval.clearance import who_can_end
from controller.store.journals import check_lease
from controller.store.requests import PAUSE
from controller.store.runs import ACTIVE, load_run
from controller.store.tables import Instant, audit, jobs, metadata, runs, steps
from controller.store.transaction import Transactions, Tx, reads, writes

questions = Table(
    "questions",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", String, ForeignKey("runs.id"), nullable=False, index=True),
    Column("step", String, nullable=False),
    Column("station", String, nullable=False),
    Column("text", Text, nullable=False),
    # As a JSON array.
    Column("choices", Text, nullable=False),
    Column("default", String, nullable=False),
    Column("asked", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("answer", Text, nullable=False, server_default=""),
    Column("by", String, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("answered", Instant),
)
#: Who answers where nobody did.
NOBODY = "nobody"


class WaitingRecords(Transactions):
    """See ``controller.ports.waiting.WaitingRecords``."""

    @writes
    def ask(self, tx: Tx, question: Question, claim: Claim) -> Question:
        """See ``WaitingRecords.ask``."""
        check_lease(tx, claim)
        row = question.model_dump() | {"choices": orjson.dumps(question.choices).decode()}
        made = tx.insert(questions).values(row).on_conflict_do_nothing(index_elements=["id"])
        if tx.execute(made.execution_options(preserve_rowcount=True)).rowcount:
            tx.note(claim.incarnation, "question.asked", question.id, text=question.text)
        return _load(tx, question.id)

    @writes
    def answer(self, tx: Tx, run: str, answer: str, *, actor: str, reason: str = "", question: str = "") -> Question:
        """See ``WaitingRecords.answer``."""
        load_run(tx, run, lock=True)
        query = select(questions.c.id).where(questions.c.run == run, *_open(tx))
        found = sorted(tx.execute(query.where(questions.c.id == question) if question else query).scalars())
        if not found:
            raise NotFoundError(f"run {run} has no open question {question}".rstrip())
        if len(found) > 1:
            raise ConflictError(f"run {run} has several open questions, name one: {', '.join(found)}")
        asked = _load(tx, found[0])
        if not answer or (asked.choices and answer not in asked.choices):
            raise InputError(
                f"{answer!r} is no answer to {asked.text!r}: {' or '.join(asked.choices) or 'say something'}"
            )
        return _settle(tx, asked, answer, actor, reason)

    @writes
    def take_default(self, tx: Tx, question: str) -> Question:
        """See ``WaitingRecords.take_default``."""
        asked = _load(tx, question)
        load_run(tx, asked.run, lock=True)
        asked = _load(tx, question)
        return asked if asked.answered else _settle(tx, asked, asked.default, NOBODY, "nobody answered in time")

    @reads
    def questions(self, tx: Tx, run: str = "", *, unanswered: bool = True) -> list[Question]:
        """See ``WaitingRecords.questions``."""
        if run:
            load_run(tx, run)
        query = select(questions).join(runs, runs.c.id == questions.c.run)
        query = query.where(questions.c.run == run) if run else query.where(runs.c.state.in_(ACTIVE))
        if unanswered:
            query = query.where(*_open(tx))
        return [_as_question(row) for row in tx.execute(query.order_by(questions.c.asked, questions.c.id))]

    @reads
    def waits(self, tx: Tx, run_ids: Collection[str]) -> dict[str, tuple[Wait, ...]]:
        """See ``WaitingRecords.waits``."""
        active = and_(runs.c.id.in_(run_ids), runs.c.state.in_(ACTIVE))
        found: dict[str, list[Wait]] = {}
        for run, wait in (*_paused(tx, active), *_asking(tx, active), *_blocked(tx, active)):
            found.setdefault(run, []).append(wait)
        return {run: tuple(waits) for run, waits in found.items()}

    @writes
    def soaked(self, tx: Tx, claim: Claim, position: int) -> Soak:
        """See ``WaitingRecords.soaked``."""
        load_run(tx, claim.run.id, lock=True)
        _let_others_follow(tx, claim, position)
        wave = and_(jobs.c.run == claim.run.id, jobs.c.wave == claim.job.wave)
        verdict = and_(steps.c.job == jobs.c.id, steps.c.position == position, ~steps.c.undo)
        said = exists().where(verdict, steps.c.state.in_([StepState.DONE.value, StepState.FAILED.value]))
        waiting = select(func.count()).where(
            wave, jobs.c.state != JobState.DONE.value, ~said, jobs.c.unit.not_in(_late(claim))
        )
        failed = select(jobs.c.station, steps.c.detail).join(steps, verdict)
        first = tx.execute(
            failed.where(wave, steps.c.state == StepState.FAILED.value).order_by(steps.c.finished, jobs.c.id).limit(1)
        ).one_or_none()
        pending = int(tx.execute(waiting).scalar_one())
        if first is not None or not pending:
            tx.execute(update(jobs).where(wave, jobs.c.rests.is_not(None)).values(rests=None))
        detail = "" if first is None else f"{first.station}: {first.detail}"
        if first is not None and not claim.run.halted:
            # On record with the verdict that is acted upon: the run stops, whatever failures its strategy bears.
            halted = update(runs).where(runs.c.id == claim.run.id, runs.c.halted == "")
            tx.execute(halted.values(halted=f"the soak failed at {detail}"))
        return Soak(pending, detail)


def _paused(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs that a person paused: who did, and when, as the audit trail has it."""
    act = and_(audit.c.object == runs.c.id, audit.c.action == PAUSE)
    query = select(runs.c.id, runs.c.created, audit.c.at, audit.c.actor).outerjoin(audit, act)
    rows = tx.execute(query.where(active, runs.c.state == RunState.PAUSED.value).order_by(audit.c.id))
    for row in {row.id: row for row in rows}.values():  # the last pause of each
        by = f" by {row.actor}" if row.actor else ""
        yield row.id, Wait(what=f"paused{by}", since=row.at or row.created, who="whoever may run: minka resume")


def _asking(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Runs that ask people something."""
    query = select(questions).join(runs, runs.c.id == questions.c.run).where(active, *_open(tx))
    for row in tx.execute(query.order_by(questions.c.asked, questions.c.id)):
        asked = _as_question(row)
        choices = f" ({' or '.join(asked.choices)})" if asked.choices else ""
        what = f"asks: {asked.text}{choices}, until {asked.until:%Y-%m-%d %H:%M} UTC"
        who = f"whoever may run: minka answer {asked.run} … --question {asked.id}"
        yield asked.run, Wait(what=what, since=asked.asked, who=who, stations=int(bool(asked.station)))


def _blocked(tx: Tx, active: ColumnElement[bool]) -> Iterator[tuple[str, Wait]]:
    """Jobs that may not begin, by the reason, since when they would have."""
    unbegun = jobs.c.state.in_([JobState.WAITING.value, JobState.READY.value])
    since = func.min(func.coalesce(jobs.c.ready, runs.c.created), type_=Instant()).label("since")
    query = select(jobs.c.run, jobs.c.blocked, since, func.count().label("stations")).join(
        runs, runs.c.id == jobs.c.run
    )
    query = query.where(active, unbegun, jobs.c.blocked != "").group_by(jobs.c.run, jobs.c.blocked)
    for row in tx.execute(query.order_by(jobs.c.blocked)):
        who = who_can_end(row.blocked)
        yield row.run, Wait(what=row.blocked, since=row.since, who=who, stations=row.stations)


def _let_others_follow(tx: Tx, claim: Claim, position: int) -> None:
    """Stand as at a gate where devices of the unit come behind this one: the wave ends only with them."""
    mate = jobs.alias()
    behind = and_(mate.c.run == jobs.c.run, mate.c.wave == jobs.c.wave, mate.c.unit == jobs.c.unit)
    behind = and_(behind, mate.c.rank > jobs.c.rank, mate.c.state == JobState.WAITING.value)
    mine = and_(jobs.c.id == claim.job.id, jobs.c.gate.is_(None), exists().where(behind))
    tx.execute(update(jobs).where(mine).values(gate=position))


def _late(claim: Claim) -> Select[tuple[str]]:
    """Units of a job's wave of which a device was away and is tried again: the wave does not wait for them."""
    wave = and_(jobs.c.run == claim.run.id, jobs.c.wave == claim.job.wave)
    return select(jobs.c.unit).where(wave, jobs.c.deferred.is_not(None), jobs.c.state != JobState.DONE.value)


def _open(tx: Tx) -> tuple[ColumnElement[bool], ...]:
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
        raise NotFoundError(f"there is no question {question}")
    return _as_question(row)


def _as_question(row: Row[Any]) -> Question:
    return Question(**dict(row._mapping) | {"choices": tuple(orjson.loads(row.choices))})
