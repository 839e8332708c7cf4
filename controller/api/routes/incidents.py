"""Incidents: list by rank, show, follow, acknowledge, take and hand back."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import Depends, Query, Request, Response

from controller.access.disclosure import TenantIncident, TenantIncidentStory
from controller.access.report import markdown
from controller.api.auth import Router, needs, while_admitted
from controller.api.reports import TenantIncidentReport
from controller.api.services import Backend, Listing, Paging, listing
from controller.api.sse import EventStream, event, follow
from controller.api.views import CallerView, IncidentReport, IncidentStory, IncidentView, View
from controller.models.dispatch import DispatchPack
from controller.models.incident import Incident, IncidentFilter, IncidentState
from controller.models.people import Permission, Person
from controller.models.scalars import Moment
from controller.remediation.dispatch import dispatch_pack
from controller.store import Page, Store

router = Router(prefix="/v1/incidents", tags=["incidents"])

#: Most incidents to send to a follower: the first ones.
_FOLLOWED = Page(limit=1000)
_Words = Annotated[list[str] | None, Query(max_length=100)]


async def asked_for(  # one for each query parameter
    state: Annotated[list[IncidentState] | None, Query()] = None,
    station: _Words = None,
    tenant: _Words = None,
    cause: _Words = None,
    since: Annotated[Moment | None, Query(description="Only incidents that changed since this time.")] = None,
    owner: Annotated[str, Query(description="Only incidents that this person has taken.", max_length=200)] = "",
) -> IncidentFilter:
    """A filter of incidents; each parameter may be repeated. Without a state it selects open ones."""
    return IncidentFilter(
        states=tuple(state or (IncidentState.OPEN,)),
        stations=tuple(station or ()),
        tenants=tuple(tenant or ()),
        causes=tuple(cause or ()),
        since=since,
        owner=owner,
    )


@router.get("")
def incidents(
    seen: CallerView,
    paging: Paging,
    _: Annotated[Person, needs(Permission.READ)],
    like: Annotated[IncidentFilter, Depends(asked_for)],
) -> Listing[IncidentView | TenantIncident]:
    """Incidents: open ones by rank, others newest first. For a tenant all are newest first."""
    total, found = seen.incidents(paging, like)
    return listing(total, found, paging)


@router.get("/events", status_code=200, response_class=EventStream)
async def events(request: Request, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]) -> EventStream:
    """Server-sent events: each open incident as it is now, then each change of one, its end included."""
    return EventStream(
        while_admitted(request, follow(seen, "incidents", partial(_events, seen), request.state.turn.another))
    )


def _events(seen: View) -> dict[str, str]:
    """Events of the first incidents as they are now, by id, the oldest first."""
    every = IncidentFilter(states=(IncidentState.OPEN, IncidentState.CLOSED))
    return {one.id: event("incident", one) for one in reversed(seen.incidents(_FOLLOWED, every)[1])}


@router.get("/{incident_id}")
def show(
    incident_id: str, seen: CallerView, _: Annotated[Person, needs(Permission.READ)]
) -> IncidentStory | TenantIncidentStory:
    """One incident: its alarms, the path from its root to affected cells, minutes lost by each tenant, and repairs."""
    return seen.incident(incident_id)


@router.get("/{incident_id}/report", responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}})
def report(
    incident_id: str,
    seen: CallerView,
    _: Annotated[Person, needs(Permission.READ)],
    format: Annotated[Literal["json", "md"], Query(description="JSON, or Markdown for people.")] = "json",  # its name
) -> IncidentReport | TenantIncidentReport:
    """The report of an incident: root and why, decisions, repairs with evidence, minutes lost, comments."""
    found = seen.report(incident_id)
    if format == "md":
        text = markdown(found.model_dump(mode="json"))
        return Response(text, media_type="text/markdown; charset=utf-8")  # type: ignore[return-value]
    return found


@router.get("/{incident_id}/dispatch")
def dispatch(incident_id: str, backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> DispatchPack:
    """What a person sent to the site of an incident's root has to know."""
    root = backend.store.incidents.get(incident_id).root
    return backend.store.transaction(dispatch_pack, root, backend.clock.now())


@router.post("/{incident_id}/acknowledge")
def acknowledge(incident_id: str, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> Incident:
    """Acknowledge an incident, and the calls about it. The first acknowledgement stays on record."""

    def acknowledged(store: Store) -> Incident:
        store.calls.acknowledge_incident(incident_id, who.name)
        return store.incidents.acknowledge(incident_id, who.name)

    return backend.store.transaction(acknowledged)


@router.post("/{incident_id}/take")
def take(incident_id: str, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> Incident:
    """Take an incident: from now on the caller is its owner, and nobody else is called about it."""

    def taken(store: Store) -> Incident:
        store.calls.acknowledge_incident(incident_id, who.name)
        return store.incidents.take(incident_id, who.name)

    return backend.store.transaction(taken)


@router.post("/{incident_id}/hand-back")
def hand_back(incident_id: str, backend: Backend, who: Annotated[Person, needs(Permission.RUN)]) -> Incident:
    """Hand an incident back: it has no owner any more."""
    return backend.store.incidents.hand_back(incident_id, who.name)
