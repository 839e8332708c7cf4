"""Objects read by their schema: the fields they have, how two differ, how two merge, and an object without some fields.

The rules are those of the structured-merge-diff library of the real server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from simulators.cloud.language.fieldsets import FieldSet, Path, element_of
from simulators.cloud.language.fieldsets import shown as shown_path
from simulators.cloud.language.schema import ABSENT, ANYTHING, Schema

Value = Any
_Shape = Literal["map", "list", "scalar"]


def same(one: Value, other: Value) -> bool:
    """Whether two values are equal, where true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(each, other[name]) for name, each in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _shape(schema: Schema, value: Value) -> _Shape:
    if schema.is_open:
        return "list" if isinstance(value, list) else "scalar" if _is_scalar(value) else "map"
    if schema.type == "array":
        return "list"
    return "map" if schema.type == "object" or schema.properties else "scalar"


def _is_scalar(value: Value) -> bool:
    return isinstance(value, str | int | float | bool)


def _is_atomic(schema: Schema, shape: _Shape) -> bool:
    return shape == "scalar" or schema.atomic or (shape == "list" and not schema.is_associative)


def _inner(schema: Schema, name: str) -> Schema:
    return schema.field(name) or ANYTHING


def _items(schema: Schema) -> Schema:
    return schema.items or ANYTHING


def field_set(schema: Schema, value: Value) -> FieldSet:
    """The fields that an object has, as the one who applies it comes to own them."""
    return frozenset(_fields(schema, value, ()))


def _fields(schema: Schema, value: Value, path: Path) -> Iterator[Path]:
    shape = _shape(schema, value)
    if _is_atomic(schema, shape):
        yield path
    elif isinstance(value, list):
        for element, items in _grouped(schema, value).items():
            child = (*path, element)
            if len(items) == 1:
                yield from _fields(_items(schema), items[0], child)
            yield child
    elif isinstance(value, dict):
        for name, each in value.items():
            child = (*path, f"f:{name}")
            yield from _fields(_inner(schema, name), each, child)
            if each is None or each == {} or name not in schema.properties:
                yield child


def _indexed(schema: Schema, value: list[Value]) -> Iterator[tuple[str, Value]]:
    for item in value:
        yield element_of(schema, item), item


@dataclass(slots=True)
class Comparison:
    """The fields in which two objects differ."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def compare(schema: Schema, old: Value, new: Value) -> Comparison:
    """What changed from `old` to `new`."""
    found = Comparison()
    _compare(found, schema, old, new, ())
    return found


def _compare(found: Comparison, schema: Schema, old: Value, new: Value, path: Path) -> None:
    shape = _shape(schema, new if new is not ABSENT and new is not None else old)
    other = _shape(schema, old) if old is not ABSENT and old is not None else shape
    if shape != other:
        _compare_shapes(found, schema, old, new, path)
        return
    if _is_atomic(schema, shape) or (not old and not new):
        _compare_leaf(found, old, new, path)
        return
    if shape == "list":
        _compare_items(found, schema, old or [], new or [], path)
    else:
        before, after = old or {}, new or {}
        for name in {**before, **after}:
            inner = _inner(schema, name)
            _compare(found, inner, before.get(name, ABSENT), after.get(name, ABSENT), (*path, f"f:{name}"))
    if old is ABSENT:
        found.added.add(path)
    elif new is ABSENT:
        found.removed.add(path)


def _compare_shapes(found: Comparison, schema: Schema, old: Value, new: Value, path: Path) -> None:
    """Where a map became a list or scalar, or the other way round: what the map held went or came."""
    for one, other, into in ((old, new, found.removed), (new, old, found.added)):
        if isinstance(one, dict):
            within = compare(schema, one, {})
            into |= {(*path, *each) for each in within.removed}
        elif one is not other:
            _compare_leaf(found, old, new, path)


def _compare_leaf(found: Comparison, old: Value, new: Value, path: Path) -> None:
    if old is ABSENT and new is ABSENT:
        return
    if old is ABSENT:
        found.added.add(path)
    elif new is ABSENT:
        found.removed.add(path)
    elif not same(old, new):
        found.modified.add(path)


def _compare_items(found: Comparison, schema: Schema, old: list[Value], new: list[Value], path: Path) -> None:
    before = _grouped(schema, old)
    after = _grouped(schema, new)
    for element in {**before, **after}:
        one, other = before.get(element, []), after.get(element, [])
        child = (*path, element)
        if len(one) > 1 and len(other) > 1:  # an item that stands there twice has one owner as a whole
            _compare_leaf(found, one, other, child)
            continue
        single = one[0] if len(one) == 1 else ABSENT, other[0] if len(other) == 1 else ABSENT
        _compare(found, _items(schema), *single, child)
        if len(one) > 1:
            found.removed.add(child)
        elif len(other) > 1:
            found.added.add(child)


def _grouped(schema: Schema, value: list[Value]) -> dict[str, list[Value]]:
    found: dict[str, list[Value]] = {}
    for element, item in _indexed(schema, value):
        found.setdefault(element, []).append(item)
    return found


def merge(schema: Schema, live: Value, applied: Value) -> Value:
    """The live object with what was applied over it."""
    if applied is ABSENT:
        return live
    shape = _shape(schema, applied)
    if live is ABSENT or live is None or shape != _shape(schema, live) or _is_atomic(schema, shape):
        return applied
    if not live and not applied:
        return applied
    if shape == "list":
        return _merged_items(schema, live, applied or [])
    over = applied or {}
    return {
        name: merge(_inner(schema, name), live.get(name, ABSENT), over.get(name, ABSENT)) for name in {**live, **over}
    }


def _merged_items(schema: Schema, live: list[Value], applied: list[Value]) -> list[Value]:
    """The items of both; those that were applied in their order, the others where they stood among them."""
    left = list(_indexed(schema, live))
    right = list(_indexed(schema, applied))
    known, new = {element: items[0] for element, items in _grouped(schema, live).items()}, dict(right)
    doubled = {element for element, items in _grouped(schema, live).items() if len(items) > 1}
    shared = [element for element, _ in right if element in known]
    merged: list[Value] = []
    done: set[str] = set()

    def take(element: str) -> None:
        before = ABSENT if element in doubled else known.get(element, ABSENT)
        merged.append(merge(_items(schema), before, new[element]))
        done.add(element)
        if shared and shared[0] == element:
            shared.pop(0)

    at = to = 0
    while at < len(left) or to < len(right):
        if at < len(left):
            element, item = left[at]
            if to < len(right) and element == right[to][0]:
                take(element)
                at, to = at + 1, to + 1
                continue
            if element not in new:
                merged.append(item)
                at += 1
                continue
            if element in done or (to < len(right) and shared and shared[0] != element):
                at += 1
                continue
        if to < len(right):
            take(right[to][0])
            to += 1
        else:
            at += 1
    return merged


def remove(schema: Schema, value: Value, fields: FieldSet) -> Value:
    """The object without these fields; a map or list that loses all it had becomes null."""
    below: dict[str, Any] = {}
    for path in fields:
        node = below
        for element in path:
            node = node.setdefault(element, {})
        node[""] = True
    return _removed(schema, value, below)


def _removed(schema: Schema, value: Value, below: dict[str, Any]) -> Value:
    shape = _shape(schema, value)
    if shape == "scalar":
        return value
    if not value or _is_atomic(schema, shape):
        return None
    if isinstance(value, list):
        left = [
            _removed(_items(schema), item, below[element]) if element in below else item
            for element, item in _indexed(schema, value)
            if "" not in below.get(element, ())
        ]
        return left or None
    kept = {
        name: _removed(_inner(schema, name), each, below[f"f:{name}"]) if f"f:{name}" in below else each
        for name, each in value.items()
        if "" not in below.get(f"f:{name}", ())
    }
    return kept or None


def mismatches(schema: Schema, value: Value, *, duplicates: bool = False) -> list[str]:
    """Where an object doesn't fit its schema, in the words of the real server; empty if it fits."""
    return [f"{shown_path(path)}: {text}" for path, text in _mismatches(schema, value, (), duplicates=duplicates)]


def _mismatches(schema: Schema, value: Value, path: Path, *, duplicates: bool) -> Iterator[tuple[Path, str]]:
    if value is None:
        return
    shape = _shape(schema, value)
    if shape == "scalar":
        text = _scalar_mismatch(schema, value)
        if text:
            yield path, text
    elif shape == "list":
        if not isinstance(value, list):
            yield path, f"expected list, got &{{{go_text(value)}}}"
            return
        yield from _item_mismatches(schema, value, path, duplicates=duplicates)
    elif not isinstance(value, dict):
        yield path, f"expected map, got &{{{go_text(value)}}}"
    else:
        for name, each in value.items():
            inner = schema.field(name)
            if inner is None:
                yield (*path, f"f:{name}"), "field not declared in schema"
            else:
                yield from _mismatches(inner, each, (*path, f"f:{name}"), duplicates=duplicates)


def _item_mismatches(schema: Schema, value: list[Value], path: Path, *, duplicates: bool) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    for index, item in enumerate(value):
        element = f"v:{index}"
        if schema.is_associative:
            try:
                element = element_of(schema, item)
            except ValueError as error:
                yield path, f"element {index}: {error}"
                return
            if element in seen and not duplicates:
                yield path, f"duplicate entries for key {shown_path((element,))}"
            seen.add(element)
        yield from _mismatches(_items(schema), item, (*path, element), duplicates=duplicates)


def _scalar_mismatch(schema: Schema, value: Value) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    wanted = "any" if schema.int_or_string or schema.format in {"quantity", "int-or-string"} else schema.type
    if wanted in {"integer", "number"} and not is_number:
        return f"expected numeric (int or float), got {go_type(value)}"
    if wanted == "string" and not isinstance(value, str):
        return f"expected string, got &value.valueUnstructured{{Value:{go_text(value, quoted=True)}}}"
    if wanted == "boolean" and not isinstance(value, bool):
        return f"expected boolean, got &{{{go_text(value)}}}"
    if not _is_scalar(value):
        return f"expected any scalar, got &{{{go_text(value)}}}"
    return ""


def go_type(value: Value) -> str:
    """The Go type that a JSON value is read as."""
    names = {bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")


def go_text(value: Value, *, quoted: bool = False) -> str:
    """A value as Go prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_text(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and quoted:
        return f'"{value}"'
    return "<nil>" if value is None else str(value)
