"""Sets of times: sorted intervals that do not touch. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from typing import TypeVar

K = TypeVar("K")
#: Sorted intervals that do not touch.
Times = tuple[tuple[datetime, datetime], ...]


def union(times: Iterable[tuple[datetime, datetime]]) -> Times:
    """Times that are in at least one of them."""
    found: list[tuple[datetime, datetime]] = []
    for since, until in sorted(times):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        elif since < until:
            found.append((since, until))
    return tuple(found)


def both(one: Times, other: Times) -> Times:
    """Times that are in both."""
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        since, until = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if since < until:
            found.append((since, until))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def without(one: Times, other: Times) -> Times:
    """Times of the first that are not in the other."""
    if not one or not other:
        return one
    bounds = [one[0][0], *(point for times in other for point in times), one[-1][1]]
    gaps = union((bounds[i], bounds[i + 1]) for i in range(0, len(bounds), 2) if bounds[i] < bounds[i + 1])
    return both(one, gaps)


def seconds(times: Times) -> float:
    """Their length."""
    return sum((until - since).total_seconds() for since, until in times)


def meet(times: Iterable[Times]) -> Times:
    """Times that are in all of them."""
    found, *others = times
    return reduce(both, others, found)


def clipped(times: Mapping[K, Times], since: datetime, until: datetime) -> dict[K, Times]:
    """The parts of times between two others, by what they are of; nothing of what has none."""
    span = ((since, until),)
    return {key: here for key, of_key in times.items() if since < until and (here := both(of_key, span))}
