from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from controller.ports.clock import VirtualClock
from controller.store import SqlStore, open_store


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with closing(open_store("sqlite://", VirtualClock())) as opened:
        for number in range(1, 6):
            opened.audit("ana", "did", str(number), {"n": str(number)})
        assert opened.verify_audit() is None
        yield opened


def _tamper(store: SqlStore, *statements: str) -> None:
    store.in_transaction(lambda tx: [tx.execute(text(statement)) for statement in statements])


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
    ],
)
def test_tampering_names_the_first_broken_row(store: SqlStore, tampering: str, broken: int) -> None:
    _tamper(store, tampering)
    assert store.verify_audit() == broken


def test_a_copied_row_does_not_pass_for_another(store: SqlStore) -> None:
    _tamper(
        store,
        "DELETE FROM audit WHERE id = 3",
        "INSERT INTO audit SELECT 3, at, actor, action, object, detail, previous, hash FROM audit WHERE id = 4",
    )
    assert store.verify_audit() == 3
