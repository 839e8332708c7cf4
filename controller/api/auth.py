"""Bearer tokens: every route but the probes needs one; only SHA-256 digests are kept."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from controller.ports.store import Store


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


def caller(request: Request) -> str:
    """Name of the token's owner.

    Raises:
        HTTPException: 401 without a known bearer token.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    store: Store = request.app.state.services.store
    name = store.token_name(digest(token)) if scheme.lower() == "bearer" and token else None
    if name is None:
        raise HTTPException(401, "a bearer token is needed: Authorization: Bearer …")
    return name


#: The authenticated caller of a route.
Caller = Annotated[str, Depends(caller)]
