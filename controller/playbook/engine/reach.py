"""The reach of a run (its blast radius), and reasons that refuse it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from controller.models.many import lines_of
from controller.models.network import HOST, Network, Noun
from controller.models.plan import Plan
from controller.models.run import Hold, LedgerEntry
from controller.nrm.tree import Path
from controller.plan import nodes_behind
from controller.playbook.engine.context import hold_at
from controller.playbook.language.playbook import ReachLimits
from controller.playbook.language.registry import ServiceLoss

#: Most reasons to name.
_MOST = 5


class Reach(Noun):
    """The reach of a run; people are those of its stations' sites, whether or not all are affected.

    Attributes:
        stations: Its devices.
        cells: Cells of its stations, and of those behind its other devices: at a router's site, served by a function.
            Where all steps that take service say which cells they take, as the reset of a radio unit does, or name
            them, as ``lock-cell`` does, these.
        tenants: Tenants whose nodes are on the devices or on stations that a function serves; with a plan, those it
            touches or interrupts; of a station whose cells are known by its steps, those on these cells.
        people: Population of the sites of all these.
    """

    stations: int
    cells: int
    tenants: tuple[str, ...]
    people: int


def reach(
    network: Network,
    stations: Sequence[str],
    plan: Plan | None,
    ledger: Mapping[str, Mapping[Path, LedgerEntry]],
    losses: Mapping[str, ServiceLoss] = MappingProxyType({}),
) -> Reach:
    """The reach of a run on stations.

    Args:
        network: Current network.
        stations: Its devices.
        plan: Its plan, only if one is bound to it.
        ledger: Who has nodes there.
        losses: What its steps take service from, by station, where that is known.
    """
    named = {} if plan is not None else {name: one for name, one in losses.items() if one.cells is not None}
    whole = [station for station in stations if station not in named]
    if plan is not None:
        tenants = {tenant for change in plan.changes for tenant in (*change.touched, *change.interrupted)}
    else:
        nodes = (entry for station in whole for entry in nodes_behind(network, station, ledger))
        tenants = {owner for entry in nodes for owner in entry.owners} - {HOST}
        tenants |= {tenant for one in named.values() for tenant in one.tenants}
    behind = {one for station in whole for one in network.stations_behind(station)}
    beside = sum(len(one.cells or ()) for name, one in named.items() if name not in behind)
    return Reach(
        stations=len(stations),
        cells=beside + sum(len(network.cells_by_station.get(station, ())) for station in behind),
        tenants=tuple(sorted(tenants)),
        people=network.people_behind(stations),
    )


def refusals(guards: ReachLimits, reached: Reach) -> list[str]:
    """Guards that refuse a run, in words."""
    sizes = {
        "stations": (reached.stations, guards.max_stations),
        "cells": (reached.cells, guards.max_cells),
        "tenants": (len(reached.tenants), guards.max_tenants),
        "people": (reached.people, guards.max_people),
    }
    return [
        f"it reaches {size} {what}, and guards.max_{what} is {most}"
        for what, (size, most) in sizes.items()
        if most is not None and size > most
    ]


def beyond_tenant(plan: Plan, tenant: str) -> list[str]:
    """What a plan for a single tenant does to others, in words, with the way out."""
    touched = {change.station: sorted(others) for change in plan.changes if (others := set(change.touched) - {tenant})}
    if not touched:
        return []
    found = lines_of(
        (station, f"the plan touches nodes of {', '.join(others)}, and not only of {tenant}")
        for station, others in touched.items()
    )
    theirs = ", ".join(sorted({other for others in touched.values() for other in others}))
    return [*_few(found), f"first apply what the network files change for {theirs}, or load them without it"]


def holds_on(network: Network, stations: Iterable[str], holds: list[Hold]) -> list[str]:
    """Holds that forbid changing stations, in words."""
    if not holds:
        return []
    return _few(lines_of((station, hold) for station in stations if (hold := hold_at(network, station, holds))))


def _few(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _MOST else [*lines[:_MOST], f"and {len(lines) - _MOST} more reasons"]
