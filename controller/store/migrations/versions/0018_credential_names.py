"""Network versions name credentials; references are the server's settings.

Revision: 0018
"""

import json
import re
import zlib
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_FIELDS = frozenset({"authority", "client_certificate", "credential", "enable_credential"})
_NAMES = {"env:MINKA_DEVICE_PASSWORD": "device", "env:MINKA_DEVICE_CERTIFICATE": "device-certificate"}


def upgrade() -> None:
    _rewrite(_name)


def downgrade() -> None:
    _rewrite(_reference)


def _rewrite(said: Callable[[str], str]) -> None:
    networks = sa.table("networks", sa.column("digest", sa.String), sa.column("content", sa.LargeBinary))
    connection = op.get_bind()
    for digest, content in connection.execute(sa.select(networks.c.digest, networks.c.content)).all():
        network = json.loads(zlib.decompress(content))
        for row in (network["header"]["management"], *network["endpoints"], *network.get("routers", ())):
            row |= {field: said(row[field]) for field in _FIELDS & row.keys() if row[field] is not None}
        rewritten = zlib.compress(json.dumps(network, sort_keys=True).encode(), 1)
        connection.execute(sa.update(networks).where(networks.c.digest == digest).values(content=rewritten))


def _name(reference: str) -> str:
    """What a reference of former network files is called: ``env:CORE_KEY`` is ``core-key``."""
    words = re.sub(r"[^a-z0-9]+", "-", reference.partition(":")[2].lower())
    return _NAMES.get(reference) or words.strip("-")[-64:].strip("-")


def _reference(name: str) -> str:
    """A reference to a variable for a name; what else it stood for is not on record."""
    known = {name: reference for reference, name in _NAMES.items()}
    return known.get(name) or f"env:{name.upper().replace('-', '_')}"
