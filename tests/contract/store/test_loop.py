from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import pytest

from controller.models.errors import ConflictError, LeaseLostError, StoreError
from controller.models.run import JournalStep, Outcome
from controller.store import AsyncStore, JobResult, LoopStore, Page, Store, open_store
from controller.store.database.transaction import Mode, Patience
from controller.store.loop import GROUP
from tests.support.records import make_entry, start_run, stations
from tests.support.waiting import until


@asynccontextmanager
async def looping(store: Store) -> AsyncIterator[LoopStore]:
    loop_store = LoopStore(store)
    try:
        yield loop_store
    finally:
        await loop_store.close()


def _note(store: AsyncStore, number: int) -> Coroutine[Any, Any, None]:
    return store.audit.append("ana", "x", str(number))


def _turn_on(store: AsyncStore, name: str) -> Coroutine[Any, Any, None]:
    return store.switches.set(name, True, "ana")


async def test_calls_return_what_was_committed(store: Store) -> None:
    async with looping(store) as loop:
        port: AsyncStore = loop
        await asyncio.gather(*(_note(port, n) for n in range(50)))
        total, rows = await port.audit.page(Page(limit=1000))
    assert total == 50
    assert {row.object for row in rows} == {str(n) for n in range(50)}
    assert store.audit.verify() is None


async def test_a_heartbeat_waits_for_nobody_who_came_before_it(store: Store) -> None:
    """A process with much to write must not pass for a dead one."""
    incarnation = store.processes.register("w")
    ended: list[asyncio.Future[Any]] = []
    async with looping(store) as loop:
        async with _busy(loop):
            calls = [asyncio.ensure_future(_note(loop, number)) for number in range(GROUP + 1)]
            beat = asyncio.ensure_future(loop.processes.heartbeat(incarnation, 3))
            for call in (*calls, beat):
                call.add_done_callback(ended.append)
        await asyncio.gather(*calls, beat)
    assert ended[0] is beat
    (known,) = store.processes.alive()
    assert (known.id, known.counter) == (incarnation, 1)


async def test_calls_of_a_crowd_share_commits_although_they_come_one_by_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    together = store.database.together

    def noted(works: Sequence[Callable[[], Any]], mode: Mode, patience: Patience) -> list[Any]:
        sizes.append(len(works))
        return together(works, mode, patience)

    monkeypatch.setattr("controller.store.loop._LINGER", 1.0)
    monkeypatch.setattr(store.database, "together", noted)
    async with looping(store) as loop:
        await _while_the_writer_is_busy(loop, [_note(loop, number) for number in range(10)])
        sizes.clear()
        calls = []
        for number in range(10):
            calls.append(asyncio.ensure_future(_note(loop, number)))
            await asyncio.sleep(0.01)
        await asyncio.gather(*calls)
    assert sizes == [10]


async def test_who_writes_alone_waits_for_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.store.loop._LINGER", 600.0)
    async with looping(store) as loop, asyncio.timeout(60):
        for number in range(10):
            await _note(loop, number)
    assert store.audit.page(Page())[0] == 10


async def test_a_failing_call_takes_nobody_with_it(store: Store) -> None:
    def half(store: Store) -> None:
        store.audit.append("ana", "half", "done")
        store.switches.set("half", True, "ana")
        raise ValueError("bug")

    async with looping(store) as loop:
        results = await _while_the_writer_is_busy(
            loop, [_turn_on(loop, "a"), loop.transaction(half), _turn_on(loop, "b")]
        )
    assert [type(result) for result in results] == [type(None), ValueError, type(None)]
    assert [store.switches.is_on(name) for name in ("a", "b", "half")] == [True, True, False]
    assert [row.action for row in store.audit.page(Page())[1]] == ["switch.set", "switch.set"]
    assert store.audit.verify() is None


async def test_a_database_error_of_one_call_is_its_own(store: Store) -> None:
    def broken(store: Store) -> None:
        store.audit.append("ana", "x" * 3, None)  # type: ignore[arg-type]  # violates NOT NULL when it commits

    async with looping(store) as loop:
        calls = [_turn_on(loop, f"s{n}") for n in range(5)]
        results = await asyncio.gather(*calls, loop.transaction(broken), return_exceptions=True)
    assert isinstance(results[-1], StoreError)
    assert results[:-1] == [None] * 5
    assert all(store.switches.is_on(f"s{n}") for n in range(5))


async def test_a_whole_wave_goes_through_the_loop(store: Store) -> None:
    run = start_run(store, stations(60))
    async with looping(store) as loop:
        worker = await loop.processes.register("w")
        claims = await loop.claims.take(worker, 100)

        async def work(index: int) -> None:
            claim = claims[index]
            for seq in range(3):
                await loop.journal.append(make_entry(claim, seq), claim)
            await loop.claims.finish(claim, JobResult(Outcome.SUCCEEDED))

        await asyncio.gather(*(work(index) for index in range(60)))
        with pytest.raises(LeaseLostError):
            await loop.claims.release(claims[0], "", keep_transaction=False)
    assert store.runs.get(run.id).counts == {"succeeded": 60}
    assert store.audit.verify() is None


@asynccontextmanager
async def _busy(loop: LoopStore) -> AsyncIterator[None]:
    """The writer does something else; whatever was called within waits for it, together."""
    begun, gate = threading.Event(), threading.Event()

    def work(_store: Store) -> None:
        begun.set()
        assert gate.wait(60)

    first = asyncio.ensure_future(loop.transaction(work))
    await until(begun.is_set)
    yield
    await asyncio.sleep(0)  # so that what was to be called is
    gate.set()
    await first


async def _while_the_writer_is_busy(loop: LoopStore, calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Answers of calls that wait together, so that they are carried out as one."""
    async with _busy(loop):
        waiting = [asyncio.ensure_future(call) for call in calls]
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_read_waits_for_none_that_writes(shared_url: str) -> None:
    """That may wait for locks of other processes."""
    with closing(open_store(shared_url)) as store:
        async with looping(store) as loop, asyncio.timeout(60):
            await _note(loop, 1)
            async with _busy(loop):
                assert (await loop.audit.page(Page()))[0] == 1
                assert await loop.read(lambda store: store.audit.page(Page())[0]) == 1


async def test_calls_that_are_alike_are_carried_out_as_one_and_each_has_its_own_answer(store: Store) -> None:
    run = start_run(store, stations(8))
    async with looping(store) as loop:
        worker = await loop.processes.register("w")
        claims = await loop.claims.take(worker, 100)
        late = replace(claims[7], fence=claims[7].fence - 1)
        rows = [make_entry(claim, 0) for claim in claims[:6]]
        other = make_entry(claims[6], 0)
        store.journal.append(other, claims[6])
        another = other.model_copy(update={"detail": "another"})
        foreign = make_entry(claims[0], 1)
        answers = await _while_the_writer_is_busy(
            loop,
            [
                *(loop.journal.append(row, claim) for row, claim in zip(rows, claims[:6], strict=True)),
                loop.journal.append(other, claims[6]),
                loop.journal.append(another, claims[6]),
                loop.journal.append(make_entry(late, 0), late),
                loop.journal.append(foreign, claims[1]),
                *(loop.journal.find(claim.transaction) for claim in claims),
            ],
        )
        assert answers[:7] == [None] * 7
        assert [type(answer) for answer in answers[7:10]] == [ConflictError, LeaseLostError, ConflictError]
        read = await _while_the_writer_is_busy(loop, [loop.journal.find(claim.transaction) for claim in claims])
        assert read == [[row] for row in rows] + [[other], []]

        def ends() -> list[Coroutine[Any, Any, None]]:
            return [loop.claims.finish(claim, JobResult(Outcome.SUCCEEDED, applied=True)) for claim in claims[:7]]

        lost = loop.claims.finish(late, JobResult(Outcome.SUCCEEDED))
        over = await _while_the_writer_is_busy(loop, [*ends(), lost])
        assert over[:7] == [None] * 7
        assert isinstance(over[7], LeaseLostError)
        again = await _while_the_writer_is_busy(loop, ends())
        assert again == [None] * 7
    assert store.runs.get(run.id).counts == {"succeeded": 7, "pending": 1}
    assert [row.step for row in store.journal.find(claims[0].transaction)] == [rows[0].step, JournalStep.FINISHED]
    assert [row.action for row in store.audit.page(Page(limit=1000))[1]].count("job.finished") == 7
    assert store.audit.verify() is None


async def test_one_that_the_database_refuses_spoils_none_that_are_alike(store: Store) -> None:
    start_run(store, stations(3))
    async with looping(store) as loop:
        worker = await loop.processes.register("w")
        claims = await loop.claims.take(worker, 100)
        entries = [make_entry(claim, 0) for claim in claims]
        entries[1] = entries[1].model_construct(**{**entries[1].model_dump(), "at": None})
        answers = await _while_the_writer_is_busy(
            loop, [loop.journal.append(entry, claim) for entry, claim in zip(entries, claims, strict=True)]
        )
    assert [type(answer) for answer in answers] == [type(None), StoreError, type(None)]
    assert [len(store.journal.find(claim.transaction)) for claim in claims] == [1, 0, 1]


async def test_closing_commits_what_was_called_and_refuses_the_rest(store: Store) -> None:
    loop = LoopStore(store)
    calls = [asyncio.ensure_future(_note(loop, n)) for n in range(20)]
    await asyncio.sleep(0)
    await loop.close()
    await asyncio.gather(*calls)
    with pytest.raises(StoreError):
        await loop.switches.is_on("x")
    assert store.audit.page(Page())[0] == 20
