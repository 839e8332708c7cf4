"""Constraints of a playbook's run: from its plan, and from actions whose changes are not known yet. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from controller.models.approval import RunConstraints
from controller.models.errors import InputError
from controller.models.network import HOST, Network
from controller.models.plan import LedgerNode, Plan
from controller.models.run import LedgerEntry
from controller.models.sharing import ActionClass
from controller.nrm.profiles import cell_of
from controller.nrm.tree import Path
from controller.plan import nodes_behind
from controller.playbook.language.expressions import evaluate, may_hold
from controller.playbook.language.library import Loaded
from controller.playbook.language.playbook import TARGET, PlanSource, Step, target_names
from controller.playbook.language.registry import Registry, ServiceLoss
from controller.runs.approval.consent import (
    Effect,
    RunOccasion,
    effect_of,
    effect_of_outage,
    effect_on,
    run_constraints,
    subject_of,
    together,
)

#: Classes of action in an order in which each needs at least what the ones before it need.
_GRAVITY = (ActionClass.RESTORE, ActionClass.CONFIGURE, ActionClass.INTERRUPT, ActionClass.REDUCE)


NONE_KNOWN: Mapping[str, ServiceLoss] = MappingProxyType({})


def playbook_constraints(
    loaded: Loaded,
    registry: Registry,
    parameters: Mapping[str, Any],
    network: Network,
    plan: Plan,
    stations: Iterable[str],
    ledger: Mapping[str, Mapping[Path, LedgerEntry]],
    *,
    automatic: bool = False,
    outages: Mapping[str, ServiceLoss] = NONE_KNOWN,
) -> RunConstraints:
    """The constraints under which a run of a playbook is accepted.

    Args:
        loaded: The playbook.
        registry: Its actions.
        parameters: What it is run with.
        network: Current network.
        plan: Its plan; an empty one where it has none.
        stations: Where it works.
        ledger: Who has nodes there, and on stations that its functions serve.
        automatic: Whether a rule asks, and no person does.
        outages: What its steps take service from, by station, where that is known.
    """
    playbook, stations = loaded.playbook, tuple(stations)
    restores = playbook.plan is not None and playbook.plan.source in (PlanSource.APPLIED, PlanSource.ENDPOINT)
    planned = {change.station: effect_of(change, restores=restores) for change in plan.changes}
    effects = []
    for station in stations:
        names = {**parameters, TARGET: target_names(network, station)}
        asking = asking_steps(loaded, registry, names)
        if station in outages:
            serving, idle = outages[station].serving, outages[station].idle
            about = frozenset(cell for cell, _ in serving or idle) if station in network.station_by_id else frozenset()
            beside = effect_of_outage(station, serving, idle, about)
            effects.append(together(planned[station], beside) if station in planned else beside)
            continue
        asks = [registry.action(step.action).consent for step in asking]
        gravest = max((one for one in asks if one is not None), key=_GRAVITY.index, default=None)
        cells = [_cells(step, names) for step in asking]
        about = frozenset[str]().union(*cells) if all(cells) else frozenset[str]()
        effects.append(_effect(station, planned.get(station), gravest, nodes_behind(network, station, ledger), about))
    asked = RunOccasion(
        subject=subject_of(loaded.digest, parameters, stations, plan.digest),
        now=plan.created,
        automatic=automatic,
        restores=restores,
        approvals=playbook.guards.approvals,
        windows=playbook.guards.windows,
    )
    return run_constraints(network, effects, asked)


def asking_steps(loaded: Loaded, registry: Registry, names: Mapping[str, Any]) -> list[Step]:
    """Steps that may run on a device, and whose action needs consent of tenants."""
    steps = loaded.playbook.steps
    return [step for step in steps if registry.action(step.action).consent and may_hold(step.when, names)]


def _cells(step: Step, names: Mapping[str, Any]) -> frozenset[str]:
    """Cells that a step is about, if its inputs name some and are known already; empty means all."""
    try:
        return frozenset(map(str, evaluate(step.with_.get("cells", ()), names)))
    except InputError:
        return frozenset()


def _effect(
    station: str,
    planned: Effect | None,
    action: ActionClass | None,
    nodes: Iterable[LedgerNode],
    cells: frozenset[str],
) -> Effect:
    """The effect of the plan on a station, and of steps on all tenants at these cells (empty: all cells there)."""
    if action is None:
        return planned or Effect(station)
    there = (entry for entry in nodes if not cells or cell_of(entry.path) in cells)
    tenants = {owner for entry in there for owner in entry.owners} - {HOST}
    beside = effect_on(station, tenants, action, cells)
    return beside if planned is None else together(planned, beside)
