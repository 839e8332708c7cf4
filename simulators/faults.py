"""Injected faults: how often and when they strike; equal for an equal seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(slots=True, kw_only=True)
class InjectedFault:
    """Common part of all faults that are injected on request.

    Attributes:
        count: How many times it still strikes; None for until it is cleared.
        probability: Probability of each strike; drawn from the fleet's seed.
        seconds: Length of a delay, or of the time until a confirmed commit is taken back.
    """

    count: int | None = 1
    probability: float = 1.0
    seconds: float = 0.0
    id: int = 0
    struck: int = 0


_Fault = TypeVar("_Fault", bound=InjectedFault)


class InjectedFaults(Generic[_Fault]):
    """The injected faults of one device that may still strike; whether one strikes by chance, the seed decides."""

    __slots__ = ("_faults", "_ids", "_random", "_seed")

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._faults: tuple[_Fault, ...] = ()
        self._random: dict[int, random.Random] = {}
        self._ids = 0

    def inject(self, fault: _Fault) -> _Fault:
        """Inject a fault and give it an id."""
        self._ids += 1
        fault.id = self._ids
        self._faults = (*self._faults, fault)
        if fault.probability < 1:
            self._random[fault.id] = random.Random(f"{self._seed}:{fault.id}")  # noqa: S311 (replayed on purpose)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Clear one fault, or all; return how many."""
        before = len(self._faults)
        self._keep(lambda fault: fault_id is not None and fault.id != fault_id)
        return before - len(self._faults)

    def __iter__(self) -> Iterator[_Fault]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def strike(self, fits: Callable[[_Fault], bool]) -> tuple[_Fault, ...]:
        """Return those of the fitting faults that strike now, each counted down by one."""
        striking = tuple(fault for fault in self._faults if fits(fault) and self._drawn(fault))
        for fault in striking:
            fault.struck += 1
            if fault.count is not None:
                fault.count -= 1
        if striking:
            self._keep(lambda fault: fault.count is None or fault.count > 0)
        return striking

    def _drawn(self, fault: _Fault) -> bool:
        chance = self._random.get(fault.id)
        return chance is None or chance.random() < fault.probability

    def _keep(self, stays: Callable[[_Fault], bool]) -> None:
        self._faults = tuple(fault for fault in self._faults if stays(fault))
        ids = {fault.id for fault in self._faults}
        self._random = {number: chance for number, chance in self._random.items() if number in ids}
