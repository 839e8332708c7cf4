"""Rows of measurements as they are kept: values alone, packed; a layout says where each stands.

A layout says the cell, counter and subject of each value. It is on record once for the thousands of rows that share it.
"""

from __future__ import annotations

import math
import operator
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import chain, groupby, starmap
from typing import Any, NamedTuple, TypeVar

import orjson
import structlog
from sqlalchemy import (
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
    select,
)

from controller.models.measurement import Measured, Subject, Values
from controller.models.metrics import DAMAGED_ROWS, Observations
from controller.performance.kpis import EVERYBODY, CellCounts, CounterQuery, Subscribers, amount, cell_counts
from controller.performance.merging import together
from controller.performance.rollups import rolled_up
from controller.performance.vocabulary import Aggregation, counter_named
from controller.store.database.columns import Instant, metadata
from controller.store.database.transaction import Tx

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

_DIGEST = 16
_NOT_FINITE = "a value of a measurement is not finite"

#: Whole numbers below this are exact in JSON and as a float.
_EXACT = 2**53

#: Layout: cells, their counters and these counters' subjects, in the order of the values.
Layout = tuple[tuple[str, tuple[tuple[str, tuple[Subject, ...]], ...]], ...]
Layouts = Mapping[bytes, Layout]
Key = tuple[str, datetime]
Span = tuple[datetime, datetime]
Rows = Sequence[Row[Any]]
_Sum = Callable[[Sequence[float]], float]
R = TypeVar("R")

#: Layouts by their digest, which determines a layout for ever.
_layouts: dict[bytes, Layout] = {}
_MOST_LAYOUTS = 10_000
_NEW_LAYOUTS = select(layouts.c.digest, layouts.c.content).where(
    layouts.c.digest.in_(bindparam("wanted", expanding=True))
)
KEYS = tuple(measurements.primary_key.columns)


class PackedRow(NamedTuple):
    """A row as it is written, and its layout: to pack both takes long, and belongs into no transaction."""

    row: Mapping[str, Any]
    layout: bytes

    @property
    def key(self) -> Key:
        """Station and begin."""
        return self.row["station"], self.row["begin"]


def packed_row(one: Measured, level: int, *, rolled: bool = False, differed: bool = False) -> PackedRow:
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
    return PackedRow(row | {"layout": digest, "content": _packed(values)}, packed)


def save(tx: Tx, wanted: Iterable[PackedRow]) -> None:
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
    tx.execute(write.on_conflict_do_update(index_elements=KEYS, set_=changed), rows)


def _flat(measured: Measured) -> tuple[Layout, list[float]]:
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


def values_of(measured: Measured) -> Iterator[float]:
    """All values of a period."""
    return chain.from_iterable(values.values() for counters in measured.cells.values() for values in counters.values())


@lru_cache(maxsize=1024)
def _described_as(layout: Layout) -> tuple[bytes, bytes]:
    """Digest and compressed form of a layout."""
    content = orjson.dumps(
        [(cell, [(name, list(map(tuple, subjects))) for name, subjects in counters]) for cell, counters in layout]
    )
    return sha256(content).digest()[:_DIGEST], zlib.compress(content)


def described(tx: Tx, rows: Rows) -> dict[bytes, Layout]:
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


class Choice(NamedTuple):
    """Which values of a row are wanted: these counters or all; those of a tenant and of whole cells, or all."""

    counters: frozenset[str] | None = None
    who: Subscribers = EVERYBODY

    @classmethod
    def of(cls, counters: Collection[str] | None, who: Subscribers) -> Choice:
        """The choice; it leaves out the tenant's cells, which do not change the places of values."""
        return cls(None if counters is None else frozenset(counters), who._replace(cells=None))

    def has(self, subject: Subject) -> bool:
        """Whether values of a subject are wanted."""
        return self.who.all or subject == Subject() or self.who.has(subject)

    def together(self, rows: Rows, known: Layouts) -> Measured:
        """Merge rows of the same span.

        Raises:
            _DamagedError: One can't be read.
        """
        return together([_unpacked(row, known, self) for row in rows])


ALL = Choice()


class _DamagedError(Exception):
    """A row can't be read."""


def _content(row: Row[Any], known: Layouts) -> list[float]:
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


def of_whole(observations: Observations, rows: Rows, known: Layouts, make: Callable[[Rows, Layouts], R]) -> R | None:
    """The result made of rows, without those that are damaged; None if all are."""
    try:
        return make(rows, known)
    except _DamagedError:
        whole = [row for row in rows if _is_whole(observations, row, known)]
        return make(whole, known) if whole else None


def _is_whole(observations: Observations, row: Row[Any], known: Layouts) -> bool:
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


def _unpacked(row: Row[Any], known: Layouts, choice: Choice = ALL) -> Measured:
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
_chosen: dict[tuple[bytes, Choice], _Places] = {}


def _places(digest: bytes, layout: Layout, choice: Choice) -> _Places:
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


class Sums:
    """Sums of some values of rows. Their places are found once for each layout."""

    def __init__(self, wanted: Sequence[CounterQuery]) -> None:
        self._wanted = wanted
        self._known: dict[bytes, list[tuple[str, list[_Sum | None]]]] = {}

    def of(self, rows: Rows, known: Layouts) -> CellCounts:
        """The wanted sums of rows of the same span."""
        if len(rows) > 1:
            return cell_counts(ALL.together(rows, known), self._wanted)
        (row,) = rows
        values = _content(row, known)
        if row.layout not in self._known:
            self._known[row.layout] = list(self._sums(known[row.layout]))
        cells = {cell: tuple([one and one(values) for one in sums]) for cell, sums in self._known[row.layout]}
        return CellCounts(row.station, row.begin, row.covered, cells)

    def _sums(self, layout: Layout) -> Iterator[tuple[str, list[_Sum | None]]]:
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
    chosen = operator.itemgetter(*places) if places else lambda values_of: ()
    return lambda values: sum(chosen(values))


def total(begin: datetime, end: datetime, choice: Choice, rows: Rows, known: Layouts) -> Measured | None:
    """All rows of a station as one, as ``rolled_up`` makes it; rows of the same layout are combined value by value."""
    station = rows[0].station
    if len({row.begin for row in rows}) < len(rows):  # Some rows were measured and some worked out.
        groups = (list(group) for _, group in groupby(rows, key=lambda row: row.begin))
        return rolled_up(station, begin, end, (together([_unpacked(row, known, choice) for row in g]) for g in groups))
    by_layout: dict[bytes, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        by_layout[row.layout].append(row)
    return rolled_up(station, begin, end, (_added_up(own, known, choice) for own in by_layout.values()))


def _added_up(rows: Rows, known: Layouts, choice: Choice) -> Measured:
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


def retire_layouts(tx: Tx, before: datetime) -> None:
    """Forget layouts whose newest row began before a time."""
    tx.execute(delete(layouts).where(layouts.c.last < before))
