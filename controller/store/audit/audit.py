"""The audit trail. The first denied requests of a kind get a row each; a flood of them gets one row with a count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, Row, String, Table, Text, and_, case, delete, func, select, text

from controller.models.audit import AuditAnchor, AuditBreak
from controller.models.run import AuditRow
from controller.store.audit import device_trail
from controller.store.database import audit_chain, epochs
from controller.store.database.audit_chain import EVERYTHING, AuditQuery, Note, audit
from controller.store.database.columns import Instant, metadata
from controller.store.database.repository import M_co, Page, Repository, reads, writes
from controller.store.database.transaction import Tx

#: Denied requests by caller and permission, until they are summed up: how many have an audit row of their own, how many
#: more there were, and the last of them. ``side`` is empty on the host's side.
denials = Table(
    "denials",
    metadata,
    Column("actor", String, primary_key=True),
    Column("side", String, primary_key=True),
    Column("permission", String, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("audited", Integer, nullable=False),
    Column("more", BigInteger, nullable=False),
    Column("asked", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

#: For how long denials of one caller for one permission are counted together, and how many of them get a row of their
#: own. All further ones get a single row with their number, so the trail does not grow with the number of requests.
PERIOD, EACH = timedelta(hours=1), 20
_ACTION = "access.denied"
_KEY = (denials.c.actor, denials.c.side, denials.c.permission)


class Audit(Repository[M_co]):
    """The audit trail: a hash chain of who did what."""

    @writes
    def append(
        self,
        tx: Tx,
        actor: str,
        action: str,
        target: str,
        detail: Mapping[str, str] | None = None,
        about: Iterable[str] = (),
    ) -> None:
        """Append an audit row of its own, for an act that changes no other state.

        Args:
            actor: Who did it.
            action: What was done.
            target: To what.
            detail: How, for people.
            about: Devices that it concerns beside its target.
        """
        tx.note_about(about, actor, action, target, **(detail or {}))

    @reads
    def page(self, tx: Tx, page: Page, wanted: AuditQuery = EVERYTHING) -> tuple[int, list[AuditRow]]:
        """Total and one page of the wanted audit rows, newest first; one that can't be read has no time."""
        chosen = [audit_chain.NUMBERED, *audit_chain.matching(audit.c, wanted)]
        if wanted.device is not None:
            chosen.append(device_trail.about(audit.c, wanted.device, wanted.places))
        total = tx.execute(select(func.count()).select_from(audit).where(*chosen)).scalar_one()
        newest = select(audit.c.id).where(*chosen).order_by(audit.c.id.desc()).limit(page.limit).offset(page.offset)
        return total, audit_chain.nouns(tx.connection, tx.execute(newest).scalars().all())

    @reads
    def verify(self, tx: Tx) -> AuditBreak | None:
        """The first audit row that was changed, removed or cut off; None if the chain is whole."""
        if tx.dialect == "postgresql":
            # Rows and head as of one moment, so that rows appended meanwhile do not look like a break.
            tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return audit_chain.first_broken(tx.connection, tx.evidence.keys)

    @reads
    def verify_anchors(self, tx: Tx, anchors: Iterable[AuditAnchor]) -> AuditBreak | None:
        """The first audit row that is missing or differs from its anchor; None if all match.

        Ignores anchors from before a person's decision that an older record is right.
        """
        return audit_chain.first_unanchored(tx.connection, anchors, tx.evidence)

    @reads
    def head(self, tx: Tx) -> AuditAnchor:
        """The newest audit row, to be published outside of the database."""
        number, digest = audit_chain.newest(tx.connection)
        epoch, _ = epochs.noted(tx.connection, tx.evidence, tx.notes)
        return AuditAnchor(epoch=epoch, number=number, hash=digest)

    @reads
    def newest_key(self, tx: Tx) -> str:
        """Id of the key that signs the newest audit row; empty if there is none."""
        return tx.execute(select(audit.c.key).order_by(audit.c.id.desc()).limit(1)).scalar() or ""

    @writes
    def deny(self, tx: Tx, actor: str, side: str, permission: str, asked: str, times: int = 1) -> None:
        """Put on record that somebody asked for something without permission.

        Within an hour, the first 20 denials of one caller for one permission get an audit row each. The others are
        counted. After the hour they get one row with their number, the last request, and its time.

        Args:
            actor: Who asked.
            side: The tenant whose person that is; empty for the host's.
            permission: The permission that the request needed; empty if permissions were not the reason.
            asked: The request.
            times: Number of requests that this call reports.
        """
        values = {"actor": actor, "side": side, "permission": permission}
        same = and_(*(column == values[column.name] for column in _KEY))
        for row in tx.execute(delete(denials).where(same, denials.c.since <= tx.now - PERIOD).returning(denials)):
            _sum_up(tx, row)
        room = denials.c.audited < EACH
        counted = {
            "audited": case((room, denials.c.audited + 1), else_=denials.c.audited),
            "more": case((room, 0), else_=denials.c.more + times),
            "asked": asked,
            "at": tx.now,
        }
        first = values | {"since": tx.now, "audited": 1, "more": 0, "asked": asked, "at": tx.now}
        made = tx.insert(denials).values(first).on_conflict_do_update(index_elements=_KEY, set_=counted)
        if not tx.execute(made.returning(denials.c.more)).scalar_one():
            tx.note(actor, _ACTION, asked, permission=permission, count=times if times > 1 else "")

    @writes
    def sum_up_denials(self, tx: Tx) -> None:
        """Write the rows of counts whose hour is over. Any process may call this at any time."""
        tx.guard("denials")
        for row in tx.execute(delete(denials).where(denials.c.since <= tx.now - PERIOD).returning(denials)):
            _sum_up(tx, row)


def _sum_up(tx: Tx, row: Row[Any]) -> None:
    """Write one row for all denials that have none, with the time of the last one."""
    if row.more:
        detail = {"permission": row.permission, "count": str(row.more), "since": row.since.isoformat()}
        detail = {name: value for name, value in detail.items() if value}
        tx.notes.append(Note(row.at, row.actor, _ACTION, row.asked, detail))
