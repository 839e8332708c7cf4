"""A change is confirmed on a station whose alarms are those of before, and on no other."""

from __future__ import annotations

import pytest

from controller.models.plan import Plan
from controller.models.run import Job, Outcome, RunState, Strategy
from controller.runs.planning.planner import PlanRequest
from controller.store import RunRequest
from simulators.netconf.datastores import RunningChange
from tests.integration.alarms.system import until
from tests.integration.playbooks.system import PlaybookSystem
from tests.integration.playbooks.test_undo import AGREED, all_running
from tests.support.callers import ADMINISTRATOR, contracts_for
from tests.support.launch import submit

STATION = "T-LTE-1"


async def less(system: PlaybookSystem) -> Plan:
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 55}], "consents": AGREED})
    return await system.planner.plan(PlanRequest(STATION), "ana")


async def applied(system: PlaybookSystem, plan: Plan) -> Job:
    strategy = Strategy(canary=0, check_timeout=2)
    given = contracts_for(system.store, plan)
    request = RunRequest(plan=plan, actor="ana", strategy=strategy, contracts=given, asker=ADMINISTRATOR)
    run = submit(system.store, system.wakeups, request)

    async def done() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until("the plan is applied", done)
    return system.job(system.store.runs.get(run.id), STATION)


async def test_an_alarm_that_the_change_brings_takes_it_back(
    system: PlaybookSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    station, before = system.fleet.stations[STATION], all_running(system)
    changed = station.running_changed

    def strike(change: RunningChange) -> bool:
        monkeypatch.undo()
        done = changed(change)
        station.equipment.begin_fault("mains-failure")
        return done

    plan = await less(system)
    monkeypatch.setattr(station, "running_changed", strike)
    job = await applied(system, plan)
    assert job.outcome is Outcome.ROLLED_BACK
    problem = f"commercialPowerFailure mains lost ManagedElement={STATION}"
    assert job.detail == f"new alarms for 2 s: alarm {problem}: mains lost: on battery"
    assert system.store.runs.get(job.run).state is RunState.FAILED
    assert all_running(system) == before


async def test_an_alarm_that_stood_before_hinders_nothing(system: PlaybookSystem) -> None:
    plan = await less(system)
    system.fleet.stations[STATION].equipment.begin_fault("mains-failure")
    job = await applied(system, plan)
    assert (job.outcome, job.detail) == (Outcome.SUCCEEDED, "")
