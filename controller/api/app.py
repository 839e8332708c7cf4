"""The FastAPI app; its services are in ``app.state.services``, put there by the lifespan or by a test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from controller import __version__
from controller.api import problems
from controller.api.routes import alarms, devices, holds, networks, plans, runs, system, webhooks

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def make_app(lifespan: Lifespan | None = None) -> FastAPI:
    """The API; OpenAPI at /openapi.json, a browsable page at /docs."""
    app = FastAPI(
        title="Minka",
        version=__version__,
        description="Operations controller of a neutral host's shared radio network.",
        lifespan=lifespan,
    )
    problems.install(app)
    for part in (networks, plans, runs, devices, alarms, webhooks, holds, system):
        app.include_router(part.router)
    return app
