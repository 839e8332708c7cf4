"""The lock, and when trying on is of no use: the same for changes and for operations that are none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from controller.models.run import Outcome
from controller.ports.fake_devices import Wrong
from controller.ports.store import Claim, JobResult
from tests.unit.playbook.test_operations import RESET, bench_of
from tests.unit.runs.transaction_bench import QUICK, Interrupter, TransactionBench, add_tenant

#: Works on a claim, as a process that may die.
Work = Callable[[Claim, Interrupter], Awaitable[JobResult]]


def changing() -> tuple[TransactionBench, Work]:
    bench = TransactionBench(add_tenant(), QUICK)
    return bench, lambda claim, life: bench.transaction(claim, life).run()


def operating() -> tuple[TransactionBench, Work]:
    bench = bench_of(RESET)

    async def work(claim: Claim, life: Interrupter) -> JobResult:
        result = await bench.work(claim, life)
        assert isinstance(result, JobResult)
        return result

    return bench.transactions, work


BOTH = pytest.mark.parametrize("made", [changing, operating])


@BOTH
@pytest.mark.parametrize("wrong", [Wrong.REFUSE, Wrong.LIE])
async def test_a_session_of_ours_that_is_not_killed_at_once_is_killed_later(
    made: Callable[[], tuple[TransactionBench, Work]], wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, work = made()
    ours = bench.device.open()
    bench.device.lock(ours)
    monkeypatch.setattr(bench.store.journal, "lock_sessions", lambda _station: frozenset({ours}))
    bench.fault("kill", wrong)
    assert (await work(bench.claim(), Interrupter())).outcome is Outcome.SUCCEEDED
    assert ours not in bench.device.sessions
    assert not bench.device.lock_holder


@BOTH
async def test_a_lock_that_another_holds_for_a_moment_is_waited_for(
    made: Callable[[], tuple[TransactionBench, Work]],
) -> None:
    bench, work = made()
    foreign = bench.device.open()
    bench.device.lock(foreign)
    bench.act("lock", lambda: bench.device.unlock(foreign), skip=3)
    assert (await work(bench.claim(), Interrupter())).outcome is Outcome.SUCCEEDED
    assert foreign in bench.device.sessions


@BOTH
async def test_a_session_of_another_is_never_killed(made: Callable[[], tuple[TransactionBench, Work]]) -> None:
    bench, work = made()
    foreign = bench.device.open()
    bench.device.lock(foreign)
    result = await work(bench.claim(), Interrupter())
    assert result.outcome is Outcome.DEFERRED
    assert bench.device.lock_holder == foreign


@BOTH
async def test_sessions_that_end_before_anything_is_done_end_the_job_as_safe(
    made: Callable[[], tuple[TransactionBench, Work]],
) -> None:
    bench, work = made()
    bench.fault("lock", Wrong.DROP_BEFORE, times=99)
    result = await work(bench.claim(), Interrupter())
    assert (result.outcome, "Nothing was changed" in result.detail) == (Outcome.FAILED_SAFE, True)


@BOTH
async def test_a_lock_that_is_not_given_back_ends_its_session(
    made: Callable[[], tuple[TransactionBench, Work]],
) -> None:
    bench, work = made()
    bench.fault("unlock", Wrong.REFUSE)
    assert (await work(bench.claim(), Interrupter())).outcome is Outcome.SUCCEEDED
    assert not bench.device.lock_holder
