"""Groups at gates: decided once, confirmed only whole and in time, whatever their members come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.models.errors import InputError
from controller.models.run import Decision, GateVerdict, Job, JobState, Outcome, Policy, Run, RunState, Strategy
from controller.ports.gates import decision_for
from controller.ports.store import NewJob, NewVerdict, Transition
from controller.runs.decide import decide
from controller.runs.timing import confirm_budget, timed
from controller.runs.verdicts import LAST, verdicts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON = NOW + timedelta(seconds=5)
LATER = NOW + timedelta(seconds=100)


def run_of(policy: Policy, state: RunState = RunState.RUNNING, **strategy: Any) -> Run:
    return Run(
        id="r", procedure="apply", plan="p", state=state, strategy=Strategy(policy=policy, **strategy), cause="person",
        requested_by="ana", created=NOW, waves=1, started=NOW,
    )  # fmt: skip


def job(station: str, unit: str = "", **values: Any) -> Job:
    known: dict[str, Any] = {"state": JobState.CLAIMED, "attempts": 1, "started": NOW}
    return Job(id=station, run="r", wave=0, station=station, unit=unit or station, **known | values)


def gated(station: str, unit: str = "", until: datetime | None = LATER, **values: Any) -> Job:
    return job(station, unit, gate=0, gate_until=until, **values)


def done(station: str, outcome: Outcome, unit: str = "") -> Job:
    return job(station, unit, state=JobState.DONE, outcome=outcome)


def said(run: Run, *jobs: Job) -> dict[str, tuple[GateVerdict, str]]:
    return {new.unit: (new.verdict, new.reason) for new in verdicts(run, jobs, NOW)}


def test_a_wave_is_confirmed_when_all_stand_and_not_before() -> None:
    run = run_of(Policy.WAVE)
    assert said(run, gated("A"), job("B")) == {}
    assert said(run, gated("A"), job("B", state=JobState.READY, attempts=0)) == {}
    assert said(run, gated("A"), gated("B")) == {"": (GateVerdict.CONFIRM, "2 prepared and verified")}
    assert said(run, gated("A"), done("B", Outcome.UNCHANGED))[""][0] is GateVerdict.CONFIRM
    # Whose worker died stands there all the same: its device holds what was verified.
    assert said(run, gated("A", state=JobState.READY), gated("B"))[""][0] is GateVerdict.CONFIRM


def test_nothing_is_decided_twice_nor_where_nobody_waits() -> None:
    run = run_of(Policy.WAVE)
    assert said(run, gated("A", verdict=GateVerdict.CONFIRM), gated("B", verdict=GateVerdict.CONFIRM)) == {}
    assert said(run, done("A", Outcome.SUCCEEDED), done("B", Outcome.DIVERGED)) == {}
    assert said(run_of(Policy.STATION), gated("A"), gated("B")) == {}


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.good and o is not Outcome.WITHDRAWN])
def test_a_member_that_failed_cancels_its_unit(outcome: Outcome) -> None:
    run = run_of(Policy.UNIT)
    found = said(run, gated("A", "U"), done("B", outcome, "U"), gated("C", "V"))
    assert found == {
        "U": (GateVerdict.CANCEL, f"B ended {outcome}"),
        "V": (GateVerdict.CONFIRM, "1 prepared and verified"),
    }


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.good and o is not Outcome.WITHDRAWN])
def test_of_a_wave_only_what_is_away_may_be_missing(outcome: Outcome) -> None:
    found = said(run_of(Policy.WAVE), gated("A"), done("B", outcome), job("C"))
    if outcome is Outcome.DEFERRED:
        assert found == {}
        assert said(run_of(Policy.WAVE), gated("A"), done("B", outcome))[""][0] is GateVerdict.CONFIRM
    else:
        assert found == {"": (GateVerdict.CANCEL, f"B ended {outcome}")}


def test_a_unit_is_cut_from_its_wave_where_one_of_it_is_away() -> None:
    """A tracking area that changes by half is worse than one that changes tomorrow."""
    run = run_of(Policy.WAVE)
    found = said(run, gated("A", "U"), done("B", Outcome.DEFERRED, "U"), gated("C"), gated("D"))
    assert found == {
        "U": (GateVerdict.CANCEL, "B of its unit was deferred"),
        "": (GateVerdict.CONFIRM, "2 prepared and verified"),
    }


def test_a_timer_that_leaves_too_little_cancels() -> None:
    for policy in (Policy.UNIT, Policy.WAVE):
        run = run_of(policy)
        (verdict, reason) = said(run, gated("A", "U", SOON), gated("B", "U"))["U" if policy is Policy.UNIT else ""]
        assert verdict is GateVerdict.CANCEL
        assert "timer of A leaves 5 s" in reason
    assert said(run_of(Policy.WAVE), gated("A", until=None), gated("B", until=None))[""][0] is GateVerdict.CONFIRM


def test_a_wall_clock_that_was_set_back_makes_no_timer_longer() -> None:
    run = run_of(Policy.WAVE, confirm_timeout=9)
    assert said(run, gated("A", until=LATER))[""][0] is GateVerdict.CANCEL


def test_people_and_windows_cancel_what_is_undecided_and_begun() -> None:
    cancelling = run_of(Policy.WAVE, RunState.CANCELLING)
    assert said(cancelling, gated("A"), gated("B")) == {"": (GateVerdict.CANCEL, "cancelled by a person")}
    closed = said(run_of(Policy.WAVE), gated("A", closes=NOW), job("B"))
    assert closed == {"": (GateVerdict.CANCEL, "the window of A closed")}
    held = said(run_of(Policy.WAVE), gated("A"), job("B", state=JobState.READY, attempts=0, blocked="hold"))
    assert held == {"": (GateVerdict.CANCEL, "B may not be worked on: hold")}
    # A hold on what is under way stops nothing half-way.
    assert said(run_of(Policy.WAVE), gated("A", blocked="hold"), job("B")) == {}
    # What was not begun is cancelled as any job is.
    assert said(cancelling, job("A", state=JobState.READY, attempts=0)) == {}


def test_all_gates_of_a_playbook_are_passed_together() -> None:
    run = run_of(Policy.WAVE)
    ahead = job("A", gate=3)
    assert said(run, ahead, job("B", gate=1, verdict=GateVerdict.CONFIRM)) == {}
    (found,) = verdicts(run, [ahead, job("B", gate=3)], NOW)
    assert (found.gate, found.verdict) == (3, GateVerdict.CONFIRM)


def _decision(verdict: GateVerdict, gate: int = 0, unit: str = "") -> Decision:
    return Decision(run="r", wave=0, unit=unit, gate=gate, verdict=verdict, at=NOW, by="w")


def test_what_a_job_hears_at_its_gate() -> None:
    confirmed, cancelled = _decision(GateVerdict.CONFIRM), _decision(GateVerdict.CANCEL, 2)
    assert decision_for("U", 0, [confirmed, cancelled]) is confirmed
    assert decision_for("U", 1, [confirmed]) is None
    assert decision_for("U", 1, [confirmed, cancelled]) is cancelled
    assert decision_for("U", None, [confirmed]) is None
    assert decision_for("U", None, [cancelled]) is cancelled
    cut = _decision(GateVerdict.CANCEL, unit="U")
    assert decision_for("U", 0, [confirmed, cut]) is cut
    assert decision_for("V", 0, [confirmed, cut]) is confirmed


def test_the_timer_grows_with_the_group() -> None:
    assert Strategy().timer() == 120
    jobs = [NewJob(0, f"S{n}", "U" if n < 4 else f"S{n}", 0) for n in range(10)]
    assert timed(Strategy(), jobs) == Strategy()
    assert timed(Strategy(policy=Policy.UNIT), jobs).confirm_timeout == 120
    assert timed(Strategy(policy=Policy.WAVE, parallel=4), jobs).confirm_timeout == 3 * 60 + 60
    ranked = [NewJob(0, "R", "U", 0), NewJob(0, "S", "U", 1)]
    assert timed(Strategy(policy=Policy.UNIT), ranked).confirm_timeout == 2 * 60 + 60
    assert timed(Strategy(policy=Policy.WAVE, confirm_timeout=90), jobs).confirm_timeout == 90
    with pytest.raises(InputError, match=r"10 rounds, and 18360 s .* smaller waves"):
        timed(Strategy(policy=Policy.WAVE, parallel=1, check_timeout=1800), jobs)


# --------------------------------------------------------------------- whole runs


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
        found = decision_for(job.unit, job.gate, mine)
        return job.model_copy(update={"verdict": found and found.verdict})

    def _carry_out(self, moved: Transition) -> bool:
        unbegun = [job.id for job in self.jobs.values() if job.state in (JobState.WAITING, JobState.READY)]
        unbegun = [name for name in unbegun if not self.jobs[name].attempts]
        changed = moved.state is not self.run.state or moved.wave is not None
        for name in unbegun if moved.cancel_rest else ():
            changed = self.end(name, Outcome.CANCELLED)
        for name in moved.withdrawn:
            assert name in unbegun
            changed = self.end(name, Outcome.WITHDRAWN)
        for name in moved.ready:
            assert self.jobs[name].state is JobState.WAITING
            changed = self._move(name, state=JobState.READY)
        for verdict in moved.verdicts:
            self._keep(verdict)
            changed = True
        if moved.wave is not None:
            assert all(job.state is JobState.DONE for job in self.jobs.values() if job.wave < moved.wave)
            for job in tuple(self.jobs.values()):
                if self.run.strategy.policy is Policy.STATION and (job.wave, job.rank) == (moved.wave, 0):
                    self._move(job.id, state=JobState.READY)
        wave = self.run.wave if moved.wave is None else moved.wave
        self.run = self.run.model_copy(update={"state": moved.state, "wave": wave, "started": NOW})
        return changed

    def _keep(self, new: NewVerdict) -> None:
        key = (new.wave, new.unit, new.gate)
        assert key not in {(one.wave, one.unit, one.gate) for one in self.decided}
        self.decided.append(
            Decision(run="r", wave=new.wave, unit=new.unit, gate=new.gate, verdict=new.verdict, at=NOW, by="w")
        )
        if new.verdict is GateVerdict.CONFIRM:
            members = [job for job in self.jobs.values() if job.wave == new.wave and new.unit in ("", job.unit)]
            for job in members:
                cut = new.unit == "" and self._judged(job).verdict is GateVerdict.CANCEL
                assert job.gate is not None or job.state is JobState.DONE or cut, "confirmed before all stood there"

    def _move(self, name: str, **values: Any) -> bool:
        self.jobs[name] = self.jobs[name].model_copy(update=values)
        return True

    def end(self, name: str, outcome: Outcome) -> bool:
        return self._move(name, state=JobState.DONE, outcome=outcome)

    def claim(self, name: str) -> None:
        job = self.jobs[name]
        before = [mate for mate in self.jobs.values() if mate.wave == job.wave and mate.rank < job.rank]
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
            if job.state is JobState.READY and not job.attempts and not any(mate.started for mate in group):
                self._move(job.id, state=JobState.WAITING)

    def under_way(self) -> list[str]:
        """Jobs that a worker could do something about."""
        return [
            job.id for job in self.on_record()
            if job.state in (JobState.READY, JobState.CLAIMED) and (job.gate is None or job.verdict is not None)
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
)
def test_every_gated_run_ends_and_no_group_is_split(
    data: st.DataObject, jobs: list[NewJob], policy: Policy, stop_after: int, asked: dict[int, str]
) -> None:
    world = Simulation(jobs, Strategy(policy=policy, stop_after=stop_after))
    for step in range(300):
        if world.run.state in (RunState.QUEUED, RunState.RUNNING) and asked.get(step) == "pause":
            world.pause()
        if not world.run.state.terminal and asked.get(step) == "cancel":
            world.run = world.run.model_copy(update={"state": RunState.CANCELLING})
        world.settle()
        if world.run.state.terminal:
            break
        busy = world.under_way()
        if not busy and world.run.state is RunState.PAUSED:
            assert not any(job.state is JobState.CLAIMED for job in world.jobs.values()), "it rests at a safe point"
            state = RunState.RUNNING if world.run.started else RunState.QUEUED
            world.run = world.run.model_copy(update={"state": state})
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
    elif job.verdict is GateVerdict.CONFIRM:
        world.end(name, Outcome.SUCCEEDED)
    elif job.verdict is GateVerdict.CANCEL:
        world.end(name, Outcome.WITHDRAWN)
    elif world.run.strategy.policy is Policy.STATION:
        world.end(name, data.draw(st.sampled_from([Outcome.SUCCEEDED, Outcome.DEFERRED, Outcome.ROLLED_BACK])))
    else:
        bad = [Outcome.DEFERRED, Outcome.REFUSED, Outcome.ROLLED_BACK]
        outcome = data.draw(st.sampled_from([None, None, None, *bad]))
        if outcome is None:
            world._move(name, gate=0, gate_until=LATER)
        else:
            world.end(name, outcome)


def _check_whole(world: Simulation) -> None:
    """A group has all of its changes or none; only of a wave may be missing what was away, by whole units."""
    groups: dict[tuple[int, str], list[Job]] = {}
    for job in world.jobs.values():
        groups.setdefault((job.wave, job.unit), []).append(job)
    for members in groups.values():
        good = [job for job in members if job.outcome is Outcome.SUCCEEDED]
        assert len(good) in (0, len(members)), members
    if world.run.strategy.policy is Policy.WAVE:
        for wave in range(world.run.waves):
            mine = [job for job in world.jobs.values() if job.wave == wave]
            if any(job.outcome is Outcome.SUCCEEDED for job in mine):
                rest = [job.outcome for job in mine if job.outcome is not Outcome.SUCCEEDED]
                assert set(rest) <= {Outcome.DEFERRED, Outcome.WITHDRAWN}
                assert not rest or Outcome.DEFERRED in rest


def test_a_budget_is_less_than_a_timer() -> None:
    for members in (1, 50, 500, 2500):
        strategy = timed(Strategy(policy=Policy.WAVE), [NewJob(0, f"S{n}") for n in range(members)])
        assert strategy.confirm_timeout is not None
        assert confirm_budget(members) < strategy.confirm_timeout - 60


def test_a_group_is_begun_only_when_all_of_it_may_be() -> None:
    run = run_of(Policy.UNIT)
    waiting: dict[str, Any] = {"state": JobState.WAITING, "attempts": 0, "started": None}
    held = [job("A", "U", **waiting), job("B", "U", blocked="window opens 22:00", **waiting)]
    assert decide(run, held, NOW) is None
    moved = decide(run, [*held, job("C", **waiting)], NOW)
    assert moved is not None
    assert moved.ready == ("C",)
    # Who is done, and may not be worked on any more, keeps nobody from it.
    over = job("C", "U", state=JobState.DONE, outcome=Outcome.UNCHANGED, started=None, blocked="hold")
    free = [job("A", "U", **waiting), job("B", "U", **waiting), over]
    moved = decide(run, free, NOW)
    assert moved is not None
    assert moved.ready == ("A", "B")
