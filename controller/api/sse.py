"""Server-sent events (WHATWG HTML §9.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import structlog
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from controller.api.services import FOLLOW_SECONDS
from controller.models.errors import StoreError
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds of silence before a keep-alive.
SILENCE = 15.0


class SharesReadings(Protocol):
    """Lets followers share a read of the record (``controller.api.views.View``)."""

    @property
    def clock(self) -> Clock:
        """Source of time."""
        ...

    async def shared(self, what: str, read: Callable[[], Any]) -> Any:
        """Read in a thread, shared by all followers of the same subject."""
        ...


class EventStream(StreamingResponse):
    """A stream of events that proxies don't buffer; it ends when the client disconnects."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


def event(name: str, data: BaseModel) -> str:
    """One event; the JSON has no line breaks, so one data line is enough."""
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"


def keep_alive() -> str:
    """A comment that stops proxies from closing a silent stream."""
    return ": still here\n\n"


#: Wraps a reading of a stream, so that it takes turns with other requests.
InTurn = Callable[[], AbstractAsyncContextManager[None]]


async def follow(
    seen: SharesReadings, what: str, read: Callable[[], dict[str, str]], in_turn: InTurn
) -> AsyncIterator[str]:
    """Events of all present objects, then of each that changes.

    Args:
        seen: Shares the reads of followers.
        what: Name under which reads are shared.
        read: Reads the events by id.
        in_turn: Takes a turn for each reading.
    """
    sent: dict[str, str] = {}
    silent = 0.0
    while True:
        found = sent
        try:
            async with in_turn():
                found = await seen.shared(what, read)
        except StoreError as error:
            log.warning("api.follow_waits", what=what, reason=error.message)
        # All events in one piece: each piece is a turn of the loop, which all callers share.
        news = "" if found is sent else "".join(text for name, text in found.items() if sent.get(name) != text)
        sent = found
        if news:
            yield news
        silent = 0.0 if news else silent + FOLLOW_SECONDS
        if silent >= SILENCE:
            yield keep_alive()
            silent = 0.0
        await seen.clock.sleep(FOLLOW_SECONDS)
