"""Who locked a cell, asked at each moment of a run: no lock of ours is told as somebody else's."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from controller.models.plan import Edit, Op
from controller.models.run import PERSON, RunState
from controller.nrm.profiles import administrative_state, cells
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.planning.restore import restore_plan
from controller.store import EVER, NewJob, Transition
from controller.store.lock_holders import lock_holders
from tests.unit.playbook.test_takeover import APPLY, FAIL, LOCK, LOOK, PlaybookBench, Rests
from tests.unit.playbook.test_waiting import ASK
from tests.unit.runs.group_bench import REASON, GroupBench, Mortal
from tests.unit.runs.transaction_bench import QUICK, STATION, TARGET, InstantStore, Killed, retune

SHUT = "  - {name: shut, action: soft-lock-cell, with: {cells: ['L1']}}\n"
UNLOCK = "  - {name: open, action: unlock-cell, with: {cells: ['L1']}}\n"


class Watching(Mortal):
    """A process at each call of which somebody asks who locked the cell."""

    def watch(self, bench: GroupBench) -> Watching:
        self.bench, self.said = bench, list[str]()
        return self

    def due(self, name: str) -> bool:
        self.said += _asked(self.bench)
        return super().due(name)


def _asked(bench: GroupBench) -> list[str]:
    """The answer about the cell where it is not unlocked: one, or an empty one."""
    running = bench[STATION].running
    path = next(entry.path for entry in cells(running) if entry.cell == "L1")
    if administrative_state(running, path) == "UNLOCKED":
        return []
    holder = lock_holders(bench.store, STATION, EVER, cells=["L1"]).get("L1")
    return ["" if holder is None else holder.words]


@pytest.mark.parametrize(
    ("steps", "asked"),
    [
        pytest.param(LOCK + LOOK + UNLOCK, 8, id="locked and unlocked"),
        pytest.param(LOCK + FAIL, 8, id="undone"),
        pytest.param(SHUT + LOOK + FAIL, 8, id="shut down"),
        pytest.param(APPLY, 2, id="a change of a plan on a locked cell"),
    ],
)
async def test_a_lock_of_a_run_under_way_is_its_own_at_each_moment(steps: str, asked: int) -> None:
    bench = PlaybookBench(steps)
    life = Watching().watch(bench.group)
    await bench.work(life)
    assert len(life.said) > asked
    assert set(life.said) <= {f"ana locked cell L1 by run {bench.run} (own), which is under way (running)"}


async def test_so_is_that_of_a_plan_that_is_applied() -> None:
    bench = GroupBench([NewJob(0, STATION)], QUICK, scenario=retune())
    life = Watching().watch(bench)
    assert await bench.shift(life)
    assert life.said
    assert set(life.said) == {f"ana locked cell L1 by run {bench.run} (apply), which is under way (running)"}


async def test_and_of_a_run_whose_worker_was_killed_until_another_one_ends_it() -> None:
    calls = Mortal()
    await PlaybookBench(LOCK + FAIL).work(calls)
    seen = set()
    for at in range(1, len(calls.calls)):
        bench = PlaybookBench(LOCK + FAIL)
        with suppress(Killed):
            await bench.work(Mortal(at=at))
        said = _asked(bench.group)
        assert not said or f"ana locked cell L1 by run {bench.run} (own), which is under way (running" in said[0], at
        seen |= {bool(said)}
    assert seen == {True, False}


async def test_who_locked_a_cell_is_told_as_data_with_the_reason_and_the_time() -> None:
    bench = PlaybookBench(LOCK + ASK)
    began = bench.clock.now()
    with pytest.raises(Rests):
        await bench.work()
    holder = lock_holders(bench.store, STATION, EVER, cells=["L1"])["L1"]
    assert (holder.name, holder.run, holder.procedure) == ("cell L1", bench.run, "own")
    assert (holder.requested_by, holder.cause, holder.reason) == ("ana", PERSON, REASON)
    assert (holder.outcome, holder.waits) == (None, "waits for an answer: Go on?")
    assert holder.at is not None
    assert began <= holder.at <= bench.clock.now()
    plain = PlaybookBench(LOCK)
    result = await plain.work()
    (job,) = plain.store.runs.ended_jobs([STATION], EVER)
    holder = lock_holders(plain.store, STATION, EVER, cells=["L1"])["L1"]
    assert (holder.reason, holder.at, holder.outcome) == (REASON, job.finished, result.outcome)


async def test_a_run_that_waits_says_for_what_and_one_that_is_cancelled_says_so() -> None:
    bench = PlaybookBench(LOCK + ASK)
    with pytest.raises(Rests):
        await bench.work()
    head = f"ana locked cell L1 by run {bench.run} (own), which is under way"
    assert _asked(bench.group) == [f"{head} (running: waits for an answer: Go on?)"]
    bench.store.runs.advance(bench.run, lambda *_: Transition(RunState.CANCELLING))
    assert _asked(bench.group)[0].startswith(f"{head} (cancelling: ")


async def test_a_repair_and_an_unlock_name_the_run_and_nobody_who_did_nothing() -> None:
    bench = PlaybookBench(LOCK + ASK)
    with pytest.raises(Rests):
        await bench.work()
    services: Any = bench.group.devices
    planner = Planner(InstantStore(bench.store), services, bench.clock, lambda *_: TARGET)
    plan = await restore_plan(planner, PlanRequest(STATION), "ben")
    assert f"by run {bench.run} (own), which is under way" in plan.unplanned[STATION]
    (finding,) = [one for one in plan.findings if one.cell == "L1"]
    assert (finding.code, bench.run in finding.message) == ("locked-by-run", True)


async def test_a_run_that_has_sent_nothing_yet_holds_nothing() -> None:
    bench = PlaybookBench(LOCK)

    def locked_by_others() -> None:
        path = next(entry.path for entry in cells(bench.device.running) if entry.cell == "L1")
        bench.device.foreign_edit(
            [Edit(op=Op.MERGE, path=path, after={"administrativeState": "LOCKED"}, owners=("host",))]
        )

    locked_by_others()
    life = Watching().watch(bench.group)
    result = await bench.work(life)
    assert result.outcome is not None
    assert result.outcome.good
    assert set(life.said) == {""}
