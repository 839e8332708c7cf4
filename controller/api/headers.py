"""Security headers of every answer: a browser may run, load and frame only the parts of Minka's own page."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from controller.api.pages import PAGE

#: Nothing is loaded, run, framed or sent by what we answer.
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#: The page loads what comes from here; images of its styles stand in them.
_OURS = f"{_NOTHING}; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"


def with_headers(scope: Scope, send: Send) -> Send:
    """What sends an answer together with the headers."""
    policy = _OURS if scope.get("path") == PAGE else _NOTHING

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
        await send(message)

    return sending
