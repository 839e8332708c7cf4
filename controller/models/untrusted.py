"""Input from outside that may be hostile: text for terminals, and deeply nested JSON."""

from __future__ import annotations

from typing import Any


def visible(text: str) -> str:
    r"""Make a text one line that is harmless on a terminal: other than printable characters become escapes (``\x1b``).

    These are control characters, line breaks, and characters that change the direction of writing or have no width.
    Words of stations, alarm sources, tenants and files appear in what is printed and logged.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


#: Deepest nesting of JSON that is accepted; beyond some hundreds parsers and writers fail, each in its own way.
DEEPEST = 64


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
