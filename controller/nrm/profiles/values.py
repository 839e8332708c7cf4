"""Canonical text of leaf values, so that equal values compare equal however a device spells them.

A text that is not valid is returned as read, stripped, so that the diff shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, wraps
from ipaddress import ip_address

#: Slice differentiator that means "none" (TS 23.003 §28.4.2).
NO_SD = "FFFFFF"
#: Longest text that may have another spelling; a longer one is no number, address or time.
_LONGEST = 64
#: Lexical form of a decimal64 (RFC 7950 §9.3.1), which has no exponent.
_DECIMAL = re.compile(r"[+-]?[0-9]{1,19}(?:\.[0-9]{1,18})?", re.ASCII)


def _canonical(most: int) -> Callable[[Callable[[str], str]], Callable[[str], str]]:
    """Remember the latest texts; a text that is longer than any value is returned as it is, and not kept."""

    def of(normalise: Callable[[str], str]) -> Callable[[str], str]:
        remembered = lru_cache(maxsize=most)(normalise)

        @wraps(normalise)
        def canonical(text: str) -> str:
            text = text.strip()
            return remembered(text) if len(text) <= _LONGEST else text

        return canonical

    return of


@_canonical(4096)
def integer(text: str) -> str:
    """``007``, ``+7`` and `` 7 `` are ``7``."""
    try:
        return str(int(text, 10))
    except ValueError:
        return text


@_canonical(4096)
def decimal1(text: str) -> str:
    """Decimal64 with one fraction digit: ``10``, ``10.0`` and ``10.00`` are ``10.0``."""
    return f"{Decimal(text):.1f}" if _DECIMAL.fullmatch(text) else text


@_canonical(65536)
def address(text: str) -> str:
    """IP address in its shortest form, ``2001:DB8:0::1`` is ``2001:db8::1``."""
    try:
        return str(ip_address(text))
    except ValueError:
        return text


@_canonical(4096)
def instant(text: str) -> str:
    """A point in time in UTC: ``2026-01-01T01:00:00+01:00`` is ``2026-01-01T00:00:00Z``."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return text


@_canonical(4096)
def slice_differentiator(text: str) -> str:
    """``0000d1``, ``0000D1`` and ``00:00:d1`` (Rel-18) are ``0000D1``; an absent one is ``FFFFFF``."""
    return text.replace(":", "").upper() or NO_SD
