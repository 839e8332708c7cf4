"""How long faults took service away from tenants, and what their agreements allow. Pure.

A tenant's service in a cell is gone while the cell is off air, while the station has lost all transport, or while all
core links of one kind that the tenant has at the station are down: as long as one works, there is another path. Lost
management is not lost service: of a station that can't be reached nobody knows, and that is counted by itself.

Times in which a run interrupts the tenant, which it was told of, and in which the tenant works on the ends of all links
that are down, count by themselves too: nobody owes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import NamedTuple

from controller.intent.impact import Sharing, core_node_in, link_in
from controller.models.alarm import ALL_LINKS_DOWN, CELL_OFF_AIR, LINK_CAUSES, UNREACHABLE, Alarm
from controller.models.announced_work import AnnouncedWork, intervals
from controller.models.incident import AgreementMinutes, TenantMinutes
from controller.models.network import Agreement, Cell, Network
from controller.nrm.profiles import link_kind, rat_of
from controller.nrm.tree import Path

#: Causes of alarms that take service away, and of those that keep anybody from seeing whether there is any.
LOSES = LINK_CAUSES | {ALL_LINKS_DOWN, CELL_OFF_AIR}
COUNTED = LOSES | {UNREACHABLE}

#: Times from one point to another, in order, none touching the next.
Times = tuple[tuple[datetime, datetime], ...]


class Spell(NamedTuple):
    """A time in which an alarm stood as part of an incident."""

    alarm: Alarm
    since: datetime
    until: datetime


class _Group(NamedTuple):
    """Core links of which one is enough."""

    station: str
    tenant: str
    kind: str


@dataclass(frozen=True, slots=True)
class Excused:
    """Times for which nobody owes anything.

    Attributes:
        planned: In which runs interrupt a tenant at a station, by station and tenant.
        works: What tenants announced to do on their own cores.
    """

    planned: Mapping[tuple[str, str], Times] = field(default_factory=dict)
    works: Sequence[AnnouncedWork] = ()


@dataclass(slots=True)
class _Gone:
    """Times without service of a tenant in a cell: why."""

    off_air: list[tuple[datetime, datetime]] = field(default_factory=list)
    no_core: list[tuple[datetime, datetime]] = field(default_factory=list)
    own_work: list[tuple[datetime, datetime]] = field(default_factory=list)
    unseen: list[tuple[datetime, datetime]] = field(default_factory=list)


class _Parts(NamedTuple):
    """Times without service of a tenant in a cell, each in one of them only."""

    lost: Times
    planned: Times
    own_work: Times
    unseen: Times


class Outages:
    """What alarms took away.

    Args:
        network: Where cells are.
        sharing: Who shares them.
        links: Core links that are ours at stations, by station: those on the other paths.
        excused: What does not count.
    """

    def __init__(
        self, network: Network, sharing: Sharing, links: Mapping[str, Collection[tuple[str, Path]]], excused: Excused
    ) -> None:
        self._network = network
        self._sharing = sharing
        self._links = links
        self._excused = excused

    def minutes(self, spells: Iterable[Spell]) -> tuple[TenantMinutes, ...]:
        """Minutes of each tenant that lost some, or of which nobody knows, by tenant."""
        found: dict[str, list[float]] = defaultdict(lambda: [0.0] * 5)
        for (cell, tenant), parts in self._parts(spells).items():
            lengths = [_minutes(times) for times in parts]
            figures = found[tenant]
            for index, length in enumerate(lengths):
                figures[index] += length
            figures[4] += lengths[0] * self._people(cell, tenant)
        return tuple(
            TenantMinutes(
                tenant=tenant,
                lost=round(lost, 1),
                planned=round(planned, 1),
                own_work=round(own_work, 1),
                unseen=round(unseen, 1),
                people=round(people),
            )
            for tenant, (lost, planned, own_work, unseen, people) in sorted(found.items())
            if lost or planned or own_work or unseen
        )

    def agreements(self, spells: Iterable[Spell], at: datetime) -> tuple[AgreementMinutes, ...]:
        """What agreements in force lost in the month so far, of what they allow for a whole month; by agreement."""
        begin, end = month_of(self._network, at)
        length = (end - begin).total_seconds() / 60
        lost: dict[str, dict[str, float]] = defaultdict(dict)
        for (cell, tenant), parts in self._parts(_within(spells, begin, end)).items():
            lost[tenant][cell] = _minutes(parts.lost)
        found = []
        for one in self._network.agreements:
            if one.validity.holds_on(self._network.day(at)) and one.tenant in self._network.tenant_by_id:
                cells = self._sharing.reached_by(one)
                allowed = len(cells) * length * (100 - one.sla.availability_percent) / 100
                used = sum(minutes for cell, minutes in lost[one.tenant].items() if cell in cells)
                found.append(_agreement(one, used, allowed))
        return tuple(found)

    def _people(self, cell: str, tenant: str) -> float:
        """People of a cell's site, shared evenly among the tenant's cells there."""
        station = cell.partition("/")[0]
        if not self._network.manages(station):
            return 0.0
        site = self._network.site_of(station)
        there = self._network.stations_at.get(site, ())
        names = (one.name for other in there for one in self._network.cells_by_station.get(other, ()))
        own = len(self._sharing.tenants_at(names).get(tenant, ()))
        return self._network.site_by_id[site].population / own if own else 0.0

    def _parts(self, spells: Iterable[Spell]) -> dict[tuple[str, str], _Parts]:
        """Times without service by cell and tenant."""
        gone: dict[tuple[str, str], _Gone] = defaultdict(_Gone)
        down: dict[_Group, dict[Path, list[Spell]]] = defaultdict(lambda: defaultdict(list))
        for spell in spells:
            if spell.until <= spell.since:
                continue
            if spell.alarm.probable_cause in LINK_CAUSES:
                _add_link(down, spell)
                continue
            for tenant, cells in self._sharing.tenants_at(self._cells(spell.alarm)).items():
                for cell in cells:
                    _times_in(gone[cell, tenant], spell.alarm).append((spell.since, spell.until))
        for group, by_link in down.items():
            times, own_work = self._without_path(group, by_link)
            for cell in self._cells_over(group, by_link) if times else ():
                gone[cell, group.tenant].no_core.extend(times)
                gone[cell, group.tenant].own_work.extend(own_work)
        return {key: self._parted(key, one) for key, one in gone.items()}

    def _parted(self, key: tuple[str, str], gone: _Gone) -> _Parts:
        cell, tenant = key
        own = union(gone.own_work)
        owed = without(union([*gone.off_air, *gone.no_core]), own)
        planned = both(owed, self._excused.planned.get((cell.partition("/")[0], tenant), ()))
        lost = without(owed, planned)
        return _Parts(lost, planned, own, without(union(gone.unseen), union([*lost, *planned, *own])))

    def _cells(self, alarm: Alarm) -> Iterator[str]:
        if alarm.probable_cause == CELL_OFF_AIR:
            yield from alarm.cells
        elif alarm.probable_cause in COUNTED:
            yield from (cell.name for cell in self._network.cells_by_station.get(alarm.station, ()))

    def _without_path(self, group: _Group, down: Mapping[Path, list[Spell]]) -> tuple[Times, Times]:
        """Times in which all links of a group were down, and of these those in which its tenant worked on all ends."""
        known = {path for tenant, path in self._links.get(group.station, ()) if _of(group, tenant, path)}
        if known - down.keys():
            return (), ()
        times = [union((one.since, one.until) for one in spells) for spells in down.values()]
        works = [
            union(intervals(self._excused.works, group.tenant, core_node_in(spells[0].alarm)))
            for spells in down.values()
        ]
        return reduce(both, times), reduce(both, (both(*pair) for pair in zip(times, works, strict=True)))

    def _cells_over(self, group: _Group, down: Iterable[Path]) -> tuple[str, ...]:
        """Cells of the links' technology that their tenant shares."""
        rats = {rat_of(path) for path in down}
        there: tuple[Cell, ...] = self._network.cells_by_station.get(group.station, ())
        names = (cell.name for cell in there if cell.rat in rats)
        return self._sharing.tenants_at(names).get(group.tenant, ())


def month_of(network: Network, at: datetime) -> tuple[datetime, datetime]:
    """Begin and end of a month in the network's time zone."""
    local = at.astimezone(network.zone)
    begin = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (begin + timedelta(days=32)).replace(day=1)
    return begin.astimezone(UTC), end.astimezone(UTC)


def union(times: Iterable[tuple[datetime, datetime]]) -> Times:
    """Times that are in any of them."""
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


def _minutes(times: Times) -> float:
    return sum((until - since).total_seconds() for since, until in times) / 60


def _within(spells: Iterable[Spell], begin: datetime, end: datetime) -> Iterator[Spell]:
    for one in spells:
        yield one._replace(since=max(one.since, begin), until=min(one.until, end))


def _times_in(gone: _Gone, alarm: Alarm) -> list[tuple[datetime, datetime]]:
    if alarm.probable_cause == UNREACHABLE:
        return gone.unseen
    return gone.off_air if alarm.probable_cause == CELL_OFF_AIR else gone.no_core


def _add_link(down: Mapping[_Group, Mapping[Path, list[Spell]]], spell: Spell) -> None:
    path = link_in(spell.alarm.object)
    kind = link_kind(path) if path else None
    if kind is not None:
        for tenant in spell.alarm.tenants:
            down[_Group(spell.alarm.station, tenant, kind.value)][path].append(spell)


def _of(group: _Group, tenant: str, path: Path) -> bool:
    kind = link_kind(path)
    return tenant == group.tenant and kind is not None and kind.value == group.kind


def _agreement(one: Agreement, used: float, allowed: float) -> AgreementMinutes:
    share = used / allowed if allowed else float(used > 0)
    return AgreementMinutes(
        agreement=one.id,
        tenant=one.tenant,
        availability_percent=one.sla.availability_percent,
        restore_hours=one.sla.restore_hours,
        used=round(used, 1),
        allowed=round(allowed, 1),
        share=round(share, 4),
    )
