"""Gates in a worker: a prepared device waits at one for the decision about its group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from controller.models.run import Decision, JournalEntry, Policy
from controller.ports.clock import Clock
from controller.runs.poller import Poller
from controller.store import AsyncStore, Claim, Store, decision_for

#: Seconds between two reads of decisions.
_POLL = 0.25

_ByUnit = Mapping[tuple[str, int, str], Sequence[Decision]]


class Gates:
    """All gates at which devices of this process wait.

    Attributes:
        waiting: Jobs that wait for a decision.
        on_complete: Called with the run whose whole group stands at a gate, so that it is decided at once.
    """

    def __init__(self, store: AsyncStore, clock: Clock) -> None:
        self._store = store
        self.waiting: Poller[Gate, Decision] = Poller(store, clock, _POLL, _decided)
        self.on_complete: Callable[[str], None] = lambda run: None

    def of(self, claim: Claim, number: int = 0) -> Gate | None:
        """A gate of a claim's job; None if the job is decided on its own."""
        return None if claim.run.strategy.policy is Policy.STATION else Gate(self, self._store, claim, number)


def _decided(store: Store, gates: Collection[Gate]) -> dict[Gate, Decision]:
    """Decisions for gates."""
    decided = _by_unit(store.gates.decisions({gate.wave for gate in gates}))
    return {gate: found for gate in gates if (found := gate.among(decided)) is not None}


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

    def __init__(self, gates: Gates, store: AsyncStore, claim: Claim, number: int) -> None:
        self._gates = gates
        self._store = store
        self._claim = claim
        self._number = number
        self.wave = (claim.run.id, claim.job.wave)

    def among(self, decided: _ByUnit) -> Decision | None:
        """The decision that applies to this job, if there is one."""
        job = self._claim.job
        mine = (*decided.get((*self.wave, job.unit), ()), *decided.get((*self.wave, ""), ()))
        return decision_for(job.unit, job.round, self._number, mine)

    async def decision_so_far(self) -> Decision | None:
        """The decision so far, if there is one."""
        return (await self._store.transaction(_decided, [self])).get(self)

    async def goes_last(self) -> bool:
        """Whether the device has to go after others of its group, since it can't revert by itself."""
        return await self._store.gates.goes_last(self._claim)

    async def stand(self, entry: JournalEntry | None = None) -> None:
        """Put on record that the device is at the gate, with the journal row that says so."""
        if await self._store.gates.arrive(self._claim, self._number, entry):
            self._gates.on_complete(self._claim.run.id)

    async def decision(self) -> Decision:
        """Wait for the decision. Raises StoreError."""
        return await self._gates.waiting.wait(self)

    async def leave(self) -> Decision | None:
        """Leave the gate because the device's state changed; returns the decision if that came first."""
        return await self._store.gates.leave(self._claim, self._number)
