"""Networks as wide as a country, for tests of what grows with it."""

from __future__ import annotations

from collections.abc import Sequence

from controller.models.network import Network

#: As many stations as ``peru`` has.
STATIONS = 3100


def wide_network(
    stations: int = STATIONS,
    cells: int = 3,
    tenants: int = 4,
    *,
    names: Sequence[str] | None = None,
    percent: float = 99.5,
) -> Network:
    """Files with one region, in which every station is open to every tenant.

    Args:
        stations: Number of stations.
        cells: Cells of each.
        tenants: Number of tenants.
        names: Ids of the stations, if not ``PE-CUS-00000`` and so on.
        percent: Availability that agreements promise; files of two values are different versions.
    """
    names = names or [f"PE-CUS-{number:05}" for number in range(stations)]
    share = {"min": 20, "max": 60}
    cell = {"rat": "LTE", "band": "B28", "arfcn_dl": 9410, "arfcn_ul": 27410, "bandwidth_mhz": 10, "tac": 1}
    return Network.model_validate(
        {
            "header": {"id": "n", "name": "N", "country": "PE", "timezone": "America/Lima"},
            "regions": [{"id": "cusco", "name": "Cusco"}],
            "sites": [
                {"id": name.lower(), "name": name, "region": "cusco", "latitude": -13.5, "longitude": -71.9}
                for name in names
            ],
            "stations": [
                {
                    "id": name,
                    "site": name.lower(),
                    "profiles": ["lte-28658"],
                    "transport_address": "10.0.0.1",
                    "enb_id": number,
                }
                for number, name in enumerate(names)
            ],
            "cells": [
                cell | {"station": name, "id": str(one), "local_id": one, "pci": one, "primary_plmn": "716-01"}
                for name in names
                for one in range(cells)
            ],
            "tenants": [
                {"id": f"tenant-{one}", "name": f"T{one}", "plmns": [f"716-0{one + 1}"], "core": {"vlan": 10 + one}}
                for one in range(tenants)
            ],
            "agreements": [
                {
                    "id": f"a-{one}",
                    "tenant": f"tenant-{one}",
                    "scope": {"everywhere": True},
                    "shares": [share],
                    "validity": {"start": "2020-01-01"},
                    "sla": {"availability_percent": percent},
                }
                for one in range(tenants)
            ],
        }
    )
