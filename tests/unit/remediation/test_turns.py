"""Groups of alarms take turns, so that a storm keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from controller.remediation.turns import Turns
from tests.unit.remediation.bench import Bench


async def test_all_are_worked_on_once_some_at_once_in_the_order_of_their_group() -> None:
    done: list[str] = []
    most = under_way = 0

    async def work(alarm: str) -> None:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done.append(alarm)

    turns = Turns(work)
    for number in range(200):
        turns.add(f"a{number}", ("andes",))
        turns.add(f"c{number}", ("condor", "andes"))
    assert "a199" in turns
    turns.begin()
    await turns.settle()
    assert "a199" not in turns
    assert most == 50
    for group in "ac":
        assert [one for one in done if one[0] == group] == [f"{group}{number}" for number in range(200)]


async def test_a_storm_leaves_places_for_others_even_where_all_of_it_hangs() -> None:
    done, hangs = list[str](), asyncio.Event()

    async def work(alarm: str) -> None:
        if alarm.startswith("storm"):
            await hangs.wait()
        done.append(alarm)

    turns = Turns(work)
    for number in range(1000):
        turns.add(f"storm{number}", ("andes",))
    turns.begin()
    for number in range(100):
        turns.add(f"other{number}", ("condor",))
    turns.begin()
    while len(done) < 100:
        await asyncio.sleep(0)
    assert done == [f"other{number}" for number in range(100)]
    hangs.set()
    await turns.settle()
    assert len(done) == 1100


async def test_between_pieces_of_correlation_the_record_is_left_to_others_for_as_long(bench: Bench) -> None:
    begun: list[float] = []

    def piece() -> bool:
        begun.append(bench.clock.monotonic())
        bench.clock.pause(3)  # so long it holds the record
        return len(begun) < 3

    bench.store.alarms.correlate_more = piece
    scheduler = bench.scheduler()
    await scheduler.step()
    await bench.clock.advance(2.9)
    assert len(begun) == 1
    await bench.clock.advance(60)
    await scheduler.settle()
    assert [later - earlier for earlier, later in pairwise(begun)] == [6, 6]
