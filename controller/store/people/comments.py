"""Comments of people on alarms, and on anything else that has comments."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, Index, Integer, Row, String, Table, Text, and_, bindparam, func, select

from controller.models.alarm import (
    Comment,
)
from controller.models.errors import ConflictError
from controller.models.scalars import HOST
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx

#: Comments of one side on one object.
_MOST = 200

comments = Table(
    "comments",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    string("about"),
    Column("at", Instant, nullable=False),
    string("by"),
    string("side"),
    # JSON list of tenants.
    Column("to", Text, nullable=False),
    long_text("text"),
    Index("ix_comments_about_number", "about", "number"),
    Index("ix_comments_at", "at"),
)
_ABOUT = select(comments).where(comments.c.about == bindparam("about")).order_by(comments.c.number)


class Comments(Repository[M_co]):
    """Comments on record."""

    @writes
    def add(self, tx: Tx, about: str, by: str, side: str, text: str, to: Sequence[str] = ()) -> Comment:
        """Put a comment on record. Raises ConflictError if its side has too many comments there already."""
        tx.guard(f"comments:{about}:{side}")
        same = and_(comments.c.about == about, comments.c.side == side)
        if tx.execute(select(func.count()).select_from(comments).where(same)).scalar_one() >= _MOST:
            raise ConflictError(f"{about} has {_MOST} comments of {side} already")
        said = Comment(
            id=f"c-{secrets.token_hex(4)}",
            about=about,
            at=tx.now,
            by=by,
            side=side,
            to=tuple(sorted(set(to))),
            text=text,
        )
        tx.execute(comments.insert().values(said.model_dump() | {"to": orjson.dumps(said.to).decode()}))
        tx.note(by, "comment.added", about, comment=said.id, to=", ".join(said.to), text=text)
        return said

    @reads
    def on(self, tx: Tx, about: str, tenant: str | None = None) -> list[Comment]:
        """Comments, oldest first; for a tenant only those of its own people, and those of the host to it."""
        return _read_by(tenant, tx.execute(_ABOUT, {"about": about}))

    @reads
    def said(self, tx: Tx, begin: datetime, end: datetime, tenant: str | None = None) -> list[Comment]:
        """Comments on anything from one time to before another; otherwise as ``on``."""
        within = and_(comments.c.at >= begin, comments.c.at < end)
        return _read_by(tenant, tx.execute(select(comments).where(within).order_by(comments.c.number)))


def _read_by(tenant: str | None, rows: Iterable[Row[Any]]) -> list[Comment]:
    """Comments as nouns, of those that a tenant may read if one is named."""
    found = []
    for row in rows:
        values = {name: value for name, value in row._mapping.items() if name in Comment.model_fields}
        found.append(Comment(**values | {"to": tuple(orjson.loads(row.to))}))
    return [one for one in found if tenant is None or one.side == tenant or (one.side == HOST and tenant in one.to)]
