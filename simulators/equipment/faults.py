"""The present network faults of a station: their stages, and the results of attempts to repair them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulators.clock import Clock, Timer
from simulators.equipment.fault_kinds import NETWORK_FAULTS, NetworkFaultKind, Place, Remedy, Service, Span, Stage

#: From bad to worse.
_BADNESS = (Service.FULL, Service.DEGRADED, Service.SLEEPING, Service.OFF)


class UnknownFaultError(Exception):
    """The fault is unknown, or the station has no object of that name for it."""


@dataclass(slots=True)
class NetworkFault:
    """One fault of one station, with its course.

    Attributes:
        target: Id of the cell, name of the unit, or tenant that it strikes; empty for the station.
        helps: The remedies that cure it, with the seconds that they take; others change nothing.
        begins: Seconds after which each stage begins.
        lasts: Seconds after which it ends by itself; None if it does not.
        cured_by: The remedy of a manager that ended it; None while it stands, and if something else did.
    """

    id: int
    kind: NetworkFaultKind
    target: str
    since: float
    helps: dict[Remedy, float]
    begins: tuple[float, ...]
    lasts: float | None
    stage: Stage
    links: tuple[str, ...] = ()
    timers: list[Timer] = field(default_factory=list)
    cured_by: Remedy | None = None

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON, without its course, which nobody at the station knows."""
        return {"id": self.id, "fault": self.kind.name, "target": self.target, "since": round(self.since, 3)}


#: Called with a fault, its stage before and its stage now; None before it begins and after it ends.
FaultListener = Callable[[NetworkFault, Stage | None, Stage | None], None]


class NetworkFaults:
    """The network faults of one station; ``changed`` gets each with its stage before and now."""

    __slots__ = ("_changed", "_clock", "_ids", "_open", "_seed")

    def __init__(self, seed: str, clock: Clock, changed: FaultListener) -> None:
        self._seed = seed
        self._clock = clock
        self._changed = changed
        self._ids = 0
        self._open: dict[int, NetworkFault] = {}

    def __iter__(self) -> Iterator[NetworkFault]:
        return iter(self._open.values())

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, name: str, target: str = "", seed: str | None = None, reserve: float | None = None) -> NetworkFault:
        """Begin a fault; its course is drawn from the seed, by default that of the station.

        Args:
            name: Its kind.
            target: What it strikes.
            seed: Draws its course.
            reserve: Seconds until its second stage, where that is known and not drawn.

        Raises:
            UnknownFaultError: no network fault has this name.
        """
        kind = fault_kind(name)
        self._ids += 1
        number = self._ids
        chance = random.Random(f"{self._seed if seed is None else seed}/{name}/{target}/{number}")  # noqa: S311 (replayed on purpose)
        helps = {cure.by: _draw(chance, cure.takes) for cure in kind.cures if chance.random() < cure.chance}
        begins = tuple(_draw(chance, stage.after) for stage in kind.stages)
        if reserve is not None:
            begins = (begins[0], *(reserve for _ in begins[1:]))
        lasts = None if kind.lasts is None else _draw(chance, kind.lasts)
        fault = NetworkFault(number, kind, target, self._clock.monotonic(), helps, begins, lasts, kind.stages[0])
        self._open[number] = fault
        self._plan(fault)
        self._changed(fault, None, fault.stage)
        return fault

    def _plan(self, fault: NetworkFault) -> None:
        for begins, stage in list(zip(fault.begins, fault.kind.stages, strict=True))[1:]:
            self._later(fault, begins, lambda stage=stage: self._enter(fault, stage))  # type: ignore[misc]
        if fault.lasts is not None:
            self._later(fault, fault.lasts, lambda: self.end(fault))

    def _later(self, fault: NetworkFault, seconds: float, callback: Callable[[], None]) -> None:
        fault.timers.append(self._clock.call_later(seconds, callback))

    def _enter(self, fault: NetworkFault, stage: Stage) -> None:
        before, fault.stage = fault.stage, stage
        self._changed(fault, before, stage)

    def end(self, fault: NetworkFault, by: Remedy | None = None) -> None:
        """End a fault now, by a remedy of a manager or something else; harmless if it has ended."""
        if self._open.pop(fault.id, None) is None:
            return
        fault.cured_by = by
        for timer in fault.timers:
            timer.cancel()
        self._changed(fault, fault.stage, None)

    def clear(self, number: int | None = None) -> int:
        """End one fault, or all, as a technician's visit does; return how many."""
        found = [fault for fault in self if number in (None, fault.id)]
        for fault in found:
            self.end(fault)
        return len(found)

    def attempt(self, remedy: Remedy, targets: Iterable[str] | None = None, *, asked: bool = True) -> None:
        """Try a remedy on the faults of some targets, or on all; it may change nothing.

        Args:
            remedy: The remedy.
            targets: Of which targets; None for all.
            asked: Whether a manager asked for it; a station that gets power restarts by itself.
        """
        wanted = None if targets is None else frozenset(targets)
        by = remedy if asked else None
        for fault in list(self):
            if remedy in fault.helps and (wanted is None or fault.target in wanted):
                seconds = fault.helps[remedy]
                if seconds:
                    self._later(fault, seconds, lambda fault=fault: self.end(fault, by))  # type: ignore[misc]
                else:
                    self.end(fault, by)

    def take(self, name: str) -> bool:
        """End a fault of this name; return whether there was one."""
        for fault in self:
            if fault.kind.name == name:
                self.end(fault)
                return True
        return False

    def has(self, name: str) -> bool:
        """Whether there is a fault of this name."""
        return any(fault.kind.name == name for fault in self)

    @property
    def dark(self) -> bool:
        """Whether the station has no power."""
        return any(fault.stage.dark for fault in self)

    def service_of(self, cell_class: str, cell: str, unit: str) -> Service:
        """The service of a cell on a radio unit under the faults."""
        worst = Service.FULL
        for fault in self:
            place, stage = fault.kind.place, fault.stage
            struck = place is Place.STATION or (place is Place.CELL and fault.target == cell)
            struck = struck or (place is Place.UNIT and fault.target == unit)
            if struck and (not stage.cells or cell_class in stage.cells):
                worst = max(worst, stage.service, key=_BADNESS.index)
        return worst


def _draw(chance: random.Random, span: Span) -> float:
    return round(chance.uniform(*span), 3)


def fault_kind(name: str) -> NetworkFaultKind:
    """The kind of fault of this name.

    Raises:
        UnknownFaultError: there is none.
    """
    kind = NETWORK_FAULTS.get(name)
    if kind is None:
        raise UnknownFaultError(f"no network fault is called {name!r}; there are {', '.join(NETWORK_FAULTS)}")
    return kind
