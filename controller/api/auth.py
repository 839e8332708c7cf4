"""Authenticates callers, and checks the permission that a route needs.

Every route but the open ones needs a bearer token; only SHA-256 digests of tokens are kept. Tokens are random and
looked up by their digest, so the time of a look-up tells nothing about them.

Each route declares its permission: ``who: Annotated[Person, needs(Permission.RUN)]``, or ``dependencies=[OPEN]`` where
it needs none. A router without such a declaration on each of its routes can't be built.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial, wraps
from hmac import compare_digest
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import ResponseValidationError
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Scope

from controller.access.roles import lacking, may
from controller.api.problems import VES
from controller.api.services import Services
from controller.inventory.source import suggest
from controller.models.errors import AbsentError, InputError, MinkaError, NotFoundError, SignInError
from controller.models.people import Permission, Person, Role
from controller.models.untrusted_json import DEEPEST, has_more, is_deeper
from controller.ports.clock import Clock
from controller.store import NewToken, Store

if TYPE_CHECKING:
    from controller.api.oidc import Identity

log = structlog.get_logger()

#: The prefix of every secret, so that scanners find leaked ones.
PREFIX = "minka_"
#: Owners of the first token of an embedded controller, and of the webhook token in the settings.
FIRST = Person(name="noc", role=Role.ADMINISTRATOR)
ALARM_SOURCES = Person(name="webhook", role=Role.NOC_ENGINEER)
VES_SOURCES = Person(name="ves", role=Role.NOC_ENGINEER)

#: Lifetime of a webhook token in the settings, and how long before its end each start warns of it.
WEBHOOK_LIFE, _SOON = timedelta(days=366), timedelta(days=30)

#: Cookies of a signed-in browser, and of one on its way to the provider and back; no value of ours needs quotes.
SESSION, FLOW = "minka_session", "minka_login"
_COOKIES = tuple(f"{name}=".encode() for name in (SESSION, FLOW))
#: Methods that another site may use with the cookie of a signed-in browser.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Seconds between two checks of a stream's caller.
_ASK_AGAIN = 15.0

_SCHEME = HTTPBearer(auto_error=False, description="The token is in the file `token` under MINKA_HOME.")


def routed(scope: Scope) -> str:
    """The path of a request by which its route is found.

    ``Request.url`` makes another one of it: there, line breaks and tabs are missing, and ``?`` and ``#`` are encoded.
    """
    path: str = scope["path"]
    return path


def without_others_cookies(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of a request with our own cookies only, and none in quotes.

    The framework reads all cookies for every route, and the time for a quoted one grows with the square of its length
    on some versions of Python (CVE-2024-7592).
    """
    return [(name, _own(value) if name == b"cookie" else value) for name, value in headers]


def _own(cookies: bytes) -> bytes:
    each = (one.strip() for one in cookies.split(b";"))
    return b"; ".join(one for one in each if one.startswith(_COOKIES) and b'"' not in one)


def digest(token: str) -> str:
    """SHA-256 of a token, hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_provider_token(token: str) -> bool:
    """Whether a token has the form of a JWT, which our own tokens don't have."""
    return token.count(".") == 2


def new_secret() -> str:
    """The secret of a new token."""
    return PREFIX + secrets.token_urlsafe(32)


def ensure_token(path: Path, store: Store) -> str:
    """The administrator's token of an embedded controller: made at the first start, in a file for its owner only.

    Raises:
        InputError: The file holds a token of an identity provider, which names its own person.
        OSError: The file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        token = path.read_text(encoding="utf-8").strip()
    else:
        token = new_secret()
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(token + "\n")
    if is_provider_token(token):
        raise InputError(f"{path} holds a token of an identity provider: remove the file, and use minka login")
    store.tokens.ensure(NewToken(digest(token), FIRST.name, "first token"), FIRST)
    return token


def ensure_webhook_token(
    token: str, store: Store, clock: Clock, owner: Person = ALARM_SOURCES, setting: str = "MINKA_WEBHOOK_TOKEN"
) -> None:
    """Register the token in the settings that alarm sources use: it opens only webhooks, for a year.

    A new token ends the one before. A token that expired or was revoked stays so.
    """
    ends = clock.now() + WEBHOOK_LIFE
    new = NewToken(digest(token), owner.name, setting, (Permission.WEBHOOK,), ends)
    kept = store.tokens.keep_only(new, owner)
    if kept is None:
        log.error("webhook.token_over", hint=f"{setting} has expired or was revoked: set another one")
    elif kept.expires is not None and kept.expires - clock.now() < _SOON:
        log.warning("webhook.token_ends", at=kept.expires.isoformat(), hint=f"set another {setting}")


async def caller(request: Request) -> Person | None:
    """The caller, by bearer token or by the cookie of a signed-in browser; None if neither is valid.

    Raises:
        SignInError: A token of the identity provider is not valid, or another site uses the cookie.
        ProviderError: The provider can't be reached.
    """
    services: Services = request.app.state.services
    scheme, token = _given(request)
    if not scheme and services.provider is not None:
        token = provider_token(request)
        if token and request.method not in _SAFE and not _from_here(request):
            raise SignInError("a signed-in browser can change things from Minka's own pages only")
    elif scheme.lower() == "basic" and routed(request.scope).startswith(VES):
        return await run_in_threadpool(_by_password, services.store, token)
    elif scheme.lower() != "bearer":
        return None
    if services.provider is not None and is_provider_token(token):
        return await run_in_threadpool(signed_in, services.store, await services.provider.identity(token))
    # A browser's session is a token of the provider; our own tokens are never in a cookie.
    return await run_in_threadpool(services.store.tokens.bearer, digest(token)) if scheme and token else None


def _by_password(store: Store, given: str) -> Person | None:
    """The person with this name and password (RFC 7617); the password is one of the person's tokens."""
    try:
        name, _, password = b64decode(given, validate=True).partition(b":")
    except ValueError:
        return None
    person = store.tokens.bearer(hashlib.sha256(password).hexdigest()) if password else None
    return person if person is not None and compare_digest(person.name.encode(), name) else None


def provider_token(request: Request) -> str:
    """The provider's token in the header of a program or the cookie of a browser; empty if there is none."""
    scheme, token = _given(request)
    found = token if scheme else request.cookies.get(SESSION, "")
    return found if is_provider_token(found) else ""


def looked_up(request: Request) -> str:
    """The credentials of a request that the database would be asked about; empty if there are none."""
    services: Services = request.app.state.services
    scheme, token = _given(request)
    return "" if services.provider is not None and provider_token(request) else scheme and f"{scheme} {token}"


def _given(request: Request) -> tuple[str, str]:
    """Scheme and token of the Authorization header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme, token


def signed_in(store: Store, identity: Identity) -> Person:
    """The person of an identity, if it is the newest that the provider issued for this person.

    Raises:
        SignInError: The identity gives no role, or is not the newest.
    """
    if isinstance(identity.person, SignInError):
        store.sign_ins.withdraw_role(identity.sign_in)
        raise identity.person
    return store.sign_ins.accept(identity.person, identity.sign_in)


async def while_admitted(request: Request, events: AsyncIterator[str]) -> AsyncIterator[str]:
    """A stream that ends when its caller is no longer valid, or gets another role or scope.

    It also ends when the database is away; the client then reopens it.
    """
    clock = request.app.state.services.clock
    asked = clock.monotonic()
    try:
        async for text in events:
            if clock.monotonic() - asked >= _ASK_AGAIN:
                if await caller(request) != request.state.caller:
                    return
                asked = clock.monotonic()
            yield text
    except MinkaError as error:
        log.info("api.stream_ended", path=routed(request.scope), reason=error.message)


def _from_here(request: Request) -> bool:
    """Whether a page of this host sent the request, by the browser's headers."""
    return request.headers.get("origin", "").partition("://")[2] == request.headers.get("host", "")


class Needs:
    """Dependency of a route: the caller, who has the declared permission."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_SCHEME)] = None
    ) -> Person:
        """The caller that the guard found; the scheme is only for the OpenAPI document."""
        person: Person = request.state.caller
        return person


def needs(permission: Permission) -> Any:
    """The dependency for the annotation of a route's caller, beside ``Person``."""
    return Depends(Needs(permission))


async def _anyone() -> None:
    """The dependency of routes without authentication."""


#: Dependency of a route that needs no token.
OPEN: Dependency = Depends(_anyone)


class Route(APIRoute):
    """A route that refuses callers without its permission, before it reads the body.

    A tenant's person gets 404, as for everything that is not the tenant's, and each such answer goes on record; none
    does about something of its own that there is not (``AbsentError``).
    The thread of the endpoint also makes the JSON: on the loop, a page of 1000 would delay all other callers.
    """

    permission: Permission | None

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else self._rendered(endpoint), **options)

    def _rendered(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(endpoint)
        def rendered(**arguments: Any) -> Any:
            found, field = endpoint(**arguments), self.response_field
            if field is None or isinstance(found, Response):
                return found
            answer, errors = field.validate(found, {}, loc=("response",))
            if errors:
                raise ResponseValidationError(errors, body=found)
            made = Response(field.serialize_json(answer), self.status_code or 200, media_type="application/json")
            for given in arguments.values():
                if isinstance(given, Response):  # headers of the endpoint, such as ``no-store`` for a secret
                    made.raw_headers.extend(given.raw_headers)
            return made

        return rendered

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See the class."""
        handler = partial(_shallow, super().get_route_handler())
        self.permission = _declared(self)
        if self.permission is None:
            return handler
        return partial(_guarded, self.permission, parameters(self), handler)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]
#: A router each of whose routes declares its permission.
Router = partial(APIRouter, route_class=Route)


#: Most values in the JSON of a body: each may be wrong, and a wrong one takes a hundred times the time of a right one.
#: Network files are a few long strings.
_MOST_VALUES = 100_000


class _Shallow(Request):
    """A request with limits on its JSON: depth, and strings that are text."""

    async def json(self) -> Any:
        """See ``Request.json``. Raises HTTPException 422 if it is too deep, or it or one of its strings is not text."""
        try:
            value = await super().json()
        except UnicodeDecodeError as error:
            raise HTTPException(422, "the body is not text in UTF-8; compressed bodies are not accepted") from error
        except RecursionError:
            deep = True
        else:
            deep = is_deeper(value, DEEPEST)
        if deep:
            raise HTTPException(422, f"the JSON of the body is nested deeper than {DEEPEST} levels")
        if has_more(value, _MOST_VALUES):
            raise HTTPException(422, f"the JSON of the body has more than {_MOST_VALUES:,} values; send it in parts")
        body = await self.body()
        if (b"\\u" in body or b"\xed" in body) and not _is_text(value):
            raise HTTPException(
                422, "the JSON of the body has half of a surrogate pair (\\ud800 to \\udfff), which is no valid text"
            )
        return value


def _is_text(value: Any) -> bool:
    """Whether all strings can be encoded: half of a surrogate pair is not a character (RFC 8259 §8.2)."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


async def _shallow(handler: Handler, request: Request) -> Response:
    return await handler(_Shallow(request.scope, request.receive, request._send))


async def _guarded(permission: Permission, known: tuple[str, ...], handler: Handler, request: Request) -> Response:
    person: Person = request.state.caller
    if not may(person, permission):
        await _denied(request, permission)
        if person.tenant:
            raise HTTPException(404)
        raise HTTPException(403, lacking(person, permission))
    _check_parameters(request, known)
    try:
        return await handler(request)
    except NotFoundError as error:
        if person.tenant and not isinstance(error, AbsentError):
            await _denied(request, permission)
        raise


def parameters(route: APIRoute) -> tuple[str, ...]:
    """Names of the query parameters that a route knows, sorted."""
    return tuple(
        sorted(field.alias for one in (route.dependant, *_below(route.dependant)) for field in one.query_params)
    )


def _check_parameters(request: Request, known: tuple[str, ...]) -> None:
    """Refuse parameters that the route does not know, such as a misspelt filter: they would be ignored silently.

    Raises:
        InputError: A query parameter is unknown; the message names the known ones.
    """
    for name in request.query_params:
        if name not in known:
            hint = suggest(name, known)
            choice = f"known are {', '.join(known)}" if known else "this route has none"
            raise InputError(f"unknown query parameter {name[:60]!r}; {f'{hint} ' if hint else ''}{choice}")


async def _denied(request: Request, permission: Permission) -> None:
    """Put on record that a person asked for something that is not theirs."""
    store, who = request.app.state.services.store, request.state.caller
    await run_in_threadpool(store.audit.deny, who.name, who.tenant, permission.value, asked_for(request))


def asked_for(request: Request) -> str:
    """Method and path of a request for the record, shortened."""
    return f"{request.method} {routed(request.scope)}"[:200].replace("\0", "%00")


def _declared(route: APIRoute) -> Permission | None:
    """The permission that a route declares; None for an open one.

    Raises:
        TypeError: The route declares none, or several.
    """
    found = [one.call for one in _below(route.dependant) if isinstance(one.call, Needs) or one.call is _anyone]
    if len(found) != 1:
        raise TypeError(f"{route.name} ({route.path}) declares {len(found)} permissions; a route declares one")
    return found[0].permission if isinstance(found[0], Needs) else None


def _below(dependant: Dependant) -> list[Dependant]:
    return [one for below in dependant.dependencies for one in (below, *_below(below))]
