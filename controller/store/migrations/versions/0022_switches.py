"""Switches say since when, by whom and why.

Revision: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("switches", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    for name in ("by", "reason"):
        op.add_column("switches", sa.Column(name, sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    for name in ("reason", "by", "since"):
        op.drop_column("switches", name)
