"""Custom resources checked against their structural schema, with the causes and words of the real server."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from simulators.cloud.language import metadata, typed
from simulators.cloud.language.fieldsets import compact
from simulators.cloud.language.schema import ABSENT, Schema
from simulators.cloud.language.status import Cause

Value = Any


def go_type(value: Value) -> tuple[str, str]:
    """The type and format of a value, as the real server calls them."""
    if isinstance(value, bool):
        return "boolean", ""
    if isinstance(value, int):
        return "integer", "int64"
    if isinstance(value, float):
        return "number", "float64"
    if isinstance(value, str):
        return "string", ""
    return ("array", "") if isinstance(value, list) else ("object", "")


def problems(
    schema: Schema, value: Value, path: str = "", text: str | None = None, old: Value = ABSENT
) -> Iterator[Cause]:
    """What is wrong with a value, but for what was so before: schemas may have become stricter meanwhile.

    Args:
        schema: What it should be.
        value: What it is.
        path: Its field, for the cause.
        text: Its field in the words; another one than `path` where a part of an object is checked by itself.
        old: What it was; absent where it is new, or that can't be told.
    """
    text = path if text is None else text
    if old is not ABSENT and typed.same(old, value):
        return
    yield from _type_problems(schema, value, path, text)
    yield from _constraints(schema, value, path, text)
    if isinstance(value, list) and schema.items is not None:
        known = named(schema, old)
        for index, each in enumerate(value):
            before = known.get(name_of(schema, each), ABSENT)
            yield from problems(schema.items, each, f"{path}[{index}]", f"{text}[{index}]", before)
    elif isinstance(value, dict):
        fields = old if isinstance(old, dict) else {}
        for name, inner in schema.properties.items():
            if name in value:
                before = fields.get(name, ABSENT)
                yield from problems(inner, value[name], _child(path, name), _child(text, name), before)
        for name, each in value.items():
            if name not in schema.properties and schema.values is not None:
                before = fields.get(name, ABSENT)
                yield from problems(schema.values, each, _child(path, name), _child(text, name), before)
        yield from (Cause.required(_child(path, name)) for name in schema.required if name not in value)
    yield from _combined(schema, value, path, text)


def name_of(schema: Schema, item: Value) -> tuple[str, ...]:
    """What tells an item of a list from the others: its keys."""
    return tuple(compact(item.get(key)) for key in schema.keys) if isinstance(item, dict) else ()


def named(schema: Schema, items: Value) -> dict[tuple[str, ...], Value]:
    """The items of a list by what tells them apart; none where nothing does."""
    if not schema.keys or not isinstance(items, list):
        return {}
    return {name_of(schema, item): item for item in items}


def _child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _type_problems(schema: Schema, value: Value, path: str, text: str) -> Iterator[Cause]:
    wanted = ["integer", "string"] if schema.int_or_string else [schema.type] if schema.type else []
    if not wanted:
        return
    if value is None:
        if not schema.nullable:
            yield _mistyped(path, text, ",".join(wanted), "null")
        return
    kind, form = go_type(value)
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53 and "integer" in wanted
    fits = kind in wanted or whole or (kind == "integer" and "number" in wanted)
    if schema.format and not isinstance(value, str | list) and not fits:
        yield _mistyped(path, text, schema.format, form)
    elif not fits and not (schema.format and isinstance(value, str | list) and wanted[0] not in {"integer", "number"}):
        yield _mistyped(path, text, ",".join(wanted), kind)


def _mistyped(path: str, text: str, wanted: str, found: str) -> Cause:
    return Cause.wrong_type(path, found, f'{text} in body must be of type {wanted}: "{found}"')


def _constraints(schema: Schema, value: Value, path: str, text: str) -> Iterator[Cause]:
    if schema.rules.get("enum") and value is not None and value not in schema.rules["enum"]:
        yield Cause.unsupported(path, value, schema.rules["enum"])
    if isinstance(value, str):
        yield from _text_problems(schema, value, path, text)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_problems(schema, value, path, text)
    elif isinstance(value, list):
        yield from _count_problems(schema, value, path, text, "items", "Items")
    elif isinstance(value, dict):
        yield from _count_problems(schema, value, path, text, "properties", "Properties")


def _text_problems(schema: Schema, value: str, path: str, text: str) -> Iterator[Cause]:
    rules = schema.rules
    if len(value) > rules.get("maxLength", len(value)):
        yield Cause.too_long(path, rules["maxLength"])
    if len(value) < rules.get("minLength", 0):
        yield Cause.invalid(path, value, f"{text} in body should be at least {rules['minLength']} chars long")
    if "pattern" in rules and not re.search(python_pattern(rules["pattern"]), value):
        yield Cause.invalid(path, value, f"{text} in body should match '{rules['pattern']}'")
    check = _FORMATS.get(schema.format)
    if check is not None and schema.type == "string" and not check(value):
        yield Cause.wrong_type(path, value, f'{text} in body must be of type {schema.format}: "{value}"')


def python_pattern(pattern: str) -> str:
    """A Go pattern as Python reads it: the end of a text is the end, not the line before it."""
    return re.sub(r"(?<!\\)\$$", r"\\Z", pattern)


_RANGES: Final = {"int32": 2**31, "int64": 2**63}


def _number_problems(schema: Schema, value: float, path: str, text: str) -> Iterator[Cause]:
    rules = schema.rules
    limit = _RANGES.get(schema.format)
    if limit and (value != int(value) or not -limit <= value < limit):
        what = f"Checked value must be of type {schema.type} with format {schema.format} in {text}"
        yield Cause.invalid("<nil>", "", what)
    for word, strict, least in (("maximum", "exclusiveMaximum", False), ("minimum", "exclusiveMinimum", True)):
        if word not in rules:
            continue
        bound = rules[word]
        over = value < bound if least else value > bound
        side = "greater" if least else "less"
        if rules.get(strict) and (over or value == bound):
            yield Cause.invalid(path, value, f"{text} in body should be {side} than {bound}")
        elif over:
            yield Cause.invalid(path, value, f"{text} in body should be {side} than or equal to {bound}")
    if "multipleOf" in rules and value % rules["multipleOf"]:
        yield Cause.invalid(path, value, f"{text} in body should be a multiple of {rules['multipleOf']}")


def _count_problems(schema: Schema, value: Any, path: str, text: str, what: str, word: str) -> Iterator[Cause]:
    rules = schema.rules
    if len(value) > rules.get(f"max{word}", len(value)):
        yield Cause.too_many(path, len(value), rules[f"max{word}"])
    if len(value) < rules.get(f"min{word}", 0):
        yield Cause.invalid(path, len(value), f"{text} in body should have at least {rules[f'min{word}']} {what}")


def _combined(schema: Schema, value: Value, path: str, text: str) -> Iterator[Cause]:
    """`allOf`, `anyOf`, `oneOf` and `not`, which constrain values only."""
    for word in ("allOf", "anyOf", "oneOf"):
        parts = [Schema.of_openapi(each) for each in schema.rules.get(word, ())]
        if not parts or (word == "anyOf" and schema.int_or_string):
            continue
        found = [list(problems(part, value, path, text)) for part in parts]
        passed = sum(not each for each in found)
        if not {"allOf": passed == len(parts), "anyOf": passed > 0, "oneOf": passed == 1}[word]:
            yield Cause.invalid(path or "<nil>", "", f'"{text}" must validate {_COMBINED[word]}')
            yield from (cause for each in found for cause in each if word != "oneOf")
    forbidden = schema.rules.get("not")
    if forbidden and not list(problems(Schema.of_openapi(forbidden), value, path, text)):
        yield Cause.invalid(path or "<nil>", "", f'"{text}" must not validate the schema (not)')


_COMBINED: Final = {
    "allOf": "all the schemas (allOf)",
    "anyOf": "at least one schema (anyOf)",
    "oneOf": "one and only one schema (oneOf)",
}


def embedded(schema: Schema, value: Value, path: str = "") -> Iterator[Cause]:
    """What is wrong with the heads of objects within an object."""
    if isinstance(value, dict):
        for name in ("apiVersion", "kind") if schema.embedded else ():
            if name not in value:
                yield Cause.required(_child(path, name), "must not be empty")
            elif not isinstance(value[name], str) or not value[name]:
                text = "must not be empty" if value[name] == "" else "must be a string"
                yield Cause.invalid(_child(path, name), value[name], text)
        if schema.embedded:
            yield from _head_problems(value, path)
        for name, each in value.items():
            inner = schema.field(name)
            if inner is not None:
                yield from embedded(inner, each, _child(path, name))
    elif isinstance(value, list) and schema.items is not None:
        for index, each in enumerate(value):
            yield from embedded(schema.items, each, f"{path}[{index}]")


def _head_problems(value: dict[str, Value], path: str) -> Iterator[Cause]:
    """What is wrong with the version, the kind and the metadata of an object within an object."""
    version, kind = value.get("apiVersion"), value.get("kind")
    if isinstance(version, str) and version.count("/") > 1:
        yield Cause.invalid(_child(path, "apiVersion"), version, f"unexpected GroupVersion string: {version}")
    if isinstance(kind, str) and kind:
        for text in metadata.service_name(kind.lower()):
            said = f"may have mixed case, but should otherwise match: {text}"
            yield Cause.invalid(_child(path, "kind"), kind, said)
    found = value.get("metadata")
    if isinstance(found, dict):
        named = {"name": "fakename", **found}
        for cause in metadata.problems(named, namespaced="namespace" in found, name=metadata.path_segment):
            yield replace(cause, field=_child(path, cause.field))


def duplicates(schema: Schema, value: Value, path: str = "") -> Iterator[Cause]:
    """Items of a set or map list that stand there before."""
    if isinstance(value, dict):
        for name, each in value.items():
            inner = schema.field(name)
            if inner is not None:
                yield from duplicates(inner, each, _child(path, name))
    elif isinstance(value, list):
        yield from _item_duplicates(schema, value, path)
        for index, each in enumerate(value):
            if schema.items is not None:
                yield from duplicates(schema.items, each, f"{path}[{index}]")


def _item_duplicates(schema: Schema, value: list[Value], path: str) -> Iterator[Cause]:
    if not schema.is_associative:
        return
    seen: set[str] = set()
    for index, each in enumerate(value):
        named = each
        if schema.keys:
            named = {key: each[key] for key in schema.keys if key in each} if isinstance(each, dict) else each
        text = compact(named)
        if text in seen:
            yield Cause.duplicate(f"{path}[{index}]", json.loads(text))
        seen.add(text)


def replicas(value: Value, path: str) -> Iterator[Cause]:
    """What is wrong with the number of replicas at a path such as `.spec.replicas`; absent is right."""
    found = value
    for name in path.strip(".").split("."):
        if not isinstance(found, dict):
            yield Cause.invalid(path, 0, _accessor(path, found, "map[string]interface{}"))
            return
        if name not in found:
            return
        found = found[name]
    if isinstance(found, bool) or not isinstance(found, int):
        yield Cause.invalid(path, 0, _accessor(path, found, "int64"))
    elif found < 0:
        yield Cause.invalid(path, found, "should be a non-negative integer")
    elif found > 2**31 - 1:
        yield Cause.invalid(path, found, f"should be less than or equal to {2**31 - 1}")


def _accessor(path: str, found: Value, wanted: str) -> str:
    return f"{path} accessor error: {_go_value(found)} is of the type {_go_kind(found)}, expected {wanted}"


def _go_value(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "<nil>" if value is None else str(value)


def _go_kind(value: Value) -> str:
    names = {bool: "bool", float: "float64", str: "string", list: "[]interface {}", dict: "map[string]interface {}"}
    return "<nil>" if value is None else names.get(type(value), "int64")


def _is(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _date_time(value: str) -> None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", value):
        raise ValueError(value)
    datetime.fromisoformat(value.upper())


_HOST = re.compile(
    r"([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9])(\.([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]))*\.?"
)
_FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "date-time": _is(_date_time),
    "datetime": _is(_date_time),
    "date": lambda value: bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value)) and _is(datetime.fromisoformat)(value),
    "ipv4": _is(ipaddress.IPv4Address),
    "ipv6": _is(ipaddress.IPv6Address),
    "cidr": lambda value: "/" in value and _is(lambda text: ipaddress.ip_network(text, strict=False))(value),
    "mac": lambda value: bool(re.fullmatch(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", value)),
    "hostname": lambda value: len(value) <= 255 and bool(_HOST.fullmatch(value)),
    "uuid": _is(uuid.UUID),
    "byte": _is(lambda value: base64.b64decode(value, validate=True)),
    "email": lambda value: bool(re.fullmatch(r"[^@\s]+@[^@\s]+", value)),
    "uri": lambda value: bool(re.match(r"([A-Za-z][A-Za-z0-9+.-]*:|/)", value)),
    "duration": lambda value: bool(re.fullmatch(r"-?(\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|h|d|w)\s*)+", value)),
}
