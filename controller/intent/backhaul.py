"""Backhaul: links that can't carry the radio behind them, and what shares of such radio mean.

A node's load is the busy-hour traffic of the cells at its sites, plus the loads of the nodes below it. Each of these
passes on no more than its own capacity, so a link that is too small is found once, and not again at each node above it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from controller.intent.findings import Check, finding
from controller.intent.sharing import Placed
from controller.inventory.radio import BANDS
from controller.models.facts import Finding
from controller.models.many import first_names
from controller.models.network import BackhaulKind, Cell, Network, Rat

#: Downlink Mbit/s per MHz that a cell carries in its busy hour, mean over its users: LTE with two antennas (TR 36.814
#: table 10.2.1-1), rural NR (ITU-R M.2410 §4.5).
_MBPS_PER_MHZ = {Rat.LTE: 1.7, Rat.NR: 3.3}
#: Part of the time in which a TDD cell transmits downlink.
_TDD_DOWN = 0.75
#: Links that a finding names.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Overload:
    """A link with more radio behind it than it can carry; ``tenants`` have guaranteed shares there.

    ``stations`` are next to it, ``behind`` are all whose traffic it carries.
    """

    node: str
    mbps: float
    stations: frozenset[str]
    behind: frozenset[str]
    tenants: frozenset[str]


def backhaul_findings(network: Network, placed: Iterable[Placed]) -> Iterator[tuple[Finding, frozenset[str]]]:
    """One finding for all links of a kind and capacity that can't carry the radio behind them, with the stations."""
    behind: dict[str, list[Placed]] = defaultdict(list)
    for one in placed:
        if (node := _node_of(network, one[0])) is not None:
            behind[node].append(one)
    groups: dict[tuple[BackhaulKind, int], list[_Overload]] = defaultdict(list)
    kinds = {node.id: (node.kind, node.capacity_mbps) for node in network.backhaul}
    for overload in _overloads(network, behind):
        groups[kinds[overload.node]].append(overload)
    for (kind, capacity), overloads in sorted(groups.items()):
        stations = frozenset[str]().union(*(one.behind for one in overloads))
        yield finding(Check.BACKHAUL_CAPACITY, _text(kind, capacity, overloads)), stations


def busy_hour_mbps(cell: Cell) -> float:
    """Downlink traffic of a cell in its busy hour, in Mbit/s."""
    band = BANDS.get(cell.band)
    return cell.bandwidth_mhz * _MBPS_PER_MHZ[cell.rat] * (_TDD_DOWN if band is not None and band.tdd else 1.0)


def _node_of(network: Network, cell: Cell) -> str | None:
    station = network.station_by_id.get(cell.station)
    site = None if station is None else network.site_by_id.get(station.site)
    return None if site is None else site.backhaul


def _overloads(network: Network, behind: Mapping[str, list[Placed]]) -> Iterator[_Overload]:
    """Links whose load is above their capacity, farthest from the core first."""
    load: dict[str, float] = defaultdict(float)
    carried: dict[str, set[str]] = defaultdict(set)
    for node in _from_the_edge(network):
        cells = behind.get(node, ())
        load[node] += sum(busy_hour_mbps(cell) for cell, _, _ in cells)
        carried[node].update(cell.station for cell, _, _ in cells)
        capacity, parent = network.backhaul_by_id[node].capacity_mbps, network.backhaul_by_id[node].parent
        if load[node] > capacity:
            stations = frozenset(cell.station for cell, _, _ in cells)
            portions = (p for _, shared, _ in cells for p in (*shared.portions, *shared.user_plane))
            tenants = {p.tenant for p in portions if p.share.min or p.share.dedicated}
            yield _Overload(node, load[node], stations, frozenset(carried[node]), frozenset(tenants))
        if parent is not None:
            load[parent] += min(load[node], capacity)
            carried[parent] |= carried[node]


def _from_the_edge(network: Network) -> list[str]:
    """Nodes of the backhaul, each before its parent; without circles, which the loader refuses."""
    below: dict[str | None, list[str]] = defaultdict(list)
    for node in network.backhaul:
        below[node.parent if node.parent in network.backhaul_by_id else None].append(node.id)
    found: list[str] = []
    waiting = sorted(below[None])
    while waiting:
        found.append(waiting.pop())
        waiting += sorted(below[found[-1]])
    return found[::-1]


def _text(kind: BackhaulKind, capacity: int, overloads: list[_Overload]) -> str:
    overloads = sorted(overloads, key=lambda one: (-one.mbps, one.node))
    worst = overloads[0]
    stations = {station for one in overloads for station in one.stations}
    named = first_names([one.node for one in overloads])
    tenants = sorted({tenant for one in overloads for tenant in one.tenants})
    fills = max(round(100 * capacity / one.mbps) for one in overloads)
    links, them = ("link", "it") if len(overloads) == 1 else ("links", "them")
    text = (
        f"{len(overloads)} {kind} {links} of {capacity} Mbit/s ({named}) can't carry the radio behind {them} "
        f"({len(stations)} stations next to {them}): {worst.mbps:.0f} Mbit/s in the busy hour at {worst.node}"
    )
    if tenants:
        text += (
            f"; at most {fills} % of that radio is ever filled, so that the link decides who gets what, and guaranteed "
            f"shares (dedicated, min) of {', '.join(tenants)} guarantee nothing there"
        )
    return text
