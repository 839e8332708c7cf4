"""Expressions as functions: each is checked against the types of its variables before it is ever evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from simulators.cloud.language.cel.library import FUNCTIONS, SIGNATURES
from simulators.cloud.language.cel.syntax import CelSyntaxError, Node, parse
from simulators.cloud.language.cel.values import (
    BOOL,
    DYN,
    ERROR,
    INT,
    NO_OVERLOAD,
    STRING,
    CelError,
    Optional,
    Type,
    equal,
    fits,
    kind_of,
    list_of,
    map_of,
    optional_of,
    resolved,
)

Scope = Mapping[str, Any]
Evaluate = Callable[[Scope], Any]


class CompileError(Exception):
    """A text that is no expression, or one of the wrong types: in the words and the form of cel-go."""


@dataclass(frozen=True, slots=True)
class Program:
    """An expression that can be evaluated.

    Attributes:
        type: What it comes to.
        names: The variables that it reads.
    """

    type: Type
    names: frozenset[str]
    _evaluate: Evaluate

    def evaluate(self, variables: Scope) -> Any:
        """Its value.

        Raises:
            CelError: It has none, as where a key is missing.
        """
        return self._evaluate(variables)


def compiled(text: str, variables: Mapping[str, Type]) -> Program:
    """An expression over variables of these types.

    Raises:
        CompileError: It is none, or its types do not fit.
    """
    try:
        node = parse(text)
    except CelSyntaxError as error:
        raise CompileError(_shown(text, [(error.at, str(error))])) from None
    compiler = _Compiler(dict(variables))
    try:
        kind, evaluate = compiler.of(node)
    except RecursionError:
        raise CompileError(_shown(text, [(0, "expression recursion limit exceeded")])) from None
    if compiler.errors:
        raise CompileError(_shown(text, compiler.errors))
    return Program(kind, frozenset(compiler.names), evaluate)


def _shown(text: str, errors: Sequence[tuple[int, str]]) -> str:
    """Each error with its line, and a mark below the place."""
    shown = []
    for at, problem in sorted(errors):
        before = text[:at]
        line, column = before.count("\n"), at - (before.rfind("\n") + 1)
        lines = (*text.split("\n"), "")
        shown.append(f"ERROR: <input>:{line + 1}:{column + 1}: {problem}\n | {lines[line]}\n | {'.' * column}^")
    return "\n".join(shown)


_Typed = tuple[Type, Evaluate]
_TYPE_NAMES: Final = ("int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type")


@dataclass
class _Compiler:
    types: dict[str, Type]
    errors: list[tuple[int, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def of(self, node: Node) -> _Typed:
        return _COMPILE[node.kind](self, node)

    def _wrong(self, at: int, text: str) -> _Typed:
        self.errors.append((at, text))
        return ERROR, lambda _: None

    # --------------------------------------------------------------- what stands for itself

    def literal(self, node: Node) -> _Typed:
        value = node.value
        name = "null" if value is None else kind_of(value)
        return Type(name), lambda _: value

    def name(self, node: Node) -> _Typed:
        name = node.name
        if name in self.types:
            self.names.add(name)
            return self.types[name], lambda scope: scope[name]
        if name in _TYPE_NAMES:
            return Type("type"), lambda _: name
        return self._wrong(node.at, f"undeclared reference to '{name}' (in container '')")

    def items(self, node: Node, *, mixed: bool = False) -> _Typed:
        parts = [self.of(part) for part in node.parts]
        kind = DYN if mixed else self._common([one for one, _ in parts], node)
        functions = [each for _, each in parts]
        return list_of(kind), lambda scope: [each(scope) for each in functions]

    def entries(self, node: Node) -> _Typed:
        parts = [self.of(part) for part in node.parts]
        key = self._common([one for one, _ in parts[::2]], node)
        value = self._common([one for one, _ in parts[1::2]], node)
        pairs = list(zip([one for _, one in parts[::2]], [one for _, one in parts[1::2]], strict=True))
        return map_of(key, value), lambda scope: {one(scope): other(scope) for one, other in pairs}

    def _common(self, types: Sequence[Type], node: Node) -> Type:
        """The type of all items of a literal, which is one."""
        bound: dict[str, Type] = {}
        for index, each in enumerate(types):
            if not fits(Type("A"), each, bound):
                self._wrong(node.parts[index].at, f"expected type '{bound['A']}' but found '{each}'")
        return bound.get("A", DYN)

    # --------------------------------------------------------------- fields

    def select(self, node: Node) -> _Typed:
        assert node.target is not None
        kind, target = self.of(node.target)
        name = node.name
        found = self._field(kind, node)
        if node.optional or kind.name == "optional":
            result = found if found.name == "optional" else optional_of(found)
            return result, lambda scope: _maybe(target(scope), name)
        return found, lambda scope: _selected(target(scope), name)

    def has(self, node: Node) -> _Typed:
        assert node.target is not None
        kind, target = self.of(node.target)
        self._field(kind, node)
        name = node.name
        return BOOL, lambda scope: bool(_maybe(target(scope), name).values)

    def _field(self, kind: Type, node: Node) -> Type:
        if kind.name == "optional":
            kind = kind.of[0]
        if kind in (DYN, ERROR):
            return DYN
        if kind.fields is not None:
            if node.name in kind.fields:
                return kind.fields[node.name]
            return self._wrong(node.at, f"undefined field '{node.name}'")[0]
        if kind.name == "map":
            return kind.of[1]
        return self._wrong(node.at, f"type '{kind}' does not support field selection")[0]

    # --------------------------------------------------------------- calls

    def call(self, node: Node) -> _Typed:
        if node.name in {"_&&_", "_||_"}:
            return self._logical(node)
        if node.name == "_?_:_":
            return self._choice(node)
        parts, name, method = node.parts, node.name, node.target is not None
        if node.target is not None:
            qualified = f"{node.target.name}.{name}"
            if node.target.kind == "name" and node.target.name not in self.types and qualified in SIGNATURES:
                name, method = qualified, False
            else:
                parts = (node.target, *parts)
        # What is formatted may be of many types; all other lists are of one.
        mixed = name == "format"
        typed = [self.items(part, mixed=True) if mixed and part.kind == "list" else self.of(part) for part in parts]
        return self._called(node, name, typed, method=method)

    def _called(self, node: Node, name: str, typed: Sequence[_Typed], *, method: bool) -> _Typed:
        known = SIGNATURES.get(name)
        if not known:
            return self._wrong(node.at, f"undeclared reference to '{name}' (in container '')")
        types = [kind for kind, _ in typed]
        results = []
        for signature in known:
            bound: dict[str, Type] = {}
            if signature.method is method and len(signature.parameters) == len(types):
                wanted = zip(signature.parameters, types, strict=True)
                if all(fits(parameter, given, bound) for parameter, given in wanted):
                    results.append(resolved(signature.result, bound))
        if not results:
            if ERROR in types:
                return ERROR, lambda _: None
            shown = [str(kind) for kind in types]
            said = f"{shown[0]}.({', '.join(shown[1:])})" if method else f"({', '.join(shown)})"
            return self._wrong(node.at, f"found no matching overload for '{name}' applied to '{said}'")
        kind = results[0] if all(one == results[0] for one in results) else DYN
        return kind, _applied(FUNCTIONS[name], [each for _, each in typed])

    def _logical(self, node: Node) -> _Typed:
        typed = [self.of(part) for part in node.parts]
        types = [kind for kind, _ in typed]
        if not all(fits(BOOL, kind, {}) for kind in types):
            shown = ", ".join(map(str, types))
            return self._wrong(node.at, f"found no matching overload for '{node.name}' applied to '({shown})'")
        decides = node.name == "_||_"
        return BOOL, lambda scope: _decided([each for _, each in typed], scope, decides)

    def _choice(self, node: Node) -> _Typed:
        (condition, test), (one, then), (other, otherwise) = (self.of(part) for part in node.parts)
        bound: dict[str, Type] = {}
        if not (fits(BOOL, condition, {}) and fits(Type("A"), one, bound) and fits(Type("A"), other, bound)):
            said = f"({condition}, {one}, {other})"
            return self._wrong(node.at, f"found no matching overload for '_?_:_' applied to '{said}'")
        return bound["A"], lambda scope: then(scope) if _true(test(scope)) else otherwise(scope)

    # --------------------------------------------------------------- macros

    def macro(self, node: Node) -> _Typed:
        assert node.target is not None
        kind, target = self.of(node.target)
        names = [part.name for part in node.parts[: node.value]]
        types = self._ranged(kind, node)
        inner = _Compiler({**self.types, **dict(zip(names, types, strict=False))}, self.errors)
        bodies = [inner.of(part) for part in node.parts[node.value :]]
        self.names |= inner.names - set(names)
        return self._of_macro(node, names, bodies, target, kind)

    def _ranged(self, kind: Type, node: Node) -> tuple[Type, ...]:
        """The types of a macro's variables."""
        assert node.target is not None
        if node.name.startswith("opt"):
            return kind.of if kind.name == "optional" else (DYN,)
        if kind.name == "list":
            return (INT, kind.of[0]) if node.value == 2 else kind.of
        if kind.name == "map":
            return kind.of[: node.value]
        if kind not in (DYN, ERROR):
            text = f"expression of type '{kind}' cannot be range of a comprehension (must be list, map, or dynamic)"
            self.errors.append((node.target.at, text))
        return (DYN, DYN)

    def _check_tests(self, node: Node, bodies: Sequence[_Typed]) -> None:
        """What a macro chooses by has to be true or false."""
        tests = bodies if node.name in {"all", "exists", "exists_one", "existsOne", "filter"} else bodies[:-1]
        for (kind, _), part in zip(tests, node.parts[node.value :], strict=False):
            if not fits(BOOL, kind, {}):
                self._wrong(part.at, f"expected type 'bool' but found '{kind}'")

    def _of_macro(
        self, node: Node, names: Sequence[str], bodies: Sequence[_Typed], target: Evaluate, kind: Type
    ) -> _Typed:
        last, body = bodies[-1]
        condition = bodies[0][1] if len(bodies) == 2 or node.name == "filter" else None
        self._check_tests(node, bodies)

        def scopes(scope: Scope) -> list[dict[str, Any]]:
            return [{**scope, **dict(zip(names, values, strict=False))} for values in _each(target(scope), len(names))]

        match node.name:
            case "all" | "exists":
                decides = node.name == "exists"
                return BOOL, lambda scope: _decided([body] * len(found := scopes(scope)), found, decides)
            case "exists_one" | "existsOne":
                return BOOL, lambda scope: sum(bool(_true(body(one))) for one in scopes(scope)) == 1
            case "filter":
                return list_of(kind.of[0] if kind.of else DYN), lambda scope: [
                    one[names[0]] for one in scopes(scope) if _true(body(one))
                ]
            case "map" | "transformList":
                return list_of(last), lambda scope: [
                    body(one) for one in scopes(scope) if condition is None or _true(condition(one))
                ]
            case "transformMap":
                return map_of(kind.of[0] if kind.name == "map" else INT, last), lambda scope: {
                    one[names[0]]: body(one) for one in scopes(scope) if condition is None or _true(condition(one))
                }
        return _of_optional(node.name, names[0], bodies[-1], target)


def _of_optional(macro: str, name: str, body: _Typed, target: Evaluate) -> _Typed:
    """`optMap` and `optFlatMap`: something made of a value that may be absent."""
    kind, make = body
    flat = macro == "optFlatMap"

    def mapped(scope: Scope) -> Any:
        found = target(scope)
        if not found.values:
            return found
        value = make({**scope, name: found.values[0]})
        return value if flat else Optional((value,))

    return kind if flat else optional_of(kind), mapped


_COMPILE: Final[Mapping[str, Callable[[_Compiler, Node], _Typed]]] = {
    "literal": _Compiler.literal,
    "name": _Compiler.name,
    "select": _Compiler.select,
    "has": _Compiler.has,
    "call": _Compiler.call,
    "list": _Compiler.items,
    "map": _Compiler.entries,
    "macro": _Compiler.macro,
}


def _each(container: Any, names: int) -> list[tuple[Any, ...]]:
    """What a macro's variables are, one time after the other."""
    if isinstance(container, dict):
        return list(container.items()) if names == 2 else [(key,) for key in container]
    if not isinstance(container, list):
        raise CelError(NO_OVERLOAD)
    return list(enumerate(container)) if names == 2 else [(item,) for item in container]


def _maybe(value: Any, name: str) -> Optional:
    if isinstance(value, Optional):
        return _maybe(value.values[0], name) if value.values else value
    if not isinstance(value, dict):
        raise CelError(NO_OVERLOAD)
    return Optional((value[name],)) if name in value else Optional()


def _selected(value: Any, name: str) -> Any:
    found = _maybe(value, name)
    if not found.values:
        raise CelError(f"no such key: {name}")
    return found.values[0]


def _true(value: Any) -> bool:
    if not isinstance(value, bool):
        raise CelError(NO_OVERLOAD)
    return value


def _decided(parts: Sequence[Evaluate], scope: Scope | Sequence[Scope], decides: bool) -> bool:
    """Whether any is what decides: what fails then does not count."""
    failed: CelError | None = None
    for index, part in enumerate(parts):
        try:
            if _true(part(scope[index] if isinstance(scope, list) else scope)) is decides:  # type: ignore[arg-type]
                return decides
        except CelError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return not decides


def _applied(function: Callable[..., Any], parts: Sequence[Evaluate]) -> Evaluate:
    def call(scope: Scope) -> Any:
        values = [part(scope) for part in parts]
        try:
            return function(*values)
        except (TypeError, AttributeError):
            raise CelError(NO_OVERLOAD) from None
        except (ValueError, OverflowError) as error:
            raise CelError(str(error)) from None

    return call


__all__ = ["STRING", "CompileError", "Program", "compiled", "equal"]
