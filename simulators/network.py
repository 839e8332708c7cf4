"""The simulated network: its own reader of network files, networks of N stations, surroundings."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import yaml

from simulators.datastore import PROFILE_MODULES

#: Default port of an endpoint (RFC 6242).
DEFAULT_PORT = 830

#: Default port of a router (RFC 4253).
DEFAULT_ROUTER_PORT = 22

#: Radio technology of each profile.
TECHNOLOGIES: Mapping[str, str] = MappingProxyType({"lte-28658": "LTE", "nr-28541": "NR"})

#: Default port of the Kubernetes API of a pool.
DEFAULT_POOL_PORT = 6443

_CLOUD = ("pools", "nodes", "packages", "functions")
_BULK = ("stations", "cells", "endpoints", "sites", "backhaul", "routers", *_CLOUD)
_KINDS = (*_BULK, "tenants", "network")


class NetworkFileError(Exception):
    """A network file can't be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class Core:
    """A tenant's core as a station sees it: its VLAN and the addresses of its nodes.

    Attributes:
        sgw: Networks of its S-GWs; the MME chooses an S-GW for each session.
        n3: By address of a UPF, the network of its N3 addresses; a UPF that is absent has one address.
        slices: By address of a UPF, the slices that it serves, as in 1-0000A1; one that is absent serves all.
        gateway: Address of the security gateway at the end of its stations' tunnels; empty without one.
        protected: The planes behind the gateway: ``control``, ``user``.
    """

    tenant: str
    vlan: int
    mme: frozenset[str]
    amf: frozenset[str]
    upf: frozenset[str]
    plmns: tuple[str, ...] = ()
    sgw: tuple[str, ...] = ()
    n3: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    slices: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    gateway: str = ""
    protected: frozenset[str] = frozenset()

    def networks(self, technologies: Collection[str]) -> tuple[str, ...]:
        """Destinations of the packets of stations with cells of these technologies (``LTE``, ``NR``)."""
        found: set[str] = set()
        if "LTE" in technologies:
            found |= {*self.way("control", *self.mme), *self.way("user", *self.sgw)}
        if "NR" in technologies:
            found |= {*self.way("control", *self.amf), *self.way("user", *(self.n3.get(upf, upf) for upf in self.upf))}
        return tuple(sorted(found))

    def plane(self, remote: str) -> str:
        """The plane of a gNB's packets to a node: ``control`` to AMFs, ``user`` to UPFs of this core, else empty."""
        if remote in self.amf:
            return "control"
        return "user" if remote in self.upf or any(remote in ends(network) for network in self.n3.values()) else ""

    def way(self, plane: str, *behind: str) -> tuple[str, ...]:
        """Next destination of packets to these: the gateway alone if it protects the plane."""
        return (self.gateway,) if behind and plane in self.protected else behind


@lru_cache(maxsize=4096)
def ends(network: str) -> tuple[str, ...]:
    """The first and last address of a network: if both are reachable, we take all between for reachable."""
    known = ip_network(network)
    return tuple(dict.fromkeys((str(known[0]), str(known[-1]))))


@dataclass(frozen=True, slots=True)
class StationRecord:
    """A station of the network files.

    ``population`` is its part of the people of its site; ``backhaul`` the node that its site hangs on. ``reserves`` are
    the seconds for which it serves without mains (``mains-failure``) or time source (``sync-lost``), where known.
    ``functions`` are those that it is made of, none where it is physical. ``unit`` is the kind of its function where it
    has no cells and is the endpoint of a part of a central unit (``vcu-cp``, ``vcu-up``).
    """

    id: str
    site: str
    profiles: tuple[str, ...]
    transport_address: str
    cells: tuple[str, ...]
    region: str = ""
    population: int = 0
    backhaul: str = ""
    reserves: Mapping[str, float] = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """Where a station listens."""

    station: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class RouterRecord:
    """The router of a site, and its management address in the field."""

    id: str
    site: str
    address: str
    port: int = DEFAULT_ROUTER_PORT
    platform: str = "cisco_ios"
    backhaul: str = ""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A server of a pool: cores, memory and hugepages in GiB, accelerators, and its failure domain, if any."""

    id: str
    cpus: int
    memory_gb: int
    hugepages_gb: int = 0
    accelerators: int = 0
    ptp: bool = False
    failure_domain: str = ""


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """A pool of servers: the address of its Kubernetes API, and its nodes by id."""

    id: str
    address: str
    port: int
    where: str
    region: str = ""
    site: str = ""
    nodes: tuple[NodeRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A release of a function: the resources of a replica (cores, GiB, accelerators), and its start-up time."""

    id: str
    kind: str
    vendor: str
    version: str
    image: str
    cpus: int
    memory_gb: int
    hugepages_gb: int = 0
    accelerators: int = 0
    ptp: bool = False
    start_seconds: int = 60
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """A function and its stations; ``owner`` is empty for the host's."""

    id: str
    package: str
    owner: str = ""
    replicas: int = 1
    pool: str = ""
    address: str = ""
    stations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatedNetwork:
    """Everything the simulators take from network files, in order of the ids of stations, routers, pools, functions.

    ``parents`` leads from each backhaul node to the one above it, to an empty text from the topmost.
    """

    id: str
    stations: tuple[StationRecord, ...]
    cores: tuple[Core, ...]
    endpoints: Mapping[str, EndpointRecord]
    parents: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    timezone: str = "UTC"
    routers: tuple[RouterRecord, ...] = ()
    pools: tuple[PoolRecord, ...] = ()
    packages: Mapping[str, PackageRecord] = field(default_factory=lambda: MappingProxyType({}))
    functions: tuple[FunctionRecord, ...] = ()

    def below(self, node: str) -> frozenset[str]:
        """A backhaul node and all that hang on it.

        Raises:
            KeyError: there is no such node.
        """
        if node not in self.parents:
            raise KeyError(node)
        found = {node}
        while more := {child for child, parent in self.parents.items() if parent in found} - found:
            found |= more
        return frozenset(found)


def read_network(directory: Path, endpoints_file: Path | None = None) -> SimulatedNetwork:
    """Read a directory of network files; ``endpoints_file`` replaces the endpoints found there.

    Raises:
        NetworkFileError: a file can't be read, or lacks a field that the simulators need.
    """
    rows: dict[str, list[tuple[Path, Mapping[str, Any]]]] = {kind: [] for kind in _KINDS}
    for kind, path, row in _rows(directory):
        rows[kind].append((path, row))
    if endpoints_file is not None:
        rows["endpoints"] = [(endpoints_file, row) for row in _csv(endpoints_file)]
    if len(rows["network"]) != 1:
        raise NetworkFileError(f"{directory}: {len(rows['network'])} network headers, want exactly one")
    cells: dict[str, list[str]] = {}
    for path, row in rows["cells"]:
        cells.setdefault(_text(path, row, "station"), []).append(_text(path, row, "id"))
    sites = {_text(path, row, "id"): row for path, row in rows["sites"]}
    neighbours = Counter(str(row.get("site")) for _, row in rows["stations"] if str(row.get("id")) in cells)
    stations = [_station(path, row, cells, sites, neighbours) for path, row in rows["stations"]]
    endpoints = [_endpoint(path, row) for path, row in rows["endpoints"]]
    packages = {_text(path, row, "id"): _package(path, row) for path, row in rows["packages"]}
    kinds = {
        _text(path, row, "id"): packages[_text(path, row, "package")].kind
        for path, row in rows["functions"]
        if str(row.get("package")) in packages
    }
    stations = sorted((_with_unit(station, kinds) for station in stations), key=lambda station: station.id)
    header_path, header = rows["network"][0]
    return SimulatedNetwork(
        id=_text(header_path, header, "id"),
        stations=tuple(stations),
        cores=tuple(_core(path, row) for path, row in rows["tenants"]),
        endpoints={endpoint.station: endpoint for endpoint in endpoints},
        parents={_text(path, row, "id"): str(row.get("parent") or "") for path, row in rows["backhaul"]},
        timezone=str(header.get("timezone") or "UTC"),
        routers=tuple(sorted((_router(p, row, sites) for p, row in rows["routers"]), key=lambda router: router.id)),
        pools=_pools(rows["pools"], rows["nodes"]),
        packages=MappingProxyType(packages),
        functions=_functions(rows["functions"], stations),
    )


def _rows(directory: Path) -> Iterator[tuple[str, Path, Mapping[str, Any]]]:
    if not directory.is_dir():
        raise NetworkFileError(f"{directory} is not a directory")
    for path in sorted(directory.rglob("*")):
        if path.suffix in (".csv", ".yaml") and not path.is_file():
            raise NetworkFileError(f"{path} is not a regular file")
        if path.suffix == ".csv" and path.stem in _BULK:
            yield from ((path.stem, path, row) for row in _csv(path))
        elif path.suffix == ".yaml":
            document = _yaml(path)
            for kind, content in document.items():
                if kind not in _KINDS:
                    continue
                entries = [content] if kind == "network" else content or []
                if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                    raise NetworkFileError(f"{path}: {kind} is no list of mappings")
                yield from ((kind, path, row) for row in entries)


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NetworkFileError(f"{path}: {error}") from error


def _yaml(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            document = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (safe loaders)
    except (OSError, yaml.YAMLError) as error:
        raise NetworkFileError(f"{path}: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise NetworkFileError(f"{path}: not a mapping")
    return document


def _text(path: Path, row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    if value is None or value == "":
        raise NetworkFileError(f"{path}: an entry lacks {field}: {row!r:.120}")
    return str(value)


def _number(path: Path, row: Mapping[str, Any], field: str) -> int:
    text = _text(path, row, field)
    try:
        return int(text)
    except ValueError as error:
        raise NetworkFileError(f"{path}: {field} {text!r} is no whole number") from error


def _count(path: Path, row: Mapping[str, Any], field: str, silent: int = 0) -> int:
    return _number(path, row, field) if row.get(field) not in (None, "") else silent


def _truth(path: Path, row: Mapping[str, Any], field: str) -> bool:
    text = str(row.get(field) or "false").lower()
    if text not in _TRUTHS:
        raise NetworkFileError(f"{path}: {field} {text!r} is neither true nor false")
    return _TRUTHS[text]


_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _words(row: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = row.get(field) or ()
    return tuple(value.split() if isinstance(value, str) else map(str, value))


def _station(
    path: Path,
    row: Mapping[str, Any],
    cells: Mapping[str, list[str]],
    sites: Mapping[str, Mapping[str, Any]],
    neighbours: Mapping[str, int],
) -> StationRecord:
    station, place = _text(path, row, "id"), _text(path, row, "site")
    site = sites.get(place, {})
    reserves = (("mains-failure", site.get("battery_hours")), ("sync-lost", row.get("holdover_hours")))
    return StationRecord(
        id=station,
        site=place,
        profiles=_words(row, "profiles"),
        transport_address=_text(path, row, "transport_address"),
        cells=tuple(sorted(cells.get(station, ()))),
        region=sys.intern(str(site.get("region") or "")),
        population=int(site.get("population") or 0) // neighbours[place] if station in cells else 0,
        backhaul=sys.intern(str(site.get("backhaul") or "")),
        reserves={fault: float(hours) * 3600 for fault, hours in reserves if hours},
        functions=_words(row, "functions"),
    )


def _with_unit(station: StationRecord, kinds: Mapping[str, str]) -> StationRecord:
    kind = kinds.get(station.functions[0], "") if len(station.functions) == 1 and not station.cells else ""
    return replace(station, unit=kind) if kind in ("vcu-cp", "vcu-up") else station


def _endpoint(path: Path, row: Mapping[str, Any]) -> EndpointRecord:
    port = _number(path, row, "port") if row.get("port") else DEFAULT_PORT
    return EndpointRecord(_text(path, row, "station"), _text(path, row, "address"), port)


def _router(path: Path, row: Mapping[str, Any], sites: Mapping[str, Mapping[str, Any]]) -> RouterRecord:
    site = _text(path, row, "site")
    return RouterRecord(
        id=_text(path, row, "id"),
        site=site,
        address=_text(path, row, "address"),
        port=_number(path, row, "port") if row.get("port") else DEFAULT_ROUTER_PORT,
        platform=str(row.get("platform") or "cisco_ios"),
        backhaul=sys.intern(str(sites.get(site, {}).get("backhaul") or "")),
    )


def _pools(
    pools: list[tuple[Path, Mapping[str, Any]]], nodes: list[tuple[Path, Mapping[str, Any]]]
) -> tuple[PoolRecord, ...]:
    within: dict[str, list[NodeRecord]] = {}
    for path, row in nodes:
        node = NodeRecord(
            id=_text(path, row, "id"),
            cpus=_number(path, row, "cpus"),
            memory_gb=_number(path, row, "memory_gb"),
            hugepages_gb=_count(path, row, "hugepages_gb"),
            accelerators=_count(path, row, "accelerators"),
            ptp=_truth(path, row, "ptp"),
            failure_domain=str(row.get("failure_domain") or ""),
        )
        within.setdefault(_text(path, row, "pool"), []).append(node)
    found = [
        PoolRecord(
            id=_text(path, row, "id"),
            address=_text(path, row, "address"),
            port=_count(path, row, "port", DEFAULT_POOL_PORT),
            where=_text(path, row, "where"),
            region=str(row.get("region") or ""),
            site=str(row.get("site") or ""),
            nodes=tuple(sorted(within.get(_text(path, row, "id"), ()), key=lambda node: node.id)),
        )
        for path, row in pools
    ]
    return tuple(sorted(found, key=lambda pool: pool.id))


def _package(path: Path, row: Mapping[str, Any]) -> PackageRecord:
    return PackageRecord(
        id=_text(path, row, "id"),
        kind=_text(path, row, "kind"),
        vendor=_text(path, row, "vendor"),
        version=_text(path, row, "version"),
        image=_text(path, row, "image"),
        cpus=_number(path, row, "cpus"),
        memory_gb=_number(path, row, "memory_gb"),
        hugepages_gb=_count(path, row, "hugepages_gb"),
        accelerators=_count(path, row, "accelerators"),
        ptp=_truth(path, row, "ptp"),
        start_seconds=_count(path, row, "start_seconds", 60),
        profiles=_words(row, "profiles"),
    )


def _functions(
    functions: list[tuple[Path, Mapping[str, Any]]], stations: list[StationRecord]
) -> tuple[FunctionRecord, ...]:
    served: dict[str, list[str]] = {}
    for station in stations:
        for name in station.functions:
            served.setdefault(name, []).append(station.id)
    found = [
        FunctionRecord(
            id=_text(path, row, "id"),
            package=_text(path, row, "package"),
            owner=str(row.get("owner") or ""),
            replicas=_count(path, row, "replicas", 1),
            pool=str(row.get("pool") or ""),
            address=str(row.get("address") or ""),
            stations=tuple(served.get(_text(path, row, "id"), ())),
        )
        for path, row in functions
    ]
    return tuple(sorted(found, key=lambda function: function.id))


def _core(path: Path, row: Mapping[str, Any]) -> Core:
    core = row.get("core") or {}
    upfs = {_text(path, node, "address"): node for node in core.get("upf_pool") or ()}
    gateway = core.get("security_gateway") or {}

    def pool(name: str) -> frozenset[str]:
        return frozenset(_text(path, node, "address") for node in core.get(name) or ())

    return Core(
        tenant=_text(path, row, "id"),
        vlan=_number(path, core, "vlan"),
        mme=pool("mme_pool"),
        amf=pool("amf_pool"),
        upf=frozenset(upfs),
        plmns=tuple(str(plmn) for plmn in row.get("plmns") or ()),
        sgw=tuple(sorted({_prefix(path, node) for node in core.get("sgw_pool") or ()})),
        n3=MappingProxyType({upf: _prefix(path, node) for upf, node in upfs.items() if node.get("prefix")}),
        slices=MappingProxyType(
            {upf: frozenset(map(_slice, node["slices"])) for upf, node in upfs.items() if node.get("slices")}
        ),
        gateway=_text(path, gateway, "address") if gateway else "",
        protected=frozenset(map(str, gateway.get("protects") or ("control", "user"))) if gateway else frozenset(),
    )


def _prefix(path: Path, node: Mapping[str, Any]) -> str:
    text = _text(path, node, "prefix")
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise NetworkFileError(f"{path}: prefix {error}") from error


def _slice(row: Mapping[str, Any]) -> str:
    return f"{row.get('sst')}-{str(row.get('sd') or 'FFFFFF').upper()}"


#: Name of the network, and so the seed of its host keys.
NAME = "counted"
_PORT = 8300
#: Addresses 127.20.0.1 and up, as in shipped networks: 250 by 250 for each second octet.
_MOST = 62_500 * 200


def counted(count: int, profile: str = "lte-28658") -> SimulatedNetwork:
    """Stations ``S-00001`` and so on with three cells each, on addresses of their own.

    Raises:
        ValueError: there is no such profile, or there are not so many addresses.
    """
    if profile not in PROFILE_MODULES:
        raise ValueError(f"there is no profile {profile!r}, only {', '.join(sorted(PROFILE_MODULES))}")
    if not 0 < count <= _MOST:
        raise ValueError(f"{count} is no number of stations between 1 and {_MOST}")
    names = [f"S-{number:05}" for number in range(1, count + 1)]
    stations = tuple(
        StationRecord(name, "site", (profile,), f"10.{index // 65536}.{index // 256 % 256}.{index % 256}", _CELLS)
        for index, name in enumerate(names)
    )
    endpoints = {name: EndpointRecord(name, address(index), _PORT) for index, name in enumerate(names)}
    return SimulatedNetwork(NAME, stations, (), endpoints)


_CELLS = ("1", "2", "3")


def address(index: int) -> str:
    """The loopback address of a station by its place in the network, counted from 0."""
    return f"127.{20 + index // 62500}.{index // 250 % 250}.{index % 250 + 1}"


#: Seed of stations that belong to no network.
NO_SEED = "minka"


class Transport(Protocol):
    """The network between a station and the tenants' cores."""

    def carries(self, station: StationRecord, tenant: str, remote: str) -> bool:
        """Whether packets of a station reach a node of a tenant's core."""


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Shared by all stations of a network.

    Attributes:
        transport: Carries packets to the cores; None means that all arrive.
        tenants: The tenant of each PLMN.
        plmns: All PLMNs of the network, in order of the tenants.
    """

    cores: tuple[Core, ...]
    seed: str = NO_SEED
    timezone: tzinfo = UTC
    transport: Transport | None = None
    tenants: Mapping[str, str] = field(init=False)
    plmns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the tenant of each PLMN."""
        tenants = {plmn: core.tenant for core in self.cores for plmn in core.plmns}
        object.__setattr__(self, "tenants", MappingProxyType(tenants))
        object.__setattr__(self, "plmns", tuple(tenants))

    @classmethod
    def of(cls, network: SimulatedNetwork, seed: str | None = None, transport: Transport | None = None) -> Surroundings:
        """The surroundings in a network; the default seed is its id."""
        return cls(network.cores, seed or network.id, ZoneInfo(network.timezone), transport)
