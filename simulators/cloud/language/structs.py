"""The structs of the built-in kinds as schemas, read from `builtin.types`."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from simulators.cloud.language.schema import ABSENT, ANYTHING, Schema

_SCALARS = {
    "string": ("string", ""),
    "boolean": ("boolean", ""),
    "int32": ("integer", "int32"),
    "int64": ("integer", "int64"),
    "float64": ("number", "double"),
    "quantity": ("string", "quantity"),
    "intorstring": ("string", "int-or-string"),
    "time": ("string", "date-time"),
    "microtime": ("string", "micro-time"),
    "bytes": ("string", "byte"),
}
_ZEROES = {"string": "", "boolean": False, "integer": 0, "number": 0}


@cache
def _lines() -> dict[str, list[str]]:
    text = resources.files("simulators.cloud.language").joinpath("builtin.types").read_text("utf-8")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            head = line.split()
            found[head[0]] = [*head[1:], ""]
            fields = found[head[0]]
        else:
            fields.append(line.strip())
    return found


_STRUCTS: dict[str, Schema] = {}


def struct(name: str) -> Schema:
    """The schema of a struct, by its name in `builtin.types`; one may hold itself."""
    if name in _STRUCTS:
        return _STRUCTS[name]
    words, fields = _split(_lines()[name])
    schema = _STRUCTS[name] = Schema(type="object", struct=name, atomic="atomic" in words, preserves="open" in words)
    for line in fields:
        field_name, type_, *words = line.split()
        schema.properties[field_name] = _field(type_, words)
    return schema


def _split(lines: list[str]) -> tuple[list[str], list[str]]:
    at = lines.index("")
    return lines[:at], lines[at + 1 :]


def _field(type_: str, words: list[str]) -> Schema:
    schema = copy.copy(_type(type_))
    schema.pointer = "*" in words or bool(schema.struct) or schema.is_open
    for word in words:
        _apply(schema, *word.partition("=")[::2])
    if schema.type == "array" and not schema.keys and not schema.is_set:
        schema.atomic = True
    if "?" in words:
        schema.zero = None
    elif "!" in words:
        schema.zero = _zero(schema, type_)
    return schema


def _apply(schema: Schema, word: str, value: str) -> None:
    if word == "atomic":
        schema.atomic = True
    elif word == "map":
        schema.keys = tuple(value.split(","))
    elif word == "set":
        schema.is_set = True
    elif word == "merge":
        schema.merges, schema.merge_key = True, value
    elif word == "retain":
        schema.retains_keys = True
    elif word == "default":
        schema.default = json.loads(value)


def _zero(schema: Schema, type_: str) -> Any:
    if type_ in {"time", "microtime"}:
        return None
    if schema.struct:
        return {name: inner.zero for name, inner in schema.properties.items() if inner.zero is not ABSENT}
    return _ZEROES[schema.type]


def _type(type_: str) -> Schema:
    if type_ in {"any", "schemaorbool"}:
        return Schema(format="schema-or-bool") if type_ == "schemaorbool" else ANYTHING
    if type_ in _SCALARS:
        kind, form = _SCALARS[type_]
        return Schema(type=kind, format=form, pointer=False)
    if type_.startswith("["):
        return Schema(type="array", items=_type(type_[1:-1]), pointer=False)
    if type_.startswith("{"):
        return Schema(type="object", values=_type(type_[1:-1]), pointer=False)
    return struct(type_)


def go_name(schema: Schema) -> str:
    """The Go type of a value, as an error of the decoder names it."""
    if schema.struct:
        return f"v1.{schema.struct.rpartition('.')[2]}"
    if schema.type == "array" and schema.items:
        return f"[]{go_name(schema.items)}"
    if schema.values:
        return f"map[string]{go_name(schema.values)}"
    return {"boolean": "bool", "integer": schema.format, "number": "float64"}.get(schema.type, "string")


def named(schema: Schema) -> Iterator[Schema]:
    """All structs that a struct is made of, itself first."""
    seen: set[str] = set()
    left = [schema]
    while left:
        each = left.pop(0)
        if each.struct in seen:
            continue
        if each.struct:
            seen.add(each.struct)
            yield each
        left += [*each.properties.values(), *filter(None, (each.items, each.values))]
