"""Votes give contractual reasons, which name agreement and clause.

Revision: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("votes", sa.Column("contracts", sa.Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("votes", "contracts")
