"""Claims of jobs by workers, and the journal of what is done under them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.plan import Change, LedgerNode
from controller.models.run import Job, JournalEntry, Outcome, Run
from controller.ports.store.repository import M_co, Repository, method


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


class Claims(Repository[M_co], Protocol[M_co]):
    """Jobs in the hands of workers, with the leases of their devices."""

    @method
    def take(self, incarnation: str, limit: int) -> list[Claim]:
        """Up to ``limit`` claimable jobs with the leases of their devices, and no more than this worker's part.

        With what it works on already, it gets as many as each of the living workers would, were all of them here.

        A device under another lease is passed over; one with an unresolved transaction is given only
        to the job of that transaction; a run's ``strategy.parallel`` is never exceeded; sides
        (``RunConstraints.side``) take turns, and so do the runs of a side, so that none starves another.
        A job that may not begin (``Approvals.reassess``) is passed over; a ``cancelling`` run gives only jobs
        that recover a transaction. None is given while the record is in doubt. Raises LeaseLostError if the
        incarnation was declared dead.
        """
        ...

    @method
    def busy(self, stations: Iterable[str]) -> frozenset[str]:
        """Those of the stations that a job works on, or that wait for one to recover their transaction."""
        ...

    @method
    def find(self, incarnation: str) -> list[Claim]:
        """What an incarnation holds on record, to compare with what it has in hand after a ``StoreError``."""
        ...

    @method
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

    @method
    def finish(self, claim: Claim, result: JobResult) -> None:
        """End a job: state, outcome, ledger, device record, last journal row, audit row, lease.

        The store writes the journal's ``finished`` row itself. The very same call again changes
        nothing. A job that was ``withdrawn`` because its group was postponed, or ``deferred`` while its run is
        patient, does not end: nothing of it is left on its device, and it waits as if it had never begun. Raises
        LeaseLostError.
        """
        ...


class Journal(Repository[M_co], Protocol[M_co]):
    """What was done in device transactions."""

    @method
    def append(self, entry: JournalEntry, claim: Claim, begins: bool = False) -> None:
        """Append a journal row; the very same row again changes nothing. A job first edits after one that ``begins``.

        Raises:
            NotClearedError: The row begins what may not begin now.
            LeaseLostError: The claim's fence is no longer the newest, or its incarnation was declared dead.
            ConflictError: The row belongs to another transaction, or its number is taken by another row.
        """
        ...

    @method
    def find(self, transaction: str) -> list[JournalEntry]:
        """Rows of a transaction in order."""
        ...

    @method
    def lock_sessions(self, station: str) -> frozenset[str]:
        """NETCONF session ids of ours that may still hold the lock of a device, of this or earlier transactions."""
        ...
