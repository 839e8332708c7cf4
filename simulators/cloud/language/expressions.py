"""Rules in CEL of custom resource definitions (`x-kubernetes-validations`): of schemas, and of objects.

A rule holds of the value where it stands, as `self`, and of what that was before, as `oldSelf`. What a rule finds
wrong with a value that does not change is told as a warning and not refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from simulators.cloud.language import typed, validation
from simulators.cloud.language.cel.library import FUNCTIONS
from simulators.cloud.language.cel.program import CompileError, Program, compiled
from simulators.cloud.language.cel.syntax import RESERVED
from simulators.cloud.language.cel.values import (
    BOOL,
    DYN,
    INT,
    NO_OVERLOAD,
    STRING,
    CelError,
    Merging,
    Optional,
    Type,
    list_of,
    map_of,
    optional_of,
)
from simulators.cloud.language.schema import ABSENT, Schema
from simulators.cloud.language.status import Cause

RULES: Final = "x-kubernetes-validations"
Raw = Mapping[str, Any]
Warn = Callable[[str], None]

_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_LONGEST_MESSAGE: Final = 5 * 1024

# ------------------------------------------------------------------ types and values

_SCALARS: Final = {"boolean": BOOL, "integer": INT, "number": Type("double"), "string": STRING}
_FORMATS: Final = {
    "byte": Type("bytes"), "date": Type("timestamp"), "date-time": Type("timestamp"), "duration": Type("duration"),
}  # fmt: skip
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


def escaped(name: str) -> str:
    """A field's name as expressions write it; empty where they can't."""
    if not re.fullmatch(r"[A-Za-z_.\-/][A-Za-z0-9_.\-/]*", name):
        return ""
    if name in RESERVED or name in {"true", "false", "null", "in"}:
        return f"__{name}__"
    return re.sub(r"__|[.\-/]", lambda found: _ESCAPES[found[0]], name)


def declared(schema: Schema, name: str = "selfType", *, whole: bool = False) -> Type | None:
    """The type of a value; none where expressions can't reach it.

    Args:
        schema: The value's.
        name: What errors call it.
        whole: It is an object with a name of its own.
    """
    if schema.int_or_string:
        return DYN
    if schema.type == "array":
        item = declared(schema.items, f"{name}.@idx") if schema.items is not None else None
        return None if item is None else list_of(item)
    if schema.type == "object":
        return _message(schema, name, whole=whole or schema.embedded)
    return _FORMATS.get(schema.format, STRING) if schema.type == "string" else _SCALARS.get(schema.type)


def _message(schema: Schema, name: str, *, whole: bool) -> Type | None:
    if schema.values is not None:
        value = declared(schema.values, f"{name}.@elem")
        return None if value is None else map_of(STRING, value)
    fields: dict[str, Type] = {}
    for each, inner in {**schema.properties, **(_WHOLE if whole else {})}.items():
        kind = declared(inner, f"{name}.{each}")
        if kind is not None:
            fields |= {called: kind for called in {each, escaped(each)} if called}
    return Type(name, fields=fields)


_WHOLE: Final = {
    "apiVersion": Schema("string"),
    "kind": Schema("string"),
    "metadata": Schema("object", properties={"name": Schema("string"), "generateName": Schema("string")}),
}


def value_of(schema: Schema, value: Any, *, whole: bool = False) -> Any:
    """A value as expressions see it."""
    if isinstance(value, dict):
        return _message_of(schema, value, whole=whole or schema.embedded)
    if isinstance(value, list):
        items = Merging(value if schema.items is None else [value_of(schema.items, each) for each in value])
        items.keys = schema.keys
        return items if schema.is_associative else list(items)
    if schema.type == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if schema.type == "string" and schema.format in _FORMATS and isinstance(value, str):
        return _scalar(schema.format, value)
    return value


def _message_of(schema: Schema, value: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    if schema.values is not None:
        return {name: value_of(schema.values, each) for name, each in value.items()}
    fields = {**schema.properties, **(_WHOLE if whole else {})}
    found: dict[str, Any] = {}
    for name, each in value.items():
        if name in fields and (each is not None or fields[name].nullable):
            found |= dict.fromkeys(filter(None, {name, escaped(name)}), value_of(fields[name], each))
    return found


def _scalar(form: str, text: str) -> bytes | datetime | timedelta | str:
    """A text of a format; as it is where it isn't of that format, which the schema says."""
    try:
        if form == "byte":
            return base64.b64decode(text, validate=True)
        read: datetime | timedelta = FUNCTIONS["duration" if form == "duration" else "timestamp"](text)
        return read
    except (CelError, binascii.Error):
        return text


# ------------------------------------------------------------------ rules of a schema


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule that can be evaluated."""

    raw: Raw
    program: Program
    message: Program | None
    path: str

    @property
    def text(self) -> str:
        """What errors call it."""
        return str(self.raw.get("message") or self.raw["rule"]).strip()

    @property
    def said(self) -> str:
        """What it says where it says nothing of its own."""
        return self.text if self.raw.get("message") else f"failed rule: {self.text}"

    @property
    def is_transition(self) -> bool:
        return "oldSelf" in self.program.names


def _program(text: str, own: Type, wanted: Type, *, optional_old: bool) -> Program:
    """An expression of a rule.

    Raises:
        CompileError: It is none, or comes to something else.
    """
    try:
        program = compiled(text, {"self": own, "oldSelf": optional_of(own) if optional_old else own})
    except CompileError as error:
        raise CompileError(f"compilation failed: {error}") from None
    if program.type != wanted:
        called = "cel expression must evaluate to a bool" if wanted == BOOL else "must evaluate to a string"
        raise CompileError(called if wanted == BOOL else f"messageExpression {called}")
    return program


def _compile(raw: Raw, own: Type, schema: Schema) -> _Rule:
    optional_old = bool(raw.get("optionalOldSelf"))
    program = _program(raw["rule"], own, BOOL, optional_old=optional_old)
    message = None
    if raw.get("messageExpression"):
        message = _program(raw["messageExpression"], own, STRING, optional_old=optional_old)
    return _Rule(raw, program, message, _field_path(schema, raw.get("fieldPath") or "") or "")


_STEP: Final = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")


def _field_path(schema: Schema, text: str) -> str | None:
    """A path such as `.spec['a b']` as errors write it; none where the schema has no such field."""
    path, at = "", 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        name, at = step[1] or step[2], step.end()
        inner = schema.properties.get(name)
        if inner is None and (schema.values is None or schema.properties):
            return None
        path += f".{name}" if inner is not None else f"[{name}]"
        schema = inner or schema.values or schema
    return path.removeprefix(".")


def rule_problems(raw: Raw, path: str, *, root: bool, uncorrelatable: str = "") -> Iterator[Cause]:
    """What is wrong with the rules of one schema of a definition.

    Args:
        raw: The schema.
        path: Its field.
        root: It is that of the whole object.
        uncorrelatable: The list above, if any, whose items can't be told from one version to the next.
    """
    rules = raw.get(RULES) or ()
    if not rules:
        return
    schema = Schema.of_openapi(raw)
    own = declared(schema, whole=root)
    for index, rule in enumerate(rules):
        at = f"{path}.{RULES}[{index}]"
        wrong = list(_said_problems(rule, at, schema))
        yield from wrong
        if own is None or not str(rule.get("rule") or "").strip():
            continue
        yield from _compile_problems(rule, own, at, uncorrelatable)


def _said_problems(rule: Raw, at: str, schema: Schema) -> Iterator[Cause]:
    text, message = str(rule.get("rule") or ""), str(rule.get("message") or "")
    if not text.strip():
        yield Cause.required(f"{at}.rule", "rule is not specified")
    elif message and not message.strip():
        yield Cause.invalid(f"{at}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield Cause.invalid(f"{at}.message", message, "message must not contain line breaks")
    elif "\n" in text.strip() and not message:
        yield Cause.required(f"{at}.message", "message must be specified if rule contains line breaks")
    expression = str(rule.get("messageExpression") or "")
    if expression and not expression.strip():
        yield Cause.required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
    if rule.get("reason") not in (None, *_REASONS):
        yield Cause.unsupported(f"{at}.reason", rule["reason"], _REASONS)
    field_path = str(rule.get("fieldPath") or "")
    if field_path and not field_path.strip():
        yield Cause.invalid(f"{at}.fieldPath", field_path, "fieldPath must be non-empty if specified")
    elif field_path and _field_path(schema, field_path) is None:
        yield Cause.invalid(f"{at}.fieldPath", field_path, "fieldPath must be a valid path")


def _compile_problems(rule: Raw, own: Type, at: str, uncorrelatable: str) -> Iterator[Cause]:
    optional_old = bool(rule.get("optionalOldSelf"))
    program = None
    try:
        program = _program(rule["rule"], own, BOOL, optional_old=optional_old)
    except CompileError as error:
        yield Cause.invalid(f"{at}.rule", _internal(rule), str(error))
    if str(rule.get("messageExpression") or "").strip():
        try:
            _program(rule["messageExpression"], own, STRING, optional_old=optional_old)
        except CompileError as error:
            said = str(error).replace("compilation failed", "messageExpression compilation failed", 1)
            yield Cause.invalid(f"{at}.messageExpression", _internal(rule), said)
    if program is None:
        return
    if uncorrelatable and "oldSelf" in program.names:
        text = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelatable}"
        yield Cause.invalid(f"{at}.rule", rule["rule"], text)
    if optional_old and "oldSelf" not in program.names:
        text = "may not be set if oldSelf is not used in rule"
        yield Cause.invalid(f"{at}.optionalOldSelf", True, text)


def _internal(rule: Raw) -> dict[str, Any]:
    """A rule as the real server names it: by the struct that it keeps."""
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


# ------------------------------------------------------------------ rules of an object


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands, and what was there before.

    Attributes:
        path: Its field, for errors.
        old: What it was; absent where that can't be told.
        kept: It stands in something that stays as it was.
    """

    path: str = ""
    old: Any = ABSENT
    kept: bool = False

    def within(self, value: Any, path: str, old: Any) -> _Place:
        """A part of it."""
        kept = self.kept if self.old is ABSENT else typed.same(self.old, value)
        return _Place(path, old, kept)

    def stays(self, value: Any) -> bool:
        """Whether a value is what it was, as far as that can be told."""
        return self.kept if self.old is ABSENT else typed.same(self.old, value)


@dataclass(slots=True)
class Checker:
    """The rules of a schema and of all below it."""

    schema: Schema
    whole: bool
    rules: tuple[_Rule, ...]
    properties: dict[str, Checker] = field(default_factory=dict)
    values: Checker | None = None
    items: Checker | None = None

    @classmethod
    def of(cls, schema: Schema, *, whole: bool = False) -> Checker | None:
        """The rules of a schema that is without fault; none where it has none.

        Args:
            schema: The schema.
            whole: It is that of an object with a name of its own.
        """
        own = declared(schema, whole=whole)
        rules = [_compile(raw, own, schema) for raw in schema.rules.get(RULES) or ()] if own is not None else []
        inner = {name: found for name, each in schema.properties.items() if (found := cls.of(each)) is not None}
        values = None if schema.values is None else cls.of(schema.values)
        items = None if schema.items is None else cls.of(schema.items)
        if not (rules or inner or values or items):
            return None
        return cls(schema, whole, tuple(rules), inner, values, items)

    def problems(self, value: Any, old: Any = ABSENT, warn: Warn = lambda _: None) -> Iterator[Cause]:
        """What the rules find wrong with an object.

        Args:
            value: The object.
            old: What it was; absent where it is new.
            warn: Is told what is wrong with what does not change.
        """
        yield from self._problems(value, _Place(old=old), warn)

    def _problems(self, value: Any, place: _Place, warn: Warn) -> Iterator[Cause]:
        if value is None:
            return
        for rule in self.rules:
            yield from self._broken(rule, value, place, warn)
        if isinstance(value, list) and self.items is not None:
            before = validation.named(self.schema, place.old)
            for index, each in enumerate(value):
                old = before.get(validation.name_of(self.schema, each), ABSENT)
                inner = place.within(value, f"{place.path}[{index}]", old)
                yield from self.items._problems(each, inner, warn)
        elif isinstance(value, dict):
            yield from self._in_fields(value, place, warn)

    def _in_fields(self, value: dict[str, Any], place: _Place, warn: Warn) -> Iterator[Cause]:
        before = place.old if isinstance(place.old, dict) else {}
        for name, each in value.items():
            known = self.properties.get(name)
            path = f"{place.path}.{name}" if place.path else name
            if known is None and name not in self.schema.properties:
                known, path = self.values, f"{place.path}[{name}]"
            if known is not None:
                yield from known._problems(each, place.within(value, path, before.get(name, ABSENT)), warn)

    def _broken(self, rule: _Rule, value: Any, place: _Place, warn: Warn) -> Iterator[Cause]:
        is_new = place.old is ABSENT or place.old is None
        may_be_new = bool(rule.raw.get("optionalOldSelf"))
        if rule.is_transition and is_new and not may_be_new:
            return
        seen = {"self": value_of(self.schema, value, whole=self.whole)}
        before = None if is_new else value_of(self.schema, place.old, whole=self.whole)
        seen["oldSelf"] = (Optional() if is_new else Optional((before,))) if may_be_new else before
        path, kind = place.path or "<nil>", self.schema.type
        try:
            if rule.program.evaluate(seen) is True:
                return
        except CelError as error:
            text = f"{error} evaluating rule: {rule.text}"
            if str(error).startswith(NO_OVERLOAD):
                fault = "call arguments did not match a supported operator, function or macro signature for rule"
                text = f"'{error}': {fault}: {rule.text}"
            yield Cause.invalid(path, kind, text)
            return
        if rule.path:
            joint = "" if not place.path or rule.path.startswith("[") else "."
            path = f"{place.path}{joint}{rule.path}"
        cause = _cause(path, value, kind, _message_text(rule, seen), str(rule.raw.get("reason") or ""))
        if not rule.is_transition and place.stays(value):
            warn(f"{cause.field}: {cause.message}")
        else:
            yield cause


def _message_text(rule: _Rule, seen: Mapping[str, Any]) -> str:
    if rule.message is None:
        return rule.said
    try:
        text = str(rule.message.evaluate(seen)).strip()
    except CelError:
        return rule.said
    return text if text and "\n" not in text and len(text.encode()) <= _LONGEST_MESSAGE else rule.said


def _cause(path: str, value: Any, kind: str, text: str, reason: str) -> Cause:
    match reason:
        case "FieldValueForbidden":
            return Cause.forbidden(path, text)
        case "FieldValueRequired":
            return Cause.required(path, text)
        case "FieldValueDuplicate":
            cause = Cause.duplicate(path, value)
        case _:
            cause = Cause.invalid(path, value, text)
    if kind not in {"object", "array"}:
        return cause
    # A value of many fields is not told.
    return replace(cause, message="Duplicate value" if reason == "FieldValueDuplicate" else f"Invalid value: {text}")


#: Faults of an object with which no rules are evaluated.
_BLOCKING: Final = {
    "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid",
}  # fmt: skip


def blocked(found: list[Cause]) -> Iterator[Cause]:
    """What is said where rules are not evaluated because of other faults."""
    if any(cause.reason in _BLOCKING for cause in found):
        text = "some validation rules were not checked because the object was invalid"
        yield Cause.invalid("<nil>", None, f"{text}; correct the existing errors to complete validation")
