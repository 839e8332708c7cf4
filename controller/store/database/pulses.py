"""Pulses of processes: whether their heartbeats go on, by the clock of who looks."""

from __future__ import annotations

import threading
from collections.abc import Mapping

#: Seconds of silence after which a process counts as down (ten heartbeats).
SILENT = 15.0


class Pulses:
    """Heartbeats that one process saw of all others.

    Clocks of two processes are never compared: a process lives while its counter moves, and its silence is timed on the
    monotonic clock of who looks. Who just began to look can't know yet, and takes it to live. Nobody relies on
    that for long: workers and schedulers declare the silent dead, and put that on record.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By incarnation, its counter and when it was first seen to be that.
        self._known: dict[str, tuple[int, float]] = {}

    def heard(self, counters: Mapping[str, int], now: float) -> set[str]:
        """Incarnations that are not silent.

        Args:
            counters: Counters of all that live on record.
            now: The monotonic clock.
        """
        with self._lock:
            known, self._known = self._known, {}
            for incarnation, counter in counters.items():
                before, since = known.get(incarnation, (counter, now))
                self._known[incarnation] = (counter, since if before == counter else now)
            return {incarnation for incarnation, (_, since) in self._known.items() if now - since < SILENT}
