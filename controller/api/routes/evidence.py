"""What others keep to verify Minka by: public keys, and signed heads of the log of the audit trail."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import PlainTextResponse

from controller.api.auth import Router, needs
from controller.api.services import Body, Listing, Paging, listing
from controller.api.views import CallerView
from controller.models.audit import PublishedHead
from controller.models.people import Permission, Person

router = Router(prefix="/v1/evidence", tags=["evidence"])


class Keys(Body):
    """Public keys as lines ``NAME+ID+KEY`` (C2SP signed-note), in the order of their first use."""

    keys: list[str]


@router.get("/keys")
def keys(seen: CallerView, _: Annotated[Person, needs(Permission.READ)]) -> Keys:
    """Public keys that verify statements and heads. Get them on a way of their own, and keep them."""
    return Keys(keys=[key.line for key in seen.public_keys()])


@router.get("/heads")
def heads(seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)]) -> Listing[PublishedHead]:
    """Published heads of the audit trail, newest first. Who keeps one can prove what later ones leave out."""
    total, found = seen.trail_heads(paging)
    return listing(total, found, paging)


@router.get("/extension", response_class=PlainTextResponse)
def extension(
    seen: CallerView,
    _: Annotated[Person, needs(Permission.READ)],
    since: Annotated[int, Query(ge=1, lt=10**18, description="Leaves of the log of a head that was kept.")],
) -> PlainTextResponse:
    """The newest head, with the proof that its log extends the kept one (RFC 9162; the body of C2SP tlog-witness)."""
    return PlainTextResponse(seen.trail_extension(since).text)
