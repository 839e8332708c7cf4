"""Virtual time for all: the stations' clock drives the loop on which the controller runs.

Time moves only when nothing is left to do, and then directly to the next scheduled moment.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import datetime
from typing import Any, Protocol, TypeVar, TypeVarTuple

from simulators.clock import VirtualClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Seconds of the longest sleep that counts as polling. A longer sleep waits for a moment of its own.
POLL = 5.0
#: Most seconds that are skipped: after them all pollers run again.
STRIDE = 120.0


class Idleness(Protocol):
    """Says when the controller has nothing to do."""

    def until(self) -> float | None:
        """The time until which polling finds nothing; None while something is done."""


class _Selector(selectors.DefaultSelector):
    """A selector that waits by moving time on."""

    def __init__(self, wait: Callable[[float | None], None]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Ready keys, without waiting."""
        if timeout is None or timeout > 0:
            self._wait(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, without threads: work for a thread is done at once.

    Args:
        clock: The stations' clock, which it moves.

    Attributes:
        idleness: Who says that polls can be passed over; without it none are.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Selector(self._move))
        self._virtual = clock
        self.idleness: Idleness | None = None
        self.firm: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work, then end whatever still runs, and close."""
        asyncio.set_event_loop(self)
        try:
            return self.run_until_complete(work)
        finally:
            left = asyncio.all_tasks(self)
            for task in left:
                task.cancel()
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            asyncio.set_event_loop(None)
            self.close()

    def time(self) -> float:
        """Seconds of the clock."""
        return self._virtual.monotonic()

    def _move(self, timeout: float | None) -> None:
        now = self.time()
        following = math.inf if timeout is None else now + timeout
        due = self._virtual.next_due
        if due is not None:
            following = min(following, due)
        if self.idleness is not None and (until := self.idleness.until()) is not None:
            moments = [until, now + STRIDE, *([due] if due is not None else []), *self._firm_moment()]
            following = max(following, min(moments))
        if following == math.inf:
            raise RuntimeError("nothing will ever happen again: somebody waits for what nobody does")
        self._virtual.advance(max(following - now, 0.0))

    def _firm_moment(self) -> list[float]:
        while self.firm and self.firm[0][2].done():
            heapq.heappop(self.firm)
        return [self.firm[0][0]] if self.firm else []

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], Any], *args: *Ts) -> asyncio.Future[Any]:
        """Do it now."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (whoever waits gets it)
            done.set_exception(error)
        return done

    async def sleep(self, seconds: float) -> None:
        """Wait for a time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done = self.create_future()
        at = self.time() + seconds
        timer = self.call_at(at, _wake, done)
        if seconds > POLL:
            heapq.heappush(self.firm, (at, next(self._order), done))
        try:
            await done
        finally:
            timer.cancel()
            done.cancel()


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


class LoopClock:
    """The controller's Clock on a virtual loop."""

    def __init__(self, loop: VirtualLoop, clock: VirtualClock) -> None:
        self._loop = loop
        self._clock = clock

    def now(self) -> datetime:
        """Virtual time of day, UTC."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for a time."""
        await self._loop.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Do nothing: in virtual time there is nothing to wait for."""
