"""Plans: make, list, show, compare."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from controller.api.auth import Caller
from controller.api.services import Backend, Body, Paging, listing
from controller.models.plan import Plan
from controller.plan import PlanDifference, compare
from controller.runs.planner import PlanRequest

router = APIRouter(prefix="/v1/plans", tags=["plans"])


class NewPlan(Body):
    """What to plan.

    ``remove`` names tenants and the number of nodes that may be removed; ``expect_stations`` names the
    number of stations touched, where that is more than the set share of the network.
    """

    selector: str = "*"
    remove: dict[str, int] = {}
    expect_stations: int | None = Field(default=None, ge=0)


class PlanSummary(Body):
    """A plan in a list."""

    id: str
    created: str
    network_digest: str
    selector: str
    stations: int
    unchanged: int
    unplanned: int
    findings: int


def _summary(plan: Plan) -> PlanSummary:
    return PlanSummary(
        id=plan.id,
        created=plan.created.isoformat(),
        network_digest=plan.network_digest,
        selector=plan.selector,
        stations=len(plan.changes),
        unchanged=len(plan.unchanged),
        unplanned=len(plan.unplanned),
        findings=len(plan.findings),
    )


@router.post("", status_code=201)
async def make(asked: NewPlan, backend: Backend, who: Caller) -> Plan:
    """Read the selected stations and plan what brings them to the current network files.

    Nothing is changed. An equal plan has an equal id, so asking twice is harmless.
    """
    request = PlanRequest(asked.selector, asked.remove, asked.expect_stations)
    return await backend.planner.plan(request, who)


@router.get("")
def plans(backend: Backend, paging: Paging, _: Caller) -> dict[str, Any]:
    """Plans, newest first."""
    total, found = backend.store.plans(paging)
    return listing(total, [_summary(plan) for plan in found], paging)


@router.get("/{plan_id}")
def show(plan_id: str, backend: Backend, _: Caller) -> Plan:
    """One plan, whole."""
    return backend.store.plan(plan_id)


@router.get("/{plan_id}/compare/{other_id}")
def difference(plan_id: str, other_id: str, backend: Backend, _: Caller) -> list[PlanDifference]:
    """How the other plan differs from this one, a line each; an empty list means not at all."""
    return list(compare(backend.store.plan(plan_id), backend.store.plan(other_id)))
