"""Plans that are the same to a tenant have one name there.

Revision: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("plan_tenants") as table:
        table.add_column(sa.Column("part", sa.String(), nullable=False, server_default=""))
        table.drop_constraint(op.f("uq_plan_tenants_handle"), type_="unique")
    op.create_index("ix_plan_tenants_handle", "plan_tenants", ["handle"])
    op.create_index("ix_plan_tenants_tenant_part", "plan_tenants", ["tenant", "part"])


def downgrade() -> None:
    op.drop_index("ix_plan_tenants_tenant_part", "plan_tenants")
    op.drop_index("ix_plan_tenants_handle", "plan_tenants")
    op.execute("DELETE FROM plan_tenants WHERE number NOT IN (SELECT MIN(number) FROM plan_tenants GROUP BY handle)")
    with op.batch_alter_table("plan_tenants") as table:
        table.create_unique_constraint(op.f("uq_plan_tenants_handle"), ["handle"])
        table.drop_column("part")
