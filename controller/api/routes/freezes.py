"""Freezes: times in which nothing may start, in the whole network, for a tenant, in a region or at a site."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, cut
from controller.inventory.source import unknown
from controller.models.approval import Freeze
from controller.models.errors import ConflictError, NotFoundError
from controller.models.network import Network
from controller.models.people import Permission, Person
from controller.runs.approval.clearance import reassess

router = Router(prefix="/v1/freezes", tags=["freezes"])


class NewFreeze(Body):
    """What to freeze, from when (none: now) until when, and why."""

    target: str = Field(description="network, tenant:<id>, region:<id> or site:<id>.")
    begins: AwareDatetime | None = None
    ends: AwareDatetime
    reason: str = Field(min_length=1, max_length=2000)


def check_target(network: Network, target: str) -> None:
    """Raise NotFoundError unless the target is in the network."""
    kind, _, name = target.partition(":")
    known = {
        "network": {""},
        "tenant": set(network.tenant_by_id),
        "region": {region.id for region in network.regions},
        "site": set(network.site_by_id),
    }
    if name not in known.get(kind, ()):
        targets = ("network", *(f"{kind}:{name}" for kind, names in known.items() for name in names if name))
        raise NotFoundError(
            f"{unknown('target', target, targets)} (network, tenant:<id>, region:<id> or site:<id> of the network)"
        )


@router.get("")
def freezes(backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Listing[Freeze]:
    """Freezes in force or to come, by begin."""
    return cut(backend.store.freezes.find(backend.clock.now()), paging)


@router.post("", status_code=201)
def put(asked: NewFreeze, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]) -> Freeze:
    """Put a freeze: jobs on its stations that have not begun wait for its end."""
    now = backend.clock.now()
    begins = asked.begins or now
    if asked.ends <= max(begins, now):
        raise ConflictError("the freeze would end before it begins, or has ended already")
    check_target(backend.store.networks.get()[1], asked.target)
    freeze = backend.store.freezes.add(asked.target, begins, asked.ends, who.name, asked.reason)
    reassess(backend.store, backend.clock, backend.wakeups)
    return freeze


@router.delete("/{freeze_id}", status_code=204)
def lift(freeze_id: str, backend: Backend, who: Annotated[Person, needs(Permission.OVERRIDE)]) -> None:
    """Lift a freeze."""
    backend.store.freezes.end(freeze_id, who.name)
    reassess(backend.store, backend.clock, backend.wakeups)
