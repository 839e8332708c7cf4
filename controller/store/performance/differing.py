"""Periods of measurements that differ from those on record: on the audit trail, of a flood only their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, Row, String, Table, delete, select

from controller.models.measurement import Measured
from controller.performance.merging import difference
from controller.store.database.columns import Instant, metadata
from controller.store.database.transaction import Tx

#: Stations whose periods differed from those on record lately: of how many the audit trail has a row each, and of how
#: many more it has none yet.
differing = Table(
    "differing_measurements",
    metadata,
    Column("station", String, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("audited", Integer, nullable=False),
    Column("more", BigInteger, nullable=False),
)

#: The audit trail's word for a period that differs, and the lock of their counts.
_DIFFERED, _DIFFERING = "measurement.differed", "differing-measurements"

#: For how long differing periods of a station are counted together, and how many of them get an audit row of their own.
#: All others get a single row with their number.
_COUNTED_TOGETHER, _EACH = timedelta(days=1), 20


def note_differing(tx: Tx, level: int, found: Mapping[str, Sequence[tuple[Measured, Measured]]]) -> None:
    """Put on the audit trail how periods of stations differ from those on record; of a flood, how many more did."""
    if not found:
        return
    tx.guard(_DIFFERING)
    counts = {row.station: row for row in tx.rows(select(differing), differing.c.station, found)}
    rows = []
    for station, pairs in sorted(found.items()):
        row = counts.get(station)
        if row is not None and row.since <= tx.now - _COUNTED_TOGETHER:
            _sum_up(tx, row)
            row = None
        since, audited, more = (tx.now, 0, 0) if row is None else (row.since, row.audited, row.more)
        each = pairs[: max(_EACH - audited, 0)]
        for first, one in each:
            detail = {"begin": one.begin.isoformat(), "seconds": level, "differs": difference(first, one)}
            tx.note("measurements", _DIFFERED, station, **detail)
        left = more + len(pairs) - len(each)
        rows.append({"station": station, "since": since, "audited": audited + len(each), "more": left})
    new = tx.insert(differing)
    changed = {name: new.excluded[name] for name in ("since", "audited", "more")}
    tx.execute(new.on_conflict_do_update(index_elements=["station"], set_=changed), rows)


def _sum_up(tx: Tx, row: Row[Any]) -> None:
    """Write one row for all differing periods of a station that have none."""
    if row.more:
        tx.note("measurements", _DIFFERED, row.station, count=row.more, since=row.since.isoformat())


def retire_differing(tx: Tx, now: datetime) -> None:
    """Sum up the periods of stations that were counted together for long enough."""
    tx.guard(_DIFFERING)
    over = delete(differing).where(differing.c.since <= now - _COUNTED_TOGETHER)
    for row in tx.execute(over.returning(differing)):
        _sum_up(tx, row)
