"""Sessions of a transaction that end, locks that others hold, stations that can't be reached."""

from __future__ import annotations

import pytest

from controller.drivers.fake import Fault, FaultKind
from controller.models.errors import AuthenticationError
from controller.models.run import JournalStep, Outcome
from tests.unit.runs.transaction_bench import (
    QUICK,
    STARTING,
    STATION,
    UNSAFE,
    Interrupter,
    Killed,
    TransactionBench,
    add_tenant,
    add_tenant_in_two,
    retune,
)

# ------------------------------------------------------------ sessions that end

OPERATIONS = ("lock", "discard", "read", "edit", "commit_confirmed", "confirm", "unlock", "copy_to_startup")


@pytest.mark.parametrize("wrong", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.LOSE_REPLY])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_session_that_ends_anywhere_changes_nothing_but_time(operation: str, wrong: FaultKind) -> None:
    bench = TransactionBench(add_tenant(STARTING), QUICK)
    bench.fault(operation, wrong)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert bench.changes == 1
    bench.assert_settled(result)


@pytest.mark.parametrize("wrong", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.LOSE_REPLY])
async def test_a_session_that_ends_at_the_cancel(wrong: FaultKind) -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.break_link()
    bench.fault("cancel", wrong)
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "link-up" in result.detail
    bench.assert_settled(result)


@pytest.mark.parametrize("wrong", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.LOSE_REPLY])
@pytest.mark.parametrize("skip", [0, 1, 2, 3])
async def test_a_session_that_ends_with_the_stored_inverse(skip: int, wrong: FaultKind) -> None:
    bench = TransactionBench(retune(UNSAFE), QUICK)
    bench.fault("commit", wrong, skip=skip)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    bench.assert_settled(result)


async def test_sessions_that_always_end_before_the_commit_end_the_job() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.fault("edit", FaultKind.DROP_BEFORE, times=100)
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "Nothing was changed" in result.detail
    assert bench.steps.count(JournalStep.READ) == 3
    bench.assert_settled(result)


async def test_commits_that_are_always_lost_end_the_job() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.fault("commit_confirmed", FaultKind.DROP_BEFORE, times=100)
    result = await bench.work()
    assert result.outcome in (Outcome.FAILED_SAFE, Outcome.ROLLED_BACK)
    assert bench.steps.count(JournalStep.READ) == 3
    bench.assert_settled(result)


# ------------------------------------------------------- locks, ways to the station


async def test_a_foreign_lock_defers_and_is_never_killed() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    foreign = bench.device.open()
    bench.device.lock(foreign)
    result = await bench.work()
    assert result.outcome is Outcome.DEFERRED
    assert foreign in bench.device.sessions
    assert bench.device.lock_holder == foreign
    assert bench.changes == 0


async def test_a_foreign_lock_that_goes_in_time_is_waited_for() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    foreign = bench.device.open()
    bench.device.lock(foreign)
    bench.act("lock", lambda: bench.device.unlock(foreign), skip=4)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED


async def test_our_own_dead_session_is_killed() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.fault("edit", FaultKind.LOSE_REPLY)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    kills = [line for line in bench.device.log if line.endswith(" kill")]
    assert len(kills) == 1
    bench.assert_settled(result)


async def test_a_dead_session_that_ends_before_we_kill_it() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.fault("edit", FaultKind.LOSE_REPLY)
    bench.act("kill", lambda: bench.device.end(bench.device.lock_holder))
    assert (await bench.work()).outcome is Outcome.SUCCEEDED


async def test_a_lock_that_a_lost_network_left_is_freed_by_the_next_job() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    claim, vanishing = bench.claim(), Interrupter(hung=True)
    bench.act("discard", lambda: setattr(vanishing, "at", len(vanishing.calls) + 1))
    with pytest.raises(Killed):
        await bench.transaction(claim, vanishing).run()
    ours = bench.device.lock_holder
    assert ours, "its host vanished, and the station keeps its session"
    bench.declare_dead(claim)
    bench.device.unreachable = "no route"
    assert (await bench.work()).outcome is Outcome.DEFERRED
    bench.device.unreachable = ""

    bench.start(QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    assert ours not in bench.device.sessions
    assert bench.changes == 1


async def test_a_session_of_a_job_that_ended_well_is_no_longer_ours() -> None:
    """After a restart of the station, another system may get its id."""
    bench = TransactionBench(add_tenant(), QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    ours = next(row.session for row in bench.journal if row.step is JournalStep.LOCKED)
    assert bench.store.journal.lock_sessions(STATION) == frozenset()
    bench.device.sessions.add(ours)
    bench.device.lock(ours)
    bench.start(QUICK)
    assert (await bench.work()).outcome is Outcome.DEFERRED
    assert ours in bench.device.sessions


async def test_an_unreachable_station_is_deferred() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.device.unreachable = "no route"
    result = await bench.work()
    assert result.outcome is Outcome.DEFERRED
    assert bench.steps == [JournalStep.FINISHED]


async def test_a_changed_host_key_fails_before_anything_is_sent() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.device.host_key = "ssh-ed25519 BBBB"
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "host key" in result.detail
    assert bench.device.log == []


@pytest.mark.parametrize("back_after", [30, 10_000], ids=["comes back", "never comes back"])
async def test_a_station_that_vanishes_with_ours_on_it(back_after: float) -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    gone_at: list[float] = []

    def vanish() -> None:
        gone_at.append(bench.clock.monotonic())
        bench.device.unreachable = "no route"

    sleep = bench.clock.sleep

    async def sleep_and_return(seconds: float) -> None:
        await sleep(seconds)
        if gone_at and bench.clock.monotonic() - gone_at[0] > back_after:
            bench.device.unreachable = ""

    bench.device.faults.append(Fault("confirm", FaultKind.DROP_BEFORE, act=vanish))
    bench.clock.sleep = sleep_and_return  # type: ignore[method-assign]
    try:
        result = await bench.work()
    finally:
        bench.clock.sleep = sleep  # type: ignore[method-assign]
    if back_after == 30:
        assert result.outcome is Outcome.SUCCEEDED
        bench.assert_settled(result)
    else:
        # Nobody knows what it carries, so nothing is claimed and a person is told.
        assert result.outcome is Outcome.DIVERGED
        assert not result.gained
        assert bench.clock.monotonic() - gone_at[0] >= 60 + 120 - 5


async def test_a_changed_host_key_while_ours_is_on_it_is_not_called_safe() -> None:
    bench = TransactionBench(add_tenant(), QUICK)

    def swap() -> None:
        bench.device.host_key = "ssh-ed25519 BBBB"

    bench.device.faults.append(Fault("confirm", FaultKind.DROP_BEFORE, act=swap))
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED


async def test_a_refused_credential_is_safe() -> None:
    bench = TransactionBench(add_tenant(), QUICK)

    def session(_target: object) -> None:
        raise AuthenticationError("S1 refused user minka")

    bench.devices.session = session  # type: ignore[assignment, method-assign]
    assert (await bench.work()).outcome is Outcome.FAILED_SAFE


async def test_a_lost_later_commit_is_begun_afresh_on_a_clean_candidate() -> None:
    """After the cancel the candidate still has what was cancelled: to create that once more would fail."""
    bench = TransactionBench(add_tenant_in_two(), QUICK)
    bench.fault("commit_confirmed", FaultKind.DROP_BEFORE, skip=1)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    bench.assert_settled(result)
