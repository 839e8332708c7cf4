"""Units and waves that were postponed begin anew, in another round.

Revision: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COLUMNS = '"run", "wave", "unit", "gate", "verdict", "at", "by", "reason"'


def upgrade() -> None:
    op.add_column("jobs", sa.Column("round", sa.Integer(), server_default="0", nullable=False))
    op.execute("CREATE TABLE decisions_kept AS SELECT * FROM decisions")
    op.drop_table("decisions")
    _create(sa.Column("round", sa.Integer(), autoincrement=False, nullable=False))
    op.execute(f'INSERT INTO decisions ({_COLUMNS}, "round") SELECT {_COLUMNS}, 0 FROM decisions_kept')
    op.drop_table("decisions_kept")


def downgrade() -> None:
    op.execute("CREATE TABLE decisions_kept AS SELECT * FROM decisions")
    op.drop_table("decisions")
    _create()
    op.execute(f'INSERT INTO decisions ({_COLUMNS}) SELECT {_COLUMNS} FROM decisions_kept WHERE "round" = 0')
    op.drop_table("decisions_kept")
    op.drop_column("jobs", "round")


def _create(*rounds: sa.Column[int]) -> None:
    key = ["run", "wave", "unit", "gate", *(column.name for column in rounds)]
    op.create_table(
        "decisions",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("gate", sa.Integer(), autoincrement=False, nullable=False),
        *rounds,
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_decisions_run")),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_decisions")),
    )
