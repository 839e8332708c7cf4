"""Canonical text of leaf values, so that equal values compare equal however a device spells them.

A text that is not valid is returned as read, stripped, so that the diff shows it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from ipaddress import ip_address

#: Slice differentiator that means "none" (TS 23.003 §28.4.2).
NO_SD = "FFFFFF"


@lru_cache(maxsize=4096)
def integer(text: str) -> str:
    """``007``, ``+7`` and `` 7 `` are ``7``."""
    text = text.strip()
    try:
        return str(int(text, 10))
    except ValueError:
        return text


@lru_cache(maxsize=4096)
def decimal1(text: str) -> str:
    """Decimal64 with one fraction digit: ``10``, ``10.0`` and ``10.00`` are ``10.0``."""
    text = text.strip()
    try:
        return f"{Decimal(text):.1f}"
    except InvalidOperation:
        return text


@lru_cache(maxsize=65536)
def address(text: str) -> str:
    """IP address in its shortest form, ``2001:DB8:0::1`` is ``2001:db8::1``."""
    text = text.strip()
    try:
        return str(ip_address(text))
    except ValueError:
        return text


@lru_cache(maxsize=4096)
def instant(text: str) -> str:
    """A point in time in UTC: ``2026-01-01T01:00:00+01:00`` is ``2026-01-01T00:00:00Z``."""
    text = text.strip()
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return text


@lru_cache(maxsize=4096)
def slice_differentiator(text: str) -> str:
    """``0000d1``, ``0000D1`` and ``00:00:d1`` (Rel-18) are ``0000D1``; an absent one is ``FFFFFF``."""
    return text.strip().replace(":", "").upper() or NO_SD
