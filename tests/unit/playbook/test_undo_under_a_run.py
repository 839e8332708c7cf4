"""An undo of a run while another one works on the same device: it names that run, and plans nothing there."""

from __future__ import annotations

import pytest

from controller.models.errors import PlanRefusedError
from controller.models.run import Outcome
from controller.runs.planning.planner import Planner
from controller.runs.planning.undo import undo_plan
from tests.unit.playbook.test_takeover import LOCK, PlaybookBench, Rests
from tests.unit.playbook.test_undoing import UNLOCK
from tests.unit.playbook.test_waiting import ASK
from tests.unit.runs.transaction_bench import STATION, TARGET, InstantStore


async def test_an_undo_waits_for_the_run_that_has_changed_the_device() -> None:
    bench = PlaybookBench(UNLOCK + LOCK + ASK)
    planner = Planner(InstantStore(bench.store), bench.group.devices, bench.clock, lambda *_: TARGET)
    for last in (False, True):
        with pytest.raises(Rests, match="waits for an answer"):
            await bench.work()
        if not last:
            bench.store.questions.answer(bench.run, "yes", actor="eva")
            assert (await bench.work()).outcome is Outcome.SUCCEEDED
            first = bench.run
            bench.group.again()
    with pytest.raises(PlanRefusedError) as refused:
        await undo_plan(planner, first, {}, "ana")
    assert refused.value.message == (
        f"nothing of run {first} can be undone: {STATION}: run {bench.run} is under way there and has changed it "
        "(waits for an answer: Go on?): undo again once that has ended"
    )
    bench.store.questions.answer(bench.run, "no", actor="eva")
    assert (await bench.work()).outcome is Outcome.ROLLED_BACK
    plan = await undo_plan(planner, first, {}, "ana")
    assert [change.station for change in plan.changes] == [STATION]


async def test_a_run_that_has_changed_nothing_there_yet_keeps_no_undo() -> None:
    bench = PlaybookBench(ASK + LOCK)
    planner = Planner(InstantStore(bench.store), bench.group.devices, bench.clock, lambda *_: TARGET)
    with pytest.raises(Rests, match="waits for an answer"):
        await bench.work()
    bench.store.questions.answer(bench.run, "yes", actor="eva")
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    first = bench.run
    bench.group.again()
    with pytest.raises(Rests, match="waits for an answer"):
        await bench.work()
    assert bench.store.claims.busy([STATION])
    plan = await undo_plan(planner, first, {}, "ana")
    assert [change.station for change in plan.changes] == [STATION]
