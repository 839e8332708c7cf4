"""Holds: a person's stop on a station, cell or site."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, cut
from controller.inventory.source import unknown
from controller.models.errors import ConflictError, NotFoundError
from controller.models.network import Network
from controller.models.people import Permission, Person
from controller.models.run import Hold, place_of
from controller.models.scalars import Moment
from controller.runs.approval.clearance import reassess

router = Router(prefix="/v1/holds", tags=["holds"])


class NewHold(Body):
    """What to hold, why, and until when (none: until lifted)."""

    target: str = Field(description="Station id, station/cell, or site:<id>.")
    reason: str = Field(min_length=1)
    until: Moment | None = None


def _check_target(network: Network, target: str) -> None:
    """Raise NotFoundError unless the target is in the network."""
    site, station, cell = place_of(target)
    if site:
        known = site in network.site_by_id
    elif "/" in target:
        known = any(one.id == cell for one in network.cells_by_station.get(station, ()))
    else:
        known = network.manages(station)
    if not known:
        places = (*network.device_kinds, *(f"site:{site}" for site in network.site_by_id))
        cells = (f"{station}/{one.id}" for one in network.cells_by_station.get(station, ()))
        raise NotFoundError(f"{unknown('place', target, (*places, *cells))} (a station, station/cell or site:<id>)")


@router.get("")
def holds(backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Listing[Hold]:
    """Holds in force."""
    return cut(backend.store.holds.find(backend.clock.now()), paging)


@router.post("", status_code=201)
def put(asked: NewHold, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]) -> Hold:
    """Put a hold: nothing begins there, whoever asks for it. What was sent finishes, and plans leave the target out."""
    if asked.until is not None and asked.until <= backend.clock.now():
        raise ConflictError("until: the hold would end in the past")
    _check_target(backend.store.networks.get()[1], asked.target)
    hold = backend.store.holds.add(asked.target, who.name, asked.reason, asked.until)
    reassess(backend.store, backend.clock, backend.wakeups)
    return hold


@router.delete("/{hold_id}", status_code=204)
def lift(hold_id: str, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]) -> None:
    """Lift a hold."""
    backend.store.holds.end(hold_id, who.name)
    reassess(backend.store, backend.clock, backend.wakeups)
