"""Bearer tokens: every route but the open ones needs one; only SHA-256 digests are kept.

Tokens are random and looked up by their digest, so the time of a look-up tells nothing about them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from controller.ports.store import Store

#: Owner of the token that alarm sources use; it opens webhooks only.
WEBHOOK = "webhook"

_SCHEME = HTTPBearer(auto_error=False, description="The token is in the file `token` under MINKA_HOME.")


def digest(token: str) -> str:
    """SHA-256 of a token, hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def ensure_token(path: Path, store: Store, name: str = "noc") -> str:
    """The embedded shape's token: made on first start, kept in a file that only its owner reads.

    Raises:
        OSError: The file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        token = path.read_text(encoding="utf-8").strip()
    else:
        token = secrets.token_urlsafe(32)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(token + "\n")
    if store.token_name(digest(token)) is None:
        store.add_token(digest(token), name)
    return token


def token_owner(store: Store, authorization: str) -> str | None:
    """Owner of the bearer token in an Authorization header, None if there is none that we know."""
    scheme, _, token = authorization.partition(" ")
    return store.token_name(digest(token)) if scheme.lower() == "bearer" and token else None


def caller(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(_SCHEME)] = None,
) -> str:
    """Name of the token's owner, as the guard found it; the scheme is there for the OpenAPI document."""
    name: str = request.state.caller
    return name


#: The authenticated caller of a route.
Caller = Annotated[str, Depends(caller)]
