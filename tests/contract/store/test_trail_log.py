"""The log of the audit trail: signed heads that others keep, against the definitions of RFC 9162."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from controller.models.errors import ConflictError, InputError
from controller.models.evidence import Extension, TrailHead
from controller.models.signed_note import SigningKey
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store
from controller.store.audit import trail_log
from controller.store.database.evidence import AuditKey, AuditKeys, Evidence, SigningKeys, add_signing_key
from tests.support.records import LAST_NUMBER, forge_row
from tests.unit.models.test_merkle import mth

_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_log, "TILE", 4)
    monkeypatch.setattr(trail_log, "_AT_ONCE", 2)


@pytest.fixture
def signed(url: str, clock: VirtualClock, tmp_path: Path) -> Iterator[Store]:
    """A record with keys for its trail and for what others keep."""
    add_signing_key(tmp_path / "signing-keys", "host.example")
    keys, signing = AuditKeys((AuditKey.new(1),)), SigningKeys.kept_in(tmp_path / "signing-keys", "x", used=True)
    with closing(open_store(url, clock, evidence=lambda _: Evidence(keys, tmp_path, signing=signing))) as opened:
        yield opened


def fill(store: Store, rows: int) -> None:
    for number in range(rows):
        store.audit.append("ana", "did", str(number))


def publish(store: Store) -> TrailHead:
    while store.trail.grow():
        pass
    published = store.trail.publish()
    assert published is not None
    return TrailHead.read(published.note, store.trail.public_keys())[0]


def leaves(store: Store) -> list[bytes]:
    """What a head is over, by the trail and by what tiles say which rows they hold."""
    with store.database.engine.connect() as connection:
        hashes = connection.execute(text("SELECT hash FROM audit ORDER BY id")).scalars().all()
        ends = connection.execute(text("SELECT last_row FROM audit_tiles ORDER BY number")).scalars().all()
    found: list[bytes] = []
    for begin, end in zip([0, *ends], ends, strict=False):
        rows = [bytes.fromhex(one) for one in hashes[begin:end]]
        found += rows + [b""] * (4 - len(rows))
    return found


@pytest.mark.parametrize("row", ["signing-keys", "trail", "2"])
def test_a_row_that_nobody_can_read_keeps_no_head_from_being_signed(
    signed: Store, clock: VirtualClock, row: str
) -> None:
    if signed.database.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite keeps a time that is none")
    fill(signed, 3)
    publish(signed)
    clock.pause(_DAY.total_seconds())
    with signed.database.engine.begin() as connection:
        connection.execute(text("UPDATE audit SET at = 'never' WHERE object = :row"), {"row": row})
    assert signed.trail.publish() is not None
    signed.trail.verify()
    broken = signed.audit.verify()
    assert broken is not None
    assert broken.reason.startswith("it can't be read")


@pytest.mark.parametrize("odd", ["'no hash'", "CAST(x'ff' AS TEXT)"])
def test_a_hash_that_is_none_stops_no_log_and_is_named_once_it_was_published_otherwise(
    signed: Store, clock: VirtualClock, odd: str
) -> None:
    if "CAST" in odd and signed.database.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite keeps a text that is none")
    fill(signed, 9)
    publish(signed)
    fill(signed, 9)
    last = signed.audit.head().number
    clock.pause(_DAY.total_seconds())
    with signed.database.engine.begin() as connection:
        connection.execute(text(f"UPDATE audit SET hash = {odd} WHERE id = {last - 2}"))
    assert publish(signed).size > last - 2
    assert signed.trail.verify() is None
    with signed.database.engine.begin() as connection:
        connection.execute(text(f"UPDATE audit SET hash = {odd} WHERE id = 5"))
    broken = signed.trail.verify()
    assert broken is not None
    assert broken.number == 5


def test_a_row_that_somebody_made_up_is_no_head_of_the_day_and_part_of_no_log(
    signed: Store, clock: VirtualClock
) -> None:
    fill(signed, 9)
    publish(signed)
    forge_row(signed, "trail.published", "trail", detail='{"size": "4", "root": "00"}')
    assert signed.trail.publish() is None, "one a day"
    assert signed.trail.verify() is None
    clock.pause(_DAY.total_seconds())
    forge_row(signed, "trail.published", "trail", LAST_NUMBER - 5, '{"size": "4", "root": "00"}')
    assert publish(signed).size < 100
    assert signed.trail.verify() is None


def test_a_head_a_day_is_signed_and_each_extends_all_before(signed: Store, clock: VirtualClock) -> None:
    heads = []
    for rows in (3, 1, 11, 30, 0):
        fill(signed, rows)
        heads.append(publish(signed))
        assert signed.trail.publish() is None, "one a day"
        clock.pause(_DAY.total_seconds())
    entries, last = leaves(signed), heads[-1]
    assert signed.trail.verify() is None
    assert signed.audit.verify() is None
    assert [one.size for one in signed.trail.heads(Page(limit=10))[1]] == [one.size for one in reversed(heads)]
    for head in heads:
        assert (head.origin, head.size % 4) == ("host.example", 0)
        assert head.root == mth(entries[: head.size])
        made = signed.trail.extension(head.size)
        read = Extension.parsed(made.text)
        assert read.check(head, signed.trail.public_keys())[0] == last
    assert len({head.size for head in heads}) == 5, "the head of a day is a row of the next one"


def test_who_keeps_a_head_sees_that_rows_are_gone_changed_or_another_trail_goes_on(
    signed: Store, clock: VirtualClock
) -> None:
    fill(signed, 9)
    kept = publish(signed)
    clock.pause(_DAY.total_seconds())
    fill(signed, 3)
    later = publish(signed)
    made = signed.trail.extension(kept.size)
    with pytest.raises(InputError, match="does not extend"):
        Extension(kept.size, [bytes(32), *made.proof[1:]], made.note).check(kept, signed.trail.public_keys())
    # Somebody with the database and all keys writes other history.
    with signed.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_heads"))
        connection.execute(text("DELETE FROM audit_tiles WHERE number > 1"))
        connection.execute(text("UPDATE audit SET hash = :hash WHERE id = 6"), {"hash": sha256(b"forged").hexdigest()})
        connection.execute(text("UPDATE audit SET action = 'forged' WHERE action = 'trail.published'"))
    forged = publish(signed)
    assert forged.size >= later.size - 4
    with pytest.raises(ConflictError, match=f"no head of {kept.size} leaves is on record"):
        signed.trail.extension(kept.size)
    tiles = [mth(leaves(signed)[at : at + 4]) for at in range(0, forged.size, 4)]
    from controller.models.merkle import consistency

    note = signed.trail.heads(Page())[1][0].note
    with pytest.raises(InputError, match="does not extend"):
        Extension(kept.size, consistency(tiles, kept.size // 4), note).check(kept, signed.trail.public_keys())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("UPDATE audit SET hash = '" + "0" * 64 + "' WHERE id = 5", "rows 5 to 8 are not those of the published log"),
        ("DELETE FROM audit WHERE id = 2", "rows 1 to 4 are not those"),
        ("UPDATE audit_tiles SET last_row = 7 WHERE number = 2", "rows 5 to 7 are not those"),
        ("UPDATE audit_heads SET tiles = 1", "the signed head of 2026-01-01 is missing, or another one"),
        ("UPDATE audit_heads SET note = replace(note, 'host.example', 'host.examples')", "is missing, or another one"),
        ("UPDATE audit_heads SET note = replace(note, '2026-01-01T', '2099-01-01T')", "is missing, or another one"),
        ("DELETE FROM audit_heads", "is missing, or another one"),
        ("DELETE FROM audit_tiles", "the log is not the one of which the head of 2026-01-01 is"),
        ("UPDATE audit_tiles SET hash = (SELECT hash FROM audit_tiles WHERE number = 1)", "rows 5 to 8 are not those"),
    ],
)
def test_the_host_itself_sees_what_no_longer_fits(signed: Store, clock: VirtualClock, spoil: str, says: str) -> None:
    fill(signed, 9)
    publish(signed)
    assert signed.trail.verify() is None
    with signed.database.engine.begin() as connection:
        connection.execute(text(spoil))
    broken = signed.trail.verify()
    assert broken is not None
    assert says in broken.reason


@pytest.mark.parametrize(
    "spoil", ["DELETE FROM audit_heads", "UPDATE audit_heads SET note = replace(note, '2026', '2099')"]
)
def test_a_head_of_which_somebody_took_the_row_away_is_followed_by_one_that_extends_it(
    signed: Store, clock: VirtualClock, spoil: str
) -> None:
    fill(signed, 9)
    kept = publish(signed)
    with signed.database.engine.begin() as connection:
        connection.execute(text(spoil))
    assert signed.trail.publish() is None, "one a day, by the trail"
    clock.pause(_DAY.total_seconds())
    assert publish(signed).size > kept.size


def test_no_head_is_signed_that_contradicts_one_before(signed: Store, clock: VirtualClock) -> None:
    fill(signed, 9)
    publish(signed)
    with signed.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_heads"))
        connection.execute(text("DELETE FROM audit_tiles"))
    clock.pause(_DAY.total_seconds())
    fill(signed, 5)
    while signed.trail.grow():
        pass
    with pytest.raises(ConflictError, match="no head is signed that contradicts the last one"):
        signed.trail.publish()


def test_a_key_that_somebody_wrote_into_the_database_verifies_nothing(signed: Store) -> None:
    publish(signed)
    stranger = SigningKey("host.example", bytes(32)).public.line
    with signed.database.engine.begin() as connection:
        row = "SELECT (SELECT max(id) + 1 FROM audit), at, actor, action, object, :detail, hash, hash, key FROM audit"
        insert = "INSERT INTO audit (id, at, actor, action, object, detail, previous, hash, key) "
        like = insert + row + " WHERE object = 'signing-keys'"
        connection.execute(text(like), {"detail": orjson.dumps({"key": stranger}).decode()})
    assert [key.line for key in signed.trail.public_keys()] == [
        key.public.line for key in signed.database.evidence.signing.keys
    ]


def test_without_a_key_nothing_is_published_and_a_lost_key_is_named(
    store: Store, tmp_path: Path, clock: VirtualClock
) -> None:
    fill(store, 9)
    assert store.trail.publish() is None
    assert store.trail.public_keys() == []
    lost = SigningKeys.kept_in(tmp_path / "signing-keys", "host", used=True)
    store.database.evidence = Evidence(signing=lost)
    with pytest.raises(ConflictError, match=r"signing-keys is missing.*minka evidence new-key"):
        store.trail.publish()
    assert not (tmp_path / "signing-keys").exists()


def test_a_new_key_goes_on_record_when_it_signs_and_old_heads_are_verified_by_the_old_one(
    signed: Store, clock: VirtualClock, tmp_path: Path
) -> None:
    fill(signed, 2)
    first = publish(signed)
    clock.pause(_DAY.total_seconds())
    add_signing_key(tmp_path / "signing-keys", "host.example")
    assert (tmp_path / "signing-keys").stat().st_mode & 0o777 == 0o600
    signed.database.evidence.signing = SigningKeys.kept_in(tmp_path / "signing-keys", "x", used=True)
    publish(signed)
    keys = signed.trail.public_keys()
    assert len(keys) == 2
    assert signed.trail.verify() is None
    after, key = signed.trail.extension(first.size).check(first, keys)
    assert (key, after.origin) == (keys[1], "host.example")
    with signed.database.engine.connect() as connection:
        rows = text("SELECT detail FROM audit WHERE action = 'signing-key.used' ORDER BY id")
        used = connection.execute(rows).scalars().all()
    assert [key.line in detail for key, detail in zip(keys, used, strict=True)] == [True, True]


@pytest.mark.parametrize(
    "odd",
    ["", "old 4", "old x\n\nnote", "old 4\nno hash\n\nnote", "old 4\n" + "AAAA\n" * 3 + "\nnote", "old 04\n\nnote"],
)
def test_what_is_no_extension_is_refused(odd: str) -> None:
    with pytest.raises(InputError, match="no proof that a log extends an earlier one"):
        Extension.parsed(odd)
    many = "old 4\n" + f"{base64.b64encode(bytes(32)).decode()}\n" * 65 + "\nnote"
    with pytest.raises(InputError, match="no proof"):
        Extension.parsed(many)
