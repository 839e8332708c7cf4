"""Closes HTTP connections on which a request comes slowly or not at all, so that others find room."""

from __future__ import annotations

import asyncio

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger()

#: Seconds for the head of a request, from the connection or the first byte on; and for its body, from the head on.
HEAD, BODY = 10.0, 60.0
#: Connections at once. One more takes the place of the one that has owed a request for longest.
MOST = 1000


class Connection(H11Protocol):
    """A connection that has to bring whole requests in time."""

    #: Those that owe a request or the rest of one, the oldest first, with when they are closed.
    _owing: dict[Connection, asyncio.TimerHandle] = {}
    _state: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection on."""
        super().connection_made(transport)
        self._owe(HEAD)
        if len(self.connections) > MOST:
            next(iter(self._owing)).give_up("there are too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and see what is still owed."""
        super().data_received(data)
        owed = self.conn.their_state
        if owed not in (h11.IDLE, h11.SEND_BODY):
            self._settle()
        elif owed is not self._state or self not in self._owing:
            self._settle()
            self._owe(HEAD if owed is h11.IDLE else BODY)
        self._state = owed

    def give_up(self, reason: str) -> None:
        """Close it without a word."""
        self._settle()
        log.info("api.connection_closed", client=self.client and self.client[0], reason=reason)
        self.transport.abort()

    def _owe(self, seconds: float) -> None:
        if not self.transport.is_closing():
            reason = f"no whole request came in {seconds:g} s"
            self._owing[self] = self.loop.call_later(seconds, self.give_up, reason)

    def _settle(self) -> None:
        timer = self._owing.pop(self, None)
        if timer is not None:
            timer.cancel()
