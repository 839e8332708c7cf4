"""Neighbours: sites so near that users move from one to the other, or hear both at once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property

from controller.models.network import Network

#: How far neighbours are from each other at most.
RADIUS_KM = 10.0
#: Sites of a carrier that are neighbours at most, the nearest first: three rings (6, 12, 18) of a hexagonal layout.
NEAREST = 36
_EARTH_KM = 6371.0

_Point = tuple[float, float, float]
Tile = tuple[int, int, int]


class Places:
    """Where sites are, and which are near each other; equal cost for each site, however large the network is."""

    def __init__(self, network: Network) -> None:
        self.points = {site.id: _point(site.latitude, site.longitude) for site in network.sites}
        self._around: dict[str, list[tuple[float, str]]] = {}

    @cached_property
    def _sites(self) -> Mapping[Tile, list[str]]:
        found: dict[Tile, list[str]] = defaultdict(list)
        for site in self.points:
            found[self.tile(site)].append(site)
        return found

    def around(self, site: str) -> list[tuple[float, str]]:
        """Sites up to ``RADIUS_KM`` away, with that distance, the nearest first; the site itself is among them."""
        found = self._around.get(site)
        if found is None:
            here = self.points[site]
            near = (other for tile in self.tiles_around(site, RADIUS_KM) for other in self._sites.get(tile, ()))
            apart = ((math.dist(here, self.points[other]), other) for other in near)
            found = self._around[site] = sorted(one for one in apart if one[0] <= RADIUS_KM)
        return found

    def tile(self, site: str) -> Tile:
        """The part of space, ``RADIUS_KM`` wide, that a site is in."""
        x, y, z = self.points[site]
        return int(x // RADIUS_KM), int(y // RADIUS_KM), int(z // RADIUS_KM)

    def tiles_around(self, site: str, km: float) -> Iterator[Tile]:
        """Tiles that hold all sites up to a distance, and some that are farther away."""
        reach = range(-math.ceil(km / RADIUS_KM), math.ceil(km / RADIUS_KM) + 1)
        x, y, z = self.tile(site)
        return ((x + dx, y + dy, z + dz) for dx in reach for dy in reach for dz in reach)


def _point(latitude: float, longitude: float) -> _Point:
    """A place in space, in km: straight distances, without poles or a date line to mind."""
    north, east = math.radians(latitude), math.radians(longitude)
    level = _EARTH_KM * math.cos(north)
    return level * math.cos(east), level * math.sin(east), _EARTH_KM * math.sin(north)
