"""A station that goes for good takes its tenants' part of the site's router along, and nothing that others need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.models.network import Agreement, Cell, Network, Station, network_digest
from controller.models.run import Outcome, RunState
from controller.runs.planning.planner import PlanRequest
from simulators.history import EventKind
from simulators.routers.faults import RouterFault, RouterFaultKind
from tests.integration.playbooks.test_undo import AGREED, all_running
from tests.integration.routers.system import ALONE, ROUTER, STATION, RouterSystem, open_router_system, same

GONE = {"station": STATION}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.STAY", 0.1)


def with_a_neighbour(network: Network) -> Network:
    """Another station at the site, which andes has too, and condor has not."""
    scopes: dict[str, Any] = {"condor-all": {"scope": {"stations": [STATION]}}}
    agreements = [
        Agreement.model_validate({**one.model_dump(mode="json"), "consents": AGREED, **scopes.get(one.id, {})})
        for one in network.agreements
    ]
    site = network.site_of(STATION)
    stations = [
        Station.model_validate({**one.model_dump(mode="json"), **({"site": site} if one.id == ALONE else {})})
        for one in network.stations
    ]
    cells = [
        Cell.model_validate({**one.model_dump(mode="json"), **({"tac": 109} if one.station == ALONE else {})})
        for one in network.cells
    ]
    return network.model_copy(
        update={"agreements": tuple(agreements), "stations": tuple(stations), "cells": tuple(cells)}
    )


@pytest.fixture
async def crowded(tmp_path: Path) -> AsyncIterator[RouterSystem]:
    async with open_router_system(tmp_path, adopted=False) as system:
        network = with_a_neighbour(system.network())
        system.store.networks.save(network, network_digest(network), "ana")
        both = f"{STATION}|{ALONE}"
        await system.planner.adopt(both, "ana")
        plan = await system.planner.plan(PlanRequest(both, expect_stations=3), "ana")
        assert not plan.unplanned
        run, jobs = await system.apply(plan)
        assert run.state is RunState.SUCCEEDED, jobs
        yield system


def owners(system: RouterSystem) -> set[str]:
    return {owner for entry in system.store.ledger.find([ROUTER])[ROUTER].values() for owner in entry.owners}


async def test_what_only_it_needed_goes_from_the_router(crowded: RouterSystem) -> None:
    system, before = crowded, crowded.router.running
    running = all_running(system)
    assert before.vrfs.keys() == {"andes", "condor"}
    seen = await system.dry_run("decommission-station", **GONE)
    says = {one.station: [step.says for step in one.steps] for one in seen.stations}
    nodes, router_nodes = (int(text.rpartition("nodes=")[2]) for text in says[STATION][:2])
    *_, fails, behind = says[ROUTER]
    assert fails.endswith(f"name router_nodes={router_nodes}")
    assert behind == "skipped: {{ not target.router }}"
    given = {**GONE, "nodes": nodes, "router_nodes": router_nodes}
    seen = await system.dry_run("decommission-station", **given)
    assert [(one.station, one.rank) for one in seen.stations] == [(STATION, 0), (ROUTER, 1)]
    rows = {one.station: [row for step in one.steps for row in step.diff] for one in seen.stations}
    assert {row.tenant for row in rows[ROUTER]} == {"condor"}
    assert system.router.running == before

    # A wrong number for the router is told before anything happens to the station.
    wrong = await system.run("decommission-station", **{**given, "router_nodes": 1})
    assert f"name router_nodes={router_nodes}" in system.job(wrong, STATION).detail
    assert system.job(wrong, ROUTER).outcome is not Outcome.SUCCEEDED
    assert all_running(system) == running
    assert system.router.running == before

    run = await system.succeeds("decommission-station", **given)
    assert "Function" not in system.running(STATION)
    assert system.running(ALONE) == running[ALONE]
    after = system.router.running
    assert after.vrfs.keys() == {"andes"}
    assert not any(name.endswith(".102") for name in after.interfaces)
    kept = [route for route in before.routes if route.vrf != "condor"]
    assert list(after.routes) == kept
    assert same(after, system.router.startup)
    assert owners(system) == {"andes", "host"}
    assert system.store.devices.find([ROUTER])[ROUTER].adopted is not None
    assert system.job(run, ROUTER).started is not None
    station, router = (system.job(run, name) for name in (STATION, ROUTER))
    assert station.finished is not None
    assert router.started is not None
    assert station.finished <= router.started
    assert system.fleet.stations[ALONE].history.counts[EventKind.RESTARTED] == 0
    assert system.fleet.stations[ALONE].summary()["links_up"] == 3


async def test_a_router_that_failed_is_done_by_running_it_again(crowded: RouterSystem) -> None:
    system, before = crowded, crowded.router.running
    nodes = len(system.store.ledger.find([STATION])[STATION])
    condors = sum("condor" in entry.owners for entry in system.store.ledger.find([ROUTER])[ROUTER].values())
    system.router.faults.inject(RouterFault(RouterFaultKind.REFUSE_LINE, line=2))
    run = await system.run("decommission-station", **GONE, nodes=nodes, router_nodes=condors)
    assert run.state is RunState.PARTIAL
    assert system.job(run, STATION).outcome is Outcome.SUCCEEDED
    assert system.job(run, ROUTER).outcome is Outcome.ROLLED_BACK, system.job(run, ROUTER)
    assert same(system.router.running, before)
    assert owners(system) == {"andes", "condor", "host"}
    assert system.store.devices.find([STATION])[STATION].retired is not None
    running, retired = all_running(system), system.store.devices.find([STATION])

    seen = await system.dry_run("decommission-station", **GONE)
    says = [step.says for one in seen.stations for step in one.steps]
    assert sum(text.endswith(f"name router_nodes={condors}") for text in says) == 2, says
    again = await system.succeeds("decommission-station", **GONE, router_nodes=condors)
    assert system.job(again, ROUTER).outcome is Outcome.SUCCEEDED
    assert system.router.running.vrfs.keys() == {"andes"}
    assert owners(system) == {"andes", "host"}
    assert (all_running(system), system.store.devices.find([STATION])) == (running, retired)
    # And once more, with nothing left to do.
    once_more = await system.succeeds("decommission-station", **GONE)
    assert system.job(once_more, ROUTER).outcome is Outcome.UNCHANGED


async def test_a_station_that_stays_keeps_its_router(crowded: RouterSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.STAY", 1000.0)
    system, before, running = crowded, crowded.router.running, all_running(crowded)
    nodes = len(system.store.ledger.find([STATION])[STATION])
    condors = sum("condor" in entry.owners for entry in system.store.ledger.find([ROUTER])[ROUTER].values())
    run = await system.run("decommission-station", **GONE, nodes=nodes, router_nodes=condors, seconds=1)
    assert {job.station: job.outcome for job in system.store.runs.jobs(run.id)} == {
        STATION: Outcome.ROLLED_BACK,
        ROUTER: Outcome.CANCELLED,
    }
    assert system.router.running == before
    assert all_running(system) == running


async def test_who_is_still_to_come_to_a_neighbour_is_needed(crowded: RouterSystem) -> None:
    system = crowded
    network = with_a_neighbour(system.network())
    wide = [
        Agreement.model_validate({**one.model_dump(mode="json"), "scope": {"stations": [STATION, ALONE]}})
        for one in network.agreements
    ]
    network = network.model_copy(update={"agreements": tuple(wide)})
    system.store.networks.save(network, network_digest(network), "ana")
    seen = await system.dry_run("decommission-station", **GONE)
    (station,) = [one for one in seen.stations if one.station == STATION]
    assert station.steps[1].says == "ok"
