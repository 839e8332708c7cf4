"""How far pools are from what they serve: which of them may run a function, by delay alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from controller.models.cloud import Function, FunctionKind, Latency, Pool


@dataclass(frozen=True, eq=False)
class Delays:
    """Delays between pools and sites, one way, and the pools that they leave for a function.

    Attributes:
        pools: All pools.
        latencies: Measured delays, as the network files list them.
        functions: All functions.
        kinds: Kind of each function, by id; None where its package is not known.
        site_of: Site of each station, by id.
        served: Sorted ids of the stations that a function serves, by function.
    """

    pools: tuple[Pool, ...]
    latencies: tuple[Latency, ...]
    functions: tuple[Function, ...]
    kinds: Mapping[str, FunctionKind | None]
    site_of: Mapping[str, str]
    served: Mapping[str, tuple[str, ...]]

    @cached_property
    def latency_us(self) -> dict[str, dict[str, int]]:
        """Microseconds from pools to a site, one way, by site and pool; 0 for a pool at the site that is not listed."""
        found: dict[str, dict[str, int]] = {}
        for pool in self.pools:
            if pool.site is not None:
                found.setdefault(pool.site, {})[pool.id] = 0
        for one in self.latencies:
            found.setdefault(one.site, {})[one.pool] = one.microseconds
        return found

    @cached_property
    def between_us(self) -> dict[str, dict[str, int]]:
        """One-way delay between pools in microseconds, by pool and pool, if one reaches the site of the other.

        If both reach the other's site, the longer delay counts.
        """
        found: dict[str, dict[str, int]] = {pool.id: {} for pool in self.pools}
        for pool in self.pools:
            for other, us in self.latency_us.get(pool.site or "", {}).items():
                longest = max(us, found[pool.id].get(other, 0))
                found[pool.id][other] = found.setdefault(other, {})[pool.id] = longest
        return {pool: ways | {pool: 0} for pool, ways in found.items()}

    @cached_property
    def du_pools(self) -> dict[str, tuple[str, ...]]:
        """Ids of the pools where a station's vdu or vbbu may run by place, by station; empty for most."""
        found: dict[str, tuple[str, ...]] = {}
        for function in self.functions:
            kind = self.kinds[function.id]
            if kind is not None and kind.is_endpoint:
                near = function.near(self._ways_to_all(function.id))
                pools = near if function.pool is None else (function.pool,)
                found |= dict.fromkeys(self.served[function.id], pools)
        return found

    def ways_us(self, function: str, station: str) -> dict[str, int]:
        """One-way delay from pools to a station of a function in microseconds, by pool, without pools out of reach.

        The delay is that to the station's site. For a vcu-cp or vcu-up it is the longest one to the pools where the
        station's DU may run (F1), so that it holds wherever the DU goes. If neither of two pools reaches the other's
        site, the path over the station's site counts.
        """
        to_site = self.latency_us.get(self.site_of[station], {})
        kind = self.kinds.get(function)
        ends = self.du_pools.get(station, ()) if kind is not None and kind.is_central else ()
        if not ends:
            return to_site
        ways = [
            ({pool: us + to_site[end] for pool, us in to_site.items()} if end in to_site else {})
            | self.between_us.get(end, {})
            for end in ends
        ]
        return {pool: max(one[pool] for one in ways) for pool in set(ways[0]).intersection(*ways[1:])}

    def _ways_to_all(self, function: str) -> dict[str, tuple[int, ...]]:
        ways = [self.ways_us(function, station) for station in self.served[function]]
        reached = set(ways[0]).intersection(*ways[1:]) if ways else ()
        return {pool: tuple(one[pool] for one in ways) for pool in reached}

    @cached_property
    def ways_to_all(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """The part of ``ways_us`` for pools that reach all stations of a function, by function and pool."""
        return {one.id: self._ways_to_all(one.id) for one in self.functions}

    @cached_property
    def pools_for(self) -> dict[str, tuple[str, ...]]:
        """Sorted ids of the pools where a function may run by place alone, by function.

        This is the pool that it is pinned to; otherwise all whose delay to each of its stations (``ways_us``) is short
        enough. ``controller.intent.placement`` decides whether there is room.
        """
        pinned = {one.id: one.pool for one in self.functions}
        return {one: (pool,) if pool is not None else self._pools_near[one] for one, pool in pinned.items()}

    @cached_property
    def pools_asked(self) -> dict[str, tuple[str, ...]]:
        """Sorted ids of the pools where a function may be found, by function: it may be pinned to another one now.

        A function that no station names any more may be on any pool.
        """
        anywhere = tuple(sorted(pool.id for pool in self.pools))
        return {
            one: tuple(sorted({*near, *self.pools_for[one]})) if self.served[one] else anywhere
            for one, near in self._pools_near.items()
        }

    @cached_property
    def _pools_near(self) -> dict[str, tuple[str, ...]]:
        return {one.id: one.near(self.ways_to_all[one.id]) for one in self.functions}
