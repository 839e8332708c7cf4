"""Groups of stations at gates: all of them change or none, whatever goes wrong and whoever dies."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from controller.drivers.fake import Fault, FaultKind
from controller.models.alarm import PAGE, AlarmState
from controller.models.run import GateChoice, Outcome, Policy, RunState, Strategy
from controller.runs.rollout.group_decisions import LAST
from controller.store import NewJob
from tests.support.soak import SOAK
from tests.unit.runs.group_bench import GroupBench, Mortal, moments, unit
from tests.unit.runs.transaction_bench import UNSAFE

WAVE = Strategy(policy=Policy.WAVE, check_timeout=1, confirm_timeout=60, canary=0)
UNIT = WAVE.model_copy(update={"policy": Policy.UNIT})


def decisions(bench: GroupBench) -> list[tuple[str, GateChoice]]:
    return [(one.unit, one.choice) for one in bench.store.gates.decisions([(bench.run, 0)])]


async def test_a_wave_is_confirmed_together() -> None:
    bench = GroupBench([*unit("A"), *unit("B"), *unit("C")], WAVE)
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert decisions(bench) == [("", GateChoice.CONFIRM)]
    bench.assert_settled()


@pytest.mark.parametrize("policy", [WAVE, UNIT])
async def test_one_that_fails_takes_all_back(policy: Strategy) -> None:
    bench = GroupBench(unit("A", "B", "C"), policy)
    bench.break_links("B")
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.ROLLED_BACK, "C": Outcome.WITHDRAWN}
    assert bench.job("A").detail == "B ended rolled-back"
    assert bench.state() is RunState.FAILED
    bench.assert_settled()


async def test_units_stand_for_themselves() -> None:
    bench = GroupBench([*unit("A", "B"), *unit("C", "D")], UNIT.model_copy(update={"stop_after": 2}))
    bench.break_links("B")
    await bench.work()
    assert [bench.outcomes()[name] for name in "ABCD"] == [
        Outcome.WITHDRAWN, Outcome.ROLLED_BACK, Outcome.SUCCEEDED, Outcome.SUCCEEDED,
    ]  # fmt: skip
    bench.assert_settled()


async def test_one_that_is_away_keeps_no_wave_from_it() -> None:
    bench = GroupBench([*unit("A"), *unit("B"), *unit("C", "D")], WAVE)
    bench["B"].unreachable = bench["D"].unreachable = "no route"
    await bench.work()
    assert [bench.outcomes()[name] for name in "ABCD"] == [
        Outcome.SUCCEEDED, Outcome.DEFERRED, Outcome.WITHDRAWN, Outcome.DEFERRED,
    ]  # fmt: skip
    assert bench.state() is RunState.PARTIAL
    bench.assert_settled()


async def test_ranks_are_prepared_in_order_and_confirmed_together() -> None:
    bench = GroupBench(unit("R", "S", ranks=[0, 1]), UNIT, {"R": UNSAFE})
    order: list[str] = []
    for name in ("R", "S"):
        bench[name].faults.append(Fault("edit", act=lambda name=name: order.append(name)))  # type: ignore[misc]
    await bench.work()
    assert order == ["R", "S"]
    assert bench.state() is RunState.SUCCEEDED
    bench.assert_settled()


async def test_what_was_edited_first_is_taken_back_where_a_later_rank_fails() -> None:
    bench = GroupBench(unit("R", "S", ranks=[0, 1]), UNIT, {"R": UNSAFE})
    bench.break_links("S")
    await bench.work()
    assert bench.outcomes() == {"R": Outcome.WITHDRAWN, "S": Outcome.ROLLED_BACK}
    assert len(bench["R"].history) == 3  # there and back, by its stored inverse
    bench.assert_settled()


async def test_a_later_rank_never_begins_where_an_earlier_one_fails() -> None:
    for policy in (UNIT, WAVE, UNIT.model_copy(update={"policy": Policy.STATION})):
        bench = GroupBench(unit("R", "S", ranks=[0, 1]), policy.model_copy(update={"stop_after": 2}), {"R": UNSAFE})
        bench.break_links("R")
        await bench.work()
        assert bench.outcomes() == {"R": Outcome.ROLLED_BACK, "S": Outcome.WITHDRAWN}
        assert len(bench["S"].history) == 1
        bench.assert_settled()


async def test_one_that_reverts_after_the_decision_is_rolled_forward() -> None:
    bench = GroupBench([*unit("A"), *unit("B")], WAVE)
    bench["B"].faults.append(Fault("confirm", FaultKind.DROP_BEFORE, act=bench["B"].reboot))
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert len(bench["B"].history) == 4  # changed, reverted, changed again
    bench.assert_settled()


async def test_one_whose_timer_is_faster_than_the_confirm_is_rolled_forward_in_the_same_session() -> None:
    """What it reverted still stands in its candidate: to create that once more would fail."""
    bench = GroupBench([*unit("A"), *unit("B")], WAVE)

    def expire() -> None:
        assert bench["B"]._pending is not None
        bench["B"]._pending.deadline = 0

    bench["B"].faults.append(Fault("confirm", act=expire))
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert len(bench["B"].history) == 4
    bench.assert_settled()


async def test_one_that_can_t_be_rolled_forward_diverges_and_people_are_notified() -> None:
    bench = GroupBench([*unit("A"), *unit("B"), *[NewJob(1, "C", "C")]], WAVE)

    def fall_over() -> None:
        bench["B"].reboot()
        bench.break_links("B")

    bench["B"].faults.append(Fault("confirm", FaultKind.DROP_BEFORE, act=fall_over))
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.SUCCEEDED, "B": Outcome.DIVERGED, "C": Outcome.CANCELLED}
    assert bench.carried("B") == "old"
    assert bench.state() is RunState.DIVERGED
    (alarm,) = bench.store.alarms.standing(["B"])
    assert (alarm.probable_cause, alarm.state) == ("station-diverged", AlarmState.ESCALATED)
    (call,) = bench.store.escalations.pending()
    assert (call.alarm, call.kind) == (alarm.id, PAGE)
    assert f"or all of the run: minka undo {bench.run}" in call.reason
    assert bench.run in alarm.text
    assert "its wave was confirmed" in alarm.text
    bench.assert_settled()


async def test_people_are_notified_no_more_when_a_later_run_ends_well_there() -> None:
    bench = GroupBench(unit("A"), WAVE)
    bench["A"].faults.append(Fault("confirm", FaultKind.DROP_BEFORE, act=bench["A"].reboot))
    bench["A"].faults.append(Fault("edit", FaultKind.REFUSE, skip=1))
    await bench.work()
    assert [alarm.station for alarm in bench.store.alarms.standing()] == ["A"]
    bench.again()
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert bench.store.alarms.standing() == []


async def test_a_cancel_before_the_decision_takes_all_back() -> None:
    bench = GroupBench([*unit("A"), *unit("B")], WAVE)
    bench["B"].latency = 5.0

    def cancel() -> None:
        bench.store.runs.cancel(bench.run, "ana")

    bench["B"].faults.append(Fault("commit_confirmed", act=cancel))
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.WITHDRAWN}
    assert bench.state() is RunState.CANCELLED
    bench.assert_settled()


async def test_what_nobody_decides_reverts_by_itself() -> None:
    """All processes are dead until after the timers."""
    at = (await _calls("wave")).index("confirm")
    bench = SCENARIOS["wave"]()
    assert not await bench.shift(Mortal(at - 8))
    assert bench["A"].pending
    assert not decisions(bench)
    bench.clock.pause(61)
    assert {bench.carried("A"), bench.carried("B")} == {"old"}
    await bench.work()
    bench.assert_settled()


SCENARIOS: dict[str, Callable[[], GroupBench]] = {
    "wave": lambda: GroupBench([*unit("A"), *unit("B")], WAVE),
    "wave-failing": lambda: _failing(GroupBench([*unit("A"), *unit("B")], WAVE)),
    "unit-ranked": lambda: GroupBench(unit("R", "S", ranks=[0, 1]), UNIT, {"R": UNSAFE}),
    "wave-postponed": lambda: _held(GroupBench(unit("A", "B", ranks=[0, 1]), WAVE, bound=True)),
    "unit-ranked-failing": lambda: _failing(GroupBench(unit("R", "B", ranks=[0, 1]), UNIT, {"R": UNSAFE})),
}


def _failing(bench: GroupBench) -> GroupBench:
    bench.break_links("B")
    return bench


def _held(bench: GroupBench) -> GroupBench:
    """Somebody is on the mast of B for a while, when A is under way."""
    holds: list[str] = []

    def put() -> None:
        holds.append(bench.store.holds.add("B", "ana", "on the mast", None).id)

    bench["A"].latency = 0.5
    bench.after(1.0, put)
    bench.after(6.0, lambda: bench.store.holds.end(holds.pop(), "ana"))
    return bench


async def test_a_wave_that_a_hold_postpones_is_begun_anew() -> None:
    bench = SCENARIOS["wave-postponed"]()
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    assert decisions(bench) == [("", GateChoice.POSTPONE), ("", GateChoice.CONFIRM)]
    assert len(bench["A"].history) == 4  # there, back, and there again
    assert len(bench["B"].history) == 2
    bench.assert_settled()


async def _calls(name: str) -> list[str]:
    bench, life = SCENARIOS[name](), Mortal()
    assert await bench.shift(life)
    bench.assert_settled()
    return life.calls


async def _interrupted(name: str, *deaths: Mortal, pause: float = 0.0) -> None:
    bench = SCENARIOS[name]()
    try:
        await bench.work(*deaths, pause=pause)
        bench.assert_settled()
        carried = {bench.carried(job.station) for job in bench.jobs}
        assert len(carried) == 1, carried
        assert Outcome.DIVERGED not in bench.outcomes().values()
        if name.endswith("failing"):
            assert carried == {"old"}
    except AssertionError as error:
        raise AssertionError(f"{deaths}: {error}; {bench.store.runs.jobs(bench.run)}") from error


@pytest.mark.parametrize("name", ["wave", "unit-ranked-failing"])
async def test_killed_at_every_call(name: str) -> None:
    chance = random.Random(name)
    for at in moments(await _calls(name), chance):
        await _interrupted(name, Mortal(at, chance.random() < 0.5, chance.random() < 0.5))


async def test_killed_at_many_calls_while_it_is_postponed() -> None:
    chance = random.Random(3)
    for at in range(1, len(await _calls("wave-postponed")) + 1, 1 if SOAK else 9):
        await _interrupted("wave-postponed", Mortal(at, chance.random() < 0.5, chance.random() < 0.5))


@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_twice_with_time_between(name: str) -> None:
    """Long enough for timers to run out, sometimes."""
    calls = len(await _calls(name))
    chance = random.Random(name)
    for _ in range(30 if SOAK else 5):
        deaths = [Mortal(chance.randint(1, calls), chance.random() < 0.5, chance.random() < 0.5) for _ in range(2)]
        await _interrupted(name, *deaths, pause=chance.choice([0, 20, 100]))


async def test_a_pause_lets_units_under_way_end_and_begins_no_other() -> None:
    jobs = [*unit("A", "B"), *unit("C", "D"), NewJob(1, "E", "E")]
    bench = GroupBench(jobs, UNIT.model_copy(update={"parallel": 1}))

    def pause() -> None:
        bench.store.runs.pause(bench.run, "ana")

    bench["A"].faults.append(Fault("commit_confirmed", act=pause))
    await bench.work()
    assert bench.state() is RunState.PAUSED
    assert bench.outcomes() == {
        "A": Outcome.SUCCEEDED, "B": Outcome.SUCCEEDED, "C": None, "D": None, "E": None,
    }  # fmt: skip
    await bench.work()  # another process rests too
    assert bench.state() is RunState.PAUSED
    bench.store.runs.resume(bench.run, "ana")
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    bench.assert_settled()


async def test_a_pause_lets_a_wave_under_way_be_decided_and_begins_no_other() -> None:
    """It takes nothing back: people who want that cancel."""
    bench = GroupBench(
        [*unit("A"), *unit("B", "C", ranks=[0, 1]), NewJob(1, "D", "D")], WAVE.model_copy(update={"parallel": 1})
    )

    def pause() -> None:
        bench.store.runs.pause(bench.run, "ana")

    bench["A"].faults.append(Fault("commit_confirmed", act=pause))
    await bench.work()
    assert bench.state() is RunState.PAUSED
    assert decisions(bench) == [("", GateChoice.CONFIRM)]
    good = Outcome.SUCCEEDED
    assert bench.outcomes() == {"A": good, "B": good, "C": good, "D": None}
    bench.store.runs.resume(bench.run, "ana")
    await bench.work()
    assert bench.state() is RunState.SUCCEEDED
    bench.assert_settled()


async def test_a_pause_waits_no_longer_than_the_timer_of_the_group_under_way() -> None:
    bench = GroupBench([*unit("A"), *unit("B")], WAVE)
    bench["B"].latency = 15.0  # never verified in time

    def pause() -> None:
        bench.store.runs.pause(bench.run, "ana")

    bench["A"].faults.append(Fault("commit_confirmed", act=pause))
    begun = bench.clock.monotonic()
    await bench.work()
    (decided,) = bench.store.gates.decisions([(bench.run, 0)])
    assert decided.choice is GateChoice.CANCEL
    assert "timer of A leaves" in decided.reason
    assert bench.clock.monotonic() - begun < 60 + 10 * 15
    await bench.work()  # nothing is left to be held
    assert bench.state() is RunState.FAILED
    bench.assert_settled()


async def test_a_paused_run_can_be_cancelled() -> None:
    bench = GroupBench([*unit("A"), *unit("B")], UNIT)
    bench.store.runs.pause(bench.run, "ana")
    await bench.work()
    assert bench.state() is RunState.PAUSED
    bench.store.runs.cancel(bench.run, "ana")
    await bench.work()
    assert bench.state() is RunState.CANCELLED
    assert set(bench.outcomes().values()) == {Outcome.CANCELLED}
    bench.assert_settled()


@pytest.mark.parametrize("known", [True, False], ids=["known before", "found out"])
async def test_who_can_t_revert_by_itself_changes_last(known: bool) -> None:
    """All others are verified then, so that little can still go wrong."""
    jobs = [NewJob(0, "A", "A", LAST if known else 0), *unit("B"), *unit("C")]
    bench = GroupBench(jobs, WAVE, {"A": UNSAFE})
    seen: list[set[str]] = []

    def look() -> None:
        seen.append({job.station for job in bench.store.runs.jobs(bench.run) if job.gate is not None})

    bench["A"].faults.append(Fault("edit", act=look))
    await bench.work()
    assert seen == [{"B", "C"}]
    assert bench.job("A").rank == LAST
    assert bench.state() is RunState.SUCCEEDED
    bench.assert_settled()


async def test_who_can_t_revert_by_itself_is_not_touched_where_another_one_fails() -> None:
    bench = GroupBench([*unit("A"), *unit("B")], WAVE.model_copy(update={"stop_after": 2}), {"A": UNSAFE})
    bench.break_links("B")
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.ROLLED_BACK}
    assert len(bench["A"].history) == 1
    bench.assert_settled()
