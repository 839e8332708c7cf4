from __future__ import annotations

import asyncio

from controller.observe.rounds import Rounds
from controller.ports.clock import VirtualClock


async def test_a_round_that_is_woken_comes_at_once_and_others_in_their_time() -> None:
    clock, wake = VirtualClock(), asyncio.Event()
    rounds = Rounds(clock)
    done: list[float] = []

    async def work() -> None:
        done.append(clock.monotonic())

    began = clock.monotonic()
    rounds.start("work", work, 10, wake)
    await clock.advance(4)
    wake.set()
    await clock.advance(0)
    await clock.advance(10)
    assert [at - began for at in done] == [0, 4, 14]
    await rounds.stop()
