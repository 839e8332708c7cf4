"""Who locked a cell or core link, by what is on record of our own jobs, those under way included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from controller.intent.times import Times, both, union
from controller.models.alarm import DIVERGED
from controller.models.many import first_names
from controller.models.plan import Change, Op
from controller.models.run import PERSON, LedgerEntry, Outcome, Run
from controller.nrm.profiles import administrative_leaf, cell_of, link_of
from controller.nrm.tree import Path, is_below, within_root
from controller.plan import standing
from controller.ports.store import EndedJob, OpenJob, Store


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
    done: list[EndedJob | OpenJob] = [*store.ledger.ended_jobs([station], since)]
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
    done = store.ledger.ended_jobs([station], since)
    by = {cell: locked_by(done, cell=cell) for cell in cells}
    left = {cell: job for cell, job in by.items() if isinstance(job, EndedJob) and job.outcome is Outcome.DIVERGED}
    stands = bool(left) and any(one.probable_cause == DIVERGED for one in store.alarms.standing([station]))
    lapsed = (cell for cell, job in left.items() if stands and would_have_ended(job, cell))
    return LeftLocked(frozenset(left), frozenset(lapsed))


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


def _in_words(name: str, by: EndedJob | OpenJob, run: Run) -> str:
    """Who locked something, through which run, and how that run is."""
    whom = run.requested_by if run.cause == PERSON else f"rule {run.requested_by} ({run.cause})"
    words = f"{whom} locked {name} by run {run.id} ({run.procedure})"
    if isinstance(by, OpenJob):
        return f"{words}, which is under way ({run.state}{f': {by.waits}' if by.waits else ''})"
    words = f"{words} at {by.finished:%Y-%m-%d %H:%M} UTC"
    return f"{words}, which diverged; bring it back: minka undo {run.id}" if by.outcome is Outcome.DIVERGED else words
