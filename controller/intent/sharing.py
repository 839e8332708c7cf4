"""How tenants share a cell: what all agreements covering it add up to, and which contracts that breaks.

Many cells are shared alike, so that is worked out once per combination of radio
technology, primary PLMN and covering agreements, and not once per cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from controller.intent.findings import Check, Fault
from controller.intent.grants import DIVIDES, Grant
from controller.models.network import Cell, Plmn, RadioShare, Rat, ResourceType, Snssai
from controller.models.sharing import in_slice_order

#: PLMNs a cell can broadcast: TS 36.331 maxPLMN-r11, TS 38.331 maxPLMN.
PLMN_LIMIT = {Rat.LTE: 6, Rat.NR: 12}


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A tenant's PLMN on air, with its slices on NR."""

    tenant: str
    plmn: Plmn
    slices: tuple[Snssai, ...]
    primary: bool


@dataclass(frozen=True, slots=True)
class Portion:
    """A tenant's share and the members that it is for."""

    agreement: str
    tenant: str
    plmns: tuple[Plmn, ...]
    slices: tuple[Snssai, ...]
    share: RadioShare


@dataclass(frozen=True, slots=True)
class CellSharing:
    """What a cell carries for tenants: primary PLMN first, then by tenant and PLMN."""

    broadcasts: tuple[Broadcast, ...]
    portions: tuple[Portion, ...]
    plmns: frozenset[Plmn]
    faults: tuple[Fault, ...]


#: A cell, what it carries, and the positions of the grants covering it.
Placed = tuple[Cell, CellSharing, tuple[int, ...]]


def share_cell(rat: Rat, primary: Plmn, grants: Sequence[Grant], claims: Mapping[Plmn, Sequence[str]]) -> CellSharing:
    """Add up the grants covering a cell.

    A tenant's part depends on that tenant's grants only; what grants do to each other shows in
    ``faults`` alone.

    Args:
        rat: The cell's radio technology.
        primary: The cell's primary PLMN.
        grants: The grants covering it, ordered by agreement id.
        claims: Ids of the tenants that have a PLMN as theirs.
    """
    broadcasts = _broadcasts(rat, primary, grants)
    portions = tuple(_portions(rat, grants))
    faults = (
        *(fault for grant in grants for fault in grant.faults),
        *_slice_faults(rat, grants),
        *_plmn_faults(rat, primary, grants, claims),
        *_exclusion_faults(grants),
        *_overlap_faults(rat, grants),
        *_sum_faults(portions),
    )
    return CellSharing(broadcasts, portions, frozenset(broadcast.plmn for broadcast in broadcasts), faults)


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
                yield Portion(grant.agreement, grant.tenant, grant.plmns, slices, share)


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
    if len(plmns) > PLMN_LIMIT[rat]:
        given = ", ".join(f"{grant.agreement} {' '.join(grant.plmns)}" for grant in grants)
        text = f"{len(plmns)} PLMNs, but {rat} cells carry at most {PLMN_LIMIT[rat]} ({given})"
        yield Fault(Check.PLMN_LIMIT, text)
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
                yield Fault(Check.MORAN_CARRIER_SHARED, text, other.tenant, other.agreement)


def _overlap_faults(rat: Rat, grants: Sequence[Grant]) -> Iterator[Fault]:
    for one, other in combinations(grants, 2):
        if one.tenant != other.tenant:
            continue
        common = sorted(set(one.plmns) & set(other.plmns))
        if common and (rat is Rat.LTE or not (one.slices and other.slices) or set(one.slices) & set(other.slices)):
            text = f"agreements {one.agreement} and {other.agreement} of {one.tenant} both give {', '.join(common)}"
            yield Fault(Check.AGREEMENT_OVERLAP, text, one.tenant, other.agreement)


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
        yield Fault(Check.SHARE_SUM, text, tenant, agreement)
