"""JSON from outside that may be hostile: bounded before it is built. Apart, since the command line loads little."""

from __future__ import annotations

from typing import Any

import orjson

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


class JsonBody:
    """The body of an answer of somebody else, taken part by part as it comes; of a bounded size.

    Args:
        most: Bytes that it may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = bytearray()

    def add(self, part: bytes) -> None:
        """Take the next part.

        Raises:
            HostileJsonError: The body is too large.
        """
        self._taken += part
        if len(self._taken) > self._most:
            raise HostileJsonError(f"its answer has more than {self._most // 1024} KiB")

    def object(self) -> dict[str, Any]:
        """The object in it.

        Raises:
            HostileJsonError: It holds none, or too much.
        """
        value = parse_json(bytes(self._taken))
        if not isinstance(value, dict):
            raise HostileJsonError("it is no JSON object")
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


def has_more(value: Any, most: int) -> bool:
    """Whether lists and objects hold more values than this in all; counted only that far."""
    count, waiting = 0, [value]
    while waiting:
        inner = _inner(waiting.pop())
        count += len(inner)
        if count > most:
            return True
        waiting += (one for one in inner if isinstance(one, dict | list))
    return False


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
