"""Connections that nobody has logged in on yet: bounded for a whole process, the oldest dropped first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

#: Seconds until a client that came must have logged in.
LOGIN_SECONDS = 30.0
#: Connections without a log-in that a process keeps.
MOST = 1000


class Breakable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Break it at once."""


class Strangers:
    """Who came and is not known yet, of all stations of a process.

    A flood of half-open connections costs the flood's own oldest connections and nobody's session.

    Attributes:
        dropped: How many had to go.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: OrderedDict[Breakable, None] = OrderedDict()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def came(self, connection: Breakable) -> None:
        """Somebody connected."""
        self._waiting[connection] = None
        while len(self._waiting) > self._most:
            oldest, _ = self._waiting.popitem(last=False)
            self.dropped += 1
            oldest.abort()

    def leave(self, connection: Breakable) -> None:
        """Somebody is known now, or gone; harmless for others."""
        self._waiting.pop(connection, None)
