"""Audit rows name the key that signed them; the record knows when it was in doubt.

Revision: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit", sa.Column("key", sa.String(), server_default="", nullable=False))
    op.create_table(
        "doubts",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("choice", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_doubts")),
    )


def downgrade() -> None:
    op.drop_table("doubts")
    op.drop_column("audit", "key")
