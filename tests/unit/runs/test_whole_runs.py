"""Whole runs of jobs that are decided together, as pure decisions move them on and chance has it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.models.run import Decision, GateChoice, Job, JobState, Outcome, Policy, RunState, Strategy
from controller.models.waiting import WaitCode, WaitReason
from controller.runs.rollout.group_decisions import LAST, ROUNDS
from controller.runs.rollout.transitions import decide
from controller.store import NewDecision, NewJob, Transition, decision_for
from tests.unit.runs.test_group_decisions import LATER, NOW, SHUT, run_of

AWAY = WaitReason(code=WaitCode.AWAY)


class Simulation:
    """A run of gated jobs as the store keeps them; workers, timers and people are played by a test."""

    def __init__(self, jobs: list[NewJob], strategy: Strategy) -> None:
        self.run = run_of(strategy.policy, RunState.QUEUED).model_copy(
            update={"strategy": strategy, "started": None, "waves": 1 + max(job.wave for job in jobs)}
        )
        self.jobs = {
            new.station: Job(
                id=new.station, run="r", wave=new.wave, station=new.station, unit=new.unit, rank=new.rank,
                state=JobState.WAITING,
            )
            for new in jobs
        }  # fmt: skip
        self.decided: list[Decision] = []
        self.closed = False
        #: Who was away and is not tried again yet.
        self.away: set[str] = set()

    def settle(self) -> None:
        for _ in range(1000):
            moved = decide(self.run, self.on_record(), NOW)
            if moved is None or not self._carry_out(moved):
                return
        raise AssertionError("it never comes to rest")

    def on_record(self) -> list[Job]:
        return [self._judged(job) for job in self.jobs.values()]

    def _judged(self, job: Job) -> Job:
        mine = [decision for decision in self.decided if decision.wave == job.wave]
        found = decision_for(job.unit, job.round, job.gate, mine)
        why: dict[str, Any] = {"reasons": (SHUT,), "closes": NOW} if self.closed else {"reasons": (), "closes": None}
        why |= {"reasons": (AWAY,)} if job.id in self.away else {}
        return job.model_copy(update={"choice": found and found.choice, **why})

    def _carry_out(self, moved: Transition) -> bool:
        unbegun = [job.id for job in self.jobs.values() if job.state in (JobState.WAITING, JobState.READY)]
        unbegun = [name for name in unbegun if not self.jobs[name].attempts]
        changed = moved.state is not self.run.state or moved.wave is not None
        for name in unbegun if moved.cancel_rest else ():
            changed = self.end(name, Outcome.CANCELLED)
        for name in moved.withdrawn:
            assert name in unbegun
            changed = self.end(name, Outcome.WITHDRAWN)
        for name in moved.postponed:
            away = self.jobs[name].outcome is Outcome.DEFERRED and self.run.strategy.policy is Policy.WAVE
            assert name in unbegun or away
            changed = self.wait_anew(name)
        for name in moved.ready:
            assert self.jobs[name].state is JobState.WAITING
            changed = self._move(name, state=JobState.READY)
        for choice in moved.decisions:
            self._keep(choice)
            changed = True
        if moved.wave is not None:
            late = {job.unit for job in self.jobs.values() if job.deferred and job.state is not JobState.DONE}
            timely = [job for job in self.jobs.values() if job.wave < moved.wave and job.unit not in late]
            assert all(job.state is JobState.DONE for job in timely)
            for job in tuple(self.jobs.values()):
                if self.run.strategy.policy is Policy.STATION and (job.wave, job.rank) == (moved.wave, 0):
                    self._move(job.id, state=JobState.READY)
        wave = self.run.wave if moved.wave is None else moved.wave
        self.run = self.run.model_copy(update={"state": moved.state, "wave": wave, "started": NOW})
        return changed

    def _keep(self, new: NewDecision) -> None:
        key = {"wave": new.wave, "unit": new.unit, "gate": new.gate, "round": new.round}
        made = Decision(run="r", **key, choice=new.choice, at=NOW, by="w")
        assert not any(key.items() <= one.model_dump().items() for one in self.decided)
        self.decided.append(made)
        late = any(job.deferred for job in self.jobs.values() if job.wave == new.wave and new.unit in ("", job.unit))
        assert new.round < ROUNDS or late
        if new.choice is GateChoice.CONFIRM:
            members = [job for job in self.jobs.values() if job.wave == new.wave and new.unit in ("", job.unit)]
            for job in members:
                cut = new.unit == "" and self._judged(job).choice in (GateChoice.CANCEL, GateChoice.POSTPONE)
                later = new.unit == "" and job.round > new.round
                assert job.gate is not None or job.state is JobState.DONE or cut or later, "confirmed before all stood"

    def _move(self, name: str, **values: Any) -> bool:
        self.jobs[name] = self.jobs[name].model_copy(update=values)
        return True

    def end(self, name: str, outcome: Outcome) -> bool:
        return self._move(name, state=JobState.DONE, outcome=outcome)

    def wait_anew(self, name: str) -> bool:
        fresh = {"state": JobState.WAITING, "attempts": 0, "started": None, "gate": None, "gate_until": None}
        return self._move(name, **fresh, outcome=None, round=self.jobs[name].round + 1)

    def defer(self, name: str) -> None:
        """As the store does it: a station that is away is tried again while the run is patient."""
        if not self.run.strategy.patience or self.jobs[name].round > 2 * ROUNDS:
            self.end(name, Outcome.DEFERRED)
            return
        self.wait_anew(name)
        self._move(name, deferred=NOW)
        self.away.add(name)

    def claim(self, name: str) -> None:
        job = self.jobs[name]
        mates = [mate for mate in self.jobs.values() if mate.wave == job.wave and mate.state is not JobState.DONE]
        if self.run.strategy.policy is not Policy.STATION:
            group = [mate for mate in mates if self.run.strategy.policy is Policy.WAVE or mate.unit == job.unit]
            assert min(mate.round for mate in group) == job.round, "begun before all were taken back"
            if self.run.strategy.policy is Policy.UNIT:
                assert {mate.round for mate in group} == {job.round}, "begun before all of its unit may be"
        before = [mate for mate in self.jobs.values() if mate.wave == job.wave and mate.rank < job.rank]
        if self.run.strategy.policy is not Policy.STATION:
            before = [mate for mate in before if mate.round <= job.round]
        for mate in before:
            if mate.unit == job.unit or (job.rank == LAST and self.run.strategy.policy is Policy.WAVE):
                assert mate.state is JobState.DONE or mate.gate is not None, "begun before its turn"
        self._move(name, state=JobState.CLAIMED, attempts=1, started=NOW)

    def pause(self) -> None:
        """As the store does it."""
        self.run = self.run.model_copy(update={"state": RunState.PAUSED})
        for job in list(self.jobs.values()):
            group = [
                mate for mate in self.jobs.values()
                if mate.wave == job.wave and (self.run.strategy.policy is Policy.WAVE or mate.unit == job.unit)
            ]  # fmt: skip
            begun = any(mate.started for mate in group if mate.round == job.round)
            if job.state is JobState.READY and not job.attempts and not begun:
                self._move(job.id, state=JobState.WAITING)

    def under_way(self) -> list[str]:
        """Jobs that a worker could do something about."""
        return [
            job.id for job in self.on_record()
            if job.state in (JobState.READY, JobState.CLAIMED) and (job.gate is None or job.choice is not None)
            and not ((self.closed or job.id in self.away) and job.state is JobState.READY and not job.attempts)
        ]  # fmt: skip


@st.composite
def plans(draw: st.DrawFn) -> list[NewJob]:
    jobs: list[NewJob] = []
    for wave in range(draw(st.integers(1, 3))):
        for unit in range(draw(st.integers(1, 3))):
            ranks = draw(st.sampled_from([[0], [0, 0], [0, 1], [1], [0, 0, LAST], [LAST], [0, 1, 2]]))
            name = f"{wave}{unit}"
            jobs += [NewJob(wave, f"S{name}{index}", name, rank) for index, rank in enumerate(ranks)]
    return jobs


@given(
    data=st.data(),
    jobs=plans(),
    policy=st.sampled_from(Policy),
    stop_after=st.integers(1, 3),
    asked=st.dictionaries(st.integers(0, 30), st.sampled_from(["cancel", "pause"]), max_size=2),
    closing=st.sets(st.integers(0, 60), max_size=ROUNDS),
    patience=st.sampled_from([0, 60]),
)
def test_every_gated_run_ends_and_no_group_is_split(
    data: st.DataObject,
    jobs: list[NewJob],
    policy: Policy,
    stop_after: int,
    asked: dict[int, str],
    closing: set[int],
    patience: int,
) -> None:
    world = Simulation(jobs, Strategy(policy=policy, stop_after=stop_after, patience=patience))
    for step in range(300):
        if world.run.state in (RunState.QUEUED, RunState.RUNNING) and asked.get(step) == "pause":
            world.pause()
        if not world.run.state.terminal and asked.get(step) == "cancel":
            world.run = world.run.model_copy(update={"state": RunState.CANCELLING})
        world.closed = world.closed or step in closing
        world.settle()
        if world.run.state.terminal:
            break
        busy = world.under_way()
        if not busy and world.closed:
            assert not any(job.state is JobState.CLAIMED for job in world.jobs.values()), "it waits at a safe point"
            world.closed = False
            continue
        if not busy and world.run.state is RunState.PAUSED:
            assert not any(job.state is JobState.CLAIMED for job in world.jobs.values()), "it rests at a safe point"
            state = RunState.RUNNING if world.run.started else RunState.QUEUED
            world.run = world.run.model_copy(update={"state": state})
            continue
        if not busy and world.away:
            world.away.clear()
            continue
        assert busy, "a run that is neither paused nor over must have something to do"
        _work(world, data.draw(st.sampled_from(busy)), data)
    assert world.run.state.terminal
    assert decide(world.run, world.on_record(), NOW) is None
    if policy is not Policy.STATION:
        _check_whole(world)


def _work(world: Simulation, name: str, data: st.DataObject) -> None:
    """One step of a worker."""
    job = world._judged(world.jobs[name])
    if job.state is JobState.READY and not job.attempts:
        world.claim(name)
    elif job.choice is GateChoice.CONFIRM:
        world.end(name, Outcome.SUCCEEDED)
    elif job.choice is GateChoice.CANCEL:
        world.end(name, Outcome.WITHDRAWN)
    elif job.choice is GateChoice.POSTPONE:
        world.wait_anew(name)
    elif data.draw(st.integers(0, 4)) == 0 and job.gate is None:
        world.defer(name)
    elif world.run.strategy.policy is Policy.STATION:
        world.end(name, data.draw(st.sampled_from([Outcome.SUCCEEDED, Outcome.ROLLED_BACK])))
    else:
        outcome = data.draw(st.sampled_from([None, None, None, None, Outcome.REFUSED, Outcome.ROLLED_BACK]))
        if outcome is None:
            world._move(name, gate=0, gate_until=LATER)
        else:
            world.end(name, outcome)


def _check_whole(world: Simulation) -> None:
    """A group has all of its changes or none; only of a wave may be missing what was away, by whole units.

    What was away is decided again in a later round, by itself.
    """
    groups: dict[tuple[int, str], list[Job]] = {}
    for job in world.jobs.values():
        groups.setdefault((job.wave, job.unit), []).append(job)
    for members in groups.values():
        good = [job for job in members if job.outcome is Outcome.SUCCEEDED]
        assert len(good) in (0, len(members)), members
    if world.run.strategy.policy is Policy.WAVE:
        for wave in range(world.run.waves):
            mine = [job for job in world.jobs.values() if job.wave == wave]
            good = [job for job in mine if job.outcome is Outcome.SUCCEEDED]
            late = {job.unit for job in mine if job.deferred or job.outcome is Outcome.DEFERRED}
            missing = [job for job in mine if good and job.outcome is not Outcome.SUCCEEDED]
            assert {job.unit for job in missing} <= late, missing
            for job in missing:
                with_others = any(other.round == job.round for other in good)
                assert not with_others or job.outcome in (Outcome.DEFERRED, Outcome.WITHDRAWN), missing
