"""From YANG type statements to leaf types."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from simulators.datastore.leaftypes import (
    BinaryType,
    BitsType,
    DecimalType,
    EmptyType,
    EnumerationType,
    IntegerType,
    Intervals,
    LeafType,
    StringType,
    UnionType,
    ipv6,
    python_pattern,
)

#: A pyang statement; pyang has no types.
Statement = Any

_INTEGERS = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}

#: Typedefs whose canonical form isn't the text itself (RFC 6991 §4).
_NORMAL_FORMS = {"ipv6-address": ipv6, "ipv6-address-no-zone": ipv6}


def leaf_type(statement: Statement) -> LeafType:
    """Compile a type statement. leafref, identityref and instance-identifier take any text."""
    chain = _chain(statement)
    base = chain[-1].arg
    if base in _INTEGERS:
        return IntegerType(_intervals(chain, "range", _integer_limits(base)))
    if base == "decimal64":
        digits = int(_argument(chain, "fraction-digits"))
        limit = Decimal(2**63 - 1).scaleb(-digits)
        return DecimalType(digits, _intervals(chain, "range", (-limit, limit)))
    if base in ("enumeration", "bits"):
        names = _names(chain, "enum" if base == "enumeration" else "bit")
        return EnumerationType(names) if base == "enumeration" else BitsType(names)
    if base == "boolean":
        return EnumerationType(("true", "false"))
    if base == "union":
        return UnionType(tuple(leaf_type(member) for member in _members(chain)))
    if base == "empty":
        return EmptyType()
    lengths = _intervals(chain, "length", (Decimal(0), Decimal(2**64 - 1)))
    if base == "binary":
        return BinaryType(lengths)
    return _string(chain, lengths)


def default_of_type(statement: Statement) -> str | None:
    """Return the default that the nearest typedef gives, None when none does."""
    while (typedef := statement.i_typedef) is not None:
        default = typedef.search_one("default")
        if default is not None:
            return str(default.arg)
        statement = typedef.search_one("type")
    return None


def _string(chain: list[Statement], lengths: Intervals) -> StringType:
    patterns = tuple(python_pattern(pattern.arg) for step in chain for pattern in step.search("pattern"))
    normal = next((_NORMAL_FORMS[name] for step in chain if (name := _local(step.arg)) in _NORMAL_FORMS), None)
    restricted = any(step.search_one("length") is not None for step in chain)
    return StringType(lengths if restricted else (), patterns, normal)


def _chain(statement: Statement) -> list[Statement]:
    """The type statement and those of the typedefs it comes from, the built-in type last."""
    chain = [statement]
    while (typedef := chain[-1].i_typedef) is not None:
        chain.append(typedef.search_one("type"))
    return chain


def _argument(chain: list[Statement], keyword: str) -> str:
    return next(str(found.arg) for step in chain if (found := step.search_one(keyword)) is not None)


def _names(chain: list[Statement], keyword: str) -> tuple[str, ...]:
    """A derived enumeration may list fewer names than its base; the nearest list holds."""
    return next(tuple(item.arg for item in found) for step in chain if (found := step.search(keyword)))


def _members(chain: list[Statement]) -> list[Statement]:
    return list(chain[-1].search("type"))


def _integer_limits(base: str) -> tuple[Decimal, Decimal]:
    sign, bits = _INTEGERS[base]
    if sign:
        return Decimal(0), Decimal(2**bits - 1)
    return Decimal(-(2 ** (bits - 1))), Decimal(2 ** (bits - 1) - 1)


def _intervals(chain: list[Statement], keyword: str, limits: tuple[Decimal, Decimal]) -> Intervals:
    """The nearest range or length; ``min`` and ``max`` in it are the bounds of what it restricts."""
    intervals: Intervals = (limits,)
    for step in reversed(chain):
        restriction = step.search_one(keyword)
        if restriction is not None:
            bounds = intervals[0][0], intervals[-1][1]
            intervals = tuple(_interval(part, bounds) for part in restriction.arg.split("|"))
    return intervals


def _interval(text: str, bounds: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    low, _, high = text.partition("..")
    words = {"min": bounds[0], "max": bounds[1]}
    first = low.strip()
    last = high.strip() or first
    return (
        words[first] if first in words else Decimal(first),
        words[last] if last in words else Decimal(last),
    )


def _local(name: str) -> str:
    return name.rpartition(":")[2]
