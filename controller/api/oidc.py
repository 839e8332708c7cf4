"""Sign-in at an identity provider (OpenID Connect Core 1.0), with the code flow and PKCE (RFC 7636).

Whatever can't be verified is refused: an unreachable provider, an unknown key, an algorithm other than a signature with
a public key, another issuer or audience, an expired token.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet
from joserfc.jws import extract_compact

from controller.access.claims import LARGEST_ANSWER, person_of
from controller.models.errors import InputError, ProviderError, SignInError, in_words
from controller.models.identity import SCOPE, parse_grants, private
from controller.models.people import Person
from controller.models.settings import Settings
from controller.models.untrusted_json import JsonBody
from controller.ports.clock import Clock
from controller.store import SignIn

#: Accepted algorithms: signatures with a public key, and never ``none`` or a shared secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
#: Seconds for which the provider's keys are cached, and between two fetches because of an unknown key.
_FRESH, _AGAIN = 300.0, 10.0
#: Seconds after a failed request during which no other caller waits for the provider.
_AWAY = 2.0
#: Seconds within which the provider has to have answered as a whole, whatever it says meanwhile.
_PATIENCE = 20.0
#: What is asked for is not compressed, so that few bytes can't become many.
_PLAIN = {"Accept-Encoding": "identity"}
#: Errors of a malformed answer.
_ODD = (AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person who signed in, with the token that proves it; or the reason why the person gets no role."""

    person: Person | SignInError
    sign_in: SignIn


@dataclass(frozen=True, slots=True)
class _Known:
    """The provider's metadata, and when it was read."""

    endpoints: Mapping[str, str]
    keys: KeySet
    at: float


class Provider:
    """The identity provider of the settings.

    Raises:
        InputError: The roles in the settings are wrong, or others could answer in place of the issuer.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.issuer = private(settings.oidc_issuer)
        #: Our name at the provider where people sign in on the command line; empty if they can't, for want of a
        #: client without a secret.
        self.device_client = settings.oidc_device_client_id or (
            "" if settings.oidc_client_secret else settings.oidc_client_id
        )
        self._client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret
        self._audiences = [
            name for name in (settings.oidc_audience or settings.oidc_client_id, self.device_client) if name
        ]
        #: Client ids for which the provider may have issued a token.
        named = (self._client_id, self.device_client, *settings.oidc_clients.split())
        self._parties = [name for name in named if name]
        self._max_age = settings.oidc_max_age * 3600
        self._claims = (settings.oidc_name_claim, settings.oidc_groups_claim)
        self._grants = parse_grants(settings.oidc_roles)
        self._redirect = f"{settings.url}/v1/login/callback"
        self._clock = clock
        self._known: _Known | None = None
        self._away = float("-inf")
        self._asking = asyncio.Lock()

    async def identity(self, token: str, nonce: str | None = None) -> Identity:
        """The person whom a token of the provider names; with a nonce it must be an ID token for that nonce.

        Raises:
            SignInError: The token is not valid.
            ProviderError: The provider's keys can't be fetched.
        """
        claims = await self._verified(token, nonce)
        person: Person | SignInError
        try:
            person = person_of(claims, self._grants, *self._claims)
        except SignInError as refusal:
            person = refusal
        return Identity(person, _sign_in(token, claims))

    async def _verified(self, token: str, nonce: str | None) -> dict[str, Any]:
        required: dict[str, Any] = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "values": [self._client_id] if nonce else self._audiences},
            "sub": {"essential": True},
            "exp": {"essential": True},
            "iat": {"essential": True},
        }
        if nonce:
            required["nonce"] = {"essential": True, "value": nonce}
        registry = jwt.JWTClaimsRegistry(now=int(self._clock.now().timestamp()), **required)
        try:
            header = extract_compact(token.encode()).headers()
            if header.get("alg") not in ALGORITHMS:
                raise SignInError("the token is not signed with a public key")
            found = jwt.decode(token, await self._key(header.get("kid")), algorithms=list(ALGORITHMS))
            registry.validate(found.claims)
            self._check_party(found.claims)
        # joserfc raises TypeError for headers of a wrong type, and RecursionError for JSON that is nested too deep.
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise SignInError(f"the identity provider's token is not valid: {in_words(error)}") from error
        return found.claims

    def _check_party(self, claims: Mapping[str, Any]) -> None:
        """Check that the token is young, and was issued for us or for an accepted client.

        Raises:
            SignInError: It is older, or was issued for another program.
        """
        if self._clock.now().timestamp() - int(claims["iat"]) > self._max_age:
            raise SignInError(f"the token is older than {self._max_age / 3600:g} hours: sign in again")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        party = claims.get("azp")
        if party not in self._parties and (several or party is not None):
            raise SignInError("the token was issued for another program, which MINKA_OIDC_CLIENTS does not name")

    async def _key(self, kid: str | None) -> Key:
        """The key with this id; without an id the provider's only key."""
        known = await self._ask(_FRESH)
        if not _has(known.keys, kid):
            known = await self._ask(_AGAIN)
        if not _has(known.keys, kid):
            raise SignInError("the token is signed with a key that the identity provider does not name")
        return known.keys.get_by_kid(kid)

    async def _ask(self, fresh: float) -> _Known:
        """The provider's metadata and keys, at most ``fresh`` seconds old."""
        async with self._asking:
            now = self._clock.monotonic()
            if self._known is None or now - self._known.at >= fresh:
                if now - self._away < _AWAY:
                    raise ProviderError("the identity provider could not be reached a moment ago: try again")
                try:
                    async with asyncio.timeout(_PATIENCE), httpx.AsyncClient(timeout=5, headers=_PLAIN) as http:
                        said = await _json(http, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                        if said.get("issuer") != self.issuer:
                            raise ProviderError("the identity provider names another issuer than MINKA_OIDC_ISSUER")
                        keys = KeySet.import_key_set(await _json(http, private(str(said.get("jwks_uri")))))  # type: ignore[arg-type]
                except (httpx.HTTPError, httpx.InvalidURL, InputError, JoseError, TimeoutError, *_ODD) as error:
                    self._away = self._clock.monotonic()
                    raise ProviderError(f"the identity provider can't be reached: {in_words(error)}") from error
                self._known = _Known({name: str(value) for name, value in said.items()}, keys, now)
            return self._known

    # -------------------------------------------------------------------- code flow

    async def begin(self) -> tuple[str, str]:
        """The address to send a browser to, and the cookie that it has to bring back. Raises ProviderError."""
        known = await self._ask(_FRESH)
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        address = prepare_grant_uri(
            known.endpoints["authorization_endpoint"],
            self._client_id,
            "code",
            redirect_uri=self._redirect,
            scope=SCOPE,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return address, ".".join((state, nonce, verifier))

    async def finish(self, code: str, state: str, brought: str) -> tuple[str, Identity]:
        """The identity for a code of the provider, with its ID token.

        Args:
            code: The code that the provider sent with the browser.
            state: The state that it sent with the code.
            brought: The cookie that ``begin`` gave the browser.

        Raises:
            SignInError: The sign-in did not begin here, the provider refuses the code, or its token is not valid.
            ProviderError: The provider can't be reached.
        """
        begun, nonce, verifier = brought.split(".") if brought.count(".") == 2 else ("", "", "")
        if not begun or not hmac.compare_digest(begun.encode(), state.encode()) or not code:
            raise SignInError("this sign-in did not begin here, or began too long ago: begin again at /v1/login")
        known = await self._ask(_FRESH)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "client_id": self._client_id,
            "code_verifier": verifier,
        }
        auth = httpx.BasicAuth(self._client_id, self._secret) if self._secret else httpx.Auth()
        try:
            address = private(known.endpoints["token_endpoint"])
            async with asyncio.timeout(_PATIENCE), httpx.AsyncClient(timeout=10, headers=_PLAIN) as http:
                answer, body = await _asked(http, "POST", address, data=form, auth=auth)
            token = body.object().get("id_token") if answer.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, InputError, TimeoutError, *_ODD) as error:
            raise ProviderError(f"the identity provider can't be reached: {in_words(error)}") from error
        if answer.is_server_error:
            raise ProviderError("the identity provider answers with an error of its own")
        if not isinstance(token, str):
            raise SignInError("the identity provider gave no token for the code")
        return token, await self.identity(token, nonce)


def _sign_in(token: str, claims: Mapping[str, Any]) -> SignIn:
    try:
        issued, ends = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
    except (ValueError, OverflowError, OSError) as error:
        raise SignInError("the identity provider's token has invalid times") from error
    if not isinstance(claims["sub"], str):
        raise SignInError("the identity provider's token names nobody")
    # One token can have several valid signatures (of ECDSA, s and n-s), and a signature several spellings in base64.
    signed, _, _ = token.rpartition(".")
    return SignIn(claims["iss"], claims["sub"], issued, ends, hashlib.sha256(signed.encode()).hexdigest())


def _has(keys: KeySet, kid: str | None) -> bool:
    return len(keys.keys) == 1 if kid is None else any(key.kid == kid for key in keys)


async def _json(http: httpx.AsyncClient, address: str) -> dict[str, Any]:
    answer, body = await _asked(http, "GET", address)
    answer.raise_for_status()
    return body.object()


async def _asked(http: httpx.AsyncClient, method: str, address: str, **more: Any) -> tuple[httpx.Response, JsonBody]:
    """An answer of the provider, as long as it is of a size that one has. Raises HostileJsonError."""
    body = JsonBody(LARGEST_ANSWER)
    async with http.stream(method, address, **more) as answer:
        async for part in answer.aiter_raw():
            body.add(part)
    return answer, body
