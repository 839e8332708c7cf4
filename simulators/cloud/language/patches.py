"""Patches of objects: JSON patch (RFC 6902), merge patch (RFC 7386), and strategic merge patch of built-in kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from simulators.cloud.language import decoding, status
from simulators.cloud.language.schema import ANYTHING, Schema, copied
from simulators.cloud.language.typed import same

if TYPE_CHECKING:
    from simulators.cloud.language.kinds import Kind

Object = dict[str, Any]
Value = Any

_MOST_OPERATIONS: Final = 10_000


class _ImpossibleError(Exception):
    """An operation that can't be carried out."""


class _MisshapenError(Exception):
    """A directive that is not of its form."""


def parse(body: bytes, *, operations: bool) -> tuple[Value, list[str]]:
    """The patch that a body is: a list of operations, or an object; and what of it is given twice or unknown.

    Raises:
        StatusError: It is not (400).
    """
    try:
        value, problems = decoding.parse(body, "application/json")
    except ValueError as error:
        raise status.bad_request(f"error decoding patch: {error}") from None
    if operations and value is None:
        value = []
    if not isinstance(value, list if operations else dict):
        raise _wrong(value, "value of type []handlers.jsonPatchOp" if operations else _OBJECT)
    for index, operation in enumerate(value if operations else ()):
        if not isinstance(operation, dict | None):
            raise _wrong(operation, "value of type handlers.jsonPatchOp")
        for name, part in (operation or {}).items():
            if name in _WORDS and not isinstance(part, str | None):
                raise _wrong(part, f"struct field jsonPatchOp.{name} of type string")
            if name not in _WORDS and name != "value":
                problems.append(f'unknown field "[{index}].{name}"')
    return value, problems


_WORDS: Final = ("op", "path", "from")
_OBJECT: Final = "value of type map[string]interface {}"


def _wrong(value: Value, into: str) -> status.StatusError:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    word = names.get(type(value), "null")
    return status.bad_request(f"error decoding patch: json: cannot unmarshal {word} into Go {into}")


def json_patch(obj: Object, operations: list[Value]) -> Object:
    """The object after all operations, or an error and no change.

    As in the library that the real server has, which differs from RFC 6902: to replace or test what an object does not
    have is to add it, or to test for null; a value that is left out is null; the first part of a path says nothing.

    Raises:
        StatusError: An operation can't be carried out (422), or there are too many (413).
    """
    if len(operations) > _MOST_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(operations)}"
        raise status.StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {text}")
    result: Value = copied(obj)
    try:
        for operation in operations:
            result = _operate(result, operation or {})
    except _ImpossibleError:
        raise status.unprocessable() from None
    if not isinstance(result, dict):
        raise status.unprocessable()
    return result


def _operate(document: Value, operation: Mapping[str, Value]) -> Value:
    name, path, value = operation.get("op"), operation.get("path"), copied(operation.get("value"))
    if path is None:
        raise _ImpossibleError
    if not path:
        return _operate_on_all(document, name, value)
    if name in ("copy", "move"):
        source = _place(document, operation.get("from") or "")
        value = copied(_get(*source))
        if name == "move":
            _remove(*source)
    where = _place(document, path)
    if name in ("add", "copy", "move"):
        _add(*where, value)
    elif name == "remove":
        _remove(*where)
    elif name == "replace":
        _replace(*where, value)
    elif name != "test" or not same(_get(*where), value):
        raise _ImpossibleError
    return document


def _operate_on_all(document: Value, name: Value, value: Value) -> Value:
    """What may be done to an object as a whole: it is tested, or replaced by another object or a list."""
    if name == "replace" and isinstance(value, dict | list):
        return value
    if name != "test" or not same(document, value):
        raise _ImpossibleError
    return document


def _place(document: Value, path: str) -> tuple[Value, str]:
    """The object or list that a path leads into, and the place there."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    if len(parts) < 2:
        raise _ImpossibleError
    for part in parts[1:-1]:
        document = _get(document, part)
        if not isinstance(document, dict | list):
            raise _ImpossibleError
    return document, parts[-1]


def _index(part: str, length: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", part):
        raise _ImpossibleError
    index = int(part)
    if not -length <= index < length:
        raise _ImpossibleError
    return index


def _get(into: Value, place: str) -> Value:
    return into[_index(place, len(into))] if isinstance(into, list) else into.get(place)


def _add(into: Value, place: str, value: Value) -> None:
    if isinstance(into, dict):
        into[place] = value
    else:
        length = len(into)
        into.insert(length if place == "-" else _index(place, length + 1) % (length + 1), value)


def _replace(into: Value, place: str, value: Value) -> None:
    into[place if isinstance(into, dict) else _index(place, len(into))] = value


def _remove(into: Value, place: str) -> None:
    if isinstance(into, dict) and place not in into:
        raise _ImpossibleError
    del into[place if isinstance(into, dict) else _index(place, len(into))]


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
#: Directives that are lists, and what a server says of one that is not.
_LISTS: Final = {_RETAIN: "retainKeys", _DELETE: "primitive list", _ORDER: "setElementOrder list"}


def strategic_patch(kind: Kind, obj: Object, patch: Object) -> Object:
    """The object with a strategic merge patch over it: lists whose items have names merge item by item.

    Raises:
        StatusError: The patch has a directive that is unknown or of the wrong form, or an item without its key (400,
            500).
    """
    try:
        merged: Object = _strategic(kind.typed_schema, obj, patch)
    except _MisshapenError as error:
        raise status.bad_request(f"invalid patch format of {error}") from None
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
    lists: Object = {}
    for name, each in patch.items():
        directive = next((one for one in _LISTS if name.startswith(one)), "")
        if directive and not isinstance(each, list):
            raise _MisshapenError(_LISTS[directive])
        if directive:
            lists[name] = each
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
        if order is not None:
            _check_order(schema, patch, order)
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
    _check_order(schema, given, order)
    # Where items are deleted the real server takes as many new ones for items that stood at the end.
    known = {_named(schema, item) for item in old}
    left = [item for item in old if _named(schema, item) in items]
    new = [item for item in given if _named(schema, item) not in known]
    return _ordered(schema, list(items.values()), [*left, *new[: len(old) - len(left)]], order)


def _check_order(schema: Schema, given: list[Value], order: list[Value]) -> None:
    """Items of a patch have to be in the order that it names."""
    left = [_named(schema, item) for item in given]
    for name in (_named(schema, item) for item in order):
        if left and name == left[0]:
            left.pop(0)
    if left:
        raise _ImpossibleError(f"The order in patch list:\n{given}\n doesn't match {_ORDER[:-1]} list:\n{order}\n")


def _named(schema: Schema, item: Value) -> str:
    if not schema.merge_key:
        return json.dumps(item)
    if not isinstance(item, dict) or schema.merge_key not in item:
        raise _ImpossibleError(f"map: {_printed(item)} does not contain declared merge key: {schema.merge_key}")
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


def _printed(value: Any) -> str:
    """A value as Go prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_printed(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_printed, value))}]"
    return "<nil>" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
