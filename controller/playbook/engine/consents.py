"""Constraints of a playbook's run: from its plan, and from actions whose changes are not known yet. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Any

from controller.models.approval import OpenInput, RunConstraints
from controller.models.equipment import Operation
from controller.models.errors import InputError
from controller.models.network import HOST, Network, Noun
from controller.models.outage import NO_OUTAGE, Outage, OutageKind
from controller.models.plan import Change, LedgerNode, Plan
from controller.models.run import LedgerEntry
from controller.models.sharing import ActionClass
from controller.nrm.profiles import broadcast_plmn, cell_of
from controller.nrm.tree import Path
from controller.plan import nodes_behind
from controller.playbook.language.endings import outage_of_step
from controller.playbook.language.expressions import (
    UNKNOWN,
    Expression,
    expressions_in,
    foreseen,
    names_within,
)
from controller.playbook.language.library import Loaded
from controller.playbook.language.playbook import APPLY_INTENT, TARGET, Playbook, Step, Undo, target_names
from controller.playbook.language.registry import ALL, Action, CellNames, Registry, ServiceLoss
from controller.runs.approval.consent import (
    CellsOff,
    Effect,
    RunOccasion,
    effect_of,
    effect_of_outage,
    effect_on,
    run_constraints,
    subject_of,
    taken_by,
    together,
    told_off_air,
)

#: The input that names cells (``CellNames``).
CELLS = "cells"
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
    effects = []
    opened: defaultdict[OpenInput, int] = defaultdict(int)
    by_step: defaultdict[str, list[tuple[str, CellsOff]]] = defaultdict(list)
    about: defaultdict[str, set[str]] = defaultdict(set)
    for station in stations:
        names = {**parameters, TARGET: target_names(network, station)}
        acts, change = asking_acts(playbook, registry, names), plan.changes.on(station)
        lasts = Outage.worst(act.lasts for act in acts)
        planned = Effect(station) if change is None else effect_of(change, restores=playbook.restores)
        nodes = [*nodes_behind(network, station, ledger)]
        if change is not None and any(act.planned for act in acts):
            nodes += change.gained
        loss = outages.get(station)
        beside = _beside(network, station, acts, nodes, lasts, loss)
        effect = planned if beside is None else together(planned, beside) if change is not None else beside
        own = _own_cells(network, station, nodes)
        off = _by_act(acts, own, loss)
        for act, there in zip(acts, off, strict=True):
            by_step[act.step].append((station, _of_all(there)))
            about[act.step] |= _tenants_of(act, nodes)
        restarts = effect.restarts or any(registry.action(one.action).restarts for one in playbook.may_run(names)[0])
        effects.append(replace(effect, off=reduce(or_, off, _by_plan(planned, own)), restarts=restarts))
        for one in {act.open for act in acts if act.open is not None and loss is None}:
            opened[one] += 1
    gone = [(effect.station, tenant, cell) for effect in effects for tenant, cell in effect.off.off]
    asked = RunOccasion(
        subject=subject_of(loaded.digest, parameters, stations, plan.digest, gone),
        now=plan.created,
        automatic=automatic,
        restores=playbook.restores,
        approvals=playbook.guards.approvals,
        windows=playbook.guards.windows,
    )
    told = tuple(one.model_copy(update={"stations": count}) for one, count in opened.items())
    steps = {step: of_step for step, found in by_step.items() if (of_step := told_off_air(found))}
    of_steps = {"steps_off_air": steps, "steps_about": {step: tuple(sorted(its)) for step, its in about.items()}}
    return run_constraints(network, effects, asked).model_copy(update={"open_inputs": told, **of_steps})


def _tenants_of(act: AskingAct, nodes: Iterable[LedgerNode]) -> set[str]:
    """Tenants with nodes where an act is: in its cells, or anywhere on the device if it names none."""
    here = (node for node in nodes if act.cells is None or cell_of(node.path) in act.cells)
    return {owner for node in here for owner in node.owners} - {HOST}


def _beside(
    network: Network,
    station: str,
    acts: Sequence[AskingAct],
    nodes: Sequence[LedgerNode],
    lasts: Outage,
    loss: ServiceLoss | None,
) -> Effect | None:
    """The effect of acts on a device, beside that of the run's plan; None if none asks anybody.

    Args:
        network: Current network.
        station: The device.
        acts: All that the run may do there that tenants have to consent to.
        nodes: Nodes of ours there, and on stations that its function serves.
        lasts: The worst outage that an act causes.
        loss: The service that they take, where that is known.
    """
    if loss is not None:
        return _outage(network, station, loss, lasts)
    if not acts:
        return None
    named = [act.cells for act in acts if act.cells is not None]
    about = frozenset[str]().union(*named) if len(named) == len(acts) else frozenset[str]()
    # An agreement may be stricter about any class than about the others, so each is asked for.
    classes = sorted({act.consent for act in acts})
    return reduce(together, [_effect(station, one, nodes, about, lasts) for one in classes])


def _own_cells(network: Network, station: str, nodes: Iterable[LedgerNode]) -> frozenset[tuple[str, str]]:
    """Tenants, each with a cell of a station where it has nodes; none of another device, which has no cells."""
    if not network.has_cells(station):
        return frozenset()
    found = ((cell_of(node.path), owner) for node in nodes for owner in node.owners)
    return frozenset((owner, cell) for cell, owner in found if cell and owner != HOST)


def _by_act(acts: Sequence[AskingAct], own: frozenset[tuple[str, str]], loss: ServiceLoss | None) -> list[CellsOff]:
    """Own cells of tenants that each act takes off the air, as far as the loss of all does not say that they serve.

    Args:
        acts: Acts on a station.
        own: Tenants there, each with a cell of its own.
        loss: The service that they take, where that is known.
    """
    serving = own if loss is None else own & {(tenant, cell) for cell, tenant in loss.serving}
    found = []
    for act in acts:
        takes = serving if act.consent is ActionClass.INTERRUPT else frozenset[tuple[str, str]]()
        off = frozenset(one for one in takes if act.cells is None or one[1] in act.cells)
        found.append(_off(off, own, is_open=act.open is not None and loss is None))
    return found


def _by_plan(planned: Effect, own: frozenset[tuple[str, str]]) -> CellsOff:
    """Own cells of tenants that the change of the run's plan takes off the air."""
    taken = {(tenant, cell) for tenant, action, cell in planned.places if action is ActionClass.INTERRUPT}
    return _off(frozenset(one for one in own if one in taken or (one[0], "") in taken), own)


def _off(off: frozenset[tuple[str, str]], own: frozenset[tuple[str, str]], *, is_open: bool = False) -> CellsOff:
    tenants = {tenant for tenant, _ in off}
    return CellsOff(off, frozenset(one for one in own if one[0] in tenants), is_open and bool(off))


def _of_all(there: CellsOff) -> CellsOff:
    """The same with the cells of all tenants, as the host's."""
    off, own = (frozenset((HOST, cell) for _, cell in found) for found in (there.off, there.own))
    return there | CellsOff(off, own)


@dataclass(frozen=True, slots=True)
class AskingAct:
    """What a step, or the undoing of one, may do on a device that tenants have to consent to.

    Attributes:
        step: Name of the step.
        given: Its inputs; ``UNKNOWN`` while they depend on something that is not known yet.
        cells: Cells that it is about, if its inputs name them and these are known, or bounded by what an earlier step
            was given; None for all.
        planned: Whether the run's plan was carried out before.
        open: Why it is about all cells although its inputs name some; None where it is not so.
        lasts: The outage that it causes; of a step, as later steps bound it.
    """

    step: str
    action: Action
    consent: ActionClass
    given: Any
    cells: frozenset[str] | None
    planned: bool
    open: OpenInput | None = None
    lasts: Outage = NO_OUTAGE

    @property
    def takes_service(self) -> bool:
        """Whether it may take anything off the air: what only brings service back does not."""
        return self.consent is not ActionClass.RESTORE or self.action.outage != NO_OUTAGE


def loss_of_all(losses: Sequence[ServiceLoss | None]) -> ServiceLoss | None:
    """Several losses as one; None if there is none, or one is not known."""
    known = [one for one in losses if one is not None]
    return reduce(or_, known) if known and len(known) == len(losses) else None


def loss_at_most(
    acts: Sequence[AskingAct],
    losses: Sequence[ServiceLoss | None],
    nodes: Collection[LedgerNode],
    cells: Collection[str],
) -> ServiceLoss | None:
    """What acts take off the air at most; None if none takes anything, or one may take any cell.

    Args:
        acts: Acts on a device.
        losses: The loss of each, where its action tells it.
        nodes: Nodes of ours there: of an act that names cells, everybody on these may lose service.
        cells: Cells that the network files have there: what an act names beside these and the nodes' is not there.
    """
    known = {*cells, *(cell_of(node.path) for node in nodes)}
    pairs = [(cell_of(node.path), owner) for node in nodes for owner in node.owners if owner != HOST]

    def named(act: AskingAct) -> ServiceLoss | None:
        if act.cells is None:
            return None
        there = act.cells & known
        return ServiceLoss(frozenset(pair for pair in pairs if pair[0] in there), cells=there)

    return loss_of_all([loss or named(act) for act, loss in zip(acts, losses, strict=True) if act.takes_service])


def asking_acts(playbook: Playbook, registry: Registry, names: Mapping[str, Any]) -> list[AskingAct]:
    """All that a run may do on a device, as far as tenants have to consent to it.

    An act that depends on anything that is not known yet may be done, and counts with all cells that it may name: those
    that bound the outputs of earlier steps (``Action.bounds``), otherwise all. One whose list of cells is known to be
    empty does nothing. What a step is undone by (``undo``) counts too, unless it asks for nothing that is not asked for
    the step itself.
    """
    steps, known = playbook.may_run(names)
    acts = _Acts(playbook, registry, known)
    found: list[AskingAct] = []
    planned = False
    for step in steps:
        own = acts.of(step.name, step, planned=planned)
        acts.register(step)
        back = None if step.undo is None else acts.of(step.name, step.undo, planned=planned)
        found += [one for one in (own, back) if one is not None and not (one is back and _within(back, own))]
        planned = planned or step.action == APPLY_INTENT
    return found


class _Acts:
    """Acts of steps in their order, with what bounds the outputs of the steps before.

    Args:
        playbook: The playbook.
        registry: Its actions.
        names: What is known on the device.
    """

    def __init__(self, playbook: Playbook, registry: Registry, names: Mapping[str, Any]) -> None:
        self._playbook = playbook
        self._registry = registry
        self._names = names
        self._limits: dict[tuple[str, str], frozenset[str]] = {}

    def register(self, step: Step) -> None:
        """Take note of what bounds the outputs of a step, for later expressions."""
        action = self._registry.action(step.action)
        for output, source in action.bounds.items() if step.register_ is not None else ():
            given = step.with_.get(source, action.inputs.model_fields[source].default)
            try:
                bound = names_within(given, self._names, self._limits)
            except InputError:
                continue  # the step fails, or what it needs is not known yet
            if bound is not None and (bound.listed or ALL not in bound.members):
                self._limits[str(step.register_), output] = bound.members

    def of(self, name: str, step: Step | Undo, *, planned: bool) -> AskingAct | None:
        """What a step, or the undoing of one, may do; None if it asks nobody."""
        action = self._registry.action(step.action)
        if action.consent is None:
            return None
        lasts = action.outage
        if isinstance(step, Step):
            lasts = outage_of_step(self._playbook, self._registry, step, self._names)
        try:
            given: Any = foreseen(step.with_, self._names)
        except InputError:
            given = UNKNOWN
        if not issubclass(action.inputs, CellNames):
            return AskingAct(name, action, action.consent, given, None, planned, lasts=lasts)
        cells = step.with_.get(CELLS, ALL)
        bound, failed = self._bound(cells)
        if bound == frozenset():
            return None
        told = None if bound is not None else self._open(name, cells, failed)
        return AskingAct(name, action, action.consent, given, bound, planned, told, lasts)

    def _bound(self, cells: Any) -> tuple[frozenset[str] | None, str]:
        """Cells that an input can name at most, None for all; and why it can't be evaluated, if so."""
        try:
            bound = names_within(cells, self._names, self._limits)
        except InputError as error:
            return None, error.message
        return (bound.members if bound is not None and bound.listed else None), ""

    def _open(self, name: str, cells: Any, failed: str) -> OpenInput | None:
        """Why an input may name any cell; None where it says so itself."""
        texts = [text for text in expressions_in(cells) if failed or not self._is_known(text)]
        if not texts:
            return None
        unknown = {one: why for text in texts for one, why in self._unknown(text)}
        why = failed or "; ".join(unknown.values()) or "it may result in other names than those that it is made of"
        return OpenInput(file=f"{self._playbook.name}.yaml", step=name, input=CELLS, expression=texts[0], why=why)

    def _is_known(self, text: str) -> bool:
        return Expression(text).names <= self._names.keys()

    def _unknown(self, text: str) -> Iterable[tuple[str, str]]:
        """Names in an expression that are not known yet and that nothing bounds, each with the reason."""
        expression = Expression(text)
        members = {name: member for name, member in sorted(expression.members) if (name, member) not in self._limits}
        bounded = {name for name, _ in expression.members} - members.keys()
        for name in sorted(expression.names - self._names.keys() - bounded):
            spelt = f"{name}.{members[name]}" if name in members else name
            yield spelt, f"{spelt} {self._source(name, members.get(name, ''))}"

    def _source(self, name: str, member: str) -> str:
        step = next((one for one in self._playbook.steps if one.register_ == name), None)
        if step is None:
            return "is known only when the run is accepted"
        source = self._registry.action(step.action).bounds.get(member)
        known = f"is known only after step {step.name!r} ({step.action})"
        if source is None:
            return f"{known}, and no input of that step says which cells it can be"
        return f"{known}, whose input {source} may name any cell: {step.with_.get(source, ALL)}"


def _within(back: AskingAct, act: AskingAct | None) -> bool:
    """Whether undoing a step takes nothing from anybody that the step itself does not take."""
    if act is None or back.consent is not act.consent:
        return False
    if back.consent is ActionClass.INTERRUPT and act.action.takes is not None:
        return False  # The step may ask fewer than all tenants there.
    return act.cells is None or (back.cells is not None and back.cells <= act.cells)


def effect_of_act(
    action: Action,
    given: Noun,
    loss: ServiceLoss | None,
    network: Network,
    station: str,
    nodes: Iterable[LedgerNode],
) -> Effect:
    """The effect on tenants of an act that is due, whose inputs are known; nothing if it asks for no consent.

    Args:
        action: What is done.
        given: Its inputs.
        loss: The service that it takes, where the action tells (``Action.takes``).
        network: Current network.
        station: The device.
        nodes: Nodes of ours there, and on stations that its function serves.
    """
    if action.consent is None:
        return Effect(station)
    named = given.cells if isinstance(given, CellNames) else ALL
    if loss is None and not named:
        return Effect(station)
    nodes, cells = [*nodes], None if named == ALL else frozenset(named)
    act = AskingAct("", action, action.consent, given, cells, planned=False)
    (off,) = _by_act([act], _own_cells(network, station, nodes), loss)
    made = (
        _outage(network, station, loss, action.outage)
        if loss is not None
        else _effect(station, action.consent, nodes, cells or frozenset(), action.outage)
    )
    return replace(made, off=off)


def beyond(constraints: RunConstraints, effect: Effect) -> list[str]:
    """What an act would do to tenants that the run has not asked them for, in words; empty if it asked for all.

    Cells and tenants in ``RunConstraints.spared`` were not asked.

    Args:
        constraints: What the run was accepted under.
        effect: What is about to happen, by the values and states of now.
    """
    group, about = constraints.of(effect.station), constraints.about.get(effect.station, ())
    asked = frozenset(group.asks if group is not None else ())
    elsewhere = bool(about) and not (effect.cells and effect.cells <= {*about})
    where = f" at cell {', '.join(sorted(effect.cells))}" if effect.cells else ""
    # Where cells were named, a yes is for those of them that were its tenant's own then.
    known = {(tenant, cell) for cell, tenant in constraints.asked_off.get(effect.station, ())}
    others = {tenant for tenant, _ in effect.off.off - known} if known else set()
    return [
        f"{action} {tenant}{where}"
        for tenant, action in sorted(effect.asks)
        if elsewhere or (tenant, action) not in asked or tenant in others
    ]


def taken_unasked(
    action: Action,
    change: Change | None,
    operations: Iterable[Operation],
    nodes: Collection[LedgerNode],
    asked: Collection[tuple[str, ActionClass]] | None = None,
    about: Collection[str] = (),
    loss: ServiceLoss | None = None,
) -> str:
    """What an act really takes from tenants that were not asked for it, in words; empty if it takes nothing unasked.

    An action says itself which class of consent it needs, and may be wrong. So its change is judged by what it does.

    Args:
        action: What is done.
        change: Its change; None for the change of the run's plan, which tenants are asked about by itself.
        operations: Its operations. They interrupt all of the device.
        nodes: Nodes of ours there, and on stations that its function serves.
        asked: Whom the run asked for what; None before it has asked, if all are asked what the action says.
        about: Cells that this is about; empty for all.
        loss: The service that it takes, where the action tells: who gets none there is not asked.
    """
    tenants = {owner for node in nodes for owner in node.owners} - {HOST}
    interrupts = any(operation.kind.interrupts for operation in operations)
    taken = {(tenant, ActionClass.INTERRUPT, "") for tenant in (tenants if interrupts else ())}
    if change is not None:
        taken |= taken_by(change, nodes, restores=action.consent is ActionClass.RESTORE)

    told = loss.serving | loss.idle if loss is not None else frozenset()

    def is_asked(tenant: str, needed: ActionClass, cell: str) -> bool:
        if needed is ActionClass.INTERRUPT and (not cell or (cell, tenant) in told) and loss is not None:
            return True
        if about and cell not in about:
            return False
        # Who agrees to lose service for good agrees to the interruption by which it goes.
        enough = {needed, ActionClass.REDUCE}
        said = {action.consent} if asked is None else {one for who, one in asked if who == tenant}
        return not enough.isdisjoint(said)

    wrong = sorted(one for one in taken if not is_asked(*one))
    if not wrong:
        return ""
    words = [f"{needed} {tenant}{f' at cell {cell}' * bool(cell)}" for tenant, needed, cell in wrong]
    says = "None" if action.consent is None else str(action.consent)
    return f"action {action.name} (consent={says}) would {', '.join(words)}, whose consent was not asked"


def _outage(network: Network, station: str, loss: ServiceLoss, lasts: Outage) -> Effect:
    cells = frozenset(cell for cell, _ in loss.serving or loss.idle)
    about = cells if network.has_cells(station) else frozenset[str]()
    return effect_of_outage(station, loss.serving, loss.idle, about, lasts)


def _effect(
    station: str, action: ActionClass, nodes: Iterable[LedgerNode], cells: frozenset[str], lasts: Outage
) -> Effect:
    """The effect of steps on all tenants at these cells (empty: all cells there)."""
    entries = [entry for entry in nodes if not cells or cell_of(entry.path) in cells]
    tenants = {owner for entry in entries for owner in entry.owners} - {HOST}
    made = effect_on(station, tenants, action, cells, lasts)
    if action is not ActionClass.REDUCE or lasts.kind is not OutageKind.FOR_GOOD:
        return made
    on_air = [entry for entry in entries if broadcast_plmn(entry.path)]
    lost = {(owner, cell_of(entry.path)) for entry in on_air for owner in entry.owners if owner != HOST}
    return replace(made, withdrawn=frozenset(lost))
