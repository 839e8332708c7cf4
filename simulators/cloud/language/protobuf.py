"""Protocol buffers as stock clients send them, read as the JSON that they stand for.

A server that answers in JSON only still has to read them: kubectl sends what it makes of built-in types this
way, whatever the server says it accepts. `builtin.numbers` has the fields.
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
    "coordination.k8s.io/v1": "coordination",
    "events.k8s.io/v1": "events",
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
    envelope = dict(_fields(body[len(_MAGIC) :]))
    head = {number: _text(value) for number, value in _fields(_bytes(envelope.get(1, b"")))}
    version, kind = head.get(1, ""), head.get(2, "")
    group = "meta" if kind in _OPTIONS else _GROUPS.get(version, version.partition("/")[0])
    message = f"{group}.{kind}"
    if message not in _messages():
        raise ValueError(f'kind "{kind}" of version "{version}" is not known as a protocol buffer')
    return {"apiVersion": version, "kind": kind, **_object(message, _bytes(envelope.get(2, b"")))}


def _object(message: str, data: bytes) -> Object:
    found: Object = {}
    known = _messages()[message]
    for number, value in _fields(data):
        if number not in known:
            continue
        name, type_ = known[number]
        if type_.startswith("+"):
            found.update(_object(type_[1:], _bytes(value)))
        elif type_.startswith("["):
            found.setdefault(name, []).append(_value(type_[1:], value))
        elif type_.startswith("{"):
            entry = dict(_fields(_bytes(value)))
            default: Any = 0 if type_[1:] in {"i", "b"} else b""
            found.setdefault(name, {})[_text(entry.get(1, b""))] = _value(type_[1:], entry.get(2, default))
        else:
            found[name] = _value(type_, value)
    return found


def _value(type_: str, value: int | bytes) -> Any:
    read = _SCALARS.get(type_)
    return read(value) if read is not None else _object(type_, _bytes(value))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
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
    return _text(dict(_fields(_bytes(value))).get(1, b"0"))


def _int_or_string(value: int | bytes) -> int | str:
    parts = dict(_fields(_bytes(value)))
    return _text(parts.get(3, b"")) if parts.get(1) else _number(parts.get(2, 0))


def _raw(value: int | bytes) -> Any:
    raw = _bytes(dict(_fields(_bytes(value))).get(1, b""))
    return json.loads(raw) if raw else None


def _moment(form: str) -> Callable[[int | bytes], str | None]:
    def read(value: int | bytes) -> str | None:
        parts = dict(_fields(_bytes(value)))
        if not parts:
            return None
        seconds = _number(parts.get(1, 0))
        if not _FIRST <= seconds <= _LAST:
            raise ValueError(f"{seconds} is no time of a year between 1 and 9999")
        moment = datetime.fromtimestamp(seconds, UTC)
        return moment.replace(microsecond=_number(parts.get(2, 0)) // 1000 % 1_000_000).strftime(form)

    return read


def _strings(value: int | bytes) -> list[str]:
    return [_text(each) for _, each in _fields(_bytes(value))]


_SCALARS: Final[dict[str, Callable[[int | bytes], Any]]] = {
    "s": _text,
    "i": _number,
    "b": lambda value: bool(_number(value)),
    "d": lambda value: struct.unpack("<d", _bytes(value))[0],
    "y": lambda value: base64.b64encode(_bytes(value)).decode(),
    "quantity": _quantity,
    "intstr": _int_or_string,
    "raw": _raw,
    "time": _moment("%Y-%m-%dT%H:%M:%SZ"),
    "microtime": _moment("%Y-%m-%dT%H:%M:%S.%fZ"),
    "strings": _strings,
}
