"""Calls to who is on call, gathered into messages, and hand-overs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    Integer,
    Row,
    String,
    Table,
    Update,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    text,
    update,
)

from controller.models.alarm import Escalation
from controller.models.errors import ConflictError, NotFoundError
from controller.models.on_call import Call, CallMessage, HandOver
from controller.models.scalars import HOST
from controller.store.alarms.alarm_rows import STANDING, alarms
from controller.store.alarms.alarms import escalations
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.outbox import Outbox, first_ones, gravest_first, gravity, message_id, pages_first
from controller.store.database.queries import as_noun
from controller.store.database.repository import M_co, Page, Repository, method, reads, writes
from controller.store.database.transaction import Tx

_KEY = ("alarm", "escalation", "side", "number")
#: How long each call is tried, and the most that follow in one round.
_TRIED, _MOST_DUE = timedelta(days=1), 200
#: The most hand-overs of a side within a day: each leaves permanent rows.
MOST_A_DAY, _DAY = 100, timedelta(days=1)
_GUARD = "calls"
#: For how long calls to a contact that are no graver wait after a message to it that nobody acknowledges; or until a
#: call of that message is repeated or passed on, if that is earlier.
HOLD = timedelta(minutes=5)

#: Calls about escalations. All of a message are claimed before it is sent, at once, as an escalation is.
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
    # The message that it is part of; empty until it is gathered. It is the call's own key where the message is that
    # alone.
    string("message"),
    # Until when calls to the same contact that are no graver wait for it, unless somebody acknowledges it.
    Column("holds", Instant),
    # Whether its receiver refuses it for its content, alone.
    Column("refused", Boolean, nullable=False, server_default=false()),
    Column("attempts", Integer, nullable=False),
    Column("claimed", Boolean, nullable=False),
    Column("sent", Instant),
    Column("acknowledged", Instant),
    long_text("acknowledged_by"),
    ForeignKeyConstraint(["alarm", "escalation"], ["escalations.alarm", "escalations.number"]),
    Index("ix_calls_at", "at"),
    Index("ix_calls_message", "message"),
    Index("ix_calls_holds", "holds"),
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
_GRAVITY = gravity(escalations.c.severity)
_messages = (
    select(
        calls,
        func.min(_GRAVITY).over(partition_by=calls.c.message).label("gravity"),
        func.row_number()
        .over(partition_by=calls.c.message, order_by=(_GRAVITY, calls.c.at, calls.c.alarm, calls.c.number))
        .label("turn"),
        func.count().over(partition_by=calls.c.message).label("open"),
    )
    .join(escalations, _OF_ESCALATION)
    .where(*_OPEN, calls.c.message != "")
    .subquery()
)
#: The first pages and tickets of each contact: who takes nothing keeps no other contact waiting.
_first = first_ones(
    select(_messages, case((_messages.c.open > 1, _messages.c.message), else_=_messages.c.alarm).label("about")).where(
        _messages.c.turn == 1
    ),
    ("side", "contact", "kind"),
    ("at", "escalation", "number"),
)
_PENDING = select(_first).order_by(pages_first(_first.c.kind), *gravest_first(_first))
#: All calls of a message, the gravest first.
_LISTED = (
    select(calls)
    .join(escalations, _OF_ESCALATION)
    .where(calls.c.message == bindparam("message"))
    .order_by(_GRAVITY, calls.c.at, calls.c.alarm, calls.c.escalation.desc(), calls.c.number)
)
_ungathered = calls.c.message == ""
#: Whose calls are gathered together: a page waits for no ticket.
_RECEIVER = (calls.c.side, calls.c.contact, calls.c.kind)
#: The gravest that waits for each receiver to be gathered, and the gravest that is on its way there.
_READY = (
    select(
        *_RECEIVER,
        func.min(case((_ungathered, _GRAVITY))).label("gravest"),
        func.min(case((not_(_ungathered), _GRAVITY))).label("under_way"),
    )
    .join(escalations, _OF_ESCALATION)
    .where(*_OPEN, not_(calls.c.refused))
    .group_by(*_RECEIVER)
    .having(func.sum(case((_ungathered, 1), else_=0)) > 0)
)
#: The gravest that each receiver was told of lately, and nobody acknowledged.
_TOLD = (
    select(*_RECEIVER, func.min(_GRAVITY).label("gravest"))
    .join(escalations, _OF_ESCALATION)
    .where(calls.c.holds > bindparam("now", type_=Instant()), calls.c.acknowledged.is_(None), not_(calls.c.refused))
    .group_by(*_RECEIVER)
)
_WAITING = (
    select(calls)
    .join(escalations, _OF_ESCALATION)
    .where(*_OPEN, _ungathered, *(column == bindparam(f"of_{column.name}") for column in _RECEIVER))
    .order_by(_GRAVITY, calls.c.at, calls.c.alarm, calls.c.number)
)
_GATHER = (
    update(calls)
    .where(*(calls.c[name] == bindparam(f"of_{name}") for name in _KEY))
    .values({name: bindparam(f"new_{name}") for name in ("message", "holds", "next", "attempts", "claimed")})
)
_DUE = (
    select(calls)
    .join(escalations, _OF_ESCALATION)
    .where(calls.c.next <= bindparam("now", type_=Instant()))
    .order_by(pages_first(calls.c.kind), gravity(escalations.c.severity), calls.c.next)
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
        """Calls that the next one is to follow now: pages first, the gravest of them, those that wait longest."""
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

    @method
    def gather(self) -> None:
        """Gather calls that are due to a contact together into messages.

        All that wait for a contact become one message (``CallMessage``): at once where the contact was told of nothing
        before, or of nothing as grave as the gravest of them. Else they wait until somebody acknowledges that, until
        it is repeated or passed on, or for a time (``HOLD``). Their own next calls wait as much longer, so that people
        have as much time as ever to acknowledge.
        """
        if self._database.run(_ripe, "DEFERRED"):
            self._database.run(_gather)

    @reads
    def listed(self, tx: Tx, one: CallMessage) -> list[Call]:
        """All calls of a message, the gravest first; of an alarm, those of the latest escalation first."""
        return _listed(tx, one)

    @writes
    def refuse(self, tx: Tx, seen: CallMessage, why: str) -> None:
        """Put on record that a contact refuses a message for its content, and why.

        One that lists several is sent in two halves from then on, so that in the end only what it refuses waits.

        Args:
            seen: The message as it was before it was claimed for the attempt that was refused.
            why: The reason, for people.
        """
        same = (calls.c.message == seen.message, calls.c.sent.is_(None))
        claimed = (calls.c.claimed, calls.c.attempts == seen.attempts + 1)
        if not seen.lists:
            tx.execute(update(calls).where(*same, *claimed).values(refused=True))
        elif tx.execute(select(calls.c.alarm).where(*same, *claimed).limit(1)).first() is not None:
            _note_unsent(tx, seen, why)
            every = tx.execute(_LISTED, {"message": seen.message}).all()
            for half in (every[: len(every) // 2], every[len(every) // 2 :]):
                _put_together(tx, half, again=True)

    @writes
    def acknowledge(self, tx: Tx, about: str, side: str, by: str) -> list[Call]:
        """Acknowledge calls of a side: all for an alarm, or all that a message told of. Nobody else is called for them.

        Of what the message did not tell, nothing is acknowledged: neither an alarm that is not in it, nor a graver
        escalation of one that is. The first acknowledgement stays on record.

        Args:
            about: Id of the alarm, or of a message.
            side: The side.
            by: Who acknowledges.

        Returns:
            The calls for the alarm, the oldest first; or those of the message.
        """
        of_message = (calls.c.message == about, calls.c.side == side)
        if about and tx.execute(select(calls.c.alarm).where(*of_message).limit(1)).first() is not None:
            _acknowledge(tx, _told_in(about), side, by)
            return _of(tx, *of_message)
        _acknowledge(tx, calls.c.alarm == about, side, by)
        return _of(tx, calls.c.alarm == about, calls.c.side == side)

    @writes
    def acknowledge_incident(self, tx: Tx, incident: str, by: str) -> None:
        """Acknowledge the calls of the host for all alarms of an incident."""
        of_incident = select(alarms.c.id).where(alarms.c.incident == incident)
        _acknowledge(tx, calls.c.alarm.in_(of_incident), HOST, by)

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
    def pending(self, tx: Tx) -> list[CallMessage]:
        """Messages of the last day that are not delivered: pages first, the gravest of them; the first of each contact.

        Without those of which somebody acknowledged all, and later ones whose alarms are over.
        """
        return [
            CallMessage(message=row.message, call=as_noun(Call, row), attempts=row.attempts, claimed=row.claimed)
            for row in tx.execute(_PENDING, {"since": tx.now - _TRIED})
        ]

    @writes
    def claim(self, tx: Tx, seen: CallMessage) -> CallMessage | None:
        """Claim a message before it is sent, as ``Escalations.claim`` does."""
        return _OUTBOX.claim(tx, seen)

    @writes
    def release(self, tx: Tx, claimed: CallMessage, why: str = "") -> None:
        """Give a claim back, with the reason why it was not delivered. A claim that somebody else took over stays."""
        if _OUTBOX.release(tx, claimed) and why:
            _note_unsent(tx, claimed, why)

    @writes
    def delivered(self, tx: Tx, claimed: CallMessage) -> None:
        """Put on record that it was delivered."""
        if not _OUTBOX.delivered(tx, claimed):
            return
        said = {"side": claimed.call.side, "contact": claimed.call.contact, "attempts": claimed.attempts}
        for alarm in dict.fromkeys(one.alarm for one in _listed(tx, claimed)):
            tx.note("remediation", "alarm.people-notified", alarm, key=claimed.key, **said)


def unacknowledged(tx: Tx) -> dict[tuple[str, ...], float]:
    """Escalations of standing alarms of which called people of the host acknowledged none, by what follows."""
    standing = and_(calls.c.side == HOST, *_LAST)
    found: dict[tuple[str, ...], float] = {("calling",): 0.0, ("used-up",): 0.0}
    for used_up in tx.execute(select(calls.c.used_up).where(standing)).scalars():
        found["used-up" if used_up else "calling",] += 1.0
    return found


def failing(tx: Tx) -> float:
    """Number of messages that are to be sent, and that the contact did not take when it was tried."""
    failed = or_(calls.c.attempts > 1, and_(calls.c.attempts == 1, calls.c.claimed.is_(False)))
    number = select(func.count(calls.c.message.distinct())).where(*_OPEN, failed)
    return float(tx.execute(number, {"since": tx.now - _TRIED}).scalar_one())


def _ripe(tx: Tx) -> list[dict[str, Any]]:
    """Whose waiting calls are gathered now: side, contact and kind."""
    ready = tx.execute(_READY, {"since": tx.now - _TRIED}).all()
    if not ready:
        return []
    told = {(row.side, row.contact, row.kind): row.gravest for row in tx.execute(_TOLD, {"now": tx.now})}
    ripe = []
    for row in ready:
        known = [one for one in (row.under_way, told.get((row.side, row.contact, row.kind))) if one is not None]
        if all(row.gravest < one for one in known):
            ripe.append({"side": row.side, "contact": row.contact, "kind": row.kind})
    return ripe


def _gather(tx: Tx) -> None:
    """Make one message of all that waits for each receiver."""
    tx.guard(_GUARD)
    for receiver in _ripe(tx):
        whose = {f"of_{name}": value for name, value in receiver.items()}
        _put_together(tx, tx.execute(_WAITING, {"since": tx.now - _TRIED} | whose).all())


def _put_together(tx: Tx, together: Sequence[Row[Any]], *, again: bool = False) -> None:
    """Make one message of these calls, which nobody tried to send yet.

    Args:
        tx: The transaction.
        together: The calls.
        again: Whether they were part of a message before: then their next calls wait no longer than they do.
    """
    message = message_id([as_noun(Call, row).key for row in together])
    rows, holds = [], tx.now + HOLD
    for row in together:
        late = timedelta() if again else min(tx.now - row.at, HOLD)
        follows = None if row.next is None else row.next + late
        holds = holds if follows is None else min(holds, follows)
        rows.append({f"of_{name}": getattr(row, name) for name in _KEY} | {"new_next": follows})
    new = {"new_message": message, "new_holds": holds, "new_attempts": 0, "new_claimed": False}
    tx.execute(_GATHER, [new | row for row in rows])


def _listed(tx: Tx, one: CallMessage) -> list[Call]:
    return [as_noun(Call, row) for row in tx.execute(_LISTED, {"message": one.message})]


def _note_unsent(tx: Tx, one: CallMessage, why: str) -> None:
    said = {"side": one.call.side, "contact": one.call.contact, "reason": why}
    tx.note("remediation", "alarm.people-not-notified", one.call.alarm, key=one.key, **said)


def _insert(tx: Tx, call: Call) -> None:
    tx.execute(calls.insert().values(call.model_dump()))
    said = {"side": call.side, "contact": call.contact, "duty": call.duty, "instead_of": call.instead_of}
    tx.note("remediation", "call.made", call.alarm, key=call.key, **said)


def _told_in(message: str) -> ColumnElement[bool]:
    """The condition that a call is about an escalation that a message told of, or an earlier one of that alarm."""
    told = calls.alias()
    same = and_(told.c.side == calls.c.side, told.c.alarm == calls.c.alarm, calls.c.escalation <= told.c.escalation)
    return exists().where(told.c.message == message, same)


def _acknowledge(tx: Tx, chosen: ColumnElement[bool], side: str, by: str) -> None:
    tx.guard(_GUARD)
    open_ones = (chosen, calls.c.side == side, calls.c.acknowledged.is_(None))
    counts = select(calls.c.alarm, func.count().label("calls")).where(*open_ones).group_by(calls.c.alarm)
    found = tx.execute(counts.order_by(calls.c.alarm)).all()
    if found:
        said = {"acknowledged": tx.now, "acknowledged_by": by, "next": None, "used_up": False}
        tx.execute(update(calls).where(*open_ones).values(said))
    for row in found:
        tx.note(by, "call.acknowledged", row.alarm, side=side, calls=row.calls)


def _of(tx: Tx, *chosen: Any) -> list[Call]:
    rows: Sequence[Row[Any]] = tx.execute(
        select(calls).where(*chosen).order_by(calls.c.escalation, calls.c.number)
    ).all()
    return [as_noun(Call, row) for row in rows]


def _is(seen: Call) -> Any:
    return and_(*(calls.c[name] == getattr(seen, name) for name in _KEY))


def _unfollowed(before: Call) -> Update:
    """An update of a call, provided that nobody made the next one, or acknowledged it, since it was seen."""
    return update(calls).where(_is(before), calls.c.next == before.next, calls.c.acknowledged.is_(None))


_OUTBOX = Outbox[CallMessage](calls, "sent", lambda one: calls.c.message == one.message)
