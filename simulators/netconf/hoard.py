"""Messages that have begun and not ended: bounded for a whole process, the largest dropped first."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakSet

#: Bytes of unhandled messages that a process keeps.
MOST = 256 * 1024 * 1024
#: Bytes up to which a session counts for nothing: every honest one has some.
_SMALL = 64 * 1024


class Holder(Protocol):
    """A session, as far as it holds bytes."""

    @property
    def held(self) -> int:
        """Bytes received and not yet handled."""

    def drop(self) -> None:
        """End the session without a word."""


class Hoard:
    """What all sessions of a process hold together.

    A thousand clients that each send a message just below its limit, and never its end, cost themselves
    their sessions and nobody else anything.

    Attributes:
        dropped: How many sessions had to go.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._large: WeakSet[Holder] = WeakSet()
        self.dropped = 0

    def received(self, holder: Holder) -> None:
        """A session has taken bytes; the largest are dropped until the rest fits."""
        if holder.held <= _SMALL:
            return
        self._large.add(holder)
        held = {one: one.held for one in self._large}
        total = sum(held.values())
        while total > self._most:
            largest = max(held, key=held.__getitem__)
            total -= held.pop(largest)
            self._large.discard(largest)
            self.dropped += 1
            largest.drop()
        for one, size in held.items():
            if size <= _SMALL:
                self._large.discard(one)
