"""Errors as RFC 9457 problem details, one shape for every route."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from controller.inventory.explain import explain
from controller.inventory.parse import FORMS
from controller.models.errors import (
    ConflictError,
    DeviceError,
    InputError,
    MinkaError,
    NetworkFilesError,
    NotClearedError,
    NotFoundError,
    PlanRefusedError,
    ProviderError,
    SignInError,
    StoreError,
)

log = structlog.get_logger()

_STATUS: tuple[tuple[type[MinkaError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (PlanRefusedError, 409),
    (NotClearedError, 409),
    (InputError, 422),
    (DeviceError, 502),
    (SignInError, 401),
    (ProviderError, 503),
    (StoreError, 503),
    (MinkaError, 500),
)
_CODES = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    429: "too-many-requests",
    431: "too-large",
    503: "not-ready",
}
MEDIA_TYPE = "application/problem+json"


class Allowance(BaseModel):
    """Numbers to name in a request, so that it is allowed: nodes to remove by owner, and devices to expect."""

    remove: dict[str, int]
    expect_stations: int | None


class Problem(BaseModel):
    """Problem details (RFC 9457) of an error answer.

    ``type`` ends in a stable code; ``detail`` is for people. ``problems`` lists the errors where there are several.
    ``allow`` has numbers by which the same request would be allowed, if naming these is enough.
    """

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    problems: list[dict[str, Any]] | None = None
    allow: Allowance | None = None


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    """A problem+json answer: ``type`` is a stable code of the error tree, ``detail`` is for people."""
    body = {"type": f"urn:minka:error:{code}", "title": code.replace("-", " "), "status": status, "detail": detail}
    said = dict(headers or {})
    if status == 503:
        said["Retry-After"] = "5"
    if status == 401:
        said["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body | extra, status, said, media_type=MEDIA_TYPE)


#: Prefix of the paths of the VES event listener: its sources send a name and a password, and expect VES errors.
VES = "/eventListener/"
#: The version of the VES event listener, which its specification requires in each answer.
VES_HEADERS = {"X-MinorVersion": "2", "X-PatchVersion": "1", "X-LatestVersion": "7.2.1"}
_POLICY, _SERVICE = "policyException", "serviceException"
#: Errors of VES by status: the status to answer, kind of the exception, and id and text of the message.
_VES_REFUSALS = {
    401: (401, _POLICY, "POL1009", "User has not been provisioned for service"),
    403: (401, _POLICY, "POL1009", "User has not been provisioned for service"),
    413: (400, _POLICY, "POL9003", "Message content size exceeds the allowable limit"),
    503: (503, _SERVICE, "SVC1000", "No server resources available to process the request"),
    **{
        status: (status, _SERVICE, "SVC2000", "The following service error occurred: %1. Error code is %2.")
        for status in (404, 405, 500)
    },
}
_VES_INVALID = (400, _SERVICE, "SVC0002", "Invalid input value for message part %1")


def ves_refusal(status: int, part: str = "") -> JSONResponse:
    """An error answer of the VES event listener (7.2.1, service and policy exceptions).

    Args:
        status: The status that any other route would answer.
        part: The wrong part of the message, with the reason.
    """
    status, kind, name, text = _VES_REFUSALS.get(status, _VES_INVALID)
    variables = {"SVC0002": [part or "event"], "SVC2000": [HTTPStatus(status).phrase, str(status)]}.get(name, [])
    headers = VES_HEADERS | ({"Retry-After": "5"} if status == 503 else {})
    headers |= {"WWW-Authenticate": "Basic"} if status == 401 else {}
    said = {"messageId": name, "text": text, "variables": variables}
    return JSONResponse({"requestError": {kind: said}}, status, headers)


def to(request: Request, refusal: JSONResponse) -> JSONResponse:
    """An error answer in the format for the caller: sources of VES events get theirs."""
    return ves_refusal(refusal.status_code) if request.scope["path"].startswith(VES) else refusal


def problem_of(error: MinkaError) -> JSONResponse:
    """The answer to an error of the error tree."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    extra: dict[str, Any] = {}
    if isinstance(error, StoreError):
        # The message names the database's address, and probes would see it without a token.
        log.warning("api.store_unavailable", reason=error.message)
        return problem(status, error.code, "the database can't be reached, or refuses; see the log of the API process")
    if isinstance(error, NetworkFilesError):
        extra["problems"] = [
            {name: getattr(one, name) for name in ("file", "line", "field", "value", "message", "expected")}
            for one in error.problems
        ]
    if isinstance(error, PlanRefusedError) and (error.remove or error.expect_stations is not None):
        extra["allow"] = {"remove": error.remove, "expect_stations": error.expect_stations}
    return problem(status, error.code, error.message, **extra)


def answer(error: HTTPException) -> JSONResponse:
    """The answer to an error of the framework."""
    return problem(error.status_code, _CODES.get(error.status_code, "http-error"), str(error.detail), error.headers)


#: Errors of one request that an answer names.
_MOST_NAMED = 50


def invalid(error: RequestValidationError) -> JSONResponse:
    """The answer to a request that does not match the OpenAPI document; it repeats no values, and names some errors.

    A body may be wrong in each of its values, and the answer is far longer than that: nobody reads it.
    """
    errors = error.errors()
    problems = [_wrong(one) for one in errors[:_MOST_NAMED]]
    said = [f"{one['field']}: {one['message']}" for one in problems]
    if len(errors) > _MOST_NAMED:
        said.append(f"and {len(errors) - _MOST_NAMED} more")
    return problem(422, "invalid-input", "; ".join(said), problems=problems)


def _wrong(one: ErrorDetails) -> dict[str, str]:
    message, expected = explain(one, FORMS)
    where = ".".join(str(part) for part in one["loc"])
    return {"field": where, "message": f"{message}, {expected}" if expected else message}


def bug(request: Request, error: Exception) -> JSONResponse:
    """The answer to an unexpected error: the details go to the log only."""
    log.error("api.bug", path=request.scope["path"], error=type(error).__name__, exc_info=error)
    return problem(500, "bug", "an error in Minka itself; see the log of the API process")


def _broken_off() -> JSONResponse:
    """The answer, which nobody reads, to a body that ends before its end: no bug of ours."""
    return problem(400, _CODES[400], "the connection ended before the body did")


def install(app: FastAPI) -> None:
    """Add the error handlers to the app."""
    app.exception_handler(MinkaError)(lambda request, error: to(request, problem_of(error)))
    app.exception_handler(RequestValidationError)(lambda request, error: to(request, invalid(error)))
    app.exception_handler(HTTPException)(lambda request, error: to(request, answer(error)))
    app.exception_handler(ClientDisconnect)(lambda request, _: to(request, _broken_off()))
    app.exception_handler(Exception)(lambda request, error: to(request, bug(request, error)))
