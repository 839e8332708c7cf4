"""Grants: what each agreement in force gives its tenant on a cell, and which cells it covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from controller.intent.findings import Check, Fault, finding
from controller.models.facts import Finding
from controller.models.network import (
    Agreement,
    Cell,
    Network,
    Plmn,
    RadioShare,
    ResourceType,
    Scope,
    SharingKind,
    Snssai,
    Tenant,
)

#: Resources that a share of a type divides: PRB means both directions (TS 28.541 §4.4.1).
DIVIDES: dict[ResourceType, tuple[ResourceType, ...]] = {
    ResourceType.PRB: (ResourceType.PRB_DL, ResourceType.PRB_UL),
    ResourceType.PRB_DL: (ResourceType.PRB_DL,),
    ResourceType.PRB_UL: (ResourceType.PRB_UL,),
    ResourceType.RRC: (ResourceType.RRC,),
    ResourceType.DRB: (ResourceType.DRB,),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """What one agreement in force gives on each cell that it covers.

    Attributes:
        source: The agreement itself.
        exclusive: Whether it makes its cells carriers of this tenant alone (MORAN).
        plmns: PLMNs to broadcast, sorted; only ever the tenant's own.
        slices: Slices to serve on NR, sorted; only ever the tenant's own.
        part: The PLMNs and slices that it is restricted to, as one word; empty if it is for all that the tenant has.
        faults: Faults of the agreement itself, on each cell that it covers.
    """

    agreement: str
    tenant: str
    source: Agreement
    exclusive: bool
    plmns: tuple[Plmn, ...]
    slices: tuple[Snssai, ...]
    part: str
    shares: tuple[RadioShare, ...]
    faults: tuple[Fault, ...]


def grants_in_force(network: Network, as_of: date) -> tuple[list[Grant], list[Finding]]:
    """Grants of the agreements in force on a day, by agreement id, and findings about other agreements."""
    grants: list[Grant] = []
    findings: list[Finding] = []
    known = _Known(network)
    for agreement in sorted(network.agreements, key=lambda a: a.id):
        notice = _not_in_force(agreement, as_of)
        tenant = network.tenant_by_id.get(agreement.tenant)
        if notice is not None:
            findings.append(notice)
        elif tenant is None:
            findings.append(_dangling(agreement, f"there is no tenant {agreement.tenant}; it gives nothing"))
        else:
            findings.extend(_dangling(agreement, f"there is no {what}") for what in known.missing(agreement.scope))
            grants.append(_grant(agreement, tenant))
    return grants, findings


def _not_in_force(agreement: Agreement, as_of: date) -> Finding | None:
    validity = agreement.validity
    if validity.holds_on(as_of):
        return None
    about = {"tenant": agreement.tenant, "agreement": agreement.id}
    if as_of < validity.start:
        text = f"agreement {agreement.id} holds from {validity.start}; until then it gives nothing"
        return finding(Check.AGREEMENT_NOT_YET_VALID, text, **about)
    text = (
        f"agreement {agreement.id} expired on {validity.end}: nothing is removed by that; "
        "prolong it, or remove the tenant's nodes by name"
    )
    return finding(Check.AGREEMENT_EXPIRED, text, **about)


def _dangling(agreement: Agreement, text: str) -> Finding:
    return finding(
        Check.AGREEMENT_DANGLING,
        f"agreement {agreement.id}: {text}",
        tenant=agreement.tenant,
        agreement=agreement.id,
    )


class _Known:
    """Objects that a scope may refer to."""

    def __init__(self, network: Network) -> None:
        self.regions = {region.id for region in network.regions}
        self.sites = network.site_by_id
        self.stations = network.station_by_id
        self.cells = network.cells_by_station

    def missing(self, scope: Scope) -> Iterator[str]:
        """References of a scope to unknown objects, as in ``region cuzco``, in order."""
        yield from (f"region {region}" for region in sorted(set(scope.regions) - self.regions))
        yield from (f"site {site}" for site in sorted(set(scope.sites)) if site not in self.sites)
        yield from (f"station {station}" for station in sorted(set(scope.stations)) if station not in self.stations)
        yield from (f"cell {cell}" for cell in sorted(set(scope.cells)) if not self._has_cell(cell))

    def _has_cell(self, name: str) -> bool:
        station, _, cell = name.partition("/")
        return any(candidate.id == cell for candidate in self.cells.get(station, ()))


def _grant(agreement: Agreement, tenant: Tenant) -> Grant:
    foreign_plmns, foreign_slices = agreement.not_of(tenant)

    def fault(check: Check, text: str) -> Fault:
        return Fault(check, f"agreement {agreement.id} {text}", tenant.id, agreement.id)

    faults = [
        fault(Check.PLMN_NOT_OF_TENANT, f"names PLMN {plmn}, which is not one of {tenant.id}'s ({_list(tenant.plmns)})")
        for plmn in foreign_plmns
    ]
    faults += [
        fault(Check.SLICE_NOT_OF_TENANT, f"names slice {s}, which is not one of {tenant.id}'s ({_list(tenant.slices)})")
        for s in foreign_slices
    ]
    faults += [fault(check, text) for check, text in _share_faults(agreement.shares)]
    return Grant(
        agreement=agreement.id,
        tenant=tenant.id,
        source=agreement,
        exclusive=agreement.sharing is SharingKind.MORAN,
        plmns=agreement.plmns_of(tenant),
        slices=agreement.slices_of(tenant),
        part=_part(agreement, tenant),
        shares=tuple(sorted(agreement.shares, key=lambda s: (s.resource, s.dedicated, s.min, s.max))),
        faults=tuple(faults),
    )


def _part(agreement: Agreement, tenant: Tenant) -> str:
    plmns, slices = agreement.plmns_of(tenant), agreement.slices_of(tenant)
    some_plmns = plmns if len(plmns) < len(set(tenant.plmns)) else ()
    some_slices = slices if len(slices) < len(set(tenant.slices)) else ()
    return "-".join([*(plmn.replace("-", "") for plmn in some_plmns), *map(str, some_slices)])


def _share_faults(shares: tuple[RadioShare, ...]) -> Iterator[tuple[Check, str]]:
    for share in shares:
        if not share.dedicated <= share.min <= share.max:
            numbers = f"dedicated {share.dedicated}, min {share.min}, max {share.max}"
            yield Check.SHARE_ORDER, f"shares {share.resource} with {numbers}; dedicated ≤ min ≤ max is needed"
    for one, other in combinations(shares, 2):
        if set(DIVIDES[one.resource]) & set(DIVIDES[other.resource]):
            first, second = sorted((one.resource.value, other.resource.value))
            pair = f"{first} twice" if first == second else f"{first} and {second}, but {first} is both directions"
            yield Check.SHARE_DUPLICATE, f"shares {pair}; one share per resource is needed"


def _list(values: Iterable[object]) -> str:
    return ", ".join(sorted(str(value) for value in values)) or "none"


# ---------------------------------------------------------------------------- coverage


def cover(network: Network, cells: Sequence[Cell], grants: Sequence[Grant]) -> list[tuple[int, ...]]:
    """For each cell, ascending positions in ``grants`` of the agreements that reach it."""
    numbered = tuple(enumerate(grants))
    return [tuple(number for number, grant in numbered if network.reaches(grant.source, cell)) for cell in cells]
