"""Windows that close and freezes that are put while a job waits between two steps: no new outage begins then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from controller.models.approval import Freeze
from controller.models.people import Role
from controller.models.run import Outcome, RunState
from controller.ports.queue import FakeWakeups
from controller.runs.approval.clearance import reassess
from controller.runs.rollout.group_decisions import ROUNDS
from tests.support.callers import admit
from tests.unit.playbook.test_holds_between_steps import OTHER
from tests.unit.playbook.test_takeover import LOCK, PlaybookBench, Rests
from tests.unit.playbook.test_undoing import UNLOCK
from tests.unit.playbook.test_waiting import ASK, to_the_end
from tests.unit.runs.group_bench import Mortal
from tests.unit.runs.transaction_bench import STATION

#: One is open now and closes in 900 s, the next one opens an hour later.
WINDOWS = ((-3600.0, 900.0), (4500.0, 8100.0))
#: The question is answered in time, but after the window.
LATE = 950.0
#: Longer than the rest of the first window, and shorter than until the next one.
SOON = 3700.0


async def asked(steps: str, opens: Sequence[tuple[float, float]] = WINDOWS, late: float = LATE) -> PlaybookBench:
    """A job that began in time, and whose question was answered ``late`` seconds after that."""
    bench = PlaybookBench(steps, opens=opens, bound=True)
    begun = bench.clock.now()
    with pytest.raises(Rests, match="waits for an answer"):
        await bench.work()
    if late:
        bench.clock.pause(late - (bench.clock.now() - begun).total_seconds())
    bench.store.questions.answer(bench.run, "yes", actor="eva")
    return bench


async def given_back(bench: PlaybookBench, life: Mortal | None = None) -> None:
    """A process works until the job waits as one that has not begun."""
    assert await bench.group.shift(life or Mortal(), until=lambda: bench.job.started is None)


def freeze(bench: PlaybookBench, target: str, hours: float = 2) -> Freeze:
    now = bench.clock.now()
    made = bench.store.freezes.add(target, now, now + timedelta(hours=hours), "eva", "elections")
    reassess(bench.store, bench.clock, FakeWakeups())
    return made


async def test_a_step_that_interrupts_waits_for_the_next_window() -> None:
    bench = await asked(LOCK + UNLOCK + ASK + OTHER)
    for _ in range(3):
        with pytest.raises(Rests, match="window opens"):
            await bench.work()
        assert [row.name for row in bench.rows() if row.changed] == ["lock", "unlock"]
        bench.clock.pause(61)
    bench.clock.pause(SOON)
    job = await bench.work()
    bench.settled(job, Outcome.SUCCEEDED, "UNLOCKED")
    assert [row.name for row in bench.rows() if row.changed] == ["lock", "unlock", "other"]


async def test_a_step_that_interrupts_goes_on_in_the_window() -> None:
    bench = await asked(LOCK + UNLOCK + ASK + OTHER, late=0)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_step_that_interrupts_nobody_goes_on_after_the_window() -> None:
    bench = await asked(LOCK + ASK + UNLOCK)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_what_keeps_cells_off_the_air_is_taken_back_and_begins_again_in_the_next_window() -> None:
    bench = await asked(LOCK + ASK + OTHER + UNLOCK)
    assert bench.lock == "LOCKED"
    await given_back(bench)
    assert bench.lock == "UNLOCKED"
    assert bench.rows() == []
    assert "window opens" in bench.job.detail
    assert "until then, cell L1 may not stay off the air; what was done before was undone" in bench.job.detail
    assert "window opens" in bench.job.blocked
    assert not bench.store.claims.busy([STATION])
    bench.clock.pause(SOON)
    job = await to_the_end(bench)
    bench.settled(job, Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_job_that_never_comes_to_its_end_in_a_window_is_not_begun_for_ever() -> None:
    bench = PlaybookBench(LOCK + ASK + OTHER, bound=True)

    class Freezer(Mortal):
        """Somebody puts a freeze whenever the cell is locked."""

        def due(self, name: str) -> bool:
            if bench.rows() and bench.rows()[-1].changed and not bench.store.freezes.find(bench.clock.now()):
                freeze(bench, "network", hours=0.1)
            return super().due(name)

    for number in range(1, ROUNDS):
        await to_the_answer(bench, Freezer())
        await given_back(bench, Freezer())
        assert (bench.job.round, bench.lock) == (number, "UNLOCKED")
        bench.clock.pause(400)
    await to_the_answer(bench, Freezer())
    job = await bench.work(Freezer())
    assert job.detail.endswith(f"; what was done before was undone; it was begun {ROUNDS} times")
    bench.settled(job, Outcome.WITHDRAWN, "UNLOCKED")


async def to_the_answer(bench: PlaybookBench, life: Mortal) -> None:
    """Only in the first round does it wait for the answer."""
    if bench.job.round == 0:
        with pytest.raises(Rests, match="waits for an answer"):
            await bench.work(life)
        bench.store.questions.answer(bench.run, "yes", actor="eva")


@pytest.mark.parametrize("target", ["network", "region:r", "site:s"])
async def test_a_freeze_binds_a_step_that_interrupts(target: str) -> None:
    bench = await asked(LOCK + UNLOCK + ASK + OTHER, (), late=0)
    made = freeze(bench, target)
    for _ in range(2):
        with pytest.raises(Rests, match=f"freeze of {target} until .*: elections"):
            await bench.work()
        bench.clock.pause(61)
    bench.store.freezes.end(made.id, "eva")
    bench.clock.pause(61)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_freeze_keeps_no_cell_off_the_air_and_stops_no_unlock() -> None:
    bench = await asked(LOCK + ASK + UNLOCK, (), late=0)
    freeze(bench, "network")
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")
    bench = await asked(LOCK + ASK + OTHER + UNLOCK, (), late=0)
    freeze(bench, "network", hours=1)
    await given_back(bench)
    assert (bench.lock, bench.rows()) == ("UNLOCKED", [])
    bench.clock.pause(3700)
    bench.settled(await to_the_end(bench), Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_freeze_elsewhere_keeps_nobody() -> None:
    bench = await asked(LOCK + UNLOCK + ASK + OTHER, (), late=0)
    freeze(bench, "region:elsewhere")
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_an_override_lets_a_step_begin_outside_of_the_window() -> None:
    bench = await asked(LOCK + UNLOCK + ASK + OTHER)
    admit(bench.store, "t", "eva", Role.APPROVER)
    with pytest.raises(Rests, match="window opens"):
        await bench.work()
    bench.store.approvals.override(bench.run, "eva", "INC-7")
    bench.clock.pause(61)
    bench.settled(await bench.work(), Outcome.SUCCEEDED, "UNLOCKED")


async def test_a_cancel_ends_the_wait_for_the_next_window_at_once() -> None:
    bench = await asked(LOCK + UNLOCK + ASK + OTHER)
    with pytest.raises(Rests, match="window opens"):
        await bench.work()
    bench.store.runs.cancel(bench.run, "eva")
    before = bench.clock.now()
    job = await bench.work()
    assert bench.clock.now() - before < timedelta(seconds=60)
    assert "step 'other': cancelled by a person" in job.detail
    bench.settled(job, Outcome.WITHDRAWN, "UNLOCKED")
    await bench.group.shift(Mortal())
    assert bench.group.state() is RunState.CANCELLED


async def test_a_job_that_has_changed_nothing_waits_as_one_that_has_not_begun() -> None:
    bench = await asked(ASK + LOCK)
    await given_back(bench)
    assert not bench.store.claims.busy([STATION])
    assert bench.lock == "UNLOCKED"
    bench.clock.pause(SOON)
    bench.settled(await to_the_end(bench), Outcome.SUCCEEDED, "LOCKED")
