"""Core links: which stations need which links to which tenant's core."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from controller.intent.findings import Check, finding
from controller.intent.sharing import CellSharing
from controller.models.facts import CoreLinkFact, Finding, LinkKind
from controller.models.network import CoreNode, Plmn, Rat, Station, Tenant


@dataclass(frozen=True, slots=True)
class _Pool:
    """Core nodes, as (link id, address), that every station with cells of a technology links to."""

    rat: Rat
    kind: LinkKind
    name: str
    vlan: int
    nodes: tuple[tuple[str, str], ...]
    missing: Check


def _pools(tenant: Tenant) -> tuple[_Pool, ...]:
    core = tenant.core

    def pool(rat: Rat, kind: LinkKind, name: str, nodes: Iterable[CoreNode], missing: Check) -> _Pool:
        named = sorted((f"{tenant.id}-{node.id}", str(node.address)) for node in nodes)
        return _Pool(rat, kind, name, core.vlan, tuple(named), missing)

    return (
        pool(Rat.LTE, LinkKind.S1C, "MME", core.mme_pool, Check.CORE_POOL_MISSING),
        pool(Rat.NR, LinkKind.NGC, "AMF", core.amf_pool, Check.CORE_POOL_MISSING),
        pool(Rat.NR, LinkKind.NGU, "UPF", core.upf_pool, Check.USER_PLANE_POOL_MISSING),
    )


class CoreLinks:
    """Works out the core links of stations."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._pools = {tenant.id: _pools(tenant) for tenant in tenants}

    def of(
        self, station: Station, cells: Iterable[tuple[Rat, CellSharing]]
    ) -> tuple[list[CoreLinkFact], list[Finding]]:
        """Links of a station with these cells, by tenant, kind and id, and what is wrong with them."""
        facts: list[CoreLinkFact] = []
        findings: list[Finding] = []
        address = str(station.transport_address)
        for tenant, plmns in sorted(_served(cells).items()):
            for pool in self._pools[tenant]:
                if pool.rat not in plmns:
                    continue
                if not pool.nodes:
                    findings.append(_missing(station, tenant, pool))
                facts.extend(_links(station.id, address, tenant, pool, plmns[pool.rat]))
        findings.extend(_clashes(station, facts))
        return facts, findings


def _links(station: str, address: str, tenant: str, pool: _Pool, plmns: Iterable[Plmn]) -> Iterator[CoreLinkFact]:
    served = tuple(sorted(plmns))
    for name, remote_address in pool.nodes:
        yield CoreLinkFact(
            station=station,
            kind=pool.kind,
            id=name,
            plmns=served,
            local_address=address,
            vlan=pool.vlan,
            remote_address=remote_address,
            owners=(tenant,),
        )


def _served(cells: Iterable[tuple[Rat, CellSharing]]) -> Mapping[str, Mapping[Rat, set[Plmn]]]:
    """PLMNs on air at a station by tenant and technology."""
    served: dict[str, dict[Rat, set[Plmn]]] = defaultdict(lambda: defaultdict(set))
    for rat, shared in cells:
        for broadcast in shared.broadcasts:
            served[broadcast.tenant][rat].add(broadcast.plmn)
    return served


def _missing(station: Station, tenant: str, pool: _Pool) -> Finding:
    text = (
        f"station {station.id}: tenant {tenant} is on air on {pool.rat} cells but has no {pool.name} pool; "
        f"give its {pool.name.lower()}_pool, or restrict its agreements by rats"
    )
    return finding(pool.missing, text, station=station.id, tenant=tenant)


def _clashes(station: Station, facts: Iterable[CoreLinkFact]) -> Iterator[Finding]:
    """Ids are made of tenant and core node, so ``a-b``/``c`` and ``a``/``b-c`` can meet."""
    for (kind, name), count in Counter((fact.kind, fact.id) for fact in facts).items():
        if count > 1:
            text = f"station {station.id}: {count} {kind} links would be named {name}; rename a core node"
            yield finding(Check.CORE_LINK_CLASH, text, station=station.id)
