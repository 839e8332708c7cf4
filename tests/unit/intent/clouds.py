"""Small networks of virtual stations: pools, functions and how far they are from each other."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from controller.models.network import Network

#: Agreements that hold always.
VALID = {"start": "2020-01-01"}
_SIZES = {"vdu": (8, 16), "vbbu": (12, 24), "vcu-cp": (4, 8), "vcu-up": (6, 12), "gateway": (2, 4)}
_SPEAKS: Mapping[str, dict[str, Any]] = {
    "vdu": {"profiles": ["nr-28541"], "f1": ["17.4", "17.5"]},
    "vbbu": {"profiles": ["nr-28541", "lte-28658"]},
    "vcu-cp": {"f1": ["17.5"], "e1": ["17.2"]},
    "vcu-up": {"e1": ["17.2"]},
    "gateway": {},
}


def package(kind: str, name: str = "", **more: Any) -> dict[str, Any]:
    """A package of a kind, which is also its id, with what its kind takes."""
    name = name or kind
    cpus, memory = _SIZES[kind]
    image = f"registry.example/{name}@sha256:{sha256(name.encode()).hexdigest()}"
    size = {"cpus": cpus, "memory_gb": memory}
    return {"id": name, "kind": kind, "vendor": "Acme", "version": "1", "image": image, **size, **_SPEAKS[kind], **more}


def nodes(pool: str, count: int, **more: Any) -> list[dict[str, Any]]:
    """Servers of 32 cores."""
    return [{"pool": pool, "id": f"n{n}", "cpus": 32, "memory_gb": 128, **more} for n in range(1, count + 1)]


def function(name: str, of: str = "vdu", **more: Any) -> dict[str, Any]:
    """A function of a package."""
    return {"id": name, "package": of, **({} if of == "gateway" else {"max_latency_us": 1000}), **more}


def cloud(
    pools: Mapping[str, Mapping[str, int]],
    functions: Sequence[Mapping[str, Any]],
    stations: Mapping[str, Sequence[str]],
    *,
    servers: Sequence[Mapping[str, Any]] = (),
    spare: int = 0,
    about: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    tenants: Sequence[str] = ("alfa", "beta"),
    **more: Any,
) -> Network:
    """A network.

    Args:
        pools: Microseconds to each site by pool. Sites are called as their stations.
        functions: They.
        stations: Functions of each station; each has one NR cell.
        servers: Nodes; one of 32 cores in each pool where none are given.
        spare: Nodes of each pool's reserve.
        about: Further fields of pools, by pool.
        tenants: The first has the primary PLMN; all share all cells, unless ``agreements`` are given.
        more: Other parts of the network, in place of these.
    """
    number = {station: n for n, station in enumerate(stations, 1)}
    plmns = {tenant: f"716-{n:02}" for n, tenant in enumerate(tenants, 1)}
    content: dict[str, Any] = {
        "header": {"id": "test", "name": "Test", "country": "PE", "timezone": "America/Lima", "anr": False},
        "regions": [{"id": "r", "name": "R"}],
        "sites": [
            {"id": f"site-{n}", "name": station, "region": "r", "latitude": 0, "longitude": 0}
            for station, n in number.items()
        ],
        "stations": [
            {
                "id": station,
                "site": f"site-{n}",
                "profiles": ["nr-28541"],
                "transport_address": f"10.{n // 250}.0.{n % 250}",
                "gnb_id": n,
                "functions": stations[station],
            }
            for station, n in number.items()
        ],
        "cells": [
            {
                "station": station,
                "id": "n78-1",
                "rat": "NR",
                "local_id": 1,
                "band": "n78",
                "arfcn_dl": 630000,
                "arfcn_ul": 630000,
                "bandwidth_mhz": 100,
                "pci": n,
                "tac": 7,
                "primary_plmn": plmns[tenants[0]],
            }
            for station, n in number.items()
        ],
        "pools": [
            {"id": pool, "where": "edge", "region": "r", "address": pool, "authority": "ca", "credential": "token"}
            | {"spare_nodes": spare, **about.get(pool, {})}
            for pool in pools
        ],
        "nodes": list(servers) or [node for pool in pools for node in nodes(pool, 1)],
        "latencies": [
            {"pool": pool, "site": f"site-{number[site]}", "microseconds": us}
            for pool, ways in pools.items()
            for site, us in ways.items()
        ],
        "packages": [package(kind) for kind in _SIZES],
        "functions": list(functions),
        "tenants": [
            {
                "id": tenant,
                "name": tenant,
                "plmns": [plmns[tenant]],
                "slices": [{"sst": 1, "sd": f"00000{n}"}],
                "core": {
                    "vlan": 100 + n,
                    "amf_pool": [{"id": "amf", "address": f"10.200.{n}.1"}],
                    "upf_pool": [{"id": "upf", "address": f"10.200.{n}.2"}],
                },
            }
            for n, tenant in enumerate(tenants, 1)
        ],
        "agreements": [
            {"id": f"{tenant}-all", "tenant": tenant, "scope": {"everywhere": True}, "validity": VALID}
            for tenant in tenants
        ],
    }
    return Network.model_validate(content | more)


def random_cloud(seed: int, pools: int = 4, dus: int = 9) -> Network:
    """Pools that are nearly full: DUs of three sizes and a CU, of which some have nowhere to go."""
    draw = random.Random(seed)
    stations = [f"S{n}" for n in range(dus)]
    ways = {f"p{n}": {station: draw.randrange(20, 200) for station in stations} for n in range(pools)}
    sizes = [package("vdu", f"du-{cpus}", cpus=cpus, memory_gb=2 * cpus) for cpus in (4, 8, 12)]
    functions = [
        function(f"DU-{n}", draw.choice(["du-4", "du-8", "du-12"]), max_latency_us=draw.choice([90, 120, 160]))
        for n in range(dus)
    ]
    servers = [
        {"pool": pool, "id": f"n{n}", "cpus": 16, "memory_gb": 64} for pool in ways for n in range(draw.choice([1, 2]))
    ]
    of = {station: (f"DU-{n}", "CP", "UP") for n, station in enumerate(stations)}
    functions += [function("CP", "vcu-cp"), function("UP", "vcu-up")]
    packages = [*sizes, package("vcu-cp"), package("vcu-up")]
    return cloud(ways, functions, of, servers=servers, packages=packages)


def split_gnb(pools: Sequence[str] = ("edge",), **more: Any) -> Network:
    """One gNB of two DUs (S1, S2), a control plane (CP), a user plane of the host (UP) and one of beta (UP-B).

    Each function has an endpoint: DUs are that of their stations, those of the central unit are CP-E, UP-E and UP-B-E.
    """
    functions = [
        function("DU-1"),
        function("DU-2"),
        function("CP", "vcu-cp"),
        function("UP", "vcu-up"),
        function("UP-B", "vcu-up", owner="beta"),
    ]
    units = {"CP-E": "CP", "UP-E": "UP", "UP-B-E": "UP-B"}
    served = {"S1": ["DU-1", "CP", "UP", "UP-B"], "S2": ["DU-2", "CP", "UP", "UP-B"]}
    whole = {**served, **{unit: [name] for unit, name in units.items()}}
    servers = [node for pool in pools for node in nodes(pool, 3)]
    network = cloud({pool: dict.fromkeys(whole, 50) for pool in pools}, functions, whole, servers=servers)
    draft = network.model_dump(mode="json")
    draft["header"]["midhaul_vlan"] = 900
    draft["cells"] = [cell | {"local_id": n} for n, cell in enumerate(draft["cells"][:2], 1)]
    for station in draft["stations"]:
        number = {"S1": 1, "S2": 2}.get(station["id"])
        station |= {"gnb_id": 77, "gnb_du_id": number, "owner": "beta" if station["id"] == "UP-B-E" else None}
    for one in draft["packages"]:
        one["profiles"] = one["profiles"] or (["nr-28541"] if one["kind"].startswith("vcu") else [])
    draft["agreements"][1] |= {"capacity": [{"pool": pool, "cores": 16, "gbps": 0} for pool in pools]}
    return Network.model_validate(draft | more)
