"""Order of routers, functions and central units relative to their stations in plans; switching a router's path.

For a new tenant, the path must exist before a station's links need it; for a leaving one, the links go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controller.models.errors import ConflictError, NotFoundError, PlanRefusedError
from controller.models.facts import HOST_OWNED, Owners
from controller.models.network import HOST, Network
from controller.models.outage import Outage
from controller.models.plan import Change, Edit, LedgerNode, Op, Phase, PhaseKind, WaitFor
from controller.nrm.fingerprint import fingerprint
from controller.nrm.inverse import invert
from controller.nrm.profiles import links
from controller.nrm.profiles.router import PREFERRED, ROUTER, WAITING
from controller.nrm.schema import LeafRole, NodeRole, spec_of
from controller.nrm.tree import Observed, Path, Tree, parent, step
from controller.plan.document import Outline
from controller.plan.rows import entry_name, row

_DISTANCE = next(leaf for node in ROUTER.walk() if (leaf := node.leaf(LeafRole.DISTANCE)))
#: Seconds until core links have found the other path.
_SWITCH_SECONDS = 10


def ranks_of(changes: Iterable[Change], network: Network) -> dict[str, int]:
    """Order of devices within their units; absent ones have 0.

    A router, function or central unit that gets something goes before the stations behind it; one that only loses
    something goes behind them.
    """
    outlines = [Outline.of(change) for change in changes if is_way(network, change.station)]
    goes = [one.station for one in outlines if one.deletes and not one.creates]
    ranks = ranks_behind(network, (one.station for one in outlines if one.station not in goes))
    for device in sorted(goes, key=lambda one: one not in network.central_units):
        ranks[device] = 1 + max(ranks.get(one, 0) for one in (*network.stations_behind(device), device))
    return ranks


def is_way(network: Network, device: str) -> bool:
    """Whether stations depend on a device: a router, a function, or the endpoint of a central unit."""
    return network.kind_of(device).rules.is_way or device in network.central_units


def ranks_behind(network: Network, devices: Iterable[str]) -> dict[str, int]:
    """Order of stations after devices that go first: a function before a central unit, that before its stations."""
    ranks: dict[str, int] = {}
    for device in devices:
        unit = device in network.central_units
        for station in network.stations_behind(device):
            if station != device:
                ranks[station] = max(ranks.get(station, 0), 2 if unit else 1)
    return ranks


def nodes_behind(
    network: Network, device: str, ledgers: Mapping[str, Mapping[Path, LedgerNode]]
) -> Iterator[LedgerNode]:
    """Nodes of ours on a device, and on the stations that a function serves, whose tenants depend on it.

    A tenant's own function serves that tenant only.
    """
    yield from ledgers.get(device, {}).values()
    function = network.function_by_id.get(device)
    for station in network.stations_behind(device) if function is not None else ():
        for node in ledgers.get(station, {}).values():
            if function is not None and function.owner in (None, *node.owners):
                yield node


def check_routers(changes: Iterable[Outline], network: Network) -> None:
    """Check that no router has to go both before and after its stations.

    Raises:
        PlanRefusedError: A tenant comes and another one goes at one router.
    """
    for change in changes:
        if change.deletes and change.creates and network.kind_of(change.station).rules.carries_links:
            raise PlanRefusedError(
                f"router {change.station}: the plan removes nodes of {', '.join(change.removes)} and brings others: "
                "stations go first for the one and last for the other; apply one after the other: first without naming "
                "what is removed, which then stays, and then again with it"
            )


def link_owners(ledger: Mapping[Path, LedgerNode]) -> frozenset[str]:
    """Tenants with core links of ours on a station."""
    found = links({path: {} for path in ledger})
    return frozenset(owner for link in found for owner in ledger[link.path].owners)


def watched(change: Change, network: Network, ledgers: Mapping[str, Mapping[Path, LedgerNode]]) -> Change:
    """A router's change that takes something away, with all our core links behind it as checks.

    Whoever names what is to go from a router need not know who still needs it: links that are up must stay so.
    """
    if not network.kind_of(change.station).rules.carries_links or not Outline.of(change).deletes:
        return change
    behind = tuple(
        WaitFor(kind="link-up", path=f"{station}{link.path}", tenant=", ".join(ledgers[station][link.path].owners))
        for station in network.stations_behind(change.station)
        for link in links({path: {} for path in ledgers.get(station, {})})
    )
    return change.model_copy(update={"checks": (*change.checks, *behind)})


def switch_router_change(
    router: str, observed: Observed, ledger: Mapping[Path, LedgerNode], *, standby: bool
) -> Change | None:
    """Move all our routes to the standby, or back to the uplink; None if they are there already.

    Of the two routes to a network the one counts whose distance is the smaller; the two distances are set. The
    router's own default routes are among them where the network files give both gateways: such a change could cut
    the way to the router, so that it needs a timed revert.

    Args:
        router: Its id.
        observed: What it says of itself.
        ledger: Nodes that are ours there; other routes are not touched.
        standby: Whether to go over the standby.

    Raises:
        NotFoundError: None of our ways has two routes.
        ConflictError: A route of ours is not there: the router has drifted.
    """
    pairs = _pairs(ledger)
    if not pairs:
        raise NotFoundError(f"{router} has no standby port: add one in the network files")
    edits = []
    owners = {path: node.owners for path, node in ledger.items()}
    for uplink, spare in sorted(pairs):
        for path, counts in ((spare, standby), (uplink, not standby)):
            if path not in observed.tree:
                raise ConflictError(f"{router} lacks {entry_name(ROUTER, path)}: repair its drift first")
            edits += _set(observed.tree, path, PREFERRED if counts else WAITING, owners[path])
    if not edits:
        return None
    phase = Phase(kind=PhaseKind.EDIT, edits=tuple(edits), inverse=invert(ROUTER, observed.tree, edits, owners))
    tenants = {owner for edit in edits for owner in edit.owners} - {HOST}
    return Change(
        station=router,
        phases=(phase,),
        diff=tuple(
            row(edit.path, edit.owners, f"{entry_name(ROUTER, edit.path)}: distance", *_texts(edit)) for edit in edits
        ),
        touched=tuple(sorted(tenants)),
        outage=Outage.timed(_SWITCH_SECONDS),
        fingerprint=fingerprint(ROUTER, observed.tree, [path for pair in pairs for path in pair]),
        reverts=observed.reverts(1),
    )


def _pairs(ledger: Mapping[Path, LedgerNode]) -> list[tuple[Path, Path]]:
    """Our pairs of routes to the same network from the same table, over the uplink and over the standby."""
    ways: dict[tuple[Path, str], list[Path]] = {}
    for path in ledger:
        spec = spec_of(ROUTER, path)
        if spec is not None and spec.role is NodeRole.ROUTE:
            ways.setdefault((parent(path), step(path)[1][0]), []).append(path)
    by_distance = (sorted(found, key=lambda path: _start(ledger[path])) for found in ways.values())
    return [(ways[0], ways[1]) for ways in by_distance if len(ways) == 2]


def _start(route: LedgerNode) -> int:
    """The distance with which a route was made."""
    return int(str(route.leaves.get(_DISTANCE, PREFERRED)))


def _set(tree: Tree, path: Path, distance: str, owners: Owners) -> list[Edit]:
    there = str(tree[path].get(_DISTANCE, PREFERRED))
    if there == distance:
        return []
    before = {_DISTANCE: there}
    return [Edit(op=Op.MERGE, path=path, before=before, after={_DISTANCE: distance}, owners=owners or HOST_OWNED)]


def _texts(edit: Edit) -> tuple[str, str]:
    return str(edit.before[_DISTANCE]), str(edit.after[_DISTANCE])
