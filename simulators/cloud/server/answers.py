"""Answers: which form the client accepts, and objects, lists and errors in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
import yaml

from simulators.cloud.language import protobuf
from simulators.cloud.language.kinds import Kind
from simulators.cloud.language.status import StatusError, bad_request
from simulators.cloud.server import tables
from simulators.cloud.server.requests import Request
from simulators.cloud.server.store import Object

JSON = "application/json"
YAML = "application/yaml"
TEXT = "text/plain; charset=utf-8"
_FORMS = {"Table", "PartialObjectMetadata", "PartialObjectMetadataList"}
#: Media types that an API server names in refusals; this one answers in the first two.
MEDIA = (JSON, YAML, protobuf.MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Form:
    """How the client wants an answer: a media type, and perhaps another form of the object, in a version."""

    media: str = JSON
    form: str = ""
    version: str = "meta.k8s.io/v1"


def accepted(request: Request, *, objects: bool = True) -> Form:
    """The first form that the client names and that can be had; other forms than the plain one only of ``objects``.

    Raises:
        StatusError: 406, there is none.
    """
    for media, given in _accepts(request.header("accept") or "*/*"):
        if (form := _first_form(media, given, objects)) is not None:
            return form
    raise _not_acceptable(MEDIA)


def _first_form(media: str, given: Mapping[str, str], objects: bool) -> Form | None:
    ranges = (JSON, YAML) if media in {"*/*", "application/*"} else (media,)
    return next((form for one in ranges if (form := _form(one, given, objects)) is not None), None)


def _form(media: str, given: Mapping[str, str], objects: bool) -> Form | None:
    """A media type with its parameters as a form; None where that can't be had. Unknown parameters say nothing."""
    streamed = not given.get("stream") or (given["stream"] == "watch" and media == JSON)
    if media not in (JSON, YAML) or not streamed or given.get("sv"):
        return None
    if not given.keys() & {"as", "g", "v"}:
        return Form(media)
    known = given.get("g") == "meta.k8s.io" and given.get("v") in {"v1", "v1beta1"} and given.get("as") in _FORMS
    return Form(media, given["as"], f"meta.k8s.io/{given['v']}") if known and objects else None


def check_stream(form: Form) -> None:
    """Watches are streams of JSON.

    Raises:
        StatusError: 406, the client wants another one.
    """
    if form.media != JSON:
        raise _not_acceptable([f"{media};stream=watch" for media in MEDIA if media != YAML])


def check_route(request: Request) -> None:
    """What the router of built-in kinds looks at before their handlers do: there is no HEAD, and types without ranges.

    Raises:
        StatusError: 405 or 406.
    """
    if request.method == "HEAD":
        raise not_routed()
    wanted = {part.partition(";")[0].strip() for part in request.header("accept").split(",")}
    if request.header("accept") and not wanted & {"*/*", *MEDIA}:
        text = f"406: Not Acceptable\n\nAvailable representations: {', '.join(MEDIA)}"
        raise StatusError(406, "NotAcceptable", text, {})


def not_routed() -> StatusError:
    """405: built-in kinds have the path, but not this method."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def _not_acceptable(media: Iterable[str]) -> StatusError:
    text = f"only the following media types are accepted: {', '.join(media)}"
    return StatusError(406, "NotAcceptable", text)


def _accepts(header: str) -> list[tuple[str, dict[str, str]]]:
    """What a header accepts, the best first: media types, each with its parameters."""

    def weight(part: tuple[str, dict[str, str]]) -> float:
        try:
            return -float(part[1].get("q", 1))
        except ValueError:
            return 0.0

    found = []
    for part in filter(str.strip, header.split(",")):
        media, _, parameters = part.partition(";")
        given = dict(one.strip().partition("=")[::2] for one in parameters.split(";") if one.strip())
        found.append((media.strip().lower(), given))
    return sorted(found, key=weight)


def accepts_form(request: Request, form: str) -> bool:
    """Whether this very form is the first that a client names of those that can be had, parameters in any order."""
    ((media, wanted),) = _accepts(form)
    for one, given in _accepts(request.header("accept")):
        if one == media and wanted.items() <= given.items():
            return True
        if _first_form(one, given, objects=False) is not None:
            return False
    return False


# ---------------------------------------------------------------------- answers


class _Plain(yaml.SafeDumper):
    """Writes what stands twice twice, and not as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def document(
    body: Any, status: int = 200, form: Form | None = None, headers: Sequence[tuple[str, str]] = ()
) -> Response:
    """A document as JSON or YAML."""
    if form is not None and form.media == YAML:
        said = yaml.dump(body, Dumper=_Plain, default_flow_style=False, sort_keys=True, allow_unicode=True)
        return Response(status, said.encode(), YAML, headers)
    return Response(status, orjson.dumps(body), JSON, headers)


def indented(response: Response) -> Response:
    """JSON as people read it; other answers as they are."""
    if response.content_type != JSON:
        return response
    return replace(response, body=orjson.dumps(orjson.loads(response.body), option=orjson.OPT_INDENT_2))


def text(body: str, status: int = 200) -> Response:
    """Plain text."""
    return Response(status, body.encode(), TEXT, (("X-Content-Type-Options", "nosniff"),))


PAGE_NOT_FOUND = text("404 page not found\n", 404)


def failure(error: StatusError) -> Response:
    """An error as a Status."""
    headers = warned(error.warnings)
    if error.retry_after is not None:
        headers.append(("Retry-After", str(error.retry_after)))
    return document(error.body(), error.code, headers=headers)


def warned(warnings: Iterable[str]) -> list[tuple[str, str]]:
    """Warnings as headers, which have no room for lines."""
    quoted = (one.replace("\\", "\\\\").replace('"', '\\"') for one in warnings if one.isprintable())
    return [("Warning", f'299 - "{one}"') for one in quoted]


def success(kind: Kind, obj: Object) -> dict[str, Any]:
    """The Status of an object that is deleted."""
    metadata = obj["metadata"]
    details = {"name": metadata["name"], "group": kind.group, "kind": kind.plural, "uid": metadata["uid"]}
    shown = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": shown}


def one(kind: Kind, obj: Object, form: Form, request: Request, now: datetime) -> dict[str, Any]:
    """An object in the form that the client wants."""
    if form.form == "PartialObjectMetadataList":
        raise StatusError(406, "NotAcceptable", f"you requested {form.form}, but the requested object is not a list")
    if form.form == "PartialObjectMetadata":
        return tables.metadata_only(obj, form.version)
    if form.form == "Table":
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return tables.table(kind, [obj], now, included(request), metadata, form.version)
    return obj


def many(
    kind: Kind, objects: Sequence[Object], metadata: Mapping[str, Any], form: Form, request: Request, now: datetime
) -> dict[str, Any]:
    """A list in the form that the client wants."""
    if form.form == "PartialObjectMetadata":
        raise StatusError(406, "NotAcceptable", f"you requested {form.form}, but the requested object is a list")
    if form.form == "PartialObjectMetadataList":
        items = [tables.metadata_only(obj, form.version) for obj in objects] or None
        head = {"kind": form.form, "apiVersion": form.version}
        return {**head, "metadata": dict(metadata), "items": items}
    if form.form == "Table":
        return tables.table(kind, objects, now, included(request), dict(metadata), form.version)
    if kind.custom:
        return {
            "apiVersion": kind.api_version,
            "items": list(objects),
            "kind": kind.list_kind,
            "metadata": {"continue": "", **metadata},
        }
    items = [{key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}} for obj in objects]
    return {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": dict(metadata), "items": items}


def empty_table(bookmark: Object, form: Form) -> dict[str, Any]:
    """A bookmark where a client wants rows."""
    head = {"kind": "Table", "apiVersion": form.version, "metadata": bookmark["metadata"]}
    return {**head, "columnDefinitions": None, "rows": []}


def included(request: Request) -> str:
    """What of each object goes with its row.

    Raises:
        StatusError: 400, there is no such choice.
    """
    asked = request.asks("includeObject")
    if asked not in {"", "None", "Metadata", "Object"}:
        problem = f"includeObject: Invalid value: \"{asked}\": must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: {problem}")
    return asked
