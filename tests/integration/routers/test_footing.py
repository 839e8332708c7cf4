"""Changes that could cut the way to the router itself: under a timed reload, saved only when it was reached anew."""

from __future__ import annotations

import asyncio

import pytest

from controller.models.run import Outcome, RunState
from simulators.history import EventKind
from tests.integration.routers.house import ROUTER, RouterHouse, merge, same

pytestmark = pytest.mark.timeout(120)
UPLINK, SPARE = "Port[GigabitEthernet0%2F0%2F0]", "Port[GigabitEthernet0%2F0%2F2]"
#: What could cut the way, and does not: the ports, the address that it is managed by, its own routes, access lists.
HARMLESS = (
    merge(SPARE, {"shutdown": "true"}, {"address": "10.98.1.1/30"}),
    merge("Route[0.0.0.0%2F0,10.98.0.2]", {}, {"distance": "5"}),
    merge(UPLINK, {}, {"accessIn": "10"}),
)


async def reloads(house: RouterHouse) -> None:
    """Each time the router is cut off, its reload's time comes."""
    while True:
        if house.router.reload is not None and not house.router.reachable:
            house.router.restart()
            house.router._up_again()
        await asyncio.sleep(0.02)


async def test_what_cuts_the_way_comes_back_by_the_reload(house: RouterHouse) -> None:
    before = house.router.running
    plan = await house.plan_of(merge(UPLINK, {"address": "10.98.0.1/30"}, {"address": "10.98.0.9/30"}))
    house.attend(reloads(house))
    run, jobs = await house.apply(plan)
    assert run.state is RunState.FAILED
    assert jobs[ROUTER].outcome is Outcome.ROLLED_BACK, jobs
    assert len(house.router.history.events(EventKind.RESTARTED)) == 1
    assert same(house.router.running, before)
    assert same(house.router.startup, before)
    assert house.router.reload is None


async def test_what_could_cut_the_way_is_saved_only_after_it_was_reached_anew(house: RouterHouse) -> None:
    before = house.router.running
    run, jobs = await house.apply(await house.plan_of(*HARMLESS))
    assert run.state is RunState.SUCCEEDED, jobs
    assert not same(house.router.running, before)
    assert same(house.router.running, house.router.startup)
    events = [event.kind for event in house.router.history.events()]
    planned, cancelled = events.index(EventKind.RELOAD_PLANNED), events.index(EventKind.RELOAD_CANCELLED)
    assert planned < events.index(EventKind.RUNNING_CHANGED) < cancelled < events.index(EventKind.SAVED)
    # A connection of its own proves that it is reached; none but that one was opened under the reload.
    assert events[planned:cancelled].count(EventKind.SESSION_OPENED) == 1
    assert not house.router.history.events(EventKind.RESTARTED)
