"""The simulators' time: the only place that reads a clock or waits.

Everything else asks a Clock, so that a fleet can run in real time, faster than real time, or in
virtual time that moves only when a test says so.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

#: Default start of virtual time.
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """Forget the callback; harmless once it has run."""


class Clock(Protocol):
    """Time as the simulators see it; all durations are simulated seconds."""

    def now(self) -> datetime:
        """Return the date and time in UTC."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Run the callback after so many seconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds."""


class RealClock:
    """Real time, or ``speed`` simulated seconds per real second."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed {speed} is not above zero")
        self._speed = speed
        self._start = datetime.now(UTC)
        self._zero = time.monotonic()

    def now(self) -> datetime:
        """Return the date and time in UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return simulated seconds since this clock was made."""
        return (time.monotonic() - self._zero) * self._speed

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Run the callback on the running loop after so many simulated seconds."""
        return asyncio.get_running_loop().call_later(seconds / self._speed, callback)

    async def sleep(self, seconds: float) -> None:
        """Wait so many simulated seconds."""
        await asyncio.sleep(seconds / self._speed)


class _VirtualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Time that stands still until ``advance``; timers run in order of their moment, then of their making."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _VirtualTimer]] = []

    def now(self) -> datetime:
        """Return the date and time in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds by which time was advanced so far."""
        return self._elapsed

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Run the callback when time was advanced by so many seconds."""
        timer = _VirtualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed + max(seconds, 0.0), next(self._order), timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait until time was advanced by so many seconds."""
        woken = asyncio.Event()
        timer = self.call_later(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    @property
    def next_due(self) -> float | None:
        """Time of the next timer, in seconds of ``monotonic``; None if there is none."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def advance(self, seconds: float) -> None:
        """Move time on and run every timer that falls due, including those that timers set."""
        end = self._elapsed + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._elapsed = max(self._elapsed, due)
            if timer.callback is not None:
                timer.callback()
        self._elapsed = end
