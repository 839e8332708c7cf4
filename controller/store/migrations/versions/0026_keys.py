"""Idempotency keys are those of who used them.

Revision: 0026
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_WHO = "CASE WHEN cause = 'person' THEN requested_by ELSE cause END"


def upgrade() -> None:
    op.execute(f"UPDATE runs SET idempotency_key = {_WHO} || ' ' || idempotency_key WHERE idempotency_key IS NOT NULL")


def downgrade() -> None:
    # Nor would keys of several people be unique without their names: they only ever keep a request from being doubled.
    op.execute("UPDATE runs SET idempotency_key = NULL")
