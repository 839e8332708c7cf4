"""What agreements promised, and when: versions of the network, and all of them on which a statement depends. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from controller.intent.impact import Sharing
from controller.models.network import Agreement, Network, Pool, Router


class Era(NamedTuple):
    """A time in which the same tenants share the same cells under the same agreements.

    Attributes:
        assumed: Whether it is the time before the first network was loaded, for which that one stands.
    """

    begin: datetime
    until: datetime
    network: Network
    sharing: Sharing
    assumed: bool = False


class AgreedSpan(NamedTuple):
    """A time in which an agreement was in force with the same terms."""

    agreement: Agreement
    begin: datetime
    until: datetime


def month_of(network: Network, at: datetime) -> tuple[datetime, datetime]:
    """Begin and end of a month in the network's time zone."""
    local = at.astimezone(network.zone)
    begin = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (begin + timedelta(days=32)).replace(day=1)
    return begin.astimezone(UTC), end.astimezone(UTC)


def spans_of(network: Network, begin: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Parts of a time in each of which the same agreements of a network are in force."""
    midnights = {at for one in agreed_terms(network, count=False) for at in (one.begin, one.until)}
    yield from pairwise([begin, *sorted(one for one in midnights if begin < one < until), until])


class AgreedTerms(NamedTuple):
    """How much an agreement of a network version allows to lose.

    Attributes:
        tenant: Whose it is.
        cells: Number of cells that it reaches.
        begin: When it comes into force.
        until: When it ends.
    """

    agreement: str
    tenant: str
    cells: int
    availability_percent: float
    begin: datetime
    until: datetime

    def allowed(self, since: datetime, until: datetime) -> float:
        """Cell-seconds that it allows to lose between two times."""
        held = (min(until, self.until) - max(since, self.begin)).total_seconds()
        return self.cells * max(held, 0.0) * (100 - self.availability_percent) / 100


def agreed_terms(network: Network, *, count: bool = True) -> tuple[AgreedTerms, ...]:
    """Terms of the agreements of known tenants; to count their cells takes time that grows with the network."""
    return tuple(
        AgreedTerms(
            one.id,
            one.tenant,
            sum(1 for _ in network.cells_of(one)) if count else 0,
            one.sla.availability_percent,
            _midnight(one.validity.start, network.zone),
            _midnight(_after(one.validity.end), network.zone),
        )
        for one in network.agreements
        if one.tenant in network.tenant_by_id
    )


def _after(day: date | None) -> date:
    return date.max if day is None or day == date.max else day + timedelta(days=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins, as far as times can say that."""
    try:
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except OverflowError:
        return datetime.combine(day, time(), UTC)


_KEYS = {"host_key", "certificate", "authority", "client_certificate", "username", "credential"}

#: Fields on which no statement, outage or share of a tenant depends. Whatever is not named here makes an era, also a
#: field that comes later.
UNSTATED: Mapping[str, Any] = {
    "header": {"anr", "x2_vlan", "xn_vlan", "midhaul_vlan", "management", "contacts"},
    "stations": {"__all__": {"transport_address", "holdover_hours"}},
    "endpoints": {"__all__": _KEYS | {"file_port", "folder"}},
    "cells": {"__all__": {"pci", "prach_root", "ssb_arfcn", "max_tx_power_dbm"}},
    "neighbours": True,
    "routers": {"__all__": (_KEYS & set(Router.model_fields)) | {"enable_credential"}},
    "pools": {"__all__": (_KEYS & set(Pool.model_fields)) | {"ims_credential", "ims_authority"}},
    "latencies": True,
    "tenants": {"__all__": {"contacts"}},
}


def terms_of(network: Network) -> str:
    """Hash of all that a tenant's service and bill depend on: if it is equal, they count in the same way."""
    return sha256(network.model_dump_json(exclude=UNSTATED).encode()).hexdigest()
