"""What a step that fails leaves behind: what was done is undone, the last step first.

That nothing is undone under a hold stands in ``test_holds_between_steps``.
"""

from __future__ import annotations

from typing import Any

from controller.models.network import Noun
from controller.models.run import Outcome
from controller.models.step import StepRecord, StepState
from controller.playbook.actions.shipped import registry
from controller.playbook.language.registry import Context, DeviceAccess, Registry, Repeat, action
from controller.ports.fake_devices import FaultKind
from tests.unit.playbook.test_takeover import FAIL, LOCK, LOOK, PlaybookBench
from tests.unit.runs.group_bench import Mortal
from tests.unit.runs.transaction_bench import Killed

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
