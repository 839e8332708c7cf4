"""What was decided for a group binds each of its devices, whatever they find when they come to hear of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.drivers.fake import FaultKind
from controller.models.run import Decision, GateChoice, JournalEntry, JournalStep, Outcome
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import root_spec
from controller.runs.transaction.patience import Patience
from controller.runs.transaction.record import Record
from controller.runs.transaction.transaction import Transaction
from controller.store import Claim
from tests.unit.runs.transaction_bench import (
    QUICK,
    TARGET,
    UNSAFE,
    InstantStore,
    Killed,
    Scenario,
    TransactionBench,
    add_tenant,
    retune,
)


class ScriptedGate:
    """A gate at which things come to light when they should: a ``Gate`` in all that a transaction asks of it.

    Args:
        known: What was decided when somebody looks.
        first: What was decided before the device could step back; None where it may.
        told: What it waits for; None where the worker dies instead.
    """

    def __init__(
        self,
        bench: TransactionBench,
        known: Decision | None = None,
        first: Decision | None = None,
        told: Decision | None = None,
    ) -> None:
        self._bench = bench
        self._known, self._first, self._told = known, first, told
        self.left = 0
        self.claim: Claim | None = None

    async def decision_so_far(self) -> Decision | None:
        return self._known

    async def goes_last(self) -> bool:
        return False

    async def stand(self, entry: JournalEntry | None = None) -> None:
        assert self.claim is not None
        if entry is not None:
            self._bench.store.journal.append(entry, self.claim)

    async def decision(self) -> Decision:
        if self._told is None:
            raise Killed
        return self._told

    async def leave(self) -> Decision | None:
        self.left += 1
        return self._first


def decided(bench: TransactionBench, choice: GateChoice) -> Decision:
    return Decision(
        run=bench.run.id, wave=0, unit="u", gate=0, choice=choice, at=bench.clock.now(), by="w", reason="so it was"
    )


def transaction(bench: TransactionBench, gate: ScriptedGate) -> Transaction:
    claim = gate.claim = bench.claim()
    record = Record(claim, InstantStore(bench.store), bench.clock, bench.believes)
    return Transaction(claim, TARGET, bench.devices, record, bench.clock, Patience(), gate)  # type: ignore[arg-type]


async def standing(scenario: Scenario | None = None) -> TransactionBench:
    """A station that stands at its gate, prepared and verified, and whose worker died there."""
    bench = TransactionBench(scenario or add_tenant(), QUICK)
    gate = ScriptedGate(bench)
    with pytest.raises(Killed):
        await transaction(bench, gate).run()
    assert bench.steps[-1] is JournalStep.GATED
    assert gate.claim is not None
    bench.declare_dead(gate.claim)
    return bench


async def test_a_device_that_is_not_well_any_more_does_not_step_back_from_a_decision_that_came_first() -> None:
    """All others of the unit were to confirm; this one's link failed before it learned of that."""
    bench = await standing()
    bench.break_link()
    gate = ScriptedGate(bench, first=decided(bench, GateChoice.CONFIRM))
    result = await transaction(bench, gate).run()
    assert gate.left == 1
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert bench.device.running == bench.scenario.after


async def test_a_device_that_reverted_rolls_forward_where_the_decision_came_first() -> None:
    bench = await standing()
    bench.clock.pause(61)
    assert bench.device.running == bench.scenario.before.tree
    gate = ScriptedGate(bench, first=decided(bench, GateChoice.CONFIRM), told=decided(bench, GateChoice.CONFIRM))
    result = await transaction(bench, gate).run()
    assert gate.left == 1
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert bench.device.running == bench.scenario.after


async def test_a_device_that_may_step_back_does() -> None:
    bench = await standing()
    bench.break_link()
    gate = ScriptedGate(bench)
    result = await transaction(bench, gate).run()
    assert gate.left == 1
    assert result.outcome is Outcome.ROLLED_BACK
    assert "not reached within" in result.detail


@pytest.mark.parametrize(
    ("choice", "outcome"),
    [(GateChoice.CONFIRM, Outcome.SUCCEEDED), (None, Outcome.DEFERRED)],
    ids=["confirmed", "undecided"],
)
async def test_a_station_of_a_confirmed_group_is_tried_until_it_can_be_reached(
    choice: GateChoice | None, outcome: Outcome
) -> None:
    """It carries nothing of ours any more: its timer ran out while it was away."""
    bench = TransactionBench(add_tenant(), QUICK)
    back = bench.clock.now() + timedelta(seconds=20)

    class GivesUp(str):
        __slots__ = ()

        def __bool__(self) -> bool:
            return bench.clock.now() < back

    bench.device.unreachable = GivesUp("the line is cut")
    known = decided(bench, choice) if choice else None
    result = await transaction(bench, ScriptedGate(bench, known=known, told=known)).run()
    assert result.outcome is outcome, result.detail


async def test_a_station_of_a_confirmed_group_that_never_comes_back_is_diverged() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.device.unreachable = "the line is cut"
    known, begun = decided(bench, GateChoice.CONFIRM), bench.clock.monotonic()
    result = await transaction(bench, ScriptedGate(bench, known=known)).run()
    assert result.outcome is Outcome.DIVERGED
    assert "could not be read back" in result.detail
    # It is tried for longer than its own timer could last, and the patience after that.
    whole = QUICK.timer() + Patience().unresolved
    assert whole < bench.clock.monotonic() - begun <= whole + Patience().retry


@pytest.mark.parametrize("back", [True, False], ids=["taken back", "not even taken back"])
async def test_a_device_that_is_half_way_rolls_forward_once_what_it_carries_was_taken_back(back: bool) -> None:
    """Its group was confirmed; without a timer of its own it lost the later phases only, as by a restart."""
    bench = await standing(retune(UNSAFE))
    half = apply_edits(root_spec(TARGET.profiles), bench.scenario.before.tree, bench.scenario.change.phases[0].edits)
    bench.device.history.append(dict(half))
    if not back:
        bench.fault("commit", FaultKind.REFUSE)
    known = decided(bench, GateChoice.CONFIRM)
    result = await transaction(bench, ScriptedGate(bench, known=known, told=known)).run()
    if back:
        assert result.outcome is Outcome.SUCCEEDED, result.detail
        assert bench.device.running == bench.scenario.after
    else:
        assert result.outcome is Outcome.DIVERGED
        assert result.detail.startswith("half-way, and its group was confirmed; taking it back was refused: ")
