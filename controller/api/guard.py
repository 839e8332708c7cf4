"""In front of all routes: who calls, and how much they may send. Both are settled before a body is read."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.auth import caller
from controller.api.problems import answer, problem_of
from controller.models.errors import MinkaError

#: Paths that need no token: probes, the description of the API, and the way in.
OPEN = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs", "/v1/login", "/v1/login/callback"})

_MIB = 2**20
#: Largest body in bytes: of network files, of a webhook, of everything else.
NETWORK_LIMIT, WEBHOOK_LIMIT, LIMIT = 256 * _MIB, 8 * _MIB, _MIB
_WEBHOOKS = "/v1/webhooks/"
_NETWORK = ("/v1/network", "/v1/network/import")


class Guard:
    """ASGI middleware that lets no request through without a known token, nor one that is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with a problem, or hand on with the caller in ``request.state.caller``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        limit = _limit(request.url.path)
        try:
            await _admit(request, limit)
        except HTTPException as error:
            await answer(error)(scope, receive, send)
        except MinkaError as error:
            await problem_of(error)(scope, receive, send)
        else:
            await self._app(scope, _Counted(receive, limit), send)


class _Counted:
    """Receives a body and stops where it gets too large, whatever its Content-Length said."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self._limit = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_large(self._limit)
        return message


def _limit(path: str) -> int:
    if path in _NETWORK:
        return NETWORK_LIMIT
    return WEBHOOK_LIMIT if path.startswith(_WEBHOOKS) else LIMIT


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {limit} bytes")


async def _admit(request: Request, limit: int) -> None:
    """Raise HTTPException: 401 without a known token, 413 for a large body. Routes see to permissions."""
    path = request.url.path
    if path not in OPEN:
        person = await caller(request)
        if person is None:
            raise HTTPException(401, "a bearer token is needed: Authorization: Bearer …")
        request.state.caller = person
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
