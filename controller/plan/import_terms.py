"""Terms of agreements, read off cells: which tenant has which PLMNs, slices and shares there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from controller.models.network import Plmn, RadioShare, Rat, ResourceType, Snssai, Tenant
from controller.nrm.profiles.readings import CellReading, ShareReading


@dataclass(frozen=True, slots=True)
class CellTerms:
    """What one tenant has on a cell, worded as in an agreement: nothing said of PLMNs or slices means all."""

    tenant: str
    plmns: tuple[Plmn, ...]
    slices: tuple[Snssai, ...]
    shares: tuple[RadioShare, ...]


class Tenants:
    """Knows whose a PLMN is."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._by_plmn = {plmn: tenant for tenant in tenants for plmn in tenant.plmns}

    def of(self, plmn: Plmn) -> Tenant | None:
        """The tenant of a PLMN, None if it is nobody's."""
        return self._by_plmn.get(plmn)

    def terms(self, cell: CellReading) -> Iterator[CellTerms]:
        """Terms of every tenant on air in a cell, by tenant."""
        found: dict[str, tuple[Tenant, list[Plmn]]] = {}
        for plmn in cell.broadcasts:
            if (tenant := self.of(plmn)) is not None:
                found.setdefault(tenant.id, (tenant, []))[1].append(plmn)
        for _, (tenant, plmns) in sorted(found.items()):
            yield CellTerms(
                tenant=tenant.id,
                plmns=() if set(plmns) == set(tenant.plmns) else tuple(sorted(plmns)),
                slices=_slices(tenant, plmns, cell),
                shares=self._shares(tenant, cell),
            )

    def _shares(self, tenant: Tenant, cell: CellReading) -> tuple[RadioShare, ...]:
        """The tenant's shares, one a resource; where LTE splits a pot by PLMNs, the guarantees are on the first."""
        primary = next(iter(cell.broadcasts))
        mine = [share for share in cell.shares if share.plmns and all(self.of(plmn) == tenant for plmn in share.plmns)]
        mine.sort(key=lambda share: (share.plmns[0] != primary, share.plmns))
        shares: dict[ResourceType, RadioShare] = {}
        for reading in mine:
            if (share := _share(reading)) is not None:
                shares.setdefault(share.resource, share)
        return tuple(shares[resource] for resource in sorted(shares))


def _slices(tenant: Tenant, plmns: Sequence[Plmn], cell: CellReading) -> tuple[Snssai, ...]:
    """Slices on air, of those that are the tenant's; none where that is all of them, and on LTE, which has none."""
    if cell.rat is Rat.LTE:
        return ()
    on_air = {one for plmn in plmns for one in cell.broadcasts[plmn]} & set(tenant.slices)
    return () if on_air == set(tenant.slices) else tuple(sorted(on_air, key=lambda one: (one.sst, one.sd)))


def _share(reading: ShareReading) -> RadioShare | None:
    """The share, or None if a percentage or resource is none that we know."""
    try:
        return RadioShare.model_validate(
            {name: getattr(reading, name) for name in ("resource", "dedicated", "min", "max")}
        )
    except ValidationError:
        return None
