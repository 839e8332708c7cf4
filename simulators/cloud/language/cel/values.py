"""Values and types of CEL, and what may go wrong with values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from simulators.cloud.language.cel.syntax import UInt


class CelError(Exception):
    """What an expression comes to where it comes to no value."""


NO_OVERLOAD: Final = "no such overload"


@dataclass(frozen=True)
class Type:
    """A type: a name, what it is made of, and the fields of a message.

    A type named with one capital letter stands for any, the same wherever it appears in one signature.
    """

    name: str
    of: tuple[Type, ...] = ()
    fields: Mapping[str, Type] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        shown = {"optional": "optional_type", "null": "null_type"}.get(self.name, self.name)
        return f"{shown}({', '.join(map(str, self.of))})" if self.of else shown


DYN: Final = Type("dyn")
BOOL: Final = Type("bool")
STRING: Final = Type("string")
INT: Final = Type("int")


def list_of(item: Type) -> Type:
    """A list."""
    return Type("list", (item,))


def map_of(key: Type, value: Type) -> Type:
    """A map."""
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    """A value that may be absent."""
    return Type("optional", (value,))


@dataclass(frozen=True, slots=True)
class Optional:
    """A value, or none."""

    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of a resource."""

    amount: Decimal


class Merging(list[Any]):
    """A list whose items stand in no order that counts: a set, or a map by some keys of its items."""

    keys: tuple[str, ...] = ()

    def name_of(self, item: Any) -> Any:
        """What tells an item from others."""
        return tuple(item.get(key) for key in self.keys) if self.keys and isinstance(item, dict) else item

    def joined(self, other: list[Any]) -> Merging:
        """With the items of another list, each in the place of the one that it replaces."""
        result = Merging(self)
        result.keys = self.keys
        names = [self.name_of(item) for item in result]
        for item in other:
            name = self.name_of(item)
            if name in names:
                result[names.index(name)] = item
            else:
                names.append(name)
                result.append(item)
        return result


def kind_of(value: Any) -> str:
    """The name of a value's type at run time."""
    if isinstance(value, bool):
        return "bool"
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return "null_type" if value is None else type(value).__name__.lower()


_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (UInt, "uint"), (int, "int"), (float, "double"), (str, "string"), (bytes, "bytes"), (list, "list"), (dict, "map"),
    (datetime, "google.protobuf.Timestamp"), (timedelta, "google.protobuf.Duration"), (Optional, "optional_type"),
)  # fmt: skip
NUMBERS: Final = ("int", "uint", "double")


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; numbers of all types are compared as numbers."""
    kinds = kind_of(one), kind_of(other)
    if kinds[0] in NUMBERS and kinds[1] in NUMBERS:
        return bool(one == other)
    if kinds[0] != kinds[1]:
        return False
    if isinstance(one, list):
        return _same_items(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    return bool(one == other)


def _same_items(one: list[Any], other: list[Any]) -> bool:
    if len(one) != len(other):
        return False
    if isinstance(one, Merging):
        return all(any(equal(item, each) for each in other) for item in one)
    return all(map(equal, one, other))


def fits(wanted: Type, given: Type, bound: dict[str, Type]) -> bool:
    """Whether a value of a type may stand where another is wanted; binds what the wanted one leaves open."""
    if len(wanted.name) == 1:
        return _binds(wanted.name, given, bound)
    if wanted == DYN or given in (DYN, ERROR):
        return True
    if given.name == "null":
        return wanted.name in {"null", "message", "timestamp", "duration", "optional"} or wanted.fields is not None
    if wanted.name != given.name or len(wanted.of) != len(given.of):
        return False
    return all(fits(one, other, bound) for one, other in zip(wanted.of, given.of, strict=True))


def _binds(name: str, given: Type, bound: dict[str, Type]) -> bool:
    if name not in bound or bound[name] in (DYN, ERROR):
        bound[name] = given
        return True
    if fits(bound[name], given, {}):
        return True
    if fits(given, bound[name], {}):  # the other one is known less of, as an empty list
        bound[name] = given
        return True
    return False


ERROR: Final = Type("*error*")


def resolved(wanted: Type, bound: Mapping[str, Type]) -> Type:
    """A type of a signature with what was bound in it."""
    if len(wanted.name) == 1:
        return bound.get(wanted.name, DYN)
    if not wanted.of:
        return wanted
    return Type(wanted.name, tuple(resolved(each, bound) for each in wanted.of), wanted.fields)


Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function may be called."""

    method: bool
    parameters: tuple[Type, ...]
    result: Type


#: Functions that make optional values; the others are methods of them.
_OPTIONALS: Final = ("optional.of", "optional.ofNonZeroValue", "optional.none")


def signatures(table: str) -> Iterator[tuple[str, Signature]]:
    """Read `name(A, list(A)) -> bool` and, of methods, `string.name(int) -> string`, a line each."""
    for line in filter(str.strip, table.splitlines()):
        head, _, result = line.strip().rpartition(" -> ")
        called, _, rest = head.partition("(")
        target, _, name = called.rpartition(".")
        method = bool(target) and target != "sets" and called not in _OPTIONALS
        if not method:
            name, target = called, ""
        parameters = [_type(part) for part in _split(rest[:-1])]
        yield name, Signature(method, (*([_type(target)] if method else []), *parameters), _type(result))


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _type(text: str) -> Type:
    short = {"list": list_of(Type("A")), "map": map_of(Type("A"), Type("B")), "optional": optional_of(Type("A"))}
    if text in short:
        return short[text]
    name, _, rest = text.partition("(")
    return Type(name, tuple(_type(part) for part in _split(rest[:-1])))
