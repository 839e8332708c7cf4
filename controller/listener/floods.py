"""Bounds the notifications of each station that are put on record: a station that floods holds up no other."""

from __future__ import annotations

from controller.ports.clock import Clock

#: Notifications of a station that are taken in at once, and the seconds after which there is room for one more.
BURST, APART = 100, 30.0


class Floods:
    """Room for notifications of each station; what finds none is left to the next check of the station."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: By station: until when its room is used up, as if each notification took ``APART`` seconds.
        self._until: dict[str, float] = {}
        #: By station: how many found no room since the first one that did not, which is counted at once.
        self._left_out: dict[str, int] = {}

    def take(self, station: str) -> tuple[bool, int]:
        """Use room for a notification of a station.

        Returns:
            Whether there was any, and how many without room are to be counted now.
        """
        now = self._clock.monotonic()
        until = max(now, self._until.get(station, now)) + APART
        if until > now + BURST * APART:
            first = station not in self._left_out
            self._left_out[station] = 0 if first else self._left_out[station] + 1
            return False, int(first)
        self._until[station] = until
        return True, self._left_out.pop(station, 0)
