"""Faults of a pool: a lost node, a free-running clock, an image that crashes. The seed decides how long they last."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from simulators.clock import Clock, Timer

_MINUTE, _HOUR = 60.0, 3600.0


class UnknownPoolFaultError(Exception):
    """The fault is unknown, or the pool has no object of that name for it."""


class FaultTarget(StrEnum):
    """The kind of object that a fault strikes."""

    NODE = "node"
    """A node, or all of a failure domain."""
    FUNCTION = "function"
    """The present image of a function: another one does not have it."""
    POOL = "pool"


@dataclass(frozen=True, slots=True)
class PoolFaultKind:
    """A kind of fault; one that ``lasts`` ends by itself after seconds drawn from that span."""

    name: str
    place: FaultTarget
    lasts: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The kind as JSON carries it."""
        return {"fault": self.name, "place": self.place.value, "ends_by_itself": self.lasts is not None}


NODE_LOST, DISK_PRESSURE, PTP_LOST = "node-lost", "disk-pressure", "ptp-lost"
#: Faults that only the O2 IMS reports: the server keeps running.
POWER_SUPPLY_FAILED = "power-supply-failed"
REGISTRY_UNREACHABLE, CRASH_LOOPING, NEVER_READY = "registry-unreachable", "crash-looping", "never-ready"
_ROWS = (
    PoolFaultKind(NODE_LOST, FaultTarget.NODE, (5 * _MINUTE, 4 * _HOUR)),
    PoolFaultKind(DISK_PRESSURE, FaultTarget.NODE, (10 * _MINUTE, 2 * _HOUR)),
    PoolFaultKind(PTP_LOST, FaultTarget.NODE, (10 * _MINUTE, 6 * _HOUR)),
    PoolFaultKind(POWER_SUPPLY_FAILED, FaultTarget.NODE),
    PoolFaultKind(REGISTRY_UNREACHABLE, FaultTarget.POOL, (5 * _MINUTE, 3 * _HOUR)),
    PoolFaultKind(CRASH_LOOPING, FaultTarget.FUNCTION),
    PoolFaultKind(NEVER_READY, FaultTarget.FUNCTION),
)
#: All faults of pools by name.
POOL_FAULTS: Mapping[str, PoolFaultKind] = MappingProxyType({row.name: row for row in _ROWS})


@dataclass(slots=True)
class PoolFault:
    """One fault of one pool.

    Attributes:
        target: The node or function that it strikes, empty for the pool.
        image: The faulty image, if it strikes a function.
        after: Seconds after which a container crashes.
    """

    id: int
    kind: PoolFaultKind
    target: str
    since: float
    lasts: float | None
    image: str = ""
    after: float = 0.0
    timer: Timer | None = None

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON carries it."""
        return {"id": self.id, "fault": self.kind.name, "target": self.target, "since": round(self.since, 3)}


#: Called with a fault when it begins (true) and when it has ended.
FaultListener = Callable[[PoolFault, bool], None]


class PoolFaults:
    """The faults that a pool has now; ``changed`` is called with each as it begins and has ended."""

    def __init__(self, seed: str, clock: Clock, changed: FaultListener) -> None:
        self._seed = seed
        self._clock = clock
        self._changed = changed
        self._ids = 0
        self._open: dict[int, PoolFault] = {}

    def __iter__(self) -> Iterator[PoolFault]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, kind: PoolFaultKind, target: str, image: str = "", seed: str | None = None) -> PoolFault:
        """Begin a fault. Its course is drawn from the seed, by default that of the pool."""
        self._ids += 1
        text = f"{self._seed if seed is None else seed}/{kind.name}/{target}/{self._ids}"
        chance = random.Random(text)  # noqa: S311 (replayed on purpose)
        lasts = None if kind.lasts is None else round(chance.uniform(*kind.lasts), 3)
        after = round(chance.uniform(1.0, 20.0), 3)
        fault = PoolFault(self._ids, kind, target, self._clock.monotonic(), lasts, image, after)
        self._open[fault.id] = fault
        if lasts is not None:
            fault.timer = self._clock.call_later(lasts, lambda: self.end(fault))
        self._changed(fault, True)
        return fault

    def end(self, fault: PoolFault) -> None:
        """End a fault; harmless if it has ended."""
        if self._open.pop(fault.id, None) is None:
            return
        if fault.timer is not None:
            fault.timer.cancel()
        self._changed(fault, False)

    def clear(self, number: int | None = None) -> int:
        """End one fault, or all, as a repair does; return how many ended."""
        found = [fault for fault in self if number in (None, fault.id)]
        for fault in found:
            self.end(fault)
        return len(found)

    def of(self, name: str, target: str) -> PoolFault | None:
        """The fault of this name that strikes a target."""
        return next((fault for fault in self if (fault.kind.name, fault.target) == (name, target)), None)


def pool_fault_kind(name: str) -> PoolFaultKind:
    """The kind of fault of this name.

    Raises:
        UnknownPoolFaultError: there is none.
    """
    kind = POOL_FAULTS.get(name)
    if kind is None:
        raise UnknownPoolFaultError(f"no fault of a pool is called {name!r}; there are {', '.join(POOL_FAULTS)}")
    return kind
