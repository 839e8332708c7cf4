"""What several repositories do in one transaction happens as a whole or not at all."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing

import pytest
from sqlalchemy import text

from controller.models.errors import ConflictError, NotFoundError
from controller.ports.clock import VirtualClock
from controller.store import LoopStore, Page, Store, open_store
from controller.store.database.transaction import Mode, Tx, WorkedOut


def _put(store: Store, name: str, hold: str) -> str:
    store.switches.set(name, True, "ana")
    store.holds.end(hold, "ana")
    return name


def test_what_spans_repositories_happens_as_a_whole_or_not_at_all(store: Store) -> None:
    hold = store.holds.add("A", "ana", "", None)
    with pytest.raises(NotFoundError):
        store.transaction(_put, "half", "h-none")
    assert not store.switches.is_on("half")
    assert store.transaction(_put, "whole", hold=hold.id) == "whole"
    assert store.switches.is_on("whole")
    assert [row.action for row in store.audit.page(Page())[1]] == ["hold.lifted", "switch.set", "hold.put"]


def test_a_transaction_within_another_is_part_of_it(store: Store) -> None:
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


async def test_on_a_loop_it_is_the_same(store: Store) -> None:
    loop = LoopStore(store)
    hold = await loop.holds.add("A", "ana", "", None)
    with pytest.raises(NotFoundError):
        await loop.transaction(_put, "half", "h-none")
    assert await loop.transaction(_put, "whole", hold=hold.id) == "whole"
    await loop.close()
    assert [store.switches.is_on(name) for name in ("half", "whole")] == [False, True]


async def test_what_is_worked_out_holds_no_transaction_and_keeps_no_other_call_waiting(store: Store) -> None:
    loop, known = LoopStore(store), WorkedOut[str, int](kept=1)
    begun, go_on, turns = threading.Event(), threading.Event(), list[str]()

    def work_out() -> int:
        begun.set()
        assert go_on.wait(60)
        return 7

    def work(found: Store, name: str) -> int:
        turns.append(name)
        found.audit.append("ana", "did", name)
        return store.database.run(lambda tx: known.get(tx, "key", work_out))

    waiting = asyncio.create_task(loop.transaction(work, "slow"))
    assert await asyncio.to_thread(begun.wait, 60)
    await loop.audit.append("eva", "did", "quick")  # a writer of the same lane, and of the same database
    go_on.set()
    assert await waiting == 7
    assert turns == ["slow", "slow"]
    acts = [(row.actor, row.object) for row in store.audit.page(Page())[1] if row.action == "did"]
    assert acts == [("ana", "slow"), ("eva", "quick")], "what was left left nothing on record"
    await loop.close()


async def test_what_leaves_the_memory_too_fast_is_worked_out_all_the_same(store: Store) -> None:
    loop, known = LoopStore(store), WorkedOut[str, int](kept=1)

    def both(tx: Tx) -> int:
        return known.get(tx, "one", lambda: 1) + known.get(tx, "two", lambda: 2)

    assert store.database.run(both) == 3
    assert await loop.transaction(lambda _: store.database.run(both)) == 3
    await loop.close()


def test_whoever_keeps_an_error_keeps_no_connection_at_what_it_saw(shared_url: str, clock: VirtualClock) -> None:
    kept: list[object] = []

    def broken(tx: Tx) -> None:
        found = tx.execute(text("SELECT name FROM switches"))
        kept.append(found.fetchone())
        raise ConflictError("while something was being read")

    with closing(open_store(shared_url, clock)) as ours, closing(open_store(shared_url, clock)) as other:
        for name in ("one", "two", "three"):
            other.switches.set(name, True, "ana")
        modes: tuple[Mode, ...] = ("DEFERRED", "IMMEDIATE")
        for mode in modes:
            with pytest.raises(ConflictError) as raised:
                ours.database.run(broken, mode)
            other.switches.set(f"after {mode}", True, "ana")
            assert ours.switches.is_on(f"after {mode}")
            kept.append(raised)


async def test_what_can_not_be_worked_out_is_told_to_its_caller(store: Store) -> None:
    loop, known = LoopStore(store), WorkedOut[str, int](kept=1)

    def broken() -> int:
        raise ConflictError("it is broken")

    with pytest.raises(ConflictError, match="it is broken"):
        store.database.run(lambda tx: known.get(tx, "key", broken))
    with pytest.raises(ConflictError, match="it is broken"):
        await loop.transaction(lambda _: store.database.run(lambda tx: known.get(tx, "key", broken)))
    await loop.close()
