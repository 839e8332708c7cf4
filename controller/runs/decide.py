"""What a run does next, from its jobs alone. Pure; the store carries it out by compare-and-set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from controller.models.run import Job, JobState, Outcome, Run, RunState
from controller.ports.store import Transition

#: Jobs nobody has begun.
_UNBEGUN = (JobState.WAITING, JobState.READY)


def decide(run: Run, jobs: Sequence[Job], now: datetime | None = None) -> Transition | None:
    """The next transition of a run, or None while there is nothing to decide.

    A run starts with wave 0, opens a wave when the one before is done, starts no job any more
    once ``strategy.stop_after`` jobs failed or a device diverged, and ends in one terminal state.

    Args:
        run: The run.
        jobs: All its jobs.
        now: Time of day, for ``strategy.soak``; None waits for no soak.
    """
    if run.state.terminal:
        return None
    if run.state is RunState.QUEUED:
        return Transition(RunState.RUNNING, wave=0, reason="started") if jobs else _end(run, jobs)
    outcomes = Counter(job.outcome for job in jobs)
    reason = _stop_reason(run, outcomes)
    if reason and any(job.state in _UNBEGUN for job in jobs):
        return Transition(run.state, cancel_rest=True, reason=reason)
    if any(job.state is JobState.CLAIMED for job in jobs):
        return None
    open_waves = sorted({job.wave for job in jobs if job.state is not JobState.DONE})
    if not open_waves:
        return _end(run, jobs)
    if open_waves[0] > run.wave:
        if now is not None and _soaks(run, jobs, now):
            return None
        return Transition(RunState.RUNNING, wave=open_waves[0], reason=f"wave {run.wave} done")
    return None


def _soaks(run: Run, jobs: Sequence[Job], now: datetime) -> bool:
    """Whether the wave that is done has to stand for a while longer."""
    ended = [job.finished for job in jobs if job.wave == run.wave and job.finished is not None]
    # Without a soak nobody's wrong clock may make it wait.
    return bool(ended and run.strategy.soak) and now < max(ended) + timedelta(seconds=run.strategy.soak)


def _stop_reason(run: Run, outcomes: Counter[Outcome | None]) -> str:
    """Why no further job may start, or an empty string."""
    if run.state is RunState.CANCELLING:
        return "cancelled by a person"
    if outcomes[Outcome.DIVERGED]:
        return f"{outcomes[Outcome.DIVERGED]} stations diverged"
    failures = sum(count for outcome, count in outcomes.items() if outcome and outcome.counts_as_failure)
    if failures >= run.strategy.stop_after:
        return f"{failures} failures reached the threshold of {run.strategy.stop_after}"
    return ""


def _end(run: Run, jobs: Sequence[Job]) -> Transition:
    """The terminal state of a run whose jobs are all done."""
    outcomes = Counter(job.outcome for job in jobs)
    good = sum(count for outcome, count in outcomes.items() if outcome and outcome.good)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), key=str)) or "no stations"
    if outcomes[Outcome.DIVERGED]:
        return Transition(RunState.DIVERGED, reason=summary)
    if run.state is RunState.CANCELLING and outcomes[Outcome.CANCELLED]:
        return Transition(RunState.CANCELLED, reason=summary)
    if good == len(jobs):
        return Transition(RunState.SUCCEEDED, reason=summary)
    if outcomes[Outcome.CANCELLED]:
        return Transition(RunState.STOPPED, reason=summary)
    return Transition(RunState.PARTIAL if good else RunState.FAILED, reason=summary)
