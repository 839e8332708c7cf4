"""Tokens of service accounts: signed statements (JWT, RFC 7519) of whom they are, for which audiences, until when."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from simulators.clock import Clock
from simulators.cloud.server.store import Object, Store

#: Who signs, and the audience that the API server itself is.
ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
_ALGORITHM: Final = "ES256"
_EXTRA: Final = "authentication.kubernetes.io"
#: What a token may be bound to, by the word for it in its claims.
_BOUND: Final = {"pod": "pods", "secret": "secrets", "node": "nodes"}
_SHAPE: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


class TokenError(Exception):
    """A token that lets nobody in, in the words of a real API server."""


class AccountTokens:
    """The tokens that one pool gives out; nothing of them is kept."""

    def __init__(self, store: Store, clock: Clock, chance: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._random = chance

    @cached_property
    def _key(self) -> ECKey:
        private = ec.derive_private_key(self._random.getrandbits(255) | 1, ec.SECP256R1())
        return ECKey.import_key(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def public_keys(self) -> dict[str, Any]:
        """What anybody can check tokens with (RFC 7517)."""
        key = self._key
        return {"keys": [{"use": "sig", "kid": key.thumbprint(), "alg": _ALGORITHM, **key.as_dict(private=False)}]}

    def issue(
        self, account: Object, seconds: int, audiences: Sequence[str], bound: Mapping[str, Object] | None = None
    ) -> str:
        """A token.

        Args:
            account: Of which service account.
            seconds: How long it lasts.
            audiences: Whom it may be shown to.
            bound: The pod, secret or node without which it ends, and the node of that pod.
        """
        now, metadata = int(self._clock.now().timestamp()), account["metadata"]
        private = {"namespace": metadata["namespace"], "serviceaccount": _reference(account)}
        private |= {word: _reference(obj) for word, obj in (bound or {}).items()}
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        return jwt.encode({"alg": _ALGORITHM, "kid": self._key.thumbprint()}, claims, self._key)

    def ends(self, seconds: int) -> str:
        """When a token ends that is given out now."""
        return f"{self._clock.now() + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"

    def read(self, token: str, audiences: Sequence[str]) -> tuple[dict[str, Any], list[str]] | None:
        """Who shows a token (name, uid, groups and extra), and the audiences that it is for among those asked.

        None where it is no token of a service account of this pool.

        Raises:
            TokenError: It is one, and does not hold: it has ended, is for others, or what it is bound to is gone.
        """
        claims = self._claims(token)
        if claims is None:
            return None
        asked = audiences or (ISSUER,)
        shared = [one for one in claims["aud"] if one in asked]
        if not shared:
            said = f"{_listed(claims['aud'])} is invalid for the target audiences {_listed(asked)}"
            raise TokenError(f"token audiences {said}")
        if self._clock.now().timestamp() >= claims["exp"]:
            raise TokenError("service account token has expired")
        private = claims["kubernetes.io"]
        self._check_account(private)
        self._check_bound(private)
        namespace = private["namespace"]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        extra = dict(_extra(claims))
        account = private["serviceaccount"]
        return {"name": claims["sub"], "uid": account["uid"], "groups": groups, "extra": extra}, shared

    def _claims(self, token: str) -> dict[str, Any] | None:
        if not _SHAPE.fullmatch(token):
            return None
        try:
            claims: dict[str, Any] = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
        except JoseError:
            return None
        return claims

    def _check_account(self, private: Mapping[str, Any]) -> None:
        namespace, wanted = private["namespace"], private["serviceaccount"]
        account = self._store.get("serviceaccounts", (namespace, wanted["name"]))
        if account is None:
            raise TokenError(f'serviceaccounts "{wanted["name"]}" not found')
        if account["metadata"]["uid"] != wanted["uid"]:
            real = account["metadata"]["uid"]
            raise TokenError(f"service account UID ({real}) does not match claim ({wanted['uid']})")

    def _check_bound(self, private: Mapping[str, Any]) -> None:
        """What a token is bound to has to be there still; of the node of its pod it only tells."""
        for word, kind in _BOUND.items():
            wanted = private.get(word)
            if wanted is None or (word == "node" and "pod" in private):
                continue
            namespace = "" if word == "node" else private["namespace"]
            obj = self._store.get(kind, (namespace, wanted["name"]))
            if obj is None or obj["metadata"]["uid"] != wanted["uid"]:
                raise TokenError("service account token has been invalidated")


def _reference(obj: Object) -> dict[str, str]:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def _extra(claims: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What a user's extra says of his token."""
    yield f"{_EXTRA}/credential-id", (f"JTI={claims['jti']}",)
    for word in ("pod", "node"):
        if (found := claims["kubernetes.io"].get(word)) is not None:
            yield f"{_EXTRA}/{word}-name", (found["name"],)
            yield f"{_EXTRA}/{word}-uid", (found["uid"],)


def _listed(audiences: Sequence[str]) -> str:
    quoted = " ".join(f'"{one}"' for one in audiences)
    return f"[{quoted}]"
