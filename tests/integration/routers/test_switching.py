"""The playbook that switches a router to its standby, under a reload that brings the old way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.models.run import Outcome, RunState
from simulators.history import EventKind
from simulators.routers.addresses import read_address
from simulators.routers.faults import RouterFault, RouterFaultKind
from tests.integration.alarms.house import until
from tests.integration.routers.house import ROUTER, STATION, RouterHouse, open_router_house, same

pytestmark = pytest.mark.timeout(120)
#: The spare port has an address of its own on the management network.
SPARE = {"standby": "GigabitEthernet0/0/2", "gateway": "10.98.0.2", "standby_gateway": "10.98.1.2"}


@pytest.fixture
async def spare(tmp_path: Path) -> AsyncIterator[RouterHouse]:
    async with open_router_house(tmp_path, fields=SPARE) as house:
        house.router.foreign_edit(["interface gi0/0/2", "ip address 10.98.1.1 255.255.255.252", "no shutdown"])
        house.router.foreign_edit(["ip route 0.0.0.0 0.0.0.0 10.98.1.2 250"])
        house.router.save(house.router_origin)
        await house.planner.adopt(f"router={ROUTER}", "ana")
        await house.carry()
        yield house


async def links_up(house: RouterHouse, count: int) -> None:
    async def up() -> bool:
        return bool(house.fleet.stations[STATION].summary()["links_up"] == count)

    await until(f"{count} links are up", up)


def distances(house: RouterHouse) -> dict[int, set[int]]:
    """Distances of the routes by the port behind them."""
    spare = {read_address("169.254.0.5"), read_address("10.98.1.2")}
    routes = house.router.running.routes
    return {port: {r.distance for r in routes if (r.next_hop in spare) is (port == 2)} for port in (0, 2)}


async def test_the_way_is_switched_there_and_back(spare: RouterHouse) -> None:
    assert distances(spare) == {0: {1}, 2: {250}}
    preview = await spare.dry_run("switch-backhaul", router=ROUTER)
    assert not preview.refused
    assert preview.reach.tenants == ("andes", "condor")
    assert len(preview.stations[0].steps[0].diff) == 6
    assert distances(spare) == {0: {1}, 2: {250}}
    await spare.succeeds("switch-backhaul", router=ROUTER)
    assert distances(spare) == {0: {250}, 2: {1}}
    assert same(spare.router.running, spare.router.startup)
    assert spare.router.reload is None
    assert spare.router.history.events(EventKind.RELOAD_PLANNED)
    assert not spare.router.history.events(EventKind.RESTARTED)
    await links_up(spare, 3)
    # The uplink may fail now.
    spare.router.foreign_edit(["interface gi0/0/0.101", "shutdown", "interface gi0/0/0.102", "shutdown"])
    await links_up(spare, 3)
    spare.router.foreign_edit(["interface gi0/0/0.101", "no shutdown", "interface gi0/0/0.102", "no shutdown"])
    spare.router.save(spare.router_origin)
    assert (await spare.plan()).is_empty
    await spare.succeeds("switch-backhaul", router=ROUTER, standby="false")
    assert distances(spare) == {0: {1}, 2: {250}}


async def test_a_refused_line_takes_all_back_without_a_reload(spare: RouterHouse) -> None:
    before = spare.router.running
    spare.router.faults.inject(RouterFault(RouterFaultKind.REFUSE_LINE, line=3))
    run = await spare.run("switch-backhaul", router=ROUTER)
    assert spare.job(run, ROUTER).outcome in (Outcome.ROLLED_BACK, Outcome.FAILED_SAFE), spare.steps(run, ROUTER)
    assert same(spare.router.running, before)
    assert spare.router.reload is None
    assert not spare.router.history.events(EventKind.RESTARTED)


async def test_unsaved_changes_are_not_risked(spare: RouterHouse) -> None:
    spare.router.foreign_edit(["ip route 192.0.2.0 255.255.255.0 Null0"])
    before = spare.router.running
    run = await spare.run("switch-backhaul", router=ROUTER)
    assert run.state is RunState.FAILED
    assert "unsaved changes" in spare.job(run, ROUTER).detail
    assert spare.router.running == before


async def test_a_router_that_is_not_reached_anew_comes_back_by_its_reload(spare: RouterHouse) -> None:
    router, before = spare.router, spare.router.running

    async def strand() -> None:
        """The new way leads nowhere; then the reload's time has come."""
        await until("a reload is planned", has_reload)
        router.faults.inject(RouterFault(RouterFaultKind.REFUSE_SESSIONS, count=None))
        await until("the router is not reached", was_missed)
        router.faults.clear()
        router.restart()
        router._up_again()

    async def has_reload() -> bool:
        return router.reload is not None

    async def was_missed() -> bool:
        return bool(router.history.events(EventKind.FAULT_STRUCK))

    stranding = asyncio.create_task(strand())
    run = await spare.run("switch-backhaul", router=ROUTER)
    await stranding
    assert spare.job(run, ROUTER).outcome is Outcome.ROLLED_BACK, spare.steps(run, ROUTER)
    assert same(router.running, before)


async def test_a_router_without_a_standby_is_refused(tmp_path: Path) -> None:
    async with open_router_house(tmp_path) as house:
        await house.carry()
        run = await house.run("switch-backhaul", router=ROUTER)
        assert "no second way" in house.job(run, ROUTER).detail
