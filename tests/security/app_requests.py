"""Requests straight at the app, streams included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import FastAPI


class Answer(NamedTuple):
    """What came back; of a stream that goes on what came before it was left."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document of a refusal; empty for a success."""
        said: dict[str, Any] = json.loads(self.body) if self.status >= 400 else {}
        return said


async def ask(
    app: FastAPI,
    method: str,
    path: str,
    token: str,
    *,
    query: str = "",
    body: bytes | None = b"",
    headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),),
    until: bytes | None = None,
) -> Answer:
    """Send a request, which breaks off before its body if that is None.

    A stream is left when ``until`` came, or as soon as it begins if that is None.
    """
    headers = list(headers)
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("minka", 80),
    }
    over = asyncio.Event()
    whole = {"type": "http.request", "body": body, "more_body": False}
    asked = [{"type": "http.disconnect"} if body is None else whole]
    said: dict[str, Any] = {"status": 0, "headers": (), "body": b""}

    async def receive() -> Any:
        if asked:
            return asked.pop()
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            said["status"] = message["status"]
            said["headers"] = tuple((bytes(name), bytes(value)) for name, value in message["headers"])
            if until is None and (b"content-type", b"text/event-stream; charset=utf-8") in said["headers"]:
                over.set()
        elif not over.is_set():
            said["body"] += message.get("body", b"")
            if until is not None and until in said["body"]:
                over.set()

    await asyncio.wait_for(app(scope, receive, send), 60)
    return Answer(said["status"], said["headers"], said["body"])
