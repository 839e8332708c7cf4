"""A worker that dies at any moment: whoever takes over brings device, ledger and record to one end.

Each scenario is first played through to count the calls to device and record; then the worker is killed between them,
in the soak between all, else between those that ``moments`` chooses, with its connection closed and left hanging in
turns. Workers are the real loop, in virtual time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import closing

import pytest

from controller.drivers.fake import RUNNING_ONLY, Fault, FaultKind
from controller.models.errors import DeviceBusyError, StoreError
from controller.models.plan import Edit, Op
from controller.models.run import Job, JournalStep, Outcome, Strategy
from controller.nrm.apply import apply_edits
from controller.ports.clock import VirtualClock
from controller.runs.loop import BELIEF
from controller.store import NewJob, open_store
from tests.support.soak import SOAK, TURNS
from tests.unit.plan.samples import LTE_CELL
from tests.unit.runs.group_bench import GroupBench, Mortal, deaths
from tests.unit.runs.transaction_bench import STATION, UNSAFE, Scenario, add_tenant, change_primary, empty, retune

Prepare = Callable[[GroupBench], None]


def _nothing(_bench: GroupBench) -> None:
    return


def _break_link(bench: GroupBench) -> None:
    bench.break_links(STATION)


def _refuse_unlock_phase(bench: GroupBench) -> None:
    bench[STATION].faults.append(Fault("edit", FaultKind.REFUSE, skip=2))


def _deny_locks(bench: GroupBench) -> None:
    """As netconfd, which lets nobody lock while a confirmed commit is pending."""
    bench[STATION].denies_locks = True


def _deny_locks_and_break(bench: GroupBench) -> None:
    _deny_locks(bench)
    _break_link(bench)


def _keep_candidate(bench: GroupBench) -> None:
    """As servers that keep a lost session's edits, and then don't let the candidate be locked."""
    bench[STATION].keeps_candidate = True


def _keep_candidate_and_deny_locks(bench: GroupBench) -> None:
    """As clixon, which also denies locks without a holder, so that its candidate has to tell why."""
    _keep_candidate(bench)
    _deny_locks(bench)


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
    "candidate-kept-three-phases": (retune, _keep_candidate),
    "candidate-kept-locks-denied": (retune, _keep_candidate_and_deny_locks),
    "primary-plmn": (change_primary, _nothing),
    "primary-plmn-failing-checks": (change_primary, _break_link),
    "inverse-primary-plmn": (lambda: change_primary(UNSAFE), _nothing),
    "running-only": (lambda: retune(RUNNING_ONLY), _nothing),
}


def bench_of(name: str) -> GroupBench:
    make, prepare = SCENARIOS[name]
    # Check for a second only, so that failing checks don't take hundreds of reads.
    bench = GroupBench([NewJob(0, STATION)], Strategy(check_timeout=1, confirm_timeout=60), scenario=make())
    prepare(bench)
    return bench


async def whole_life(name: str) -> Mortal:
    """A process that lives until the run has ended."""
    bench, life = bench_of(name), Mortal()
    assert await bench.shift(life)
    settled(bench)
    assert len(life.calls) > 20
    return life


async def calls_of(name: str) -> list[str]:
    """What is called when nothing goes wrong."""
    return (await whole_life(name)).calls


def settled(bench: GroupBench) -> Job:
    """The job, which ended on record, once."""
    bench.assert_settled()
    assert bench.steps(STATION).count(JournalStep.FINISHED) == 1
    return bench.job(STATION)


async def killed(bench: GroupBench, at: int, *, after: bool = False) -> None:
    """A process that dies at a call."""
    assert not await bench.shift(Mortal(at, after))


async def ended(bench: GroupBench) -> Job:
    """A process that lives until the run has ended."""
    await bench.work()
    return settled(bench)


async def all_killed(name: str, *deaths: Mortal) -> None:
    """Processes that die one after the other, and one that lives; then everything must agree."""
    bench = bench_of(name)
    try:
        await bench.work(*deaths)
        outcome = settled(bench).outcome
        assert outcome in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.FAILED_SAFE), outcome
    except AssertionError as error:
        raise AssertionError(f"{deaths}: {error}; {bench.steps(STATION)}") from error


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_at_every_call(name: str, turn: int) -> None:
    for death in deaths(await whole_life(name), random.Random(name), turn):
        await all_killed(name, death)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_twice(name: str) -> None:
    """The second worker dies while it recovers; a third one ends it."""
    calls = await calls_of(name)
    chance = random.Random(name)
    # The first calls register a worker and look for work.
    begun = calls.index("lock") - 2
    for _ in range(60 if SOAK else 4):
        deaths = [
            Mortal(chance.randint(begun, len(calls)), chance.random() < 0.5, chance.random() < 0.5) for _ in range(2)
        ]
        await all_killed(name, *deaths)


@pytest.mark.parametrize("late", [False, True], ids=["in-time", "too-late"])
async def test_what_was_committed_is_confirmed_by_the_next_worker(late: bool) -> None:
    at = (await calls_of("one-phase")).index("commit_confirmed") + 1
    bench = bench_of("one-phase")
    await killed(bench, at, after=True)
    assert bench[STATION].pending
    if late:
        bench.clock.pause(61)
    assert (await ended(bench)).outcome is Outcome.SUCCEEDED
    # In time, the pending commit is confirmed: one change of running. Too late, it is made again.
    assert len(bench[STATION].history) == (4 if late else 2)
    assert bench.steps(STATION).count(JournalStep.READ) == (2 if late else 1)


@pytest.mark.parametrize("last", ["commit_confirmed", "confirm"])
async def test_a_pending_commit_is_taken_over_by_its_token_where_nobody_may_lock(last: str) -> None:
    """The worker dies behind the last phase's commit; the next one confirms it, and no timer has to run out."""
    calls = await calls_of("locks-denied")
    at = (
        len(calls) - calls[::-1].index("commit_confirmed") if last == "commit_confirmed" else calls.index("confirm") + 1
    )
    bench = bench_of("locks-denied")
    await killed(bench, at, after=last == "commit_confirmed")
    before = bench.clock.monotonic()
    await bench.work()
    assert bench.clock.monotonic() - before < 5
    job = settled(bench)
    assert job.outcome is Outcome.SUCCEEDED, job.detail
    assert len(bench[STATION].history) == 1 + len(bench.scenario.change.phases)  # nothing was done twice
    assert bench.steps(STATION).count(JournalStep.LOCKED) == 1


async def test_half_of_a_change_is_cancelled_by_its_token_and_begun_anew_under_the_lock() -> None:
    at = (await calls_of("locks-denied")).index("commit_confirmed") + 1
    bench = bench_of("locks-denied")
    await killed(bench, at, after=True)
    before = bench.clock.monotonic()
    await bench.work()
    assert bench.clock.monotonic() - before < 5
    job = settled(bench)
    assert job.outcome is Outcome.SUCCEEDED, job.detail
    assert bench.steps(STATION).count(JournalStep.LOCKED) == 2


def foreign(pci: str) -> Edit:
    """An edit of somebody else."""
    return Edit(op=Op.MERGE, path=LTE_CELL, before={"pci": pci}, after={"pci": "99"}, owners=("host",))


async def test_edits_of_somebody_else_in_the_candidate_are_never_confirmed_without_the_lock() -> None:
    calls = await calls_of("locks-denied")
    bench = bench_of("locks-denied")
    device = bench[STATION]
    await killed(bench, calls.index("confirm"))

    def scribble() -> None:
        device.candidate = apply_edits(device.root, device.running, [foreign("7")])

    # Behind our discard and the first look at the candidate.
    device.faults.append(Fault("read", act=scribble, skip=1))
    await ended(bench)
    assert not device.faults[-1].times
    assert all(tree.get(LTE_CELL, {}).get("pci") != "99" for tree in device.history)


async def test_where_not_even_the_token_is_taken_the_timer_ends_it_and_the_outcome_says_so() -> None:
    calls = await calls_of("locks-denied")
    bench = bench_of("locks-denied")
    device = bench[STATION]
    await killed(bench, calls.index("confirm") + 1)

    def deny() -> None:
        if device.pending:
            raise DeviceBusyError("in-use: a confirmed commit is pending")

    for operation in ("confirm", "cancel", "discard"):
        device.faults.append(Fault(operation, act=deny, times=999))
    job = await ended(bench)
    assert job.outcome is Outcome.ROLLED_BACK
    assert "nobody could take it over: in-use: a confirmed commit is pending" in job.detail


async def test_a_candidate_that_somebody_else_edited_defers_and_is_named() -> None:
    """It is never discarded: it may be a person's work."""
    bench = bench_of("candidate-kept")
    device = bench[STATION]
    device.candidate = apply_edits(device.root, device.running, [foreign("1")])
    await bench.work()
    job = bench.job(STATION)
    assert job.outcome is Outcome.DEFERRED
    assert "candidate holds edits that somebody else did not commit" in job.detail
    assert device.candidate[LTE_CELL]["pci"] == "99"


@pytest.mark.parametrize("scribbled", [False, True])
async def test_a_candidate_that_our_dead_worker_edited_is_discarded_and_no_other(scribbled: bool) -> None:
    at = (await calls_of("candidate-kept")).index("edit") + 1
    bench = bench_of("candidate-kept")
    device = bench[STATION]
    await killed(bench, at, after=True)
    assert device.candidate != device.running
    if scribbled:
        device.candidate = apply_edits(device.root, device.candidate, [foreign("1")])
    await bench.work()
    assert bench.job(STATION).outcome is (Outcome.DEFERRED if scribbled else Outcome.SUCCEEDED)
    assert (device.candidate[LTE_CELL]["pci"] == "99") is scribbled


MUTATING = ("edit", "commit", "commit_confirmed", "confirm", "cancel", "kill", "copy_to_startup")


class Stalled(Mortal):
    """A process that stands still at its n-th call, and notes what it still sends to change the device later.

    Args:
        returns: Whether it goes on by itself after a while, with the record out of reach; else when it is let.
    """

    def __init__(self, at: int, bench: GroupBench, *, returns: bool) -> None:
        super().__init__(at)
        self._bench, self._returns = bench, returns
        self.stands, self.goes_on = False, asyncio.Event()
        self.sent: list[str] = []

    @property
    def dead(self) -> bool:
        return False

    async def reach(self, name: str) -> bool:
        self.calls.append(name)
        late, self.stands = self.goes_on.is_set(), len(self.calls) >= self.at
        if self.stands and not late and self._returns:
            self._bench.clock.pause(BELIEF)
            self.goes_on.set()
        elif self.stands:
            await self.goes_on.wait()
        if late and name in MUTATING:
            self.sent.append(name)
        if self._returns and self.stands and name == "record":
            raise StoreError("out of reach")
        return False


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", ["three-phases", "failing-checks", "inverse-three-phases", "inverse-failing-checks"])
async def test_a_worker_that_lost_its_lease_changes_nothing_more(name: str, turn: int) -> None:
    """It was stopped, and wakes up when its device belongs to others, or when it can't know whether it does."""
    calls = await calls_of(name)
    for at in range(calls.index("lock"), len(calls) + 1, 1 if SOAK else 3):
        bench, returns = bench_of(name), (at + turn) % 2 == 0
        life = Stalled(at, bench, returns=returns)
        async with bench.process(life):
            while not life.stands:
                await bench.clock.advance(0.5)
            if returns:
                await bench.clock.advance(3)
            bench.declare_dead()
            assert await bench.shift(Mortal())
            life.goes_on.set()
            await bench.clock.advance(3)
        assert not life.sent, (at, returns, life.sent)
        settled(bench)


async def test_what_reverted_before_its_confirm_is_neither_confirmed_nor_cancelled() -> None:
    at = (await calls_of("one-phase")).index("confirm") + 1
    bench = bench_of("one-phase")
    await killed(bench, at)
    bench.clock.pause(61)
    job = await ended(bench)
    assert job.outcome is Outcome.ROLLED_BACK
    assert "reverted by itself" in job.detail
    assert JournalStep.CANCELLING not in bench.steps(STATION)


async def test_a_candidate_that_holds_more_than_running_is_never_confirmed() -> None:
    """A confirming commit commits whatever the candidate holds; this station only says that it discards."""
    at = (await calls_of("one-phase")).index("confirm") + 1
    bench = bench_of("one-phase")
    device = bench[STATION]
    await killed(bench, at)

    def scribble() -> None:
        device.candidate = apply_edits(device.root, device.running, [foreign("1")])

    device.faults.append(Fault("discard", FaultKind.LIE, act=scribble))
    assert (await ended(bench)).outcome is Outcome.SUCCEEDED
    assert device.running[LTE_CELL]["pci"] == "1"


def test_a_test_that_lost_the_record_takes_no_other_along() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        with closing(store.database.engine.raw_connection()) as connection:
            connection.invalidate()
        empty(store)
        assert store.holds.find(clock.now()) == []
