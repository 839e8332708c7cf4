"""Collections of performance data: when each is due, which worker has it, and what they brought so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    Row,
    String,
    Table,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    update,
)

from controller.models.collection import Collection
from controller.ports.store import Collections, Sync
from controller.store.columns import Instant, long_text, metadata, string
from controller.store.repository import SqlRepository, reads, writes
from controller.store.transaction import Tx

collections = Table(
    "collections",
    metadata,
    Column("station", String, primary_key=True),
    Column("due", Instant, nullable=False, index=True),
    Column("since", Instant, nullable=False),
    Column("tried", Instant),
    Column("received", Instant),
    Column("newest", Instant),
    Column("missing", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    string("reason"),
    long_text("again"),
    # The worker that has it, until when, and when it was due then; after that time any worker may take it.
    string("holder"),
    Column("until", Instant),
    Column("taken", Instant),
)
#: Totals of what collections brought.
totals = Table(
    "collection_counts",
    metadata,
    Column("kind", String, primary_key=True),
    Column("reason", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

_NOW = bindparam("now", type_=Instant())
_FREE = or_(collections.c.until.is_(None), collections.c.until <= _NOW)
_DUE = (
    select(collections)
    .where(collections.c.due <= _NOW, _FREE)
    .order_by(collections.c.due, collections.c.station)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_TAKE = (
    update(collections)
    .where(collections.c.station == bindparam("of"))
    .values(holder=bindparam("by"), until=bindparam("end", type_=Instant()), taken=collections.c.due)
)
_WAITING = select(func.count()).select_from(collections).where(collections.c.due <= _NOW, _FREE)
_HELD = select(collections.c.station, collections.c.holder).with_for_update()
_RESULTS = ("tried", "received", "newest", "missing", "failures", "reason", "again")
#: If it was made due meanwhile, there is data that this collection did not see yet.
_FINISH = (
    update(collections)
    .where(collections.c.station == bindparam("of"))
    .values(
        {
            "due": case((collections.c.due == collections.c.taken, bindparam("next", type_=Instant())), else_=_NOW),
            "holder": "",
            "until": None,
            "taken": None,
            **{name: bindparam(f"new_{name}", type_=collections.c[name].type) for name in _RESULTS},
        }
    )
)
_HURRY = (
    update(collections)
    .where(collections.c.station == bindparam("of"), or_(collections.c.due > _NOW, collections.c.taken.is_not(None)))
    .values(due=_NOW)
)


class SqlCollections(SqlRepository, Collections[Sync]):
    """Repository of collections."""

    @writes
    def follow(self, tx: Tx, stations: Mapping[str, datetime]) -> None:
        known = set(tx.execute(select(collections.c.station)).scalars())
        new = [
            {"station": station, "due": due, "since": tx.now, "missing": 0, "failures": 0, "reason": "", "holder": ""}
            for station, due in sorted(stations.items())
            if station not in known
        ]
        if new:
            tx.execute(tx.insert(collections).on_conflict_do_nothing(index_elements=["station"]), new)
        if gone := [{"of": station} for station in sorted(known - stations.keys())]:
            tx.execute(delete(collections).where(collections.c.station == bindparam("of")), gone)

    @writes
    def hurry(self, tx: Tx, stations: Iterable[str]) -> list[str]:
        wanted = sorted(set(stations))
        return [one for one in wanted if tx.execute(_HURRY, {"of": one, "now": tx.now}).rowcount]

    @writes
    def take(self, tx: Tx, holder: str, limit: int, lease: timedelta) -> list[Collection]:
        found = tx.execute(_DUE, {"now": tx.now, "most": limit}).all()
        if found:
            end = tx.now + lease
            tx.execute(_TAKE, [{"of": row.station, "by": holder, "end": end} for row in found])
        return [_as_collection(row).model_copy(update={"holder": holder}) for row in found]

    @writes
    def finish(self, tx: Tx, ends: Iterable[Collection], counts: Mapping[tuple[str, str], int]) -> list[str]:
        ended = {one.station: one for one in ends}
        held = {row.station: row.holder for row in tx.rows(_HELD, collections.c.station, ended)} if ended else {}
        ours = [one for station, one in sorted(ended.items()) if held.get(station) == one.holder]
        if ours:
            tx.execute(_FINISH, [_values(one) | {"now": tx.now} for one in ours])
        _count(tx, counts)
        return sorted(ended.keys() - {one.station for one in ours})

    @writes
    def release(self, tx: Tx, holder: str) -> None:
        tx.execute(update(collections).where(collections.c.holder == holder).values(holder="", until=None, taken=None))

    @reads
    def waiting(self, tx: Tx) -> int:
        return int(tx.execute(_WAITING, {"now": tx.now}).scalar_one())

    @reads
    def find(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, Collection]:
        rows = tx.rows(select(collections), collections.c.station, stations)
        return {row.station: _as_collection(row) for row in rows}


def _as_collection(row: Row[Any]) -> Collection:
    values = {name: row._mapping[name] for name in Collection.model_fields}
    return Collection(**values | {"again": tuple(orjson.loads(row.again)) if row.again else ()})


def _values(one: Collection) -> dict[str, Any]:
    names = ("tried", "received", "newest", "missing", "failures", "reason")
    again = orjson.dumps(one.again).decode() if one.again else ""
    return {"of": one.station, "next": one.due, "new_again": again} | {
        f"new_{name}": getattr(one, name) for name in names
    }


def _count(tx: Tx, found: Mapping[tuple[str, str], int]) -> None:
    rows = [
        {"kind": kind, "reason": reason, "number": number} for (kind, reason), number in sorted(found.items()) if number
    ]
    if rows:
        row = tx.insert(totals)
        more = {"number": totals.c.number + row.excluded.number}
        tx.execute(row.on_conflict_do_update(index_elements=["kind", "reason"], set_=more), rows)
