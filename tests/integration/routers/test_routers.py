"""Routers from network files to verified configuration, as one unit with their stations."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.metrics import sums_and_states
from controller.models.run import Outcome, RunState
from controller.runs.planning.planner import PlanRequest
from controller.runs.planning.restore import restore_plan
from simulators.history import EventKind
from simulators.routers.factory import Provisioning
from simulators.routers.faults import RouterFault, RouterFaultKind
from tests.integration.alarms.system import until
from tests.integration.routers.system import ROUTER, STATION, RouterSystem, open_router_system, same


async def test_a_provisioned_router_is_adopted_and_its_first_plan_is_empty(tmp_path: Path) -> None:
    async with open_router_system(tmp_path, Provisioning.PROVISIONED) as system:
        ledger = system.store.ledger.find([ROUTER])[ROUTER]
        assert {entry.owners for entry in ledger.values()} == {("host",), ("andes",), ("condor",)}
        plan = await system.plan(f"router={ROUTER}")
        assert plan.unchanged == (ROUTER,)
        # The third tenant has no agreement here: its ways are not ours, and left alone.
        assert {finding.code for finding in plan.findings if finding.station == ROUTER} == {"unknown-node"}


async def test_router_and_station_change_together_and_drift_is_found_and_repaired(system: RouterSystem) -> None:
    plan = await system.plan()
    assert [change.station for change in plan.changes] == [ROUTER, STATION]
    run, jobs = await system.apply(plan)
    assert run.state is RunState.SUCCEEDED, jobs
    assert system.fleet.stations[STATION].summary()["links_up"] == 5
    assert same(system.router.running, system.router.startup)
    assert (await system.plan()).is_empty
    assert await system.planner.drift([ROUTER]) == {ROUTER: ()}

    system.router.foreign_edit(["interface gi0/0/1.101", "ip address 10.99.0.14 255.255.255.240", "shutdown"])
    (row,) = (await system.planner.drift([ROUTER]))[ROUTER]
    assert (row.what, row.before, row.after) == (
        "interface GigabitEthernet0/0/1.101: address",
        "10.99.0.14/28",
        "10.99.0.2/30",
    )
    repair = await restore_plan(system.planner, PlanRequest(f"device={ROUTER}"), "ana")
    run, jobs = await system.apply(repair)
    assert run.state is RunState.SUCCEEDED, jobs
    assert await system.planner.drift([ROUTER]) == {ROUTER: ()}
    _took_its_time_to_answer(system)
    # What somebody shut stays shut.
    assert system.router.running.interfaces["GigabitEthernet0/0/1.101"].shutdown


def _took_its_time_to_answer(system: RouterSystem) -> None:
    """How long it took is measured by command, of which there are few kinds whatever is typed."""
    sums, _ = sums_and_states(system.measured.encoded())
    took = sums["minka_command_duration_seconds"]
    assert {command for command, _ in took} >= {"show running-config", "configuration line", "terminal length"}
    assert {result for _, result in took} == {"answered"}
    assert sum(took["configuration line", "answered"][:-1]) >= len(system.lines())
    assert len(took) < 15
    assert sums["minka_session_openings_total"]["opened",][0] > 2


async def test_a_tenants_change_touches_its_own_lines_only(system: RouterSystem) -> None:
    await system.carry("condor-all")
    before = len(system.lines())
    system.load_without()
    plan = await system.plan()
    assert [change.touched for change in plan.changes] == [("condor",), ("condor",)]
    run, jobs = await system.apply(plan)
    assert run.state is RunState.SUCCEEDED, jobs
    lines = system.lines()[before:]
    assert lines
    assert not any("andes" in line or ".101" in line for line in lines)


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (RouterFaultKind.REFUSE_LINE, 8),
        (RouterFaultKind.SWALLOW_LINE, 14),
        (RouterFaultKind.REFUSE_LINE_PLAINLY, 28),
    ],
)
async def test_a_line_that_fails_leaves_nothing_half_done(
    system: RouterSystem, kind: RouterFaultKind, number: int
) -> None:
    before = system.router.running
    plan = await system.plan(f"router={ROUTER}")
    system.router.faults.inject(RouterFault(kind, line=number))
    run, jobs = await system.apply(plan)
    assert run.state is RunState.FAILED
    assert jobs[ROUTER].outcome is Outcome.ROLLED_BACK, jobs
    assert system.router.running == before
    assert same(system.router.startup, before)
    assert len(system.store.ledger.find([ROUTER])[ROUTER]) == 1


async def test_a_session_that_drops_in_the_middle_is_taken_up_again(system: RouterSystem) -> None:
    plan = await system.plan(f"router={ROUTER}")
    system.router.faults.inject(RouterFault(RouterFaultKind.DROP_AFTER, line=9))
    run, jobs = await system.apply(plan)
    assert run.state is RunState.SUCCEEDED, jobs
    assert (await system.plan(f"router={ROUTER}")).is_empty


async def test_a_worker_that_dies_among_the_lines_is_taken_over(system: RouterSystem) -> None:
    plan = await system.plan(f"router={ROUTER}")
    system.router.faults.inject(RouterFault(RouterFaultKind.HANG, line=9))
    run = system.begin(plan)

    async def in_the_middle() -> bool:
        return bool(system.router.history.events(EventKind.FAULT_STRUCK))

    await until("the router hangs", in_the_middle)
    assert system.router.running.vrfs
    assert len(system.router.running.routes) == 1
    await system.replace_worker()
    jobs = await system.end(run)
    assert jobs[ROUTER].outcome is Outcome.SUCCEEDED, jobs
    assert (await system.plan(f"router={ROUTER}")).is_empty
    assert same(system.router.running, system.router.startup)


async def test_a_save_that_fails_is_reported(system: RouterSystem) -> None:
    system.router.faults.inject(RouterFault(RouterFaultKind.SAVE_LIES, count=None))
    run, jobs = await system.apply(await system.plan(f"router={ROUTER}"))
    assert run.state is RunState.SUCCEEDED
    assert jobs[ROUTER].detail.startswith("not kept over a restart: R-OLLANTA said that it saved")


async def test_a_router_with_another_host_key_is_left_out(system: RouterSystem) -> None:
    system.router.faults.inject(RouterFault(RouterFaultKind.CHANGED_HOST_KEY, count=None))
    plan = await system.plan()
    assert "another host key" in plan.unplanned[ROUTER]
    assert not system.router.history.events(EventKind.AUTHENTICATION_FAILED)


async def test_a_foreign_change_since_the_plan_refuses_it(system: RouterSystem) -> None:
    plan = await system.plan(f"router={ROUTER}")
    system.router.foreign_edit(["vrf definition andes", "rd 1:1"])
    run, jobs = await system.apply(plan)
    assert (run.state, jobs[ROUTER].outcome) == (RunState.FAILED, Outcome.REFUSED)
