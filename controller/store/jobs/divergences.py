"""Which jobs left a device in neither state, and whether later jobs brought back what these touched. Pure.

A job that only reads, or that changes other things, brings nothing back, however well it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from controller.models.ended_job import EndedJob
from controller.models.plan import Change, Edit, Op
from controller.models.run import Outcome
from controller.nrm.profiles import administrative_leaf, administrative_state
from controller.nrm.tree import LeafName, Path, is_below

#: A leaf of an entry, or an entry with all below it.
_Thing = tuple[Path, LeafName]
_WHOLE = "*"
#: Outcomes after which a device carries what the job was to bring.
_BROUGHT = (Outcome.SUCCEEDED, Outcome.UNCHANGED)


def unresolved(done: Iterable[EndedJob], restored: datetime | None = None) -> list[EndedJob]:
    """Jobs that diverged, and of which something is not back.

    It is back by an undo of the job's run, but for what that left there (``Change.left``), or by later jobs whose edits
    together cover its own. A cell or core link that it locked has to be unlocked again, unless that was what it was
    asked for. Where more than its edits may have suffered (``EndedJob.beyond``) only an undo or a repair brings all of
    it back.

    Args:
        done: Jobs of one device, oldest first.
        restored: When a repair was asked for that brought the whole device back to what was applied; None without one.
    """
    left: dict[str, tuple[EndedJob, dict[_Thing, str]]] = {}
    for job in done:
        if job.outcome is Outcome.DIVERGED:
            left[job.job] = job, _things(_edits((*job.changes, *job.unsure)))
        elif job.outcome in _BROUGHT:
            left = dict(_after(left, job))
    return [job for job, _ in left.values() if restored is None or job.finished > restored]


def _after(
    left: Mapping[str, tuple[EndedJob, dict[_Thing, str]]], job: EndedJob
) -> Iterable[tuple[str, tuple[EndedJob, dict[_Thing, str]]]]:
    edits = _edits(job.changes)
    made = _things(edits)
    deleted = [edit.path for edit in edits if edit.op is not Op.MERGE]
    for name, (diverged, things) in left.items():
        if job.undoes == diverged.run:
            left_there = {path for change in job.changes for path in change.left}
            if rest := {one: state for one, state in things.items() if one[0] in left_there}:
                yield name, (diverged, rest)
            continue
        rest = {one: state for one, state in things.items() if not _is_back(one, state, made, deleted)}
        if rest or diverged.beyond or not things:
            yield name, (diverged, rest)


def _edits(changes: Iterable[Change]) -> list[Edit]:
    return [edit for change in changes for phase in change.phases for edit in phase.edits]


def _things(edits: Iterable[Edit]) -> dict[_Thing, str]:
    """What edits touch; of an administrative state the last one that they leave, and an empty string of all else."""
    found: dict[_Thing, str] = {}
    for edit in edits:
        switch = administrative_leaf(edit.path)
        named = {*edit.before, *edit.after} if edit.op is Op.MERGE else {_WHOLE}
        found |= {(edit.path, leaf): "" for leaf in named}
        if switch and edit.op is not Op.DELETE and (edit.op is Op.CREATE or switch in named):
            found[edit.path, switch] = administrative_state({edit.path: edit.after}, edit.path)
    return found


def _is_back(thing: _Thing, state: str, made: Mapping[_Thing, str], replaced: Iterable[Path]) -> bool:
    """Whether edits bring a thing into a state that somebody asked for."""
    if state and thing in made:
        return made[thing] in ("UNLOCKED", state)
    return thing in made or any(is_below(thing[0], above) for above in replaced)
