"""A worker that dies at any moment: whoever takes over brings device, ledger and record to one end.

Each scenario is first played through to count the calls to device and record; then the worker is killed at
every one of them, before and after it took effect, with its connection closed or left hanging.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from controller.models.run import Outcome, Step, Strategy
from controller.ports.fake_devices import RUNNING_ONLY, Wrong
from tests.unit.runs.world import UNSAFE, Interrupter, Killed, Scenario, World, add_tenant, retune

Prepare = Callable[[World], None]


def _nothing(_world: World) -> None:
    return


def _break_link(world: World) -> None:
    world.break_link()


def _refuse_unlock_phase(world: World) -> None:
    world.fault("edit", Wrong.REFUSE, skip=2)


SCENARIOS: dict[str, tuple[Callable[[], Scenario], Prepare]] = {
    "one-phase": (add_tenant, _nothing),
    "three-phases": (retune, _nothing),
    "failing-checks": (add_tenant, _break_link),
    "refused-last-phase": (retune, _refuse_unlock_phase),
    "inverse-one-phase": (lambda: add_tenant(UNSAFE), _nothing),
    "inverse-three-phases": (lambda: retune(UNSAFE), _nothing),
    "inverse-failing-checks": (lambda: add_tenant(UNSAFE), _break_link),
    "running-only": (lambda: retune(RUNNING_ONLY), _nothing),
}


@contextmanager
def world_of(name: str) -> Iterator[World]:
    make, prepare = SCENARIOS[name]
    # Check for a second only, so that failing checks don't take hundreds of reads.
    world = World(make(), Strategy(check_timeout=1, confirm_timeout=60))
    prepare(world)
    try:
        yield world
    finally:
        world.close()


async def calls_of(name: str) -> int:
    with world_of(name) as world:
        interrupter = Interrupter()
        claim = world.claim()
        result = await world.transaction(claim, interrupter).run()
        world.store.finish(claim, result)
        world.assert_settled(result)
        return len(interrupter.calls)


async def interrupted(world: World, *interrupters: Interrupter) -> None:
    """Workers that die one after the other, and one that lives; then everything must agree."""
    for interrupter in interrupters:
        claim = world.claim()
        try:
            result = await world.transaction(claim, interrupter).run()
        except Killed:
            world.bury(claim)
            continue
        world.store.finish(claim, result)
        break
    else:
        result = await world.work()
    world.assert_settled(result)
    assert result.outcome in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.FAILED_SAFE), result


@pytest.mark.parametrize("hung", [False, True], ids=["closed", "hung"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_at_every_call(name: str, after: bool, hung: bool) -> None:
    calls = await calls_of(name)
    assert calls > 10
    for at in range(1, calls + 1):
        with world_of(name) as world:
            try:
                await interrupted(world, Interrupter(at, after, hung))
            except AssertionError as error:
                raise AssertionError(f"killed at call {at} of {calls}: {error}; {world.steps}") from error


@pytest.mark.parametrize("name", ["one-phase", "three-phases", "inverse-three-phases", "failing-checks"])
async def test_killed_twice(name: str) -> None:
    """The second worker dies while it recovers; a third one ends it."""
    calls = await calls_of(name)
    chance = random.Random(name)
    for _ in range(60):
        first, second = (
            Interrupter(chance.randint(1, calls), chance.random() < 0.5, chance.random() < 0.5) for _ in range(2)
        )
        with world_of(name) as world:
            try:
                await interrupted(world, first, second)
            except AssertionError as error:
                raise AssertionError(f"killed by {first} and {second}: {error}; {world.steps}") from error


@pytest.mark.parametrize("late", [False, True], ids=["in-time", "too-late"])
async def test_what_was_committed_is_confirmed_by_the_next_worker(late: bool) -> None:
    with world_of("one-phase") as world:
        claim = world.claim()
        interrupter = Interrupter()
        at = 0
        with world_of("one-phase") as rehearsal:
            await rehearsal.transaction(rehearsal.claim(), interrupter).run()
            at = interrupter.calls.index("commit_confirmed") + 1
        with pytest.raises(Killed):
            await world.transaction(claim, Interrupter(at, after=True)).run()
        assert world.device.pending
        if late:
            world.clock.pause(61)
        world.bury(claim)
        result = await world.work()
        assert result.outcome is Outcome.SUCCEEDED
        # In time, the pending commit is confirmed: one change of running. Too late, it is made anew.
        assert len(world.device.history) == (4 if late else 2)
        assert world.steps.count(Step.READ) == (2 if late else 1)
        world.assert_settled(result)


async def test_a_worker_that_lost_its_lease_sends_nothing_more() -> None:
    """It wakes up when another one holds the device: its next act is refused by the record or by its own clock."""
    calls = await calls_of("three-phases")
    from controller.models.errors import LeaseLostError

    for at in range(1, calls + 1):
        with world_of("three-phases") as world:
            claim = world.claim()
            mutating = ("edit", "commit", "commit_confirmed", "confirm", "cancel", "kill", "copy_to_startup")
            sent: list[int] = []

            class Watch(Interrupter):
                def due(self, name: str) -> bool:
                    super().due(name)
                    if len(self.calls) == at:
                        world.alive = False
                        world.bury(claim)
                    if len(self.calls) > at and name in mutating:
                        sent.append(len(self.calls))
                    return False

            with pytest.raises(LeaseLostError):
                await world.transaction(claim, Watch()).run()
                # The very last calls change nothing any more; the record then refuses the result.
                raise LeaseLostError
            assert not sent, (at, sent)
            world.alive = True
            world.assert_settled(await world.work())
