"""How servers behave, by the name of their software; what a device carried when a transaction began.

Revision: 0025
"""

import sqlalchemy as sa
from alembic import op

from controller.store.tables import Instant

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "behaviours",
        sa.Column("software", sa.String(), nullable=False),
        sa.Column("follow_up", sa.String(), nullable=True),
        sa.Column("cancels", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("learned", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("software", name=op.f("pk_behaviours")),
    )
    op.add_column("journal", sa.Column("carried", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("journal", "carried")
    op.drop_table("behaviours")
