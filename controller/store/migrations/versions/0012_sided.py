"""Since when people are of their side.

Revision: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("sided", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE users SET sided = created")


def downgrade() -> None:
    op.drop_column("users", "sided")
