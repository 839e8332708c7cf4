"""Checks of objects of network files, alone and together: references, identities, carriers.

``controller.intent`` checks what an agreement needs of its cells (PLMNs per cell and tracking area, sums of shares).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from controller.inventory.access import pool_of
from controller.inventory.radio import (
    BANDS,
    carrier_problems,
    cell_identity,
    code_problems,
    own_problems,
    planned_problems,
)
from controller.inventory.source import Entry, FieldPath, Report
from controller.models.alarm import COUNTED, MAINS_LOST, POWER_CAUSES
from controller.models.cloud import NAMESPACE_LONGEST, Function, Latency, Node, Package, Pool
from controller.models.host_keys import host_key_problem
from controller.models.many import first_names
from controller.models.network import (
    HOST,
    PROFILE_RATS,
    Agreement,
    BackhaulNode,
    Cell,
    Endpoint,
    Neighbour,
    NetworkHeader,
    Noun,
    OwnCell,
    Rat,
    Region,
    Router,
    Site,
    Snssai,
    Station,
    Tenant,
)
from controller.models.scalars import canonical_host

Model = TypeVar("Model", bound=Noun)
Found = list[tuple[Entry, Model]]


#: Likeness of a misspelt id and the right one, of 1, where several objects name the right one.
_LIKE = 0.8


@dataclass(frozen=True)
class _Reference:
    """A field that names an object of a kind, which is called ``noun`` in messages."""

    entry: Entry
    path: FieldPath
    noun: str


@dataclass(frozen=True)
class Objects:
    """The valid objects of all files with their places, and the names of all objects, valid or not, with theirs."""

    found: dict[str, Found[Noun]]
    names: dict[str, dict[str, Entry]]
    report: Report
    _named: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    _unknown: dict[tuple[str, str], list[_Reference]] = dataclasses.field(default_factory=dict)

    def all(self, kind: str, model: type[Model]) -> Found[Model]:
        """The objects of a kind."""
        return [(entry, item) for entry, item in self.found.get(kind, []) if isinstance(item, model)]

    def refer(self, entry: Entry, path: FieldPath, value: str | None, kind: str, noun: str) -> None:
        """Note a reference, for ``report_unknown``."""
        if value is not None and value in self.names[kind]:
            self._named.add((kind, value))
        elif value is not None:
            self._unknown.setdefault((kind, value), []).append(_Reference(entry, path, noun))

    def report_unknown(self) -> None:
        """Report references to unknown objects, once all are known.

        Several objects that agree on a name which nobody has, while nothing names an object whose name is like it: the
        mistake is that object's, and is reported there once. Nothing is reported while a file is unreadable, since the
        object may be there.
        """
        for (kind, value), references in self._unknown.items() if self.report.complete else ():
            unnamed = [name for name in self.names[kind] if (kind, name) not in self._named]
            agree = unnamed and len({id(one.entry) for one in references}) > 1
            misspelt = self.report.nearest(value, unnamed, _LIKE) if agree else ""
            if misspelt:
                entry, first = self.names[kind][misspelt], references[0]
                told = f"nothing names it, and {len(references)} references go to {value!r}, as of {first.entry.label}"
                expected = f"did you mean {value!r}?"
                self.report.entry(entry, ("id",), f"{told}, {at(first.entry)}", value=misspelt, expected=expected)
                continue
            for one in references:
                expected = self.report.did_you_mean(value, self.names[kind])
                self.report.entry(one.entry, one.path, f"no such {one.noun}", value=value, expected=expected)

    def unique(
        self, found: Iterable[tuple[Entry, Model]], key: Callable[[Model], Hashable], path: FieldPath, what: str
    ) -> None:
        """Report objects with equal values that must be unique; a key of None is not compared."""
        first: dict[Hashable, Entry] = {}
        for entry, item in found:
            value = key(item)
            if value is None:
                continue
            if value in first:
                self.report.entry(entry, path, f"the same {what} as {first[value].label}, {at(first[value])}")
            else:
                first[value] = entry


def at(entry: Entry) -> str:
    """Place of an object, in words."""
    return f"{entry.file} line {entry.line}"


def check_header(objects: Objects) -> NetworkHeader | None:
    """The single header of the network."""
    found = objects.all("network", NetworkHeader)
    for entry, _ in found[1:]:
        objects.report.entry(entry, (), f"the network is described twice; first in {at(found[0][0])}")
    if not found and not objects.names["network"] and objects.report.complete:
        objects.report.file("network.yaml", 0, "there is no 'network' key in any file", "it holds id, name, country …")
    return found[0][1] if found else None


def check_places(objects: Objects) -> None:
    """Regions, backhaul, sites, routers."""
    for kind, model in (("regions", Region), ("backhaul", BackhaulNode), ("sites", Site), ("routers", Router)):
        objects.unique(objects.all(kind, model), lambda item: getattr(item, "id", None), ("id",), "id")
    for entry, node in objects.all("backhaul", BackhaulNode):
        objects.refer(entry, ("parent",), node.parent, "backhaul", "backhaul node")
    for entry, site in objects.all("sites", Site):
        objects.refer(entry, ("region",), site.region, "regions", "region")
        objects.refer(entry, ("backhaul",), site.backhaul, "backhaul", "backhaul node")
    for entry, router in objects.all("routers", Router):
        objects.refer(entry, ("site",), router.site, "sites", "site")
        _check_name(objects, entry, router.id, ("stations",))
        _check_host_key(objects, entry, router.host_key)
    _check_cycles(objects)


def _check_name(objects: Objects, entry: Entry, name: str, kinds: Iterable[str]) -> None:
    """Ids of devices are unique over all kinds, since commands, runs and records use the id alone."""
    for kind in kinds:
        if name in objects.names[kind]:
            objects.report.entry(entry, ("id",), f"a {kind[:-1]} has the same id", value=name)


def check_stations(objects: Objects) -> None:
    """Stations and their endpoints."""
    stations = objects.all("stations", Station)
    packages = {package.id for _, package in objects.all("packages", Package) if package.kind.is_central}
    central = {one.id for _, one in objects.all("functions", Function) if one.package in packages}
    objects.unique(stations, lambda s: s.id, ("id",), "id")
    objects.unique(stations, lambda s: s.transport_address, ("transport_address",), "transport address")
    objects.unique(stations, _node_id(Rat.LTE), ("enb_id",), "eNB id")
    # Stations under one central unit are one gNB; a contract check verifies that.
    whole = [(entry, station) for entry, station in stations if not _is_part(station, central)]
    objects.unique(whole, _node_id(Rat.NR), ("gnb_id",), "gNB id")
    hosts = [header.host_plmn for _, header in objects.all("network", NetworkHeader) if header.host_plmn]
    _check_plmns(objects, stations, ("enb_plmn", "gnb_plmn"), hosts)
    for entry, station in stations:
        objects.refer(entry, ("site",), station.site, "sites", "site")
        objects.refer(entry, ("owner",), station.owner, "tenants", "tenant")
        for index, function in enumerate(station.functions):
            objects.refer(entry, ("functions", index), function, "functions", "function")
    endpoints = objects.all("endpoints", Endpoint)
    objects.unique(endpoints, lambda e: e.station, ("station",), "station")
    objects.unique(endpoints, _address, ("address",), "address and port")
    calling = [(entry, endpoint) for entry, endpoint in endpoints if endpoint.call_home]
    objects.unique(calling, lambda e: e.host_key, ("host_key",), "host key, by which callers are known,")
    objects.unique(calling, lambda e: e.certificate, ("certificate",), "certificate, by which callers are known,")
    named = [(entry, endpoint) for entry, endpoint in calling if endpoint.authority and not endpoint.certificate]
    what = "name in a certificate, by which callers are known,"
    objects.unique(named, lambda e: canonical_host(e.certified_name), ("address",), what)
    for entry, endpoint in endpoints:
        objects.refer(entry, ("station",), endpoint.station, "stations", "station")
        _check_host_key(objects, entry, endpoint.host_key)


def _check_host_key(objects: Objects, entry: Entry, key: str | None) -> None:
    """Report a pinned key that is none. The models take it, since networks on record may have one."""
    if key is not None and (problem := host_key_problem(key)):
        expected = "copy the whole line that the device shows, as by `ssh-keyscan -p PORT ADDRESS`, without the address"
        objects.report.entry(entry, ("host_key",), problem, expected=expected)


def _address(endpoint: Endpoint | Pool) -> Hashable:
    path = pool.path if (pool := pool_of(endpoint)) is not None else None
    return None if endpoint.address is None else (endpoint.address.lower(), endpoint.port, path)


def _check_plmns(objects: Objects, entries: Found[Model], fields: Iterable[str], others: Collection[str] = ()) -> None:
    """Check that fields hold PLMNs of tenants, or ``others``; not possible while a tenant is unreadable."""
    tenants = objects.all("tenants", Tenant)
    if len(tenants) != len(objects.names["tenants"]) or not objects.report.complete:
        return
    known = {*others, *(plmn for _, tenant in tenants for plmn in tenant.plmns)}
    for entry, item in entries:
        for field in fields:
            plmn = getattr(item, field)
            if plmn is not None and plmn not in known:
                # The nearest one by its digits is another operator's: nobody means that.
                expected = f"tenants.yaml has {first_names(sorted(known))}"
                objects.report.entry(entry, (field,), "the PLMN of no tenant", value=plmn, expected=expected)


def _is_part(station: Station, central: set[str]) -> bool:
    return not central.isdisjoint(station.functions)


def _node_id(rat: Rat) -> Callable[[Station], Hashable]:
    return lambda station: None if station.node_id(rat)[0] is None else station.node_id(rat)


def _check_cycles(objects: Objects) -> None:
    """Report every cycle of the backhaul once, at its first node by id."""
    nodes = {node.id: (entry, node) for entry, node in objects.all("backhaul", BackhaulNode)}
    done: set[str] = set()
    for start in sorted(nodes):
        path: list[str] = []
        here: str | None = start
        while here in nodes and here not in done and here not in path:
            path.append(here)
            here = nodes[here][1].parent
        if here in path:
            cycle = path[path.index(here) :]
            entry, node = nodes[min(cycle)]
            turn = cycle.index(node.id)
            way = " → ".join([*cycle[turn:], *cycle[:turn], node.id])
            objects.report.entry(entry, ("parent",), f"the backhaul goes in a circle: {way}", value=node.parent)
        done.update(path)


# ----------------------------------------------------------------------- cells


def check_cells(objects: Objects) -> None:
    """Check every cell by itself, against its station and against all others."""
    cells = objects.all("cells", Cell)
    stations = {station.id: station for _, station in objects.all("stations", Station)}
    objects.unique(cells, lambda cell: (cell.station, cell.id), ("id",), "id")
    objects.unique(cells, lambda cell: _identity(cell, stations), ("local_id",), "global cell identity")
    _check_plmns(objects, cells, ("primary_plmn",))
    for entry, cell in cells:
        objects.refer(entry, ("station",), cell.station, "stations", "station")
        _check_codes(objects, entry, cell, stations.get(cell.station))
        _check_carrier(objects, entry, cell)


def _identity(cell: Cell, stations: dict[str, Station]) -> Hashable:
    station = stations.get(cell.station)
    number = None if station is None else cell_identity(cell, station)
    return None if number is None else (cell.rat, number)


def _check_codes(objects: Objects, entry: Entry, cell: Cell, station: Station | None) -> None:
    """Profile, identity and codes."""
    if station is not None and all(PROFILE_RATS[profile] is not cell.rat for profile in station.profiles):
        fitting = " or ".join(profile for profile, rat in PROFILE_RATS.items() if rat is cell.rat)
        message, expected = f"{station.id} has no profile for {cell.rat}", f"add {fitting} to its profiles"
        objects.report.entry(entry, ("rat",), message, value=cell.rat, expected=expected)
        station = None
    for field, message, expected in code_problems(cell, station):
        objects.report.entry(entry, (field,), message, value=getattr(cell, field), expected=expected)


def _check_carrier(objects: Objects, entry: Entry, cell: Cell) -> None:
    band = BANDS.get(cell.band)
    if band is None:
        expected = objects.report.did_you_mean(cell.band, BANDS) or f"bands are {', '.join(BANDS)}"
        objects.report.entry(entry, ("band",), "no such band", value=cell.band, expected=expected)
        return
    for field, message, expected in (*carrier_problems(cell, band), *planned_problems(cell)):
        objects.report.entry(entry, (field,), message, value=getattr(cell, field), expected=expected)


def check_own_cells(objects: Objects) -> None:
    """Check tenants' own cells: known cells and tenants, each pair once, with codes in range."""
    found = objects.all("own_cells", OwnCell)
    cells = {(cell.station, cell.id): cell for _, cell in objects.all("cells", Cell)}
    tenants = {tenant.id: tenant for _, tenant in objects.all("tenants", Tenant)}
    objects.unique(found, lambda own: (own.station, own.cell, own.tenant), ("tenant",), "cell and tenant")
    for entry, own in found:
        objects.refer(entry, ("tenant",), own.tenant, "tenants", "tenant")
        objects.refer(entry, ("cell",), f"{own.station}/{own.cell}", "cells", "cell")
        cell, tenant = cells.get((own.station, own.cell)), tenants.get(own.tenant)
        for field, message, expected in own_problems(own, cell.rat) if cell is not None else ():
            objects.report.entry(entry, (field,), message, value=getattr(own, field), expected=expected)
        if cell is not None and tenant is not None and cell.primary_plmn in tenant.plmns:
            message = f"the primary PLMN {cell.primary_plmn} of the cell is this tenant's"
            expected = "its TAC and identity are those of the cell: leave the row out"
            objects.report.entry(entry, ("tenant",), message, value=own.tenant, expected=expected)


def check_neighbours(objects: Objects) -> None:
    """Check relations: from a cell to another one, each once."""
    found = objects.all("neighbours", Neighbour)
    objects.unique(found, lambda one: (one.station, one.id), ("neighbour_cell",), "relation")
    for entry, one in found:
        here, there = f"{one.station}/{one.cell}", f"{one.neighbour_station}/{one.neighbour_cell}"
        objects.refer(entry, ("cell",), here, "cells", "cell")
        objects.refer(entry, ("neighbour_cell",), there, "cells", "cell")
        if here == there:
            objects.report.entry(entry, ("neighbour_cell",), "is the cell itself", value=there, expected="another cell")


# -------------------------------------------------------- pools and functions


def check_pools(objects: Objects) -> None:
    """Check pools, their nodes and their distances from sites."""
    pools = objects.all("pools", Pool)
    objects.unique(pools, lambda pool: pool.id, ("id",), "id")
    objects.unique(pools, _address, ("address",), "address and port")
    for entry, pool in pools:
        objects.refer(entry, ("region",), pool.region, "regions", "region")
        objects.refer(entry, ("site",), pool.site, "sites", "site")
        _check_name(objects, entry, pool.id, ("stations", "routers"))
    nodes = objects.all("nodes", Node)
    objects.unique(nodes, lambda node: (node.pool, node.id), ("id",), "id")
    for entry, node in nodes:
        objects.refer(entry, ("pool",), node.pool, "pools", "pool")
    latencies = objects.all("latencies", Latency)
    objects.unique(latencies, lambda one: (one.pool, one.site), ("site",), "pool and site")
    for entry, one in latencies:
        objects.refer(entry, ("pool",), one.pool, "pools", "pool")
        objects.refer(entry, ("site",), one.site, "sites", "site")


def check_functions(objects: Objects) -> None:
    """Check packages, and functions made from them."""
    packages = objects.all("packages", Package)
    objects.unique(packages, lambda package: package.id, ("id",), "id")
    _check_images(objects, packages)
    functions = objects.all("functions", Function)
    objects.unique(functions, lambda function: function.id.lower(), ("id",), "id, in small letters,")
    objects.unique(functions, lambda function: function.address and function.address.lower(), ("address",), "address")
    known = {package.id: package for _, package in packages}
    for entry, function in functions:
        objects.refer(entry, ("package",), function.package, "packages", "package")
        objects.refer(entry, ("owner",), function.owner, "tenants", "tenant")
        objects.refer(entry, ("pool",), function.pool, "pools", "pool")
        _check_name(objects, entry, function.id, ("stations", "routers", "pools"))
        for index, other in enumerate(function.apart_from):
            objects.refer(entry, ("apart_from", index), other, "functions", "function")
        _check_function(objects, entry, function, known.get(function.package))


def _check_images(objects: Objects, packages: Found[Package]) -> None:
    """An image is one release of one kind of function, of which there may be packages of several sizes."""
    releases: dict[Hashable, tuple[Entry, Package]] = {}
    for entry, package in packages:
        releases.setdefault((package.image, package.kind, package.vendor, package.version), (entry, package))
    what = "image, which is one kind and version of a vendor,"
    objects.unique(releases.values(), lambda package: package.image, ("image",), what)


def _check_function(objects: Objects, entry: Entry, function: Function, package: Package | None) -> None:
    if function.id in function.apart_from:
        objects.report.entry(entry, ("apart_from",), "names the function itself", value=function.id)
    if function.owner is not None and len(function.owner) > NAMESPACE_LONGEST:
        expected = f"an id of at most {NAMESPACE_LONGEST} characters: it becomes part of a Kubernetes namespace"
        objects.report.entry(entry, ("owner",), "too long for the owner of functions", expected=expected)
    if package is None:
        return
    if package.kind.is_radio and function.max_latency_us is None:
        objects.report.entry(entry, ("max_latency_us",), f"missing: {package.id} is a {package.kind}")
    if package.kind.is_endpoint and function.replicas > 1:
        message = f"{package.id} is a {package.kind}, which is one endpoint"
        objects.report.entry(entry, ("replicas",), message, value=function.replicas, expected="1 replica")


# ------------------------------------------------------ tenants and agreements


def check_tenants(objects: Objects) -> None:
    """Check that each PLMN and VLAN belongs to one tenant, since these separate tenants."""
    tenants = objects.all("tenants", Tenant)
    objects.unique(tenants, lambda tenant: tenant.id, ("id",), "id")
    objects.unique(tenants, lambda tenant: tenant.core.vlan, ("core", "vlan"), "VLAN")
    for field in ("x2_vlan", "xn_vlan"):
        for head, header in objects.all("network", NetworkHeader):
            for entry, tenant in tenants:
                if tenant.core.vlan == getattr(header, field):
                    message = f"the same VLAN as {field} of the network, {at(head)}"
                    objects.report.entry(entry, ("core", "vlan"), message, value=tenant.core.vlan)
    owners: dict[str, Entry] = {}
    for entry, tenant in tenants:
        for index, plmn in enumerate(tenant.plmns):
            if plmn in owners:
                message = f"the PLMN is given already to {owners[plmn].label}, {at(owners[plmn])}"
                objects.report.entry(entry, ("plmns", index), message, value=plmn)
            owners.setdefault(plmn, entry)
        _doubles(objects, entry, ("slices",), [str(slice_) for slice_ in tenant.slices])
        _check_core(objects, entry, tenant)
    _check_user_plane(objects, tenants)


def _check_core(objects: Objects, entry: Entry, tenant: Tenant) -> None:
    core = tenant.core
    for name, pool in (("mme_pool", core.mme_pool), ("amf_pool", core.amf_pool), ("upf_pool", core.upf_pool)):
        _doubles(objects, entry, ("core", name), [node.id for node in pool])
        _doubles(objects, entry, ("core", name), [str(node.address) for node in pool])
    _doubles(objects, entry, ("core", "sgw_pool"), [gateways.id for gateways in core.sgw_pool])
    for index, upf in enumerate(core.upf_pool):
        for number, slice_ in enumerate(upf.slices):
            if slice_ not in tenant.slices:
                _report_slice(objects, entry, ("core", "upf_pool", index, "slices", number), tenant, slice_)


@dataclass(frozen=True, slots=True)
class _Claim:
    """Addresses from ``first`` to ``last`` of an owner: a network of a tenant's user plane, or a station."""

    version: int
    first: int
    last: int
    entry: Entry
    path: FieldPath = ()
    text: str = ""
    tenant: str = ""
    shared: bool = False

    def may_lie_in(self, other: _Claim) -> bool:
        """Whether it may contain addresses of another claim: one node can be both S-GW and UPF of its tenant."""
        if self.tenant == other.tenant:
            return self.path[1] != other.path[1]
        return self.shared and other.shared


def _check_user_plane(objects: Objects, tenants: Found[Tenant]) -> None:
    """Check that networks of the user plane are disjoint, or marked as shared, and contain no station of ours.

    A tenant's VRF has its own networks on one side and the stations on the other; a network can't be on both.
    """
    claims = [claim for entry, tenant in tenants for claim in _claims(entry, tenant)]
    if not claims:
        return
    for entry, station in objects.all("stations", Station):
        address = station.transport_address
        claims.append(_Claim(address.version, int(address), int(address), entry))
    claims.sort(key=lambda claim: (claim.version, claim.first, -claim.last, not claim.tenant))
    around: list[_Claim] = []
    holding: set[tuple[int, FieldPath]] = set()
    for claim in claims:
        while around and (around[-1].version != claim.version or around[-1].last < claim.first):
            around.pop()
        if claim.tenant:
            _report_overlap(objects, claim, around)
            around.append(claim)
        elif around and (key := (id(around[-1].entry), around[-1].path)) not in holding:
            holding.add(key)
            message = f"holds the transport address of {claim.entry.label}, {at(claim.entry)}"
            objects.report.entry(around[-1].entry, around[-1].path, message, value=around[-1].text)


def _report_overlap(objects: Objects, claim: _Claim, around: Iterable[_Claim]) -> None:
    other = next((other for other in around if not claim.may_lie_in(other)), None)
    if other is not None:
        message = f"overlaps {other.text} of {other.entry.label}, {at(other.entry)}"
        expected = "disjoint networks" + (", or shared: true in both" if claim.tenant != other.tenant else "")
        objects.report.entry(claim.entry, claim.path, message, value=claim.text, expected=expected)


def _claims(entry: Entry, tenant: Tenant) -> Iterator[_Claim]:
    named = [
        *(("sgw_pool", index, "prefix", node.prefix, node.shared) for index, node in enumerate(tenant.core.sgw_pool)),
        *(
            ("upf_pool", index, "address" if node.prefix is None else "prefix", node.network, node.shared)
            for index, node in enumerate(tenant.core.upf_pool)
        ),
    ]
    for pool, index, field, network, shared in named:
        ends = int(network.network_address), int(network.broadcast_address)
        path = ("core", pool, index, field)
        yield _Claim(network.version, *ends, entry, path, str(network), tenant.id, shared)
    if (gateway := tenant.core.security_gateway) is not None:
        at_one, there = int(gateway.address), ("core", "security_gateway", "address")
        text = str(gateway.address)
        yield _Claim(gateway.address.version, at_one, at_one, entry, there, text, tenant.id, gateway.shared)


def _doubles(objects: Objects, entry: Entry, path: tuple[str, ...], values: Iterable[Hashable]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            objects.report.entry(entry, path, f"{value} is given twice")


def check_agreements(objects: Objects) -> None:
    """Check that agreements refer to known objects, and to what belongs to the tenant."""
    agreements = objects.all("agreements", Agreement)
    objects.unique(agreements, lambda agreement: agreement.id, ("id",), "id")
    tenants = {tenant.id: tenant for _, tenant in objects.all("tenants", Tenant)}
    for entry, agreement in agreements:
        objects.refer(entry, ("tenant",), agreement.tenant, "tenants", "tenant")
        _check_scope(objects, entry, agreement)
        _doubles(objects, entry, ("shares",), [share.resource.value for share in agreement.shares])
        for index, cause in enumerate(agreement.sla.outside_causes):
            if wrong := _not_outside(cause):
                message, expected = wrong
                objects.report.entry(entry, ("sla", "outside_causes", index), message, value=cause, expected=expected)
        _doubles(objects, entry, ("sla", "outside_causes"), agreement.sla.outside_causes)
        _check_capacity(objects, entry, agreement)
        if agreement.tenant in tenants:
            _check_subset(objects, entry, agreement, tenants[agreement.tenant])


def _not_outside(cause: str) -> tuple[str, str] | None:
    """Why a cause can't be outside of a contract, and what can; None where it can."""
    if cause in COUNTED:
        return "is the outage itself and no cause of one", f"the cause of a root, as in {MAINS_LOST}"
    if cause in POWER_CAUSES - {MAINS_LOST}:
        return (
            "may be a fault of the host's own power unit, rectifier or battery, and proves nothing of the mains",
            f"{MAINS_LOST}, which an external input of the site (external_inputs) or the AlarmList tells",
        )
    return None


def _check_capacity(objects: Objects, entry: Entry, agreement: Agreement) -> None:
    owners = {function.id: function.owner for _, function in objects.all("functions", Function)}
    _doubles(objects, entry, ("capacity",), [one.pool for one in agreement.capacity])
    _doubles(objects, entry, ("functions",), agreement.functions)
    for index, one in enumerate(agreement.capacity):
        objects.refer(entry, ("capacity", index, "pool"), one.pool, "pools", "pool")
    for index, name in enumerate(agreement.functions):
        objects.refer(entry, ("functions", index), name, "functions", "function")
        if name in owners and owners[name] != agreement.tenant:
            said, expected = "is not a function of the tenant's own", f"its owner is {owners[name] or HOST}"
            objects.report.entry(entry, ("functions", index), said, value=name, expected=expected)
    for number, line in enumerate(agreement.prices.lines if agreement.prices else ()):
        for index, pool in enumerate(line.pools):
            objects.refer(entry, ("prices", "lines", number, "pools", index), pool, "pools", "pool")


def _check_scope(objects: Objects, entry: Entry, agreement: Agreement) -> None:
    scope = agreement.scope
    for kind, noun, values in (
        ("regions", "region", scope.regions),
        ("sites", "site", scope.sites),
        ("stations", "station", scope.stations),
        ("cells", "cell", scope.cells),
    ):
        for index, value in enumerate(values):
            objects.refer(entry, ("scope", kind, index), value, kind, noun)
    for index, band in enumerate(scope.bands):
        if band not in BANDS:
            expected = objects.report.did_you_mean(band, BANDS) or f"bands are {', '.join(BANDS)}"
            objects.report.entry(entry, ("scope", "bands", index), "no such band", value=band, expected=expected)


def _check_subset(objects: Objects, entry: Entry, agreement: Agreement, tenant: Tenant) -> None:
    foreign_plmns, foreign_slices = agreement.not_of(tenant)
    for index, plmn in enumerate(agreement.plmns):
        if plmn in foreign_plmns:
            expected = f"{tenant.id} has {', '.join(tenant.plmns)}"
            objects.report.entry(entry, ("plmns", index), "not a PLMN of the tenant", value=plmn, expected=expected)
    for index, slice_ in enumerate(agreement.slices):
        if slice_ in foreign_slices:
            _report_slice(objects, entry, ("slices", index), tenant, slice_)


def _report_slice(objects: Objects, entry: Entry, path: FieldPath, tenant: Tenant, slice_: Snssai) -> None:
    expected = f"{tenant.id} has {', '.join(map(str, tenant.slices)) or 'none'}"
    objects.report.entry(entry, path, f"{slice_} is not a slice of the tenant", expected=expected)
