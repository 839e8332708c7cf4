"""Changes that could cut the way to the router itself: under a timed reload, saved only when it was reached again."""

from __future__ import annotations

import asyncio

from controller.models.run import Outcome, RunState
from simulators.history import EventKind
from tests.integration.routers.system import ROUTER, RouterSystem, merge, same

UPLINK, SPARE = "Port[GigabitEthernet0%2F0%2F0]", "Port[GigabitEthernet0%2F0%2F2]"
#: What could cut the way, and does not: the ports, the address that it is managed by, its own routes, access lists.
HARMLESS = (
    merge(SPARE, {"shutdown": "true"}, {"address": "10.98.1.1/30"}),
    merge("Route[0.0.0.0%2F0,10.98.0.2]", {}, {"distance": "5"}),
    merge(UPLINK, {}, {"accessIn": "10"}),
)


async def reloads(system: RouterSystem) -> None:
    """Each time the router is cut off, its reload's time comes."""
    while True:
        if system.router.reload is not None and not system.router.reachable:
            system.router.restart()
            system.router._up_again()
        await asyncio.sleep(0.02)


async def test_what_cuts_the_way_comes_back_by_the_reload(system: RouterSystem) -> None:
    before = system.router.running
    plan = await system.plan_of(merge(UPLINK, {"address": "10.98.0.1/30"}, {"address": "10.98.0.9/30"}))
    system.attend(reloads(system))
    run, jobs = await system.apply(plan)
    assert run.state is RunState.FAILED
    assert jobs[ROUTER].outcome is Outcome.ROLLED_BACK, jobs
    assert len(system.router.history.events(EventKind.RESTARTED)) == 1
    assert same(system.router.running, before)
    assert same(system.router.startup, before)
    assert system.router.reload is None


async def test_what_could_cut_the_way_is_saved_only_after_it_was_reached_anew(system: RouterSystem) -> None:
    before = system.router.running
    run, jobs = await system.apply(await system.plan_of(*HARMLESS))
    assert run.state is RunState.SUCCEEDED, jobs
    assert not same(system.router.running, before)
    assert same(system.router.running, system.router.startup)
    events = [event.kind for event in system.router.history.events()]
    planned, cancelled = events.index(EventKind.RELOAD_PLANNED), events.index(EventKind.RELOAD_CANCELLED)
    assert planned < events.index(EventKind.RUNNING_CHANGED) < cancelled < events.index(EventKind.SAVED)
    # A connection of its own proves that it is reached; none but that one was opened under the reload.
    assert events[planned:cancelled].count(EventKind.SESSION_OPENED) == 1
    assert not system.router.history.events(EventKind.RESTARTED)
