"""What stations counted, collected later: it settles whether cells served while nobody read them. Pure."""

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


def settled(
    unread: Times, known: Times, locked: Times, periods: Iterable[CountedPeriod], linked: Times = ()
) -> Settled:
    """Which times of a cell were lost or served, beyond those that are known.

    A period tells how long the cell was off air, and not when. What is not known otherwise is put at the begin of what
    nobody read in it; if that is not enough, it was off air between checks, which is put at the begin of the rest. If
    nobody read any of the period, and the tenant's users sent or received something, the rest of it was served.

    A cell counts nothing of core links. So what it counted off air is lost beside time in which they were down, and is
    put into none of that, as long as the period has other time; nobody knows whether both were at once. What its users
    sent says not when: times that the station's own record has of these stay as they are.

    Args:
        unread: Times that no check read.
        known: Other times in which it is known to be off air, or may be, whoever is responsible.
        locked: Times in which it was locked: it counts these as manual, so none of them is among its faults.
        periods: What the station counted.
        linked: Times in which core links were down by the station's own record, or where checks read.
    """
    gone: list[tuple[datetime, datetime]] = []
    served: list[tuple[datetime, datetime]] = []
    for one in periods:
        span = ((one.begin, one.until),)
        down = both(linked, span)
        here = without(both(unread, span), down)
        off = one.off - seconds(both(without(known, locked), span))
        lost_here = _first(without(here, locked), off)
        between = _first(without(span, union([*here, *known, *down, *locked])), off - seconds(lost_here))
        gone.extend((*lost_here, *between))
        if one.carried and union([*here, *both(down, unread)]) == span:
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
