"""What a run does next, from its jobs alone. Pure; the store carries it out by compare-and-set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from controller.models.run import GateVerdict, Job, JobState, Outcome, Policy, Run, RunState
from controller.ports.store import Transition
from controller.runs.verdicts import LAST, groups_of, verdicts, why_not

_CANCELLED = "its unit or wave was cancelled"
#: Jobs nobody has begun.
_UNBEGUN = (JobState.WAITING, JobState.READY)


def decide(run: Run, jobs: Sequence[Job], now: datetime | None = None) -> Transition | None:
    """The next transition of a run, or None while there is nothing to decide.

    A run starts with wave 0, opens a wave when the one before is done, starts no job any more
    once ``strategy.stop_after`` jobs failed or a device diverged, and ends in one terminal state.

    Args:
        run: The run.
        jobs: All its jobs.
        now: Time of day, for ``strategy.soak`` and the timers of devices; None waits for no soak.
    """
    if run.state.terminal:
        return None
    if run.state is RunState.QUEUED:
        return Transition(RunState.RUNNING, wave=0, reason="started") if jobs else _end(run, jobs)
    if decided := verdicts(run, jobs, now):
        return Transition(run.state, verdicts=decided, reason=decided[0].reason)
    reason = _stop_reason(run, jobs)
    if reason and any(job.state in _UNBEGUN for job in jobs):
        return Transition(run.state, cancel_rest=True, reason=reason)
    return _within_wave(run, jobs, now) or _next_wave(run, jobs, now)


def _within_wave(run: Run, jobs: Sequence[Job], now: datetime | None) -> Transition | None:
    """Jobs of the open wave whose turn has come, or whose unit is not to be."""
    ready: list[str] = []
    withdrawn: list[str] = []
    for members in groups_of(run, jobs).values():
        unbegun = [job for job in members if job.state in _UNBEGUN and not job.attempts]
        withdrawn += [job.id for job in unbegun if job.verdict is GateVerdict.CANCEL]
        unbegun = [job for job in unbegun if job.verdict is not GateVerdict.CANCEL]
        for rank in sorted({job.rank for job in unbegun if job.state is JobState.WAITING}):
            turn = [job for job in unbegun if job.rank == rank]
            if why := _why_withdrawn(run, rank, members):
                return Transition(run.state, withdrawn=tuple(job.id for job in turn), reason=why)
            under_way = _units_under_way(rank, members)
            if _may_begin(run, members, now):
                ready += [job.id for job in turn if job.state is JobState.WAITING and not {"", job.unit} & under_way]
    if not (ready or withdrawn):
        return None
    return Transition(run.state, ready=tuple(ready), withdrawn=tuple(withdrawn), reason=_CANCELLED)


def _units_under_way(rank: int, members: Iterable[Job]) -> set[str]:
    """Units of which something of lower rank is neither prepared nor done; an empty name where it is all's turn."""
    return {
        "" if rank == LAST else mate.unit
        for mate in members
        if mate.rank < rank and mate.state is not JobState.DONE and mate.gate is None
    }


def _why_withdrawn(run: Run, rank: int, members: Iterable[Job]) -> str:
    """Why jobs of a rank never begin where no decision says so, or an empty string."""
    if run.strategy.policy is not Policy.STATION:
        return ""
    failed = (mate for mate in members if mate.rank < rank and mate.outcome and not mate.outcome.good)
    return next((f"{mate.station} ended {mate.outcome}" for mate in failed), "")


def _may_begin(run: Run, members: Sequence[Job], now: datetime | None) -> bool:
    """Whether a group may be begun, or was: of one that is decided as a whole none begins before all may."""
    if any(job.started is not None for job in members):
        return True
    if run.state is RunState.PAUSED:
        return False
    return run.strategy.policy is Policy.STATION or not any(
        why_not(job, now) for job in members if job.state is not JobState.DONE
    )


def _next_wave(run: Run, jobs: Sequence[Job], now: datetime | None) -> Transition | None:
    if any(job.state is JobState.CLAIMED for job in jobs):
        return None
    open_waves = sorted({job.wave for job in jobs if job.state is not JobState.DONE})
    if not open_waves:
        return _end(run, jobs)
    if open_waves[0] > run.wave and run.state is RunState.RUNNING:
        if now is not None and _soaks(run, jobs, now):
            return None
        return Transition(RunState.RUNNING, wave=open_waves[0], reason=f"wave {run.wave} done")
    return None


def _soaks(run: Run, jobs: Sequence[Job], now: datetime) -> bool:
    """Whether the wave that is done has to stand for a while longer."""
    ended = [job.finished for job in jobs if job.wave == run.wave and job.finished is not None]
    # Without a soak nobody's wrong clock may make it wait.
    return bool(ended and run.strategy.soak) and now < max(ended) + timedelta(seconds=run.strategy.soak)


def _stop_reason(run: Run, jobs: Sequence[Job]) -> str:
    """Why no further job may start, or an empty string."""
    if run.state is RunState.CANCELLING:
        return "cancelled by a person"
    diverged = [job.station for job in jobs if job.outcome is Outcome.DIVERGED]
    if diverged:
        return f"{len(diverged)} stations diverged: {', '.join(diverged[:5])}"
    if run.halted:
        return run.halted
    failures = _failures(run, jobs)
    if failures >= run.strategy.stop_after:
        return f"{failures} failures reached the threshold of {run.strategy.stop_after}"
    return ""


def _failures(run: Run, jobs: Sequence[Job]) -> int:
    """Jobs that failed, and groups that were taken back although none of them failed or was away."""
    failed = [job for job in jobs if job.outcome is not None and job.outcome.counts_as_failure]
    withdrawn = {_group(run, job) for job in jobs if job.outcome is Outcome.WITHDRAWN}
    excused = {_group(run, job) for job in jobs if job.outcome is Outcome.DEFERRED} if withdrawn else set()
    return len(failed) + len(withdrawn - excused - {_group(run, job) for job in failed})


def _group(run: Run, job: Job) -> tuple[int, str]:
    return job.wave, "" if run.strategy.policy is Policy.WAVE else job.unit


def _end(run: Run, jobs: Sequence[Job]) -> Transition:
    """The terminal state of a run whose jobs are all done."""
    outcomes = Counter(job.outcome for job in jobs)
    good = sum(count for outcome, count in outcomes.items() if outcome and outcome.good)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), key=str)) or "no stations"
    if diverged := [job.station for job in jobs if job.outcome is Outcome.DIVERGED]:
        return Transition(RunState.DIVERGED, reason=f"{summary}; diverged: {', '.join(diverged)}")
    if run.state is RunState.CANCELLING and (outcomes[Outcome.CANCELLED] or outcomes[Outcome.WITHDRAWN]):
        return Transition(RunState.CANCELLED, reason=summary)
    if good == len(jobs):
        return Transition(RunState.SUCCEEDED, reason=summary)
    if outcomes[Outcome.CANCELLED]:
        return Transition(RunState.STOPPED, reason=summary)
    return Transition(RunState.PARTIAL if good else RunState.FAILED, reason=summary)
