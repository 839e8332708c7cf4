"""Runs of functions that a person takes back: what lives in a function comes back with it, in the same run."""

from __future__ import annotations

import random
import re

import pytest

from controller.inventory.source import Report
from controller.models.approval import VoteChoice
from controller.models.errors import ConflictError, InputError, PlanRefusedError
from controller.models.people import Person, Role
from controller.models.plan import LedgerNode
from controller.models.run import Outcome, Policy, RunState
from controller.models.scalars import HOST
from controller.models.sharing import ActionClass, Consent
from controller.nrm.profiles import cell_of
from controller.nrm.tree import Tree
from controller.playbook.actions.shipped import registry
from controller.playbook.language.library import parse
from controller.playbook.language.parameters import Plain
from controller.ports.queue import FakeWakeups
from controller.runs.approval.clearance import reassess
from controller.runs.procedures import restarting
from tests.support.callers import admit
from tests.support.soak import SOAK
from tests.unit.plan import samples
from tests.unit.playbook.functions_bench import FunctionBench
from tests.unit.playbook.test_central_units import UNITS, up
from tests.unit.playbook.test_functions import shared
from tests.unit.runs.group_bench import Mortal, moments

DONE = Outcome.SUCCEEDED


def running(bench: FunctionBench, *devices: str) -> dict[str, Tree]:
    return {
        one: bench.devices[one].running
        for one in devices or (*bench.network.function_by_id, *bench.network.station_by_id)
    }


async def moved(*functions: str, **given: Plain) -> tuple[FunctionBench, dict[str, Tree]]:
    """A bench whose function DU-1 moved, and what was where before."""
    bench = FunctionBench()
    await bench.instantiate("DU-1", *functions)
    before = running(bench, "DU-1", "S1")
    await bench.play("move-function", function="DU-1", **given)
    assert bench.devices["DU-1"].running != before["DU-1"]
    return bench, before


def test_the_playbook_of_such_runs_is_one() -> None:
    report, used = Report(), restarting()
    loaded = parse(used.text, "restart-functions.yaml", registry(), report)
    assert not report.problems
    assert loaded is not None
    assert (loaded.playbook.name, loaded.digest) == (used.name, used.digest)


async def test_the_undo_of_a_move_and_its_own_undo_leave_no_station_bare() -> None:
    bench, before = await moved()
    after = running(bench, "DU-1", "S1")
    plan = await bench.plan_back()
    rows = {(row.tenant, row.before, row.after) for row in plan.changes[1].diff}
    nodes = len([one for one in bench.store.ledger.find(["S1"])["S1"].values() if "alfa" in one.owners])
    assert ("alfa", f"{nodes} nodes", "the same, once DU-1 is ready") in rows
    await bench.begin(plan)
    await bench.work()
    assert bench.outcomes == {"DU-1": DONE, "S1": DONE}, bench.jobs
    assert running(bench, *before) == before
    for there in (after, before):
        assert await bench.undo() == {"DU-1": DONE, "S1": DONE}
        assert running(bench, *before) == there
        assert bench.placed("DU-1") == bench.pools("DU-1")


async def test_a_worker_may_die_at_any_call_of_an_undo() -> None:
    bench, before = await moved()
    after = running(bench, *before)
    await bench.begin(await bench.plan_back())
    await bench.shift(whole := Mortal())
    calls = moments(whole.calls, random.Random("undo")) if SOAK else [5, len(whole.calls) // 2, len(whole.calls) - 5]
    for number, at in enumerate(calls):
        await bench.begin(await bench.plan_back())
        await bench.work(Mortal(at))
        assert bench.outcomes == {"DU-1": DONE, "S1": DONE}, (at, bench.jobs)
        assert running(bench, *before) == (before if number % 2 else after), at


async def test_a_function_does_not_go_back_where_it_has_no_place_and_nothing_is_begun() -> None:
    bench, before = await moved()
    (first,) = {"edge-1", "edge-2"} - {*bench.pools("DU-1")}
    device, after = bench.devices["DU-1"], running(bench, *before)
    device.dark[first] = f"{first} does not answer"
    with pytest.raises(PlanRefusedError, match=f"nothing of run .* can be undone: DU-1: unreachable: {first} does not"):
        await bench.plan_back()
    device.dark.clear()
    hold = bench.store.holds.add(first, "rosa", "new servers", None)
    with pytest.raises(PlanRefusedError, match=f"DU-1: it can't go back to {first}: .*hold on {first} by rosa"):
        await bench.plan_back()
    bench.store.holds.end(hold.id, "rosa")
    files = bench.network
    larger = [one.model_copy(update={"cpus": 65}) if one.id == "du" else one for one in files.packages]
    bench.load(files.model_copy(update={"packages": tuple(larger)}))
    with pytest.raises(PlanRefusedError, match=f"DU-1: it can't go back to {first}: "):
        await bench.plan_back()
    (there,) = bench.pools("DU-1")
    pinned = [one.model_copy(update={"pool": there}) if one.id == "DU-1" else one for one in files.functions]
    bench.load(files.model_copy(update={"functions": tuple(pinned)}))
    with pytest.raises(PlanRefusedError, match=f"DU-1: it can't go back: by its place it may not be on {first} any m"):
        await bench.plan_back()
    bench.load(files)
    assert running(bench, *before) == after
    assert await bench.undo() == {"DU-1": DONE, "S1": DONE}


async def test_a_pool_that_goes_dark_in_the_undo_leaves_the_function_and_its_station_where_they_are() -> None:
    bench, before = await moved()
    (first,) = {"edge-1", "edge-2"} - {*bench.pools("DU-1")}
    after = running(bench, *before)
    await bench.begin(await bench.plan_back())
    bench.devices["DU-1"].dark[first] = f"{first} does not answer"
    await bench.work()
    assert bench.outcomes["DU-1"] is not DONE
    assert bench.store.runs.get(bench.run_id).state is not RunState.SUCCEEDED
    assert running(bench, *before) == after


async def test_a_station_that_stays_dead_in_the_undo_does_not_hold_its_function() -> None:
    bench, before = await moved()
    plan, station = await bench.plan_back(), bench.devices["S1"]
    bench.devices["DU-1"].started = lambda _pool: station.renew({})
    station.unreachable = "no answer"
    await bench.begin(plan)
    await bench.work()
    assert bench.outcomes["DU-1"] is DONE
    assert bench.outcomes["S1"] is not DONE
    assert bench.store.runs.get(bench.run_id).state is RunState.PARTIAL
    assert bench.devices["DU-1"].running == before["DU-1"]
    bench._start("DU-1", "")
    await bench.play("heal-function", where="function=DU-1")
    assert running(bench, *before) == before


async def test_a_station_of_a_function_that_goes_keeps_its_ledger_and_the_plan_says_so() -> None:
    network = samples.virtual()
    free = [one.model_copy(update={"consents": {ActionClass.REDUCE: Consent.STANDING}}) for one in network.agreements]
    bench = FunctionBench(network.model_copy(update={"agreements": tuple(free)}))
    await bench.instantiate("DU-1")
    ledger = bench.store.ledger.find(["S1"])["S1"]
    bench.store.devices.retire("S1", "ana")
    nodes = len(bench.store.ledger.find(["DU-1"])["DU-1"])
    assert await bench.play("terminate-function", function="DU-1", nodes=nodes) == {"DU-1": DONE}
    bench.devices["S1"].unreachable = "its pod is gone"
    await bench.instantiate("DU-1")
    with pytest.raises(PlanRefusedError) as refused:
        await bench.plan_back()
    asked = {"host": int(str(refused.value).rpartition("host=")[2])}
    plan = await bench.plan_back("", **asked)
    said = "it goes with DU-1; what was applied there stays on record, as it was before the run"
    assert plan.unplanned == {"S1": said}
    (change,) = plan.changes
    tenants = {owner for node in ledger.values() for owner in node.owners} - {HOST}
    assert tenants
    assert change.interrupted == tuple(sorted(tenants))
    await bench.begin(plan)
    await bench.work()
    assert bench.outcomes == {"DU-1": DONE}
    assert bench.store.ledger.find(["S1"])["S1"].keys() == ledger.keys()


async def test_an_earlier_run_is_undone_though_its_station_came_back_with_its_function_since() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    before = bench.devices["S1"].running
    await bench.play("lock-cell", station="S1", cell="N1")
    locked = bench.run_id
    await bench.play("unlock-cell", station="S1", cell="N1")
    await bench.play("move-function", function="DU-1")
    moves = bench.run_id
    assert await bench.undo(moves) == {"DU-1": DONE, "S1": DONE}
    assert bench.devices["S1"].running == before
    with pytest.raises(PlanRefusedError, match="changed since"):
        await bench.plan_back(locked)


async def test_a_function_does_not_go_while_the_station_in_it_stays() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    brought, before = bench.run_id, running(bench, "DU-1", "S1")
    await bench.play("lock-cell", station="S1", cell="N1")
    locked = running(bench, "DU-1", "S1")
    assert locked != before
    with pytest.raises(PlanRefusedError, match="the plan would remove") as refused:
        await bench.plan_back(brought)
    counts = dict(re.findall(r"name (\w+)=(\d+)", str(refused.value)))
    plan = await bench.plan_back(brought, **{one: int(count) for one, count in counts.items()})
    assert plan.unplanned == {"DU-1": "S1 lives in it and stays (part of it was changed since)"}
    (change,) = plan.changes
    assert {cell_of(path) for path in change.left} == {"", "N1"}
    assert {cell_of(edit.path) for phase in change.phases for edit in phase.edits} == {"L1"}
    told = [one.message for one in plan.findings if one.code == "stays-as-it-is" and one.cell == "N1"]
    assert "(lock-cell) changed" in told[0]
    assert running(bench, "DU-1", "S1") == locked


async def test_a_tenants_own_central_unit_goes_back_and_no_byte_of_others_changes() -> None:
    bench = await up()
    before = running(bench)
    await bench.play("move-function", function="UP-B")
    assert bench.devices["UP-B"].running != before["UP-B"]
    plan = await bench.plan_back()
    assert set(plan.changes.packed) == {"UP-B", UNITS["UP-B"]}
    assert {tenant for change in plan.changes for tenant in (*change.touched, *change.interrupted)} == {"beta"}
    await bench.begin(plan)
    await bench.work()
    assert set(bench.outcomes.values()) == {DONE}, bench.jobs
    assert running(bench) == before


async def test_the_undo_of_a_cus_move_asks_all_tenants_of_its_stations_and_a_hold_there_stops_it() -> None:
    bench = FunctionBench(shared(5, cu="CU-1"))
    await bench.instantiate("CU-1")
    for station in bench.network.stations:
        node = LedgerNode(path=f"/ManagedElement[{station.id}]", owners=("alfa", "beta", "gamma", "delta"))
        bench.store.devices.adopt(station.id, [node], bench.store.networks.get()[0], "ana")
    tenants = sorted(one.id for one in bench.network.tenants)

    async def agreed() -> None:
        standing = bench.store.approvals.standing(bench.run_id)
        assert standing is not None
        assert [(one.side, one.action) for one in standing.constraints.requirements] == [
            (tenant, ActionClass.INTERRUPT) for tenant in tenants
        ]
        for tenant in tenants:
            await bench.live(20)
            assert bench.outcomes["CU-1"] is None
            person = Person(name=f"eva-{tenant}", role=Role.TENANT_APPROVER, tenant=tenant)
            subject = standing.constraints.subject
            admit(bench.store, f"token-{tenant}", person.name, person.role, tenant)
            bench.store.approvals.vote(subject, person, VoteChoice.APPROVE, "", bench.run_id)
            reassess(bench.store, bench.clock, FakeWakeups())

    await bench.start("move-function", function="CU-1")
    await agreed()
    await bench.work()
    before = bench.pools("CU-1")
    hold = bench.store.holds.add("S3", "rosa", "on the mast", None)
    await bench.begin(await bench.plan_back())
    await agreed()
    await bench.live(20)
    assert "hold on S3 by rosa" in bench.jobs[0].blocked
    bench.store.holds.end(hold.id, "rosa")
    await bench.work()
    assert bench.outcomes["CU-1"] is DONE
    assert bench.pools("CU-1") != before


async def test_a_function_with_stations_is_not_decided_together_with_them() -> None:
    bench, before = await moved()
    plan = await bench.plan_back()
    for policy in (Policy.UNIT, Policy.WAVE):
        with pytest.raises(InputError, match="policy: S1 can be configured only once what they live in has restarted"):
            await bench.begin(plan, policy)
    assert running(bench, *before) != before


async def test_a_key_stands_for_one_undo() -> None:
    bench, _ = await moved()
    plan = await bench.plan_back()
    run = await bench.begin(plan, key="k-1")
    assert (await bench.begin(plan, key="k-1")).id == run.id
    await bench.work()
    with pytest.raises(ConflictError, match=f"the idempotency key belongs to run {run.id}"):
        await bench.begin(await bench.plan_back(), key="k-1")
