"""The FastAPI app; its services are in ``app.state.services``, put there by the lifespan or by a test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from controller import __version__
from controller.api import problems
from controller.api.guard import Guard
from controller.api.routes import alarms, devices, holds, networks, plans, playbooks, runs, system, webhooks

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_DESCRIPTION = """Operations controller of a neutral host's shared radio network.

Every route under `/v1` needs `Authorization: Bearer <token>`. Every answer that is no success is a problem
document (RFC 9457). Lists come in pages: `limit`, `offset`, and `next` in the answer.
"""
_SCHEMAS = "#/components/schemas/"


def make_app(lifespan: Lifespan | None = None) -> FastAPI:
    """The API; OpenAPI at /openapi.json, a browsable page at /docs."""
    app = FastAPI(
        title="Minka",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    problems.install(app)
    app.add_middleware(Guard)
    for part in (networks, plans, playbooks, runs, devices, alarms, webhooks, holds, system):
        app.include_router(part.router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _operation_id(route: APIRoute) -> str:
    """Noun and verb, as in ``runs.start``: names for generated clients."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}.{route.name}"


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with problem details in place of its own error shape."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = problems.Problem.model_json_schema(ref_template=_SCHEMAS + "{model}")
        refused = {
            "description": "Problem details (RFC 9457)",
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
        }
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = refused
        app.openapi_schema = document
    return app.openapi_schema
