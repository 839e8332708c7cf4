"""Decisions about devices at a gate, and which devices begin again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    ForeignKey,
    Integer,
    Row,
    String,
    Table,
    and_,
    bindparam,
    delete,
    select,
    true,
    tuple_,
    update,
)

from controller.models.claim import Claim, JobResult
from controller.models.run import Decision, GateChoice, JobState, Outcome, Run
from controller.models.waiting import WaitCode, WaitReason
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.transaction import Tx
from controller.store.jobs.run_rows import jobs, packed_reasons
from controller.store.jobs.steps import steps


def decision_for(unit: str, round: int, gate: int | None, decisions: Iterable[Decision]) -> Decision | None:
    """The decision for a job at a gate, from the decisions of its wave; its unit's decisions go before the wave's.

    A group that was cancelled at one gate is also cancelled at all later ones, and before it reached any. A postponed
    group is decided again; a cancel holds in all later rounds.
    """
    known = [decision for decision in decisions if decision.unit in ("", unit)]
    for decision in known:
        if decision.choice is GateChoice.CANCEL and decision.round < round:
            return decision
    mine = [decision for decision in known if decision.round == round]
    here = [decision for decision in mine if decision.gate == gate] if gate is not None else []
    for choice in (GateChoice.CANCEL, GateChoice.POSTPONE):
        if against := [decision for decision in (here or mine) if decision.choice is choice]:
            return against[0]
    return next(iter(here), None)


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to be put on record; see ``controller.models.run.Decision``.

    A group that was confirmed at an earlier gate is not postponed but cancelled.
    """

    wave: int
    unit: str
    gate: int
    choice: GateChoice
    reason: str = ""
    round: int = 0


#: Decisions about devices that are at a gate together: made once in each round, and never changed. No row means cancel.
decisions = Table(
    "decisions",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("wave", Integer, primary_key=True, autoincrement=False),
    # Empty where the whole wave was decided.
    Column("unit", String, primary_key=True),
    Column("gate", Integer, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    string("choice"),
    Column("at", Instant, nullable=False),
    string("by"),
    long_text("reason"),
)

#: Why a job that is tried again may not begin yet; the next assessment says when it may (``ClearanceInput.away``).
_AWAY = packed_reasons((WaitReason(code=WaitCode.AWAY),))
_OF_WAVES = (
    select(decisions)
    .where(tuple_(decisions.c.run, decisions.c.wave).in_(bindparam("waves", expanding=True)))
    .order_by(*(decisions.c[name] for name in ("run", "wave", "unit", "round", "gate")))
)


@dataclass(frozen=True, slots=True)
class End:
    """A claim, and how it ends."""

    claim: Claim
    result: JobResult


def load_decisions(tx: Tx, waves: Iterable[tuple[str, int]]) -> list[Decision]:
    """Decisions about waves, each given as run and number; those of a unit in order of time."""
    chosen = sorted(set(waves))
    return [Decision(**row._mapping) for row in tx.execute(_OF_WAVES, {"waves": chosen})] if chosen else []


def choice_of(row: Row[Any], decided: Mapping[tuple[int, str], Sequence[Decision]]) -> GateChoice | None:
    """The decision that applies to a job, from the decisions of its run by wave and unit."""
    mine = (*decided.get((row.wave, row.unit), ()), *decided.get((row.wave, ""), ()))
    found = decision_for(row.unit, row.round, row.gate, mine) if mine else None
    return None if found is None else found.choice


def decide_on(tx: Tx, run: Run, new: NewDecision, by: str) -> int:
    """Put a decision on record, unless there is one. Returns 1 if it is new, else 0."""
    choice = _lawful(tx, run, new)
    row = {"run": run.id, "wave": new.wave, "unit": new.unit, "gate": new.gate, "round": new.round}
    insert = tx.insert(decisions).values(row | {"choice": choice.value, "at": tx.now, "by": by, "reason": new.reason})
    if tx.execute(insert.on_conflict_do_nothing().execution_options(preserve_rowcount=True)).rowcount != 1:
        return 0
    if choice is not GateChoice.CONFIRM:
        # Jobs of the group that rest have to act now. A unit does not wake those that it waits for.
        mine = and_(jobs.c.unit == new.unit, jobs.c.round == new.round) if new.unit else true()
        group = and_(jobs.c.run == run.id, jobs.c.wave == new.wave, mine)
        tx.execute(update(jobs).where(group, jobs.c.rests.is_not(None)).values(rests=None))
    detail = {"wave": new.wave, "unit": new.unit, "gate": new.gate, "round": new.round or None, "reason": new.reason}
    tx.note(by, f"gate.{choice}", run.id, **detail)
    return 1


def _lawful(tx: Tx, run: Run, new: NewDecision) -> GateChoice:
    """The choice of a new decision; a group that was confirmed at an earlier gate never begins again."""
    if new.choice is not GateChoice.POSTPONE:
        return new.choice
    group = and_(decisions.c.run == run.id, decisions.c.wave == new.wave, decisions.c.unit.in_({"", new.unit}))
    confirmed = and_(group, decisions.c.round == new.round, decisions.c.choice == GateChoice.CONFIRM.value)
    return GateChoice.CANCEL if tx.execute(select(decisions.c.gate).where(confirmed)).first() else new.choice


def again(detail: str) -> dict[str, Any]:
    """Values of a job that waits as if it had never begun, in the next round of its unit or wave."""
    nothing = dict.fromkeys(("started", "gate", "gate_until", "incarnation", "rests", "outcome", "finished"))
    return nothing | {"state": JobState.WAITING.value, "round": jobs.c.round + 1, "attempts": 0, "detail": detail}


def begun_anew(tx: Tx, ends: Iterable[End]) -> dict[str, dict[str, Any]]:
    """Values of jobs that begin again instead of ending, by id.

    These are jobs whose group was postponed, jobs whose result says so, and jobs whose device was unreachable or busy
    while their run is patient. A job that operated is left out: nobody asked for two restarts.

    Args:
        tx: The transaction.
        ends: Ends of jobs that left nothing on their devices.
    """
    chosen = [end for end in ends if not end.result.operated]
    decided: dict[tuple[str, int, str], list[Decision]] = {}
    for one in load_decisions(tx, ((end.claim.job.run, end.claim.job.wave) for end in chosen)):
        decided.setdefault((one.run, one.wave, one.unit), []).append(one)
    found: dict[str, dict[str, Any]] = {}
    for end in chosen:
        job = end.claim.job
        mine = [one for unit in (job.unit, "") for one in decided.get((job.run, job.wave, unit), ())]
        decision = decision_for(job.unit, job.round, None, mine)
        if away := _away(tx, end):
            found[job.id] = again(end.result.detail) | away
        elif end.result.again or (decision is not None and decision.choice is GateChoice.POSTPONE):
            found[job.id] = again(end.result.detail)
    return found


def _away(tx: Tx, end: End) -> dict[str, Any]:
    """When to try a job again whose device was unreachable or busy; empty if it was not, or if patience ran out."""
    if end.result.outcome is not Outcome.DEFERRED:
        return {}
    since = end.claim.job.deferred or tx.now
    again = end.claim.run.strategy.next_try(since, tx.now)
    return {} if again is None else {"deferred": since, "rests": again, "reasons": _AWAY}


def put_back(tx: Tx, which: ColumnElement[bool], values: Mapping[str, Any]) -> int:
    """Let jobs wait that left nothing on their devices; returns how many. Their steps remain on the audit trail only.

    One that began again with the steps that it had would end as it did before.
    """
    tx.execute(delete(steps).where(steps.c.job.in_(select(jobs.c.id).where(which))))
    return tx.execute(update(jobs).where(which).values(**values)).rowcount
