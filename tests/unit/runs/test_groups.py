"""Groups of stations at gates: all of them change or none, whatever goes wrong and whoever dies."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from controller.models.alarm import AlarmState
from controller.models.run import GateChoice, Outcome, Policy, RunState, Strategy
from controller.ports.fake_devices import Fault, Wrong
from controller.ports.store import NewJob
from controller.runs.rollout.group_decisions import LAST
from tests.support.soak import SOAK
from tests.unit.runs.crew import Crew, Mortal, unit
from tests.unit.runs.transaction_bench import UNSAFE

WAVE = Strategy(policy=Policy.WAVE, check_timeout=1, confirm_timeout=60, canary=0)
UNIT = WAVE.model_copy(update={"policy": Policy.UNIT})


def decisions(crew: Crew) -> list[tuple[str, GateChoice]]:
    return [(one.unit, one.choice) for one in crew.store.gates.decisions([(crew.run, 0)])]


async def test_a_wave_is_confirmed_together() -> None:
    crew = Crew([*unit("A"), *unit("B"), *unit("C")], WAVE)
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    assert decisions(crew) == [("", GateChoice.CONFIRM)]
    crew.assert_settled()


@pytest.mark.parametrize("policy", [WAVE, UNIT])
async def test_one_that_fails_takes_all_back(policy: Strategy) -> None:
    crew = Crew(unit("A", "B", "C"), policy)
    crew.break_links("B")
    await crew.work()
    assert crew.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.ROLLED_BACK, "C": Outcome.WITHDRAWN}
    assert crew.job("A").detail == "B ended rolled-back"
    assert crew.state() is RunState.FAILED
    crew.assert_settled()


async def test_units_stand_for_themselves() -> None:
    crew = Crew([*unit("A", "B"), *unit("C", "D")], UNIT.model_copy(update={"stop_after": 2}))
    crew.break_links("B")
    await crew.work()
    assert [crew.outcomes()[name] for name in "ABCD"] == [
        Outcome.WITHDRAWN, Outcome.ROLLED_BACK, Outcome.SUCCEEDED, Outcome.SUCCEEDED,
    ]  # fmt: skip
    crew.assert_settled()


async def test_one_that_is_away_keeps_no_wave_from_it() -> None:
    crew = Crew([*unit("A"), *unit("B"), *unit("C", "D")], WAVE)
    crew["B"].unreachable = crew["D"].unreachable = "no route"
    await crew.work()
    assert [crew.outcomes()[name] for name in "ABCD"] == [
        Outcome.SUCCEEDED, Outcome.DEFERRED, Outcome.WITHDRAWN, Outcome.DEFERRED,
    ]  # fmt: skip
    assert crew.state() is RunState.PARTIAL
    crew.assert_settled()


async def test_ranks_are_prepared_in_order_and_confirmed_together() -> None:
    crew = Crew(unit("R", "S", ranks=[0, 1]), UNIT, {"R": UNSAFE})
    order: list[str] = []
    for name in ("R", "S"):
        crew[name].faults.append(Fault("edit", act=lambda name=name: order.append(name)))  # type: ignore[misc]
    await crew.work()
    assert order == ["R", "S"]
    assert crew.state() is RunState.SUCCEEDED
    crew.assert_settled()


async def test_what_was_edited_first_is_taken_back_where_a_later_rank_fails() -> None:
    crew = Crew(unit("R", "S", ranks=[0, 1]), UNIT, {"R": UNSAFE})
    crew.break_links("S")
    await crew.work()
    assert crew.outcomes() == {"R": Outcome.WITHDRAWN, "S": Outcome.ROLLED_BACK}
    assert len(crew["R"].history) == 3  # there and back, by its stored inverse
    crew.assert_settled()


async def test_a_later_rank_never_begins_where_an_earlier_one_fails() -> None:
    for policy in (UNIT, WAVE, UNIT.model_copy(update={"policy": Policy.STATION})):
        crew = Crew(unit("R", "S", ranks=[0, 1]), policy.model_copy(update={"stop_after": 2}), {"R": UNSAFE})
        crew.break_links("R")
        await crew.work()
        assert crew.outcomes() == {"R": Outcome.ROLLED_BACK, "S": Outcome.WITHDRAWN}
        assert len(crew["S"].history) == 1
        crew.assert_settled()


async def test_one_that_reverts_after_the_decision_is_rolled_forward() -> None:
    crew = Crew([*unit("A"), *unit("B")], WAVE)
    crew["B"].faults.append(Fault("confirm", Wrong.DROP_BEFORE, act=crew["B"].reboot))
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    assert len(crew["B"].history) == 4  # changed, reverted, changed again
    crew.assert_settled()


async def test_one_whose_timer_is_faster_than_the_confirm_is_rolled_forward_in_the_same_session() -> None:
    """What it reverted still stands in its candidate: to create that once more would fail."""
    crew = Crew([*unit("A"), *unit("B")], WAVE)

    def expire() -> None:
        assert crew["B"]._pending is not None
        crew["B"]._pending.deadline = 0

    crew["B"].faults.append(Fault("confirm", act=expire))
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    assert len(crew["B"].history) == 4
    crew.assert_settled()


async def test_one_that_can_t_be_rolled_forward_diverges_and_people_are_told() -> None:
    crew = Crew([*unit("A"), *unit("B"), *[NewJob(1, "C", "C")]], WAVE)

    def fall_over() -> None:
        crew["B"].reboot()
        crew.break_links("B")

    crew["B"].faults.append(Fault("confirm", Wrong.DROP_BEFORE, act=fall_over))
    await crew.work()
    assert crew.outcomes() == {"A": Outcome.SUCCEEDED, "B": Outcome.DIVERGED, "C": Outcome.CANCELLED}
    assert crew.carried("B") == "old"
    assert crew.state() is RunState.DIVERGED
    (alarm,) = crew.store.alarms.standing(["B"])
    assert (alarm.probable_cause, alarm.state) == ("station-diverged", AlarmState.RAISED)
    assert crew.run in alarm.text
    assert "its wave was confirmed" in alarm.text
    crew.assert_settled()


async def test_people_are_told_no_more_when_a_later_run_ends_well_there() -> None:
    crew = Crew(unit("A"), WAVE)
    crew["A"].faults.append(Fault("confirm", Wrong.DROP_BEFORE, act=crew["A"].reboot))
    crew["A"].faults.append(Fault("edit", Wrong.REFUSE, skip=1))
    await crew.work()
    assert [alarm.station for alarm in crew.store.alarms.standing()] == ["A"]
    crew.again()
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    assert crew.store.alarms.standing() == []


async def test_a_cancel_before_the_decision_takes_all_back() -> None:
    crew = Crew([*unit("A"), *unit("B")], WAVE)
    crew["B"].latency = 5.0

    def cancel() -> None:
        crew.store.runs.cancel(crew.run, "ana")

    crew["B"].faults.append(Fault("commit_confirmed", act=cancel))
    await crew.work()
    assert crew.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.WITHDRAWN}
    assert crew.state() is RunState.CANCELLED
    crew.assert_settled()


async def test_what_nobody_decides_reverts_by_itself() -> None:
    """All processes are dead until after the timers."""
    at = (await _calls("wave")).index("confirm")
    crew = SCENARIOS["wave"]()
    assert not await crew.shift(Mortal(at - 8))
    assert crew["A"].pending
    assert not decisions(crew)
    crew.clock.pause(61)
    assert {crew.carried("A"), crew.carried("B")} == {"old"}
    await crew.work()
    crew.assert_settled()


SCENARIOS: dict[str, Callable[[], Crew]] = {
    "wave": lambda: Crew([*unit("A"), *unit("B")], WAVE),
    "wave-failing": lambda: _failing(Crew([*unit("A"), *unit("B")], WAVE)),
    "unit-ranked": lambda: Crew(unit("R", "S", ranks=[0, 1]), UNIT, {"R": UNSAFE}),
    "wave-postponed": lambda: _held(Crew(unit("A", "B", ranks=[0, 1]), WAVE, bound=True)),
    "unit-ranked-failing": lambda: _failing(Crew(unit("R", "B", ranks=[0, 1]), UNIT, {"R": UNSAFE})),
}


def _failing(crew: Crew) -> Crew:
    crew.break_links("B")
    return crew


def _held(crew: Crew) -> Crew:
    """Somebody is on the mast of B for a while, when A is under way."""
    holds: list[str] = []

    def put() -> None:
        holds.append(crew.store.holds.add("B", "ana", "on the mast", None).id)

    crew["A"].latency = 0.5
    crew.after(1.0, put)
    crew.after(6.0, lambda: crew.store.holds.end(holds.pop(), "ana"))
    return crew


async def test_a_wave_that_a_hold_postpones_is_begun_anew() -> None:
    crew = SCENARIOS["wave-postponed"]()
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    assert decisions(crew) == [("", GateChoice.POSTPONE), ("", GateChoice.CONFIRM)]
    assert len(crew["A"].history) == 4  # there, back, and there again
    assert len(crew["B"].history) == 2
    crew.assert_settled()


async def _calls(name: str) -> list[str]:
    crew, life = SCENARIOS[name](), Mortal()
    assert await crew.shift(life)
    crew.assert_settled()
    return life.calls


async def _interrupted(name: str, *deaths: Mortal, pause: float = 0.0) -> None:
    crew = SCENARIOS[name]()
    try:
        await crew.work(*deaths, pause=pause)
        crew.assert_settled()
        carried = {crew.carried(job.station) for job in crew.jobs}
        assert len(carried) == 1, carried
        assert Outcome.DIVERGED not in crew.outcomes().values()
        if name.endswith("failing"):
            assert carried == {"old"}
    except AssertionError as error:
        raise AssertionError(f"{deaths}: {error}; {crew.store.runs.jobs(crew.run)}") from error


def _moments(calls: list[str], chance: random.Random) -> list[int]:
    """Calls of devices and those next to them; of others, at which the record is only looked at, some by chance."""
    near = {at for at in range(1, len(calls) + 1) if set(calls[max(0, at - 2) : at + 1]) != {"record"}}
    return [at for at in range(1, len(calls) + 1) if SOAK or at in near or chance.random() < 0.3]


@pytest.mark.parametrize("name", ["wave", "unit-ranked-failing"])
async def test_killed_at_every_call(name: str) -> None:
    chance = random.Random(name)
    for at in _moments(await _calls(name), chance):
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
    crew = Crew(jobs, UNIT.model_copy(update={"parallel": 1}))

    def pause() -> None:
        crew.store.runs.pause(crew.run, "ana")

    crew["A"].faults.append(Fault("commit_confirmed", act=pause))
    await crew.work()
    assert crew.state() is RunState.PAUSED
    assert crew.outcomes() == {
        "A": Outcome.SUCCEEDED, "B": Outcome.SUCCEEDED, "C": None, "D": None, "E": None,
    }  # fmt: skip
    await crew.work()  # another process rests too
    assert crew.state() is RunState.PAUSED
    crew.store.runs.resume(crew.run, "ana")
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    crew.assert_settled()


async def test_a_pause_lets_a_wave_under_way_be_decided_and_begins_no_other() -> None:
    """It takes nothing back: people who want that cancel."""
    crew = Crew(
        [*unit("A"), *unit("B", "C", ranks=[0, 1]), NewJob(1, "D", "D")], WAVE.model_copy(update={"parallel": 1})
    )

    def pause() -> None:
        crew.store.runs.pause(crew.run, "ana")

    crew["A"].faults.append(Fault("commit_confirmed", act=pause))
    await crew.work()
    assert crew.state() is RunState.PAUSED
    assert decisions(crew) == [("", GateChoice.CONFIRM)]
    good = Outcome.SUCCEEDED
    assert crew.outcomes() == {"A": good, "B": good, "C": good, "D": None}
    crew.store.runs.resume(crew.run, "ana")
    await crew.work()
    assert crew.state() is RunState.SUCCEEDED
    crew.assert_settled()


async def test_a_pause_waits_no_longer_than_the_timer_of_the_group_under_way() -> None:
    crew = Crew([*unit("A"), *unit("B")], WAVE)
    crew["B"].latency = 15.0  # never verified in time

    def pause() -> None:
        crew.store.runs.pause(crew.run, "ana")

    crew["A"].faults.append(Fault("commit_confirmed", act=pause))
    begun = crew.clock.monotonic()
    await crew.work()
    (decided,) = crew.store.gates.decisions([(crew.run, 0)])
    assert decided.choice is GateChoice.CANCEL
    assert "timer of A leaves" in decided.reason
    assert crew.clock.monotonic() - begun < 60 + 10 * 15
    await crew.work()  # nothing is left to be held
    assert crew.state() is RunState.FAILED
    crew.assert_settled()


async def test_a_paused_run_can_be_cancelled() -> None:
    crew = Crew([*unit("A"), *unit("B")], UNIT)
    crew.store.runs.pause(crew.run, "ana")
    await crew.work()
    assert crew.state() is RunState.PAUSED
    crew.store.runs.cancel(crew.run, "ana")
    await crew.work()
    assert crew.state() is RunState.CANCELLED
    assert set(crew.outcomes().values()) == {Outcome.CANCELLED}
    crew.assert_settled()


@pytest.mark.parametrize("known", [True, False], ids=["known before", "found out"])
async def test_who_can_t_revert_by_itself_changes_last(known: bool) -> None:
    """All others are verified then, so that little can still go wrong."""
    jobs = [NewJob(0, "A", "A", LAST if known else 0), *unit("B"), *unit("C")]
    crew = Crew(jobs, WAVE, {"A": UNSAFE})
    seen: list[set[str]] = []

    def look() -> None:
        seen.append({job.station for job in crew.store.runs.jobs(crew.run) if job.gate is not None})

    crew["A"].faults.append(Fault("edit", act=look))
    await crew.work()
    assert seen == [{"B", "C"}]
    assert crew.job("A").rank == LAST
    assert crew.state() is RunState.SUCCEEDED
    crew.assert_settled()


async def test_who_can_t_revert_by_itself_is_not_touched_where_another_one_fails() -> None:
    crew = Crew([*unit("A"), *unit("B")], WAVE.model_copy(update={"stop_after": 2}), {"A": UNSAFE})
    crew.break_links("B")
    await crew.work()
    assert crew.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.ROLLED_BACK}
    assert len(crew["A"].history) == 1
    crew.assert_settled()
