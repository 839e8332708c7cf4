"""What several repositories do in one transaction happens as a whole or not at all."""

from __future__ import annotations

import pytest

from controller.models.errors import NotFoundError
from controller.ports.store import Page, Store
from controller.store import LoopStore, SqlStore


def _put(store: Store, name: str, hold: str) -> str:
    store.switches.set(name, True, "ana")
    store.holds.end(hold, "ana")
    return name


def test_what_spans_repositories_happens_as_a_whole_or_not_at_all(store: SqlStore) -> None:
    hold = store.holds.add("A", "ana", "", None)
    with pytest.raises(NotFoundError):
        store.transaction(_put, "half", "h-none")
    assert not store.switches.is_on("half")
    assert store.transaction(_put, "whole", hold=hold.id) == "whole"
    assert store.switches.is_on("whole")
    assert [row.action for row in store.audit.page(Page())[1]] == ["hold.lifted", "switch.set", "hold.put"]


def test_a_transaction_within_another_is_part_of_it(store: SqlStore) -> None:
    hold = store.holds.add("A", "ana", "", None)

    def outer(store: Store) -> None:
        store.transaction(_put, "inner", hold.id)
        store.switches.set("outer", True, "ana")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.transaction(outer)
    assert [store.switches.is_on(name) for name in ("inner", "outer")] == [False, False]
    assert store.audit.page(Page())[0] == 1
    store.switches.set("after", True, "ana")
    assert store.switches.is_on("after")


async def test_on_a_loop_it_is_the_same(store: SqlStore) -> None:
    loop = LoopStore(store)
    hold = await loop.holds.add("A", "ana", "", None)
    with pytest.raises(NotFoundError):
        await loop.transaction(_put, "half", "h-none")
    assert await loop.transaction(_put, "whole", hold=hold.id) == "whole"
    await loop.close()
    assert [store.switches.is_on(name) for name in ("half", "whole")] == [False, True]
