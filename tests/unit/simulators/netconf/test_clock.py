"""Virtual time moves only when told, and real time can run faster."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from simulators.clock import EPOCH, RealClock, VirtualClock
from tests.unit.simulators.netconf.bench import run_loop


def test_timers_run_in_order_and_see_their_moment() -> None:
    clock, seen = VirtualClock(), []
    clock.call_later(2, lambda: seen.append(("b", clock.monotonic())))
    clock.call_later(1, lambda: seen.append(("a", clock.monotonic())))
    clock.call_later(2, lambda: seen.append(("c", clock.monotonic())))
    clock.call_later(3.1, lambda: seen.append(("late", clock.monotonic())))
    clock.advance(3)
    assert seen == [("a", 1), ("b", 2), ("c", 2)]
    assert clock.now() == EPOCH + timedelta(seconds=3)


def test_timers_set_by_timers_run_in_the_same_advance() -> None:
    clock, seen = VirtualClock(), []

    def again() -> None:
        clock.call_later(1, lambda: seen.append(clock.monotonic()))

    clock.call_later(1, again)
    clock.advance(5)
    assert seen == [2]


def test_cancelled_timers_do_not_run() -> None:
    clock, seen = VirtualClock(), []
    timer = clock.call_later(1, lambda: seen.append(1))
    timer.cancel()
    clock.advance(2)
    assert seen == []


async def test_sleepers_wake_when_their_time_has_come() -> None:
    clock = VirtualClock()
    sleeper = asyncio.create_task(clock.sleep(10))
    await run_loop()
    clock.advance(9)
    await run_loop()
    assert not sleeper.done()
    clock.advance(1)
    await asyncio.wait_for(sleeper, 60)


async def test_real_time_can_be_scaled() -> None:
    clock, fired = RealClock(speed=1000), asyncio.Event()
    clock.call_later(100, fired.set)
    before = clock.monotonic()
    await asyncio.wait_for(fired.wait(), 5)
    await clock.sleep(50)
    assert clock.monotonic() - before >= 150
    with pytest.raises(ValueError, match="above zero"):
        RealClock(0)
