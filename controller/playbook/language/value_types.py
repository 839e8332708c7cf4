"""Types of values in expressions, as far as they follow from parameters and from what actions take and say.

Only what can't be right is a mistake: a text may be a number that is written out, and what is not known fits anything.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from jinja2 import nodes
from pydantic.fields import FieldInfo

from controller.inventory.source import suggest
from controller.models.network import Noun
from controller.models.scalars import Codes
from controller.playbook.language.expressions import Expression
from controller.playbook.language.parameters import Parameter, ParameterType


class Form(StrEnum):
    """Form of a value, in words."""

    TEXT = "a text"
    NUMBER = "a number"
    TRUTH = "true or false"
    LIST = "a list"
    MAPPING = "a mapping"


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of a value.

    Attributes:
        item: Of a list: the type of its items; None if that is not known.
        members: Of a mapping: the types of its members; None if they are not known.
        choices: Of a text: all that it can be; empty if that is not known.
    """

    form: Form
    item: ValueType | None = None
    members: Mapping[str, ValueType | None] | None = field(default=None, hash=False)
    choices: frozenset[str] = field(default=frozenset(), compare=False)


TEXT, NUMBER, TRUTH = ValueType(Form.TEXT), ValueType(Form.NUMBER), ValueType(Form.TRUTH)
#: Given forms that no conversion makes the wanted one of.
_NEVER: Mapping[Form, frozenset[Form]] = {
    Form.TEXT: frozenset(Form) - {Form.TEXT},
    Form.NUMBER: frozenset({Form.LIST, Form.MAPPING}),
    Form.TRUTH: frozenset({Form.LIST, Form.MAPPING}),
    Form.LIST: frozenset(Form) - {Form.LIST},
    Form.MAPPING: frozenset(Form) - {Form.MAPPING},
}
_PLAIN: Mapping[type, ValueType] = {bool: TRUTH, int: NUMBER, float: NUMBER, str: TEXT}
_BY_PARAMETER = {ParameterType.INT: NUMBER, ParameterType.BOOL: TRUTH}


def type_of_parameter(parameter: Parameter) -> ValueType:
    """The type of a parameter's value, if it has one."""
    if parameter.type is ParameterType.STRING and parameter.choices:
        return ValueType(Form.TEXT, choices=frozenset(parameter.choices))
    return _BY_PARAMETER.get(parameter.type, TEXT)


def type_of_model(model: type[Noun]) -> ValueType:
    """The type of what an action says."""
    return ValueType(Form.MAPPING, members={name: _of_field(one) for name, one in model.model_fields.items()})


def _of_field(field: FieldInfo) -> ValueType | None:
    """The type of a field, with all codes that it can have, also none."""
    found = _only(types_of(field.annotation))
    codes = next((one for one in field.metadata if isinstance(one, Codes)), None)
    return found if found is None or codes is None else replace(found, choices=frozenset({"", *codes.names}))


def types_of(annotation: Any) -> tuple[ValueType, ...]:
    """Types that a field takes; none if that may be anything."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return types_of(arguments[0])
    if origin in (Union, types.UnionType):
        each = [types_of(one) for one in arguments if one is not type(None)]
        return tuple(one for found in each for one in found) if all(each) else ()
    if origin is Literal:
        if all(isinstance(one, str) for one in arguments):
            return (ValueType(Form.TEXT, choices=frozenset(map(str, arguments))),)
        return tuple({_PLAIN[type(one)] for one in arguments if type(one) in _PLAIN})
    if origin in (tuple, list):
        return (ValueType(Form.LIST, item=_only(types_of(arguments[0])) if arguments else None),)
    if origin is dict:
        return (ValueType(Form.MAPPING),)
    return _of_class(annotation)


def _of_class(annotation: Any) -> tuple[ValueType, ...]:
    if not isinstance(annotation, type):
        return ()
    if issubclass(annotation, Noun):
        return (type_of_model(annotation),)
    if issubclass(annotation, StrEnum):
        return (ValueType(Form.TEXT, choices=frozenset(one.value for one in annotation)),)
    found = next((known for plain, known in _PLAIN.items() if issubclass(annotation, plain)), None)
    return () if found is None else (found,)


def _only(found: tuple[ValueType, ...]) -> ValueType | None:
    return found[0] if len(found) == 1 else None


# ------------------------------------------------------------------------- mistakes


@dataclass(frozen=True, slots=True)
class Mistake:
    """What can't be right in an expression, and what would be.

    Attributes:
        certain: Whether it can't be right; else it can be for some values only.
    """

    message: str
    expected: str = ""
    certain: bool = True


def mistakes_in(expression: Expression, known: Mapping[str, ValueType | None]) -> list[Mistake]:
    """Members that there are none of, and operations on values of the wrong type."""
    reader = _Reader(known)
    for part in expression.parts:
        reader.read(part)
    return list(dict.fromkeys(reader.found))


def mistakes_in_condition(expression: Expression, known: Mapping[str, ValueType | None]) -> list[Mistake]:
    """Parts of a condition, of one expression, that are neither true nor false."""
    reader = _Reader(known)
    reader.condition(expression.whole)
    return [one for one in dict.fromkeys(reader.found) if one not in mistakes_in(expression, known)]


def unfit(given: Any, wanted: tuple[ValueType, ...], known: Mapping[str, ValueType | None]) -> Iterator[Mistake]:
    """Why a value with expressions can't be what a field takes; literal parts are not looked at.

    Args:
        given: A text, or a list of such.
        wanted: What the field takes (``types_of``).
        known: Types of the names.
    """
    if isinstance(given, str) and "{" in given:
        expression = Expression(given)
        found = (
            None if expression.is_constant else _Reader(known).read(expression.whole) if expression.is_whole else TEXT
        )
        if found is not None and wanted and all(_never(found, one) for one in wanted):
            are = " or ".join(dict.fromkeys(_words(one) for one in wanted))
            yield Mistake(f"{given} is {_words(found)}", f"{are}{_remedy(given, found, wanted)}")
        elif found is not None and found.form is Form.TEXT:
            yield from _unfit_text(given, found, wanted)
    elif isinstance(given, list | tuple):
        items = tuple(one.item for one in wanted if one.form is Form.LIST and one.item is not None)
        for one in given:
            yield from unfit(one, items, known)


def _unfit_text(given: str, found: ValueType, wanted: tuple[ValueType, ...]) -> Iterator[Mistake]:
    """Why a text can't be one of the words that a field takes, or is one only for some values."""
    takers = [one for one in wanted if not _never(found, one)]
    words = frozenset(word for one in takers for word in one.choices)
    if not takers or any(not one.choices for one in takers):
        return
    are = " or ".join(sorted(words))
    lists = any(one.form is Form.LIST for one in wanted)
    if found.choices and found.choices.isdisjoint(words):
        near = "" if lists else suggest(min(found.choices), sorted(words))
        yield Mistake(f"{given} is never {are}", near or f"{'a list, or ' * lists}{are}{_remedy(given, found, wanted)}")
    elif odd := sorted(found.choices - words):
        yield Mistake(f"{given} may be {odd[0]}", f"{'a list, or ' * lists}{are}", certain=False)
    elif lists and not found.choices:
        # Of a word alone it is seen when the run is asked for; a name where names are meant is a mistake of the file.
        yield Mistake(
            f"{given} is a text, which is right only as the word {are}",
            f"a list{_remedy(given, found, wanted)}",
            certain=False,
        )


def _never(found: ValueType, wanted: ValueType) -> bool:
    if found.form in _NEVER[wanted.form]:
        return True
    return found.item is not None and wanted.item is not None and _never(found.item, wanted.item)


def _words(one: ValueType) -> str:
    if one.form is Form.LIST and one.item is not None:
        return "a list of " + {Form.TEXT: "texts", Form.NUMBER: "numbers"}.get(one.item.form, "other values")
    return one.form.value


def _remedy(given: str, found: ValueType, wanted: tuple[ValueType, ...]) -> str:
    """How a list is made of one text."""
    lists = any(one.form is Form.LIST and one.item == TEXT for one in wanted)
    return f', as in ["{given}"]' if lists and found.form is Form.TEXT else ""


class _Reader:
    """Finds the types of the parts of expressions, and what can't be right in them."""

    def __init__(self, known: Mapping[str, ValueType | None]) -> None:
        self._known = known
        self.found: list[Mistake] = []

    def read(self, node: nodes.Node | None) -> ValueType | None:
        """The type of a part; None if it is not known."""
        reader = _READERS.get(type(node))
        if reader is not None:
            return reader(self, node)
        for inner in () if node is None else node.iter_child_nodes():
            self.read(inner)
        return _RESULTS.get(type(node))

    def name(self, node: nodes.Name) -> ValueType | None:
        """A name."""
        return self._known.get(node.name)

    def constant(self, node: nodes.Const) -> ValueType | None:
        """A literal, which a list of literals is, too; none has no type."""
        if isinstance(node.value, list | tuple):
            items = {_PLAIN.get(type(one)) for one in node.value}
            return ValueType(Form.LIST, item=items.pop() if len(items) == 1 else None)
        return _PLAIN.get(type(node.value))

    def member(self, node: nodes.Getattr) -> ValueType | None:
        """A member by its name."""
        return self._member(node.node, str(node.attr))

    def item(self, node: nodes.Getitem) -> ValueType | None:
        """An item of a list, or a member of a mapping."""
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._member(node.node, node.arg.value)
        self.read(node.arg)
        of = self.read(node.node)
        if of is None or of.form is Form.MAPPING:
            return None
        if of.form is not Form.LIST:
            self._say(f"{_spelt(node.node)} is {of.form}, which has no items")
        return of.item

    def _member(self, inner: nodes.Expr, name: str) -> ValueType | None:
        of = self.read(inner)
        if of is None or (of.form is Form.MAPPING and of.members is None):
            return None
        if of.members is None:
            first = f"an item first, as in {_spelt(inner)}[0]" if of.form is Form.LIST else ""
            self._say(f"{_spelt(inner)} is {of.form}, which has no {name}", first)
            return None
        if name not in of.members:
            has = f"it has {', '.join(of.members) or 'nothing'}"
            self._say(f"{_spelt(inner)} has no {name}", suggest(name, of.members) or has)
            return None
        return of.members[name]

    def condition(self, node: nodes.Node | None) -> None:
        """Read a part that decides: it is true or false."""
        if isinstance(node, nodes.And | nodes.Or):
            self.condition(node.left)
            self.condition(node.right)
        elif isinstance(node, nodes.CondExpr):
            self.condition(node.test)
            self.condition(node.expr1)
            self.condition(node.expr2)
        else:
            found = self.read(node)
            if node is not None and found is not None and found != TRUTH:
                shown = _spelt(node)
                self._say(f"{shown} is {_words(found)}, which is neither true nor false", _condition_of(shown, found))

    def opposite(self, node: nodes.Not) -> ValueType | None:
        """The opposite of a condition."""
        self.condition(node.node)
        return TRUTH

    def either(self, node: nodes.CondExpr) -> ValueType | None:
        """One of two values."""
        self.condition(node.test)
        return _both(self.read(node.expr1), self.read(node.expr2))

    def one_of(self, node: nodes.BinExpr) -> ValueType | None:
        """The value of ``and`` and ``or``."""
        return _both(self.read(node.left), self.read(node.right))

    def sum(self, node: nodes.Add) -> ValueType | None:
        """A sum, or two texts or lists joined."""
        left, right = self.read(node.left), self.read(node.right)
        if left is not None and right is not None and left.form is not right.form:
            self._say(f"{left.form} and {right.form} can't be added", "use ~ to join texts")
        return _both(left, right)

    def listed(self, node: nodes.List | nodes.Tuple) -> ValueType | None:
        """A list."""
        items = [self.read(one) for one in node.items]
        return ValueType(Form.LIST, item=reduce(_both, items) if items else None)

    def compared(self, node: nodes.Compare) -> ValueType | None:
        """A comparison, of which each has to be possible."""
        left, at = self.read(node.expr), node.expr
        for operand in node.ops:
            right = self.read(operand.expr)
            if left is not None and right is not None:
                self._compare(left, operand.op, right)
            within = operand.op in ("in", "notin")
            if within or operand.op in ("eq", "ne"):
                self._choices(left, operand.expr)
                self._choices(right.item if within and right is not None else right, at)
            left, at = right, operand.expr
        return TRUTH

    def _compare(self, left: ValueType, operator: str, right: ValueType) -> None:
        ordered = operator in ("gt", "gteq", "lt", "lteq")
        if ordered and left.form is not right.form:
            self._say(f"{left.form} is neither less nor more than {right.form}")
        elif operator in ("eq", "ne") and left.form is not right.form:
            self._say(f"{_words(left)} never equals {_words(right)}", _equal_to(left, right))
        elif operator in ("in", "notin"):
            self._within(left, right)

    def _within(self, left: ValueType, right: ValueType) -> None:
        """Check that something can be in something else."""
        if right.form in (Form.NUMBER, Form.TRUTH):
            self._say(f"nothing is in {right.form}", "a list, a text or a mapping")
        elif right.form is Form.LIST and right.item is not None and right.item.form is not left.form:
            self._say(f"{_words(left)} is never in {_words(right)}", _equal_to(left, right.item))
        elif right.form in (Form.TEXT, Form.MAPPING) and left.form is not Form.TEXT:
            self._say(f"{_words(left)} is never in {right.form}", "a text")

    def _choices(self, of: ValueType | None, node: nodes.Node) -> None:
        """Check that a literal, or each of a list, is one of what it is compared with."""
        if of is None or not of.choices:
            return
        names, found = sorted(filter(None, of.choices)), node.value if isinstance(node, nodes.Const) else None
        for one in found if isinstance(found, list | tuple) else (found,):
            if isinstance(one, str) and one not in of.choices:
                self._say(f"it is never {one!r}", suggest(one, names) or f"it is one of {', '.join(names)}")

    def filtered(self, node: nodes.Filter) -> ValueType | None:
        """What a filter makes."""
        of = self.read(node.node)
        others = [self.read(one) for one in node.args]
        if node.name == "default":
            return _both(of, others[0] if others else TEXT)
        countless = of is not None and of.form in (Form.NUMBER, Form.TRUTH)
        if countless and node.name in _OF_SEVERAL and of is not None and node.node is not None:
            self._say(f"{_spelt(node.node)} is {of.form}, and {node.name} needs a list")
        if node.name == "length" and of is not None and of.members and node.node is not None:
            self._say(f"{_spelt(node.node)} has always as many members", _condition_of(_spelt(node.node), of))
        if node.name in ("first", "last"):
            return of.item if of is not None and of.form is Form.LIST else None
        if node.name in ("sort", "unique", "list"):
            return of if of is not None and of.form is Form.LIST else ValueType(Form.LIST)
        return _FILTERED.get(node.name)

    def _say(self, message: str, expected: str = "") -> None:
        self.found.append(Mistake(message, expected))


def _equal_to(one: ValueType, other: ValueType) -> str:
    """How two values of different types are compared."""
    forms = {one.form, other.form}
    if forms == {Form.TEXT, Form.NUMBER}:
        return "texts stand in quotes, numbers do not; the filter int makes a number of a text"
    if Form.TRUTH in forms:
        return "true and false stand without quotes; a truth value needs no comparison, as in {{ output.changed }}"
    return "both of the same type"


def _condition_of(shown: str, of: ValueType) -> str:
    """A condition about a value that is none itself."""
    name = "…" if shown == "this" else shown
    if of.form is Form.MAPPING and of.members:
        return _condition_of_member(name, of.members)
    if of.form is Form.TEXT:
        word = "yes" if "yes" in of.choices else min(filter(None, of.choices), default="yes")
        return f"a comparison, as in {name} == {word!r}"
    return f"a comparison, as in {name}{'' if of.form is Form.NUMBER else ' | length'} > 0"


def _condition_of_member(name: str, members: Mapping[str, ValueType | None]) -> str:
    """A condition about what decides in an output: the answer to a question, or else whether something is so."""
    known = {member: of for member, of in members.items() if of is not None}
    chosen = next((member for member, of in known.items() if of.choices), None)
    if chosen is not None:
        return _condition_of(f"{name}.{chosen}", known[chosen])
    so = next((member for member, of in known.items() if of.form is Form.TRUTH), None)
    return f"one of its members, as in {name}.{so or next(iter(members))}"


_OF_SEVERAL = frozenset({"length", "first", "last", "sort", "unique", "list", "join", "sum", "keys", "values"})
_FILTERED: Mapping[str, ValueType] = {
    **dict.fromkeys(("string", "lower", "upper", "trim", "join"), TEXT),
    **dict.fromkeys(("int", "length", "sum"), NUMBER),
    **dict.fromkeys(("keys", "values"), ValueType(Form.LIST)),
}
#: Types of parts whatever is in them.
_RESULTS: Mapping[type, ValueType] = {
    nodes.Test: TRUTH,
    nodes.Concat: TEXT,
    nodes.Sub: NUMBER,
    nodes.Neg: NUMBER,
    nodes.Dict: ValueType(Form.MAPPING),
}
_READERS: Mapping[type, Callable[[_Reader, Any], ValueType | None]] = {
    nodes.Name: _Reader.name,
    nodes.Const: _Reader.constant,
    nodes.Getattr: _Reader.member,
    nodes.Getitem: _Reader.item,
    nodes.CondExpr: _Reader.either,
    nodes.Not: _Reader.opposite,
    nodes.And: _Reader.one_of,
    nodes.Or: _Reader.one_of,
    nodes.Add: _Reader.sum,
    nodes.List: _Reader.listed,
    nodes.Tuple: _Reader.listed,
    nodes.Compare: _Reader.compared,
    nodes.Filter: _Reader.filtered,
}


def _both(one: ValueType | None, other: ValueType | None) -> ValueType | None:
    """The type of one of two values: where one may be any text, so may this."""
    if one is None or other is None or one != other:
        return None
    choices = one.choices | other.choices if one.choices and other.choices else frozenset[str]()
    return replace(one, choices=choices)


def _spelt(node: nodes.Node) -> str:
    match node:
        case nodes.Name():
            return str(node.name)
        case nodes.Getattr():
            return f"{_spelt(node.node)}.{node.attr}"
        case nodes.Getitem(arg=nodes.Const(value=key)):
            return f"{_spelt(node.node)}[{key!r}]"
        case nodes.Getitem():
            return f"{_spelt(node.node)}[…]"
    return "this"
