"""Who locked a cell or core link, by what is on record of our own jobs, those under way included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.models.alarm import DIVERGED
from controller.models.claim import OpenJob
from controller.models.ended_job import EndedJob
from controller.models.run import PERSON, Outcome, Run
from controller.nrm.tree import Path
from controller.store.jobs.left_locks import locked_by, would_have_ended
from controller.store.store import Store


def lock_holders(
    store: Store, station: str, since: datetime, *, cells: Sequence[str] = (), links: Sequence[Path] = ()
) -> dict[str, str]:
    """Who locked cells or core links of a station, in words, as far as runs of ours did.

    Args:
        store: The record.
        station: Station id.
        since: How far to look back.
        cells: Names of cells that are locked, or shutting down.
        links: Paths of core links that are locked.

    Returns:
        Words by name or path; of what no run of ours locked there are none.
    """
    if not cells and not links:
        return {}
    done: list[EndedJob | OpenJob] = [*store.runs.ended_jobs([station], since)]
    done += store.claims.open_jobs([station])
    by = {cell: (f"cell {cell}", locked_by(done, cell=cell)) for cell in cells}
    by |= {link: (f"core link {link.rpartition('/')[2]}", locked_by(done, link=link)) for link in links}
    return {one: _in_words(name, job, store.runs.get(job.run)) for one, (name, job) in by.items() if job is not None}


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


def _in_words(name: str, by: EndedJob | OpenJob, run: Run) -> str:
    """Who locked something, through which run, and how that run is."""
    whom = run.requested_by if run.cause == PERSON else f"rule {run.requested_by} ({run.cause})"
    words = f"{whom} locked {name} by run {run.id} ({run.procedure})"
    if isinstance(by, OpenJob):
        return f"{words}, which is under way ({run.state}{f': {by.waits}' if by.waits else ''})"
    words = f"{words} at {by.finished:%Y-%m-%d %H:%M} UTC"
    return f"{words}, which diverged; bring it back: minka undo {run.id}" if by.outcome is Outcome.DIVERGED else words
