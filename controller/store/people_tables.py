"""Tables of who may call."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    or_,
    text,
)

from controller.store.tables import Instant, metadata

users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("created", Instant, nullable=False),
    Column("disabled", Instant),
    # Since when they are of their side: what they did before is nothing of their tenant's.
    Column("sided", Instant),
    # Where and as whom people sign in elsewhere; empty for users of our own.
    Column("issuer", String, nullable=False, server_default=""),
    Column("subject", String, nullable=False, server_default=""),
    # When the newest token that the provider gave them was issued, and the one that told another role, or none.
    Column("vouched", Instant),
    Column("turned", Instant),
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
    # The token in use when it was made; NULL where there was none of ours.
    Column("made_with", String),
    # Who made it; of one that its owner made with a token of somebody else's making, that is the other still.
    Column("maker", String, nullable=False, server_default=""),
)

#: Tokens of the provider that were signed out with before they end, by their SHA-256.
signed_out = Table(
    "signed_out",
    metadata,
    Column("digest", String, primary_key=True),
    Column("ends", Instant, nullable=False, index=True),
)


def tokens_in_force(at: datetime) -> ColumnElement[bool]:
    """Whether a token opens anything, as far as that is up to the token."""
    return and_(tokens.c.revoked.is_(None), or_(tokens.c.expires.is_(None), tokens.c.expires > at))


#: What was denied to whom lately, until it is summed up: how much of it has a row of the audit trail of its own, how
#: much more there was, and the last of it. On the host's side ``side`` is empty.
denials = Table(
    "denials",
    metadata,
    Column("actor", String, primary_key=True),
    Column("side", String, primary_key=True),
    Column("permission", String, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("told", Integer, nullable=False),
    Column("more", BigInteger, nullable=False),
    Column("asked", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
