"""A new version of the network, and what follows for alarms and runs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import (
    select,
    update,
)

from controller.intent.agreed_terms import agreed_terms, terms_of
from controller.inventory.access import WaysRow, changed_ways, in_rows
from controller.models.errors import MinkaError
from controller.models.network import Network
from controller.models.packing import packed
from controller.store.alarms.concerns import GUARD, reassess_all, sharing_on
from controller.store.database.repository import M_co, Repository, Sync, grouped, writes
from controller.store.database.transaction import Tx, WorkedOut
from controller.store.jobs.run_rows import ACTIVE, runs
from controller.store.network.versions import (
    NETWORK_GUARD,
    current_network,
    kept,
    load_networks,
    network_history,
    networks,
    no_version,
    packed_version,
)

#: Runs under way whose plans follow from network files.
_FROM_FILES = (
    select(runs.c.id)
    .where(runs.c.state.in_(ACTIVE), runs.c.from_files)
    .order_by(runs.c.number)
    .with_for_update(key_share=True)
)


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
        known = self._database.run(lambda tx: packed_version(tx, digest), "DEFERRED")
        return known.digest, kept(known)

    get = _get.carried_out_alone_by(_get_alone)


def _hold_runs(tx: Tx) -> None:
    """Let nothing more begin of runs whose plans follow from network files, until it is known what still does."""
    if found := tx.execute(_FROM_FILES).scalars().all():
        tx.execute(update(runs).where(runs.c.id.in_(found)).values(judge_from=tx.now))


def _version(
    digest: str, current: tuple[str, Network] | None, found: Mapping[str, Network]
) -> tuple[str, Network] | MinkaError:
    if not digest:
        return current or no_version("")
    return (digest, found[digest]) if digest in found else no_version(digest)
