"""The store: the database is the record of everything.

All methods are synchronous and each is one transaction: it either happened whole, with its audit
row, or not at all. On the worker's loop they go through ``StoreLoop``, whose single writer thread
commits them in groups. A database that is down or locked too long raises ``StoreError``, after a
few attempts. Where the connection went away during the commit, it may or may not have happened:
``journal`` and ``finish`` may simply be repeated then, and ``held`` tells what a claim took.

The shipped fake is the store itself on a database in memory (``open_store("sqlite://")``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from controller.models.alarm import SwitchState
from controller.models.errors import MinkaError
from controller.models.health import Health
from controller.models.network import Network
from controller.models.plan import Change, LedgerNode, Plan
from controller.models.process import Process, ProcessRole
from controller.models.run import GateVerdict, Hold, Job, JournalEntry, LedgerEntry, Outcome, Run, RunState
from controller.ports.alarms import AlarmRecords
from controller.ports.approvals import ApprovalRecords
from controller.ports.behaviours import BehaviourRecords
from controller.ports.gates import GateRecords
from controller.ports.ledger import LedgerRecords
from controller.ports.people import PeopleRecords
from controller.ports.playbooks import PlaybookRecords
from controller.ports.record import RecordGuard
from controller.ports.runs import RunRecords
from controller.ports.tenants import TenantRecords
from controller.ports.waiting import WaitingRecords

if TYPE_CHECKING:
    from controller.ports.store_calls import Finishing, Journalling

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Device:
    """What the record says of a station.

    Attributes:
        adopted: When it was adopted, or None while it is observe-only.
        network_digest: Digest of the network that was last applied (or adopted) on it, perhaps in part.
        applied: When that was.
        retired: Since when it is out of service, None while it is not.
    """

    station: str
    adopted: datetime | None
    network_digest: str
    applied: datetime | None
    retired: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be created with its run.

    Attributes:
        unit: Name of the unit it belongs to, within its wave; empty where the device is one of its own.
        rank: Order within the unit: it begins when all of lower rank are prepared or done well.
    """

    wave: int
    station: str
    unit: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in a worker's hands, with the lease of its device.

    Attributes:
        change: What the run's plan does on the station; None where it does nothing there.
        transaction: Id of the device transaction; the same after a take-over. Steps add a suffix (``t-1f.0.1``).
        fence: Grows with each lease of the device; writes with an older one are refused.
        recovers: Whether an earlier worker may have left the transaction unfinished.
    """

    job: Job
    run: Run
    change: Change | None
    network_digest: str
    transaction: str
    fence: int
    incarnation: str
    recovers: bool


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a claimed job ended.

    Attributes:
        gained: Nodes that enter the ledger.
        lost: Paths that leave it.
        applied: Whether the station now carries the plan's network version.
    """

    outcome: Outcome
    detail: str = ""
    gained: tuple[LedgerNode, ...] = ()
    lost: tuple[str, ...] = ()
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """What happens next to a run, all in one transaction.

    Attributes:
        wave: Wave that opens, or None. Where each station is decided on its own, its jobs of rank 0 become claimable.
        cancel_rest: Whether jobs that were not claimed end ``cancelled``.
        reason: Why, for the record.
        verdicts: What is decided at gates.
        ready: Ids of waiting jobs that become claimable.
        withdrawn: Ids of jobs not begun that end ``withdrawn``.
        postponed: Ids of jobs not begun, or ended ``deferred``, whose unit or wave was postponed.
    """

    state: RunState
    wave: int | None = None
    cancel_rest: bool = False
    reason: str = ""
    verdicts: tuple[NewVerdict, ...] = ()
    ready: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """A decision to be put on record; see ``controller.models.run.Decision``.

    What was confirmed at an earlier gate is not postponed but cancelled.
    """

    wave: int
    unit: str
    gate: int
    verdict: GateVerdict
    reason: str = ""
    round: int = 0


Decide = Callable[[Run, Sequence[Job]], Transition | None]


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a worker process; ``counter`` grows while it lives."""

    id: str
    name: str
    counter: int
    alive: bool


@dataclass(frozen=True, slots=True)
class PlanHead:
    """A plan in a list: what it is about, with the numbers of stations and findings."""

    id: str
    created: datetime
    network_digest: str
    selector: str
    stations: int
    unchanged: int
    unplanned: int
    findings: int


@dataclass(frozen=True, slots=True)
class Page:
    """Where to start and how much to return; lists are newest first unless said otherwise."""

    limit: int = 100
    offset: int = 0


class Store(
    PeopleRecords,
    TenantRecords,
    PlaybookRecords,
    LedgerRecords,
    AlarmRecords,
    ApprovalRecords,
    RunRecords,
    GateRecords,
    WaitingRecords,
    BehaviourRecords,
    RecordGuard,
    Protocol,
):
    """Everything that is on record."""

    # networks and devices
    def save_network(self, network: Network, digest: str, actor: str) -> bool:
        """Keep a network version and make it the current one; False if it was current already."""
        ...

    def network(self, digest: str | None = None) -> tuple[str, Network]:
        """Digest and network of a version, the current one by default. Raises NotFoundError."""
        ...

    def devices(self, stations: Iterable[str] | None = None) -> dict[str, Device]:
        """Records of stations; stations never seen are absent."""
        ...

    def adopt(
        self, station: str, nodes: Sequence[LedgerNode], network_digest: str, actor: str, generation: int = 0
    ) -> None:
        """Make a station ours: its nodes enter the ledger. Repeating it adds nodes, removes none.

        ``generation`` is what the station carries of another record; fences of this one go on from there.
        """
        ...

    def retire(self, station: str, actor: str) -> None:
        """Put a station out of service: it is observe-only until it is adopted again. Repeating it changes nothing."""
        ...

    def ledger(self, stations: Iterable[str] | None = None) -> dict[str, dict[str, LedgerEntry]]:
        """Ledger entries by station and path."""
        ...

    def ledger_nodes(self, nodes: Collection[tuple[str, str]]) -> dict[tuple[str, str], LedgerEntry]:
        """Ledger entries of nodes, by station and path, with one statement; others are absent."""
        ...

    def save_health(self, healths: Sequence[Health]) -> None:
        """Keep the latest health of stations (older ones are dropped)."""
        ...

    def healths(self, stations: Iterable[str] | None = None) -> dict[str, Health]:
        """Latest health by station, without what another version wrote and this one can't read."""
        ...

    # plans
    def save_plan(self, plan: Plan, actor: str) -> None:
        """Keep a plan; keeping an equal one again changes nothing."""
        ...

    def plan(self, plan_id: str) -> Plan:
        """A plan by id. Raises NotFoundError."""
        ...

    def plans(self, page: Page) -> tuple[int, list[PlanHead]]:
        """Total and one page of plans without their changes, newest first."""
        ...

    # workers, leases, journal
    def register_worker(self, name: str, role: ProcessRole = ProcessRole.WORKER) -> str:
        """A new incarnation of a process; returns its id. It takes the place of what ended under its role and name."""
        ...

    def heartbeat(self, incarnation: str, sessions: int = 0, late: str = "") -> None:
        """Count up; note the open sessions to devices, and the rounds that are late (``Process.late``).

        Raises LeaseLostError if the incarnation was buried.
        """
        ...

    def end_worker(self, incarnation: str) -> None:
        """Note that a process ended in good order; what it still held is given back, as by ``bury``."""
        ...

    def processes(self) -> list[Process]:
        """Processes that live, and for a day those that ended otherwise than by ``end_worker`` unless replaced."""
        ...

    def incarnations(self) -> list[Incarnation]:
        """Incarnations that are alive on record."""
        ...

    def bury(self, incarnation: str, counter: int) -> bool:
        """Declare an incarnation dead if its counter still stands at ``counter``; False if it moved on.

        Its claimed jobs become claimable again (to recover their transactions), its leases lose their holder.
        """
        ...

    def claim(self, incarnation: str, limit: int) -> list[Claim]:
        """Up to ``limit`` claimable jobs with the leases of their devices, and no more than this worker's part.

        With what it works on already, it gets as many as each of the living workers would, were all of them here.

        A device under another lease is passed over; one with an unresolved transaction is given only
        to the job of that transaction; a run's ``strategy.parallel`` is never exceeded; sides
        (``RunTerms.side``) take turns, and so do the runs of a side, so that none starves another.
        A job that is not cleared (``clear``) is passed over; a ``cancelling`` run gives only jobs
        that recover a transaction. None is given while the record is in doubt. Raises LeaseLostError if the
        incarnation was buried.
        """
        ...

    def leased(self, stations: Iterable[str]) -> frozenset[str]:
        """Those of the stations that a job works on, or that wait for one to recover their transaction."""
        ...

    def held(self, incarnation: str) -> list[Claim]:
        """What an incarnation holds on record, to compare with what it has in hand after a ``StoreError``."""
        ...

    def journal(self, entry: JournalEntry, claim: Claim) -> None:
        """Append a journal row; the very same row again changes nothing.

        Raises:
            LeaseLostError: The claim's fence is no longer the newest, or its incarnation was buried.
            ConflictError: The row belongs to another transaction, or its number is taken by another row.
        """
        ...

    def begin(self, entry: JournalEntry, claim: Claim) -> None:
        """As ``journal``, for the row after which a job first edits. Raises NotClearedError if it may not begin."""
        ...

    def journal_all(self, rows: Sequence[Journalling]) -> list[MinkaError | None]:
        """``journal`` and ``begin`` for many at once; what each would raise, in order."""
        ...

    def journal_of(self, transaction: str) -> list[JournalEntry]:
        """Rows of a transaction in order."""
        ...

    def journals_of(self, transactions: Iterable[str]) -> dict[str, list[JournalEntry]]:
        """``journal_of`` for many at once."""
        ...

    def lockers(self, station: str) -> frozenset[str]:
        """NETCONF session ids of ours that may still hold the lock of a device, of this or earlier transactions."""
        ...

    def release(
        self,
        claim: Claim,
        detail: str,
        *,
        keep_transaction: bool,
        until: datetime | None = None,
        rank: int | None = None,
    ) -> None:
        """Give a job back (``ready``) to be tried again, for example when the process stops at a safe point.

        ``keep_transaction`` keeps the device reserved for the job that recovers the transaction; before ``until``
        it is claimed only if it is woken: by an answer, the end of its wave's soak, or a person's cancel. With a
        new ``rank`` it becomes ``waiting`` until the turn of that rank.
        """
        ...

    def finish(self, claim: Claim, result: JobResult) -> None:
        """End a job: state, outcome, ledger, device record, last journal row, audit row, lease.

        The store writes the journal's ``finished`` row itself. The very same call again changes
        nothing. A job that was ``withdrawn`` because its group was postponed, or ``deferred`` while its run is
        patient, does not end: nothing of it is left on its device, and it waits as if it had never begun. Raises
        LeaseLostError.
        """
        ...

    def finish_all(self, ends: Sequence[Finishing]) -> list[MinkaError | None]:
        """``finish`` for many claims at once; what each would raise, in order."""
        ...

    # holds, switches
    def add_hold(self, target: str, by: str, reason: str, until: datetime | None) -> Hold:
        """Put a hold."""
        ...

    def end_hold(self, hold_id: str, actor: str) -> None:
        """Lift a hold. Raises NotFoundError."""
        ...

    def holds(self, at: datetime) -> list[Hold]:
        """Holds in force."""
        ...

    def switch(self, name: str) -> bool:
        """Whether a switch is on; switches are off until set. ``remediation-stopped`` is the kill switch."""
        ...

    def switch_state(self, name: str) -> SwitchState:
        """A switch as it was last set: since when, by whom and why."""
        ...

    def set_switch(self, name: str, on: bool, actor: str, reason: str = "") -> None:
        """Set a switch."""
        ...

    def figures(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Gauge values for the metrics door, by name and label values.

        ``runs`` by state; ``jobs`` by state; ``outcomes`` (ended jobs) by outcome; ``jobs_away`` (to be tried again);
        ``sessions`` by role and instance; ``oldest_claimable_seconds``; ``alarms`` by state, severity and
        probable cause; ``escalated`` (alarms); ``repairs`` by rule; ``devices_adopted``; ``record_in_doubt``;
        ``process_up`` and ``process_ready`` by role and instance; ``processes_ready`` by role. Outcomes, ended runs
        and roles that did not occur are there as 0.
        """
        ...

    def check_writable(self) -> None:
        """Return if a write would be committed now; it changes nothing that counts. Raises StoreError."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...


class StoreLoop(Protocol):
    """The store as seen from an asyncio loop."""

    async def call(self, method: Callable[[Store], T]) -> T:
        """Run ``method`` on the writer thread; its effects are committed when this returns.

        Methods of one class of ``controller.ports.store_calls`` that wait at the same time are carried out as one;
        heartbeats go first.
        """
        ...
