"""The API's app for a test, which shares its routes: FastAPI takes long to make them."""

from __future__ import annotations

import copy
from functools import cache

from fastapi import FastAPI
from starlette.datastructures import State

from controller.api.app import make_app
from controller.api.services import Services

_shared = cache(make_app)


def app_with(services: Services) -> FastAPI:
    """An app with its own state and middleware, and shared routes."""
    app = copy.copy(_shared())
    app.state, app.middleware_stack = State({"services": services}), None
    return app
