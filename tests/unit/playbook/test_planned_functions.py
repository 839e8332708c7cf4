"""Plans of network files that restart functions: what lives in a function comes back with it, in the same run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.models.errors import InputError, PlanRefusedError
from controller.models.network import Network
from controller.models.outage import NO_OUTAGE
from controller.models.run import Outcome, Policy
from controller.models.sharing import ActionClass
from controller.nrm.tree import Tree
from controller.runs.approval.consent import effect_of
from controller.runs.transaction import checks
from tests.unit.playbook.functions_bench import FunctionBench
from tests.unit.playbook.test_central_units import up
from tests.unit.playbook.test_functions import never_ready_with, upgraded
from tests.unit.runs.group_bench import Mortal

DONE = Outcome.SUCCEEDED


def running(bench: FunctionBench, *devices: str) -> dict[str, Tree]:
    return {one: bench.devices[one].running for one in devices}


def with_image(bench: FunctionBench) -> Network:
    return upgraded(bench.network, "du")


def with_resources(bench: FunctionBench) -> Network:
    larger = [
        one.model_copy(update={"cpus": one.cpus + 1}) if one.id == "du" else one for one in bench.network.packages
    ]
    return bench.network.model_copy(update={"packages": tuple(larger)})


def on_the_other_pool(bench: FunctionBench) -> Network:
    (new,) = {"edge-1", "edge-2"} - {*bench.pools("DU-1")}
    functions = [one.model_dump() | ({"pool": new} if one.id == "DU-1" else {}) for one in bench.network.functions]
    return Network.model_validate(bench.network.model_dump() | {"functions": functions})


@pytest.mark.parametrize("changed", [with_image, with_resources, on_the_other_pool])
async def test_an_applied_plan_that_restarts_a_function_brings_its_station_back(
    changed: Callable[[FunctionBench], Network],
) -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    before, others = running(bench, "S1"), running(bench, "DU-2", "S2")
    bench.load(changed(bench))
    bench.devices["DU-1"].ready_after = 50.0
    plan = await bench.plan("function=DU-1", 2)
    function, station = plan.changes
    assert (function.station, station.station, station.comes_back) == ("DU-1", "S1", True)
    nodes = len([one for one in bench.store.ledger.find(["S1"])["S1"].values() if "alfa" in one.owners])
    assert ("alfa", f"{nodes} nodes", "the same, once DU-1 is ready") in {
        (row.tenant, row.before, row.after) for row in station.diff
    }
    assert {action for _, action in effect_of(station).asks} == {ActionClass.RESTORE}
    run = await bench.begin(plan)
    await bench.work()
    assert bench.outcomes == {"DU-1": DONE, "S1": DONE}, bench.jobs
    assert (run.procedure, run.strategy.check_timeout) == ("apply", 120)
    assert running(bench, "S1") == before
    assert running(bench, "DU-2", "S2") == others
    assert bench.placed("DU-1") == bench.pools("DU-1")
    assert (await bench.plan("function=DU-1")).is_empty


async def test_a_station_only_comes_back_and_what_the_files_change_there_is_for_the_next_plan() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    before = running(bench, "S1", "S2")
    files = with_image(bench)
    cells = tuple(one.model_copy(update={"pci": one.pci + 1}) for one in files.cells)
    bench.load(files.model_copy(update={"cells": cells}))
    plan = await bench.plan("device=S*|DU-1", 3)
    assert {change.station: change.comes_back for change in plan.changes} == {"DU-1": False, "S1": True, "S2": False}
    await bench.begin(plan)
    await bench.work()
    assert set(bench.outcomes.values()) == {DONE}, bench.jobs
    assert bench.devices["S1"].running == before["S1"]
    assert bench.devices["S2"].running != before["S2"]
    later = await bench.plan("device=S1")
    assert [(change.station, change.comes_back) for change in later.changes] == [("S1", False)]
    await bench.begin(later)
    await bench.work()
    assert bench.devices["S1"].running != before["S1"]


async def test_only_stations_that_lose_something_come_back() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2", "CU-1")
    files = with_image(bench)
    more = [one.model_copy(update={"replicas": 2}) if one.id == "CU-1" else one for one in files.functions]
    bench.load(files.model_copy(update={"functions": tuple(more)}))
    bench.store.devices.retire("S2", "ana")
    plan = await bench.plan("function=*", 4)
    changes = {change.station: change for change in plan.changes}
    assert (set(changes), changes["CU-1"].outage) == ({"CU-1", "DU-1", "DU-2", "S1"}, NO_OUTAGE)


async def test_a_function_that_is_not_ready_anew_goes_back_and_its_station_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "READY_SECONDS", 20.0)
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    before = running(bench, "DU-1", "S1")
    bench.load(with_image(bench))
    never_ready_with(bench, "DU-1", bench.network.package_by_id["du"].image)
    await bench.begin(await bench.plan("function=DU-1", 2))
    await bench.work()
    assert bench.outcomes == {"DU-1": Outcome.ROLLED_BACK, "S1": DONE}, bench.jobs
    assert running(bench, *before) == before


async def test_a_worker_may_die_at_any_call_and_the_run_can_be_undone() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    before, old = running(bench, "DU-1", "S1"), bench.network
    new = with_image(bench)
    bench.load(new)
    await bench.begin(await bench.plan("function=DU-1", 2))
    await bench.shift(whole := Mortal())
    after = running(bench, *before)
    for number, at in enumerate((5, len(whole.calls) // 2, len(whole.calls) - 5)):
        bench.load(new if number % 2 else old)
        await bench.begin(await bench.plan("function=DU-1", 2))
        await bench.work(Mortal(at))
        assert bench.outcomes == {"DU-1": DONE, "S1": DONE}, (at, bench.jobs)
        assert running(bench, *before) == (after if number % 2 else before), at
    assert await bench.undo() == {"DU-1": DONE, "S1": DONE}
    assert running(bench, *before) == after


async def test_whoever_applies_it_says_how_many_devices_it_touches_and_decides_each_on_its_own() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    before = running(bench, "DU-1", "S1")
    bench.load(with_image(bench))
    with pytest.raises(PlanRefusedError, match=r"touches 2 devices \(1 of them functions\), but 1 were expected"):
        await bench.plan("function=DU-1", 1)
    plan = await bench.plan("function=DU-1", 2)
    for policy in (Policy.UNIT, Policy.WAVE):
        with pytest.raises(InputError, match="policy: S1 can be configured only once what they live in has restarted"):
            await bench.begin(plan, policy)
    hold = bench.store.holds.add("S1", "rosa", "on the mast", None)
    await bench.begin(plan)
    await bench.live(20)
    assert {job.blocked for job in bench.jobs if job.station == "DU-1"} == {"hold on S1 by rosa: on the mast"}
    assert running(bench, *before) == before
    bench.store.holds.end(hold.id, "rosa")
    await bench.work()
    assert bench.outcomes == {"DU-1": DONE, "S1": DONE}
    assert bench.devices["S1"].running == before["S1"]


async def test_all_functions_of_a_gnb_restart_by_one_plan_and_no_station_carries_anything_else_afterwards() -> None:
    bench = await up()
    stations = running(bench, *(one.id for one in bench.network.stations))
    old = running(bench, *bench.network.function_by_id)
    for package in {one.package for one in bench.network.functions}:
        bench.load(upgraded(bench.network, package))
    with pytest.raises(PlanRefusedError, match="more than 50% of the network: to allow it, expect 10 devices"):
        await bench.plan("function=*")
    plan = await bench.plan("function=*", 10)
    assert {change.station for change in plan.changes if change.comes_back} == stations.keys()
    await bench.begin(plan)
    await bench.work()
    assert set(bench.outcomes.values()) == {DONE}, bench.jobs
    assert running(bench, *stations) == stations
    assert not [one for one, tree in running(bench, *old).items() if tree == old[one]]
