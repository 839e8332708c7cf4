"""Sign-ins: the newest token of each person, and those that were signed out with.

Revision: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("vouched", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("turned", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "signed_out",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_signed_out_ends", "signed_out", ["ends"])


def downgrade() -> None:
    op.drop_table("signed_out")
    op.drop_column("users", "turned")
    op.drop_column("users", "vouched")
