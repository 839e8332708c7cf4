"""Plans: make (from network files, or to undo a run), list, show, compare."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from controller.access.disclosure import TenantPlan, TenantPlanHead
from controller.api.auth import Router, needs
from controller.api.progress import with_progress
from controller.api.services import Backend, Body, Listing, Paging, cut, listing
from controller.api.views import CallerView
from controller.models.people import Permission, Person
from controller.models.plan import Changes, Plan
from controller.plan import PlanDifference, compare, json_parts
from controller.runs.planning.planner import PlanRequest
from controller.runs.planning.undo import undo_plan
from controller.store import PlanHead

router = Router(prefix="/v1", tags=["plans"])


class NewPlan(Body):
    """What to plan.

    ``remove`` names tenants and the number of nodes that may be removed. ``expect_stations`` names the number of
    stations touched, if that is more than the configured share of the network. Identities on air change only with
    ``identities``: primary PLMNs of cells, which are locked for the change, and PLMNs of global node ids, which restart
    the station.
    """

    selector: str = "*"
    remove: dict[str, int] = {}
    expect_stations: int | None = Field(default=None, ge=0)
    identities: bool = False


def _plan_response(plan: Plan | TenantPlan, status: int = 200) -> Response:
    """Stream a plan from the store: a network-wide one is too big for memory."""
    if isinstance(plan, Plan):
        return StreamingResponse(json_parts(plan), status, media_type="application/json")
    return Response(plan.model_dump_json(), status, media_type="application/json")


@router.post("/plans", status_code=201, response_model=Plan)
async def make(
    asked: NewPlan, backend: Backend, who: Annotated[Person, needs(Permission.PLAN)], progress: bool = False
) -> Response:
    """Plan how to bring the selected devices to the current network files. Devices are read.

    Nothing is changed. An equal plan has an equal id, so asking twice is harmless. With ``progress`` the answer is a
    stream of server-sent events: ``progress`` as stations are read, and in the end ``plan``, or ``problem``.
    """
    request = PlanRequest(
        asked.selector, asked.remove, asked.expect_stations, identities=asked.identities, unlocks=True
    )
    if progress:
        return with_progress(lambda seen: backend.planner.plan(request, who.name, seen), "plan", json_parts)
    made = await backend.planner.plan(request, who.name)
    return _plan_response(made, 201)


class UndoRequest(Body):
    """The number of nodes by owner that the undo may remove, since the run had created them."""

    remove: dict[str, int] = {}


@router.post("/runs/{run_id}/undo", status_code=201, response_model=Plan)
async def undo(
    run_id: str,
    asked: UndoRequest,
    backend: Backend,
    who: Annotated[Person, needs(Permission.PLAN)],
    progress: bool = False,
) -> Response:
    """Plan how to undo an ended run, from its recorded inverses. Changes nothing until the plan is applied.

    Cells and entries that were changed since stay as they are: findings (`stays-as-it-is`) name them with the later run
    and what can be done, and `left` of a change lists the entries. Stations of which nothing goes back are left out.
    Tenants that come back where no agreement in force lets them in are named (`no-agreement`).
    With ``progress`` the answer is a stream of server-sent events, as of `POST /v1/plans`.
    """
    if progress:
        return with_progress(
            lambda seen: undo_plan(backend.planner, run_id, asked.remove, who.name, seen), "plan", json_parts
        )
    made = await undo_plan(backend.planner, run_id, asked.remove, who.name)
    return _plan_response(made, 201)


@router.get("/plans")
def plans(
    seen: CallerView, paging: Paging, _: Annotated[Person, needs(Permission.READ)]
) -> Listing[PlanHead | TenantPlanHead]:
    """Plans, newest first."""
    total, found = seen.plans(paging)
    return listing(total, found, paging)


@router.get("/plans/{plan_id}", response_model=Plan | TenantPlan)
def show(
    plan_id: str, seen: CallerView, _: Annotated[Person, needs(Permission.READ)], changes: bool = True
) -> Response:
    """One plan with all its changes, or without them."""
    plan = seen.plan(plan_id)
    none = Changes({}) if isinstance(plan, Plan) else ()
    return _plan_response(plan if changes else plan.model_copy(update={"changes": none}))


@router.get("/plans/{plan_id}/compare/{other_id}")
def difference(
    plan_id: str, other_id: str, backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.OVERSEE)]
) -> Listing[PlanDifference]:
    """Differences of the other plan from this one, one line each; empty if there are none."""
    return cut(list(compare(backend.store.plans.get(plan_id), backend.store.plans.get(other_id))), paging)
