"""Outages of core links between two reads, by their stations' own lists: whose they are. Pure.

No read saw them, so they raise no alarm, and are part of no incident. Whose they are is worked out of what all stations
listed, once it is asked for: a remote end is lost where at several sites, and at most stations that could tell, all
links to it were down at the same time. A station could tell where it had a link to that end, kept an AlarmList, and was
not cut off itself. What nobody can tell is the fault of the link.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import pairwise, product
from typing import NamedTuple

from controller.intent.delivery import CarriedLink
from controller.intent.impact import link_in
from controller.intent.incidents import BLAMED
from controller.intent.observation import Proof
from controller.intent.outages import Spell
from controller.intent.roots import WINDOW
from controller.intent.times import Times, both, union, without
from controller.models.alarm import (
    ALL_LINKS_DOWN,
    CORE_LINK_DOWN,
    CORE_NODE_DOWN,
    LINK_CAUSES,
    REMOTE_END_DOWN,
    SKEW,
    USER_PLANE_DOWN,
    Alarm,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.network import Network
from controller.nrm.profiles import link_kind
from controller.nrm.tree import Path, step

#: A core link, by its tenant and path.
_Link = tuple[str, Path]


class BriefOutage(NamedTuple):
    """A time in which a core link was down, by its station's own list.

    Attributes:
        tenants: Those that own the link.
    """

    station: str
    path: Path
    tenants: tuple[str, ...]
    since: datetime
    until: datetime


class ListRead(NamedTuple):
    """What a read of a station's AlarmList told.

    Attributes:
        at: When it was read.
        kept: Whether the station keeps one.
        outages: Brief outages in it that no earlier read told.
    """

    station: str
    at: datetime
    kept: bool
    outages: tuple[BriefOutage, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """What stations listed between two times, and what else says whose outages these were.

    Attributes:
        outages: Brief outages.
        kept: When stations kept an AlarmList.
        links: Core links that stations carried: those with brief outages, and all of tenants of which several
            stations had some.
    """

    outages: Sequence[BriefOutage] = ()
    kept: Mapping[str, Times] = field(default_factory=dict)
    links: Mapping[str, Collection[CarriedLink]] = field(default_factory=dict)


NOTHING_LISTED = Listed()


class _FarEnd(NamedTuple):
    """A tenant's core node, by the id of the links to it."""

    tenant: str
    link: str


def tenants_to_ask(outages: Iterable[BriefOutage]) -> frozenset[str]:
    """Tenants of which several stations had brief outages: others may tell whether they lost the same remote end."""
    at = defaultdict[str, set[str]](set)
    for one in outages:
        for tenant in one.tenants:
            at[tenant].add(one.station)
    return frozenset(tenant for tenant, stations in at.items() if len(stations) > 1)


def brief_spells(listed: Listed, known: Iterable[Spell], network_at: Callable[[datetime], Network]) -> list[Spell]:
    """Brief outages as times of alarms that never were, each with the cause of what they follow from.

    Args:
        listed: What stations listed.
        known: Times in which alarms stood: links were down then, too.
        network_at: The network that was current at a time.
    """
    if not listed.outages:
        return []
    down = _Down(listed, known, network_at)
    return [spell for one in listed.outages for tenant in one.tenants for spell in down.spells_of(one, tenant)]


class _Voice(NamedTuple):
    """When a station said that a remote end was lost, and when that it was not: otherwise it could not tell."""

    lost: Times
    works: Times


class _Poll:
    """What stations say of a remote end at a time, event by event.

    Args:
        site_of: Gives the site of a station at a time; empty if there is none.
    """

    def __init__(self, site_of: Callable[[str, datetime], str]) -> None:
        self._site_of = site_of
        #: Since when stations have lost it, the earliest first; at which sites; and how many say that it works.
        self._lost: list[tuple[datetime, str, str]] = []
        self._works = 0

    def times_lost(self, voices: Mapping[str, _Voice]) -> Times:
        """When most stations that could tell had lost it, at several sites."""
        events = defaultdict[datetime, list[Callable[[], None]]](list)
        for station, voice in voices.items():
            for since, until in voice.lost:
                one = since, station, self._site_of(station, since)
                events[since].append(partial(insort, self._lost, one))
                events[until].append(partial(self._lost.remove, one))
            for since, until in voice.works:
                events[since].append(partial(self._count, 1))
                events[until].append(partial(self._count, -1))
        found = []
        for at, until in pairwise(sorted(events)):
            for happen in events[at]:
                happen()
            if self._is_lost():
                found.append((at, until))
        return union(found)

    def _count(self, change: int) -> None:
        self._works += change

    def _is_lost(self) -> bool:
        lost = self._lost_together() if len(self._lost) > max(1, self._works) else []
        return len(lost) > self._works and len({site for _, _, site in lost if site}) > 1

    def _lost_together(self) -> list[tuple[datetime, str, str]]:
        """Most of those that lost it one soon after the other: older losses have other causes."""
        if self._lost[-1][0] - self._lost[0][0] <= WINDOW:
            return self._lost
        groups = [[self._lost[0]]]
        for before, one in pairwise(self._lost):
            if one[0] - before[0] > WINDOW:
                groups.append([])
            groups[-1].append(one)
        return max(groups, key=len)


class _Down:
    """When core links were down, and remote ends and stations were lost."""

    def __init__(self, listed: Listed, known: Iterable[Spell], network_at: Callable[[datetime], Network]) -> None:
        self._kept = listed.kept
        self._network_at = network_at
        #: Times that known alarms were put down to a remote end, by the cause of their root.
        self._blamed = defaultdict[tuple[str, _FarEnd], list[tuple[datetime, datetime]]](list)
        self._by_link = self._times_of_links(listed.outages, known)
        self._carried = {station: _times_by_link(links) for station, links in listed.links.items()}
        self._cut_off = {station: self._when_cut_off(station) for station in {name for name, _ in self._by_link}}
        ends = {_end_of(tenant, one.path) for one in listed.outages for tenant in one.tenants}
        self._lost = {end: union([*self._when_lost(end), *self._blamed[CORE_NODE_DOWN, end]]) for end in ends}

    def _times_of_links(self, outages: Iterable[BriefOutage], known: Iterable[Spell]) -> dict[tuple[str, Path], Times]:
        """When links were down, by station and path; also by alarms."""
        found = defaultdict[tuple[str, Path], list[tuple[datetime, datetime]]](list)
        for one in outages:
            found[one.station, one.path].append((one.since, one.until))
        for spell in known:
            path = link_in(spell.alarm.object) if spell.alarm.probable_cause in LINK_CAUSES else ""
            if path:
                found[spell.alarm.station, path].append((spell.since, spell.until))
                for cause, tenant in product(BLAMED, spell.alarm.tenants):
                    self._blamed[cause, _end_of(tenant, path)].extend(spell.put_down_to((cause,)))
        return {key: union(times) for key, times in found.items()}

    def _without(self, station: str, links: Mapping[_Link, Times]) -> Times:
        """When a station carried some of these links, and all that it carried were down."""
        working = (without(times, self._by_link.get((station, path), ())) for (_, path), times in links.items())
        return without(_joined(links.values()), _joined(working))

    def _when_cut_off(self, station: str) -> Times:
        """When all core links of a station were down, those of several tenants."""
        links = self._carried.get(station, {})
        return self._without(station, links) if len({tenant for tenant, _ in links}) > 1 else ()

    def _says_nothing(self, station: str) -> Times:
        """When a station that is cut off says nothing of any remote end; it does where all its links lead to one."""
        times = self._cut_off.get(station, ())
        if not times:
            return ()
        network = self._network_at(times[0][0])
        ends = (network.remote_ends_of.get(_end_of(*link), frozenset()) for link in self._carried[station])
        return () if frozenset.intersection(*ends) else times

    def _when_lost(self, end: _FarEnd) -> Times:
        """When a remote end was lost, by what stations listed."""
        voices = {}
        for station, carried in self._carried.items():
            if links := {link: times for link, times in carried.items() if _end_of(*link) == end}:
                down, nothing = self._without(station, links), self._says_nothing(station)
                told = both(_joined(links.values()), self._kept.get(station, ()))
                voices[station] = _Voice(without(down, nothing), without(told, union([*down, *nothing])))
        return _Poll(self._site_of).times_lost(voices)

    def _site_of(self, station: str, at: datetime) -> str:
        network = self._network_at(at)
        return network.site_of(station) if network.manages(station) else ""

    def _lost_with_others(self, end: _FarEnd, network: Network) -> Times:
        """When another core node behind a remote end of this one was lost as well: then what they share was lost."""
        behind = {
            _FarEnd(*other)
            for remote in network.remote_ends_of.get(end, ())
            for other in network.remote_ends.get(remote, ())
        }
        shared = _joined(both(self._lost[end], self._lost.get(other, ())) for other in behind - {end})
        return union([*shared, *self._blamed[REMOTE_END_DOWN, end]])

    def spells_of(self, one: BriefOutage, tenant: str) -> Iterator[Spell]:
        """The times of an outage for a tenant, each with the cause of what it follows from: the widest first."""
        alarm, end = _alarm_of(one, tenant), _end_of(tenant, one.path)
        left: Times = ((one.since, one.until),)
        for cause, times in (
            (REMOTE_END_DOWN, _taken(one, self._lost_with_others(end, self._network_at(one.since)))),
            (CORE_NODE_DOWN, _taken(one, self._lost[end])),
            (ALL_LINKS_DOWN, self._cut_off[one.station]),
            (alarm.probable_cause, left),
        ):
            for since, until in both(left, times):
                yield Spell(alarm, since, until, cause=cause, proof=Proof.STATION)
            left = without(left, times)


def _taken(one: BriefOutage, lost: Times) -> Times:
    """Times in which a lost remote end took a link: stations see that, and that it works again, one after the other.

    A link that was down well before has a cause of its own.
    """
    return union(
        (since - SKEW, until + SKEW) for since, until in lost if since - SKEW <= one.since < until and since < one.until
    )


def _times_by_link(links: Iterable[CarriedLink]) -> dict[_Link, Times]:
    found = defaultdict[_Link, list[tuple[datetime, datetime]]](list)
    for one in links:
        found[one.tenant, one.path].append((one.since, one.until))
    return {link: union(times) for link, times in found.items()}


def _end_of(tenant: str, path: Path) -> _FarEnd:
    return _FarEnd(tenant, step(path)[1][0])


def _joined(times: Iterable[Times]) -> Times:
    return union(one for found in times for one in found)


def _alarm_of(one: BriefOutage, tenant: str) -> Alarm:
    """The alarm that two reads in a row would have raised; it is on no record."""
    kind = link_kind(one.path)
    return Alarm(
        id="",
        station=one.station,
        object=one.path,
        object_class=ObjectClass.CORE_LINK,
        tenant=tenant,
        tenants=(tenant,),
        probable_cause=USER_PLANE_DOWN if kind is not None and kind.user_plane else CORE_LINK_DOWN,
        specific_problem="",
        severity=PerceivedSeverity.MAJOR,
        text="",
        source=AlarmSource.CHECK,
        state=AlarmState.CLEARED,
        raised=one.since,
        changed=one.until,
        cleared=one.until,
    )
