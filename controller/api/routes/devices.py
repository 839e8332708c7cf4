"""Devices: list them, adopt them, find drift, read one now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import orjson
from fastapi import Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from controller.access.disclosure import TenantStation
from controller.api.auth import Router, needs
from controller.api.progress import with_progress
from controller.api.services import Backend, Body, Listing, Paging, listing
from controller.api.sse import EventStream
from controller.api.views import CallerView, DeviceView, LiveConfig
from controller.inventory.selectors import select, select_with_ways
from controller.inventory.source import unknown
from controller.models.enums import AdoptionCode
from controller.models.errors import NotFoundError
from controller.models.network import Network
from controller.models.people import Permission, Person
from controller.models.plan import DiffRow
from controller.models.run import RunState
from controller.nrm.tree import LONGEST_KEY
from controller.runs.planning.adoption import AdoptionOutcome
from controller.store import EndedJob, OpenJob, Store

router = Router(prefix="/v1/devices", tags=["devices"])


class Selection(Body):
    """Stations by selector."""

    selector: str = "*"


#: Id of a managed element as a reading shows it: a longer one is cut there.
_ElementId = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY + 1)]


class Adoption(Selection):
    """Stations to adopt.

    ``beside`` names ids of managed elements that may stand beside the own one of a selected station: the person knows
    whose they are. A station that carries one which nobody named is not adopted.
    """

    beside: Annotated[tuple[_ElementId, ...], Field(max_length=100)] = ()


class Adopted(Body):
    """Outcome of adopting one device: ``code`` decides, ``words`` say the same for people."""

    code: AdoptionCode
    words: str


class HoldingRun(Body):
    """A run that has not ended on a station, or ended there while it was read.

    ``state`` is the run's; ``waits`` is what its job waits for there, empty while a worker works on it.
    """

    run: str
    procedure: str
    requested_by: str
    state: RunState
    waits: str = ""


class Drift(Body):
    """Differences by station; an empty list where there are none.

    ``unread`` says of adopted stations that could not be read why; ``not_adopted`` counts those without a ledger to
    compare with. ``runs`` says of stations that differ which run held them while they were read: until it ends, what
    differs may be its own unfinished change.
    """

    stations: dict[str, tuple[DiffRow, ...]]
    unread: dict[str, str]
    not_adopted: int
    runs: dict[str, HoldingRun] = {}


def _known(network: Network, station: str) -> str:
    if not network.manages(station):
        raise NotFoundError(unknown("station", station, network.device_kinds, "in the network"))
    return station


@router.get("")
def devices(
    seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)], selector: str = "*"
) -> Listing[DeviceView | TenantStation]:
    """Stations by selector (other devices with the keys ``router``, ``function``, ``pool``), by id, with health."""
    _digest, network = seen.listed()
    chosen = select(network, selector)
    asked = chosen[paging.offset : paging.offset + paging.limit]
    return listing(len(chosen), seen.stations(asked), paging)


@router.post("/adopt", response_model=dict[str, Adopted])
async def adopt(
    asked: Adoption,
    backend: Backend,
    who: Annotated[Person, needs(Permission.RUN)],
    progress: bool = False,
) -> dict[str, Adopted] | EventStream:
    """Adopt stations; until then Minka only observes them. Changes nothing on them.

    With ``progress`` the answer is a stream of server-sent events: ``progress`` as stations are read, and in the end
    ``adopted``, or ``problem``.
    """
    if progress:
        return with_progress(
            lambda seen: backend.planner.adopt(asked.selector, who.name, seen, beside=asked.beside),
            "adopted",
            lambda made: (orjson.dumps({name: one.model_dump() for name, one in _outcomes(made).items()}), b"\n"),
        )
    return _outcomes(await backend.planner.adopt(asked.selector, who.name, beside=asked.beside))


def _outcomes(made: Mapping[str, AdoptionOutcome]) -> dict[str, Adopted]:
    return {device: Adopted(code=one.code, words=one.words) for device, one in made.items()}


@router.post("/drift")
async def drift(asked: Selection, backend: Backend, _: Annotated[Person, needs(Permission.PLAN)]) -> Drift:
    """Differences of adopted stations from what was last applied, read now."""
    chosen, adopted = await run_in_threadpool(_adopted, backend.store, asked.selector)
    began = backend.planner.clock.now()
    found, unread = await backend.planner.compared(adopted)
    differing = [station for station, rows in found.items() if rows]
    runs = await run_in_threadpool(_holding, backend.store, differing, began)
    return Drift(stations=found, unread=unread, not_adopted=len(chosen) - len(adopted), runs=runs)


def _holding(store: Store, stations: Sequence[str], since: datetime) -> dict[str, HoldingRun]:
    """Runs that hold stations, or held them at some time since, by station."""
    if not stations:
        return {}
    found: dict[str, HoldingRun] = {}
    held: list[EndedJob | OpenJob] = [*store.runs.ended_jobs(stations, since), *store.claims.open_jobs(stations)]
    for job in held:
        if isinstance(job, EndedJob) and job.finished < since:
            continue
        run = store.runs.get(job.run)
        found[job.station] = HoldingRun(
            run=run.id,
            procedure=run.procedure,
            requested_by=run.requested_by,
            state=run.state,
            waits=job.waits if isinstance(job, OpenJob) else "",
        )
    return found


def _adopted(store: Store, selector: str) -> tuple[tuple[str, ...], list[str]]:
    """The selected stations, and those of them that are adopted."""
    chosen = select_with_ways(store.networks.get()[1], selector)
    records = store.devices.find(chosen)
    return chosen, [name for name in chosen if (record := records.get(name)) is not None and record.adopted is not None]


@router.get("/{station}")
def show(station: str, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]) -> DeviceView | TenantStation:
    """One station on record."""
    return seen.station(_known(seen.listed()[1], station))


@router.get("/{station}/config")
async def config(
    station: str, request: Request, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]
) -> LiveConfig:
    """One station's managed nodes and their state, read now.

    A tenant gets its own nodes as on record, without state, where no agreement of its own is in force on the day.
    """
    known = await run_in_threadpool(lambda: _known(seen.network()[1], station))
    found = await seen.config(known, request.state.turn.left)
    # A large one would delay all other callers, if the loop made its JSON.
    content = await run_in_threadpool(found.model_dump_json)
    return Response(content, media_type="application/json")  # type: ignore[return-value]
