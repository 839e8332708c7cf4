"""What becomes of devices that stand at a gate together, from the run and its jobs alone. Pure.

A group is a unit of a wave, or a whole wave, as the run's policy says. All its devices are prepared and verified
first; then one decision confirms them or takes them all back. No decision means cancel: should nobody decide,
the devices revert by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from controller.models.run import GateVerdict, Job, JobState, Outcome, Policy, Run, RunState
from controller.ports.store import NewVerdict
from controller.runs.timing import confirm_budget

#: Rank of devices that go after all others of their group: once edited, they don't revert by themselves.
LAST = 100


def groups_of(run: Run, jobs: Iterable[Job]) -> Mapping[str, Sequence[Job]]:
    """Jobs of the open wave that are decided together, by unit; all under an empty name with policy ``wave``."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        if job.wave == run.wave:
            found.setdefault("" if run.strategy.policy is Policy.WAVE else job.unit, []).append(job)
    return found


def verdicts(run: Run, jobs: Sequence[Job], now: datetime | None = None) -> tuple[NewVerdict, ...]:
    """Decisions that can be made now.

    Args:
        run: The run.
        jobs: All its jobs.
        now: Time of day; None looks at no timers and windows.
    """
    if run.strategy.policy is Policy.STATION:
        return ()
    found: list[NewVerdict] = []
    for unit, members in groups_of(run, jobs).items():
        cut = _cut_units(run, members)
        found += cut
        gone = {verdict.unit for verdict in cut}
        decided = _verdict(run, [job for job in members if job.unit not in gone], unit, now)
        found += [decided] if decided else []
    return tuple(found)


def _verdict(run: Run, members: Sequence[Job], unit: str, now: datetime | None) -> NewVerdict | None:
    """What is decided for a group now, or None while it is too early or there is nothing to decide."""
    going = [job for job in members if job.state is not JobState.DONE and job.verdict is not GateVerdict.CANCEL]
    undecided = [job for job in going if job.verdict is None]
    if not undecided:
        return None
    standing = [job for job in undecided if job.gate is not None]
    gate = max((job.gate for job in standing if job.gate is not None), default=0)
    why = _failed(run, members) or _too_late(run, standing, len(members), now)
    if not why and any(job.attempts for job in undecided):
        why = "cancelled by a person" if run.state is RunState.CANCELLING else _closed(undecided, now)
    if why:
        return NewVerdict(run.wave, unit, gate, GateVerdict.CANCEL, why)
    if any(job.gate != gate for job in going):
        return None
    return NewVerdict(run.wave, unit, gate, GateVerdict.CONFIRM, f"{len(standing)} prepared and verified")


def _cut_units(run: Run, members: Iterable[Job]) -> list[NewVerdict]:
    """Units that are taken back although their wave goes on: one of them was away, and a unit is never cut."""
    if run.strategy.policy is not Policy.WAVE:
        return []
    units: dict[str, list[Job]] = {}
    for job in members:
        units.setdefault(job.unit, []).append(job)
    found = []
    for unit, mates in units.items():
        away = next((job.station for job in mates if job.outcome is Outcome.DEFERRED), None)
        left = [job for job in mates if job.state is not JobState.DONE and job.verdict is None]
        if away and left:
            gate = max((job.gate for job in left if job.gate is not None), default=0)
            found.append(NewVerdict(run.wave, unit, gate, GateVerdict.CANCEL, f"{away} of its unit was deferred"))
    return found


def _failed(run: Run, members: Iterable[Job]) -> str:
    """The member that keeps its group from being confirmed, in words, or an empty string.

    A unit is whole or not at all; of a wave only those count that could have been prepared and were not.
    """
    for job in members:
        if job.outcome is None or job.outcome.good:
            continue
        away = job.outcome in (Outcome.DEFERRED, Outcome.WITHDRAWN) and run.strategy.policy is Policy.WAVE
        if not away:
            return f"{job.station} ended {job.outcome}"
    return ""


def _closed(undecided: Iterable[Job], now: datetime | None) -> str:
    """Why a group that was begun can't be completed any more, in words, or an empty string.

    What was begun may be confirmed although something has come up meanwhile; but not after its window.
    """
    for job in undecided:
        if job.closes is not None and now is not None and job.closes <= now:
            return f"the window of {job.station} closed"
        if job.state in (JobState.WAITING, JobState.READY) and not job.attempts and job.blocked:
            return f"{job.station} may not be worked on: {job.blocked}"
    return ""


def why_not(job: Job, now: datetime | None) -> str:
    """Why a job may not be begun now, or an empty string."""
    closed = job.closes is not None and now is not None and job.closes <= now
    return job.blocked or ("its window closed" if closed else "")


def _too_late(run: Run, standing: Iterable[Job], members: int, now: datetime | None) -> str:
    """The device whose timer leaves too little to confirm its group, in words, or an empty string."""
    budget = confirm_budget(members)
    for job in standing:
        if job.gate_until is None or now is None:
            continue
        # Should the wall clock be set back, no timer is longer than it was made.
        left = min(float(run.strategy.timer()), (job.gate_until - now).total_seconds())
        if left <= budget:
            return f"the timer of {job.station} leaves {max(0.0, left):.0f} s, less than the {budget:.0f} s needed"
    return ""
