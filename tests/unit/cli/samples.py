"""An API that answers every call as its OpenAPI document allows, with the same text wherever one is free."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from controller.api.app import make_app
from controller.models.statement import Column, Sheet, Statement, StatementForm
from controller.performance.statements import files_of

_TIME = "2026-11-26T12:00:00Z"
#: Texts that have a form.
_FORMS = {"date-time": _TIME, "date": "2026-11-26", "time": "12:00:00", "duration": "PT1H"}


@functools.cache
def document() -> dict[str, Any]:
    return make_app().openapi()


def sample(schema: Mapping[str, Any], text: str, pick: int = 0) -> Any:
    """A value that a schema allows; ``pick`` chooses among its alternatives (what a tenant is told is one)."""
    if "$ref" in schema:
        return sample(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]], text, pick)
    if alternatives := [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]:
        return sample(alternatives[pick % len(alternatives)], text, pick)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][pick % len(schema["enum"])]
    made = _MADE.get(schema.get("type", ""))
    return made(schema, text, pick) if made else text


def _object(schema: Mapping[str, Any], text: str, pick: int) -> dict[str, Any]:
    # Ids are the server's own, and the command asks for more by them.
    made = {
        name: "x-1" if name == "id" else sample(one, text, pick) for name, one in schema.get("properties", {}).items()
    }
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping) or (more and not made):
        made[text] = sample(more if isinstance(more, Mapping) else {}, text, pick)
    return made


def _array(schema: Mapping[str, Any], text: str, pick: int) -> list[Any]:
    return [sample(one, text, pick) for one in schema.get("prefixItems", (schema.get("items", {}),))]


_MADE: dict[str, Callable[[Mapping[str, Any], str, int], Any]] = {
    "object": _object,
    "array": _array,
    # What has a pattern is a name, and no free text.
    "string": lambda schema, text, _: _FORMS.get(schema.get("format", ""), "ana" if "pattern" in schema else text),
    "integer": lambda *_: 1,
    "number": lambda *_: 1.5,
    "boolean": lambda _schema, _text, pick: not pick,
    "null": lambda *_: None,
}


def answer(request: httpx.Request, text: str, pick: int) -> httpx.Response:
    """What the API might answer to a request."""
    operation = _operation(request)
    if operation is None:
        return httpx.Response(404, json={"detail": f"nothing at {request.url.path}"})
    status, said = next((status, one) for status, one in operation["responses"].items() if status.startswith("2"))
    if request.url.path.endswith("/events"):
        return httpx.Response(200, text="".join(_events(request.url.path, text, pick)))
    schema = said.get("content", {}).get("application/json", {}).get("schema")
    if request.url.path.startswith("/v1/statements/") and schema == {"type": "string"}:
        return httpx.Response(200, content=_statement(text))
    if "text/plain" in said.get("content", {}):
        return httpx.Response(200, text=text)
    if schema is None:
        return httpx.Response(int(status))
    return httpx.Response(int(status), json=_last_page(sample(schema, text, pick)))


def _statement(text: str) -> bytes:
    """A statement whose names, units and values are all the text."""
    sheet = Sheet(name="x", title=text, columns=(Column(name=text, unit=text),), rows=((text,),))
    names = {"tenant_name": text, "network_name": text, "reason": text}
    ids = {
        "kind": "sla",
        "tenant": "ana",
        "network": "x",
        "month": "2026-10",
        "version": 1,
        "issued": _TIME,
        "timezone": "UTC",
    }
    made = Statement.model_validate(ids | names | {"begin": _TIME, "end": _TIME, "sheets": (sheet,), "rules": (text,)})
    return files_of(made)[StatementForm.JSON]


def _last_page(body: Any) -> Any:
    return body | {"next": None} if isinstance(body, dict) and {"results", "next"} <= body.keys() else body


def _operation(request: httpx.Request) -> Any:
    for path, methods in document()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        if request.method.lower() in methods and re.fullmatch(pattern, request.url.path):
            return methods[request.method.lower()]
    return None


#: What streams tell of, and as what to people of the host and of a tenant; the stream of a run has the others.
_STREAMS = {
    "/alarms/": {"alarm": ("AlarmView", "TenantAlarm")},
    "/incidents/": {"incident": ("IncidentView", "TenantIncident")},
}
_OF_RUN = {"job": ("Job", "TenantJob"), "run": ("RunView", "TenantRun")}


def _events(path: str, text: str, pick: int) -> Iterator[str]:
    """A stream that ends; of a run, which has ended."""
    told = next((names for part, names in _STREAMS.items() if part in path), _OF_RUN)
    for name, options in told.items():
        data = sample({"$ref": f"#/components/schemas/{options[pick]}"}, text, pick)
        if name == "run":
            data |= {"state": "succeeded", "wave": 1}
        yield f"event: {name}\ndata: {json.dumps(data)}\n\n"
