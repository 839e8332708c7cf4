"""Shipped actions that take stations out of service, and move a tenant to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from controller.models.errors import PlanRefusedError
from controller.models.many import first_names
from controller.models.network import Noun
from controller.models.outage import FOR_GOOD
from controller.models.sharing import ActionClass
from controller.nrm.profiles import links, root_spec
from controller.nrm.tree import Path
from controller.plan.maintenance import removal_plan, removed_nodes
from controller.plan.rows import entry_name
from controller.playbook.actions.configuration import ChangeOutput, NoInputs
from controller.playbook.language.registry import Context, DeviceAccess, Proposal, UnmetCondition, action


class NodeCount(Noun):
    """How many nodes are removed."""

    nodes: int = Field(
        ge=0, description="Exact number of our nodes there; the error for a wrong number names the right one."
    )


class RouterNodeCount(Noun):
    """How many nodes are removed from the site's router."""

    router_nodes: int = Field(ge=0, description="Exact number of our nodes there that only this station needs.")


class RouterNodes(RouterNodeCount):
    """What is removed from a router."""

    station: str = Field(description="The station of its site that went out of service.")


class Neighbours(Noun):
    """Where a tenant has to be served."""

    tenant: str = Field(description="The tenant.")
    within: Literal["region", "site"] = Field(
        default="region", description="Whose shared stations: those of the region or of the site."
    )


class Serving(Noun):
    """Stations that serve the tenant."""

    stations: tuple[str, ...] = Field(description="Shared stations that carry its core links.")


@action("check-nodes", DeviceAccess.READS)
async def check_nodes(context: Context, given: NodeCount) -> NoInputs | UnmetCondition:
    """Fail unless exactly this number of our nodes is on the station. Use it before all of them are removed.

    A station that is out of service has none.
    """
    there = await _there(context) if await context.in_service() else _There()
    return NoInputs() if len(there.go) == given.nodes else UnmetCondition(there.not_so_many(context, given.nodes))


@action("remove-nodes", DeviceAccess.CHANGES, consent=ActionClass.REDUCE, outage=FOR_GOOD)
async def remove_nodes(context: Context, given: NodeCount) -> Proposal[ChangeOutput]:
    """Remove all our nodes from the station, after locking cells; other nodes stay.

    Nothing disappears by itself: you name the number of nodes, and it must be right.
    """
    made = removal_plan(context.station, context.profiles, await context.read(), await context.ledger())
    if made.reason:
        raise PlanRefusedError(f"{context.station}: {made.reason}")
    there = await _there(context)
    if len(there.go) != given.nodes:
        raise PlanRefusedError(there.not_so_many(context, given.nodes))
    return Proposal(made.change, ChangeOutput(changed=made.change is not None))


@dataclass(frozen=True, slots=True)
class _There:
    """Nodes of ours on a device when all of them are to go.

    Attributes:
        go: Those that are removed; people name their number.
        stay: Those that stay because of nodes that are not ours.
        unseen: Those on record that the device does not show.
    """

    go: frozenset[Path] = frozenset()
    stay: tuple[Path, ...] = ()
    unseen: tuple[Path, ...] = ()

    def not_so_many(self, context: Context, named: int) -> str:
        """Why another number is not right, with what stays, in words."""
        stays = f"; because of nodes that are not ours stays {self.staying(context)}" if self.stay else ""
        return _not_so_many(f"{context.station}{stays}", len(self.go), named)

    def staying(self, context: Context) -> str:
        """Entries that stay, in words."""
        root = root_spec(context.profiles)
        return first_names([entry_name(root, path) for path in self.stay])


async def _there(context: Context) -> _There:
    ledger, observed = await context.ledger(), await context.read()
    go = removed_nodes(context.station, context.profiles, observed, ledger)
    stay = tuple(sorted((ledger.keys() & observed.tree.keys()) - go))
    return _There(go, stay, tuple(sorted(ledger.keys() - observed.tree.keys())))


def _not_so_many(device: str, found: int, named: int, name: str = "nodes") -> str:
    return f"{found} nodes of ours can go from {device}, but {named} were named: name {name}={found}"


@action("check-router-nodes", DeviceAccess.NONE)
async def check_router_nodes(context: Context, given: RouterNodeCount) -> NoInputs | UnmetCondition:
    """Fail unless exactly this number of our nodes on the site's router is needed only by this station.

    Use it before the station goes; `remove-router-nodes` removes them then. Without an adopted router there are none.
    """
    behind = await context.left_behind(context.station)
    found = sum(map(len, behind.values()))
    wrong = _not_so_many(" and ".join(behind) or "a router", found, given.router_nodes, "router_nodes")
    return NoInputs() if found == given.router_nodes else UnmetCondition(wrong)


@action("remove-router-nodes", DeviceAccess.CHANGES, consent=None)
async def remove_router_nodes(context: Context, given: RouterNodes) -> Proposal[ChangeOutput]:
    """Remove from a router the VRFs, VLANs and routes of tenants that nobody needs without a station that is gone.

    Nothing that another station of the site carries, or is to carry, is touched. Who agreed to the removal of a
    tenant's nodes from the station agreed to this; where it failed, it can be done later, as the station stays gone.
    """
    behind = (await context.left_behind(given.station)).get(context.station, {})
    if len(behind) != given.router_nodes:
        raise PlanRefusedError(_not_so_many(context.station, len(behind), given.router_nodes, "router_nodes"))
    made = removal_plan(context.station, context.profiles, await context.read(), behind)
    if made.reason:
        raise PlanRefusedError(f"{context.station}: {made.reason}")
    return Proposal(made.change, ChangeOutput(changed=made.change is not None))


@action("retire-station", DeviceAccess.READS)
async def retire_station(context: Context, _: NoInputs) -> NoInputs | UnmetCondition:
    """Take the station out of service: plans, health reads and repairs leave it alone until it is adopted again.

    Fails while nodes of ours are on it that can go. What stays because nodes that are not ours stand in it leaves the
    ledger, and is on the audit trail. A station that is out of service stays so.
    """
    if not await context.in_service():
        return NoInputs()
    there = await _there(context) if await context.ledger() else _There()
    if left := {*there.go, *there.unseen}:
        return UnmetCondition(f"{len(left)} nodes of ours are still there or on record, as {min(left)}")
    await context.retire(there.stay)
    return NoInputs()


@action("check-tenant-served", DeviceAccess.NONE)
async def check_tenant_served(context: Context, given: Neighbours) -> Serving | UnmetCondition:
    """Fail unless all shared stations of the region (or site) that the tenant's agreements reach carry its core links.

    So customers can move before the tenant's own station is shut down. A dry run only lists the stations.
    """
    ledgers = await context.neighbours(given.tenant, given.within)
    without = [
        station
        for station, ledger in ledgers.items()
        if not any(given.tenant in ledger[link.path].owners for link in links({path: {} for path in ledger}))
    ]
    if not ledgers:
        return UnmetCondition(f"no shared station of this {given.within} is reached by an agreement of {given.tenant}")
    if without and not context.dry_run:
        return UnmetCondition(f"{given.tenant} is not served yet by {', '.join(without)}")
    return Serving(stations=tuple(station for station in ledgers if station not in without))


RETIREMENT = (
    check_nodes,
    remove_nodes,
    check_router_nodes,
    remove_router_nodes,
    retire_station,
    check_tenant_served,
)
