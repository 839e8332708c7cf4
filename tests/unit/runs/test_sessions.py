"""Sessions of a transaction that end, locks that others hold, stations that can't be reached."""

from __future__ import annotations

import pytest

from controller.models.errors import AuthenticationError
from controller.models.run import JournalStep, Outcome
from controller.ports.fake_devices import Fault, Wrong
from tests.unit.runs.world import (
    QUICK,
    STATION,
    UNSAFE,
    Interrupter,
    Killed,
    World,
    add_tenant,
    add_tenant_in_two,
    retune,
)

# ------------------------------------------------------------ sessions that end

OPERATIONS = ("lock", "discard", "read", "edit", "commit_confirmed", "confirm", "unlock", "copy_to_startup")


@pytest.mark.parametrize("wrong", [Wrong.DROP_BEFORE, Wrong.DROP_AFTER, Wrong.LOSE_REPLY])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_session_that_ends_anywhere_changes_nothing_but_time(operation: str, wrong: Wrong) -> None:
    world = World(add_tenant(), QUICK)
    world.fault(operation, wrong)
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert world.changes == 1
    world.assert_settled(result)


@pytest.mark.parametrize("wrong", [Wrong.DROP_BEFORE, Wrong.DROP_AFTER, Wrong.LOSE_REPLY])
async def test_a_session_that_ends_at_the_cancel(wrong: Wrong) -> None:
    world = World(add_tenant(), QUICK)
    world.break_link()
    world.fault("cancel", wrong)
    result = await world.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "link-up" in result.detail
    world.assert_settled(result)


@pytest.mark.parametrize("wrong", [Wrong.DROP_BEFORE, Wrong.DROP_AFTER, Wrong.LOSE_REPLY])
@pytest.mark.parametrize("skip", [0, 1, 2, 3])
async def test_a_session_that_ends_with_the_stored_inverse(skip: int, wrong: Wrong) -> None:
    world = World(retune(UNSAFE), QUICK)
    world.fault("commit", wrong, skip=skip)
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED
    world.assert_settled(result)


async def test_sessions_that_always_end_before_the_commit_end_the_job() -> None:
    world = World(add_tenant(), QUICK)
    world.fault("edit", Wrong.DROP_BEFORE, times=100)
    result = await world.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "Nothing was changed" in result.detail
    assert world.steps.count(JournalStep.READ) == 3
    world.assert_settled(result)


async def test_commits_that_are_always_lost_end_the_job() -> None:
    world = World(add_tenant(), QUICK)
    world.fault("commit_confirmed", Wrong.DROP_BEFORE, times=100)
    result = await world.work()
    assert result.outcome in (Outcome.FAILED_SAFE, Outcome.ROLLED_BACK)
    assert world.steps.count(JournalStep.READ) == 3
    world.assert_settled(result)


# ------------------------------------------------------- locks, ways to the station


async def test_a_foreign_lock_defers_and_is_never_killed() -> None:
    world = World(add_tenant(), QUICK)
    foreign = world.device.open()
    world.device.lock(foreign)
    result = await world.work()
    assert result.outcome is Outcome.DEFERRED
    assert foreign in world.device.sessions
    assert world.device.lock_holder == foreign
    assert world.changes == 0


async def test_a_foreign_lock_that_goes_in_time_is_waited_for() -> None:
    world = World(add_tenant(), QUICK)
    foreign = world.device.open()
    world.device.lock(foreign)
    world.act("lock", lambda: world.device.unlock(foreign), skip=4)
    assert (await world.work()).outcome is Outcome.SUCCEEDED


async def test_our_own_dead_session_is_killed() -> None:
    world = World(add_tenant(), QUICK)
    world.fault("edit", Wrong.LOSE_REPLY)
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED
    kills = [line for line in world.device.log if line.endswith(" kill")]
    assert len(kills) == 1
    world.assert_settled(result)


async def test_a_dead_session_that_ends_before_we_kill_it() -> None:
    world = World(add_tenant(), QUICK)
    world.fault("edit", Wrong.LOSE_REPLY)
    world.act("kill", lambda: world.device.end(world.device.lock_holder))
    assert (await world.work()).outcome is Outcome.SUCCEEDED


async def test_a_lock_that_a_lost_network_left_is_freed_by_the_next_job() -> None:
    world = World(add_tenant(), QUICK)
    claim, vanishing = world.claim(), Interrupter(hung=True)
    world.act("discard", lambda: setattr(vanishing, "at", len(vanishing.calls) + 1))
    with pytest.raises(Killed):
        await world.transaction(claim, vanishing).run()
    ours = world.device.lock_holder
    assert ours, "its host vanished, and the station keeps its session"
    world.bury(claim)
    world.device.unreachable = "no route"
    assert (await world.work()).outcome is Outcome.DEFERRED
    world.device.unreachable = ""

    world.start(QUICK)
    assert (await world.work()).outcome is Outcome.SUCCEEDED
    assert ours not in world.device.sessions
    assert world.changes == 1


async def test_a_session_of_a_job_that_ended_well_is_no_longer_ours() -> None:
    """After a restart of the station, another system may get its id."""
    world = World(add_tenant(), QUICK)
    assert (await world.work()).outcome is Outcome.SUCCEEDED
    ours = next(row.session for row in world.journal if row.step is JournalStep.LOCKED)
    assert world.store.journal.lock_sessions(STATION) == frozenset()
    world.device.sessions.add(ours)
    world.device.lock(ours)
    world.start(QUICK)
    assert (await world.work()).outcome is Outcome.DEFERRED
    assert ours in world.device.sessions


async def test_an_unreachable_station_is_deferred() -> None:
    world = World(add_tenant(), QUICK)
    world.device.unreachable = "no route"
    result = await world.work()
    assert result.outcome is Outcome.DEFERRED
    assert world.steps == [JournalStep.FINISHED]


async def test_a_changed_host_key_fails_before_anything_is_sent() -> None:
    world = World(add_tenant(), QUICK)
    world.device.host_key = "ssh-ed25519 BBBB"
    result = await world.work()
    assert result.outcome is Outcome.FAILED_SAFE
    assert "host key" in result.detail
    assert world.device.log == []


@pytest.mark.parametrize("back_after", [30, 10_000], ids=["comes back", "never comes back"])
async def test_a_station_that_vanishes_with_ours_on_it(back_after: float) -> None:
    world = World(add_tenant(), QUICK)
    gone_at: list[float] = []

    def vanish() -> None:
        gone_at.append(world.clock.monotonic())
        world.device.unreachable = "no route"

    sleep = world.clock.sleep

    async def sleep_and_return(seconds: float) -> None:
        await sleep(seconds)
        if gone_at and world.clock.monotonic() - gone_at[0] > back_after:
            world.device.unreachable = ""

    world.device.faults.append(Fault("confirm", Wrong.DROP_BEFORE, act=vanish))
    world.clock.sleep = sleep_and_return  # type: ignore[method-assign]
    try:
        result = await world.work()
    finally:
        world.clock.sleep = sleep  # type: ignore[method-assign]
    if back_after == 30:
        assert result.outcome is Outcome.SUCCEEDED
        world.assert_settled(result)
    else:
        # Nobody knows what it carries, so nothing is claimed and a person is told.
        assert result.outcome is Outcome.DIVERGED
        assert not result.gained
        assert world.clock.monotonic() - gone_at[0] >= 60 + 120 - 5


async def test_a_changed_host_key_while_ours_is_on_it_is_not_called_safe() -> None:
    world = World(add_tenant(), QUICK)

    def swap() -> None:
        world.device.host_key = "ssh-ed25519 BBBB"

    world.device.faults.append(Fault("confirm", Wrong.DROP_BEFORE, act=swap))
    result = await world.work()
    assert result.outcome is Outcome.DIVERGED


async def test_a_refused_credential_is_safe() -> None:
    world = World(add_tenant(), QUICK)

    def session(_target: object) -> None:
        raise AuthenticationError("S1 refused user minka")

    world.devices.session = session  # type: ignore[assignment, method-assign]
    assert (await world.work()).outcome is Outcome.FAILED_SAFE


async def test_a_lost_later_commit_is_begun_afresh_on_a_clean_candidate() -> None:
    """After the cancel the candidate still has what was cancelled: to create that once more would fail."""
    world = World(add_tenant_in_two(), QUICK)
    world.fault("commit_confirmed", Wrong.DROP_BEFORE, skip=1)
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED
    world.assert_settled(result)
