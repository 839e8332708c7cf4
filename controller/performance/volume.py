"""Volume of a tenant's users in a month: by PLMN, QCI or 5QI and S-NSSAI, by day and by cell. Pure.

Volumes are those of PDCP SDUs (TS 28.552 §5.1.2.1, TS 32.425 §4.4.7), as stations counted them for the tenant's PLMNs
and own slices. A value by PLMN and one by PLMN and QCI contain each other: the coarsest are the total, the finest the
breakdown, and what stations count for the one and not for the other shows as a row without QCI.

Where a gNB is split into units, PDCP ends at its user planes (CU-UP), and these count for all of their cells together
(TS 28.552 §5.1.3.6.2). Such a count is the tenant's as a whole. It is an agreement's where no other agreement of the
tenant has its PLMNs in cells of the same user plane; otherwise nobody knows whose it is, and it counts for none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from controller.intent.agreed_terms import Era
from controller.intent.central_units import user_planes
from controller.models.measurement import HALF_A_DAY, Measured, Subject, Values, parts
from controller.models.network import Network, Rat
from controller.models.sharing import Agreement
from controller.models.statement import Column, Sheet, Value
from controller.performance.kpis import MOST_SUBJECTS, Subscribers, subscribers_of
from controller.performance.vocabulary import UNREAD_TIME

DOWN, UP = "DRB.PdcpSduVolumeDL", "DRB.PdcpSduVolumeUL"
COUNTERS = (DOWN, UP)
#: How long a cell's volumes were unread, since it was not known whose they are.
UNREAD = UNREAD_TIME.name
#: The same of a user plane, in the same order.
PLANE_COUNTERS = ("QosFlow.PdcpSduVolumeDL", "QosFlow.PdcpSduVolumeUL")
_PLANE = frozenset(PLANE_COUNTERS)
#: Megabytes (of 10^6 bytes) of a megabit (of 10^6 bits).
_MEGABYTES = 1 / 8
#: Part of a total up to which sums of its parts may differ from it, since they are binary fractions.
_NOISE = 1e-6

RULES = (
    "Volume is that of PDCP SDUs, as stations counted it (TS 28.552 §5.1.2.1, TS 32.425 §4.4.7). 1 MB is 10^6 bytes.\n"
    "A value counts for the tenant whose PLMN, or own slice, the station counted it for; on each day those that the "
    "network gave the tenant then.\n"
    "Where a gNB is split into units, its user plane (CU-UP) counts for all its cells together (TS 28.552 §5.1.3.6.2), "
    "and stands in place of these cells. If two agreements have the same PLMN in cells of one user plane, its volume "
    "counts for neither, and is not measured.\n"
    "The breakdown is as fine as stations count: what they count by PLMN alone has no QCI, 5QI or S-NSSAI.\n"
    "Measured is the part of the time for which stations delivered measurements. For the rest nothing is estimated.\n"
    "Unread is the part of the time for which a station counted volume by the position of a PLMN in its list "
    "(TS 32.425 §4.4.7), and the list was not read before, during and after the period, or was another meanwhile: "
    "nobody knows whose that volume is, and it is in no statement. It is no part of what is measured."
).splitlines()


class SharingSpan(NamedTuple):
    """A part of a month in which a tenant shared the same cells.

    Attributes:
        cells: Ids by station.
        network: The network at that time.
        planes: Names of NR cells (``station/cell``) by the user plane with its own endpoint that carries their packets.
        behind: Ids of these cells by their station.
        undivided: Endpoints of user planes of which nobody knows which part of what they count is meant.
    """

    begin: datetime
    until: datetime
    who: Subscribers
    cells: Mapping[str, tuple[str, ...]]
    network: Network
    planes: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    behind: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    undivided: frozenset[str] = frozenset()

    @property
    def stations(self) -> set[str]:
        """All that count something of it."""
        return {*self.cells, *self.planes}


def everything_of(parts: Iterable[SharingSpan]) -> Subscribers:
    """All PLMNs, slices and cells that were a tenant's at some time."""
    plmns, slices = frozenset[str](), frozenset[str]()
    for one in parts:
        plmns, slices = plmns | one.who.plmns, slices | one.who.slices
    return Subscribers(plmns, slices)


def had_by(parts: Iterable[SharingSpan], begin: datetime, until: datetime) -> list[Subscribers]:
    """What was a tenant's in each part of a time; none if it was no tenant in some of it."""
    there = [one for one in parts if one.begin < until and begin < one.until]
    held = sum(((min(one.until, until) - max(one.begin, begin)) for one in there), timedelta())
    return [one.who for one in there] if held == until - begin else []


def parts_of(eras: Iterable[Era], tenant: str) -> list[SharingSpan]:
    """The cells that a tenant shared in each part, and its part of their counts."""
    found = []
    for era in (era for era in eras if tenant in era.network.tenant_by_id):
        who, cells = subscribers_of(era.network, tenant), _cells_in(era, tenant)
        planes = _planes(era.network, tenant, cells)
        found.append(_divided(SharingSpan(era.begin, era.until, who, cells, era.network), planes))
    return found


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
            planes = _planes(era.network, tenant, cells)
            span = SharingSpan(era.begin, era.until, own, cells, era.network, undivided=_undivided(era, one, planes))
            found.append(_divided(span, planes))
    return found


def _divided(span: SharingSpan, planes: Mapping[str, tuple[str, ...]]) -> SharingSpan:
    """A span with those of its cells whose packets user planes with endpoints of their own carry."""
    away = {unit: names for unit, names in planes.items() if unit not in span.cells}
    return span._replace(planes=away, behind=_by_station({name for names in away.values() for name in names}))


def _planes(network: Network, tenant: str, cells: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """A tenant's NR cells by the user plane that carries their packets."""
    found: dict[str, list[str]] = {}
    for station, names in cells.items():
        nr = [f"{station}/{name}" for name in names if network.cell_by_name[station, name].rat is Rat.NR]
        for unit in user_planes(network, station, tenant) if nr else ():
            found.setdefault(unit, []).extend(nr)
    return {unit: tuple(names) for unit, names in found.items()}


def _undivided(era: Era, agreement: Agreement, planes: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """User planes at which another agreement of the same tenant has some of the same PLMNs."""
    tenant = era.network.tenant_by_id[agreement.tenant]
    others = [
        one
        for one in era.sharing.in_force
        if one.tenant == tenant.id
        and one.id != agreement.id
        and set(one.plmns_of(tenant)) & set(agreement.plmns_of(tenant))
    ]
    theirs = (_planes(era.network, tenant.id, _by_station(era.sharing.reached_by(one))) for one in others)
    return frozenset(unit for found in theirs for unit in found if unit in planes)


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
    """Megabits down and up, with measured seconds, unread seconds and all seconds."""

    down: float = 0.0
    up: float = 0.0
    covered: float = 0.0
    seconds: float = 0.0
    unread: float = 0.0

    def add(self, down: float, up: float, covered: float = 0.0, seconds: float = 0.0, unread: float = 0.0) -> None:
        self.down += down
        self.up += up
        self.covered += covered
        self.seconds += seconds
        self.unread += unread

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

    @property
    def unknown(self) -> float:
        """Percent of the time of which it is not known whose the volume is."""
        return round(100 * self.unread / self.seconds, 3) if self.seconds else 0.0


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
        for cell in cells:
            counted = day.cells.get(cell)
            self._take(f"{day.station}/{cell}", counted, COUNTERS, day, begin, who)

    def add_plane(self, day: Measured, begin: datetime, who: Subscribers, cells: int) -> None:
        """Add what a user plane counted of so many cells together, on the day with this begin."""
        self._take(day.station, day.cells.get(""), PLANE_COUNTERS, day, begin, who, cells)

    def _take(
        self,
        name: str,
        counted: Mapping[str, Values] | None,
        counters: Sequence[str],
        day: Measured,
        begin: datetime,
        who: Subscribers,
        cells: int = 1,
    ) -> None:
        down = up = covered = unread = 0.0
        if counted:
            down, up = (
                self._count(way, counted.get(counter, {}), who) for way, counter in zip(COUNTERS, counters, strict=True)
            )
            unread = min(sum(parts(counted.get(UNREAD, {}))), day.covered)
            covered = day.covered - unread
        for one in (self.total, self.by_day[begin], self.by_cell[name]):
            one.add(down, up, covered * cells, day.seconds * cells, unread * cells)

    def missed(self, name: str, begin: datetime, seconds: float, cells: int = 1) -> None:
        """Note that of a cell, or a user plane with so many cells, nothing was delivered of a day."""
        for one in (self.total, self.by_day[begin], self.by_cell[name]):
            one.seconds += seconds * cells

    def _count(self, way: str, values: Mapping[Subject, float], who: Subscribers) -> float:
        """The tenant's total of a counter; also adds its parts by subject."""
        shapes = _shapes if len(values) <= MOST_SUBJECTS else _shapes.__wrapped__
        whole, finest = shapes(tuple(values), who)
        total, left = sum([values[one] for one in whole]), 0.0
        sums = self._parts[way]
        for subject in finest:
            value = values[subject]
            sums[subject] += value
            left += value
        if abs(total - left) > _NOISE * max(total, 1.0):
            for plmn, rest in _rests(values, whole, finest).items():
                if abs(rest) > _NOISE * max(total, 1.0):
                    sums[Subject(plmn)] += rest
        return total

    @property
    def by_subject(self) -> dict[Subject, _Sum]:
        """By PLMN, QCI or 5QI, and slice, as fine as it was counted."""
        down, up = (self._parts[way] for way in COUNTERS)
        return {one: _Sum(down.get(one, 0.0), up.get(one, 0.0)) for one in down.keys() | up.keys()}


@lru_cache(maxsize=1 << 12)
def _shapes(subjects: tuple[Subject, ...], who: Subscribers) -> tuple[tuple[Subject, ...], tuple[Subject, ...]]:
    """A tenant's subjects of a counter: the coarsest, which make up all of it, and the finest.

    Those by PLMN and QCI or 5QI, and those by PLMN and slice, contain each other: the former are taken.
    """
    own = tuple(one for one in subjects if who.has(one))
    places = parts({one: float(place) for place, one in enumerate(own)})
    whole = tuple(own[int(place)] for place in places)
    shapes = {one: tuple(map(bool, one)) for one in own}
    most = max(shapes.values(), key=lambda shape: (sum(shape), shape), default=())
    return whole, tuple(one for one, shape in shapes.items() if shape == most)


def _rests(values: Mapping[Subject, float], whole: Iterable[Subject], finest: Sequence[Subject]) -> dict[str, float]:
    """What the coarsest subjects counted beyond the finest, by PLMN; together where the coarsest name no PLMN."""
    rests: defaultdict[str, float] = defaultdict(float)
    for one in whole:
        rests[one.plmn] += values[one]
    divided = all(one.plmn in rests for one in finest)
    for one in finest:
        rests[one.plmn] -= values[one]
    return rests if divided else {finest[0].plmn: sum(rests.values())}


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
    split = _Split(found)
    for one in measured:
        part = part_at(parts, one.begin)
        if part is None:
            continue
        # Of two time zones within a month, each divides the days of its own time: the middle tells which day it is.
        day = begins[bisect_right(begins, one.begin + timedelta(seconds=one.seconds / 2)) - 1]
        if one.station in part.cells:
            seen.add((one.station, day))
            _add_station(found, split, one, day, part)
        elif one.station in part.planes:
            split.planes[one.station, day] = one
    for begin, end in days:
        part = part_at(parts, begin)
        if part is None:
            continue
        length = (end - begin).total_seconds()
        for station, cells in part.cells.items():
            behind = part.behind.get(station, ())
            for cell in cells if (station, begin) not in seen else ():
                if cell not in behind:
                    found.missed(f"{station}/{cell}", begin, length)
        split.finish(part, begin, length)
    return found


def _add_station(found: Volumes, split: _Split, one: Measured, day: datetime, part: SharingSpan) -> None:
    """Add a station's day: what it counts by cell, and of its own user plane where that counts instead of NR cells."""
    behind = part.behind.get(one.station, ())
    if behind:
        split.cells[one.station, day] = one
    together = _counted_together(one, part) if not _PLANE.isdisjoint(one.cells.get("", {})) else []
    found.add(one, day, part.who, [cell for cell in part.cells[one.station] if cell not in (*behind, *together)])
    if together and one.station not in part.undivided:
        found.add_plane(one, day, part.who, len(together))
    elif together:
        found.missed(one.station, day, one.seconds, len(together))


def _counted_together(one: Measured, part: SharingSpan) -> list[str]:
    """NR cells of a station's own user plane, where none of them has volumes of its own."""
    behind, by_name = part.behind.get(one.station, ()), part.network.cell_by_name
    nr = [cell for cell in part.cells[one.station] if cell not in behind and by_name[one.station, cell].rat is Rat.NR]
    return [] if any(_has_volume(one, cell) for cell in nr) else nr


def _has_volume(one: Measured, cell: str) -> bool:
    return any(counter in one.cells.get(cell, {}) for counter in COUNTERS)


@dataclass
class _Split:
    """What was counted on each day of cells whose packets user planes with endpoints of their own carry.

    The user plane's count is all of it. Only where a cell's user planes delivered nothing of a day counts what was
    counted by cell, as some control planes do: never both.

    Attributes:
        planes: By user plane and day.
        cells: By station of the cells and day.
    """

    found: Volumes
    planes: dict[tuple[str, datetime], Measured] = field(default_factory=dict)
    cells: dict[tuple[str, datetime], Measured] = field(default_factory=dict)

    def finish(self, part: SharingSpan, day: datetime, length: float) -> None:
        """Add a day of all user planes."""
        counted = {unit for unit in part.planes if unit not in part.undivided and (unit, day) in self.planes}
        carried = {name for unit in counted for name in part.planes[unit]}
        for unit, names in part.planes.items():
            if unit in counted:
                self.found.add_plane(self.planes[unit, day], day, part.who, len(names))
            elif not (left := [name for name in names if name not in carried and self._counted(name, day)]):
                self.found.missed(unit, day, length, len(names))
            else:
                carried |= {*left}
                self._by_cell(left, day, part)
                if len(left) < len(names):
                    self.found.missed(unit, day, length, len(names) - len(left))

    def _counted(self, name: str, day: datetime) -> bool:
        station, _, cell = name.partition("/")
        one = self.cells.get((station, day))
        return one is not None and _has_volume(one, cell)

    def _by_cell(self, names: Iterable[str], day: datetime, part: SharingSpan) -> None:
        for name in names:
            station, _, cell = name.partition("/")
            self.found.add(self.cells[station, day], day, part.who, [cell])


_VOLUME = (Column(name="down", unit="MB"), Column(name="up", unit="MB"), Column(name="total", unit="MB"))
_MEASURED = Column(name="measured", unit="% of the time"), Column(name="unread", unit="% of the time")


def volume_sheets(volumes: Volumes, zone: ZoneInfo) -> tuple[Sheet, ...]:
    """The tables of a statement of volume."""
    subjects = sorted(volumes.by_subject.items())
    days = sorted(volumes.by_day.items())
    cells = sorted(volumes.by_cell.items(), key=lambda one: (-float(one[1].row[2] or 0), one[0]))
    return (
        Sheet(
            name="total",
            title="Total",
            columns=(*_VOLUME, *_MEASURED),
            rows=((*volumes.total.row, volumes.total.measured, volumes.total.unknown),),
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
            columns=(Column(name="day"), *_VOLUME, *_MEASURED),
            rows=tuple(
                (f"{(day + HALF_A_DAY).astimezone(zone):%Y-%m-%d}", *found.row, found.measured, found.unknown)
                for day, found in days
            ),
        ),
        Sheet(
            name="cells",
            title="By cell, or by user plane",
            columns=(Column(name="cell"), *_VOLUME, *_MEASURED),
            rows=tuple((cell, *found.row, found.measured, found.unknown) for cell, found in cells),
        ),
    )
