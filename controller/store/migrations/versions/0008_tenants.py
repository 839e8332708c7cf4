"""Whom plans and runs concern.

Those from before this revision are told to people of the host only.

Revision: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_tenants",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stations", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_plan_tenants")),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name=op.f("fk_plan_tenants_plan")),
        sa.UniqueConstraint("handle", name=op.f("uq_plan_tenants_handle")),
    )
    op.create_index("ix_plan_tenants_plan_tenant", "plan_tenants", ["plan", "tenant"], unique=True)
    op.create_index("ix_plan_tenants_tenant_number", "plan_tenants", ["tenant", "number"])
    op.create_table(
        "run_tenants",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run", "tenant", "station", name=op.f("pk_run_tenants")),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_run_tenants_run")),
    )
    op.create_index("ix_run_tenants_tenant_run", "run_tenants", ["tenant", "run"])


def downgrade() -> None:
    op.drop_table("run_tenants")
    op.drop_table("plan_tenants")
