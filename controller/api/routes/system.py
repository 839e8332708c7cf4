"""The system itself: probes, metrics, audit trail."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import Field
from starlette.exceptions import HTTPException

from controller import __version__
from controller.api.auth import OPEN, Router, needs
from controller.api.services import Backend, Body, Listing, Paging, listing
from controller.api.views import CallerView
from controller.models.audit import AuditAnchor, AuditBreak
from controller.models.metrics import Part
from controller.models.people import Permission, Person
from controller.models.process import Process, ProcessRole
from controller.models.run import AuditRow
from controller.models.scalars import Identifier, Moment
from controller.observe.exposition import OPENMETRICS, TEXT, ScrapeScope
from controller.store import AuditQuery

router = Router(tags=["system"])


#: The fastest level of gzip, which still makes a page ten times smaller.
_LEAST_EFFORT = 1
#: Anchors in one request.
_ANCHORS = 5000


class AuditProof(Body):
    """Whether the audit trail is whole; if not, the first row that was changed or removed, and the reason."""

    whole: bool
    first_broken: int | None
    reason: str = ""

    @classmethod
    def of(cls, broken: AuditBreak | None) -> AuditProof:
        """The proof that the store computed."""
        if broken is None:
            return cls(whole=True, first_broken=None)
        return cls(whole=False, first_broken=broken.number, reason=broken.reason)


class Anchors(Body):
    """Anchors of audit rows, from outside of the database."""

    anchors: tuple[AuditAnchor, ...] = Field(max_length=_ANCHORS)


@router.get("/healthz", dependencies=[OPEN])
def alive() -> dict[str, str]:
    """Whether the process answers; needs no token."""
    return {"status": "ok", "version": __version__}


class Readiness(Body):
    """The number of live and working processes of each role, and whether the record is in doubt."""

    status: Literal["ready"] = "ready"
    record: Literal["trusted", "in doubt"] = "trusted"
    processes: dict[ProcessRole, int]


@router.get("/readyz", dependencies=[OPEN])
def ready(backend: Backend, role: ProcessRole | None = None, instance: str = "") -> Readiness:
    """Whether the database can be written to; needs no token. 503 if not.

    With a role, also whether a process of that role is alive and working; with an instance, whether that one is.
    """
    backend.store.status.check_writable()
    processes = backend.store.processes.find()
    if role is not None:
        asked = [one for one in processes if one.role is role and instance in ("", one.instance)]
        if not any(one.ready for one in asked):
            raise HTTPException(503, _unready(role, instance, asked))
    counts = Counter(one.role for one in processes if one.ready)
    record: Literal["trusted", "in doubt"] = "in doubt" if backend.store.integrity.check().doubt else "trusted"
    return Readiness(record=record, processes={role: counts[role] for role in ProcessRole})


def _unready(role: ProcessRole, instance: str, asked: Sequence[Process]) -> str:
    late = sorted({one.late for one in asked if one.up})
    if late:
        return f"the {role} sends heartbeats, but its rounds fail: {', '.join(late)}"
    return f"no {role}{f' {instance}' if instance else ''} sends heartbeats"


@router.get("/metrics", response_class=Response)
def metrics(
    request: Request,
    seen: CallerView,
    _: Annotated[Person, needs(Permission.METRICS)],
    part: Annotated[tuple[Part, ...], Query(description="None given: all, or with a region the network.")] = (),
    region: Identifier | Literal[""] = "",
    tenant: Identifier | Literal[""] = "",
) -> Response:
    """All metrics for Prometheus, in its text format or OpenMetrics; a tenant gets its part. Contains no secrets."""
    openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
    page = seen.metrics(ScrapeScope(frozenset(part), region, tenant, openmetrics))
    headers = {"Vary": "Accept, Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        page = gzip.compress(page, _LEAST_EFFORT, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(page, headers=headers, media_type=OPENMETRICS if openmetrics else TEXT)


_Name = Annotated[str | None, Query(max_length=200, description="The whole name, or its beginning followed by *.")]


@router.get("/v1/audit")
def audit(
    seen: CallerView,
    paging: Paging,
    _: Annotated[Person, needs(Permission.READ)],
    actor: Annotated[str | None, Query(max_length=200)] = None,
    action: _Name = None,
    object: _Name = None,
    device: Annotated[str | None, Query(max_length=200, description="All that concerns this device.")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> Listing[AuditRow]:
    """The audit trail, newest first; filter by actor, action, object, device and time.

    Rows that concern a device are about the device itself, its cells, its runs and jobs, plans with a change of it,
    its alarms and their incidents, questions and notices about them, and holds and freezes of the device, its site,
    region and tenants. Tenants get those of their own rows and runs.
    """
    wanted = AuditQuery(actor=actor, action=action, object=object, device=device, since=since, until=until)
    total, found = seen.audit_rows(paging, wanted)
    return listing(total, found, paging)


@router.get("/v1/audit/verify")
def verify_audit(backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> AuditProof:
    """Recompute the hash chain over the whole audit trail, and compare it with all published heads."""
    return AuditProof.of(backend.store.audit.verify() or backend.store.trail.verify())


@router.post("/v1/audit/anchors")
def verify_anchors(asked: Anchors, backend: Backend, _: Annotated[Person, needs(Permission.OVERSEE)]) -> AuditProof:
    """Whether the audit trail holds anchored rows unchanged; anchors are kept outside of the database."""
    return AuditProof.of(backend.store.audit.verify_anchors(asked.anchors))
