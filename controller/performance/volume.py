"""Volume of a tenant's users in a month: by PLMN, QCI or 5QI and S-NSSAI, by day and by cell. Pure.

Volumes are those of PDCP SDUs (TS 28.552 §5.1.2.1, TS 32.425 §4.4.7), as stations counted them for the tenant's PLMNs
and own slices. A value by PLMN and one by PLMN and QCI contain each other: the coarsest are the total, the finest the
breakdown, and what stations count for the one and not for the other shows as a row without QCI.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from controller.intent.outages import Era
from controller.models.measurement import Measured, Subject, parts
from controller.models.network import Network
from controller.models.statement import Column, Sheet, Value
from controller.performance.kpis import Subscribers, subscribers_of

DOWN, UP = "DRB.PdcpSduVolumeDL", "DRB.PdcpSduVolumeUL"
COUNTERS = (DOWN, UP)
#: Megabytes (of 10^6 bytes) of a megabit (of 10^6 bits).
_MEGABYTES = 1 / 8
#: From the begin of a day, moved by a new time zone or not, to a moment that has its date.
_HALF_A_DAY = timedelta(hours=12)

RULES = (
    "Volume is that of PDCP SDUs, as stations counted it (TS 28.552 §5.1.2.1, TS 32.425 §4.4.7). 1 MB is 10^6 bytes.\n"
    "A value counts for the tenant whose PLMN, or own slice, the station counted it for; on each day those that the "
    "network gave the tenant then.\n"
    "The breakdown is as fine as stations count: what they count by PLMN alone has no QCI, 5QI or S-NSSAI.\n"
    "Measured is the part of the time for which stations delivered measurements. For the rest nothing is estimated."
).splitlines()


class SharingSpan(NamedTuple):
    """A part of a month in which a tenant shared the same cells.

    Attributes:
        cells: Ids by station.
        network: The network at that time.
    """

    begin: datetime
    until: datetime
    who: Subscribers
    cells: Mapping[str, tuple[str, ...]]
    network: Network


def everything_of(parts: Iterable[SharingSpan]) -> Subscribers:
    """All PLMNs, slices and cells that were a tenant's at some time."""
    plmns, slices = frozenset[str](), frozenset[str]()
    for one in parts:
        plmns, slices = plmns | one.who.plmns, slices | one.who.slices
    return Subscribers(plmns, slices)


def parts_of(eras: Iterable[Era], tenant: str) -> list[SharingSpan]:
    """The cells that a tenant shared in each part, and its part of their counts."""
    return [
        SharingSpan(era.begin, era.until, subscribers_of(era.network, tenant), _cells_in(era, tenant), era.network)
        for era in eras
        if tenant in era.network.tenant_by_id
    ]


def parts_under(
    eras: Iterable[Era], tenant: str, agreement: str, begin: datetime, until: datetime
) -> list[SharingSpan]:
    """The cells that an agreement of a tenant covered in each part of a time, and its PLMNs."""
    found = []
    for era in (era for era in eras if begin <= era.begin < until or era.begin <= begin < era.until):
        one = next((one for one in era.sharing.in_force if (one.id, one.tenant) == (agreement, tenant)), None)
        if one is not None:
            plmns = frozenset(one.plmns_of(era.network.tenant_by_id[one.tenant]))
            who = subscribers_of(era.network, one.tenant)
            own = who if plmns == who.plmns else Subscribers(plmns)
            cells = _by_station(era.sharing.reached_by(one))
            found.append(SharingSpan(era.begin, era.until, own, cells, era.network))
    return found


def _cells_in(era: Era, tenant: str) -> dict[str, tuple[str, ...]]:
    names = {cell for one in era.sharing.in_force if one.tenant == tenant for cell in era.sharing.reached_by(one)}
    return _by_station(names)


def _by_station(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        station, _, cell = name.partition("/")
        found.setdefault(station, []).append(cell)
    return {station: tuple(cells) for station, cells in found.items()}


def stations_alike(parts: Sequence[SharingSpan]) -> list[tuple[SharingSpan, list[str]]]:
    """Times in which nothing changed for a tenant at a station, with the stations of which each is true.

    What changes elsewhere divides no time of a station.
    """
    found: dict[tuple[datetime, datetime, Subscribers], tuple[SharingSpan, list[str]]] = {}
    for station in sorted({station for part in parts for station in part.cells}):
        times: list[SharingSpan] = []
        for part in (part for part in parts if station in part.cells):
            before = times[-1] if times else None
            same = before is not None and before.until == part.begin and before.who == part.who
            if before is not None and same and before.cells[station] == part.cells[station]:
                times[-1] = part._replace(begin=before.begin)
            else:
                times.append(part)
        for one in times:
            found.setdefault((one.begin, one.until, one.who), (one, []))[1].append(station)
    return list(found.values())


def part_at(parts: Sequence[SharingSpan], at: datetime) -> SharingSpan | None:
    """The part of a month that contains a moment."""
    return next((one for one in parts if one.begin <= at < one.until), None)


@dataclass(slots=True)
class _Sum:
    """Megabits down and up, with measured seconds and all seconds."""

    down: float = 0.0
    up: float = 0.0
    covered: float = 0.0
    seconds: float = 0.0

    def add(self, down: float, up: float, covered: float = 0.0, seconds: float = 0.0) -> None:
        self.down += down
        self.up += up
        self.covered += covered
        self.seconds += seconds

    @property
    def row(self) -> tuple[Value, Value, Value]:
        """Megabytes down, up and together."""
        down, up = self.down * _MEGABYTES, self.up * _MEGABYTES
        return round(down, 3), round(up, 3), round(down + up, 3)

    @property
    def share(self) -> float | None:
        """Percent of the time of which there are measurements; None if there was no time."""
        return self.measured if self.seconds else None

    @property
    def measured(self) -> float:
        return round(100 * self.covered / self.seconds, 3) if self.seconds else 0.0


@dataclass
class Volumes:
    """Volume that a tenant's users sent and received."""

    total: _Sum = field(default_factory=_Sum)
    by_day: defaultdict[datetime, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    by_cell: defaultdict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    #: Megabits by counter and subject.
    _parts: dict[str, defaultdict[Subject, float]] = field(
        default_factory=lambda: {one: defaultdict(float) for one in COUNTERS}
    )

    def add(self, day: Measured, begin: datetime, who: Subscribers, cells: Iterable[str]) -> None:
        """Add a station's counts of the day with this begin, in the cells that the tenant shares."""
        whole = _Sum()
        for cell in cells:
            counted = day.cells.get(cell)
            down = up = covered = 0.0
            if counted:
                down, up = (self._count(way, counted.get(way, {}), who) for way in COUNTERS)
                covered = day.covered
            self.by_cell[f"{day.station}/{cell}"].add(down, up, covered, day.seconds)
            whole.add(down, up, covered, day.seconds)
        for one in (self.total, self.by_day[begin]):
            one.add(whole.down, whole.up, whole.covered, whole.seconds)

    def missed(self, station: str, begin: datetime, seconds: float, cells: Iterable[str]) -> None:
        """Note that a station delivered nothing of a day."""
        for cell in cells:
            for one in (self.total, self.by_day[begin], self.by_cell[f"{station}/{cell}"]):
                one.seconds += seconds

    def _count(self, counter: str, values: Mapping[Subject, float], who: Subscribers) -> float:
        """The tenant's total of a counter; also adds its parts by subject."""
        whole, finest = _shapes(tuple(values), who)
        total, left = sum([values[one] for one in whole]), 0.0
        sums = self._parts[counter]
        for subject in finest:
            value = values[subject]
            sums[subject] += value
            left += value
        if abs(total - left) > 1e-6 * max(total, 1.0):
            sums[Subject(finest[0].plmn)] += total - left
        return total

    @property
    def by_subject(self) -> dict[Subject, _Sum]:
        """By PLMN, QCI or 5QI, and slice, as fine as it was counted."""
        down, up = (self._parts[way] for way in COUNTERS)
        return {one: _Sum(down.get(one, 0.0), up.get(one, 0.0)) for one in down.keys() | up.keys()}


@lru_cache(maxsize=1 << 12)
def _shapes(subjects: tuple[Subject, ...], who: Subscribers) -> tuple[tuple[Subject, ...], tuple[Subject, ...]]:
    """A tenant's subjects of a counter: the coarsest, which make up all of it, and the finest."""
    own = tuple(one for one in subjects if who.has(one))
    places = parts({one: float(place) for place, one in enumerate(own)})
    whole = tuple(own[int(place)] for place in places)
    most = max((sum(map(bool, one)) for one in own), default=0)
    return whole, tuple(one for one in own if sum(map(bool, one)) == most)


def volumes_of(
    parts: Sequence[SharingSpan], days: Sequence[tuple[datetime, datetime]], measured: Iterable[Measured]
) -> Volumes:
    """Volume of a tenant's users on some days.

    Args:
        parts: Which cells it shared when.
        days: Begin and end of each.
        measured: What stations counted on these days, each station and day once.
    """
    found, seen = Volumes(), set[tuple[str, datetime]]()
    begins = [begin for begin, _ in days]
    for one in measured:
        part = part_at(parts, one.begin)
        if part is not None and one.station in part.cells:
            # Of two time zones within a month, each divides the days of its own time: the middle tells which day it is.
            day = begins[bisect_right(begins, one.begin + timedelta(seconds=one.seconds / 2)) - 1]
            seen.add((one.station, day))
            found.add(one, day, part.who, part.cells[one.station])
    for begin, end in days:
        part = part_at(parts, begin)
        for station, cells in part.cells.items() if part else ():
            if (station, begin) not in seen:
                found.missed(station, begin, (end - begin).total_seconds(), cells)
    return found


_VOLUME = (Column(name="down", unit="MB"), Column(name="up", unit="MB"), Column(name="total", unit="MB"))
_MEASURED = Column(name="measured", unit="% of the time")


def volume_sheets(volumes: Volumes, zone: ZoneInfo) -> tuple[Sheet, ...]:
    """The tables of a statement of volume."""
    subjects = sorted(volumes.by_subject.items())
    days = sorted(volumes.by_day.items())
    cells = sorted(volumes.by_cell.items(), key=lambda one: (-float(one[1].row[2] or 0), one[0]))
    return (
        Sheet(
            name="total",
            title="Total",
            columns=(*_VOLUME, _MEASURED),
            rows=((*volumes.total.row, volumes.total.measured),),
        ),
        Sheet(
            name="breakdown",
            title="By PLMN, QCI or 5QI, and slice",
            columns=(Column(name="plmn"), Column(name="qos", unit="QCI/5QI"), Column(name="slice"), *_VOLUME),
            rows=tuple((one.plmn, one.qos or "", one.slice, *found.row) for one, found in subjects),
        ),
        Sheet(
            name="days",
            title="By day",
            columns=(Column(name="day"), *_VOLUME, _MEASURED),
            rows=tuple(
                (f"{(day + _HALF_A_DAY).astimezone(zone):%Y-%m-%d}", *found.row, found.measured) for day, found in days
            ),
        ),
        Sheet(
            name="cells",
            title="By cell",
            columns=(Column(name="cell"), *_VOLUME, _MEASURED),
            rows=tuple((cell, *found.row, found.measured) for cell, found in cells),
        ),
    )
