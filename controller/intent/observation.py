"""What Minka looked at and when, and why it did not look at other times. Pure.

Time of a station belongs to one of three: it was read; Minka looked and got no answer (unseen); or nobody looked
(unobserved). Only the first is known by itself. What else proves the others says ``Proof``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controller.intent.times import Times, both, clipped, without


class Unobserved(StrEnum):
    """Why nobody looked at a station; where several hold, the first one."""

    NO_NETWORK = "no-network"
    """No network was loaded yet."""
    NOT_ADOPTED = "not-adopted"
    """The station was not adopted, or taken out of service."""
    NOT_RUNNING = "not-running"
    """No process of Minka that checks stations ran."""
    NEVER_READ = "never-read"
    """The station was adopted, and not checked a first time yet."""
    CHECKS_APART = "checks-apart"
    """Two checks were further apart than ``controller.models.health.OBSERVED_AFTER``."""


class Proof(StrEnum):
    """How it is known whether a cell served, the strongest first."""

    READING = "reading"
    """Checks read the station before and after."""
    COUNTERS = "counters"
    """What the station counted in that time, collected later."""
    STATION = "station"
    """The station's own AlarmList and the times of its events."""
    FAR_END = "far-end"
    """Core links as the other side, or another system, sees them."""
    CUT = "cut"
    """A known cut above all paths of the station."""


@dataclass(frozen=True, slots=True)
class Observation:
    """When Minka looked, between two times.

    Attributes:
        checked: When each station was checked without gaps, also without an answer.
        first: When each station was checked for the first time ever.
        adopted: When each station was adopted.
        running: When a process ran that checks stations.
        taking: When any process ran, so that reports of others were taken.
        loaded: When the first network was loaded; None if none was.
        edges: When rows of checks without gaps began and ended, by station.
        lasted: Times between two reads in which a fault stood by the station's own list, by station and object.
    """

    checked: Mapping[str, Times] = field(default_factory=dict)
    first: Mapping[str, datetime] = field(default_factory=dict)
    adopted: Mapping[str, Times] = field(default_factory=dict)
    running: Times = ()
    taking: Times = ()
    loaded: datetime | None = None
    edges: Mapping[str, frozenset[datetime]] = field(default_factory=dict)
    lasted: Mapping[tuple[str, str], Times] = field(default_factory=dict)

    def between(self, since: datetime, until: datetime) -> Observation:
        """What counts of it between two times, once faults are proved: what came later changes nothing in it."""
        return Observation(
            checked=clipped(self.checked, since, until),
            first={station: at for station, at in self.first.items() if at < until},
            adopted=clipped(self.adopted, since, until),
            running=both(self.running, ((since, until),)) if since < until else (),
            loaded=self.loaded if self.loaded is not None and self.loaded < until else None,
        )

    def looked_at(self, station: str) -> Times:
        """When a station was checked."""
        return self.checked.get(station, ())

    def gaps(self, station: str, since: datetime, until: datetime) -> dict[Unobserved, Times]:
        """When nobody looked at a station between two times, by the reason; without reasons that do not occur."""
        left = without(((since, until),), self.looked_at(station))
        found: dict[Unobserved, Times] = {}
        for reason, excluded in (
            (Unobserved.NO_NETWORK, _from(self.loaded, until)),
            (Unobserved.NOT_ADOPTED, self.adopted.get(station, ())),
            (Unobserved.NOT_RUNNING, self.running),
            (Unobserved.NEVER_READ, _from(self.first.get(station), until)),
            (Unobserved.CHECKS_APART, ()),
        ):
            if here := without(left, excluded):
                found[reason] = here
            left = both(left, excluded)
        return found


def _from(since: datetime | None, until: datetime) -> Times:
    return () if since is None or since >= until else ((since, until),)
