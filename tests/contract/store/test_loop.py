from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from controller.models.errors import LeaseLostError, StoreError
from controller.models.run import Outcome
from controller.ports.store import Claim, JobResult, Page, Store, StoreLoop
from controller.store import LoopStore, SqlStore
from tests.support.records import make_entry, start_run, stations


@asynccontextmanager
async def looping(store: SqlStore) -> AsyncIterator[LoopStore]:
    loop_store = LoopStore(store)
    try:
        yield loop_store
    finally:
        await loop_store.close()


def _noting(number: int) -> Callable[[Store], None]:
    return lambda store: store.audit("ana", "x", str(number))


def _switching(name: str) -> Callable[[Store], None]:
    return lambda store: store.set_switch(name, True, "ana")


def _journalling(claim: Claim, seq: int) -> Callable[[Store], None]:
    return lambda store: store.journal(make_entry(claim, seq), claim)


async def test_calls_return_what_was_committed(store: SqlStore) -> None:
    async with looping(store) as loop:
        port: StoreLoop = loop
        await asyncio.gather(*(port.call(_noting(n)) for n in range(50)))
        total, rows = await port.call(lambda s: s.audit_rows(Page(limit=1000)))
    assert total == 50
    assert {row.object for row in rows} == {str(n) for n in range(50)}
    assert store.verify_audit() is None


async def test_a_failing_call_takes_nobody_with_it(store: SqlStore) -> None:
    def half(store: Store) -> None:
        store.audit("ana", "half", "done")
        store.set_switch("half", True, "ana")
        raise ValueError("bug")

    gate = threading.Event()
    async with looping(store) as loop:
        first = asyncio.ensure_future(loop.call(lambda _store: gate.wait(10)))
        calls = [asyncio.ensure_future(loop.call(call)) for call in (_switching("a"), half, _switching("b"))]
        await asyncio.sleep(0.05)  # all three wait, so that they are committed together
        gate.set()
        results = await asyncio.gather(first, *calls, return_exceptions=True)
    assert isinstance(results[2], ValueError)
    assert [store.switch(name) for name in ("a", "b", "half")] == [True, True, False]
    assert [row.action for row in store.audit_rows(Page())[1]] == ["switch.set", "switch.set"]
    assert store.verify_audit() is None


async def test_a_database_error_of_one_call_is_its_own(store: SqlStore) -> None:
    def broken(store: Store) -> None:
        store.audit("ana", "x" * 3, None)  # type: ignore[arg-type]  # violates NOT NULL when it commits

    async with looping(store) as loop:
        calls = [loop.call(_switching(f"s{n}")) for n in range(5)]
        results = await asyncio.gather(*calls, loop.call(broken), return_exceptions=True)
    assert isinstance(results[-1], StoreError)
    assert results[:-1] == [None] * 5
    assert all(store.switch(f"s{n}") for n in range(5))


async def test_a_whole_wave_goes_through_the_loop(store: SqlStore) -> None:
    run = start_run(store, stations(60))
    async with looping(store) as loop:
        worker = await loop.call(lambda s: s.register_worker("w"))
        claims = await loop.call(lambda s: s.claim(worker, 100))

        async def work(index: int) -> None:
            claim = claims[index]
            for seq in range(3):
                await loop.call(_journalling(claim, seq))
            await loop.call(lambda s: s.finish(claim, JobResult(Outcome.SUCCEEDED)))

        await asyncio.gather(*(work(index) for index in range(60)))
        with pytest.raises(LeaseLostError):
            await loop.call(lambda s: s.release(claims[0], "", keep_transaction=False))
    assert store.run(run.id).counts == {"succeeded": 60}
    assert store.verify_audit() is None


async def test_closing_commits_what_was_called_and_refuses_the_rest(store: SqlStore) -> None:
    loop = LoopStore(store)
    calls = [asyncio.ensure_future(loop.call(_noting(n))) for n in range(20)]
    await asyncio.sleep(0)
    await loop.close()
    await asyncio.gather(*calls)
    with pytest.raises(StoreError):
        await loop.call(lambda s: s.switch("x"))
    assert store.audit_rows(Page())[0] == 20
