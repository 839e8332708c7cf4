"""What expressions can call: operators, the standard functions, and those that Kubernetes adds."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from simulators.cloud.language.cel.syntax import UInt
from simulators.cloud.language.cel.values import (
    NO_OVERLOAD,
    NUMBERS,
    CelError,
    Function,
    Merging,
    Optional,
    Quantity,
    Signature,
    equal,
    kind_of,
    signatures,
)
from simulators.cloud.language.quantities import amount

_SIGNATURES: Final = """
    !_(bool) -> bool
    -_(int) -> int
    -_(double) -> double
    _==_(A, A) -> bool
    _!=_(A, A) -> bool
    _+_(int, int) -> int
    _+_(uint, uint) -> uint
    _+_(double, double) -> double
    _+_(string, string) -> string
    _+_(bytes, bytes) -> bytes
    _+_(list(A), list(A)) -> list(A)
    _+_(duration, duration) -> duration
    _+_(timestamp, duration) -> timestamp
    _+_(duration, timestamp) -> timestamp
    _-_(int, int) -> int
    _-_(uint, uint) -> uint
    _-_(double, double) -> double
    _-_(timestamp, timestamp) -> duration
    _-_(timestamp, duration) -> timestamp
    _-_(duration, duration) -> duration
    _*_(int, int) -> int
    _*_(uint, uint) -> uint
    _*_(double, double) -> double
    _/_(int, int) -> int
    _/_(uint, uint) -> uint
    _/_(double, double) -> double
    _%_(int, int) -> int
    _%_(uint, uint) -> uint
    @in(A, list(A)) -> bool
    @in(A, map(A, B)) -> bool
    _[_](list(A), int) -> A
    _[_](map(A, B), A) -> B
    _[?_](list(A), int) -> optional(A)
    _[?_](map(A, B), A) -> optional(B)
    _[?_](optional(list(A)), int) -> optional(A)
    _[?_](optional(map(A, B)), A) -> optional(B)
    size(string) -> int
    size(bytes) -> int
    size(list(A)) -> int
    size(map(A, B)) -> int
    string.size() -> int
    bytes.size() -> int
    list.size() -> int
    map.size() -> int
    string.startsWith(string) -> bool
    string.endsWith(string) -> bool
    string.contains(string) -> bool
    string.matches(string) -> bool
    matches(string, string) -> bool
    int(A) -> int
    uint(A) -> uint
    double(A) -> double
    string(A) -> string
    bool(A) -> bool
    bytes(A) -> bytes
    dyn(A) -> dyn
    type(A) -> type
    duration(A) -> duration
    timestamp(A) -> timestamp
    duration.getHours() -> int
    duration.getMinutes() -> int
    duration.getSeconds() -> int
    timestamp.getFullYear() -> int
    timestamp.getMonth() -> int
    timestamp.getDate() -> int
    timestamp.getHours() -> int
    timestamp.getMinutes() -> int
    timestamp.getSeconds() -> int
    string.charAt(int) -> string
    string.indexOf(string) -> int
    string.indexOf(string, int) -> int
    string.lastIndexOf(string) -> int
    string.lowerAscii() -> string
    string.upperAscii() -> string
    string.trim() -> string
    string.replace(string, string) -> string
    string.replace(string, string, int) -> string
    string.split(string) -> list(string)
    string.split(string, int) -> list(string)
    string.substring(int) -> string
    string.substring(int, int) -> string
    string.format(list(dyn)) -> string
    string.find(string) -> string
    string.findAll(string) -> list(string)
    string.findAll(string, int) -> list(string)
    list.join() -> string
    list.join(string) -> string
    list.isSorted() -> bool
    list.sum() -> A
    list.min() -> A
    list.max() -> A
    list.indexOf(A) -> int
    list.lastIndexOf(A) -> int
    sets.contains(list(A), list(A)) -> bool
    sets.equivalent(list(A), list(A)) -> bool
    sets.intersects(list(A), list(A)) -> bool
    optional.of(A) -> optional(A)
    optional.ofNonZeroValue(A) -> optional(A)
    optional.none() -> optional(A)
    optional.hasValue() -> bool
    optional.value() -> A
    optional.orValue(A) -> A
    optional.or(optional(A)) -> optional(A)
    quantity(string) -> quantity
    isQuantity(string) -> bool
    quantity.isGreaterThan(quantity) -> bool
    quantity.isLessThan(quantity) -> bool
    quantity.compareTo(quantity) -> int
    quantity.add(quantity) -> quantity
    quantity.add(int) -> quantity
    quantity.sub(quantity) -> quantity
    quantity.sub(int) -> quantity
    quantity.sign() -> int
    quantity.isInteger() -> bool
    quantity.asInteger() -> int
    quantity.asApproximateFloat() -> double
    url(string) -> url
    isURL(string) -> bool
    url.getScheme() -> string
    url.getHost() -> string
    url.getHostname() -> string
    url.getPort() -> string
    url.getEscapedPath() -> string
    url.getQuery() -> map(string, list(string))
    ip(string) -> ip
    isIP(string) -> bool
    ip.family() -> int
    ip.isLoopback() -> bool
    ip.isUnspecified() -> bool
    cidr(string) -> cidr
    isCIDR(string) -> bool
    cidr.containsIP(ip) -> bool
    cidr.containsIP(string) -> bool
    cidr.containsCIDR(cidr) -> bool
    cidr.containsCIDR(string) -> bool
    cidr.prefixLength() -> int
    cidr.ip() -> ip
    cidr.masked() -> cidr
"""
_ORDERED: Final = ("int", "uint", "double", "bool", "string", "bytes", "timestamp", "duration")


def _declared() -> Mapping[str, list[Signature]]:
    lines = [f"_{sign}_({kind}, {kind}) -> bool" for sign in ("<", "<=", ">", ">=") for kind in _ORDERED]
    lines += [
        f"_{sign}_({one}, {other}) -> bool"
        for sign in ("<", "<=", ">", ">=")
        for one in NUMBERS
        for other in NUMBERS
        if one != other
    ]
    found: dict[str, list[Signature]] = {}
    for name, signature in signatures("\n".join([_SIGNATURES, *lines])):
        found.setdefault(name, []).append(signature)
    return found


SIGNATURES: Final = _declared()
LARGEST: Final = 2**63


def _number(value: Any, like: Any) -> Any:
    """A result of arithmetic in the type of what it was made of."""
    if isinstance(like, float):
        return float(value)
    unsigned = isinstance(like, UInt)
    if not (0 if unsigned else -LARGEST) <= value < (2 * LARGEST if unsigned else LARGEST):
        raise CelError("unsigned integer overflow" if unsigned else "integer overflow")
    return UInt(value) if unsigned else int(value)


def _same_kinds(one: Any, other: Any) -> str:
    kind = kind_of(one)
    if kind != kind_of(other) or kind == "bool":
        raise CelError(NO_OVERLOAD)
    return kind


def _add(one: Any, other: Any) -> Any:
    if isinstance(one, Merging):
        return one.joined(other)
    if isinstance(one, datetime | timedelta):
        return one + other
    kind = _same_kinds(one, other)
    return _number(one + other, one) if kind in NUMBERS else one + other


def _subtract(one: Any, other: Any) -> Any:
    if isinstance(one, datetime | timedelta):
        return one - other
    _same_kinds(one, other)
    return _number(one - other, one)


def _multiply(one: Any, other: Any) -> Any:
    _same_kinds(one, other)
    return _number(one * other, one)


def _divide(one: Any, other: Any) -> Any:
    if _same_kinds(one, other) == "double":
        return one / other if other else float("nan") if not one else float("inf") * one
    if not other:
        raise CelError("division by zero")
    whole = abs(one) // abs(other)
    return _number(whole if (one < 0) == (other < 0) else -whole, one)


def _remainder(one: Any, other: Any) -> Any:
    _same_kinds(one, other)
    if not other:
        raise CelError("modulus by zero")
    rest = abs(one) % abs(other)
    return _number(-rest if one < 0 else rest, one)


def _compared(test: Callable[[Any, Any], bool]) -> Function:
    def compare(one: Any, other: Any) -> bool:
        kinds = kind_of(one), kind_of(other)
        if kinds[0] != kinds[1] and not (kinds[0] in NUMBERS and kinds[1] in NUMBERS):
            raise CelError(NO_OVERLOAD)
        return test(one, other)

    return compare


def _at(container: Any, key: Any) -> Any:
    found = _maybe_at(container, key)
    if not found.values:
        problem = "index out of bounds" if isinstance(container, list) else "no such key"
        raise CelError(f"{problem}: {key}")
    return found.values[0]


def _maybe_at(container: Any, key: Any) -> Optional:
    if isinstance(container, Optional):
        return _maybe_at(container.values[0], key) if container.values else container
    if isinstance(container, list):
        if kind_of(key) not in NUMBERS:
            raise CelError(f"unsupported index type '{kind_of(key)}' in list")
        return Optional((container[int(key)],)) if 0 <= key < len(container) else Optional()
    return Optional((container[key],)) if key in container else Optional()


def _found(item: Any, container: Any) -> bool:
    if isinstance(container, dict):
        return item in container
    return any(equal(item, each) for each in container)


def _matches(text: str, pattern: str) -> bool:
    return bool(_compiled(pattern).search(text))


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern))
    except re.error as error:
        raise CelError(f"error parsing regexp: {error}") from None


def _integer(value: Any) -> int:
    if isinstance(value, datetime):
        return int(value.timestamp())
    try:
        return int(_number(int(value), 0))
    except (ValueError, OverflowError):
        raise CelError(f"type conversion error from '{kind_of(value)}' to 'int'") from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float):
        return f"{value:g}" if not value.is_integer() or abs(value) >= 1e21 else str(int(value))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return str(value)


def _truth(value: Any) -> bool:
    if value in (True, "true", "True", "TRUE", "t", "1"):
        return True
    if value in (False, "false", "False", "FALSE", "f", "0"):
        return False
    raise CelError(f"type conversion error from '{kind_of(value)}' to 'bool'")


_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+")


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not _DURATION.fullmatch(value):
        raise CelError(f'time: invalid duration "{value}"')
    parts = re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", value)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if value.startswith("-") else seconds)


def _timestamp(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise CelError(f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _within(text: str, *ends: int) -> None:
    for end in ends:
        if not 0 <= end <= len(text):
            raise CelError(f"index out of range: {end}")


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    _within(text, start, end)
    if end < start:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def _character(text: str, at: int) -> str:
    _within(text, at)
    return text[at : at + 1]


def _index(container: Any, wanted: Any, start: int = 0) -> int:
    if isinstance(container, str):
        return container.find(wanted, start)
    return next((at for at, item in enumerate(container) if equal(item, wanted)), -1)


def _last_index(container: Any, wanted: Any) -> int:
    if isinstance(container, str):
        return container.rfind(wanted)
    return next((at for at in reversed(range(len(container))) if equal(container[at], wanted)), -1)


def _least(items: list[Any], choose: Callable[[list[Any]], Any], name: str) -> Any:
    if not items:
        raise CelError(f"{name} called on empty list")
    return choose(items)


def _split(text: str, by: str, limit: int = -1) -> list[str]:
    if not limit:
        return []
    if not by:
        parts = list(text)
        return parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
    return text.split(by, limit - 1 if limit > 0 else -1)


def _formatted(text: str, values: list[Any]) -> str:
    given = iter(values)

    def value(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        try:
            one = next(given)
        except StopIteration:
            raise CelError("index out of range") from None
        sort = found[0][-1]
        if sort == "s":
            return _text(one) if not isinstance(one, list) else f"[{', '.join(map(_text, one))}]"
        return str(int(one)) if sort == "d" else found[0] % one

    return re.sub(r"%%|%(?:\.\d+)?[sdfexXob]", value, text)


def _value(found: Optional) -> Any:
    if not found.values:
        raise CelError("optional.none() dereference")
    return found.values[0]


def _quantity(text: str) -> Quantity:
    try:
        return Quantity(amount(text))
    except ValueError as error:
        raise CelError(str(error)) from None


def _other(value: Any) -> Decimal:
    return value.amount if isinstance(value, Quantity) else Decimal(value)


def _whole(value: Quantity) -> int:
    if value.amount % 1:
        raise CelError("cannot convert value to integer")
    return int(value.amount)


def _url(text: str) -> SplitResult:
    found = urlsplit(text)
    if not (found.scheme or text.startswith("/")) or re.search(r"\s", text):
        raise CelError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return found


def _address(text: str) -> Any:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise CelError(f'IP Address "{text}" parse error during conversion from string') from None


def _range(text: str) -> Any:
    try:
        return ipaddress.ip_interface(text if "/" in text else "")
    except ValueError:
        raise CelError("network address parse error during conversion from string") from None


def _is(read: Callable[[str], Any]) -> Function:
    def test(text: str) -> bool:
        try:
            read(text)
        except CelError:
            return False
        return True

    return test


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(part, str):
        part = _range(part) if "/" in part else _address(part)
    network = getattr(part, "network", None)
    if network is None:
        return part in whole.network
    return network.version == whole.version and bool(network.subnet_of(whole.network))


def _sorted(items: list[Any]) -> bool:
    return all(one <= other for one, other in itertools.pairwise(items))


def _zero(value: Any) -> Optional:
    return Optional((value,)) if value not in (None, 0, "", False, [], {}) else Optional()


def _sum(items: list[Any]) -> Any:
    total = items[0] if items else 0
    for item in items[1:]:
        total = _add(total, item)
    return total


FUNCTIONS: Final[Mapping[str, Function]] = {
    "!_": lambda one: not one,
    "-_": lambda one: _number(-one, one),
    "_==_": equal,
    "_!=_": lambda one, other: not equal(one, other),
    "_+_": _add,
    "_-_": _subtract,
    "_*_": _multiply,
    "_/_": _divide,
    "_%_": _remainder,
    "_<_": _compared(lambda one, other: one < other),
    "_<=_": _compared(lambda one, other: one <= other),
    "_>_": _compared(lambda one, other: one > other),
    "_>=_": _compared(lambda one, other: one >= other),
    "@in": _found,
    "_[_]": _at,
    "_[?_]": _maybe_at,
    "size": len,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
    "matches": _matches,
    "int": _integer,
    "uint": lambda value: UInt(_number(int(value), UInt(0))),
    "double": float,
    "string": _text,
    "bool": _truth,
    "bytes": lambda value: value if isinstance(value, bytes) else value.encode(),
    "dyn": lambda value: value,
    "type": kind_of,
    "duration": _duration,
    "timestamp": _timestamp,
    "getFullYear": lambda value: value.year,
    "getMonth": lambda value: value.month - 1,
    "getDate": lambda value: value.day,
    "getHours": lambda value: value.hour if isinstance(value, datetime) else int(value.total_seconds() // 3600),
    "getMinutes": lambda value: value.minute if isinstance(value, datetime) else int(value.total_seconds() // 60),
    "getSeconds": lambda value: value.second if isinstance(value, datetime) else int(value.total_seconds()),
    "charAt": _character,
    "indexOf": _index,
    "lastIndexOf": _last_index,
    "lowerAscii": str.lower,
    "upperAscii": str.upper,
    "trim": str.strip,
    "replace": lambda text, old, new, count=-1: text.replace(old, new, count),
    "split": _split,
    "substring": _substring,
    "format": _formatted,
    "find": lambda text, pattern: found[0] if (found := _compiled(pattern).search(text)) else "",
    "findAll": lambda text, pattern, count=-1: [
        found[0] for at, found in enumerate(_compiled(pattern).finditer(text)) if count < 0 or at < count
    ],
    "join": lambda items, by="": by.join(items),
    "isSorted": _sorted,
    "sum": _sum,
    "min": lambda items: _least(items, min, "min"),
    "max": lambda items: _least(items, max, "max"),
    "sets.contains": lambda items, wanted: all(_found(one, items) for one in wanted),
    "sets.equivalent": lambda items, others: (
        all(_found(one, items) for one in others) and all(_found(one, others) for one in items)
    ),
    "sets.intersects": lambda items, others: any(_found(one, items) for one in others),
    "optional.of": lambda value: Optional((value,)),
    "optional.ofNonZeroValue": _zero,
    "optional.none": Optional,
    "hasValue": lambda found: bool(found.values),
    "value": _value,
    "orValue": lambda found, other: found.values[0] if found.values else other,
    "or": lambda found, other: found if found.values else other,
    "quantity": _quantity,
    "isQuantity": _is(_quantity),
    "isGreaterThan": lambda one, other: one.amount > other.amount,
    "isLessThan": lambda one, other: one.amount < other.amount,
    "compareTo": lambda one, other: (one.amount > other.amount) - (one.amount < other.amount),
    "add": lambda one, other: Quantity(one.amount + _other(other)),
    "sub": lambda one, other: Quantity(one.amount - _other(other)),
    "sign": lambda one: (one.amount > 0) - (one.amount < 0),
    "isInteger": lambda one: not one.amount % 1,
    "asInteger": _whole,
    "asApproximateFloat": lambda one: float(one.amount),
    "url": _url,
    "isURL": _is(_url),
    "getScheme": lambda found: found.scheme,
    "getHost": lambda found: found.netloc.rpartition("@")[2],
    "getHostname": lambda found: found.hostname or "",
    "getPort": lambda found: str(found.port or ""),
    "getEscapedPath": lambda found: found.path,
    "getQuery": lambda found: parse_qs(found.query, keep_blank_values=True),
    "ip": lambda value: value.ip if hasattr(value, "network") else _address(value),
    "isIP": _is(_address),
    "family": lambda found: found.version,
    "isLoopback": lambda found: found.is_loopback,
    "isUnspecified": lambda found: found.is_unspecified,
    "cidr": _range,
    "isCIDR": _is(_range),
    "containsIP": _contains,
    "containsCIDR": _contains,
    "prefixLength": lambda found: found.network.prefixlen,
    "masked": lambda found: ipaddress.ip_interface(found.network),
}
