"""Capacity: cells to expand first, and the month in which a share, a carrier or backhaul is full. Pure.

Cells and links carry traffic of all tenants, so statements of capacity are for the host only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from controller.intent.agreed_terms import Era
from controller.models.measurement import DAY, HOUR, MONTH
from controller.models.network import Network
from controller.models.statement import Column, Sheet, Value
from controller.performance.kpis import CellCounts, CounterQuery, subscribers_of
from controller.performance.shares import CellUse, Terms, Use, mean, terms_of, use_of, wanted
from controller.performance.volume import UP

_RULES = (
    "Use is the mean of the cell's PRBs downlink: counted by slice on NR; on LTE, where nothing counts PRBs by PLMN, "
    "the tenant's part of the volume stands for its part of the PRBs.\n"
    "A cell is congested for the part of the time for which its station says so (TS 32.425 §4.5.9.1).\n"
    "Short are congested hours in which the tenant used less than its guaranteed minimum while another one used more "
    "than its own. Stations do not count demand: whether the tenant got less or asked for less can't be told apart. "
    "Both minima are those that are agreed, whatever share the cell guaranteed then by the record of runs.\n"
    "Fairness is Jain's index of use by guaranteed minimum in congested hours: 1 where all tenants are alike.\n"
    "Cells to expand first are ranked by congestion times people times the guaranteed minima of all tenants.\n"
    "Backhaul carries the volume of all stations that hang below it now, both ways.\n"
    "The busy hour is the busiest one of the cell or node, of the {} hours in a row in which the network carried most "
    "on its busiest day of the month.\n"
    "A trend is the line of least squares through the months on record up to this one, where there are {} or more, "
    "else through the days of this month. It is given where it explains half of their variance or more (R² of 0.5). It "
    "is straight and knows no seasons; what a station did not deliver is missing in it.\n"
    "Full is the month in which that line reaches the capacity, where the busy hour is as many times the mean as it "
    "was on that day: all PRBs of a carrier, the highest share of the tenant, the capacity of a node."
)

#: Most rows of a ranking, and most stations whose hours are read.
_MOST, HOURLY = 100, 50
#: Hours of the busiest day that are read; a sample of one in so many stations shows which these are.
BUSY, SAMPLE = 8, 20
#: Part of the variance that a trend must explain to be shown, and days or months that it needs.
_EXPLAINS, _DAYS, _MONTHS = 0.5, 7, 6
RULES = tuple(_RULES.format(BUSY, _MONTHS).splitlines())


class Trend(NamedTuple):
    """A line through values in time: the value at the last moment, and the growth in a day."""

    last: float
    growth: float
    at: datetime


def trend(values: Mapping[datetime, float], least: int = _DAYS) -> Trend | None:
    """The least-squares line; None if it explains less than half of the variance, or if there are few values."""
    if len(values) < least:
        return None
    first, last = min(values), max(values)
    points = [((moment - first) / timedelta(days=1), value) for moment, value in values.items()]
    x, y = mean([one for one, _ in points]), mean([one for _, one in points])
    sxx = math.fsum([(one - x) ** 2 for one, _ in points])
    sxy = math.fsum([(one - x) * (other - y) for one, other in points])
    syy = math.fsum([(other - y) ** 2 for _, other in points])
    if not syy or sxy * sxy / (sxx * syy) < _EXPLAINS:
        return None
    growth = sxy / sxx
    return Trend(y + growth * ((last - first) / timedelta(days=1) - x), growth, last)


def full_in(line: Trend | None, capacity: float, zone: ZoneInfo) -> str:
    """The month in which a trend reaches a capacity; empty if not within ten years."""
    if line is None or line.growth <= 0:
        return ""
    days = max(0.0, (capacity - line.last) / line.growth)
    return "" if days > 3650 else f"{(line.at + timedelta(days=days)).astimezone(zone):%Y-%m}"


@dataclass
class _Course:
    """Values over time: by day of the month, by month before it, and by hour of the busiest day."""

    days: dict[datetime, float] = field(default_factory=dict)
    months: dict[datetime, float] = field(default_factory=dict)
    hours: dict[datetime, float] = field(default_factory=dict)

    def at(self, level: int) -> dict[datetime, float]:
        """Its values on a level of measurements."""
        return self.days if level == DAY else self.hours if level == HOUR else self.months

    @property
    def mean(self) -> float:
        """Its mean of the days."""
        return mean(list(self.days.values()))

    @property
    def busiest(self) -> float:
        """The busiest day."""
        return max(self.days.values(), default=0.0)

    @property
    def busy_hour(self) -> float | None:
        """The busiest hour; None if hours are not on record any more."""
        return max(self.hours.values(), default=None)

    @cached_property
    def line(self) -> Trend | None:
        """Its trend, when all values are there."""
        if not self.days:
            return None
        if len(self.months) + 1 < _MONTHS:
            return trend(self.days)
        middle = min(self.days) + (max(self.days) - min(self.days)) / 2
        return trend(self.months | {middle: self.mean}, _MONTHS)

    @property
    def growth(self) -> float | None:
        """Growth in 30 days."""
        return None if (line := self.line) is None else round(30 * line.growth, 3)

    def full_in(self, capacity: float, busiest: datetime | None, zone: ZoneInfo) -> str:
        """The month in which its busy hour, of the ``busiest`` day, reaches a capacity; empty if unknown."""
        of_day = self.days.get(busiest, 0.0) if busiest else 0.0
        return full_in(self.line, capacity * of_day / self.busy_hour, zone) if self.busy_hour and of_day else ""


class Load:
    """Load of cells and backhaul in a month, in all and of a tenant, with the months before.

    Attributes:
        wanted: What has to be known of each cell.
        wanted_of_all: What has to be known of it in hours with congestion.
    """

    def __init__(self, era: Era, tenant: str) -> None:
        self._network: Network = era.network
        self._era = era
        self._tenant = tenant
        self._tenants = {one.id: subscribers_of(era.network, one.id) for one in era.network.tenants}
        self._terms: dict[str, dict[str, Terms]] = {}
        self._alone = {tenant: self._tenants[tenant]}
        self.wanted = (*wanted(self._alone), CounterQuery(UP, self._tenants[tenant]))
        self.wanted_of_all = wanted(self._tenants)
        #: Percent of each day in which a cell was congested, and total use in hours.
        self._congested: defaultdict[str, list[float]] = defaultdict(list)
        self._hours: defaultdict[str, CellUse] = defaultdict(CellUse)
        #: PRBs of cells, in all and of the tenant, and Mbit/s of nodes.
        self._carriers: defaultdict[str, _Course] = defaultdict(_Course)
        self._shares: defaultdict[str, _Course] = defaultdict(_Course)
        self._nodes: defaultdict[str, _Course] = defaultdict(_Course)
        self._own_nodes: defaultdict[str, _Course] = defaultdict(_Course)
        self._carried: defaultdict[datetime, float] = defaultdict(float)

    def add_days(self, days: Iterable[CellCounts]) -> None:
        """Add days of stations."""
        for one in days:
            for name, use in self._add(DAY, one):
                self._carried[one.begin] += use.carried
                self._congested[name].append(use.congested)

    def add_months(self, months: Iterable[CellCounts]) -> None:
        """Add months before."""
        for one in months:
            self._add(MONTH, one)

    @cached_property
    def busiest_day(self) -> datetime | None:
        """Begin of the day with the most traffic; None if nothing was measured."""
        return max(self._carried, key=lambda day: (self._carried[day], day), default=None)

    def busy_hours(self, hours: Iterable[CellCounts]) -> tuple[datetime, datetime] | None:
        """Begin and end of the consecutive busiest hours, by a sample of stations on that day."""
        carried: defaultdict[datetime, float] = defaultdict(float)
        for one in hours:
            carried[one.begin] += sum([use_of(each, ()).carried for each in one.cells.values()])
        length = timedelta(hours=BUSY)
        spans = [(begin, begin + length) for begin in sorted(carried) if begin + length <= max(carried) + length / BUSY]
        sums = {span: sum([carried[hour] for hour in carried if span[0] <= hour < span[1]]) for span in spans}
        return max(sums, key=lambda span: sums[span], default=None)

    def add_busiest(self, hours: Iterable[CellCounts]) -> None:
        """Add hours of the busiest day."""
        for one in hours:
            self._add(HOUR, one)

    def add_hours(self, hours: Iterable[CellCounts]) -> None:
        """Add hours of stations with congested cells."""
        for one in hours:
            for cell, amounts in one.cells.items():
                name = f"{one.station}/{cell}"
                self._hours[name].add(use_of(amounts, self._tenants), self._terms_of(name))

    def congested(self) -> list[str]:
        """Stations with the most congested cells."""
        found = [(mean(parts), cell) for cell, parts in self._congested.items() if any(parts)]
        found.sort(key=lambda one: (-one[0], one[1]))
        return list(dict.fromkeys(cell.partition("/")[0] for _, cell in found))[:HOURLY]

    def _add(self, level: int, one: CellCounts) -> list[tuple[str, Use]]:
        """Add a station's span; returns the use of its cells."""
        found: list[tuple[str, Use]] = []
        if not self._network.manages(one.station):
            return found
        carried = own = 0.0
        at = one.begin if level != MONTH else one.begin + timedelta(days=15)
        for cell, amounts in one.cells.items():
            name = f"{one.station}/{cell}"
            use = use_of(amounts, self._alone)
            carried += use.carried
            own += (amounts[-2] or 0.0) + (amounts[-1] or 0.0)
            if cell:
                found.append((name, use))
                if self._tenant in self._terms_of(name):
                    if use.total is not None:
                        self._carriers[name].at(level)[at] = use.total
                    if self._tenant in use.used:
                        self._shares[name].at(level)[at] = use.used[self._tenant]
        for node in self._network.backhaul_above(one.station):
            for course, megabits in ((self._nodes[node], carried), (self._own_nodes[node], own)):
                known = course.at(level)
                known[at] = known.get(at, 0.0) + megabits / max(one.covered, 1.0)
        return found

    def _terms_of(self, cell: str) -> dict[str, Terms]:
        if cell not in self._terms:
            self._terms[cell] = terms_of(self._era, cell)
        return self._terms[cell]

    # ---------------------------------------------------------------------------------------------------- sheets

    def sheets(self, zone: ZoneInfo) -> tuple[Sheet, ...]:
        """The tables of a statement of capacity of the tenant."""
        hourly = "Congested cells, by the hour"
        return (
            Sheet(name="shares", title="Shares", columns=_SHARES, rows=tuple(self._share_rows(zone))),
            Sheet(name="carriers", title="Carriers", columns=_CARRIERS, rows=tuple(self._carrier_rows(zone))),
            Sheet(name="congested", title=hourly, columns=_HOURS, rows=tuple(self._hour_rows())),
            Sheet(name="expand", title="Cells to expand first", columns=_EXPAND, rows=tuple(self._expand_rows())),
            Sheet(name="backhaul", title="Backhaul", columns=_BACKHAUL, rows=tuple(self._backhaul_rows(zone))),
        )

    def _share_rows(self, zone: ZoneInfo) -> Iterator[tuple[Value, ...]]:
        rows = []
        for cell, congested in self._congested.items():
            terms, own = self._terms_of(cell).get(self._tenant), self._shares.get(cell)
            if terms is not None:
                figures: tuple[Value, ...] = (None,) * 5
                if own is not None and own.days:
                    full = own.full_in(terms.most, self.busiest_day, zone)
                    figures = (*map(_rounded, (own.mean, own.busiest, own.busy_hour)), own.growth, full)
                rows.append((cell, terms.least, terms.most, *figures, round(mean(congested), 3)))
        yield from sorted(rows, key=lambda row: (-float(row[3] or 0.0), str(row[0])))

    def _carrier_rows(self, zone: ZoneInfo) -> Iterator[tuple[Value, ...]]:
        rows = []
        for cell, one in self._carriers.items():
            if one.days:
                figures = map(_rounded, (one.mean, one.busiest, one.busy_hour))
                rows.append((cell, *figures, one.growth, one.full_in(100.0, self.busiest_day, zone)))
        yield from sorted(rows, key=lambda row: (-float(row[3] or row[2] or 0.0), str(row[0])))

    def _hour_rows(self) -> Iterator[tuple[Value, ...]]:
        rows = []
        for cell, use in self._hours.items():
            congested = sum(1 for one in use.congested if one)
            if congested and self._tenant in self._terms_of(cell):
                fair = round(mean(use.fairness), 3) if use.fairness else None
                rows.append((cell, len(use.congested), congested, use.short.get(self._tenant, 0), fair))
        yield from sorted(rows, key=lambda row: (-row[3], -row[2], row[0]))

    def _expand_rows(self) -> Iterator[tuple[Value, ...]]:
        rows = []
        for cell, parts in self._congested.items():
            terms, congested = self._terms_of(cell), mean(parts)
            if congested and self._tenant in terms:
                people, promised = self._network.people_at([cell]), sum(one.least for one in terms.values())
                weight = congested / 100 * people * max(promised, 1) / 100
                rows.append((cell, round(congested, 3), people, len(terms), promised, round(weight, 2)))
        rows.sort(key=lambda row: (-row[5], row[0]))
        yield from ((rank, *row) for rank, row in enumerate(rows[:_MOST], 1))

    def _backhaul_rows(self, zone: ZoneInfo) -> Iterator[tuple[Value, ...]]:
        rows = []
        for node, all_of_it in self._nodes.items():
            capacity, own = self._network.backhaul_by_id[node].capacity_mbps, self._own_nodes[node]
            if all_of_it.days:
                most = all_of_it.busiest if all_of_it.busy_hour is None else all_of_it.busy_hour
                figures = map(_rounded, (all_of_it.mean, all_of_it.busiest, all_of_it.busy_hour))
                growth, used = (all_of_it.growth, own.growth), round(100 * most / capacity, 2)
                full = all_of_it.full_in(capacity, self.busiest_day, zone)
                rows.append((node, capacity, *figures, used, _rounded(own.mean), *growth, full))
        yield from sorted(rows, key=lambda row: (-float(row[5] or 0.0), str(row[0])))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


_GROWTH, _FULL = "in 30 days, by the trend", "month in which its busy hour is full by the trend"
_SHARES = (
    Column(name="cell"),
    Column(name="guaranteed", unit="% of PRBs"),
    Column(name="most", unit="% of PRBs"),
    Column(name="used", unit="% of PRBs"),
    Column(name="busiest_day", unit="% of PRBs"),
    Column(name="busy_hour", unit="% of PRBs"),
    Column(name="growth", unit="points", meaning=_GROWTH),
    Column(name="full", meaning="month in which the tenant's busy hour reaches its highest share by the trend"),
    Column(name="congested", unit="% of the time"),
)
_CARRIERS = (
    Column(name="cell"),
    Column(name="used", unit="% of PRBs", meaning="by all tenants together"),
    Column(name="busiest_day", unit="% of PRBs"),
    Column(name="busy_hour", unit="% of PRBs"),
    Column(name="growth", unit="points", meaning=_GROWTH),
    Column(name="full", meaning=_FULL),
)
_HOURS = (
    Column(name="cell"),
    Column(name="hours"),
    Column(name="congested_hours"),
    Column(name="short", unit="h", meaning="below the guaranteed minimum while another tenant was above its own"),
    Column(name="fairness", meaning="Jain's index"),
)
_EXPAND = (
    Column(name="rank"),
    Column(name="cell"),
    Column(name="congested", unit="% of the time"),
    Column(name="people"),
    Column(name="tenants"),
    Column(name="guaranteed", unit="% of PRBs", meaning="of all tenants together"),
    Column(name="weight"),
)
_BACKHAUL = (
    Column(name="node"),
    Column(name="capacity", unit="Mbit/s"),
    Column(name="load", unit="Mbit/s"),
    Column(name="busiest_day", unit="Mbit/s"),
    Column(name="busy_hour", unit="Mbit/s"),
    Column(name="used", unit="% in the busy hour"),
    Column(name="own", unit="Mbit/s", meaning="the tenant's part of the load"),
    Column(name="growth", unit="Mbit/s", meaning=_GROWTH),
    Column(name="own_growth", unit="Mbit/s", meaning=_GROWTH),
    Column(name="full", meaning=_FULL),
)


def nodes_of(network: Network, stations: Sequence[str]) -> list[str]:
    """Stations at the same backhaul nodes as these, since a node's load is that of all its stations."""
    nodes = {node for station in stations if network.manages(station) for node in network.backhaul_above(station)}
    return sorted({one for node in nodes for one in network.devices_below[node] if network.has_cells(one)})
