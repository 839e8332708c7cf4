"""Sessions are opened as fast as the machine and the stations bear, and no faster."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import pytest

from controller.drivers.netconf import pace as pacing
from controller.drivers.netconf.pace import Pace
from controller.ports.clock import VirtualClock

TIMEOUT = 20.0


class Machine:
    """Makes handshakes one after the other, each for ``seconds``; whoever waits for longer than the time-out fails."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds
        self.pace = Pace(clock, TIMEOUT / 4)
        self.at_once = self.most = 0
        self.ends: Counter[str] = Counter()
        self._cpu = asyncio.Lock()

    async def open(self) -> None:
        async with self.pace.turn():
            try:
                async with self.pace.handshake():
                    await self._shake_hands()
            except TimeoutError:
                self.ends["late"] += 1
            else:
                self.ends["open"] += 1

    async def _shake_hands(self) -> None:
        began = self.clock.monotonic()
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        async with self._cpu:
            await self.clock.sleep(self.seconds)
        self.at_once -= 1
        if self.clock.monotonic() - began > TIMEOUT:
            raise TimeoutError

    async def open_all(self, count: int) -> None:
        opening = [asyncio.create_task(self.open()) for _ in range(count)]
        while not all(task.done() for task in opening):
            await self.clock.advance(1)


@pytest.mark.parametrize("per_second", [4, 15, 100])
async def test_a_slow_machine_opens_all_of_many_in_time(per_second: int) -> None:
    machine = Machine(VirtualClock(), 1 / per_second)
    await machine.open_all(800)
    assert machine.ends == {"open": 800}
    assert machine.most < per_second * TIMEOUT


async def test_one_that_becomes_slow_is_given_less_and_a_fast_one_more() -> None:
    machine = Machine(VirtualClock(), 0.001)
    await machine.open_all(800)
    assert machine.pace.limit == 400
    machine.seconds = 0.2
    await machine.open_all(800)
    # What was under way when it became slow is late, and no more.
    assert machine.ends["late"] < 400
    assert machine.pace.limit < 100
    await machine.open_all(400)
    assert machine.ends["open"] == 2000 - machine.ends["late"]


async def test_whoever_gives_up_waiting_holds_up_nobody() -> None:
    machine = Machine(VirtualClock(), 1)
    openings = [asyncio.create_task(machine.open()) for _ in range(200)]
    await machine.clock.advance(0.5)
    for opening in openings:
        opening.cancel()
    await asyncio.gather(*openings, return_exceptions=True)
    machine.at_once = 0
    await machine.open_all(10)
    assert machine.ends == {"open": 10}


async def test_dark_stations_take_no_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_address: str, _port: int) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(pacing, "_reach", never)
    monkeypatch.setattr(pacing, "_SOON", 0.01)
    pace = Pace(VirtualClock(), 5)

    async def dark() -> None:
        async with pace.turn():
            await pace.reach("192.0.2.1", 830)

    waiting = [asyncio.create_task(dark()) for _ in range(3 * pace.limit)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(60), pace.turn():
        pass
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert pace.limit == 32
    async with asyncio.timeout(60), pace.turn():
        pass
