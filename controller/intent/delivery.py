"""From when to when cells carried PLMNs of their tenants, and stations core links, by Minka's own record. Pure.

An agreement says what a tenant should get. It gets nothing in a cell until a run, or an adoption that found it there,
has put all of its PLMNs into the ledger of the cell's station; and nothing once they have left it. Where a cell has
halves at two endpoints (``controller.intent.central_units.halves``), both ledgers need them. Of a guaranteed share it
gets what such a ledger says, and never more than what is agreed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from controller.intent.times import Times, both, meet, union, without
from controller.models.network import Agreement, Plmn, Tenant
from controller.nrm.tree import Path


class Carried(NamedTuple):
    """A time in which cells of a station carried a tenant's PLMN.

    Attributes:
        cells: Ids of the cells at the station.
    """

    station: str
    cells: tuple[str, ...]
    plmn: Plmn
    tenant: str
    since: datetime
    until: datetime


class CarriedShare(NamedTuple):
    """A time in which cells of a station guaranteed a tenant's PLMN a share of PRBs.

    Attributes:
        cells: Ids of the cells at the station.
        slice: Of which slice, as text; empty on LTE.
        percent: Of PRBs.
    """

    station: str
    cells: tuple[str, ...]
    plmn: Plmn
    slice: str
    percent: int
    since: datetime
    until: datetime


class CarriedLink(NamedTuple):
    """A time in which a station carried a core link of a tenant."""

    tenant: str
    path: Path
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Delivery:
    """Which PLMNs cells carried, between two times.

    Attributes:
        carried: By Minka's record.
        missing: Those of them that checks saw that the cells lacked.
    """

    carried: tuple[Carried, ...] = ()
    missing: tuple[Carried, ...] = ()

    def between(self, since: datetime, until: datetime) -> Delivery:
        """The part of it between two times."""
        return Delivery(tuple(_within(self.carried, since, until)), tuple(_within(self.missing, since, until)))

    def lost(self, tenant: str, plmns: Collection[Plmn], since: datetime, until: datetime) -> dict[str, Times]:
        """When halves of cells were seen to lack one of these PLMNs of a tenant between two times, by half."""
        found = defaultdict[str, list[tuple[datetime, datetime]]](list)
        for one in _within(self.missing, since, until):
            for cell in one.cells if one.tenant == tenant and one.plmn in plmns else ():
                found[f"{one.station}/{cell}"].append((one.since, one.until))
        return {cell: union(times) for cell, times in found.items()}

    def lacking(
        self, halves: Collection[str], tenant: str, plmns: Collection[Plmn], since: datetime, until: datetime
    ) -> Times:
        """When a cell, by its halves (``station/cell``), did not carry all of a tenant's PLMNs between two times.

        A tenant without PLMNs gets nothing.
        """
        span = ((since, until),)
        times = [self._times.get((half, tenant), {}).get(one, ()) for half in halves for one in plmns]
        if not times:
            return span
        if all(len(one) == 1 and one[0][0] <= since and until <= one[0][1] for one in times):
            return ()  # as almost everywhere and always
        return union(chain.from_iterable(without(span, one) for one in times))

    def without_any(self, halves: Collection[str], tenant: str, since: datetime, until: datetime) -> Times:
        """When a cell, by its halves (``station/cell``), carried none of a tenant's PLMNs between two times."""
        found = [self._times.get((half, tenant), {}) for half in halves]
        whole = (meet([one.get(plmn, ()) for one in found]) for plmn in set().union(*found))
        return without(((since, until),), union(chain.from_iterable(whole)))

    @cached_property
    def _times(self) -> dict[tuple[str, str], dict[Plmn, Times]]:
        """Times by half of a cell and tenant, and by PLMN."""
        rows = defaultdict[tuple[str, str], dict[Plmn, list[tuple[datetime, datetime]]]](dict)
        for one in self.carried:
            for cell in one.cells:
                of_tenant = rows[f"{one.station}/{cell}", one.tenant]
                of_tenant.setdefault(one.plmn, []).append((one.since, one.until))
        return {key: {plmn: union(times) for plmn, times in found.items()} for key, found in rows.items()}


@dataclass(frozen=True)
class Guarantees:
    """Which shares of PRBs cells guaranteed a tenant, by Minka's record."""

    carried: tuple[CarriedShare, ...] = ()

    def percents(
        self, halves: Collection[str], agreement: Agreement, tenant: Tenant, times: Times
    ) -> Iterator[tuple[int, Times]]:
        """Percents that a cell, by its halves (``station/cell``), guaranteed as agreed in some times, and when.

        PLMNs and slices of an agreement have its share together, so the highest of theirs is the share.
        """
        plmns, slices = agreement.plmns_of(tenant), ("", *map(str, agreement.slices_of(tenant)))
        there = chain.from_iterable(self._by_half.get(half, ()) for half in halves)
        left = times
        for one in sorted(there, key=lambda one: (-one.percent, one.since, one.until)):
            if one.plmn in plmns and one.slice in slices:
                here = both(left, ((one.since, one.until),))
                yield min(one.percent, agreement.guaranteed_prbs), here
                left = without(left, here)

    @cached_property
    def _by_half(self) -> dict[str, list[CarriedShare]]:
        found = defaultdict[str, list[CarriedShare]](list)
        for one in self.carried:
            for cell in one.cells:
                found[f"{one.station}/{cell}"].append(one)
        return found


def _within(times: Iterable[Carried], since: datetime, until: datetime) -> Iterator[Carried]:
    clipped = (one._replace(since=max(one.since, since), until=min(one.until, until)) for one in times)
    return (one for one in clipped if one.since < one.until)
