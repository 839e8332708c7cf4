"""Protocol buffers: as kubectl sends them, read as the JSON that they stand for; and OpenAPI 2 as kubectl reads it.

A server that answers in JSON only still has to read them: `kubectl create KIND`, `auth`, `autoscale` and `certificate`
send built-in types this way, whatever the server says it accepts. `builtin.numbers` has the fields of these types and
of no others. `kubectl apply` checks lists of objects by the OpenAPI 2 document, which it takes in this form only.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

Object = dict[str, Any]

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\0"
_GROUPS: Final = {
    "v1": "core",
    "authentication.k8s.io/v1": "authentication",
    "authorization.k8s.io/v1": "authorization",
    "certificates.k8s.io/v1": "certificates",
    "networking.k8s.io/v1": "networking",
    "rbac.authorization.k8s.io/v1": "rbac",
    "scheduling.k8s.io/v1": "scheduling",
}
#: The seconds of the years that a date can have.
_FIRST: Final = -62135596800
_LAST: Final = 253402300799
#: Kinds that have the version of whatever they are sent to.
_OPTIONS: Final = frozenset({"DeleteOptions"})


@cache
def _messages() -> dict[str, dict[int, tuple[str, str]]]:
    """Name and type of each field, by message and number."""
    found: dict[str, dict[int, tuple[str, str]]] = {}
    for line in files(__package__).joinpath("builtin.numbers").read_text().splitlines():
        message, *fields = line.split()
        if message != "#":
            split = [(field.partition("=")[0], field.partition("=")[2].partition(":")) for field in fields]
            found[message] = {int(number): (name, type_ or "s") for number, (name, _, type_) in split}
    return found


def decode(body: bytes) -> Object:
    """The object that a body stands for.

    Raises:
        ValueError: It is no such object, or of a kind that is not known here.
    """
    if not body.startswith(_MAGIC):
        raise ValueError("the body has no prefix of a Kubernetes protocol buffer")
    envelope = dict(fields(body[len(_MAGIC) :]))
    head = {number: _text(value) for number, value in fields(_bytes(envelope.get(1, b"")))}
    version, kind = head.get(1, ""), head.get(2, "")
    group = "meta" if kind in _OPTIONS else _GROUPS.get(version, version.partition("/")[0])
    message = f"{group}.{kind}"
    if message not in _messages():
        raise ValueError(f'kind "{kind}" of version "{version}" is not known as a protocol buffer')
    return {"apiVersion": version, "kind": kind, **_object(message, _bytes(envelope.get(2, b"")))}


def _object(message: str, data: bytes) -> Object:
    found: Object = {}
    known = _messages()[message]
    for number, value in fields(data):
        if number not in known:
            continue
        name, type_ = known[number]
        if type_.startswith("+"):
            found.update(_object(type_[1:], _bytes(value)))
        elif type_.startswith("["):
            found.setdefault(name, []).append(_value(type_[1:], value))
        elif type_.startswith("{"):
            entry = dict(fields(_bytes(value)))
            default: Any = 0 if type_[1:] in {"i", "b"} else b""
            found.setdefault(name, {})[_text(entry.get(1, b""))] = _value(type_[1:], entry.get(2, default))
        else:
            found[name] = _value(type_, value)
    return found


def _value(type_: str, value: int | bytes) -> Any:
    read = _SCALARS.get(type_)
    return read(value) if read is not None else _object(type_, _bytes(value))


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values as they stand on the wire."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        length = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            length, at = _varint(data, at)
        if length is None or at + length > len(data):
            raise ValueError("the protocol buffer ends too early")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("the protocol buffer ends in a number")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("the protocol buffer has a number in place of a message")  # noqa: TRY004 (bad input)
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value).decode()


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("the protocol buffer has a message in place of a number")  # noqa: TRY004 (bad input)
    return value - 2**64 if value >= 2**63 else value


def _quantity(value: int | bytes) -> str:
    return _text(dict(fields(_bytes(value))).get(1, b"0"))


def _int_or_string(value: int | bytes) -> int | str:
    parts = dict(fields(_bytes(value)))
    return _text(parts.get(3, b"")) if parts.get(1) else _number(parts.get(2, 0))


def _raw(value: int | bytes) -> Any:
    raw = _bytes(dict(fields(_bytes(value))).get(1, b""))
    return json.loads(raw) if raw else None


def _time(value: int | bytes) -> str | None:
    parts = dict(fields(_bytes(value)))
    if not parts:
        return None
    seconds = _number(parts.get(1, 0))
    if not _FIRST <= seconds <= _LAST:
        raise ValueError(f"{seconds} is no time of a year between 1 and 9999")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _strings(value: int | bytes) -> list[str]:
    return [_text(each) for _, each in fields(_bytes(value))]


_SCALARS: Final[dict[str, Callable[[int | bytes], Any]]] = {
    "s": _text,
    "i": _number,
    "b": lambda value: bool(_number(value)),
    "y": lambda value: base64.b64encode(_bytes(value)).decode(),
    "quantity": _quantity,
    "intstr": _int_or_string,
    "raw": _raw,
    "time": _time,
    "strings": _strings,
}


# ------------------------------------------------------------------ OpenAPI 2

OPENAPI_2: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
#: Messages of google/gnostic's OpenAPIv2.proto (Apache-2.0), as far as documents of kinds need them: number, type and,
#: where that differs, the field's name in JSON. Types are `s`, `b`, `i`, `d`, `any`, or a message; `[` is a list,
#: `{` a map with its entries as messages, `x` all that begins with `x-`.
_OPENAPI_2: Final = """
Document 1=s:swagger 2=Info:info 8=Paths:paths 9=Definitions:definitions
Info 1=s:title 2=s:version
Paths 2={PathItem
Definitions 1={Schema
PathItem 2=Operation:get 3=Operation:put 4=Operation:post 5=Operation:delete 8=Operation:patch 9=[Parameter:parameters
Operation 1=[s:tags 3=s:description 5=s:operationId 6=[s:produces 7=[s:consumes 8=[Parameter:parameters 9=Responses:responses 13=x
Body 1=s:description 2=s:name 3=s:in 4=b:required 5=Schema:schema
Query 1=b:required 2=s:in 3=s:description 4=s:name 6=s:type 20=b:uniqueItems
Path 1=b:required 2=s:in 3=s:description 4=s:name 5=s:type 19=b:uniqueItems
Responses 1={Response
Response 1=s:description 2=Wrapped:schema
Schema 1=s:$ref 2=s:format 3=s:title 4=s:description 5=any:default 7=d:maximum 8=b:exclusiveMaximum 9=d:minimum 10=b:exclusiveMinimum 11=i:maxLength 12=i:minLength 13=s:pattern 14=i:maxItems 15=i:minItems 16=b:uniqueItems 17=i:maxProperties 18=i:minProperties 19=[s:required 20=[any:enum 21=Additional:additionalProperties 22=Type:type 23=Wrapped:items 24=[Schema:allOf 25=Definitions:properties 31=x
"""  # noqa: E501


@cache
def _layout() -> dict[str, list[tuple[int, str, str]]]:
    """Number, type and name in JSON of each field, by message."""
    found = {}
    for line in _OPENAPI_2.strip().splitlines():
        message, *fields = line.split()
        split = [field.partition("=")[::2] for field in fields]
        found[message] = [(int(number), *rest.partition(":")[::2]) for number, rest in split]
    return found


def openapi_2(document: Object) -> bytes:
    """An OpenAPI 2 document as a protocol buffer."""
    return _encoded("Document", document)


def _encoded(message: str, value: Object) -> bytes:
    out = bytearray()
    for number, type_, name in _layout()[message]:
        if type_ == "x":
            for key in value:
                if key.startswith("x-"):
                    out += _entry(number, key, _written("any", value[key]))
        elif type_.startswith("{"):
            for key, each in value.items():
                out += _entry(number, key, _written(type_[1:], each))
        elif name in value:
            given = value[name]
            for each in given if type_.startswith("[") else [given]:
                out += _field(number, type_.removeprefix("["), each)
    return bytes(out)


def _entry(number: int, key: str, value: bytes) -> bytes:
    return _lengthy(number, _field(1, "s", key) + _lengthy(2, value))


def _field(number: int, type_: str, value: Any) -> bytes:
    if type_ in {"b", "i"}:
        return _digits(number << 3) + _digits(int(value))
    if type_ == "d":
        return _digits(number << 3 | 1) + struct.pack("<d", value)
    return _lengthy(number, _written(type_, value))


def _written(type_: str, value: Any) -> bytes:
    """A string or message, without its length."""
    match type_:
        case "s":
            return str(value).encode()
        case "any":
            return _field(2, "s", json.dumps(value))
        case "Type":
            return _field(1, "s", value)
        case "Wrapped":
            return _field(1, "Schema", value)
        case "Additional":
            return _field(2, "b", value) if isinstance(value, bool) else _field(1, "Schema", value)
        case "Response":
            return _lengthy(1, _encoded("Response", value))
        case "Parameter":
            where = value["in"]
            if where == "body":
                return _lengthy(1, _field(1, "Body", value))
            own = _field(3, "Query", value) if where == "query" else _field(4, "Path", value)
            return _lengthy(1, _lengthy(2, own))
    return _encoded(type_, value)


def _lengthy(number: int, value: bytes) -> bytes:
    return _digits(number << 3 | 2) + _digits(len(value)) + value


def _digits(value: int) -> bytes:
    out = bytearray()
    value &= 2**64 - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
