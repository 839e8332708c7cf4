"""Messages to people on record: their order, and how one is claimed before it is sent and given back.

Pages go before tickets, what is gravest goes first, and what is about the same in order of time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Subquery,
    Table,
    UnaryExpression,
    Update,
    case,
    func,
    select,
    update,
)
from sqlalchemy.sql.expression import ColumnOperators

from controller.models.alarm import PAGE, Escalation, PerceivedSeverity
from controller.models.approval import Delivery
from controller.models.on_call import CallMessage
from controller.store.database.transaction import Tx

_WORST_FIRST = {severity.value: place for place, severity in enumerate(PerceivedSeverity)}
#: Matters of one receiver that are sent at once, and messages about one of them: of those that nobody tried to send
#: yet, and of all others, so that what a receiver refuses again and again keeps nothing new waiting.
_AT_ONCE = 20


Message = TypeVar("Message", Escalation, Delivery, CallMessage)


@dataclass(frozen=True)
class Outbox(Generic[Message]):
    """How messages of a table are claimed before they are sent, given back, and noted as delivered.

    Attributes:
        table: The table, with ``attempts`` and ``claimed``.
        done: Name of the column that says since when a message is delivered.
        row_of: The condition that a row is that of a message.
    """

    table: Table
    done: str
    row_of: Callable[[Message], ColumnElement[bool]]

    def claim(self, tx: Tx, seen: Message) -> Message | None:
        """Do what ``Escalations.claim`` does, for messages of any kind."""
        claimed = seen.model_copy(update={"attempts": seen.attempts + 1, "claimed": True})
        values = {"attempts": claimed.attempts, "claimed": True}
        return claimed if tx.execute(self._as_seen(seen).values(values)).rowcount else None

    def release(self, tx: Tx, claimed: Message) -> bool:
        """Give a claim back; whether it was still that of the caller."""
        return bool(tx.execute(self._as_seen(claimed).values(claimed=False)).rowcount)

    def delivered(self, tx: Tx, message: Message) -> bool:
        """Note that a message is delivered; whether nobody noted that before."""
        return bool(tx.execute(self._open(message).values({self.done: tx.now, "claimed": False})).rowcount)

    def _open(self, message: Message) -> Update:
        return update(self.table).where(self.row_of(message), self.table.c[self.done].is_(None))

    def _as_seen(self, seen: Message) -> Update:
        """An update of a message, provided that it is not delivered, and still as it was seen."""
        known = self.table.c
        return self._open(seen).where(known.attempts == seen.attempts, known.claimed == seen.claimed)


def message_id(together: Sequence[str]) -> str:
    """Id of a message of what has these ids: that id itself where it is one alone."""
    return together[0] if len(together) == 1 else f"m-{secrets.token_hex(5)}"


def gravity(severity: ColumnOperators) -> ColumnElement[int]:
    """Place of a severity among all: 0 is the worst."""
    return case(_WORST_FIRST, value=severity, else_=_WORST_FIRST[PerceivedSeverity.INDETERMINATE.value])


def pages_first(kind: ColumnOperators) -> ColumnElement[int]:
    """Place of a kind of escalation: a page wakes somebody who has to act now, so it goes before tickets."""
    return case({PAGE: 0}, value=kind, else_=1)


def first_ones(waiting: Select[Any], receiver: Sequence[str], within: Sequence[str]) -> Subquery:
    """The messages of each receiver that are to be sent first, out of all that are not sent.

    A matter stands where its gravest message belongs, with its older messages before that one: nobody reads that
    something became worse before it reads that it began. Among equals comes first what was tried least, then the
    oldest.

    Args:
        waiting: Messages that are not sent. Columns are ``about``, the matter that a message is about; ``gravity``,
            0 for the gravest; ``attempts``; ``at``; and those that the others name.
        receiver: Columns that name the receiver.
        within: Columns in whose order messages about the same matter are sent.

    Returns:
        Their columns, with those by which ``gravest_first`` sorts them.
    """
    each = waiting.subquery()
    same = [*(each.c[name] for name in receiver), each.c.about]
    by_time = [each.c[name] for name in within]
    about = select(
        each,
        func.min(each.c.gravity).over(partition_by=same).label("matter_gravity"),
        func.first_value(each.c.attempts, type_=Integer())
        .over(partition_by=same, order_by=by_time)
        .label("matter_tried"),
        func.min(each.c.at).over(partition_by=same).label("matter_at"),
        func.row_number().over(partition_by=same, order_by=by_time).label("matter_nth"),
    ).subquery()
    of_receiver = [*(about.c[name] for name in receiver), case((about.c.matter_tried > 0, 1), else_=0)]
    place = func.dense_rank().over(partition_by=of_receiver, order_by=_matters(about))
    placed = select(about, place.label("matter_place")).where(about.c.matter_nth <= _AT_ONCE).subquery()
    return select(placed).where(placed.c.matter_place <= _AT_ONCE).subquery()


def gravest_first(first: Subquery) -> list[Any]:
    """By what ``first_ones`` are sorted, over all receivers."""
    return [*_matters(first), first.c.matter_nth]


def _matters(found: Subquery) -> list[ColumnElement[Any] | UnaryExpression[Any]]:
    return [found.c.matter_gravity, found.c.matter_tried, found.c.matter_at, found.c.about]
