"""Signing in at the identity provider without a local browser: the device flow (RFC 8628)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from authlib.oauth2.rfc6749.errors import AccessDeniedError
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    AuthorizationPendingError,
    ExpiredTokenError,
    SlowDownError,
)

from controller.access.claims import LARGEST_ANSWER
from controller.cli.errors import FAILED, UNREACHABLE, WRONG_INPUT, CliError
from controller.models.errors import in_words
from controller.models.identity import SCOPE, private
from controller.models.untrusted_json import JsonBody
from controller.ports.clock import Clock

#: Seconds between two polls by default, the least, and the increase when the provider answers ``slow_down`` (RFC 8628
#: §3.2, §3.5).
_INTERVAL, _LEAST, _SLOWER = 5.0, 1.0, 5.0
#: Letters of an error of the provider that are shown.
_TOLD = 500
#: Errors of a malformed answer.
_ODD = (AttributeError, KeyError, TypeError, ValueError)


def device_token(issuer: str, client_id: str, clock: Clock, show: Callable[[str, str], None]) -> str:
    """The token of a person who signs in at the provider, on any device.

    Args:
        issuer: The provider.
        client_id: Our client id there.
        clock: Times the pauses between polls.
        show: Called with the address to open and the code to enter there.

    Raises:
        CliError: The person refused or did not answer, or the provider can't be reached or does not offer this flow.
        InputError: Others could answer in place of the provider.
    """
    with httpx.Client(timeout=10, headers={"Accept-Encoding": "identity"}) as http:
        try:
            said = _json(http, "GET", f"{private(issuer).rstrip('/')}/.well-known/openid-configuration")
            if said.get("issuer") != issuer:
                raise CliError(f"{issuer} names another issuer than MINKA_OIDC_ISSUER", UNREACHABLE)
            if "device_authorization_endpoint" not in said:
                raise CliError(
                    f"{issuer} does not offer sign-in on the command line (device flow): use minka login --paste",
                    WRONG_INPUT,
                )
            form = {"client_id": client_id, "scope": SCOPE}
            begun = _json(http, "POST", private(said["device_authorization_endpoint"]), form)
            show(str(begun.get("verification_uri_complete") or begun["verification_uri"]), str(begun["user_code"]))
            return _waited(http, private(said["token_endpoint"]), client_id, begun, clock)
        except (httpx.HTTPError, httpx.InvalidURL, *_ODD) as error:
            raise CliError(
                f"the identity provider {issuer} can't be reached: {in_words(error)}", UNREACHABLE
            ) from error


def _waited(http: httpx.Client, endpoint: str, client_id: str, begun: dict[str, Any], clock: Clock) -> str:
    """Poll for the token until the person has agreed or refused, or the code expires."""
    form = {"grant_type": DEVICE_CODE_GRANT_TYPE, "device_code": str(begun["device_code"]), "client_id": client_id}
    ends = clock.monotonic() + float(begun["expires_in"])
    interval = max(_LEAST, float(begun.get("interval", _INTERVAL)))
    while clock.monotonic() + interval < ends:
        clock.pause(interval)
        try:
            answer, body = _asked(http, "POST", endpoint, form)
        except httpx.TransportError:
            interval *= 2
            continue
        said = body.object()
        if answer.is_success:
            return _token(said)
        match said["error"]:
            case AuthorizationPendingError.error:
                pass
            case SlowDownError.error:
                interval += _SLOWER
            case AccessDeniedError.error:
                raise CliError("the sign-in was refused at the identity provider", FAILED)
            case ExpiredTokenError.error:
                break
            case other:
                raise CliError(
                    f"the identity provider refuses: {str(said.get('error_description', other))[:_TOLD]}", FAILED
                )
    raise CliError("nobody signed in before the code expired: run minka login again", FAILED)


def _token(said: dict[str, Any]) -> str:
    """The ID token; else the access token if it is a JWT."""
    for name in ("id_token", "access_token"):
        token = said.get(name)
        if isinstance(token, str) and token.count(".") == 2:
            return token
    raise CliError("the identity provider gave no token that Minka can read", FAILED)


def _json(http: httpx.Client, method: str, address: str, form: dict[str, str] | None = None) -> dict[str, Any]:
    answer, body = _asked(http, method, address, form)
    if answer.is_error:
        raise CliError(f"the identity provider answers {answer.status_code} at {answer.url}", FAILED)
    return body.object()


def _asked(
    http: httpx.Client, method: str, address: str, form: dict[str, str] | None
) -> tuple[httpx.Response, JsonBody]:
    """An answer of the provider, as long as it is of a size that one has. Raises HostileJsonError."""
    body = JsonBody(LARGEST_ANSWER)
    with http.stream(method, address, data=form) as answer:
        for part in answer.iter_raw():
            body.add(part)
    return answer, body
