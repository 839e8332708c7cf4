"""What steps ask of stations that is no edit.

Revision: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("steps") as table:
        table.add_column(sa.Column("operations", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("steps") as table:
        table.drop_column("operations")
