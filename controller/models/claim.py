"""Jobs that workers hold, how they end, and what later readings find of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controller.models.ended_job import EndedJob
from controller.models.plan import Change, LedgerNode
from controller.models.run import FoundState, Job, Outcome, Run


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
        operated: Whether it sent operations that nobody asked for twice (all but ``OperationKind.brings``): then it
            never begins again.
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
    operated: bool = False


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
        started: When a worker first took it; None where that is not on record.
        changes: Its changes in order, without those taken back within the job.
        unsure: Changes of which nobody knows yet how much the device carries: they are under way, or diverged.
    """

    run: str
    job: str
    station: str
    waits: str
    changes: tuple[Change, ...]
    unsure: tuple[Change, ...] = ()
    started: datetime | None = None
