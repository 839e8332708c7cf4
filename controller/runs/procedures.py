"""Procedures: what a run does on each of its stations. ``apply`` is built in; playbooks add theirs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from controller.models.errors import NotFoundError
from controller.models.network import Network
from controller.models.plan import Plan
from controller.models.run import UNDO, Run, Strategy
from controller.ports.clock import Clock
from controller.ports.devices import Devices, DeviceTarget
from controller.ports.store import Claim, JobResult, NewJob, Store, StoreLoop
from controller.ports.store_calls import NetworkReading
from controller.ports.waiting import Resting
from controller.runs.poller import Poller
from controller.runs.rollout.waves import cut_waves
from controller.runs.transaction.gates import Gate, Gates
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.probe import Findings
from controller.runs.transaction.record import Alive, Record, always
from controller.runs.transaction.remote_links import watching
from controller.runs.transaction.transaction import Transaction

#: Seconds between two looks whether a run is cancelled.
_LOOK = 1.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What a procedure works with.

    Attributes:
        target_of: Endpoint of a station in a network; raises NotFoundError where it has none.
        procedure_of: What a run executes.
        gates: Where devices of this process wait for the decision on their group.
        findings: How servers behave, as this process's transactions find it out.
        cancelled: Waits until a person cancels a run.
    """

    store: StoreLoop
    devices: Devices
    clock: Clock
    target_of: Callable[[Network, str], DeviceTarget]
    patience: Patience = field(default_factory=Patience)
    gates: Gates = field(init=False)
    findings: Findings = field(init=False)
    cancelled: Poller[str, bool] = field(init=False)
    procedure_of: Callable[[Run], Procedure] = lambda run: procedure(run.procedure)

    def __post_init__(self) -> None:
        """Make what this process's jobs share."""
        object.__setattr__(self, "gates", Gates(self.store, self.clock))
        object.__setattr__(self, "findings", Findings(self.clock))
        object.__setattr__(self, "cancelled", Poller(self.store, self.clock, _LOOK, _cancelled))

    async def transact(self, claim: Claim, network: Network, record: Record, gate: Gate | None) -> JobResult:
        """The claim's change as a device transaction, in sight of the links behind the device that it checks."""
        assert claim.change is not None
        target = self.target_of(network, claim.job.station)
        patience = claim.run.strategy.check_timeout
        devices = watching(self.devices, claim.change, network, self.target_of, self.clock, patience)
        return await Transaction(claim, target, devices, record, self.clock, self.patience, gate, self.findings).run()


def _cancelled(store: Store, runs: Collection[str]) -> dict[str, bool]:
    return dict.fromkeys(store.cancelling(runs), True)


class Procedure(Protocol):
    """One kind of run."""

    async def work(self, claim: Claim, tools: Tools, alive: Alive) -> JobResult | Resting:
        """Bring one job to its result, or to where it can only wait."""
        ...

    async def touched(self, claim: Claim, tools: Tools) -> bool:
        """Whether a job that can't go on may have left something on its station."""
        ...


class Apply:
    """Applies a plan's Changes, each as a device transaction. Undoing a run is applying the plan of its inverses."""

    def jobs(self, plan: Plan, network: Network, strategy: Strategy) -> Sequence[NewJob]:
        """One job a change, in waves that never cut a tracking area."""
        return cut_waves(plan, network, strategy)

    async def work(self, claim: Claim, tools: Tools, alive: Alive) -> JobResult:
        """See ``Transaction``."""
        _, network = await tools.store.call(NetworkReading())
        record = Record(claim, tools.store, tools.clock, alive)
        return await tools.transact(claim, network, record, tools.gates.of(claim))

    async def touched(self, claim: Claim, tools: Tools) -> bool:
        """See ``Procedure.touched``."""
        record = Record(claim, tools.store, tools.clock, always)
        await record.load()
        return record.mark is not None


#: Procedures that are built in, by name.
PROCEDURES: dict[str, Apply] = {"apply": Apply(), UNDO: Apply()}


def procedure(name: str) -> Apply:
    """A built-in procedure by name.

    Raises:
        NotFoundError: There is none of that name.
    """
    if name not in PROCEDURES:
        raise NotFoundError(f"there is no procedure {name!r}; known: {', '.join(sorted(PROCEDURES))}")
    return PROCEDURES[name]
