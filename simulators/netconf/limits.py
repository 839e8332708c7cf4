"""Limits on the resources of all connections of a process together, so that a flood harms only itself."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol
from weakref import WeakSet

#: Seconds within which a client must log in.
LOGIN_SECONDS = 30.0
#: Seconds within which a called controller must log in: it may have thousands of callers.
CALL_SECONDS = 300.0
#: Seconds of silence after which a station probes the controller that it called.
CALL_KEEPALIVE = 30
#: Most connections without a login in a process.
MAX_PENDING_LOGINS = 1000


class Abortable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Break the connection at once."""


class PendingLogins:
    """Connections to all stations of a process on which nobody has logged in yet.

    A flood of half-open connections costs the flood's own oldest connections and nobody's session.

    Attributes:
        dropped: Number of connections dropped for new ones.
    """

    def __init__(self, most: int = MAX_PENDING_LOGINS) -> None:
        self._most = most
        self._waiting: OrderedDict[Abortable, None] = OrderedDict()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, connection: Abortable) -> None:
        """Add a new connection; a full list drops its oldest."""
        self._waiting[connection] = None
        while len(self._waiting) > self._most:
            oldest, _ = self._waiting.popitem(last=False)
            self.dropped += 1
            oldest.abort()

    def discard(self, connection: Abortable) -> None:
        """Remove a connection whose client has logged in or left; harmless for others."""
        self._waiting.pop(connection, None)


#: Most bytes of unhandled messages in a process.
MAX_BUFFERED = 256 * 1024 * 1024
#: Bytes up to which a session does not count: every honest one has some.
_SMALL = 64 * 1024


class Buffering(Protocol):
    """A session that buffers bytes."""

    @property
    def buffered(self) -> int:
        """Bytes received and not yet handled."""

    def drop(self) -> None:
        """End the session without a word."""


class BufferedInput:
    """The unhandled bytes of all sessions of a process together.

    A thousand clients that each send a message just below its limit, and never its end, lose their own sessions and
    harm nobody else.

    Attributes:
        dropped: How many sessions were dropped.
    """

    def __init__(self, most: int = MAX_BUFFERED) -> None:
        self._most = most
        self._large: WeakSet[Buffering] = WeakSet()
        self.dropped = 0

    def received(self, session: Buffering) -> None:
        """Count the bytes of a session; the largest sessions are dropped until the rest fits."""
        if session.buffered <= _SMALL:
            return
        self._large.add(session)
        buffered = {one: one.buffered for one in self._large}
        total = sum(buffered.values())
        while total > self._most:
            largest = max(buffered, key=buffered.__getitem__)
            total -= buffered.pop(largest)
            self._large.discard(largest)
            self.dropped += 1
            largest.drop()
        for one, size in buffered.items():
            if size <= _SMALL:
                self._large.discard(one)
