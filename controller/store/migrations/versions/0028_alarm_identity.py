"""Alarms of two tenants are two; one column finds the alarm of a report.

Revision: 0028
"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_NAMES = ("station", "object", "tenant", "probable_cause", "specific_problem")
_ALARMS = sa.table("alarms", *(sa.column(name) for name in ("number", "identity", *_NAMES)))
_STANDING = sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)")


def _standing(*columns: str) -> None:
    op.create_index(
        "ix_alarms_standing", "alarms", columns, unique=True, sqlite_where=_STANDING, postgresql_where=_STANDING
    )


def upgrade() -> None:
    op.drop_index("ix_alarms_standing", table_name="alarms")
    op.drop_index("ix_alarms_identity", table_name="alarms")
    op.add_column("alarms", sa.Column("identity", sa.String(), server_default="", nullable=False))
    connection = op.get_bind()
    rows = connection.execute(sa.select(_ALARMS)).all()
    known = [{"of": row.number, "hash": _identity([getattr(row, name) for name in _NAMES])} for row in rows]
    if known:
        update = sa.update(_ALARMS).where(_ALARMS.c.number == sa.bindparam("of"))
        connection.execute(update.values(identity=sa.bindparam("hash")), known)
    op.create_index("ix_alarms_identity", "alarms", ["identity", "number"])
    op.create_index("ix_alarms_station", "alarms", ["station", "number"])
    _standing("identity")
    op.create_table(
        "refused_alerts",
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reason", name=op.f("pk_refused_alerts")),
    )


def _identity(values: list[str]) -> str:
    content = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def downgrade() -> None:
    op.drop_table("refused_alerts")
    op.drop_index("ix_alarms_standing", table_name="alarms")
    op.drop_index("ix_alarms_station", table_name="alarms")
    op.drop_index("ix_alarms_identity", table_name="alarms")
    op.drop_column("alarms", "identity")
    op.create_index("ix_alarms_identity", "alarms", ["station", "object", "probable_cause", "specific_problem", "number"])
    _standing("station", "object", "probable_cause", "specific_problem")
