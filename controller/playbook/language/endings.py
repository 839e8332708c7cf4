"""How long a step of a playbook keeps cells off the air, and how late an outage may begin. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controller.models.errors import InputError
from controller.models.outage import Outage, OutageKind
from controller.models.plan import Change
from controller.models.sharing import ActionClass
from controller.playbook.language.expressions import UNKNOWN, Expression, expressions_in, foreseen
from controller.playbook.language.playbook import APPLY_INTENT, Playbook, Step
from controller.playbook.language.registry import ALL, Registry
from controller.runs.approval.outlook import LateStep

_CELLS = "cells"
#: The output by which a step says whether it changed anything.
_CHANGED = "changed"
#: The input by which an action is told how long it may take at most.
_SECONDS = "seconds"


def outage_of_step(
    playbook: Playbook, registry: Registry, step: Step, names: Mapping[str, Any], outage: Outage | None = None
) -> Outage:
    """The outage that a step causes, as the steps behind it bound it.

    A step that unlocks the same cells for certain ends it. Where that depends on what is not known yet, nothing is
    promised.

    Args:
        playbook: The playbook.
        registry: Its actions.
        step: One of its steps.
        names: What is known on the device.
        outage: The outage by itself, where that is known better than from its action.
    """
    alone = registry.action(step.action).outage if outage is None else outage
    if alone.kind is not OutageKind.UNTIL_UNLOCKED:
        return alone
    later = playbook.steps[playbook.steps.index(step) + 1 :]
    for number, one in enumerate(later):
        if (
            registry.action(one.action).unlocks
            and _surely(one, step, later[:number], names)
            and _covers(one, step, names)
        ):
            # The step that unlocks counts too: it may need all its tries.
            waits = [_most_seconds(wait, registry, names) for wait in later[: number + 1]]
            known = sum(wait for wait in waits if wait is not None)
            return Outage(kind=OutageKind.UNTIL_STEP, seconds=0 if None in waits else round(known))
    return alone


def may_stay_locked(playbook: Playbook, registry: Registry, step: Step) -> bool:
    """Whether cells that a step locks may be so at the end of the playbook, on a device of which nothing is known."""
    return outage_of_step(playbook, registry, step, {}).kind is OutageKind.UNTIL_UNLOCKED


def late_step(
    playbook: Playbook, registry: Registry, names: Mapping[str, Any], planned: Change | None
) -> LateStep | None:
    """The last step that may interrupt service on a device; None where no step before it may wait.

    Args:
        playbook: The playbook.
        registry: Its actions.
        names: What is known on the device.
        planned: What the run's plan does there.
    """
    steps, known = playbook.may_run(names)
    last = max((at for at, step in enumerate(steps) if _may_interrupt(step, registry, planned)), default=0)
    waits = {step.name: _most_seconds(step, registry, known) for step in steps[:last]}
    after = tuple(name for name, seconds in waits.items() if seconds != 0)
    if not after:
        return None
    total = [seconds for seconds in waits.values() if seconds is not None]
    return LateStep(steps[last].name, after, sum(total) if len(total) == len(waits) else None)


def _may_interrupt(step: Step, registry: Registry, planned: Change | None) -> bool:
    """Whether a step may take service from anybody, as far as that is known before it is due."""
    action = registry.action(step.action)
    if step.action == APPLY_INTENT:
        return planned is not None and planned.worst_outage.interrupts
    return action.consent in (ActionClass.INTERRUPT, ActionClass.REDUCE) or action.outage.interrupts


def _surely(step: Step, locking: Step, between: Iterable[Step], names: Mapping[str, Any]) -> bool:
    """Whether a step is carried out wherever another one before it was and locked anything."""
    if step.when is None:
        return True
    if locking.register_ is not None and step.when.strip("{} ") == f"{locking.register_}.{_CHANGED}":
        return True
    if step.when == locking.when:
        made = {one.register_ for one in (locking, *between)}
        return made.isdisjoint(Expression(step.when).names)
    try:
        return Expression(step.when).foretold(names) is True
    except InputError:
        return False


def _covers(step: Step, locking: Step, names: Mapping[str, Any]) -> bool:
    """Whether the cells of a step are at least those that another one before it locked."""
    cells, locked = step.with_.get(_CELLS), locking.with_.get(_CELLS)
    if ALL in (cells, _known(cells, names)) or cells == locked:
        return True
    if isinstance(cells, str) and cells.startswith("{{") and locking.register_ is not None:
        (text,) = expressions_in(cells) or ("",)
        if text.strip("{} ") == f"{locking.register_}.{_CELLS}":
            return True
    unlocks, locks = _known(cells, names), _known(locked, names)
    return isinstance(unlocks, list | tuple) and isinstance(locks, list | tuple) and {*locks} <= {*unlocks}


def _known(given: Any, names: Mapping[str, Any]) -> Any:
    try:
        return foreseen(given, names)
    except InputError:
        return UNKNOWN


def _most_seconds(step: Step, registry: Registry, names: Mapping[str, Any]) -> float | None:
    """How long a step may wait at most, with all its tries; None where that is not known."""
    field = registry.action(step.action).inputs.model_fields.get(_SECONDS)
    given = step.with_.get(_SECONDS, 0 if field is None else field.default)
    try:
        seconds = float(_known(given, names))  # a file has it as text
    except (TypeError, ValueError):
        return None
    return seconds * (1 + step.retries) + step.retries * step.retry_seconds
