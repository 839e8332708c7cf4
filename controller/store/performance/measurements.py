"""Counters of stations: a row for each station, span of time and level, small enough to keep for years."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import structlog
from sqlalchemy import Row, bindparam, delete, select

from controller.models.measurement import DAY, GRANULARITIES, HOUR, QUARTER, Measured, aligned, is_possible, least_apart
from controller.performance.kpis import EVERYBODY, CellCounts, CounterQuery, Subscribers
from controller.performance.merging import merged
from controller.performance.rollups import Zones
from controller.store.database.columns import Instant
from controller.store.database.queries import chunks
from controller.store.database.repository import M_co, Repository, Sync, method, reads, writes
from controller.store.database.transaction import Database, Tx, WorkedOut
from controller.store.network.devices import plmn_lists
from controller.store.performance.collected_files import retire_files
from controller.store.performance.differing import note_differing, retire_differing
from controller.store.performance.roll_ups import (
    DELETED_AT_ONCE,
    ROLLED_AT_ONCE,
    RolledUp,
    SpanKey,
    mark,
    retire_rows,
    retired,
    roll_up,
    zones_on_record,
)
from controller.store.performance.rows import (
    ALL,
    Choice,
    Key,
    Layouts,
    PackedRow,
    Rows,
    Span,
    Sums,
    described,
    measurements,
    of_whole,
    packed_row,
    retire_layouts,
    save,
    total,
    values_of,
)

log = structlog.get_logger()


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


#: Periods that begin later than this from now come from a wrong clock.
_AHEAD = timedelta(minutes=15)
#: Stations whose pages are read together.
_STATIONS = 500
#: Gaps are known only of stations that measured something in this time.
_RECENT = timedelta(days=7)

#: The result that is made of the rows of a station and span.
T = TypeVar("T", Measured, CellCounts)
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
_BEGINS = select(measurements.c.begin).where(
    measurements.c.station == bindparam("one"),
    measurements.c.level == bindparam("of"),
    measurements.c.begin > bindparam("since", type_=Instant()),
    measurements.c.begin < bindparam("until", type_=Instant()),
    measurements.c.rolled.is_(False),
)
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


class Measurements(Repository[M_co]):
    """Performance data of stations."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        #: Spans of a round that are worked out and not on record yet.
        self._rolled = WorkedOut[SpanKey, RolledUp](kept=2 * ROLLED_AT_ONCE)

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
        packed = {id(one): packed_row(one, one.seconds) for one in possible}
        return self._put(possible, packed, len(some) - len(possible))

    @writes
    def _put(self, tx: Tx, periods: Sequence[Measured], packed: Mapping[int, PackedRow], refused: int) -> StoredPeriods:
        latest = tx.now + _AHEAD
        by_level: dict[int, dict[Key, list[Measured]]] = defaultdict(lambda: defaultdict(list))
        for one in periods:
            if one.begin > latest:
                refused += 1
            else:
                by_level[one.seconds][one.station, one.begin.astimezone(UTC)].append(one)
        # Two workers may bring the same period, while neither is on record yet.
        for station in sorted({station for keys in by_level.values() for station, _ in keys}):
            tx.guard(f"measurements:{station}")
        zones = zones_on_record(tx)
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
        choice = Choice.of(counters, who)
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
        return self._all((begin, end), seconds, stations, Sums(tuple(wanted)).of)

    def _all(
        self: Measurements[Sync],
        span: Span,
        seconds: int,
        stations: Collection[str],
        make: Callable[[Rows, Layouts], T],
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
        span: Span,
        seconds: int,
        names: Sequence[str],
        after: Key | None,
        make: Callable[[Rows, Layouts], T],
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
        choice = Choice.of(counters, who)
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
        choice = Choice.of(counters, who)
        asked = {"of": seconds, "since": begin, "until": end}
        rows = sorted(tx.rows(_BETWEEN, measurements.c.station, stations, **asked), key=_place)
        known = described(tx, rows)
        made = partial(total, begin, end, choice)
        each = (
            of_whole(tx.observations, list(own), known, made) for _, own in groupby(rows, key=lambda row: row.station)
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
        return roll_up(tx, now, self._rolled)

    @writes
    def retire(self, tx: Tx, now: datetime, keep: Mapping[int, timedelta]) -> int:
        """Delete some rows older than ``keep`` allows for their level; returns how many. Call it until it is 0.

        Shorter periods are kept as long as those of 900 s. Unknown counters, and in which order stations had PLMNs, are
        kept as long as the shortest retention; names of files too, but at most a week.
        """
        retire_differing(tx, now)
        gone = retire_rows(tx, now, keep)
        if gone < DELETED_AT_ONCE:
            shortest, longest = now - min(keep.values()), now - max(keep.values())
            retire_layouts(tx, longest)
            retire_files(tx, now, shortest)
            tx.execute(delete(plmn_lists).where(plmn_lists.c.until < shortest))
        return gone

    @reads
    def retired(self, tx: Tx, seconds: int) -> datetime | None:
        """Before when rows of a level were deleted because of their age; None if none were."""
        found: datetime | None = tx.execute(select(retired.c.before).where(retired.c.level == seconds)).scalar()
        return found


def _is_possible(one: Measured) -> bool:
    """Whether all values of a period may be; one that may not is told of."""
    possible = all(map(is_possible, values_of(one)))
    if not possible:
        log.error("measurement.refused", station=one.station, begin=one.begin, reason="impossible values")
    return possible


def _put(
    tx: Tx,
    level: int,
    wanted: Mapping[Key, Sequence[Measured]],
    packed: Mapping[int, PackedRow],
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
            now, outcome = merged(first, one)
            taken[outcome] += 1
            if outcome == "conflicting" and not differed and first is not None:
                differed = True
                differences[one.station].append((first, one))
        if now is not before:
            changed.append(key)
        if now is not None and (now is not before or differed != had_differed):
            ready = None if differed else packed.get(id(now))
            rows.append(ready or packed_row(now, level, differed=differed))
    save(tx, rows)
    mark(tx, level, changed, zones)
    note_differing(tx, level, differences)
    return StoredPeriods(**taken)


def _overlapping(tx: Tx, level: int, wanted: Iterable[Key]) -> set[Key]:
    """Those of these periods that overlap another one of their length, on record or before them here."""
    apart = least_apart(level)
    if apart <= timedelta(seconds=QUARTER):  # Their grid is as wide as they are long.
        return set()
    by_station: dict[str, list[datetime]] = defaultdict(list)
    for station, begin in wanted:
        by_station[station].append(begin)
    over: set[Key] = set()
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


def _known(tx: Tx, level: int, wanted: Iterable[Key]) -> dict[Key, tuple[Measured, bool]]:
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
    found: dict[Key, tuple[Measured, bool]] = {}
    for each in read:
        rows = list(each)
        known = described(tx, rows)
        for row in rows:
            one = of_whole(tx.observations, [row], known, ALL.together)
            if one is not None:  # A damaged one is replaced by the one that comes now.
                found[row.station, row.begin] = one, row.differed
    return found


def _of_station(tx: Tx, level: int, station: str, begins: Sequence[datetime]) -> Iterator[Row[Any]]:
    for some in chunks(begins):
        yield from tx.execute(_MEASURED_OF, {"of": level, "one": station, "at": some})


def _page(
    tx: Tx,
    span: Span,
    level: int,
    names: Sequence[str],
    after: Key | None,
    limit: int,
    make: Callable[[Rows, Layouts], T],
) -> list[T]:
    """Rows of a page of stations: estimate how many stations fill it, then continue, since no index has this order."""
    begin, end = span
    at_once = max(1, int(limit * level / max((end - begin).total_seconds(), level)))
    left = names if after is None else names[bisect_left(names, after[0]) :]
    found: list[T] = []
    for start in range(0, len(left), at_once):
        asked = {"of": level, "since": begin, "until": end}
        rows = sorted(tx.rows(_BETWEEN, measurements.c.station, left[start : start + at_once], **asked), key=_place)
        known = described(tx, rows)
        for key, group in groupby(rows, key=lambda row: (row.station, row.begin)):
            wanted = after is None or key > after
            one = of_whole(tx.observations, list(group), known, make) if wanted else None
            if one is not None:
                found.append(one)
        if len(found) >= limit:
            break
    return found


def _place(row: Row[Any]) -> tuple[str, datetime, bool]:
    return row.station, row.begin, row.rolled


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
