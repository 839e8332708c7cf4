"""Works: work that tenants announce on their own cores, whose alarms are neither repaired nor escalated."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, listing
from controller.api.views import CallerView
from controller.inventory.source import unknown
from controller.models.announced_work import AnnouncedWork
from controller.models.errors import ConflictError, InputError
from controller.models.people import Permission, Person
from controller.models.scalars import Moment

router = Router(prefix="/v1/works", tags=["works"])

#: Work that nobody ends must not hide faults for ever.
LONGEST = timedelta(days=7)


class NewWork(Body):
    """Core nodes of the work (by default all), its beginning (by default now), its end, and why."""

    nodes: tuple[str, ...] = Field(
        default=(), max_length=1000, description="Ids of the tenant's own MMEs, S-GWs, AMFs and UPFs; by default all."
    )
    begins: Moment | None = Field(None, description="Not in the past; by default now.")
    ends: Moment = Field(description=f"At most {LONGEST.days} days after the beginning.")
    reason: str = Field(min_length=1, max_length=2000)


@router.get("")
def works(seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)]) -> Listing[AnnouncedWork]:
    """All announced work, newest first; a tenant sees its own."""
    total, found = seen.works(paging)
    return listing(total, found, paging)


@router.post("", status_code=201)
def announce(asked: NewWork, backend: Backend, who: Annotated[Person, needs(Permission.ANNOUNCE)]) -> AnnouncedWork:
    """Announce work on the caller's own core: until it ends, alarms of these nodes are neither repaired nor escalated.

    Only a tenant's own people can do this, since meanwhile the host owes the tenant no service over these nodes.
    """
    if not who.tenant:
        raise ConflictError(
            "only a tenant's own people can announce work on its core, since the host owes no service there meanwhile"
        )
    now = backend.clock.now()
    begins = asked.begins or now
    if begins < now:
        raise ConflictError("begins: is in the past; leave it out to begin now")
    if not timedelta() < asked.ends - begins <= LONGEST:
        raise ConflictError(f"ends: has to be after begins, and within {LONGEST.days} days; announce the rest again")
    network = backend.store.networks.get()[1]
    tenant = network.tenant_by_id.get(who.tenant)
    own = {} if tenant is None else tenant.link_by_node
    for node in asked.nodes:
        if node not in own:
            raise InputError(f"nodes: {unknown('node of your core', node, own)}")
    nodes = {node: own[node] for node in asked.nodes}
    return backend.store.works.announce(who.tenant, nodes, begins, asked.ends, who.name, asked.reason)


@router.delete("/{work_id}", status_code=204)
def cancel(work_id: str, backend: Backend, who: Annotated[Person, needs(Permission.ANNOUNCE)]) -> None:
    """End the caller's own work now, or cancel it before it begins."""
    backend.store.works.cancel(work_id, who.tenant, who.name)
