"""Errors as RFC 9457 problem details, one shape for every route."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from controller.models.errors import (
    ConflictError,
    DeviceError,
    InputError,
    MinkaError,
    NetworkFilesError,
    NotFoundError,
    PlanRefusedError,
    StoreError,
)

log = structlog.get_logger()

_STATUS: tuple[tuple[type[MinkaError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (PlanRefusedError, 409),
    (InputError, 422),
    (DeviceError, 502),
    (StoreError, 503),
    (MinkaError, 500),
)


def problem(status: int, code: str, detail: str, **extra: Any) -> JSONResponse:
    """A problem+json answer: ``type`` is a stable code of the error tree, ``detail`` is for people."""
    body = {"type": f"urn:minka:error:{code}", "title": code.replace("-", " "), "status": status, "detail": detail}
    headers = {"Retry-After": "5"} if status == 503 else None
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return JSONResponse(body | extra, status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Give the app its error handlers."""

    @app.exception_handler(MinkaError)
    def minka(_: Request, error: MinkaError) -> JSONResponse:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        extra: dict[str, Any] = {}
        if isinstance(error, NetworkFilesError):
            extra["problems"] = [
                {name: getattr(one, name) for name in ("file", "line", "field", "value", "message", "expected")}
                for one in error.problems
            ]
        return problem(status, error.code, error.message, **extra)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = [
            {"field": ".".join(str(part) for part in one["loc"]), "message": one["msg"]} for one in error.errors()
        ]
        detail = "; ".join(f"{one['field']}: {one['message']}" for one in problems)
        return problem(422, "invalid-input", detail, problems=problems)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        codes = {401: "unauthenticated", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
        return problem(error.status_code, codes.get(error.status_code, "http-error"), str(error.detail))

    @app.exception_handler(Exception)
    def bug(request: Request, error: Exception) -> JSONResponse:
        log.exception("api.bug", path=request.url.path, error=type(error).__name__)
        return problem(500, "bug", "an error in Minka itself; the log of the api process tells more")
