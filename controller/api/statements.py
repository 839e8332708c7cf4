"""Drafts of statements: what is on record of a tenant's month."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from controller.access.disclosure import TenantIncident
from controller.access.sight import sight
from controller.intent.outages import month_of
from controller.models.errors import InputError, NotFoundError
from controller.models.network import Network
from controller.models.statement import Sheet, Statement, StatementKind
from controller.performance import availability
from controller.performance.availability import Month, ToldIncident, Work
from controller.ports.store import Store

#: What makes the sheets of a kind: its rules, and the sheets themselves.
_Made = tuple[tuple[str, ...], tuple[Sheet, ...]]


def draft(store: Store, now: datetime, kind: StatementKind, tenant: str, month: str) -> Statement:
    """What a statement would say now.

    Raises:
        NotFoundError: There is no such tenant.
        InputError: The month has not begun.
    """
    _, network = store.networks.get()
    span = span_of(network, month, now)
    known = network.tenant_by_id.get(tenant)
    if known is None:
        raise NotFoundError(f"there is no tenant {tenant}")
    if span.begin >= now:
        raise InputError(f"{month} has not begun in {network.header.timezone}")
    rules, sheets = _KINDS[kind](store, tenant, span)
    return Statement(
        kind=kind,
        tenant=tenant,
        tenant_name=known.name,
        network=network.header.id,
        network_name=network.header.name,
        month=month,
        timezone=network.header.timezone,
        begin=span.begin,
        end=span.end,
        rules=rules,
        sheets=sheets,
    )


def span_of(network: Network, month: str, now: datetime) -> Month:
    """A month as in ``2026-10`` in the network's time zone."""
    year, number = map(int, month.split("-"))
    begin, end = month_of(network, datetime(year, number, 15, tzinfo=network.zone))
    return Month(begin, now, end, network.zone)


def _sla(store: Store, tenant: str, month: Month) -> _Made:
    digest, network = store.networks.get()
    hours = max((one.sla.restore_hours for one in network.agreements_of(tenant)), default=0.0)
    outages = store.incidents.outages(month.begin - timedelta(hours=hours), month.end)
    if outages is None:
        raise NotFoundError("no network is loaded yet: minka network load")
    parts = store.tenants.incident_alarms(tenant, outages.by_incident())
    seen = sight(digest, network, tenant)
    told = {name: _told(TenantIncident.of(seen, name, alarms)) for name, alarms in parts.items()}
    done = [
        Work(job.run, procedure, job.station, job.started, job.finished, job.outcome.value if job.outcome else "")
        for procedure, job in store.tenants.work(tenant, month.begin, month.end)
        if job.started is not None
    ]
    return tuple(availability.RULES), availability.sla_sheets(outages, tenant, month, told, done)


def _told(one: TenantIncident) -> ToldIncident:
    return ToldIncident(one.id, one.root.probable_cause, one.opened, one.closed, len(one.cells))


_KINDS: Mapping[StatementKind, Callable[[Store, str, Month], _Made]] = {StatementKind.SLA: _sla}
