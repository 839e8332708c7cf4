"""Comments of people on alarms and incidents."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from controller.api.auth import Router, needs
from controller.api.services import Backend, Body, Listing, Paging, Services, cut
from controller.api.views import CallerView
from controller.inventory.source import show
from controller.models.alarm import Comment
from controller.models.errors import InputError
from controller.models.people import Permission, Person

router = Router(prefix="/v1", tags=["comments"])


class NewComment(Body):
    """A comment on an alarm or incident; the host may address it to tenants that it concerns."""

    text: str = Field(min_length=1, max_length=4000)
    to: tuple[str, ...] = Field(
        default=(), max_length=100, description="Tenants that may read it; by default only the host."
    )


@router.get("/alarms/{alarm_id}/comments")
def comments(
    alarm_id: str, seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)]
) -> Listing[Comment]:
    """Comments on an alarm, oldest first; a tenant sees its own, and those that the host addresses to it."""
    return cut(seen.comments(alarm_id), paging)


@router.post("/alarms/{alarm_id}/comments", status_code=201)
def comment_on_alarm(
    alarm_id: str,
    asked: NewComment,
    seen: CallerView,
    backend: Backend,
    who: Annotated[Person, needs(Permission.COMMENT)],
) -> Comment:
    """Comment on an alarm. Only the host reads what a tenant's people write."""
    seen.alarm(alarm_id)
    return _add(backend, alarm_id, () if who.tenant else backend.store.alarms.get(alarm_id).tenants, asked, who)


@router.post("/incidents/{incident_id}/comments", status_code=201)
def comment_on_incident(
    incident_id: str,
    asked: NewComment,
    seen: CallerView,
    backend: Backend,
    who: Annotated[Person, needs(Permission.COMMENT)],
) -> Comment:
    """Comment on an incident. Only the host reads what a tenant's people write."""
    seen.incident(incident_id)
    concerned = () if who.tenant else backend.store.incidents.get(incident_id).tenants
    return _add(backend, incident_id, concerned, asked, who)


def _add(backend: Services, about: str, concerned: Collection[str], asked: NewComment, who: Person) -> Comment:
    """Put a comment on an alarm or incident on record."""
    for tenant in asked.to:
        if tenant not in concerned:
            whom = f"those whom it concerns: {', '.join(sorted(concerned))}" if concerned else "no tenant"
            raise InputError(f"to: it does not concern {show(tenant)}; say it to {whom}")
    return backend.store.comments.add(about, who.name, who.side, asked.text, asked.to)
