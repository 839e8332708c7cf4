"""Versions of the network on record, and which was in force when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    Text,
    bindparam,
    case,
    select,
    text,
)

from controller.intent.agreed_terms import AgreedTerms
from controller.models.errors import AbsentError, ConflictError, NotFoundError
from controller.models.network import Network
from controller.models.packing import unpacked
from controller.models.plan import Plan
from controller.store.database.columns import Instant, metadata
from controller.store.database.transaction import Tx, WorkedOut

#: Guard: whatever depends on which version is in force at its commit.
NETWORK_GUARD = "network"


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


#: Since when which version was current, a hash of what outages depend on (``controller.intent.agreed_terms.terms_of``),
#: and the terms of its agreements, so that nobody has to read a whole version for them.
network_history = Table(
    "network_history",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    Column("terms", String, nullable=False),
    Column("since", Instant, nullable=False),
    # Of the network from then on: days and months of measurements are those of the zone that held then.
    Column("timezone", String, nullable=False),
    # JSON list of ``controller.intent.agreed_terms.AgreedTerms``.
    Column("agreements", Text, nullable=False, server_default="[]"),
)


#: Network versions that each process keeps in memory: the current one, and those of running plans.
_known = WorkedOut[str, Network](kept=4)


#: The content is read only of versions that are not in memory, and always in the same statement: the number of
#: statements must not reveal what was in memory, and so what others did.
_NEW_CONTENT = case((networks.c.digest.in_(bindparam("known", expanding=True)), None), else_=networks.c.content).label(
    "content"
)


_CURRENT = select(networks.c.digest, _NEW_CONTENT).where(networks.c.current)


_VERSIONS = select(networks.c.digest, _NEW_CONTENT).where(networks.c.digest.in_(bindparam("wanted", expanding=True)))


_CONTENT = select(networks.c.content).where(networks.c.digest == bindparam("wanted"))


_IN_FORCE = select(networks.c.digest).where(networks.c.current)


_HELD = select(network_history).order_by(network_history.c.number)


def check_files(tx: Tx, plan: Plan) -> None:
    """Check that a plan was made on the network files in force, which stay so until the transaction has ended.

    Raises:
        ConflictError: Others were loaded since.
    """
    tx.guard(NETWORK_GUARD)
    digest = files_in_force(tx)
    if digest not in (None, plan.network_digest):
        raise ConflictError(f"plan {plan.id} was made on an older version of the network files: plan again")


def files_in_force(tx: Tx) -> str | None:
    """Digest of the current version; None if none was loaded yet."""
    return tx.execute(_IN_FORCE).scalar()


def current_network(tx: Tx) -> tuple[str, Network] | None:
    """Digest and content of the current network, with one statement; None if none was loaded yet."""
    row = tx.execute(_CURRENT, {"known": _known.keys()}).one_or_none()
    return None if row is None else (row.digest, _loaded(tx, row))


def load_networks(tx: Tx, digests: Iterable[str]) -> dict[str, Network]:
    """Network versions by digest, with one statement; without those that are not on record."""
    rows = tx.execute(_VERSIONS, {"known": _known.keys(), "wanted": sorted(set(digests))}).all()
    return {row.digest: _loaded(tx, row) for row in rows}


def _loaded(tx: Tx, row: Row[Any]) -> Network:
    """A network version, from memory or kept there from now on."""
    known = _known.peek(row.digest)
    if known is not None:
        return known
    content = row.content
    if content is None:  # It left the memory since the statement.
        content = tx.execute(_CONTENT, {"wanted": row.digest}).scalar_one()
    return _known.get(tx, row.digest, lambda: unpacked(Network, content))


class PackedNetwork(NamedTuple):
    """A network version as it is on record. To unpack it takes as long as a transaction may; it is not kept."""

    digest: str
    content: bytes
    in_memory: Network | None = None

    def unpacked(self) -> Network:
        """The network."""
        known = self.in_memory or _known.peek(self.digest)
        return unpacked(Network, self.content) if known is None else known


def packed_networks(tx: Tx, digests: Iterable[str]) -> dict[str, PackedNetwork]:
    """Network versions by digest, with one statement; without those that are not on record."""
    rows = tx.execute(_VERSIONS, {"known": [], "wanted": sorted(set(digests))})
    return {row.digest: PackedNetwork(row.digest, row.content) for row in rows}


class HeldVersion(NamedTuple):
    """A network version that was current for a time.

    Attributes:
        since: Since when; versions in which outages count in the same way are merged under the last of them.
        assumed: Whether it is the time before the first version was loaded.
    """

    since: datetime
    digest: str
    terms: str
    agreements: tuple[AgreedTerms, ...]
    assumed: bool = False


def versions_during(tx: Tx, begin: datetime, until: datetime) -> list[HeldVersion]:
    """Versions of the network between two times, in order; empty if no network was loaded.

    The first version also stands for the time before it, as an assumed one, when nobody looked at anything.
    """
    found: list[HeldVersion] = []
    rows = tx.execute(_HELD.where(network_history.c.since < until)).all() or tx.execute(_HELD.limit(1)).all()
    first = rows[0].number if rows else 0
    for row in rows:
        since = max(row.since, begin)
        if found and not found[-1].assumed and (found[-1].terms == row.terms or since == begin):
            since = found.pop().since
        agreements = tuple(map(_as_terms, orjson.loads(row.agreements)))
        if not found and row.since > begin and row.number == first:
            found.append(HeldVersion(begin, row.digest, row.terms, agreements, assumed=True))
        if since < until or not found:
            found.append(HeldVersion(since, row.digest, row.terms, agreements))
    return found


def _as_terms(row: list[Any]) -> AgreedTerms:
    name, tenant, cells, percent, begin, until = row
    return AgreedTerms(name, tenant, cells, percent, datetime.fromisoformat(begin), datetime.fromisoformat(until))


def packed_version(tx: Tx, digest: str | None) -> PackedNetwork:
    """A version as it is on record, the current one by default. Raises NotFoundError."""
    query = _VERSIONS if digest else _CURRENT
    wanted = {"wanted": [digest]} if digest else {}
    row = tx.execute(query, {"known": _known.keys(), **wanted}).one_or_none()
    if row is None:
        raise no_version(digest or "")
    content, known = row.content, _known.peek(row.digest)
    if content is None and known is None:  # It left the memory since the statement.
        content = tx.execute(_CONTENT, {"wanted": row.digest}).scalar_one()
    return PackedNetwork(row.digest, content or b"", known)


def packed_current(tx: Tx) -> PackedNetwork | None:
    """The current version, with one statement whatever is in memory; None if none was loaded yet."""
    try:
        return packed_version(tx, None)
    except NotFoundError:
        return None


def kept(version: PackedNetwork) -> Network:
    """The network of a version, from memory or kept there from now on; to be called outside of transactions."""
    return _known.find(version.digest, version.unpacked)


def no_version(digest: str) -> NotFoundError:
    """The error where a version, or any if none is named, is not on record."""
    if digest:
        return NotFoundError(f"there is no network version {digest}")
    return AbsentError("no network is loaded yet: minka network load")
