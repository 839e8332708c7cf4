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


#: Types whose values point to something else. Stations write their state themselves; configuration comes from clients.
_REFERENCES = ("leafref", "identityref", "instance-identifier")


def leaf_type(statement: Statement, *, config: bool) -> LeafType:
    """Compile the type statement of configuration or of state; references in state take any text.

    Raises:
        ValueError: the type is beyond this compiler, as references in configuration are.
    """
    chain = _chain(statement)
    base = chain[-1].arg
    if config and base in _REFERENCES:
        raise ValueError(f"{base} in configuration is beyond this compiler")
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
        return UnionType(tuple(leaf_type(member, config=config) for member in _members(chain)))
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
    patterns = [pattern for step in chain for pattern in step.search("pattern")]
    plain = tuple(python_pattern(pattern.arg) for pattern in patterns if pattern.search_one("modifier") is None)
    # The only modifier is invert-match (RFC 7950 §9.4.6).
    inverted = tuple(python_pattern(pattern.arg) for pattern in patterns if pattern.search_one("modifier") is not None)
    normal = next((_NORMAL_FORMS[name] for step in chain if (name := _local(step.arg)) in _NORMAL_FORMS), None)
    restricted = any(step.search_one("length") is not None for step in chain)
    return StringType(lengths if restricted else (), plain, inverted, normal)


def _chain(statement: Statement) -> list[Statement]:
    """The type statement and those of the typedefs it comes from, the built-in type last."""
    chain = [statement]
    while (typedef := chain[-1].i_typedef) is not None:
        chain.append(typedef.search_one("type"))
    return chain


def _argument(chain: list[Statement], keyword: str) -> str:
    return next(str(found.arg) for step in chain if (found := step.search_one(keyword)) is not None)


def _names(chain: list[Statement], keyword: str) -> tuple[str, ...]:
    """A derived type may list fewer names than its base; the nearest list holds, but for what if-feature leaves out."""
    named = next(found for step in chain if (found := step.search(keyword)))
    return tuple(item.arg for item in named if not hasattr(item, "i_not_implemented"))


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
