"""The system itself: probes, metrics, audit trail."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST

from controller import __version__
from controller.api.auth import OPEN, Router, needs
from controller.api.services import Backend, Body, Listing, Paging, listing
from controller.api.views import Seen
from controller.models.people import Permission, Person
from controller.models.run import AuditRow

router = Router(tags=["system"])


class AuditProof(Body):
    """Whether the audit trail is whole; if not, the first row that was changed, removed or cut off."""

    whole: bool
    first_broken: int | None


@router.get("/healthz", dependencies=[OPEN])
def alive() -> dict[str, str]:
    """Whether the process answers; needs no token."""
    return {"status": "ok", "version": __version__}


@router.get("/readyz", dependencies=[OPEN])
def ready(backend: Backend) -> dict[str, str]:
    """Whether the database can be written to; needs no token. 503 if not."""
    backend.store.check_writable()
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
def metrics(backend: Backend, _: Annotated[Person, needs(Permission.METRICS)]) -> Response:
    """Prometheus exposition of controller and network, all tenants in one; holds no secrets."""
    return Response(backend.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/audit")
def audit(seen: Seen, paging: Paging, _: Annotated[Person, needs(Permission.LOOK)]) -> Listing[AuditRow]:
    """The audit trail, newest first."""
    total, found = seen.audit_rows(paging)
    return listing(total, found, paging)


@router.get("/v1/audit/verify")
def verify_audit(backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> AuditProof:
    """Recompute the hash chain over the whole audit trail."""
    broken = backend.store.verify_audit()
    return AuditProof(whole=broken is None, first_broken=broken)
