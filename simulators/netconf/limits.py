"""Limits of what all connections of a process use together, so that a flood harms only itself."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol
from weakref import WeakSet

#: Seconds until a client that came must have logged in.
LOGIN_SECONDS = 30.0
#: Connections without a log-in that a process keeps.
MAX_PENDING_LOGINS = 1000


class Abortable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Break it at once."""


class PendingLogins:
    """Connections to all stations of a process on which nobody has logged in yet.

    A flood of half-open connections costs the flood's own oldest connections and nobody's session.

    Attributes:
        dropped: How many made room for others.
    """

    def __init__(self, most: int = MAX_PENDING_LOGINS) -> None:
        self._most = most
        self._waiting: OrderedDict[Abortable, None] = OrderedDict()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, connection: Abortable) -> None:
        """Take a new connection on; the oldest makes room for it."""
        self._waiting[connection] = None
        while len(self._waiting) > self._most:
            oldest, _ = self._waiting.popitem(last=False)
            self.dropped += 1
            oldest.abort()

    def discard(self, connection: Abortable) -> None:
        """Its client has logged in or gone; harmless for other connections."""
        self._waiting.pop(connection, None)


#: Bytes of unhandled messages that a process keeps.
MAX_BUFFERED = 256 * 1024 * 1024
#: Bytes up to which a session counts for nothing: every honest one has some.
_SMALL = 64 * 1024


class Buffering(Protocol):
    """A session, as far as it holds bytes."""

    @property
    def buffered(self) -> int:
        """Bytes received and not yet handled."""

    def drop(self) -> None:
        """End the session without a word."""


class BufferedInput:
    """The unhandled bytes of all sessions of a process together.

    A thousand clients that each send a message just below its limit, and never its end, cost themselves
    their sessions and nobody else anything.

    Attributes:
        dropped: How many sessions were dropped.
    """

    def __init__(self, most: int = MAX_BUFFERED) -> None:
        self._most = most
        self._large: WeakSet[Buffering] = WeakSet()
        self.dropped = 0

    def received(self, session: Buffering) -> None:
        """A session has taken bytes; the largest are dropped until the rest fits."""
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
