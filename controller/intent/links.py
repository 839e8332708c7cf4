"""Core links: which stations need which links to which tenant's core."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import NamedTuple

from controller.intent.findings import Check, finding
from controller.intent.sharing import CellSharing
from controller.models.facts import CoreLinkFact, Finding, LinkKind
from controller.models.network import CoreNode, Plmn, Rat, Snssai, Station, Tenant
from controller.models.sharing import Plane, in_slice_order


@dataclass(frozen=True, slots=True)
class LinkedCell:
    """A cell whose node has links to cores.

    Attributes:
        rat: Its technology.
        standalone: Whether its node signals with cores of its own technology. An NR cell that does not (EN-DC) reaches
            the user plane of LTE alone, and the anchors signal.
    """

    sharing: CellSharing
    rat: Rat
    standalone: bool = True


class _Way(NamedTuple):
    """How a node reaches cores; see ``LinkedCell``."""

    node: Rat
    standalone: bool

    def leads_to(self, pool: _Pool) -> bool:
        """Whether it has links to a pool."""
        return pool.kind.core is self.node if self.standalone else pool.kind is LinkKind.S1U


@dataclass(frozen=True, slots=True)
class _Pool:
    """Core nodes to which every station with cells of a technology links."""

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

    def pool(kind: LinkKind, name: str, ends: Iterable[_FarEnd]) -> _Pool:
        if tunnel := core.tunnel_of(kind.plane):
            ends = (replace(end, networks=(str(ip_network(tunnel)),)) for end in ends)
        return _Pool(kind, name, core.vlan, tuple(sorted(ends, key=lambda end: (end.id, end.address))))

    def nodes(of: Iterable[CoreNode]) -> Iterator[_FarEnd]:
        for node in of:
            yield _FarEnd(tenant.link_id(node.id), str(node.address), (str(ip_network(node.address)),))

    gateways = tuple(sorted({str(node.prefix) for node in core.sgw_pool}))
    users = (
        [_FarEnd(tenant.user_link_id, str(next(iter(ip_network(gateways[0]).hosts()))), gateways)] if gateways else ()
    )
    functions = (
        _FarEnd(tenant.link_id(node.id), str(node.address), (str(node.network),), frozenset(node.slices))
        for node in core.upf_pool
    )
    return (
        pool(LinkKind.S1C, "MME", nodes(core.mme_pool)),
        pool(LinkKind.S1U, "S-GW", users),
        pool(LinkKind.NGC, "AMF", nodes(core.amf_pool)),
        pool(LinkKind.NGU, "UPF", functions),
    )


class CoreLinks:
    """Works out the core links of stations."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._pools = {tenant.id: _pools(tenant) for tenant in tenants}

    def of(
        self, station: Station, cells: Iterable[LinkedCell], planes: Collection[Plane] = frozenset(Plane)
    ) -> tuple[list[CoreLinkFact], list[Finding]]:
        """Links of a station with these cells, by tenant, kind, node and id, and the findings."""
        facts: list[CoreLinkFact] = []
        findings: list[Finding] = []
        for tenant, by_way in sorted(_served(cells).items()):
            for pool in (one for one in self._pools[tenant] if one.kind.plane in planes):
                for way, served in sorted(by_way.items()):
                    if way.leads_to(pool):
                        ends = [end for end in pool.ends if not end.slices or end.slices & served.slices]
                        findings.extend(_lacking(station, tenant, way, pool, ends, served))
                        facts.extend(_links(station, tenant, way, pool, ends, served))
        findings.extend(_clashes(station, facts))
        return facts, findings


def _lacking(
    station: Station, tenant: str, way: _Way, pool: _Pool, ends: Sequence[_FarEnd], served: _Served
) -> Iterator[Finding]:
    if not ends:
        yield _missing(station, tenant, way, pool)
    elif lacking := _slices_left_out(served, ends):
        yield _missing(station, tenant, way, pool, f" for slice {lacking}")


def _links(
    station: Station, tenant: str, way: _Way, pool: _Pool, ends: Iterable[_FarEnd], served: _Served
) -> Iterator[CoreLinkFact]:
    plmns, address = tuple(sorted(served.plmns)), str(station.transport_address)
    for end in ends:
        yield CoreLinkFact(
            station=station.id,
            rat=way.node,
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


def _served(cells: Iterable[LinkedCell]) -> Mapping[str, Mapping[_Way, _Served]]:
    """PLMNs and slices on air at a station, by tenant and way to a core."""
    served: dict[str, dict[_Way, _Served]] = defaultdict(lambda: defaultdict(_Served))
    for cell in cells:
        for broadcast in cell.sharing.broadcasts:
            found = served[broadcast.tenant][_Way(cell.rat, cell.standalone)]
            found.plmns.add(broadcast.plmn)
            found.slices.update(broadcast.slices)
    return served


def _slices_left_out(served: _Served, ends: Sequence[_FarEnd]) -> str:
    """Slices on air that none of these ends serves, in words."""
    if any(not end.slices for end in ends):
        return ""
    return ", ".join(map(str, in_slice_order(served.slices.difference(*(end.slices for end in ends)))))


def _missing(station: Station, tenant: str, way: _Way, pool: _Pool, what: str = "") -> Finding:
    field, restriction = f"{pool.name.replace('-', '').lower()}_pool", "slices" if what else "rats"
    text = (
        f"station {station.id}: tenant {tenant} is on air on {way.node} cells but has no {pool.name} pool{what}; "
        f"give its {field}, or restrict its agreements by {restriction}"
    )
    return finding(pool.missing, text, station=station.id, tenant=tenant)


def _clashes(station: Station, facts: Iterable[CoreLinkFact]) -> Iterator[Finding]:
    """Clashing ids: they are made of tenant and core node, so ``a-b``/``c`` and ``a``/``b-c`` are equal."""
    for (_, kind, name), count in Counter((fact.rat, fact.kind, fact.id) for fact in facts).items():
        if count > 1:
            text = f"station {station.id}: {count} {kind} links would be named {name}; rename a core node"
            yield finding(Check.CORE_LINK_CLASH, text, station=station.id)
