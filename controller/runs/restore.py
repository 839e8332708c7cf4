"""Bringing stations back to what is on record of them: what was last applied, or what was before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from controller.models.errors import InputError
from controller.models.network import Network
from controller.models.plan import Plan
from controller.nrm.profiles import Rendered
from controller.plan import PlanOptions, StationPlan, applied, check_removals, check_share, plan_station, seal
from controller.runs.planner import Planner, PlanRequest, held_by_targets, selected


async def restore_plan(planner: Planner, request: PlanRequest, actor: str, state: str = "") -> Plan:
    """A plan that brings the selected stations back to a state on record; never their administrative state.

    Holds and locks that are not ours keep stations out of it. Nodes that are ours now and were not then stay, unless
    their removal is named; nodes of others are never touched.

    Args:
        planner: Reads the stations.
        request: The stations, and what may be removed.
        actor: Who asks.
        state: Empty for what was last applied; a run, for what was before it; or a time, ISO 8601, in the network's
            time zone where it names none.

    Raises:
        InputError: The selector or the state is wrong, or the selector matches nothing.
        PlanRefusedError: It removes or touches more than was named.
    """
    digest, network = await planner.store.call(lambda store: store.network())
    stations = selected(network, request.selector)
    views = await planner.views(network, stations)
    now = planner.clock.now()
    holds = await planner.store.call(lambda store: store.holds(now))
    options = PlanOptions(
        remove=dict(request.remove),
        expect_stations=request.expect_stations,
        held=held_by_targets(network, [hold.target for hold in holds]),
        automatic=True,
    )
    wanted, missing = await _wanted(planner, network, stations, state)
    made = {
        station: plan_station(station, network.profiles_of(station), wanted[station], views[station], options)
        if station in wanted
        else StationPlan(reason=missing[station])
        for station in stations
    }
    changes = [one.change for one in made.values() if one.change]
    if state:
        check_removals(changes, options.remove)
        check_share(network, changes, options)
    plan = seal(
        created=now,
        network=network.header.id,
        network_digest=digest,
        selector=request.selector,
        changes=changes,
        unchanged=[station for station, one in made.items() if not one.change and not one.reason],
        unplanned={station: one.reason for station, one in made.items() if one.reason},
        findings=[finding for one in made.values() for finding in one.findings],
        removals=options.remove,
    )
    await planner.store.call(lambda store: store.save_plan(plan, actor))
    return plan


async def _wanted(
    planner: Planner, network: Network, stations: tuple[str, ...], state: str
) -> tuple[dict[str, Rendered], Mapping[str, str]]:
    """What stations should carry, and why nothing is known of the others."""
    if not state:
        last = await planner.applied(stations)
        return {name: one.rendered for name, one in last.items()}, dict.fromkeys(stations, "not adopted: observe-only")
    run, at = (state, None) if state.startswith("r-") else ("", _time(network, state))
    found = await planner.store.call(lambda store: store.recorded(stations, run=run, at=at))
    wanted = {name: applied(one.ledger) for name, one in found.items() if not one.missing}
    return wanted, {name: one.missing for name, one in found.items() if one.missing}


def _time(network: Network, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no run, as in r-21748f9c95, and no time, as in 2026-11-24T18:00") from error
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(network.header.timezone))
