"""Checks of devices that fail by an error in Minka itself: they hurt no other device, and people hear of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

import structlog

from controller.models.alarm import CHECK_FAILED, Alarm, AlarmReport, PerceivedSeverity
from controller.models.many import first_names
from controller.models.metrics import Observations

T = TypeVar("T")

log = structlog.get_logger()

#: Object of the alarm: Minka's health checks.
_OBJECT = "health checks"
#: Name, beside those of devices, of the check for what devices have in common (``common_faults``).
COMMON_FAULTS = "common faults"
#: Failing devices that the alarm names.
_NAMED = 5


class Failures:
    """Failing checks, from one round to the next.

    Attributes:
        now: What failed in the round under way.
    """

    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        observations.begin("minka_health_checks_failed_total")
        self._followed: frozenset[str] = frozenset()
        self._checked: set[str] = set()
        self._failing: set[str] = set()
        self._told = ""
        #: Whether it is known that no alarm stands, which one of an earlier process may.
        self._known = False
        self.now: frozenset[str] = frozenset()

    def follow(self, devices: Collection[str]) -> None:
        """Devices that are checked; what others did counts no more."""
        self._followed = frozenset(devices)
        self._checked &= self._followed
        self._failing &= self._followed | {COMMON_FAULTS}

    def begin(self, failed: Iterable[str]) -> None:
        """Begin a round, in which reading some devices failed."""
        self.now = frozenset()
        for name in failed:
            self.add(name)

    def add(self, name: str) -> None:
        """Count a failure of the check of a device; its error is in the log."""
        self.now |= {name}
        self._observations.count("minka_health_checks_failed_total")

    def each(self, names: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
        """The results of some work on each device, without those of devices where it fails."""
        done = {}
        for name in names:
            try:
                done[name] = work(name)
            except Exception:
                log.exception("check.bug", station=name)
                self.add(name)
        return done

    def went_well(self, names: Iterable[str]) -> None:
        """Note whose checks were recorded."""
        self._checked.update(names)

    def end(self) -> bool:
        """End a round; returns whether the alarm may have to be raised or cleared after it."""
        self._checked -= self.now
        self._failing = (self._failing - self._checked - {COMMON_FAULTS}) | self.now
        return self._words() != self._told or (not self._failing and not self._known)

    def reports(self, standing: Iterable[Alarm], at: datetime) -> Iterator[AlarmReport]:
        """The report for the alarm list that a round makes necessary, if one does.

        The alarm is over once the checks of all followed devices work.
        """
        raised = any(alarm.probable_cause == CHECK_FAILED and alarm.cleared is None for alarm in standing)
        self._told = text = self._words()
        self._known = not self._failing and self._followed <= self._checked
        if text:
            yield AlarmReport.of_controller(_OBJECT, CHECK_FAILED, PerceivedSeverity.MAJOR, at, text)
        elif raised and self._known:
            yield AlarmReport.of_controller(_OBJECT, CHECK_FAILED, PerceivedSeverity.CLEARED, at)

    def _words(self) -> str:
        if not self._failing:
            return ""
        names = sorted(self._failing)
        named = first_names(names, _NAMED)
        return f"health checks fail by an error in Minka: {named}; their health is that of before; the log says why"
