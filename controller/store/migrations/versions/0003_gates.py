"""Units and ranks of jobs, gates, and what was decided at them.

Revision: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("unit", sa.Text(), server_default="", nullable=False))
    op.add_column("jobs", sa.Column("rank", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("gate", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("gate_until", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE jobs SET unit = station")
    op.create_table(
        "decisions",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("gate", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_decisions_run")),
        sa.PrimaryKeyConstraint("run", "wave", "unit", "gate", name=op.f("pk_decisions")),
    )


def downgrade() -> None:
    op.drop_table("decisions")
    for column in ("gate_until", "gate", "rank", "unit"):
        op.drop_column("jobs", column)
