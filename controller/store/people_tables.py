"""Tables of who may call."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, text

from controller.store.tables import Instant, metadata

users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("created", Instant, nullable=False),
    Column("disabled", Instant),
    # Where and as whom people sign in elsewhere; empty for users of our own.
    Column("issuer", String, nullable=False, server_default=""),
    Column("subject", String, nullable=False, server_default=""),
    # Nobody of a provider is two people here.
    Index(
        "ix_users_issuer_subject",
        "issuer",
        "subject",
        unique=True,
        sqlite_where=text("issuer != ''"),
        postgresql_where=text("issuer != ''"),
    ),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    # SHA-256 of the secret, which itself is nowhere on record.
    Column("digest", String, nullable=False, unique=True),
    Column("owner", String, ForeignKey("users.name"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    # Permissions, one blank between them; NULL for all that the owner's role gives.
    Column("scopes", Text),
    Column("created", Instant, nullable=False),
    Column("expires", Instant),
    Column("used", Instant),
    Column("revoked", Instant),
)
