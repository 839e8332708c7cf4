"""A device that lost more than a change removes never ends as if it were well."""

from __future__ import annotations

import pytest

from controller.models.alarm import DIVERGED
from controller.models.run import JournalStep, Outcome, RunState
from controller.nrm.tree import Tree
from controller.ports.fake_devices import Fault, Wrong
from controller.runs.rollout.transitions import decide
from tests.unit.runs.test_takeover import calls_of, world_of
from tests.unit.runs.world import QUICK, Interrupter, Killed, Scenario, World, add_tenant, retune


def _empties(world: World) -> None:
    """The timer, or a cancel, brings back nothing at all."""
    assert world.device._pending is not None
    world.device._pending.backup = {}


@pytest.mark.parametrize("scenario", [add_tenant(), retune()], ids=["creates", "three phases"])
async def test_a_cancel_that_empties_the_station(scenario: Scenario) -> None:
    world = World(scenario, QUICK)
    # The last phase is refused, or what it made does not come up.
    world.fault("edit", Wrong.REFUSE, skip=2)
    world.break_link()
    world.act("cancel", lambda: _empties(world))
    result = await world.work()
    assert result.outcome is Outcome.DIVERGED, result.detail
    assert [alarm.probable_cause for alarm in world.store.alarms.standing()] == [DIVERGED]


async def test_what_vanished_is_named() -> None:
    world = World(add_tenant(), QUICK)
    world.break_link()
    world.act("cancel", lambda: _empties(world))
    result = await world.work()
    many = len(world.scenario.before.tree)
    assert f"{many} of {many} nodes are gone" in result.detail
    assert "/ManagedElement" in result.detail
    assert "not reached within" in result.detail  # why it was taken back


@pytest.mark.parametrize("late", [False, True])
async def test_a_timer_that_empties_the_station_while_nobody_looks(late: bool) -> None:
    """The worker died; who takes over finds nothing, which for creates is the old state."""
    at = (await calls_of("one-phase")).index("confirm") + 1
    world = world_of("one-phase")
    claim = world.claim()
    with pytest.raises(Killed):
        await world.transaction(claim, Interrupter(at - (2 if late else 0))).run()
    _empties(world)
    world.clock.pause(61)
    world.bury(claim)
    assert world.device.running == {}
    result = await world.work()
    assert result.outcome is Outcome.DIVERGED, result.detail
    assert "nodes are gone" in result.detail


def _without(world: World, part: str) -> Tree:
    return {path: leaves for path, leaves in world.device.running.items() if part not in path}


async def test_a_commit_that_drops_what_it_does_not_name_is_taken_back() -> None:
    """A policy of another tenant, which neither edits nor checks name."""
    world = World(retune(), QUICK)
    part = next(path for path in reversed(list(world.device.running)) if not matched(world, path))
    # Between the last commit and the read that follows it.
    world.device.faults.append(Fault("read", act=lambda: world.device._become(_without(world, part)), skip=3))
    result = await world.work()
    assert result.outcome is Outcome.ROLLED_BACK, result.detail
    assert part in result.detail
    assert JournalStep.CONFIRMING not in world.steps
    world.assert_settled(result)


def matched(world: World, path: str) -> bool:
    """Whether the change's own fingerprint covers a path."""
    paths = world.scenario.change.fingerprint.paths
    return any(path == one.rpartition("/")[0] or path.startswith(one) for one in paths)


async def test_nodes_that_go_with_the_confirm_are_seen() -> None:
    world = World(add_tenant(), QUICK)
    gone = next(path for path in reversed(list(world.device.running)) if not matched(world, path))
    # After the first confirm.
    world.device.faults.append(Fault("confirm", act=lambda: world.device._become(_without(world, gone)), skip=1))
    result = await world.work()
    assert result.outcome is Outcome.DIVERGED
    assert gone in result.detail


async def test_a_station_that_was_emptied_before_its_run_is_no_mere_refusal() -> None:
    world = World(retune(), QUICK)
    world.device._become({})
    result = await world.work()
    assert result.outcome is Outcome.DIVERGED
    assert "carries nothing any more" in result.detail
    assert world.changes == 1


async def test_the_run_stops() -> None:
    world = World(add_tenant(), QUICK)
    world.break_link()
    world.act("cancel", lambda: _empties(world))
    await world.work()
    transition = decide(world.store.runs.get(world.run.id), world.store.runs.jobs(world.run.id))
    assert transition is not None
    assert transition.state is RunState.DIVERGED
