"""A worker that dies at any moment: whoever takes over brings device, ledger and record to one end.

Each scenario is first played through to count the calls to device and record; then the worker is killed at
every one of them, before and after it took effect, with its connection closed and left hanging in turns.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from controller.models.errors import DeviceBusyError, LeaseLostError
from controller.models.plan import Edit, Op
from controller.models.run import JournalStep, Outcome, Strategy
from controller.nrm.apply import apply_edits
from controller.ports.fake_devices import RUNNING_ONLY, Fault, Wrong
from controller.ports.store import Claim
from tests.support.soak import SOAK, TURNS
from tests.unit.plan.samples import LTE_CELL
from tests.unit.runs.world import UNSAFE, Interrupter, Killed, Scenario, World, add_tenant, retune

Prepare = Callable[[World], None]


def _nothing(_world: World) -> None:
    return


def _break_link(world: World) -> None:
    world.break_link()


def _refuse_unlock_phase(world: World) -> None:
    world.fault("edit", Wrong.REFUSE, skip=2)


def _deny_locks(world: World) -> None:
    """As netconfd, which lets nobody lock while a confirmed commit is pending."""
    world.device.denies_locks = True


def _deny_locks_and_break(world: World) -> None:
    _deny_locks(world)
    _break_link(world)


def _keep_candidate(world: World) -> None:
    """As servers that keep a lost session's edits, and then don't let the candidate be locked."""
    world.device.keeps_candidate = True


SCENARIOS: dict[str, tuple[Callable[[], Scenario], Prepare]] = {
    "one-phase": (add_tenant, _nothing),
    "three-phases": (retune, _nothing),
    "failing-checks": (add_tenant, _break_link),
    "refused-last-phase": (retune, _refuse_unlock_phase),
    "inverse-one-phase": (lambda: add_tenant(UNSAFE), _nothing),
    "inverse-three-phases": (lambda: retune(UNSAFE), _nothing),
    "inverse-failing-checks": (lambda: add_tenant(UNSAFE), _break_link),
    "locks-denied": (retune, _deny_locks),
    "locks-denied-failing-checks": (add_tenant, _deny_locks_and_break),
    "candidate-kept": (add_tenant, _keep_candidate),
    "running-only": (lambda: retune(RUNNING_ONLY), _nothing),
}


def world_of(name: str) -> World:
    make, prepare = SCENARIOS[name]
    # Check for a second only, so that failing checks don't take hundreds of reads.
    world = World(make(), Strategy(check_timeout=1, confirm_timeout=60))
    prepare(world)
    return world


async def calls_of(name: str) -> list[str]:
    """What is called when nothing goes wrong."""
    world, interrupter = world_of(name), Interrupter()
    claim = world.claim()
    result = await world.transaction(claim, interrupter).run()
    world.store.claims.finish(claim, result)
    world.assert_settled(result)
    assert len(interrupter.calls) > 10
    return interrupter.calls


async def interrupted(world: World, *interrupters: Interrupter) -> None:
    """Workers that die one after the other, and one that lives; then everything must agree."""
    for interrupter in interrupters:
        claim = world.claim()
        try:
            result = await world.transaction(claim, interrupter).run()
        except Killed:
            world.bury(claim)
            continue
        world.store.claims.finish(claim, result)
        break
    else:
        result = await world.work()
    world.assert_settled(result)
    assert result.outcome in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.FAILED_SAFE), result


async def all_interrupted(name: str, *interrupters: Interrupter) -> None:
    world = world_of(name)
    try:
        await interrupted(world, *interrupters)
    except AssertionError as error:
        raise AssertionError(f"{interrupters}: {error}; {world.steps}") from error


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_at_every_call(name: str, after: bool) -> None:
    calls = await calls_of(name)
    for at in range(1, len(calls) + 1):
        for turn in TURNS:
            await all_interrupted(name, Interrupter(at, after, hung=(at + after + turn) % 2 == 0))


@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_twice(name: str) -> None:
    """The second worker dies while it recovers; a third one ends it."""
    calls = await calls_of(name)
    chance = random.Random(name)
    for _ in range(60 if SOAK else 30):
        deaths = [
            Interrupter(chance.randint(1, len(calls)), chance.random() < 0.5, chance.random() < 0.5) for _ in range(2)
        ]
        await all_interrupted(name, *deaths)


@pytest.mark.parametrize("late", [False, True], ids=["in-time", "too-late"])
async def test_what_was_committed_is_confirmed_by_the_next_worker(late: bool) -> None:
    at = (await calls_of("one-phase")).index("commit_confirmed") + 1
    world = world_of("one-phase")
    claim = world.claim()
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
    assert world.steps.count(JournalStep.READ) == (2 if late else 1)
    world.assert_settled(result)


@pytest.mark.parametrize("last", ["commit_confirmed", "confirm"])
async def test_a_pending_commit_is_taken_over_by_its_token_where_nobody_may_lock(last: str) -> None:
    """The worker dies behind the last phase's commit; the next one confirms it, and no timer has to run out."""
    calls = await calls_of("locks-denied")
    at = (
        len(calls) - calls[::-1].index("commit_confirmed") if last == "commit_confirmed" else calls.index("confirm") + 1
    )
    world = world_of("locks-denied")
    claim = world.claim()
    with pytest.raises(Killed):
        await world.transaction(claim, Interrupter(at, after=last == "commit_confirmed")).run()
    world.bury(claim)
    before = world.clock.monotonic()
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert world.clock.monotonic() - before < 5
    assert world.changes == len(world.scenario.change.phases)  # nothing was done twice
    assert world.steps.count(JournalStep.LOCKED) == 1
    world.assert_settled(result)


async def test_half_of_a_change_is_cancelled_by_its_token_and_begun_anew_under_the_lock() -> None:
    at = (await calls_of("locks-denied")).index("commit_confirmed") + 1
    world = world_of("locks-denied")
    claim = world.claim()
    with pytest.raises(Killed):
        await world.transaction(claim, Interrupter(at, after=True)).run()
    world.bury(claim)
    before = world.clock.monotonic()
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert world.clock.monotonic() - before < 5
    assert world.steps.count(JournalStep.LOCKED) == 2
    world.assert_settled(result)


async def test_edits_of_somebody_else_in_the_candidate_are_never_confirmed_without_the_lock() -> None:
    calls = await calls_of("locks-denied")
    world = world_of("locks-denied")
    claim = world.claim()
    with pytest.raises(Killed):
        await world.transaction(claim, Interrupter(calls.index("confirm"))).run()
    world.bury(claim)
    foreign = Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "7"}, after={"pci": "99"}, owners=("host",))

    def scribble() -> None:
        world.device.candidate = apply_edits(world.device.root, world.device.running, [foreign])

    # Behind our discard and the first look at the candidate.
    world.device.faults.append(Fault("read", act=scribble, skip=1))
    result = await world.work()
    assert not world.device.faults[-1].times
    assert all(tree.get(LTE_CELL, {}).get("pci") != "99" for tree in world.device.history)
    world.assert_settled(result)


async def test_where_not_even_the_token_is_taken_the_timer_ends_it_and_the_outcome_says_so() -> None:
    calls = await calls_of("locks-denied")
    world = world_of("locks-denied")
    claim = world.claim()
    with pytest.raises(Killed):
        await world.transaction(claim, Interrupter(calls.index("confirm") + 1)).run()
    world.bury(claim)

    def deny() -> None:
        if world.device.pending:
            raise DeviceBusyError("in-use: a confirmed commit is pending")

    for operation in ("confirm", "cancel", "discard"):
        world.device.faults.append(Fault(operation, act=deny, times=999))
    result = await world.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "nobody could take it over: in-use: a confirmed commit is pending" in result.detail
    world.assert_settled(result)


async def test_a_candidate_that_somebody_else_edited_defers_and_is_named() -> None:
    """It is never discarded: it may be a person's work."""
    world = world_of("candidate-kept")
    foreign = Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "1"}, after={"pci": "99"}, owners=("host",))
    world.device.candidate = apply_edits(world.device.root, world.device.running, [foreign])
    result = await world.work()
    assert result.outcome is Outcome.DEFERRED
    assert "candidate holds edits that somebody else did not commit" in result.detail
    assert world.device.candidate[LTE_CELL]["pci"] == "99"


async def test_a_candidate_that_our_dead_worker_edited_is_discarded_and_no_other() -> None:
    at = (await calls_of("candidate-kept")).index("edit") + 1
    world = world_of("candidate-kept")
    claim = world.claim()
    with pytest.raises(Killed):
        await world.transaction(claim, Interrupter(at, after=True)).run()
    assert world.device.candidate != world.device.running
    foreign = Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "1"}, after={"pci": "99"}, owners=("host",))
    ours = world.device.candidate
    world.device.candidate = apply_edits(world.device.root, ours, [foreign])
    world.bury(claim)
    claim = world.claim()
    assert (await world.transaction(claim).run()).outcome is Outcome.DEFERRED
    world.device.candidate = ours
    assert (await world.transaction(claim).run()).outcome is Outcome.SUCCEEDED


class _Watch(Interrupter):
    """Loses the lease at the n-th call, and notes what is still sent to the device to change it.

    Args:
        buried: Whether it was buried already, or only its own deadline has passed.
    """

    def __init__(self, at: int, world: World, claim: Claim, *, buried: bool) -> None:
        super().__init__(at)
        self._world, self._claim, self._buried = world, claim, buried
        self.sent: list[str] = []

    def due(self, name: str) -> bool:
        if super().due(name):
            self._world.alive = False
            if self._buried:
                self._world.bury(self._claim)
        if len(self.calls) > self.at and name in MUTATING:
            self.sent.append(name)
        return False


MUTATING = ("edit", "commit", "commit_confirmed", "confirm", "cancel", "kill", "copy_to_startup")


@pytest.mark.parametrize("buried", [True, False], ids=["buried", "without heartbeat"])
@pytest.mark.parametrize("name", ["three-phases", "failing-checks", "inverse-three-phases", "inverse-failing-checks"])
async def test_a_worker_that_lost_its_lease_changes_nothing_more(name: str, buried: bool) -> None:
    """It was stopped, and wakes up when its device belongs to others."""
    calls = await calls_of(name)
    for at in range(1, len(calls) + 1):
        world = world_of(name)
        claim = world.claim()
        watch = _Watch(at, world, claim, buried=buried)
        # Where it changes nothing any more it may come to a result, which the record refuses.
        with contextlib.suppress(LeaseLostError):
            await world.transaction(claim, watch).run()
        assert not watch.sent, (at, watch.sent)
        if not buried:
            world.bury(claim)
        world.alive = True
        world.assert_settled(await world.work())


async def test_what_reverted_before_its_confirm_is_neither_confirmed_nor_cancelled() -> None:
    at = (await calls_of("one-phase")).index("confirm") + 1
    world = world_of("one-phase")
    claim = world.claim()
    with pytest.raises(Killed):
        await world.transaction(claim, Interrupter(at)).run()
    world.clock.pause(61)
    world.bury(claim)
    result = await world.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "reverted by itself" in result.detail
    assert JournalStep.CANCELLING not in world.steps
    world.assert_settled(result)


async def test_a_candidate_that_holds_more_than_running_is_never_confirmed() -> None:
    """A confirming commit commits whatever the candidate holds; this station only says that it discards."""
    at = (await calls_of("one-phase")).index("confirm") + 1
    world = world_of("one-phase")
    claim = world.claim()
    with pytest.raises(Killed):
        await world.transaction(claim, Interrupter(at)).run()
    world.bury(claim)
    foreign = Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "1"}, after={"pci": "99"}, owners=("host",))

    def scribble() -> None:
        world.device.candidate = apply_edits(world.device.root, world.device.running, [foreign])

    world.device.faults.append(Fault("discard", Wrong.LIE, act=scribble))
    result = await world.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert world.device.running[LTE_CELL]["pci"] == "1"
    world.assert_settled(result)
