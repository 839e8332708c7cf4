"""Calls to who is on call, and hand-overs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Row,
    String,
    Table,
    Update,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from controller.models.alarm import Escalation
from controller.models.errors import ConflictError, NotFoundError
from controller.models.on_call import Call, HandOver
from controller.models.scalars import HOST
from controller.store.alarms.alarm_rows import STANDING, alarms
from controller.store.alarms.alarms import escalations
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.outbox import Outbox, first_ones, gravest_first, gravity
from controller.store.database.queries import as_noun
from controller.store.database.repository import M_co, Page, Repository, reads, writes
from controller.store.database.transaction import Tx

#: How long each call is tried, and the most that follow in one round.
_TRIED, _MOST_DUE = timedelta(days=1), 200
#: The most hand-overs of a side within a day: each leaves permanent rows.
MOST_A_DAY, _DAY = 100, timedelta(days=1)
_GUARD = "calls"

#: Calls about escalations. Each is claimed before it is sent, as an escalation is.
calls = Table(
    "calls",
    metadata,
    Column("alarm", String, primary_key=True),
    Column("escalation", Integer, primary_key=True, autoincrement=False),
    Column("side", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    string("kind"),
    string("duty"),
    Column("place", Integer, nullable=False),
    Column("nth", Integer, nullable=False),
    string("contact"),
    string("instead_of"),
    Column("at", Instant, nullable=False),
    # Time of the next call, which is claimed by taking it away; none once nothing follows.
    Column("next", Instant),
    Column("used_up", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed", Boolean, nullable=False),
    Column("sent", Instant),
    Column("acknowledged", Instant),
    long_text("acknowledged_by"),
    ForeignKeyConstraint(["alarm", "escalation"], ["escalations.alarm", "escalations.number"]),
    Index("ix_calls_at", "at"),
    Index("ix_calls_pending", "at", sqlite_where=text("sent IS NULL"), postgresql_where=text("sent IS NULL")),
    Index("ix_calls_next", "next", sqlite_where=text("next IS NOT NULL"), postgresql_where=text("next IS NOT NULL")),
)

hand_overs = Table(
    "hand_overs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    string("side"),
    string("contact"),
    string("to"),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    string("by"),
    long_text("reason"),
    Index("ix_hand_overs_side_until", "side", "until"),
)

_OF_ALARM = exists().where(alarms.c.id == calls.c.alarm, STANDING)
#: The last call of an escalation of a standing alarm, which nobody acknowledged.
_LAST = (calls.c.acknowledged.is_(None), or_(calls.c.next.is_not(None), calls.c.used_up), _OF_ALARM)
#: Calls to be sent. The first one of an escalation is also sent where the alarm is over meanwhile: people hear of each.
_OPEN = (
    calls.c.sent.is_(None),
    calls.c.acknowledged.is_(None),
    calls.c.at > bindparam("since", type_=Instant()),
    or_(calls.c.number == 1, _OF_ALARM),
)
_OF_ESCALATION = and_(escalations.c.alarm == calls.c.alarm, escalations.c.number == calls.c.escalation)
#: The first ones of each contact: who takes nothing keeps no other contact waiting.
_first = first_ones(
    select(calls, calls.c.alarm.label("about"), gravity(escalations.c.severity).label("gravity"))
    .join(escalations, _OF_ESCALATION)
    .where(*_OPEN),
    ("side", "contact"),
    ("at", "escalation", "number"),
)
_PENDING = select(_first).order_by(*gravest_first(_first))
_DUE = (
    select(calls)
    .join(escalations, _OF_ESCALATION)
    .where(calls.c.next <= bindparam("now", type_=Instant()))
    .order_by(gravity(escalations.c.severity), calls.c.next)
    .limit(_MOST_DUE)
)
_IN_FORCE = (
    select(hand_overs)
    .where(hand_overs.c.since <= bindparam("now", type_=Instant()), hand_overs.c.until > bindparam("now"))
    .order_by(hand_overs.c.number)
)


class Calls(Repository[M_co]):
    """Calls about escalations, on the side of the host and of tenants."""

    @writes
    def begin(self, tx: Tx, one: Escalation, first: Sequence[Call]) -> None:
        """Put the first calls of an escalation on record; a side that has one already gets no other.

        Calls of earlier escalations of the alarm on these sides are followed by no more. With a call of the host, the
        escalation counts as delivered: from now on its calls are.
        """
        tx.guard(_GUARD)
        mine = and_(calls.c.alarm == one.alarm, calls.c.escalation == one.number)
        known = set(tx.execute(select(calls.c.side).where(mine)).scalars())
        new = [call for call in first if call.side not in known]
        for call in new:
            earlier = and_(calls.c.alarm == one.alarm, calls.c.side == call.side, calls.c.escalation < one.number)
            tx.execute(update(calls).where(earlier).values(next=None, used_up=False))
            _insert(tx, call)
        if any(call.side == HOST for call in first):
            same = and_(escalations.c.alarm == one.alarm, escalations.c.number == one.number)
            tx.execute(
                update(escalations).where(same, escalations.c.notified.is_(None)).values(notified=tx.now, claimed=False)
            )

    @reads
    def due(self, tx: Tx) -> list[Call]:
        """Calls that the next one is to follow now: the gravest first, then those that wait for the longest time."""
        return [as_noun(Call, row) for row in tx.execute(_DUE, {"now": tx.now})]

    @writes
    def follow(self, tx: Tx, before: Call, after: Call | None, why: str = "") -> bool:
        """Put the call on record that follows another one; False if somebody else did, or acknowledged it meanwhile.

        Args:
            before: The call as it was seen.
            after: What follows; None if nothing does.
            why: With None, why nobody is left to call; empty if nobody has to be called any more.
        """
        ended = {"next": None, "used_up": after is None and bool(why)}
        if not tx.execute(_unfollowed(before).values(ended)).rowcount:
            return False
        if after is not None:
            _insert(tx, after)
        elif why:
            tx.note("remediation", "call.nobody-acknowledged", before.alarm, side=before.side, calls=before.number)
        return True

    @writes
    def postpone(self, tx: Tx, before: Call, until: datetime) -> None:
        """Let the next call wait, unless somebody made it meanwhile."""
        tx.execute(_unfollowed(before).values(next=until))

    @writes
    def acknowledge(self, tx: Tx, alarm_id: str, side: str, by: str) -> list[Call]:
        """Acknowledge all calls of a side for an alarm: nobody else is called. Returns them, the oldest first.

        The first acknowledgement stays on record.
        """
        _acknowledge(tx, [alarm_id], side, by)
        return _of(tx, calls.c.alarm == alarm_id, calls.c.side == side)

    @writes
    def acknowledge_incident(self, tx: Tx, incident: str, by: str) -> None:
        """Acknowledge the calls of the host for all alarms of an incident."""
        found = select(alarms.c.id).where(alarms.c.incident == incident, exists().where(calls.c.alarm == alarms.c.id))
        _acknowledge(tx, tx.execute(found).scalars().all(), HOST, by)

    @reads
    def page(
        self, tx: Tx, page: Page, side: str | None = None, *, unacknowledged: bool = False
    ) -> tuple[int, list[Call]]:
        """Total and one page of calls, newest first; of all sides that nobody acknowledged, the gravest first.

        Args:
            page: Which part.
            side: Only those of this side.
            unacknowledged: Only the last call of each escalation that nobody acknowledged, while its alarm stands.
        """
        chosen = [] if side is None else [calls.c.side == side]
        if unacknowledged:
            chosen += [*_LAST]
        total = tx.execute(select(func.count()).select_from(calls).where(*chosen)).scalar_one()
        newest = select(calls).where(*chosen).order_by(calls.c.at.desc(), calls.c.alarm, calls.c.number.desc())
        if unacknowledged and side is None:  # how grave it is all in all is the host's to know
            newest = select(calls).join(escalations, _OF_ESCALATION).where(*chosen)
            newest = newest.order_by(gravity(escalations.c.severity), calls.c.at.desc(), calls.c.alarm)
        return total, [as_noun(Call, row) for row in tx.execute(newest.limit(page.limit).offset(page.offset))]

    @writes
    def hand_over(self, tx: Tx, side: str, contact: str, to: str, until: datetime, *, by: str, reason: str) -> HandOver:
        """Let one contact get the calls for another, in place of an earlier hand-over.

        Raises:
            ConflictError: The side handed over too often today.
        """
        tx.guard(_GUARD)
        lately = and_(hand_overs.c.side == side, hand_overs.c.since > tx.now - _DAY)
        if tx.execute(select(func.count()).select_from(hand_overs).where(lately)).scalar_one() >= MOST_A_DAY:
            raise ConflictError(f"{side} handed over {MOST_A_DAY} times within a day, which is the limit")
        same = and_(hand_overs.c.side == side, hand_overs.c.contact == contact, hand_overs.c.until > tx.now)
        tx.execute(update(hand_overs).where(same).values(until=tx.now))
        made = HandOver(
            id=f"o-{secrets.token_hex(4)}",
            side=side,
            contact=contact,
            to=to,
            since=tx.now,
            until=until,
            by=by,
            reason=reason,
        )
        tx.execute(hand_overs.insert().values(made.model_dump()))
        said = {"side": side, "contact": contact, "to": to, "until": until.isoformat(), "reason": reason}
        tx.note(by, "call.handed-over", made.id, **said)
        return made

    @writes
    def end_hand_over(self, tx: Tx, hand_over: str, side: str, *, by: str) -> None:
        """End a hand-over of a side now. Raises NotFoundError where it has none of that id in force."""
        open_one = and_(hand_overs.c.id == hand_over, hand_overs.c.side == side, hand_overs.c.until > tx.now)
        if not tx.execute(update(hand_overs).where(open_one).values(until=tx.now)).rowcount:
            raise NotFoundError(f"there is no hand-over {hand_over} that is in force; see minka oncall show")
        tx.note(by, "call.hand-over-ended", hand_over, side=side)

    @reads
    def hand_overs(self, tx: Tx, at: datetime) -> list[HandOver]:
        """Hand-overs in force at a time, the oldest first."""
        return [as_noun(HandOver, row) for row in tx.execute(_IN_FORCE, {"now": at})]

    @reads
    def pending(self, tx: Tx) -> list[Call]:
        """Calls of the last day that are not delivered, the gravest first; the first ones of each contact.

        Without those that somebody acknowledged, and later ones whose alarm is over.
        """
        return [as_noun(Call, row) for row in tx.execute(_PENDING, {"since": tx.now - _TRIED})]

    @writes
    def claim(self, tx: Tx, seen: Call) -> Call | None:
        """Claim a call before it is sent, as ``Escalations.claim`` does."""
        return _OUTBOX.claim(tx, seen)

    @writes
    def release(self, tx: Tx, claimed: Call, why: str = "") -> None:
        """Give a claim back, with the reason why it was not delivered. A claim that somebody else took over stays."""
        if _OUTBOX.release(tx, claimed) and why:
            said = {"side": claimed.side, "contact": claimed.contact, "reason": why}
            tx.note("remediation", "alarm.people-not-notified", claimed.alarm, key=claimed.key, **said)

    @writes
    def delivered(self, tx: Tx, claimed: Call) -> None:
        """Put on record that it was delivered."""
        if _OUTBOX.delivered(tx, claimed):
            said = {"side": claimed.side, "contact": claimed.contact, "attempts": claimed.attempts}
            tx.note("remediation", "alarm.people-notified", claimed.alarm, key=claimed.key, **said)


def unacknowledged(tx: Tx) -> dict[tuple[str, ...], float]:
    """Escalations of standing alarms of which called people of the host acknowledged none, by what follows."""
    standing = and_(calls.c.side == HOST, *_LAST)
    found: dict[tuple[str, ...], float] = {("calling",): 0.0, ("used-up",): 0.0}
    for used_up in tx.execute(select(calls.c.used_up).where(standing)).scalars():
        found["used-up" if used_up else "calling",] += 1.0
    return found


def failing(tx: Tx) -> float:
    """Number of calls that are to be sent, and that the contact did not take when it was tried."""
    failed = or_(calls.c.attempts > 1, and_(calls.c.attempts == 1, calls.c.claimed.is_(False)))
    number = select(func.count()).select_from(calls).where(*_OPEN, failed)
    return float(tx.execute(number, {"since": tx.now - _TRIED}).scalar_one())


def _insert(tx: Tx, call: Call) -> None:
    tx.execute(calls.insert().values(call.model_dump()))
    said = {"side": call.side, "contact": call.contact, "duty": call.duty, "instead_of": call.instead_of}
    tx.note("remediation", "call.made", call.alarm, key=call.key, **said)


def _acknowledge(tx: Tx, alarm_ids: Sequence[str], side: str, by: str) -> None:
    for alarm_id in alarm_ids:
        open_ones = and_(calls.c.alarm == alarm_id, calls.c.side == side, calls.c.acknowledged.is_(None))
        said = {"acknowledged": tx.now, "acknowledged_by": by, "next": None, "used_up": False}
        if number := tx.execute(update(calls).where(open_ones).values(said)).rowcount:
            tx.note(by, "call.acknowledged", alarm_id, side=side, calls=number)


def _of(tx: Tx, *chosen: Any) -> list[Call]:
    rows: Sequence[Row[Any]] = tx.execute(
        select(calls).where(*chosen).order_by(calls.c.escalation, calls.c.number)
    ).all()
    return [as_noun(Call, row) for row in rows]


def _is(seen: Call) -> Any:
    return and_(*(calls.c[name] == getattr(seen, name) for name in ("alarm", "escalation", "side", "number")))


def _unfollowed(before: Call) -> Update:
    """An update of a call, provided that nobody made the next one, or acknowledged it, since it was seen."""
    return update(calls).where(_is(before), calls.c.next == before.next, calls.c.acknowledged.is_(None))


_OUTBOX = Outbox[Call](calls, "sent", _is)
