"""One question serves all who wait; each hears what is known of its own, or why nobody can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import pytest

from controller.models.errors import StoreError
from controller.ports.clock import VirtualClock
from controller.runs.poller import Poller


class Record:
    """What is known by key; how often it was asked, and for whom."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.asked: list[frozenset[str]] = []
        self.away = False

    async def transaction(self, ask: Callable[..., dict[str, int]], keys: Collection[str]) -> dict[str, int]:
        self.asked.append(frozenset(keys))
        if self.away:
            raise StoreError("the record is away")
        return ask(self, keys)


def ask(record: Record, keys: Collection[str]) -> dict[str, int]:
    return {key: record.known[key] for key in keys if key in record.known}


@pytest.fixture
def record() -> Record:
    return Record()


async def test_who_waits_hears_of_its_own_as_soon_as_that_is_known(record: Record) -> None:
    clock = VirtualClock()
    poller: Poller[str, int] = Poller(record, clock, 2, ask)  # type: ignore[arg-type]
    one, same, other = (asyncio.create_task(poller.wait(key)) for key in ("a", "a", "b"))
    await clock.advance(1)
    assert len(poller) == 3
    assert record.asked[-1] == {"a", "b"}
    record.known["a"] = 7
    await clock.advance(2)
    assert (await one, await same) == (7, 7)
    assert not other.done()
    assert len(poller) == 1
    times = len(record.asked)
    await clock.advance(2)
    assert record.asked[times:] == [{"b"}]
    record.known["b"] = 9
    await clock.advance(2)
    assert await other == 9
    # Nobody waits, so nobody is asked; the next one begins again.
    times = len(record.asked)
    await clock.advance(20)
    assert (len(poller), len(record.asked)) == (0, times)
    assert await poller.wait("a") == 7


async def test_a_record_that_is_away_is_told_to_all_who_wait_and_to_nobody_after(record: Record) -> None:
    clock = VirtualClock()
    poller: Poller[str, int] = Poller(record, clock, 2, ask)  # type: ignore[arg-type]
    record.away = True
    waiting = [asyncio.create_task(poller.wait(key)) for key in ("a", "b")]
    left = asyncio.create_task(poller.wait("c"))
    left.cancel()
    await clock.advance(3)
    for one in waiting:
        with pytest.raises(StoreError, match="the record is away"):
            await one
    record.away, record.known["a"] = False, 7
    assert await poller.wait("a") == 7
