"""Work that tenants announce on their own cores."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Column, Index, Integer, Row, String, Table, Text, and_, bindparam, func, or_, select, update

from controller.intent.impact import core_node_in
from controller.models.alarm import Alarm
from controller.models.announced_work import AnnouncedWork
from controller.models.errors import ConflictError, NotFoundError
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.repository import M_co, Page, Repository, reads, writes
from controller.store.database.transaction import Tx

#: The most works of a tenant that are not over: more would be a program that fails.
_MOST = 200
#: The most works that a tenant announces within a day: each leaves permanent rows, also when it is cancelled.
MOST_A_DAY, _DAY = 100, timedelta(days=1)
#: Columns that hold a JSON list.
_LISTS = ("nodes", "links")

announced_works = Table(
    "announced_works",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    string("tenant"),
    # JSON lists: core nodes and the links to them, empty for all.
    Column("nodes", Text, nullable=False),
    Column("links", Text, nullable=False),
    Column("begins", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    string("by"),
    long_text("reason"),
    Column("created", Instant, nullable=False),
    Column("cancelled", Instant),
    Index("ix_announced_works_tenant_ends", "tenant", "ends"),
)
_UNENDED = or_(
    announced_works.c.cancelled.is_(None),
    and_(
        announced_works.c.cancelled > bindparam("since", type_=Instant()),
        announced_works.c.cancelled > announced_works.c.begins,
    ),
)
_DURING = (
    select(announced_works)
    .where(announced_works.c.begins < bindparam("until", type_=Instant()))
    .where(announced_works.c.ends > bindparam("since", type_=Instant()), _UNENDED)
    .order_by(announced_works.c.begins, announced_works.c.number)
)
_OF_TENANT = _DURING.where(announced_works.c.tenant == bindparam("tenant"))
_BEGUN = select(announced_works).where(
    announced_works.c.tenant == bindparam("tenant"),
    announced_works.c.begins <= bindparam("since", type_=Instant()),
    announced_works.c.ends > bindparam("since", type_=Instant()),
    _UNENDED,
)


class Works(Repository[M_co]):
    """Announced work."""

    @writes
    def announce(
        self, tx: Tx, tenant: str, nodes: Mapping[str, str], begins: datetime, ends: datetime, by: str, reason: str
    ) -> AnnouncedWork:
        """Put work on record; ``nodes`` has the ids of the core links by node.

        Raises:
            ConflictError: The tenant has announced too much already.
        """
        tx.guard(f"works:{tenant}")
        open_ones = (announced_works.c.ends > tx.now) & announced_works.c.cancelled.is_(None)
        count = select(func.count()).select_from(announced_works).where(announced_works.c.tenant == tenant, open_ones)
        if tx.execute(count).scalar_one() >= _MOST:
            raise ConflictError(f"{tenant} has announced {_MOST} works that are not over; cancel one: minka works list")
        lately = (announced_works.c.tenant == tenant) & (announced_works.c.created > tx.now - _DAY)
        if tx.execute(select(func.count()).select_from(announced_works).where(lately)).scalar_one() >= MOST_A_DAY:
            raise ConflictError(f"{tenant} has announced {MOST_A_DAY} works within a day, which is the limit")
        work = AnnouncedWork(
            id=f"w-{secrets.token_hex(4)}",
            tenant=tenant,
            nodes=tuple(sorted(nodes)),
            links=tuple(sorted(set(nodes.values()))),
            begins=begins,
            ends=ends,
            by=by,
            reason=reason,
            created=tx.now,
        )
        row = work.model_dump() | {name: orjson.dumps(getattr(work, name)).decode() for name in _LISTS}
        tx.execute(announced_works.insert().values(row))
        times = {"begins": begins.isoformat(), "ends": ends.isoformat()}
        tx.note(by, "work.announced", work.id, tenant=tenant, nodes=", ".join(work.nodes), **times, reason=reason)
        return work

    @writes
    def cancel(self, tx: Tx, work: str, tenant: str, actor: str) -> None:
        """End a tenant's work now, or call it off. Raises NotFoundError where it has none of that id that is not over.

        The part until now stays on record as announced work.
        """
        own = (announced_works.c.id == work) & (announced_works.c.tenant == tenant)
        open_one = own & (announced_works.c.ends > tx.now) & announced_works.c.cancelled.is_(None)
        if not tx.execute(update(announced_works).where(open_one).values(cancelled=tx.now)).rowcount:
            raise NotFoundError(f"there is no announced work {work} that is not over; see minka works list")
        tx.note(actor, "work.cancelled", work, tenant=tenant)

    @reads
    def page(self, tx: Tx, page: Page, tenant: str | None = None) -> tuple[int, list[AnnouncedWork]]:
        """Total and one page of all works ever announced, newest first; only those of one tenant if named."""
        chosen = [] if tenant is None else [announced_works.c.tenant == tenant]
        total = tx.execute(select(func.count()).select_from(announced_works).where(*chosen)).scalar_one()
        newest = select(announced_works).where(*chosen).order_by(announced_works.c.number.desc())
        return total, [_as_work(row) for row in tx.execute(newest.limit(page.limit).offset(page.offset))]

    @reads
    def during(self, tx: Tx, since: datetime, until: datetime, tenant: str | None = None) -> list[AnnouncedWork]:
        """Work under way at some time between ``since`` and ``until``, by its begin.

        ``controller.models.announced_work.intervals`` turns works into the times of one core link.
        """
        return works_during(tx, since, until, tenant)

    @reads
    def on(self, tx: Tx, alarm: Alarm) -> AnnouncedWork | None:
        """Announced work under way now that explains an alarm; None if there is none."""
        return work_on(tx, alarm)


def works_during(tx: Tx, since: datetime, until: datetime, tenant: str | None = None) -> list[AnnouncedWork]:
    """Do what ``Works.during`` does, as part of a transaction."""
    asked = {"since": since, "until": until} | ({} if tenant is None else {"tenant": tenant})
    return [_as_work(row) for row in tx.execute(_DURING if tenant is None else _OF_TENANT, asked)]


def work_on(tx: Tx, alarm: Alarm) -> AnnouncedWork | None:
    """Do what ``Works.on`` does, as part of a transaction."""
    node = core_node_in(alarm) if alarm.tenant else ""
    if not node:
        return None
    begun = map(_as_work, tx.execute(_BEGUN, {"since": tx.now, "tenant": alarm.tenant}))
    return max((work for work in begun if work.covers(alarm.tenant, node)), key=lambda one: one.over, default=None)


def _as_work(row: Row[Any]) -> AnnouncedWork:
    values = {name: value for name, value in row._mapping.items() if name in AnnouncedWork.model_fields}
    return AnnouncedWork(**values | {name: tuple(orjson.loads(values[name])) for name in _LISTS})
