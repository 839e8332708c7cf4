"""A request as the API server reads it: what its path names, and what its query asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from simulators.cloud.language import protobuf
from simulators.cloud.language.decoding import parse
from simulators.cloud.language.status import (
    Cause,
    StatusError,
    bad_request,
    invalid_options,
    unsupported_media_type,
)
from simulators.cloud.server.access import Attributes, Caller
from simulators.cloud.server.verbs import DeleteOptions

#: Bytes that a body may have.
LARGEST_BODY = 3 * 1024 * 1024
_LONGEST_MANAGER = 128
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
#: Media types of bodies, as refusals list them; protocol buffers are read as JSON before.
_READ = ("application/json", "application/yaml", protobuf.MEDIA_TYPE, "", "*/*")
_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_DELETE_TYPES: Mapping[str, type] = {
    "gracePeriodSeconds": int,
    "propagationPolicy": str,
    "orphanDependents": bool,
    "dryRun": list,
    "preconditions": dict,
}
#: What a whole number of a query may be.
_INT_64 = 2**63


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case, and ``certificate`` is who the client's certificate names."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    certificate: Caller | None = None

    @classmethod
    def of_target(cls, method: str, target: str, **rest: Any) -> Request:
        """Of a request line's target."""
        path, _, query = target.partition("?")
        asked: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            asked.setdefault(name, []).append(value)
        return cls(method, unquote(path), asked, **rest)

    def asks(self, name: str) -> str:
        """A parameter of the query, or nothing."""
        return next(iter(self.query.get(name, ())), "")

    def wants(self, name: str) -> bool:
        """A parameter that is true or false: whatever is given is true, but for ``false`` and ``0``."""
        return name in self.query and self.asks(name).lower() not in {"false", "0"}

    def header(self, name: str) -> str:
        """A header, or nothing."""
        return self.headers.get(name, "")

    @property
    def pretty(self) -> bool:
        """Whether a person reads the answer: the query says so, or the program that asks."""
        if asked := self.asks("pretty"):
            return asked in {"1", "t", "T", "true", "TRUE", "True"}
        return any(program in self.header("user-agent") for program in ("curl", "Wget", "Mozilla/5.0"))

    @property
    def manager(self) -> str:
        """The field manager: the one named, else the client's program."""
        return self.asks("fieldManager") or self.header("user-agent").partition("/")[0][:_LONGEST_MANAGER] or "unknown"


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names; without a resource it is the path itself."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: tuple[str, ...] = ()
    chosen: str = ""
    """The one name that a field selector leaves of a collection: RBAC may grant that one alone."""

    @property
    def attributes(self) -> Attributes:
        """For RBAC."""
        if not self.resource:
            return Attributes(self.verb, path=self.path)
        return Attributes(
            self.verb, self.group, self.resource, self.subresource, self.namespace, self.name or self.chosen
        )


def target(request: Request) -> Target:
    """Read the path."""
    verb = _VERBS.get(request.method, "")
    parts = [part for part in request.path.split("/") if part]
    plain = Target(request.method.lower(), request.path)
    if len(parts) > 2 and parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return plain
    watched = verb == "get" and rest[0] == "watch" and len(rest) > 1
    rest = rest[1:] if watched else rest
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        # A namespace's own path, not one of what is in it.
        if len(rest) > 2 and not (len(rest) == 3 and rest[2] in {"status", "finalize"}):
            rest = rest[2:]
    resource, name, subresource = (*rest[:3], "", "", "")[:3]
    chosen = ""
    if not name:
        only = re.fullmatch(r"(?:.*,)?metadata\.name==?([^,!=]+)(?:,.*)?", request.asks("fieldSelector"))
        chosen = only[1] if only and verb in {"get", "delete"} else ""
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    if watched or (verb == "list" and request.wants("watch")):
        verb = "watch"
    return Target(verb, request.path, group, version, resource, namespace, name, subresource, tuple(rest[3:]), chosen)


def readable(request: Request) -> Request:
    """The request with a body in JSON (or what it says it is), also where it came as a protocol buffer.

    Raises:
        StatusError: 413, it is too large; 400, it can't be read.
    """
    if len(request.body) > LARGEST_BODY:
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LARGEST_BODY}")
    if not request.body or not request.header("content-type").startswith(protobuf.MEDIA_TYPE):
        return request
    try:
        body = orjson.dumps(protobuf.decode(request.body))
    except ValueError as error:
        raise bad_request(f"the body of the request can't be read: {error}") from None
    return replace(request, body=body, headers={**request.headers, "content-type": "application/json"})


def check_timeout(request: Request, wanted: Target) -> None:
    """How long a client waits has to be a duration of Go; watches last as they like.

    Raises:
        StatusError: 400, it is none.
    """
    asked = request.asks("timeout")
    if asked and wanted.verb != "watch" and not _DURATION.fullmatch(asked):
        text = f'invalid timeout specified in the request URL - time: invalid duration "{asked}"'
        raise bad_request(text)


_DURATION = re.compile(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")


def check_media(request: Request) -> None:
    """The body has to be in a format that is read.

    Raises:
        StatusError: 415, it is not.
    """
    if request.header("content-type").partition(";")[0].strip().lower() not in _READ:
        raise unsupported_media_type(_READ[:3])


def check_options(request: Request, verb: str, *, apply: bool = False) -> None:
    """What may be asked of a write.

    Raises:
        StatusError: 422, a parameter has no such value.
    """
    causes: list[Cause] = []
    if "force" in request.query and not apply:
        causes.append(Cause.forbidden("force", "may not be specified for non-apply patch"))
    manager = request.asks("fieldManager")
    if apply and not manager:
        causes.append(Cause.required("fieldManager", "is required for apply patch"))
    causes += check_dry_run(request)
    if len(manager.encode()) > _LONGEST_MANAGER:
        causes.append(Cause.too_long("fieldManager", _LONGEST_MANAGER))
    if not manager.isprintable():
        causes.append(Cause.invalid("fieldManager", manager, "should only contain printable characters"))
    if (asked := request.asks("fieldValidation")) not in {"", "Ignore", "Strict", "Warn"}:
        causes.append(Cause.unsupported("fieldValidation", asked, ["", "Ignore", "Strict", "Warn"]))
    if causes:
        raise invalid_options(_OPTIONS.get(verb, "PatchOptions"), causes)


def check_dry_run(request: Request) -> list[Cause]:
    """Only all of a request can be tried out."""
    asked = list(request.query.get("dryRun", ()))
    return [Cause.unsupported("dryRun", asked, ["All"])] if set(asked) - {"All"} else []


def delete_options(request: Request) -> tuple[DeleteOptions, bool]:
    """How to delete, of the body or the query; and whether for show only.

    Raises:
        StatusError: 400 or 422, it can't be read.
    """
    body = _delete_body(request)
    for name in ("propagationPolicy", "gracePeriodSeconds", "orphanDependents", "dryRun"):
        if name in request.query and not request.body:
            value: Any = request.asks(name)
            if name == "gracePeriodSeconds":
                value = number(value)
            elif name == "orphanDependents":
                value = request.wants(name)
            elif name == "dryRun":
                value = list(request.query[name])
            body[name] = value
    causes = _delete_causes(body)
    if causes:
        raise invalid_options("DeleteOptions", causes)
    policy = body.get("propagationPolicy") or ("Orphan" if body.get("orphanDependents") else "")
    conditions = body.get("preconditions") or {}
    wanted = DeleteOptions(
        body.get("gracePeriodSeconds"),
        policy,
        conditions.get("uid") or "",
        conditions.get("resourceVersion") or "",
        body.get("orphanDependents") is False,
    )
    return wanted, bool(body.get("dryRun"))


def _delete_body(request: Request) -> dict[str, Any]:
    if not request.body.strip():
        return {}
    check_media(request)
    try:
        body, _ = parse(request.body, request.header("content-type"))
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: not an object")
    kind, version = body.get("kind") or "DeleteOptions", body.get("apiVersion") or "v1"
    if kind != "DeleteOptions" or version not in ("v1", "meta.k8s.io/v1"):
        raise bad_request(
            f'no kind "{kind}" is registered for version "{version}" in scheme '
            '"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    for name, type_ in _DELETE_TYPES.items():
        if body.get(name) is not None and not isinstance(body[name], type_):
            raise bad_request(f"json: cannot unmarshal {body[name]!r} into Go struct field DeleteOptions.{name}")
    for name, value in (body.get("preconditions") or {}).items():
        if not isinstance(value, str | None):
            raise bad_request(f"json: cannot unmarshal {value!r} into Go struct field Preconditions.{name}")
    return body


def _delete_causes(body: Mapping[str, Any]) -> list[Cause]:
    causes = []
    policy, orphan = body.get("propagationPolicy"), body.get("orphanDependents")
    if policy is not None and orphan is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(Cause.invalid("propagationPolicy", policy, text))
    elif policy not in {None, "Foreground", "Background", "Orphan"}:
        allowed = ["Foreground", "Background", "Orphan", "nil"]
        causes.append(Cause.unsupported("propagationPolicy", policy, allowed))
    if set(map(str, body.get("dryRun") or ())) - {"All"}:
        causes.append(Cause.unsupported("dryRun", body["dryRun"], ["All"]))
    return causes


def number(text: str) -> int:
    """A whole number of a query.

    Raises:
        StatusError: 400, it is none.
    """
    if not re.fullmatch(r"[+-]?\d+", text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if not -_INT_64 <= int(text) < _INT_64:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


# ------------------------------------------------------------------------ lists


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which state of a collection is asked for, and how much of it at once.

    ``initial_events`` says whether a watch begins with what is there; None where that follows from its version.
    """

    version: int | None
    exact: bool
    limit: int
    token: str
    initial_events: bool | None
    bookmarks: bool
    timeout: float | None


def list_options(request: Request, *, watch: bool) -> ListOptions:
    """Read the options of a list or watch.

    Raises:
        StatusError: 400, 422 or 500, as an API server answers each.
    """
    match, token = request.asks("resourceVersionMatch"), request.asks("continue")
    version = request.asks("resourceVersion")
    limit = number(request.asks("limit") or "0")
    timeout = request.asks("timeoutSeconds")
    initial = request.wants("sendInitialEvents") if "sendInitialEvents" in request.query else None
    if causes := _watch_causes(match, initial) if watch else _list_causes(match, version, token, initial):
        raise invalid_options("ListOptions", causes)
    if token and version not in {"", "0"}:
        raise bad_request("specifying resource version is not allowed when using continue")
    return ListOptions(
        parsed_version(version, watch=watch),
        match == "Exact",
        max(limit, 0),
        token,
        initial,
        request.wants("allowWatchBookmarks"),
        float(number(timeout)) if timeout else None,
    )


def parsed_version(text: str, *, watch: bool = False) -> int | None:
    """A resourceVersion as a number; None where none is given.

    Raises:
        StatusError: it is none.
    """
    if not text:
        return None
    if not text.isdigit():
        problem = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise StatusError(500, "", problem) if watch else bad_request(f"invalid resource version: {problem}")
    return int(text)


def _watch_causes(match: str, initial: bool | None) -> list[Cause]:
    field_ = "resourceVersionMatch"
    if initial is None:
        text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        return [Cause.forbidden(field_, text)] if match else []
    causes = []
    if match != "NotOlderThan":
        causes.append(
            Cause.forbidden(field_, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        )
        if match:
            causes.append(Cause.unsupported(field_, match, ["NotOlderThan"]))
    return causes


def _list_causes(match: str, version: str, token: str, initial: bool | None) -> list[Cause]:
    field_, causes = "resourceVersionMatch", []
    if initial is not None:
        causes.append(Cause.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if not match:
        return causes
    if not version:
        causes.append(Cause.forbidden(field_, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if token:
        causes.append(Cause.forbidden(field_, "resourceVersionMatch is forbidden when continue is provided"))
    if match not in {"Exact", "NotOlderThan"}:
        causes.append(Cause.unsupported(field_, match, ["Exact", "NotOlderThan", ""]))
    if match == "Exact" and version == "0":
        text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(Cause.forbidden(field_, text))
    return causes
