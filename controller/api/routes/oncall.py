"""On call: who is called about escalations, the calls, and acknowledging and handing them over."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query
from pydantic import Field

from controller.api.auth import Router, needs
from controller.api.on_call import SideOnCall
from controller.api.services import Backend, Body, Listing, Paging, cut, listing
from controller.api.views import CallerView
from controller.inventory.source import unknown
from controller.models.errors import ConflictError, InputError, NotFoundError
from controller.models.on_call import Call, HandOver
from controller.models.people import Permission, Person
from controller.models.scalars import Identifier, Moment

router = Router(prefix="/v1/oncall", tags=["oncall"])

#: A hand-over that nobody ends must not last for ever.
LONGEST = timedelta(days=31)


class NewHandOver(Body):
    """The contact that hands over, the one that gets its calls, until when, and why; both are of the caller's side."""

    contact: Identifier
    to: Identifier
    until: Moment = Field(description=f"At most {LONGEST.days} days ahead.")
    reason: str = Field(min_length=1, max_length=2000)


@router.get("")
def show(
    seen: CallerView,
    paging: Paging,
    _: Annotated[Person, needs(Permission.READ)],
    at: Annotated[Moment | None, Query(description="Time; by default now.")] = None,
) -> Listing[SideOnCall]:
    """Who is on call at a time, by side; a tenant sees its own. Sides without a schedule are not there."""
    return cut(seen.on_call(at or seen.clock.now()), paging)


@router.get("/calls")
def calls(
    seen: CallerView,
    paging: Paging,
    _: Annotated[Person, needs(Permission.READ)],
    unacknowledged: Annotated[
        bool,
        Query(description="Only the last call of each escalation that nobody acknowledged, while its alarm stands."),
    ] = False,
) -> Listing[Call]:
    """Calls about escalations, newest first, for the host unacknowledged ones by gravity; a tenant sees its own."""
    total, found = seen.calls(paging, unacknowledged=unacknowledged)
    return listing(total, found, paging)


@router.post("/calls/{about}/acknowledge")
def acknowledge(about: str, backend: Backend, who: Annotated[Person, needs(Permission.ON_CALL)]) -> Listing[Call]:
    """Acknowledge all calls of the caller's side about an alarm, or all that a message (``m-…``) told of.

    Nobody else of that side is called for them. What the message did not tell is not acknowledged: no other alarm, and
    no graver escalation of one that it tells of. The first acknowledgement stays on record.
    """
    found = backend.store.calls.acknowledge(about, who.side, who.name)
    if not found:
        raise NotFoundError(f"nobody of {who.side} was called for alarm {about}, nor by a message of that id")
    return Listing(count=len(found), next=None, results=found)


@router.post("/hand-overs", status_code=201)
def hand_over(asked: NewHandOver, backend: Backend, who: Annotated[Person, needs(Permission.ON_CALL)]) -> HandOver:
    """Let another contact of the caller's side get the calls for one, until a time.

    It replaces an earlier hand-over of that contact. Wherever the schedule names who hands over, the other is called.
    """
    now = backend.clock.now()
    if not timedelta() < asked.until - now <= LONGEST:
        raise ConflictError(f"until: has to be after now, and within {LONGEST.days} days; hand over again then")
    known = {one.id for one in backend.store.networks.get()[1].contacts_of(who.side)}
    for field, contact in (("contact", asked.contact), ("to", asked.to)):
        if contact not in known:
            raise InputError(f"{field}: {unknown(f'contact of {who.side}', contact, known)}")
    if asked.contact == asked.to:
        raise InputError(f"to: {asked.to} would hand over to itself; to end a hand-over: minka oncall end")
    return backend.store.calls.hand_over(
        who.side, asked.contact, asked.to, asked.until, by=who.name, reason=asked.reason
    )


@router.delete("/hand-overs/{hand_over_id}", status_code=204)
def end(hand_over_id: str, backend: Backend, who: Annotated[Person, needs(Permission.ON_CALL)]) -> None:
    """End a hand-over of the caller's side now."""
    backend.store.calls.end_hand_over(hand_over_id, who.side, by=who.name)
