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
    delete,
    func,
    or_,
    select,
    update,
)

from controller.models.collection import Collection
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx

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
    Column("turns", Integer, nullable=False),
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

#: Numbers of a collection that was not tried yet.
_NONE_YET = {"missing": 0, "failures": 0, "turns": 0}
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
#: Rows for a change: locked in the same order by all.
_ROWS = select(collections).order_by(collections.c.station).with_for_update()
_RESULTS = ("tried", "received", "newest", "missing", "failures", "turns", "reason", "again")
#: How long a station that says it has files waits after a collection: it may say so as often as it likes.
_PAUSE = timedelta(seconds=10)
_FINISH = (
    update(collections)
    .where(collections.c.station == bindparam("of"))
    .values(
        {
            "due": bindparam("next", type_=Instant()),
            "holder": "",
            "until": None,
            "taken": None,
            **{name: bindparam(f"new_{name}", type_=collections.c[name].type) for name in _RESULTS},
        }
    )
)
_HURRY = (
    update(collections).where(collections.c.station == bindparam("of")).values(due=bindparam("soon", type_=Instant()))
)


class Collections(Repository[M_co]):
    """Collections of stations. A worker takes each one for a while; then any worker may take it again."""

    @writes
    def follow(self, tx: Tx, stations: Mapping[str, datetime]) -> None:
        """Collect from these stations and no others; new ones are due first at the given times."""
        known = set(tx.execute(select(collections.c.station)).scalars())
        new = [
            {"station": station, "due": due, "since": tx.now, "reason": "", "holder": ""} | _NONE_YET
            for station, due in sorted(stations.items())
            if station not in known
        ]
        if new:
            tx.execute(tx.insert(collections).on_conflict_do_nothing(index_elements=["station"]), new)
        if gone := [{"of": station} for station in sorted(known - stations.keys())]:
            tx.execute(delete(collections).where(collections.c.station == bindparam("of")), gone)

    @writes
    def hurry(self, tx: Tx, stations: Iterable[str]) -> list[str]:
        """Make stations due now, some seconds after their last collection at the earliest; returns those that were not.

        A collection under way is followed by another one. A station of which files are left waits for its turn.
        """
        rows = tx.rows(_ROWS, collections.c.station, sorted(set(stations)))
        sooner = {row.station: soon for row in rows if (soon := _sooner(row, tx.now)) is not None}
        if sooner:
            tx.execute(_HURRY, [{"of": station, "soon": soon} for station, soon in sorted(sooner.items())])
        return sorted(sooner)

    @writes
    def take(self, tx: Tx, holder: str, limit: int, lease: timedelta) -> list[Collection]:
        """Take due collections for a worker, which has them alone during the lease; those due longest come first."""
        found = tx.execute(_DUE, {"now": tx.now, "most": limit}).all()
        if found:
            end = tx.now + lease
            tx.execute(_TAKE, [{"of": row.station, "by": holder, "end": end} for row in found])
        return [_as_collection(row).model_copy(update={"holder": holder}) for row in found]

    @writes
    def finish(self, tx: Tx, ends: Iterable[Collection], counts: Mapping[tuple[str, str], int]) -> list[str]:
        """Put on record how collections ended, and add up what they brought, by kind and reason.

        Args:
            ends: The collections as they are from now on, with the holder that took them.
            counts: Numbers to add to the figures.

        Returns:
            Stations whose collection another worker has taken by then; they stay unchanged.
        """
        ended = {one.station: one for one in ends}
        held = {row.station: row for row in tx.rows(_ROWS, collections.c.station, ended)} if ended else {}
        ours = {name: row for name, row in held.items() if row.holder == ended[name].holder}
        if ours:
            tx.execute(_FINISH, [_values(ended[name], _next(ended[name], ours[name], tx.now)) for name in sorted(ours)])
        _count(tx, counts)
        return sorted(ended.keys() - ours.keys())

    @writes
    def release(self, tx: Tx, holder: str) -> None:
        """Let others take the collections that a stopping worker has not finished."""
        tx.execute(update(collections).where(collections.c.holder == holder).values(holder="", until=None, taken=None))

    @reads
    def waiting(self, tx: Tx) -> int:
        """The number of collections that are due, and that no worker has."""
        return int(tx.execute(_WAITING, {"now": tx.now}).scalar_one())

    @reads
    def find(self, tx: Tx, stations: Iterable[str] | None = None) -> dict[str, Collection]:
        """Collections by station; all if no stations are given."""
        rows = tx.rows(select(collections), collections.c.station, stations)
        return {row.station: _as_collection(row) for row in rows}


def _soonest(row: Row[Any], now: datetime) -> datetime:
    """When a station may be collected that says it has files."""
    return now if row.tried is None else max(now, row.tried + _PAUSE)


def _sooner(row: Row[Any], now: datetime) -> datetime | None:
    """When a station is due that says it has files; None if that is no sooner than it is anyway."""
    if row.taken is not None:  # It is collected now; ``_next`` makes another one follow.
        return now if row.due == row.taken else None
    soon = _soonest(row, now)
    return soon if soon < row.due and not row.turns else None


def _next(ended: Collection, row: Row[Any], now: datetime) -> datetime:
    """When a collection that ended is due again, by itself and its row before."""
    # If it was made due meanwhile, there is data that this collection did not see yet.
    hurried = row.due != row.taken and not ended.turns
    return min(ended.due, _soonest(row, now)) if hurried else ended.due


def _as_collection(row: Row[Any]) -> Collection:
    values = {name: row._mapping[name] for name in Collection.model_fields}
    return Collection(**values | {"again": tuple(orjson.loads(row.again)) if row.again else ()})


def _values(one: Collection, due: datetime) -> dict[str, Any]:
    names = ("tried", "received", "newest", "missing", "failures", "turns", "reason")
    again = orjson.dumps(one.again).decode() if one.again else ""
    return {"of": one.station, "next": due, "new_again": again} | {f"new_{name}": getattr(one, name) for name in names}


def _count(tx: Tx, found: Mapping[tuple[str, str], int]) -> None:
    rows = [
        {"kind": kind, "reason": reason, "number": number} for (kind, reason), number in sorted(found.items()) if number
    ]
    if rows:
        row = tx.insert(totals)
        more = {"number": totals.c.number + row.excluded.number}
        tx.execute(row.on_conflict_do_update(index_elements=["kind", "reason"], set_=more), rows)
