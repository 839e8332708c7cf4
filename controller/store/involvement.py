"""Whom plans and runs concern, noted when they come on record."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable

from controller.access.told import involved
from controller.models.plan import Change, Plan
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
    rows = [
        {"run": run_id, "tenant": tenant, "station": change.station}
        for change in changes
        for tenant in sorted(involved(change))
    ]
    if rows:
        tx.execute(tx.insert(run_tenants).on_conflict_do_nothing(), rows)
