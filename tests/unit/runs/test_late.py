"""A device that answers ok and acts later: an ok says neither that it acted, nor that it never does."""

from __future__ import annotations

import pytest

from controller.assurance.checker import Checker
from controller.drivers.fake import RUNNING_ONLY, Fault, FaultKind
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.target import DeviceTarget
from controller.models.alarm import DIVERGED, Alarm, AlarmSource
from controller.models.network import Network
from controller.models.plan import Edit
from controller.models.run import FoundState, JournalStep, Outcome, RunState
from controller.runs.planning.planner import Planner
from controller.runs.planning.undo import undo_plan
from controller.runs.rollout.transitions import decide
from controller.runs.transaction.patience import Patience
from controller.store import NewJob, Transition
from tests.support.launch import prepared
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import (
    QUICK,
    STATION,
    UNSAFE,
    InstantStore,
    Interrupter,
    Killed,
    Scenario,
    TransactionBench,
    add_tenant,
    add_tenant_in_two,
    retune,
)

_TIMER = 60


class Bench(TransactionBench):
    """A run on a station that is late once."""

    def __init__(self, scenario: Scenario, operation: str, after: float, *, skip: int = 0, times: int = 1) -> None:
        super().__init__(scenario, QUICK)
        self.device.faults.append(Fault(operation, FaultKind.LATE, skip=skip, times=times, after=after))


@pytest.mark.parametrize("after", [0.1, 8, 50])
async def test_a_late_confirmed_commit_is_cancelled_as_soon_as_it_shows(after: float) -> None:
    bench = Bench(retune(), "commit_confirmed", after)
    begun = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    assert "answered ok and carries nothing of it" in result.detail
    assert "and was taken back" in result.detail
    assert bench.changes == 2, "what appeared was cancelled"
    assert bench.clock.monotonic() - begun >= _TIMER, "more of it might have come"
    bench.assert_settled(result)


async def test_what_comes_late_as_an_ordinary_commit_goes_by_the_stored_inverse_at_once() -> None:
    """The cancel is refused, since nothing is pending: no timer will take it back."""
    bench = TransactionBench(retune(), QUICK)
    device = bench.device

    def plainly() -> None:
        (session,) = device.sessions
        device.later(8, lambda: device.commit(session))

    device.faults.append(Fault("commit_confirmed", FaultKind.LIE, plainly))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    locked = next(row.at for row in bench.journal if row.step is JournalStep.UNSEEN)
    (back,) = [row.at for row in bench.journal if row.step is JournalStep.REVERTING]
    assert (back - locked).total_seconds() < 15
    bench.assert_settled(result)


async def test_a_late_phase_that_follows_comes_after_the_cancel() -> None:
    bench = TransactionBench(add_tenant_in_two(), QUICK)
    device = bench.device

    def whole() -> None:
        (session,) = device.sessions
        device.later(8, lambda: device.commit(session))

    device.faults.append(Fault("commit_confirmed", FaultKind.LIE, whole, skip=1))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    bench.assert_settled(result)


@pytest.mark.parametrize(
    ("scenario", "operation"), [(retune(UNSAFE), "commit"), (retune(RUNNING_ONLY), "edit"), (retune(), "confirm")]
)
async def test_no_end_is_told_before_what_was_sent_can_come(scenario: Scenario, operation: str) -> None:
    """A plain commit, an edit of running, and a confirm."""
    bench = Bench(scenario, operation, 8)
    result = await bench.work()
    assert result.outcome is (Outcome.SUCCEEDED if operation == "confirm" else Outcome.ROLLED_BACK), result
    bench.assert_settled(result)


@pytest.mark.parametrize(
    ("scenario", "operation", "skip"),
    [(add_tenant(), "cancel", 0), (add_tenant(UNSAFE), "commit", 1), (add_tenant(RUNNING_ONLY), "edit", 1)],
)
async def test_a_way_back_that_is_late_is_waited_for(scenario: Scenario, operation: str, skip: int) -> None:
    bench = Bench(scenario, operation, 8, skip=skip, times=9)
    bench.break_link()
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    bench.assert_settled(result)


@pytest.mark.parametrize(
    ("scenario", "operation"),
    [(retune(), "commit_confirmed"), (retune(UNSAFE), "commit"), (retune(RUNNING_ONLY), "edit")],
)
async def test_an_ok_that_comes_to_nothing_is_told_as_that(scenario: Scenario, operation: str) -> None:
    bench = TransactionBench(scenario, QUICK)
    bench.fault(operation, FaultKind.LIE)
    begun = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.FAILED_SAFE, result
    assert "answered ok and carries nothing of it" in result.detail
    assert "nothing of it took effect within 63 s" in result.detail
    assert 63 <= bench.clock.monotonic() - begun < 70
    assert bench.device.log.count("1 read") < 25, "seldom"
    bench.assert_settled(result)


class _AfterTheCancel(Interrupter):
    """Kills a worker at a reading after the cancel."""

    def due(self, name: str) -> bool:
        self.calls.append(name)
        return name == "read" and "cancel" in self.calls and self.calls[self.calls.index("cancel") :].count("read") == 5


@pytest.mark.parametrize(("after", "outcome"), [(50, Outcome.ROLLED_BACK), (None, Outcome.FAILED_SAFE)])
async def test_a_worker_that_dies_meanwhile_leaves_the_wait_to_the_next(after: float | None, outcome: Outcome) -> None:
    bench = TransactionBench(retune(), QUICK)
    wrong = FaultKind.LIE if after is None else FaultKind.LATE
    bench.device.faults.append(Fault("commit_confirmed", wrong, after=after or 0))
    claim = bench.claim()
    with pytest.raises(Killed):
        await bench.transaction(claim, _AfterTheCancel()).run()
    bench.declare_dead(claim)
    result = await bench.work()
    assert result.outcome is outcome, result
    assert bench.changes == (0 if after is None else 2)
    bench.assert_settled(result)


class _Watched(TransactionBench):
    """A run of which nothing shows while it lasts, on a station that the listener looks at."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario, QUICK)
        store = InstantStore(self.store)
        self.planner = Planner(store, self.devices, self.clock, _target)
        self.checker = Checker(store, self.planner, self.clock, frozenset(AlarmSource))

    async def ends_in_vain(self, wrong: FaultKind = FaultKind.LATE) -> None:
        """Its commit is answered ok; it takes effect long after its end."""
        await self.ends(Outcome.FAILED_SAFE, Fault("commit", wrong, after=300))

    async def ends(self, outcome: Outcome, fault: Fault) -> None:
        """The run ends with a fault, and then nothing of it shows."""
        await self.planner.adopt(STATION, "ana")
        self.device.faults.append(fault)
        result = await self.work()
        assert result.outcome is outcome, result
        while self.store.runs.advance(self.run.id, lambda run, jobs: decide(run, jobs, self.clock.now())):
            pass
        await self.look()
        assert self.alarm is None

    async def look(self) -> None:
        self.clock.pause(30)
        _, network = self.store.networks.get()
        await self.checker.record([await self.checker.check(network, STATION)])

    @property
    def alarm(self) -> Alarm | None:
        found = [one for one in self.store.alarms.standing([STATION]) if one.probable_cause == DIVERGED]
        return next((one for one in found if one.cleared is None), None)


def _target(_network: Network, station: str) -> DeviceTarget:
    return NetconfTarget(station, samples.PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")


async def test_what_comes_after_the_end_is_an_alarm_that_names_the_run() -> None:
    bench = _Watched(retune(UNSAFE))
    await bench.ends_in_vain()
    bench.clock.pause(86400)
    await bench.look()
    alarm = bench.alarm
    assert alarm is not None
    assert alarm.text.startswith(f"run {bench.run.id}: it may have touched S1/L1; it ended failed-safe")
    assert alarm.cells == ("S1/L1",)
    (call,) = bench.store.escalations.pending()
    assert call.alarm == alarm.id
    (job,) = bench.store.runs.jobs(bench.run.id)
    assert (job.outcome, job.found) == (Outcome.FAILED_SAFE, FoundState.LATE)

    await bench.look()
    assert bench.alarm is not None, "it still carries it"
    plan = await undo_plan(bench.planner, bench.run.id, {}, "ana")
    run = bench.store.runs.create(prepared(plan, "undo", QUICK, [NewJob(0, STATION)], actor="ana"))
    bench.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result
    assert bench.device.running == bench.scenario.before.tree
    assert bench.alarm is None


async def test_what_came_after_the_end_and_went_again_ends_its_alarm() -> None:
    bench = _Watched(retune(UNSAFE))
    await bench.ends_in_vain()
    bench.clock.pause(300)
    await bench.look()
    assert bench.alarm is not None
    bench.device.foreign_edit(bench.scenario.change.phases[0].inverse)
    await bench.look()
    assert bench.alarm is None


async def test_it_is_looked_for_for_a_week() -> None:
    bench = _Watched(retune(UNSAFE))
    await bench.ends_in_vain()
    bench.clock.pause(8 * 86400)
    await bench.look()
    assert bench.alarm is None


async def test_what_a_later_run_brought_is_no_surprise() -> None:
    bench = _Watched(retune(UNSAFE))
    await bench.ends_in_vain(FaultKind.LIE)
    bench.start(QUICK)
    assert (await bench.work()).outcome is Outcome.SUCCEEDED
    await bench.look()
    assert bench.device.running == bench.scenario.after
    assert bench.alarm is None


# ------------------------------------------------- commits that were not answered

#: How each kind of station is told to carry a change out.
_SENT = [(retune(), "commit_confirmed"), (retune(UNSAFE), "commit"), (retune(RUNNING_ONLY), "edit")]


@pytest.mark.parametrize("after", [2, 20])
@pytest.mark.parametrize(("scenario", "operation"), _SENT)
async def test_what_was_not_answered_is_waited_for_before_it_is_begun_anew(
    scenario: Scenario, operation: str, after: float
) -> None:
    """The session ends, and the station goes on with what it was sent."""
    bench = TransactionBench(scenario, QUICK)
    bench.device.faults.append(Fault(operation, FaultKind.DROP_LATE, after=after))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result
    assert JournalStep.UNANSWERED not in bench.steps
    bench.assert_settled(result)


@pytest.mark.parametrize(("scenario", "operation"), _SENT)
async def test_nothing_of_what_was_not_answered_is_begun_anew_and_put_on_record(
    scenario: Scenario, operation: str
) -> None:
    bench = TransactionBench(scenario, QUICK)
    bench.fault(operation, FaultKind.DROP_BEFORE)
    begun = bench.clock.monotonic()
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result
    assert Patience().effect <= bench.clock.monotonic() - begun < Patience().effect + 10
    assert bench.steps.count(JournalStep.UNANSWERED) == 1
    (job,) = bench.store.runs.jobs(bench.run.id)
    assert job.unanswered
    assert not job.unseen
    bench.assert_settled(result)


@pytest.mark.parametrize("skip", [3, 4, 5])
async def test_a_way_back_that_was_not_answered_is_waited_for(skip: int) -> None:
    """Three phases are carried out and taken back; a late part of the way back would lock the cell for good."""
    bench = TransactionBench(retune(UNSAFE), QUICK)
    cell = next(path for path in bench.scenario.after if path.endswith("EUtranCellFDD[L1]"))
    bench.act("commit", lambda: bench.device.failed_cells.add(cell), skip=2)
    bench.device.faults.append(Fault("commit", FaultKind.DROP_LATE, skip=skip - 1, after=20))
    result = await bench.work()
    assert result.outcome is Outcome.ROLLED_BACK, result
    assert bench.steps.count(JournalStep.READ) == 1
    bench.assert_settled(result)


@pytest.mark.parametrize("operation", ["lock", "commit"])
async def test_a_lock_that_others_hold_says_nothing_of_a_commit_that_was_not_answered(operation: str) -> None:
    """Only who was refused the commit knows that it had no effect."""
    bench = TransactionBench(retune(UNSAFE), QUICK)
    device = bench.device

    def held() -> None:
        device.running_lock = "99"

    def free() -> None:
        device.running_lock = ""

    if operation == "commit":
        bench.act("commit", held)
        bench.act("commit", free, skip=1)
    else:
        bench.fault("commit", FaultKind.DROP_BEFORE)
        foreign = device.open()
        bench.act("lock", lambda: device.lock(foreign), skip=1)
        bench.act("lock", lambda: device.unlock(foreign), skip=3)
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result
    (job,) = bench.store.runs.jobs(bench.run.id)
    assert job.unanswered is (operation == "lock")


@pytest.mark.parametrize(("scenario", "operation"), _SENT[1:])
async def test_what_comes_after_a_run_that_succeeded_is_an_alarm_that_names_it(
    scenario: Scenario, operation: str
) -> None:
    """The first phase of three comes once more: the cell is locked, which no comparison calls drift."""
    bench = _Watched(scenario)
    await bench.ends(Outcome.SUCCEEDED, Fault(operation, FaultKind.DROP_LATE, after=3000))
    bench.clock.pause(3000)
    await bench.look()
    alarm = bench.alarm
    assert alarm is not None
    assert alarm.text.startswith(f"run {bench.run.id}: it may have touched S1/L1; it ended succeeded")
    assert alarm.cells == ("S1/L1",)
    (call,) = bench.store.escalations.pending()
    assert call.alarm == alarm.id
    assert f"minka playbook run repair-drift where=device={STATION}" in call.reason
    assert "minka undo" not in call.reason

    bench.device.foreign_edit(_back(bench))
    await bench.look()
    assert bench.alarm is None
    (job,) = bench.store.runs.jobs(bench.run.id)
    assert (job.outcome, job.found) == (Outcome.SUCCEEDED, FoundState.PLANNED)


def _back(bench: TransactionBench) -> list[Edit]:
    """What makes the station as the run had left it."""
    return [edit for phase in bench.scenario.change.phases for edit in phase.edits]


async def test_no_reading_of_what_a_run_brought_is_taken_for_what_came_late() -> None:
    bench = _Watched(retune(UNSAFE))
    await bench.ends(Outcome.SUCCEEDED, Fault("commit", FaultKind.DROP_BEFORE))
    for _ in range(3):
        bench.clock.pause(3600)
        await bench.look()
        assert bench.alarm is None
