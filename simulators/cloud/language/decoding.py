"""Bodies of requests as objects: parsed, their types checked, unknown fields taken out and named, defaults put in.

Built-in kinds are read as Go reads JSON into a struct, custom resources by their structural schema.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from simulators.cloud.language import quantities, status, structs
from simulators.cloud.language.fieldsets import compact
from simulators.cloud.language.kinds import BUILT_IN, Kind
from simulators.cloud.language.schema import ABSENT, ANYTHING, Schema, copied
from simulators.cloud.language.status import StatusError
from simulators.cloud.language.typed import go_text

Object = dict[str, Any]
Value = Any

_SUMMARY: Final = 30
_SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"


class _UnreadableError(ValueError):
    """What Go says of JSON that doesn't fit."""


@dataclass(slots=True)
class _Marked:
    """Objects that gave a field twice, by identity, with the names."""

    twice: dict[int, list[str]] = field(default_factory=dict)

    def hook(self, pairs: list[tuple[str, Value]]) -> Object:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            names = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
            self.twice[id(found)] = names
        return found

    def paths(self, value: Value, path: str = "") -> Iterator[str]:
        if not self.twice:
            return
        if isinstance(value, dict):
            for name in self.twice.get(id(value), ()):
                yield f"{path}.{name}" if path else name
            for name, each in value.items():
                yield from self.paths(each, f"{path}.{name}" if path else name)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                yield from self.paths(each, f"{path}[{index}]")


def parse(body: bytes, content_type: str) -> tuple[Value, list[str]]:
    """A body as a value, and what is said of fields that it gives twice.

    Raises:
        ValueError: It is neither JSON nor YAML; the text is what Go says.
    """
    if "yaml" in content_type:
        return _parse_yaml(body)
    text = body.decode("utf-8", "replace")
    marked = _Marked()
    try:
        value = json.loads(
            text, object_pairs_hook=marked.hook, parse_int=_int, parse_float=_float, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        raise ValueError(_go_syntax(text, error)) from None
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    return value, [f'duplicate field "{path}"' for path in marked.paths(value)]


_LARGEST: Final = 2**63


def _int(text: str) -> int | float:
    """A whole number as Go keeps it: in 64 bits, else as a float."""
    value = int(text)
    return value if -_LARGEST <= value < _LARGEST else _float(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return value


def _no_constant(name: str) -> Value:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _go_syntax(text: str, error: json.JSONDecodeError) -> str:
    at = len(text) - len(text[error.pos :].lstrip())
    if at >= len(text) or error.msg.startswith("Unterminated"):
        return "unexpected end of JSON input"
    if error.msg == "Extra data":
        return f"invalid character '{text[at]}' after top-level value"
    where = {
        "Expecting ',' delimiter": "after object key:value pair",
        "Expecting ':' delimiter": "after object key",
        "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    }.get(error.msg, "looking for beginning of value")
    return f"invalid character '{text[at]}' {where}"


class _Loader(yaml.CSafeLoader):
    """YAML as JSON has it: no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _parse_yaml(body: bytes) -> tuple[Value, list[str]]:
    loader = _Loader(body)
    try:
        node = loader.get_single_node()
        value = None if node is None else _as_json(loader.construct_document(node))
        twice = "".join(_set_twice(node))
        return value, [f"error converting YAML to JSON: yaml: unmarshal errors:{twice}"] if twice else []
    except yaml.YAMLError as error:
        mark = getattr(error, "context_mark", None)
        if mark is None or not mark.line:
            mark = getattr(error, "problem_mark", None)
        number = 0 if mark is None else mark.line + isinstance(error, yaml.scanner.ScannerError)
        problem = _YAML.sub("did not find expected ", str(getattr(error, "problem", None) or error).splitlines()[0])
        line = f"line {number}: " if number else ""
        raise ValueError(f"error converting YAML to JSON: yaml: {line}{problem}") from None
    finally:
        loader.dispose()


def _set_twice(node: yaml.Node | None) -> Iterator[str]:
    """Fields that a document gives twice, each as a line."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield f'\n  line {key.start_mark.line + 1}: key "{key.value}" already set in map'
                seen.add(key.value)
            yield from _set_twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _set_twice(item)


def _as_json(value: Value) -> Value:
    """What YAML holds, as JSON can: names are strings, numbers have 64 bits.

    Raises:
        ValueError: It holds something that JSON can't.
    """
    if isinstance(value, dict):
        return {_yaml_name(name): _as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return _int(str(value))
    if isinstance(value, float):
        return _float(str(value))
    raise ValueError(f"error converting YAML to JSON: yaml: unsupported value {value!r}")


def _yaml_name(name: object) -> str:
    return str(name).lower() if isinstance(name, bool) else "null" if name is None else str(name)


_YAML: Final = re.compile(r"did not find expected (?:the )?")


def decode(kind: Kind, body: bytes, content_type: str, validation: str = "") -> tuple[Object, list[str]]:
    """The object that a request creates or replaces, with defaults; and what the client is warned of.

    Args:
        kind: What the path names.
        body: As it came.
        content_type: Its media type; JSON where none is given.
        validation: The query's `fieldValidation`: `Ignore`, `Warn` (also where empty) or `Strict`.

    Raises:
        StatusError: It can't be read as this kind (400); or fields are unknown or given twice, and that is `Strict`.
    """
    try:
        value, twice = parse(body, content_type)
    except ValueError as error:
        raise _unrecognised(kind, body, f"couldn't get version/kind; json parse error: {error}") from None
    if value is None:
        value = {}
    if not isinstance(value, dict):
        word = _json_word(value)
        struct = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        text = (
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {word} into Go value of type {struct}"
        )
        raise _unrecognised(kind, body, text)
    _check_head(kind, body, value)
    if kind.custom and not value.get("kind"):
        raise _unrecognised(kind, body, f"Object 'Kind' is missing in '{body.decode('utf-8', 'replace')}'")
    called, version = value.get("kind") or kind.kind, value.get("apiVersion") or kind.api_version
    if not kind.custom:
        value = {**value, "kind": called, "apiVersion": version}
        if (called, version) != (kind.kind, kind.api_version):
            raise _unhandled(kind, called, version, _why_other(kind, called, version, value))
    try:
        unknown = settle(kind, value)
    except _UnreadableError as error:
        raise _unhandled(kind, called, version, str(error)) from None
    problems = [*twice, *(f'unknown field "{path}"' for path in unknown)]
    if problems and validation == "Strict":
        raise _unhandled(kind, called, version, f"strict decoding error: {', '.join(problems)}")
    warnings = [] if validation == "Ignore" else problems
    _check_version(kind, value, warnings)
    kind.default(value)
    return value, warnings


def _why_other(kind: Kind, called: str, version: str, value: Object) -> str:
    """Why an object of another kind is refused here: it is first decoded as the kind that it names."""
    other = next((each for each in BUILT_IN if (each.kind, each.api_version) == (called, version)), None)
    if other is None:
        return _unregistered(called, version)
    try:
        settle(other, value)
    except _UnreadableError as error:
        return str(error)
    return f"converting (v1.{called}) to (core.{kind.kind}): unknown conversion"


def _unregistered(called: object, version: object) -> str:
    return f'no kind "{called}" is registered for version "{version}" in scheme "{_SCHEME}"'


def _check_head(kind: Kind, body: bytes, value: Object) -> None:
    for name in _HEAD:
        if not isinstance(value.get(name, ""), str | None):
            text = f"json: cannot unmarshal {_json_word(value[name])} into Go struct field .{name} of type string"
            raise _unrecognised(kind, body, f"couldn't get version/kind; json parse error: {text}")


def _check_version(kind: Kind, value: Object, warnings: list[str]) -> None:
    found = value.get("apiVersion", "") if kind.custom else kind.api_version
    if found != kind.api_version:
        text = f"the API version in the data ({found}) does not match the expected API version ({kind.api_version})"
        error = status.bad_request(text)
        error.warnings = warnings
        raise error


def _unrecognised(kind: Kind, body: bytes, text: str) -> StatusError:
    if not body:
        summary = "<empty>"
    else:
        start = body[:_SUMMARY]
        summary = start.decode("utf-8", "replace") if body[:1] == b"{" else start.hex()
        summary += " ..." if len(body) > _SUMMARY else ""
    return status.bad_request(f"the object provided is unrecognized (must be of type {kind.kind}): {text} ({summary})")


def _unhandled(kind: Kind, called: str, version: str, text: str) -> StatusError:
    short = version.rpartition("/")[2]
    return status.bad_request(f'{called} in version "{short}" cannot be handled as a {kind.kind}: {text}')


def reread(kind: Kind, patched: Object, validation: str = "", problems: Iterable[str] = ()) -> tuple[Object, list[str]]:
    """What a patch made of an object, read again as `decode` does; ``problems`` are those of the patch.

    Raises:
        StatusError: It can't be read (422), or has unknown fields, and that is `Strict`.
    """
    text = compact(patched)
    value = copied(patched)
    try:
        unknown = settle(kind, value)
    except _UnreadableError as error:
        raise status.invalid_patch(text, str(error)) from None
    called, version = value.get("kind"), value.get("apiVersion")
    if not kind.custom and (called, version) != (kind.kind, kind.api_version):
        raise status.invalid_patch(text, _unregistered(called, version))
    problems = [*problems, *(f'unknown field "{path}"' for path in unknown)]
    if problems and validation == "Strict":
        raise status.invalid_patch(text, f"strict decoding error: {', '.join(problems)}")
    warnings = [] if validation == "Ignore" else problems
    _check_version(kind, value, warnings)
    kind.default(value)
    return value, warnings


def read_applied(body: bytes, validation: str = "") -> Object:
    """What a Server-Side Apply sends: YAML, and so JSON.

    Raises:
        StatusError: It is neither; or it gives fields twice, and that is `Strict`.
    """
    try:
        value, twice = _parse_yaml(body)
    except ValueError as error:
        raise status.bad_request(f"error decoding YAML: {error}") from None
    if value is None:
        value = {}
    if not isinstance(value, dict):
        word = _json_word(value)
        text = f"json: cannot unmarshal {word} into Go value of type map[string]interface {{}}"
        raise status.bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {text}")
    if not isinstance(value.setdefault("metadata", {}), dict):
        word = go_text(value["metadata"])
        raise status.internal(f"failed to create typed patch object: .metadata: expected map, got &{{{word}}}")
    if twice and validation == "Strict":
        raise status.bad_request(f"error strict decoding YAML: {twice[0]}")
    return value


def settle(kind: Kind, value: Object) -> list[str]:
    """Bring an object into the form in which it is kept, in place; return the paths of fields that are unknown.

    Raises:
        ValueError: A value is of the wrong type for a struct of Go.
    """
    unknown: list[str] = []
    if not kind.custom:
        read = _Reader(unknown).object(kind.schema, {k: v for k, v in value.items() if k not in _HEAD}, [], "")
        for name in [name for name in value if name not in _HEAD]:
            del value[name]
        value.update(read)
        return unknown
    for name in _HEAD:
        if not isinstance(value.get(name, ""), str | None):
            raise _UnreadableError(f"unable to unmarshal {name} of type {_json_word(value[name])} as a string")
    metadata = value.get("metadata")
    if metadata is None:
        value["metadata"] = {}
    else:
        value["metadata"] = _Reader(unknown).value(kind.metadata_schema, metadata, [], "metadata", "Object")
    if (value.get("apiVersion") or "").rpartition("/")[::2] == (kind.group, kind.version) or not value.get(
        "apiVersion"
    ):
        for name, inner in kind.schema.properties.items():
            if name in value and name not in (*_HEAD, "metadata"):
                value[name] = _settle_custom(kind, inner, value[name], name, unknown)
        return sorted([*unknown, *kind.pruned(value)])
    if value["apiVersion"].rpartition("/")[0] == kind.group:
        unknown += [name for name in value if name not in {*_HEAD, "metadata"}]
    return unknown


def _settle_custom(kind: Kind, schema: Schema, value: Value, path: str, unknown: list[str]) -> Value:
    """A part of a custom resource as Go keeps it: whole numbers are whole, objects within it have metadata like any."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, list):
        items = schema.items or ANYTHING
        return [_settle_custom(kind, items, each, f"{path}[{index}]", unknown) for index, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    settled = {
        name: _settle_custom(kind, schema.field(name) or ANYTHING, each, f"{path}.{name}", unknown)
        for name, each in value.items()
    }
    if schema.embedded and settled.get("metadata") is not None:
        metadata = _Reader(unknown).value(kind.metadata_schema, settled["metadata"], [], f"{path}.metadata", "Object")
        settled["metadata"] = {name: each for name, each in metadata.items() if each not in (None, "", {}, [])}
    return settled


#: Up to here a float has every whole number.
_EXACT: Final = 2**53 - 1
_HEAD = ("apiVersion", "kind")
_ZEROES: Final = {"string": "", "integer": 0, "number": 0, "boolean": False}


def _json_word(value: Value) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


class _Reader:
    """JSON read into structs; unknown fields go to a list."""

    def __init__(self, unknown: list[str]) -> None:
        self._unknown = unknown

    def value(self, schema: Schema, value: Value, stack: list[str], path: str, struct: str) -> Value:
        """A value as its Go type keeps it."""
        if value is None:
            return ABSENT
        if schema.format == "schema-or-bool" and not isinstance(value, bool):
            return self.value(structs.struct("apiextensions.JSONSchemaProps"), value, stack, path, struct)
        if schema.is_open:
            return value
        if schema.type == "array":
            return self._list(schema, value, stack, path, struct)
        if schema.type == "object":
            if not isinstance(value, dict):
                raise _mismatch(schema, value, stack, struct)
            if schema.struct:
                return self.object(schema, value, stack, path)
            return self._map(schema, value, stack, path, struct)
        return _scalar(schema, value, stack, struct)

    def object(self, schema: Schema, value: Object, stack: list[str], path: str) -> Object:
        """A struct, without fields that are not set."""
        found: Object = {}
        name = schema.struct.rpartition(".")[2]
        for key, each in value.items():
            child = f"{path}.{key}" if path else key
            inner = schema.properties.get(key)
            if inner is None:
                if schema.preserves:
                    found[key] = each
                else:
                    self._unknown.append(child)
                continue
            read = self.value(inner, each, [*stack, key], child, name)
            if read is not ABSENT and not _unset(inner, read):
                found[key] = read
        return found

    def _list(self, schema: Schema, value: Value, stack: list[str], path: str, struct: str) -> list[Value]:
        if not isinstance(value, list):
            raise _mismatch(schema, value, stack, struct)
        assert schema.items is not None
        read = [self.value(schema.items, each, stack, f"{path}[{index}]", struct) for index, each in enumerate(value)]
        return [_empty(schema.items) if each is ABSENT else each for each in read]

    def _map(self, schema: Schema, value: Object, stack: list[str], path: str, struct: str) -> Object:
        assert schema.values is not None
        read = {key: self.value(schema.values, each, stack, f"{path}.{key}", struct) for key, each in value.items()}
        return {key: _empty(schema.values) if each is ABSENT else each for key, each in read.items()}


def _empty(schema: Schema) -> Value:
    """What Go makes of null in a list or map."""
    if schema.type in {"object", "array"}:
        return {} if schema.type == "object" else []
    return {"quantity": "0", "int-or-string": 0}.get(schema.format, _ZEROES.get(schema.type))


def _unset(schema: Schema, value: Value) -> bool:
    """Whether Go leaves a value out."""
    if schema.pointer or schema.zero is not ABSENT or schema.format == "int-or-string":
        return False
    return not value and value is not ABSENT


def _mismatch(schema: Schema, value: Value, stack: list[str], struct: str) -> _UnreadableError:
    word = _json_word(value)
    if word == "number" and schema.type in {"integer", "number"}:
        word = f"number {value}"
    into = f"Go struct field {struct}.{'.'.join(stack)}" if stack else "Go value"
    return _UnreadableError(f"json: cannot unmarshal {word} into {into} of type {structs.go_name(schema)}")


def _scalar(schema: Schema, value: Value, stack: list[str], struct: str) -> Value:
    special = _SPECIAL.get(schema.format)
    if special is not None:
        return special(schema, value, stack, struct)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "number": is_number,
        "integer": is_number and value == int(value) and abs(value) < 2 ** (31 if schema.format == "int32" else 63),
    }[schema.type]
    if not fits:
        raise _mismatch(schema, value, stack, struct)
    return int(value) if schema.type == "integer" else value


def _quantity(schema: Schema, value: Value, stack: list[str], struct: str) -> str:
    if isinstance(value, bool | dict | list):
        raise _mismatch(schema, value, stack, struct)
    try:
        return quantities.canonical(value.strip() if isinstance(value, str) else value)
    except (ValueError, ArithmeticError) as error:
        raise _UnreadableError(str(error)) from None


def _int_or_string(schema: Schema, value: Value, stack: list[str], struct: str) -> Value:
    if isinstance(value, bool | float | dict | list):
        raise _mismatch(Schema(type="integer", format="int32"), value, stack, struct)
    return value


_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _time(schema: Schema, value: Value, stack: list[str], struct: str) -> str:
    if not isinstance(value, str):
        raise _mismatch(Schema(type="string"), value, stack, struct)
    form = "2006-01-02T15:04:05.000000Z07:00" if schema.format == "micro-time" else "2006-01-02T15:04:05Z07:00"
    try:
        exact = datetime.fromisoformat(value.upper() if _TIME.fullmatch(value) else "").astimezone(UTC)
    except ValueError:
        raise _UnreadableError(f'parsing time "{value}" as "{form}": cannot parse "{value}" as "2006"') from None
    text = exact.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{exact.microsecond:06}Z" if schema.format == "micro-time" else f"{text}Z"


def _bytes(schema: Schema, value: Value, stack: list[str], struct: str) -> str:
    if not isinstance(value, str):
        raise _mismatch(Schema(type="array", items=Schema(type="integer", format="uint8")), value, stack, struct)
    _check_base64(value)
    return value


_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _check_base64(text: str) -> None:
    """Find the byte at which Go gives up reading base64."""
    stripped = "".join(text.split("\n")).replace("\r", "")
    for index, char in enumerate(stripped):
        if char in _BASE64:
            continue
        if char != "=" or index % 4 < 2 or stripped[index:] != "=" * (4 - index % 4):
            raise _UnreadableError(f"illegal base64 data at input byte {index}")
        break
    if len(stripped) % 4:
        raise _UnreadableError(f"illegal base64 data at input byte {len(stripped) // 4 * 4}")
    binascii.a2b_base64(stripped)


_SPECIAL = {
    "quantity": _quantity,
    "int-or-string": _int_or_string,
    "date-time": _time,
    "micro-time": _time,
    "byte": _bytes,
}
