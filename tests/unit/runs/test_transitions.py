"""Runs end in exactly one terminal state, whatever their jobs come to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.models.run import INSIDE, Job, JobState, Outcome, Policy, Run, RunState, Strategy
from controller.models.stopping import StopCode, StopReason
from controller.models.waiting import WaitCode, WaitReason
from controller.runs.rollout.transitions import decide
from controller.store import Transition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = [outcome for outcome in Outcome if outcome not in (Outcome.CANCELLED, Outcome.WITHDRAWN)]


class Simulation:
    """A run and its jobs as the store keeps them, moved by ``decide`` alone."""

    def __init__(self, waves: list[int], strategy: Strategy) -> None:
        self.run = Run(
            id="r", procedure="apply", plan="p", state=RunState.QUEUED, strategy=strategy, cause="person",
            requested_by="ana", created=NOW, waves=max(waves, default=-1) + 1,
        )  # fmt: skip
        self.jobs = [
            Job(id=str(n), run="r", wave=wave, station=f"S{n}", unit=f"S{n}", state=JobState.WAITING)
            for n, wave in enumerate(waves)
        ]
        self.started_after_stop = False

    def settle(self) -> None:
        while (moved := decide(self.run, self.jobs, NOW)) is not None:
            assert not self.run.state.terminal
            self._carry_out(moved)

    def _carry_out(self, moved: Transition) -> None:
        if moved.cancel_rest:
            self.jobs = [
                job.model_copy(update={"state": JobState.DONE, "outcome": Outcome.CANCELLED})
                if job.state in (JobState.WAITING, JobState.READY) and job.id not in moved.spared
                else job
                for job in self.jobs
            ]
        if moved.wave is not None:
            assert all(job.state is JobState.DONE for job in self.jobs if job.wave < moved.wave)
        self.jobs = [
            job.model_copy(update={"state": JobState.READY})
            if (job.wave == moved.wave and not job.rank) or job.id in moved.ready
            else job
            for job in self.jobs
        ]
        wave = self.run.wave if moved.wave is None else moved.wave
        stopped = self.run.stopped or moved.stopped
        self.run = self.run.model_copy(update={"state": moved.state, "wave": wave, "stopped": stopped})
        if moved.state.terminal:
            assert all(job.state is JobState.DONE for job in self.jobs)

    def move(self, index: int, state: JobState, outcome: Outcome | None = None) -> None:
        self.jobs[index] = self.jobs[index].model_copy(update={"state": state, "outcome": outcome})

    def cancel(self) -> None:
        if self.run.state in (RunState.QUEUED, RunState.RUNNING):
            self.run = self.run.model_copy(update={"state": RunState.CANCELLING})

    def of(self, state: JobState) -> list[int]:
        return [index for index, job in enumerate(self.jobs) if job.state is state]


@given(
    data=st.data(),
    sizes=st.lists(st.integers(1, 4), max_size=4),
    stop_after=st.integers(1, 4),
    cancel_at=st.integers(-1, 12),
)
def test_every_run_ends_in_one_terminal_state(
    data: st.DataObject, sizes: list[int], stop_after: int, cancel_at: int
) -> None:
    world = Simulation([wave for wave, size in enumerate(sizes) for _ in range(size)], Strategy(stop_after=stop_after))
    failures = 0
    for step in range(200):
        if step == cancel_at:
            world.cancel()
        world.settle()
        if world.run.state.terminal:
            break
        ready, claimed = world.of(JobState.READY), world.of(JobState.CLAIMED)
        # Nothing can be begun once the threshold is reached, a device diverged or a person said stop.
        assert not (ready and failures >= stop_after)
        assert ready or claimed, "a run that is not terminal must have something to do"
        index = data.draw(st.sampled_from(ready + claimed))
        if index in ready:
            world.move(index, JobState.CLAIMED)
        elif data.draw(st.integers(0, 5)) == 0:
            # Its worker was declared dead.
            world.move(index, JobState.READY)
            if failures >= stop_after:
                world.settle()
        else:
            outcome = data.draw(st.sampled_from(ENDS))
            failures += outcome.counts_as_failure
            failures = 100 if outcome is Outcome.DIVERGED else failures
            world.move(index, JobState.DONE, outcome)
    assert world.run.state.terminal
    assert decide(world.run, world.jobs, NOW) is None
    _check_end(world)


def _check_end(world: Simulation) -> None:
    outcomes = Counter(job.outcome for job in world.jobs)
    good = sum(outcomes[one] for one in (Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED))
    state = world.run.state
    assert (state is RunState.DIVERGED) == bool(outcomes[Outcome.DIVERGED])
    if state is RunState.SUCCEEDED:
        assert good == len(world.jobs)
    if state in (RunState.STOPPED, RunState.CANCELLED):
        assert outcomes[Outcome.CANCELLED]
    if state is RunState.FAILED:
        assert not good
    if state is RunState.PARTIAL:
        assert 0 < good < len(world.jobs)


def _ended(outcomes: list[Outcome], **strategy: int) -> RunState:
    world = Simulation(list(range(len(outcomes))), Strategy(**strategy))
    world.settle()
    for outcome in outcomes:
        for index in world.of(JobState.READY)[:1]:
            world.move(index, JobState.DONE, outcome)
        world.settle()
    return world.run.state


def test_the_states_by_example() -> None:
    assert _ended([Outcome.SUCCEEDED, Outcome.UNCHANGED]) is RunState.SUCCEEDED
    assert _ended([Outcome.SUCCEEDED, Outcome.DEFERRED]) is RunState.PARTIAL
    assert _ended([Outcome.DEFERRED, Outcome.DEFERRED], canary=0) is RunState.FAILED
    assert _ended([Outcome.REFUSED, Outcome.SUCCEEDED]) is RunState.STOPPED
    assert _ended([Outcome.REFUSED, Outcome.SUCCEEDED], stop_after=2, canary=0) is RunState.PARTIAL
    assert _ended([Outcome.DIVERGED, Outcome.SUCCEEDED], stop_after=5) is RunState.DIVERGED


@pytest.mark.parametrize("outcome", [Outcome.DEFERRED, Outcome.REFUSED])
def test_nothing_more_is_begun_where_no_canary_carries_the_change(outcome: Outcome) -> None:
    world = Simulation([0, 0, 1], Strategy(canary=2, stop_after=9))
    world.settle()
    world.move(0, JobState.DONE, outcome)
    world.move(1, JobState.CLAIMED)
    world.settle()
    assert world.jobs[2].state is JobState.WAITING
    world.move(1, JobState.DONE, Outcome.DEFERRED)
    moved = decide(world.run, world.jobs, NOW)
    assert moved is not None
    assert moved.reason == f"no canary carries the change: S0 ended {outcome}, S1 ended deferred"
    world.settle()
    assert world.run.state is RunState.STOPPED


def test_one_canary_that_carries_the_change_is_enough() -> None:
    world = Simulation([0, 0, 1], Strategy(canary=2))
    world.settle()
    world.move(0, JobState.DONE, Outcome.DEFERRED)
    world.move(1, JobState.DONE, Outcome.SUCCEEDED)
    world.settle()
    assert world.of(JobState.READY) == [2]


def test_what_makes_ready_what_a_canary_needs_is_none() -> None:
    world = Simulation([0, 1, 2], Strategy(canary=1, canary_wave=1, stop_after=9))
    world.settle()
    world.move(0, JobState.DONE, Outcome.SUCCEEDED)
    world.settle()
    assert world.of(JobState.READY) == [1]
    world.move(1, JobState.DONE, Outcome.REFUSED)
    world.settle()
    assert world.run.state is RunState.STOPPED
    assert world.jobs[2].outcome is Outcome.CANCELLED


@pytest.mark.parametrize("canary", [0, 1])
def test_a_canary_that_is_tried_again_is_waited_for(canary: int) -> None:
    world = Simulation([0, 1], Strategy(canary=canary, patience=60))
    world.settle()
    away = {"state": JobState.READY, "deferred": world.run.created, "reasons": (WaitReason(code=WaitCode.AWAY),)}
    world.jobs[0] = world.jobs[0].model_copy(update=away)
    moved = decide(world.run, world.jobs, NOW)
    opened = moved is not None and moved.wave == 1
    assert opened is (canary == 0)


@pytest.mark.parametrize(
    ("outcomes", "failures"),
    [
        ([Outcome.WITHDRAWN, Outcome.WITHDRAWN], 1),
        ([Outcome.ROLLED_BACK, Outcome.WITHDRAWN], 1),
        ([Outcome.ROLLED_BACK, Outcome.REFUSED], 2),
        ([Outcome.DEFERRED, Outcome.WITHDRAWN], 0),
        ([Outcome.SUCCEEDED, Outcome.SUCCEEDED], 0),
    ],
)
def test_a_group_that_is_taken_back_counts_once_unless_one_of_it_failed_or_was_away(
    outcomes: list[Outcome], failures: int
) -> None:
    """Two units of a wave came to the same; the next wave begins below the threshold, and not at it."""
    for threshold in (2 * failures, 2 * failures + 1):
        if not threshold:
            continue
        world = Simulation([0, 0, 0, 0, 1], Strategy(policy=Policy.UNIT, canary=0, stop_after=threshold))
        units = ("a", "a", "b", "b", "c")
        world.jobs = [job.model_copy(update={"unit": unit}) for job, unit in zip(world.jobs, units, strict=True)]
        world.settle()
        for index, outcome in enumerate(outcomes * 2):
            world.move(index, JobState.DONE, outcome)
        world.settle()
        assert (world.jobs[4].outcome is Outcome.CANCELLED) is (threshold == 2 * failures), threshold


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([Outcome.SUCCEEDED, Outcome.UNCHANGED], RunState.SUCCEEDED),
        ([Outcome.SUCCEEDED, Outcome.WITHDRAWN], RunState.CANCELLED),
        ([Outcome.SUCCEEDED, Outcome.CANCELLED], RunState.CANCELLED),
        ([Outcome.SUCCEEDED, Outcome.FAILED_SAFE], RunState.PARTIAL),
        ([Outcome.CANCELLED, Outcome.DIVERGED], RunState.DIVERGED),
    ],
)
def test_a_run_that_was_cancelled_ends_so_where_that_kept_something_from_it(
    outcomes: list[Outcome], state: RunState
) -> None:
    world = Simulation([0, 0], Strategy(canary=0))
    world.settle()
    world.cancel()
    for index, outcome in enumerate(outcomes):
        world.move(index, JobState.DONE, outcome)
    world.settle()
    assert world.run.state is state


@pytest.mark.parametrize("stop", ["cancel", "failure"])
@pytest.mark.parametrize(
    ("outcome", "brought_back"),
    [
        (Outcome.SUCCEEDED, True),
        (Outcome.ROLLED_BACK, True),
        (Outcome.WITHDRAWN, True),
        (Outcome.FAILED_SAFE, False),
        (Outcome.DIVERGED, True),
    ],
)
def test_a_station_comes_back_after_its_function_whatever_stops_the_run(
    stop: str, outcome: Outcome, *, brought_back: bool
) -> None:
    """Of two functions with a station each, one is under way when the run is stopped; a third begins nothing."""
    world = Simulation([0, 0, 0, 0, 1], Strategy(canary=0, stop_after=1))
    places = [("D1", 0), ("D1", max(INSIDE)), ("D2", 0), ("D2", max(INSIDE)), ("D3", 0)]
    world.jobs = [
        job.model_copy(update={"unit": unit, "rank": rank})
        for job, (unit, rank) in zip(world.jobs, places, strict=True)
    ]
    world.settle()
    assert world.of(JobState.READY) == [0, 2]
    world.jobs[0] = world.jobs[0].model_copy(update={"started": NOW})
    world.move(0, JobState.CLAIMED)
    if stop == "cancel":
        world.cancel()
    else:
        world.move(2, JobState.DONE, Outcome.FAILED_SAFE)
    world.settle()
    assert [world.jobs[n].outcome for n in (3, 4)] == [Outcome.CANCELLED] * 2
    assert world.jobs[1].state is JobState.WAITING
    world.move(0, JobState.DONE, outcome)
    world.settle()
    assert (1 in world.of(JobState.READY)) is brought_back
    if brought_back:
        world.move(1, JobState.DONE, Outcome.SUCCEEDED)
        world.settle()
    assert world.run.state.terminal


def test_why_nothing_more_is_begun() -> None:
    world = Simulation([0, 0, 0, 1], Strategy(canary=0, stop_after=2))
    world.settle()
    world.move(0, JobState.DONE, Outcome.REFUSED)

    def why() -> str:
        moved = decide(world.run, world.jobs, NOW)
        assert moved is None or moved.cancel_rest
        return moved.reason if moved else ""

    assert why() == ""
    soak = StopReason(code=StopCode.SOAK, subject="S3", because="too few calls")
    world.run, before = world.run.model_copy(update={"stopped": soak}), world.run
    assert why() == "the soak failed at S3: too few calls"
    world.run = before
    world.move(1, JobState.DONE, Outcome.ROLLED_BACK)
    assert why() == "2 failures reached the threshold of 2: S0 ended refused, S1 ended rolled-back"
    world.move(2, JobState.DONE, Outcome.DIVERGED)
    assert why() == "1 device diverged: S2"
    world.cancel()
    assert why() == "cancelled by a person"


def test_the_first_reason_for_which_a_run_stopped_stays_on_it() -> None:
    world = Simulation([0, 0, 0, 0, 0, 1], Strategy(canary=0, stop_after=4))
    world.settle()
    for number in range(4):
        world.move(number, JobState.DONE, Outcome.REFUSED)
    world.move(4, JobState.CLAIMED)
    world.settle()
    first = world.run.stopped
    assert first is not None
    assert (first.code, first.count, first.limit, len(first.ended)) == (StopCode.FAILURES, 4, 4, 3)
    assert first.words.endswith("S2 ended refused and 1 more")
    world.move(4, JobState.DONE, Outcome.DIVERGED)
    world.settle()
    assert (world.run.state, world.run.stopped) == (RunState.DIVERGED, first)


def test_why_a_run_stopped_is_a_code_whatever_stopped_it() -> None:
    def stopped(*ends: tuple[Outcome, datetime | None], detail: str = "") -> StopReason | None:
        world = Simulation([0] * len(ends), Strategy(canary=0))
        world.settle()
        for number, (outcome, outdated) in enumerate(ends):
            world.move(number, JobState.DONE, outcome)
            world.jobs[number] = world.jobs[number].model_copy(update={"outdated": outdated, "detail": detail})
        world.settle()
        return world.run.stopped

    files = stopped((Outcome.SUCCEEDED, None), (Outcome.CANCELLED, NOW))
    assert files is not None
    assert (files.code, files.words.split(":")[0]) == (StopCode.FILES, "1 device never began")
    guard = stopped((Outcome.CANCELLED, None), detail="automatic repair is stopped")
    assert guard is not None
    assert (guard.code, guard.words) == (StopCode.REPAIR, "S0 was left alone: automatic repair is stopped")
    assert stopped((Outcome.SUCCEEDED, None)) is None


def test_a_run_without_jobs_succeeds() -> None:
    world = Simulation([], Strategy())
    world.settle()
    assert world.run.state is RunState.SUCCEEDED


def test_a_run_that_was_cancelled_before_it_began() -> None:
    world = Simulation([0, 0, 1], Strategy())
    world.cancel()
    world.settle()
    assert world.run.state is RunState.CANCELLED
    assert all(job.outcome is Outcome.CANCELLED for job in world.jobs)
