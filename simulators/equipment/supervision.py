"""The supervision watchdog of o-ran-supervision: whoever started it must reset it in time, or the radio goes off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from lxml import etree

from simulators.clock import Clock, Timer
from simulators.elements import root

SUPERVISION_NS = "urn:o-ran:supervision:1.0"


class Supervision:
    """The watchdog of one station; ``notify`` sends a notification, ``changed`` hears of loss and return."""

    __slots__ = ("_changed", "_clock", "_interval", "_notify", "_timers", "lost")

    def __init__(self, clock: Clock, notify: Callable[[etree._Element], None], changed: Callable[[bool], None]) -> None:
        self._clock = clock
        self._notify = notify
        self._changed = changed
        self._interval = 0.0
        self._timers: list[Timer] = []
        self.lost = False

    def reset(self, interval: float, guard: float) -> datetime:
        """Start the watchdog anew; return when the next supervision-notification is due."""
        self.stop()
        self._interval = interval
        self._timers = [
            self._clock.call_later(interval, self._ask),
            self._clock.call_later(interval + guard, self._lose),
        ]
        if self.lost:
            self.lost = False
            self._changed(False)
        return self._clock.now() + timedelta(seconds=interval)

    def stop(self) -> None:
        """Nobody supervises the station any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def _ask(self) -> None:
        self._notify(root(SUPERVISION_NS, "supervision-notification"))

    def _lose(self) -> None:
        self._timers = []
        self.lost = True
        self._changed(True)
