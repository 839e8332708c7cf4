"""Where capacity runs out: cells to expand first, backhaul against its capacity, the month in which it is full. Pure.

What cells and links carry is everybody's, so that statements of capacity are the host's alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from controller.intent.outages import Era
from controller.models.network import Network
from controller.models.statement import Column, Sheet, Value
from controller.performance.kpis import Amounts, whose
from controller.performance.shares import CellUse, Terms, mean, terms_of, use_of, wanted

RULES = (
    "Use is the mean of the cell's PRBs downlink: counted by slice on NR; on LTE, where nothing counts PRBs by PLMN, "
    "the tenant's part of the volume stands for its part of the PRBs.\n"
    "A cell is congested for the part of the time for which its station says so (TS 32.425 §4.5.9.1).\n"
    "Short are congested hours in which the tenant used less than its guaranteed minimum while another one used more "
    "than its own. Stations do not count what was asked for: a tenant that asked for less was not squeezed.\n"
    "Fairness is Jain's index of use by guaranteed minimum in congested hours: 1 where all tenants are alike.\n"
    "Cells to expand first are ranked by congestion times people times the guaranteed minima of all tenants.\n"
    "Backhaul carries the volume of all stations below; loads are means of days. A trend is the line of "
    "least squares through the days of the month, told where it explains half of their variance or more (R² of 0.5); "
    "full is the month in which that line reaches the capacity. A month is too short for seasons."
).splitlines()

#: Rows of rankings, and stations whose hours are looked at, at most.
_MOST, HOURLY = 100, 50
#: What a trend has to explain of the variance to be told, and days that it needs.
_EXPLAINS, _DAYS = 0.5, 7


class Trend(NamedTuple):
    """A line through values of days: the value at the last day, and the growth in a day."""

    last: float
    growth: float


def trend(values: Mapping[datetime, float]) -> Trend | None:
    """The line of least squares; None where it explains less than half of the variance, or of few days."""
    if len(values) < _DAYS:
        return None
    first = min(values)
    points = [((day - first) / timedelta(days=1), value) for day, value in sorted(values.items())]
    x, y = mean([one for one, _ in points]), mean([one for _, one in points])
    sxx = math.fsum((one - x) ** 2 for one, _ in points)
    sxy = math.fsum((one - x) * (other - y) for one, other in points)
    syy = math.fsum((other - y) ** 2 for _, other in points)
    if not syy or sxy * sxy / (sxx * syy) < _EXPLAINS:
        return None
    growth = sxy / sxx
    return Trend(y + growth * (points[-1][0] - x), growth)


def full_in(line: Trend | None, capacity: float, last: datetime, zone: ZoneInfo) -> str:
    """The month in which a trend reaches a capacity, empty where it does not within ten years."""
    if line is None or line.growth <= 0:
        return ""
    days = max(0.0, (capacity - line.last) / line.growth)
    return "" if days > 3650 else f"{(last + timedelta(days=days)).astimezone(zone):%Y-%m}"


class Load:
    """What cells and backhaul carried on the days of a month."""

    def __init__(self, era: Era) -> None:
        self._network: Network = era.network
        self._era = era
        self._tenants = {one.id: whose(era.network, one.id) for one in era.network.tenants}
        #: What has to be known of cells.
        self.wanted = wanted(self._tenants)
        self._terms: dict[str, dict[str, Terms]] = {}
        self.cells: defaultdict[str, CellUse] = defaultdict(CellUse)
        self.hours: defaultdict[str, CellUse] = defaultdict(CellUse)
        self.nodes: defaultdict[str, defaultdict[datetime, float]] = defaultdict(lambda: defaultdict(float))

    def add_days(self, days: Iterable[Amounts]) -> None:
        """Take days of stations in."""
        for one in days:
            if self._network.manages(one.station):
                carried = self._add(self.cells, one)
                for node in self._network.backhaul_above(one.station):
                    self.nodes[node][one.begin] += carried / max(one.covered, 1.0)

    def add_hours(self, hours: Iterable[Amounts]) -> None:
        """Take hours of stations in whose cells are congested."""
        for one in hours:
            self._add(self.hours, one)

    def congested(self) -> list[str]:
        """Stations with the most congested cells."""
        found = [(use.congestion, cell) for cell, use in self.cells.items() if use.congestion]
        found.sort(key=lambda one: (-one[0], one[1]))
        return list(dict.fromkeys(cell.partition("/")[0] for _, cell in found))[:HOURLY]

    def _add(self, found: defaultdict[str, CellUse], one: Amounts) -> float:
        """Take a station's cells in; the megabits that they carried."""
        carried = 0.0
        for cell, amounts in one.cells.items():
            name = f"{one.station}/{cell}"
            if name not in self._terms:
                self._terms[name] = terms_of(self._era, name)
            use = use_of(amounts, self._tenants)
            carried += use.carried
            if cell:
                found[name].add(use, self._terms[name])
        return carried

    # ---------------------------------------------------------------------------------------------------- sheets

    def sheets(self, tenant: str, zone: ZoneInfo) -> tuple[Sheet, ...]:
        """The tables of a statement of capacity of a tenant."""
        return (
            Sheet(name="shares", title="Shares", columns=_SHARES, rows=tuple(self._shares(tenant))),
            Sheet(
                name="congested", title="Congested cells, by the hour", columns=_HOURS, rows=tuple(self._hours(tenant))
            ),
            Sheet(name="expand", title="Cells to expand first", columns=_EXPAND, rows=tuple(self._expand(tenant))),
            Sheet(name="backhaul", title="Backhaul", columns=_BACKHAUL, rows=tuple(self._backhaul(zone))),
        )

    def _shares(self, tenant: str) -> Iterator[tuple[Value, ...]]:
        rows = []
        for cell, use in self.cells.items():
            terms, used = self._terms[cell].get(tenant), use.used.get(tenant)
            if terms is not None:
                value = None if used is None else round(mean(used), 3)
                busiest = None if used is None else round(max(used), 3)
                rows.append((cell, terms.least, terms.most, value, busiest, round(use.congestion, 3)))
        yield from sorted(rows, key=lambda row: (-(row[3] or 0.0), row[0]))

    def _hours(self, tenant: str) -> Iterator[tuple[Value, ...]]:
        rows = []
        for cell, use in self.hours.items():
            congested = sum(1 for one in use.congested if one)
            if congested and tenant in self._terms[cell]:
                fair = round(mean(use.fairness), 3) if use.fairness else None
                rows.append((cell, len(use.congested), congested, use.short.get(tenant, 0), fair))
        yield from sorted(rows, key=lambda row: (-row[3], -row[2], row[0]))

    def _expand(self, tenant: str) -> Iterator[tuple[Value, ...]]:
        rows = []
        for cell, use in self.cells.items():
            terms = self._terms[cell]
            if use.congestion and tenant in terms:
                people, promised = self._network.people_at([cell]), sum(one.least for one in terms.values())
                weight = use.congestion / 100 * people * max(promised, 1) / 100
                rows.append((cell, round(use.congestion, 3), people, len(terms), promised, round(weight, 2)))
        rows.sort(key=lambda row: (-row[5], row[0]))
        yield from ((rank, *row) for rank, row in enumerate(rows[:_MOST], 1))

    def _backhaul(self, zone: ZoneInfo) -> Iterator[tuple[Value, ...]]:
        rows = []
        for node, days in self.nodes.items():
            capacity, line = self._network.backhaul_by_id[node].capacity_mbps, trend(days)
            busiest = max(days.values())
            growth = None if line is None else round(30 * line.growth, 3)
            rows.append(
                (
                    node,
                    capacity,
                    round(mean(list(days.values())), 3),
                    round(busiest, 3),
                    round(100 * busiest / capacity, 2),
                    growth,
                    full_in(line, capacity, max(days), zone),
                )
            )
        yield from sorted(rows, key=lambda row: (-row[4], row[0]))


_SHARES = (
    Column(name="cell"),
    Column(name="guaranteed", unit="% of PRBs"),
    Column(name="most", unit="% of PRBs"),
    Column(name="used", unit="% of PRBs"),
    Column(name="busiest_day", unit="% of PRBs"),
    Column(name="congested", unit="% of the time"),
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
    Column(name="used", unit="% on the busiest day"),
    Column(name="growth", unit="Mbit/s in 30 days"),
    Column(name="full", meaning="month in which it is full by that trend"),
)


def nodes_of(network: Network, stations: Sequence[str]) -> list[str]:
    """Stations that hang on the same nodes of the backhaul as these: what a node carries is that of all."""
    nodes = {node for station in stations if network.manages(station) for node in network.backhaul_above(station)}
    return sorted({one for node in nodes for one in network.devices_below[node] if one in network.station_by_id})
