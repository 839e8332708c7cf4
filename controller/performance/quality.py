"""Quality of a tenant's service in a month: KPIs of its own part of shared cells. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from controller.models.measurement import Measured
from controller.models.statement import Column, Sheet, Value
from controller.performance.comparison import Figure, figure, judged
from controller.performance.kpis import Kpi, Tally
from controller.performance.volume import SharingSpan

RULES = (
    "Counts of all days and cells are added up first, and the indicator is that of the sums: that of a region is no "
    "mean of its cells.\n"
    "Of each cell the tenant's own part counts, and what a station counts for the whole cell only where the definition "
    "says so.\n"
    "The confidence interval has 95 %. Where the sample is smaller than the definition asks for, nothing is judged.\n"
    "Cells are those that the tenant shared, each for the days on which it shared it; a day belongs to the terms with "
    "which it began."
).splitlines()

#: Worst cells of a KPI that are listed.
_WORST = 20


def quality_sheets(
    kpis: Sequence[Kpi], counted: Iterable[tuple[SharingSpan, Measured]], begin: datetime, end: datetime
) -> tuple[Sheet, ...]:
    """The tables of a statement of quality.

    Args:
        kpis: The indicators that the tenant sees.
        counted: What each station counted in each part of the month in which the tenant shared the same cells.
        begin: Of the month.
        end: Likewise.
    """
    regions: _Tallies = {}
    cells: _Tallies = {}
    for part, one in counted:
        region = part.network.region_of(one.station) if part.network.manages(one.station) else ""
        for cell in part.cells.get(one.station, ()):
            for kpi in kpis if cell in one.cells else ():
                of_cell = Tally(kpi)
                of_cell.add_cell(one, cell, part.who)
                cells.setdefault((kpi.name, f"{one.station}/{cell}"), Tally(kpi)).merge(of_cell)
                regions.setdefault((kpi.name, region), Tally(kpi)).merge(of_cell)
    whole: _Tallies = {}
    for (name, _), of_region in regions.items():
        whole.setdefault((name, ""), Tally(of_region.kpi)).merge(of_region)
    span = begin, end
    return (
        Sheet(name="kpis", title="Indicators", columns=_columns(""), rows=tuple(_rows(kpis, whole, span))),
        Sheet(name="regions", title="By region", columns=_columns("region"), rows=tuple(_rows(kpis, regions, span))),
        Sheet(name="cells", title="The worst cells", columns=_columns("cell"), rows=tuple(_worst(kpis, cells, span))),
        Sheet(name="definitions", title="Definitions", columns=_DEFINITIONS, rows=tuple(map(_definition, kpis))),
    )


#: By KPI, and its cell or area.
_Tallies = dict[tuple[str, str], Tally]
_Span = tuple[datetime, datetime]


def _columns(of: str) -> tuple[Column, ...]:
    return (
        Column(name="kpi"),
        *((Column(name=of),) if of else ()),
        Column(name="value"),
        Column(name="unit"),
        Column(name="low", meaning="end of the interval of 95 % confidence"),
        Column(name="high", meaning="its other end"),
        Column(name="sample"),
        Column(name="not_judged", meaning="why it is not judged"),
    )


def _rows(kpis: Sequence[Kpi], found: _Tallies, span: _Span) -> Iterator[tuple[Value, ...]]:
    by_name = {kpi.name: kpi for kpi in kpis}
    for (name, of), tally in sorted(found.items(), key=lambda one: one[0]):
        yield _row(figure(by_name[name], tally, *span), of)


def _row(one: Figure, of: str) -> tuple[Value, ...]:
    value, low, high = (None if each is None else round(each, 4) for each in (one.value, one.low, one.high))
    return (one.kpi, *((of,) if of else ()), value, one.unit, low, high, round(one.sample, 1), one.why)


def _worst(kpis: Sequence[Kpi], found: _Tallies, span: _Span) -> Iterator[tuple[Value, ...]]:
    """For each KPI with a better direction, the worst cells with a sufficient sample."""
    for kpi in kpis:
        if kpi.better == "neither":
            continue
        sign = 1 if kpi.better == "higher" else -1
        of_kpi = ((judged(kpi, tally), of) for (name, of), tally in found.items() if name == kpi.name)
        worst = heapq.nsmallest(_WORST, ((sign * value, of) for value, of in of_kpi if value is not None))
        yield from (_row(figure(kpi, found[kpi.name, of], *span), of) for _, of in worst)


_DEFINITIONS = (
    Column(name="kpi"),
    Column(name="title"),
    Column(name="unit"),
    Column(name="better"),
    Column(name="formula"),
    Column(name="source"),
)


def _definition(kpi: Kpi) -> tuple[Value, ...]:
    return kpi.name, kpi.title, kpi.unit, kpi.better, kpi.formula, kpi.source
