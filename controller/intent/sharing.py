"""How tenants share a cell: the sum of all agreements that cover it, and the contracts that this breaks.

Many cells are shared in the same way, so results are worked out once for each combination of radio technology, primary
PLMN and covering agreements. The user plane divides the data radio bearers of NR for all cells of a station, so the
agreements of these cells are merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from controller.intent.findings import Check, Fault, finding
from controller.intent.grants import DIVIDES, Grant
from controller.models.facts import Finding
from controller.models.network import Cell, Plmn, RadioShare, Rat, ResourceType, Snssai, Station
from controller.models.sharing import in_slice_order


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A tenant's PLMN on air, with its slices on NR."""

    tenant: str
    plmn: Plmn
    slices: tuple[Snssai, ...]
    primary: bool


@dataclass(frozen=True, slots=True)
class Portion:
    """A tenant's share and its members; ``part`` distinguishes it from others of the tenant (``Grant``)."""

    agreement: str
    tenant: str
    part: str
    plmns: tuple[Plmn, ...]
    slices: tuple[Snssai, ...]
    share: RadioShare


@dataclass(frozen=True, slots=True)
class CellSharing:
    """What a cell carries for tenants: primary PLMN first, then by tenant and PLMN.

    The cell itself divides ``portions``; the user plane of all cells divides ``user_plane``.
    """

    broadcasts: tuple[Broadcast, ...]
    portions: tuple[Portion, ...]
    user_plane: tuple[Portion, ...]
    plmns: frozenset[Plmn]
    faults: tuple[Fault, ...]


#: A cell, how it is shared, and the positions of the grants that cover it.
Placed = tuple[Cell, CellSharing, tuple[int, ...]]


def share_cell(rat: Rat, primary: Plmn, grants: Sequence[Grant], claims: Mapping[Plmn, Sequence[str]]) -> CellSharing:
    """Add up the grants that cover a cell.

    A tenant's part depends on that tenant's grants only; conflicts between grants appear only in ``faults``.

    Args:
        rat: The cell's radio technology.
        primary: The cell's primary PLMN.
        grants: The grants covering it, ordered by agreement id.
        claims: Ids of the tenants that have a PLMN as theirs.
    """
    broadcasts = _broadcasts(rat, primary, grants)
    agreed = tuple(_portions(rat, grants))
    user_plane = tuple(portion for portion in agreed if _is_of_user_plane(rat, portion))
    portions = tuple(portion for portion in agreed if not _is_of_user_plane(rat, portion))
    faults = (
        *(fault for grant in grants for fault in grant.faults),
        *_slice_faults(rat, grants),
        *_plmn_faults(rat, primary, grants, claims),
        *_exclusion_faults(grants),
        *_overlap_faults(rat, grants),
        *_sum_faults(portions),
    )
    plmns = frozenset(broadcast.plmn for broadcast in broadcasts)
    return CellSharing(broadcasts, portions, user_plane, plmns, faults)


def _broadcasts(rat: Rat, primary: Plmn, grants: Sequence[Grant]) -> tuple[Broadcast, ...]:
    slices: dict[tuple[str, Plmn], set[Snssai]] = defaultdict(set)
    for grant in grants:
        for plmn in grant.plmns:
            slices[grant.tenant, plmn].update(grant.slices if rat is Rat.NR else ())
    broadcasts = (
        Broadcast(tenant, plmn, in_slice_order(served), plmn == primary) for (tenant, plmn), served in slices.items()
    )
    return tuple(sorted(broadcasts, key=lambda b: (not b.primary, b.tenant, b.plmn)))


def _portions(rat: Rat, grants: Sequence[Grant]) -> Iterator[Portion]:
    for grant in sorted(grants, key=lambda g: (g.tenant, g.agreement)):
        slices = grant.slices if rat is Rat.NR else ()
        if grant.plmns:
            for share in grant.shares:
                yield Portion(grant.agreement, grant.tenant, grant.part, grant.plmns, slices, share)


def _is_of_user_plane(rat: Rat, portion: Portion) -> bool:
    """Whether the user plane and no cell divides it: the gNB-CU-UP divides data radio bearers of all cells."""
    return rat is Rat.NR and portion.share.resource is ResourceType.DRB


def _slice_faults(rat: Rat, grants: Sequence[Grant]) -> Iterator[Fault]:
    if rat is Rat.NR:
        for grant in grants:
            if not grant.slices:
                text = f"agreement {grant.agreement} covers an NR cell but names no slice of {grant.tenant}'s"
                yield Fault(Check.NR_WITHOUT_SLICES, text, grant.tenant, grant.agreement)


def _plmn_faults(
    rat: Rat, primary: Plmn, grants: Sequence[Grant], claims: Mapping[Plmn, Sequence[str]]
) -> Iterator[Fault]:
    plmns = sorted({plmn for grant in grants for plmn in grant.plmns})
    if len(plmns) > rat.plmn_limit:
        given = ", ".join(f"{grant.agreement} {' '.join(grant.plmns)}" for grant in grants)
        text = f"{len(plmns)} PLMNs, but {rat} cells carry at most {rat.plmn_limit} ({given})"
        yield Fault(Check.PLMN_LIMIT, text, agreements=tuple(grant.agreement for grant in grants))
    for plmn in plmns:
        owners = claims[plmn]
        if len(owners) > 1:
            text = f"PLMN {plmn} is claimed by {' and '.join(owners)}; it must be one tenant's"
            yield Fault(Check.PLMN_CLAIMED_TWICE, text, owners[0])
    if primary not in plmns:
        owners = claims.get(primary, ())
        text = (
            f"no agreement in force here gives its primary PLMN {primary} ({' and '.join(owners) or 'no tenant'}'s); "
            "move the primary to another PLMN first, or make the agreement"
        )
        yield Fault(Check.PRIMARY_WITHOUT_AGREEMENT, text, owners[0] if owners else "")


def _exclusion_faults(grants: Sequence[Grant]) -> Iterator[Fault]:
    for moran in grants:
        for other in grants:
            # A pair of MORAN agreements is reported once, from the first one's side.
            reported = other.exclusive and other.agreement < moran.agreement
            if moran.exclusive and other.tenant != moran.tenant and not reported:
                text = (
                    f"agreement {moran.agreement} makes it a MORAN carrier of {moran.tenant} alone, but agreement "
                    f"{other.agreement} of {other.tenant} covers it too; restrict its scope, say by bands"
                )
                both = (other.agreement, moran.agreement)
                yield Fault(Check.MORAN_CARRIER_SHARED, text, other.tenant, other.agreement, agreements=both)


def _overlap_faults(rat: Rat, grants: Sequence[Grant]) -> Iterator[Fault]:
    for one, other in combinations(grants, 2):
        if one.tenant != other.tenant:
            continue
        common = sorted(set(one.plmns) & set(other.plmns))
        if common and (rat is Rat.LTE or not (one.slices and other.slices) or set(one.slices) & set(other.slices)):
            text = f"agreements {one.agreement} and {other.agreement} of {one.tenant} both give {', '.join(common)}"
            both = (other.agreement, one.agreement)
            yield Fault(Check.AGREEMENT_OVERLAP, text, one.tenant, other.agreement, agreements=both)


def _sum_faults(portions: Sequence[Portion]) -> Iterator[Fault]:
    divided: dict[ResourceType, list[Portion]] = defaultdict(list)
    for portion in portions:
        for resource in DIVIDES[portion.share.resource]:
            divided[resource].append(portion)
    if divided[ResourceType.PRB_DL] == divided[ResourceType.PRB_UL]:
        divided[ResourceType.PRB] = divided.pop(ResourceType.PRB_DL)
        del divided[ResourceType.PRB_UL]
    for resource in sorted(divided):
        for kind in ("dedicated", "min"):
            yield from _sum_fault(resource, kind, divided[resource])


def _sum_fault(resource: ResourceType, kind: str, portions: Sequence[Portion]) -> Iterator[Fault]:
    parts = [(portion.agreement, int(getattr(portion.share, kind))) for portion in portions]
    total = sum(percent for _, percent in parts)
    if total > 100:
        listed = ", ".join(f"{agreement} {percent}" for agreement, percent in parts if percent)
        text = f"{kind} shares of {resource} add up to {total} %, 100 is all there is ({listed})"
        only = {portion.agreement: portion.tenant for portion in portions}
        agreement, tenant = next(iter(only.items())) if len(only) == 1 else ("", "")
        summed = tuple(agreement for agreement, percent in parts if percent)
        yield Fault(Check.SHARE_SUM, text, tenant, agreement, agreements=summed)


# ---------------------------------------------------------------------- user plane


def share_user_plane(
    station: Station, cells: Iterable[tuple[Cell, CellSharing]]
) -> tuple[tuple[Portion, ...], list[Finding]]:
    """What the user plane of a station divides among tenants, and the findings.

    If agreements of a tenant differ between its cells, each percentage is the largest one, so that no agreement gets
    less than it states. Members are those of each agreement.
    """
    agreed: dict[str, dict[Portion, str]] = defaultdict(dict)
    silent: dict[str, str] = {}
    for cell, shared in cells:
        if cell.rat is Rat.NR:
            for portion in shared.user_plane:
                agreed[portion.tenant].setdefault(portion, cell.id)
            tenants = {portion.tenant for portion in shared.user_plane}
            silent |= {one.tenant: cell.id for one in shared.broadcasts if one.tenant not in tenants}
    merged: list[Portion] = []
    findings: list[Finding] = []
    for tenant, portions in sorted(agreed.items()):
        whole = _largest([portion.share for portion in portions])
        merged += dict.fromkeys(replace(portion, agreement="", part="", share=whole) for portion in portions)
        said = {portion.share: f"{name} {_percentages(portion.share)}" for portion, name in portions.items()}
        if len(said) > 1 or tenant in silent:
            findings.append(_differing(station, tenant, whole, [*said.values(), silent.get(tenant, "")]))
    for kind in ("dedicated", "min") if merged else ():
        one_each = {portion.tenant: replace(portion, agreement=portion.tenant) for portion in merged}
        findings += (
            finding(fault.check, f"station {station.id}: {fault.text}", station=station.id)
            for fault in _sum_fault(ResourceType.DRB, kind, tuple(one_each.values()))
        )
    return tuple(merged), findings


def _largest(shares: Sequence[RadioShare]) -> RadioShare:
    return RadioShare(
        resource=shares[0].resource,
        dedicated=max(share.dedicated for share in shares),
        min=max(share.min for share in shares),
        max=max(share.max for share in shares),
    )


def _percentages(share: RadioShare) -> str:
    return f"{share.dedicated}/{share.min}/{share.max}"


def _differing(station: Station, tenant: str, whole: RadioShare, said: Sequence[str]) -> Finding:
    *cells, silent = said
    listed = ", ".join([*sorted(cells), *([f"{silent} nothing"] if silent else [])])
    text = (
        f"station {station.id}: {tenant}'s DRB shares (dedicated/min/max) differ between its NR cells ({listed}), but "
        f"one user plane divides DRBs for all of them: it gets {_percentages(whole)}; agree on one share a station"
    )
    return finding(Check.SHARE_DIFFERS, text, station=station.id, tenant=tenant)
