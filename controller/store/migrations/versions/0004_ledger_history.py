"""What we hold nodes to, and what the ledger said before it changed.

Of nodes that were in the ledger before this revision only their being there is known, until stations are adopted
anew or applied.

Revision: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ledger", sa.Column("leaves", sa.Text(), server_default="", nullable=False))
    op.add_column("ledger", sa.Column("first", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "ledger_history",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_history")),
    )
    op.create_index("ix_ledger_history_station_number", "ledger_history", ["station", "number"])
    op.create_index("ix_jobs_station_finished", "jobs", ["station", "finished"])


def downgrade() -> None:
    op.drop_index("ix_jobs_station_finished", "jobs")
    op.drop_table("ledger_history")
    op.drop_column("ledger", "first")
    op.drop_column("ledger", "leaves")
