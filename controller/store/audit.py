"""The audit chain: each row holds the hash of the one before, so that none changes or vanishes unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from controller.models.run import AuditRow
from controller.store.tables import audit, audit_head

#: What the first row holds for the hash of the row before.
GENESIS = "0" * 64
_CHAIN = "audit"


@dataclass(frozen=True, slots=True)
class Note:
    """An act that is about to go on record."""

    at: datetime
    actor: str
    action: str
    target: str
    detail: dict[str, str]


def append(connection: Connection, insert: Callable[..., Any], notes: Sequence[Note]) -> None:
    """Write rows at the end of the chain; the caller sees to it that nobody else does."""
    head = connection.execute(select(audit_head.c.last, audit_head.c.hash)).one_or_none()
    last, previous = head or (0, GENESIS)
    rows = []
    for number, note in enumerate(notes, start=last + 1):
        detail = orjson.dumps(note.detail, option=orjson.OPT_SORT_KEYS).decode()
        digest = _digest(previous, number, note.at, note.actor, note.action, note.target, detail)
        row = {"id": number, "at": note.at, "actor": note.actor, "action": note.action, "object": note.target}
        rows.append({**row, "detail": detail, "previous": previous, "hash": digest})
        last, previous = number, digest
    connection.execute(audit.insert(), rows)
    statement = insert(audit_head).values(chain=_CHAIN, last=last, hash=previous)
    update = {"last": statement.excluded.last, "hash": statement.excluded.hash}
    connection.execute(statement.on_conflict_do_update(index_elements=["chain"], set_=update))


def first_broken(connection: Connection) -> int | None:
    """Number of the first row that was changed, removed or cut off, or None."""
    expected, previous = 1, GENESIS
    query = select(audit).order_by(audit.c.id)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        digest = _digest(row.previous, row.id, row.at, row.actor, row.action, row.object, row.detail)
        if row.id != expected or row.previous != previous or row.hash != digest:
            return expected
        expected, previous = expected + 1, row.hash
    head = connection.execute(select(audit_head.c.last, audit_head.c.hash)).one_or_none()
    last, digest = head or (0, GENESIS)
    return None if (last, digest) == (expected - 1, previous) else min(expected, last + 1)


def as_noun(row: Row[Any]) -> AuditRow:
    """A row as the port shows it."""
    return AuditRow(
        id=row.id, at=row.at, actor=row.actor, action=row.action, object=row.object, detail=orjson.loads(row.detail)
    )


def _digest(previous: str, number: int, at: datetime, actor: str, action: str, target: str, detail: str) -> str:
    content = orjson.dumps([previous, number, at.astimezone(UTC).isoformat(), actor, action, target, detail])
    return hashlib.sha256(content).hexdigest()
