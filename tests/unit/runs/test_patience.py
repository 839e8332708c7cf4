"""Stations that are away for a while, in virtual time: others never wait for them, and they are tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from controller.drivers.protocols import Capabilities
from controller.models.run import GateChoice, JobState, Outcome, Policy, RunState, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.runs.transaction.patience import Patience, Trouble
from controller.store import NewJob
from tests.unit.runs.group_bench import GroupBench, Mortal, unit
from tests.unit.runs.test_window_closes import TOGETHER, TwoStations
from tests.unit.runs.transaction_bench import UNSAFE
from tests.unit.runs.worker_bench import FlakyStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: Who is away is tried once more, after 15 s.
PATIENT = Strategy(canary=0, confirm_timeout=30, check_timeout=1, patience=15)
WAVES = (NewJob(0, "S1"), NewJob(1, "S2"))
UNIT = (NewJob(0, "S1", "S1"), NewJob(0, "S2", "S1"))


@pytest.fixture
def bench() -> Iterator[TwoStations]:
    made = TwoStations()
    yield made
    made.store.close()


def lose(bench: TwoStations, *stations: str, seconds: float) -> list[float]:
    """Stations that nobody can reach for a while; when somebody tried."""
    tries: list[float] = []
    end = bench.clock.monotonic() + seconds
    session = bench.devices.session

    def watched(target: object) -> object:
        name = target.device  # type: ignore[attr-defined]
        away = name in stations and bench.clock.monotonic() < end
        bench.devices[name].unreachable = "no route" if away else ""
        if name in stations:
            tries.append(bench.clock.monotonic())
        return session(target)  # type: ignore[arg-type]

    bench.devices.session = watched  # type: ignore[method-assign,assignment]
    return tries


async def until(bench: TwoStations, seconds: float, true: Callable[[], bool]) -> None:
    for _ in range(int(seconds)):
        if true():
            return
        await bench.clock.advance(1)
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


async def test_waves_go_on_and_who_was_away_follows(bench: TwoStations) -> None:
    tries = lose(bench, "S1", seconds=70)
    run = bench.submit(PATIENT.model_copy(update={"patience": 100}), WAVES, windows=())
    async with bench.working(bench.worker()):
        await bench.advance(8)
        first, second = bench.jobs(run)
        assert (second.outcome, bench.store.runs.get(run).state) == (Outcome.SUCCEEDED, RunState.RUNNING)
        assert (first.state, first.outcome, first.started) == (JobState.READY, None, None)
        assert "no route" in first.detail
        (words,) = bench.store.runs.get(run).waits
        assert words == "could not be reached or was busy, tried again 2025-12-31 19:01 (America/Lima)"
        assert not bench.store.claims.busy(["S1"])
        await until(bench, 120, lambda: bench.store.runs.get(run).state.terminal)
    assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert bench.carried() == [True, True]
    assert [round(at, -1) for at in tries] == [0, 60, 100]
    assert len(bench.actions("job.postponed")) == 2
    assert len(bench.actions("job.finished")) == 2
    assert bench.store.audit.verify() is None


async def test_patience_runs_out(bench: TwoStations) -> None:
    tries = lose(bench, "S1", seconds=9999)
    run = bench.submit(PATIENT, WAVES, windows=())
    async with bench.working(bench.worker()):
        await until(bench, 30, lambda: bench.store.runs.get(run).state.terminal)
        assert bench.clock.monotonic() >= 15
    assert bench.store.runs.get(run).state is RunState.PARTIAL
    assert [job.outcome for job in bench.jobs(run)] == [Outcome.DEFERRED, Outcome.SUCCEEDED]
    assert len(tries) == 2
    assert len(bench.actions("job.finished")) == 2


async def test_without_patience_it_is_tried_once(bench: TwoStations) -> None:
    tries = lose(bench, "S1", seconds=9999)
    run = bench.submit(PATIENT.model_copy(update={"patience": 0}), WAVES, windows=())
    async with bench.working(bench.worker()):
        await until(bench, 30, lambda: bench.store.runs.get(run).state.terminal)
    assert (len(tries), bench.store.runs.get(run).state) == (1, RunState.PARTIAL)


async def test_a_try_waits_for_its_window_and_a_hold_like_any_beginning(bench: TwoStations) -> None:
    tries = lose(bench, "S1", seconds=10)
    windows = tuple(
        MaintenanceWindow.model_validate({"start": start, "end": end})
        for start, end in (("18:00:00", "19:00:35"), ("19:00:45", "20:00:00"))
    )
    run = bench.submit(PATIENT, WAVES[:1], windows)
    async with bench.working(bench.worker()):
        await bench.advance(30)
        assert len(tries) == 1
        assert bench.store.runs.get(run).waits == {"window opens 2025-12-31 19:00 (America/Lima)": 1}
        hold = bench.store.holds.add("S1", "ana", "on the mast", None)
        await bench.advance(25)
        assert len(tries) == 1
        bench.store.holds.end(hold.id, "ana")
        await bench.advance(10)
    assert (len(tries), bench.store.runs.get(run).state) == (2, RunState.SUCCEEDED)


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("ask", ["pause", "cancel"])
async def test_people_stop_the_waiting(bench: TwoStations, ask: str, policy: Policy) -> None:
    tries = lose(bench, "S1", seconds=10)
    run = bench.submit(PATIENT.model_copy(update={"policy": policy}), UNIT, windows=())
    async with bench.working(bench.worker()):
        await bench.advance(10)
        (bench.store.runs.pause if ask == "pause" else bench.store.runs.cancel)(run, "ana")
        await bench.advance(15)
        assert len(tries) == 1
        if ask == "cancel":
            assert bench.store.runs.get(run).state is RunState.CANCELLED
            assert bench.jobs(run)[0].outcome is Outcome.CANCELLED
        else:
            assert bench.store.runs.get(run).state is RunState.PAUSED
            bench.store.runs.resume(run, "ana")
            await bench.advance(10)
            assert bench.store.runs.get(run).state is RunState.SUCCEEDED


async def test_what_changed_meanwhile_is_refused(bench: TwoStations) -> None:
    lose(bench, "S1", seconds=10)
    run = bench.submit(PATIENT, WAVES[:1], windows=())
    async with bench.working(bench.worker()):
        await bench.advance(5)
        (change,) = [change for change in bench.made.changes if change.station == "S1"]
        bench.devices["S1"].foreign_edit(change.phases[0].edits[:1])
        await bench.advance(20)
    assert bench.jobs(run)[0].outcome is Outcome.REFUSED


async def test_it_outlives_its_workers(bench: TwoStations) -> None:
    lose(bench, "S1", seconds=14)
    run = bench.submit(PATIENT, WAVES[:1], windows=())
    frozen = FlakyStore(bench.store)
    async with bench.working(bench.worker(frozen, "frozen")):
        await bench.advance(5)
        frozen.thawed.clear()
        async with bench.working(bench.worker(name="living")):
            await bench.advance(20)
            frozen.thawed.set()
            await bench.advance(2)
        assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert len(bench.actions("job.finished")) == 1


async def test_a_unit_waits_for_who_was_away_and_is_changed_for_nothing_once(bench: TwoStations) -> None:
    """The other one is taken back, and begins after the one that was away is prepared."""
    tries = lose(bench, "S2", seconds=70)
    run = bench.submit(PATIENT.model_copy(update={"policy": Policy.UNIT, "patience": 75}), UNIT, windows=())
    async with bench.working(bench.worker()):
        await bench.advance(72)
        assert [(job.state, job.round) for job in bench.jobs(run)] == [(JobState.WAITING, 2)] * 2
        assert len(tries) == 2
        assert len(bench.devices["S1"].history) == 3
        await bench.advance(20)
    assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert len(bench.devices["S1"].history) == 4
    decisions = [one.choice for one in bench.store.gates.decisions([(run, 0)])]
    assert decisions == [GateChoice.POSTPONE, GateChoice.POSTPONE, GateChoice.CONFIRM]
    assert len(bench.actions("job.finished")) == 2


async def test_no_wave_waits_for_a_unit_that_is_tried_again(bench: TwoStations) -> None:
    lose(bench, "S1", seconds=10)
    run = bench.submit(PATIENT.model_copy(update={"policy": Policy.UNIT}), WAVES, windows=())
    async with bench.working(bench.worker()):
        await bench.advance(10)
        assert [job.outcome for job in bench.jobs(run)] == [None, Outcome.SUCCEEDED]
        assert bench.store.runs.get(run).wave == 1
        await bench.advance(15)
    assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert [one.wave for one in bench.store.gates.decisions([(run, 0), (run, 1)])] == [0, 1]


async def test_other_runs_need_not_wait_for_who_is_away(bench: TwoStations) -> None:
    """Also where they are decided together: the station is free for them while nobody tries it."""
    lose(bench, "S1", seconds=7)
    strategy = PATIENT.model_copy(update={"policy": Policy.WAVE})
    first = bench.submit(strategy, UNIT[:1], windows=())
    async with bench.working(bench.worker()):
        await bench.advance(8)
        second = bench.submit(strategy, UNIT, windows=())
        await bench.advance(6)
        assert [job.outcome for job in bench.jobs(second)] == [Outcome.SUCCEEDED] * 2
        await bench.advance(10)
        assert [job.outcome for job in bench.jobs(first)] == [Outcome.UNCHANGED]


async def test_a_postponed_wave_takes_along_who_was_away_before(bench: TwoStations) -> None:
    """Also where nobody has patience."""
    async with bench.working(bench.worker()):
        bench.clock.pause(34)
        tries = lose(bench, "S2", seconds=40)
        bench.devices["S1"].latency = 8.0
        run = bench.submit(TOGETHER, (NewJob(0, "S1"), NewJob(0, "S2")))
        await bench.advance(5)
        assert [job.outcome for job in bench.jobs(run)] == [None, Outcome.DEFERRED]
        await bench.advance(42)
        bench.devices["S1"].latency = 0.0
        await bench.advance(12)
        assert [(job.round, job.outcome) for job in bench.jobs(run)] == [(1, None)] * 2
        await bench.advance(12)
    assert bench.store.runs.get(run).state is RunState.SUCCEEDED
    assert len(tries) == 2
    assert bench.carried() == [True, True]


def late(bench: GroupBench, *stations: str, seconds: float) -> None:
    for name in stations:
        bench[name].unreachable = "no route"

    def back() -> None:
        for name in stations:
            bench[name].unreachable = ""

    bench.after(seconds, back)


def group_of(jobs: list[NewJob], policy: Policy, capabilities: dict[str, Capabilities] | None = None) -> GroupBench:
    asked = Strategy(policy=policy, check_timeout=1, confirm_timeout=60, canary=0, patience=15, stop_after=9)
    return GroupBench(jobs, asked, capabilities or {}, bound=True)


def ended(bench: GroupBench) -> str:
    return " ".join(f"{job.station}:{job.outcome}/{job.round}" for job in bench.store.runs.jobs(bench.run))


async def test_a_wave_is_confirmed_without_who_was_away_and_they_later_together() -> None:
    """The unit of one of them is cut from the wave, and follows with it."""
    bench = group_of([*unit("A"), *unit("B"), *unit("C", "D")], Policy.WAVE)
    late(bench, "B", "D", seconds=10)
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    jobs = {job.station: job for job in bench.store.runs.jobs(bench.run)}
    assert jobs["A"].round == 0
    assert jobs["B"].round == jobs["C"].round == jobs["D"].round > 0
    assert jobs["A"].finished is not None
    assert jobs["B"].started is not None
    assert jobs["A"].finished < jobs["B"].started
    found = [(one.unit, one.choice) for one in bench.store.gates.decisions([(bench.run, 0)]) if one.round == 0]
    assert found == [("", GateChoice.CONFIRM), ("C", GateChoice.POSTPONE)]
    bench.assert_settled()


async def test_who_follows_and_fails_leaves_its_wave_as_it_was_decided() -> None:
    bench = group_of([*unit("A"), *unit("B"), *unit("C")], Policy.WAVE)
    late(bench, "B", "C", seconds=10)
    bench.break_links("B")
    await bench.work()
    outcomes = bench.outcomes()
    assert (outcomes["A"], outcomes["B"]) == (Outcome.SUCCEEDED, Outcome.ROLLED_BACK)
    assert outcomes["C"] in (Outcome.SUCCEEDED, Outcome.WITHDRAWN)
    assert bench.state() is RunState.PARTIAL
    bench.assert_settled()


@pytest.mark.parametrize("policy", [Policy.WAVE, Policy.UNIT])
async def test_of_what_was_cancelled_nobody_is_tried_again(policy: Policy) -> None:
    bench = group_of(unit("A", "B", "C"), policy)
    late(bench, "B", seconds=10)
    bench.break_links("C")
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.WITHDRAWN, "C": Outcome.ROLLED_BACK}
    assert len(bench["B"].history) == 1
    bench.assert_settled()


@pytest.mark.parametrize("policy", list(Policy))
async def test_ranks_keep_their_order(policy: Policy) -> None:
    """A router that was away is prepared before its station, and one that can't revert by itself goes last."""
    bench = group_of(unit("R", "S", ranks=[0, 1]), policy)
    late(bench, "R", seconds=10)
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    first, second = bench.store.runs.jobs(bench.run)
    assert first.started is not None
    assert second.started is not None
    assert first.started < second.started
    assert len(bench["S"].history) == 2
    bench.assert_settled()


@pytest.mark.parametrize("policy", [Policy.WAVE, Policy.UNIT])
async def test_who_can_not_revert_goes_last_also_where_it_was_away(policy: Policy) -> None:
    bench = group_of(unit("A", "B", "C"), policy, {"B": UNSAFE})
    late(bench, "B", "C", seconds=10)
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED, ended(bench)
    assert len(bench["B"].history) == 2
    bench.assert_settled()


@pytest.mark.parametrize("policy", list(Policy))
async def test_its_worker_dies_at_any_call(policy: Policy) -> None:
    """While one is away, is put back, and comes again."""
    jobs = unit("A", "B")
    whole = group_of(jobs, policy)
    late(whole, "B", seconds=10)
    life = Mortal()
    assert await whole.shift(life)
    for at in range(3, len(life.calls), 23):
        bench = group_of(jobs, policy)
        late(bench, "B", seconds=10)
        await bench.work(Mortal(at=at, after=at % 2 == 0), pause=10)
        assert bench.state() is RunState.SUCCEEDED, (at, ended(bench))
        bench.assert_settled()


@pytest.mark.parametrize(
    ("failed", "late"),
    [
        (range(5, 420, 60), False),
        ([*range(5, 420, 60), 421], True),
        ([600], False),
        ([600, *range(620, 720, 20)], False),
        ([600, *range(620, 730, 20), 721], True),
        ([250, 600, 900], False),
        ([200, 400, 600, 800], True),
    ],
    ids=[
        "since its beginning",
        "since its beginning, for too long",
        "once after long work",
        "after long work",
        "after long work, for too long",
        "again after it answered",
        "again and again",
    ],
)
def test_a_device_is_given_up_once_it_did_not_answer_for_long_enough(failed: Iterable[float], late: bool) -> None:
    trouble = Trouble(Patience(), 0.0, 300.0)
    assert [trouble.lasts(moment) for moment in failed][-1] is late
