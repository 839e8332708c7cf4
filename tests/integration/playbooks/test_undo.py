"""An ended run is taken back by a run of its own, and not where something was changed since."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.errors import ConflictError, PlanRefusedError
from controller.models.plan import Plan
from controller.models.run import Outcome, Run, RunState, Strategy
from controller.ports.store import RunRequest
from controller.runs.planning.planner import PlanRequest
from controller.runs.planning.undo import undo_plan
from tests.integration.alarms.house import until
from tests.integration.playbooks.house import PlaybookHouse, open_house
from tests.support.callers import ADMINISTRATOR, contracts_for
from tests.support.launch import submit

STATION = "T-LTE-1"
#: Taking service away needs the tenant's side; here it agreed beforehand.
AGREED = {"reduce": "standing"}


async def apply(house: PlaybookHouse, plan: Plan) -> Run:
    run = submit(
        house.store,
        house.doorbell,
        RunRequest(
            plan=plan,
            actor="ana",
            strategy=Strategy(canary=0),
            contracts=contracts_for(house.store, plan),
            asker=ADMINISTRATOR,
        ),
    )

    async def done() -> bool:
        return house.store.runs.get(run.id).state.terminal

    await until("the plan is applied", done)
    ended = house.store.runs.get(run.id)
    assert ended.state is RunState.SUCCEEDED, house.store.runs.jobs(run.id)
    return ended


async def share(house: PlaybookHouse, most: int) -> Run:
    """Give condor another share, by a plan."""
    house.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": most}], "consents": AGREED})
    return await apply(house, await house.planner.plan(PlanRequest("*", expect_stations=4), "ana"))


def all_running(house: PlaybookHouse) -> dict[str, str]:
    return {station: house.running(station) for station in house.fleet.stations}


async def test_a_tenant_that_came_is_taken_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runs.planning.undo._AT_ONCE", 3)  # of four
    async with open_house(tmp_path, without="condor-all") as house:
        before, ledger = all_running(house), house.store.ledger.find()
        house.load(condor_all={"consents": AGREED})
        run = await house.succeeds("onboard-tenant", tenant="condor", stations=4)
        assert all_running(house) != before
        changes, seen = house.changes(), all_running(house)
        async with house.client() as api:
            said = await api.post(f"/v1/runs/{run.id}/undo", json={})
            assert said.status_code == 409, said.text
            count = int(said.json()["detail"].rpartition("condor=")[2])
            made = (await api.post(f"/v1/runs/{run.id}/undo", json={"remove": {"condor": count}})).json()
        assert (house.changes(), all_running(house)) == (changes, seen)
        plan = house.store.plans.get(made["id"])
        assert (plan.undoes, plan.removals, plan.unplanned) == (run.id, {"condor": count}, {})
        assert {tenant for change in plan.changes for tenant in change.touched} == {"condor"}
        undone = await apply(house, plan)
        assert undone.procedure == "undo"
        assert all_running(house) == before
        now = house.store.ledger.find()
        assert {s: {p: e.node for p, e in found.items()} for s, found in now.items()} == {
            s: {p: e.node for p, e in found.items()} for s, found in ledger.items()
        }
        assert not any((await house.planner.drift(tuple(before))).values())
        # Waves in reverse: what came last goes first.
        first = {job.station for job in house.store.runs.jobs(run.id) if job.wave == run.waves - 1}
        assert {job.station for job in house.store.runs.jobs(undone.id) if job.wave == 0} <= first
        with pytest.raises(PlanRefusedError, match=rf"changed since: run {undone.id} \(undo\) changed"):
            await undo_plan(house.planner, run.id, {"condor": count}, "ana")


async def test_later_changes_are_in_the_way_until_they_are_undone(house: PlaybookHouse) -> None:
    before = all_running(house)
    one, two = await share(house, 55), await share(house, 50)
    with pytest.raises(PlanRefusedError, match=rf"{STATION}: changed since: run {two.id} \(apply\) changed .*02\]"):
        await undo_plan(house.planner, one.id, {}, "ana")
    await apply(house, await undo_plan(house.planner, two.id, {}, "ana"))
    assert "<maxRatio>55</maxRatio>" in house.running(STATION)
    await apply(house, await undo_plan(house.planner, one.id, {}, "ana"))
    assert all_running(house) == before


async def test_changes_by_somebody_else_leave_a_station_out(house: PlaybookHouse) -> None:
    run = await share(house, 55)
    share_of_condor = "<plmnRadioShareList><mcc>999</mcc><mnc>02</mnc><maxRatio>54</maxRatio></plmnRadioShareList>"
    house.edit(STATION, f"<EUtranCellFDD><id>1</id><attributes>{share_of_condor}</attributes></EUtranCellFDD>")
    plan = await undo_plan(house.planner, run.id, {}, "ana")
    assert plan.unplanned.keys() == {STATION}
    assert plan.unplanned[STATION].startswith("changed since by somebody else: ENBFunction[1]/EUtranCellFDD[1]/plmn")
    assert {change.station for change in plan.changes} == set(house.fleet.stations) - {STATION}


async def test_steps_of_a_playbook_are_undone_too(house: PlaybookHouse) -> None:
    before = house.running(STATION)
    run = await house.succeeds("lock-cell", station=STATION, cell="1")
    plan = await undo_plan(house.planner, run.id, {}, "ana")
    assert [(row.before, row.after) for row in plan.changes[0].diff] == [("LOCKED", "UNLOCKED")]
    await apply(house, plan)
    assert house.running(STATION) == before


async def test_what_cannot_be_undone_says_why(house: PlaybookHouse) -> None:
    run = await house.succeeds("audit-drift", where=STATION)
    with pytest.raises(PlanRefusedError, match="it left no change on any station"):
        await undo_plan(house.planner, run.id, {}, "ana")
    # A run whose station failed carried nothing, so there is nothing to take back.
    house.load(condor_all={"shares": [{"resource": "PRB", "min": 20, "max": 65}]})
    plan = await house.planner.plan(PlanRequest(STATION), "ana")
    house.change(STATION, cell="1", tac="77")
    house.edit(
        STATION,
        "<EP_S1C><id>condor-condor-mme-1</id><attributes><remoteAddress>10.9.9.9</remoteAddress></attributes></EP_S1C>",
    )
    failed = submit(
        house.store,
        house.doorbell,
        RunRequest(
            plan=plan,
            actor="ana",
            strategy=Strategy(canary=0),
            contracts=contracts_for(house.store, plan),
            asker=ADMINISTRATOR,
        ),
    )

    async def done() -> bool:
        return house.store.runs.get(failed.id).state.terminal

    with pytest.raises(ConflictError, match="wait for its end"):
        await undo_plan(house.planner, failed.id, {}, "ana")
    await until("the run ends", done)
    assert house.job(failed, STATION).outcome is Outcome.REFUSED
    with pytest.raises(PlanRefusedError, match="it left no change"):
        await undo_plan(house.planner, failed.id, {}, "ana")
