"""Server-sent events (WHATWG HTML §9.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import BaseModel
from starlette.responses import StreamingResponse


class EventStream(StreamingResponse):
    """A stream of events that no proxy keeps back; it ends when the client goes away."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


def event(name: str, data: BaseModel) -> str:
    """One event; the JSON has no line breaks, so one data line is enough."""
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"


def keep_alive() -> str:
    """A comment that keeps proxies from closing a silent stream."""
    return ": still here\n\n"
