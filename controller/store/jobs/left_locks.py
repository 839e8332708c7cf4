"""Cells and links that jobs of ours left locked, and what else they left, by their changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from controller.intent.times import Times, both, union
from controller.models.claim import OpenJob
from controller.models.ended_job import EndedJob
from controller.models.many import first_names
from controller.models.plan import Change, Op
from controller.models.run import LedgerEntry, Outcome
from controller.nrm.profiles import administrative_leaf, cell_of, link_of
from controller.nrm.tree import Path, is_below, within_root
from controller.plan import standing


def left_locked(changes: Iterable[Change], *, cell: str = "", link: Path = "") -> bool | None:
    """Whether changes left a cell or core link locked, or shutting down; None where they did not switch it."""
    states = _states(changes, cell, link)
    return states[-1] != "UNLOCKED" if states else None


def kept_locked(changes: Iterable[Change]) -> list[str]:
    """What changes found unlocked and left locked, or shutting down: cells and core links, in words."""
    found: dict[Path, tuple[str, str]] = {}
    for edit in (edit for change in changes for phase in change.phases for edit in phase.edits):
        leaf = administrative_leaf(edit.path)
        if leaf in edit.after:
            first, _ = found.get(edit.path, (str(edit.before.get(leaf, "")), ""))
            found[edit.path] = first, str(edit.after[leaf])
    kept = (path for path, (first, last) in found.items() if first == "UNLOCKED" != last)
    return [_named(path) for path in kept]


def what_stays(changes: Sequence[Change], ledger: Mapping[Path, LedgerEntry] = MappingProxyType({})) -> str:
    """What changes together leave other than they found it, in words; empty if nothing (``controller.plan.standing``).

    Args:
        changes: Changes of one device, in order.
        ledger: What was applied to the device before.
    """
    left: dict[str, None] = {}
    for (path, leaf), value in standing(changes, ledger).items():
        switched = leaf and value is not None and leaf == administrative_leaf(path)
        left[f"{_named(path)} stays {value}" if switched else f"{within_root(path)} stays changed"] = None
    return first_names([*left])


def _named(path: Path) -> str:
    """A cell or core link, in words."""
    return f"core link {path.rpartition('/')[2]}" if link_of(path) else f"cell {cell_of(path)}"


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


def would_have_ended(job: EndedJob, cell: str) -> bool:
    """Whether the changes of a job, had they been carried out, would have ended their lock of a cell.

    They unlock it in the end, or remove the cell; a lock that somebody asked for stays.
    """
    changes = (*job.changes, *job.unsure)
    edits = [edit for change in changes for phase in change.phases for edit in phase.edits]
    paths = {edit.path for edit in edits if cell_of(edit.path) == cell and administrative_leaf(edit.path) in edit.after}
    gone = [edit.path for edit in edits if edit.op is Op.DELETE]
    return left_locked(changes, cell=cell) is False or any(is_below(path, one) for path in paths for one in gone)


def locked_by(done: Iterable[EndedJob | OpenJob], *, cell: str = "", link: Path = "") -> EndedJob | OpenJob | None:
    """The job of ours that locked a cell or link last, or may have; None where none did, or a later one unlocked it."""
    switched = [(job, left) for job in done if (left := _may_have_left(job, cell, link)) is not None]
    job, is_locked = switched[-1] if switched else (None, False)
    return job if is_locked else None


def _may_have_left(job: EndedJob | OpenJob, cell: str, link: Path) -> bool | None:
    """As ``left_locked``; where nobody knows whether a lock, or the unlock after it, took effect, it may be locked."""
    if any(state != "UNLOCKED" for state in _states(job.unsure, cell, link)):
        return True
    if left_locked(job.changes, cell=cell, link=link):
        return True
    return left_locked((*job.changes, *job.unsure), cell=cell, link=link)


def left_behind(done: Sequence[EndedJob], cell: str, locked: Times, diverged: Times) -> Times:
    """The part of the times of a cell's locks that diverged jobs left behind: nobody agreed to it, or was told of it.

    It lasts from the end of such a job until the lock ends, a later job brings the cell into the state that it was
    asked for, or the station is no longer diverged. A lock that comes after that one is another one's. A job that
    diverged in more than its changes may have locked any cell, but none that was locked before it began.

    Args:
        done: Jobs of the cell's station, oldest first.
        cell: Id of the cell at the station.
        locked: When checks saw it locked.
        diverged: When the alarm stood that the station diverged.
    """
    found: list[tuple[datetime, datetime]] = []
    for number, job in enumerate(done):
        if job.outcome is not Outcome.DIVERGED:
            continue
        lock = next((one for one in locked if one[1] > job.finished), None)
        if lock is not None and _may_be_of(job, cell, lock[0]):
            ends = min((lock[1], *_ends(done[number + 1 :], cell), *_over(diverged, job.finished)))
            found.extend(both((lock,), ((job.finished, max(job.finished, ends)),)))
    return union(found)


def _may_be_of(job: EndedJob, cell: str, since: datetime) -> bool:
    """Whether a diverged job may have left a lock of a cell that was seen from a time on."""
    left = _may_have_left(job, cell, "")
    if left is None:
        return job.beyond and (job.started is None or since >= job.started)
    return left


def _ends(later: Iterable[EndedJob], cell: str) -> Iterator[datetime]:
    """When jobs brought a cell into the state that they were asked for."""
    return (job.finished for job in later if job.outcome.good and left_locked(job.changes, cell=cell) is not None)


def _over(diverged: Times, at: datetime) -> Iterator[datetime]:
    """When the time ends in which a station was diverged at some time."""
    return (until for since, until in diverged if since <= at < until)
