"""Tables of approvals, freezes, overrides and notices."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, false

from controller.store.tables import Instant, metadata

#: What each run was accepted under.
run_terms = Table(
    "run_terms",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("subject", String, nullable=False, index=True),
    Column("content", LargeBinary, nullable=False),
    # ``ended`` once all tenants were told that it did, ``planned`` before; empty where none is concerned.
    Column("told", String, nullable=False),
)

votes = Table(
    "votes",
    metadata,
    Column("subject", String, primary_key=True),
    Column("side", String, primary_key=True),
    Column("person", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", Instant, nullable=False),
    # By what the person proved who they are: a token of ours and who made it, or a provider where they signed in.
    Column("token", String, nullable=False, server_default=""),
    Column("maker", String, nullable=False, server_default=""),
    Column("issuer", String, nullable=False, server_default=""),
    # Contractual reasons, as a JSON array.
    Column("contracts", Text, nullable=False, server_default="[]"),
    # How often the person said something else than before.
    Column("times", Integer, nullable=False, server_default="1"),
)

overrides = Table(
    "overrides",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", Instant, nullable=False),
)

freezes = Table(
    "freezes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("target", String, nullable=False),
    Column("begins", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("created", Instant, nullable=False),
    Column("lifted", Instant),
)

notices = Table(
    "notices",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("run", String, ForeignKey("runs.id"), nullable=False),
    Column("tenant", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("stations", Text, nullable=False),
    Column("begins", Instant),
    Column("text", Text, nullable=False, server_default=""),
    Column("sent", Instant),
    # Nobody was there to pass it on when it was due: it is on record only.
    Column("withheld", Boolean, nullable=False, server_default=false()),
    Index("ix_notices_run_tenant_kind", "run", "tenant", "kind", unique=True),
    Index("ix_notices_tenant_number", "tenant", "number"),
)
