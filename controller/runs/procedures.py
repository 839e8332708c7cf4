"""Procedures: what a run does on each of its stations. ``apply`` and ``undo`` are built in; playbooks are others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import NamedTuple, Protocol

from controller.drivers.protocols import Devices
from controller.drivers.target import DeviceTarget
from controller.models.errors import InputError, NotFoundError, PlanRefusedError
from controller.models.many import first_names
from controller.models.network import Network
from controller.models.plan import Plan
from controller.models.run import UNDO, Policy, Run, Strategy
from controller.models.shipped import shipped
from controller.models.step import RunPlaybook
from controller.ports.clock import Clock
from controller.runs.approval.consent import RunOccasion, plan_constraints
from controller.runs.poller import Poller
from controller.runs.rollout.timers import fitted
from controller.runs.rollout.waves import coming_back_in, cut_stages, cut_waves, ranks_in, units_of
from controller.runs.transaction.gates import Gate, Gates
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.probe import Findings
from controller.runs.transaction.record import Alive, Record, always
from controller.runs.transaction.remote_links import watching
from controller.runs.transaction.transaction import Transaction
from controller.store import AsyncStore, Claim, JobResult, NewJob, PreparedRun, RunRequest, Store

#: The playbook of runs whose plan restarts functions with stations in them.
RESTARTING = "restart-functions"
#: Seconds that stations have at least to be on air which come back with all they had; functions have longer anyhow.
_BACK_ON_AIR = 120
#: Seconds between two checks whether a run is cancelled.
_POLL = 1.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What an act that is about to begin does to its device.

    Attributes:
        interrupts: Whether it interrupts service: a cell goes off air, a link goes down.
        restarts: Whether the device or a unit of it restarts.
    """

    interrupts: bool = False
    restarts: bool = False


NO_DISTURBANCE = Disturbance()

#: Why a rule's run may not begin to act now; empty if it may. Arguments: the record, the run, what its act does, and
#: the time.
Forbids = Callable[[Store, Run, Disturbance, datetime], str]


@dataclass(frozen=True, slots=True)
class Tools:
    """The means that procedures work with.

    Attributes:
        target_of: Endpoint of a station in a network; raises NotFoundError where it has none.
        procedure_of: What a run executes.
        gates: Where devices of this process wait for the decision on their group.
        findings: How servers behave, as this process's transactions find it out.
        cancelled: Waits until a person cancels a run.
        forbids: What says no to an automatic repair that is about to begin on a device.
    """

    store: AsyncStore
    devices: Devices
    clock: Clock
    target_of: Callable[[Network, str], DeviceTarget]
    patience: Patience = field(default_factory=Patience)
    gates: Gates = field(init=False)
    findings: Findings = field(init=False)
    cancelled: Poller[str, bool] = field(init=False)
    procedure_of: Callable[[Run], Procedure] = lambda run: procedure(run.procedure)
    forbids: Forbids = lambda _store, _run, _disturbance, _now: ""

    def __post_init__(self) -> None:
        """Make what jobs of this process share."""
        object.__setattr__(self, "gates", Gates(self.store, self.clock))
        object.__setattr__(self, "findings", Findings(self.clock))
        object.__setattr__(self, "cancelled", Poller(self.store, self.clock, _POLL, _cancelled))

    async def transact(
        self, claim: Claim, network: Network, record: Record, gate: Gate | None, *, cuts: bool = True
    ) -> JobResult:
        """Carry out the claim's change as a device transaction that can also check links behind the device.

        If it ``cuts``, a person's cancel ends the wait for a function.
        """
        assert claim.change is not None
        target = self.target_of(network, claim.job.station)
        patience = claim.run.strategy.check_timeout
        devices = watching(self.devices, claim.change, network, self.target_of, self.clock, patience)
        return await Transaction(
            claim,
            target,
            devices,
            record,
            self.clock,
            self.patience,
            gate,
            self.findings,
            self.cancelled if cuts else None,
        ).run()


def _cancelled(store: Store, runs: Collection[str]) -> dict[str, bool]:
    return dict.fromkeys(store.runs.cancelling(runs), True)


@dataclass(frozen=True, slots=True)
class Suspension:
    """A job that can only wait, until a time or until it is woken: it releases its worker and keeps its device."""

    until: datetime
    reason: str


class Procedure(Protocol):
    """One kind of run."""

    async def work(self, claim: Claim, tools: Tools, alive: Alive) -> JobResult | Suspension:
        """Carry out a job up to its result, or up to a point where it can only wait."""
        ...

    async def touched(self, claim: Claim, tools: Tools) -> bool:
        """Whether a job that can't go on may have changed something on its station."""
        ...


class UndoneRun(NamedTuple):
    """What a run left that is taken back: how long it waited for cells and links, and the wave of each device."""

    check_timeout: int
    waves: Mapping[str, int]


class Apply:
    """Applies the changes of a plan, each as a device transaction."""

    name = "apply"

    def prepare(
        self, request: RunRequest, network: Network, now: datetime, undone: UndoneRun | None = None
    ) -> PreparedRun:
        """The prepared run of a request to apply a plan. Pure: for a whole network it takes seconds.

        Args:
            request: The request.
            network: The current network.
            now: When it is made; the agreements in force on that day count.
            undone: The run that the plan takes back.

        Raises:
            PlanRefusedError: The plan is empty.
            InputError: No timer or window is long enough, or stations that come back with their functions would have to
                be decided together with them.
        """
        plan = request.plan
        assert plan is not None
        if plan.is_empty:
            raise PlanRefusedError(f"plan {plan.id} changes nothing: there is nothing to apply")
        coming = coming_back_in(plan, network)
        if coming and request.strategy.policy is not Policy.STATION:
            raise InputError(
                f"policy: {first_names(coming)} can be configured only once what they live in has restarted, and "
                "functions can't wait for a decision: let each device be decided on its own (policy station)"
            )
        strategy = request.strategy.model_copy(update={"canary_wave": 0})
        if coming:
            patience = max(strategy.check_timeout, _BACK_ON_AIR)
            strategy = strategy.model_copy(update={"check_timeout": patience})
        strategy, jobs = self._cut(plan, network, strategy, undone)
        constraints = plan_constraints(network, plan, RunOccasion(plan.digest, now))
        strategy = fitted(strategy, jobs, constraints, now)
        return PreparedRun(
            request=request,
            procedure=self.name,
            plan=plan,
            jobs=tuple(jobs),
            strategy=strategy,
            constraints=constraints,
            playbook=restarting() if coming else None,
            from_files=not plan.undoes,
            judge_from=None if plan.undoes else network.next_terms(plan.created),
        )

    def _cut(
        self, plan: Plan, network: Network, strategy: Strategy, _undone: UndoneRun | None
    ) -> tuple[Strategy, Sequence[NewJob]]:
        """One job for each change, in waves that never split a tracking area."""
        return strategy, cut_waves(plan, network, strategy)

    async def work(self, claim: Claim, tools: Tools, alive: Alive) -> JobResult:
        """See ``Transaction``."""
        _, network = await tools.store.networks.get()
        record = Record(claim, tools.store, tools.clock, alive)
        return await tools.transact(claim, network, record, tools.gates.of(claim))

    async def touched(self, claim: Claim, tools: Tools) -> bool:
        """See ``Procedure.touched``."""
        record = Record(claim, tools.store, tools.clock, always)
        await record.load()
        return record.mark is not None


class Undo(Apply):
    """Undoes a run by applying the plan of its inverses."""

    name = UNDO

    def _cut(
        self, plan: Plan, network: Network, strategy: Strategy, undone: UndoneRun | None
    ) -> tuple[Strategy, Sequence[NewJob]]:
        """The last change goes first, for example if a site was locked only after its neighbours took over.

        Pools go before all else, so that their nodes accept what returns to them. It waits for cells and links as long
        as the undone run did.
        """
        assert undone is not None
        patience, waves = undone
        strategy = strategy.model_copy(update={"check_timeout": max(strategy.check_timeout, patience)})
        units, ranks = units_of(plan.changes, network), ranks_in(plan, network)
        last = max(waves.values(), default=0)
        first = {one for one in plan.changes.packed if network.kind_of(one).rules.goes_first}
        early = first if len(first) < len(plan.changes) else ()

        def stage(device: str) -> int:
            # A station that comes back with its function need not have been part of the run.
            return -1 if device in early else last - waves.get(device, last)

        jobs = cut_stages(units, stage, strategy, ranks, region_of=network.region_of)
        begins = min((job.wave for job in jobs if job.station not in early), default=0)
        return strategy.model_copy(update={"canary_wave": begins}), jobs


@cache
def restarting() -> RunPlaybook:
    """What the run of a plan executes that restarts functions with stations in them, so that these come back in it."""
    text = (shipped("playbooks/built-in") / f"{RESTARTING}.yaml").read_text(encoding="utf-8")
    return RunPlaybook(name=RESTARTING, digest=sha256(text.encode()).hexdigest(), text=text, parameters={})


#: Built-in procedures by name.
PROCEDURES: dict[str, Apply] = {one.name: one for one in (Apply(), Undo())}


def procedure(name: str) -> Apply:
    """A built-in procedure by name.

    Raises:
        NotFoundError: There is none with that name.
    """
    if name not in PROCEDURES:
        raise NotFoundError(f"there is no procedure {name!r}; known: {', '.join(sorted(PROCEDURES))}")
    return PROCEDURES[name]
