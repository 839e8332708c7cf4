"""Puts the parts together and writes network files."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from simulators.generate import backhaul, contracts, layout, radio, relations, virtual
from simulators.generate.layout import Area, Base, Mast
from simulators.generate.places import Region, read_places
from simulators.host_keys import public_host_key

#: Families of counters that simulated stations have beside those of 3GPP.
VENDOR_FAMILIES = ["minka-CellUnavailableTime", "minka-ERAB", "minka-S1SIG"]
#: VLAN of X2 and Xn between stations with listed relations.
PEER_VLAN = 1900

#: From so many people of a place on, how a person gets to a mast there, what feeds it, and hours of its batteries.
_UPKEEP = (
    (50_000, "roof of a building; key with the caretaker, call the day before", "mains, batteries for 3 h", 3),
    (5_000, "mast beside a road; gate and cabinet open with the code of the NOC", "mains, batteries for 4 h", 4),
    (0, "unpaved road, 4x4 in the rains; key with the president of the community", "mains, batteries for 6 h", 6),
)
#: The same of masts with a satellite link.
_REMOTE = (
    "by river, with the provider's boat; key with the school",
    "mains at night, solar panels, batteries for 12 h",
    12,
)
#: Hours for which a TDD cell holds its time without a source: with the rubidium clocks of cities, and without.
_HOLDOVER = 24, 8
_CITY = 50_000


@dataclass(frozen=True)
class SiteRow:
    """A row of sites.csv."""

    id: str
    name: str
    region: str
    latitude: float
    longitude: float
    population: int
    backhaul: str
    access: str
    power: str
    battery_hours: int


@dataclass(frozen=True)
class StationRow:
    """A row of stations.csv."""

    id: str
    site: str
    profiles: str
    transport_address: str
    enb_id: int | str
    enb_id_length: int | str
    gnb_id: int | str
    gnb_id_length: int | str
    standalone: str
    holdover_hours: int | str


@dataclass(frozen=True)
class VirtualStationRow(StationRow):
    """A row of stations.csv in a network with functions."""

    gnb_du_id: int | str
    owner: str
    functions: str


@dataclass(frozen=True)
class RouterRow:
    """A row of routers.csv."""

    id: str
    site: str
    address: str
    port: int
    platform: str


@dataclass(frozen=True)
class EndpointRow:
    """A row of endpoints.csv."""

    station: str
    address: str
    port: int
    host_key: str


def generate(
    localities: Path,
    *,
    stations: int = 3100,
    seed: int = 716,
    network: str = "peru",
    name: str = "Peru",
    areas: Sequence[str] = (),
    edges: Sequence[str] = (),
    schema: str | None = None,
) -> dict[str, str]:
    """Generate a network; the result maps file names to contents.

    Args:
        localities: CSV of real places, as peru-localities.csv.
        stations: how many base stations the whole network has.
        seed: equal seeds give equal networks.
        network: id of the network; host keys of simulated stations depend on it.
        name: what people call it.
        areas: keep only these tracking areas (as ``cusco-03``); none given keeps all.
        edges: in the middle of these tracking areas stand pools, and stations around them are made of functions.
        schema: path of the JSON Schema, as editors shall find it from the files.

    Raises:
        ValueError: if an area is unknown or the numbers run out.
    """
    planned = layout.areas(layout.apportion(read_places(localities), stations), seed)
    kept = _keep(planned, areas)
    units = virtual.unit_stations(kept) if edges else []
    endpoints = _endpoints([base.id for area in kept for base in area.bases], units, network)
    plan = virtual.Plan(kept, edges, {row.station: row.address for row in endpoints}) if edges else None
    files = _yaml_files(kept, network, name, schema, plan)
    codes = radio.plan_codes(planned)
    cells: dict[str, list[radio.CellRow]] = defaultdict(list)
    for cell in (cell for area in planned for cell in radio.cells(area, seed, codes)):
        cells[cell.station].append(cell)
    bases = {base.id: base for area in kept for base in area.bases}
    built = {base.id: _station(base, cells[base.id]) for base in bases.values()}
    files |= _inventory(kept, list(built.values()))
    there = [cell for station in built for cell in cells[station]]
    if plan is not None:
        there = [_numbered(cell, plan.local_id(bases[cell.station], cell.local_id)) for cell in there]
    files["cells.csv"] = _csv(there)
    if own := [cell for area in kept for cell in radio.own_cells(area, seed, codes)]:
        files["own_cells.csv"] = _csv(own)
    listed = relations.relations(planned, cells)
    if inside := [one for one in listed if {one.station, one.neighbour_station} <= built.keys()]:
        files["neighbours.csv"] = _csv(inside)
    files["endpoints.csv"] = _csv(endpoints)
    if plan is not None:
        rows = [_virtual_station(plan, bases[id_], row) for id_, row in built.items()]
        files["stations.csv"] = _csv([*rows, *_central_units(plan)])
        files |= _virtual(plan, schema)
    return files


def _numbered(cell: radio.CellRow, local_id: int) -> radio.CellRow:
    return replace(cell, local_id=local_id) if cell.rat == "NR" else cell


def _virtual_station(plan: virtual.Plan, base: Base, row: StationRow) -> VirtualStationRow:
    gnb = plan.gnb_of(base)
    fields_ = asdict(row) | ({} if gnb is None else {"gnb_id": gnb[0], "gnb_id_length": virtual.GNB_ID_LENGTH})
    return VirtualStationRow(
        **fields_, gnb_du_id="" if gnb is None else gnb[1], owner="", functions=plan.functions_of(base.id)
    )


def _central_units(plan: virtual.Plan) -> list[VirtualStationRow]:
    return [
        VirtualStationRow(
            *(unit.id, unit.site, "nr-28541", _address(96, order), "", "", unit.gnb_id, virtual.GNB_ID_LENGTH, "", ""),
            gnb_du_id="",
            owner=unit.owner,
            functions=unit.function,
        )
        for order, unit in enumerate(plan.units())
    ]


def _virtual(plan: virtual.Plan, schema: str | None) -> dict[str, str]:
    return {
        "packages.yaml": to_yaml({"packages": virtual.packages()}, schema),
        "pools.csv": _csv(plan.pools()),
        "nodes.csv": _csv(plan.nodes()),
        "latencies.csv": _csv(plan.latencies()),
        "functions.csv": _csv(plan.functions()),
    }


def write(files: dict[str, str], directory: Path) -> None:
    """Write generated files into a directory, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_text(content, encoding="utf-8", newline="\n")


def to_yaml(content: dict[str, Any], schema: str | None) -> str:
    """YAML text, with the line by which editors find the schema."""
    head = f"# yaml-language-server: $schema={schema}\n" if schema else ""
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _keep(planned: list[Area], wanted: Sequence[str]) -> list[Area]:
    unknown = set(wanted) - {area.id for area in planned}
    if unknown:
        raise ValueError(f"no such tracking area: {', '.join(sorted(unknown))}")
    return [area for area in planned if not wanted or area.id in wanted]


def _yaml_files(
    kept: list[Area], network: str, name: str, schema: str | None, plan: virtual.Plan | None
) -> dict[str, str]:
    regions = {area.region for area in kept}
    ids = {region.id for region in regions}
    head = {
        "network": {
            "id": network,
            "name": name,
            "country": "PE",
            "timezone": "America/Lima",
            "host_plmn": contracts.HOST_PLMN,
            "x2_vlan": PEER_VLAN,
            "xn_vlan": PEER_VLAN,
            "contacts": [contracts.noc("host", "the host")],
            **({} if plan is None else {"midhaul_vlan": virtual.MIDHAUL_VLAN}),
            "performance": {"granularity_minutes": 15, "metrics": VENDOR_FAMILIES},
        },
        "regions": [{"id": r.id, "name": r.name} for r in sorted(regions, key=lambda region: region.id)],
    }
    agreements = [found for contract in contracts.CONTRACTS if (found := contract.as_file(ids))]
    if plan is not None:
        agreements = [agreement | plan.bought(agreement) for agreement in agreements]
    return {
        "network.yaml": to_yaml(head, schema),
        "tenants.yaml": to_yaml({"tenants": contracts.tenants()}, schema),
        "agreements.yaml": to_yaml({"agreements": agreements}, schema),
    }


def _inventory(kept: list[Area], stations: list[StationRow]) -> dict[str, str]:
    nodes = {backhaul.ROOT: backhaul.root()}
    sites: list[SiteRow] = []
    routers: list[RouterRow] = []
    masts: defaultdict[Region, list[Mast]] = defaultdict(list)
    for area in kept:
        masts[area.region].extend(area.masts)
    for area in kept:
        found, hangs_on = backhaul.plan(area)
        hub = backhaul.region_hub(area.region, masts[area.region])
        nodes[hub.id] = hub
        nodes |= {node.id: node for node in found}
        first = {base.mast.id: base for base in reversed(area.bases)}
        for mast in area.masts:
            sites.append(
                SiteRow(
                    mast.id, mast.name, area.region.id, mast.latitude, mast.longitude, mast.population,
                    hangs_on[mast.id], *_upkeep(mast, remote=nodes[hangs_on[mast.id]].kind == "satellite"),
                )
            )  # fmt: skip
            routers.append(_router(mast.id, first[mast.id]))
    return {
        "backhaul.csv": _csv(list(nodes.values())),
        "sites.csv": _csv(sites),
        "stations.csv": _csv(stations),
        "routers.csv": _csv(routers),
    }


def _upkeep(mast: Mast, *, remote: bool) -> tuple[str, str, int]:
    if remote:
        return _REMOTE
    return next((access, power, hours) for people, access, power, hours in _UPKEEP if mast.place.population >= people)


def _station(base: Base, cells: Sequence[radio.CellRow]) -> StationRow:
    enb: tuple[int | str, int | str] = (radio.node_id(base), 20) if base.kind.lte else ("", "")
    gnb: tuple[int | str, int | str] = (radio.node_id(base), 24) if base.kind.nr else ("", "")
    standalone = "false" if base.kind.nr and not base.standalone else ""
    tdd = any(cell.arfcn_dl == cell.arfcn_ul for cell in cells)
    holdover: int | str = _HOLDOVER[base.mast.place.population < _CITY] if tdd else ""
    profiles = " ".join(base.kind.value)
    return StationRow(base.id, base.mast.id, profiles, _address(64, base.order), *enb, *gnb, standalone, holdover)


def _router(site: str, base: Base) -> RouterRow:
    return RouterRow(base.id.replace("PE-", "RT-", 1), site, _address(128, base.order), 22, "cisco_ios")


def _address(second: int, order: int) -> str:
    """The address of the n-th device in 10.``second``.0.0 and up."""
    return f"10.{second + order // 62500}.{order // 250 % 250}.{order % 250 + 1}"


def _endpoints(stations: list[str], units: list[str], fleet_seed: str) -> list[EndpointRow]:
    """Endpoints of the simulators: one loopback address per station, counted within this network; CUs come last."""
    return [
        EndpointRow(
            station,
            f"127.{20 + index // 62500}.{index // 250 % 250}.{index % 250 + 1}",
            8300,
            public_host_key(fleet_seed, station),
        )
        for index, station in enumerate([*sorted(stations), *units])
    ]


def _csv(rows: Sequence[Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in fields(rows[0])])
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()
