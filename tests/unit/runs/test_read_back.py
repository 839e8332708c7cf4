"""A station that nobody could read back when its job ended: the next reading of it says which state it carries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.assurance.checker import Checker
from controller.drivers.fake import Fault, FaultKind
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.target import DeviceTarget
from controller.models.alarm import DIVERGED, Alarm, AlarmSource
from controller.models.network import Network
from controller.models.plan import Change, Changes, LedgerNode, Plan
from controller.models.run import FoundState, GateChoice, Outcome, Policy, RunState, Strategy
from controller.models.step import RunPlaybook
from controller.plan import seal
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.planning.undo import undo_plan
from controller.runs.rollout.transitions import decide
from controller.store import Claim, JobResult, NewJob, Page, Transition
from controller.store.jobs.decisions import decisions
from tests.support.launch import prepared
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import (
    QUICK,
    STATION,
    UNSAFE,
    InstantStore,
    Killed,
    Scenario,
    TransactionBench,
    add_tenant,
    retune,
)


def _target(_network: Network, station: str) -> DeviceTarget:
    return NetconfTarget(station, samples.PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")


class Bench(TransactionBench):
    """A run on a station that is cut off in the middle of it."""

    def __init__(self, scenario: Scenario, strategy: Strategy = QUICK) -> None:
        super().__init__(scenario, strategy)
        store = InstantStore(self.store)
        self.planner = Planner(store, self.devices, self.clock, _target)
        self.checker = Checker(store, self.planner, self.clock, frozenset(AlarmSource))

    async def cut(self, operation: str, wrong: FaultKind, *, skip: int = 0) -> JobResult:
        """The connection is lost in an operation, and nobody reaches the station for as long as the job tries."""
        await self.planner.adopt(STATION, "ana")
        self.ledger_before = self.ledger

        def away() -> None:
            self.device.unreachable = "no route to host"

        self.device.faults.append(Fault(operation, wrong, away, skip))
        self.advance()
        result = await self.work()
        assert (result.outcome, result.unread) == (Outcome.DIVERGED, True), result
        self.end()
        return result

    async def give_up(self) -> None:
        """Its worker dies before the confirm, again and again, and the job is given up while the commit is pending."""
        await self.planner.adopt(STATION, "ana")
        claim = self.claim()

        def die() -> None:
            raise Killed

        self.act("confirm", die)
        with pytest.raises(Killed):
            await self.transaction(claim).run()
        self.store.claims.finish(claim, JobResult(Outcome.DIVERGED, "given up", unread=True))
        self.end()

    def end(self) -> None:
        """The run ends, and the alarm stands."""
        self.advance()
        assert self.alarm is not None

    def advance(self) -> None:
        while self.store.runs.advance(self.run.id, lambda run, jobs: decide(run, jobs, self.clock.now())):
            pass

    async def look(self) -> None:
        """A health check of the station, which answers again."""
        self.device.unreachable = ""
        self.clock.pause(30)
        _, network = self.store.networks.get()
        await self.checker.record([await self.checker.check(network, STATION)])

    @property
    def alarm(self) -> Alarm | None:
        found = [one for one in self.store.alarms.standing([STATION]) if one.probable_cause == DIVERGED]
        return next((one for one in found if one.cleared is None), None)

    @property
    def ledger(self) -> set[str]:
        return set(self.store.ledger.find([STATION]).get(STATION, {}))

    @property
    def said(self) -> list[dict[str, object]]:
        """Rows of the audit trail about what readings found."""
        _, rows = self.store.audit.page(Page(limit=1000))
        return [dict(row.detail) for row in rows if row.action == "job.found"]

    def assert_end_stays(self) -> None:
        """The run, and the job, stay on record as they ended."""
        assert self.store.runs.get(self.run.id).state is RunState.DIVERGED
        (job,) = self.store.runs.jobs(self.run.id)
        assert job.outcome is Outcome.DIVERGED
        assert self.store.audit.verify() is None


async def test_the_state_of_before_ends_the_alarm_by_itself() -> None:
    bench = Bench(add_tenant())
    await bench.cut("confirm", FaultKind.DROP_BEFORE)
    bench.outlive_timers()
    assert bench.device.running == bench.scenario.before.tree
    await bench.look()
    assert bench.alarm is None
    (row,) = bench.said
    assert (row["station"], row["state"], row["ended"]) == (STATION, "before", "diverged")
    assert bench.ledger == bench.ledger_before
    bench.assert_end_stays()
    await bench.look()
    assert len(bench.said) == 1, "once"


async def test_the_planned_state_is_on_record_and_ends_the_alarm_by_itself() -> None:
    bench = Bench(add_tenant())
    await bench.cut("confirm", FaultKind.DROP_AFTER)
    assert bench.ledger == bench.ledger_before, "nobody knows yet"
    bench.outlive_timers()
    assert bench.device.running == bench.scenario.after
    await bench.look()
    assert bench.alarm is None
    assert [row["state"] for row in bench.said] == ["planned"]
    assert bench.ledger == bench.ledger_before | {node.path for node in bench.scenario.change.gained}
    record = bench.store.devices.find([STATION])[STATION]
    assert record.network_digest == bench.scenario.plan.network_digest
    health = bench.store.healths.find([STATION])[STATION]
    assert health.drift == 0, "it is judged by what the reading put on record"
    bench.assert_end_stays()


async def test_an_undo_takes_back_what_a_reading_found_planned() -> None:
    bench = Bench(add_tenant())
    await bench.cut("confirm", FaultKind.DROP_AFTER)
    bench.outlive_timers()
    bench.device.unreachable = ""
    early = await undo_plan(bench.planner, bench.run.id, {"gamma": _gamma(bench)}, "ana")
    await bench.look()
    plan = await undo_plan(bench.planner, bench.run.id, {"gamma": _gamma(bench)}, "ana")
    (change,) = plan.changes
    assert isinstance(change, Change)
    # One that was planned while nobody knew does not know what is on record by now.
    (claim,) = _started(bench, early)
    result = await bench.transaction(claim).run()
    assert (result.outcome, "after the undo was planned" in result.detail) == (Outcome.REFUSED, True), result
    bench.store.claims.finish(claim, result)
    (claim,) = _started(bench, plan)
    result = await bench.work(claim)
    assert result.outcome is Outcome.SUCCEEDED, result
    assert bench.device.running == bench.scenario.before.tree
    assert bench.ledger == bench.ledger_before


def _gamma(bench: Bench) -> int:
    return len(set(bench.scenario.after) - set(bench.scenario.before.tree))


def _started(bench: Bench, plan: Plan, playbook: RunPlaybook | None = None) -> list[Claim]:
    """A run of a plan, with its job in the hands of a worker."""
    procedure = "undo" if playbook is None else playbook.name
    new = prepared(plan, procedure, QUICK, [NewJob(0, STATION)], actor="ana", playbook=playbook)
    run = bench.store.runs.create(new)
    bench.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    return bench.store.claims.take(bench.store.processes.register("later"), 10)


@pytest.mark.parametrize(("wrong", "said"), [(FaultKind.DROP_BEFORE, "before"), (FaultKind.DROP_AFTER, "planned")])
async def test_what_entered_the_ledger_in_doubt_leaves_it_or_stays(wrong: FaultKind, said: str) -> None:
    """A station that takes nothing back itself: what may be there goes on record at once, so that it can be removed."""
    whole = add_tenant(UNSAFE)
    unsafe = Changes.of([whole.change.model_copy(update={"reverts": False})])
    bench = Bench(replace(whole, plan=whole.plan.model_copy(update={"changes": unsafe})))
    await bench.cut("commit", wrong)
    assert bench.ledger > bench.ledger_before
    await bench.look()
    assert ([row["state"] for row in bench.said], bench.alarm) == ([said], None)
    gained = {node.path for node in bench.scenario.change.gained} if said == "planned" else set()
    assert bench.ledger == bench.ledger_before | gained
    then = bench.store.ledger.as_of([STATION], run=bench.run.id)[STATION].ledger
    assert set(then) == bench.ledger_before, "it changed the ledger twice"
    (ended,) = bench.store.runs.ended_jobs([STATION], bench.run.created)
    assert gained <= {*ended.before.absent, *(entry.path for entry in ended.before.entries)}
    assert set(ended.before.absent).isdisjoint(bench.ledger_before)


async def test_a_ledger_that_changed_since_is_not_written_over() -> None:
    bench = Bench(add_tenant())
    await bench.cut("confirm", FaultKind.DROP_AFTER)
    path = bench.scenario.change.gained[-1].path
    digest, _ = bench.store.networks.get()
    bench.store.devices.adopt(STATION, [LedgerNode(path=path, owners=("host",))], digest, "ana")
    await bench.look()
    assert bench.alarm is not None, "a person decides whose it is"
    assert bench.store.ledger.find([STATION])[STATION][path].owners == ("host",)


async def test_an_undo_of_a_run_that_left_nothing_says_so() -> None:
    bench = Bench(add_tenant())
    await bench.cut("confirm", FaultKind.DROP_BEFORE)
    bench.outlive_timers()
    await bench.look()
    (ended,) = bench.store.runs.ended_jobs([STATION], bench.run.created)
    assert (ended.outcome, ended.found, ended.changed) == (Outcome.ROLLED_BACK, FoundState.BEFORE, False)


async def test_half_of_the_change_stays_diverged_and_the_alarm_says_what_differs() -> None:
    bench = Bench(retune(UNSAFE))
    await bench.cut("edit", FaultKind.DROP_BEFORE, skip=1)
    await bench.look()
    alarm = bench.alarm
    assert alarm is not None
    assert "Read since: it carries neither the state that was planned" in alarm.text
    assert "EUtranCellFDD[" in alarm.text
    assert [row["state"] for row in bench.said] == ["neither"]
    await bench.look()
    assert len(bench.said) == 1, "nothing new"
    # The plan of a person unlocks what the run locked for its own edits.
    plan = await bench.planner.plan(PlanRequest(STATION, unlocks=True), "ana")
    assert plan.changes
    # By hand it is as before, and the next reading says so.
    bench.device._become(dict(bench.scenario.before.tree))
    await bench.look()
    assert bench.alarm is None
    assert [row["state"] for row in bench.said] in (["before", "neither"], ["neither", "before"])


async def test_a_reading_counts_only_when_the_station_can_take_nothing_back_any_more() -> None:
    bench = Bench(add_tenant())
    await bench.give_up()
    assert bench.device.running == bench.scenario.after, "its commit is pending"
    await bench.look()
    assert (bench.alarm is not None, bench.said) == (True, [])
    bench.outlive_timers()
    await bench.look()
    assert (bench.alarm, [row["state"] for row in bench.said]) == (None, ["before"])
    assert bench.device.running == bench.scenario.before.tree


@pytest.mark.parametrize(
    ("choice", "wrong", "said"),
    [
        (GateChoice.CONFIRM, FaultKind.DROP_AFTER, "planned"),
        (GateChoice.CONFIRM, FaultKind.DROP_BEFORE, "neither"),
        (GateChoice.CANCEL, FaultKind.DROP_AFTER, "neither"),
        (GateChoice.CANCEL, FaultKind.DROP_BEFORE, "before"),
    ],
)
async def test_a_station_whose_wave_was_decided_as_a_whole_has_to_be_as_was_decided(
    choice: GateChoice, wrong: FaultKind, said: str
) -> None:
    bench = Bench(add_tenant(), QUICK.model_copy(update={"policy": Policy.WAVE}))
    await bench.cut("confirm", wrong)
    bench.store.database.run(
        lambda tx: tx.execute(
            decisions.insert().values(
                run=bench.run.id, wave=0, unit="", gate=0, round=0, choice=choice.value, at=tx.now, by="w", reason=""
            )
        )
    )
    bench.outlive_timers()
    await bench.look()
    assert [row["state"] for row in bench.said] == [said]
    alarm = bench.alarm
    assert (alarm is None) is (said != "neither")
    if alarm is not None:
        words = "was not confirmed" if choice is GateChoice.CANCEL else "was confirmed"
        assert f"its unit or wave {words}" in alarm.text
    bench.assert_end_stays()


async def test_a_station_that_lost_more_than_the_change_deletes_is_not_as_before() -> None:
    bench = Bench(add_tenant())
    await bench.cut("confirm", FaultKind.DROP_BEFORE)
    bench.outlive_timers()
    assert bench.device.running == bench.scenario.before.tree, "its timer ran out"
    bench.device._become({path: leaves for path, leaves in bench.scenario.before.tree.items() if path.count("/") < 3})
    await bench.look()
    alarm = bench.alarm
    assert alarm is not None
    assert "nodes are gone from the device" in alarm.text


async def test_a_reading_says_nothing_while_a_job_has_the_station_or_after_another_came_there() -> None:
    bench = Bench(add_tenant())
    await bench.cut("confirm", FaultKind.DROP_BEFORE)
    bench.outlive_timers()
    bench.device.unreachable = ""
    digest, network = bench.store.networks.get()
    check = await bench.checker.check(network, STATION)
    bench.clock.pause(1)
    plan = seal(created=bench.clock.now(), network=network.header.id, network_digest=digest, selector="x", changes=())
    bench.store.plans.save(plan, "ana")
    (claim,) = _started(bench, plan, RunPlaybook(name="own", digest="d", text="x"))
    await bench.checker.record([check])
    assert bench.alarm is not None, "a job has it"
    bench.store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    await bench.checker.record([check])
    assert bench.alarm is not None, "a job came since this reading began"
    await bench.look()
    assert bench.alarm is None


async def test_what_a_transaction_read_itself_is_left_to_people() -> None:
    bench = Bench(retune(UNSAFE))
    await bench.planner.adopt(STATION, "ana")
    bench.fault("edit", FaultKind.REFUSE, skip=1, times=2)
    result = await bench.work()
    assert (result.outcome, result.unread) == (Outcome.DIVERGED, False)
    bench.end()
    bench.device._become(dict(bench.scenario.before.tree))
    await bench.look()
    assert (bench.alarm is not None, bench.said) == (True, [])
