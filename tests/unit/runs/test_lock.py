"""The lock, and when trying on is of no use: the same for changes and for operations that are none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from controller.drivers.fake import Fault, FaultKind
from controller.models.errors import (
    AuthenticationError,
    DeviceBusyError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    HostKeyUnreadableError,
    SessionLostError,
    UnreachableError,
)
from controller.models.run import Job, Outcome
from controller.runs.transaction.patience import Patience
from controller.store import NewJob
from tests.unit.playbook.test_operations import RESET, bench_of
from tests.unit.runs.group_bench import GroupBench
from tests.unit.runs.transaction_bench import QUICK, STATION, add_tenant

#: Lets a worker work until the job has ended.
Work = Callable[[], Awaitable[Job]]


def changing() -> tuple[GroupBench, Work]:
    bench = GroupBench([NewJob(0, STATION)], QUICK, scenario=add_tenant())

    async def work() -> Job:
        await bench.work()
        return bench.job(STATION)

    return bench, work


def operating() -> tuple[GroupBench, Work]:
    bench = bench_of(RESET)
    return bench.group, bench.work


BOTH = pytest.mark.parametrize("made", [changing, operating])


@BOTH
@pytest.mark.parametrize("wrong", [FaultKind.REFUSE, FaultKind.LIE])
async def test_a_session_of_ours_that_is_not_killed_at_once_is_killed_later(
    made: Callable[[], tuple[GroupBench, Work]], wrong: FaultKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, work = made()
    device = bench[STATION]
    ours = device.open()
    device.lock(ours)
    monkeypatch.setattr(bench.store.journal, "lock_sessions", lambda _station: frozenset({ours}))
    device.faults.append(Fault("kill", wrong))
    assert (await work()).outcome is Outcome.SUCCEEDED
    assert ours not in device.sessions
    assert not device.lock_holder


@BOTH
async def test_a_lock_that_another_holds_for_a_moment_is_waited_for(
    made: Callable[[], tuple[GroupBench, Work]],
) -> None:
    bench, work = made()
    device = bench[STATION]
    foreign = device.open()
    device.lock(foreign)
    device.faults.append(Fault("lock", act=lambda: device.unlock(foreign), skip=3))
    assert (await work()).outcome is Outcome.SUCCEEDED
    assert foreign in device.sessions


@BOTH
async def test_attempts_at_a_lock_become_rare(
    made: Callable[[], tuple[GroupBench, Work]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, work = made()
    device, foreign, tried = bench[STATION], bench[STATION].open(), list[float]()
    device.lock(foreign)
    lock = device.lock

    def tries(session: str) -> None:
        tried.append(bench.clock.monotonic())
        if len(tried) == 8:
            device.unlock(foreign)
        lock(session)

    monkeypatch.setattr(device, "lock", tries)
    assert (await work()).outcome is Outcome.SUCCEEDED
    pauses = [later - earlier for earlier, later in pairwise(tried[:8])]
    # Twice as long each time, up to 1.6 s, and up to twice that by chance.
    for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1.6, 1.6, 1.6), strict=True):
        assert least <= pause <= 2 * least + 0.01


@BOTH
async def test_a_session_of_another_is_never_killed(made: Callable[[], tuple[GroupBench, Work]]) -> None:
    bench, work = made()
    device = bench[STATION]
    foreign = device.open()
    device.lock(foreign)
    begun = bench.clock.now()
    result = await work()
    assert result.outcome is Outcome.DEFERRED
    assert device.lock_holder == foreign
    named = f"NETCONF session {foreign}, which is none of Minka's, holds the lock since {begun:%Y-%m-%d %H:%M}"
    assert named in result.detail, "nobody could find out who it is without that"


@BOTH
async def test_sessions_that_end_before_anything_is_done_end_the_job_as_safe(
    made: Callable[[], tuple[GroupBench, Work]],
) -> None:
    bench, work = made()
    device = bench[STATION]
    device.faults.append(Fault("lock", FaultKind.DROP_BEFORE, times=99))
    result = await work()
    assert (result.outcome, "Nothing was changed" in result.detail) == (Outcome.FAILED_SAFE, True)


@BOTH
async def test_a_lock_that_is_not_given_back_ends_its_session(
    made: Callable[[], tuple[GroupBench, Work]],
) -> None:
    bench, work = made()
    device = bench[STATION]
    device.faults.append(Fault("unlock", FaultKind.REFUSE))
    assert (await work()).outcome is Outcome.SUCCEEDED
    assert not device.lock_holder


@pytest.mark.parametrize(
    ("error", "tries", "unknown", "late", "outcome"),
    [
        # Something was sent, and it is not known what came of it: only time or a closed door ends that.
        (SessionLostError, 9, "It is not known.", False, None),
        (DeviceBusyError, 9, "It is not known.", False, None),
        (SessionLostError, 1, "It is not known.", True, Outcome.DIVERGED),
        (HostKeyError, 1, "It is not known.", False, Outcome.DIVERGED),
        (AuthenticationError, 1, "It is not known.", False, Outcome.DIVERGED),
        # Nothing was sent.
        (HostKeyError, 1, "", False, Outcome.FAILED_SAFE),
        (HostKeyUnreadableError, 1, "", False, Outcome.FAILED_SAFE),
        (AuthenticationError, 1, "", False, Outcome.FAILED_SAFE),
        (DeviceRefusedError, 1, "", False, Outcome.FAILED_SAFE),
        (DeviceBusyError, 1, "", True, Outcome.DEFERRED),
        (UnreachableError, 1, "", False, Outcome.DEFERRED),
        (SessionLostError, 2, "", True, None),
        (SessionLostError, 3, "", False, Outcome.FAILED_SAFE),
    ],
)
def test_when_trying_on_is_of_no_use(
    error: type[DeviceError], tries: int, unknown: str, late: bool, outcome: Outcome | None
) -> None:
    result = Patience(beginnings=3).given_up(error("It broke."), tries, unknown=unknown, late=late)
    assert (result and result.outcome) is outcome
    if result is not None:
        assert result.detail.startswith(f"It broke. {unknown}".strip())
        assert ("Nothing was changed." in result.detail) is (error is SessionLostError and not unknown)
