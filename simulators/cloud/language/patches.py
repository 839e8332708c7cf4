"""Patches of objects: JSON patch (RFC 6902), merge patch (RFC 7386), and strategic merge patch of built-in kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from simulators.cloud.language import decoding, status
from simulators.cloud.language.schema import ABSENT, ANYTHING, Schema, copied
from simulators.cloud.language.typed import same

if TYPE_CHECKING:
    from simulators.cloud.language.kinds import Kind

Object = dict[str, Any]
Value = Any

_MOST_OPERATIONS: Final = 10_000


class _ImpossibleError(Exception):
    """An operation that can't be carried out."""


def parse(body: bytes, *, operations: bool) -> Value:
    """The patch that a body is: a list of operations, or an object.

    Raises:
        StatusError: It is not (400).
    """
    try:
        value, _ = decoding.parse(body, "application/json")
    except ValueError as error:
        raise status.bad_request(f"error decoding patch: {error}") from None
    if isinstance(value, list if operations else dict):
        return value
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    word = names.get(type(value), "null")
    into = "[]handlers.jsonPatchOp" if operations else "map[string]interface {}"
    raise status.bad_request(f"error decoding patch: json: cannot unmarshal {word} into Go value of type {into}")


def json_patch(obj: Object, operations: list[Value]) -> Object:
    """The object after all operations, or an error and no change.

    Raises:
        StatusError: An operation can't be carried out (422), or there are too many (413).
    """
    if len(operations) > _MOST_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(operations)}"
        raise status.StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {text}")
    result: Value = copied(obj)
    try:
        for operation in operations:
            result = _operate(result, operation)
    except (_ImpossibleError, KeyError, TypeError, AttributeError):
        raise status.unprocessable() from None
    if not isinstance(result, dict):
        raise status.unprocessable()
    return result


def _operate(document: Value, operation: Mapping[str, Value]) -> Value:
    name, path = operation["op"], _pointer(operation["path"])
    if name in {"add", "replace", "test"} and "value" not in operation:
        raise _ImpossibleError
    if name == "add":
        return _add(document, path, copied(operation["value"]))
    if name == "remove":
        return _remove(document, path)
    if name == "replace":
        _at(document, path)
        return _add(_remove(document, path) if path else ABSENT, path, copied(operation["value"]))
    if name == "test":
        if not same(_at(document, path), operation["value"]):
            raise _ImpossibleError
        return document
    source = _pointer(operation["from"])
    value = copied(_at(document, source))
    if name == "copy":
        return _add(document, path, value)
    if name == "move":
        return _add(_remove(document, source), path, value)
    raise _ImpossibleError


def _pointer(text: str) -> list[str]:
    if not text:
        return []
    if not text.startswith("/"):
        raise _ImpossibleError
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _index(part: str, length: int) -> int:
    if not part.lstrip("-").isdigit():
        raise _ImpossibleError
    index = int(part)
    if not -length <= index < length:
        raise _ImpossibleError
    return index


def _at(document: Value, path: list[str]) -> Value:
    for part in path:
        if isinstance(document, list):
            document = document[_index(part, len(document))]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            raise _ImpossibleError
    return document


def _add(document: Value, path: list[str], value: Value) -> Value:
    if not path:
        return value
    into = _at(document, path[:-1])
    last = path[-1]
    if isinstance(into, list):
        into.insert(len(into) if last == "-" else _index(last, len(into) + 1), value)
    elif isinstance(into, dict):
        into[last] = value
    else:
        raise _ImpossibleError
    return document


def _remove(document: Value, path: list[str]) -> Value:
    if not path:
        raise _ImpossibleError
    _at(document, path)
    into = _at(document, path[:-1])
    if isinstance(into, list):
        del into[_index(path[-1], len(into))]
    else:
        del into[path[-1]]
    return document


def merge_patch(obj: Value, patch: Value) -> Value:
    """The object with the patch over it: null takes a field out, a list replaces a list."""
    if not isinstance(patch, dict):
        return copied(patch)
    found = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merge_patch(found.get(name), value)
    return found


_DIRECTIVE: Final = "$patch"
_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"
_RETAIN: Final = "$retainKeys"


def strategic_patch(kind: Kind, obj: Object, patch: Object) -> Object:
    """The object with a strategic merge patch over it: lists whose items have names merge item by item.

    Raises:
        StatusError: The patch has a directive that is unknown, or an item without its key (400, 500).
    """
    try:
        merged: Object = _strategic(kind.typed_schema, obj, patch)
    except _ImpossibleError as error:
        raise status.internal(str(error)) from None
    return merged


def _strategic(schema: Schema, obj: Value, patch: Object) -> Value:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {name: copied(value) for name, value in patch.items() if name != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise _ImpossibleError(f"unknown patch type: {directive}")
    found = _retained(obj, patch)
    for name, value in patch.items():
        if not name.startswith("$"):
            _strategic_field(schema.field(name) or ANYTHING, found, name, value, patch.get(f"{_ORDER}{name}"))
    for name, order in patch.items():
        target = name.removeprefix(_ORDER)
        if name.startswith(_ORDER) and target not in patch and target in found:
            found[target] = _ordered(schema.field(target) or ANYTHING, found[target], found[target], order)
    return found


def _retained(obj: Value, patch: Object) -> Object:
    """What of an object stays by the patch's directives."""
    found: Object = dict(obj) if isinstance(obj, dict) else {}
    lists = {name: each for name, each in patch.items() if name == _RETAIN or name.startswith((_DELETE, _ORDER))}
    for name, each in lists.items():
        if not isinstance(each, list):
            raise _ImpossibleError(f"expected a list for {name}, but received: {each}")
    kept = patch.get(_RETAIN)
    if kept is not None:
        found = {name: value for name, value in found.items() if name in kept}
    for name, value in lists.items():
        target = name.removeprefix(_DELETE)
        if name.startswith(_DELETE) and found.get(target):
            found[target] = [item for item in found[target] if item not in value]
    return found


def _strategic_field(schema: Schema, found: Object, name: str, value: Value, order: list[Value] | None) -> None:
    if value is None:
        found.pop(name, None)
    elif isinstance(value, dict):
        if value.get(_DIRECTIVE) == "delete" and len(value) == 1:
            found.pop(name, None)
        else:
            found[name] = _strategic(schema, found.get(name), value)
    elif isinstance(value, list) and schema.merges:
        found[name] = _strategic_list(schema, found.get(name) or [], value, order)
    else:
        found[name] = copied(value)


def _strategic_list(schema: Schema, old: list[Value], patch: list[Value], order: list[Value] | None) -> list[Value]:
    if not schema.merge_key:
        merged = [*old, *(item for item in patch if item not in old)]
        return _ordered(schema, merged, old, patch if order is None else order)
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if _DIRECTIVE not in item]
    items = {_named(schema, item): item for item in old}
    given: list[Value] = []
    for item in patch:
        name = _named(schema, item)
        if item.get(_DIRECTIVE) == "delete":
            items.pop(name, None)
            continue
        items[name] = _strategic(schema.items or ANYTHING, items.get(name), item)
        given.append(item)
    if order is None:
        return _ordered(schema, list(items.values()), old, given)
    # Where items are deleted the real server takes as many new ones for items that stood at the end.
    known = {_named(schema, item) for item in old}
    left = [item for item in old if _named(schema, item) in items]
    new = [item for item in given if _named(schema, item) not in known]
    return _ordered(schema, list(items.values()), [*left, *new[: len(old) - len(left)]], order)


def _named(schema: Schema, item: Value) -> str:
    if not schema.merge_key:
        return json.dumps(item)
    if not isinstance(item, dict) or schema.merge_key not in item:
        raise _ImpossibleError(f"map: {item} does not contain declared merge key: {schema.merge_key}")
    return json.dumps(item[schema.merge_key])


def _ordered(schema: Schema, merged: list[Value], old: list[Value], order: list[Value]) -> list[Value]:
    """Items in the order given; each other one before the next that stood behind it, else at the end."""
    by_name = {_named(schema, item): item for item in merged}
    places = {_named(schema, item): index for index, item in enumerate(old)}
    ahead = [name for name in (_named(schema, item) for item in order) if name in by_name]
    others = [name for name in by_name if name not in ahead]
    result: list[str] = []
    while ahead and others:
        one, other = others[0], ahead[0]
        before = one in places and other in places and places[one] < places[other]
        result.append((others if before else ahead).pop(0))
    return [by_name[name] for name in (*result, *ahead, *others)]
