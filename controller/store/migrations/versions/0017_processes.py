"""Processes of every role show that they live and do their rounds.

Revision: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("role", sa.String(), nullable=False, server_default="worker"))
    op.add_column("workers", sa.Column("seen", sa.DateTime(timezone=True), nullable=True))
    op.add_column("workers", sa.Column("late", sa.Text(), nullable=False, server_default=""))
    op.add_column("workers", sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    for column in ("listed", "late", "seen", "role"):
        op.drop_column("workers", column)
