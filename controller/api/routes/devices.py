"""Devices: what the record and the stations say; adopt, drift, live read, import."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from starlette.concurrency import run_in_threadpool

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, Services, listing
from controller.inventory.selectors import select
from controller.models.errors import NotFoundError
from controller.models.health import Health
from controller.models.network import Network
from controller.models.people import Permission, Person
from controller.models.plan import DiffRow
from controller.ports.store import Device, Store

router = Router(prefix="/v1/devices", tags=["devices"])


class DeviceView(Body):
    """A station on record with its latest health."""

    station: str
    site: str
    region: str
    profiles: tuple[str, ...]
    adopted: datetime | None
    applied: datetime | None
    network_digest: str
    health: Health | None


class Selection(Body):
    """Stations by selector."""

    selector: str = "*"


class Drift(Body):
    """What differs by station, an empty list where nothing does.

    ``unread`` are adopted stations that did not answer; ``not_adopted`` counts those with nothing to compare with.
    """

    stations: dict[str, tuple[DiffRow, ...]]
    unread: tuple[str, ...]
    not_adopted: int


class LiveConfig(Body):
    """A station's managed nodes and their state, read just now."""

    station: str
    tree: dict[str, dict[str, Any]]
    state: dict[str, dict[str, Any]]
    unknown: tuple[str, ...]


def _view(network: Network, station: str, record: Device | None, health: Health | None) -> DeviceView:
    known = network.station_by_id[station]
    return DeviceView(
        station=station,
        site=known.site,
        region=network.region_of(station),
        profiles=known.profiles,
        adopted=record.adopted if record else None,
        applied=record.applied if record else None,
        network_digest=record.network_digest if record else "",
        health=health,
    )


def _views(backend: Services, network: Network, stations: tuple[str, ...]) -> list[DeviceView]:
    records, healths = backend.store.devices(stations), backend.store.healths(stations)
    return [_view(network, name, records.get(name), healths.get(name)) for name in stations]


def _known(network: Network, station: str) -> str:
    if station not in network.station_by_id:
        raise NotFoundError(f"there is no station {station} in the network")
    return station


@router.get("")
def devices(
    backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.LOOK)], selector: str = "*"
) -> Listing[DeviceView]:
    """Stations by selector, by id, with record and health."""
    _digest, network = backend.store.network()
    chosen = select(network, selector)
    asked = chosen[paging.offset : paging.offset + paging.limit]
    return listing(len(chosen), _views(backend, network, asked), paging)


@router.post("/adopt")
async def adopt(asked: Selection, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> dict[str, str]:
    """Make stations ours; until then they are only observed. Changes nothing on them."""
    return await backend.planner.adopt(asked.selector, who.name)


@router.post("/drift")
async def drift(asked: Selection, backend: Backend, _: Annotated[Person, needs(Permission.PLAN)]) -> Drift:
    """What differs on adopted stations from what was last applied, read just now."""
    chosen, adopted = await run_in_threadpool(_adopted, backend.store, asked.selector)
    found = await backend.planner.drift(chosen)
    unread = tuple(station for station in adopted if station not in found)
    return Drift(stations=found, unread=unread, not_adopted=len(chosen) - len(adopted))


def _adopted(store: Store, selector: str) -> tuple[tuple[str, ...], list[str]]:
    """The selected stations, and those of them that are adopted."""
    chosen = select(store.network()[1], selector)
    records = store.devices(chosen)
    return chosen, [name for name in chosen if (record := records.get(name)) is not None and record.adopted is not None]


@router.get("/{station}")
def show(station: str, backend: Backend, _: Annotated[Person, needs(Permission.LOOK)]) -> DeviceView:
    """One station on record."""
    _digest, network = backend.store.network()
    return _views(backend, network, (_known(network, station),))[0]


@router.get("/{station}/config")
async def config(station: str, backend: Backend, _: Annotated[Person, needs(Permission.LOOK)]) -> LiveConfig:
    """One station's managed nodes and state, read just now."""
    _digest, network = backend.store.network()
    observed = await backend.planner.read(network, _known(network, station))
    return LiveConfig(
        station=station,
        tree={path: dict(leaves) for path, leaves in observed.tree.items()},
        state={path: dict(leaves) for path, leaves in observed.state.items()},
        unknown=observed.unknown,
    )
