"""Users with roles; tokens with scope, end, last use.

Who had a token so far could do everything, so each becomes an administrator. The token of the name ``webhook``
opened webhooks only, and goes on doing so by its scope.

Revision: 0005
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WEBHOOK = "webhook"
_DOWN = """SELECT tokens.digest, users.name, tokens.created FROM tokens JOIN users ON users.name = tokens.owner
WHERE tokens.revoked IS NULL AND tokens.expires IS NULL AND users.disabled IS NULL
AND (users.role = 'administrator' AND tokens.scopes IS NULL OR users.name = 'webhook' AND tokens.scopes = 'webhook')"""


def upgrade() -> None:
    kept = op.get_bind().execute(sa.text("SELECT digest, name, created FROM tokens ORDER BY created")).all()
    op.drop_table("tokens")
    users = op.create_table(
        "users",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issuer", sa.String(), server_default="", nullable=False),
        sa.Column("subject", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
    )
    op.create_index(
        "ix_users_issuer_subject",
        "users",
        ["issuer", "subject"],
        unique=True,
        sqlite_where=sa.text("issuer != ''"),
        postgresql_where=sa.text("issuer != ''"),
    )
    tokens = op.create_table(
        "tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        sa.ForeignKeyConstraint(["owner"], ["users.name"], name=op.f("fk_tokens_owner")),
    )
    op.create_index(op.f("ix_tokens_owner"), "tokens", ["owner"])
    for name, created in {name: created for _, name, created in reversed(kept)}.items():
        role = "noc-engineer" if name == _WEBHOOK else "administrator"
        _insert(users, name=name, role=role, tenant="", created=created)
    for digest, name, created in kept:
        scopes = _WEBHOOK if name == _WEBHOOK else None
        token = f"t-{secrets.token_hex(4)}"
        _insert(tokens, id=token, digest=digest, owner=name, label="", scopes=scopes, created=created)


def _insert(table: sa.Table, *, created, **values) -> None:
    """Insert a row; its time goes in as it came out, which SQLite gives as text."""
    row = {**values, "created": created}
    columns = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join(f":{name}" for name in row)
    op.get_bind().execute(sa.text(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"), row)


def downgrade() -> None:
    # Only those that open as much as tokens opened before: others would open more than they may.
    kept = op.get_bind().execute(sa.text(_DOWN)).all()
    op.drop_table("tokens")
    op.drop_table("users")
    tokens = op.create_table(
        "tokens",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_tokens")),
    )
    for digest, name, created in kept:
        _insert(tokens, digest=digest, name=name, created=created)
