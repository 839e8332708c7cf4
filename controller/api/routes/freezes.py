"""Freezes: times in which nothing may start, in the whole network, for a tenant, in a region or at a site.

A public warning (TS 23.041) is a set of freezes, one for each place of its area, that stop only work that interrupts
service: while it runs, no work takes cells of its area off the air.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Path
from pydantic import Field

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, cut
from controller.inventory.source import unknown
from controller.models.approval import Freeze
from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.network import Network
from controller.models.people import Permission, Person
from controller.models.scalars import Moment
from controller.runs.approval.clearance import reassess

router = Router(prefix="/v1", tags=["freezes"])

#: A warning that nobody ends must not block work for ever.
_LONGEST = timedelta(days=7)
#: Id that the source gives to a warning.
WarningId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class NewFreeze(Body):
    """What to freeze, from when (none: now) until when, and why."""

    target: str = Field(description="network, tenant:<id>, region:<id> or site:<id>.")
    begins: Moment | None = None
    ends: Moment
    reason: str = Field(min_length=1, max_length=2000)


def _check_target(network: Network, target: str) -> None:
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


@router.get("/freezes")
def freezes(backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]) -> Listing[Freeze]:
    """Freezes in force or to come, by their beginning."""
    return cut(backend.store.freezes.find(backend.clock.now()), paging)


@router.post("/freezes", status_code=201)
def put(asked: NewFreeze, backend: Backend, who: Annotated[Person, needs(Permission.STOP)]) -> Freeze:
    """Put a freeze: jobs on its stations that have not begun wait for its end."""
    now = backend.clock.now()
    begins = asked.begins or now
    if asked.ends <= max(begins, now):
        raise ConflictError("the freeze would end before it begins, or has ended already")
    _check_target(backend.store.networks.get()[1], asked.target)
    freeze = backend.store.freezes.add(asked.target, begins, asked.ends, who.name, asked.reason)
    reassess(backend.store, backend.clock, backend.wakeups)
    return freeze


@router.delete("/freezes/{freeze_id}", status_code=204)
def lift(freeze_id: str, backend: Backend, who: Annotated[Person, needs(Permission.OVERRIDE)]) -> None:
    """Lift a freeze."""
    backend.store.freezes.end(freeze_id, who.name)
    reassess(backend.store, backend.clock, backend.wakeups)


class PublicWarning(Body):
    """A public warning: its area, its end, and its text."""

    area: tuple[str, ...] = Field(min_length=1, max_length=1000, description="Each network, region:<id> or site:<id>.")
    ends: Moment = Field(description=f"At most {_LONGEST.days} days ahead; a longer one is sent again.")
    text: str = Field(min_length=1, max_length=2000)


@router.put("/warnings/{warning}", status_code=200)
def warn(
    warning: WarningId, asked: PublicWarning, backend: Backend, who: Annotated[Person, needs(Permission.WARN)]
) -> Listing[Freeze]:
    """Announce a public warning, or change it: while it runs, no work in its area interrupts service.

    A source may repeat it, which changes nothing.
    """
    now = backend.clock.now()
    if not now < asked.ends <= now + _LONGEST:
        raise ConflictError(f"ends: has to be after now, and within {_LONGEST.days} days; then send the warning again")
    network = backend.store.networks.get()[1]
    for target in asked.area:
        if target.startswith("tenant:"):
            raise InputError(f"area: {target} is not a place: use network, region:<id> or site:<id>")
        _check_target(network, target)
    area = tuple(dict.fromkeys(asked.area))
    put = backend.store.freezes.warn(warning, area, now, asked.ends, who.name, asked.text)
    reassess(backend.store, backend.clock, backend.wakeups)
    return Listing(count=len(put), next=None, results=put)


@router.delete("/warnings/{warning}", status_code=204)
def end_warning(warning: WarningId, backend: Backend, who: Annotated[Person, needs(Permission.WARN)]) -> None:
    """End a public warning."""
    backend.store.freezes.end_warning(warning, who.name)
    reassess(backend.store, backend.clock, backend.wakeups)
