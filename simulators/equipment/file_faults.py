"""Faults of a station's measurement files: injected on request, equal for an equal seed.

A fault strikes files whose reporting period ends while it is there; they stay as they are when it is cleared.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from simulators.clock import Clock
from simulators.faults import InjectedFault


class FileFaultKind(StrEnum):
    """Kinds of faults of files."""

    LATE = "file-late"
    """The file comes ``seconds`` late."""
    OUT_OF_ORDER = "file-out-of-order"
    """The file comes after the next one, and its periods stand backwards."""
    DOUBLED = "file-doubled"
    """The file comes twice, the second time with a running count in its name."""
    MISSING = "file-missing"
    """There is never a file."""
    SUSPECT = "file-suspect"
    """The station counted half of each period only, and says so; after ``seconds``, if any, a whole file follows."""
    TRUNCATED = "file-truncated"
    """The file ends in its middle."""
    GONE = "file-gone"
    """The file is listed, and is gone when somebody opens it."""
    GARBAGE = "file-garbage"
    """The file is 100 MB of garbage."""
    BOMB = "file-bomb"
    """The file is gzip, whatever its name says, and unpacks to 100 MB."""
    COUNTERS_UNKNOWN = "counters-unknown"
    """The file has counters and objects of unknown meaning, and a missing value."""
    GRANULARITY_CHANGED = "granularity-changed"
    """The station counts in periods of ``seconds``, whatever its jobs say."""
    CLOCK_STEP = "clock-step"
    """The station's clock is wrong by ``seconds`` in all files, forward or back, until the fault is cleared."""


#: Seconds of the longest reporting period.
_LONGEST = 86_400
#: Kinds that need seconds.
_TIMED = frozenset({FileFaultKind.LATE, FileFaultKind.GRANULARITY_CHANGED, FileFaultKind.CLOCK_STEP})


#: By how many seconds a file that is out of order comes after the next one.
BEHIND = 60
#: Later than all files.
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class FileFault(InjectedFault):
    """One injected fault.

    Attributes:
        count: How many reporting periods of each job it strikes; none means until it is cleared.
        since: When it was injected.
        until: When it was cleared.
    """

    kind: FileFaultKind
    since: datetime = NEVER
    until: datetime | None = None

    @property
    def problem(self) -> str:
        """Why the fault is invalid; empty if it is valid."""
        if self.kind in _TIMED and not self.seconds:
            return f"{self.kind.value} needs seconds"
        if self.seconds < 0 and self.kind is not FileFaultKind.CLOCK_STEP:
            return f"seconds of {self.kind.value} are not below zero"
        if self.kind is FileFaultKind.GRANULARITY_CHANGED and (self.seconds % 1 or 900 % self.seconds):
            return "periods of a granularity have whole seconds that divide 900"
        return ""

    def strikes(self, end: datetime, reporting: int) -> bool:
        """Whether the fault is active when a reporting period of so many seconds ends."""
        if end <= self.since or (self.until is not None and end > self.until):
            return False
        return self.count is None or math.ceil((end - self.since).total_seconds() / reporting) <= self.count

    def late(self, reporting: int) -> float:
        """By how many seconds the file of a reporting period of so many seconds comes late."""
        if self.kind is FileFaultKind.OUT_OF_ORDER:
            return reporting + BEHIND
        return self.seconds if self.kind is FileFaultKind.LATE else 0.0

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON carries it."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "count": self.count,
            "probability": self.probability,
            "seconds": self.seconds,
        }


class FileFaults:
    """The file faults of one station; those that were cleared still show in the files of their time."""

    __slots__ = ("_clock", "_faults", "_seed")

    def __init__(self, seed: str, clock: Clock) -> None:
        self._seed = seed
        self._clock = clock
        self._faults: list[FileFault] = []

    def inject(self, fault: FileFault) -> FileFault:
        """Inject a fault and give it an id.

        Raises:
            ValueError: it has no seconds, which its kind needs, or periods that don't fit into a quarter of an hour.
        """
        if problem := fault.problem:
            raise ValueError(problem)
        fault.id = len(self._faults) + 1
        fault.since = self._clock.now()
        self._faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Clear one fault, or all; return how many."""
        found = [fault for fault in self if fault_id in (None, fault.id)]
        for fault in found:
            fault.until = self._clock.now()
        return len(found)

    def __iter__(self) -> Iterator[FileFault]:
        return (fault for fault in self._faults if fault.until is None)

    @property
    def latest(self) -> float:
        """By how many seconds at most a file has come, or a second one like it, after the end of its period."""
        return sum(abs(fault.seconds) + fault.late(_LONGEST) for fault in self._faults)

    def striking(self, key: str, end: datetime, reporting: int) -> Mapping[FileFaultKind, FileFault]:
        """The faults that strike the file of a reporting period; by chance where they have a probability."""
        return {
            fault.kind: fault
            for fault in self._faults
            if fault.strikes(end, reporting) and (fault.probability >= 1 or self._drawn(fault, key))
        }

    def _drawn(self, fault: FileFault, key: str) -> bool:
        chance = random.Random(f"{self._seed}/{fault.id}/{key}")  # noqa: S311 (replayed on purpose)
        return chance.random() < fault.probability

    @property
    def clock(self) -> StationClock:
        """The station's own clock."""
        steps = [fault for fault in self._faults if fault.kind is FileFaultKind.CLOCK_STEP]
        moves = [(fault.since.timestamp(), fault.seconds) for fault in steps]
        moves += [(fault.until.timestamp(), -fault.seconds) for fault in steps if fault.until is not None]
        return StationClock(moves)


class StationClock:
    """A station's own clock, which may be wrong; all moments are in seconds since 1970.

    Args:
        moves: True times at which it was set forward or back, and by how many seconds.
    """

    def __init__(self, moves: list[tuple[float, float]]) -> None:
        offset, since = 0.0, -math.inf
        self._runs: list[tuple[float, float, float]] = []
        for moment, seconds in sorted(moves):
            self._runs.append((since, moment, offset))
            offset, since = offset + seconds, moment
        self._runs.append((since, math.inf, offset))

    def shown(self, moment: float) -> float:
        """The time that it shows at a true time."""
        return next(moment + offset for since, until, offset in self._runs if since <= moment < until)

    def furthest(self, moment: float) -> float:
        """The latest time that it has shown until a true time."""
        return max(min(until, moment) + offset for since, until, offset in self._runs if since <= moment)

    def reached(self, shown: float) -> float:
        """The true time at which it first showed this time or a later one."""
        return next(max(since, shown - offset) for since, until, offset in self._runs if shown <= until + offset)

    def spans(self, begin: float, end: float, now: float) -> list[tuple[float, float]]:
        """The true spans until now in which it showed something from ``begin`` on and before ``end``."""
        found = [(max(since, begin - offset), min(until, end - offset, now)) for since, until, offset in self._runs]
        return [(one, other) for one, other in found if one < other]
