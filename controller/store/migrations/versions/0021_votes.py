"""Votes know by what their person proved who they are; tokens know who made them.

Revision: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

#: Who made a token is on the audit trail so far.
_MADE = sa.text(
    "UPDATE tokens SET maker = COALESCE((SELECT audit.actor FROM audit WHERE audit.object = tokens.id"
    " AND audit.action IN ('token.added', 'token.rotated') ORDER BY audit.id LIMIT 1), '')"
)
#: Of one that its owner made with another's token that is the other's maker.
_INHERITED = sa.text(
    "UPDATE tokens SET maker = (SELECT used.maker FROM tokens AS used WHERE used.id = tokens.made_with)"
    " WHERE maker = owner AND EXISTS (SELECT 1 FROM tokens AS used WHERE used.id = tokens.made_with"
    " AND used.owner = tokens.owner AND used.maker NOT IN ('', tokens.maker))"
)


def upgrade() -> None:
    for table, name in (("tokens", "maker"), ("votes", "token"), ("votes", "maker"), ("votes", "issuer")):
        op.add_column(table, sa.Column(name, sa.String(), nullable=False, server_default=""))
    connection = op.get_bind()
    connection.execute(_MADE)
    while connection.execute(_INHERITED).rowcount:
        pass


def downgrade() -> None:
    for table, name in (("votes", "issuer"), ("votes", "maker"), ("votes", "token"), ("tokens", "maker")):
        op.drop_column(table, name)
