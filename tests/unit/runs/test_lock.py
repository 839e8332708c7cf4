"""The lock, and when trying on is of no use: the same for changes and for operations that are none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from controller.models.run import Outcome
from controller.ports.fake_devices import Wrong
from controller.ports.store import Claim, JobResult
from tests.unit.playbook.test_operations import RESET, staged
from tests.unit.runs.world import QUICK, Interrupter, World, add_tenant

#: Works on a claim, as a process that may die.
Work = Callable[[Claim, Interrupter], Awaitable[JobResult]]


def changing() -> tuple[World, Work]:
    world = World(add_tenant(), QUICK)
    return world, lambda claim, life: world.transaction(claim, life).run()


def operating() -> tuple[World, Work]:
    stage = staged(RESET)

    async def work(claim: Claim, life: Interrupter) -> JobResult:
        result = await stage.work(claim, life)
        assert isinstance(result, JobResult)
        return result

    return stage.world, work


BOTH = pytest.mark.parametrize("made", [changing, operating])


@BOTH
@pytest.mark.parametrize("wrong", [Wrong.REFUSE, Wrong.LIE])
async def test_a_session_of_ours_that_is_not_killed_at_once_is_killed_later(
    made: Callable[[], tuple[World, Work]], wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, work = made()
    ours = world.device.open()
    world.device.lock(ours)
    monkeypatch.setattr(world.store.journal, "lock_sessions", lambda _station: frozenset({ours}))
    world.fault("kill", wrong)
    assert (await work(world.claim(), Interrupter())).outcome is Outcome.SUCCEEDED
    assert ours not in world.device.sessions
    assert not world.device.lock_holder


@BOTH
async def test_a_lock_that_another_holds_for_a_moment_is_waited_for(made: Callable[[], tuple[World, Work]]) -> None:
    world, work = made()
    foreign = world.device.open()
    world.device.lock(foreign)
    world.act("lock", lambda: world.device.unlock(foreign), skip=3)
    assert (await work(world.claim(), Interrupter())).outcome is Outcome.SUCCEEDED
    assert foreign in world.device.sessions


@BOTH
async def test_a_session_of_another_is_never_killed(made: Callable[[], tuple[World, Work]]) -> None:
    world, work = made()
    foreign = world.device.open()
    world.device.lock(foreign)
    result = await work(world.claim(), Interrupter())
    assert result.outcome is Outcome.DEFERRED
    assert world.device.lock_holder == foreign


@BOTH
async def test_sessions_that_end_before_anything_is_done_end_the_job_as_safe(
    made: Callable[[], tuple[World, Work]],
) -> None:
    world, work = made()
    world.fault("lock", Wrong.DROP_BEFORE, times=99)
    result = await work(world.claim(), Interrupter())
    assert (result.outcome, "Nothing was changed" in result.detail) == (Outcome.FAILED_SAFE, True)


@BOTH
async def test_a_lock_that_is_not_given_back_ends_its_session(made: Callable[[], tuple[World, Work]]) -> None:
    world, work = made()
    world.fault("unlock", Wrong.REFUSE)
    assert (await work(world.claim(), Interrupter())).outcome is Outcome.SUCCEEDED
    assert not world.device.lock_holder
