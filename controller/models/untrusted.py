"""Input from outside that may be hostile: text for terminals, and deeply nested JSON."""

from __future__ import annotations

from typing import Any


def visible(text: str) -> str:
    r"""A text on one line, in which nothing acts on a terminal: what is not printable shows as an escape (``\x1b``).

    That are control characters, line breaks, and signs that turn the direction of writing or have no width.
    Stations, alarm sources, tenants and files have their words in what is printed and logged.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


#: Levels of JSON that anything may have here; beyond some hundreds parsers and writers give up, each in its own way.
DEEPEST = 64


def is_deeper(value: Any, most: int) -> bool:
    """Whether lists and objects are nested in each other more than so many times."""
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
