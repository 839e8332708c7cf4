"""The queue is a doorbell: it carries ids, losing or doubling a ring changes nothing but latency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Doorbell(Protocol):
    """Wakes a worker, or a scheduler."""

    def ring(self, run: str) -> None:
        """Tell workers that a run has claimable work.

        Never raises and never waits long: a broker that is down costs latency only, since the
        sweeper rings again.
        """
        ...

    def ring_scheduler(self) -> None:
        """Tell a scheduler that alarms came in; as ``ring``, and its next round finds them without it."""
        ...


class FakeDoorbell:
    """The shipped fake: remembers the rings, and passes them on if told to."""

    def __init__(self, on_ring: Callable[[str], None] | None = None) -> None:
        self.rings: list[str] = []
        self.scheduler_rings = 0
        self._on_ring = on_ring

    def ring(self, run: str) -> None:
        """Remember the ring."""
        self.rings.append(run)
        if self._on_ring:
            self._on_ring(run)

    def ring_scheduler(self) -> None:
        """Count the ring."""
        self.scheduler_rings += 1
