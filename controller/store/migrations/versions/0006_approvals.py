"""Approvals, windows, freezes, notices: what runs are accepted under, and what follows for their jobs.

Revision: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _name(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    op.add_column("runs", sa.Column("side", sa.String(), server_default="host", nullable=False))
    op.add_column("jobs", _text("blocked"))
    op.add_column("jobs", sa.Column("closes", _TIME, nullable=True))
    op.create_table(
        "run_terms",
        _name("run"),
        _name("subject"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _name("told"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_run_terms_run")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_run_terms")),
    )
    op.create_index(op.f("ix_run_terms_subject"), "run_terms", ["subject"], unique=False)
    op.create_table(
        "votes",
        _name("subject"),
        _name("side"),
        _name("person"),
        _name("role"),
        _name("verdict"),
        _text("reason"),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("subject", "side", "person", name=op.f("pk_votes")),
    )
    op.create_table(
        "overrides",
        _name("run"),
        _name("by"),
        _text("reason"),
        sa.Column("at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_overrides_run")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_overrides")),
    )
    op.create_table(
        "freezes",
        sa.Column("number", sa.Integer(), nullable=False),
        _name("id"),
        _name("target"),
        sa.Column("begins", _TIME, nullable=False),
        sa.Column("ends", _TIME, nullable=False),
        _name("by"),
        _text("reason"),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("lifted", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_freezes")),
        sa.UniqueConstraint("id", name=op.f("uq_freezes_id")),
    )
    op.create_table(
        "notices",
        sa.Column("number", sa.Integer(), nullable=False),
        _name("id"),
        _name("run"),
        _name("tenant"),
        _name("kind"),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("stations", sa.Text(), nullable=False),
        sa.Column("begins", _TIME, nullable=True),
        _text("text"),
        sa.Column("sent", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notices")),
        sa.UniqueConstraint("id", name=op.f("uq_notices_id")),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_notices_run")),
    )
    op.create_index("ix_notices_run_tenant_kind", "notices", ["run", "tenant", "kind"], unique=True)
    op.create_index("ix_notices_tenant_number", "notices", ["tenant", "number"], unique=False)


def downgrade() -> None:
    for table in ("notices", "freezes", "overrides", "votes", "run_terms"):
        op.drop_table(table)
    op.drop_column("jobs", "closes")
    op.drop_column("jobs", "blocked")
    op.drop_column("runs", "side")
