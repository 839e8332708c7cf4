"""Stations that are away for a while, in virtual time: others never wait for them, and they are tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from controller.models.run import GateVerdict, JobState, Outcome, Policy, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.ports.devices import Capabilities
from controller.ports.store import NewJob
from tests.unit.runs.crew import Crew, Mortal, unit
from tests.unit.runs.plant import FlakyStore
from tests.unit.runs.test_window_closes import TOGETHER, TwoStations
from tests.unit.runs.world import UNSAFE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Who is away is tried once more, after 15 s.
PATIENT = Strategy(canary=0, confirm_timeout=30, check_timeout=1, patience=15)
WAVES = (NewJob(0, "S1"), NewJob(1, "S2"))
UNIT = (NewJob(0, "S1", "S1"), NewJob(0, "S2", "S1"))


@pytest.fixture
def plant() -> Iterator[TwoStations]:
    made = TwoStations()
    yield made
    made.store.close()


def lose(plant: TwoStations, *stations: str, seconds: float) -> list[float]:
    """Stations that nobody can reach for a while; when somebody tried."""
    tries: list[float] = []
    end = plant.clock.monotonic() + seconds
    session = plant.devices.session

    def watched(target: object) -> object:
        name = target.station  # type: ignore[attr-defined]
        away = name in stations and plant.clock.monotonic() < end
        plant.devices[name].unreachable = "no route" if away else ""
        if name in stations:
            tries.append(plant.clock.monotonic())
        return session(target)  # type: ignore[arg-type]

    plant.devices.session = watched  # type: ignore[method-assign,assignment]
    return tries


async def until(plant: TwoStations, seconds: float, true: Callable[[], bool]) -> None:
    for _ in range(int(seconds)):
        if true():
            return
        await plant.clock.advance(1)
    raise AssertionError("it never comes to it")


def test_pauses_grow_and_the_last_try_comes_when_patience_runs_out() -> None:
    strategy = Strategy(patience=8000)
    tries = [0.0]
    while (again := strategy.next_try(NOW, NOW + timedelta(seconds=tries[-1]))) is not None:
        tries.append((again - NOW).total_seconds())
    assert tries == [0, 60, 120, 240, 480, 960, 1920, 3840, 7440, 8000]
    assert Strategy().next_try(NOW, NOW) is None
    # A clock that was set back makes no pause shorter than the first, nor longer than the longest.
    assert strategy.next_try(NOW, NOW - timedelta(hours=5)) == NOW - timedelta(hours=5) + timedelta(seconds=60)


async def test_waves_go_on_and_who_was_away_follows(plant: TwoStations) -> None:
    tries = lose(plant, "S1", seconds=70)
    run = plant.submit(PATIENT.model_copy(update={"patience": 100}), WAVES, windows=())
    async with plant.working(plant.worker()):
        await plant.advance(8)
        first, second = plant.jobs(run)
        assert (second.outcome, plant.store.runs.get(run).state) == (Outcome.SUCCEEDED, RunState.RUNNING)
        assert (first.state, first.outcome, first.started) == (JobState.READY, None, None)
        assert "no route" in first.detail
        (words,) = plant.store.runs.get(run).waits
        assert words == "was away or busy, tried again 2025-12-31 19:01 (America/Lima)"
        assert not plant.store.claims.busy(["S1"])
        await until(plant, 120, lambda: plant.store.runs.get(run).state.terminal)
    assert plant.store.runs.get(run).state is RunState.SUCCEEDED
    assert plant.carried() == [True, True]
    assert [round(at, -1) for at in tries] == [0, 60, 100]
    assert len(plant.actions("job.postponed")) == 2
    assert len(plant.actions("job.finished")) == 2
    assert plant.store.audit.verify() is None


async def test_patience_runs_out(plant: TwoStations) -> None:
    tries = lose(plant, "S1", seconds=9999)
    run = plant.submit(PATIENT, WAVES, windows=())
    async with plant.working(plant.worker()):
        await until(plant, 30, lambda: plant.store.runs.get(run).state.terminal)
        assert plant.clock.monotonic() >= 15
    assert plant.store.runs.get(run).state is RunState.PARTIAL
    assert [job.outcome for job in plant.jobs(run)] == [Outcome.DEFERRED, Outcome.SUCCEEDED]
    assert len(tries) == 2
    assert len(plant.actions("job.finished")) == 2


async def test_without_patience_it_is_tried_once(plant: TwoStations) -> None:
    tries = lose(plant, "S1", seconds=9999)
    run = plant.submit(PATIENT.model_copy(update={"patience": 0}), WAVES, windows=())
    async with plant.working(plant.worker()):
        await until(plant, 30, lambda: plant.store.runs.get(run).state.terminal)
    assert (len(tries), plant.store.runs.get(run).state) == (1, RunState.PARTIAL)


async def test_a_try_waits_for_its_window_and_a_hold_like_any_beginning(plant: TwoStations) -> None:
    tries = lose(plant, "S1", seconds=10)
    windows = tuple(
        MaintenanceWindow.model_validate({"start": start, "end": end})
        for start, end in (("18:00:00", "19:00:35"), ("19:00:45", "20:00:00"))
    )
    run = plant.submit(PATIENT, WAVES[:1], windows)
    async with plant.working(plant.worker()):
        await plant.advance(30)
        assert len(tries) == 1
        assert plant.store.runs.get(run).waits == {"window opens 2025-12-31 19:00 (America/Lima)": 1}
        hold = plant.store.holds.add("S1", "ana", "on the mast", None)
        await plant.advance(25)
        assert len(tries) == 1
        plant.store.holds.end(hold.id, "ana")
        await plant.advance(10)
    assert (len(tries), plant.store.runs.get(run).state) == (2, RunState.SUCCEEDED)


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("ask", ["pause", "cancel"])
async def test_people_stop_the_waiting(plant: TwoStations, ask: str, policy: Policy) -> None:
    tries = lose(plant, "S1", seconds=10)
    run = plant.submit(PATIENT.model_copy(update={"policy": policy}), UNIT, windows=())
    async with plant.working(plant.worker()):
        await plant.advance(10)
        (plant.store.runs.pause if ask == "pause" else plant.store.runs.cancel)(run, "ana")
        await plant.advance(15)
        assert len(tries) == 1
        if ask == "cancel":
            assert plant.store.runs.get(run).state is RunState.CANCELLED
            assert plant.jobs(run)[0].outcome is Outcome.CANCELLED
        else:
            assert plant.store.runs.get(run).state is RunState.PAUSED
            plant.store.runs.resume(run, "ana")
            await plant.advance(10)
            assert plant.store.runs.get(run).state is RunState.SUCCEEDED


async def test_what_changed_meanwhile_is_refused(plant: TwoStations) -> None:
    lose(plant, "S1", seconds=10)
    run = plant.submit(PATIENT, WAVES[:1], windows=())
    async with plant.working(plant.worker()):
        await plant.advance(5)
        (change,) = [change for change in plant.made.changes if change.station == "S1"]
        plant.devices["S1"].foreign_edit(change.phases[0].edits[:1])
        await plant.advance(20)
    assert plant.jobs(run)[0].outcome is Outcome.REFUSED


async def test_it_outlives_its_workers(plant: TwoStations) -> None:
    lose(plant, "S1", seconds=14)
    run = plant.submit(PATIENT, WAVES[:1], windows=())
    frozen = FlakyStore(plant.store)
    async with plant.working(plant.worker(frozen, "frozen")):
        await plant.advance(5)
        frozen.thawed.clear()
        async with plant.working(plant.worker(name="living")):
            await plant.advance(20)
            frozen.thawed.set()
            await plant.advance(2)
        assert plant.store.runs.get(run).state is RunState.SUCCEEDED
    assert len(plant.actions("job.finished")) == 1


async def test_a_unit_waits_for_who_was_away_and_is_changed_for_nothing_once(plant: TwoStations) -> None:
    """The other one is taken back, and begins after the one that was away is prepared."""
    tries = lose(plant, "S2", seconds=70)
    run = plant.submit(PATIENT.model_copy(update={"policy": Policy.UNIT, "patience": 75}), UNIT, windows=())
    async with plant.working(plant.worker()):
        await plant.advance(72)
        assert [(job.state, job.round) for job in plant.jobs(run)] == [(JobState.WAITING, 2)] * 2
        assert len(tries) == 2
        assert len(plant.devices["S1"].history) == 3
        await plant.advance(20)
    assert plant.store.runs.get(run).state is RunState.SUCCEEDED
    assert len(plant.devices["S1"].history) == 4
    verdicts = [one.verdict for one in plant.store.gates.decisions([(run, 0)])]
    assert verdicts == [GateVerdict.POSTPONE, GateVerdict.POSTPONE, GateVerdict.CONFIRM]
    assert len(plant.actions("job.finished")) == 2


async def test_no_wave_waits_for_a_unit_that_is_tried_again(plant: TwoStations) -> None:
    lose(plant, "S1", seconds=10)
    run = plant.submit(PATIENT.model_copy(update={"policy": Policy.UNIT}), WAVES, windows=())
    async with plant.working(plant.worker()):
        await plant.advance(10)
        assert [job.outcome for job in plant.jobs(run)] == [None, Outcome.SUCCEEDED]
        assert plant.store.runs.get(run).wave == 1
        await plant.advance(15)
    assert plant.store.runs.get(run).state is RunState.SUCCEEDED
    assert [one.wave for one in plant.store.gates.decisions([(run, 0), (run, 1)])] == [0, 1]


async def test_other_runs_need_not_wait_for_who_is_away(plant: TwoStations) -> None:
    """Also where they are decided together: the station is free for them while nobody tries it."""
    lose(plant, "S1", seconds=7)
    strategy = PATIENT.model_copy(update={"policy": Policy.WAVE})
    first = plant.submit(strategy, UNIT[:1], windows=())
    async with plant.working(plant.worker()):
        await plant.advance(8)
        second = plant.submit(strategy, UNIT, windows=())
        await plant.advance(6)
        assert [job.outcome for job in plant.jobs(second)] == [Outcome.SUCCEEDED] * 2
        await plant.advance(10)
        assert [job.outcome for job in plant.jobs(first)] == [Outcome.UNCHANGED]


async def test_a_postponed_wave_takes_along_who_was_away_before(plant: TwoStations) -> None:
    """Also where nobody has patience."""
    async with plant.working(plant.worker()):
        plant.clock.pause(34)
        tries = lose(plant, "S2", seconds=40)
        plant.devices["S1"].latency = 8.0
        run = plant.submit(TOGETHER, (NewJob(0, "S1"), NewJob(0, "S2")))
        await plant.advance(5)
        assert [job.outcome for job in plant.jobs(run)] == [None, Outcome.DEFERRED]
        await plant.advance(42)
        plant.devices["S1"].latency = 0.0
        await plant.advance(12)
        assert [(job.round, job.outcome) for job in plant.jobs(run)] == [(1, None)] * 2
        await plant.advance(12)
    assert plant.store.runs.get(run).state is RunState.SUCCEEDED
    assert len(tries) == 2
    assert plant.carried() == [True, True]


def late(crew: Crew, *stations: str, seconds: float) -> None:
    for name in stations:
        crew[name].unreachable = "no route"

    def back() -> None:
        for name in stations:
            crew[name].unreachable = ""

    crew.after(seconds, back)


def crew_of(jobs: list[NewJob], policy: Policy, capabilities: dict[str, Capabilities] | None = None) -> Crew:
    asked = Strategy(policy=policy, check_timeout=1, confirm_timeout=60, canary=0, patience=15, stop_after=9)
    return Crew(jobs, asked, capabilities or {}, bound=True)


def ended(crew: Crew) -> str:
    return " ".join(f"{job.station}:{job.outcome}/{job.round}" for job in crew.store.runs.jobs(crew.run))


async def test_a_wave_is_confirmed_without_who_was_away_and_they_later_together() -> None:
    """The unit of one of them is cut from the wave, and follows with it."""
    crew = crew_of([*unit("A"), *unit("B"), *unit("C", "D")], Policy.WAVE)
    late(crew, "B", "D", seconds=10)
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    jobs = {job.station: job for job in crew.store.runs.jobs(crew.run)}
    assert jobs["A"].round == 0
    assert jobs["B"].round == jobs["C"].round == jobs["D"].round > 0
    assert jobs["A"].finished is not None
    assert jobs["B"].started is not None
    assert jobs["A"].finished < jobs["B"].started
    found = [(one.unit, one.verdict) for one in crew.store.gates.decisions([(crew.run, 0)]) if one.round == 0]
    assert found == [("", GateVerdict.CONFIRM), ("C", GateVerdict.POSTPONE)]
    crew.assert_settled()


async def test_who_follows_and_fails_leaves_its_wave_as_it_was_decided() -> None:
    crew = crew_of([*unit("A"), *unit("B"), *unit("C")], Policy.WAVE)
    late(crew, "B", "C", seconds=10)
    crew.break_links("B")
    await crew.work()
    outcomes = crew.outcomes()
    assert (outcomes["A"], outcomes["B"]) == (Outcome.SUCCEEDED, Outcome.ROLLED_BACK)
    assert outcomes["C"] in (Outcome.SUCCEEDED, Outcome.WITHDRAWN)
    assert crew.state() is RunState.PARTIAL
    crew.assert_settled()


@pytest.mark.parametrize("policy", [Policy.WAVE, Policy.UNIT])
async def test_of_what_was_cancelled_nobody_is_tried_again(policy: Policy) -> None:
    crew = crew_of(unit("A", "B", "C"), policy)
    late(crew, "B", seconds=10)
    crew.break_links("C")
    await crew.work()
    assert crew.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.WITHDRAWN, "C": Outcome.ROLLED_BACK}
    assert len(crew["B"].history) == 1
    crew.assert_settled()


@pytest.mark.parametrize("policy", list(Policy))
async def test_ranks_keep_their_order(policy: Policy) -> None:
    """A router that was away is prepared before its station, and one that can't revert by itself goes last."""
    crew = crew_of(unit("R", "S", ranks=[0, 1]), policy)
    late(crew, "R", seconds=10)
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    first, second = crew.store.runs.jobs(crew.run)
    assert first.started is not None
    assert second.started is not None
    assert first.started < second.started
    assert len(crew["S"].history) == 2
    crew.assert_settled()


@pytest.mark.parametrize("policy", [Policy.WAVE, Policy.UNIT])
async def test_who_can_not_revert_goes_last_also_where_it_was_away(policy: Policy) -> None:
    crew = crew_of(unit("A", "B", "C"), policy, {"B": UNSAFE})
    late(crew, "B", "C", seconds=10)
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED, ended(crew)
    assert len(crew["B"].history) == 2
    crew.assert_settled()


@pytest.mark.parametrize("policy", list(Policy))
async def test_its_worker_dies_at_any_call(policy: Policy) -> None:
    """While one is away, is put back, and comes again."""
    jobs = unit("A", "B")
    whole = crew_of(jobs, policy)
    late(whole, "B", seconds=10)
    life = Mortal()
    assert await whole.shift(life)
    for at in range(3, len(life.calls), 23):
        crew = crew_of(jobs, policy)
        late(crew, "B", seconds=10)
        await crew.work(Mortal(at=at, after=at % 2 == 0), pause=10)
        assert crew.state() is RunState.SUCCEEDED, (at, ended(crew))
        crew.assert_settled()
