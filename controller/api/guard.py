"""Checks before all routes: who calls, how much they may send, and how many requests at once.

All of it is decided before a body is read.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.auth import asked_for, caller
from controller.api.intake import Intake
from controller.api.pages import PATHS
from controller.api.problems import VES, answer, problem_of, to
from controller.api.services import Services
from controller.models.errors import MinkaError

#: Paths that need no token: probes, the description of the API, and the way in.
OPEN = PATHS | {"/healthz", "/readyz", "/openapi.json", "/v1/login", "/v1/login/callback", "/v1/login/device"}

_MIB = 2**20
#: Largest body in bytes: of network files, of a webhook, of VES events (its specification says so), of everything else.
NETWORK_LIMIT, WEBHOOK_LIMIT, VES_LIMIT, LIMIT = 256 * _MIB, 8 * _MIB, 2 * _MIB, _MIB
#: Requests of one tenant's people that are under way at once at most, streams and those that wait included.
MOST = 32
#: Of them, and of those of all tenants together, so many are worked on at once, and the others wait for their turn: the
#: rest of the threads (anyio has 40) and of the processor's time are the host's. A second one would only share the
#: interpreter with the first: fewer answers, and longer waits of the host.
AT_ONCE, ALL_AT_ONCE = 1, 1
#: Seconds after which nobody waits any more for another tenant's turn: what holds it so long waits for a database.
_PATIENCE = 5.0
#: Ends of paths whose requests wait for something else, and need no thread meanwhile.
_WAITING = ("/events", "/config")
#: Begins of paths to which alarm sources send.
_WEBHOOKS = "/v1/webhooks/"
_SOURCES = (_WEBHOOKS, VES)
_NETWORK = ("/v1/network", "/v1/network/import")


class Guard:
    """ASGI middleware that lets no request through without a known token, nor one that is too large.

    Nor does it let one through that is too many: of each tenant so many are answered at once, and of all together.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: Counter[str] = Counter()
        self._turns = _Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with a problem, or hand on with the caller in ``request.state.caller``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        limit = _limit(request.url.path)
        try:
            tenant = await _admit(request, limit)
            if tenant:
                limit = LIMIT  # network files and alerts are the host's to send
            _check_room(tenant, self._under_way[tenant])
        except (HTTPException, MinkaError) as error:
            refusal = to(request, answer(error) if isinstance(error, HTTPException) else problem_of(error))
            if refusal.status_code == 401:
                services: Services = request.app.state.services
                services.unauthenticated.refused(asked_for(request), services.store, services.clock)
            await refusal(scope, receive, send)
            return
        self._under_way[tenant] += 1
        counted = _Counted(receive, limit, _intake(request))
        try:
            if tenant and not request.url.path.endswith(_WAITING):
                await self._in_turn(tenant, scope, counted, send)
            else:
                await self._app(scope, counted, send)
        finally:
            self._under_way[tenant] -= 1
            counted.close()

    async def _in_turn(self, tenant: str, scope: Scope, counted: _Counted, send: Send) -> None:
        """Work on a tenant's request when it is its turn: from the end of its body to the begin of the answer.

        Who sends or reads slowly takes nobody's turn.
        """
        received = _Received(counted)
        try:
            await received.whole()
        except HTTPException as error:
            await answer(error)(scope, counted, send)
            return
        async with self._turns.of(tenant) as end:

            async def send_on(message: Message) -> None:
                end()
                await send(message)

            await self._app(scope, received, send_on)


class _Turns:
    """Who of the tenants' people is worked on."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(ALL_AT_ONCE)
        self._own: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    @asynccontextmanager
    async def of(self, tenant: str) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn of the tenant, and for one of all; what is given ends it before the request does."""
        with ExitStack() as turn:
            await self._own[tenant].acquire()
            turn.callback(self._own[tenant].release)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._all.acquire()
                    turn.callback(self._all.release)
            yield turn.close


class _Received:
    """A body that is there as a whole before the app asks for it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: deque[Message] = deque()

    async def whole(self) -> None:
        """Receive it."""
        more = True
        while more:
            message = await self._receive()
            self._messages.append(message)
            more = message["type"] == "http.request" and message.get("more_body", False)

    async def __call__(self) -> Message:
        return self._messages.popleft() if self._messages else await self._receive()


class _Counted:
    """Receives a body and stops where it gets too large, whatever its Content-Length said, or is too much at once."""

    def __init__(self, receive: Receive, limit: int, intake: Intake | None) -> None:
        self._receive = receive
        self._left = limit
        self._limit = limit
        self._intake = intake
        self._taken = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        size = len(message.get("body", b""))
        self._left -= size
        if self._left < 0:
            raise _too_large(self._limit)
        if self._intake is not None:
            self._intake.take(size)
            self._taken += size
        return message

    def close(self) -> None:
        """Give the room back."""
        if self._intake is not None:
            self._intake.give(self._taken)


def _intake(request: Request) -> Intake | None:
    """Where the body of a request has to find room; None where it needs none."""
    services: Services = request.app.state.services
    return services.intake if request.url.path.startswith(_SOURCES) else None


def _limit(path: str) -> int:
    if path in _NETWORK:
        return NETWORK_LIMIT
    if path.startswith(VES):
        return VES_LIMIT
    return WEBHOOK_LIMIT if path.startswith(_WEBHOOKS) else LIMIT


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {limit} bytes")


def _check_room(tenant: str, under_way: int) -> None:
    if tenant and under_way >= MOST:
        raise HTTPException(429, f"{MOST} requests of {tenant} are under way: wait for one", {"Retry-After": "5"})


async def _admit(request: Request, limit: int) -> str:
    """Whose person it is: a tenant's id, or empty. Routes see to permissions.

    Raises:
        HTTPException: 401 without a known token, 413 for a large body.
    """
    path, tenant = request.url.path, ""
    if path not in OPEN:
        person = await caller(request)
        if person is None:
            raise HTTPException(401, "a bearer token is needed: Authorization: Bearer …")
        request.state.caller = person
        tenant = person.tenant
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    return tenant
