"""Versions of the network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, select, text, update

from controller.intent.outages import terms_of
from controller.inventory.access import changed_ways, in_rows
from controller.models.errors import MinkaError, NotFoundError
from controller.models.network import Network
from controller.models.packing import packed, unpacked
from controller.ports.store import Networks, Sync
from controller.store.columns import Instant, metadata
from controller.store.repository import SqlRepository, grouped, writes
from controller.store.transaction import Tx

networks = Table(
    "networks",
    metadata,
    Column("digest", String, primary_key=True),
    Column("current", Boolean, nullable=False),
    Column("saved", Instant, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index(
        "ix_networks_current",
        "current",
        unique=True,
        sqlite_where=text('"current"'),
        postgresql_where=text('"current"'),
    ),
)

#: Since when which version held, and a hash of what outages count by (``controller.intent.outages.terms_of``).
network_history = Table(
    "network_history",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("terms", String, nullable=False),
    Column("since", Instant, nullable=False),
)

#: Network versions kept in memory by each process: the current one and those that running plans were made of.
_CACHED = 4
_CURRENT = select(networks.c.digest).where(networks.c.current)
_HELD = select(network_history).order_by(network_history.c.number)
_known: dict[str, Network] = {}


def _asked(digest: str | None = None) -> str:
    return digest or ""


class SqlNetworks(SqlRepository, Networks[Sync]):
    """What should be."""

    @writes
    def save(self, tx: Tx, network: Network, digest: str, actor: str) -> bool:
        tx.guard("network")
        known = current_digest(tx)
        if known == digest:
            return False
        before = load_network(tx, known) if known else None
        tx.execute(update(networks).where(networks.c.current).values(current=False))
        row = tx.insert(networks).values(digest=digest, current=True, saved=tx.now, content=packed(network))
        again = {"current": True, "saved": row.excluded.saved}
        tx.execute(row.on_conflict_do_update(index_elements=["digest"], set_=again))
        tx.execute(network_history.insert().values(digest=digest, terms=terms_of(network), since=tx.now))
        tx.note(actor, "network.saved", network.header.id, digest=digest)
        for detail in in_rows(changed_ways(before, network)):
            tx.note(actor, "network.ways", network.header.id, **detail)
        return True

    @grouped(_asked, "DEFERRED")
    def get(self, tx: Tx, digests: Sequence[str]) -> list[tuple[str, Network] | MinkaError]:
        current = "" if all(digests) else current_digest(tx)
        return [_version(tx, digest or current) for digest in digests]


def current_digest(tx: Tx) -> str:
    """Digest of the current network; empty where none was loaded yet."""
    return tx.execute(_CURRENT).scalar() or ""


def versions_during(tx: Tx, begin: datetime, until: datetime) -> list[tuple[datetime, str]]:
    """Digests of the network from one time to another, each with since when it held; none before one was loaded.

    Versions in which outages count alike are one, of which the last is meant. Before the first version there was
    nothing to count, so that the first holds from the beginning.
    """
    found: list[tuple[datetime, str, str]] = []
    rows = tx.execute(_HELD.where(network_history.c.since < until)).all() or tx.execute(_HELD.limit(1)).all()
    for row in rows:
        since = max(row.since, begin)
        if found and (found[-1][2] == row.terms or since == begin):
            since = found.pop()[0]
        found.append((since if found else begin, row.digest, row.terms))
    return [(since, digest) for since, digest, _ in found]


def load_network(tx: Tx, digest: str) -> Network:
    """The network version with this digest. Raises NotFoundError."""
    global _known  # noqa: PLW0603  # replaced as a whole, since other threads may be reading the old one
    cached = _known.get(digest)
    if cached is None:
        content = tx.execute(select(networks.c.content).where(networks.c.digest == digest)).scalar()
        if content is None:
            raise NotFoundError(f"there is no network version {digest}")
        cached = unpacked(Network, content)
        _known = {**dict(list(_known.items())[1 - _CACHED :]), digest: cached}
    return cached


def _version(tx: Tx, digest: str) -> tuple[str, Network] | MinkaError:
    if not digest:
        return NotFoundError("no network is loaded yet: minka network load")
    try:
        return digest, load_network(tx, digest)
    except NotFoundError as error:
        return error
