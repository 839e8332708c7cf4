"""The next transition of a run, from its jobs alone. Pure; the store applies it by compare-and-set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from controller.models.many import FEW
from controller.models.run import INSIDE, GateChoice, Job, JobState, Outcome, Policy, Run, RunState, restarted
from controller.models.stopping import StopCode, StopReason
from controller.runs.rollout.group_decisions import LAST, decisions, group_of, groups_of, round_of, why_not
from controller.store import Transition

_CANCELLED = "its unit or wave was cancelled"
_POSTPONED = "its unit or wave was postponed"
#: Why a job never begins whose change does not follow from what is in force any more.
OUTDATED = "its change does not follow from the network files and agreements in force any more: plan again"
#: Jobs that nobody has begun.
_UNBEGUN = (JobState.WAITING, JobState.READY)


def decide(run: Run, jobs: Sequence[Job], now: datetime) -> Transition | None:
    """The next transition of a run; None while there is nothing to decide.

    A run starts with wave 0, opens a wave when the one before is done but for what was away and is tried again, starts
    no job any more once ``strategy.stop_after`` jobs failed, a device diverged or no canary came to carry the change,
    and ends in one terminal state.

    Args:
        run: The run.
        jobs: All its jobs.
        now: Time of day, for ``strategy.soak`` and the timers of devices.
    """
    if run.state.terminal:
        return None
    if void := _outdated(jobs):
        return Transition(run.state, outdated=void, reason=OUTDATED)
    if run.state is RunState.QUEUED:
        return _started(run, jobs, now)
    if decided := decisions(run, jobs, now):
        return Transition(run.state, decisions=decided, reason=decided[0].reason)
    if reason := _stop_reason(run, jobs):
        return _stopped(run, jobs, reason, now)
    return _within_wave(run, jobs, now) or _next_wave(run, jobs, now)


def _outdated(jobs: Iterable[Job]) -> tuple[str, ...]:
    """Jobs that nobody has begun and that nobody may; stations that come back with their function do so in any case."""
    unbegun = (job for job in jobs if job.state in _UNBEGUN and job.started is None and job.rank not in INSIDE)
    return tuple(job.id for job in unbegun if job.outdated is not None)


def _started(run: Run, jobs: Sequence[Job], now: datetime) -> Transition | None:
    """The start of a queued run, or its end if nothing is left to do; None until its plan is judged."""
    if all(job.state is JobState.DONE for job in jobs):
        return _end(run, jobs)
    if run.judge_from is not None and run.judge_from <= now:
        return None
    return Transition(RunState.RUNNING, wave=0, reason="started")


def _stopped(run: Run, jobs: Sequence[Job], reason: StopReason, now: datetime) -> Transition | None:
    """The rest of a run that begins nothing more: stations whose function may have restarted are brought back."""
    units = restarted(jobs) if run.strategy.policy is Policy.STATION else frozenset()
    owed = {job.id for job in jobs if job.rank in INSIDE and (job.wave, job.unit) in units}
    left = [job for job in jobs if job.state not in _UNBEGUN or job.started is not None or job.id in owed]
    if owed and (turn := _within_wave(run, left, now)):
        return turn
    if any(job.state in _UNBEGUN and job.id not in owed for job in jobs):
        spared = tuple(sorted(owed))
        return Transition(run.state, cancel_rest=True, spared=spared, reason=reason.words, stopped=reason)
    return _within_wave(run, left, now) or _next_wave(run, left, now)


def _within_wave(run: Run, jobs: Sequence[Job], now: datetime) -> Transition | None:
    """Jobs of open waves whose turn has come, or whose unit will not take part."""
    ready: list[str] = []
    withdrawn: list[str] = []
    postponed: list[str] = []
    for members in groups_of(run, jobs).values():
        unbegun = [job for job in members if job.state in _UNBEGUN and job.started is None]
        away = [job for job in members if job.outcome is Outcome.DEFERRED and not job.operated]
        withdrawn += [job.id for job in unbegun if job.choice is GateChoice.CANCEL]
        postponed += [job.id for job in (*unbegun, *away) if job.choice is GateChoice.POSTPONE]
        unbegun = [job for job in unbegun if job.choice in (None, GateChoice.CONFIRM)]
        for turn in _turns(run, unbegun, round_of(members)):
            if why := _why_withdrawn(run, turn[0].rank, members):
                return Transition(run.state, withdrawn=tuple(job.id for job in turn), reason=why)
            under_way = _units_under_way(run, turn[0], members)
            if _may_begin(run, members, now):
                ready += [job.id for job in turn if job.state is JobState.WAITING and not {"", job.unit} & under_way]
    if not (ready or withdrawn or postponed):
        return None
    why = _POSTPONED if postponed else _CANCELLED
    return Transition(run.state, ready=tuple(ready), withdrawn=tuple(withdrawn), postponed=tuple(postponed), reason=why)


def _turns(run: Run, unbegun: Iterable[Job], tries: int) -> list[list[Job]]:
    """Jobs that may begin at the same time, in order; if decided together, those of one round."""
    found: dict[tuple[int, bool], list[Job]] = {}
    for job in unbegun:
        if job.round == tries or run.strategy.policy is Policy.STATION:
            found.setdefault(_place(run, job), []).append(job)
    return [found[place] for place in sorted(found) if any(job.state is JobState.WAITING for job in found[place])]


def _place(run: Run, job: Job) -> tuple[int, bool]:
    """Sort key of a job within its unit: rank, then devices that were away, so that others do not change in vain."""
    return job.rank, run.strategy.policy is not Policy.STATION and job.deferred is None


def _units_under_way(run: Run, one: Job, members: Iterable[Job]) -> set[str]:
    """Units in which an earlier rank is not prepared or done; an empty name if that holds for all."""
    return {
        "" if one.rank == LAST else mate.unit
        for mate in members
        if _place(run, mate) < _place(run, one)
        and mate.state is not JobState.DONE
        and mate.gate is None
        and (run.strategy.policy is Policy.STATION or mate.round == one.round)
    }


def _why_withdrawn(run: Run, rank: int, members: Iterable[Job]) -> str:
    """Why jobs of a rank never begin although no decision says so; empty if they do."""
    if run.strategy.policy is not Policy.STATION or (rank in INSIDE and restarted(members)):
        return ""
    failed = (mate for mate in members if mate.rank < rank and mate.outcome and not mate.outcome.good)
    return next((f"{mate.station} ended {mate.outcome}" for mate in failed), "")


def _may_begin(run: Run, members: Sequence[Job], now: datetime) -> bool:
    """Whether a group may begin or has begun; a group that is decided as a whole begins only if all members may."""
    left = [job for job in members if job.state is not JobState.DONE]
    alone = run.strategy.policy is Policy.STATION
    tries = max(job.round for job in left) if alone else round_of(left)
    if any(job.started is not None for job in members if job.round == tries):
        return True
    if run.state is RunState.PAUSED:
        return False
    return alone or not any(why_not(job, now) for job in left if job.round == tries)


def _next_wave(run: Run, jobs: Sequence[Job], now: datetime) -> Transition | None:
    left = [job for job in jobs if job.state is not JobState.DONE]
    if not left:
        return _end(run, jobs)
    # No wave waits for units with a member that was away and is tried again, but all wait for the canary.
    first = 0 if _is_proven(run, jobs) else 1 + run.strategy.canary_wave
    late = {(job.wave, job.unit) for job in left if job.deferred is not None and job.wave >= first}
    timely = [job for job in left if (job.wave, job.unit) not in late] if late else left
    wave = min((job.wave for job in timely), default=run.wave)
    if wave <= run.wave or run.state is not RunState.RUNNING or _soaks(run, jobs, now):
        return None
    return Transition(RunState.RUNNING, wave=wave, reason=f"wave {run.wave} done")


def _canaries(run: Run, jobs: Iterable[Job]) -> list[Job]:
    return [job for job in jobs if job.wave == run.strategy.canary_wave] if run.strategy.canary else []


def _is_proven(run: Run, jobs: Iterable[Job]) -> bool:
    """Whether a canary carries the change, if there is one; stations that live in a function prove nothing."""
    canaries = [job for job in _canaries(run, jobs) if job.rank not in INSIDE]
    return not canaries or any(job.outcome is not None and job.outcome.good for job in canaries)


def _soaks(run: Run, jobs: Sequence[Job], now: datetime) -> bool:
    """Whether the finished wave has to soak for a while longer."""
    ended = [job.finished for job in jobs if job.wave == run.wave and job.finished is not None]
    # Without a soak, a wrong clock must not make it wait.
    return bool(ended and run.strategy.soak) and now < max(ended) + timedelta(seconds=run.strategy.soak)


def _stop_reason(run: Run, jobs: Sequence[Job]) -> StopReason | None:
    """Why no further job may start; None if jobs may. A run that has stopped does not go on."""
    if run.stopped is not None:
        return run.stopped
    if run.state is RunState.CANCELLING:
        return StopReason(code=StopCode.CANCEL)
    if diverged := [job for job in jobs if job.outcome is Outcome.DIVERGED]:
        return _about(StopCode.DIVERGENCE, diverged)
    failures = _failures(run, jobs)
    if failures >= run.strategy.stop_after:
        failed = _about(StopCode.FAILURES, (job for job in jobs if job.outcome and job.outcome.counts_as_failure))
        return failed.model_copy(update={"count": failures, "limit": run.strategy.stop_after})
    canaries = _canaries(run, jobs)
    if all(job.state is JobState.DONE for job in canaries) and not _is_proven(run, jobs):
        return _about(StopCode.CANARY, canaries)
    return None


def _about(code: StopCode, jobs: Iterable[Job]) -> StopReason:
    """A reason about devices that ended, of which it names a few."""
    ended = {job.station: job.outcome for job in jobs if job.outcome}
    return StopReason(code=code, count=len(ended), ended=dict(list(ended.items())[:FEW]))


def _failures(run: Run, jobs: Sequence[Job]) -> int:
    """The number of failed jobs, and of groups taken back although no member failed, was away or is outdated."""
    failed = [job for job in jobs if job.outcome is not None and job.outcome.counts_as_failure]
    withdrawn = {group_of(run, job) for job in jobs if job.outcome is Outcome.WITHDRAWN}
    away = [job for job in jobs if job.outcome is Outcome.DEFERRED or job.deferred or job.outdated] if withdrawn else []
    return len(failed) + len(withdrawn - {group_of(run, job) for job in (*failed, *away)})


def _end(run: Run, jobs: Sequence[Job]) -> Transition:
    """The terminal state of a run whose jobs are all done."""
    outcomes = Counter(job.outcome for job in jobs)
    good = {(job.outcome is not None and job.outcome.good, job.rank in INSIDE) for job in jobs}
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), key=str)) or "no devices"
    if diverged := [job.station for job in jobs if job.outcome is Outcome.DIVERGED]:
        return Transition(RunState.DIVERGED, reason=f"{summary}; diverged: {', '.join(diverged)}")
    if run.state is RunState.CANCELLING and (outcomes[Outcome.CANCELLED] or outcomes[Outcome.WITHDRAWN]):
        return Transition(RunState.CANCELLED, reason=summary)
    if all(well for well, _ in good):
        return Transition(RunState.SUCCEEDED, reason=summary)
    if cancelled := [job for job in jobs if job.outcome is Outcome.CANCELLED]:
        return Transition(RunState.STOPPED, reason=summary, stopped=_why_cancelled(cancelled))
    # A station that came back carries nothing new.
    return Transition(RunState.PARTIAL if (True, False) in good else RunState.FAILED, reason=summary)


def _why_cancelled(cancelled: Sequence[Job]) -> StopReason:
    """Why jobs of a run ended as cancelled although nothing had stopped it as a whole."""
    if outdated := [job for job in cancelled if job.outdated is not None]:
        return _about(StopCode.FILES, outdated)
    # A guard of automatic repair cancels a job that is about to act; what it says is in the job's detail.
    return StopReason(code=StopCode.REPAIR, subject=cancelled[0].station, because=cancelled[0].detail)
