"""Expressions of playbooks: a small, bounded part of Jinja2.

``{{ … }}`` holds one expression: names, members (``target.site``), items, comparisons, ``and``/``or``/``not``,
``x if c else y``, lists, mappings, ``+``, ``-``, ``~``, tests and a few filters. There are no statements, calls,
loops, multiplication or macros, so that what an expression may cost is bounded by its length; members are looked up
in mappings only, never on Python objects. Values are never evaluated: an alarm text that reads ``{{ 7 * 7 }}`` stays
just that. A text that is one expression as a whole keeps the type of its value.

A condition is true or false: a text, as a person's "no", a number or a list is neither. That holds for a whole
condition as for what ``not`` and ``if`` decide by.

Before a run, some names are not known yet, such as the output of an earlier step. ``foreseen`` and ``may_hold`` say
what follows from the names that are known, whatever the others will be: of ``x is defined`` nothing is known before
``x`` is. ``names_within`` says which names a value can hold at most, where the names that others hold are bounded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from controller.models.errors import InputError

#: Longest text with expressions, and longest text that may result from one.
LONGEST, LONGEST_RESULT = 1000, 20_000
#: Most characters of a value that a failed check shows.
_LONGEST_SHOWN = 200
#: Most levels of nesting, including those of the engine's own tree.
DEEPEST = 40


class Unsettled(Enum):
    """The state of a name or value that has no value, or none yet.

    Attributes:
        UNKNOWN: A value that follows only from names that are not known yet.
        ABSENT: A name that will never have a value, as the output of a step that is skipped.
    """

    UNKNOWN = "unknown"
    ABSENT = "absent"


UNKNOWN: Final = Unsettled.UNKNOWN
ABSENT: Final = Unsettled.ABSENT

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Add,
    nodes.Sub,
    nodes.Concat,
    nodes.CondExpr,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Filter,
    nodes.Test,
)

#: Arithmetic that expressions don't have, by its sign.
_NO_SIGNS: Mapping[type[nodes.Node], str] = {
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
}
#: Filters of templates elsewhere that make a list of parts of its entries, or choose some of them.
_OF_ENTRIES = ("map", "select", "reject", "selectattr", "rejectattr")


def _joined(items: Sequence[Any], between: str = ", ") -> str:
    if isinstance(items, str):
        raise InputError("join needs a list")
    return str(_bounded(str(between)[:10].join(str(item) for item in items)))


def _bounded(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict) and len(value) > LONGEST_RESULT:
        raise InputError(f"an expression may not result in more than {LONGEST_RESULT} characters or items")
    return value


class _InfiniteError(ValueError):
    """A number beyond all bounds, or none at all: no comparison with it says anything."""


def _finite(value: Any) -> Any:
    """The value, if no number in it is infinite or NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _InfiniteError(f"a part of it results in {value}, which is not a finite number")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        _finite(one)
    return value


_FILTERS: dict[str, Callable[..., Any]] = {
    "default": lambda value, other="": other if isinstance(value, Undefined) or value is None else value,
    "int": lambda value: int(str(value)[:20]),
    "string": str,
    "lower": lambda value: str(value).lower(),
    "upper": lambda value: str(value).upper(),
    "trim": lambda value: str(value).strip(),
    "length": len,
    "first": lambda items: next(iter(items), None),
    "last": lambda items: list(items)[-1] if len(items) else None,
    "sort": sorted,
    "unique": lambda items: list(dict.fromkeys(items)),
    "list": list,
    "sum": lambda items: _finite(sum(items)),
    "keys": list,
    "values": lambda mapping: list(mapping.values()),
    "join": _joined,
}
#: Names with a meaning of their own in Jinja2.
_MACHINERY = frozenset({"self", "super", "loop", "caller", "varargs", "kwargs"})
_TESTS = ("defined", "undefined", "none", "true", "false", "in", "number", "string", "mapping", "sequence")


class _NoTruthError(ValueError):
    """A condition that is neither true nor false."""


class _Conditions(CodeGenerator):
    """Lets ``not`` and ``if`` decide by truth values only, where Python takes any value for one."""

    def visit_Not(self, node: nodes.UnaryExpr, frame: Frame) -> None:  # noqa: N802 - called so by Jinja2
        """The opposite of a condition."""
        self.write("(not ")
        self._condition(node.node, frame)
        self.write(")")

    def visit_CondExpr(self, node: nodes.CondExpr, frame: Frame) -> None:  # noqa: N802 - called so by Jinja2
        """One of two values, by a condition."""
        # The inner one is a condition, and the outer one makes it the value of the test again.
        opposite = nodes.Not(node.test, lineno=node.lineno, environment=self.environment)
        test = nodes.Not(opposite, lineno=node.lineno, environment=self.environment)
        super().visit_CondExpr(_with_test(node, test), frame)

    def _condition(self, node: nodes.Expr, frame: Frame) -> None:
        if isinstance(node, nodes.And | nodes.Or):
            self.write("(")
            self._condition(node.left, frame)
            self.write(" and " if isinstance(node, nodes.And) else " or ")
            self._condition(node.right, frame)
            self.write(")")
            return
        self.write("environment.truth(")
        self.visit(node, frame)
        self.write(")")


def _with_test(node: nodes.CondExpr, test: nodes.Expr) -> nodes.CondExpr:
    return nodes.CondExpr(test, node.expr1, node.expr2, lineno=node.lineno, environment=node.environment)


class _Environment(ImmutableSandboxedEnvironment):
    """Looks members up in mappings only, decides by truth values only, and has no numbers beyond all bounds."""

    code_generator_class = _Conditions

    intercepted_binops = frozenset({"+", "-"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, cache_size=0)
        self.filters = dict(_FILTERS)
        self.tests = {name: self.tests[name] for name in _TESTS}
        self.globals = {}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The sum or difference of two values that are finite, as it is itself."""
        return _finite(super().call_binop(context, operator, _finite(left), _finite(right)))

    @staticmethod
    def truth(value: Any) -> bool:
        """The value of a condition, which is true or false and nothing else."""
        if not isinstance(value, bool):
            shown = _in_short(_defined(value))
            raise _NoTruthError(f"a condition is {shown}, which is neither true nor false: compare it with a value")
        return value

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A member of a mapping; anything else is undefined."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of a mapping or list; anything else is undefined."""
        if isinstance(obj, Undefined):
            return obj  # names what is undefined where it is used; ``default`` takes its place
        try:
            if isinstance(obj, Mapping) or (isinstance(obj, list | tuple) and isinstance(argument, int)):
                found = obj[argument]
                return _finite(found) if isinstance(found, float) else found
        except LookupError:
            return self.undefined(obj=obj, name=str(argument))
        return self.undefined(obj=obj, name=str(argument))


_ENVIRONMENT = _Environment()


class Expression:
    """A text with expressions, checked when it is made.

    Attributes:
        is_whole: Whether it is one expression and nothing else, so that its value keeps its type.

    Raises:
        InputError: It can't be read, or uses what expressions may not.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise InputError(f"a text with expressions has at most {LONGEST} characters")
        if "{%" in text or "{#" in text:
            raise InputError("statements and comments are not allowed, only expressions as in {{ tenant }}")
        try:
            self._tree, self._run = _read(text)
        except TemplateError as error:
            raise InputError(f"not an expression: {error.message or error}") from error
        except RecursionError as error:
            raise InputError("not an expression: nested too deeply") from error
        self.text = text
        self.is_whole = _whole(self._tree)

    @property
    def whole(self) -> nodes.Expr:
        """The one expression of a text that is nothing else (``is_whole``)."""
        return _outputs(self._tree)[0]

    @property
    def parts(self) -> list[nodes.Expr]:
        """Plain texts and expressions, in order."""
        return _outputs(self._tree)

    @property
    def is_constant(self) -> bool:
        """Whether there is no expression in the text."""
        return all(isinstance(node, nodes.TemplateData) for node in _outputs(self._tree))

    @property
    def names(self) -> frozenset[str]:
        """Names that the expressions need."""
        return frozenset(node.name for node in self._tree.find_all(nodes.Name))

    @property
    def members(self) -> frozenset[tuple[str, str]]:
        """Names with the first member used of each: ``locked.cells`` gives ``("locked", "cells")``."""
        found = [(node.node, node.attr) for node in self._tree.find_all(nodes.Getattr)]
        return frozenset((inner.name, member) for inner, member in found if isinstance(inner, nodes.Name))

    def found(self, names: Mapping[str, Any]) -> str:
        """The values of its names and members, as in ``output.version is 24.2.1``; empty if there are none."""
        parts: dict[str, nodes.Expr] = {}
        inner: set[int] = set()
        for node in self._tree.find_all((nodes.Name, nodes.Getattr, nodes.Getitem)):
            if isinstance(node, nodes.Getattr | nodes.Getitem):
                inner.add(id(node.node))
            if id(node) not in inner and (spelt := _spelt(node)):
                parts.setdefault(spelt, node)
        values = ((spelt, _shown(node, names)) for spelt, node in parts.items())
        return ", ".join(f"{spelt} is {value}" for spelt, value in values)

    def value(self, names: Mapping[str, Any]) -> Any:
        """The value, of its own type if the text is one whole expression, otherwise text.

        Raises:
            InputError: Something is undefined, or of the wrong type.
        """
        try:
            parts = list(self._run(_present(names)))
            found = parts[0] if self.is_whole else "".join(str(_defined(part)) for part in parts)
            return _bounded(_finite(_defined(found)))
        except InputError:
            raise
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            raise InputError(f"{self.text}: {error}") from error

    def truth(self, names: Mapping[str, Any]) -> bool:
        """Whether it is true, as a condition.

        Raises:
            InputError: As ``value``, or it is neither true nor false.
        """
        if not self.is_whole:
            raise InputError(f"{self.text}: a condition is one expression and nothing else")
        try:
            return _decided(self.whole, names)
        except InputError as error:
            raise InputError(f"{self.text}: {error.message}") from error

    def foreseen(self, names: Mapping[str, Any]) -> Any:
        """The value that it has whatever the names are that are not given; ``UNKNOWN`` if it depends on them.

        Args:
            names: Names that are known; ``ABSENT`` where one is known to stay undefined.

        Raises:
            InputError: As ``value``.
        """
        if self.names <= names.keys():
            return self.value(names)
        if not self.is_whole:
            return UNKNOWN
        try:
            return _bounded(_foreseen(_outputs(self._tree)[0], names))
        except InputError as error:
            raise InputError(f"{self.text}: {error.message}") from error

    def foretold(self, names: Mapping[str, Any]) -> bool | None:
        """Whether it is true, whatever the names are that are not given; None if that depends on them.

        Raises:
            InputError: As ``truth``.
        """
        if not self.is_whole:
            raise InputError(f"{self.text}: a condition is one expression and nothing else")
        try:
            return _foretold(self.whole, names)
        except InputError as error:
            raise InputError(f"{self.text}: {error.message}") from error


def evaluate(given: Any, names: Mapping[str, Any]) -> Any:
    """Replace all expressions in values; their results are not evaluated again.

    Raises:
        InputError: An expression is wrong or can't be evaluated.
    """
    return _replaced(given, lambda expression: expression.value(names))


def foreseen(given: Any, names: Mapping[str, Any]) -> Any:
    """Values as ``evaluate`` gives them whatever the names are that are not given; ``UNKNOWN`` if one depends on them.

    Args:
        given: A text, or a list or mapping with texts inside.
        names: See ``Expression.foreseen``.

    Raises:
        InputError: As ``evaluate``.
    """
    found = _replaced(given, lambda expression: expression.foreseen(names))
    return UNKNOWN if _has_unknown(found) else found


def may_hold(condition: str | None, names: Mapping[str, Any]) -> bool:
    """Whether a condition holds, or depends on a name that is not given; no condition always holds.

    Args:
        condition: One expression.
        names: See ``Expression.foreseen``.
    """
    return _truth(condition, names) is not False


def holds(condition: str | None, names: Mapping[str, Any]) -> bool:
    """Whether a condition holds, whatever the names are that are not given; no condition always holds."""
    return _truth(condition, names) is True


def _truth(condition: str | None, names: Mapping[str, Any]) -> bool | None:
    """Whether a condition holds; None if that is not known, or it can't be evaluated."""
    if condition is None:
        return True
    try:
        return Expression(condition).foretold(names)
    except InputError:
        return None


def _replaced(given: Any, value: Callable[[Expression], Any]) -> Any:
    if isinstance(given, str):
        return value(Expression(given)) if "{" in given else given
    if isinstance(given, Mapping):
        return {key: _replaced(one, value) for key, one in given.items()}
    if isinstance(given, list | tuple):
        return [_replaced(one, value) for one in given]
    return given


def _has_unknown(found: Any) -> bool:
    if isinstance(found, Mapping):
        return any(map(_has_unknown, found.values()))
    return any(map(_has_unknown, found)) if isinstance(found, list) else found is UNKNOWN


def expressions_in(given: Any) -> Iterator[str]:
    """All texts that contain expressions."""
    if isinstance(given, str) and "{" in given and not Expression(given).is_constant:
        yield given
    elif isinstance(given, Mapping):
        for value in given.values():
            yield from expressions_in(value)
    elif isinstance(given, list | tuple):
        for value in given:
            yield from expressions_in(value)


def _check(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED):
        raise InputError(_not_allowed(node))
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        other = "; lists of names come from steps, as in seen.dark of a read-state" if node.name in _OF_ENTRIES else ""
        raise InputError(f"there is no filter {node.name!r}{other}; known: {', '.join(sorted(_FILTERS))}")
    if isinstance(node, nodes.Test) and node.name not in _TESTS:
        raise InputError(f"there is no test {node.name!r}; known: {', '.join(sorted(_TESTS))}")
    if isinstance(node, nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
        raise InputError("unpacked arguments are not allowed in expressions")
    if isinstance(node, nodes.Name) and node.name in _MACHINERY:
        raise InputError(f"{node.name} is reserved by the template engine")
    if isinstance(node, nodes.Const) and not _can_be_written(node.value):
        raise InputError("a constant is not a finite number, or not a text that can be written")
    name = getattr(node, "attr", getattr(node, "name", ""))
    if isinstance(name, str) and name.startswith("_"):
        raise InputError(f"names may not begin with an underscore: {name}")


def _not_allowed(node: nodes.Node) -> str:
    """What expressions do not have, and what there is instead."""
    if sign := _NO_SIGNS.get(type(node)):
        return (
            f"expressions only add (+) and subtract (-), there is no {sign}; write the result, or make it a parameter"
        )
    if isinstance(node, nodes.Call):
        return f"functions and methods can't be called in expressions; there are filters: {', '.join(sorted(_FILTERS))}"
    return f"{type(node).__name__.lower()} is not allowed in expressions"


def _can_be_written(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not (isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value))


def _is_finite(node: nodes.Expr) -> bool:
    """Whether a part without names is no number beyond all bounds; other errors in it show when it is evaluated."""
    if _names_in(node):
        return True
    try:
        _finite(_part(node)({}))
    except _InfiniteError:
        return False
    except (InputError, TemplateError, TypeError, ValueError, LookupError, AttributeError, OverflowError):
        return True
    return True


def _check_depth(node: nodes.Node, left: int = DEEPEST) -> None:
    if left == 0:
        raise InputError(f"expressions are nested {DEEPEST} levels at most")
    for inner in node.iter_child_nodes():
        _check_depth(inner, left - 1)


def _outputs(tree: nodes.Template) -> list[nodes.Expr]:
    return [node for output in tree.body if isinstance(output, nodes.Output) for node in output.nodes]


def _whole(tree: nodes.Template) -> bool:
    """Whether the text is one expression and nothing else."""
    found = _outputs(tree)
    return len(found) == 1 and not isinstance(found[0], nodes.TemplateData)


def _defined(value: Any) -> Any:
    """The value, if neither it nor an item of its lists and mappings is undefined."""
    if isinstance(value, Undefined):
        str(value)  # raises, naming what is undefined
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _defined(inner)
    return value


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[nodes.Template, Callable[[dict[str, Any]], Iterator[Any]]]:
    """A checked text, and a function that evaluates its parts: plain ones and values of expressions, in order."""
    tree = _ENVIRONMENT.parse(text)
    for node in tree.find_all(nodes.Node):
        _check(node)
    _check_depth(tree)
    for node in tree.find_all(nodes.Expr):
        if not _is_finite(node):
            raise InputError(f"{text.strip()}: a part without names is not a finite number")
    parts: list[Callable[[dict[str, Any]], Any]] = [_part(node) for node in _outputs(tree)]

    def run(names: dict[str, Any]) -> Iterator[Any]:
        return (part(names) for part in parts)

    return tree, run


def _part(node: nodes.Expr) -> Callable[[dict[str, Any]], Any]:
    if isinstance(node, nodes.TemplateData):
        return lambda _names: node.data
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), node, lineno=1)]
    template = _ENVIRONMENT.from_string(nodes.Template(body, lineno=1))
    return lambda names: template.make_module(names).__dict__["result"]


# ------------------------------------------------------------ before all names are known


def _present(names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if value is not ABSENT}


def _foreseen(node: nodes.Expr, names: Mapping[str, Any]) -> Any:
    """The value of a node whatever the missing names are: that of the branch that is taken, if this is known."""
    if _names_in(node) <= names.keys():
        return _value(node, names)
    if isinstance(node, nodes.CondExpr):
        taken = _foretold(node.test, names)
        branch = node.expr1 if taken else node.expr2
        if taken is not None and branch is not None:
            return _foreseen(branch, names)
    return UNKNOWN


def _foretold(node: nodes.Expr, names: Mapping[str, Any]) -> bool | None:
    """Whether a node is true whatever the missing names are (Kleene's three-valued logic)."""
    if _names_in(node) <= names.keys():
        return _decided(node, names)
    if isinstance(node, nodes.Not):
        inner = _foretold(node.node, names)
        return None if inner is None else not inner
    if isinstance(node, nodes.And | nodes.Or):
        decides = isinstance(node, nodes.Or)
        sides = {_foretold(node.left, names), _foretold(node.right, names)}
        return decides if decides in sides else None if None in sides else not decides
    found = _foreseen(node, names)
    try:
        return None if found is UNKNOWN else _ENVIRONMENT.truth(found)
    except _NoTruthError as error:
        raise InputError(f"{error}") from error


@dataclass(frozen=True, slots=True)
class NamesWithin:
    """Names that a value holds at most: it is one of them, or a list in which there are no others.

    Attributes:
        listed: Whether it is a list.
    """

    members: frozenset[str]
    listed: bool


#: Names that outputs of steps hold at most, by the name that a step registers and the output's own.
Limits = Mapping[tuple[str, str], frozenset[str]]
#: Filters of a list that leave out, repeat or order its items; and those that choose one.
_SAME_ITEMS, _ONE_ITEM = frozenset({"sort", "unique", "list"}), frozenset({"first", "last"})


def names_within(given: Any, names: Mapping[str, Any], limits: Limits) -> NamesWithin | None:
    """The names that a value can hold whatever becomes of the names that are not given; None if it can hold others.

    Args:
        given: A text, or a list of texts.
        names: See ``Expression.foreseen``.
        limits: What is known of outputs that are not there yet.

    Raises:
        InputError: As ``evaluate``.
    """
    if isinstance(given, list | tuple):
        return _as_list([names_within(one, names, limits) for one in given])
    if not isinstance(given, str) or "{" not in given:
        return _names_of(given)
    expression = Expression(given)
    if expression.names <= names.keys():
        return _names_of(expression.value(names))
    return _within(expression.whole, names, limits) if expression.is_whole else None


def _within(node: nodes.Expr, names: Mapping[str, Any], limits: Limits) -> NamesWithin | None:
    if _names_in(node) <= names.keys():
        return _names_of(_value(node, names))
    match node:
        case nodes.Getattr(node=nodes.Name(name=name), attr=member) if (name, member) in limits:
            return NamesWithin(limits[name, member], listed=True)
        case nodes.Getitem(node=nodes.Name(name=name), arg=nodes.Const(value=member)) if (name, member) in limits:
            return NamesWithin(limits[name, member], listed=True)
        case nodes.Getitem(node=inner):
            return _item(_within(inner, names, limits))
        case nodes.List(items=items) | nodes.Tuple(items=items):
            return _as_list([_within(one, names, limits) for one in items])
        case nodes.CondExpr():
            return _either([_within(one, names, limits) for one in _branches(node, names)])
        case nodes.And() | nodes.Or():
            return _either([_within(one, names, limits) for one in (node.left, node.right)])
        case nodes.Add():
            return _sum([_within(one, names, limits) for one in (node.left, node.right)])
        case nodes.Filter(node=nodes.Expr()):
            return _filtered(node, names, limits)
    return None


def _filtered(node: nodes.Filter, names: Mapping[str, Any], limits: Limits) -> NamesWithin | None:
    assert node.node is not None
    inner = _within(node.node, names, limits)
    if node.name == "default" and len(node.args) == 1 and not node.kwargs:
        return _either([inner, _within(node.args[0], names, limits)])
    if inner is None or not inner.listed:
        return None  # of a text it would give characters
    return inner if node.name in _SAME_ITEMS else _item(inner) if node.name in _ONE_ITEM else None


def _branches(node: nodes.CondExpr, names: Mapping[str, Any]) -> list[nodes.Expr]:
    """Branches that may be taken; a missing one gives no value."""
    taken = _foretold(node.test, names)
    either = (node.expr1, node.expr2) if taken is None else (node.expr1 if taken else node.expr2,)
    return [one for one in either if one is not None]


def _names_of(value: Any) -> NamesWithin | None:
    if isinstance(value, str):
        return NamesWithin(frozenset({value}), listed=False)
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return NamesWithin(frozenset(value), listed=True)
    return None


def _item(of: NamesWithin | None) -> NamesWithin | None:
    return NamesWithin(of.members, listed=False) if of is not None and of.listed else None


def _as_list(items: Sequence[NamesWithin | None]) -> NamesWithin | None:
    found = _either(items) if items else NamesWithin(frozenset(), listed=False)
    return None if found is None or found.listed else NamesWithin(found.members, listed=True)


def _sum(parts: Sequence[NamesWithin | None]) -> NamesWithin | None:
    found = _either(parts)
    return found if found is not None and found.listed else None  # two texts make another one


def _either(parts: Sequence[NamesWithin | None]) -> NamesWithin | None:
    """What holds for all parts; None where one can hold anything, or is of the other kind."""
    known = [one for one in parts if one is not None]
    kinds = {one.listed for one in known}
    if len(known) < len(parts) or len(kinds) != 1:
        return None
    return NamesWithin(frozenset[str]().union(*(one.members for one in known)), listed=kinds.pop())


def _names_in(node: nodes.Expr) -> frozenset[str]:
    named = [node] if isinstance(node, nodes.Name) else node.find_all(nodes.Name)
    return frozenset(one.name for one in named)


def _spelt(node: nodes.Node) -> str:
    """A name, or a member of one, as it is written in an expression; empty for others."""
    match node:
        case nodes.Name():
            return str(node.name)
        case nodes.Getattr() if outer := _spelt(node.node):
            return f"{outer}.{node.attr}"
        case nodes.Getitem(arg=nodes.Const(value=key)) if outer := _spelt(node.node):
            return f"{outer}[{key!r}]"
    return ""


def _shown(node: nodes.Expr, names: Mapping[str, Any]) -> str:
    """The value of a part of an expression in short, as JSON writes it."""
    try:
        return _in_short(_value(node, names))
    except InputError:
        return "not there"


def _in_short(value: Any) -> str:
    found = json.dumps(value, ensure_ascii=False, default=str)
    return found if len(found) <= _LONGEST_SHOWN else f"{found[:_LONGEST_SHOWN]}…"


def _value(node: nodes.Expr, names: Mapping[str, Any]) -> Any:
    """The value of a part of an expression, all of whose names are known. Raises InputError."""
    return _result(_compiled(node), names)


def _decided(node: nodes.Expr, names: Mapping[str, Any]) -> bool:
    """The value of a part of an expression as a condition, all of whose names are known. Raises InputError."""
    return not _result(_opposite(node), names)


def _result(part: Callable[[dict[str, Any]], Any], names: Mapping[str, Any]) -> Any:
    try:
        return _finite(_defined(part(_present(names))))
    except (TemplateError, TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise InputError(f"{error}") from error


#: By identity of the node: ``_read`` keeps the trees of texts, so that each part of one is compiled once.
_compiled = lru_cache(maxsize=4096)(_part)


@lru_cache(maxsize=4096)
def _opposite(node: nodes.Expr) -> Callable[[dict[str, Any]], Any]:
    return _part(nodes.Not(node, lineno=1, environment=_ENVIRONMENT))
