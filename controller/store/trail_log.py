"""The log of the audit trail: a Merkle tree over its rows, whose signed heads others keep.

The chain of the trail shows a change only to who has its keys. Who keeps a head of the log sees without any key whether
a later log extends it. Leaves are hashes of rows, which are keyed and tell nothing. Tiles of ``TILE`` leaves are filled
up, so that the size of the log does not count the acts of a day.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Row, String, Table, func, select

from controller.models import merkle
from controller.models.audit import AuditBreak, PublishedHead
from controller.models.errors import ConflictError, InputError
from controller.models.evidence import Extension, TrailHead
from controller.models.signed_note import PublicKey, SigningKey
from controller.ports.store import Page, Sync, TrailLog
from controller.store.audit_chain import audit
from controller.store.columns import Instant, long_text, metadata
from controller.store.repository import SqlRepository, reads, writes
from controller.store.transaction import Database, Tx, WorkedOut

#: Tiles of the log from the first on: its last row of the trail, and the root of its ``TILE`` leaves.
audit_tiles = Table(
    "audit_tiles",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("last_row", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

#: Heads as they were published: after how many tiles, and the signed note.
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("tiles", Integer, nullable=False),
    Column("issued", Instant, nullable=False),
    long_text("note"),
)

#: Public keys of all that was signed, in the order of their first use.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("line", String, nullable=False, unique=True),
    Column("since", Instant, nullable=False),
)

#: Leaves of a tile.
TILE = 4096
#: Tiles of rows that one transaction adds.
_AT_ONCE = 16
#: What fills a tile up.
_FILL = merkle.leaf(b"")
_LAST = select(audit_tiles.c.number, audit_tiles.c.last_row).order_by(audit_tiles.c.number.desc()).limit(1)
_TILES = select(audit_tiles.c.hash).order_by(audit_tiles.c.number)
_HEADS = select(audit_heads).order_by(audit_heads.c.number.desc())


class SqlTrailLog(SqlRepository, TrailLog[Sync]):
    """Repository of the log of the audit trail."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._tiles: WorkedOut[tuple[str, ...], list[bytes]] = WorkedOut(kept=2)

    @writes
    def grow(self, tx: Tx) -> bool:
        tx.guard("trail-log")
        return self._grow(tx, whole=True)

    @writes
    def publish(self, tx: Tx) -> PublishedHead | None:
        tx.guard("trail-log")
        newest = tx.execute(_HEADS.limit(1)).one_or_none()
        if newest is not None and newest.issued.date() >= tx.now.date():
            return None
        key = signing_key(tx)
        if key is None:
            return None
        self._grow(tx, whole=False)
        hashes = tx.execute(_TILES).scalars().all()
        head = TrailHead(key.name, TILE * len(hashes), merkle.root(hashes), tx.now)
        note = key.sign(head.text)
        tx.execute(audit_heads.insert().values(tiles=len(hashes), issued=tx.now, note=note))
        tx.note("minka", "trail.published", "trail", size=head.size, root=head.root.hex())
        return PublishedHead(size=head.size, issued=tx.now, note=note)

    @reads
    def heads(self, tx: Tx, page: Page) -> tuple[int, list[PublishedHead]]:
        total = tx.execute(select(func.count()).select_from(audit_heads)).scalar_one()
        return total, [_noun(row) for row in tx.execute(_HEADS.limit(page.limit).offset(page.offset))]

    @reads
    def extension(self, tx: Tx, earlier: int) -> Extension:
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
        return known_keys(tx)

    @reads
    def verify(self, tx: Tx) -> AuditBreak | None:
        return _first_changed(tx) or _first_wrong_head(tx)

    def _grow(self, tx: Tx, *, whole: bool) -> bool:
        """Add tiles, whole ones only if ``whole``. Returns whether there may be more."""
        last = tx.execute(_LAST).one_or_none()
        number, covered = (last.number, last.last_row) if last else (0, 0)
        new = select(audit.c.id, audit.c.hash).where(audit.c.id > covered).order_by(audit.c.id).limit(_AT_ONCE * TILE)
        rows = tx.execute(new).all()
        if whole:
            rows = rows[: len(rows) // TILE * TILE]
        if not rows:
            return False
        hashes = tuple(row.hash for row in rows)
        made = self._tiles.get(tx, hashes, lambda: _tiles(hashes))
        ends = [rows[min(len(rows), (at + 1) * TILE) - 1].id for at in range(len(made))]
        values = [
            {"number": number + at, "last_row": end, "hash": one}
            for at, (end, one) in enumerate(zip(ends, made, strict=True), start=1)
        ]
        tx.execute(audit_tiles.insert(), values)
        return len(made) == _AT_ONCE


def signing_key(tx: Tx) -> SigningKey | None:
    """The key that signs, whose public key is on record from its first use on; None if nothing is to be signed.

    Raises:
        ConflictError: It is missing.
    """
    key = tx.evidence.signing.newest
    if key is not None:
        row = tx.insert(signing_keys).values(line=key.public.line, since=tx.now)
        if tx.execute(row.on_conflict_do_nothing(index_elements=["line"])).rowcount:
            tx.note("minka", "signing-key.used", "trail", key=key.public.line)
    return key


def known_keys(tx: Tx) -> list[PublicKey]:
    """Public keys of all that was signed, and those that sign here."""
    lines = tx.execute(select(signing_keys.c.line).order_by(signing_keys.c.number)).scalars()
    found = [PublicKey.parsed(line) for line in lines]
    return list(dict.fromkeys([*found, *(key.public for key in tx.evidence.signing.keys)]))


def _tiles(hashes: Sequence[str]) -> list[bytes]:
    """Roots of tiles over rows, by their hashes; the last tile is filled up."""
    leaves = [merkle.leaf(bytes.fromhex(one)) for one in hashes]
    leaves += [_FILL] * (-len(leaves) % TILE)
    return [merkle.root(leaves[at : at + TILE]) for at in range(0, len(leaves), TILE)]


def _first_changed(tx: Tx) -> AuditBreak | None:
    """The first row of the first tile that is not over the rows of the trail."""
    begin = 0
    for tile in tx.execute(select(audit_tiles).order_by(audit_tiles.c.number)).all():
        rows = select(audit.c.hash).where(audit.c.id > begin, audit.c.id <= tile.last_row).order_by(audit.c.id)
        hashes = tx.execute(rows).scalars().all()
        if len(hashes) != tile.last_row - begin or _tiles(hashes) != [tile.hash]:
            reason = f"rows {begin + 1} to {tile.last_row} are not those of the published log"
            return AuditBreak(number=begin + 1, reason=reason)
        begin = tile.last_row
    return None


def _first_wrong_head(tx: Tx) -> AuditBreak | None:
    """The end of the first published head that is not one of the log, or that nobody signed."""
    tiles = tx.execute(select(audit_tiles).order_by(audit_tiles.c.number)).all()
    keys = known_keys(tx)
    for row in reversed(tx.execute(_HEADS).all()):
        hashes = [one.hash for one in tiles[: row.tiles]]
        try:
            head, _ = TrailHead.read(row.note, keys)
            wrong = "" if (head.size, head.root) == (TILE * len(hashes), merkle.root(hashes)) else "another log"
        except InputError as error:
            wrong = error.message
        if wrong:
            end = tiles[min(row.tiles, len(tiles)) - 1].last_row if tiles else 0
            return AuditBreak(number=end, reason=f"the head of {row.issued:%Y-%m-%d} is not of this trail: {wrong}")
    return None


def _noun(row: Row[tuple[int, int, object, str]]) -> PublishedHead:
    return PublishedHead(size=TILE * row.tiles, issued=row.issued, note=row.note)
