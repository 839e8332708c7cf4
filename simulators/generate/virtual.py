"""Functions on pools: what the stations of a virtual network are made of, and the servers that there are for them.

Edges stand at masts, a short way of fibre from those around them. A station without an edge in reach is physical, and
so is one of each tracking area, as in a network that is rebuilt. CUs run in the regions, each with an endpoint of its
own: those of a region and its DUs are one gNB. All is invented.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulators.generate.contracts import CONTRACTS
from simulators.generate.layout import Area, Base, Kind, Mast
from simulators.generate.places import Region
from simulators.generate.radio import node_id

#: Longest way in µs from a pool to a site, one way: of the fronthaul of a DU, and of midhaul.
_FRONTHAUL, _MIDHAUL = 100, 5000
#: What fibre takes for a km, with its detours, and what lies between, in µs.
_PER_KM, _BETWEEN = 7, 5
#: Nodes of a pool, by where it stands; those of a region stand in three racks.
_NODES = {"edge": 6, "regional": 6}
_RACKS = 3
#: gNB ids of regions are beyond those of stations, which have 20 bits; of their length, 14 bits are left for local ids.
_GNB_IDS, GNB_ID_LENGTH = 2**20, 22
#: NR cells of a station have less local ids than that.
_LOCAL_IDS = 4
#: VLAN of F1 and E1.
MIDHAUL_VLAN = 1950


@dataclass(frozen=True)
class PoolRow:
    """A row of pools.csv."""

    id: str
    where: str
    region: str
    site: str
    address: str
    port: int
    authority: str
    credential: str
    spare_nodes: int
    uplink_gbps: int


@dataclass(frozen=True)
class NodeRow:
    """A row of nodes.csv."""

    pool: str
    id: str
    cpus: int
    memory_gb: int
    hugepages_gb: int
    accelerators: int
    ptp: str
    failure_domain: str


@dataclass(frozen=True)
class LatencyRow:
    """A row of latencies.csv."""

    pool: str
    site: str
    microseconds: int


@dataclass(frozen=True)
class FunctionRow:
    """A row of functions.csv."""

    id: str
    package: str
    owner: str
    replicas: int
    max_latency_us: int
    address: str


@dataclass(frozen=True)
class UnitRow:
    """What is to stand in stations.csv for a CU, and where its endpoint is."""

    id: str
    site: str
    gnb_id: int
    owner: str
    function: str


def packages() -> list[dict[str, Any]]:
    """The packages as they stand in a network file: what runs, and the next DU and CU-CP."""
    radio = {"cpus": 8, "memory_gb": 16, "hugepages_gb": 4, "accelerators": 1, "ptp": True, "start_seconds": 30}
    du = radio | {"profiles": "lte-28658 nr-28541"}
    unit = {"cpus": 8, "memory_gb": 32, "start_seconds": 20, "profiles": "nr-28541"}
    control, user = unit, unit | {"hugepages_gb": 8, "gbps": 40}
    return [
        _package("acme-bbu-24", "vbbu", "24.2.1", radio | {"profiles": "lte-28658"}),
        _package("acme-du-24", "vdu", "24.2.1", du | {"f1": ["17.1"]}),
        _package("acme-du-25", "vdu", "25.1.0", du | {"f1": ["17.1", "18.1"]}),
        _package("acme-cp-24", "vcu-cp", "24.2.1", control | {"f1": ["17.1"], "e1": ["17.1"]}),
        _package("acme-cp-25", "vcu-cp", "25.1.0", control | {"f1": ["17.1", "18.1"], "e1": ["17.1"]}),
        _package("acme-up-24", "vcu-up", "24.2.1", user | {"e1": ["17.1"]}),
    ]


def _package(name: str, kind: str, version: str, more: Mapping[str, Any]) -> dict[str, Any]:
    image = f"registry.example/acme/{kind}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    return {"id": name, "kind": kind, "vendor": "Acme", "version": version, "image": image, **more}


@dataclass(frozen=True)
class _Pool:
    """A pool and the mast that it stands at."""

    row: PoolRow
    mast: Mast

    def latency(self, mast: Mast) -> int:
        """One way to a mast, in µs."""
        return 0 if mast == self.mast else round(_BETWEEN + _PER_KM * self.mast.km_to(mast))


class Plan:
    """The pools of some tracking areas and what runs there.

    Args:
        areas: The tracking areas.
        edges: Those of them in whose middle an edge stands.
        endpoints: Address of each station's endpoint.
    """

    def __init__(self, areas: Sequence[Area], edges: Sequence[str], endpoints: Mapping[str, str]) -> None:
        self._areas = areas
        self._endpoints = endpoints
        regions: dict[str, tuple[Region, Mast]] = {}
        for area in areas:
            regions.setdefault(area.region.id, (area.region, _middle(area)))
        places = [("edge", f"edge-{area.id}", area.region, _middle(area)) for area in areas if area.id in edges]
        places += [("regional", f"regional-{id_}", region, mast) for id_, (region, mast) in sorted(regions.items())]
        self._regions = [region for region, _ in regions.values()]
        self._pools = [_pool(number, *place) for number, place in enumerate(places)]
        self._made_of = dict(self._stations())

    def units(self) -> list[UnitRow]:
        """The CUs, which stand beside the regional pools."""
        sites = {pool.row.region: pool.row.site for pool in self._pools if pool.row.where == "regional"}
        return [
            UnitRow(_unit(name), sites[region.id], _gnb_id(region), owner, name)
            for region in sorted(self._regions, key=lambda one: one.id)
            for name, owner in zip(_units(region), ("", "", *_with_their_own(region)), strict=True)
        ]

    def gnb_of(self, base: Base) -> tuple[int, int] | None:
        """The gNB id and gNB-DU id of a station with a CU; none of others."""
        has = len(self._made_of.get(base.id, ())) > 1
        return (_gnb_id(base.mast.place.region), node_id(base)) if has else None

    def local_id(self, base: Base, local_id: int) -> int:
        """The local id of an NR cell: unique in its gNB."""
        return local_id if self.gnb_of(base) is None else _LOCAL_IDS * base.number + local_id

    def functions_of(self, station: str) -> str:
        """The functions of a station, with blanks between them; empty for a physical one."""
        return " ".join(self._made_of.get(station, ()))

    def bought(self, agreement: Mapping[str, Any]) -> dict[str, Any]:
        """The capacity that an agreement buys: room for two of the tenant's own user planes, in each of its regions."""
        regions = [region for region in self._regions if agreement["tenant"] in _with_their_own(region)]
        if agreement["scope"].get("rats") != ["NR"] or not regions:
            return {}
        return {"capacity": [{"pool": f"regional-{region.id}", "cores": 16, "gbps": 80} for region in regions]}

    def _stations(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for area in self._areas:
            for base in area.bases:
                reached = any(pool.latency(base.mast) <= _FRONTHAUL for pool in self._pools if pool.row.where == "edge")
                if reached and base != area.bases[-1]:
                    yield base.id, (_own(base), *(() if base.kind is Kind.LTE else _units(area.region)))

    # -------------------------------------------------------------------- rows

    def pools(self) -> list[PoolRow]:
        """Rows of pools.csv."""
        return [pool.row for pool in self._pools]

    def nodes(self) -> list[NodeRow]:
        """Rows of nodes.csv."""
        found = []
        for pool in self._pools:
            for number in range(_NODES[pool.row.where]):
                edge, name = pool.row.where == "edge", f"node-{number + 1}"
                resources = (
                    (32, 128, 32, 4, "true", "") if edge else (64, 256, 64, 0, "", f"rack-{number % _RACKS + 1}")
                )
                found.append(NodeRow(pool.row.id, name, *resources))
        return found

    def latencies(self) -> list[LatencyRow]:
        """Rows of latencies.csv: the sites in reach of a pool but for its own."""
        masts = [mast for area in self._areas for mast in area.masts]
        return [
            LatencyRow(pool.row.id, mast.id, latency)
            for pool in self._pools
            for mast in masts
            if 0 < (latency := pool.latency(mast)) <= (_FRONTHAUL if pool.row.where == "edge" else _MIDHAUL)
        ]

    def functions(self) -> list[FunctionRow]:
        """Rows of functions.csv."""
        found = []
        bases = {base.id: base for area in self._areas for base in area.bases}
        for station, functions in self._made_of.items():
            package = "acme-bbu-24" if bases[station].kind is Kind.LTE else "acme-du-24"
            found.append(FunctionRow(functions[0], package, "", 1, _FRONTHAUL, self._endpoints[station]))
        for region in sorted({area.region for area in self._areas}, key=lambda one: one.id):
            control, *user = _units(region)
            found.append(FunctionRow(control, "acme-cp-24", "", 2, _MIDHAUL, self._endpoints[_unit(control)]))
            owners = ["", *_with_their_own(region)]
            found += [
                FunctionRow(name, "acme-up-24", owner, 1, _MIDHAUL, self._endpoints[_unit(name)])
                for name, owner in zip(user, owners, strict=True)
            ]
        return sorted(found, key=lambda row: row.id)


def _own(base: Base) -> str:
    """The function that is the endpoint of a station."""
    return base.id.replace("PE-", "BBU-" if base.kind is Kind.LTE else "DU-", 1)


def _units(region: Region) -> tuple[str, ...]:
    """The CUs of a region: the control plane, the host's user plane, and those that tenants have of their own."""
    own = (f"UP-{region.code}-{tenant.upper()}" for tenant in _with_their_own(region))
    return f"CP-{region.code}-1", f"UP-{region.code}-1", *own


def unit_stations(areas: Sequence[Area]) -> list[str]:
    """The stations that stand for the CUs of tracking areas."""
    return sorted(_unit(name) for region in {area.region for area in areas} for name in _units(region))


def _unit(function: str) -> str:
    """The station that stands for a CU."""
    kind, region, name = function.split("-")
    return f"PE-{region}-{kind}-{name}"


def _gnb_id(region: Region) -> int:
    return _GNB_IDS + region.index


def _with_their_own(region: Region) -> list[str]:
    """Tenants with a user plane of their own: those with an agreement about NR alone."""
    return sorted({one.tenant for one in CONTRACTS if one.rats == ("NR",) and one.covers(region, "NR")})


def _middle(area: Area) -> Mast:
    """The mast from which the farthest one of its area is nearest."""
    return min(area.masts, key=lambda mast: (max(mast.km_to(other) for other in area.masts), mast.id))


def _pool(number: int, where: str, name: str, region: Region, mast: Mast) -> _Pool:
    access = ("pool-authority", "pool-token")
    uplink = 100 if where == "edge" else 400
    return _Pool(PoolRow(name, where, region.id, mast.id, f"127.60.0.{number + 1}", 6443, *access, 1, uplink), mast)
