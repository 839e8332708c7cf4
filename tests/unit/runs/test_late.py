"""A device that answers ok and acts later: an ok says neither that it acted, nor that it never does."""

from __future__ import annotations

import pytest

from controller.models.run import JournalStep, Outcome
from controller.ports.fake_devices import RUNNING_ONLY, Fault, FaultKind
from tests.unit.runs.transaction_bench import (
    QUICK,
    UNSAFE,
    Interrupter,
    Killed,
    Scenario,
    TransactionBench,
    add_tenant,
    add_tenant_in_two,
    retune,
)

_TIMER = 60


class Bench(TransactionBench):
    """A run on a station that is late once."""

    def __init__(self, scenario: Scenario, operation: str, after: float, *, skip: int = 0, times: int = 1) -> None:
        super().__init__(scenario, QUICK)
        self.device.faults.append(Fault(operation, FaultKind.LATE, skip=skip, times=times, after=after))


@pytest.mark.parametrize("after", [0.1, 8, 50])
async def test_a_late_confirmed_commit_is_cancelled_as_soon_as_it_shows(after: float) -> None:
    bench = Bench(retune(), "commit_confirmed", after)
    begun = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    assert "answered ok and carries nothing of it" in result.detail
    assert "and was taken back" in result.detail
    assert bench.changes == 2, "what appeared was cancelled"
    assert bench.clock.monotonic() - begun >= _TIMER, "more of it might have come"
    bench.assert_settled(result)


async def test_what_comes_late_as_an_ordinary_commit_goes_by_the_stored_inverse_at_once() -> None:
    """The cancel is refused, since nothing is pending: no timer will take it back."""
    bench = TransactionBench(retune(), QUICK)
    device = bench.device

    def plainly() -> None:
        (session,) = device.sessions
        device.later(8, lambda: device.commit(session))

    device.faults.append(Fault("commit_confirmed", FaultKind.LIE, plainly))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    locked = next(row.at for row in bench.journal if row.step is JournalStep.UNSEEN)
    (back,) = [row.at for row in bench.journal if row.step is JournalStep.REVERTING]
    assert (back - locked).total_seconds() < 15
    bench.assert_settled(result)


async def test_a_late_phase_that_follows_comes_after_the_cancel() -> None:
    bench = TransactionBench(add_tenant_in_two(), QUICK)
    device = bench.device

    def whole() -> None:
        (session,) = device.sessions
        device.later(8, lambda: device.commit(session))

    device.faults.append(Fault("commit_confirmed", FaultKind.LIE, whole, skip=1))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    bench.assert_settled(result)


@pytest.mark.parametrize(
    ("scenario", "operation"), [(retune(UNSAFE), "commit"), (retune(RUNNING_ONLY), "edit"), (retune(), "confirm")]
)
async def test_no_end_is_told_before_what_was_sent_can_come(scenario: Scenario, operation: str) -> None:
    """A plain commit, an edit of running, and a confirm."""
    bench = Bench(scenario, operation, 8)
    result = await bench.work()
    assert result.outcome is (Outcome.SUCCEEDED if operation == "confirm" else Outcome.ROLLED_BACK), result
    bench.assert_settled(result)


@pytest.mark.parametrize(
    ("scenario", "operation", "skip"),
    [(add_tenant(), "cancel", 0), (add_tenant(UNSAFE), "commit", 1), (add_tenant(RUNNING_ONLY), "edit", 1)],
)
async def test_a_way_back_that_is_late_is_waited_for(scenario: Scenario, operation: str, skip: int) -> None:
    bench = Bench(scenario, operation, 8, skip=skip, times=9)
    bench.break_link()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    bench.assert_settled(result)


@pytest.mark.parametrize(
    ("scenario", "operation"),
    [(retune(), "commit_confirmed"), (retune(UNSAFE), "commit"), (retune(RUNNING_ONLY), "edit")],
)
async def test_an_ok_that_comes_to_nothing_is_told_as_that(scenario: Scenario, operation: str) -> None:
    bench = TransactionBench(scenario, QUICK)
    bench.fault(operation, FaultKind.LIE)
    begun = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE, result
    assert "answered ok and carries nothing of it" in result.detail
    assert "nothing of it took effect within 63 s" in result.detail
    assert 63 <= bench.clock.monotonic() - begun < 70
    assert bench.device.log.count("1 read") < 25, "seldom"
    bench.assert_settled(result)


class _AfterTheCancel(Interrupter):
    """Kills a worker at a reading after the cancel."""

    def due(self, name: str) -> bool:
        self.calls.append(name)
        return name == "read" and "cancel" in self.calls and self.calls[self.calls.index("cancel") :].count("read") == 5


@pytest.mark.parametrize(("after", "outcome"), [(50, Outcome.ROLLED_BACK), (None, Outcome.FAILED_SAFE)])
async def test_a_worker_that_dies_meanwhile_leaves_the_wait_to_the_next(after: float | None, outcome: Outcome) -> None:
    bench = TransactionBench(retune(), QUICK)
    wrong = FaultKind.LIE if after is None else FaultKind.LATE
    bench.device.faults.append(Fault("commit_confirmed", wrong, after=after or 0))
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, _AfterTheCancel()).run()
    bench.declare_dead(claim)
    result = await bench.work()
    assert result.outcome is outcome, result
    assert bench.changes == (0 if after is None else 2)
    bench.assert_settled(result)
