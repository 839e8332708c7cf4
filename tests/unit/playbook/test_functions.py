"""Functions come up, go down, move and go, and the stations that live in them come back with what all tenants had."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.api.services import Services
from controller.api.views import HostView
from controller.drivers.fake import Fault, FaultKind
from controller.intent.placement import OPEN, Placement, place
from controller.models.alarm import (
    CONFIGURATION_DRIFT,
    CONFIGURATION_LOST,
    NODE_LOST,
    AlarmReport,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.approval import VoteChoice
from controller.models.cloud import ClusterState, Latency, NodeReady, NodeState
from controller.models.errors import InputError, PlanRefusedError
from controller.models.health import Health
from controller.models.network import Network, network_digest
from controller.models.people import Person, Role
from controller.models.plan import Edit, LedgerNode, Op, PhaseKind
from controller.models.run import Outcome, RunState
from controller.models.sharing import ActionClass
from controller.nrm.profiles import administrative_state, cell_of, cells
from controller.nrm.profiles.function import deployment_path
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.preparation import PlaybookPreparation
from controller.playbook.language.library import Library
from controller.ports.queue import FakeWakeups
from controller.runs.approval.clearance import reassess
from controller.runs.approval.consent import effect_of
from controller.runs.planning import planner
from controller.runs.planning.undo import undo_plan
from controller.runs.transaction import checks
from controller.store import Page, RunRequest
from controller.store.placements import closures_now, running_on
from tests.support.callers import admit
from tests.support.soak import SOAK
from tests.unit.plan import samples
from tests.unit.playbook.functions_bench import ROOT, FunctionBench, factory
from tests.unit.runs.group_bench import Mortal, moments

GOOD = {Outcome.SUCCEEDED}
#: All devices that stand still while alfa's own function moves.
PLAIN = {"DU-1", "DU-2", "CU-1", "UP-1", "S1", "S2"}


async def test_a_function_comes_up_with_its_station_configured_for_all_tenants() -> None:
    bench = FunctionBench()
    outcomes = await bench.play("instantiate-function", where="function=DU-1")
    assert outcomes == {"DU-1": Outcome.SUCCEEDED, "S1": Outcome.SUCCEEDED}, bench.jobs
    assert bench.pools("DU-1") == bench.placed("DU-1")
    assert bench.carries("S1")
    owners = {owner for entry in bench.store.ledger.find(["S1"])["S1"].values() for owner in entry.owners}
    assert owners == {"host", "alfa", "beta"}


async def test_one_that_does_not_become_ready_is_removed_and_its_station_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "READY_SECONDS", 20.0)
    bench = FunctionBench()
    bench.devices["DU-1"].stuck |= {"edge-1", "edge-2"}
    outcomes = await bench.play("instantiate-function", where="function=DU-1")
    assert outcomes["DU-1"] is Outcome.ROLLED_BACK, bench.jobs
    assert bench.pools("DU-1") == bench.placed("DU-1") == ()
    assert not bench.store.ledger.find(["S1"])


async def test_a_dry_run_says_what_would_be_made_where() -> None:
    bench = FunctionBench()
    dry = await bench.dry_run("instantiate-function", where="function=DU-1")
    assert not dry.refused
    made = next(one for one in dry.stations if one.station == "DU-1")
    (later,) = [step.says for one in dry.stations for step in one.steps if step.step == "configure the station"][1:]
    assert later == "brings all that was applied, or what the network files say, once its function is ready"
    said = {step.step: step.says for one in dry.stations if one.station == "S1" for step in one.steps}
    assert said["the station answers"] == said["cells on air"] == "would wait; now: S1: there is no pod"
    assert any("edge-1" in row.what or "edge-1" in row.after for step in made.steps for row in step.diff), made


async def test_a_function_whose_pool_is_lost_comes_back_elsewhere_with_all_tenants() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    (lost,) = bench.pools("DU-1")
    before = bench.devices["S1"].running
    bench.lose_pool("DU-1", lost)
    begin = bench.clock.monotonic()
    outcomes = await bench.play("heal-function", where="function=DU-1", seconds=20)
    assert set(outcomes.values()) == GOOD, bench.jobs
    assert bench.clock.monotonic() - begin <= 120
    assert bench.devices["S1"].running == before
    (there,) = set(bench.pools("DU-1")) - {lost}
    # What may still run on the pool that does not answer is on record until it is known to be gone.
    assert bench.placed("DU-1") == tuple(sorted((lost, there)))
    assert running_on(bench.store, ["DU-1"]) == {"DU-1": (there, lost)}
    planned = await bench.services().planner.plan(planner.PlanRequest("function=DU-1"), "ana")
    assert planned.unchanged == ("DU-1",), planned.changes
    bench.devices["DU-1"].dark.clear()
    outcomes = await bench.play("heal-function", where="function=DU-1")
    assert set(outcomes.values()) <= {Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED}, bench.jobs
    assert bench.pools("DU-1") == bench.placed("DU-1") == (there,)
    assert bench.devices["S1"].running == before


async def test_a_pool_that_was_never_planned_is_made_ready_for_what_is_healed_or_moved_there() -> None:
    bench = FunctionBench()
    await bench.add_pools(ready=False)
    await bench.instantiate("DU-1", "UP-ALFA")
    (lost,), (there,) = bench.pools("DU-1"), {"edge-1", "edge-2"} - {*bench.pools("DU-1")}
    bench.lose_pool("DU-1", lost)
    bench.devices[there].unreachable = "it does not answer yet"
    dry = await bench.dry_run("heal-function", where="function=DU-1", seconds=0)
    assert not dry.refused
    assert "it does not answer yet" in dry.left_out[there]
    bench.devices[there].unreachable = ""
    given = {"where": "function=DU-1", "seconds": 0}
    by_a_rule = RunRequest(playbook="heal-function", parameters=given, actor="rule:heal", cause="alarm:a-1")
    preparation = PlaybookPreparation(bench.services(), lambda _: bench.library, registry())
    assert (await preparation.dry_run(by_a_rule)).left_out[there] == "not adopted: observe-only"
    outcomes = await bench.play("heal-function", where="function=DU-1", seconds=0)
    assert outcomes == dict.fromkeys((there, "DU-1", "S1"), Outcome.SUCCEEDED), bench.jobs
    assert {job.station: job.wave for job in bench.jobs} == {there: 0, "DU-1": 1, "S1": 1}
    names = {f"/Pool[{there}]/Namespace[minka-{owner}]" for owner in ("host", "alfa")}
    assert names <= bench.store.ledger.find([there])[there].keys()
    asked = bench.store.approvals.standing(bench.run_id)
    assert asked is None or not asked.constraints.requirements
    undone = await undo_plan(bench.services().planner, bench.run_id, {"host": 4}, "ana")
    assert there not in undone.changes.packed
    # Now it is ready, and nothing of it is planned any more.
    assert await bench.play("move-function", function="UP-ALFA") == {"UP-ALFA": Outcome.SUCCEEDED}


async def test_a_pool_is_drained_to_one_that_was_never_planned() -> None:
    bench = FunctionBench()
    await bench.add_pools(ready=False)
    await bench.instantiate("DU-1", "UP-ALFA")
    assert bench.pools("DU-1") == bench.pools("UP-ALFA") == ("edge-1",)
    dry = await bench.dry_run("drain-pool", pool="edge-1")
    assert (dry.refused, dry.left_out) == ((), {})
    assert [step.says for one in dry.stations for step in one.steps if step.says.startswith("would fail")] == []
    outcomes = await bench.play("drain-pool", pool="edge-1")
    assert outcomes == dict.fromkeys(("edge-2", "DU-1", "S1", "UP-ALFA"), Outcome.SUCCEEDED), bench.jobs
    waves = {job.station: job.wave for job in bench.jobs}
    assert waves == {"edge-2": 0, "UP-ALFA": 1, "DU-1": 1, "S1": 1}, "the canary comes after its pool"
    assert bench.store.runs.get(bench.run_id).strategy.canary_wave == 1


async def test_twenty_functions_of_a_lost_pool_are_on_air_elsewhere_within_two_minutes() -> None:
    bench = FunctionBench(shared(20, du="DU-{}", cu="CU-1", up="UP-1"))
    functions = [f"DU-{number}" for number in range(1, 21)]
    await bench.instantiate(*functions)
    (lost,) = {pool for name in functions for pool in bench.pools(name)}
    before = {one.id: bench.devices[one.id].running for one in bench.network.stations}
    for name in functions:
        bench.lose_pool(name, lost)

    def back() -> bool:
        return all(bench.devices[name].running == tree for name, tree in before.items())

    assert await bench.watch(120, back) <= 120
    assert all(set(bench.pools(name)) - {lost} for name in functions)
    assert back()


async def test_functions_that_are_healed_together_do_not_take_each_others_room(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def counted(*given: Any, **named: Any) -> Placement:
        made.append(given)
        return place(*given, **named)

    content = samples.virtual().model_dump()
    content["pools"] += ({**content["pools"][0], "id": "edge-3", "address": "10.9.0.3"},)
    content["nodes"] = [{**one, "cpus": 4} if one["pool"] == "edge-2" else one for one in content["nodes"]]
    content["nodes"] += [{**one, "pool": "edge-3"} for one in content["nodes"] if one["pool"] == "edge-1"]
    content["latencies"] += tuple({"pool": "edge-3", "site": f"site-{n}", "microseconds": 60} for n in (1, 2))
    bench = FunctionBench(Network.model_validate(content))
    await bench.add_pools(ready=True)
    await bench.instantiate("DU-1", "DU-2")
    for name in ("DU-1", "DU-2"):
        bench.lose_pool(name, "edge-1")
    monkeypatch.setattr(planner, "place", counted)
    outcomes = await bench.play("heal-function", where="function=DU-*", seconds=0)
    assert set(outcomes.values()) == GOOD, bench.jobs
    assert bench.pools("DU-1") == ("edge-1", "edge-2"), "the nearest, which has room for one"
    assert bench.pools("DU-2") == ("edge-1", "edge-3")
    assert len(made) == 1, "one placement for all"


async def test_one_that_was_healed_already_is_where_it_went_though_its_alarm_still_stands() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    for name in ("DU-1", "DU-2"):
        bench.lose_pool(name, "edge-1")
    await bench.look_twice("DU-1", "DU-2")
    assert {one.probable_cause for one in bench.store.alarms.standing(["DU-1", "DU-2"])} == {"function-unseen"}
    for name, station in (("DU-1", "S1"), ("DU-2", "S2")):
        outcomes = await bench.play("heal-function", where=f"function={name}", seconds=0)
        assert outcomes == dict.fromkeys((name, station), Outcome.SUCCEEDED), bench.jobs
        assert set(bench.placed(name)) == {"edge-1", "edge-2"}
    # What was seen before says so, and where it is to run is not the pool that is away.
    record = SimpleNamespace(store=bench.store, clock=bench.clock, settings=SimpleNamespace(kpis=ROOT, shifts=""))
    seen = HostView(cast("Services", SimpleNamespace(planner=None, followed=None, exposition=None, **vars(record))))
    (shown,) = seen.functions(["DU-1"])
    assert (shown.pool, shown.running, shown.wrong, shown.outdated) == (
        "edge-2",
        ("edge-2", "edge-1"),
        ("function-unseen",),
        True,
    )
    await bench.look("DU-1")
    assert [(one.wrong, one.outdated) for one in seen.functions(["DU-1"])] == [((), False)]


async def test_a_station_is_configured_though_the_alarm_of_its_function_is_over_by_then() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    before = bench.devices["S1"].running
    bench.lose_pool("DU-1", *bench.pools("DU-1"))
    bench.devices["DU-1"].started = lambda _pool: bench.devices["S1"].renew(factory("S1"))

    def ended() -> bool:
        """The station takes longer to answer than the listener to see that its function is ready."""
        if any(one.cleared is not None for one in bench.store.alarms.page(Page(limit=9))[1] if one.station == "DU-1"):
            bench.devices["S1"].unreachable = ""
        _, runs = bench.store.runs.page(Page(limit=9))
        return any(run.automatic and run.state.terminal for run in runs)

    await bench.watch(200, ended, every=1)
    _, runs = bench.store.runs.page(Page(limit=9))
    (healed,) = [run for run in runs if run.automatic]
    assert healed.state is RunState.SUCCEEDED, bench.store.runs.jobs(healed.id)
    assert bench.devices["S1"].running == before


async def test_one_that_is_well_is_left_alone() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    changes = len(bench.devices["DU-1"].history), len(bench.devices["S1"].history)
    outcomes = await bench.play("heal-function", where="function=DU-1")
    assert set(outcomes.values()) == {Outcome.UNCHANGED}, bench.jobs
    assert changes == (len(bench.devices["DU-1"].history), len(bench.devices["S1"].history))


async def test_one_that_serves_with_some_of_its_replicas_is_no_outage_and_stays() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    device, changes = bench.devices["DU-1"], len(bench.devices["DU-1"].history)
    device.stuck = device.short = {*bench.pools("DU-1")}
    await bench.look_twice("DU-1")
    assert [one.probable_cause for one in bench.store.alarms.standing(["DU-1"])] == ["function-degraded"]
    outcomes = await bench.play("heal-function", where="function=DU-1", seconds=0)
    assert (set(outcomes.values()), len(device.history)) == ({Outcome.UNCHANGED}, changes), bench.jobs
    device.short = set()
    outcomes = await bench.play("heal-function", where="function=DU-1", seconds=0)
    assert outcomes["DU-1"] is Outcome.SUCCEEDED, bench.jobs


@pytest.mark.parametrize(("playbook", "where"), [("heal-function", "function=DU-1"), ("repair-drift", "device=S1")])
async def test_a_pod_that_started_anew_gets_its_configuration_back_but_for_a_cell_that_was_locked(
    playbook: str, where: str
) -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    station = bench.devices["S1"]
    await bench.play("lock-cell", station="S1", cell="L1")
    before = station.running
    await bench.look("S1")
    station.renew(factory("S1"))
    await bench.look("S1")
    plan = await bench.services().planner.plan(planner.PlanRequest("device=S1"), "ana")
    assert ("locked-by-run", "L1") in {(one.code, one.cell) for one in plan.findings}, plan.findings
    (unlock,) = [phase for change in plan.changes for phase in change.phases if phase.kind is PhaseKind.UNLOCK]
    assert [cell_of(edit.path) for edit in unlock.edits] == ["N1"]
    await bench.play(playbook, where=where)
    assert station.running == before, bench.jobs
    states = {one.cell: administrative_state(station.running, one.path) for one in cells(station.running)}
    assert states == {"L1": "LOCKED", "N1": "UNLOCKED"}


@pytest.mark.parametrize("lost_pods", ["", "functions", "degraded"])
async def test_a_station_whose_function_its_cluster_started_again_is_configured_by_a_rule(lost_pods: str) -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    station = bench.devices["S1"]
    before, (pool,) = station.running, bench.pools("DU-1")
    await bench.look("S1")
    root = ""
    if lost_pods:
        of_node = AlarmReport(
            station=pool,
            object="node-1",
            object_class=ObjectClass.NODE,
            probable_cause=NODE_LOST,
            severity=PerceivedSeverity.CRITICAL,
            source=AlarmSource.CHECK,
            at=bench.clock.now(),
        )
        root = bench.store.alarms.report(of_node.model_copy(update={lost_pods: ("DU-1",)})).id
    station.renew(factory("S1"))
    await bench.look_twice("S1")
    standing = {one.probable_cause: one for one in bench.store.alarms.standing(["S1"])}
    lost = standing.pop(CONFIGURATION_LOST)
    assert lost.root == root
    assert {one.root for one in standing.values()} == {root if lost_pods == "functions" else lost.id}
    assert CONFIGURATION_DRIFT not in standing
    assert len({one.incident for one in (lost, *standing.values())}) == 1
    assert (lost.cells, lost.tenants) == (("S1/L1", "S1/N1"), ("alfa", "beta"))
    assert not bench.store.healths.find(["S1"])["S1"].serves("L1", "alfa")

    def well() -> bool:
        return bench.store.alarms.get(lost.id).state is AlarmState.REPAIRED

    await bench.watch(200, well)
    assert well(), (bench.store.alarms.get(lost.id).note, bench.jobs)
    assert station.running == before
    assert bench.store.runs.get(bench.store.alarms.get(lost.id).run).procedure == "heal-function"
    assert bench.pools("DU-1") == (pool,)


async def test_a_wide_heal_leaves_out_what_is_not_adopted_and_says_so() -> None:
    bench = FunctionBench()
    await bench.add_pools(ready=True)
    await bench.instantiate("DU-1")
    bench.lose_pool("DU-1", *bench.pools("DU-1"))
    outcomes = await bench.play("heal-function", where="function=*", seconds=0)
    assert outcomes.keys() == {"DU-1", "S1"}
    plan = bench.store.plans.get(bench.store.runs.get(bench.run_id).plan)
    assert plan.unplanned == dict.fromkeys(["CU-1", "DU-2", "UP-1", "UP-ALFA"], "not adopted: observe-only")
    assert plan.observed_only == (*plan.unplanned,)
    with pytest.raises(PlanRefusedError, match="all devices are left out: DU-2: not adopted"):
        await bench.start("heal-function", where="function=DU-2")


async def test_what_has_no_place_or_no_pool_that_answers_is_left_out_of_what_comes_up_and_named() -> None:
    plain = samples.virtual()
    large = [one.model_dump() | ({"cpus": 999} if one.id == "cu" else {}) for one in plain.packages]
    bench = FunctionBench(samples.virtual(packages=large))
    bench.devices["DU-2"].unreachable = "edge-1 does not answer"
    outcomes = await bench.play("instantiate-function", where="function=*")
    assert outcomes.keys() == {"DU-1", "S1", "UP-1", "UP-ALFA"}
    left_out = bench.store.plans.get(bench.store.runs.get(bench.run_id).plan).unplanned
    assert left_out.keys() == {"CU-1", "DU-2", "edge-1"}, "the pool itself can't be read here"
    assert "function CU-1 has no place" in left_out["CU-1"]
    adopted = {name for name, record in bench.store.devices.find().items() if record.adopted is not None}
    assert adopted == outcomes.keys()


async def test_a_station_whose_function_does_not_come_is_not_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "READY_SECONDS", 20.0)
    bench = FunctionBench()
    bench.devices["DU-1"].stuck |= {"edge-1", "edge-2"}
    outcomes = await bench.play("instantiate-function", where="function=DU-1")
    assert outcomes == {"DU-1": Outcome.ROLLED_BACK, "S1": Outcome.WITHDRAWN}
    assert "S1" not in bench.store.devices.find()


async def test_without_room_elsewhere_a_function_stays_and_people_are_told_why() -> None:
    plain = samples.virtual()
    pinned = {one.id: {"pool": "edge-1"} if one.id == "DU-1" else {} for one in plain.functions}
    bench = FunctionBench(
        samples.virtual(functions=[{**one.model_dump(), **pinned[one.id]} for one in plain.functions])
    )
    await bench.instantiate("DU-1")
    bench.lose_pool("DU-1", "edge-1")
    outcomes = await bench.play("heal-function", where="function=DU-1", seconds=0)
    assert not any(outcome is not None and outcome.good for outcome in outcomes.values())
    assert "DU-1 is not ready on edge-1" in bench.jobs[0].detail


# ------------------------------------------------------------------ move, scale, upgrade


async def test_a_tenants_own_function_moves_and_nothing_of_others_does() -> None:
    bench = FunctionBench()
    await bench.instantiate()
    (here,) = bench.pools("UP-ALFA")
    others = {name: list(bench.devices[name].history) for name in bench.network.device_kinds if name in PLAIN}
    outcomes = await bench.play("move-function", function="UP-ALFA")
    assert outcomes == {"UP-ALFA": Outcome.SUCCEEDED}
    assert bench.pools("UP-ALFA") == bench.placed("UP-ALFA") != (here,)
    assert {name: list(bench.devices[name].history) for name in others} == others
    asked = bench.store.approvals.standing(bench.run_id)
    assert asked is not None
    assert asked.constraints.tenants == ("alfa",)


async def test_one_that_does_not_become_ready_elsewhere_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "READY_SECONDS", 20.0)
    bench = FunctionBench()
    await bench.instantiate("CU-1")
    (here,) = bench.pools("CU-1")
    bench.devices["CU-1"].stuck |= {"edge-1", "edge-2"} - {here}
    outcomes = await bench.play("move-function", function="CU-1")
    assert outcomes == {"CU-1": Outcome.ROLLED_BACK}
    assert bench.pools("CU-1") == bench.placed("CU-1") == (here,)


async def test_the_stations_of_a_function_that_moves_come_along() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    before = {name: bench.devices[name].running for name in ("S1", "S2")}
    (here,) = bench.pools("DU-1")
    there = next(pool for pool in bench.network.pool_by_id if pool != here)
    outcomes = await bench.play("move-function", function="DU-1", pool=there)
    assert set(outcomes.values()) == GOOD, bench.jobs
    assert outcomes.keys() == {"DU-1", "S1"}
    assert bench.pools("DU-1") == (there,)
    assert {name: bench.devices[name].running for name in before} == before


async def test_a_pool_under_a_hold_gets_nothing() -> None:
    bench = FunctionBench()
    await bench.instantiate("CU-1")
    (here,) = bench.pools("CU-1")
    there = next(pool for pool in bench.network.pool_by_id if pool != here)
    bench.store.holds.add(there, "rosa", "new servers", None)
    await bench.play("move-function", function="CU-1")
    assert bench.pools("CU-1") == (here,)
    assert "there is no place for CU-1 on another pool" in bench.jobs[0].detail


async def test_what_comes_up_goes_to_a_pool_that_answers() -> None:
    bench = FunctionBench()
    await bench.add_pools(ready=True)
    await bench.look(*bench.network.pool_by_id)
    bench.devices["edge-1"].unreachable = "edge-1 does not answer"
    await bench.look("edge-1")
    await bench.instantiate("DU-1")
    assert bench.pools("DU-1") == ("edge-2",)


def test_pools_take_nothing_new_while_they_are_full_away_held_or_short_of_nodes() -> None:
    bench = FunctionBench()
    network, store, now = bench.network, bench.store, bench.clock.now()
    assert closures_now(store, network, now) == OPEN
    store.holds.add("edge-1", "rosa", "new servers", None)
    store.freezes.add("region:lima", now, now + timedelta(hours=1), "rosa", "election")
    store.freezes.warn("tsunami", ["site:site-1"], now, now + timedelta(hours=1), "rosa", "wave")
    nodes = [NodeState(id=node.id, ready=NodeReady.UNKNOWN) for node in network.nodes_of["edge-2"]]
    cluster = ClusterState(nodes=tuple(nodes))
    away = Health(station="edge-1", at=now, reachable=False)
    store.healths.save([away, Health(station="edge-2", at=now, reachable=True, cluster=cluster)])
    found = closures_now(store, network, now)
    assert found.pools == {"edge-1": "hold on edge-1 by rosa: new servers"}
    assert found.fixed == {"edge-1"}
    assert found.frozen.keys() == {"region:lima"}
    assert found.short == {"edge-2": f"{len(nodes)} of its {len(nodes)} nodes take no pods"}
    held, lacking = (found.words(pool) for pool in network.pools)
    assert held == "hold on edge-1 by rosa: new servers"
    assert lacking == f"{len(nodes)} of its {len(nodes)} nodes take no pods: takes only what has no other place"


async def test_a_pool_on_which_all_is_down_is_no_place_to_heal_to() -> None:
    three = [*(pool.model_dump() for pool in samples.virtual().pools)]
    three.append({**three[0], "id": "edge-3", "address": "10.9.0.3"})
    plain = samples.virtual()
    nodes = [*plain.nodes, *(node.model_copy(update={"pool": "edge-3"}) for node in plain.nodes_of["edge-1"])]
    ways = [
        *plain.latencies,
        *(one.model_copy(update={"pool": "edge-3"}) for one in plain.latencies if one.pool == "edge-1"),
    ]
    bench = FunctionBench(
        samples.virtual(
            pools=three,
            nodes=[node.model_dump() for node in nodes],
            latencies=[way.model_dump() for way in ways],
        )
    )
    await bench.instantiate("DU-1", "DU-2")
    await bench.play("move-function", function="DU-1", pool="edge-1")
    await bench.play("move-function", function="DU-2", pool="edge-2")
    for function, pool in (("DU-1", "edge-1"), ("DU-2", "edge-2")):
        bench.lose_pool(function, pool)
    await bench.look_twice("DU-1", "DU-2")
    outcomes = await bench.play("heal-function", where="function=DU-*", seconds=0)
    assert set(outcomes.values()) == GOOD, bench.jobs
    assert {bench.placed(function) for function in ("DU-1", "DU-2")} == {("edge-1", "edge-3"), ("edge-2", "edge-3")}


@pytest.mark.parametrize("playbook", ["scale-function", "upgrade-function", "move-function"])
async def test_nobody_waits_for_a_function_that_somebody_else_changed_meanwhile(playbook: str) -> None:
    bench, name = FunctionBench(), "CU-1"
    await bench.instantiate(name)
    device, (pool,) = bench.devices[name], bench.pools(name)
    path = deployment_path(name, pool)
    device.stuck |= {"edge-1", "edge-2"}
    if playbook == "upgrade-function":
        packages = [
            one.model_copy(update={"image": f"{one.image[:-1]}f", "version": "2.0"}) if one.id == "cu" else one
            for one in bench.network.packages
        ]
        bench.load(bench.network.model_copy(update={"packages": tuple(packages)}))
    given: dict[str, dict[str, object]] = {
        "scale-function": {"function": name, "replicas": 3},
        "upgrade-function": {"where": f"function={name}"},
        "move-function": {"function": name},
    }
    await bench.start(playbook, **given[playbook])
    before = dict(device.running)
    async with bench.at_work(Mortal()):
        while device.running == before:
            await bench.clock.advance(0.5)
        device.foreign_edit([Edit(op=Op.MERGE, path=path, after={"priority": "by-hand"}, owners=("host",))])
        while not bench.store.runs.get(bench.run_id).state.terminal:
            await bench.clock.advance(0.5)
    (job,) = [one for one in bench.jobs if one.station == name]
    assert job.outcome is Outcome.ROLLED_BACK
    assert "somebody else changed the device in the meantime" in job.detail
    assert f"{path} priority: by-hand instead of " in job.detail
    waited = re.search(r"not reached within (\d+) s", job.detail)
    assert waited is not None
    assert int(waited[1]) < checks.READY_SECONDS / 2
    assert device.running[path]["priority"] == "by-hand", "it is never overruled"


async def test_replicas_come_and_go_without_a_restart() -> None:
    bench = FunctionBench()
    await bench.instantiate("CU-1")
    started: list[str] = []
    bench.devices["CU-1"].started = started.append
    for replicas in (3, 1):
        assert await bench.play("scale-function", function="CU-1", replicas=replicas) == {"CU-1": Outcome.SUCCEEDED}
        (pool,) = bench.pools("CU-1")
        leaves = bench.devices["CU-1"].running[f"/Function[CU-1]/Deployment[{pool}]"]
        assert leaves.get("replicas", "1") == str(replicas)
    assert not started


async def test_more_replicas_than_there_is_room_for_are_refused_before_anything_is_done() -> None:
    bench = FunctionBench()
    await bench.instantiate("CU-1", "UP-ALFA")
    (pool,) = bench.pools("CU-1")
    assert await bench.play("scale-function", function="CU-1", replicas=99) == {"CU-1": Outcome.REFUSED}
    assert "CU-1 has no room for 99 replicas on its pool: " in bench.jobs[0].detail
    assert bench.jobs[0].detail.endswith("cores are free beside its reserve and it takes 396")
    assert bench.pools("CU-1") == (pool,)
    assert bench.devices["CU-1"].running[f"/Function[CU-1]/Deployment[{pool}]"].get("replicas", "1") == "1"


async def test_more_replicas_than_the_quota_on_the_pool_has_are_refused() -> None:
    bench = FunctionBench()
    await bench.add_pools(ready=True)
    await bench.instantiate("CU-1")
    (pool,) = bench.pools("CU-1")
    # The host's functions that may run there are four of four cores, and one more for upgrades.
    assert await bench.play("scale-function", function="CU-1", replicas=5) == {"CU-1": Outcome.SUCCEEDED}
    assert await bench.play("scale-function", function="CU-1", replicas=6) == {"CU-1": Outcome.REFUSED}
    assert bench.jobs[0].detail.endswith(
        "the quota of minka-host is 20 cores, and its pods would ask for 24; name the replicas in the network files "
        f"and apply them first (minka plan pool={pool})"
    )


def upgraded(network: Network, package: str) -> Network:
    """The same, where a package has a new image."""
    known = network.package_by_id[package]
    last = "e" if known.image.endswith("f") else "f"
    newer = known.model_copy(update={"image": known.image[:-1] + last, "version": "2.0"})
    return network.model_copy(update={"packages": tuple(newer if one is known else one for one in network.packages)})


async def test_an_upgrade_that_fails_at_its_canary_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "READY_SECONDS", 20.0)
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    before = {name: bench.devices[name].running for name in ("DU-1", "DU-2", "S1", "S2")}
    bench.load(upgraded(bench.network, "du"))
    never_ready_with(bench, "DU-1", bench.network.package_by_id["du"].image)
    outcomes = await bench.play("upgrade-function", where="function=DU-*")
    assert outcomes["DU-1"] is Outcome.ROLLED_BACK
    assert outcomes["S1"] is Outcome.SUCCEEDED, "it lost its configuration with the pod"
    assert {outcomes[name] for name in ("DU-2", "S2")} == {Outcome.CANCELLED}
    assert bench.store.runs.get(bench.run_id).state is RunState.STOPPED
    assert {name: bench.devices[name].running for name in before} == before
    assert bench.carries("S1")


def never_ready_with(bench: FunctionBench, function: str, image: str) -> None:
    """A function that does not become ready with an image, and does with others."""
    device = bench.devices[function]
    begin = device.started

    def started(pool: str) -> None:
        begin(pool)
        has = device.running.get(deployment_path(function, pool), {}).get("image")
        device.stuck = {pool} if has == image else set()

    device.started = started


async def test_a_wave_that_its_soak_takes_back_leaves_stations_as_they_were(tmp_path: Path) -> None:
    text = (ROOT / "playbooks" / "upgrade-function.yaml").read_text(encoding="utf-8")
    head, steps = (
        text[: text.index("  - name: KPIs")],
        text[text.index("  - name: upgrade") : text.index("soak_checks:")],
    )
    no = "soak_checks:\n  - {name: no, action: check-alarms, checks: ['{{ false }}'], when: '{{ target.function }}'}\n"
    text = head.replace("upgrade-function", "upgrade-badly") + steps + no
    (tmp_path / "upgrade-badly.yaml").write_text(text, encoding="utf-8")
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    before = {name: bench.devices[name].running for name in ("DU-1", "DU-2", "S1", "S2")}
    bench.load(upgraded(bench.network, "du"))
    bench.library = Library.in_folder(tmp_path, registry())
    bench.devices["DU-1"].ready_after = 20.0
    outcomes = await bench.play("upgrade-badly", where="function=DU-*", soak=30)
    assert outcomes == {
        "DU-1": Outcome.ROLLED_BACK,
        "S1": Outcome.ROLLED_BACK,
        "DU-2": Outcome.CANCELLED,
        "S2": Outcome.CANCELLED,
    }, bench.jobs
    assert {name: bench.devices[name].running for name in before} == before
    assert bench.carries("S1")
    assert [job.station for job in sorted(bench.jobs, key=lambda job: str(job.finished)) if job.wave == 0] == [
        "DU-1",
        "S1",
    ]


@pytest.mark.parametrize("seconds", [3, 13])
async def test_a_cancelled_upgrade_leaves_no_station_without_its_configuration(seconds: int) -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    before = {name: bench.devices[name].running for name in ("S1", "S2")}
    bench.load(upgraded(bench.network, "du"))
    for name in ("DU-1", "DU-2"):
        bench.devices[name].ready_after = 10.0
    for station in ("S1", "S2"):
        bench.devices[station].on_air_after = 10.0
    run = await bench.start("upgrade-function", where="function=DU-*")
    await bench.live(seconds)
    bench.store.runs.cancel(run.id, "ana")
    await bench.work()
    assert bench.store.runs.get(run.id).state is RunState.CANCELLED, bench.jobs
    assert {name: bench.devices[name].running for name in before} == before
    assert all(bench.carries(station) for station in before)


async def test_a_function_that_a_hold_stops_half_way_is_waited_for() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    before = bench.devices["S1"].running
    bench.load(upgraded(bench.network, "du"))
    bench.devices["DU-1"].ready_after = 10.0
    run = await bench.start("upgrade-function", where="function=DU-1")
    await bench.live(5)
    hold = bench.store.holds.add("S1", "rosa", "on the mast", None)
    bench.store.runs.cancel(run.id, "ana")
    await bench.live(60)
    (waits,) = [job for job in bench.jobs if job.station == "S1"]
    assert waits.blocked == "hold on S1 by rosa: on the mast"
    bench.store.holds.end(hold.id, "rosa")
    await bench.work()
    assert bench.devices["S1"].running == before


async def test_an_operator_that_gives_up_ends_an_upgrade_at_once_and_a_person_may() -> None:
    bench = FunctionBench()
    await bench.instantiate("CU-1")
    before = bench.devices["CU-1"].running
    bench.load(upgraded(bench.network, "cu"))
    bench.devices["CU-1"].stuck |= {"edge-1", "edge-2"}
    for given_up in (set[str](), {"edge-1", "edge-2"}):
        bench.devices["CU-1"].stalled = given_up
        begin = bench.clock.monotonic()
        run = await bench.start("upgrade-function", where="function=CU-1")
        if not given_up:
            await bench.live(20)
            bench.store.runs.cancel(run.id, "ana")
        await bench.work()
        assert bench.clock.monotonic() - begin <= 60
        assert bench.devices["CU-1"].running == before
        job, state = bench.jobs[0], bench.store.runs.get(run.id).state
        if given_up:
            assert (job.outcome, state) == (Outcome.ROLLED_BACK, RunState.FAILED), job
        else:
            assert (job.outcome, state) == (Outcome.WITHDRAWN, RunState.CANCELLED), job
            assert "cancelled by a person" in job.detail


async def test_a_function_goes_back_to_its_former_release_once_and_with_consent_where_it_serves() -> None:
    asking = shared(1, du="DU-{}", cu="CU-1", up="UP-1")
    free = {"agreements": tuple(one.model_copy(update={"consents": {}}) for one in asking.agreements)}
    bench = FunctionBench(asking.model_copy(update=free))
    await bench.instantiate("DU-1")
    (pool,) = bench.pools("DU-1")
    path, station = f"/Function[DU-1]/Deployment[{pool}]", bench.devices["S1"].running
    old = bench.devices["DU-1"].running[path]
    assert (await bench.play("revert-function", where="function=DU-1"))["DU-1"] is Outcome.REFUSED
    assert "has no former release" in bench.jobs[0].detail
    bench.load(upgraded(bench.network, "du"))
    assert set((await bench.play("upgrade-function", where="function=DU-1")).values()) == GOOD
    new = bench.devices["DU-1"].running[path]
    assert new["image"] != old["image"]
    bench.load(upgraded(asking, "du"))
    # It serves: whoever is interrupted is asked. Once it crashes, it serves nobody.
    run = await bench.start("revert-function", where="function=DU-1")
    await bench.live(5)
    assert bench.jobs[0].blocked.startswith("approval by 1 of alfa")
    bench.store.runs.cancel(run.id, "ana")
    await bench.work()
    never_ready_with(bench, "DU-1", str(new["image"]))
    bench.devices["DU-1"].stuck.add(pool)
    outcomes = await bench.play("revert-function", where="function=DU-1")
    assert set(outcomes.values()) == GOOD, bench.jobs
    assert bench.devices["DU-1"].running[path] == old
    assert bench.devices["S1"].running == station
    bench.load(bench.network.model_copy(update=free))
    assert (await bench.play("revert-function", where="function=DU-1"))["DU-1"] is Outcome.REFUSED
    assert bench.devices["DU-1"].running[path] == old, "and not to the one that was bad"


async def test_an_upgrade_brings_the_new_image_and_the_stations_back() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1", "DU-2")
    before = {name: bench.devices[name].running for name in ("S1", "S2")}
    bench.load(upgraded(bench.network, "du"))
    outcomes = await bench.play("upgrade-function", where="function=DU-*")
    assert set(outcomes.values()) == GOOD, bench.jobs
    assert {name: bench.devices[name].running for name in before} == before
    for function in ("DU-1", "DU-2"):
        (pool,) = bench.pools(function)
        image = bench.devices[function].running[f"/Function[{function}]/Deployment[{pool}]"]["image"]
        assert image == bench.network.package_by_id["du"].image


async def test_an_upgrade_that_a_person_undoes_brings_its_stations_back_too() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    before = {name: bench.devices[name].running for name in ("DU-1", "S1")}
    bench.load(upgraded(bench.network, "du"))
    bench.devices["DU-1"].ready_after = 20.0
    await bench.play("upgrade-function", where="function=DU-1")
    plan = await bench.plan_back()
    assert ([change.station for change in plan.changes], plan.unplanned) == (["DU-1", "S1"], {})
    begin = bench.clock.monotonic()
    run = await bench.begin(plan)
    await bench.work()
    assert bench.outcomes == dict.fromkeys(("DU-1", "S1"), Outcome.SUCCEEDED), bench.jobs
    assert bench.clock.monotonic() - begin >= 20, "it is ready again"
    assert run.procedure == "undo"
    assert {name: bench.devices[name].running for name in before} == before


async def test_other_files_stop_what_follows_from_files_before_it_begins_and_no_undo() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    before, first = bench.network, bench.devices["DU-1"].running
    bench.load(upgraded(before, "du"))
    await bench.start("upgrade-function", where="function=DU-1")
    bench.load(before)
    await bench.judge()
    await bench.work()
    assert bench.outcomes == {"DU-1": Outcome.CANCELLED, "S1": Outcome.WITHDRAWN}, bench.jobs
    assert bench.devices["DU-1"].running == first
    bench.load(upgraded(before, "du"))
    await bench.play("upgrade-function", where="function=DU-1")
    assert bench.devices["DU-1"].running != first
    await bench.begin(await bench.plan_back())
    bench.load(before)
    await bench.work()
    assert bench.outcomes == dict.fromkeys(("DU-1", "S1"), Outcome.SUCCEEDED), bench.jobs
    assert bench.devices["DU-1"].running == first


async def test_a_tenants_own_function_goes_back_with_its_consent_and_no_removal() -> None:
    bench = FunctionBench()
    await bench.instantiate("UP-ALFA")
    (before,) = bench.pools("UP-ALFA")
    await bench.play("move-function", function="UP-ALFA")
    plan = await bench.plan_back()
    (change,) = plan.changes
    assert not change.removes
    assert effect_of(change).asks == {("alfa", ActionClass.INTERRUPT)}
    await bench.begin(plan)
    await bench.work()
    assert bench.pools("UP-ALFA") == bench.placed("UP-ALFA") == (before,)


async def test_network_files_that_pin_a_function_elsewhere_move_it_and_leave_nothing() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    (old,) = bench.pools("DU-1")
    (new,) = {"edge-1", "edge-2"} - {old}
    functions = [one.model_dump() | ({"pool": new} if one.id == "DU-1" else {}) for one in bench.network.functions]
    bench.load(Network.model_validate(bench.network.model_dump() | {"functions": functions}))
    plan = await bench.services().planner.plan(planner.PlanRequest("function=DU-1"), "ana")
    change, station = plan.changes
    assert (station.station, station.comes_back) == ("S1", True)
    assert not change.removes
    assert not plan.findings
    first, *_, last = change.phases
    assert [wait.path for wait in first.wait if wait.kind == "ready"] == [deployment_path("DU-1", new)]
    assert (Op.DELETE, deployment_path("DU-1", old)) in {(edit.op, edit.path) for edit in last.edits}


async def test_what_a_pool_lost_of_a_function_that_left_it_is_no_drift_and_is_forgotten() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    (left,) = bench.pools("DU-1")
    bench.devices["DU-1"].dark[left] = f"{left} does not answer"
    await bench.play("move-function", function="DU-1")
    (there,) = {*bench.pools("DU-1")} - {left}
    assert bench.placed("DU-1") == tuple(sorted((left, there)))
    device = bench.devices["DU-1"]
    gone = [path for path in device.running if path.endswith(f"[{left}]")]
    device.foreign_edit([Edit(op=Op.DELETE, path=path, before=dict(device.running[path]), owners=()) for path in gone])
    device.dark.clear()
    await bench.look_twice("DU-1")
    (alarm,) = bench.store.alarms.standing(["DU-1"])
    assert alarm.text == f"DU-1 runs on {there}, and is on record on {left} too, where it is gone"
    await bench.play("repair-drift", where="function=DU-1")
    assert bench.pools("DU-1") == (there,)
    await bench.play("heal-function", where="function=DU-1")
    assert bench.pools("DU-1") == bench.placed("DU-1") == (there,)


async def test_the_upgrade_of_a_cu_waits_for_all_tenants_of_its_fifty_stations() -> None:
    bench = FunctionBench(shared(50, cu="CU-1"))
    await bench.instantiate("CU-1")
    for station in bench.network.stations:
        nodes = [
            LedgerNode(path=path, owners=entry.owners)
            for path, entry in samples.ledger(bench.network, station.id).items()
        ]
        bench.store.devices.adopt(station.id, nodes, network_digest(bench.network), "ana")
    before = dict(bench.devices["CU-1"].running)
    bench.load(upgraded(bench.network, "cu"))
    run = await bench.start("upgrade-function", where="function=CU-1")
    standing = bench.store.approvals.standing(run.id)
    assert standing is not None
    tenants = [one.id for one in bench.network.tenants]
    assert [one.side for one in standing.constraints.requirements] == sorted(tenants)
    assert len(bench.network.stations_behind("CU-1")) == 50
    for tenant in tenants:
        await bench.live(20)
        assert bench.devices["CU-1"].running == before, "it waits for all four"
        person = Person(name=f"eva-{tenant}", role=Role.TENANT_APPROVER, tenant=tenant)
        admit(bench.store, f"token-{tenant}", person.name, person.role, tenant)
        bench.store.approvals.vote(standing.constraints.subject, person, VoteChoice.APPROVE, "", run.id)
        reassess(bench.store, bench.clock, FakeWakeups())
    await bench.work()
    assert bench.outcomes == {"CU-1": Outcome.SUCCEEDED}, bench.jobs


def shared(number: int, **functions: str) -> Network:
    """Stations that four tenants share, who are asked before interruptions.

    Args:
        number: Of stations.
        functions: For each kind (``du``, ``cu``, ``up``) how the function of a station is called, by its number.
    """
    few = samples.virtual(("alfa", "beta", "gamma"))
    delta = few.tenants[2].model_dump() | {"id": "delta", "name": "delta", "plmns": ["716-04"]}
    delta["core"]["vlan"] = 104
    delta["slices"] = [{"sst": 1, "sd": "000004"}]
    content: dict[str, list[Any]] = {kind: [] for kind in ("sites", "stations", "cells", "latencies")}
    known = {one.package: one for one in few.functions if one.owner is None}
    named: dict[str, dict[str, Any]] = {}
    for n in range(1, number + 1):
        own = {kind: name.format(n) for kind, name in functions.items()}
        named |= {name: {**known[kind].model_dump(), "id": name, "address": None} for kind, name in own.items()}
        place = {
            "id": f"S{n}",
            "site": f"site-{n}",
            "transport_address": f"10.0.{n // 256}.{n % 256}",
            "enb_id": n,
            "gnb_id": n,
        }
        content["sites"].append({**few.sites[0].model_dump(), "id": f"site-{n}"})
        content["stations"].append({**few.stations[0].model_dump(), **place, "functions": tuple(own.values())})
        cells_ = [one.model_dump() for one in few.cells if one.station == "S1"]
        content["cells"] += [{**cell, "station": f"S{n}", "pci": n} for cell in cells_]
        content["latencies"] += [{"pool": pool.id, "site": f"site-{n}", "microseconds": 50} for pool in few.pools]
    content["agreements"] = [
        {
            **few.agreements[1].model_dump(),
            "id": f"{tenant}-all",
            "tenant": tenant,
            "shares": [{"dedicated": 5, "min": 10, "max": 80}],
            "consents": {"interrupt": "approval"},
        }
        for tenant in ("alfa", "beta", "gamma", "delta")
    ]
    content["nodes"] = [{**node.model_dump(), "cpus": 256} for node in few.nodes]
    content["tenants"] = [*(tenant.model_dump() for tenant in few.tenants), delta]
    return Network.model_validate(few.model_dump() | content | {"functions": list(named.values())})


# ------------------------------------------------------------------------- the end


async def test_a_function_goes_only_when_nobody_depends_on_it() -> None:
    bench = FunctionBench()
    await bench.instantiate("CU-1")
    for station in ("S1", "S2"):
        bench.store.devices.adopt(station, (), network_digest(bench.network), "ana")
    outcomes = await bench.play("terminate-function", function="CU-1", nodes=3)
    assert outcomes == {"CU-1": Outcome.FAILED_SAFE}
    assert "serves S1, S2, which are still in service" in bench.jobs[0].detail
    for station in ("S1", "S2"):
        bench.store.devices.retire(station, "ana")
    assert await bench.play("terminate-function", function="CU-1", nodes=9) == {"CU-1": Outcome.FAILED_SAFE}
    assert "name nodes=3" in bench.jobs[0].detail
    assert await bench.play("terminate-function", function="CU-1", nodes=3) == {"CU-1": Outcome.SUCCEEDED}
    assert bench.pools("CU-1") == bench.placed("CU-1") == ()


async def test_a_tenants_own_function_goes_with_its_consent_only() -> None:
    bench = FunctionBench()
    await bench.instantiate("UP-ALFA")
    bench.store.devices.retire("S1", "ana")
    await bench.start("terminate-function", function="UP-ALFA", nodes=3)
    await bench.live(5)
    assert bench.jobs[0].blocked == "approval by 1 of alfa to reduce"


async def test_a_pool_is_drained_of_its_functions_and_of_no_others() -> None:
    bench = FunctionBench()
    await bench.instantiate()
    (here,) = bench.pools("CU-1")
    there = next(pool for pool in bench.network.pool_by_id if pool != here)
    await bench.play("move-function", function="UP-ALFA", pool=there)
    before = {name: bench.devices[name].running for name in ("S1", "S2")}
    outcomes = await bench.play("drain-pool", pool=here, expect=6)
    assert set(outcomes.values()) == GOOD, bench.jobs
    assert outcomes.keys() == {"CU-1", "DU-1", "DU-2", "UP-1", "S1", "S2"}
    assert {bench.pools(name) for name in bench.network.function_by_id} == {(there,)}
    assert {name: bench.devices[name].running for name in before} == before


# ------------------------------------------------------------------------- deaths


async def test_killed_at_every_call_a_function_is_healed_once() -> None:
    """Wherever its worker dies, the function is ready on one other pool, and its station carries all that it did."""

    async def lost() -> FunctionBench:
        bench = FunctionBench()
        await bench.instantiate("DU-1")
        bench.lose_pool("DU-1", *bench.pools("DU-1"))
        await bench.start("heal-function", where="function=DU-1", seconds=2)
        return bench

    whole = Mortal()
    await (await lost()).work(whole)
    chance = random.Random(len(whole.calls))
    calls = moments(whole.calls, chance)
    for at in calls if SOAK else chance.sample(calls, 5):
        bench = await lost()
        (here,) = bench.placed("DU-1")
        await bench.work(Mortal(at, after=at % 2 == 0))
        assert set(bench.outcomes.values()) <= {Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED}, (at, bench.jobs)
        assert len(set(bench.pools("DU-1")) - {here}) == 1
        assert bench.carries("S1")
        assert not bench.store.claims.busy(["DU-1", "S1"])
        assert bench.store.audit.verify() is None


@pytest.mark.parametrize(
    ("wrong", "edits"), [(FaultKind.DROP_BEFORE, 0), (FaultKind.DROP_AFTER, 0), (FaultKind.DROP_AFTER, 1)]
)
async def test_a_move_of_which_nobody_knows_how_it_ended_leaves_nothing_that_healing_does_not_find(
    wrong: FaultKind, edits: int
) -> None:
    """Its pools go away for longer than anybody waits: it is on the first, on both, or on the second."""
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    device, before = bench.devices["DU-1"], bench.devices["S1"].running

    def away() -> None:
        device.unreachable = "no pool answers"

    device.faults.append(Fault("edit", wrong, away, skip=edits))
    outcomes = await bench.play("move-function", function="DU-1")
    assert outcomes["DU-1"] is Outcome.DIVERGED
    assert outcomes["S1"] in {Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED}, bench.jobs
    assert bench.placed("DU-1") == ("edge-1", "edge-2"), "it may be on either"
    assert bench.devices["S1"].running == before, "it answers, so it serves"
    device.unreachable = ""
    outcomes = await bench.play("heal-function", where="function=DU-1", seconds=0)
    assert set(outcomes.values()) <= {Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED}, bench.jobs
    assert len(bench.pools("DU-1")) == 1
    assert bench.pools("DU-1") == bench.placed("DU-1")
    assert bench.devices["S1"].running == before


async def test_functions_go_back_to_nearer_pools_when_somebody_asks_for_it() -> None:
    plain = samples.virtual()
    ways = [{**way.model_dump(), "microseconds": 40 if way.pool == "edge-2" else 50} for way in plain.latencies]
    bench = FunctionBench(plain)
    await bench.instantiate("DU-1", "DU-2")
    await bench.play("move-function", function="DU-2", pool="edge-2")
    bench.load(plain.model_copy(update={"latencies": tuple(Latency.model_validate(way) for way in ways)}))
    before = bench.devices["S1"].running
    outcomes = await bench.play("rebalance")
    assert outcomes == {"DU-1": Outcome.SUCCEEDED, "S1": Outcome.SUCCEEDED}, "DU-2 is there already"
    assert bench.pools("DU-1") == bench.placed("DU-1") == ("edge-2",)
    assert bench.devices["S1"].running == before
    with pytest.raises(InputError, match="a new placement leaves all of"):
        await bench.start("rebalance")


LOCK = "  - {name: lock, action: lock-cell, with: {cells: all}}\n"


@pytest.mark.parametrize(
    ("steps", "repairs"),
    [
        ("  - {name: tell, action: notify, with: {text: look here}}\n", False),
        ("  - {name: look, action: read-state}\n  - {name: tell, action: notify, with: {text: look}}\n", False),
        ("  - {name: tell, action: notify, with: {text: x}}\n" + LOCK, True),
    ],
)
async def test_a_playbook_that_changes_nothing_repairs_nothing(steps: str, repairs: bool) -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    text = f"name: own\ndescription: A playbook.\ntargets: S1\nsteps:\n{steps}"
    library = Library({"playbooks/own.yaml": text}, registry())
    preparation = PlaybookPreparation(bench.services(), lambda _: library, registry())
    new = await preparation.prepare(RunRequest(playbook="own", parameters={}, actor="rule:one", cause="alarm:a-1"))
    assert new.repairs is repairs


@pytest.mark.parametrize(
    ("plan", "from_files"),
    [
        ("", False),
        ("plan: {expect_stations: 1}\n", True),
        ("plan: {source: applied}\n", False),
        ("plan: {source: recorded, state: 2020-01-01}\n", False),
    ],
)
async def test_only_a_plan_that_follows_from_network_files_is_void_with_them(plan: str, from_files: bool) -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    steps = "  - {name: apply, action: apply-intent}\n" if plan else LOCK
    text = f"name: own\ndescription: A playbook.\ntargets: S1\n{plan}steps:\n{steps}"
    library = Library({"playbooks/own.yaml": text}, registry())
    preparation = PlaybookPreparation(bench.services(), lambda _: library, registry())
    new = await preparation.prepare(RunRequest(playbook="own", parameters={}, actor="ana"))
    assert new.from_files is from_files


async def test_a_person_names_how_much_of_the_network_a_run_touches_and_a_rule_has_its_guards() -> None:
    bench = FunctionBench()
    text = f"name: own\ndescription: A playbook.\ntargets: device=*\nsteps:\n{LOCK}"
    library = Library({"playbooks/own.yaml": text}, registry())
    preparation = PlaybookPreparation(bench.services(), lambda _: library, registry())
    count = len(bench.network.device_kinds)
    asked = RunRequest(playbook="own", parameters={}, actor="ana")
    (refused,) = (await preparation.prepare(asked)).refused
    assert refused.startswith(f"the run touches {count} of {count} devices (")
    assert refused.endswith(f"to allow it, expect {count} devices")
    assert (await preparation.prepare(replace(asked, expect_stations=count))).refused == ()
    assert (await preparation.prepare(replace(asked, actor="rule:one", cause="alarm:a-1"))).refused == ()


@pytest.mark.parametrize(
    ("stations", "expect", "refused"),
    [
        (None, None, "the plan touches {0} of 9 devices"),
        (None, "all", ""),
        ("all", None, ""),
        ("all", "all", ""),
        ("all", 1, "the request expects 1 device and the plan of own {0} devices, which can't both be"),
        (None, 1, "the plan touches {0} devices"),
    ],
)
async def test_the_number_of_a_run_is_that_of_its_plan(stations: str | None, expect: object, refused: str) -> None:
    bench = FunctionBench()
    count = len(bench.network.function_by_id)  # pools and what lives in functions follow
    text = (
        "name: own\ndescription: A playbook.\ntargets: device=*\n"
        "parameters: {stations: {type: int, optional: true, description: Devices.}}\n"
        "plan: {adopt: true, expect_stations: '{{ stations }}'}\nsteps:\n  - {name: apply, action: apply-intent}\n"
    )
    library = Library({"playbooks/own.yaml": text}, registry())
    preparation = PlaybookPreparation(bench.services(), lambda _: library, registry())
    given = {} if stations is None else {"stations": count}
    named = count if expect == "all" else expect
    assert named is None or isinstance(named, int)
    asked = RunRequest(playbook="own", parameters=given, actor="ana", expect_stations=named)
    said = (await preparation.prepare(asked)).refused
    assert " ".join(said).startswith(refused.format(count))
    assert bool(said) is bool(refused)
