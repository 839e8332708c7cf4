"""A network of six stations on a small tree of backhaul nodes; its agreements and cells do not matter."""

from __future__ import annotations

from functools import cache
from typing import Any

from controller.models.network import Network

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC2cbdLo6XoWJLlGNBaIB6yDmYGs8RZ9jRyWd2hWGYUF"
#: The tree: core ─ trunk ─ fibre ─ {S1, S2}; trunk ─ hop ─ radio ─ {S3, S4, S5}; core ─ spur ─ S6.
PARENTS = {"core": None, "trunk": "core", "fibre": "trunk", "hop": "trunk", "radio": "hop", "spur": "core"}
HANGS = {"S1": "fibre", "S2": "fibre", "S3": "radio", "S4": "radio", "S5": "radio", "S6": "spur"}
#: S4 and S5 share a site.
SITES = {station: "site-4" if station == "S5" else f"site-{station[1:]}" for station in HANGS}


#: Cores of two tenants that use one network of S-GWs.
SHARED = {"id": "shared", "prefix": "10.9.0.0/29", "shared": True}
CORES: dict[str, dict[str, Any]] = {
    "claro": {"vlan": 1, "mme_pool": [{"id": "mme", "address": "10.1.0.1"}], "sgw_pool": [SHARED]},
    "entel": {"vlan": 2, "mme_pool": [{"id": "mme", "address": "10.2.0.1"}], "sgw_pool": [SHARED]},
}
#: Where both reach their cores through one security gateway.
GATEWAY = {"security_gateway": {"address": "10.8.0.1", "shared": True}}


@cache
def network(*, tenants: bool = False, gateway: bool = False) -> Network:
    """That network, with or without two tenants; the router R1 stands at the site of S1."""
    more = GATEWAY if gateway else {}
    stations: list[dict[str, Any]] = [
        {
            "id": station,
            "site": SITES[station],
            "profiles": ("lte-28658",),
            "transport_address": f"10.0.0.{number}",
            "enb_id": number,
        }
        for number, station in enumerate(HANGS, 1)
    ]
    sites = {
        SITES[station]: {"name": "S", "region": "r", "latitude": 0, "longitude": 0, "backhaul": node}
        for station, node in HANGS.items()
    }
    return Network.model_validate(
        {
            "header": {"id": "test", "name": "Test", "country": "PE", "timezone": "America/Lima"},
            "regions": [{"id": "r", "name": "R"}],
            "backhaul": [{"id": node, "kind": "fibre", "parent": above} for node, above in PARENTS.items()],
            "sites": [{"id": site, **fields} for site, fields in sites.items()],
            "stations": stations,
            "cells": [
                {
                    "station": station,
                    "id": "1",
                    "rat": "LTE",
                    "local_id": 1,
                    "band": "B28",
                    "arfcn_dl": 9285,
                    "arfcn_ul": 27285,
                    "bandwidth_mhz": 10,
                    "pci": 1,
                    "tac": 7,
                    "primary_plmn": "716-01",
                }
                for station in HANGS
            ],
            "tenants": [
                {"id": name, "name": name, "plmns": [f"716-0{number}"], "core": core | more}
                for number, (name, core) in enumerate(CORES.items() if tenants or gateway else (), 1)
            ],
            "routers": [{"id": "R1", "site": "site-1", "address": "192.0.2.9", "host_key": HOST_KEY}],
        }
    )
