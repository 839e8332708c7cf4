"""Label and field selectors of lists, watches and collections, with the words that an API server finds for bad ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.cloud.language import metadata
from simulators.cloud.language.status import StatusError, bad_request

_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
_EXPECTED = "in, notin, =, ==, !=, gt, lt"
#: What a lexer finds: the operators' signs, or a word up to one of them or a blank.
_TOKEN = re.compile(r"\s*(==|!=|[=!,()<>]|[^\s=!,()<>]+|$)")

#: A term of a field selector, up to a comma without a backslash; and what in a value needs one, or has one in vain.
_TERM = re.compile(r"(?:[^\\,]|\\.|\\$)+")
_WRONG = re.compile(r"(?:[^\\,=]|\\[\\,=])*+(.+)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the value of a label or field (None where it is absent)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "notin" | "!=":
                return value not in self.values
            case "gt" | "lt":
                return value is not None and _compared(self.operator, value, self.values[0])
        return value in self.values


def _compared(operator: str, value: str, limit: str) -> bool:
    if not value.lstrip("-").isdigit():
        return False
    return int(value) > int(limit) if operator == "gt" else int(value) < int(limit)


Selector = tuple[Requirement, ...]


def matching(labels: Mapping[str, str], selector: Selector) -> bool:
    """Whether labels meet all requirements."""
    return all(requirement.matches(labels) for requirement in selector)


def label_selector(text: str) -> Selector:
    """Read a label selector such as ``a=b,c in (d,e),!f``.

    Raises:
        StatusError: 400, it can't be understood.
    """
    return _Labels(text).parse()


def of_label_selector(selector: Mapping[str, Any]) -> Selector:
    """Requirements of a LabelSelector object, or of a term that selects nodes: matchLabels and matchExpressions."""
    found = [Requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    words = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}
    expressions = selector.get("matchExpressions") or ()
    found += [Requirement(one["key"], words[one["operator"]], tuple(one.get("values") or ())) for one in expressions]
    return tuple(found)


class _Labels:
    """A parser with one word to look ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse(self) -> Selector:
        found: list[Requirement] = []
        while self._peek():
            found.append(self._requirement())
            word = self._next()
            if word == ",":
                if not self._peek():
                    raise bad_request("found '', expected: identifier after ','")
                continue
            if word:
                raise bad_request(f"found '{word}', expected: ',' or 'end of string'")
            break
        return tuple(found)

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), "!")
        key = self._key()
        if self._peek() in {"", ","}:
            return Requirement(key, "exists")
        operator = self._next()
        operator = {">": "gt", "<": "lt"}.get(operator, operator)
        if operator not in _OPERATORS:
            raise bad_request(f"unable to parse requirement: found '{operator}', expected: {_EXPECTED}")
        values = self._values() if operator in {"in", "notin"} else (self._exact(),)
        for index, value in enumerate(values):
            self._check_value(key, operator, index, value)
        return Requirement(key, operator, values)

    def _key(self) -> str:
        key = self._next()
        if not key or key in "=!,()":
            raise bad_request(
                f"unable to parse requirement: found '{key}', expected: !, identifier, or 'end of string'"
            )
        if wrong := list(metadata.qualified_name(key)):
            raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{key}": {"; ".join(wrong)}')
        return key

    def _exact(self) -> str:
        return "" if self._peek() in {"", ","} else self._next()

    def _values(self) -> tuple[str, ...]:
        word = self._next()
        if word != "(":
            raise bad_request(f"unable to parse requirement: found '{word}' expected: '('")
        if not self._peek():
            raise bad_request("unable to parse requirement: found '', expected: ',', ')' or identifier")
        values: list[str] = []
        while True:
            word = self._next()
            if word == ")":
                return tuple(sorted(set(values))) or ("",)
            if word == ",":
                continue
            if not word:
                raise bad_request("unable to parse requirement: found '', expected: ',', or identifier")
            values.append(word)
            if self._peek() not in {",", ")"}:
                raise bad_request(f"unable to parse requirement: found '{self._peek()}', expected: ',' or ')'")

    @staticmethod
    def _check_value(key: str, operator: str, index: int, value: str) -> None:
        wrong = "; ".join(metadata.label_value(value))
        if operator in {"gt", "lt"} and not value.lstrip("-").isdigit():
            wrong = "for 'Gt', 'Lt' operators, the value must be an integer"
        if wrong:
            raise bad_request(f'unable to parse requirement: values[{index}][{key}]: Invalid value: "{value}": {wrong}')

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        return found[1] if found else ""

    def _next(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        assert found is not None  # the last alternative always matches
        self._at = found.end()
        return found[1]


def field_selector(text: str, supported: Callable[[str], bool]) -> Selector:
    """Read a field selector such as ``metadata.name=a,status.phase!=Running``.

    Raises:
        StatusError: 400, it can't be understood or names a field that can't be selected by.
    """
    found: list[Requirement] = []
    for part in _TERM.findall(text):
        split = re.match(r"(.*?)(!=|==|=)(.*)", part)
        if split is None:
            raise _not_understood(text, part)
        value = _unescaped(split[3])
        if not supported(split[1]):
            raise bad_request(f"field label not supported: {split[1]}")
        found.append(Requirement(split[1], "!=" if split[2] == "!=" else "=", (value,)))
    return tuple(found)


def _unescaped(text: str) -> str:
    """A value without the backslashes that keep commas and equals signs in it."""
    if wrong := _WRONG.match(text):
        rest = wrong[1]
        escape = f"invalid escape sequence: {rest[:2]}"
        said = escape if rest[0] == "\\" else f"unescaped character in value: {ord(rest[0])}"
        raise bad_request(f"invalid field selector: {said}")
    return re.sub(r"\\(.)", r"\1", text)


def _not_understood(text: str, part: str) -> StatusError:
    return bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
