"""Who locked a cell or core link, by what is on record of our own jobs, those under way included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime, computed_field

from controller.models.alarm import DIVERGED
from controller.models.claim import OpenJob
from controller.models.ended_job import EndedJob
from controller.models.network import Noun
from controller.models.run import PERSON, Outcome, Run, RunState
from controller.nrm.tree import Path
from controller.plan.rows import locked_outside
from controller.store.jobs.left_locks import locked_by, would_have_ended
from controller.store.store import Store


class LockHolder(Noun):
    """Who locked a cell or core link, by what is on record of runs.

    Attributes:
        name: The cell or core link, in words.
        run: The run of ours that locked it; empty if none did: then nothing below is known.
        procedure: Procedure of that run: ``apply``, ``undo``, or a playbook's name.
        requested_by: Name of the person, or of the rule, that asked for the run.
        cause: Why it ran: ``person``, or ``alarm:<id>``.
        reason: The reason that was given for the run.
        state: State of the run.
        at: When its job at the station ended; while that is under way, when it began.
        outcome: How its job at the station ended; None while it is under way.
        waits: What that job waits for, if it is under way and no worker has it.
    """

    name: str
    run: str = ""
    procedure: str = ""
    requested_by: str = ""
    cause: str = ""
    reason: str = ""
    state: RunState | None = None
    at: AwareDatetime | None = None
    outcome: Outcome | None = None
    waits: str = ""

    @classmethod
    def of(cls, name: str, job: EndedJob | OpenJob, run: Run) -> LockHolder:
        """Who locked something, by the job that did and its run."""
        return cls(
            name=name,
            run=run.id,
            procedure=run.procedure,
            requested_by=run.requested_by,
            cause=run.cause,
            reason=run.reason,
            state=run.state,
            at=job.finished if isinstance(job, EndedJob) else job.started,
            outcome=job.outcome if isinstance(job, EndedJob) else None,
            waits=job.waits if isinstance(job, OpenJob) else "",
        )

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def words(self) -> str:
        """Who locked it, through which run, and how that is; without the reason, since tenants read of it in plans."""
        if not self.run:
            return locked_outside(self.name)
        whom = self.requested_by if self.cause == PERSON else f"rule {self.requested_by} ({self.cause})"
        words = f"{whom} locked {self.name} by run {self.run} ({self.procedure})"
        if self.outcome is None:
            return f"{words}, which is under way ({self.state}{f': {self.waits}' if self.waits else ''})"
        diverged = f", which diverged; bring it back: minka undo {self.run}"
        return f"{words} at {self.at:%Y-%m-%d %H:%M} UTC{diverged if self.outcome is Outcome.DIVERGED else ''}"


def lock_holders(
    store: Store, station: str, since: datetime, *, cells: Sequence[str] = (), links: Sequence[Path] = ()
) -> dict[str, LockHolder]:
    """Who locked cells or core links of a station, as far as runs of ours did.

    Args:
        store: The record.
        station: Station id.
        since: How far to look back.
        cells: Names of cells that are locked, or shutting down.
        links: Paths of core links that are locked.

    Returns:
        Holders by name or path; of what no run of ours locked there is none.
    """
    if not cells and not links:
        return {}
    done: list[EndedJob | OpenJob] = [*store.runs.ended_jobs([station], since)]
    done += store.claims.open_jobs([station])
    by = {cell: (f"cell {cell}", locked_by(done, cell=cell)) for cell in cells}
    by |= {link: (f"core link {link.rpartition('/')[2]}", locked_by(done, link=link)) for link in links}
    found = {one: (name, job) for one, (name, job) in by.items() if job is not None}
    return {one: LockHolder.of(name, job, store.runs.get(job.run)) for one, (name, job) in found.items()}


@dataclass(frozen=True, slots=True)
class LeftLocked:
    """Cells of a station that a run of ours left locked, or shutting down, so that diverged.

    Attributes:
        cells: All of them.
        lapsed: Those that the run had locked for its own edits only, while the alarm stands that the station diverged:
            that ends when all that the run touched is back, so a later lock is somebody else's.
    """

    cells: frozenset[str] = frozenset()
    lapsed: frozenset[str] = frozenset()


def left_by_diverged(store: Store, station: str, since: datetime, cells: Sequence[str]) -> LeftLocked:
    """Those of the cells of a station, locked or shutting down, that a run of ours left so that diverged."""
    done = store.runs.ended_jobs([station], since)
    by = {cell: locked_by(done, cell=cell) for cell in cells}
    left = {cell: job for cell, job in by.items() if isinstance(job, EndedJob) and job.outcome is Outcome.DIVERGED}
    stands = bool(left) and any(one.probable_cause == DIVERGED for one in store.alarms.standing([station]))
    lapsed = (cell for cell, job in left.items() if stands and would_have_ended(job, cell))
    return LeftLocked(frozenset(left), frozenset(lapsed))
