"""Claims of jobs by workers, and the journal of what they do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.plan import Change, LedgerNode
from controller.models.run import FoundState, Job, JournalEntry, Outcome, Run
from controller.ports.store.ledger import EndedJob
from controller.ports.store.repository import M_co, Repository, method


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that a worker has claimed, with the lease of its device.

    Attributes:
        change: The change of the run's plan for the station; None if it has none there.
        transaction: Id of the device transaction, the same after a take-over. Steps add a suffix (``t-1f.0.1``).
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
        beyond: Whether it diverged in more than the change edits, such as nodes that are gone though nobody asked.
        restored: Whether the station carries all that was applied, as it was compared when the run was asked for.
        again: Whether a job that was ``withdrawn`` begins again once it may, since something came in its way that ends.
        unread: Whether it diverged since nobody could read the device back: the next reading tells what it carries.
    """

    outcome: Outcome
    detail: str = ""
    gained: tuple[LedgerNode, ...] = ()
    lost: tuple[str, ...] = ()
    applied: bool = False
    beyond: bool = False
    restored: bool = False
    again: bool = False
    unread: bool = False


@dataclass(frozen=True, slots=True)
class UnreadJob:
    """A job that diverged since nobody could read its device back: what a later reading is judged by.

    Attributes:
        ended: The job as it ended.
        carried: What its device carried when it began.
        counts: From when on a reading counts: before, the device may take the change back by itself.
        may: States that its device may be in: both, or the one that was decided for its unit or wave; none while
            nothing is decided.
    """

    ended: EndedJob
    carried: tuple[str, ...]
    counts: datetime
    may: frozenset[FoundState]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reading found of a job of which nobody could read its device back at its end.

    Attributes:
        at: When the reading began.
        found: The state that the device carries; None if it is none in which the device may be.
        differs: Why it is none, for people; else empty.
    """

    job: str
    station: str
    at: datetime
    found: FoundState | None
    differs: str = ""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """What a job that has its station, and has not ended, made there so far.

    Attributes:
        waits: What it waits for, while no worker has it; empty while one works on it.
        changes: Its changes in order, without those taken back within the job.
        unsure: Changes of which nobody knows yet how much the device carries: they are under way, or diverged.
    """

    run: str
    job: str
    station: str
    waits: str
    changes: tuple[Change, ...]
    unsure: tuple[Change, ...] = ()


class Claims(Repository[M_co], Protocol[M_co]):
    """Jobs that workers hold, with the leases of their devices."""

    @method
    def take(self, incarnation: str, limit: int) -> list[Claim]:
        """Claim up to ``limit`` jobs with the leases of their devices, at most this worker's share.

        Together with its current jobs it gets as many as an equal split among the living workers gives.

        A device under another lease is left out; one with an unresolved transaction is given only to the job of that
        transaction. A run's ``strategy.parallel`` is never exceeded. Sides (``RunConstraints.side``) take turns, and so
        do the runs of a side, so that none starves another.
        A job that may not begin (``Approvals.reassess``) is left out; a ``cancelling`` run gives only jobs that recover
        a transaction. While the record is in doubt there are none. Raises LeaseLostError if the incarnation was
        declared dead.
        """
        ...

    @method
    def busy(self, stations: Iterable[str]) -> frozenset[str]:
        """Those of the stations that a job works on, or that are reserved to recover a transaction."""
        ...

    @method
    def in_transaction(self, stations: Iterable[str]) -> dict[str, bool]:
        """Those of the stations that are just being changed, and so are neither as they were nor as they will be.

        A device transaction is open there, or an operation that interrupts service. A job that only soaks, reads or
        waits does not count. For each, whether it may not be reached by what is done to it: an operation restarts it.
        """
        ...

    @method
    def open_jobs(self, stations: Iterable[str]) -> list[OpenJob]:
        """Jobs that have one of these stations now, worked on or not: at most one a station."""
        ...

    @method
    def unread(self, stations: Iterable[str]) -> list[UnreadJob]:
        """Jobs on the stations that diverged since nobody could read them back, and of which that is still not known.

        At most one a station, and none where something else is left of jobs that diverged there, or of a playbook, of
        which the states between its steps are none that anybody decided.
        """
        ...

    @method
    def found(self, readings: Sequence[Reading]) -> None:
        """Put on record what readings found (``unread``): the state, the ledger, an audit row; and end the alarm.

        The job's own outcome stays. A reading changes nothing if a job came to the station since it began, if nodes of
        the ledger that it would change were changed since the job, or while the record is in doubt. One that found
        neither state renews the words of the alarm.
        """
        ...

    @method
    def find(self, incarnation: str) -> list[Claim]:
        """Claims that an incarnation has on record, to compare with its own list after a ``StoreError``."""
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
        """Give a job back (``ready``) to be tried again, for example if the process stops at a safe point.

        ``keep_transaction`` reserves the device for the job, to recover the transaction. Before ``until`` the job is
        claimed only if an answer, the end of its wave's soak, or a cancel wakes it. With a new ``rank`` it becomes
        ``waiting`` until that rank's turn.
        """
        ...

    @method
    def finish(self, claim: Claim, result: JobResult) -> None:
        """End a job: state, outcome, ledger, device record, last journal row, audit row, lease.

        The store writes the journal's ``finished`` row itself. An equal second call changes nothing. A job does not end
        if it was ``withdrawn`` because its group was postponed or its result says ``again``, or ``deferred`` while its
        run is patient. Then it left nothing on its device, and waits as if it had never begun. Raises LeaseLostError.
        """
        ...


class Journal(Repository[M_co], Protocol[M_co]):
    """The journals of device transactions."""

    @method
    def append(self, entry: JournalEntry, claim: Claim, begins: bool = False, further: bool = False) -> None:
        """Append a journal row; an equal row changes nothing. If the row ``begins``, the job may then edit its device.

        If it begins ``further`` work of a job that has changed its device, only a hold there keeps it back.

        Raises:
            NotClearedError: The row begins work that may not begin now.
            LeaseLostError: The claim's fence is no longer the newest, or its incarnation was declared dead.
            ConflictError: The row belongs to another transaction, or its number is taken by another row.
        """
        ...

    @method
    def find(self, transaction: str) -> list[JournalEntry]:
        """Rows of a transaction in order."""
        ...

    @method
    def edited_earlier(self, station: str) -> tuple[Change, int] | None:
        """The change, of a plan or step, that an ended job edited last on a device, and the phase; None if none did.

        Its edits may still be in the candidate, if the device could not be reached before the job ended.
        """
        ...

    @method
    def lock_sessions(self, station: str) -> frozenset[str]:
        """NETCONF session ids of ours, of this or earlier transactions, that may still hold the lock of a device."""
        ...
