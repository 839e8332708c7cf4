"""From which cells of which tenants alarms take service away, and from which they do now (``losses``). Pure.

The rules of that are told where lost minutes are (``controller.intent.outages``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import NamedTuple, Protocol

from controller.intent.central_units import carried_by
from controller.intent.delivery import CarriedLink
from controller.intent.impact import Sharing, link_in
from controller.models.alarm import (
    BACKHAUL_DOWN,
    CELL_OFF_AIR,
    CORE_NODE_DOWN,
    COUNTED,
    FUNCTION_DOWN,
    FUNCTION_UNSEEN,
    LINK_CAUSES,
    LOSES,
    PLMN_MISSING,
    UNREACHABLE,
)
from controller.models.incident import Loss
from controller.models.network import Agreement, Cell, Network
from controller.nrm.profiles import link_kind, rat_of
from controller.nrm.tree import Path


class Fault(Protocol):
    """What it depends on of an alarm whose service it takes away."""

    @property
    def station(self) -> str:
        """See ``Alarm``."""

    @property
    def object(self) -> str:
        """See ``Alarm``."""

    @property
    def probable_cause(self) -> str:
        """See ``Alarm``."""

    @property
    def cells(self) -> Collection[str]:
        """See ``Alarm``."""

    @property
    def tenants(self) -> Collection[str]:
        """See ``Alarm``."""


class StandingAlarm(NamedTuple):
    """What it depends on of an alarm that stands which service is lost now; see ``Alarm`` for its fields."""

    id: str
    station: str
    object: str
    probable_cause: str
    raised: datetime
    cells: Collection[str] = ()
    tenants: Collection[str] = ()


class LinkGroup(NamedTuple):
    """Core links of which one is enough."""

    station: str
    tenant: str
    kind: str


def losses(
    standing: Iterable[StandingAlarm], links: Mapping[str, Collection[CarriedLink]], sharing: Sharing
) -> dict[str, dict[str, Loss]]:
    """Service that alarms take away now, by alarm and tenant: what minutes would count as lost, or as excused.

    What some alarms take away together, such as all links of a tenant, each of them takes away.

    Args:
        standing: Alarms that stand, with all others on which it depends what these take: of core links at their
            stations, and of cuts.
        links: Core links that stations carry, by station.
        sharing: Who shares which cell.
    """
    alarms = tuple(standing)
    found: dict[str, dict[str, Loss]] = {one.id: {} for one in alarms}
    down: dict[LinkGroup, dict[Path, list[StandingAlarm]]] = defaultdict(lambda: defaultdict(list))
    cut: dict[str, datetime] = {}
    for one in alarms:
        if one.probable_cause == BACKHAUL_DOWN:
            for device in sharing.network.devices_below.get(one.object, ()):
                cut[device] = min(cut.get(device, one.raised), one.raised)
    for one in alarms:
        if one.probable_cause in LINK_CAUSES:
            for group, path in links_of(one):
                down[group][path].append(one)
        elif (since := _since(one, cut)) is not None:
            taken = taken_by(sharing, one)
            found[one.id] = {tenant: Loss(since=since, cells=cells) for tenant, cells in taken.items()}
    for group, by_link in down.items():
        carried = {one.path for one in links.get(group.station, ()) if is_of(group, one.tenant, one.path)}
        cells = cells_over(sharing, group, by_link) if carried <= by_link.keys() else ()
        since = max(min(one.raised for one in there) for there in by_link.values())
        for one in chain.from_iterable(by_link.values()) if cells else ():
            found[one.id][group.tenant] = Loss(since=since, cells=cells)
    return found


def owes(terms: Agreement, cause: str) -> bool:
    """Whether the host owes what an incident takes away under an agreement, by the cause of the incident's root.

    It owes nothing for a tenant's own core, nor for what the agreement leaves out of the contract.
    """
    return cause != CORE_NODE_DOWN and cause not in terms.sla.left_out


def _since(one: StandingAlarm, cut: Mapping[str, datetime]) -> datetime | None:
    """Since when an alarm takes service away from its cells by itself; None if it is not known to.

    A station that can't be reached has no service while its path is cut.
    """
    if one.probable_cause in LOSES:
        return one.raised
    if one.probable_cause != UNREACHABLE or one.station not in cut:
        return None
    return max(one.raised, cut[one.station])


def taken_by(sharing: Sharing, alarm: Fault) -> Mapping[str, tuple[str, ...]]:
    """Cells that an alarm takes service from, by tenant; a central unit affects only tenants that it carries.

    A PLMN is its tenant's alone.
    """
    taken = carried_by(sharing.network, alarm.station, sharing.tenants_at(_cells(sharing.network, alarm)))
    if alarm.probable_cause != PLMN_MISSING:
        return taken
    return {tenant: cells for tenant, cells in taken.items() if tenant in alarm.tenants}


def _cells(network: Network, alarm: Fault) -> Iterator[str]:
    """Cells that an alarm takes service from; for a function those of the stations that live in it.

    If a central unit without an endpoint of its own fails, the core links of its stations show that.
    """
    if alarm.probable_cause in (CELL_OFF_AIR, PLMN_MISSING):
        yield from alarm.cells
    elif alarm.probable_cause in COUNTED:
        of_function = alarm.probable_cause in (FUNCTION_DOWN, FUNCTION_UNSEEN)
        stations = network.stations_in.get(alarm.station, ()) if of_function else (alarm.station,)
        yield from (cell.name for station in stations for cell in network.cells_through(station))


def cells_over(sharing: Sharing, group: LinkGroup, down: Iterable[Path]) -> tuple[str, ...]:
    """Cells of the links' technology that their tenant shares."""
    rats = {rat_of(path) for path in down}
    there: tuple[Cell, ...] = sharing.network.cells_through(group.station)
    return sharing.tenants_at(cell.name for cell in there if cell.rat in rats).get(group.tenant, ())


def links_of(alarm: Fault) -> Iterator[tuple[LinkGroup, Path]]:
    """The core link that an alarm is about, with its group, for each of its tenants."""
    path = link_in(alarm.object)
    kind = link_kind(path) if path else None
    if kind is not None:
        yield from ((LinkGroup(alarm.station, tenant, kind.value), path) for tenant in alarm.tenants)


def is_of(group: LinkGroup, tenant: str, path: Path) -> bool:
    """Whether a core link of a tenant belongs to a group."""
    kind = link_kind(path)
    return tenant == group.tenant and kind is not None and kind.value == group.kind
