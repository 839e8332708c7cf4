"""What a step that fails leaves behind: what was done is undone, the last step first.

That nothing is undone under a hold stands in ``test_holds_between_steps``.
"""

from __future__ import annotations

from typing import Any

import pytest

from controller.drivers.fake import FaultKind
from controller.models.alarm import DIVERGED
from controller.models.network import Noun
from controller.models.run import Outcome
from controller.models.step import StepRecord, StepState
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import administrative_state, cell_of, cells, root_spec
from controller.nrm.tree import Observed
from controller.plan import StationView, left_locked
from controller.playbook.actions.shipped import registry
from controller.playbook.language.registry import Context, DeviceAccess, Registry, Repeat, action
from controller.runs.planning.undo import undo_station
from tests.unit.playbook.test_takeover import FAIL, LOCK, LOOK, PlaybookBench
from tests.unit.runs.group_bench import Mortal
from tests.unit.runs.transaction_bench import STATION, Killed

UNLOCK = "  - {name: unlock, action: unlock-cell, with: {cells: ['L1']}}\n"
ONCE = "  - {name: once, action: once, with: {}}\n"


def rows(bench: PlaybookBench) -> dict[tuple[str, bool], StepRecord]:
    found = bench.rows()
    return {(row.name, row.undo): row for row in found}


async def test_the_last_step_is_undone_first() -> None:
    # Locked and unlocked again: taken back in the other order, the lock's inverse would meet what came after it.
    bench = PlaybookBench(LOCK + UNLOCK + FAIL)
    result = await bench.work()
    bench.settled(result, Outcome.ROLLED_BACK, "UNLOCKED")
    undone = rows(bench)
    assert undone["unlock", True].changed
    assert undone["lock", True].changed
    first_ended = undone["unlock", True].finished
    assert first_ended is not None
    assert undone["lock", True].started >= first_ended


async def test_what_nobody_can_see_for_a_while_is_undone_afterwards() -> None:
    bench = PlaybookBench(LOCK + FAIL)

    class Away(Mortal):
        """Where the cell is does not answer once a step has failed, until it was asked some times."""

        def due(self, name: str) -> bool:
            found = rows(bench)
            failed, undone = found.get(("fail", False)), found.get(("lock", True))
            if failed is not None and failed.state is StepState.FAILED and undone is None:
                bench.device.dark["1"] = "it does not answer"
            elif undone is not None and undone.attempt > 3:
                bench.device.dark.clear()
            return super().due(name)

    result = await bench.work(Away())
    bench.settled(result, Outcome.ROLLED_BACK, "UNLOCKED")
    assert rows(bench)["lock", True].attempt > 3


async def test_a_check_that_cannot_be_evaluated_fails() -> None:
    bench = PlaybookBench("  - {name: look, action: read-state, checks: ['{{ target.station | int > 1 }}']}\n" + LOCK)
    result = await bench.work()
    bench.settled(result, Outcome.FAILED_SAFE, "UNLOCKED")
    assert "check failed" in result.detail


class Nothing(Noun):
    """No input, no output."""


async def test_an_interrupted_step_that_may_not_be_repeated_is_not_repeated() -> None:
    """Wherever its worker dies, the act happens once at the most; where it is not known, the step fails."""
    outcomes = set()
    for at in range(1, 80):
        acts: list[str] = []

        @action("once", DeviceAccess.NONE, repeat=Repeat.NEVER)
        async def once(context: Context, _given: Nothing, acts: Any = acts) -> Nothing:
            """Do what can't be asked for afterwards."""
            acts.append(context.station)
            return Nothing()

        bench = PlaybookBench(ONCE + LOOK, Registry({**registry().actions, "once": once}))
        try:
            await bench.work(Mortal(at))
        except Killed:
            result = await bench.work()
            outcomes.add((result.outcome, len(acts)))
            if result.outcome is Outcome.REFUSED:
                assert "interrupted: whether it happened is not known" in result.detail
        else:
            break
        assert len(acts) <= 1
    assert (Outcome.REFUSED, 1) in outcomes, outcomes
    assert at > 5


async def test_what_can_not_be_undone_is_named() -> None:
    bench = PlaybookBench(LOCK + LOOK + FAIL)
    bench.fault("edit", FaultKind.REFUSE, skip=1)
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED
    assert "step 'lock' could not be undone" in result.detail


BOTH = "  - {name: lock, action: lock-cell, with: {cells: ['L1', 'N1']}, undo: %s}\n"


def locked(bench: PlaybookBench) -> list[str]:
    """Cells that the device itself has locked."""
    running = bench.device.running
    return sorted(one.cell for one in cells(running) if administrative_state(running, one.path) == "LOCKED")


@pytest.mark.parametrize(
    ("undo", "stays"),
    [
        ("{action: unlock-cell, with: {cells: ['L1']}}", ["N1"]),
        ("{action: notify, with: {text: call the site}}", ["L1", "N1"]),
        ("{action: lock-cell, with: {cells: all}}", ["L1", "N1"]),
    ],
    ids=["forgets a cell", "only tells people", "locks once more"],
)
async def test_an_undo_that_leaves_cells_locked_ends_diverged_and_leads_back(undo: str, stays: list[str]) -> None:
    bench = PlaybookBench(BOTH % undo + FAIL)
    before = locked(bench)
    assert not {*before} & {*stays}
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED, result
    assert locked(bench) == sorted({*before, *stays})
    for cell in ("L1", "N1"):
        assert (f"cell {cell} stays LOCKED" in result.detail) is (cell in stays), result.detail
    (ended,) = bench.store.runs.ended_jobs([STATION], bench.store.runs.get(bench.run).created)
    assert sorted(cell_of(path) for path in left_locked(ended.changes)) == stays
    view = StationView(Observed(bench.device.running), adopted=True, ledger=bench.store.ledger.find([STATION])[STATION])
    back = undo_station(bench.group.network.profiles_of(STATION), ended, [], view).change
    assert back is not None, "minka undo leads back"
    edits = [edit for phase in back.phases for edit in phase.edits]
    after = apply_edits(root_spec(bench.group.network.profiles_of(STATION)), bench.device.running, edits)
    assert sorted(one.cell for one in cells(after) if administrative_state(after, one.path) == "LOCKED") == before
    (alarm,) = [one for one in bench.store.alarms.standing([STATION]) if one.probable_cause == DIVERGED]
    assert {*stays} <= {cell.partition("/")[2] for cell in alarm.cells}


async def test_an_undo_that_takes_all_of_it_back_rolls_back_and_leaves_nothing() -> None:
    bench = PlaybookBench(BOTH % "{action: unlock-cell, with: {cells: ['L1', 'N1']}}" + FAIL)
    before = locked(bench)
    bench.settled(await bench.work(), Outcome.ROLLED_BACK, "UNLOCKED")
    assert locked(bench) == before
    (ended,) = bench.store.runs.ended_jobs([STATION], bench.store.runs.get(bench.run).created)
    assert not ended.changes


async def test_a_later_undo_may_take_back_what_an_earlier_one_left_to_it() -> None:
    """All undos count together: the playbook's author may put the whole way back at one step."""
    told = "  - {name: also, action: lock-cell, with: {cells: ['N1']}, undo: {action: notify, with: {text: x}}}\n"
    all_back = LOCK.replace("register: locked", "undo: {action: unlock-cell, with: {cells: ['L1', 'N1']}}")
    bench = PlaybookBench(all_back + told + FAIL)
    bench.settled(await bench.work(), Outcome.ROLLED_BACK, "UNLOCKED")
    assert "N1" not in locked(bench)
