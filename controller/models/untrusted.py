"""Input from outside that may be hostile: text for terminals, times, and whole numbers."""

from __future__ import annotations

from datetime import UTC, datetime


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


#: Digits of the longest whole number that any leaf has, one of 64 bits.
_MOST_DIGITS = 20


def natural(text: str) -> int | None:
    """A whole number without a sign as somebody else wrote it; None if it is none, or longer than one of 64 bits.

    Other characters that Unicode calls digits, such as ``²``, are none.
    """
    return int(text) if len(text) <= _MOST_DIGITS and text.isascii() and text.isdecimal() else None
