from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import RowMapping, select, text, update

from controller.models.audit import AuditAnchor
from controller.models.run import AuditRow
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store
from controller.store.database import audit_chain
from controller.store.database.audit_chain import audit as rows
from controller.store.database.audit_chain import audit_head
from controller.store.database.evidence import AuditKey, AuditKeys, Evidence
from controller.store.database.transaction import Database


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock())) as opened:
        for number in range(1, 6):
            opened.audit.append("ana", "did", str(number), {"n": str(number)})
        assert opened.audit.verify() is None
        yield opened


def _broken(store: Store) -> int | None:
    found = store.audit.verify()
    return None if found is None else found.number


def _tamper(store: Store, *statements: str) -> None:
    store.database.run(lambda tx: [tx.execute(text(statement)) for statement in statements])


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE audit SET actor = 'eva' WHERE id = 3", 3),
        ("UPDATE audit SET detail = '{}' WHERE id = 1", 1),
        ("UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE id = 2", 2),
        ("UPDATE audit SET hash = 'x' WHERE id = 4", 4),
        ("DELETE FROM audit WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 5", 5),
        ("DELETE FROM audit WHERE id >= 4", 4),
        ("DELETE FROM audit", 1),
        ("UPDATE audit_head SET hash = 'x'", 6),
        ("DELETE FROM audit_head", 1),
        # What only SQLite keeps: it takes any value in any column.
        ("UPDATE audit SET hash = 'é' || hash WHERE id = 3", 3),
        ("UPDATE audit SET hash = X'00' WHERE id = 3", 3),
        ("UPDATE audit SET hash = CAST(X'FF' AS TEXT) WHERE id = 3", 3),
        ("UPDATE audit SET previous = 'é' WHERE id = 3", 3),
        ("UPDATE audit SET key = X'00' WHERE id = 3", 3),
        ("UPDATE audit SET actor = CAST(X'EDA080' AS TEXT) WHERE id = 3", 3),
        ("UPDATE audit SET at = 'never' WHERE id = 3", 3),
        ("UPDATE audit SET at = 5 WHERE id = 3", 3),
        ("UPDATE audit SET at = X'00' WHERE id = 3", 3),
        ("UPDATE audit SET detail = CAST(X'FF' AS TEXT) WHERE id = 3", 3),
        ("UPDATE audit SET detail = X'00' WHERE id = 3", 3),
        ("UPDATE audit SET id = 'x' WHERE id = 3", 3),
        ("UPDATE audit SET id = CAST(X'FF' AS TEXT) WHERE id = 3", 3),
        ("UPDATE audit SET at = 'never' WHERE id = 5", 5),
        ("INSERT INTO audit_head SELECT 'other', last, hash FROM audit_head", 6),
        ("UPDATE audit_head SET last = 'x'", 6),
        ("UPDATE audit_head SET hash = CAST(X'FF' AS TEXT)", 6),
    ],
)
def test_tampering_names_the_first_broken_row(store: Store, tampering: str, broken: int) -> None:
    _tamper(store, tampering)
    assert _broken(store) == broken


@pytest.mark.parametrize(
    "tampering",
    [
        "at = 'never'",
        "at = X'00'",
        "actor = X'00'",
        "detail = '['",
        "detail = '5'",
        """detail = '{"a": 5}'""",
        "detail = CAST(X'FF' AS TEXT)",
        "hash = CAST(X'FF' AS TEXT)",
    ],
)
def test_a_row_that_nobody_can_read_hides_no_other(store: Store, tampering: str) -> None:
    before = store.audit.page(Page())[1]
    _tamper(store, f"UPDATE audit SET {tampering} WHERE id = 3")
    total, found = store.audit.page(Page())
    unreadable = AuditRow(id=3, at=None, actor="", action="", object="")
    assert (total, found) == (5, [unreadable if one.id == 3 else one for one in before])
    assert _broken(store) == 3


def test_a_row_whose_number_is_none_hides_no_other(store: Store) -> None:
    _tamper(store, "UPDATE audit SET id = CAST(X'FF' AS TEXT) WHERE id = 3")
    assert [row.id for row in store.audit.page(Page())[1]] == [5, 4, 2, 1]


def test_a_copied_row_does_not_pass_for_another(store: Store) -> None:
    _tamper(
        store,
        "DELETE FROM audit WHERE id = 3",
        "INSERT INTO audit SELECT 3, at, actor, action, object, detail, previous, hash, key FROM audit WHERE id = 4",
    )
    assert _broken(store) == 3


# ------------------------------------------------------- somebody who can write to the database, and to nothing else

KEYS = AuditKeys((AuditKey.new(1),))


@pytest.fixture
def signed() -> Iterator[Store]:
    """Five rows, signed."""
    with closing(open_store("sqlite://", VirtualClock(), evidence=lambda _store: Evidence(KEYS))) as opened:
        for number in range(1, 6):
            opened.audit.append("ana", "did", str(number), {"n": str(number)})
        assert opened.audit.verify() is None
        yield opened


def _forge(store: Store, keys: AuditKeys, since: int, **changed: str) -> None:
    """Change row ``since``, then give it and all behind it numbers, links and hashes of their own, and the head too."""

    def forge(tx: Any) -> None:
        found: list[RowMapping] = list(tx.execute(select(rows).order_by(rows.c.id)).mappings())
        previous = audit_chain.GENESIS
        for number, known in enumerate(found, start=1):
            row = {**known, "previous": previous, "id": number}
            if number >= since:
                row |= {"key": keys.newest.id if keys.newest else "", **(changed if number == since else {})}
                row["hash"] = audit_chain._digest(row, keys)
            tx.execute(update(rows).where(rows.c.id == known["id"]).values(row))
            previous = row["hash"]
        tx.execute(update(audit_head).values(last=len(found), hash=previous))

    store.database.run(forge)


@pytest.mark.parametrize("keys", [AuditKeys(), AuditKeys((AuditKey.new(1),))], ids=["plain", "another key"])
@pytest.mark.parametrize("since", [1, 3, 5])
def test_a_row_rewritten_with_a_hash_of_its_own_is_found_although_all_behind_it_follow(
    signed: Store, since: int, keys: AuditKeys
) -> None:
    _forge(signed, keys, since, actor="eva")
    assert _broken(signed) == since


def test_a_row_rewritten_with_a_hash_of_its_own_breaks_the_link_behind_it(store: Store) -> None:
    """Without any key, so that the hash itself can be made by anybody."""

    def forge(tx: Any) -> None:
        row = {**tx.execute(select(rows).where(rows.c.id == 3)).mappings().one(), "actor": "eva"}
        tx.execute(update(rows).where(rows.c.id == 3).values(actor="eva", hash=audit_chain._digest(row, AuditKeys())))

    store.database.run(forge)
    assert _broken(store) == 4


def test_a_row_that_names_the_right_key_needs_the_right_hash(signed: Store) -> None:
    assert KEYS.newest is not None
    forged = AuditKeys((AuditKey(KEYS.newest.id, 1, b"guessed"),))
    _forge(signed, forged, 4, actor="eva")
    assert _broken(signed) == 4


def test_a_row_removed_and_all_behind_it_hashed_anew_are_found(signed: Store) -> None:
    _tamper(signed, "DELETE FROM audit WHERE id = 3")
    _forge(signed, AuditKeys(), 3)
    assert _broken(signed) == 3


@pytest.mark.parametrize("left", [0, 4])
def test_a_tail_cut_off_with_its_head_is_found_by_an_anchor(signed: Store, left: int) -> None:
    """A chain that ends earlier is whole, so that only somebody who knew more can tell."""
    anchor = signed.audit.head()
    assert signed.audit.verify_anchors([anchor]) is None
    _tamper(
        signed,
        f"DELETE FROM audit WHERE id > {left}",
        f"UPDATE audit_head SET last = {left}, hash = (SELECT hash FROM audit WHERE id = {left}) WHERE {left} > 0",
        f"DELETE FROM audit_head WHERE {left} = 0",
    )
    assert signed.audit.verify() is None
    missing = signed.audit.verify_anchors([anchor])
    assert missing is not None
    assert missing.number == 5
    assert "missing" in missing.reason


def test_what_was_written_anew_up_to_the_same_number_is_found_by_an_anchor(signed: Store) -> None:
    """Even by somebody who has the key."""
    anchor = signed.audit.head()
    _forge(signed, KEYS, 2, actor="eva")
    assert signed.audit.verify() is None
    other = signed.audit.verify_anchors([anchor])
    assert other is not None
    assert other.number == 5
    assert "another one" in other.reason


def test_keys_are_rotated_and_rows_from_before_there_were_any_stay_proved(store: Store) -> None:
    first = AuditKey.new(6)
    keyed = Store(Database(store.database.engine, VirtualClock(), Evidence(AuditKeys((first,)))))
    keyed.audit.append("ana", "did", "6")
    rotated = Store(Database(store.database.engine, VirtualClock(), Evidence(AuditKeys((first, AuditKey.new(7))))))
    rotated.audit.append("ana", "did", "7")
    assert rotated.audit.verify() is None
    unknown = keyed.audit.verify()
    assert unknown is not None
    assert unknown.number == 7
    assert "its key" in unknown.reason
    _tamper(store, "UPDATE audit SET actor = 'eva' WHERE id = 2")
    assert _broken(rotated) == 2


def test_an_unsigned_row_behind_signed_ones_is_found(signed: Store) -> None:
    Store(Database(signed.database.engine, VirtualClock())).audit.append("eva", "did", "6")
    assert _broken(signed) == 6


def test_anchors_are_read_from_the_lines_of_any_log() -> None:
    anchor = AuditAnchor(epoch=1, number=12, hash="ab" * 32)
    assert (
        list(AuditAnchor.found_in(f"<133>1 x minka - [k@1 a] {anchor.text}\nnoise\n2026 {anchor.text}\n"))
        == [anchor] * 2
    )
