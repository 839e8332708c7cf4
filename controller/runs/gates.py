"""Gates as a worker sees them: a device stands at one, prepared, until somebody has decided for its group.

One query asks for all that wait in a process, however many they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from controller.models.run import Decision, JournalEntry, Policy
from controller.ports.clock import Clock
from controller.ports.gates import decision_for
from controller.ports.store import Claim, Store, StoreLoop

#: Seconds between two looks at what was decided.
_POLL = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    gate: Gate
    told: asyncio.Future[Decision]


class Gates:
    """All gates at which devices of this process stand.

    Attributes:
        on_complete: Told the run whose group stands at a gate whole, so that it is decided at once.
    """

    def __init__(self, store: StoreLoop, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: set[_Waiter] = set()
        self._poller: asyncio.Task[None] | None = None
        self.on_complete: Callable[[str], None] = lambda run: None

    @property
    def waiting(self) -> int:
        """Jobs that wait for a decision."""
        return len(self._waiting)

    def of(self, claim: Claim, number: int = 0) -> Gate | None:
        """A gate of a claim's job; None where the job is decided on its own."""
        return None if claim.run.strategy.policy is Policy.STATION else Gate(self, self._store, claim, number)

    async def wait(self, gate: Gate) -> Decision:
        """What was decided, as soon as it was.

        Raises:
            StoreError: The record is away.
        """
        waiter = _Waiter(gate, asyncio.get_running_loop().create_future())
        self._waiting.add(waiter)
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        try:
            return await waiter.told
        finally:
            self._waiting.discard(waiter)
            if not self._waiting and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _poll(self) -> None:
        while True:
            waiting = tuple(self._waiting)
            waves = {waiter.gate.wave for waiter in waiting}
            try:
                decided = _by_unit(await self._store.call(partial(_decisions, waves)))
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait
                for waiter in waiting:
                    if not waiter.told.done():
                        waiter.told.set_exception(error)
                decided = {}
            for waiter in waiting:
                found = waiter.gate.among(decided)
                if found is not None and not waiter.told.done():
                    waiter.told.set_result(found)
            await self._clock.sleep(_POLL)


_ByUnit = Mapping[tuple[str, int, str], Sequence[Decision]]


def _decisions(waves: Iterable[tuple[str, int]], store: Store) -> list[Decision]:
    return store.decisions(waves)


def _by_unit(decisions: Iterable[Decision]) -> _ByUnit:
    found: dict[tuple[str, int, str], list[Decision]] = {}
    for decision in decisions:
        found.setdefault((decision.run, decision.wave, decision.unit), []).append(decision)
    return found


class Gate:
    """One job's place at a gate.

    Attributes:
        wave: Run and number of the wave whose decisions concern it.
    """

    def __init__(self, gates: Gates, store: StoreLoop, claim: Claim, number: int) -> None:
        self._gates = gates
        self._store = store
        self._claim = claim
        self._number = number
        self.wave = (claim.run.id, claim.job.wave)

    def among(self, decided: _ByUnit) -> Decision | None:
        """What concerns this job of what was decided."""
        unit = self._claim.job.unit
        mine = (*decided.get((*self.wave, unit), ()), *decided.get((*self.wave, ""), ()))
        return decision_for(unit, self._number, mine)

    async def look(self) -> Decision | None:
        """What was decided so far."""
        return self.among(_by_unit(await self._store.call(partial(_decisions, [self.wave]))))

    async def stand(self, entry: JournalEntry | None = None) -> None:
        """Put on record that the device stands here, with the journal row that says so."""
        if await self._store.call(lambda store: store.stand(self._claim, self._number, entry)):
            self._gates.on_complete(self._claim.run.id)

    async def decision(self) -> Decision:
        """Wait for the decision. Raises StoreError."""
        return await self._gates.wait(self)

    async def leave(self) -> Decision | None:
        """Step back because the device is not what it was here any more; the decision if it came first."""
        return await self._store.call(lambda store: store.leave(self._claim, self._number))
