"""The network faults that a station has now: their stages, and what becomes of attempts to cure them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulators.clock import Clock, Timer
from simulators.equipment.fault_kinds import NETWORK_FAULTS, NetworkFault, Place, Remedy, Service, Span, Stage

#: From bad to worse.
_BADNESS = (Service.FULL, Service.DEGRADED, Service.SLEEPING, Service.OFF)


class UnknownFaultError(Exception):
    """There is no such fault, or nothing of that name for it to strike."""


@dataclass(slots=True)
class Trouble:
    """One fault of one station, with its fate.

    Attributes:
        target: Id of the cell, name of the unit, or tenant that it strikes; empty for the station.
        helps: The remedies that cure it and the seconds until they have; the others are in vain.
        begins: Seconds after which each stage begins.
        lasts: Seconds after which it ends by itself, if it does.
    """

    id: int
    fault: NetworkFault
    target: str
    since: float
    helps: dict[Remedy, float]
    begins: tuple[float, ...]
    lasts: float | None
    stage: Stage
    links: tuple[str, ...] = ()
    timers: list[Timer] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON carries it, without its fate, which nobody at the station knows."""
        return {"id": self.id, "fault": self.fault.name, "target": self.target, "since": round(self.since, 3)}


#: Hears of a trouble that entered a stage, or ended (no stage any more).
Changed = Callable[[Trouble, Stage | None, Stage | None], None]


class Troubles:
    """The troubles of one station; ``changed`` gets each with its stage before and now."""

    __slots__ = ("_changed", "_clock", "_ids", "_open", "_seed")

    def __init__(self, seed: str, clock: Clock, changed: Changed) -> None:
        self._seed = seed
        self._clock = clock
        self._changed = changed
        self._ids = itertools.count(1)
        self._open: dict[int, Trouble] = {}

    def __iter__(self) -> Iterator[Trouble]:
        return iter(self._open.values())

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, name: str, target: str = "", seed: str | None = None) -> Trouble:
        """Let a fault begin; its fate is drawn from the seed, by default that of the station.

        Raises:
            UnknownFaultError: no network fault has this name.
        """
        fault = fault_named(name)
        number = next(self._ids)
        dice = random.Random(f"{self._seed if seed is None else seed}/{name}/{target}/{number}")  # noqa: S311 (a story)
        helps = {cure.by: _draw(dice, cure.takes) for cure in fault.cures if dice.random() < cure.chance}
        begins = tuple(_draw(dice, stage.after) for stage in fault.stages)
        lasts = None if fault.lasts is None else _draw(dice, fault.lasts)
        trouble = Trouble(number, fault, target, self._clock.monotonic(), helps, begins, lasts, fault.stages[0])
        self._open[number] = trouble
        self._plan(trouble)
        self._changed(trouble, None, trouble.stage)
        return trouble

    def _plan(self, trouble: Trouble) -> None:
        for begins, stage in list(zip(trouble.begins, trouble.fault.stages, strict=True))[1:]:
            self._later(trouble, begins, lambda stage=stage: self._enter(trouble, stage))  # type: ignore[misc]
        if trouble.lasts is not None:
            self._later(trouble, trouble.lasts, lambda: self.end(trouble))

    def _later(self, trouble: Trouble, seconds: float, callback: Callable[[], None]) -> None:
        trouble.timers.append(self._clock.call_later(seconds, callback))

    def _enter(self, trouble: Trouble, stage: Stage) -> None:
        before, trouble.stage = trouble.stage, stage
        self._changed(trouble, before, stage)

    def end(self, trouble: Trouble) -> None:
        """Let a fault end now; harmless when it has."""
        if self._open.pop(trouble.id, None) is None:
            return
        for timer in trouble.timers:
            timer.cancel()
        self._changed(trouble, trouble.stage, None)

    def clear(self, number: int | None = None) -> int:
        """Let one fault end, or all, as when somebody visits the station; return how many."""
        found = [trouble for trouble in self if number in (None, trouble.id)]
        for trouble in found:
            self.end(trouble)
        return len(found)

    def attempt(self, remedy: Remedy, targets: Iterable[str] | None = None) -> None:
        """Try a remedy on the troubles of some targets, or on all; it may be in vain."""
        wanted = None if targets is None else frozenset(targets)
        for trouble in list(self):
            if remedy in trouble.helps and (wanted is None or trouble.target in wanted):
                seconds = trouble.helps[remedy]
                if seconds:
                    self._later(trouble, seconds, lambda trouble=trouble: self.end(trouble))  # type: ignore[misc]
                else:
                    self.end(trouble)

    def take(self, name: str) -> bool:
        """Whether a fault of this name waits; it is over with that."""
        for trouble in self:
            if trouble.fault.name == name:
                self.end(trouble)
                return True
        return False

    def has(self, name: str) -> Trouble | None:
        """The first trouble of this name."""
        return next((trouble for trouble in self if trouble.fault.name == name), None)

    @property
    def dark(self) -> bool:
        """Whether the station has no power."""
        return any(trouble.stage.dark for trouble in self)

    def service_of(self, cell_class: str, cell: str, unit: str) -> Service:
        """What the troubles leave of the service of a cell on a radio unit."""
        worst = Service.FULL
        for trouble in self:
            place, stage = trouble.fault.place, trouble.stage
            struck = place is Place.STATION or (place is Place.CELL and trouble.target == cell)
            struck = struck or (place is Place.UNIT and trouble.target == unit)
            if struck and (not stage.cells or cell_class in stage.cells):
                worst = max(worst, stage.service, key=_BADNESS.index)
        return worst


def _draw(dice: random.Random, span: Span) -> float:
    return round(dice.uniform(*span), 3)


def fault_named(name: str) -> NetworkFault:
    """The kind of fault of this name.

    Raises:
        UnknownFaultError: there is none.
    """
    fault = NETWORK_FAULTS.get(name)
    if fault is None:
        raise UnknownFaultError(f"no network fault is called {name!r}; there are {', '.join(NETWORK_FAULTS)}")
    return fault
