"""Performance data on record: where it came from, what is missing, what its silence can tell, unknown counters."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query
from pydantic import AwareDatetime

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, cut, listing
from controller.assurance.collection import expected_end, seconds_of
from controller.inventory.selectors import select
from controller.inventory.source import unknown
from controller.models.collection import Collection
from controller.models.errors import NotFoundError
from controller.models.measurement import DAY, QUARTER, Measured
from controller.models.people import Permission, Person
from controller.performance.rollups import span_of
from controller.performance.silence import HISTORY, USES, Silence, silences
from controller.performance.vocabulary import ALIASES, COUNTERS, Aggregation
from controller.store import CollectedFile, UnknownCounter

router = Router(prefix="/v1/measurements", tags=["measurements"])

#: Most files of a station to show, newest first.
_FILES = 100


class CounterView(Body):
    """A counter of the vocabulary.

    Attributes:
        over_time: How the values of periods are combined for a longer time.
        over_cells: How the values of cells are combined for a station.
        aliases: Names that vendors use for it.
    """

    name: str
    unit: str
    over_time: Aggregation
    over_cells: Aggregation
    source: str
    aliases: list[str]


class MissingSpan(Body):
    """A time without a whole period on record."""

    begin: AwareDatetime
    end: AwareDatetime
    seconds: float


class StationMeasurements(Body):
    """Performance data of a station: what came, and what is missing.

    Attributes:
        collection: State of the collection; null if it is not collected.
        begin: Beginning of the requested time; ``end`` is its end.
        files: The newest files that were accepted or refused; ``error`` says why one was refused.
    """

    station: str
    collection: Collection | None
    begin: AwareDatetime
    end: AwareDatetime
    missing: list[MissingSpan]
    files: list[CollectedFile]


@router.get("/stations")
def stations(
    backend: Backend,
    paging: Paging,
    _: Annotated[Person, needs(Permission.OVERSEE)],
    selector: Annotated[str, Query(description="Only these stations.", max_length=2000)] = "*",
    incomplete: Annotated[
        bool, Query(description="Only stations with missing periods or a failed collection.")
    ] = False,
) -> Listing[Collection]:
    """Collection of performance data by station: the newest period, what is missing of the last day, and why."""
    network = backend.store.networks.get()[1]
    found = backend.store.collections.find(select(network, selector))
    chosen = (found[name] for name in sorted(found))
    return cut([one for one in chosen if not incomplete or one.missing or one.reason], paging)


@router.get("/stations/{station}")
def station(
    station: str,
    backend: Backend,
    _: Annotated[Person, needs(Permission.OVERSEE)],
    days: Annotated[int, Query(ge=1, le=35, description="How long back from now.")] = 1,
) -> StationMeasurements:
    """Which files of a station were accepted or refused, and which times are missing since its collection began."""
    network = backend.store.networks.get()[1]
    if not network.manages(station):
        raise NotFoundError(unknown("station", station, network.station_by_id))
    collection = backend.store.collections.find([station]).get(station)
    end = expected_end(backend.clock.now(), seconds_of(network) or QUARTER)
    begin = end - timedelta(days=days)
    since = end if collection is None else min(end, max(begin, collection.since))
    gaps = backend.store.measurements.gaps(since, end, [station])
    return StationMeasurements(
        station=station,
        collection=collection,
        begin=begin,
        end=end,
        missing=[
            MissingSpan(begin=gap.begin, end=gap.end, seconds=(gap.end - gap.begin).total_seconds()) for gap in gaps
        ],
        files=backend.store.collected_files.newest(station, _FILES),
    )


@router.get("/silences")
def silences_judged(
    backend: Backend,
    paging: Paging,
    _: Annotated[Person, needs(Permission.OVERSEE)],
    selector: Annotated[str, Query(description="Only cells of these stations.", max_length=2000)] = "*",
) -> Listing[Silence]:
    """How long nobody has to use each cell until that is an alarm `sleeping-cell`, or why no silence can be judged."""
    network = backend.store.networks.get()[1]
    chosen = select(network, selector)
    cells = sorted(cell.name for station in chosen for cell in network.cells_by_station.get(station, ()))
    shown = cells[paging.offset : paging.offset + paging.limit]
    today, _end = span_of(backend.clock.now(), DAY, ZoneInfo(network.header.timezone))
    days: defaultdict[int, list[Measured]] = defaultdict(list)
    stations = {name.partition("/")[0] for name in shown}
    for one in backend.store.measurements.read(today - timedelta(days=HISTORY), today, DAY, stations, USES):
        days[round((today - one.begin) / timedelta(days=1))].append(one)
    return listing(len(cells), list(silences(days, shown)), paging)


@router.get("/counters")
def counters(paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Listing[CounterView]:
    """The vocabulary: counters on record, with unit, source, and how they add up."""
    shown = COUNTERS[paging.offset : paging.offset + paging.limit]
    return listing(
        len(COUNTERS),
        [
            CounterView(
                name=one.name,
                unit=one.unit,
                over_time=one.over_time,
                over_cells=one.over_cells,
                source=one.source,
                aliases=[alias for alias, name in ALIASES.items() if name == one.name],
            )
            for one in shown
        ],
        paging,
    )


@router.get("/unknown-counters")
def unknown_counters(
    backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]
) -> Listing[UnknownCounter]:
    """Counters of stations that are not in the vocabulary: their values are counted, but not kept."""
    return cut(backend.store.collected_files.unknown(), paging)
