"""Checks before all routes: the size of the head, the caller, the size of the body, and the requests at once.

All of them come before a body is read.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.auth import asked_for, caller, digest, looked_up, routed, without_others_cookies
from controller.api.intake import Intake
from controller.api.pages import PATHS
from controller.api.problems import VES, answer, problem_of, to
from controller.api.services import Services
from controller.models.errors import MinkaError
from controller.models.untrusted import natural

#: Paths that need no token: probes, the OpenAPI document, and sign-in.
OPEN = PATHS | {"/healthz", "/readyz", "/openapi.json", "/v1/login", "/v1/login/callback", "/v1/login/device"}

#: Largest head of a request in bytes. The HTTP server bounds it so only where it comes in pieces.
HEAD_LIMIT = 16 * 2**10
_MIB = 2**20
#: Largest body in bytes: network files and those of statements, a webhook or all definitions, VES events (by their
#: specification), all else.
NETWORK_LIMIT, WEBHOOK_LIMIT, VES_LIMIT, LIMIT = 256 * _MIB, 8 * _MIB, 2 * _MIB, _MIB
#: Most requests of one tenant at once, including streams and those that wait.
MOST = 32
#: How many of them are processed at once, per tenant and for all tenants together; the others wait for their turn. The
#: other threads (anyio has 40) and the rest of the processor time are the host's. A second request would only share the
#: interpreter with the first: fewer answers, and longer waits of the host.
AT_ONCE, ALL_AT_ONCE = 1, 1
#: Most requests at once for each path that needs no token: who sends more is no browser, probe or person.
MOST_OPEN = 16
#: Look-ups at once of credentials that were not valid lately, and of each that was; how many of these are remembered.
STRANGERS, _FRIENDS = 16, 4096
#: Longest wait in seconds for another tenant's turn, or others' look-ups: what takes so long waits for the database.
_PATIENCE = 5.0
#: Prefixes of paths to which alarm sources send.
_WEBHOOKS = "/v1/webhooks/"
_SOURCES = (_WEBHOOKS, VES)
_DEFINITIONS = "/v1/definitions"
_NETWORK = ("/v1/network", "/v1/network/import", "/v1/statements/taken-back")


class Guard:
    """ASGI middleware that refuses requests without a known token, and bodies that are too large.

    It also bounds the requests at once, of each tenant and of all tenants together.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: Counter[str] = Counter()
        self._turns = _Turns()
        self._door = _Door()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with a problem, or pass on with the caller in ``request.state.caller``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = without_others_cookies(scope["headers"])
        request = Request(scope)
        path = routed(scope)
        limit = _limit(path)
        try:
            _check_head(scope)
            tenant = await self._door.admit(request, limit)
            if tenant:
                limit = LIMIT  # only the host sends network files and alerts
            counted_as = tenant or (path if path in OPEN else "")
            _check_room(tenant, path, self._under_way[counted_as])
        except (HTTPException, MinkaError) as error:
            refusal = to(request, answer(error) if isinstance(error, HTTPException) else problem_of(error))
            if refusal.status_code == 401:
                services: Services = request.app.state.services
                services.unauthenticated.refused(asked_for(request), services.store, services.clock)
            await refusal(scope, receive, send)
            return
        self._under_way[counted_as] += 1
        turn = request.state.turn = Turn(self._turns if tenant else None, tenant)
        counted = _Counted(receive, limit, _intake(request))
        try:
            if tenant:
                await self._in_turn(turn, scope, counted, send)
            else:
                await self._app(scope, counted, send)
        finally:
            turn.end()
            self._under_way[counted_as] -= 1
            if not self._under_way[counted_as]:
                del self._under_way[counted_as]
            counted.close()

    async def _in_turn(self, turn: Turn, scope: Scope, counted: _Counted, send: Send) -> None:
        """Process a tenant's request in its turn, which lasts from the end of the body to the beginning of the answer.

        So a client that sends or reads slowly blocks nobody.
        """
        received = _Received(counted)
        try:
            await received.whole()
        except HTTPException as error:
            await answer(error)(scope, counted, send)
            return
        await turn.begin()

        async def send_on(message: Message) -> None:
            turn.end()
            await send(message)

        await self._app(scope, received, send_on)


class _Door:
    """Looks credentials up, each time anew.

    Those that were valid lately have a few look-ups each. All others share a few, since anybody can make them up.
    """

    def __init__(self) -> None:
        self._friends: dict[str, None] = {}
        self._looked_up: Counter[str] = Counter()
        self._strangers = asyncio.Semaphore(STRANGERS)

    async def admit(self, request: Request, limit: int) -> str:
        """The tenant of the caller, or empty for the host.

        Raises:
            HTTPException: 401 without a known token, 413 for a large body, 429 if no look-up was free for some time.
        """
        given = looked_up(request)
        if routed(request.scope) in OPEN or not given:
            return await _admit(request, limit)
        credentials = digest(given)
        async with self._look_up(credentials):
            try:
                tenant = await _admit(request, limit)
            except HTTPException as refusal:
                if refusal.status_code == 401:
                    self._friends.pop(credentials, None)
                raise
        self._friends[credentials] = None
        if len(self._friends) > _FRIENDS:
            del self._friends[next(iter(self._friends))]
        return tenant

    @asynccontextmanager
    async def _look_up(self, credentials: str) -> AsyncIterator[None]:
        """Wait for a look-up, unless these credentials were valid lately and are looked up a few times only."""
        if credentials in self._friends and self._looked_up[credentials] < STRANGERS:
            self._looked_up[credentials] += 1
            try:
                yield
            finally:
                self._looked_up[credentials] -= 1
                if not self._looked_up[credentials]:
                    del self._looked_up[credentials]
            return
        try:
            await asyncio.wait_for(self._strangers.acquire(), _PATIENCE)
        except TimeoutError:
            raise HTTPException(429, "too many tokens are looked up: try again", {"Retry-After": "5"}) from None
        try:
            yield
        finally:
            self._strangers.release()


class _Turns:
    """The turns of tenants' requests."""

    def __init__(self) -> None:
        self.all = asyncio.Semaphore(ALL_AT_ONCE)
        self.own: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))


class Turn:
    """The turn of a request, in ``request.state.turn``: one of its tenant's, and one of all tenants'.

    Args:
        turns: All turns; None for a request of the host, which takes none.
        tenant: Whose request it is.
    """

    def __init__(self, turns: _Turns | None, tenant: str) -> None:
        self._turns = turns
        self._tenant = tenant
        self._held = ExitStack()

    async def begin(self) -> None:
        """Wait for the turn."""
        if self._turns is None:
            return
        own = self._turns.own[self._tenant]
        await own.acquire()
        self._held.callback(own.release)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._turns.all.acquire()
                self._held.callback(self._turns.all.release)

    def end(self) -> None:
        """End the turn; a second time this does nothing."""
        self._held.close()

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Leave the turn to others while something else than this process works, such as a device."""
        self.end()
        try:
            yield
        finally:
            await self.begin()

    @asynccontextmanager
    async def another(self) -> AsyncIterator[None]:
        """Take a turn again after the answer has begun, for each reading of a stream."""
        await self.begin()
        try:
            yield
        finally:
            self.end()


class _Received:
    """A body that is received as a whole before the app asks for it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: deque[Message] = deque()

    async def whole(self) -> None:
        """Receive the whole body."""
        more = True
        while more:
            message = await self._receive()
            self._messages.append(message)
            more = message["type"] == "http.request" and message.get("more_body", False)

    async def __call__(self) -> Message:
        return self._messages.popleft() if self._messages else await self._receive()


class _Counted:
    """Receives a body, and stops if it gets too large (whatever its Content-Length) or there is no room."""

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
        """Give the body's room back."""
        if self._intake is not None:
            self._intake.give(self._taken)


def _intake(request: Request) -> Intake | None:
    """The intake whose room the body of a request needs; None if it needs none."""
    services: Services = request.app.state.services
    return services.intake if routed(request.scope).startswith(_SOURCES) else None


def _limit(path: str) -> int:
    if path in _NETWORK:
        return NETWORK_LIMIT
    if path == _DEFINITIONS:
        return WEBHOOK_LIMIT
    if path.startswith(VES):
        return VES_LIMIT
    return WEBHOOK_LIMIT if path.startswith(_WEBHOOKS) else LIMIT


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {limit} bytes")


def _check_head(scope: Scope) -> None:
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    if len(scope["raw_path"]) + len(scope["query_string"]) + headers > HEAD_LIMIT:
        raise HTTPException(431, f"the head of the request is larger than {HEAD_LIMIT} bytes")


def _check_room(tenant: str, path: str, under_way: int) -> None:
    if tenant and under_way >= MOST:
        raise HTTPException(429, f"{MOST} requests of {tenant} are under way: wait for one", {"Retry-After": "5"})
    if path in OPEN and under_way >= MOST_OPEN:
        raise HTTPException(429, f"{MOST_OPEN} requests for {path} are under way: wait for one", {"Retry-After": "1"})


async def _admit(request: Request, limit: int) -> str:
    """The tenant of the caller, or empty for the host. Routes check permissions.

    Raises:
        HTTPException: 401 without a known token, 413 for a large body.
    """
    tenant = ""
    if routed(request.scope) not in OPEN:
        person = await caller(request)
        if person is None:
            raise HTTPException(401, "a bearer token is needed: Authorization: Bearer …")
        request.state.caller = person
        tenant = person.tenant
    length = natural(request.headers.get("content-length", "0"))
    if length is not None and length > limit:
        raise _too_large(limit)
    return tenant
