"""What can be told of a playbook without running it: names, expressions, actions and their inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controller.inventory.source import Entry, FieldPath, Report, suggest
from controller.models.errors import InputError
from controller.playbook.expressions import Expression, expressions_in
from controller.playbook.language import OUTPUT, RESERVED, RUN, TARGET, Playbook, Step
from controller.playbook.registry import Action, Registry, Touches

#: Members of what every expression knows besides parameters.
TARGET_MEMBERS = ("station", "owner", "router", "site", "region", "cells")
RUN_MEMBERS = ("id", "requested_by", "reason")
APPLY_INTENT = "apply-intent"


def check(playbook: Playbook, registry: Registry, entry: Entry, report: Report) -> None:
    """Report all that is wrong with a playbook that has the right form."""
    _Check(playbook, registry, entry, report).all()


class _Check:
    def __init__(self, playbook: Playbook, registry: Registry, entry: Entry, report: Report) -> None:
        self._playbook = playbook
        self._registry = registry
        self._entry = entry
        self._report = report
        #: Names that expressions know so far, with their members where these are known.
        self._known: dict[str, tuple[str, ...] | None] = dict.fromkeys(playbook.parameters)

    def all(self) -> None:
        """Everything, in the order of the file."""
        for name in self._playbook.parameters:
            if name in RESERVED:
                self._say(("parameters", name), f"{name} is a name of the language")
        self._expressions(("targets",), self._playbook.targets)
        self._expressions(("strategy", "last"), self._playbook.strategy.last)
        self._plan()
        self._known |= {TARGET: TARGET_MEMBERS, RUN: RUN_MEMBERS}
        names: set[str] = set()
        for index, step in enumerate(self._playbook.steps):
            if step.name in names:
                self._say(("steps", index, "name"), "another step has this name")
            names.add(step.name)
            self._step(("steps", index), step)
        for index, step in enumerate(self._playbook.soak_checks):
            self._soak_check(("soak_checks", index), step)

    def _plan(self) -> None:
        plan = self._playbook.plan
        uses = [index for index, step in enumerate(self._playbook.steps) if step.action == APPLY_INTENT]
        if plan is None:
            for index in uses:
                self._say(("steps", index, "action"), f"{APPLY_INTENT} needs the section plan")
            return
        if not uses:
            self._say(("plan",), f"a plan is of no use without a step {APPLY_INTENT}")
        for index in uses[1:]:
            self._say(("steps", index, "action"), f"another step is {APPLY_INTENT} already")
        for field in ("state", "remove", "expect_stations", "only_tenant", "again"):
            self._expressions(("plan", field), getattr(plan, field))
        if plan.limit is not None:
            self._expressions(("plan", "limit", "tenant"), plan.limit.tenant)
            self._expressions(("plan", "limit", "slice"), plan.limit.slice)

    def _soak_check(self, at: FieldPath, step: Step) -> None:
        self._step(at, step)
        act = self._registry.actions.get(step.action)
        if act is not None and (act.touches is Touches.CHANGES or act.waits):
            self._say((*at, "action"), f"{step.action} does more than look")
        for field in ("undo", "register_"):
            if getattr(step, field) is not None:
                self._say((*at, field.rstrip("_")), "a check after the soak leaves nothing behind")

    def _step(self, at: FieldPath, step: Step) -> None:
        if step.when is not None:
            self._one((*at, "when"), step.when)
        act = self._action(at, step.action, step.with_)
        if act is not None and act.touches is Touches.CHANGES and step.timeout is not None:
            message = (
                "a step that changes a device has no timeout of its own: strategy.confirm_timeout and check_timeout"
            )
            self._say((*at, "timeout"), message)
        members = tuple(act.outputs.model_fields) if act else None
        self._known[OUTPUT] = members
        for number, text in enumerate(step.checks):
            self._one((*at, "checks", number), text)
        del self._known[OUTPUT]
        if step.register_ is not None:
            if step.register_ in RESERVED or step.register_ in self._known:
                self._say((*at, "register"), f"the name {step.register_} is taken")
            self._known[step.register_] = members
        if step.undo is not None:
            back = self._action((*at, "undo"), step.undo.action, step.undo.with_)
            if back is not None and back.waits:
                self._say((*at, "undo", "action"), f"{step.undo.action} may wait for long and undoes nothing")
            if step.undo.action == APPLY_INTENT:
                self._say((*at, "undo", "action"), f"{APPLY_INTENT} undoes nothing")

    def _action(self, at: FieldPath, name: str, given: Mapping[str, Any]) -> Action | None:
        act = self._registry.actions.get(name)
        if act is None:
            hint = suggest(name, self._registry.actions) or f"actions are {', '.join(self._registry.actions)}"
            self._say((*at, "action"), "no such action", hint, name)
            return None
        fields = act.inputs.model_fields
        for key, value in given.items():
            where = (*at, "with", key)
            if key not in fields:
                hint = suggest(key, fields) or (f"inputs are {', '.join(fields)}" if fields else "it has none")
                self._say(where, f"{name} has no such input", hint)
            elif self._expressions(where, value):
                continue
            elif wrong := act.check_input(key, value):
                self._say(where, wrong, value=value)
        for key in fields:
            if fields[key].is_required() and key not in given:
                self._say((*at, "with"), f"{name} needs {key}: {fields[key].description or ''}".rstrip(": "))
        return act

    def _one(self, where: FieldPath, text: str) -> None:
        """A field that must be one expression."""
        if not self._expressions(where, text):
            self._say(where, "must be an expression", 'as in "{{ output.changed }}"', text)

    def _expressions(self, where: FieldPath, given: Any) -> bool:
        """Check expressions; whether there are any (or what should be one is wrong, as reported)."""
        try:
            texts = list(expressions_in(given))
            for text in texts:
                self._names(where, Expression(text))
        except InputError as error:
            self._say(where, error.message)
            return True
        return bool(texts)

    def _names(self, where: FieldPath, expression: Expression) -> None:
        for name in sorted(expression.names - self._known.keys()):
            hint = suggest(name, self._known) or f"known here: {', '.join(self._known) or 'nothing'}"
            self._say(where, f"nothing is called {name}", hint)
        for name, member in sorted(expression.members):
            members: Sequence[str] | None = self._known.get(name)
            if members is not None and member not in members:
                hint = suggest(member, members) or f"it has {', '.join(members) or 'nothing'}"
                self._say(where, f"{name} has no {member}", hint)

    def _say(self, where: FieldPath, message: str, expected: str = "", value: Any = "") -> None:
        self._report.entry(self._entry, where, message, expected=expected, value=value)
