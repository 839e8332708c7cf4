"""Common faults of several devices: a failed core node, other remote end, or backhaul node. Pure.

No device tells of these: they show in what many devices tell, or no longer tell. What each one showed last is kept, so
that a check costs the same in a small network and in a large one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile
from typing import NamedTuple

from controller.models.alarm import (
    BACKHAUL_DOWN,
    CORE_NODE_DOWN,
    REMOTE_END_DOWN,
    Alarm,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.health import Health, ServiceState
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


class _Fault(NamedTuple):
    """A fault, as its alarm names it."""

    cause: str
    tenant: str
    object: str


class _FarEnd(NamedTuple):
    """The remote end of core links with equal names; without a tenant, one that several of them share."""

    tenant: str
    link: str


@dataclass(slots=True)
class _FarEndStates:
    """What stations reported of one remote end.

    Attributes:
        down: Stations whose link is down, and since when, the earliest first.
        up: Stations whose link works, or whose state is not reported, and when that was seen, the latest last.
    """

    down: dict[str, datetime] = field(default_factory=dict)
    up: dict[str, datetime] = field(default_factory=dict)

    def take(self, station: str, at: datetime, *, works: bool) -> None:
        """Note what a station reported at a time."""
        self.up.pop(station, None)
        if works:
            self.down.pop(station, None)
            self.up[station] = at
        else:
            self.down.setdefault(station, at)

    def forget(self, station: str) -> None:
        """Forget what a station reported."""
        self.up.pop(station, None)
        self.down.pop(station, None)

    def lost(self, network: Network) -> bool:
        """Whether most stations checked since it began to fail have lost it."""
        if not _at_several_sites(network, self.down):
            return False
        since = next(iter(self.down.values()))
        working = takewhile(lambda station: self.up[station] >= since, reversed(self.up))
        return len(list(islice(working, len(self.down)))) < len(self.down)


class _UnreachableDevices:
    """Unreachable devices, counted for each backhaul node above them.

    Args:
        followed: Devices that are checked.
    """

    def __init__(self, network: Network, followed: Iterable[str]) -> None:
        self.network = network
        self.devices: set[str] = set()
        #: Number of devices below a node: all that are checked, and the unreachable ones.
        self._all = Counter(node for device in followed for node in self._above(device))
        self.below: Counter[str] = Counter()
        #: Nodes below which no device can be reached.
        self.cut: set[str] = set()

    def _above(self, device: str) -> tuple[str, ...]:
        known = self.network.manages(device) and device not in self.network.endpoint_function
        return self.network.backhaul_above(device) if known else ()

    def take(self, device: str, *, dark: bool) -> None:
        """Note whether a device can be reached."""
        if dark is (device in self.devices):
            return
        (self.devices.add if dark else self.devices.discard)(device)
        for node in self._above(device):
            self.below[node] += 1 if dark else -1
            (self.cut.add if self.below[node] == self._all[node] else self.cut.discard)(node)


class CommonFaults:
    """Finds common faults of devices, check by check."""

    def __init__(self) -> None:
        self._followed: frozenset[str] = frozenset()
        #: Number of failed reads in a row, by device.
        self._misses: dict[str, int] = {}
        self._counted: _UnreachableDevices | None = None
        self._ends: dict[_FarEnd, _FarEndStates] = defaultdict(_FarEndStates)
        self._ends_of: dict[str, frozenset[_FarEnd]] = {}

    def follow(self, devices: Collection[str]) -> None:
        """Count these devices and no others."""
        self._followed, self._counted = frozenset(devices), None
        for device in self._misses.keys() - self._followed:
            del self._misses[device]
            self._forget(device, self._ends_of.pop(device, frozenset()))

    def take(self, network: Network, before: Health | None, now: Health) -> None:
        """Take in two checks of a device in a row: a fault must show in both."""
        misses = self._misses[now.station] = 0 if now.reachable else self._misses.get(now.station, 0) + 1
        self._dark(network).take(now.station, dark=misses >= _MISSES)
        reached = _reached(network, before, now)
        self._forget(now.station, self._ends_of.get(now.station, frozenset()) - reached.keys())
        self._ends_of[now.station] = frozenset(reached)
        for end, works in reached.items():
            self._ends[end].take(now.station, now.at, works=works)

    def reports(self, network: Network, standing: Iterable[Alarm], at: datetime) -> Iterator[AlarmReport]:
        """Reports for the alarm list: new faults, and faults that are over."""
        ours = (one for one in standing if one.probable_cause in _CLASSES)
        raised = {_Fault(one.probable_cause, one.tenant, one.object) for one in ours if one.cleared is None}
        found = dict(self._lost_ends(network)) | dict(self._cut_nodes(network))
        for fault, text in found.items():
            if fault not in raised:
                yield _report(fault, PerceivedSeverity.CRITICAL, text, at)
        wider = {fault.object for fault in found if fault.cause == BACKHAUL_DOWN}
        for fault in sorted(raised - found.keys()):
            if self._works(network, fault) or wider & set(network.backhaul_from(fault.object)):
                yield _report(fault, PerceivedSeverity.CLEARED, "", at)

    def _dark(self, network: Network) -> _UnreachableDevices:
        """Unreachable devices; counted again if the network or the checked devices changed."""
        if self._counted is None or self._counted.network is not network:
            self._counted = _UnreachableDevices(network, self._followed)
            for device, misses in self._misses.items():
                self._counted.take(device, dark=misses >= _MISSES)
        return self._counted

    def _forget(self, station: str, ends: Iterable[_FarEnd]) -> None:
        for end in ends:
            self._ends[end].forget(station)

    def _lost_ends(self, network: Network) -> Iterator[tuple[_Fault, str]]:
        for end, seen in self._ends.items():
            if not seen.lost(network) or not (end.tenant or self._several(network, end.link)):
                continue
            whose = f"{end.link} of {end.tenant}" if end.tenant else f"what lies at or behind {end.link}"
            text = f"{len(seen.down)} stations have lost {whose}, most that were checked since"
            yield _Fault(CORE_NODE_DOWN if end.tenant else REMOTE_END_DOWN, end.tenant, end.link), text

    def _several(self, network: Network, remote: str) -> bool:
        """Whether more than one core node is lost behind a remote end; otherwise the node itself failed."""
        behind = (self._ends.get(_FarEnd(*link)) for link in network.remote_ends.get(remote, ()))
        return sum(seen is not None and bool(seen.down) for seen in behind) > 1

    def _cut_nodes(self, network: Network) -> Iterator[tuple[_Fault, str]]:
        """Backhaul nodes below which nothing can be reached, each the nearest to all unreachable devices there."""
        dark = self._dark(network)
        below = defaultdict(list)
        for node in dark.cut:
            below[network.backhaul_by_id[node].parent].append(node)
        for node in sorted(node for node in dark.cut if network.backhaul_by_id[node].parent not in dark.cut):
            nearest = node
            while len(below[nearest]) == 1 and dark.below[below[nearest][0]] == dark.below[nearest]:
                nearest = below[nearest][0]
            there = self._reached_over(network, nearest)
            if _at_several_sites(network, there):
                text = f"none of the {len(there)} devices below {nearest} can be reached"
                yield _Fault(BACKHAUL_DOWN, "", nearest), text

    def _reached_over(self, network: Network, node: str) -> frozenset[str]:
        """Devices below a node; stations that live in a function are reached at its pool, wherever their cells are."""
        below = network.devices_below.get(node, frozenset()) & self._followed
        return below - network.endpoint_function.keys()

    def _works(self, network: Network, fault: _Fault) -> bool:
        """Whether an object without a fault is known to work, which needs enough checks."""
        if fault.cause == BACKHAUL_DOWN:
            below = self._reached_over(network, fault.object)
            return not below or any(self._misses.get(device) == 0 for device in below)
        return self._followed <= self._misses.keys()


def _reached(network: Network, before: Health | None, now: Health) -> dict[_FarEnd, bool]:
    """The remote ends that a station's core links reach, and those they don't.

    One that is cut off from all tenants' says nothing of any, unless all its links lead to one remote end. A link that
    vanished from its station says nothing either; one whose state is not reported is not known to be lost.
    """
    there = [link for link in now.links if link.tenant and not link.locked] if now.reachable else []
    links = [link for link in there if not link.missing]
    ends = {link.path: _FarEnd(link.tenant, step(link.path)[1][0]) for link in links}
    remote = {path: network.remote_ends_of.get(end, frozenset()) for path, end in ends.items()}
    down_before = {link.path for link in before.links if link.state is ServiceState.DOWN} if before else ()
    cut_off = all(link.state is ServiceState.DOWN for link in there) and len({link.tenant for link in there}) > 1
    reached: dict[_FarEnd, bool] = {}
    unknown: set[_FarEnd] = set()
    at_one_end = bool(remote) and bool(frozenset.intersection(*remote.values()))
    for link in () if cut_off and not at_one_end else links:
        for end in (ends[link.path], *(_FarEnd("", one) for one in remote[link.path])):
            if link.up:
                reached[end] = True
            elif link.state is ServiceState.DOWN and link.path in down_before:
                reached.setdefault(end, False)
            elif link.state is ServiceState.UNKNOWN:
                unknown.add(end)
    return dict.fromkeys(unknown, True) | reached


def _at_several_sites(network: Network, devices: Iterable[str]) -> bool:
    """Whether devices are at two or more sites: a fault at one site only concerns that site."""
    sites = (network.site_of(device) for device in devices if network.manages(device))
    first = next(sites, None)
    return any(site != first for site in sites)


def _report(fault: _Fault, severity: PerceivedSeverity, text: str, at: datetime) -> AlarmReport:
    return AlarmReport(
        station="",
        object=fault.object,
        object_class=_CLASSES[fault.cause],
        tenant=fault.tenant,
        probable_cause=fault.cause,
        severity=severity,
        text=text,
        source=AlarmSource.CHECK,
        at=at,
    )
