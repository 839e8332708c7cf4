"""Shipped actions that change a router."""

from __future__ import annotations

from pydantic import Field

from controller.models.health import ServiceState
from controller.models.network import HOST, DeviceKind, Noun
from controller.models.plan import WaitFor
from controller.plan import switch_router_change
from controller.playbook.language.registry import Context, DeviceAccess, Proposal, ServiceLoss, action


class RouterPath(Noun):
    """The way that a router's traffic takes."""

    standby: bool = Field(description="True for the standby, false for the uplink.")


class SwitchedPath(Noun):
    """What was switched."""

    changed: bool = Field(description="Whether a route had to be switched.")
    routes: int = Field(description="Number of routes whose distance changed.")
    links: int = Field(description="Number of core links that have to be up on the new way; where it is 0, any one.")


async def _links_behind(context: Context, _: RouterPath) -> ServiceLoss:
    """Core links of tenants with routes there; a tenant whose links are all down loses nothing."""
    tenants = {owner for entry in (await context.ledger()).values() for owner in entry.owners} - {HOST}
    links = await context.links_behind()
    found = ServiceLoss()
    for tenant in tenants:
        theirs = {f"{link.station}{link.path}": link.state for link in links if tenant in link.owners}
        cut = bool(theirs) and set(theirs.values()) == {ServiceState.DOWN}
        pairs = frozenset((name, tenant) for name in theirs or [""])
        found |= ServiceLoss(idle=pairs) if cut else ServiceLoss(serving=pairs)
    return found


@action("switch-router-path", DeviceAccess.CHANGES, devices=DeviceKind.ROUTER, takes=_links_behind)
async def switch_router_path(context: Context, given: RouterPath) -> Proposal[SwitchedPath]:
    """Send the router's traffic over its standby, or over its uplink again.

    All tenants' routes of ours go the other way, and the router's own default routes where the network files give
    both gateways. The latter could cut the way to the router, so a reload is timed there first, and cancelled only
    when the router was reached again; a platform that can't time one refuses. What changed by this is nobody's drift.

    Core links of the site's stations that were up must be so on the new way, for a while and within
    `strategy.check_timeout`; where none was, one has to come up. Only then the reload is cancelled and the change
    saved. Else it is taken back.
    """
    change = switch_router_change(context.station, await context.read(), await context.ledger(), standby=given.standby)
    if change is None:
        return Proposal(None, SwitchedPath(changed=False, routes=0, links=0))
    links = await context.links_behind()
    # Links that are down now are excused now, but not if this is taken back some day.
    checks = [
        WaitFor(kind="link-up", path=f"{link.station}{link.path}", tenant=", ".join(link.owners)) for link in links
    ]
    if links:
        # A path without any working link is no better than the old one, which people will be repairing.
        checks.append(WaitFor(kind="any-link-up", path=""))
    said = SwitchedPath(changed=True, routes=len(change.phases[0].edits), links=sum(link.up for link in links))
    return Proposal(change.model_copy(update={"checks": tuple(checks)}), said)


ROUTERS = (switch_router_path,)
