"""Input from outside that may be hostile: text for terminals, times, and JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson


def visible(text: str) -> str:
    r"""Make a text one line that is harmless on a terminal: other than printable characters become escapes (``\x1b``).

    These are control characters, line breaks, and characters that change the direction of writing or have no width.
    Words of stations, alarm sources, tenants and files appear in what is printed and logged.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


#: Between these times is every time that anybody means; beyond, other offsets from UTC and durations have no time left.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def is_meant(at: datetime) -> bool:
    """Whether a time with an offset is one that can be reckoned with: of the years 1900 to 8999."""
    return EARLIEST <= at < LATEST


def moment(text: str | None) -> datetime | None:
    """A time as somebody else wrote it (RFC 3339, RFC 6991), in UTC; without an offset it counts as UTC.

    None if it is no time, or none of the years 1900 to 8999.
    """
    try:
        at = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.astimezone(UTC) if is_meant(at) else None


#: Deepest nesting of JSON that is accepted; beyond some hundreds parsers and writers fail, each in its own way.
DEEPEST = 64
#: Most values in a JSON text from outside; each takes up to a hundred times what it takes in the text.
MOST_MEMBERS = 500_000


class HostileJsonError(ValueError):
    """A text is no JSON, or exceeds a bound."""


def members_of(raw: bytes) -> int:
    """How many values a JSON text has at most, by its marks."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def parse_json(raw: bytes, most: int = MOST_MEMBERS) -> Any:
    """The value of a JSON text.

    Raises:
        HostileJsonError: It is no JSON, has more than ``most`` values, or is nested more than ``DEEPEST`` levels deep.
            Values are counted before they are built.
    """
    if members_of(raw) > most:
        raise HostileJsonError(f"it has more than {most} values")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = _NOTHING
    if value is _NOTHING:
        raise HostileJsonError("it is no JSON")
    if is_deeper(value, DEEPEST):
        raise HostileJsonError(f"it is nested more than {DEEPEST} levels deep")
    return value


_NOTHING = object()


def is_deeper(value: Any, most: int) -> bool:
    """Whether lists and objects are nested more deeply than this."""
    level = [value]
    for _ in range(most + 1):
        level = [inner for one in level for inner in _inner(one)]
        if not level:
            return False
    return True


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
