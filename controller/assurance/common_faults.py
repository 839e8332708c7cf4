"""Common faults of several devices: a failed core node, other remote end, or backhaul node. Pure.

No device tells of these: they show in what many devices tell, or no longer tell. What each one showed last is kept, so
that a check costs the same in a small network and in a large one.

Two stations may lose their own links at the same time. So before a remote end is blamed, others that had it are asked.
What nobody can tell is unknown: it neither begins nor ends a fault.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, auto
from itertools import islice, takewhile
from typing import NamedTuple

from controller.intent.roots import WINDOW
from controller.models.alarm import (
    BACKHAUL_DOWN,
    CORE_NODE_DOWN,
    REMOTE_END_DOWN,
    SKEW,
    Alarm,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.network import Network
from controller.nrm.tree import step

#: Faults that are found here, with the class of the failed object.
_CLASSES = {
    BACKHAUL_DOWN: ObjectClass.BACKHAUL,
    CORE_NODE_DOWN: ObjectClass.CORE_NODE,
    REMOTE_END_DOWN: ObjectClass.CORE_NODE,
}
#: Failed checks in a row after which a device counts as unreachable.
_MISSES = 2
#: Stations that are asked before a remote end is blamed.
_WITNESSES = 5


class _Fault(NamedTuple):
    """A fault, as its alarm names it."""

    cause: str
    tenant: str
    object: str


class _FarEnd(NamedTuple):
    """The remote end of core links with equal names; without a tenant, one that several of them share."""

    tenant: str
    link: str


class _Found(NamedTuple):
    """What is known of a fault that was found.

    Attributes:
        began: The earliest time at which it can have begun, as far as something tells.
    """

    text: str
    began: datetime


class _State(Enum):
    """What stations together say of a remote end."""

    WORKS = auto()
    LOST = auto()
    UNKNOWN = auto()


class _Said(IntEnum):
    """What a link of a station says of its remote end; of several links the first in this order counts."""

    UP = auto()
    DOWN = auto()
    NOTHING = auto()
    DOWN_ONCE = auto()

    @classmethod
    def of(cls, link: LinkHealth, *, before_down: bool) -> _Said:
        """What a link says, which was down at the check before or not."""
        if link.state is ServiceState.DOWN:
            return cls.DOWN if before_down else cls.DOWN_ONCE
        return cls.UP if link.up else cls.NOTHING

    @property
    def works(self) -> bool | None:
        """Whether it counts as working, as it does while nothing is reported; None if that is not yet sure."""
        return None if self is _Said.DOWN_ONCE else self is not _Said.DOWN


@dataclass(slots=True)
class _FarEndStates:
    """What stations reported of one remote end.

    Attributes:
        down: Stations whose link is down, and since when, the earliest first; also those that can't be asked any more.
        up: Stations whose link works, or whose state is not reported, and when that was seen, the latest last.
        silent: Stations that had the link and can't be asked any more, whether it worked or not.
        own: Stations of ``down`` that lost their own links: others were asked after that, and had it.
        witnesses: Stations to ask whose link worked when the remote end was suspected, or later.
        suspected: When that was; None while it is not.
        blamed: Whether it was found to be lost since then: it works again once most that answer have it, not a few.
    """

    down: dict[str, datetime] = field(default_factory=dict)
    up: dict[str, datetime] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    witnesses: tuple[str, ...] = ()
    suspected: datetime | None = None
    blamed: bool = False

    def take(self, station: str, at: datetime, *, works: bool | None) -> None:
        """Note what a station reported at a time; None if its link is down in one check only."""
        self.up.pop(station, None)
        self.silent.discard(station)
        if works:
            self.down.pop(station, None)
            self.own.discard(station)
            self.up[station] = at
        elif works is False:
            self.down.setdefault(station, at)

    def forget(self, station: str, *, silent: bool = False) -> None:
        """Forget what a station reported; of one that can't tell any more, only that its link works."""
        self.up.pop(station, None)
        self.witnesses = tuple(one for one in self.witnesses if one != station)
        if silent:
            self.silent.add(station)
        else:
            self.down.pop(station, None)
            self.own.discard(station)
            self.silent.discard(station)

    def lost_lately(self) -> dict[str, datetime]:
        """Stations that lost it one soon after the other, the latest first: older losses have other causes."""
        found: dict[str, datetime] = {}
        for station, at in reversed(self.down.items()):
            if found and next(reversed(found.values())) - at > WINDOW:
                break
            found[station] = at
        return found

    def lost_since(self, since: datetime) -> bool:
        """Whether a station that is without it lost it at this time or later."""
        return any(at >= since for at in islice(reversed(self.down.values()), 1))

    def state(self, network: Network, unheard: Callable[[], int]) -> _State:
        """Whether most stations checked since it began to fail have lost it, and most of those that were asked too.

        Once those that were asked have it, only another loss begins a suspicion: what goes dark later proves nothing.

        Args:
            network: The network, which knows sites.
            unheard: Gives the number of stations that never answered, so that nobody knows whether they have the link.
        """
        lost = self.lost_lately()
        if _when_at_several_sites(network, lost) is None or lost.keys() <= self.own:
            self._end_suspicion()
            return _State.WORKS if self.up else _State.UNKNOWN
        if self.suspected is None:
            self.suspected = max(lost.values())
        self._choose()
        verdict = self._verdict(lost, unheard)
        if verdict is _State.WORKS:
            self.own.update(lost)
            self._end_suspicion()
        elif verdict is _State.LOST:
            self.blamed = True
        return verdict

    def _end_suspicion(self) -> None:
        self.suspected, self.witnesses, self.blamed = None, (), False

    def _choose(self) -> None:
        """Choose stations to ask, from all over the network, also instead of those that can't be asked any more."""
        missing = _WITNESSES - len(self.witnesses)
        if missing > 0 and (others := sorted(self.up.keys() - set(self.witnesses))):
            self.witnesses += tuple(others[:: max(1, len(others) // missing)][:missing])

    def _verdict(self, lost: Mapping[str, datetime], unheard: Callable[[], int]) -> _State:
        """What those say that answer: dark stations have no voice, whatever they said before."""
        still = len(lost.keys() - self.silent)
        if 0 < self._working(min(lost.values())) >= still:
            return _State.WORKS
        if not still:
            return _State.UNKNOWN
        if self.blamed or self._most_lost_it(still, unheard):
            contradicted = self._working(max(lost.values())) and still <= len(self.up)
            return _State.UNKNOWN if contradicted else _State.LOST
        fresh = self._working(self.suspected)
        return _State.WORKS if fresh and 2 * fresh >= len(self.witnesses) else _State.UNKNOWN

    def _most_lost_it(self, still: int, unheard: Callable[[], int]) -> bool:
        """Whether most witnesses have lost it; without any, most of all stations that may have had it."""
        if not self.witnesses:
            return still > len(self.silent) + unheard()
        return 2 * sum(one in self.down for one in self.witnesses) > len(self.witnesses)

    def _working(self, since: datetime | None) -> int:
        """Number of stations that were read since a time, and have it."""
        seen = takewhile(lambda station: since is not None and self.up[station] >= since, reversed(self.up))
        return sum(1 for _ in seen)

    @property
    def waiting(self) -> list[str]:
        """Witnesses that have not been asked since the remote end was suspected."""
        since = self.suspected
        answered = [one for one in self.witnesses if since and one in self.up and self.up[one] >= since]
        return [one for one in self.witnesses if one not in self.down and one not in answered]


class _UnreachableDevices:
    """Unreachable devices, counted for each backhaul node above them.

    Args:
        followed: Devices that are checked.
    """

    def __init__(self, network: Network, followed: Iterable[str]) -> None:
        self.network = network
        #: Whether a device can't be reached, of those that are not known to be; None where nobody can tell.
        self._dark: dict[str, bool | None] = {}
        #: Number of devices below a node: all of which something can be told, and the unreachable ones.
        self._told = Counter(node for device in followed for node in self._above(device))
        self.below: Counter[str] = Counter()
        #: Nodes below which no device can be reached.
        self.cut: set[str] = set()

    def _above(self, device: str) -> tuple[str, ...]:
        known = self.network.manages(device) and device not in self.network.endpoint_function
        return self.network.backhaul_above(device) if known else ()

    def take(self, device: str, *, dark: bool | None) -> None:
        """Note whether a device can't be reached; None if nobody can tell."""
        before = self._dark.get(device, False)
        if dark is before:
            return
        self._dark[device] = dark
        for node in self._above(device):
            self.below[node] += (dark is True) - (before is True)
            self._told[node] += (before is None) - (dark is None)
            (self.cut.add if 0 < self.below[node] == self._told[node] else self.cut.discard)(node)


class CommonFaults:
    """Finds common faults of devices, check by check."""

    def __init__(self) -> None:
        self._followed: frozenset[str] = frozenset()
        #: Number of failed reads in a row, by device; when it answered last; and the first of the failed reads.
        self._misses: dict[str, int] = {}
        self._answered: dict[str, datetime] = {}
        self._dark_since: dict[str, datetime] = {}
        #: Devices of which nobody can tell whether they can be reached, since a job just changes or restarts them.
        self._untold: set[str] = set()
        self._counted: _UnreachableDevices | None = None
        self._ends: dict[_FarEnd, _FarEndStates] = defaultdict(_FarEndStates)
        self._ends_of: dict[str, frozenset[_FarEnd]] = {}

    def follow(self, devices: Collection[str]) -> None:
        """Count these devices and no others."""
        self._followed, self._counted = frozenset(devices), None
        self._untold &= self._followed
        for device in self._misses.keys() - self._followed:
            for known in (self._misses, self._answered, self._dark_since):
                known.pop(device, None)
            self._forget(device, self._ends_of.pop(device, frozenset()))

    def take(self, network: Network, before: Health | None, now: Health) -> None:
        """Take in two checks of a device in a row: a fault must show in both."""
        self._reach(network, now.station, now.at, answers=now.reachable)
        reached, known = _reached(network, before, now), self._ends_of.get(now.station, frozenset())
        silent = not now.reachable or _is_cut_off(now)
        self._forget(now.station, known - reached.keys(), silent=silent)
        self._ends_of[now.station] = known | reached.keys() if silent else frozenset(reached)
        for end, works in reached.items():
            self._ends[end].take(now.station, now.at, works=works)

    def take_changing(self, network: Network, device: str, at: datetime, *, answers: bool) -> None:
        """Take in a look at a device that a job just changes: it says nothing of its links, but may have answered.

        If it did not, nobody can tell why, unless that is known (``take``): then it speaks neither for a cut nor
        against one.
        """
        if answers:
            self._reach(network, device, at, answers=True)
        else:
            self._untold.add(device)
            self._misses[device] = max(1, self._misses.get(device, 0))
            self._dark(network).take(device, dark=None)
        self._forget(device, self._ends_of.get(device, frozenset()), silent=True)

    def _reach(self, network: Network, device: str, at: datetime, *, answers: bool) -> None:
        self._untold.discard(device)
        misses = self._misses[device] = 0 if answers else self._misses.get(device, 0) + 1
        self._dark(network).take(device, dark=misses >= _MISSES)
        if answers:
            self._answered[device] = at
            self._dark_since.pop(device, None)
        else:
            self._dark_since.setdefault(device, at)

    def reports(self, network: Network, standing: Iterable[Alarm], at: datetime) -> Iterator[AlarmReport]:
        """Reports for the alarm list: new faults, and faults that are over."""
        ours = (one for one in standing if one.probable_cause in _CLASSES)
        raised = {_Fault(one.probable_cause, one.tenant, one.object) for one in ours if one.cleared is None}
        states = self._states(network)
        found = dict(self._lost_ends(network, states)) | dict(self._cut_nodes(network))
        for fault, known in found.items():
            if fault not in raised:
                yield _report(fault, PerceivedSeverity.CRITICAL, known, at)
        for fault in sorted(raised - found.keys()):
            if self._works(network, fault, states):
                yield _report(fault, PerceivedSeverity.CLEARED, _Found("", at), at)

    def to_ask(self) -> frozenset[str]:
        """Stations that should be checked at once: what they say decides whether a remote end is lost."""
        return frozenset(one for seen in self._ends.values() for one in seen.waiting) & self._followed

    def _states(self, network: Network) -> dict[_FarEnd, _State]:
        return {end: seen.state(network, lambda: self._unheard(network)) for end, seen in self._ends.items()}

    def _unheard(self, network: Network) -> int:
        """Number of stations that never answered since Minka was started."""
        return len((self._followed & network.station_by_id.keys()) - self._answered.keys())

    def _answers(self, device: str) -> bool:
        return self._misses.get(device) == 0

    def _dark(self, network: Network) -> _UnreachableDevices:
        """Unreachable devices; counted again if the network or the checked devices changed."""
        if self._counted is None or self._counted.network is not network:
            self._counted = _UnreachableDevices(network, self._followed)
            for device, misses in self._misses.items():
                self._counted.take(device, dark=None if device in self._untold else misses >= _MISSES)
        return self._counted

    def _forget(self, station: str, ends: Iterable[_FarEnd], *, silent: bool = False) -> None:
        for end in ends:
            self._ends[end].forget(station, silent=silent)

    def _lost_ends(self, network: Network, states: Mapping[_FarEnd, _State]) -> Iterator[tuple[_Fault, _Found]]:
        for end, state in states.items():
            if state is not _State.LOST:
                continue
            lost = self._ends[end].lost_lately()
            if not (end.tenant or self._several(network, end.link, min(lost.values()))):
                continue
            whose = f"{end.link} of {end.tenant}" if end.tenant else f"what lies at or behind {end.link}"
            text = f"{len(lost)} stations have lost {whose}, most that were checked since"
            fault = _Fault(CORE_NODE_DOWN if end.tenant else REMOTE_END_DOWN, end.tenant, end.link)
            yield fault, _Found(text, next(reversed(lost.values())))

    def _several(self, network: Network, remote: str, since: datetime) -> bool:
        """Whether stations lost more than one core node behind a remote end since then; otherwise the node failed."""
        behind = [_FarEnd(*link) for link in network.remote_ends.get(remote, ())]
        lately = [end for end in behind if end in self._ends and self._ends[end].lost_since(since)]
        return len(lately) > 1

    def _cut_nodes(self, network: Network) -> Iterator[tuple[_Fault, _Found]]:
        """Backhaul nodes below which nothing can be reached any more.

        A device that was dark while another one below the same node still answered is so for another reason. The node
        is the nearest to all those that went dark since.
        """
        cut = self._dark(network).cut
        for node in sorted(node for node in cut if network.backhaul_by_id[node].parent not in cut):
            below = self._reached_over(network, node)
            last = max((self._answered[device] for device in below if device in self._answered), default=None)
            told = below - self._untold
            lost = [device for device in told if last is None or self._dark_since[device] + SKEW >= last]
            if not _at_several_sites(network, lost):
                continue
            ways = [network.backhaul_above(device) for device in lost]
            common = set(ways[0]).intersection(*ways)
            nearest = next(above for above in ways[0] if above in common)
            text = f"none of the {len(self._reached_over(network, nearest))} devices below {nearest} can be reached"
            began = min(self._dark_since[device] for device in lost) if last is None else last
            yield _Fault(BACKHAUL_DOWN, "", nearest), _Found(text, began)

    def _reached_over(self, network: Network, node: str) -> frozenset[str]:
        """Devices below a node; stations that live in a function are reached at its pool, wherever their cells are."""
        below = network.devices_below.get(node, frozenset()) & self._followed
        return below - network.endpoint_function.keys()

    def _works(self, network: Network, fault: _Fault, states: Mapping[_FarEnd, _State]) -> bool:
        """Whether an object without a fault is known to work, which needs enough checks."""
        if fault.cause == BACKHAUL_DOWN:
            below = self._reached_over(network, fault.object)
            return not below or any(map(self._answers, below))
        if not self._followed <= self._misses.keys():
            return False
        end = _FarEnd(fault.tenant, fault.object)
        if states.get(end, _State.UNKNOWN) is _State.UNKNOWN:
            return not self._may_reach(network, end)
        return states[end] is _State.WORKS or not fault.tenant

    def _may_reach(self, network: Network, end: _FarEnd) -> bool:
        """Whether some station may have a link to a remote end: it has one, or can't be asked."""
        tenant = network.tenant_by_id.get(end.tenant)
        known = end.link in (tenant.far_ends if tenant else network.remote_ends)
        return known and (any(self._misses.values()) or any(end in ends for ends in self._ends_of.values()))


def _reached(network: Network, before: Health | None, now: Health) -> dict[_FarEnd, bool | None]:
    """The remote ends that a station's core links reach, and those they don't.

    One that is cut off from all tenants' says nothing of any, unless all its links lead to one remote end. A link that
    vanished from its station says nothing either; one whose state is not reported is not known to be lost. None stands
    for one that is down in this check only.
    """
    there = [link for link in now.links if link.tenant and not link.locked] if now.reachable else []
    links = [link for link in there if not link.missing]
    ends = {link.path: _FarEnd(link.tenant, step(link.path)[1][0]) for link in links}
    remote = {path: network.remote_ends_of.get(end, frozenset()) for path, end in ends.items()}
    down_before = {link.path for link in before.links if link.state is ServiceState.DOWN} if before else ()
    found: dict[_FarEnd, _Said] = {}
    at_one_end = bool(remote) and bool(frozenset.intersection(*remote.values()))
    for link in () if _is_cut_off(now) and not at_one_end else links:
        for end in (ends[link.path], *(_FarEnd("", one) for one in remote[link.path])):
            said = _Said.of(link, before_down=link.path in down_before)
            found[end] = min(said, found.get(end, said))
    return {end: said.works for end, said in found.items()}


def _is_cut_off(now: Health) -> bool:
    """Whether a station has lost the links of several tenants, all that it has."""
    there = [link for link in now.links if link.tenant and not link.locked]
    return all(link.state is ServiceState.DOWN for link in there) and len({link.tenant for link in there}) > 1


def _at_several_sites(network: Network, devices: Iterable[str]) -> bool:
    """Whether devices are at two or more sites: a fault at one site only concerns that site."""
    sites = (network.site_of(device) for device in devices if network.manages(device))
    first = next(sites, None)
    return any(site != first for site in sites)


def _when_at_several_sites(network: Network, lost: dict[str, datetime]) -> datetime | None:
    """When a fault reached a second site; None if it is at one only. ``lost`` has the latest first."""
    sites: set[str] = set()
    for station, at in reversed(lost.items()):
        if network.manages(station):
            sites.add(network.site_of(station))
        if len(sites) > 1:
            return at
    return None


def _report(fault: _Fault, severity: PerceivedSeverity, known: _Found, at: datetime) -> AlarmReport:
    return AlarmReport(
        station="",
        object=fault.object,
        object_class=_CLASSES[fault.cause],
        tenant=fault.tenant,
        probable_cause=fault.cause,
        severity=severity,
        text=known.text,
        source=AlarmSource.CHECK,
        at=at,
        seen=known.began if known.began < at else None,
    )
