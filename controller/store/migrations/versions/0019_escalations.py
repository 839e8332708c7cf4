"""Escalations are claimed before people are told.

Revision: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alarms", sa.Column("escalated", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "escalations",
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("told", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.id"], name=op.f("fk_escalations_alarm")),
        sa.PrimaryKeyConstraint("alarm", "number", name=op.f("pk_escalations")),
    )
    op.create_index(
        "ix_escalations_untold",
        "escalations",
        ["at"],
        sqlite_where=sa.text("told IS NULL"),
        postgresql_where=sa.text("told IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_escalations_untold", table_name="escalations")
    op.drop_table("escalations")
    op.drop_column("alarms", "escalated")
