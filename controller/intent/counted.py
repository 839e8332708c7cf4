"""What stations counted in times that nobody read, collected later: it settles whether cells served then. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.intent.times import Times, both, seconds, union, without


class CountedPeriod(NamedTuple):
    """A complete granularity period of a cell, as a tenant sees it.

    Attributes:
        off: Seconds in which the cell was off air by a fault (RRU.CellUnavailableTime.fault of TS 32.425 §4.5.6).
        carried: Whether the tenant's users sent or received anything.
    """

    begin: datetime
    until: datetime
    off: float
    carried: bool


class Settled(NamedTuple):
    """Times that counters settled."""

    lost: Times = ()
    served: Times = ()


def settled(unread: Times, lost: Times, periods: Iterable[CountedPeriod]) -> Settled:
    """Which unread times of a cell were lost or served.

    A period tells how long the cell was off air, and not when: that is put at the begin of what nobody read in it, less
    what is known to be lost in the rest. If nobody read any of the period, and the tenant's users sent or received
    something, the rest of it was served.

    Args:
        unread: Times that no check read.
        lost: Times without service that checks read.
        periods: What the station counted.
    """
    gone: list[tuple[datetime, datetime]] = []
    served: list[tuple[datetime, datetime]] = []
    for one in periods:
        span = ((one.begin, one.until),)
        here = both(unread, span)
        off = max(0.0, one.off - seconds(both(lost, span)))
        lost_here = _first(here, min(off, seconds(here)))
        gone.extend(lost_here)
        if one.carried and here == span:
            served.extend(without(here, lost_here))
    return Settled(union(gone), union(served))


def _first(times: Times, length: float) -> Times:
    """The first seconds of times."""
    found: list[tuple[datetime, datetime]] = []
    for since, until in times:
        if length <= 0:
            break
        end = min(until, since + timedelta(seconds=length))
        found.append((since, end))
        length -= (end - since).total_seconds()
    return tuple(found)
