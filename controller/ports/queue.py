"""The queue only wakes: messages carry ids, and a lost or duplicated message changes only latency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Wakeups(Protocol):
    """Wakes workers and schedulers."""

    def wake_workers(self, run: str) -> None:
        """Tell workers that a run has claimable work.

        Never raises and never waits long: without a broker only latency grows, since the sweeper wakes workers again.
        """
        ...

    def wake_collectors(self) -> None:
        """Tell workers that performance data may be collected; like ``wake_workers``."""
        ...

    def wake_scheduler(self) -> None:
        """Tell a scheduler that alarms came in; like ``wake_workers``. Its next round finds them anyway."""
        ...


class FakeWakeups:
    """The shipped fake: remembers what it was asked to wake, and calls back if wanted.

    Args:
        on_wakeup: Called with the run for which workers are woken.
        on_alarms: Called when a scheduler is woken.
    """

    def __init__(
        self, on_wakeup: Callable[[str], None] | None = None, on_alarms: Callable[[], None] | None = None
    ) -> None:
        self.runs: list[str] = []
        self.schedulers = 0
        self.collectors = 0
        self._on_wakeup = on_wakeup
        self._on_alarms = on_alarms

    def wake_workers(self, run: str) -> None:
        """Remember the run."""
        self.runs.append(run)
        if self._on_wakeup:
            self._on_wakeup(run)

    def wake_collectors(self) -> None:
        """Count it."""
        self.collectors += 1

    def wake_scheduler(self) -> None:
        """Count it."""
        self.schedulers += 1
        if self._on_alarms:
            self._on_alarms()
