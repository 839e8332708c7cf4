"""Core links: which stations need which links to which tenant's core."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from controller.intent.findings import Check, finding
from controller.intent.sharing import CellSharing
from controller.models.facts import CoreLinkFact, Finding, LinkKind
from controller.models.network import CoreNode, Plmn, Rat, Snssai, Station, Tenant
from controller.models.sharing import Plane, in_slice_order


@dataclass(frozen=True, slots=True)
class _Pool:
    """Core nodes to which every station with cells of a technology links."""

    rat: Rat
    kind: LinkKind
    name: str
    vlan: int
    ends: tuple[_FarEnd, ...]

    @property
    def missing(self) -> Check:
        """The finding if a tenant on air has none of them."""
        return Check.USER_PLANE_POOL_MISSING if self.kind.user_plane else Check.CORE_POOL_MISSING


@dataclass(frozen=True, slots=True)
class _FarEnd:
    """The remote end of a link; without ``slices`` it serves all."""

    id: str
    address: str
    networks: tuple[str, ...]
    slices: frozenset[Snssai] = frozenset()


def _pools(tenant: Tenant) -> tuple[_Pool, ...]:
    core = tenant.core

    def pool(rat: Rat, kind: LinkKind, name: str, ends: Iterable[_FarEnd]) -> _Pool:
        if tunnel := core.tunnel_of(kind.plane):
            ends = (replace(end, networks=(str(ip_network(tunnel)),)) for end in ends)
        return _Pool(rat, kind, name, core.vlan, tuple(sorted(ends, key=lambda end: (end.id, end.address))))

    def nodes(of: Iterable[CoreNode]) -> Iterator[_FarEnd]:
        for node in of:
            yield _FarEnd(tenant.link_id(node.id), str(node.address), (str(ip_network(node.address)),))

    gateways = tuple(sorted({str(node.prefix) for node in core.sgw_pool}))
    functions = (
        _FarEnd(tenant.link_id(node.id), str(node.address), (str(node.network),), frozenset(node.slices))
        for node in core.upf_pool
    )
    return (
        pool(Rat.LTE, LinkKind.S1C, "MME", nodes(core.mme_pool)),
        pool(Rat.LTE, LinkKind.S1U, "S-GW", [_FarEnd(tenant.user_link_id, "", gateways)] if gateways else ()),
        pool(Rat.NR, LinkKind.NGC, "AMF", nodes(core.amf_pool)),
        pool(Rat.NR, LinkKind.NGU, "UPF", functions),
    )


class CoreLinks:
    """Works out the core links of stations."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._pools = {tenant.id: _pools(tenant) for tenant in tenants}

    def of(
        self, station: Station, cells: Iterable[tuple[Rat, CellSharing]], planes: Collection[Plane] = frozenset(Plane)
    ) -> tuple[list[CoreLinkFact], list[Finding]]:
        """Links of a station with these cells, by tenant, kind and id, and the findings."""
        facts: list[CoreLinkFact] = []
        findings: list[Finding] = []
        address = str(station.transport_address)
        for tenant, by_rat in sorted(_served(cells).items()):
            for pool in (one for one in self._pools[tenant] if one.kind.plane in planes):
                served = by_rat.get(pool.rat)
                if served is None:
                    continue
                ends = [end for end in pool.ends if not end.slices or end.slices & served.slices]
                if not ends:
                    findings.append(_missing(station, tenant, pool))
                elif lacking := _slices_left_out(served, ends):
                    findings.append(_missing(station, tenant, pool, f" for slice {lacking}"))
                facts.extend(_links(station.id, address, tenant, pool, ends, served))
        findings.extend(_clashes(station, facts))
        return facts, findings


def _links(
    station: str, address: str, tenant: str, pool: _Pool, ends: Iterable[_FarEnd], served: _Served
) -> Iterator[CoreLinkFact]:
    plmns = tuple(sorted(served.plmns))
    for end in ends:
        yield CoreLinkFact(
            station=station,
            kind=pool.kind,
            id=end.id,
            plmns=plmns,
            local_address=address,
            vlan=pool.vlan,
            remote_address=end.address,
            networks=end.networks,
            owners=(tenant,),
        )


@dataclass(slots=True)
class _Served:
    """PLMNs and slices of a tenant on air at a station in one technology."""

    plmns: set[Plmn] = field(default_factory=set)
    slices: set[Snssai] = field(default_factory=set)


def _served(cells: Iterable[tuple[Rat, CellSharing]]) -> Mapping[str, Mapping[Rat, _Served]]:
    """PLMNs and slices on air at a station, by tenant and technology."""
    served: dict[str, dict[Rat, _Served]] = defaultdict(lambda: defaultdict(_Served))
    for rat, shared in cells:
        for broadcast in shared.broadcasts:
            found = served[broadcast.tenant][rat]
            found.plmns.add(broadcast.plmn)
            found.slices.update(broadcast.slices)
    return served


def _slices_left_out(served: _Served, ends: Sequence[_FarEnd]) -> str:
    """Slices on air that none of these ends serves, in words."""
    if any(not end.slices for end in ends):
        return ""
    return ", ".join(map(str, in_slice_order(served.slices.difference(*(end.slices for end in ends)))))


def _missing(station: Station, tenant: str, pool: _Pool, what: str = "") -> Finding:
    field, restriction = f"{pool.name.replace('-', '').lower()}_pool", "slices" if what else "rats"
    text = (
        f"station {station.id}: tenant {tenant} is on air on {pool.rat} cells but has no {pool.name} pool{what}; "
        f"give its {field}, or restrict its agreements by {restriction}"
    )
    return finding(pool.missing, text, station=station.id, tenant=tenant)


def _clashes(station: Station, facts: Iterable[CoreLinkFact]) -> Iterator[Finding]:
    """Clashing ids: they are made of tenant and core node, so ``a-b``/``c`` and ``a``/``b-c`` are equal."""
    for (kind, name), count in Counter((fact.kind, fact.id) for fact in facts).items():
        if count > 1:
            text = f"station {station.id}: {count} {kind} links would be named {name}; rename a core node"
            yield finding(Check.CORE_LINK_CLASH, text, station=station.id)
