"""Sign-in with a browser or on the command line, where an identity provider is configured."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from fastapi import Cookie, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from controller.api.auth import FLOW, OPEN, SESSION, Router, provider_token, signed_in
from controller.api.services import Backend, Body, Services
from controller.models.errors import NotFoundError, SignInError

if TYPE_CHECKING:
    from controller.api.oidc import Provider

router = Router(prefix="/v1/login", tags=["people"])

#: Lifetime in seconds of the cookie of a browser on its way to the provider and back.
_PATIENCE = 600
_PATH = "/v1/login"
#: Longest token that browsers keep in a cookie, in characters (RFC 6265 §6.1).
_LONGEST = 4000


@router.get("", status_code=303, response_class=RedirectResponse, dependencies=[OPEN])
async def begin(backend: Backend) -> RedirectResponse:
    """Send the browser to the identity provider. It comes back signed in, until the provider's token expires."""
    address, content = await _provider(backend).begin()
    answer = RedirectResponse(address, 303)
    # Lax, since the browser comes back from another site.
    answer.set_cookie(
        FLOW, content, max_age=_PATIENCE, path=_PATH, httponly=True, samesite="lax", secure=_secure(backend)
    )
    return answer


@router.get("/callback", status_code=303, response_class=RedirectResponse, dependencies=[OPEN])
async def callback(
    backend: Backend,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    kept: Annotated[str, Cookie(alias=FLOW)] = "",
) -> RedirectResponse:
    """Receive the browser that the identity provider sends back."""
    token, identity = await _provider(backend).finish(code, state, kept)
    await run_in_threadpool(signed_in, backend.store, identity)
    if len(token) > _LONGEST:
        raise SignInError("the identity provider's token is too long for a cookie: let it name fewer groups")
    answer = RedirectResponse("/docs", 303)
    left = max(0, int((identity.sign_in.ends - backend.clock.now()).total_seconds()))
    answer.set_cookie(SESSION, token, max_age=left, httponly=True, samesite="strict", secure=_secure(backend))
    answer.delete_cookie(FLOW, path=_PATH)
    return answer


class DeviceSignIn(Body):
    """Where people sign in on the command line (RFC 8628): the provider's issuer, and our client id there."""

    issuer: str
    client_id: str


@router.get("/device", dependencies=[OPEN])
def device(backend: Backend) -> DeviceSignIn:
    """Where people sign in on the command line; the API accepts the token that they get there as a bearer token."""
    provider = _provider(backend)
    if not provider.device_client:
        raise NotFoundError("sign-in on the command line is not set up: set MINKA_OIDC_DEVICE_CLIENT_ID")
    return DeviceSignIn(issuer=provider.issuer, client_id=provider.device_client)


@router.delete("", status_code=204, dependencies=[OPEN])
async def end(request: Request, backend: Backend) -> Response:
    """Sign out of Minka: the API no longer accepts the provider's token. The provider is not informed."""
    answer = Response(status_code=204)
    if SESSION in request.cookies:
        answer.delete_cookie(SESSION)
    token = provider_token(request)
    if backend.provider is not None and token:
        with suppress(SignInError):  # an invalid token needs no end
            identity = await backend.provider.identity(token)
            await run_in_threadpool(backend.store.sign_ins.end, identity.sign_in)
    return answer


def _provider(backend: Services) -> Provider:
    if backend.provider is None:
        raise NotFoundError("no identity provider is configured: set MINKA_OIDC_ISSUER")
    return backend.provider


def _secure(backend: Services) -> bool:
    return backend.settings.url.startswith("https:")
