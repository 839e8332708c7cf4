"""How deep a value of JSON is nested."""

from __future__ import annotations

from typing import Any

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
