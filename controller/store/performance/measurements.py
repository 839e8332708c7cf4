"""Counters of stations: a row for each station, span of time and level, small enough to keep for years.

A row holds values only. Its layout says which cell, counter and subject each value is about. Thousands of rows share a
layout, which is on record once.
"""

from __future__ import annotations

import math
import operator
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from hashlib import sha256
from itertools import chain, groupby, starmap
from typing import Any, NamedTuple, TypeVar

import orjson
import structlog
from pydantic import AwareDatetime
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    bindparam,
    delete,
    func,
    select,
    tuple_,
)

from controller.models.many import first_names
from controller.models.measurement import (
    DAY,
    GRANULARITIES,
    HOUR,
    MONTH,
    QUARTER,
    Measured,
    Subject,
    Values,
    aligned,
    is_possible,
    least_apart,
)
from controller.models.metrics import DAMAGED_ROWS, Observations
from controller.models.network import Noun
from controller.performance.kpis import EVERYBODY, CellCounts, CounterQuery, Subscribers, amount, cell_counts
from controller.performance.rollups import Zones, rolled_up
from controller.performance.vocabulary import Aggregation, counter_named
from controller.store.database.columns import Instant, long_text, metadata, string
from controller.store.database.queries import as_noun, chunks
from controller.store.database.repository import M_co, Repository, Sync, method, reads, writes
from controller.store.database.transaction import Database, Tx, WorkedOut
from controller.store.network.devices import plmn_lists
from controller.store.network.versions import network_history


class StoredPeriods(NamedTuple):
    """What became of periods that were put on record.

    Attributes:
        new: Periods of which nothing was on record.
        repeated: Periods with nothing new.
        replaced: Periods that replaced a suspect one, or added counters to one.
        conflicting: Periods with other values than the one on record, which stays; the difference is on record.
        refused: Periods in the future, of a length that is no granularity period, off its grid (``aligned``), or that
            overlap another one of their length (``least_apart``).
    """

    new: int = 0
    repeated: int = 0
    replaced: int = 0
    conflicting: int = 0
    refused: int = 0


class Gap(NamedTuple):
    """A span of time without measurements of a station on record."""

    station: str
    begin: datetime
    end: datetime


class CollectedFile(Noun):
    """A measurement file that was collected from a station, or refused.

    Attributes:
        name: As the station names it (TS 32.432 §5.2).
        digest: Digest of its content as it was fetched.
        at: When it was collected; now if None.
        periods: Periods in it.
        error: Why it was refused; empty if it was accepted.
    """

    station: str
    name: str
    digest: str
    at: AwareDatetime | None = None
    periods: int = 0
    error: str = ""


class UnknownCounter(Noun):
    """A counter that the vocabulary does not have: counted and named once, and not kept.

    Attributes:
        name: Its name without subcounters.
        count: Number of its values so far.
        station: The station that had it first.
    """

    name: str
    count: int
    station: str
    since: AwareDatetime
    last: AwareDatetime


log = structlog.get_logger()

measurements = Table(
    "measurements",
    metadata,
    Column("station", String, primary_key=True),
    # The nominal length of the span in seconds: 900, 3600, a day, 31 days, or that of another period. ``seconds`` is
    # its actual length.
    Column("level", Integer, primary_key=True),
    Column("begin", Instant, primary_key=True),
    # Whether it was worked out from finer rows. A station may also measure some counters by the hour.
    Column("rolled", Boolean, primary_key=True),
    Column("seconds", Integer, nullable=False),
    Column("covered", Float, nullable=False),
    Column("suspect", Boolean, nullable=False),
    # Whether another period of the same time had other values; the audit trail has the difference.
    Column("differed", Boolean, nullable=False),
    Column("layout", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("ix_measurements_level_begin", "level", "begin"),
)
layouts = Table(
    "measurement_layouts",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    # Begin of the newest row with this layout.
    Column("last", Instant, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
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
#: Before when rows of a level were deleted because of their age.
retired = Table(
    "retired_measurements",
    metadata,
    Column("level", Integer, primary_key=True),
    Column("before", Instant, nullable=False),
)
files = Table(
    "measurement_files",
    metadata,
    Column("station", String, primary_key=True),
    Column("name", String, primary_key=True),
    string("digest"),
    Column("at", Instant, nullable=False, index=True),
    Column("periods", Integer, nullable=False),
    long_text("error"),
)
unknown_counters = Table(
    "unknown_counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("count", BigInteger, nullable=False),
    string("station"),
    Column("since", Instant, nullable=False),
    Column("last", Instant, nullable=False),
)

#: Levels, finest first; each is worked out from finer ones.
_LEVELS = (QUARTER, HOUR, DAY, MONTH)
#: How long after its end a span is worked out first, when nearly all files have come.
_SETTLE = {QUARTER: timedelta(), HOUR: timedelta(minutes=20), DAY: timedelta(minutes=30), MONTH: timedelta(hours=2)}
#: Periods that begin later than this from now come from a wrong clock.
_AHEAD = timedelta(minutes=15)
#: Spans worked out, and rows deleted, in one transaction: all other writes wait meanwhile.
_ROLLED_AT_ONCE, _DELETED_AT_ONCE = 50, 1_000
#: The longest time for which names of collected files are kept. Each station has a hundred files a day, and few
#: stations keep them longer. A file that stays longer is read again, and changes nothing.
_FILES_KEPT = timedelta(days=7)
#: How many names of unknown counters are kept, and how long each may be: a station may send anything.
_MOST_UNKNOWN, _LONGEST_NAME = 2_000, 120
#: The name under which all other unknown counters are counted.
_OTHERS = "(others)"
_DIGEST = 16
#: The audit trail's word for a period that differs, and the lock of their counts.
_DIFFERED, _DIFFERING = "measurement.differed", "differing-measurements"
_NOT_FINITE = "a value of a measurement is not finite"
#: Differing values of two periods that the audit trail shows.
_SHOWN = 3
#: For how long differing periods of a station are counted together, and how many of them get an audit row of their own.
#: All others get a single row with their number.
_COUNTED_TOGETHER, _EACH = timedelta(days=1), 20
#: Whole numbers below this are exact in JSON and as a float.
_EXACT = 2**53
#: Stations whose pages are read together.
_STATIONS = 500
#: Gaps are known only of stations that measured something in this time.
_RECENT = timedelta(days=7)

#: Layout: cells, their counters and these counters' subjects, in the order of the values.
_Layout = tuple[tuple[str, tuple[tuple[str, tuple[Subject, ...]], ...]], ...]
_Layouts = Mapping[bytes, _Layout]
_Key = tuple[str, datetime]
_Span = tuple[datetime, datetime]
_Rows = Sequence[Row[Any]]
_Sum = Callable[[Sequence[float]], float]
#: The result that is made of the rows of a station and span.
T = TypeVar("T", Measured, CellCounts)
R = TypeVar("R")


#: Layouts by their digest, which determines a layout for ever.
_layouts: dict[bytes, _Layout] = {}
_MOST_LAYOUTS = 10_000
_MEASURED_AT = select(measurements).where(
    measurements.c.level == bindparam("of"),
    measurements.c.begin == bindparam("at", type_=Instant()),
    measurements.c.rolled.is_(False),
)
_MEASURED_OF = select(measurements).where(
    measurements.c.level == bindparam("of"),
    measurements.c.station == bindparam("one"),
    measurements.c.begin.in_(bindparam("at", expanding=True, type_=Instant())),
    measurements.c.rolled.is_(False),
)
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
    .limit(_ROLLED_AT_ONCE)
)
_BEGINS = select(measurements.c.begin).where(
    measurements.c.station == bindparam("one"),
    measurements.c.level == bindparam("of"),
    measurements.c.begin > bindparam("since", type_=Instant()),
    measurements.c.begin < bindparam("until", type_=Instant()),
    measurements.c.rolled.is_(False),
)
_FIRST_STALE = select(func.min(stale.c.begin)).where(stale.c.level == bindparam("of"))
_WHOLE = select(measurements.c.station, measurements.c.begin, measurements.c.seconds).where(
    measurements.c.level.in_(GRANULARITIES),
    measurements.c.begin > bindparam("since", type_=Instant()),
    measurements.c.begin < bindparam("until", type_=Instant()),
    measurements.c.covered >= measurements.c.seconds,
)
_BETWEEN = select(measurements).where(
    measurements.c.level == bindparam("of"),
    measurements.c.begin >= bindparam("since", type_=Instant()),
    measurements.c.begin < bindparam("until", type_=Instant()),
)
_STATIONS_BETWEEN = _BETWEEN.with_only_columns(measurements.c.station).distinct()
_NEXT_LEVEL = select(func.min(measurements.c.level)).where(
    measurements.c.level > bindparam("above"), measurements.c.level < bindparam("below")
)
_NEW_LAYOUTS = select(layouts.c.digest, layouts.c.content).where(
    layouts.c.digest.in_(bindparam("wanted", expanding=True))
)
_UNKNOWN = select(unknown_counters.c.name)
_FILES = select(files).where(files.c.station == bindparam("of"))
_KEYS = tuple(measurements.primary_key.columns)


class Measurements(Repository[M_co]):
    """Performance data of stations."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        #: Spans of a round that are worked out and not on record yet.
        self._rolled = WorkedOut[_SpanKey, _RolledUp](kept=2 * _ROLLED_AT_ONCE)

    @method
    def put(self: Measurements[Sync], periods: Iterable[Measured]) -> StoredPeriods:
        """Put granularity periods on record; each counts once, in whatever order they come.

        Station, begin and length identify a period. Values that are on record already are ignored. Counters that the
        first one does not have are added, since each measurement job of a station writes files of its own. A complete
        period replaces a suspect one. Otherwise the first one stays, and the difference goes on the audit trail, once
        for each period; of many of a station in a day only their number does (``retire``).
        Put at most some hundred stations at once: each is locked meanwhile.
        """
        some = tuple(periods)
        possible = tuple(one for one in some if aligned(one.begin, one.seconds) == one.begin and _is_possible(one))
        # Nearly all are new, and go on record as they are.
        packed = {id(one): _packed_row(one, one.seconds) for one in possible}
        return self._put(possible, packed, len(some) - len(possible))

    @writes
    def _put(
        self, tx: Tx, periods: Sequence[Measured], packed: Mapping[int, _PackedRow], refused: int
    ) -> StoredPeriods:
        latest = tx.now + _AHEAD
        by_level: dict[int, dict[_Key, list[Measured]]] = defaultdict(lambda: defaultdict(list))
        for one in periods:
            if one.begin > latest:
                refused += 1
            else:
                by_level[one.seconds][one.station, one.begin.astimezone(UTC)].append(one)
        # Two workers may bring the same period, while neither is on record yet.
        for station in sorted({station for keys in by_level.values() for station, _ in keys}):
            tx.guard(f"measurements:{station}")
        zones = _zones(tx)
        taken = StoredPeriods(refused=refused)
        for level, wanted in sorted(by_level.items()):
            taken = StoredPeriods(*map(sum, zip(taken, _put(tx, level, wanted, packed, zones), strict=True)))
        return taken

    @method
    def read(
        self: Measurements[Sync],
        begin: datetime,
        end: datetime,
        seconds: int,
        stations: Collection[str] | None = None,
        counters: Collection[str] | None = None,
        who: Subscribers = EVERYBODY,
    ) -> Iterator[Measured]:
        """Periods that began between two times, on one level (QUARTER to MONTH), by station and time; lazily.

        With ``counters`` and ``who``, periods have only these counters, of this tenant and of whole cells, which takes
        a fraction of the time.

        Periods shorter than 900 s also exist as 900 s; to read them, ask for their own length. This is for threads; a
        coroutine asks for pages, or reads in a thread.
        """
        names = self._counting(begin, end, seconds) if stations is None else stations
        choice = _Choice.of(counters, who)
        return self._all((begin, end), seconds, names, choice.together)

    @method
    def amounts(
        self: Measurements[Sync],
        begin: datetime,
        end: datetime,
        seconds: int,
        stations: Collection[str],
        wanted: Sequence[CounterQuery],
    ) -> Iterator[CellCounts]:
        """The wanted sums of each cell, for all elements of ``read``, by station and time; lazily, for threads."""
        return self._all((begin, end), seconds, stations, _Sums(tuple(wanted)).of)

    def _all(
        self: Measurements[Sync],
        span: _Span,
        seconds: int,
        stations: Collection[str],
        make: Callable[[_Rows, _Layouts], T],
    ) -> Iterator[T]:
        """The results made of the rows of each station and span, page by page."""
        names = sorted(set(stations))
        for at in range(0, len(names), _STATIONS):
            some, after = names[at : at + _STATIONS], None
            while found := self._some(span, seconds, some, after, make):
                yield from found
                after = found[-1].station, found[-1].begin

    @reads
    def _some(
        self,
        tx: Tx,
        span: _Span,
        seconds: int,
        names: Sequence[str],
        after: _Key | None,
        make: Callable[[_Rows, _Layouts], T],
    ) -> list[T]:
        return _page(tx, span, seconds, names, after, 500, make)

    @reads
    def page(
        self,
        tx: Tx,
        begin: datetime,
        end: datetime,
        seconds: int,
        stations: Collection[str] | None = None,
        after: tuple[str, datetime] | None = None,
        limit: int = 500,
        counters: Collection[str] | None = None,
        who: Subscribers = EVERYBODY,
    ) -> list[Measured]:
        """About ``limit`` elements of ``read``, after a station and time; empty at the end."""
        names = _counting(tx, begin, end, seconds) if stations is None else sorted(set(stations))
        choice = _Choice.of(counters, who)
        return _page(tx, (begin, end), seconds, names, after, limit, choice.together)

    @reads
    def totals(
        self,
        tx: Tx,
        begin: datetime,
        end: datetime,
        seconds: int,
        stations: Collection[str],
        counters: Collection[str] | None = None,
        who: Subscribers = EVERYBODY,
    ) -> list[Measured]:
        """The sum of all elements of ``read`` for each station, made like a roll-up, and many times as fast."""
        choice = _Choice.of(counters, who)
        asked = {"of": seconds, "since": begin, "until": end}
        rows = sorted(tx.rows(_BETWEEN, measurements.c.station, stations, **asked), key=_place)
        known = _described(tx, rows)
        made = partial(_total, begin, end, choice)
        each = (
            _of_whole(tx.observations, list(own), known, made) for _, own in groupby(rows, key=lambda row: row.station)
        )
        return [one for one in each if one is not None]

    @reads
    def _counting(self, tx: Tx, begin: datetime, end: datetime, seconds: int) -> list[str]:
        return _counting(tx, begin, end, seconds)

    @reads
    def gaps(self, tx: Tx, begin: datetime, end: datetime, stations: Collection[str] | None = None) -> list[Gap]:
        """Spans without data, by station and time; of all stations that ever measured if none are named.

        Ask only for times within the shortest retention: of older times only whole hours are known.
        """
        since = begin - timedelta(days=1, hours=1)
        covered: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        for row in tx.rows(_WHOLE, measurements.c.station, stations, since=since, until=end):
            covered[row.station].append((row.begin, row.begin + timedelta(seconds=row.seconds)))
        wanted = _measuring(tx, begin, end) if stations is None else set(stations)
        return [gap for station in sorted(wanted) for gap in _gaps(station, sorted(covered[station]), begin, end)]

    @writes
    def roll_up(self, tx: Tx, now: datetime) -> int:
        """Work out some hours, days and months again that have new finer rows; returns how many. Call it until it is 0.

        An hour is worked out some minutes after its end, a day after its last hour, a month after its last day, in the
        time zone of the current network. Late periods make them due again. A result always comes from all finer rows,
        so repeating it changes nothing.
        """
        tx.guard("measurements.roll_up")
        zones = _zones(tx)
        for level in _LEVELS:
            found = tx.execute(_DUE, {"of": level, "now": now}).all()
            if found:
                due = {begin: [row.station for row in rows] for begin, rows in groupby(found, key=_begin_of)}
                _roll_up(tx, level, due, zones, self._rolled)
                return len(found)
        return 0

    @writes
    def retire(self, tx: Tx, now: datetime, keep: Mapping[int, timedelta]) -> int:
        """Delete some rows older than ``keep`` allows for their level; returns how many. Call it until it is 0.

        Shorter periods are kept as long as those of 900 s. Unknown counters, and in which order stations had PLMNs, are
        kept as long as the shortest retention; names of files too, but at most a week.
        """
        tx.guard(_DIFFERING)
        over = delete(differing).where(differing.c.since <= now - _COUNTED_TOGETHER)
        for row in tx.execute(over.returning(differing)):
            _sum_up(tx, row)
        gone, above = 0, 0
        for level, age in sorted(keep.items()):
            for own in _levels(tx, above, level + 1):
                before = min(now - age, _unworked(tx, own, now))
                due = measurements.c.level == own, measurements.c.begin < before
                old = select(*_KEYS).where(*due).limit(_DELETED_AT_ONCE - gone)
                number = tx.execute(delete(measurements).where(tuple_(*_KEYS).in_(old))).rowcount
                _note_retired(tx, own, before, number)
                gone += number
                if gone >= _DELETED_AT_ONCE:
                    return gone
            above = level
        shortest, longest = now - min(keep.values()), now - max(keep.values())
        tx.execute(delete(layouts).where(layouts.c.last < longest))
        tx.execute(delete(files).where(files.c.at < max(shortest, now - _FILES_KEPT)))
        tx.execute(delete(unknown_counters).where(unknown_counters.c.last < shortest))
        tx.execute(delete(plmn_lists).where(plmn_lists.c.until < shortest))
        return gone

    @reads
    def retired(self, tx: Tx, seconds: int) -> datetime | None:
        """Before when rows of a level were deleted because of their age; None if none were."""
        found: datetime | None = tx.execute(select(retired.c.before).where(retired.c.level == seconds)).scalar()
        return found

    @method
    def collect(self: Measurements[Sync], files: Iterable[CollectedFile]) -> None:
        """Put files on record as collected, in the transaction that puts their periods."""
        self._collect(tuple(files))

    @writes
    def _collect(self, tx: Tx, files_: Sequence[CollectedFile]) -> None:
        rows = [one.model_dump() | {"at": one.at or tx.now} for one in files_]
        if rows:
            new = tx.insert(files)
            changed = {name: new.excluded[name] for name in ("digest", "at", "periods", "error")}
            tx.execute(new.on_conflict_do_update(index_elements=["station", "name"], set_=changed), rows)

    @reads
    def collected(self, tx: Tx, station: str, names: Collection[str]) -> dict[str, CollectedFile]:
        """Those of these files of a station that were collected already, by name."""
        return {row.name: as_noun(CollectedFile, row) for row in tx.rows(_FILES, files.c.name, names, of=station)}

    @reads
    def files(self, tx: Tx, station: str, limit: int) -> list[CollectedFile]:
        """The newest files of a station, collected or refused, newest first."""
        newest = _FILES.order_by(files.c.at.desc(), files.c.name.desc()).limit(limit)
        return [as_noun(CollectedFile, row) for row in tx.execute(newest, {"of": station})]

    @writes
    def miss(self, tx: Tx, station: str, unknown: Mapping[str, int]) -> list[str]:
        """Count values of unknown counters by name; returns the names that are new."""
        counts: dict[str, int] = defaultdict(int)
        for name, count in unknown.items():
            counts[name[:_LONGEST_NAME]] += count
        tx.guard("unknown-counters")  # Stations that are read at once share the room.
        known = {row.name for row in tx.rows(_UNKNOWN, unknown_counters.c.name, counts)}
        room = _MOST_UNKNOWN - tx.execute(select(func.count()).select_from(unknown_counters)).scalar_one()
        new = sorted(counts.keys() - known)[: max(room, 0)]
        for name in counts.keys() - known - set(new):
            counts[_OTHERS] += counts.pop(name)
        rows = [
            {"name": name, "count": count, "station": station, "since": tx.now, "last": tx.now}
            for name, count in sorted(counts.items())
        ]
        if rows:
            row = tx.insert(unknown_counters)
            more = {"count": unknown_counters.c.count + row.excluded.count, "last": row.excluded.last}
            tx.execute(row.on_conflict_do_update(index_elements=["name"], set_=more), rows)
        return new

    @reads
    def unknown(self, tx: Tx) -> list[UnknownCounter]:
        """Counters of stations that the vocabulary does not have, by name."""
        return [as_noun(UnknownCounter, row) for row in tx.execute(select(unknown_counters).order_by("name"))]


# -------------------------------------------------------------------------------- put


def _is_possible(one: Measured) -> bool:
    """Whether all values of a period may be; one that may not is told of."""
    possible = all(map(is_possible, _values(one)))
    if not possible:
        log.error("measurement.refused", station=one.station, begin=one.begin, reason="impossible values")
    return possible


def _put(
    tx: Tx,
    level: int,
    wanted: Mapping[_Key, Sequence[Measured]],
    packed: Mapping[int, _PackedRow],
    zones: Zones,
) -> StoredPeriods:
    """Put periods of one level on record; those that nothing is merged with are ``packed`` already, by their id."""
    known = _known(tx, level, wanted)
    taken: dict[str, int] = defaultdict(int)
    rows, changed = [], []
    differences: dict[str, list[tuple[Measured, Measured]]] = defaultdict(list)
    over = _overlapping(tx, level, wanted)
    taken["refused"] = sum(len(wanted[key]) for key in over)
    for key, periods in wanted.items():
        if key in over:
            continue
        before, had_differed = known.get(key, (None, False))
        now, differed = before, had_differed
        for one in periods:
            first = now
            now, outcome = _merged(first, one)
            taken[outcome] += 1
            if outcome == "conflicting" and not differed and first is not None:
                differed = True
                differences[one.station].append((first, one))
        if now is not before:
            changed.append(key)
        if now is not None and (now is not before or differed != had_differed):
            ready = None if differed else packed.get(id(now))
            rows.append(ready or _packed_row(now, level, differed=differed))
    _save(tx, rows)
    _mark(tx, level, changed, zones)
    _note_differing(tx, level, differences)
    return StoredPeriods(**taken)


def _overlapping(tx: Tx, level: int, wanted: Iterable[_Key]) -> set[_Key]:
    """Those of these periods that overlap another one of their length, on record or before them here."""
    apart = least_apart(level)
    if apart <= timedelta(seconds=QUARTER):  # Their grid is as wide as they are long.
        return set()
    by_station: dict[str, list[datetime]] = defaultdict(list)
    for station, begin in wanted:
        by_station[station].append(begin)
    over: set[_Key] = set()
    for station, begins in sorted(by_station.items()):
        asked = {"one": station, "of": level, "since": min(begins) - apart, "until": max(begins) + apart}
        there = sorted(tx.execute(_BEGINS, asked).scalars())
        refused = []
        for begin in sorted(begins):
            place = bisect_left(there, begin)
            near = [one for one in there[max(place - 1, 0) : place + 1] if abs(one - begin) < apart]
            if not near:
                there.insert(place, begin)
            elif begin not in near:
                refused.append(begin)
        if refused:
            log.warning("measurement.refused", station=station, reason="overlap", level=level, periods=len(refused))
        over.update((station, begin) for begin in refused)
    return over


def _note_differing(tx: Tx, level: int, found: Mapping[str, Sequence[tuple[Measured, Measured]]]) -> None:
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
            detail = {"begin": one.begin.isoformat(), "seconds": level, "differs": _difference(first, one)}
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


def _known(tx: Tx, level: int, wanted: Iterable[_Key]) -> dict[_Key, tuple[Measured, bool]]:
    """Those of these periods that are on record, and whether another one differed."""
    by_begin: dict[datetime, list[str]] = defaultdict(list)
    by_station: dict[str, list[datetime]] = defaultdict(list)
    for station, begin in wanted:
        by_begin[begin].append(station)
        by_station[station].append(begin)
    read: Iterator[Iterator[Row[Any]]]
    if len(by_begin) <= len(by_station):
        column = measurements.c.station
        read = (tx.rows(_MEASURED_AT, column, names, of=level, at=begin) for begin, names in by_begin.items())
    else:  # Few stations have many periods, such as after a long time in which they could not be read.
        read = (_of_station(tx, level, station, begins) for station, begins in by_station.items())
    found: dict[_Key, tuple[Measured, bool]] = {}
    for each in read:
        rows = list(each)
        known = _described(tx, rows)
        for row in rows:
            one = _of_whole(tx.observations, [row], known, _ALL.together)
            if one is not None:  # A damaged one is replaced by the one that comes now.
                found[row.station, row.begin] = one, row.differed
    return found


def _of_station(tx: Tx, level: int, station: str, begins: Sequence[datetime]) -> Iterator[Row[Any]]:
    for some in chunks(begins):
        yield from tx.execute(_MEASURED_OF, {"of": level, "one": station, "at": some})


def _merged(first: Measured | None, second: Measured) -> tuple[Measured, str]:
    """Merge two periods of the same time; returns the result, and what became of the second.

    Where both have a counter, the first wins, unless it is suspect and the second is not.
    """
    if first is None:
        return second, "new"
    better = first.suspect and not second.suspect
    older, newer = _counters(first), _counters(second)
    common = older.keys() & newer.keys()
    differs = any(older[key] != newer[key] for key in common)
    if newer.keys() <= older.keys() and not better:
        return first, "conflicting" if differs and first.suspect == second.suspect else "repeated"
    both = older | newer if better else newer | older
    cells: dict[str, dict[str, Values]] = {}
    for (cell, name), values in both.items():
        cells.setdefault(cell, {})[name] = values
    suspect = second.suspect or (first.suspect and not older.keys() <= newer.keys())
    covered = second.covered if better else max(first.covered, second.covered)
    merged = first.model_copy(update={"cells": cells, "covered": covered, "suspect": suspect})
    return merged, "conflicting" if differs and not better and first.suspect == second.suspect else "replaced"


def _difference(first: Measured, second: Measured) -> str:
    """The first values that differ, as kept and as received, and how many more there are."""
    older, newer = _counters(first), _counters(second)
    found = [
        f"{cell}/{name}{list(subject) if any(subject) else ''} {older[cell, name].get(subject)}, not {value}"
        for cell, name in sorted(older.keys() & newer.keys())
        for subject, value in sorted(newer[cell, name].items())
        if older[cell, name].get(subject) != value
    ]
    return first_names(found, _SHOWN, "; ") or "some subjects are missing"


def _counters(measured: Measured) -> dict[tuple[str, str], Values]:
    return {(cell, name): values for cell, counters in measured.cells.items() for name, values in counters.items()}


def _mark(tx: Tx, level: int, changed: Iterable[_Key], zones: Zones) -> None:
    """Make the spans of the next level due that contain these new rows."""
    coarser = next((one for one in _LEVELS if one > level), None)
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


# ------------------------------------------------------------------------------- rows


class _PackedRow(NamedTuple):
    """A row as it is written, and its layout: to pack both takes long, and belongs into no transaction."""

    row: Mapping[str, Any]
    layout: bytes

    @property
    def key(self) -> _Key:
        """Station and begin."""
        return self.row["station"], self.row["begin"]


def _packed_row(one: Measured, level: int, *, rolled: bool = False, differed: bool = False) -> _PackedRow:
    """A row of a level.

    Args:
        one: What was counted.
        level: See ``measurements``.
        rolled: Whether it was worked out from finer rows.
        differed: Whether another period of the same time had other values.

    Raises:
        ValueError: A value is not finite.
    """
    layout, values = _flat(one)
    digest, packed = _described_as(layout)
    row = {"station": one.station, "level": level, "begin": one.begin, "rolled": rolled, "seconds": one.seconds}
    row |= {"covered": one.covered, "suspect": one.suspect, "differed": differed}
    return _PackedRow(row | {"layout": digest, "content": _packed(values)}, packed)


def _save(tx: Tx, wanted: Iterable[_PackedRow]) -> None:
    """Write rows, and layouts that are new."""
    described: dict[bytes, tuple[bytes, datetime]] = {}
    rows = []
    for row, packed in wanted:
        # Rounded up to the next day, so that it is written once a day and not with each period.
        last = row["begin"].astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        digest = row["layout"]
        described[digest] = packed, max(last, described[digest][1]) if digest in described else last
        rows.append(row)
    if not rows:
        return
    known = {
        row.digest: row.last
        for row in tx.execute(select(layouts.c.digest, layouts.c.last).where(layouts.c.digest.in_(sorted(described))))
    }
    new = [
        {"digest": digest, "last": last, "content": packed}
        for digest, (packed, last) in sorted(described.items())
        if digest not in known or known[digest] < last
    ]
    if new:
        write = tx.insert(layouts)
        newer = write.excluded.last > layouts.c.last
        tx.execute(
            write.on_conflict_do_update(index_elements=["digest"], set_={"last": write.excluded.last}, where=newer), new
        )
    write = tx.insert(measurements)
    changed = {column.name: write.excluded[column.name] for column in measurements.c if not column.primary_key}
    tx.execute(write.on_conflict_do_update(index_elements=_KEYS, set_=changed), rows)


def _flat(measured: Measured) -> tuple[_Layout, list[float]]:
    """The layout, and the values in its order; whole numbers as integers."""
    layout = tuple(
        (cell, tuple((name, tuple(sorted(values))) for name, values in sorted(counters.items())))
        for cell, counters in sorted(measured.cells.items())
    )
    values = [
        measured.cells[cell][name][subject]
        for cell, counters in layout
        for name, subjects in counters
        for subject in subjects
    ]
    return layout, [int(value) if value.is_integer() and abs(value) < _EXACT else value for value in values]


def _packed(values: Sequence[float]) -> bytes:
    """Values as they are kept.

    Raises:
        ValueError: One is not finite. JSON has no such number, and it would be lost.
    """
    if not all(map(math.isfinite, values)):
        raise ValueError(_NOT_FINITE)
    return zlib.compress(orjson.dumps(values))


def _values(measured: Measured) -> Iterator[float]:
    return chain.from_iterable(values.values() for counters in measured.cells.values() for values in counters.values())


@lru_cache(maxsize=1024)
def _described_as(layout: _Layout) -> tuple[bytes, bytes]:
    """Digest and compressed form of a layout."""
    content = orjson.dumps(
        [(cell, [(name, list(map(tuple, subjects))) for name, subjects in counters]) for cell, counters in layout]
    )
    return sha256(content).digest()[:_DIGEST], zlib.compress(content)


def _described(tx: Tx, rows: _Rows) -> dict[bytes, _Layout]:
    """Layouts of rows, by digest.

    Always one statement, also if all layouts are in memory: the number of statements must not reveal what others read.
    """
    digests = {row.layout for row in rows}
    found = {digest: _layouts[digest] for digest in digests if digest in _layouts}
    new = tx.execute(_NEW_LAYOUTS, {"wanted": sorted(digests - found.keys())}).all()
    for row in new:
        content = orjson.loads(zlib.decompress(row.content))
        found[row.digest] = tuple(
            (cell, tuple((name, tuple(starmap(Subject, subjects))) for name, subjects in counters))
            for cell, counters in content
        )
    if new:
        if len(_layouts) > _MOST_LAYOUTS:
            _layouts.clear()
        _layouts.update(found)
    return found


class _Choice(NamedTuple):
    """Which values of a row are wanted: these counters or all; those of a tenant and of whole cells, or all."""

    counters: frozenset[str] | None = None
    who: Subscribers = EVERYBODY

    @classmethod
    def of(cls, counters: Collection[str] | None, who: Subscribers) -> _Choice:
        """The choice; it leaves out the tenant's cells, which do not change the places of values."""
        return cls(None if counters is None else frozenset(counters), who._replace(cells=None))

    def has(self, subject: Subject) -> bool:
        """Whether values of a subject are wanted."""
        return self.who.all or subject == Subject() or self.who.has(subject)

    def together(self, rows: _Rows, known: _Layouts) -> Measured:
        """Merge rows of the same span.

        Raises:
            _DamagedError: One can't be read.
        """
        return _together([_unpacked(row, known, self) for row in rows])


_ALL = _Choice()


class _DamagedError(Exception):
    """A row can't be read."""


def _content(row: Row[Any], known: _Layouts) -> list[float]:
    """Values of a row, in the order of its layout.

    Raises:
        _DamagedError: It can't be read.
    """
    try:
        values: list[float] = orjson.loads(zlib.decompress(row.content))
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise _DamagedError(str(error)) from error
    if row.layout not in known or not isinstance(values, list) or None in values:
        raise _DamagedError("a value is missing" if row.layout in known else "its layout is missing")
    return values


def _of_whole(
    observations: Observations, rows: _Rows, known: _Layouts, make: Callable[[_Rows, _Layouts], R]
) -> R | None:
    """The result made of rows, without those that are damaged; None if all are."""
    try:
        return make(rows, known)
    except _DamagedError:
        whole = [row for row in rows if _is_whole(observations, row, known)]
        return make(whole, known) if whole else None


def _is_whole(observations: Observations, row: Row[Any], known: _Layouts) -> bool:
    """Whether a row can be read; one that can't is told of each time."""
    try:
        _content(row, known)
    except _DamagedError as error:
        log.error(  # noqa: TRY400 (the reason says it all)
            "measurement.damaged", station=row.station, level=row.level, begin=row.begin, reason=str(error)
        )
        observations.count(DAMAGED_ROWS)
        return False
    return True


def _unpacked(row: Row[Any], known: _Layouts, choice: _Choice = _ALL) -> Measured:
    values = _content(row, known)
    cells: dict[str, dict[str, Values]] = {}
    for cell, name, places in _places(row.layout, known[row.layout], choice):
        cells.setdefault(cell, {})[name] = {subject: float(values[place]) for subject, place in places}
    return Measured.model_construct(
        station=row.station,
        begin=row.begin,
        seconds=row.seconds,
        covered=row.covered,
        suspect=row.suspect,
        cells=cells,
    )


_Places = list[tuple[str, str, list[tuple[Subject, int]]]]
#: Places of wanted values in rows of a layout, by its digest: searching again takes as long as reading a row.
_chosen: dict[tuple[bytes, _Choice], _Places] = {}


def _places(digest: bytes, layout: _Layout, choice: _Choice) -> _Places:
    """Places of wanted values in rows of a layout, by cell and counter."""
    found = _chosen.get((digest, choice))
    if found is None:
        found, start = [], 0
        for cell, listed in layout:
            for name, subjects in listed:
                if choice.counters is None or name in choice.counters:
                    own = [(one, start + n) for n, one in enumerate(subjects) if choice.has(one)]
                    found.append((cell, name, own))
                start += len(subjects)
        if len(_chosen) > _MOST_LAYOUTS:
            _chosen.clear()
        _chosen[digest, choice] = found
    return found


class _Sums:
    """Sums of some values of rows. Their places are found once for each layout."""

    def __init__(self, wanted: Sequence[CounterQuery]) -> None:
        self._wanted = wanted
        self._known: dict[bytes, list[tuple[str, list[_Sum | None]]]] = {}

    def of(self, rows: _Rows, known: _Layouts) -> CellCounts:
        """The wanted sums of rows of the same span."""
        if len(rows) > 1:
            return cell_counts(_ALL.together(rows, known), self._wanted)
        (row,) = rows
        values = _content(row, known)
        if row.layout not in self._known:
            self._known[row.layout] = list(self._sums(known[row.layout]))
        cells = {cell: tuple([one and one(values) for one in sums]) for cell, sums in self._known[row.layout]}
        return CellCounts(row.station, row.begin, row.covered, cells)

    def _sums(self, layout: _Layout) -> Iterator[tuple[str, list[_Sum | None]]]:
        """How to add up the wanted sums of each cell of a layout; None for what the layout does not distinguish."""
        start = 0
        for cell, listed in layout:
            places: dict[str, dict[Subject, float]] = {}
            for name, subjects in listed:
                places[name] = {one: float(start + n) for n, one in enumerate(subjects)}
                start += len(subjects)
            found = (amount(places.get(one.counter, {}), one.who, one.qos) for one in self._wanted)
            yield cell, [None if each is None else _adder(list(map(int, each))) for each in found]


def _adder(places: Sequence[int]) -> _Sum:
    """A function that adds up the values at some places."""
    if len(places) == 1:
        return operator.itemgetter(*places)
    chosen = operator.itemgetter(*places) if places else lambda _values: ()
    return lambda values: sum(chosen(values))


# ------------------------------------------------------------------------------- read


def _page(
    tx: Tx,
    span: _Span,
    level: int,
    names: Sequence[str],
    after: _Key | None,
    limit: int,
    make: Callable[[_Rows, _Layouts], T],
) -> list[T]:
    """Rows of a page of stations: estimate how many stations fill it, then continue, since no index has this order."""
    begin, end = span
    at_once = max(1, int(limit * level / max((end - begin).total_seconds(), level)))
    left = names if after is None else names[bisect_left(names, after[0]) :]
    found: list[T] = []
    for start in range(0, len(left), at_once):
        asked = {"of": level, "since": begin, "until": end}
        rows = sorted(tx.rows(_BETWEEN, measurements.c.station, left[start : start + at_once], **asked), key=_place)
        known = _described(tx, rows)
        for key, group in groupby(rows, key=lambda row: (row.station, row.begin)):
            wanted = after is None or key > after
            one = _of_whole(tx.observations, list(group), known, make) if wanted else None
            if one is not None:
                found.append(one)
        if len(found) >= limit:
            break
    return found


def _place(row: Row[Any]) -> tuple[str, datetime, bool]:
    return row.station, row.begin, row.rolled


def _together(found: Sequence[Measured]) -> Measured:
    """Merge periods of the same span: all counters of the first, then those that only later ones have."""
    one = found[0]
    for other in found[1:]:
        one, _ = _merged(one.model_copy(update={"suspect": False}), other)
    return one.model_copy(update={"suspect": any(each.suspect for each in found)}) if len(found) > 1 else one


def _gaps(station: str, covered: Iterable[tuple[datetime, datetime]], begin: datetime, end: datetime) -> Iterator[Gap]:
    until = begin
    for since, to in covered:
        if since > until:
            yield Gap(station, until, since)
        until = max(until, to)
    if until < end:
        yield Gap(station, until, end)


def _counting(tx: Tx, begin: datetime, end: datetime, level: int) -> list[str]:
    """Stations with rows of a level in a span, sorted as in Python and not as in the database."""
    asked = {"of": level, "since": begin, "until": end}
    return sorted(tx.execute(_STATIONS_BETWEEN, asked).scalars())


def _measuring(tx: Tx, begin: datetime, end: datetime) -> set[str]:
    """Stations that measured something in a span, or some days before it."""
    spans = ((QUARTER, begin), (HOUR, begin), (DAY, begin - _RECENT))
    return {station for level, since in spans for station in _counting(tx, since, end, level)}


def _total(begin: datetime, end: datetime, choice: _Choice, rows: _Rows, known: _Layouts) -> Measured | None:
    """All rows of a station as one, as ``rolled_up`` makes it; rows of the same layout are combined value by value."""
    station = rows[0].station
    if len({row.begin for row in rows}) < len(rows):  # Some rows were measured and some worked out.
        groups = (list(group) for _, group in groupby(rows, key=lambda row: row.begin))
        return rolled_up(station, begin, end, (_together([_unpacked(row, known, choice) for row in g]) for g in groups))
    by_layout: dict[bytes, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        by_layout[row.layout].append(row)
    return rolled_up(station, begin, end, (_added_up(own, known, choice) for own in by_layout.values()))


def _added_up(rows: _Rows, known: _Layouts, choice: _Choice) -> Measured:
    """Combine rows of one layout, each counter in its own way: sum, maximum or mean."""
    weights = [row.covered for row in rows]
    covered = sum(weights)
    columns = list(zip(*(_content(row, known) for row in rows), strict=True))
    layout = known[rows[0].layout]
    cells: dict[str, dict[str, Values]] = {}
    for cell, name, places in _places(rows[0].layout, layout, choice):
        counter = counter_named(name)
        adds = Aggregation.SUM if counter is None else counter.over_time
        cells.setdefault(cell, {})[name] = {
            subject: _joined(adds, columns[place], weights, covered) for subject, place in places
        }
    return Measured.model_construct(
        station=rows[0].station,
        begin=rows[0].begin,
        seconds=sum(row.seconds for row in rows),
        covered=covered,
        suspect=any(row.suspect for row in rows),
        cells=cells,
    )


def _joined(adds: Aggregation, values: Sequence[float], weights: Sequence[float], covered: float) -> float:
    if adds is Aggregation.SUM:
        return float(sum(values))
    if adds is Aggregation.MAX:
        return float(max(values))
    return sum(map(operator.mul, values, weights)) / covered if covered else 0.0


# ---------------------------------------------------------------------------- roll up


def _zones(tx: Tx) -> Zones:
    return Zones.of((row.since, row.timezone) for row in tx.execute(_ZONES))


class _SpanKey(NamedTuple):
    """A span of a station, and the digest of all that it is worked out from: with other rows it is another one."""

    level: int
    begin: datetime
    station: str
    rows: bytes


class _RolledUp(NamedTuple):
    """A span that was worked out: its row, if any of its finer ones can be read."""

    row: _PackedRow | None = None

    @property
    def covered(self) -> float:
        """Seconds in which the station counted."""
        return 0.0 if self.row is None else float(self.row.row["covered"])


def _begin_of(row: Row[Any]) -> datetime:
    begin: datetime = row.begin
    return begin


def _roll_up(
    tx: Tx, level: int, due: Mapping[datetime, Sequence[str]], zones: Zones, known: WorkedOut[_SpanKey, _RolledUp]
) -> None:
    """Put spans of a level on record for some stations, each worked out from all its finer rows."""
    works: dict[_SpanKey, Callable[[], _RolledUp]] = {}
    before: dict[_Key, float] = {}
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
    _save(tx, done)
    _mark(tx, level, [row.key for row in done], zones)


def _works(tx: Tx, level: int, span: _Span, stations: Sequence[str]) -> dict[_SpanKey, Callable[[], _RolledUp]]:
    """How to work out one span of some stations from the finer rows that are on record."""
    begin, end = span
    below = max((one for one in _LEVELS if one < level), default=1)
    finer = select(measurements).where(
        measurements.c.station.in_(stations),
        measurements.c.level.in_(_levels(tx, below - 1, level)),
        measurements.c.begin >= begin,
        measurements.c.begin < end,
    )
    rows = tx.execute(finer.order_by(*_KEYS)).all()
    known = _described(tx, rows)
    found: dict[_SpanKey, Callable[[], _RolledUp]] = {}
    for station, group in groupby(rows, key=lambda row: row.station):
        own = list(group)
        key = _SpanKey(level, begin, station, _digest_of(own))
        found[key] = partial(_rolled_up, tx.observations, key, end, own, known)
    return found


def _digest_of(rows: _Rows) -> bytes:
    """Digest of all that rows hold."""
    digest = sha256()
    for row in rows:
        content = row.layout, row.content
        digest.update(repr((*(value for value in row if not isinstance(value, bytes)), *map(len, content))).encode())
        for part in content:
            digest.update(part)
    return digest.digest()


def _rolled_up(observations: Observations, key: _SpanKey, end: datetime, rows: _Rows, known: _Layouts) -> _RolledUp:
    """One span of a station; none where there is an error, so that all other stations have theirs."""
    try:
        whole = _worked_out(observations, key.begin, end, rows, known)
        return _RolledUp(None if whole is None else _packed_row(whole, key.level, rolled=True))
    except Exception:
        log.exception("measurement.not_rolled_up", station=key.station, level=key.level, begin=key.begin)
        return _RolledUp()


def _worked_out(
    observations: Observations, begin: datetime, end: datetime, rows: _Rows, known: _Layouts
) -> Measured | None:
    """One span of a station from all its finer rows; None if none of them can be read.

    Each finer level by itself: periods of 15 and of 30 minutes count the same events twice.

    Raises:
        ValueError: A value is not finite.
    """
    made = partial(_total, begin, end, _ALL)
    by_level = groupby(rows, key=lambda row: row.level)
    each = [_of_whole(observations, list(of_level), known, made) for _, of_level in by_level]
    now = [one for one in each if one is not None]
    if not now:
        return None
    whole = _together(now)
    if not all(map(math.isfinite, _values(whole))):
        raise ValueError(_NOT_FINITE)
    return whole


def _note_retired(tx: Tx, level: int, before: datetime, number: int) -> None:
    """Note before when rows of a level were deleted, if some were; late ones move nothing back."""
    if number:
        new = tx.insert(retired)
        changed, later = {"before": new.excluded.before}, retired.c.before < new.excluded.before
        row = {"level": level, "before": before}
        tx.execute(new.on_conflict_do_update(index_elements=["level"], set_=changed, where=later), [row])


def _unworked(tx: Tx, level: int, now: datetime) -> datetime:
    """Begin of the first span that is still to be worked out from rows of a level; now if there is none."""
    coarser = next((one for one in _LEVELS if one > level), 0)
    return tx.execute(_FIRST_STALE, {"of": coarser}).scalar() or now


def _levels(tx: Tx, above: int, below: int) -> list[int]:
    """Levels between two others that have rows; the index finds each one directly."""
    found = [above]
    while (level := tx.execute(_NEXT_LEVEL, {"above": found[-1], "below": below}).scalar()) is not None:
        found.append(level)
    return found[1:]
