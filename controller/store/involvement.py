"""Whom plans and runs concern, noted when they come on record."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable

from sqlalchemy import select

from controller.access.told import involved
from controller.models.plan import Change, Plan
from controller.store.tables import jobs
from controller.store.tenant_tables import plan_tenants, run_tenants
from controller.store.transaction import Tx


def note_plan(tx: Tx, plan: Plan) -> None:
    """Note whom a new plan concerns."""
    stations = Counter(tenant for change in plan.changes for tenant in involved(change))
    rows = [
        {"plan": plan.id, "tenant": tenant, "handle": f"p-{secrets.token_hex(5)}", "created": plan.created}
        | {"stations": number}
        for tenant, number in sorted(stations.items())
    ]
    if rows:
        tx.execute(plan_tenants.insert(), rows)


def note_run(tx: Tx, run_id: str, changes: Iterable[Change]) -> None:
    """Note whom a run concerns, and where: those whom its changes touch or interrupt. Repeating it adds nothing."""
    _note(tx, run_id, ((tenant, change.station) for change in changes for tenant in sorted(involved(change))))


def note_told(tx: Tx, run_id: str, tenant: str, stations: Iterable[str]) -> None:
    """Note that a tenant is told of a run before it is known what it changes: who gets notice may look."""
    working = set(tx.execute(select(jobs.c.station).where(jobs.c.run == run_id)).scalars())
    _note(tx, run_id, ((tenant, station) for station in stations if station in working))


def _note(tx: Tx, run_id: str, where: Iterable[tuple[str, str]]) -> None:
    rows = [{"run": run_id, "tenant": tenant, "station": station} for tenant, station in where]
    if rows:
        tx.execute(tx.insert(run_tenants).on_conflict_do_nothing(), rows)
