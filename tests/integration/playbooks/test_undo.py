"""An ended run is taken back by a run of its own, and not where something was changed since."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from controller.models.errors import ConflictError, PlanRefusedError
from controller.models.plan import Plan
from controller.models.run import Job, Outcome, Run, RunState, Strategy
from controller.nrm.profiles import cell_of
from controller.runs.launch import prepare_plan
from controller.runs.planning.planner import PlanRequest
from controller.runs.planning.undo import undo_plan
from controller.store import RunRequest
from tests.integration.alarms.system import until
from tests.integration.playbooks.system import PlaybookSystem, open_system
from tests.support.callers import ADMINISTRATOR, contracts_for
from tests.support.launch import submit

STATION = "T-LTE-1"
#: Taking service away needs the tenant's side; here it agreed beforehand.
AGREED = {"reduce": "standing"}


async def apply(system: PlaybookSystem, plan: Plan) -> Run:
    run = submit(
        system.store,
        system.wakeups,
        RunRequest(
            plan=plan,
            actor="ana",
            strategy=Strategy(canary=0),
            contracts=contracts_for(system.store, plan),
            asker=ADMINISTRATOR,
        ),
    )

    async def done() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until("the plan is applied", done)
    ended = system.store.runs.get(run.id)
    assert ended.state is RunState.SUCCEEDED, system.store.runs.jobs(run.id)
    return ended


async def share(system: PlaybookSystem, most: int) -> Run:
    """Give condor another share, by a plan."""
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": most}], "consents": AGREED})
    return await apply(system, await system.planner.plan(PlanRequest("*", expect_stations=4), "ana"))


def all_running(system: PlaybookSystem) -> dict[str, str]:
    return {station: system.running(station) for station in system.fleet.stations}


async def test_a_tenant_that_came_is_taken_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runs.planning.undo._AT_ONCE", 3)  # of four
    async with open_system(tmp_path, without="condor-all") as system:
        before, ledger = all_running(system), system.store.ledger.find()
        system.load(condor_all={"consents": AGREED})
        run = await system.succeeds("onboard-tenant", tenant="condor", stations=4)
        assert all_running(system) != before
        changes, seen = system.changes(), all_running(system)
        async with system.client() as api:
            said = await api.post(f"/v1/runs/{run.id}/undo", json={})
            assert said.status_code == 409, said.text
            count = int(said.json()["detail"].rpartition("condor=")[2])
            made = (await api.post(f"/v1/runs/{run.id}/undo", json={"remove": {"condor": count}})).json()
        assert (system.changes(), all_running(system)) == (changes, seen)
        plan = system.store.plans.get(made["id"])
        assert (plan.undoes, plan.removals, plan.unplanned) == (run.id, {"condor": count}, {})
        assert {tenant for change in plan.changes for tenant in change.touched} == {"condor"}
        undone = await apply(system, plan)
        assert undone.procedure == "undo"
        assert all_running(system) == before
        now = system.store.ledger.find()
        assert {s: {p: e.node for p, e in found.items()} for s, found in now.items()} == {
            s: {p: e.node for p, e in found.items()} for s, found in ledger.items()
        }
        assert not any((await system.planner.drift(tuple(before))).values())
        # Waves in reverse: what came last goes first.
        first = {job.station for job in system.store.runs.jobs(run.id) if job.wave == run.waves - 1}
        assert {job.station for job in system.store.runs.jobs(undone.id) if job.wave == 0} <= first
        with pytest.raises(PlanRefusedError, match=rf"taken back already by run {undone.id}"):
            await undo_plan(system.planner, run.id, {"condor": count}, "ana")


async def test_later_changes_are_in_the_way_until_they_are_undone(system: PlaybookSystem) -> None:
    before = all_running(system)
    one, two = await share(system, 55), await share(system, 50)
    with pytest.raises(PlanRefusedError, match=rf"{STATION}: changed since: run {two.id} \(apply\) changed .*02\]"):
        await undo_plan(system.planner, one.id, {}, "ana")
    await apply(system, await undo_plan(system.planner, two.id, {}, "ana"))
    assert "<maxRatio>55</maxRatio>" in system.running(STATION)
    await apply(system, await undo_plan(system.planner, one.id, {}, "ana"))
    assert all_running(system) == before


async def test_what_another_run_changed_stays_and_the_other_cells_go_back(system: PlaybookSystem) -> None:
    before = system.running(STATION)
    both = {"name": "lock", "action": "lock-cell", "with": {"cells": ["1", "2"]}}
    run = await system.succeeds("own", system.own(targets=STATION, steps=[both]))
    other = await system.succeeds("unlock-cell", station=STATION, cell="2")
    async with system.client() as api:
        made = (await api.post(f"/v1/runs/{run.id}/undo", json={})).json()
    (change,) = made["changes"]
    assert {cell_of(edit["path"]) for phase in change["phases"] for edit in phase["edits"]} == {"1"}
    assert {cell_of(path) for path in change["left"]} == {"2"}
    (told,) = [one["message"] for one in made["findings"] if one["code"] == "stays-as-it-is"]
    assert told.startswith(f"{STATION}: cell 2 stays as it is: changed since: run {other.id} (unlock-cell) changed ")
    assert told.endswith(f"to take this back too, first: minka undo {other.id}")
    await apply(system, system.store.plans.get(made["id"]))
    assert system.running(STATION) == before
    with pytest.raises(
        PlanRefusedError, match=f"{STATION}: taken back already by run .* changed since: run {other.id}"
    ):
        await undo_plan(system.planner, run.id, {}, "ana")


async def _locked(system: PlaybookSystem) -> Run:
    return await system.succeeds("lock-cell", station=STATION, cell="1")


async def _condor_came(system: PlaybookSystem) -> Run:
    system.load(condor_all={"consents": AGREED})
    return await system.succeeds("onboard-tenant", tenant="condor", stations=4)


@pytest.mark.parametrize("made", [_locked, _condor_came])
async def test_an_undo_never_takes_back_what_a_later_run_made_again(
    made: Callable[[PlaybookSystem], Awaitable[Run]], tmp_path: Path
) -> None:
    """The device is as the undo found it; the ledger too. Only the record says whose work that is by now."""
    async with open_system(tmp_path, without="condor-all" if made is _condor_came else "") as system:
        run = await made(system)
        count = {} if made is _locked else {"condor": await _named(system, run)}
        old = await undo_plan(system.planner, run.id, count, "ana")
        await apply(system, await undo_plan(system.planner, run.id, count, "ana"))
        assert (await undone(system, old)).outcome is Outcome.UNCHANGED
        again, seen = await made(system), all_running(system)
        # Where a run was accepted before, its jobs find out before they act.
        why = rf"run {again.id} \({again.procedure}\) changed \S+ after the undo was planned: make a new plan"
        job = await undone(system, old)
        assert job.outcome is Outcome.REFUSED
        assert re.match(why, job.detail), job.detail
        with pytest.raises(ConflictError, match=rf"plan {old.id}: .*{why} with minka undo {run.id}"):
            await apply(system, old)
        assert all_running(system) == seen
        await apply(system, await undo_plan(system.planner, again.id, count, "ana"))
        assert all_running(system) != seen


async def _named(system: PlaybookSystem, run: Run) -> int:
    with pytest.raises(PlanRefusedError) as refused:
        await undo_plan(system.planner, run.id, {}, "ana")
    return int(refused.value.message.rpartition("condor=")[2])


async def undone(system: PlaybookSystem, plan: Plan) -> Job:
    """The end of an undo on the station, without the checks of its acceptance."""
    asked = RunRequest(
        plan=plan, actor="ana", strategy=Strategy(canary=0, stop_after=99), contracts=contracts_for(system.store, plan)
    )
    run = system.store.runs.create(prepare_plan(system.store, asked, plan.created))
    system.wakeups.wake_workers(run.id)

    async def done() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until("the undo has ended", done)
    return next(job for job in system.store.runs.jobs(run.id) if job.station == STATION)


async def test_changes_by_somebody_else_leave_a_cell_out(system: PlaybookSystem) -> None:
    run = await share(system, 55)
    share_of_condor = "<plmnRadioShareList><mcc>999</mcc><mnc>02</mnc><maxRatio>54</maxRatio></plmnRadioShareList>"
    system.edit(STATION, f"<EUtranCellFDD><id>1</id><attributes>{share_of_condor}</attributes></EUtranCellFDD>")
    plan = await undo_plan(system.planner, run.id, {}, "ana")
    assert plan.unplanned == {}
    (finding,) = [one for one in plan.findings if one.code == "stays-as-it-is"]
    assert (finding.station, finding.cell) == (STATION, "1")
    assert "changed since by somebody else: ENBFunction[1]/EUtranCellFDD[1]/plmn" in finding.message
    changed = plan.changes.on(STATION)
    assert changed is not None
    assert {cell_of(edit.path) for phase in changed.phases for edit in phase.edits} == {"2"}
    assert {change.station for change in plan.changes} == set(system.fleet.stations)


async def test_steps_of_a_playbook_are_undone_too(system: PlaybookSystem) -> None:
    before = system.running(STATION)
    run = await system.succeeds("lock-cell", station=STATION, cell="1")
    plan = await undo_plan(system.planner, run.id, {}, "ana")
    assert [(row.before, row.after) for row in plan.changes[0].diff] == [("LOCKED", "UNLOCKED")]
    await apply(system, plan)
    assert system.running(STATION) == before


async def test_what_cannot_be_undone_says_why(system: PlaybookSystem) -> None:
    run = await system.succeeds("audit-drift", where=STATION)
    with pytest.raises(PlanRefusedError, match="it left no change on any device"):
        await undo_plan(system.planner, run.id, {}, "ana")
    # A run whose station failed carried nothing, so there is nothing to take back.
    system.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 65}]})
    plan = await system.planner.plan(PlanRequest(STATION), "ana")
    system.change(STATION, cell="1", tac="77")
    system.edit(
        STATION,
        "<EP_S1C><id>condor-condor-mme-1</id><attributes><remoteAddress>10.9.9.9</remoteAddress></attributes></EP_S1C>",
    )
    failed = submit(
        system.store,
        system.wakeups,
        RunRequest(
            plan=plan,
            actor="ana",
            strategy=Strategy(canary=0),
            contracts=contracts_for(system.store, plan),
            asker=ADMINISTRATOR,
        ),
    )

    async def done() -> bool:
        return system.store.runs.get(failed.id).state.terminal

    with pytest.raises(ConflictError, match="wait for its end"):
        await undo_plan(system.planner, failed.id, {}, "ana")
    await until("the run ends", done)
    assert system.job(failed, STATION).outcome is Outcome.REFUSED
    with pytest.raises(PlanRefusedError, match="it left no change"):
        await undo_plan(system.planner, failed.id, {}, "ana")
