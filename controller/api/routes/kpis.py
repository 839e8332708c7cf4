"""Key performance indicators: definitions, and values over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from fastapi import Depends, Query, Response

from controller.api.auth import Router, needs
from controller.api.services import Body, Listing, Paging, cut
from controller.api.views import CallerView
from controller.inventory.selectors import select
from controller.inventory.source import unknown
from controller.models.errors import InputError, NotFoundError
from controller.models.measurement import DAY, HOUR, MONTH, QUARTER
from controller.models.network import Network
from controller.models.people import Permission, Person
from controller.models.scalars import Moment
from controller.performance.kpis import EVERYBODY, Kpi, Level
from controller.performance.series import Series, csv_of, name_at, parts_at, series_of

router = Router(prefix="/v1/kpis", tags=["kpis"])

Step = Literal["quarter", "hour", "day", "month"]
_SECONDS: dict[Step, int] = {"quarter": QUARTER, "hour": HOUR, "day": DAY, "month": MONTH}
#: Most periods of stations to read for an answer: at all, and for one without a named step.
_MOST, _FEW = 200_000, 20_000
#: Most points of a series: at all, and without a named step.
_POINTS, _READABLE = 3000, 200


class KpiSeries(Body):
    """An indicator over time, for a page of objects.

    Attributes:
        tenant: The tenant whose part of the counts it uses; empty for all.
        seconds: Length of a period.
    """

    kpi: Kpi
    level: Level
    tenant: str
    begin: Moment
    end: Moment
    seconds: int
    count: int
    next: int | None
    results: list[Series]


@router.get("")
def kpis(seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)]) -> Listing[Kpi]:
    """Definitions: formula, source, unit, what a verdict needs; for a tenant those of its part of shared cells."""
    return cut(seen.kpis(), paging)


class SeriesQuery(NamedTuple):
    """The requested part of an indicator."""

    level: Level
    selector: str
    tenant: str
    begin: datetime | None
    end: datetime | None
    step: Step | None


async def asked_for(  # one for each query parameter
    level: Annotated[Level, Query(description="Per cell, station, region or tenant, or one value for the network.")] = (
        Level.STATION
    ),
    selector: Annotated[str, Query(description="Only counts of these stations.", max_length=2000)] = "*",
    tenant: Annotated[str, Query(description="Only this tenant's part.", max_length=100)] = "",
    begin: Annotated[Moment | None, Query(description="Default: a day before the end.")] = None,
    end: Annotated[Moment | None, Query(description="Default: the last quarter of an hour.")] = None,
    step: Annotated[Step | None, Query(description="Length of a period; default: the shortest that fits.")] = None,
) -> SeriesQuery:
    """The requested part, from the query."""
    return SeriesQuery(level, selector, tenant, begin, end, step)


@router.get("/{kpi}", responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}})
def show(
    kpi: str,
    seen: CallerView,
    paging: Paging,
    who: Annotated[Person, needs(Permission.READ)],
    asked: Annotated[SeriesQuery, Depends(asked_for)],
    format: Annotated[Literal["json", "csv"], Query(description="JSON, or the periods as a table.")] = "json",
) -> KpiSeries:
    """An indicator over time: its value with its 95 % interval, or why there is none, and that of each period."""
    tenant = asked.tenant or who.tenant
    tenants = seen.subscribers() if tenant or asked.level is Level.TENANT else {}
    if tenant and tenant not in tenants:
        raise NotFoundError(unknown("tenant", tenant, tenants))
    known = _known(seen.kpis(), kpi, asked.level, tenant)
    _, network = seen.network()
    chosen = select(network, asked.selector)
    names = _names(asked.level, network, chosen, [tenant] if tenant else sorted(tenants))
    shown = names[paging.offset : paging.offset + paging.limit]
    if asked.level in (Level.CELL, Level.STATION):
        chosen = tuple(sorted({name.partition("/")[0] for name in shown}))
    begin, end, seconds = _range(asked, len(chosen), seen.clock.now(), seen.shortest())
    parts = parts_at(asked.level, network, tenants, tenants[tenant] if tenant else EVERYBODY)
    periods = seen.measured(begin, end, seconds, chosen) if chosen else ()
    found = series_of(known, periods, parts, shown, begin, end)
    if format == "csv":
        text = csv_of(one.model_dump(mode="json") for one in found)
        return Response(text, media_type="text/csv; charset=utf-8")  # type: ignore[return-value]
    following = paging.offset + len(shown)
    return KpiSeries(
        kpi=known,
        level=asked.level,
        tenant=tenant,
        begin=begin,
        end=end,
        seconds=seconds,
        count=len(names),
        next=following if following < len(names) else None,
        results=found,
    )


def _known(kpis: Iterable[Kpi], name: str, level: Level, tenant: str) -> Kpi:
    """The indicator of a name. Raises an error if there is none, or none at this level."""
    by_name = {one.name: one for one in kpis}
    if name not in by_name:
        raise NotFoundError(unknown("KPI", name, by_name))
    kpi = by_name[name]
    for wanted in (level, Level.TENANT) if tenant else (level,):
        if wanted not in kpi.levels:
            at = ", ".join(kpi.levels)
            raise InputError(
                f"{name} is not available by {wanted}, since stations do not count it so; it is available by {at}"
            )
    return kpi


def _names(level: Level, network: Network, stations: Sequence[str], tenants: Sequence[str]) -> list[str]:
    """Names of the requested objects, in order."""
    if level is Level.TENANT:
        return list(tenants)
    cells = (cell for station in stations for cell in network.cells_by_station.get(station, ()))
    return sorted({name_at(level, network, cell.station, cell.id) for cell in cells})


def _range(asked: SeriesQuery, stations: int, now: datetime, shortest: int) -> tuple[datetime, datetime, int]:
    """Begin, end and length of periods. Raises InputError if there are too many."""
    quarter = datetime.fromtimestamp(now.timestamp() // QUARTER * QUARTER, UTC)
    end = min(asked.end or quarter, now)
    begin = asked.begin or end - timedelta(days=1)
    if begin >= end:
        raise InputError("the end has to be after the begin")
    span = (end - begin).total_seconds()
    if asked.step:
        seconds = _SECONDS[asked.step]
    else:
        there = (one for one in _SECONDS.values() if shortest <= one <= DAY)  # the current month has no row yet
        fits = (one for one in there if span / one <= _READABLE and stations * span / one <= _FEW)
        seconds = next(fits, DAY)
    if span / seconds > _POINTS or stations * span / seconds > _MOST:
        most = f"{_POINTS:,} in a series, and {_MOST:,} of all stations together"
        raise InputError(f"these are too many periods ({most}): ask for fewer stations, less time or a longer step")
    return begin, end, seconds
