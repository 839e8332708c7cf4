"""The FastAPI app. The lifespan or a test puts its services into ``app.state.services``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from controller import __version__
from controller.api import pages, problems
from controller.api.auth import Route, routed
from controller.api.examples import EXAMPLES
from controller.api.guard import Guard
from controller.api.routes import (
    alarms,
    approvals,
    comments,
    definitions,
    devices,
    evidence,
    freezes,
    functions,
    holds,
    incidents,
    kpis,
    login,
    measurements,
    networks,
    oncall,
    people,
    plans,
    playbooks,
    questions,
    record,
    remediation,
    runs,
    shift,
    statements,
    system,
    ves,
    webhooks,
    works,
)
from controller.models.shipped import shipped

#: A browser must not load, run, frame or send anything because of an answer.
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#: The page loads from this host only; its styles contain their images.
_OURS = f"{_NOTHING}; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"


def _with_headers(scope: Scope, send: Send) -> Send:
    """Wrap ``send`` so that it adds the headers."""
    policy = _OURS if scope["type"] == "http" and routed(scope) == pages.PAGE else _NOTHING

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
        await send(message)

    return sending


PARTS = (
    evidence,
    login,
    people,
    networks,
    plans,
    definitions,
    playbooks,
    runs,
    questions,
    approvals,
    devices,
    functions,
    alarms,
    remediation,
    webhooks,
    ves,
    holds,
    freezes,
    works,
    oncall,
    incidents,
    comments,
    kpis,
    measurements,
    statements,
    shift,
    record,
    system,
)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_DESCRIPTION = """Operations controller of a neutral host's shared radio network.

Every route under `/v1` needs `Authorization: Bearer <token>`, and its owner the permission that is named with the
route. Every error answer is a problem document (RFC 9457). Lists come in pages: `limit`, `offset`, and
`next` in the answer.
"""
_SCHEMAS = "#/components/schemas/"


class _Headed(FastAPI):
    """The app, with the headers on every answer, also on those to its own bugs, which no middleware sees."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        await super().__call__(scope, receive, _with_headers(scope, send))


def make_app(lifespan: Lifespan | None = None) -> FastAPI:
    """The API; OpenAPI at /openapi.json, a browsable page at /docs."""
    api_routes()
    app = _Headed(
        title="Minka",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    problems.install(app)
    pages.install(app)
    app.add_api_route("/openapi.json", _document, include_in_schema=False)
    app.add_middleware(Guard)
    for part in PARTS:
        app.include_router(part.router)
    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _document() -> Response:
    return Response(_document_bytes(), media_type="application/json")


@cache
def _document_bytes() -> bytes:
    """The document as it is sent. It comes with Minka: anybody may ask for it, and a second of CPU would render it."""
    return shipped("docs/reference/openapi.json").read_bytes()


def _operation_id(route: APIRoute) -> str:
    """Noun and verb, as in ``runs.start``: names for generated clients."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}.{route.name}"


def api_routes() -> list[Route]:
    """All routes of the API, each with its permission.

    Raises:
        TypeError: A router does not check who calls.
    """
    found = []
    for part in PARTS:
        for route in part.router.routes:
            if not isinstance(route, Route):
                raise TypeError(f"{part.__name__}: its router is not controller.api.auth.Router, which asks who calls")
            found.append(route)
    return found


@cache
def openapi() -> dict[str, Any]:
    """FastAPI's document with problem details in place of its own error shape; one for all apps of a process."""
    app = make_app()
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    whole = problems.Problem.model_json_schema(ref_template=_SCHEMAS + "{model}")
    schemas |= whole.pop("$defs", {}) | {"Problem": whole}
    refused = {
        "description": "Problem details (RFC 9457)",
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
    }
    ves_refused = {
        "description": "`requestError` of the VES event listener (7.2.1)",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    needed = {
        (route.path, method.lower()): route.permission for route in api_routes() for method in route.methods or ()
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            permission = needed[path, method]
            operation["description"] += f"\n\nNeeds the permission `{permission}`." if permission else ""
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = ves_refused if path.startswith(problems.VES) else refused
    return document
