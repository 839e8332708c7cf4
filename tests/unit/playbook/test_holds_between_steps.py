"""Holds that are put while a job is under way: nothing is written at the device, and the job waits for the lift."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from controller.models.run import Hold, JournalStep, Outcome, RunState
from controller.models.step import StepState
from tests.unit.playbook.test_groups import group_of, locks
from tests.unit.playbook.test_operations import RESTART
from tests.unit.playbook.test_takeover import FAIL, LOCK, LOOK, PlaybookBench, Rests
from tests.unit.playbook.test_undoing import UNLOCK
from tests.unit.playbook.test_waiting import ASK, ILL
from tests.unit.runs.group_bench import Mortal, kills
from tests.unit.runs.transaction_bench import STATION, Killed

OTHER = "  - {name: other, action: lock-cell, with: {cells: ['N1']}}\n"
BY_ACTION = LOCK.replace("register: locked", "undo: {action: unlock-cell, with: {cells: ['L1']}}")
WORDS = f"hold on {STATION} by rosa: on the mast"
OFF = f"{WORDS}; what the run locked stays off the air until then: cell L1"


def hold(bench: PlaybookBench, target: str = STATION, minutes: float = 0) -> Hold:
    until = bench.clock.now() + timedelta(minutes=minutes) if minutes else None
    return bench.store.holds.add(target, "rosa", "on the mast", until)


def climb(bench: PlaybookBench) -> None:
    """A person climbs the mast, unless one did before."""
    if not bench.store.holds.find(bench.clock.now()):
        hold(bench)


def lift(bench: PlaybookBench, one: Hold) -> None:
    bench.store.holds.end(one.id, "rosa")
    bench.clock.pause(61)


async def asked(steps: str) -> PlaybookBench:
    """A job that has got as far as its question, which is answered."""
    bench = PlaybookBench(steps)
    with pytest.raises(Rests, match="waits for an answer"):
        await bench.work()
    bench.store.questions.answer(bench.run, "yes", actor="eva")
    return bench


async def stays(bench: PlaybookBench, words: str) -> None:
    """Whoever looks again and again, nothing is asked of the device while the hold stands."""
    before = dict(bench.device.running)
    for _ in range(3):
        written = len(bench.device.history)
        with pytest.raises(Rests) as rests:
            await bench.work()
        assert words in str(rests.value)
        assert len(bench.device.history) == written
        assert bench.device.running == before
        assert not bench.device.pending
        bench.clock.pause(61)


@pytest.mark.parametrize("target", [STATION, f"{STATION}/L1", "site:site-1"])
async def test_a_step_waits_for_the_lift_and_the_job_goes_on(target: str) -> None:
    bench = await asked(LOCK + ASK + OTHER + UNLOCK)
    one = hold(bench, target)
    await stays(bench, OFF.replace(STATION, target))
    assert bench.lock == "LOCKED"
    lift(bench, one)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_hold_ends_by_itself_at_its_time() -> None:
    bench = await asked(LOCK + ASK + UNLOCK)
    hold(bench, minutes=0.5)
    with pytest.raises(Rests, match="on the mast") as rests:
        await bench.work()
    assert rests.value.until <= bench.clock.now() + timedelta(seconds=30)
    bench.clock.pause(31)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_hold_elsewhere_keeps_nobody() -> None:
    bench = await asked(LOCK + ASK + UNLOCK)
    hold(bench, "site:site-2")
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_what_only_reads_or_asks_goes_on_under_a_hold() -> None:
    bench = PlaybookBench(LOCK + LOOK + ASK + LOOK.replace("look", "again") + UNLOCK)
    with pytest.raises(Rests, match="waits for an answer"):
        await bench.work()
    hold(bench)
    bench.store.questions.answer(bench.run, "yes", actor="eva")
    await stays(bench, OFF)
    assert [row.name for row in bench.rows()] == ["lock", "look", "ask", "again"]


async def test_a_hold_that_comes_before_the_first_edit_keeps_the_device_as_it_is() -> None:
    """The step is planned and its session is open: its first row finds the hold."""
    bench = await asked(LOCK + ASK + OTHER + UNLOCK)
    put: list[Hold] = []

    def climb() -> None:
        if not put:
            put.append(hold(bench))

    bench.act("discard", climb)
    await stays(bench, "hold on")
    (row,) = [row for row in bench.rows() if row.name == "other"]
    assert row.state is StepState.STARTED
    sent = {one.step for one in bench.journal() if one.transaction.endswith(f".{row.transaction}")}
    assert sent <= {JournalStep.OPENED, JournalStep.LOCKED}
    lift(bench, put[0])
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_step_that_was_sent_is_brought_to_its_end() -> None:
    bench = await asked(LOCK + ASK + OTHER + UNLOCK)
    put: list[Hold] = []
    bench.act("commit_confirmed", lambda: put.append(hold(bench)))
    with pytest.raises(Rests, match="on the mast"):
        await bench.work()
    await stays(bench, f"{OFF}, cell N1")
    assert {row.name: row.state for row in bench.rows()}["other"] is StepState.DONE
    lift(bench, put[0])
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


@pytest.mark.parametrize("steps", [LOCK + FAIL, BY_ACTION + FAIL, LOCK + UNLOCK + LOOK + FAIL, BY_ACTION + LOOK + ILL])
async def test_what_failed_is_taken_back_after_the_lift(steps: str) -> None:
    bench = PlaybookBench(steps)
    put: list[Hold] = []

    class Climber(Mortal):
        """Somebody climbs the mast once all is done that the run does before it fails."""

        def due(self, name: str) -> bool:
            done = {row.name for row in bench.rows() if row.state is StepState.DONE}
            if not put and done >= ({"lock", "look"} if LOOK in steps else {"lock"}):
                put.append(hold(bench))
            return super().due(name)

    if ILL in steps:
        with pytest.raises(Rests, match="soaks"):
            await bench.work(Climber())
        bench.clock.pause(101)
    with pytest.raises(Rests, match="is not undone yet: hold on"):
        await bench.work(Climber())
    before = bench.lock
    await stays(bench, "is not undone yet: hold on")
    assert bench.lock == before
    lift(bench, put[0])
    bench.settled(await bench.work(), Outcome.ROLLED_BACK, "UNLOCKED")


async def test_a_hold_that_comes_before_the_first_edit_of_an_undo_keeps_the_device_as_it_is() -> None:
    bench = PlaybookBench(LOCK + FAIL)
    put: list[Hold] = []

    class Climber(Mortal):
        """Somebody climbs the mast once the undo is planned."""

        def due(self, name: str) -> bool:
            if not put and any(row.undo for row in bench.rows()):
                put.append(hold(bench))
            return super().due(name)

    with pytest.raises(Rests, match="is not undone yet: "):
        await bench.work(Climber())
    await stays(bench, "is not undone yet: ")
    assert bench.lock == "LOCKED"
    lift(bench, put[0])
    bench.settled(await bench.work(), Outcome.ROLLED_BACK, "UNLOCKED")


async def test_a_cancel_ends_the_wait_at_once_where_nothing_is_to_be_taken_back() -> None:
    """Its first step changed something for good, that nothing takes back."""
    bench = await asked(RESTART + ASK + LOCK)
    hold(bench)
    with pytest.raises(Rests, match="on the mast"):
        await bench.work()
    bench.store.runs.cancel(bench.run, "eva")
    before = bench.clock.now()
    job = await bench.work()
    assert bench.clock.now() - before < timedelta(seconds=60)
    took = "this took place and is not taken back: reset (step 'restart')"
    assert job.detail == f"step 'lock': cancelled by a person; {took}"
    bench.settled(job, Outcome.WITHDRAWN, "UNLOCKED")


async def test_a_cancel_under_a_hold_begins_nothing_and_takes_back_after_the_lift() -> None:
    bench = await asked(LOCK + ASK + OTHER + UNLOCK)
    one = hold(bench)
    with pytest.raises(Rests, match="on the mast"):
        await bench.work()
    bench.store.runs.cancel(bench.run, "eva")
    await stays(bench, f"step 'other': cancelled by a person; step 'lock' is not undone yet: {OFF}")
    assert bench.store.runs.get(bench.run).state is RunState.CANCELLING
    lift(bench, one)
    bench.settled(await bench.work(), Outcome.WITHDRAWN, "UNLOCKED")
    assert [row.name for row in bench.rows() if row.changed and not row.undo] == ["lock"]
    await bench.group.shift(Mortal())
    assert bench.group.state() is RunState.CANCELLED


async def test_a_worker_that_dies_where_a_hold_comes_before_the_first_edit_leaves_all_as_it_is() -> None:
    async def play(life: Mortal) -> PlaybookBench:
        bench = await asked(LOCK + ASK + OTHER)
        bench.act("discard", lambda: climb(bench))
        with suppress(Killed, Rests):
            await bench.work(life)
        return bench

    played = await kills(play)
    for death in played:
        bench = await play(death)
        bench.clock.pause(61)
        climb(bench)
        (one,) = bench.store.holds.find(bench.clock.now())
        with pytest.raises(Rests, match="on the mast"):
            await bench.work()
        assert bench.lock == "LOCKED"
        assert not [row.name for row in bench.rows() if row.name == "other" and row.state is not StepState.STARTED]
        lift(bench, one)
        bench.device.faults.clear()  # the climber is down
        bench.settled(await bench.work(), Outcome.SUCCEEDED, "LOCKED")
    assert len(played) > 3


async def test_a_worker_that_dies_in_an_undo_after_the_lift_ends_as_one_that_lives() -> None:
    async def play(life: Mortal) -> PlaybookBench:
        bench = PlaybookBench(LOCK + ASK)
        with pytest.raises(Rests):
            await bench.work()
        bench.store.questions.answer(bench.run, "no", actor="eva")
        one = hold(bench)
        with pytest.raises(Rests, match="is not undone yet"):
            await bench.work()
        lift(bench, one)
        with suppress(Killed):
            await bench.work(life)
        return bench

    played = await kills(play)
    for death in played:
        bench = await play(death)
        ended = bench.job if bench.job.outcome is not None else await bench.work()
        bench.settled(ended, Outcome.ROLLED_BACK, "UNLOCKED")
    assert len(played) > 5


async def test_a_group_is_taken_back_whole_and_a_member_under_a_hold_after_the_lift() -> None:
    bench = group_of(LOCK.replace(", register: locked", "") + OTHER)
    put: list[Hold] = []

    class Climber(Mortal):
        """Somebody climbs a mast between two steps of the wave."""

        def due(self, name: str) -> bool:
            if not put and any(row.name == "lock" and row.changed for row in bench.store.steps.find(bench.job("A").id)):
                put.append(bench.store.holds.add("A", "rosa", "on the mast", None))
            return super().due(name)

    def waits() -> bool:
        return bench.job("B").outcome is not None and "is not undone yet: hold on A" in bench.job("A").detail

    assert await bench.shift(Climber(), until=waits)
    assert bench.job("B").outcome is Outcome.WITHDRAWN
    assert bench.job("A").outcome is None
    assert not bench["A"].pending
    bench.store.holds.end(put[0].id, "rosa")
    await bench.work()
    assert bench.outcomes() == {"A": Outcome.WITHDRAWN, "B": Outcome.WITHDRAWN}
    assert locks(bench) == {"A": "UNLOCKED", "B": "UNLOCKED"}
