"""Versions of the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    bindparam,
    case,
    select,
    text,
    update,
)

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

#: Since when which version was current, and a hash of what outages depend on (``controller.intent.outages.terms_of``).
network_history = Table(
    "network_history",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("terms", String, nullable=False),
    Column("since", Instant, nullable=False),
)

#: Network versions that each process keeps in memory: the current one, and those of running plans.
_CACHED = 4
#: The content is read only of versions that are not in memory, and always in the same statement: the number of
#: statements must not reveal what was in memory, and so what others did.
_NEW_CONTENT = case((networks.c.digest.in_(bindparam("known", expanding=True)), None), else_=networks.c.content).label(
    "content"
)
_CURRENT = select(networks.c.digest, _NEW_CONTENT).where(networks.c.current)
_VERSIONS = select(networks.c.digest, _NEW_CONTENT).where(networks.c.digest.in_(bindparam("wanted", expanding=True)))
_HELD = select(network_history).order_by(network_history.c.number)
_known: dict[str, Network] = {}


def _asked(digest: str | None = None) -> str:
    return digest or ""


class SqlNetworks(SqlRepository, Networks[Sync]):
    """Repository of network versions."""

    @writes
    def save(self, tx: Tx, network: Network, digest: str, actor: str) -> bool:
        tx.guard("network")
        known, before = current_network(tx) or ("", None)
        if known == digest:
            return False
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
        current = None if all(digests) else current_network(tx)
        found = load_networks(tx, named) if (named := set(digests) - {""}) else {}
        return [_version(digest, current, found) for digest in digests]


def current_network(tx: Tx) -> tuple[str, Network] | None:
    """Digest and content of the current network, with one statement; None if none was loaded yet."""
    known = _known
    row = tx.execute(_CURRENT, {"known": list(known)}).one_or_none()
    return None if row is None else (row.digest, _loaded(row, known))


def load_networks(tx: Tx, digests: Iterable[str]) -> dict[str, Network]:
    """Network versions by digest, with one statement; without those that are not on record."""
    known = _known
    rows = tx.execute(_VERSIONS, {"known": list(known), "wanted": sorted(set(digests))})
    return {row.digest: _loaded(row, known) for row in rows}


def _loaded(row: Row[Any], known: Mapping[str, Network]) -> Network:
    """A network version, from memory or kept there from now on."""
    global _known  # noqa: PLW0603  # replaced as a whole, since other threads may be reading the old one
    if row.content is None:
        return known[row.digest]
    network = unpacked(Network, row.content)
    _known = {**dict(list(_known.items())[1 - _CACHED :]), row.digest: network}
    return network


def versions_during(tx: Tx, begin: datetime, until: datetime) -> list[tuple[datetime, str]]:
    """Digests of the network between two times, each with its begin; empty if no network was loaded.

    Versions in which outages count in the same way are merged under the last of them. The first version also stands for
    the time before it, when there was nothing to count.
    """
    found: list[tuple[datetime, str, str]] = []
    rows = tx.execute(_HELD.where(network_history.c.since < until)).all() or tx.execute(_HELD.limit(1)).all()
    for row in rows:
        since = max(row.since, begin)
        if found and (found[-1][2] == row.terms or since == begin):
            since = found.pop()[0]
        found.append((since if found else begin, row.digest, row.terms))
    return [(since, digest) for since, digest, _ in found]


def _version(
    digest: str, current: tuple[str, Network] | None, found: Mapping[str, Network]
) -> tuple[str, Network] | MinkaError:
    if not digest:
        return current or NotFoundError("no network is loaded yet: minka network load")
    return (digest, found[digest]) if digest in found else NotFoundError(f"there is no network version {digest}")
