"""Versions of the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    update,
)

from controller.intent.agreed_terms import AgreedTerms, agreed_terms, terms_of
from controller.inventory.access import WaysRow, changed_ways, in_rows
from controller.models.errors import ConflictError, MinkaError, NotFoundError
from controller.models.network import Network
from controller.models.packing import packed, unpacked
from controller.models.plan import Plan
from controller.store.columns import Instant, metadata
from controller.store.concerns import GUARD, reassess_all, sharing_on
from controller.store.repository import M_co, Repository, Sync, grouped, writes
from controller.store.run_rows import ACTIVE, runs
from controller.store.transaction import Tx, WorkedOut

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
#: Runs under way whose plans follow from network files.
_FROM_FILES = (
    select(runs.c.id)
    .where(runs.c.state.in_(ACTIVE), runs.c.from_files)
    .order_by(runs.c.number)
    .with_for_update(key_share=True)
)
_HELD = select(network_history).order_by(network_history.c.number)


class _SavedVersion(NamedTuple):
    """What goes on record of a new version: its content, a hash of what outages depend on, and rows of the trail."""

    content: bytes
    terms: str
    agreements: str
    ways: tuple[WaysRow, ...]

    @classmethod
    def of(cls, network: Network, before: Network | None) -> _SavedVersion:
        agreements = orjson.dumps([tuple(one) for one in agreed_terms(network)]).decode()
        ways = tuple(in_rows(changed_ways(before, network)))
        return cls(packed(network), terms_of(network), agreements, ways)


#: What is about to go on record, by the digests of the version before and of the new one.
_saved = WorkedOut[tuple[str, str], _SavedVersion](kept=1)


def _asked(digest: str | None = None) -> str:
    return digest or ""


class Networks(Repository[M_co]):
    """Versions of the network."""

    @writes
    def save(self, tx: Tx, network: Network, digest: str, actor: str) -> bool:
        """Keep a network version and make it the current one; False if it was current already.

        In the same transaction it is worked out again whom standing alarms concern.
        """
        # Before any row, as all who change alarms take it.
        tx.guard(GUARD)
        tx.guard(NETWORK_GUARD)
        known, before = current_network(tx) or ("", None)
        if known == digest:
            return False
        saved = _saved.get(tx, (known, digest), lambda: _SavedVersion.of(network, before))
        tx.execute(update(networks).where(networks.c.current).values(current=False))
        row = tx.insert(networks).values(digest=digest, current=True, saved=tx.now, content=saved.content)
        again = {"current": True, "saved": row.excluded.saved}
        tx.execute(row.on_conflict_do_update(index_elements=["digest"], set_=again))
        since = {"digest": digest, "terms": saved.terms, "agreements": saved.agreements, "since": tx.now}
        since["timezone"] = network.header.timezone
        tx.execute(network_history.insert().values(since))
        tx.note(actor, "network.saved", network.header.id, digest=digest)
        _hold_runs(tx)
        for way in saved.ways:
            tx.note_about(way.about, actor, "network.ways", network.header.id, **way.detail)
        reassess_all(tx, sharing_on(digest, network, network.day(tx.now)))
        return True

    @grouped(_asked, "DEFERRED")
    def _get(self, tx: Tx, digests: Sequence[str]) -> list[tuple[str, Network] | MinkaError]:
        current = None if all(digests) else current_network(tx)
        found = load_networks(tx, named) if (named := set(digests) - {""}) else {}
        return [_version(digest, current, found) for digest in digests]

    def _get_alone(self: Networks[Sync], digest: str | None = None) -> tuple[str, Network]:
        """Digest and network of a version, the current one by default. Raises NotFoundError."""
        # Unpacked after the transaction: one that begins anew would tell by its statements what was in memory.
        if self._database.is_joined:
            return self._get(digest)
        known = self._database.run(lambda tx: _packed(tx, digest), "DEFERRED")
        return known.digest, _known.find(known.digest, known.unpacked)

    get = _get.carried_out_alone_by(_get_alone)


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


def _hold_runs(tx: Tx) -> None:
    """Let nothing more begin of runs whose plans follow from network files, until it is known what still does."""
    if found := tx.execute(_FROM_FILES).scalars().all():
        tx.execute(update(runs).where(runs.c.id.in_(found)).values(judge_from=tx.now))


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


def _packed(tx: Tx, digest: str | None) -> PackedNetwork:
    """A version as it is on record, the current one by default. Raises NotFoundError."""
    query = _VERSIONS if digest else _CURRENT
    wanted = {"wanted": [digest]} if digest else {}
    row = tx.execute(query, {"known": _known.keys(), **wanted}).one_or_none()
    if row is None:
        raise _missing(digest or "")
    content, known = row.content, _known.peek(row.digest)
    if content is None and known is None:  # It left the memory since the statement.
        content = tx.execute(_CONTENT, {"wanted": row.digest}).scalar_one()
    return PackedNetwork(row.digest, content or b"", known)


def packed_current(tx: Tx) -> PackedNetwork | None:
    """The current version, with one statement whatever is in memory; None if none was loaded yet."""
    try:
        return _packed(tx, None)
    except NotFoundError:
        return None


def kept(version: PackedNetwork) -> Network:
    """The network of a version, from memory or kept there from now on; to be called outside of transactions."""
    return _known.find(version.digest, version.unpacked)


def _missing(digest: str) -> NotFoundError:
    if digest:
        return NotFoundError(f"there is no network version {digest}")
    return NotFoundError("no network is loaded yet: minka network load")


def _version(
    digest: str, current: tuple[str, Network] | None, found: Mapping[str, Network]
) -> tuple[str, Network] | MinkaError:
    if not digest:
        return current or _missing("")
    return (digest, found[digest]) if digest in found else _missing(digest)
