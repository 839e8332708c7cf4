"""The supervision watchdog of o-ran-supervision: its manager must reset it in time, or the radio goes off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from simulators.clock import Clock, Timer
from simulators.elements import Make, root

SUPERVISION_NS = "urn:o-ran:supervision:1.0"


class Supervised(StrEnum):
    """Whether a manager supervises the station (minka-equipment)."""

    OFF = "OFF"
    KEPT = "KEPT"
    LOST = "LOST"


class Supervision:
    """The watchdog of one station.

    Args:
        notify: Sends a notification.
        changed: Is called when supervision is lost (true) and when it is back.
    """

    __slots__ = ("_changed", "_clock", "_notify", "_timers", "state")

    def __init__(self, clock: Clock, notify: Callable[[Make], None], changed: Callable[[bool], None]) -> None:
        self._clock = clock
        self._notify = notify
        self._changed = changed
        self._timers: tuple[Timer, ...] = ()
        self.state = Supervised.OFF

    def reset(self, interval: float, guard: float) -> datetime:
        """Start the watchdog again; return when the next supervision-notification is due."""
        self._cancel()
        self._timers = self._clock.call_later(interval, self._ask), self._clock.call_later(interval + guard, self._lose)
        before, self.state = self.state, Supervised.KEPT
        if before is Supervised.LOST:
            self._changed(False)
        return self._clock.now() + timedelta(seconds=interval)

    def stop(self) -> None:
        """End the supervision."""
        self._cancel()
        self.state = Supervised.OFF

    def _cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = ()

    def _ask(self) -> None:
        self._notify(lambda: root(SUPERVISION_NS, "supervision-notification"))

    def _lose(self) -> None:
        self._timers = ()
        self.state = Supervised.LOST
        self._changed(True)
