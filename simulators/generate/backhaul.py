"""The backhaul tree: fibre to the regions, microwave chains beyond, satellites in the jungle."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from simulators.generate.layout import Area, Mast
from simulators.generate.places import Region, Zone

ROOT = "core-lima"
_TOWN = 20_000  # inhabitants from which fibre reaches the mast
_LIMA = (-12.0464, -77.0428)


@dataclass(frozen=True)
class BackhaulRow:
    """A row of backhaul.csv."""

    id: str
    kind: str
    parent: str
    capacity_mbps: int
    latitude: float | None = None
    longitude: float | None = None


def root() -> BackhaulRow:
    """The node in front of the tenants' cores."""
    return BackhaulRow(ROOT, "fibre", "", 800_000, *_LIMA)


def region_hub(region: Region, masts: Iterable[Mast]) -> BackhaulRow:
    """The fibre node of a region, at the mast of its largest town."""
    return BackhaulRow(f"fibre-{region.id}", "fibre", ROOT, 100_000, *_at(_largest(masts)))


def plan(area: Area) -> tuple[list[BackhaulRow], dict[str, str]]:
    """Nodes of a tracking area and the node each mast (by id) hangs on.

    Towns hang on fibre; other masts on a microwave chain of up to three hops, the farther
    from the middle the deeper; in the jungle small places have a satellite link, which can't
    carry what their radio could: what else there is carries the busy hour of all cells. Nodes on
    the ground stand at a mast: fibre at that of the largest town, microwave at the first of its hop.
    """
    fibre = BackhaulRow(f"fibre-{area.id}", "fibre", f"fibre-{area.region.id}", 10_000, *_at(_largest(area.masts)))
    satellite = BackhaulRow(f"satellite-{area.id}", "satellite", ROOT, 20)
    on: dict[str, str] = {}
    rest = []
    for mast in area.masts:
        if mast.place.population >= _TOWN:
            on[mast.id] = fibre.id
        elif area.region.zone is Zone.SELVA and mast.place.population < 2_000:
            on[mast.id] = satellite.id
        else:
            rest.append(mast)
    nodes = [node for node in (fibre, satellite) if node.id in on.values()]
    parent = fibre.id if fibre in nodes else f"fibre-{area.region.id}"
    for hop, group in enumerate(_hops(rest), 1):
        capacity = 10_000 // 2 ** (hop - 1)
        node = BackhaulRow(f"microwave-{area.id}-{hop}", "microwave", parent, capacity, *_at(group[0]))
        nodes.append(node)
        parent = node.id
        on.update((mast.id, node.id) for mast in group)
    return nodes, on


def _largest(masts: Iterable[Mast]) -> Mast:
    return min(masts, key=lambda mast: (-mast.place.population, mast.id))


def _at(mast: Mast) -> tuple[float, float]:
    return mast.latitude, mast.longitude


def _hops(masts: list[Mast]) -> list[list[Mast]]:
    """Masts in up to three groups, from the middle outwards."""
    if not masts:
        return []
    middle = (sum(m.latitude for m in masts) / len(masts), sum(m.longitude for m in masts) / len(masts))
    ordered = sorted(masts, key=lambda m: (math.dist(middle, (m.latitude, m.longitude)), m.id))
    size = math.ceil(len(ordered) / 3)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]
