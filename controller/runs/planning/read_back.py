"""In which of the two states that a job knew a device is that nobody could read back when the job ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controller.models.plan import Phase
from controller.models.run import FoundState
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, nodes_named
from controller.runs.transaction.effects import effects, vanished
from controller.store import Reading, UnreadJob

#: What was decided for a unit or wave, where its device is not in the state that follows from it.
_DECIDED = {FoundState.PLANNED: "was not confirmed", FoundState.BEFORE: "was confirmed"}


def read_back(root: NodeSpec, job: UnreadJob, seen: Observed, at: datetime) -> Reading | None:
    """What a reading that began at a time says of a job; None if it says nothing.

    The device carries a state if all is so that the job's change edits: the same judgement as at the end of a
    transaction. It may differ from the record elsewhere, which is drift. One that lost more than the change deletes
    carries neither: it looks as before a change that only creates.
    """
    phases = [phase for change in (*job.ended.changes, *job.ended.unsure) for phase in change.phases]
    total = effects(root, phases)
    if not phases or not job.may or at < job.counts or seen.unseen(*total.exists, *total.leaves):
        return None

    if job.may == {FoundState.LATE}:
        as_told = job.ended.outcome.good and total.after_holds(seen.tree)
        came = not as_told and _came(root, phases, seen)
        return Reading(job.ended.job, job.ended.station, at, FoundState.LATE) if came else None

    def reading(found: FoundState | None, differs: str = "") -> Reading:
        return Reading(job.ended.job, job.ended.station, at, found, differs)

    if gone := vanished(job.carried, phases, seen):
        return reading(None, gone)
    differing = {FoundState.PLANNED: total.not_after(seen.tree), FoundState.BEFORE: total.not_before(seen.tree)}
    carried = [state for state, paths in differing.items() if not paths]
    if agreed := [state for state in carried if state in job.may]:
        return reading(agreed[0])
    if carried:
        return reading(None, f"it carries {carried[0].words}, but its unit or wave {_DECIDED[carried[0]]}")
    planned, before = (nodes_named(differing[state]) for state in (FoundState.PLANNED, FoundState.BEFORE))
    return reading(
        None, f"it carries neither the state that was planned (not so: {planned}) nor that of before ({before})"
    )


def _came(root: NodeSpec, phases: Sequence[Phase], seen: Observed) -> bool:
    """Whether a device carries what was sent to it, or the first phases of that, and did not before."""
    first = (effects(root, phases[:count]) for count in range(1, len(phases) + 1))
    return any(one.after_holds(seen.tree) and not one.before_holds(seen.tree) for one in first)
