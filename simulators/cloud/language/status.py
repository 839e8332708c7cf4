"""Errors of the API: `Status` objects with reason, code and causes, in the words of the real server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Kind(Protocol):
    """What an error says of a kind: its names."""

    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def plural(self) -> str: ...  # noqa: D102
    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def storage(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong with one field.

    Attributes:
        reason: `FieldValueInvalid` and its like.
        message: In words, without the field.
        field: Its path, as `spec.interfaces[0].name`.
    """

    reason: str
    message: str
    field: str

    @classmethod
    def invalid(cls, field: str, value: object, text: str) -> Cause:
        """The value is not one of those allowed."""
        return cls("FieldValueInvalid", f"Invalid value: {shown(value)}: {text}", field)

    @classmethod
    def wrong_type(cls, field: str, value: object, text: str) -> Cause:
        """The value is of another type or format."""
        return cls("FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {text}", field)

    @classmethod
    def required(cls, field: str, text: str = "") -> Cause:
        """The field is missing."""
        return cls("FieldValueRequired", "Required value" + (text and f": {text}"), field)

    @classmethod
    def forbidden(cls, field: str, text: str) -> Cause:
        """The field may not be given, or not be changed."""
        return cls("FieldValueForbidden", f"Forbidden: {text}", field)

    @classmethod
    def unsupported(cls, field: str, value: object, allowed: Iterable[object]) -> Cause:
        """The value is not one of a few."""
        values = ", ".join(shown(each) for each in allowed)
        return cls("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {values}", field)

    @classmethod
    def duplicate(cls, field: str, value: object, text: str = "") -> Cause:
        """The value stands in the list before."""
        return cls("FieldValueDuplicate", f"Duplicate value: {shown(value)}" + (text and f": {text}"), field)

    @classmethod
    def too_long(cls, field: str, limit: int) -> Cause:
        """The value has more bytes than may be."""
        return cls("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", field)

    @classmethod
    def too_many(cls, field: str, count: int, limit: int) -> Cause:
        """The list has more items than may be."""
        return cls("FieldValueTooMany", f"Too many: {count}: must have at most {limit} items", field)

    def body(self) -> dict[str, str]:
        """As it stands in a `Status`."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


def shown(value: object) -> str:
    """A value as Go prints it in an error: compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class StatusError(Exception):
    """An answer that is an error.

    Attributes:
        code: HTTP status.
        reason: The machine's word, or empty.
        message: In words.
        details: Name, group, kind, causes.
        retry_after: Seconds after which the client should try again.
        warnings: What else is said of the request, beside the error.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after
        self.warnings: list[str] = []

    def body(self) -> dict[str, Any]:
        """The `Status` object."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def _details(name: str, group: str, kind: str) -> dict[str, Any]:
    parts = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in parts.items() if value}


def not_found(kind: Kind, name: str) -> StatusError:
    """There is no such object."""
    return StatusError(404, "NotFound", f'{kind.id} "{name}" not found', _details(name, kind.group, kind.plural))


def already_exists(kind: Kind, name: str) -> StatusError:
    """There is such an object."""
    details = _details(name, kind.group, kind.plural)
    return StatusError(409, "AlreadyExists", f'{kind.id} "{name}" already exists', details)


def conflict(kind: Kind, name: str, text: str, *, by_kind: bool = False) -> StatusError:
    """The object is not what the client believes; `by_kind` names the kind and not the resource."""
    called = kind.kind if by_kind else kind.plural
    message = f'Operation cannot be fulfilled on {_qualified(kind.group, called)} "{name}": {text}'
    return StatusError(409, "Conflict", message, _details(name, kind.group, called))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def forbidden(kind: Kind, name: str, text: str, causes: Sequence[Cause] = ()) -> StatusError:
    """The server understands and refuses."""
    error = forbidden_text(kind.group, kind.plural, name, text)
    if causes:
        error.details = {**(error.details or {}), "causes": [cause.body() for cause in causes]}
    return error


def forbidden_text(group: str, resource: str, name: str, text: str) -> StatusError:
    """The server understands and refuses, also where no such resource is known."""
    qualified = _qualified(group, resource)
    subject = f'{qualified} "{name}" is forbidden' if name else f"{qualified} is forbidden"
    return StatusError(403, "Forbidden", f"{subject}: {text}", _details(name, group, resource))


def invalid(kind: Kind, name: str, causes: Sequence[Cause], *, plural: bool = False, called: str = "") -> StatusError:
    """Fields are wrong: all of them, each with its cause.

    Args:
        kind: The kind that the path names.
        name: The object's.
        causes: At least one.
        plural: Name the resource and not the kind.
        called: Another kind, as the object calls itself.
    """
    group = "" if kind.storage == "events" else kind.group
    return _invalid(group, called or (kind.plural if plural else kind.kind), name, causes)


def invalid_options(options: str, causes: Sequence[Cause]) -> StatusError:
    """Query parameters are wrong; `options` is `CreateOptions` and its like."""
    return _invalid("meta.k8s.io", options, "", causes)


def invalid_review(group: str, causes: Sequence[Cause]) -> StatusError:
    """A review does not say what to review; the real server names its group only."""
    return _invalid(group, "", "", causes)


def invalid_patch(body: str, text: str) -> StatusError:
    """What a patch makes of an object can't be read."""
    return _invalid("", "", "", [Cause.invalid("patch", body, text)])


def _invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> StatusError:
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {**_details(name, group, kind), "causes": [cause.body() for cause in causes]}
    return StatusError(422, "Invalid", f'{_qualified(group, kind)} "{name}" is invalid: {listed}', details)


def _qualified(group: str, called: str) -> str:
    return f"{called}.{group}" if group else called


def bad_request(text: str) -> StatusError:
    """The server can't read it."""
    return StatusError(400, "BadRequest", text)


def internal(text: str) -> StatusError:
    """What the real server answers with a plain Go error: 500 without a reason."""
    return StatusError(500, "", text)


def unprocessable() -> StatusError:
    """A JSON patch that can't be carried out."""
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def unsupported_media_type(accepted: Iterable[str]) -> StatusError:
    """The body is in a format that this resource doesn't take."""
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", text)


def method_not_allowed(kind: Kind, verb: str) -> StatusError:
    """The resource doesn't know this verb."""
    text = f'{verb} is not supported on resources of kind "{kind.id}"'
    return StatusError(405, "MethodNotAllowed", text, _details("", kind.group, kind.plural))


def expired(text: str) -> StatusError:
    """A version or continue token that is too old: start again with a list."""
    return StatusError(410, "Expired", text)
