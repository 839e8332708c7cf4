"""Types of leaves, which turn the text in a document into its canonical form (RFC 7950 §9)."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv6Address
from typing import Protocol

#: Allowed intervals, both ends included; none given allows everything.
Intervals = tuple[tuple[Decimal, Decimal], ...]

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class LeafType(Protocol):
    """Type of a leaf or of the entries of a leaf-list."""

    def canonical(self, text: str) -> str:
        """Return the canonical form.

        Raises:
            ValueError: the text is not a value of the type; the message says what would be.
        """


@dataclass(frozen=True, slots=True)
class StringType:
    """A string with lengths, patterns, all of which it must match, and others, none of which it may match."""

    lengths: Intervals = ()
    patterns: tuple[re.Pattern[str], ...] = ()
    inverted: tuple[re.Pattern[str], ...] = ()
    normal: Callable[[str], str] | None = None

    def canonical(self, text: str) -> str:
        """Return the text, with its normal form where the type has one (IPv6 addresses)."""
        if not _within(Decimal(len(text)), self.lengths):
            raise ValueError(f"length {len(text)} is outside {_show(self.lengths)}")
        for pattern in self.patterns:
            if not pattern.fullmatch(text):
                raise ValueError(f"{text!r} does not match {pattern.pattern}")
        for pattern in self.inverted:
            if pattern.fullmatch(text):
                raise ValueError(f"{text!r} matches {pattern.pattern}, which it must not")
        return sys.intern(self.normal(text) if self.normal else text)


@dataclass(frozen=True, slots=True)
class IntegerType:
    """An integer of any size; the size is part of the ranges."""

    ranges: Intervals

    def canonical(self, text: str) -> str:
        """Return the number without sign of plus and leading zeros."""
        if not _INTEGER.fullmatch(text.strip()):
            raise ValueError(f"{text!r} is not an integer")
        number = int(text)
        if not _within(Decimal(number), self.ranges):
            raise ValueError(f"{number} is outside {_show(self.ranges)}")
        return sys.intern(str(number))


@dataclass(frozen=True, slots=True)
class DecimalType:
    """A decimal64 with so many digits after the point."""

    digits: int
    ranges: Intervals

    def canonical(self, text: str) -> str:
        """Return the number with at least one digit after the point and no other trailing zeros."""
        bare = text.strip()
        if not _DECIMAL.fullmatch(bare):
            raise ValueError(f"{text!r} is not a decimal number")
        number = Decimal(bare)
        whole, _, fraction = bare.lstrip("+-").partition(".")
        fraction = fraction.rstrip("0")
        if len(fraction) > self.digits:
            raise ValueError(f"{bare} has more than {self.digits} digits after the point")
        if not _within(number, self.ranges):
            raise ValueError(f"{bare} is outside {_show(self.ranges)}")
        sign = "-" if number < 0 else ""
        return sys.intern(f"{sign}{whole.lstrip('0') or '0'}.{fraction or '0'}")


@dataclass(frozen=True, slots=True)
class EnumerationType:
    """One of several names."""

    names: tuple[str, ...]

    def canonical(self, text: str) -> str:
        """Return the name itself."""
        if text not in self.names:
            raise ValueError(f"{text!r} is none of {', '.join(self.names)}")
        return sys.intern(text)


@dataclass(frozen=True, slots=True)
class BitsType:
    """A set of names."""

    names: tuple[str, ...]

    def canonical(self, text: str) -> str:
        """Return the names in the order of the type."""
        given = text.split()
        if len(set(given)) != len(given) or not set(given) <= set(self.names):
            raise ValueError(f"{text!r} is not a set of {', '.join(self.names)}")
        return sys.intern(" ".join(name for name in self.names if name in given))


@dataclass(frozen=True, slots=True)
class BinaryType:
    """Octets in base64."""

    lengths: Intervals = ()

    def canonical(self, text: str) -> str:
        """Return the base64 text without white space."""
        try:
            octets = base64.b64decode("".join(text.split()), validate=True)
        except binascii.Error as error:
            raise ValueError(f"not base64: {error}") from error
        if not _within(Decimal(len(octets)), self.lengths):
            raise ValueError(f"length {len(octets)} is outside {_show(self.lengths)}")
        return base64.b64encode(octets).decode()


@dataclass(frozen=True, slots=True)
class UnionType:
    """A union: the first member type that accepts the text applies."""

    members: tuple[LeafType, ...]

    def canonical(self, text: str) -> str:
        """Return the canonical form in the first type that fits."""
        reasons = []
        for member in self.members:
            try:
                return member.canonical(text)
            except ValueError as error:
                reasons.append(str(error))
        raise ValueError(" and ".join(reasons))


@dataclass(frozen=True, slots=True)
class EmptyType:
    """A leaf whose presence is its value."""

    def canonical(self, text: str) -> str:
        """Return the empty text."""
        if text.strip():
            raise ValueError("must be empty")
        return ""


def ipv6(text: str) -> str:
    """Return an IPv6 address as RFC 5952 writes it; the zone after ``%`` stays as it is."""
    address, percent, zone = text.partition("%")
    return str(IPv6Address(address)) + percent + zone


def python_pattern(xsd: str) -> re.Pattern[str]:
    r"""Compile a pattern of XML Schema, which has ``\p{L}`` and no anchors.

    Raises:
        ValueError: the pattern uses features that Python's patterns lack.
    """
    text = re.sub(r"\\p\{N\}\\p\{L\}|\\p\{L\}\\p\{N\}", r"\\w", xsd)
    text = text.replace(r"\p{N}", r"\d")
    if re.search(r"\\[pPiIcC]|-\[", text):
        raise ValueError(f"pattern {xsd} is beyond this compiler")
    return re.compile(_escape_anchors(text))


def _escape_anchors(text: str) -> str:
    """``^`` and ``$`` are ordinary characters in XML Schema, ``^`` at the start of a class excepted."""
    parts = re.findall(r"\\.|\[\^?|[^\\]", text, re.DOTALL)
    return "".join("\\" + part if part in ("^", "$") else part for part in parts)


def _within(number: Decimal, intervals: Intervals) -> bool:
    return not intervals or any(low <= number <= high for low, high in intervals)


def _show(intervals: Intervals) -> str:
    return " | ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in intervals)
