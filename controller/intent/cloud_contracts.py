"""Contracts of virtual stations: the functions that carry each cell, their owners, and the capacity sold of pools."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from controller.intent.central_units import carries
from controller.intent.findings import Check, finding
from controller.intent.packing import PoolPacking
from controller.intent.placement import bought, sold
from controller.intent.sharing import Placed
from controller.models.cloud import Function, FunctionKind, Package
from controller.models.facts import Finding
from controller.models.network import HOST, Network, Plmn, Rat, Snssai, Station
from controller.models.sharing import in_slice_order

#: A function with its package.
_Known = tuple[Function, Package]


def cloud_findings(network: Network, placed: Iterable[Placed], as_of: date) -> Iterator[Finding]:
    """Findings about functions, the stations made of them, and the capacity sold of pools."""
    if not network.functions and not network.pools:
        return
    on_air: dict[str, _Tenants] = defaultdict(_Tenants)
    for cell, shared, _ in placed:
        on_air[cell.station].on[cell.rat].update(one.tenant for one in shared.broadcasts)
    for station in network.stations:
        known = _functions(network, station)
        if known and station.id not in network.central_units:
            for check, text in _of_station(network, station, known, on_air[station.id]):
                yield finding(check, f"station {station.id}: {text}", station=station.id)
    yield from _unused(network)
    yield from _not_bought(network, as_of)
    yield from _oversold(network, as_of)
    yield from _without_room(network)


def _functions(network: Network, station: Station) -> list[_Known]:
    """The known functions of a station, in its order."""
    found = (network.function_by_id.get(name) for name in station.functions)
    return [(one, network.package_by_id[one.package]) for one in found if one and one.package in network.package_by_id]


@dataclass(frozen=True, slots=True)
class _Tenants:
    """Tenants on the cells of a station, by technology."""

    on: Mapping[Rat, set[str]] = field(default_factory=lambda: {rat: set() for rat in Rat})

    @property
    def all(self) -> set[str]:
        """Tenants of all technologies."""
        return set().union(*self.on.values())


def _of(known: Iterable[_Known], *kinds: FunctionKind) -> list[_Known]:
    return [one for one in known if one[1].kind in kinds]


def _names(known: Iterable[_Known]) -> str:
    return ", ".join(function.id for function, _ in known) or "none"


def _of_station(
    network: Network, station: Station, known: Sequence[_Known], tenants: _Tenants
) -> Iterator[tuple[Check, str]]:
    radio = [one for one in known if one[1].kind.is_radio]
    ways = list(_path(radio, nr=Rat.NR in station.rats)) if radio else []
    yield from ((Check.FUNCTION_PATH, text) for text in ways)
    if not ways:
        yield from ((Check.FUNCTION_TENANT, text) for text in _sides(known, tenants))
    yield from ((Check.FUNCTION_LATENCY, text) for text in _far(network, station, known))
    for function, package in _of(known, FunctionKind.VBBU, FunctionKind.VDU):
        missing = [profile for profile in station.profiles if profile not in package.profiles]
        if missing:
            text = f"{function.id} speaks {', '.join(package.profiles)} ({package.id}) and not {', '.join(missing)}"
            yield Check.FUNCTION_PROFILE, text
    yield from ((Check.FUNCTION_VERSIONS, text) for text in _incompatible(known))


def _path(known: Sequence[_Known], *, nr: bool) -> Iterator[str]:
    """Reasons why cells do not have exactly one path: a vBBU, or a DU, and for NR cells one CU-CP and CU-UPs.

    A DU with an LTE profile is a whole eNB for its LTE cells.
    """
    units = _of(known, FunctionKind.VBBU, FunctionKind.VDU)
    control, user = _of(known, FunctionKind.VCU_CP), _of(known, FunctionKind.VCU_UP)
    if len(units) != 1:
        yield f"{_names(units)} of its functions is a vdu or vbbu; it needs exactly one, which is its endpoint"
    elif units[0][1].kind is FunctionKind.VBBU:
        if control or user:
            yield f"{_names([*control, *user])} beside the vbbu {units[0][0].id}, which has its CU within itself"
    elif nr:
        if len(control) != 1:
            yield f"{_names(control)} of its functions is a vcu-cp; with a vdu it needs exactly one"
        if not user:
            yield "none of its functions is a vcu-up; with a vdu it needs one, or one for each tenant"


def _sides(known: Sequence[_Known], tenants: _Tenants) -> Iterator[str]:
    """Tenants that another tenant's function would carry, that no function carries, or that two carry."""
    for function, package in known:
        others = sorted(tenants.all - {function.owner})
        if function.owner is None or package.kind is FunctionKind.GATEWAY:
            continue
        if package.kind is not FunctionKind.VCU_UP and others:
            yield f"{function.id} is {function.owner}'s own, and would carry {', '.join(others)}"
        elif function.owner not in tenants.all:
            yield f"{function.id} is {function.owner}'s own, which has no cell there by an agreement in force"
    user: dict[str, list[str]] = defaultdict(list)
    for function, _ in _of(known, FunctionKind.VCU_UP):
        user[function.side].append(function.id)
    for side, names in sorted(user.items()):
        if len(names) > 1:
            yield f"{' and '.join(names)} are vcu-ups of {side}; which of them carries a cell is then open"
    if user and HOST not in user and (without := sorted(tenants.on[Rat.NR] - user.keys())):
        yield f"no vcu-up carries {', '.join(without)}: {_names(_of(known, FunctionKind.VCU_UP))} is for others"


def _far(network: Network, station: Station, known: Sequence[_Known]) -> Iterator[str]:
    for function, package in known:
        limit = function.max_latency_us
        if limit is None or not package.kind.is_radio:
            continue
        ways = network.delays.ways_us(function.id, station.id)
        ends = network.delays.du_pools.get(station.id, ()) if package.kind.is_central else ()
        if function.pool is None:
            if not network.delays.pools_for[function.id]:
                count = len(network.stations_served[function.id])
                of = f"all {count} stations of" if count > 1 else "it, for"
                yield f"no pool is within {limit} µs of {of} {function.id}{_of_du(ends)}"
        elif function.pool not in ways:
            rows = f"no rows of latencies lead to {', '.join(ends)}" if ends else "no row of latencies names both"
            yield f"{function.id} is pinned to {function.pool}, which is out of reach: {rows}"
        elif ways[function.pool] > limit:
            far = f"{ways[function.pool]} µs away{_of_du(ends)}; it bears {limit}"
            yield f"{function.id} is pinned to {function.pool}, {far}"


def _of_du(pools: Sequence[str]) -> str:
    return f", counted to where the DU here may run: {', '.join(pools)}" if pools else ""


def _incompatible(known: Sequence[_Known]) -> Iterator[str]:
    """Functions without a common release of F1 or E1."""
    ends = (("f1", FunctionKind.VDU, FunctionKind.VCU_CP), ("e1", FunctionKind.VCU_CP, FunctionKind.VCU_UP))
    for interface, one_kind, other_kind in ends:
        for one, package in _of(known, one_kind):
            for other, its in _of(known, other_kind):
                here, there = getattr(package, interface), getattr(its, interface)
                if not set(here) & set(there):
                    yield (
                        f"{one.id} and {other.id} have no release of {interface.upper()} in common: "
                        f"{package.id} accepts {', '.join(here)}, {its.id} accepts {', '.join(there)}"
                    )


def _unused(network: Network) -> Iterator[Finding]:
    for function in network.functions:
        package = network.package_by_id.get(function.package)
        if package is not None and package.kind.is_radio and not network.stations_served[function.id]:
            text = f"function {function.id}: no station names it"
            yield finding(Check.FUNCTION_UNUSED, text, tenant=function.owner or "", subject=function.id)


def _not_bought(network: Network, as_of: date) -> Iterator[Finding]:
    """Functions of tenants that bought neither the functions nor capacity of a pool where they may run."""
    own, there = bought(network, as_of), sold(network, as_of)
    for function in network.functions:
        pools = network.delays.pools_for[function.id]
        if function.owner is None or function.id in own or any(function.owner in there.get(one, {}) for one in pools):
            continue
        text = (
            f"function {function.id}: no agreement in force of {function.owner} buys it, or cores of a pool that it "
            "may run on: it gets no new place"
        )
        yield finding(Check.FUNCTION_NOT_BOUGHT, text, tenant=function.owner, subject=function.id)


def _oversold(network: Network, as_of: date) -> Iterator[Finding]:
    for name, tenants in sorted(sold(network, as_of).items()):
        pool = network.pool_by_id.get(name)
        if pool is None:
            continue
        room = PoolPacking(pool, network.nodes_of[name], tenants)
        cores, gbps = room.capacity.cpus, pool.uplink_gbps
        links = "its uplink_gbps is not given" if gbps is None else f"its uplink_gbps is {gbps}"
        for unit, part, total, most, there in (
            ("cores", "kept_cores", room.kept, cores, f"{cores} are there beside its reserve"),
            ("Gbit/s", "kept_gbps", room.used_gbps, gbps or 0, links),
        ):
            kept = {tenant: getattr(one, part) for tenant, one in sorted(tenants.items())}
            if total > most:
                listed = ", ".join(f"{tenant} {much:g}" for tenant, much in kept.items() if much)
                text = f"pool {name}: {total:g} {unit} are sold and kept, and {there} ({listed})"
                yield finding(Check.POOL_OVERSOLD, text, station=name)


def _without_room(network: Network) -> Iterator[Finding]:
    """Pools on which nothing can run: without nodes, or with no more of them than their reserve."""
    for pool in network.pools:
        apart = len({node.domain for node in network.nodes_of[pool.id]})
        if apart <= pool.spare_nodes or not apart:
            has = f"{apart} that fail by themselves, and spare_nodes is {pool.spare_nodes}" if apart else "none"
            text = f"pool {pool.id}: nothing can run there: of nodes it has {has}"
            yield finding(Check.POOL_WITHOUT_ROOM, text, station=pool.id)


# ------------------------------------------------------------------- what it carries


def carried(network: Network, as_of: date, name: str) -> Mapping[Plmn, tuple[Snssai, ...]]:
    """PLMNs with their slices, sorted, that a function carries by the agreements in force (TS 28.541 pLMNInfoList).

    A tenant's own function carries only those of that tenant. A CU-UP of the host carries those of tenants without a
    CU-UP at a station.

    Raises:
        KeyError: There is no such function.
    """
    function = network.function_by_id[name]
    found: dict[Plmn, set[Snssai]] = defaultdict(set)
    for agreement in network.agreements:
        tenant = network.tenant_by_id.get(agreement.tenant)
        if tenant is None or not agreement.validity.holds_on(as_of):
            continue
        stations = [one for one in network.stations_served[name] if carries(network, one, function, tenant.id)]
        for cell in network.cells_of(agreement, stations):
            for plmn in agreement.plmns_of(tenant):
                found[plmn].update(agreement.slices_of(tenant) if cell.rat is Rat.NR else ())
    return {plmn: in_slice_order(slices) for plmn, slices in sorted(found.items())}
