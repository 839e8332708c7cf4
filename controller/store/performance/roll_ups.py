"""Hours, days and months, worked out from finer rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Column, Integer, Row, String, Table, bindparam, delete, func, select, tuple_

from controller.models.measurement import DAY, HOUR, MONTH, QUARTER, Measured
from controller.models.metrics import Observations
from controller.performance.merging import together
from controller.performance.rollups import Zones
from controller.store.database.columns import Instant, metadata
from controller.store.database.transaction import Tx, WorkedOut
from controller.store.network.versions import network_history
from controller.store.performance.rows import (
    ALL,
    KEYS,
    Key,
    Layouts,
    PackedRow,
    Rows,
    Span,
    described,
    measurements,
    of_whole,
    packed_row,
    save,
    total,
)

log = structlog.get_logger()


#: Spans that have to be worked out, since finer rows came.
stale = Table(
    "stale_measurements",
    metadata,
    Column("level", Integer, primary_key=True),
    Column("begin", Instant, primary_key=True),
    Column("station", String, primary_key=True),
    # When the span may be worked out.
    Column("due", Instant, nullable=False),
)

#: Before when rows of a level were deleted because of their age.
retired = Table(
    "retired_measurements",
    metadata,
    Column("level", Integer, primary_key=True),
    Column("before", Instant, nullable=False),
)

#: Levels, finest first; each is worked out from finer ones.
LEVELS = (QUARTER, HOUR, DAY, MONTH)

#: How long after its end a span is worked out first, when nearly all files have come.
_SETTLE = {QUARTER: timedelta(), HOUR: timedelta(minutes=20), DAY: timedelta(minutes=30), MONTH: timedelta(hours=2)}

#: Spans worked out, and rows deleted, in one transaction: all other writes wait meanwhile.
ROLLED_AT_ONCE, DELETED_AT_ONCE = 50, 1_000

_ROLLED_AT = select(measurements.c.station, measurements.c.covered).where(
    measurements.c.level == bindparam("of"),
    measurements.c.begin == bindparam("at", type_=Instant()),
    measurements.c.rolled.is_(True),
)

_ZONES = select(network_history.c.since, network_history.c.timezone).order_by(network_history.c.number)

_DUE = (
    select(stale)
    .where(stale.c.level == bindparam("of"), stale.c.due <= bindparam("now", type_=Instant()))
    .order_by(stale.c.begin, stale.c.station)
    .limit(ROLLED_AT_ONCE)
)

_FIRST_STALE = select(func.min(stale.c.begin)).where(stale.c.level == bindparam("of"))

_NEXT_LEVEL = select(func.min(measurements.c.level)).where(
    measurements.c.level > bindparam("above"), measurements.c.level < bindparam("below")
)


def mark(tx: Tx, level: int, changed: Iterable[Key], zones: Zones) -> None:
    """Make the spans of the next level due that contain these new rows."""
    coarser = next((one for one in LEVELS if one > level), None)
    if coarser is None:
        return
    due = {}
    for station, begin in changed:
        since, until = zones.span_of(begin, coarser)
        due[since, station] = until + _SETTLE[coarser]
    if due:
        new = tx.insert(stale)
        # This takes the row's lock. A round that works out the span waits for the lock before it reads.
        again = new.on_conflict_do_update(index_elements=["level", "begin", "station"], set_={"due": new.excluded.due})
        rows = [{"level": coarser, "begin": key[0], "station": key[1], "due": due[key]} for key in sorted(due)]
        tx.execute(again, rows)


def zones_on_record(tx: Tx) -> Zones:
    """Time zones of the network, each since when it held."""
    return Zones.of((row.since, row.timezone) for row in tx.execute(_ZONES))


class SpanKey(NamedTuple):
    """A span of a station, and the digest of all that it is worked out from: with other rows it is another one."""

    level: int
    begin: datetime
    station: str
    rows: bytes


class RolledUp(NamedTuple):
    """A span that was worked out: its row, if any of its finer ones can be read."""

    row: PackedRow | None = None

    @property
    def covered(self) -> float:
        """Seconds in which the station counted."""
        return 0.0 if self.row is None else float(self.row.row["covered"])


def _begin_of(row: Row[Any]) -> datetime:
    begin: datetime = row.begin
    return begin


def roll_up(tx: Tx, now: datetime, known: WorkedOut[SpanKey, RolledUp]) -> int:
    """Put the spans of the finest level that has some due on record, at most some of them; returns how many."""
    zones = zones_on_record(tx)
    for level in LEVELS:
        found = tx.execute(_DUE, {"of": level, "now": now}).all()
        if found:
            due = {begin: [row.station for row in rows] for begin, rows in groupby(found, key=_begin_of)}
            _roll_up(tx, level, due, zones, known)
            return len(found)
    return 0


def _roll_up(
    tx: Tx, level: int, due: Mapping[datetime, Sequence[str]], zones: Zones, known: WorkedOut[SpanKey, RolledUp]
) -> None:
    """Put spans of a level on record for some stations, each worked out from all its finer rows."""
    works: dict[SpanKey, Callable[[], RolledUp]] = {}
    before: dict[Key, float] = {}
    for begin, stations in due.items():
        gone = delete(stale).where(stale.c.level == level, stale.c.begin == begin, stale.c.station.in_(stations))
        tx.execute(gone)  # Before the rows are read: rows that come from now on make the span due again.
        works |= _works(tx, level, zones.span_of(begin, level), stations)
        asked = {"of": level, "at": begin}
        rows = tx.rows(_ROLLED_AT, measurements.c.station, stations, **asked)
        before |= {(row.station, begin): row.covered for row in rows}
    # If it covered more before, some of its finer rows were deleted since: data so late is ignored.
    done = [
        one.row
        for key, one in known.take_all(tx, works).items()
        if one.row is not None and before.get((key.station, key.begin), 0.0) <= one.covered
    ]
    save(tx, done)
    mark(tx, level, [row.key for row in done], zones)


def _works(tx: Tx, level: int, span: Span, stations: Sequence[str]) -> dict[SpanKey, Callable[[], RolledUp]]:
    """How to work out one span of some stations from the finer rows that are on record."""
    begin, end = span
    below = max((one for one in LEVELS if one < level), default=1)
    finer = select(measurements).where(
        measurements.c.station.in_(stations),
        measurements.c.level.in_(_levels(tx, below - 1, level)),
        measurements.c.begin >= begin,
        measurements.c.begin < end,
    )
    rows = tx.execute(finer.order_by(*KEYS)).all()
    known = described(tx, rows)
    found: dict[SpanKey, Callable[[], RolledUp]] = {}
    for station, group in groupby(rows, key=lambda row: row.station):
        own = list(group)
        key = SpanKey(level, begin, station, _digest_of(own))
        found[key] = partial(_rolled_up, tx.observations, key, end, own, known)
    return found


def _digest_of(rows: Rows) -> bytes:
    """Digest of all that rows hold."""
    digest = sha256()
    for row in rows:
        content = row.layout, row.content
        digest.update(repr((*(value for value in row if not isinstance(value, bytes)), *map(len, content))).encode())
        for part in content:
            digest.update(part)
    return digest.digest()


def _rolled_up(observations: Observations, key: SpanKey, end: datetime, rows: Rows, known: Layouts) -> RolledUp:
    """One span of a station; none where there is an error, so that all other stations have theirs."""
    try:
        whole = _worked_out(observations, key.begin, end, rows, known)
        return RolledUp(None if whole is None else packed_row(whole, key.level, rolled=True))
    except Exception:
        log.exception("measurement.not_rolled_up", station=key.station, level=key.level, begin=key.begin)
        return RolledUp()


def _worked_out(
    observations: Observations, begin: datetime, end: datetime, rows: Rows, known: Layouts
) -> Measured | None:
    """One span of a station from all its finer rows; None if none of them can be read.

    Each finer level by itself: periods of 15 and of 30 minutes count the same events twice.
    """
    made = partial(total, begin, end, ALL)
    by_level = groupby(rows, key=lambda row: row.level)
    each = [of_whole(observations, list(of_level), known, made) for _, of_level in by_level]
    now = [one for one in each if one is not None]
    return together(now) if now else None


def _note_retired(tx: Tx, level: int, before: datetime, number: int) -> None:
    """Note before when rows of a level were deleted, if some were; late ones move nothing back."""
    if number:
        new = tx.insert(retired)
        changed, later = {"before": new.excluded.before}, retired.c.before < new.excluded.before
        row = {"level": level, "before": before}
        tx.execute(new.on_conflict_do_update(index_elements=["level"], set_=changed, where=later), [row])


def _unworked(tx: Tx, level: int, now: datetime) -> datetime:
    """Begin of the first span that is still to be worked out from rows of a level; now if there is none."""
    coarser = next((one for one in LEVELS if one > level), 0)
    return tx.execute(_FIRST_STALE, {"of": coarser}).scalar() or now


def _levels(tx: Tx, above: int, below: int) -> list[int]:
    """Levels between two others that have rows; the index finds each one directly."""
    found = [above]
    while (level := tx.execute(_NEXT_LEVEL, {"above": found[-1], "below": below}).scalar()) is not None:
        found.append(level)
    return found[1:]


def retire_rows(tx: Tx, now: datetime, keep: Mapping[int, timedelta]) -> int:
    """Delete some rows older than ``keep`` allows for their level; returns how many."""
    gone, above = 0, 0
    for level, age in sorted(keep.items()):
        for own in _levels(tx, above, level + 1):
            before = min(now - age, _unworked(tx, own, now))
            due = measurements.c.level == own, measurements.c.begin < before
            old = select(*KEYS).where(*due).limit(DELETED_AT_ONCE - gone)
            number = tx.execute(delete(measurements).where(tuple_(*KEYS).in_(old))).rowcount
            _note_retired(tx, own, before, number)
            gone += number
            if gone >= DELETED_AT_ONCE:
                return gone
        above = level
    return gone
