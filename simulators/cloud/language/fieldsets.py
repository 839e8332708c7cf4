"""Sets of field paths, as `metadata.managedFields` holds them (FieldsV1).

A path is a tuple of elements in the notation of FieldsV1: `f:NAME` is a field, `k:{"name":"n3"}` the item of a list
with that key, `v:"a"` an item of a set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from simulators.cloud.language.schema import ABSENT, Schema

Path = tuple[str, ...]
FieldSet = frozenset[Path]

NOTHING: FieldSet = frozenset()


_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def compact(value: object) -> str:
    """JSON without spaces, keys in order."""
    return _ENCODER.encode(value)


def path_of(*names: str) -> Path:
    """The path of a field, by the names on the way."""
    return tuple(f"f:{name}" for name in names)


def encode(fields: Iterable[Path]) -> dict[str, Any]:
    """A set as FieldsV1: `.` marks a member that has others below it."""
    members = set(fields)
    root: dict[str, Any] = {}
    for path in members:
        node = root
        for element in path:
            node = node.setdefault(element, {})
    for path in members:
        node = root
        for element in path:
            node = node[element]
        if node:
            node["."] = {}
    return _ordered(root)


def _ordered(node: dict[str, Any]) -> dict[str, Any]:
    return {key: _ordered(node[key]) for key in sorted(node)}


def decode(fields: Mapping[str, Any]) -> FieldSet:
    """FieldsV1 as a set.

    Raises:
        ValueError: It is not FieldsV1.
    """
    found: set[Path] = set()

    def walk(node: object, path: Path) -> None:
        if not isinstance(node, Mapping):
            raise ValueError(f"{'/'.join(path)} of a managedFields entry is no object")  # noqa: TRY004 (data)
        if path and (not node or "." in node):
            found.add(path)
        for element, below in node.items():
            if element != ".":
                walk(below, (*path, element))

    walk(fields, ())
    return frozenset(found)


def without_below(fields: FieldSet, roots: FieldSet) -> FieldSet:
    """The set without the paths that are at or below one of the roots."""
    if not roots:
        return fields
    return frozenset(p for p in fields if not any(p[:length] in roots for length in range(1, len(p) + 1)))


def leaves(fields: FieldSet) -> FieldSet:
    """The members that have no other member below them."""
    inner = {path[:length] for path in fields for length in range(1, len(path))}
    return frozenset(path for path in fields if path not in inner)


def with_named_fields(fields: FieldSet, schema: Schema) -> FieldSet:
    """The set and all named fields on the way to its members; those are not written down otherwise."""
    found = set(fields)
    for path in fields:
        at: Schema | None = schema
        for length, element in enumerate(path[:-1], start=1):
            if at is None:
                break
            kind, _, name = element.partition(":")
            if kind != "f":
                at = at.items
                continue
            if name in at.properties:
                found.add(path[:length])
            at = at.field(name)
    return frozenset(found)


def shown(path: Path) -> str:
    """As an error names it: `.spec.interfaces[name="n3"].vlanID`."""
    return "".join(_shown_element(element) for element in path)


def _shown_element(element: str) -> str:
    kind, _, text = element.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "k":
        return "[" + ",".join(f"{name}={compact(value)}" for name, value in json.loads(text).items()) + "]"
    return f"[={text}]"


def element_of(schema: Schema, item: Any) -> str:
    """The path element that names an item of an associative list.

    Raises:
        ValueError: It can't be named, with the reason in the words of the real server.
    """
    if not schema.keys:
        if isinstance(item, dict):
            raise ValueError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise ValueError("not supported: associative list with lists as elements")
        if item is None:
            raise ValueError("associative list without keys has an element that's an explicit null")
        return f"v:{compact(_plain(item))}"
    if item is None:
        raise ValueError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise ValueError("associative list with keys may not have non-map elements")  # noqa: TRY004 (data)
    return f"k:{compact({name: _key(schema, item, name) for name in schema.keys})}"


def _plain(value: Any) -> Any:
    """A number as Go writes it: 2.0 is 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _key(schema: Schema, item: dict[str, Any], name: str) -> Any:
    if name in item:
        return _plain(item[name])
    known = schema.items.properties.get(name) if schema.items else None
    if known is None or known.default is ABSENT:
        text = (
            f'associative list with keys has an element that omits key field "{name}" (and doesn\'t have default value)'
        )
        raise ValueError(text)
    return _plain(known.default)
