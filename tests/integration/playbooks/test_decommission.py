"""A station that goes for good takes its tenants' part of the site's router along, and nothing that others need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.models.network import Agreement, Cell, Network, Station
from controller.models.run import Outcome, RunState
from controller.plan import network_digest
from controller.runs.planning.planner import PlanRequest
from simulators.history import EventKind
from simulators.routers.faults import RouterFault, RouterFaultKind
from tests.integration.playbooks.test_undo import AGREED, all_running
from tests.integration.routers.house import ALONE, ROUTER, STATION, RouterHouse, open_router_house, same

pytestmark = pytest.mark.timeout(120)
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
async def crowded(tmp_path: Path) -> AsyncIterator[RouterHouse]:
    async with open_router_house(tmp_path, adopted=False) as house:
        network = with_a_neighbour(house.network())
        house.store.networks.save(network, network_digest(network), "ana")
        both = f"{STATION}|{ALONE}"
        await house.planner.adopt(both, "ana")
        plan = await house.planner.plan(PlanRequest(both, expect_stations=3), "ana")
        assert not plan.unplanned
        run, jobs = await house.apply(plan)
        assert run.state is RunState.SUCCEEDED, jobs
        yield house


def owners(house: RouterHouse) -> set[str]:
    return {owner for entry in house.store.ledger.find([ROUTER])[ROUTER].values() for owner in entry.owners}


async def test_what_only_it_needed_goes_from_the_router(crowded: RouterHouse) -> None:
    house, before = crowded, crowded.router.running
    running = all_running(house)
    assert before.vrfs.keys() == {"andes", "condor"}
    seen = await house.dry_run("decommission-station", **GONE)
    says = {one.station: [step.says for step in one.steps] for one in seen.stations}
    nodes, router_nodes = (int(text.rpartition("nodes=")[2]) for text in says[STATION][:2])
    assert says[ROUTER][-1].endswith(f"name router_nodes={router_nodes}")
    given = {**GONE, "nodes": nodes, "router_nodes": router_nodes}
    seen = await house.dry_run("decommission-station", **given)
    assert [(one.station, one.rank) for one in seen.stations] == [(STATION, 0), (ROUTER, 1)]
    rows = {one.station: [row for step in one.steps for row in step.diff] for one in seen.stations}
    assert {row.tenant for row in rows[ROUTER]} == {"condor"}
    assert house.router.running == before

    # A wrong number for the router is told before anything happens to the station.
    wrong = await house.run("decommission-station", **{**given, "router_nodes": 1})
    assert f"name router_nodes={router_nodes}" in house.job(wrong, STATION).detail
    assert house.job(wrong, ROUTER).outcome is not Outcome.SUCCEEDED
    assert all_running(house) == running
    assert house.router.running == before

    run = await house.succeeds("decommission-station", **given)
    assert "Function" not in house.running(STATION)
    assert house.running(ALONE) == running[ALONE]
    after = house.router.running
    assert after.vrfs.keys() == {"andes"}
    assert not any(name.endswith(".102") for name in after.interfaces)
    kept = [route for route in before.routes if route.vrf != "condor"]
    assert list(after.routes) == kept
    assert same(after, house.router.startup)
    assert owners(house) == {"andes", "host"}
    assert house.store.devices.find([ROUTER])[ROUTER].adopted is not None
    assert house.job(run, ROUTER).started is not None
    station, router = (house.job(run, name) for name in (STATION, ROUTER))
    assert station.finished is not None
    assert router.started is not None
    assert station.finished <= router.started
    assert house.fleet.stations[ALONE].history.counts[EventKind.RESTARTED] == 0
    assert house.fleet.stations[ALONE].summary()["links_up"] == 2


async def test_a_router_that_failed_is_done_by_running_it_again(crowded: RouterHouse) -> None:
    house, before = crowded, crowded.router.running
    nodes = len(house.store.ledger.find([STATION])[STATION])
    condors = sum("condor" in entry.owners for entry in house.store.ledger.find([ROUTER])[ROUTER].values())
    house.router.faults.inject(RouterFault(RouterFaultKind.REFUSE_LINE, line=2))
    run = await house.run("decommission-station", **GONE, nodes=nodes, router_nodes=condors)
    assert run.state is RunState.PARTIAL
    assert house.job(run, STATION).outcome is Outcome.SUCCEEDED
    assert house.job(run, ROUTER).outcome is Outcome.ROLLED_BACK, house.job(run, ROUTER)
    assert same(house.router.running, before)
    assert owners(house) == {"andes", "condor", "host"}
    assert house.store.devices.find([STATION])[STATION].retired is not None
    running, retired = all_running(house), house.store.devices.find([STATION])

    seen = await house.dry_run("decommission-station", **GONE)
    says = [step.says for one in seen.stations for step in one.steps]
    assert sum(text.endswith(f"name router_nodes={condors}") for text in says) == 2, says
    again = await house.succeeds("decommission-station", **GONE, router_nodes=condors)
    assert house.job(again, ROUTER).outcome is Outcome.SUCCEEDED
    assert house.router.running.vrfs.keys() == {"andes"}
    assert owners(house) == {"andes", "host"}
    assert (all_running(house), house.store.devices.find([STATION])) == (running, retired)
    # And once more, with nothing left to do.
    once_more = await house.succeeds("decommission-station", **GONE)
    assert house.job(once_more, ROUTER).outcome is Outcome.UNCHANGED


async def test_a_station_that_stays_keeps_its_router(crowded: RouterHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.STAY", 1000.0)
    house, before, running = crowded, crowded.router.running, all_running(crowded)
    nodes = len(house.store.ledger.find([STATION])[STATION])
    condors = sum("condor" in entry.owners for entry in house.store.ledger.find([ROUTER])[ROUTER].values())
    run = await house.run("decommission-station", **GONE, nodes=nodes, router_nodes=condors, seconds=1)
    assert {job.station: job.outcome for job in house.store.runs.jobs(run.id)} == {
        STATION: Outcome.ROLLED_BACK,
        ROUTER: Outcome.CANCELLED,
    }
    assert house.router.running == before
    assert all_running(house) == running


async def test_who_is_still_to_come_to_a_neighbour_is_needed(crowded: RouterHouse) -> None:
    house = crowded
    network = with_a_neighbour(house.network())
    wide = [
        Agreement.model_validate({**one.model_dump(mode="json"), "scope": {"stations": [STATION, ALONE]}})
        for one in network.agreements
    ]
    network = network.model_copy(update={"agreements": tuple(wide)})
    house.store.networks.save(network, network_digest(network), "ana")
    seen = await house.dry_run("decommission-station", **GONE)
    (station,) = [one for one in seen.stations if one.station == STATION]
    assert station.steps[1].says == "ok"
