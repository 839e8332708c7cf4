"""Tokens know the token that they were made with.

Revision: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("made_with", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("tokens", "made_with")
