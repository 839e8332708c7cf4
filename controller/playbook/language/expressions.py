"""Expressions of playbooks: a small, bounded part of Jinja2.

``{{ … }}`` holds one expression: names, members (``target.site``), items, comparisons, ``and``/``or``/``not``,
``x if c else y``, lists, mappings, ``+``, ``-``, ``~``, tests and a few filters. There are no statements, calls,
loops, multiplication or macros, so that what an expression may cost is bounded by its length; members are looked up
in mappings only, never on Python objects. Values are never evaluated: an alarm text that reads ``{{ 7 * 7 }}`` stays
just that. A text that is one expression as a whole keeps the type of its value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from controller.models.errors import InputError

#: Longest text with expressions, and longest text that may result from one.
LONGEST, LONGEST_RESULT = 1000, 20_000
#: Most levels of nesting, including those of the engine's own tree.
DEEPEST = 40

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


def _joined(items: Sequence[Any], between: str = ", ") -> str:
    if isinstance(items, str):
        raise InputError("join needs a list")
    return str(_bounded(str(between)[:10].join(str(item) for item in items)))


def _bounded(value: Any) -> Any:
    if isinstance(value, str | list | tuple | dict) and len(value) > LONGEST_RESULT:
        raise InputError(f"an expression may not result in more than {LONGEST_RESULT} characters or items")
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
    "sum": sum,
    "keys": list,
    "values": lambda mapping: list(mapping.values()),
    "join": _joined,
}
#: Names with a meaning of their own in Jinja2.
_MACHINERY = frozenset({"self", "super", "loop", "caller", "varargs", "kwargs"})
_TESTS = ("defined", "undefined", "none", "true", "false", "in", "number", "string", "mapping", "sequence")


class _Environment(ImmutableSandboxedEnvironment):
    """Looks members up in mappings only."""

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, cache_size=0)
        self.filters = dict(_FILTERS)
        self.tests = {name: self.tests[name] for name in _TESTS}
        self.globals = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A member of a mapping; anything else is undefined."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of a mapping or list; anything else is undefined."""
        if isinstance(obj, Undefined):
            return obj[argument]  # raises, naming what is undefined
        try:
            if isinstance(obj, Mapping) or (isinstance(obj, list | tuple) and isinstance(argument, int)):
                return obj[argument]
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

    def value(self, names: Mapping[str, Any]) -> Any:
        """The value, of its own type if the text is one whole expression, otherwise text.

        Raises:
            InputError: Something is undefined, or of the wrong type.
        """
        try:
            parts = list(self._run(dict(names)))
            found = parts[0] if self.is_whole else "".join(str(_defined(part)) for part in parts)
            return _bounded(_defined(found))
        except InputError:
            raise
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            raise InputError(f"{self.text}: {error}") from error


def evaluate(given: Any, names: Mapping[str, Any]) -> Any:
    """Replace all expressions in values; their results are not evaluated again.

    Raises:
        InputError: An expression is wrong or can't be evaluated.
    """
    if isinstance(given, str):
        return Expression(given).value(names) if "{" in given else given
    if isinstance(given, Mapping):
        return {key: evaluate(value, names) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [evaluate(value, names) for value in given]
    return given


def may_hold(condition: str | None, names: Mapping[str, Any]) -> bool:
    """Whether a condition holds, or depends on something that is not known yet; no condition always holds."""
    try:
        return condition is None or bool(Expression(condition).value(names))
    except InputError:
        return True


def holds(condition: str | None, names: Mapping[str, Any]) -> bool:
    """Whether a condition holds and depends on nothing unknown; no condition always holds."""
    try:
        return condition is None or bool(Expression(condition).value(names))
    except InputError:
        return False


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
        raise InputError(f"{type(node).__name__.lower()} is not allowed in expressions")
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise InputError(f"there is no filter {node.name!r}; known: {', '.join(sorted(_FILTERS))}")
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


def _can_be_written(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not (isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value))


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
    if isinstance(value, Undefined):
        str(value)  # raises, naming what is undefined
    return value


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[nodes.Template, Callable[[dict[str, Any]], Iterator[Any]]]:
    """A checked text, and a function that evaluates its parts: plain ones and values of expressions, in order."""
    tree = _ENVIRONMENT.parse(text)
    for node in tree.find_all(nodes.Node):
        _check(node)
    _check_depth(tree)
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
