"""Central units with endpoints of their own come up before their DUs, and come back with what all tenants had."""

from __future__ import annotations

import random

import pytest

from controller.models.errors import PlanRefusedError
from controller.models.network import Network, Station
from controller.models.run import Outcome
from controller.nrm.tree import Tree
from controller.runs.transaction import checks
from tests.support.soak import SOAK
from tests.unit.intent.clouds import split_gnb
from tests.unit.playbook.functions_bench import FunctionBench
from tests.unit.playbook.test_functions import never_ready_with, upgraded
from tests.unit.runs.group_bench import Mortal

UNITS = {"CP": "CP-E", "UP": "UP-E", "UP-B": "UP-B-E"}
STATIONS = ("CP-E", "S1", "S2", "UP-B-E", "UP-E")


def network() -> Network:
    return split_gnb(("edge-1", "edge-2"))


def running(bench: FunctionBench) -> dict[str, Tree]:
    """What each device carries."""
    return {one: bench.devices[one].running for one in (*STATIONS, *bench.network.function_by_id)}


async def up() -> FunctionBench:
    """All of the gNB, from empty pools in one run."""
    bench = FunctionBench(network())
    outcomes = await bench.play("instantiate-function", where="function=*", stations=5)
    assert set(outcomes.values()) == {Outcome.SUCCEEDED}, bench.jobs
    return bench


async def test_a_gnb_comes_up_from_empty_pools_in_the_order_in_which_its_parts_need_each_other() -> None:
    bench = await up()
    assert all(bench.carries(station) for station in STATIONS)
    ranks = {job.station: job.rank for job in bench.jobs}
    assert {ranks[name] for name in bench.network.function_by_id} == {0}
    assert ({ranks[name] for name in UNITS.values()}, {ranks["S1"], ranks["S2"]}) == ({10}, {11})


async def test_a_virtual_station_is_provisioned_with_those_of_its_functions_that_run_nowhere_yet() -> None:
    bench = FunctionBench(network())
    dry = await bench.dry_run("provision-station", station="S1")
    assert (dry.refused, dry.reach.stations) == ((), 8)
    said = {step.step: step.says for one in dry.stations if one.station == "S1" for step in one.steps}
    assert (said["cells on air"], said["all core links up"]) == ("once it is there", "once it is there")
    assert said["configure the virtual station"].endswith("once its function is ready")
    outcomes = await bench.play("provision-station", station="S1")
    first = {"DU-1", "S1", *UNITS, *UNITS.values()}
    assert outcomes == dict.fromkeys(first, Outcome.SUCCEEDED), bench.jobs
    before = bench.devices["S1"].running
    outcomes = await bench.play("provision-station", station="S2")
    assert outcomes == dict.fromkeys(("DU-2", "S2"), Outcome.SUCCEEDED), "its central unit has its cells already"
    assert all(bench.carries(station) for station in STATIONS)
    assert bench.devices["S1"].running == before
    assert set((await bench.play("provision-station", station="S2")).values()) == {Outcome.UNCHANGED}
    # Without a place for its DU, nothing of it comes up.
    none = FunctionBench(network().model_copy(update={"latencies": ()}))
    with pytest.raises(
        PlanRefusedError,
        match="all devices out: S1: DU-1: contract error function-unplaced: function DU-1 has no place",
    ):
        await none.start("provision-station", station="S1")


async def test_a_du_that_comes_later_gets_its_ends_at_the_central_unit_first() -> None:
    whole = network()
    without = {
        "stations": tuple(one for one in whole.stations if one.id != "S2"),
        "cells": whole.cells[:1],
        "functions": tuple(one for one in whole.functions if one.id != "DU-2"),
    }
    bench = FunctionBench(whole)
    bench.load(whole.model_copy(update=without))
    await bench.play("instantiate-function", where="function=*", stations=4)
    before = bench.devices["S1"].running
    assert not any("S2" in path for path in bench.devices["CP-E"].running)
    bench.load(whole)
    outcomes = await bench.play("instantiate-function", where="function=DU-2")
    assert outcomes == dict.fromkeys(("DU-2", "S2", "CP-E", "UP-E", "UP-B-E"), Outcome.SUCCEEDED), bench.jobs
    for unit, end in (("CP-E", "EP_F1C[S2]"), ("CP-E", "NRCellCU[S2.n78-1]"), ("UP-E", "EP_F1U[S2]")):
        assert any(path.endswith(end) for path in bench.devices[unit].running), (unit, end)
    assert {job.station: job.rank for job in bench.jobs}["S2"] == 11
    assert bench.devices["S1"].running == before


async def test_a_tenant_comes_with_a_user_plane_of_its_own_and_nobody_elses_nodes_change() -> None:
    whole = network()

    def without_beta(one: Station) -> Station:
        return one.model_copy(update={"functions": tuple(name for name in one.functions if name != "UP-B")})

    alone = {
        "stations": tuple(without_beta(one) for one in whole.stations if one.id != "UP-B-E"),
        "functions": tuple(one for one in whole.functions if one.id != "UP-B"),
        "agreements": whole.agreements[:1],
    }
    bench = FunctionBench(whole)
    bench.load(whole.model_copy(update=alone))
    await bench.play("instantiate-function", where="function=*", stations=4)
    before = running(bench)
    bench.load(whole)
    await bench.play("instantiate-function", where="function=UP-B")
    outcomes = await bench.play("onboard-tenant", tenant="beta", where="station=S1|S2")
    assert outcomes == dict.fromkeys(("CP-E", "S1", "S2"), Outcome.SUCCEEDED), bench.jobs
    after = running(bench)
    assert after["UP-E"] == before["UP-E"]
    for device in ("CP-E", "S1", "S2"):
        assert {path: after[device].get(path) for path in before[device]} == before[device]
    assert all(bench.carries(station) for station in STATIONS)
    # It goes again: DUs first, then the control plane; its own user plane serves nobody any more.
    left = tuple(one if one.id == "UP-B-E" else without_beta(one) for one in whole.stations)
    bench.load(whole.model_copy(update={"stations": left, "agreements": whole.agreements[:1]}))
    await bench.start("offboard-tenant", tenant="beta", nodes=22)
    jobs = {job.station: (job.wave, job.rank) for job in bench.jobs}
    assert {jobs["S1"], jobs["S2"]} == {(0, 0)}
    assert {jobs["CP-E"], jobs["UP-B-E"]} == {(0, 1)}, "no user plane goes before its DUs, not as a canary either"


@pytest.mark.parametrize("function", UNITS)
async def test_one_whose_pool_is_lost_comes_back_with_all_that_it_carried_and_nothing_else_changes(
    function: str,
) -> None:
    bench = await up()
    before = running(bench)
    (lost,) = bench.pools(function)
    bench.lose_pool(function, lost)
    outcomes = await bench.play("heal-function", where=f"function={function}", seconds=0)
    assert outcomes == {function: Outcome.SUCCEEDED, UNITS[function]: Outcome.SUCCEEDED}, bench.jobs
    after = running(bench)
    del before[function], after[function]
    assert after == before


@pytest.mark.parametrize("seed", range(30 if SOAK else 1))
async def test_a_tenants_own_user_plane_moves_while_the_bytes_of_all_others_stay(seed: int) -> None:
    """It is moved, or lost and healed, again and again: nothing of others is another, nor was written meanwhile."""
    chance, bench = random.Random(seed), await up()
    others = {*STATIONS, *bench.network.function_by_id} - {"UP-B", "UP-B-E"}
    before = {one: list(bench.devices[one].history) for one in others}
    its = bench.devices["UP-B-E"].running
    for way in chance.choices(("move", "heal"), k=2):
        (here,) = bench.pools("UP-B")
        there = "edge-2" if here == "edge-1" else "edge-1"
        if way == "move":
            outcomes = await bench.play("move-function", function="UP-B", pool=there)
            assert outcomes == {"UP-B": Outcome.SUCCEEDED, "UP-B-E": Outcome.SUCCEEDED}, bench.jobs
        else:
            bench.lose_pool("UP-B", here)
            for _ in ("elsewhere", "and away from where it was"):
                outcomes = await bench.play("heal-function", where="function=UP-B", seconds=0)
                assert set(outcomes.values()) <= {Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED}, bench.jobs
                bench.devices["UP-B"].dark.clear()
        assert bench.pools("UP-B") == bench.placed("UP-B") == (there,)
        assert bench.devices["UP-B-E"].running == its
        assert {one: bench.devices[one].history for one in others} == before


async def test_an_upgrade_of_a_control_plane_that_fails_leaves_no_station_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "READY_SECONDS", 20.0)
    bench = await up()
    before = running(bench)
    package = bench.network.function_by_id["CP"].package
    bench.load(upgraded(bench.network, package))
    never_ready_with(bench, "CP", bench.network.package_by_id[package].image)
    outcomes = await bench.play("upgrade-function", where="function=CP")
    assert outcomes == {"CP": Outcome.ROLLED_BACK, "CP-E": Outcome.SUCCEEDED}, bench.jobs
    assert running(bench) == before


@pytest.mark.parametrize("seed", range(40 if SOAK else 2))
async def test_whoever_dies_while_a_central_unit_is_healed_it_carries_what_it_did(seed: int) -> None:
    bench = await up()
    before = running(bench)
    (lost,) = bench.pools("CP")
    bench.lose_pool("CP", lost)
    await bench.start("heal-function", where="function=CP", seconds=0)
    await bench.work(Mortal(random.Random(seed).randrange(1, 60)))
    assert set(bench.outcomes.values()) <= {Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SKIPPED}, bench.jobs
    assert bench.devices["CP-E"].running == before["CP-E"]
