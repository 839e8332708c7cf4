"""Comments of people on alarms, and on anything else that has comments."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import orjson
from sqlalchemy import Column, Index, Integer, String, Table, Text, and_, bindparam, func, select

from controller.models.alarm import Comment
from controller.models.errors import ConflictError
from controller.models.scalars import HOST
from controller.ports.store import Comments, Sync
from controller.store.columns import Instant, long_text, metadata, string
from controller.store.repository import SqlRepository, reads, writes
from controller.store.transaction import Tx

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
)
_ABOUT = select(comments).where(comments.c.about == bindparam("about")).order_by(comments.c.number)


class SqlComments(SqlRepository, Comments[Sync]):
    """Repository of comments."""

    @writes
    def add(self, tx: Tx, about: str, by: str, side: str, text: str, to: Sequence[str] = ()) -> Comment:
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
        found = []
        for row in tx.execute(_ABOUT, {"about": about}):
            values = {name: value for name, value in row._mapping.items() if name in Comment.model_fields}
            found.append(Comment(**values | {"to": tuple(orjson.loads(row.to))}))
        return [one for one in found if tenant is None or one.side == tenant or (one.side == HOST and tenant in one.to)]
