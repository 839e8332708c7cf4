"""What really happened on the twin: outages to the second, faults and what ended them, and acts of managers.

All of it comes from changes at the stations as they happen, and not from any record of the controller.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.rehearsal.twin import MANAGER
from simulators.datastore import Config
from simulators.equipment.configuration import ConfiguredCell
from simulators.equipment.fault_kinds import Place, Remedy, Service
from simulators.equipment.faults import NetworkFault
from simulators.fleet.fleet import Fleet
from simulators.history import Event, EventKind
from simulators.station import Station

#: Demand of a cell, by cell and tenant.
Demand = Mapping[tuple[str, str], float]
#: Causes of lost minutes that are no fault of the twin by themselves; all others are kinds of fault.
CUT, LOST_CORE, FLAPPING, REVERTED = "cut", "lost-core", "flapping", "configuration-reverted"
#: Cause of minutes that no fault explains: somebody's act took the service.
WORK = "work"
#: Acts of a manager at a station.
_ACTS = (EventKind.EDITED, EventKind.REMEDY, EventKind.RESTARTED)
#: Cause of a requested restart.
_ASKED = "MPLANE-TRIGGERED-RESTART"
#: Seconds without an act of a manager after which the next one at the same station is another attempt.
_APART = 300.0


def demand_of(fleet: Fleet, local: datetime) -> dict[str, Demand]:
    """Demand everywhere at a local time, if all is well."""
    return {name: station.equipment.performance.reaches(local) for name, station in fleet.stations.items()}


class Outages:
    """Minutes in which tenants' users in cells have no service, as an integral over changes.

    A cell of which a tenant's users get a part counts in part: half of its user plane lost for ten minutes is five.
    That a cell carries less than usual does not count.

    Attributes:
        end: When the day is over. Runs that are under way then are played to their end, which does not count.
    """

    def __init__(self, fleet: Fleet, local: datetime, whole: Mapping[str, Demand]) -> None:
        self._fleet = fleet
        self._local = local
        self._whole = whole
        self.end = math.inf
        #: By station, since when which part of each cell is lost to each tenant.
        self._now: dict[str, tuple[float, Demand]] = {}
        #: By station, the cells and tenants whose PLMN its configuration has.
        self._carried: dict[str, Collection[tuple[str, str]]] = {}
        #: By station, why each part is lost.
        self._why: dict[str, dict[tuple[str, str], str]] = {}
        #: By station, who was served in which cell before the last change.
        self._served: dict[str, tuple[float, set[tuple[str, str]]]] = {}
        #: By station, tenant and cause.
        self._seconds: defaultdict[tuple[str, str, str], float] = defaultdict(float)
        for station in fleet.stations.values():
            station.equipment.followers = (*station.equipment.followers, self._changed)

    def _changed(self, name: str) -> None:
        self._remember(name)
        self._count(name)
        reaches = self._fleet.stations[name].equipment.performance.reaches(self._local)
        wanted = {key: demand for key, demand in self._whole[name].items() if demand > 0}
        lost = {key: 1.0 - reaches.get(key, 0.0) / demand for key, demand in wanted.items()}
        self._now[name] = self._counted(), {key: part for key, part in lost.items() if part > 1e-9}
        self._carried[name] = reaches.keys()
        self._explain(name)

    def explain(self) -> None:
        """Ask again why each part is lost: the end of one of two causes changes nothing at a station."""
        for name in [name for name, (_, lost) in self._now.items() if lost]:
            self._count(name)
            self._explain(name)

    def _explain(self, name: str) -> None:
        before = self._why.get(name, {})
        self._why[name] = {key: _cause(before.get(key, ""), self._causes(name, key)) for key in self._now[name][1]}

    def _causes(self, name: str, key: tuple[str, str]) -> Iterator[str]:
        yield from causes_of(self._fleet, name, *key)
        if key not in self._carried[name]:
            yield REVERTED

    def _remember(self, name: str) -> None:
        now = self._fleet.clock.monotonic()
        if self._served.get(name, (-1.0, set()))[0] != now:
            _, lost = self._now.get(name, (0.0, {}))
            wanted = (key for key, demand in self._whole[name].items() if demand > 0)
            self._served[name] = now, {key for key in wanted if lost.get(key, 0.0) < 1.0 - 1e-9}

    def _counted(self) -> float:
        return min(self._fleet.clock.monotonic(), self.end)

    def _count(self, name: str) -> None:
        now = self._counted()
        since, lost = self._now.get(name, (now, {}))
        for (cell, tenant), part in lost.items() if now > since else ():
            self._seconds[name, tenant, self._why[name][cell, tenant]] += part * (now - since)
        self._now[name] = now, lost

    def minutes(self) -> dict[tuple[str, str], float]:
        """Minutes until now or the end of the day, by station and tenant; each cell counts."""
        found: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (name, tenant, _), seconds in self._until_now().items():
            found[name, tenant] += seconds / 60
        return dict(found)

    def causes(self) -> dict[tuple[str, str], float]:
        """The same minutes by cause and tenant.

        A minute has one cause. Of several that stand, it is the one that took the service first; while a cell comes on
        air again after a fault, the fault is still the cause.
        """
        found: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (_, tenant, why), seconds in self._until_now().items():
            found[why, tenant] += seconds / 60
        return dict(found)

    def _until_now(self) -> Mapping[tuple[str, str, str], float]:
        for name in list(self._now):
            self._count(name)
        return self._seconds

    def served_before(self, station: str, cells: Collection[str] | None = None) -> set[str]:
        """Like ``serves``, before the last change at the station."""
        at, served = self._served.get(station, (-1.0, set()))
        if at != self._fleet.clock.monotonic():
            return self.serves(station, cells)
        return {tenant for cell, tenant in served if cells is None or cell in cells}

    def serves(self, station: str, cells: Iterable[str] | None = None) -> set[str]:
        """Tenants whose users have some service now in these cells of a station, or in any if none are named."""
        wanted = None if cells is None else set(cells)
        reaches = self._fleet.stations[station].equipment.performance.reaches(self._local)
        return {tenant for (cell, tenant), part in reaches.items() if part > 0 and (wanted is None or cell in wanted)}


def _cause(before: str, standing: Iterable[str]) -> str:
    """The cause of what is lost now: the one before as long as it stands or nothing else does."""
    found = list(standing)
    return before if before and (before in found or not found) else next(iter(found), WORK)


def causes_of(fleet: Fleet, name: str, cell: str, tenant: str) -> Iterator[str]:
    """Yields what takes a cell of a station from a tenant's users now, from the widest cause to the narrowest.

    It asks the twin itself, and not what was drawn or recorded.
    """
    faults, transport = list(fleet.stations[name].equipment.faults), fleet.transport
    yield from (one.kind.name for one in faults if one.stage.dark)
    if transport.is_cut_off(name):
        yield CUT
    if tenant in transport.lost_cores:
        yield LOST_CORE
    yield from _of_links(fleet.stations[name], faults, tenant)
    yield from _of_cells(fleet.stations[name], faults, cell)


def _of_links(station: Station, faults: Iterable[NetworkFault], tenant: str) -> Iterator[str]:
    """Yields what holds a tenant's core links at a station down; a link that no fault broke flaps."""
    radio, by_faults = station.equipment.radio, set()
    for one in faults:
        by_faults |= set(one.links)
        if one.kind.name == "core-links-down" or (one.links and one.target == tenant):
            yield one.kind.name
    theirs = {link.name for link in radio.links if link.tenant == tenant}
    if radio.links_broken & theirs - by_faults:
        yield FLAPPING


def _of_cells(station: Station, faults: Iterable[NetworkFault], name: str) -> Iterator[str]:
    """Yields what keeps a cell from serving: its own faults first, then those of cells that may be its anchors."""
    cells = {status.configured.id: status.configured for status in station.equipment.radio.cells}
    off = [one for one in faults if one.stage.service in (Service.OFF, Service.SLEEPING)]
    cell = cells.get(name)
    own = [one for one in off if cell is not None and _strikes(one, cell)]
    yield from (one.kind.name for one in (*own, *off))


def _strikes(one: NetworkFault, cell: ConfiguredCell) -> bool:
    here = one.kind.place is Place.STATION or one.target in (cell.id, cell.unit)
    return here and (not one.stage.cells or cell.cell_class in one.stage.cells)


@dataclass
class StruckFault:
    """A fault of a cause at a station, and its course.

    Attributes:
        remote: The remedies from afar that cure it.
        ended: When it ended; None while it stands.
        how: ``itself``, ``visit`` or ``remedy``.
    """

    cause: str
    kind: str
    station: str
    target: str
    since: float
    remote: frozenset[Remedy] = frozenset()
    ended: float | None = None
    how: str = ""
    fault: NetworkFault | None = None
    #: The station's configuration before somebody restored an older one.
    before: Config | None = None

    @property
    def curable(self) -> bool:
        """Whether a remote remedy can cure it."""
        return bool(self.remote) or self.before is not None

    def stands(self, at: float) -> bool:
        """Whether it was there at a moment."""
        return self.since <= at and (self.ended is None or at < self.ended)


@dataclass
class Act:
    """An edit or operation of a manager at a station.

    Attributes:
        remedies: What of it may cure something, with ``targets``.
        open: Faults of the station that stood at that moment.
    """

    open: tuple[StruckFault, ...]
    remedies: set[Remedy] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)


@dataclass
class Attempt:
    """A manager's connected acts at a station.

    Attributes:
        at: When it began, in seconds since the day began.
        acts: Each of them, with what stood then.
        serving: Tenants that got service where it interrupts, just before.
    """

    at: float
    station: str
    last: float
    acts: list[Act] = field(default_factory=list)
    serving: set[str] = field(default_factory=set)

    @property
    def remedies(self) -> set[Remedy]:
        """What of all of it may cure something."""
        return {remedy for act in self.acts for remedy in act.remedies}

    @property
    def targets(self) -> set[str]:
        """What these were applied to."""
        return {target for act in self.acts for target in act.targets}


@dataclass(frozen=True, slots=True)
class _Configured:
    """Parts of a station's configuration that may cure something if they are removed for a while.

    Attributes:
        ends: Tenants of its core links, by end point.
        unlocked: Radio units of its unlocked cells, by cell.
    """

    ends: Mapping[str, str]
    unlocked: Mapping[str, str]

    @classmethod
    def of(cls, station: Station) -> _Configured:
        """The parts in the current configuration."""
        radio = station.equipment.radio
        cells = (status.configured for status in radio.cells)
        return cls(
            {link.name: link.tenant for link in radio.links}, {cell.id: cell.unit for cell in cells if cell.unlocked}
        )


class Watch:
    """Records faults and acts of managers."""

    def __init__(self, fleet: Fleet, outages: Outages) -> None:
        self._fleet = fleet
        self._configured = {name: _Configured.of(station) for name, station in fleet.stations.items()}
        self._outages = outages
        self.struck: list[StruckFault] = []
        self._by_fault: dict[tuple[str, int], StruckFault] = {}
        self.attempts: list[Attempt] = []
        self._latest: dict[str, Attempt] = {}
        self.visiting = False
        self._restoring = False
        self.edits = 0
        fleet.listen(events=self._happened)

    def strikes(self, one: StruckFault) -> None:
        """A fault begins."""
        self.struck.append(one)
        if one.fault is not None:
            self._by_fault[one.station, one.fault.id] = one
            if not one.fault.timers and one.fault.lasts == 0:
                self._end(one)

    def standing(self, station: str) -> list[StruckFault]:
        """Active faults at a station."""
        return [one for one in self.struck if one.station == station and one.ended is None]

    def _end(self, one: StruckFault) -> None:
        # Who restored a configuration is known by the change itself; of all else the station says what ended it.
        cured = self._restoring if one.fault is None else one.fault.cured_by is not None
        one.ended = self._fleet.clock.monotonic()
        one.how = "visit" if self.visiting else "remedy" if cured else "itself"

    # ---------------------------------------------------------------- what stations tell

    def _happened(self, station: str, event: Event) -> None:
        if event.kind is EventKind.NETWORK_FAULT_ENDED:
            one = self._by_fault.get((station, int(event.detail["id"])))
            if one is not None and one.ended is None and one.before is None:
                self._end(one)
        elif event.kind is EventKind.RUNNING_CHANGED:
            self._restoring = event.user == MANAGER
            self._restored(station)
            self._compare(station, event)
        if event.kind in _ACTS:
            self._acted(station, event)

    def _restored(self, station: str) -> None:
        for one in self.standing(station):
            if one.before is not None and self._fleet.stations[station].running == one.before:
                self._end(one)

    def _compare(self, station: str, event: Event) -> None:
        """What a manager's change of the configuration may cure: removed end points, locked cells."""
        now = _Configured.of(self._fleet.stations[station])
        before, self._configured[station] = self._configured[station], now
        attempt = self._latest.get(station)
        if event.user != MANAGER or attempt is None:
            return
        act = attempt.acts[-1]
        for name in before.ends.keys() - now.ends.keys():
            act.remedies.add(Remedy.RECREATE_LINK)
            act.targets.add(before.ends[name])
        for name in before.unlocked.keys() - now.unlocked.keys():
            act.remedies.add(Remedy.LOCK_UNLOCK)
            act.targets |= {name, before.unlocked[name]}
            attempt.serving |= self._outages.served_before(station, {name})

    def _acted(self, station: str, event: Event) -> None:
        asked = event.kind is EventKind.RESTARTED and event.detail.get("cause") == _ASKED
        if event.kind is EventKind.RESTARTED and not asked:
            return
        if event.kind is EventKind.EDITED and event.user != MANAGER:
            return
        now = self._fleet.clock.monotonic()
        self.edits += 1
        attempt = self._latest.get(station)
        if attempt is None or now - attempt.last > _APART:
            attempt = Attempt(now, station, now)
            self.attempts.append(attempt)
            self._latest[station] = attempt
        attempt.last = now
        attempt.acts.append(Act(tuple(self.standing(station))))
        self._note(attempt, event)

    def _note(self, attempt: Attempt, event: Event) -> None:
        """Note what it was, and whom it may have interrupted."""
        cells = [status.configured for status in self._fleet.stations[attempt.station].equipment.radio.cells]
        act = attempt.acts[-1]
        if event.kind is EventKind.RESTARTED:
            act.remedies.add(Remedy.RESTART)
            attempt.serving |= self._outages.served_before(attempt.station)
        elif event.kind is EventKind.REMEDY:
            remedy = Remedy(event.detail["remedy"])
            act.remedies.add(remedy)
            act.targets.add(str(event.detail["target"]))
            if remedy is Remedy.RESET_UNIT:
                of_unit = [cell.id for cell in cells if cell.unit == event.detail["target"]]
                attempt.serving |= self._outages.serves(attempt.station, of_unit)
