"""Plans that restore: what was last applied, an earlier state, or core links that are re-created."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from controller.inventory.selectors import select
from controller.inventory.source import suggest
from controller.models.enums import OBSERVE_ONLY
from controller.models.errors import InputError, PlanRefusedError
from controller.models.network import Network
from controller.models.plan import Plan
from controller.nrm.profiles import links, root_spec
from controller.nrm.tree import Path
from controller.plan import (
    Draft,
    PlanOptions,
    StationPlan,
    StationView,
    applied,
    check_changes,
    check_share,
    plan_station,
    recreate_endpoints_change,
    under_hold,
    where_it_stands,
)
from controller.runs.planning.planner import Planner, PlanRequest, selected
from controller.store import LedgerState


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
        NotFoundError: There is no such run.
        PlanRefusedError: It removes or touches more than was named, or would bring and remove on one router.
    """
    digest, network = await planner.store.networks.get()
    stations = selected(network, request.selector)
    now = planner.clock.now()
    holds = await planner.store.holds.find(now)
    options = PlanOptions(
        remove=dict(request.remove),
        expect_stations=request.expect_stations,
        under_hold=under_hold(network, holds),
        automatic=True,
        identities=bool(state),  # a repair never restarts a station for its identity; a person may
    )
    run, at = await _state(planner, network, state)
    draft = Draft()

    async def restore(station: str, view: StationView) -> None:
        record = LedgerState(view.ledger, "" if view.adopted else OBSERVE_ONLY)
        if state:
            record = (await planner.store.ledger.as_of([station], run=run, at=at))[station]
        made = await asyncio.to_thread(_planned, network, station, record, view, options)
        if not state and not view.adopted:
            made = replace(made, observed_only=True)
        if made.change is not None:
            made = replace(made, change=await planner.with_links(network, made.change))
        await asyncio.to_thread(draft.add, station, made)

    await planner.each(network, stations, restore)
    if state:
        await asyncio.to_thread(check_changes, network, draft.outlines, options)
    plan = draft.seal(network, digest, request.selector, now, removals=options.remove)
    await planner.store.plans.save(plan, actor)
    return plan


async def recreate_plan(planner: Planner, request: PlanRequest, actor: str, endpoints: str) -> Plan:
    """A plan that deletes core endpoints of ours on the selected stations and creates them again as they were.

    Args:
        planner: Reads the stations.
        request: The stations.
        actor: Who asks.
        endpoints: Their paths, or the last parts of them, joined by blanks.

    Raises:
        InputError: The selector is wrong or matches nothing, or a station has no such endpoint of ours.
        PlanRefusedError: It touches a large share of the network, or another number of devices than was named.
    """
    digest, network = await planner.store.networks.get()
    stations = select(network, request.selector)
    now = planner.clock.now()
    holds = await planner.store.holds.find(now)
    options = PlanOptions(under_hold=under_hold(network, holds), expect_stations=request.expect_stations)
    draft = Draft()
    for station, view in (await planner.views(network, stations)).items():
        draft.add(station, _recreated(network, station, view, endpoints.split(), options))
    plan = draft.seal(network, digest, request.selector, now)
    check_share(network, plan.changes.packed, options, plan.unplanned)
    await planner.store.plans.save(plan, actor)
    return plan


def _recreated(
    network: Network, station: str, view: StationView, endpoints: Sequence[str], options: PlanOptions
) -> StationPlan:
    if view.observed is None:
        return StationPlan(reason=f"unreachable: {view.unreachable}")
    if stops := options.holds_at(station):
        return StationPlan(reason=f"hold on {', '.join(stops)}")
    ours = [link.path for link in links(view.observed.tree) if link.path in view.ledger]
    chosen = {(path := _endpoint(station, ours, name)): view.ledger[path].owners for name in endpoints}
    try:
        return StationPlan(
            recreate_endpoints_change(station, network.profiles_of(station), view.observed, chosen, view.holders)
        )
    except PlanRefusedError as error:
        return StationPlan(reason=error.message)


def _endpoint(station: str, ours: Sequence[Path], name: str) -> Path:
    found = [path for path in ours if name in (path, path.rpartition("/")[2])]
    if len(found) != 1:
        names = [path.rpartition("/")[2] for path in ours]
        hint = suggest(name, names) or f"it has {', '.join(names) or 'none'}"
        raise InputError(f"{station} has no core endpoint of ours {name!r}; {hint}")
    return found[0]


async def _state(planner: Planner, network: Network, state: str) -> tuple[str, datetime | None]:
    """The run or the time that names a state on record."""
    if not state.startswith("r-"):
        return "", _time(network, state, planner.clock.now()) if state else None
    await planner.store.runs.get(state)
    return state, None


def _planned(
    network: Network, station: str, record: LedgerState, view: StationView, options: PlanOptions
) -> StationPlan:
    if record.missing:
        return StationPlan(reason=record.missing)
    profiles, wanted = network.profiles_of(station), applied(record.ledger)
    if view.observed is not None:
        wanted = where_it_stands(root_spec(profiles), wanted, view.observed)
    return plan_station(station, profiles, wanted, view, options)


def _time(network: Network, text: str, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is neither a run, as in r-21748f9c95, nor a time, as in 2026-11-24T18:00"
        ) from error
    zone = network.zone
    at = at if at.tzinfo else at.replace(tzinfo=zone)
    if at > now:
        raise InputError(f"{text!r} lies in the future: it is {now.astimezone(zone):%Y-%m-%dT%H:%M} in {zone.key}")
    return at
