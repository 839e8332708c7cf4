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
from tests.unit.runs.transaction_bench import (
    UNSAFE,
    Interrupter,
    Killed,
    Scenario,
    TransactionBench,
    add_tenant,
    change_primary,
    retune,
)

Prepare = Callable[[TransactionBench], None]


def _nothing(_bench: TransactionBench) -> None:
    return


def _break_link(bench: TransactionBench) -> None:
    bench.break_link()


def _refuse_unlock_phase(bench: TransactionBench) -> None:
    bench.fault("edit", Wrong.REFUSE, skip=2)


def _deny_locks(bench: TransactionBench) -> None:
    """As netconfd, which lets nobody lock while a confirmed commit is pending."""
    bench.device.denies_locks = True


def _deny_locks_and_break(bench: TransactionBench) -> None:
    _deny_locks(bench)
    _break_link(bench)


def _keep_candidate(bench: TransactionBench) -> None:
    """As servers that keep a lost session's edits, and then don't let the candidate be locked."""
    bench.device.keeps_candidate = True


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
    "primary-plmn": (change_primary, _nothing),
    "primary-plmn-failing-checks": (change_primary, _break_link),
    "inverse-primary-plmn": (lambda: change_primary(UNSAFE), _nothing),
    "running-only": (lambda: retune(RUNNING_ONLY), _nothing),
}


def world_of(name: str) -> TransactionBench:
    make, prepare = SCENARIOS[name]
    # Check for a second only, so that failing checks don't take hundreds of reads.
    bench = TransactionBench(make(), Strategy(check_timeout=1, confirm_timeout=60))
    prepare(bench)
    return bench


async def calls_of(name: str) -> list[str]:
    """What is called when nothing goes wrong."""
    bench, interrupter = world_of(name), Interrupter()
    claim = bench.claim()
    result = await bench.transaction(claim, interrupter).run()
    bench.store.claims.finish(claim, result)
    bench.assert_settled(result)
    assert len(interrupter.calls) > 10
    return interrupter.calls


async def interrupted(bench: TransactionBench, *interrupters: Interrupter) -> None:
    """Workers that die one after the other, and one that lives; then everything must agree."""
    for interrupter in interrupters:
        claim = bench.claim()
        try:
            result = await bench.transaction(claim, interrupter).run()
        except Killed:
            bench.declare_dead(claim)
            continue
        bench.store.claims.finish(claim, result)
        break
    else:
        result = await bench.work()
    bench.assert_settled(result)
    assert result.outcome in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.FAILED_SAFE), result


async def all_interrupted(name: str, *interrupters: Interrupter) -> None:
    bench = world_of(name)
    try:
        await interrupted(bench, *interrupters)
    except AssertionError as error:
        raise AssertionError(f"{interrupters}: {error}; {bench.steps}") from error


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
    bench = world_of("one-phase")
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(at, after=True)).run()
    assert bench.device.pending
    if late:
        bench.clock.pause(61)
    bench.declare_dead(claim)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    # In time, the pending commit is confirmed: one change of running. Too late, it is made anew.
    assert len(bench.device.history) == (4 if late else 2)
    assert bench.steps.count(JournalStep.READ) == (2 if late else 1)
    bench.assert_settled(result)


@pytest.mark.parametrize("last", ["commit_confirmed", "confirm"])
async def test_a_pending_commit_is_taken_over_by_its_token_where_nobody_may_lock(last: str) -> None:
    """The worker dies behind the last phase's commit; the next one confirms it, and no timer has to run out."""
    calls = await calls_of("locks-denied")
    at = (
        len(calls) - calls[::-1].index("commit_confirmed") if last == "commit_confirmed" else calls.index("confirm") + 1
    )
    bench = world_of("locks-denied")
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(at, after=last == "commit_confirmed")).run()
    bench.declare_dead(claim)
    before = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert bench.clock.monotonic() - before < 5
    assert bench.changes == len(bench.scenario.change.phases)  # nothing was done twice
    assert bench.steps.count(JournalStep.LOCKED) == 1
    bench.assert_settled(result)


async def test_half_of_a_change_is_cancelled_by_its_token_and_begun_anew_under_the_lock() -> None:
    at = (await calls_of("locks-denied")).index("commit_confirmed") + 1
    bench = world_of("locks-denied")
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(at, after=True)).run()
    bench.declare_dead(claim)
    before = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert bench.clock.monotonic() - before < 5
    assert bench.steps.count(JournalStep.LOCKED) == 2
    bench.assert_settled(result)


async def test_edits_of_somebody_else_in_the_candidate_are_never_confirmed_without_the_lock() -> None:
    calls = await calls_of("locks-denied")
    bench = world_of("locks-denied")
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(calls.index("confirm"))).run()
    bench.declare_dead(claim)
    foreign = Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "7"}, after={"pci": "99"}, owners=("host",))

    def scribble() -> None:
        bench.device.candidate = apply_edits(bench.device.root, bench.device.running, [foreign])

    # Behind our discard and the first look at the candidate.
    bench.device.faults.append(Fault("read", act=scribble, skip=1))
    result = await bench.work()
    assert not bench.device.faults[-1].times
    assert all(tree.get(LTE_CELL, {}).get("pci") != "99" for tree in bench.device.history)
    bench.assert_settled(result)


async def test_where_not_even_the_token_is_taken_the_timer_ends_it_and_the_outcome_says_so() -> None:
    calls = await calls_of("locks-denied")
    bench = world_of("locks-denied")
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(calls.index("confirm") + 1)).run()
    bench.declare_dead(claim)

    def deny() -> None:
        if bench.device.pending:
            raise DeviceBusyError("in-use: a confirmed commit is pending")

    for operation in ("confirm", "cancel", "discard"):
        bench.device.faults.append(Fault(operation, act=deny, times=999))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "nobody could take it over: in-use: a confirmed commit is pending" in result.detail
    bench.assert_settled(result)


async def test_a_candidate_that_somebody_else_edited_defers_and_is_named() -> None:
    """It is never discarded: it may be a person's work."""
    bench = world_of("candidate-kept")
    foreign = Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "1"}, after={"pci": "99"}, owners=("host",))
    bench.device.candidate = apply_edits(bench.device.root, bench.device.running, [foreign])
    result = await bench.work()
    assert result.outcome is Outcome.DEFERRED
    assert "candidate holds edits that somebody else did not commit" in result.detail
    assert bench.device.candidate[LTE_CELL]["pci"] == "99"


async def test_a_candidate_that_our_dead_worker_edited_is_discarded_and_no_other() -> None:
    at = (await calls_of("candidate-kept")).index("edit") + 1
    bench = world_of("candidate-kept")
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(at, after=True)).run()
    assert bench.device.candidate != bench.device.running
    foreign = Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "1"}, after={"pci": "99"}, owners=("host",))
    ours = bench.device.candidate
    bench.device.candidate = apply_edits(bench.device.root, ours, [foreign])
    bench.declare_dead(claim)
    claim = bench.claim()
    assert (await bench.transaction(claim).run()).outcome is Outcome.DEFERRED
    bench.device.candidate = ours
    assert (await bench.transaction(claim).run()).outcome is Outcome.SUCCEEDED


class _Watch(Interrupter):
    """Loses the lease at the n-th call, and notes what is still sent to the device to change it.

    Args:
        declared: Whether it was declared dead already, or only its own deadline has passed.
    """

    def __init__(self, at: int, bench: TransactionBench, claim: Claim, *, declared: bool) -> None:
        super().__init__(at)
        self._bench, self._claim, self._declared = bench, claim, declared
        self.sent: list[str] = []

    def due(self, name: str) -> bool:
        if super().due(name):
            self._bench.alive = False
            if self._declared:
                self._bench.declare_dead(self._claim)
        if len(self.calls) > self.at and name in MUTATING:
            self.sent.append(name)
        return False


MUTATING = ("edit", "commit", "commit_confirmed", "confirm", "cancel", "kill", "copy_to_startup")


@pytest.mark.parametrize("declared", [True, False], ids=["declared dead", "without heartbeat"])
@pytest.mark.parametrize("name", ["three-phases", "failing-checks", "inverse-three-phases", "inverse-failing-checks"])
async def test_a_worker_that_lost_its_lease_changes_nothing_more(name: str, declared: bool) -> None:
    """It was stopped, and wakes up when its device belongs to others."""
    calls = await calls_of(name)
    for at in range(1, len(calls) + 1):
        bench = world_of(name)
        claim = bench.claim()
        watch = _Watch(at, bench, claim, declared=declared)
        # Where it changes nothing any more it may come to a result, which the record refuses.
        with contextlib.suppress(LeaseLostError):
            await bench.transaction(claim, watch).run()
        assert not watch.sent, (at, watch.sent)
        if not declared:
            bench.declare_dead(claim)
        bench.alive = True
        bench.assert_settled(await bench.work())


async def test_what_reverted_before_its_confirm_is_neither_confirmed_nor_cancelled() -> None:
    at = (await calls_of("one-phase")).index("confirm") + 1
    bench = world_of("one-phase")
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(at)).run()
    bench.clock.pause(61)
    bench.declare_dead(claim)
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "reverted by itself" in result.detail
    assert JournalStep.CANCELLING not in bench.steps
    bench.assert_settled(result)


async def test_a_candidate_that_holds_more_than_running_is_never_confirmed() -> None:
    """A confirming commit commits whatever the candidate holds; this station only says that it discards."""
    at = (await calls_of("one-phase")).index("confirm") + 1
    bench = world_of("one-phase")
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, Interrupter(at)).run()
    bench.declare_dead(claim)
    foreign = Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": "1"}, after={"pci": "99"}, owners=("host",))

    def scribble() -> None:
        bench.device.candidate = apply_edits(bench.device.root, bench.device.running, [foreign])

    bench.device.faults.append(Fault("discard", Wrong.LIE, act=scribble))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED
    assert bench.device.running[LTE_CELL]["pci"] == "1"
    bench.assert_settled(result)
