"""Shipped actions that change a router."""

from __future__ import annotations

from pydantic import Field

from controller.models.errors import ConflictError
from controller.models.network import Noun
from controller.nrm.profiles import router_profile
from controller.plan import switch_router_change
from controller.playbook.registry import Context, Proposal, Touches, action


class RouterPath(Noun):
    """The way that a router's traffic takes."""

    standby: bool = Field(description="Whether it goes over the standby, or over the uplink.")


class SwitchedPath(Noun):
    """What was switched."""

    changed: bool = Field(description="Whether a route had to be switched.")
    routes: int = Field(description="Number of routes whose distance changed.")


@action("switch-router-path", Touches.CHANGES)
async def switch_router_path(context: Context, given: RouterPath) -> Proposal[SwitchedPath]:
    """Let the router's traffic go over its standby, or over its uplink again.

    All tenants' routes of ours go the other way, and the router's own default routes where the network files give
    both gateways. The latter could cut the way to the router, so a reload is timed there first, and cancelled only
    when the router was reached anew; a platform that can't time one refuses. What changed by this is nobody's drift.
    """
    if router_profile(context.profiles) is None:
        raise ConflictError(f"{context.station} is no router: choose one by router=…")
    change = switch_router_change(context.station, await context.read(), await context.ledger(), standby=given.standby)
    count = len(change.phases[0].edits) if change else 0
    return Proposal(change, SwitchedPath(changed=count > 0, routes=count))


ROUTING = (switch_router_path,)
