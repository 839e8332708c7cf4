"""How placement grows, and how far from the best it can be: python -m tests.benchmarks placement.

The sites of the sample network peru with 290 edge pools and 10 regional ones, a DU for each station, 50 CU-CPs and 50
CU-UPs, of which the tenants own half; and parts of that. Pools have between 80 and 130 % of what is nearest to them, so
that many functions have to go elsewhere; then, in a crowded network, between 60 and 110 %, so that some find no place.
Prints seconds of CPU and the gap between what was found and a lower bound.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from datetime import date
from hashlib import sha256
from math import asin, ceil, cos, radians, sin, sqrt
from pathlib import Path
from typing import Any

from controller.intent.placement import lower_bound, place, worst_losses
from controller.inventory.load import load_network
from controller.models.network import Network, Site

NETWORK = Path(__file__).parents[2] / "deploy" / "networks" / "peru"
DAY = date(2026, 6, 15)
SEED = 14
#: Microseconds for each kilometre as the crow flies: 5 in fibre (ITU-T G.652 glass), and fibre makes detours.
_US_PER_KM = 5 * 1.4


def _km(one: Site, other: Site) -> float:
    lat, other_lat = radians(one.latitude), radians(other.latitude)
    across = radians(one.longitude - other.longitude)
    half = sin((lat - other_lat) / 2) ** 2 + cos(lat) * cos(other_lat) * sin(across / 2) ** 2
    return 12742 * asin(sqrt(half))


#: What pools have, of what is nearest to them.
ENOUGH, CROWDED = (0.8, 1.3), (0.6, 1.1)


def virtual(
    network: Network, edges: int, regional: int, cus: int, has: tuple[float, float] = ENOUGH, seed: int = SEED
) -> Network:
    """A network with its stations virtual, each with a DU of its own and a CU of its part of the country."""
    draw = random.Random(seed)
    sites = {station.site: network.site_by_id[station.site] for station in network.stations}
    ordered = sorted(sites.values(), key=lambda site: (site.region, site.id))
    at = {f"edge-{n}": ordered[n * len(ordered) // edges] for n in range(edges)}
    at |= {f"regional-{n}": ordered[n * len(ordered) // regional] for n in range(regional)}
    reach: dict[str, list[tuple[int, str]]] = {}
    for site in sites.values():
        ways = sorted((10 + round(_km(site, there) * _US_PER_KM), pool) for pool, there in at.items())
        edge = [way for way in ways if way[1].startswith("edge")][:4]
        reach[site.id] = [*edge, *(way for way in ways if way[1].startswith("regional"))]
    nearest: dict[str, int] = defaultdict(int)
    for station in network.stations:
        nearest[reach[station.site][0][1]] += 8
    sizes = {station.id: draw.choice((4, 8, 12)) for station in network.stations}
    tenants = [tenant.id for tenant in network.tenants]
    stations, functions = [], []
    for number, station in enumerate(sorted(network.stations, key=lambda one: (one.site, one.id))):
        cu = number * (cus // 2) // len(network.stations)
        limit = max(100, reach[station.site][2][0])
        functions.append({"id": f"DU-{number}", "package": f"du-{sizes[station.id]}", "max_latency_us": limit})
        stations.append(station.model_copy(update={"functions": (f"DU-{number}", f"CP-{cu}", f"UP-{cu}")}))
    for number in range(cus // 2):
        owner = tenants[number % len(tenants)] if number % 2 else None
        functions.append({"id": f"CP-{number}", "package": "cp", "max_latency_us": 20000, "replicas": 2})
        functions.append({"id": f"UP-{number}", "package": "up", "max_latency_us": 20000, "owner": owner})
    nodes = [
        {"pool": pool, "id": f"n{n}", "cpus": 32, "memory_gb": 128, "accelerators": 4, "hugepages_gb": 64, "ptp": True}
        for pool in at
        for n in range(1 + max(1, ceil(nearest[pool] * draw.uniform(*has) / 32)) if pool.startswith("edge") else 12)
    ]
    agreements = [_buying(one, functions) for one in network.agreements]
    content: dict[str, Any] = network.model_dump(include={"header", "regions", "sites", "tenants", "backhaul"})
    content |= {
        "stations": stations,
        "agreements": agreements,
        "nodes": nodes,
        "functions": functions,
        "pools": [
            {"id": pool, "where": pool.split("-")[0], "region": there.region, "address": pool, "authority": "ca"}
            | {"credential": "token"}
            for pool, there in at.items()
        ],
        "latencies": [
            {"pool": pool, "site": site, "microseconds": us} for site, ways in reach.items() for us, pool in ways
        ],
        "packages": [
            *(
                _package(f"du-{n}", "vdu", n, 2 * n, hugepages_gb=n, ptp=True, profiles=["nr-28541"], f1=["1"])
                | {"accelerators": 1}
                for n in (4, 8, 12)
            ),
            _package("cp", "vcu-cp", 4, 16, f1=["1"], e1=["1"]),
            _package("up", "vcu-up", 6, 16, hugepages_gb=4, e1=["1"], gbps=10),
        ],
    }
    return Network.model_validate(content)


def _package(name: str, kind: str, cpus: int, memory_gb: int, **more: object) -> dict[str, object]:
    image = f"registry.example/{name}@sha256:{sha256(name.encode()).hexdigest()}"
    size = {"cpus": cpus, "memory_gb": memory_gb}
    return {"id": name, "kind": kind, "vendor": "V", "version": "1", "image": image, **size, **more}


def _buying(agreement: Any, functions: list[dict[str, Any]]) -> Any:
    own = tuple(one["id"] for one in functions if one.get("owner") == agreement.tenant)
    return agreement.model_copy(update={"functions": own})


def main() -> None:
    """Place networks of four sizes, each once more with all running; then the largest with too little room."""
    peru = load_network(NETWORK)
    for part, has in ((8, ENOUGH), (4, ENOUGH), (2, ENOUGH), (1, ENOUGH), (1, CROWDED)):
        few = [one for number, one in enumerate(sorted(peru.sites, key=lambda one: one.id)) if number % part == 0]
        at = {site.id for site in few}
        stations = tuple(one for one in peru.stations if one.site in at)
        some = peru.model_copy(update={"stations": stations})
        network = virtual(some, 290 // part, max(2, 10 // part), 2 * (50 // part), has)
        print(
            f"placement, pools with {has[0]:.0%} to {has[1]:.0%} of what is nearest: {_measured(network)}", flush=True
        )


def _measured(network: Network) -> str:
    begin = time.process_time()
    first = place(network, DAY)
    seconds = time.process_time() - begin
    running = {name: (choice.pool,) for name, choice in first.choices.items() if choice.pool}
    begin = time.process_time()
    again = place(network, DAY, running)
    kept = time.process_time() - begin
    begin = time.process_time()
    lost = worst_losses(network, DAY, 1, running)
    losing = time.process_time() - begin
    begin = time.process_time()
    bound = lower_bound(network, DAY)
    bounding = time.process_time() - begin
    dus = len(network.stations)
    return (
        f"{len(network.pools)} pools, {dus} DUs, {len(network.functions) - dus} CUs: "
        f"{seconds:.2f} s CPU, {kept:.2f} s with all running ({len(again.moves)} move); "
        f"{losing:.2f} s for the loss of each node ({sum(len(one.down) for one in lost)} functions down at worst); "
        f"{len(first.unplaced)} without a place; {first.cost_us / 1e6:.3f} s of ways, at least {bound / 1e6:.3f} s "
        f"({100 * (first.cost_us - bound) / max(bound, 1):.2f} % gap; bound in {bounding:.1f} s CPU)"
    )


if __name__ == "__main__":
    main()
