"""KPIs over time: for each cell, station, region or tenant a value for each period, and one for all. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime

from controller.models.measurement import Measured
from controller.models.network import Network, Noun
from controller.performance.comparison import Figure, figure
from controller.performance.kpis import EVERYBODY, Kpi, Level, Subscribers, Tally

#: For a station and cell: the names under which they count, and whose part counts.
SubscribersOf = Callable[[str, str], Iterable[tuple[str, Subscribers]]]


class Point(Noun):
    """A KPI in one period.

    Attributes:
        value: Its value; None if it could not be computed.
        sample: Its sample, however small.
    """

    begin: AwareDatetime
    value: float | None
    sample: float


class Series(Noun):
    """A KPI of one cell, station, region or tenant.

    Attributes:
        of: Its name; ``station/cell`` for a cell, ``*`` for the whole network.
        figure: Its figure for the whole time.
        points: Its periods in order; those of which nothing was measured are missing.
    """

    of: str
    figure: Figure
    points: tuple[Point, ...]


def parts_at(
    level: Level, network: Network, tenants: Mapping[str, Subscribers], who: Subscribers = EVERYBODY
) -> SubscribersOf:
    """The names under which cells count at a level.

    Args:
        level: What is asked for.
        network: Where the cells are; others count for nothing.
        tenants: Whose parts of what they count are distinguished, where that is asked for.
        who: Else whose part is meant.
    """

    def parts(station: str, cell: str) -> Iterator[tuple[str, Subscribers]]:
        if (station, cell) not in network.cell_by_name:
            return
        if level is Level.TENANT:
            yield from tenants.items()
        else:
            yield name_at(level, network, station, cell), who

    return parts


def name_at(level: Level, network: Network, station: str, cell: str) -> str:
    """The name under which a cell counts at a level of places."""
    if level is Level.REGION:
        return network.region_of(station)
    return {Level.CELL: f"{station}/{cell}", Level.STATION: station}.get(level, "*")


def series_of(
    kpi: Kpi, periods: Iterable[Measured], parts: SubscribersOf, names: Iterable[str], begin: datetime, end: datetime
) -> list[Series]:
    """A KPI from stored periods of one length, for each of these names."""
    found: dict[str, dict[datetime, Tally]] = {name: {} for name in names}
    for period in periods:
        for cell in period.cells:
            for name, who in parts(period.station, cell):
                if name in found:
                    tally = found[name].setdefault(period.begin, Tally(kpi))
                    tally.add_cell(period, cell, who)
    return [_series(kpi, name, tallies, begin, end) for name, tallies in found.items()]


def _series(kpi: Kpi, name: str, tallies: Mapping[datetime, Tally], begin: datetime, end: datetime) -> Series:
    whole, points = Tally(kpi), []
    for at in sorted(tallies):
        whole.merge(tallies[at])
        one = figure(kpi, tallies[at], at, at + timedelta(seconds=1), minimum=0)
        if one.value is not None:
            points.append(Point(begin=at, value=one.value, sample=one.sample))
    return Series(of=name, figure=figure(kpi, whole, begin, end), points=tuple(points))


#: Header of series as CSV.
COLUMNS = ("kpi", "unit", "of", "begin", "value", "sample")


def csv_of(series: Iterable[Mapping[str, Any]]) -> str:
    """The periods of series, as JSON has them, as CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in series:
        head = one["figure"]["kpi"], one["figure"]["unit"], one["of"]
        writer.writerows((*head, point["begin"], point["value"], point["sample"]) for point in one["points"])
    return text.getvalue()
