"""Who locked a cell or core link, by what is on record of our own jobs."""

from __future__ import annotations

from collections.abc import Iterable

from controller.models.plan import Change
from controller.models.run import PERSON, Outcome, Run
from controller.nrm.profiles import administrative_leaf, cell_of
from controller.nrm.tree import Path
from controller.ports.store import EndedJob


def left_locked(changes: Iterable[Change], *, cell: str = "", link: Path = "") -> bool | None:
    """Whether changes left a cell or core link locked, or shutting down; None where they did not switch it."""
    states = _states(changes, cell, link)
    return states[-1] != "UNLOCKED" if states else None


def _states(changes: Iterable[Change], cell: str, link: Path) -> list[str]:
    """The administrative states that changes give a cell or core link, in order."""
    return [
        str(edit.after[leaf])
        for change in changes
        for phase in change.phases
        for edit in phase.edits
        if edit.path == link or (cell and cell_of(edit.path) == cell)
        if (leaf := administrative_leaf(edit.path)) in edit.after
    ]


def locked_by(done: Iterable[EndedJob], *, cell: str = "", link: Path = "") -> EndedJob | None:
    """The job of ours that locked a cell or link last, or may have; None where none did, or a later one unlocked it."""
    switched = [(job, left) for job in done if (left := _may_have_left(job, cell, link)) is not None]
    job, is_locked = switched[-1] if switched else (None, False)
    return job if is_locked else None


def _may_have_left(job: EndedJob, cell: str, link: Path) -> bool | None:
    """As ``left_locked``; a job that diverged between a lock and its end may have left it locked."""
    if any(state != "UNLOCKED" for state in _states(job.unsure, cell, link)):
        return True
    return left_locked((*job.changes, *job.unsure), cell=cell, link=link)


def in_words(name: str, by: EndedJob | None, run: Run | None) -> str:
    """Who locked something, through which run, and when; of what no run of ours did, nothing more is known."""
    if by is None or run is None:
        return f"somebody locked {name} outside of Minka"
    whom = run.requested_by if run.cause == PERSON else f"rule {run.requested_by} ({run.cause})"
    words = f"{whom} locked {name} by run {run.id} ({run.procedure}) at {by.finished:%Y-%m-%d %H:%M} UTC"
    return f"{words}, which diverged; bring it back: minka undo {run.id}" if by.outcome is Outcome.DIVERGED else words
