"""Modes of rules, and what rules proposed for alarms."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    ScalarSelect,
    String,
    Table,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from controller.models.alarm import CELL_UNSTABLE, Alarm, AlarmState
from controller.models.errors import ConflictError, NotFoundError
from controller.models.rule import Figures, Proposal, ProposalState, RuleGrant, RuleMode, likeness
from controller.store.alarms.alarm_rows import alarms, as_alarm
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import as_noun
from controller.store.database.repository import M_co, Page, Repository, reads, writes
from controller.store.database.transaction import Database, Tx

#: Modes as they were set, never deleted; the newest row of a rule and scope is in force.
rule_modes = Table(
    "rule_modes",
    metadata,
    Column("number", Integer, primary_key=True),
    string("rule"),
    string("scope"),
    string("mode"),
    string("by"),
    long_text("reason"),
    Column("at", Instant, nullable=False),
    string("digest"),
    Index("ix_rule_modes_rule_scope", "rule", "scope", "number"),
)

proposals = Table(
    "proposals",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("alarm", String, ForeignKey("alarms.id"), nullable=False),
    string("station"),
    string("rule"),
    string("digest"),
    Column("rung", Integer, nullable=False),
    string("mode"),
    string("scope"),
    string("playbook"),
    # JSON: a mapping, and a list.
    long_text("parameters"),
    string("state"),
    string("seen"),
    long_text("obstacle"),
    Column("at", Instant, nullable=False),
    string("by"),
    long_text("reason"),
    Column("decided", Instant),
    string("run"),
    long_text("before"),
    Column("after", Text),
    Column("ended", Instant),
    Column("holds", Float, nullable=False),
    Index("ix_proposals_alarm", "alarm", "number"),
    Index("ix_proposals_rule_state", "rule", "state", "number"),
    Index("ix_proposals_station", "station", "number"),
)

_LAST = select(rule_modes).order_by(rule_modes.c.number.desc()).limit(1)
_NEWEST = select(func.max(rule_modes.c.number)).group_by(rule_modes.c.rule, rule_modes.c.scope)
_GRANTS = select(rule_modes).where(rule_modes.c.number.in_(_NEWEST)).order_by(rule_modes.c.rule, rule_modes.c.scope)
_OF_ALARM = select(proposals).where(proposals.c.alarm == bindparam("alarm")).order_by(proposals.c.number)
#: States in which a rule's repairs ended.
_ENDED = (ProposalState.SUCCEEDED, ProposalState.FAILED)
_FINAL = (*_ENDED, ProposalState.DENIED, ProposalState.VOID, ProposalState.REFUSED, ProposalState.TOLD)


class Rules(Repository[M_co]):
    """Modes of rules, and their proposals and repairs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        #: The row that was set last, and the modes in force then: hundreds, if rules are promoted region by region.
        self._in_force: tuple[Row[Any] | None, tuple[RuleGrant, ...]] = (None, ())

    @reads
    def grants(self, tx: Tx) -> list[RuleGrant]:
        """Modes in force, by rule and scope; a rule without one has the mode in its file."""
        last, (known, found) = tx.execute(_LAST).one_or_none(), self._in_force
        if last != known:  # Rows are only added. On a restored record the last row is another one.
            found = tuple(as_noun(RuleGrant, row) for row in tx.execute(_GRANTS))
            self._in_force = (last, found)
        return list(found)

    @writes
    def set_mode(
        self, tx: Tx, rule: str, scope: str, mode: RuleMode, *, by: str, reason: str, digest: str
    ) -> RuleGrant:
        """Set the mode of a rule in a scope."""
        made = RuleGrant(rule=rule, scope=scope, mode=mode, by=by, reason=reason, at=tx.now, digest=digest)
        record = _figures(tx, rule)
        tx.execute(rule_modes.insert().values(made.model_dump() | {"mode": mode.value}))
        tx.note(
            by, "rule.mode-set", rule, scope=scope, mode=mode.value, reason=reason, digest=digest, **record.model_dump()
        )
        return made

    @writes
    def propose(self, tx: Tx, proposal: Proposal) -> Proposal:
        """Put a proposal of a rule on record."""
        made = proposal.model_copy(update={"id": f"p-{secrets.token_hex(5)}", "at": tx.now})
        tx.execute(proposals.insert().values(_as_row(made)))
        detail = {"proposal": made.id, "playbook": made.playbook, "parameters": made.parameters, "rung": made.rung}
        tx.note(f"rule:{made.rule}", f"repair.{made.state}", made.alarm, **detail, obstacle=made.obstacle)
        return made

    @reads
    def of_alarm(self, tx: Tx, alarm_id: str) -> list[Proposal]:
        """Proposals of rules for an alarm, oldest first."""
        return [_as_proposal(row) for row in tx.execute(_OF_ALARM, {"alarm": alarm_id})]

    @reads
    def get(self, tx: Tx, proposal_id: str) -> Proposal:
        """One proposal. Raises NotFoundError."""
        return _load(tx, proposal_id)

    @reads
    def page(
        self, tx: Tx, page: Page, states: Iterable[ProposalState] = (), rule: str = "", alarm: str = ""
    ) -> tuple[int, list[Proposal]]:
        """Total and one page of proposals, newest first; only those of the states, rule and alarm that are named."""
        wanted: list[ColumnElement[bool]] = [proposals.c.rule == rule] if rule else []
        wanted += [proposals.c.alarm == alarm] if alarm else []
        if named := [state.value for state in states]:
            wanted.append(proposals.c.state.in_(named))
        total = tx.execute(select(func.count()).select_from(proposals).where(*wanted)).scalar_one()
        newest = select(proposals).where(*wanted).order_by(proposals.c.number.desc())
        return total, [_as_proposal(row) for row in tx.execute(newest.limit(page.limit).offset(page.offset))]

    @writes
    def answer(self, tx: Tx, proposal_id: str, *, yes: bool, by: str, reason: str) -> Proposal:
        """Put a person's answer to a proposal on record.

        Raises:
            NotFoundError: There is no such proposal.
            ConflictError: It does not ask (any more), or the alarm is not the one that it asked about.
        """
        asked = _load(tx, proposal_id, lock=True)
        if asked.state is not ProposalState.ASKED:
            raise ConflictError(f"{proposal_id} asks nobody: it is {asked.state}")
        alarm = as_alarm(tx.execute(select(alarms).where(alarms.c.id == asked.alarm)).one())
        if alarm.cleared is not None or asked.seen != likeness(alarm):
            raise ConflictError(f"alarm {alarm.id} changed since {proposal_id} asked: see what is asked now")
        said = {"state": ProposalState.APPROVED if yes else ProposalState.DENIED, "by": by, "reason": reason}
        change = said | {"decided": tx.now} | ({} if yes else {"ended": tx.now})
        tx.execute(_of(asked).values(change | {"state": said["state"]}))
        # These are actions on alarms, because the remediator follows those.
        tx.note(by, f"alarm.repair-{said['state']}", asked.alarm, proposal=asked.id, reason=reason)
        return asked.model_copy(update=change)

    @writes
    def move(
        self,
        tx: Tx,
        seen: Proposal,
        state: ProposalState,
        *,
        reason: str = "",
        run: str = "",
        before: tuple[str, ...] = (),
        after: tuple[str, ...] | None = None,
    ) -> Proposal | None:
        """Move a proposal to another state, and remove its objections; None if its state is not as ``seen``."""
        change: dict[str, Any] = {"state": state.value, "obstacle": ""}
        change |= {name: value for name, value in {"reason": reason, "run": run}.items() if value}
        change |= {"before": orjson.dumps(before).decode()} if before else {}
        change |= {} if after is None else {"after": orjson.dumps(after).decode()}
        change |= {"ended": tx.now} if state in _FINAL else {}
        if not tx.execute(_of(seen).where(proposals.c.state == seen.state.value).values(change)).rowcount:
            return None
        tx.note(f"rule:{seen.rule}", f"repair.{state}", seen.alarm, proposal=seen.id, reason=reason, run=run)
        return _load(tx, seen.id)

    @reads
    def during(self, tx: Tx, alarm: Alarm) -> Proposal | None:
        """The repair for another alarm that was working on the station, or being verified, when an alarm was raised."""
        working = and_(
            proposals.c.station == alarm.station,
            proposals.c.run != "",
            proposals.c.state != ProposalState.TOLD.value,
            proposals.c.alarm != alarm.id,
            func.coalesce(proposals.c.decided, proposals.c.at) < alarm.raised,
            or_(proposals.c.ended.is_(None), proposals.c.ended >= alarm.raised),
        )
        row = tx.execute(select(proposals).where(working).order_by(proposals.c.number.desc()).limit(1)).one_or_none()
        return None if row is None else _as_proposal(row)

    @reads
    def figures(self, tx: Tx, rule: str, scope: str | None = None, since: datetime | None = None) -> Figures:
        """Figures of a rule on record; of its repairs only those since ``since``, by its mode in this scope."""
        return _figures(tx, rule, scope, since)


def _figures(tx: Tx, rule: str, scope: str | None = None, since: datetime | None = None) -> Figures:
    observed = proposals.c.state == ProposalState.OBSERVED.value
    healed = and_(alarms.c.cleared.is_not(None), alarms.c.run == "")
    refused = func.count().filter(proposals.c.obstacle != "")
    all_of_them, stopped, by_itself = tx.execute(  # type: ignore[misc]  # pairs are all that mypy sees
        select(func.count(), refused, func.count().filter(healed))
        .select_from(proposals.join(alarms, alarms.c.id == proposals.c.alarm))
        .where(proposals.c.rule == rule, observed)
    ).one()
    states, good = _ends(tx, rule, scope, since), ProposalState.SUCCEEDED.value
    return Figures(
        observed=all_of_them,
        refused=stopped,
        healed=by_itself,
        successes=states.count(good),
        failures=len(states) - states.count(good),
        in_a_row=states.index(good) if good in states else len(states),
    )


def _ends(tx: Tx, rule: str, scope: str | None, since: datetime | None) -> list[str]:
    """How the rule's repairs ended since its promotion in a scope: one result for each alarm, latest first.

    An alarm that a later rung may still repair is left out.
    """
    promoted = select(rule_modes.c.scope, func.max(rule_modes.c.at).label("at")).group_by(rule_modes.c.scope)
    promoted = promoted.where(rule_modes.c.rule == rule, rule_modes.c.mode != RuleMode.OBSERVE.value)
    known = {row.scope: row.at for row in tx.execute(promoted)}
    wanted = [state.value for state in (*_ENDED, ProposalState.RUNNING)]
    ran = select(
        *(proposals.c[name] for name in ("alarm", "run", "state", "scope", "at", "ended", "holds")),
        alarms.c.state.label("alarm_state"),
        _again().label("again"),
    )
    ran = ran.join(alarms, alarms.c.id == proposals.c.alarm)
    ran = ran.where(proposals.c.rule == rule, proposals.c.state.in_(wanted), proposals.c.run != "")
    if scope is not None:
        ran = ran.where(proposals.c.scope == scope)
    if since is not None:
        ran = ran.where(proposals.c.at >= since)
    rows = tx.execute(ran.order_by(proposals.c.number))
    latest = {row.alarm: row for row in rows if row.scope not in known or row.at >= known[row.scope]}
    runs: dict[str, list[Row[Any]]] = {}
    for row in latest.values():  # A run may have worked for several alarms of one fault.
        runs.setdefault(row.run, []).append(row)
    over = (AlarmState.ESCALATED.value, AlarmState.CLEARED.value, AlarmState.REPAIRED.value)
    good = ProposalState.SUCCEEDED.value
    return [
        good if all(_helped(row) for row in worked) else ProposalState.FAILED.value
        for worked in reversed(runs.values())
        if all(row.alarm_state in over for row in worked)
    ]


@cache
def _again() -> ScalarSelect[datetime | None]:
    """When the fault of a repair first came again after it."""
    later = alarms.alias()
    unstable = and_(
        later.c.station == alarms.c.station,
        later.c.object == alarms.c.object,
        later.c.probable_cause == CELL_UNSTABLE,
    )
    same = or_(and_(later.c.identity == alarms.c.identity, later.c.identity != ""), unstable)
    first = select(func.min(later.c.raised, type_=Instant()))
    return first.where(same, later.c.number > alarms.c.number, later.c.raised > proposals.c.ended).scalar_subquery()


def _helped(row: Row[Any]) -> bool:
    """Whether a repair succeeded, and its fault did not come again in the time that its rule names."""
    held = row.again is None or row.again > row.ended + timedelta(seconds=row.holds)
    return row.state == ProposalState.SUCCEEDED.value and held


def _of(one: Proposal) -> Any:
    return update(proposals).where(proposals.c.id == one.id)


def _load(tx: Tx, proposal_id: str, *, lock: bool = False) -> Proposal:
    query = select(proposals).where(proposals.c.id == proposal_id)
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError.of("proposal", proposal_id)
    return _as_proposal(row)


def _as_row(one: Proposal) -> dict[str, Any]:
    row = one.model_dump()
    return row | {
        "mode": one.mode.value,
        "state": one.state.value,
        "parameters": orjson.dumps(one.parameters).decode(),
        "before": orjson.dumps(one.before).decode(),
        "after": None if one.after is None else orjson.dumps(one.after).decode(),
    }


def _as_proposal(row: Row[Any]) -> Proposal:
    values = {name: value for name, value in row._mapping.items() if name in Proposal.model_fields}
    values["after"] = None if row.after is None else tuple(orjson.loads(row.after))
    return Proposal(**values | {"parameters": orjson.loads(row.parameters), "before": tuple(orjson.loads(row.before))})
