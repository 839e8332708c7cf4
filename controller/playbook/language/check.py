"""Checks a playbook without running it: names, expressions, actions and their inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pydantic.fields import FieldInfo

from controller.inventory.selectors import parse_selector
from controller.inventory.source import Entry, FieldPath, Report
from controller.models.credentials import Credentials
from controller.models.errors import InputError
from controller.models.network import NAMED_KINDS, DeviceKind, Network
from controller.models.run import Policy
from controller.playbook.language.endings import may_stay_locked
from controller.playbook.language.expressions import (
    UNKNOWN,
    Expression,
    evaluate,
    expressions_in,
    foreseen,
    holds,
    may_hold,
)
from controller.playbook.language.parameters import ParameterType
from controller.playbook.language.playbook import (
    APPLY_INTENT,
    LONGEST_SOAK,
    OUTPUT,
    RESERVED,
    RUN,
    RUN_MEMBERS,
    TARGET,
    TARGET_MEMBERS,
    Playbook,
    Step,
    Undo,
    count_of,
    removals,
    target_names,
)
from controller.playbook.language.registry import Action, DeviceAccess, Registry
from controller.playbook.language.value_types import (
    NUMBER,
    TEXT,
    TRUTH,
    Form,
    ValueType,
    mistakes_in,
    mistakes_in_condition,
    type_of_model,
    type_of_parameter,
    types_of,
    unfit,
)

#: An expression that is one name and nothing else.
_ONE_NAME = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")
#: An expression in a text.
_EXPRESSION = re.compile(r"\{\{.*?\}\}")
#: A condition of a selector: a comma inside of an expression does not end it.
_CONDITION = re.compile(r"(?:\{\{.*?\}\}|[^,])+")
RETIRE = "retire-station"
#: Actions that change which nodes are ours can only be undone by their inverse.
_BY_INVERSE = frozenset({APPLY_INTENT, "remove-nodes", "remove-router-nodes"})


def check(
    playbook: Playbook, registry: Registry, entry: Entry, report: Report, left_out: Collection[FieldPath] = ()
) -> None:
    """Report all errors of a playbook that has the right form; and where it has none, what it may not mean.

    Args:
        playbook: The playbook.
        registry: All actions.
        entry: Where it stands.
        report: Collects errors.
        left_out: Fields that are not of the right form, and so not in the playbook as they are in the file. Nothing is
            said of them, nor of what depends on them.
    """
    checker = _Check(playbook, registry, entry, report, left_out)
    checker.all()
    if not any(problem.file == entry.file for problem in report.problems):
        checker.warnings()


def check_values(playbook: Playbook, registry: Registry, values: Mapping[str, Any]) -> None:
    """Check the inputs of steps, as far as they follow from parameters alone.

    Raises:
        InputError: All that is wrong, one a line.
    """
    steps, known = playbook.may_run(values)
    checks = (check for check in playbook.soak_checks if may_hold(check.when, known))
    wrong = [
        f"step {step.name!r}: {line}"
        for step in (*steps, *checks)
        for line in _refused(registry.action(step.action), step.with_, known)
    ]
    if wrong:
        raise InputError("\n".join(wrong))


def check_secrets(playbook: Playbook, registry: Registry, values: Mapping[str, Any], credentials: Credentials) -> None:
    """Check that each action that would get a secret may get it.

    Raises:
        InputError: All that may not, one a line.
    """
    acts = [(step.name, one) for step in (*playbook.steps, *playbook.soak_checks) for one in (step, step.undo) if one]
    wrong = []
    for name, act in acts:
        given = evaluate({key: act.with_.get(key) for key in registry.action(act.action).secrets}, values)
        for secret in filter(None, given.values()):
            try:
                credentials.check_action(secret, act.action)
            except InputError as error:
                wrong.append(f"step {name!r}: {error.message}")
    if wrong:
        raise InputError("\n".join(wrong))


def check_devices(
    playbook: Playbook, registry: Registry, values: Mapping[str, Any], network: Network, devices: Iterable[str]
) -> None:
    """Check that each step fits the devices on which it would run.

    Raises:
        InputError: All steps that are, one a line, each with a device.
    """
    wrong = []
    for step in (*playbook.steps, *playbook.soak_checks):
        meant = registry.action(step.action).devices
        for device in devices:
            kind = network.device_kinds[device]
            names = {**values, TARGET: target_names(network, device)}
            if meant not in (None, kind) and holds(step.when, names):
                wrong.append(f"step {step.name!r}: {step.action} is for {meant}s only, and {device} is a {kind}")
                break
    if wrong:
        raise InputError("\n".join(wrong))


def _refused(act: Action, given: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Errors in an action's inputs, without inputs that are not known before the run."""
    known: dict[str, Any] = {}
    for name, value in given.items():
        with suppress(InputError):
            if (found := foreseen(value, values)) is not UNKNOWN:
                known[name] = found
    if known.keys() < given.keys():
        return [f"{name}: {wrong}" for name, value in known.items() if (wrong := act.check_input(name, value))]
    return act.wrong_inputs(known)


def readies_pools(playbook: Playbook, registry: Registry) -> bool:
    """Whether a playbook without a plan makes pools ready for the functions that it brings there."""
    used = [one for step in playbook.steps if (one := registry.actions.get(step.action)) is not None]
    brings = any(one.brings is not None for one in used)
    return playbook.plan is None and brings and any(one.name == APPLY_INTENT for one in used)


def check_actions(entry: Entry, wrong: Sequence[FieldPath], registry: Registry, report: Report) -> None:
    """Report errors in actions and inputs of a playbook that does not have the right form.

    Names in expressions are checked once the form is right.

    Args:
        entry: The playbook.
        wrong: Fields that are not of the right form, as reported.
        registry: All actions.
        report: Collects it.
    """
    checker = _Inputs(registry, entry, report)
    around = {tuple(path[:length]) for path in wrong for length in range(len(path) + 1)}
    for section in ("steps", "soak_checks"):
        found = entry.data.get(section) if isinstance(entry.data, dict) else None
        for index, step in enumerate(found if isinstance(found, list) else ()):
            for at, one in (((section, index), step), ((section, index, "undo"), _inner(step, "undo"))):
                name, given = _inner(one, "action"), _inner(one, "with", {})
                reported = not around.isdisjoint(((*at, "action"), (*at, "with")))
                if isinstance(name, str) and isinstance(given, dict) and not reported:
                    checker.action(at, name, given)


def _inner(node: Any, key: str, default: Any = None) -> Any:
    return node.get(key, default) if isinstance(node, dict) else default


_TRUTHS = frozenset({*(one.value for one in NAMED_KINDS), "virtual"})
_TARGET_TYPE = ValueType(
    Form.MAPPING,
    members=dict.fromkeys(TARGET_MEMBERS, TEXT)
    | dict.fromkeys(_TRUTHS, TRUTH)
    | {"cells": ValueType(Form.LIST, item=TEXT)},
)
_RUN_TYPE = ValueType(Form.MAPPING, members=dict.fromkeys(RUN_MEMBERS, TEXT))


def _texts(given: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(given, str):
        yield given
    inner = given.values() if isinstance(given, Mapping) else given if isinstance(given, list | tuple) else ()
    for one in inner:
        yield from _texts(one)


class _Inputs:
    """Actions, their inputs, and expressions in them."""

    def __init__(self, registry: Registry, entry: Entry, report: Report) -> None:
        self._registry = registry
        self._entry = entry
        self._report = report
        #: Names that expressions know at this point, with their types if known; None if names are not checked.
        self._known: dict[str, ValueType | None] | None = None
        #: Whether it knows all names that the file has.
        self._knows_all = True
        #: Parameters that are secrets; None if names are not checked.
        self._secrets: frozenset[str] | None = None

    def action(self, at: FieldPath, name: str, given: Mapping[str, Any]) -> Action | None:
        """Check an action and its inputs; returns the action, if its name is known."""
        act = self._registry.actions.get(name)
        if act is None:
            known = self._registry.actions
            hint = self._report.did_you_mean(name, known) or f"actions are {', '.join(known)}"
            self._say((*at, "action"), "no such action", hint, name)
            for key, value in given.items():
                # Which of its inputs are secrets is not known.
                alone = _ONE_NAME.fullmatch(value) if isinstance(value, str) else None
                if alone is None or alone[1] not in (self._secrets or ()):
                    self._is_wrong((*at, "with", key), value)
            return None
        fields, before = act.inputs.model_fields, len(self._report.problems)
        for key, value in given.items():
            self._input((*at, "with", key), act, key, value)
        for key in fields:
            if fields[key].is_required() and key not in given:
                self._say((*at, "with"), f"{name} needs {key}: {fields[key].description or ''}".rstrip(": "))
        if len(self._report.problems) == before and not any(expressions_in(given)):
            try:
                act.check_inputs(given)
            except InputError as error:
                self._say((*at, "with"), error.message)
        return act

    def _input(self, where: FieldPath, act: Action, key: str, value: Any) -> None:
        fields = act.inputs.model_fields
        if key not in fields:
            known = f"inputs are {', '.join(fields)}" if fields else "it has none"
            hint = self._report.did_you_mean(key, fields) or known
            self._say(where, f"{act.name} has no such input", hint)
        elif key in act.secrets:
            self._secret(where, value)
        elif not self._expressions(where, value):
            errors = act.input_errors(key, value)
            for inside, wrong, expected in errors:
                self._say((*where, *inside), wrong, expected, value)
            if not errors:
                self._odd(where, key, fields[key])
        elif self._known is not None and not self._is_wrong(where, value, silent=True):
            for one in unfit(value, types_of(fields[key].annotation), self._known):
                say = self._say if one.certain else self._warn
                say(where, one.message, f"{key} takes {one.expected}: {fields[key].description or ''}".rstrip(": "))

    def _odd(self, where: FieldPath, key: str, field: FieldInfo) -> None:
        """Report truth values and nothing where texts are wanted: ``true`` would be the name of something."""
        takes = types_of(field.annotation)
        if not takes or any(one == TRUTH or (one.form is Form.LIST and one.item in (None, TRUTH)) for one in takes):
            return
        for place, odd in self._entry.odd_in(where):
            text = f"{key}: {field.description or 'a text'}".rstrip(".")
            self._say(place, f"is {odd}", f"{text}; a text that is written so stands in quotes")

    def _secret(self, where: FieldPath, given: Any) -> None:
        """Check an input that is a secret; a literal is not repeated."""
        found = _ONE_NAME.fullmatch(given) if isinstance(given, str) else None
        if found is None or (self._secrets is not None and found[1] not in self._secrets):
            message = "is a secret, and takes nothing but a parameter with secret: true"
            self._say(where, message, 'as in "{{ password }}"')

    def _expressions(self, where: FieldPath, given: Any) -> bool:
        """Check expressions; returns whether there are any (or an invalid one was reported)."""
        return self._is_wrong(where, given) or any(True for _ in expressions_in(given))

    def _is_wrong(self, where: FieldPath, given: Any, *, silent: bool = False) -> bool:
        """Check expressions; returns whether one is invalid, as reported unless ``silent``."""
        wrong = []
        for text in _texts(given):
            try:
                if any(True for _ in expressions_in(text)) and not silent:
                    self._names(where, Expression(text))
            except InputError as error:
                wrong.append(error.message)
        for message in () if silent else dict.fromkeys(wrong):
            self._say(where, message)
        return bool(wrong)

    def _names(self, where: FieldPath, expression: Expression) -> None:
        if self._known is None:
            return
        for name in sorted(expression.names & (self._secrets or frozenset())):
            expected = 'an input of an action that is a secret, alone, as in "{{ ' + name + ' }}"'
            self._say(where, f"{name} is a secret, which goes nowhere else", expected)
        # Without the section of parameters nobody knows which names there are.
        for name in sorted(expression.names - self._known.keys()) if self._knows_all else ():
            hint = self._report.did_you_mean(name, self._known) or f"known here: {', '.join(self._known) or 'nothing'}"
            self._say(where, f"unknown name {name}", hint)
        for one in mistakes_in(expression, self._known):
            self._say(where, one.message, one.expected)

    def _say(self, where: FieldPath, message: str, expected: str = "", value: Any = "") -> None:
        self._report.entry(self._entry, where, message, expected=expected, value=value)

    def _warn(self, where: FieldPath, message: str, expected: str = "") -> None:
        """Say what is probably wrong."""
        self._report.warn(self._entry, where, message, expected=expected)


class _Check(_Inputs):
    _known: dict[str, ValueType | None]

    def __init__(
        self,
        playbook: Playbook,
        registry: Registry,
        entry: Entry,
        report: Report,
        left_out: Collection[FieldPath] = (),
    ) -> None:
        super().__init__(registry, entry, report)
        self._playbook = playbook
        self._left_out = frozenset(left_out)
        self._knows_all = ("parameters",) not in self._left_out
        self._known = {
            name: None if ("parameters", name) in self._left_out else type_of_parameter(one)
            for name, one in playbook.parameters.items()
        }
        for section, number in (path[:2] for path in self._left_out if path[2:] == ("register",)):
            self._known[str(entry.data[section][number]["register"])] = None
        self._secrets = frozenset(name for name, one in playbook.parameters.items() if one.secret)

    def _say(self, where: FieldPath, message: str, expected: str = "", value: Any = "") -> None:
        if not any(where[: len(path)] == path for path in self._left_out):
            super()._say(where, message, expected, value)

    def all(self) -> None:
        """Check everything, in the order of the file."""
        for name in self._playbook.parameters:
            if name in RESERVED:
                self._say(("parameters", name), f"{name} is a name of the language")
        self._selector(("targets",), self._playbook.targets)
        self._expressions(("on_pool",), self._playbook.on_pool)
        self._expressions(("on_node",), self._playbook.on_node)
        if self._playbook.on_node is not None and self._playbook.on_pool is None and not self._lacks("on_pool"):
            self._say(("on_node",), "on_pool is missing: a node is one of a pool")
        self._selector(("strategy", "last"), self._playbook.strategy.last)
        if isinstance(soak := self._playbook.strategy.soak, str):
            self._soak_of(soak)
        if not self._lacks("plan"):
            self._plan()
        self._known |= {TARGET: _TARGET_TYPE, RUN: _RUN_TYPE}
        names: set[str] = set()
        for index, step in enumerate(self._playbook.steps):
            if step.name in names:
                self._say(("steps", index, "name"), "another step has this name")
            names.add(step.name)
            self._step(("steps", index), step)
            if step.action == RETIRE and not self._ends(index):
                message = "must be the last step, decided for each station on its own and without checks after a soak"
                self._say(("steps", index, "action"), f"{RETIRE} is not undone: it {message}")
        for index, step in enumerate(self._playbook.soak_checks):
            self._soak_check(("soak_checks", index), step)

    def warnings(self) -> None:
        """Say what is probably wrong in a playbook without errors."""
        used = {name for text in expressions_in(self._entry.data) for name in Expression(text).names}
        for name in self._playbook.parameters.keys() - used:
            self._warn(("parameters", name), "no step and no other field uses it", f'as in "{{{{ {name} }}}}"')
        retires = any(step.action == RETIRE for step in self._playbook.steps)
        for index, step in enumerate(() if retires else self._playbook.steps):
            if may_stay_locked(self._playbook, self._registry, step):
                self._stays_locked(("steps", index), step, self._playbook.steps[index + 1 :])

    def _stays_locked(self, at: FieldPath, step: Step, later: Iterable[Step]) -> None:
        """Say that cells stay locked at the end, or may."""
        unlocks = [one.name for one in later if self._registry.action(one.action).unlocks]
        if unlocks:
            message = f"its cells stay locked where {' or '.join(map(repr, unlocks))} does not unlock them"
        else:
            message = "its cells stay locked at the end: no later step unlocks them"
        made = step.register_ or "locked"
        expected = f'unlock-cell with the same cells and without when, or with when: "{{{{ {made}.changed }}}}"'
        self._warn((*at, "action"), message, f"if that is not meant: {expected}")

    def _lacks(self, *sections: str) -> bool:
        """Whether one of these sections is left out, or a whole step of it."""
        return any(path[0] in sections and (len(path) == 1 or isinstance(path[-1], int)) for path in self._left_out)

    def _soak_of(self, text: str) -> None:
        before = len(self._report.problems)
        self._one(("strategy", "soak"), text, f"seconds from 0 to {LONGEST_SOAK}, or one expression")
        for one in unfit(text, (NUMBER,), self._known) if len(self._report.problems) == before else ():
            self._say(("strategy", "soak"), one.message, one.expected)

    def _selector(self, where: FieldPath, text: str | None) -> None:
        """Check a selector: a parameter with any text could widen it, as by `cusco|*`."""
        if text is None or self._is_wrong(where, text):
            return
        # Where an expression stands, any value may come, but not what would join it with the text around.
        parts = {f"EXPRESSION{number}": part for number, part in enumerate(_EXPRESSION.findall(text))}
        shown = text
        for mark, part in parts.items():
            shown = shown.replace(part, mark, 1)
        try:
            if not any(key.strip().removeprefix("!") in parts for key in _keys(shown)):
                parse_selector(shown, parts)
        except InputError as error:
            message = error.message
            for mark, part in parts.items():
                message = message.replace(mark, part)
            self._say(where, message)
        for name in sorted({name for part in expressions_in(text) for name in Expression(part).names}):
            given = self._playbook.parameters.get(name)
            if given is not None and given.type is ParameterType.STRING and not given.choices:
                kinds = "station, site, region, tenant, router, function, pool, selector, or choices"
                self._say(where, f"{name} may be any text, which could select more than is meant", f"type {kinds}")

    @property
    def _only(self) -> DeviceKind | None:
        """The only kind of device that the targets can be; None if they may be of several, or others come along."""
        playbook = self._playbook
        if self._lacks("targets", "routers", "stations", "plan"):
            return None
        parts = [part.strip().removeprefix("!") for part in _CONDITION.findall(playbook.targets)]
        keys = {part.partition("=")[0].strip() for part in parts}
        kinds = [one for one in NAMED_KINDS if one.value in keys]
        if not kinds and "device" not in keys and not any(map(self._is_selector, parts)):
            # A selector without such a key selects nothing else.
            kinds = [one for one in DeviceKind if one.rules.by_default]
        if len(kinds) != 1 or playbook.routers or playbook.stations:
            return None
        return None if playbook.plan is not None and kinds[0].rules.takes_along else kinds[0]

    def _is_selector(self, part: str) -> bool:
        """Whether a part of the targets may turn out to have a key that is not known yet."""
        if "=" in part.partition("{{")[0]:
            return False
        if self._is_wrong(("targets",), part, silent=True):
            return True  # it is reported where it stands, and could be any
        names = {name for text in expressions_in(part) for name in Expression(text).names}
        given = (self._playbook.parameters.get(name) for name in names)
        return any(one is None or one.type is ParameterType.SELECTOR or one.choices for one in given)

    def _ends(self, index: int) -> bool:
        """Whether no later step can fail."""
        playbook = self._playbook
        alone = playbook.strategy.policy is Policy.STATION and not playbook.soak_checks
        return alone and index == len(playbook.steps) - 1 and not playbook.steps[index].checks

    def _plan(self) -> None:
        plan = self._playbook.plan
        uses = [index for index, step in enumerate(self._playbook.steps) if step.action == APPLY_INTENT]
        if plan is None:
            for index in () if readies_pools(self._playbook, self._registry) else uses:
                self._say(("steps", index, "action"), f"{APPLY_INTENT} needs the section plan")
            return
        if self._playbook.routers:
            self._say(("routers",), "a plan takes routers along by itself")
        for field in ("on_pool", "on_node", "rebalances"):
            if getattr(self._playbook, field):
                self._say((field,), "a plan is for all that the targets select")
        if not uses and not self._lacks("steps"):
            self._say(("plan",), f"a plan is of no use without a step {APPLY_INTENT}")
        for index in uses[1:]:
            self._say(("steps", index, "action"), f"another step is {APPLY_INTENT} already")
        for field in ("state", "only_tenant", "again"):
            self._expressions(("plan", field), getattr(plan, field))
        self._number(("plan", "remove"), plan.remove, removals)
        self._number(("plan", "expect_stations"), plan.expect_stations, count_of, NUMBER)
        self._truth(("plan", "again"), plan.again or "")
        if plan.limit is not None:
            self._expressions(("plan", "limit", "tenant"), plan.limit.tenant)
            self._expressions(("plan", "limit", "slice"), plan.limit.slice)

    def _number(self, where: FieldPath, text: str | None, read: Callable[[str], object], *wanted: ValueType) -> None:
        """Check a field of numbers, as ``read`` reads it where no expression stands in it."""
        if text is None or self._is_wrong(where, text):
            return
        if any(True for _ in expressions_in(text)):
            for one in unfit(text, wanted, self._known):
                self._say(where, one.message, one.expected)
            return
        try:
            read(text)
        except InputError as error:
            self._say(where, error.message)

    def _soak_check(self, at: FieldPath, step: Step) -> None:
        self._step(at, step)
        act = self._registry.actions.get(step.action)
        if act is not None and (act.access is DeviceAccess.CHANGES or act.waits):
            self._say((*at, "action"), f"{step.action} does more than read")
        for field in ("undo", "register_"):
            if getattr(step, field) is not None:
                self._say((*at, field.rstrip("_")), "a check after the soak leaves nothing behind")

    def _step(self, at: FieldPath, step: Step) -> None:
        if step.when is not None:
            self._condition((*at, "when"), step.when)
        act = self.action(at, step.action, step.with_)
        if act is not None and act.access is DeviceAccess.CHANGES and step.timeout is not None:
            message = (
                "a step that changes a device has no timeout of its own: strategy.confirm_timeout and check_timeout"
            )
            self._say((*at, "timeout"), message)
        only = self._only if step.when is None else None
        if act is not None and only is not None and act.devices not in (None, only):
            self._say((*at, "action"), f"{step.action} is for {act.devices}s only, and the targets are {only}s")
        members = _said(act, step.with_) if act else None
        if at in self._left_out:
            members = None
        self._known[OUTPUT] = members
        for number, text in enumerate(step.checks):
            self._condition((*at, "checks", number), text)
        del self._known[OUTPUT]
        if step.register_ is not None:
            if step.register_ in RESERVED or step.register_ in self._known:
                self._say((*at, "register"), f"the name {step.register_} is taken")
            self._known[step.register_] = members
        if step.undo is not None:
            self._undo((*at, "undo"), step, step.undo)

    def _undo(self, at: FieldPath, step: Step, undo: Undo) -> None:
        back = self.action(at, undo.action, undo.with_)
        if back is not None and back.waits:
            self._say((*at, "action"), f"{undo.action} may wait for long and undoes nothing")
        if undo.action == APPLY_INTENT:
            self._say((*at, "action"), f"{APPLY_INTENT} undoes nothing")
        done = self._registry.actions.get(step.action)
        if back is not None and not back.waits and _is_look(back):
            self._say((*at, "action"), f"{undo.action} only reads, and so undoes nothing", _better_undo(step, done))
        if step.action in _BY_INVERSE:
            self._say(at, f"{step.action} is taken back by its own inverse, and the ledger with it")

    def _condition(self, where: FieldPath, text: str) -> None:
        """Check a field that is true or false: a text, as an answer, is neither."""
        self._one(where, text)
        self._truth(where, text)

    def _truth(self, where: FieldPath, text: str) -> None:
        if not self._is_wrong(where, text, silent=True) and (expression := Expression(text)).is_whole:
            for one in mistakes_in_condition(expression, self._known):
                self._say(where, one.message, one.expected)

    def _one(self, where: FieldPath, text: str, wanted: str = "") -> None:
        """Check a field that must be one whole expression: with a text around it, it would always be true.

        Args:
            where: The field.
            text: Its value.
            wanted: What else it may be.
        """
        if self._is_wrong(where, text):
            return
        if not Expression(text).is_whole:
            hint = 'as in 2700 or "{{ soak }}"' if wanted else 'as in "{{ not output.changed }}"'
            self._say(where, f"must be {wanted or 'one expression and nothing else'}", hint, text)


def _is_look(act: Action) -> bool:
    """Whether an action only looks: it neither changes a device nor tells or asks anybody."""
    return act.access is DeviceAccess.READS or (act.access is DeviceAccess.NONE and act.fails)


def _better_undo(step: Step, done: Action | None) -> str:
    """A right undo of a step, in words."""
    if done is None or done.access is not DeviceAccess.CHANGES:
        return f"{step.action} changes no device: leave undo out"
    return f"an action that changes the device; without undo, {step.action} goes back by its inverse if it has one"


def _said(act: Action, given: Mapping[str, Any]) -> ValueType:
    """The type of what a step says: of an output that is one of the texts of an input, those are all that it can be."""
    said = type_of_model(act.outputs)
    members = dict(said.members or {})
    for name, source in act.choices.items():
        texts = given.get(source, act.inputs.model_fields[source].get_default())
        if isinstance(texts, list | tuple) and all(isinstance(one, str) and "{" not in one for one in texts):
            members[name] = ValueType(Form.TEXT, choices=frozenset(texts))
    return replace(said, members=members)


def _keys(selector: str) -> list[str]:
    """Keys of a selector's conditions that have one."""
    return [part.partition("=")[0] for part in selector.split(",") if "=" in part]
