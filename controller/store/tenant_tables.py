"""Tables of what concerns which tenant."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table

from controller.store.tables import Instant, metadata

#: Tenants that a plan touches or interrupts, each with a name of its own for its part of the plan: the plan's id is a
#: hash of all that it does, so it would tell a tenant when something of another one changed. Plans that are the same to
#: a tenant have the same name there, and the time of the first.
plan_tenants = Table(
    "plan_tenants",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("plan", String, ForeignKey("plans.id"), nullable=False),
    Column("tenant", String, nullable=False),
    Column("handle", String, nullable=False, index=True),
    Column("created", Instant, nullable=False),
    Column("stations", Integer, nullable=False),
    # SHA-256 of what the tenant is told of the plan; empty where that was not recorded yet.
    Column("part", String, nullable=False, server_default=""),
    Index("ix_plan_tenants_plan_tenant", "plan", "tenant", unique=True),
    Index("ix_plan_tenants_tenant_number", "tenant", "number"),
    Index("ix_plan_tenants_tenant_part", "tenant", "part"),
)

#: Stations on which a run touches or interrupts a tenant, or may do so and the tenant was told.
run_tenants = Table(
    "run_tenants",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("station", String, primary_key=True),
    Index("ix_run_tenants_tenant_run", "tenant", "run"),
)
