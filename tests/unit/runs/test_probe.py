"""How a server behaves is tried out once, with a commit of nothing, and what it wants is then done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.models.behaviour import Behaviour, FollowUp
from controller.models.errors import NotClearedError
from controller.models.run import JournalStep, Outcome
from controller.ports.fake_devices import SAFE, Fault, Wrong
from controller.ports.store import Page
from controller.runs.planning.planner import Planner
from tests.unit.plan import samples
from tests.unit.plan.samples import LTE_CELL
from tests.unit.runs.world import (
    QUICK,
    STATION,
    TARGET,
    InstantStore,
    Interrupter,
    Killed,
    World,
    add_tenant,
    retune,
)

#: Of software that nobody knows yet.
UNKNOWN = replace(SAFE, software="acme-1")


@pytest.mark.parametrize("form", FollowUp)
async def test_a_change_in_phases_follows_up_as_the_server_wants_it(form: FollowUp) -> None:
    world = World(retune(UNKNOWN), QUICK)
    world.device.follow_up = form
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert JournalStep.CONFIRMING in world.steps  # it was guarded by a confirmed commit
    assert world.store.behaviour("acme-1") == Behaviour(follow_up=form)
    world.assert_settled(result)


async def test_the_probe_changes_nothing_and_comes_before_anything_is_locked_on_air() -> None:
    world = World(retune(UNKNOWN), QUICK)
    history: list[int] = []
    world.device.faults.append(Fault("cancel", act=lambda: history.append(world.changes)))
    assert (await world.work()).outcome is Outcome.SUCCEEDED
    assert history == [0]
    assert world.steps[:4] == [JournalStep.OPENED, JournalStep.LOCKED, JournalStep.PROBING, JournalStep.READ]
    probing = world.journal[2]
    assert probing.persist
    assert probing.deadline is not None


async def test_it_is_probed_once_and_remembered() -> None:
    world = World(retune(UNKNOWN), QUICK)
    assert (await world.work()).outcome is Outcome.SUCCEEDED
    cancels = sum(line.endswith(" cancel") for line in world.device.log)
    world.device.foreign_edit([edit for phase in reversed(world.scenario.change.phases) for edit in phase.inverse])
    world.run = world.start(QUICK)
    assert (await world.work()).outcome is Outcome.SUCCEEDED
    assert sum(line.endswith(" cancel") for line in world.device.log) == cancels == 1
    _, rows = world.store.audit_rows(Page(limit=1000))
    assert [row.object for row in rows if row.action == "behaviour.learned"] == ["acme-1"]


async def test_who_takes_no_follow_up_is_changed_in_phases_by_the_stored_inverse() -> None:
    world = World(retune(UNKNOWN), QUICK)
    world.device.follow_up = None
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert JournalStep.CONFIRMING not in world.steps
    known = world.store.behaviour("acme-1")
    assert known is not None
    assert (known.follow_up, known.cancels) == (None, True)
    assert "Persist ID given" in known.reason
    world.assert_settled(result)
    # A change of one phase needs none.
    one = World(add_tenant(UNKNOWN), QUICK)
    one.device.follow_up = None
    assert (await one.work()).outcome is Outcome.SUCCEEDED
    assert JournalStep.CONFIRMING in one.steps


@pytest.mark.parametrize("operation", ["commit_confirmed", "cancel"])
async def test_who_refuses_is_not_trusted(operation: str) -> None:
    world = World(add_tenant(UNKNOWN), QUICK)
    world.fault(operation, Wrong.REFUSE)
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert JournalStep.CONFIRMING not in world.steps
    world.assert_settled(result)
    assert (
        await Planner(InstantStore(world.store), world.devices, world.clock, lambda *_: TARGET).read(
            samples.network(), STATION
        )
    ).reverts is False


async def test_a_probe_that_does_harm_is_named_and_stops() -> None:
    """As a server whose cancel empties running."""
    world = World(add_tenant(UNKNOWN), QUICK)

    def empty() -> None:
        assert world.device._pending is not None
        world.device._pending.backup = {}

    world.act("cancel", empty)
    result = await world.work()
    assert result.outcome is Outcome.DIVERGED
    assert "empty confirmed commit" in result.detail
    known = world.store.behaviour("acme-1")
    assert known is not None
    assert not known.cancels


@pytest.mark.parametrize("denies", [False, True], ids=["locks", "locks denied"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_worker_that_dies_while_it_probes_leaves_nothing(after: bool, denies: bool) -> None:
    first = World(retune(UNKNOWN), QUICK)
    calls = Interrupter()
    await first.transaction(first.claim(), calls).run()
    begin, end = calls.calls.index("commit_confirmed") + 1, calls.calls.index("cancel") + 3
    for at in range(begin, end):
        world = World(retune(UNKNOWN), QUICK)
        world.device.denies_locks = denies
        claim = world.claim()
        with pytest.raises(Killed):
            await world.transaction(claim, Interrupter(at, after, hung=at % 2 == 0)).run()
        world.bury(claim)
        result = await world.work()
        assert result.outcome is Outcome.SUCCEEDED, (at, result.detail)
        world.assert_settled(result)


async def test_who_loses_the_session_at_each_probe_is_changed_without_one() -> None:
    world = World(retune(UNKNOWN), QUICK)
    world.fault("commit_confirmed", Wrong.DROP_AFTER, times=2)
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert world.steps.count(JournalStep.PROBING) == 2
    # It may have been the network: nothing is remembered of it.
    assert world.store.behaviour("acme-1") is None


async def test_no_job_that_may_not_begin_probes() -> None:
    world = World(retune(UNKNOWN), QUICK)
    claim = world.claim()
    with world.store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET blocked = 'a hold'")
    with pytest.raises(NotClearedError):
        await world.transaction(claim).run()
    assert "commit_confirmed" not in " ".join(world.device.log)
    assert world.device.running[LTE_CELL]["pci"] == "1"
