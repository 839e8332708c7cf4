"""Who calls, and what a route needs.

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
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from functools import partial, wraps
from hmac import compare_digest
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import ResponseValidationError
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from controller.access.roles import may
from controller.api.problems import VES
from controller.api.services import Services
from controller.inventory.source import suggest
from controller.models.errors import InputError, MinkaError, NotFoundError, SignInError
from controller.models.people import Permission, Person, Role
from controller.models.untrusted import DEEPEST, is_deeper
from controller.ports.clock import Clock
from controller.ports.store import NewToken, Store

if TYPE_CHECKING:
    from controller.api.oidc import Identity

log = structlog.get_logger()

#: What every secret begins with, so that scanners of leaked secrets know it.
PREFIX = "minka_"
#: Who the embedded shape's first token and the alarm sources' token of the settings belong to.
FIRST = Person(name="noc", role=Role.ADMINISTRATOR)
ALARM_SOURCES = Person(name="webhook", role=Role.NOC_ENGINEER)
VES_SOURCES = Person(name="ves", role=Role.NOC_ENGINEER)

#: How long a webhook token of the settings is in force, and how long before its end that is said at each start.
WEBHOOK_LIFE, _SOON = timedelta(days=366), timedelta(days=30)

#: Cookie of a browser that signed in, and methods that another site may send along with it.
SESSION = "minka_session"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Seconds after which a stream asks again who listens.
_ASK_AGAIN = 15.0

_SCHEME = HTTPBearer(auto_error=False, description="The token is in the file `token` under MINKA_HOME.")


def digest(token: str) -> str:
    """SHA-256 of a token, hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_provider_token(token: str) -> bool:
    """Whether it has the form of a JWT, which our own tokens don't have."""
    return token.count(".") == 2


def new_secret() -> str:
    """The secret of a new token."""
    return PREFIX + secrets.token_urlsafe(32)


def ensure_token(path: Path, store: Store) -> str:
    """The embedded shape's token, an administrator's: made on first start, kept in a file that only its owner reads.

    Raises:
        InputError: The file holds a token of an identity provider, which says itself who it is about.
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
    """The token of a setting that alarm sources use: it opens webhooks and nothing else, for a year.

    Another one than before ends the one before. One that was ended or revoked is not brought back.
    """
    ends = clock.now() + WEBHOOK_LIFE
    new = NewToken(digest(token), owner.name, setting, (Permission.WEBHOOK,), ends)
    kept = store.tokens.keep_only(new, owner)
    if kept is None:
        log.error("webhook.token_over", hint=f"{setting} was in force and is no more: set another one")
    elif kept.expires is not None and kept.expires - clock.now() < _SOON:
        log.warning("webhook.token_ends", at=kept.expires.isoformat(), hint=f"set another {setting}")


async def caller(request: Request) -> Person | None:
    """Who calls, by the bearer token, or by the cookie of somebody who signed in; None if neither is in force.

    Raises:
        SignInError: A token of the identity provider is not valid, or another site has a cookie sent along.
        ProviderError: The provider can't be asked.
    """
    services: Services = request.app.state.services
    scheme, token = _given(request)
    if not scheme and services.provider is not None:
        token = provider_token(request)
        if token and request.method not in _SAFE and not _from_here(request):
            raise SignInError("a signed-in browser can change things from Minka's own pages only")
    elif scheme.lower() == "basic" and request.url.path.startswith(VES):
        return await run_in_threadpool(_by_password, services.store, token)
    elif scheme.lower() != "bearer":
        return None
    if services.provider is not None and is_provider_token(token):
        return await run_in_threadpool(signed_in, services.store, await services.provider.identity(token))
    # Sessions of browsers are tokens of the provider; our own never lie in a cookie.
    return await run_in_threadpool(services.store.tokens.bearer, digest(token)) if scheme and token else None


def _by_password(store: Store, given: str) -> Person | None:
    """Whose name and password these are (RFC 7617); the password is a token of that person."""
    try:
        name, _, password = b64decode(given, validate=True).partition(b":")
    except ValueError:
        return None
    person = store.tokens.bearer(hashlib.sha256(password).hexdigest()) if password else None
    return person if person is not None and compare_digest(person.name.encode(), name) else None


def provider_token(request: Request) -> str:
    """The token of a provider that a program or, in its cookie, a browser sends; empty if there is none."""
    scheme, token = _given(request)
    found = token if scheme else request.cookies.get(SESSION, "")
    return found if is_provider_token(found) else ""


def _given(request: Request) -> tuple[str, str]:
    """Scheme and token of the header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme, token


def signed_in(store: Store, identity: Identity) -> Person:
    """The person that an identity of the provider stands for, if it is the provider's newest statement.

    Raises:
        SignInError: It gives no role, or this is not the newest.
    """
    if isinstance(identity.person, SignInError):
        store.sign_ins.withdraw_role(identity.sign_in)
        raise identity.person
    return store.sign_ins.accept(identity.person, identity.sign_in)


async def while_admitted(request: Request, events: AsyncIterator[str]) -> AsyncIterator[str]:
    """A stream that ends when its caller is nobody any more, or somebody with another role or scope.

    It also ends, to be taken up again, when the database is away.
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
        log.info("api.stream_ended", path=request.url.path, reason=error.message)


def _from_here(request: Request) -> bool:
    """Whether the browser says that a page of this host sent the request."""
    return urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host", "")


class Needs:
    """Dependency of a route: the caller, who has the permission that the route declares."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_SCHEME)] = None
    ) -> Person:
        """The caller, as the guard found it; the scheme is there for the OpenAPI document."""
        person: Person = request.state.caller
        return person


def needs(permission: Permission) -> Any:
    """What stands beside ``Person`` in the annotation of a route's caller."""
    return Depends(Needs(permission))


async def _anyone() -> None:
    """For routes without authentication."""


#: Dependency of a route that needs no token.
OPEN: Dependency = Depends(_anyone)


class Route(APIRoute):
    """A route that refuses who lacks its permission, before the body is read.

    A tenant's person gets 404, as for all that is not that tenant's, and each such answer goes on record. The
    JSON of an answer is made in the thread that found it: a page of 1000 would keep all other callers waiting.
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
                if isinstance(given, Response):  # what the endpoint says in headers, as ``no-store`` of a secret
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


class _Shallow(Request):
    """A request whose JSON is no deeper than we mean anything to be, and whose strings are text."""

    async def json(self) -> Any:
        """See ``Request.json``. Raises HTTPException 422 where it is deeper, or it or a string of it is no text."""
        try:
            value = await super().json()
        except UnicodeDecodeError as error:
            raise HTTPException(422, "the body is not text in UTF-8; what is compressed is not taken") from error
        except RecursionError:
            deep = True
        else:
            deep = is_deeper(value, DEEPEST)
        if deep:
            raise HTTPException(422, f"the JSON of the body is nested deeper than {DEEPEST} levels")
        body = await self.body()
        if (b"\\u" in body or b"\xed" in body) and not _is_text(value):
            raise HTTPException(
                422, "the JSON of the body has half of a surrogate pair (\\ud800 to \\udfff), which is no valid text"
            )
        return value


def _is_text(value: Any) -> bool:
    """Whether all strings of some JSON can be written: half of a surrogate pair is no character (RFC 8259 §8.2)."""
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
        raise HTTPException(403, f"this needs the permission {permission}, which the token of {person.name} lacks")
    _check_parameters(request, known)
    try:
        return await handler(request)
    except NotFoundError:
        if person.tenant:
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
        InputError: A query parameter is unknown; all that are known are named.
    """
    for name in request.query_params:
        if name not in known:
            hint = suggest(name, known)
            choice = f"known are {', '.join(known)}" if known else "there are none here"
            raise InputError(f"unknown query parameter {name[:60]!r}; {f'{hint} ' if hint else ''}{choice}")


async def _denied(request: Request, permission: Permission) -> None:
    """Put on record that somebody asked for what is not theirs."""
    store, who = request.app.state.services.store, request.state.caller
    await run_in_threadpool(store.audit.deny, who.name, who.tenant, permission.value, asked_for(request))


def asked_for(request: Request) -> str:
    """What a request is for, for the record: method and path, shortened."""
    return f"{request.method} {request.url.path}"[:200].replace("\0", "%00")


def _declared(route: APIRoute) -> Permission | None:
    """The permission that a route declares; None for an open one.

    Raises:
        TypeError: It declares none, or several.
    """
    found = [one.call for one in _below(route.dependant) if isinstance(one.call, Needs) or one.call is _anyone]
    if len(found) != 1:
        raise TypeError(f"{route.name} ({route.path}) declares {len(found)} permissions; a route declares one")
    return found[0].permission if isinstance(found[0], Needs) else None


def _below(dependant: Dependant) -> list[Dependant]:
    return [one for below in dependant.dependencies for one in (below, *_below(below))]
