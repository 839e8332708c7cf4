"""The API's app for a test, without the time that FastAPI takes to make its routes again."""

from __future__ import annotations

import copy
from functools import cache

from fastapi import FastAPI
from starlette.datastructures import State

from controller.api.app import make_app
from controller.api.services import Services

_shared = cache(make_app)


def app_with(services: Services) -> FastAPI:
    """An app with state and middleware of its own; its routes are those of all others."""
    app = copy.copy(_shared())
    app.state, app.middleware_stack = State({"services": services}), None
    return app
