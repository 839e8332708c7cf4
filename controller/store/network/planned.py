"""Whom plans concern; recorded when a plan is stored."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, select

from controller.access.disclosure import TenantChange, involved
from controller.access.tenant_scope import tenant_scope
from controller.models.network import Network
from controller.models.plan import Plan
from controller.store.database.columns import Instant, metadata
from controller.store.database.transaction import Tx

#: Tenants that a plan touches or interrupts, each with its own name for its part of the plan. The plan's id is a hash
#: of the whole plan, so it would reveal to a tenant when something of another tenant changed. Plans that are the same
#: to a tenant have the same name there, and the time of the first.
plan_tenants = Table(
    "plan_tenants",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("plan", String, ForeignKey("plans.id"), nullable=False),
    Column("tenant", String, nullable=False),
    Column("handle", String, nullable=False, index=True),
    Column("created", Instant, nullable=False),
    Column("stations", Integer, nullable=False),
    # SHA-256 of what the tenant sees of the plan; empty where that was not recorded.
    Column("part", String, nullable=False, server_default=""),
    Index("ix_plan_tenants_plan_tenant", "plan", "tenant", unique=True),
    Index("ix_plan_tenants_tenant_number", "tenant", "number"),
    Index("ix_plan_tenants_tenant_part", "tenant", "part"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a plan that concerns one tenant: the number of stations, and the SHA-256 of what it sees (hex)."""

    stations: int
    digest: str


class Involved(NamedTuple):
    """Whom a plan concerns.

    Attributes:
        parts: The part of the plan for each tenant that it concerns.
        tenants: Tenants that it concerns at each station, sorted.
    """

    parts: Mapping[str, Part]
    tenants: Mapping[str, tuple[str, ...]]


def involved_in(plan: Plan, network: Network | None) -> Involved:
    """Whom a plan concerns.

    Args:
        plan: The plan.
        network: The network that the plan was made from; None if it is not on record. Parts differ where the tenant
            sees different networks.
    """
    stations: Counter[str] = Counter()
    hashes: dict[str, Any] = {}
    tenants: dict[str, tuple[str, ...]] = {}
    for change in plan.changes:
        tenants[change.station] = tuple(sorted(involved(change)))
        for tenant in tenants[change.station]:
            stations[tenant] += 1
            seen = tenant_scope(plan.network_digest, network, tenant) if network is not None else None
            shown = hashes.setdefault(tenant, hashlib.sha256((seen.digest if seen else plan.digest).encode()))
            shown.update(TenantChange.of(seen, change).model_dump_json().encode() if seen else b"")
    parts = {tenant: Part(number, hashes[tenant].hexdigest()) for tenant, number in sorted(stations.items())}
    return Involved(parts, tenants)


def note_plan(tx: Tx, plan: Plan, found: Mapping[str, Part]) -> None:
    """Record whom a new plan concerns, each under the name that it already has for an equal plan."""
    rows = []
    for tenant, part in found.items():
        same = select(plan_tenants.c.handle, plan_tenants.c.created)
        same = same.where(plan_tenants.c.tenant == tenant, plan_tenants.c.part == part.digest)
        known = tx.execute(same.order_by(plan_tenants.c.number).limit(1)).one_or_none()
        handle, created = (known.handle, known.created) if known else (f"p-{secrets.token_hex(5)}", plan.created)
        row = {"plan": plan.id, "tenant": tenant, "handle": handle, "created": created}
        rows.append(row | {"stations": part.stations, "part": part.digest})
    if rows:
        tx.execute(plan_tenants.insert(), rows)
