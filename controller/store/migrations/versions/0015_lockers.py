"""Leases name the sessions of ours that may still hold their device's lock.

Revision: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leases", sa.Column("lockers", sa.Text, nullable=False, server_default=""))
    op.add_column("leases", sa.Column("locked", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("leases", "locked")
    op.drop_column("leases", "lockers")
