"""A station that a run left in neither state: whom the alarm names, who is called, and the way back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.drivers.fake import FaultKind
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.target import DeviceTarget
from controller.models.alarm import DIVERGED, PAGE, Alarm, AlarmState, PerceivedSeverity
from controller.models.network import Network
from controller.models.plan import Change, Edit, Op
from controller.models.run import Outcome, RunState
from controller.models.step import RunPlaybook
from controller.plan import seal
from controller.runs.planning.planner import Planner, PlanRequest
from controller.runs.planning.restore import restore_plan
from controller.runs.planning.undo import undo_plan
from controller.runs.rollout.transitions import decide
from controller.store import JobResult, NewJob, Transition
from tests.support.launch import prepared
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import (
    QUICK,
    STATION,
    UNSAFE,
    InstantStore,
    Scenario,
    TransactionBench,
    add_tenant,
    change_primary,
    retune,
)


def _target(_network: Network, station: str) -> DeviceTarget:
    return NetconfTarget(station, samples.PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")


async def _diverged(scenario: Scenario, phases: int) -> tuple[TransactionBench, Planner]:
    """A run that was refused after so many phases, as was its way back, on a station that takes nothing back itself."""
    bench = TransactionBench(scenario, QUICK)
    planner = Planner(InstantStore(bench.store), bench.devices, bench.clock, _target)
    await planner.adopt(STATION, "ana")
    bench.fault("edit", FaultKind.REFUSE, skip=phases, times=2)
    result = await bench.work()
    assert result.outcome is Outcome.DIVERGED, result.detail
    while bench.store.runs.advance(bench.run.id, lambda run, jobs: decide(run, jobs, bench.clock.now())):
        pass
    assert bench.store.runs.get(bench.run.id).state is RunState.DIVERGED
    return bench, planner


def _alarm(bench: TransactionBench) -> Alarm:
    (alarm,) = bench.store.alarms.standing([STATION])
    assert alarm.probable_cause == DIVERGED
    return alarm


async def test_the_alarm_names_the_cells_that_the_run_touched_and_calls_a_person() -> None:
    bench, _ = await _diverged(retune(UNSAFE), 1)
    alarm = _alarm(bench)
    assert (alarm.cells, alarm.tenants) == (("S1/L1",), ("alfa", "beta"))
    assert alarm.text.startswith(f"run {bench.run.id}: it may have touched S1/L1; ")
    assert (alarm.state, alarm.severity) == (AlarmState.ESCALATED, PerceivedSeverity.MAJOR)
    (call,) = bench.store.escalations.pending()
    assert (call.alarm, call.kind) == (alarm.id, PAGE)
    assert call.reason.endswith(f"or all of the run: minka undo {bench.run.id}")


async def test_where_nobody_knows_what_was_touched_all_cells_count() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.break_link()

    def empties() -> None:
        assert bench.device._pending is not None
        bench.device._pending.backup = {}

    bench.act("cancel", empties)
    assert (await bench.work()).outcome is Outcome.DIVERGED
    alarm = _alarm(bench)
    assert alarm.cells == ("S1/L1", "S1/N1")
    assert "it is not known which cells it touched" in alarm.text


@pytest.mark.parametrize(
    ("scenario_of", "phases"),
    [(retune, 1), (retune, 2), (change_primary, 1), (change_primary, 2), (change_primary, 3), (change_primary, 4)],
)
async def test_an_undo_brings_the_station_back_and_clears_its_alarm(
    scenario_of: Callable[..., Scenario], phases: int
) -> None:
    bench, planner = await _diverged(scenario_of(UNSAFE), phases)
    old = bench.scenario.before.tree
    assert bench.device.running != old
    goes = {"gamma": len(set(bench.device.running) - set(old))}
    plan = await undo_plan(planner, bench.run.id, {name: count for name, count in goes.items() if count}, "ana")
    (change,) = plan.changes
    assert isinstance(change, Change)
    assert change.diff
    run = bench.store.runs.create(prepared(plan, "undo", QUICK, [NewJob(0, STATION)], actor="ana"))
    bench.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    result = await bench.work()
    assert result.outcome is Outcome.SUCCEEDED, result.detail
    assert bench.device.running == old
    assert {owner for entry in bench.store.ledger.find([STATION])[STATION].values() for owner in entry.owners} <= {
        *("alfa", "beta", "host")
    }
    assert bench.store.alarms.standing([STATION]) == []


def _ends(bench: TransactionBench, result: JobResult, *changes: Change) -> None:
    """A later run ends at the station so."""
    digest, network = bench.store.networks.get()
    now = bench.clock.now()
    plan = seal(created=now, network=network.header.id, network_digest=digest, selector=str(now), changes=changes)
    bench.store.plans.save(plan, "ana")
    playbook = None if changes else RunPlaybook(name="own", digest="d", text="x")
    new = prepared(plan, "apply" if changes else "own", QUICK, [NewJob(0, STATION)], actor="ana", playbook=playbook)
    run = bench.store.runs.create(new)
    bench.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    (claim,) = bench.store.claims.take(bench.store.processes.register("later"), 10)
    assert claim.run.id == run.id
    bench.store.claims.finish(claim, result)


async def test_a_later_run_that_brings_nothing_back_leaves_the_alarm() -> None:
    bench, _ = await _diverged(retune(UNSAFE), 1)
    for outcome in (Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED):
        _ends(bench, JobResult(outcome))
        assert _alarm(bench).cleared is None
    (call,) = bench.store.escalations.pending()
    assert call.alarm == _alarm(bench).id


async def test_a_plan_that_the_station_carries_now_clears_it() -> None:
    bench, _ = await _diverged(retune(UNSAFE), 1)
    _ends(bench, JobResult(Outcome.UNCHANGED), bench.scenario.change)
    assert bench.store.alarms.standing([STATION]) == []


async def test_a_repair_of_the_station_clears_it() -> None:
    bench, _ = await _diverged(retune(UNSAFE), 1)
    _ends(bench, JobResult(Outcome.UNCHANGED, restored=True))
    assert bench.store.alarms.standing([STATION]) == []


async def test_where_more_was_lost_than_a_run_edits_its_edits_do_not_clear_it() -> None:
    bench = TransactionBench(add_tenant(), QUICK)
    bench.store.claims.finish(bench.claim(), JobResult(Outcome.DIVERGED, "nodes are gone", beyond=True))
    _ends(bench, JobResult(Outcome.SUCCEEDED), bench.scenario.change)
    assert _alarm(bench).cleared is None
    _ends(bench, JobResult(Outcome.SUCCEEDED, restored=True))
    assert bench.store.alarms.standing([STATION]) == []


async def test_a_repair_names_the_run_that_left_the_cell_locked_and_the_way_back() -> None:
    bench, planner = await _diverged(retune(UNSAFE), 1)
    plan = await restore_plan(planner, PlanRequest(STATION), "ana")
    why = plan.unplanned[STATION]
    assert why.startswith(f"ana locked cell L1 by run {bench.run.id} (apply) at "), why
    assert why.endswith(f"which diverged; bring it back: minka undo {bench.run.id}"), why


async def test_a_repair_says_so_where_somebody_else_locked_it() -> None:
    bench = TransactionBench(retune(), QUICK)
    planner = Planner(InstantStore(bench.store), bench.devices, bench.clock, _target)
    await planner.adopt(STATION, "ana")
    locks = {"administrativeState": "LOCKED"}
    bench.device.foreign_edit([Edit(op=Op.MERGE, path=samples.LTE_CELL, after=locks, owners=("host",))])
    plan = await restore_plan(planner, PlanRequest(STATION), "ana")
    assert plan.unplanned == {STATION: "somebody else locked cell L1"}
