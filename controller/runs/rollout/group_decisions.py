"""The decision for devices at a gate, from the run and its jobs alone. Pure.

A group is a unit of a wave, or a whole wave, as the run's policy says. All its devices are prepared and verified first;
then one decision confirms them or takes them all back. No decision means cancel: should nobody decide, the devices
revert by themselves. A group that is taken back only because it may not continue (its window closed, a member that had
not begun is under a hold, a member of a unit could not be reached and is tried again) is postponed: it waits, and
begins again in another round. What is of a later round than others of its group waits until these have ended or joined
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from controller.models.run import GateChoice, Job, JobState, Outcome, Policy, Run, RunState
from controller.runs.rollout.timers import confirm_budget
from controller.store import NewDecision

#: Rank of devices that go after all others of their group, since they don't revert by themselves after an edit.
LAST = 100
#: How often a group may begin: if it is postponed again and again, people have to decide.
ROUNDS = 5


def groups_of(run: Run, jobs: Sequence[Job]) -> Mapping[tuple[int, str], Sequence[Job]]:
    """Jobs of opened waves, by wave and unit (with policy ``wave`` under an empty name).

    Groups without remaining jobs are absent.
    """
    found: dict[tuple[int, str], list[Job]] = {}
    for job in jobs:
        if job.wave <= run.wave:
            found.setdefault(group_of(run, job), []).append(job)
    return {
        group: members for group, members in found.items() if any(job.state is not JobState.DONE for job in members)
    }


def group_of(run: Run, job: Job) -> tuple[int, str]:
    """Wave and unit of the group that a job is decided with; the unit is empty if that is the whole wave."""
    return job.wave, "" if run.strategy.policy is Policy.WAVE else job.unit


def round_of(members: Iterable[Job]) -> int:
    """The round of a group: the earliest among its remaining jobs."""
    return min((job.round for job in members if job.state is not JobState.DONE), default=0)


def decisions(run: Run, jobs: Sequence[Job], now: datetime) -> tuple[NewDecision, ...]:
    """Decisions that can be made now.

    Args:
        run: The run.
        jobs: All its jobs.
        now: Time of day.
    """
    if run.strategy.policy is Policy.STATION:
        return ()
    found: list[NewDecision] = []
    for group, members in groups_of(run, jobs).items():
        cut = _cut_units(run, members, group[0])
        found += cut
        gone = {choice.unit for choice in cut}
        decided = _decision(run, [job for job in members if job.unit not in gone], group, now)
        found += [decided] if decided else []
    return tuple(found)


def _decision(run: Run, members: Sequence[Job], group: tuple[int, str], now: datetime) -> NewDecision | None:
    """The decision for a group now; None if it is too early, or there is nothing to decide."""
    tries = round_of(members)
    left = [job for job in members if job.state is not JobState.DONE and job.round == tries]
    going = [job for job in left if job.choice in (None, GateChoice.CONFIRM)]
    undecided = [job for job in going if job.choice is None]
    if not undecided:
        return None
    gate = _gate(undecided)
    begun = any(job.started is not None for job in undecided)
    why = _failed(run, members) or _too_late(run, undecided, len(members), now)
    if begun and run.state is RunState.CANCELLING:
        why = why or "cancelled by a person"
    if why:
        return NewDecision(*group, gate, GateChoice.CANCEL, why, tries)
    if why := _away(run, members, tries):
        return NewDecision(*group, gate, GateChoice.POSTPONE, why, tries)
    if begun and (why := _closed(undecided, now)):
        if tries + 1 < ROUNDS or _is_patient(run, members, now):
            return NewDecision(*group, gate, GateChoice.POSTPONE, why, tries)
        return NewDecision(*group, gate, GateChoice.CANCEL, f"{why}; it was begun {ROUNDS} times", tries)
    if any(job.gate != gate for job in going):
        return None
    return NewDecision(*group, gate, GateChoice.CONFIRM, f"{len(undecided)} prepared and verified", tries)


def _away(run: Run, members: Iterable[Job], tries: int) -> str:
    """The member that was away and that its unit has to wait for, in words; empty if there is none."""
    if run.strategy.policy is not Policy.UNIT:
        return ""
    return next((f"{station} was away" for station in _tried_again(members, tries)), "")


def _tried_again(members: Iterable[Job], tries: int) -> Iterator[str]:
    """Members that were away, and come in a later round than others."""
    return (job.station for job in members if job.state is not JobState.DONE and job.round > tries)


def _is_patient(run: Run, members: Iterable[Job], now: datetime) -> bool:
    """Whether a member was away, and the run's patience with it has not run out."""
    since = (job.deferred for job in members if job.deferred is not None)
    return any(run.strategy.is_patient(one, now) for one in since)


def _gate(undecided: Iterable[Job]) -> int:
    """The furthest gate that one of them has reached."""
    return max((job.gate for job in undecided if job.gate is not None), default=0)


def _cut_units(run: Run, members: Sequence[Job], wave: int) -> list[NewDecision]:
    """Units that are taken back although their wave goes on: a member was away, and a unit is never split.

    If the member is tried again, so is its unit.
    """
    if run.strategy.policy is not Policy.WAVE:
        return []
    units: dict[str, list[Job]] = {}
    for job in members:
        units.setdefault(job.unit, []).append(job)
    found = []
    for unit, mates in units.items():
        tries = round_of(mates)
        away = next((job.station for job in mates if job.outcome is Outcome.DEFERRED), None)
        late = next(_tried_again(mates, tries), None)
        left = [job for job in mates if job.state is not JobState.DONE and job.choice is None and job.round == tries]
        if (away or late) and left:
            why = f"{away or late} of its unit was deferred"
            choice = GateChoice.CANCEL if away else GateChoice.POSTPONE
            found.append(NewDecision(wave, unit, _gate(left), choice, why, tries))
    return found


def _failed(run: Run, members: Iterable[Job]) -> str:
    """The member that prevents its group from being confirmed, in words; empty if there is none.

    A unit is whole or not at all; of a wave only those count that could have been prepared and were not.
    """
    for job in members:
        if job.unseen and job.outcome is None:
            return f"{job.station} answered ok without effect"
        if job.outcome is None or job.outcome.good:
            continue
        apart = job.outcome in (Outcome.DEFERRED, Outcome.WITHDRAWN) or job.outdated is not None
        if not (apart and run.strategy.policy is Policy.WAVE):
            return f"{job.station} ended {job.outcome}"
    return ""


def _closed(undecided: Iterable[Job], now: datetime) -> str:
    """Why a group that has begun can't be completed any more, in words; empty if it can.

    It may still be confirmed if new obstacles came up meanwhile, but not after its window.
    """
    for job in undecided:
        if job.closes is not None and job.closes <= now:
            return f"the window of {job.station} closed"
        if job.started is None and job.reasons:
            return f"{job.station} may not be worked on: {job.blocked}"
    return ""


def why_not(job: Job, now: datetime) -> str:
    """Why a job may not begin now; empty if it may."""
    closed = job.closes is not None and job.closes <= now
    return job.blocked or ("its window closed" if closed else "")


def _too_late(run: Run, undecided: Iterable[Job], members: int, now: datetime) -> str:
    """The device whose timer leaves too little time to confirm its group, in words; empty if there is none."""
    budget = confirm_budget(members)
    for job in undecided:
        if job.gate_until is None:
            continue
        # If the wall clock is set back, no timer counts as longer than it was made.
        left = min(float(run.strategy.timer()), (job.gate_until - now).total_seconds())
        if left <= budget:
            return f"the timer of {job.station} leaves {max(0.0, left):.0f} s, less than the {budget:.0f} s needed"
    return ""
