"""Pages of a list: all of one revision, however long the client takes from one to the next."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from simulators.cloud.language.status import StatusError, bad_request, expired
from simulators.cloud.server.requests import ListOptions
from simulators.cloud.server.store import Compacted, Object, Store

#: Version of the form of tokens.
_FORMAT = "meta.k8s.io/v1"
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a list; ``remaining`` is None where it is not given."""

    objects: list[Object]
    revision: int
    token: str = ""
    remaining: int | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """As the list's metadata."""
        found: dict[str, Any] = {"resourceVersion": str(self.revision)}
        if self.token:
            found["continue"] = self.token
        if self.remaining:
            found["remainingItemCount"] = self.remaining
        return found


class _PageExpiredError(StatusError):
    """410, with a token for those who go on without a snapshot."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", _TOO_OLD)
        self._token = token

    def body(self) -> dict[str, Any]:
        return {**super().body(), "metadata": {"continue": self._token}}


def page(
    store: Store, kind: str, namespace: str, options: ListOptions, selects: Callable[[Object], bool] | None
) -> Page:
    """The page that is asked for.

    Raises:
        StatusError: 400, the token is none; 410, its revision is forgotten; 504, the revision is still to come.
    """
    revision, start = _from(store, options)
    if revision > store.revision:
        raise too_large(revision, store.revision)
    try:
        found = store.list(kind, namespace, revision)
    except Compacted:
        raise _forgotten(store, start) from None
    found = [obj for obj in found if _place(obj) >= start]
    chosen = found if selects is None else [obj for obj in found if selects(obj)]
    if not options.limit or len(chosen) <= options.limit:
        return Page(chosen, revision)
    shown = chosen[: options.limit]
    token = _token(revision, _place(shown[-1]) + "\0")
    return Page(shown, revision, token, None if selects else len(chosen) - options.limit)


def too_large(asked: int, current: int) -> StatusError:
    """A revision that is still to come."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    text = f"Timeout: Too large resource version: {asked}, current: {current}"
    return StatusError(504, "Timeout", text, {"causes": [cause], "retryAfterSeconds": 1}, 1)


def _from(store: Store, options: ListOptions) -> tuple[int, str]:
    if options.token:
        revision, start = _read(options.token)
        # A token that was given out after its snapshot was forgotten goes on with what there is now.
        return (store.revision if revision < 0 else revision), start
    if options.version is None:
        return store.revision, ""
    if options.exact:
        return options.version, ""
    return max(options.version, store.revision), ""


def _forgotten(store: Store, start: str) -> StatusError:
    if not start:
        return expired("The resourceVersion for the provided list is too old.")
    return _PageExpiredError(_token(-1, start))


def _place(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def _token(revision: int, start: str) -> str:
    text = orjson.dumps({"v": _FORMAT, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _read(token: str) -> tuple[int, str]:
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _no_token("illegal base64 data at input byte 0") from None
    try:
        read = orjson.loads(text)
        version, revision, start = str(read.get("v", "")), int(read.get("rv") or 0), str(read.get("start") or "")
    except (ValueError, AttributeError, TypeError):
        first = f"\\x{text[0]:02x}" if text[:1] and text[0] > 126 else text[:1].decode(errors="replace")
        raise _no_token(f"invalid character '{first}' looking for beginning of value") from None
    if version != _FORMAT:
        raise _no_token(f'server does not recognize this encoded version "{version}"')
    if not revision:
        raise _no_token(f"incorrect encoded start resourceVersion (version {version})")
    if not start:
        raise _no_token(f"encoded start key empty (version {version})")
    return revision, start


def _no_token(problem: str) -> StatusError:
    return bad_request(f"invalid continue token: continue key is not valid: {problem}")
