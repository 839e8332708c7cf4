"""The log of the audit trail: a Merkle tree over its rows, whose signed heads others keep.

The chain of the trail shows a change only to who has its keys. Who keeps a head of the log sees without any key whether
a later log extends it. Leaves are hashes of rows, which are keyed and tell nothing. Tiles of ``TILE`` leaves are filled
up, so that the size of the log does not count the acts of a day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Row, Table, func, select

from controller.models import merkle
from controller.models.audit import AuditBreak, PublishedHead
from controller.models.errors import ConflictError, InputError
from controller.models.evidence import Extension, TrailHead
from controller.models.signed_note import PublicKey, SigningKey
from controller.store.database import audit_chain
from controller.store.database.audit_chain import audit
from controller.store.database.columns import long_text, metadata
from controller.store.database.repository import M_co, Page, Repository, reads, writes
from controller.store.database.transaction import Database, Tx, WorkedOut

#: Tiles of the log from the first on: its last row of the trail, and the root of its ``TILE`` leaves.
audit_tiles = Table(
    "audit_tiles",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("last_row", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

#: Heads as they were published: over how many tiles, and the signed note.
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("tiles", Integer, nullable=False),
    long_text("note"),
)

#: Leaves of a tile.
TILE = 4096
#: Tiles of rows that one transaction adds.
_AT_ONCE = 16
#: What fills a tile up.
_FILL = merkle.leaf(b"")
#: Object and action of audit rows about keys that sign, and about heads: only who has the trail's own keys writes them.
_KEYS, _USED = "signing-keys", "signing-key.used"
_TRAIL, _PUBLISHED = "trail", "trail.published"
_LAST = select(audit_tiles.c.number, audit_tiles.c.last_row).order_by(audit_tiles.c.number.desc()).limit(1)
_TILES = select(audit_tiles.c.hash).order_by(audit_tiles.c.number)
_HEADS = select(audit_heads).order_by(audit_heads.c.number.desc())


class TrailLog(Repository[M_co]):
    """The log of the audit trail, whose signed heads others keep to see that later ones extend them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._tiles: WorkedOut[tuple[str, ...], list[bytes]] = WorkedOut(kept=2)

    @writes
    def grow(self, tx: Tx) -> bool:
        """Add rows of the trail that are not in the log, some whole tiles of them. False once no whole one is left."""
        tx.guard("trail-log")
        return self._grow(tx, whole=True)

    @writes
    def publish(self, tx: Tx) -> PublishedHead | None:
        """Publish a signed head of the whole log; None if the day (UTC) has one, or nothing is to be signed.

        Raises:
            ConflictError: The key that signs is missing.
        """
        tx.guard("trail-log")
        last = _newest(tx, _TRAIL, _PUBLISHED)
        if last is not None and last.at.date() >= tx.now.date():
            return None
        key = signing_key(tx)
        if key is None:
            return None
        published = _published(tx)
        self._grow(tx, whole=False)
        hashes = tx.execute(_TILES).scalars().all()
        if broken := _first_contradicted(published, hashes):
            raise ConflictError(
                f"no head is signed that contradicts the last one: {broken.reason} (row {broken.number})"
            )
        head = TrailHead(key.name, TILE * len(hashes), merkle.root(hashes), tx.now)
        note = key.sign(head.text)
        tx.execute(audit_heads.insert().values(tiles=len(hashes), note=note))
        tx.note("minka", _PUBLISHED, _TRAIL, size=head.size, root=head.root.hex())
        return _noun(note)

    @reads
    def heads(self, tx: Tx, page: Page) -> tuple[int, list[PublishedHead]]:
        """Total and one page of published heads, newest first."""
        total = tx.execute(select(func.count()).select_from(audit_heads)).scalar_one()
        rows = tx.execute(_HEADS.limit(page.limit).offset(page.offset))
        return total, [head for row in rows if (head := _noun(row.note)) is not None]

    @reads
    def extension(self, tx: Tx, earlier: int) -> Extension:
        """The newest head, with the proof that its log extends the one that had ``earlier`` leaves.

        Raises:
            ConflictError: No head of that size is on record.
        """
        newest = tx.execute(_HEADS.limit(1)).one_or_none()
        known = tx.execute(select(audit_heads.c.number).where(audit_heads.c.tiles == earlier // TILE).limit(1)).scalar()
        if newest is None or known is None or earlier % TILE:
            raise ConflictError(
                f"no head of {earlier} leaves is on record: it is not of this trail, or the record was restored from "
                "an older backup since"
            )
        hashes = tx.execute(_TILES.limit(newest.tiles)).scalars().all()
        return Extension(earlier, merkle.consistency(hashes, earlier // TILE), newest.note)

    @reads
    def public_keys(self, tx: Tx) -> list[PublicKey]:
        """Public keys of all that was signed, in the order of their first use."""
        return known_keys(tx)

    @reads
    def verify(self, tx: Tx) -> AuditBreak | None:
        """The first rows of the trail, or the first head, that don't fit what was published; None if all do."""
        hashes = tx.execute(_TILES).scalars().all()
        return _first_changed(tx) or _first_contradicted(_published(tx), hashes) or _first_wrong_head(tx, hashes)

    def _grow(self, tx: Tx, *, whole: bool) -> bool:
        """Add tiles, whole ones only if ``whole``. Returns whether there may be more."""
        last = tx.execute(_LAST).one_or_none()
        number, covered = (last.number, last.last_row) if last else (0, 0)
        rows = list(audit_chain.hashes_of(tx.connection, covered, _AT_ONCE * TILE).items())
        if whole:
            rows = rows[: len(rows) // TILE * TILE]
        if not rows:
            return False
        hashes = tuple(digest for _, digest in rows)
        made = self._tiles.get(tx, hashes, lambda: _tiles(hashes))
        ends = [rows[min(len(rows), (at + 1) * TILE) - 1][0] for at in range(len(made))]
        values = [
            {"number": number + at, "last_row": end, "hash": one}
            for at, (end, one) in enumerate(zip(ends, made, strict=True), start=1)
        ]
        tx.execute(audit_tiles.insert(), values)
        return len(made) == _AT_ONCE


def signing_key(tx: Tx) -> SigningKey | None:
    """The key that signs, with its public key on the audit trail from its first use on; None to sign nothing.

    Raises:
        ConflictError: It is missing.
    """
    key = tx.evidence.signing.newest
    if key is not None:
        tx.guard("signing-keys")
        if key.public not in _used_keys(tx):
            tx.note("minka", _USED, _KEYS, key=key.public.line)
    return key


def known_keys(tx: Tx) -> list[PublicKey]:
    """Public keys of all that was signed, and those that sign here."""
    return list(dict.fromkeys([*_used_keys(tx), *(key.public for key in tx.evidence.signing.keys)]))


def _used_keys(tx: Tx) -> list[PublicKey]:
    """Keys by the audit trail, which nobody writes who can only write to the database."""
    return [PublicKey.parsed(detail["key"]) for _, detail in _rows(tx, _KEYS, _USED)]


def _published(tx: Tx) -> list[_Published]:
    """What was published, by the audit trail, oldest first."""
    rows = _rows(tx, _TRAIL, _PUBLISHED)
    return [_Published(row.id, row.at, int(detail["size"]), bytes.fromhex(detail["root"])) for row, detail in rows]


def _numbers(tx: Tx, target: str, action: str) -> Sequence[int]:
    """Numbers of the audit rows of an action, whoever wrote them, oldest first."""
    found = select(audit.c.id).where(audit_chain.NUMBERED, audit.c.object == target, audit.c.action == action)
    return tx.execute(found.order_by(audit.c.id)).scalars().all()


def _rows(tx: Tx, target: str, action: str) -> list[tuple[Row[Any], Mapping[str, str]]]:
    """Audit rows of an action that are as they were written, with their details, oldest first."""
    rows = audit_chain.intact(tx.connection, _numbers(tx, target, action), tx.evidence.keys)
    return [(row, audit_chain.as_noun(row).detail) for row in rows]


def _newest(tx: Tx, target: str, action: str) -> Row[Any] | None:
    """The newest of those; None if there is none."""
    newest_first = reversed(_numbers(tx, target, action))
    intact = (audit_chain.intact(tx.connection, [number], tx.evidence.keys) for number in newest_first)
    return next((row for rows in intact for row in rows), None)


class _Published(NamedTuple):
    """A head that was published: the audit row about it, its time, leaves and root."""

    row: int
    at: datetime
    size: int
    root: bytes


def _first_contradicted(published: Sequence[_Published], hashes: Sequence[bytes]) -> AuditBreak | None:
    """The row of the first published head that is not one of the log."""
    for one in published:
        if one.size > TILE * len(hashes) or one.root != merkle.root(hashes[: one.size // TILE]):
            return AuditBreak(
                number=one.row, reason=f"the log is not the one of which the head of {one.at:%Y-%m-%d} is"
            )
    return None


def _tiles(hashes: Sequence[str]) -> list[bytes]:
    """Roots of tiles over rows, by their hashes; the last tile is filled up."""
    leaves = [_leaf(one) for one in hashes]
    leaves += [_FILL] * (-len(leaves) % TILE)
    return [merkle.root(leaves[at : at + TILE]) for at in range(0, len(leaves), TILE)]


def _leaf(digest: str) -> bytes:
    """The leaf of a row by its hash. One that is no hash, since somebody changed it, counts as nothing."""
    try:
        return merkle.leaf(bytes.fromhex(digest))
    except (TypeError, ValueError):
        return _FILL


def _first_changed(tx: Tx) -> AuditBreak | None:
    """The first row of the first tile that is not over the rows of the trail."""
    begin = 0
    for tile in tx.execute(select(audit_tiles).order_by(audit_tiles.c.number)).all():
        held = tile.last_row - begin
        hashes = audit_chain.hashes_of(tx.connection, begin, held) if held > 0 else {}
        whole = len(hashes) == held and max(hashes, default=0) == tile.last_row
        if not whole or _tiles([*hashes.values()]) != [tile.hash]:
            reason = f"rows {begin + 1} to {tile.last_row} are not those of the published log"
            return AuditBreak(number=begin + 1, reason=reason)
        begin = tile.last_row
    return None


def _first_wrong_head(tx: Tx, hashes: Sequence[bytes]) -> AuditBreak | None:
    """The row about the first head that is missing, is not as it was signed, or that nobody signed."""
    keys, found = known_keys(tx), set()
    for row in tx.execute(_HEADS):
        try:
            head, _ = TrailHead.read(row.note, keys)
        except InputError:
            continue  # the head that should be there is missed below
        if head.size == TILE * row.tiles and head.root == merkle.root(hashes[: row.tiles]):
            found.add((head.size, head.root, head.issued))
    for one in _published(tx):
        if (one.size, one.root, one.at.replace(microsecond=0)) not in found:
            return AuditBreak(number=one.row, reason=f"the signed head of {one.at:%Y-%m-%d} is missing, or another one")
    return None


def _noun(note: str) -> PublishedHead | None:
    """A head as it was published; None for what is none, which ``verify`` names."""
    try:
        head = TrailHead.parsed(note)
    except InputError:
        return None
    return PublishedHead(size=head.size, issued=head.issued, note=note)
