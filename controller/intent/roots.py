"""Which alarm follows from which: roots and symptoms among standing alarms. Pure.

A fault causes others: below a failed backhaul node nothing can be reached, and if a tenant's MME is lost, each station
has a core link that is down. These follow from the fault, which is their root. An alarm follows from at most one root,
the widest one. Equal alarms and networks give equal roots, in whatever order alarms came.

A cause comes before its effect: a fault that stood before a root began has a cause of its own.

A battery keeps a station alive while the mains are lost. A unit or cell that fails while its station still serves, and
a core link that fails while its station is still fed, fail by themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

from controller.intent.impact import core_node_in, is_told_with
from controller.models.alarm import (
    ALL_LINKS_DOWN,
    BACKHAUL_DOWN,
    CELL_OFF_AIR,
    CONFIGURATION_DRIFT,
    CONFIGURATION_LOST,
    CORE_NODE_DOWN,
    FUNCTION_CRASH_LOOPING,
    FUNCTION_DEGRADED,
    FUNCTION_DOWN,
    FUNCTION_UNSEEN,
    HARDWARE_ALARM,
    HOLDOVER_CAUSES,
    LINK_CAUSES,
    MAINS_LOST,
    NODE_LOST,
    PLMN_MISSING,
    POOL_FULL,
    POOL_NEARLY_FULL,
    PORT_DOWN,
    POWER_CAUSES,
    PTP_LOST,
    RADIO_UNIT_LOST,
    REMOTE_END_DOWN,
    SKEW,
    SUPPLY_CAUSES,
    UNREACHABLE,
    Alarm,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.health import Health
from controller.models.network import Network


class _Width(IntEnum):
    """How far a root reaches, the widest first. No alarm follows from one that is as wide or narrower."""

    BACKHAUL = 0
    REMOTE_END = 1
    CORE_NODE = 2
    MAINS = 3
    POWER = 4
    POOL = 5
    NODE = 6
    PODS = 7
    ROUTER = 8
    PORT = 9
    CONFIGURATION = 10
    TRANSPORT = 11
    STATION = 12
    FRONTHAUL = 13
    RADIO_UNIT = 14
    DRIFT = 15
    NOTHING = 16


_CAUSES = {
    BACKHAUL_DOWN: _Width.BACKHAUL,
    REMOTE_END_DOWN: _Width.REMOTE_END,
    CORE_NODE_DOWN: _Width.CORE_NODE,
    **dict.fromkeys(POWER_CAUSES, _Width.POWER),
    MAINS_LOST: _Width.MAINS,
    **dict.fromkeys((NODE_LOST, PTP_LOST), _Width.NODE),
    **dict.fromkeys((POOL_FULL, FUNCTION_CRASH_LOOPING), _Width.PODS),
    PORT_DOWN: _Width.PORT,
    CONFIGURATION_LOST: _Width.CONFIGURATION,
    ALL_LINKS_DOWN: _Width.TRANSPORT,
    CONFIGURATION_DRIFT: _Width.DRIFT,
}
#: Time by which a symptom may be seen before its root: sources look one after the other. Of a cut that our own checks
#: found, the time is known at which something below it still answered; then only clocks may differ (``SKEW``).
WINDOW = timedelta(minutes=5)
#: Causes of roots that reach beyond the device that they are raised at.
NETWORK_WIDE = frozenset((BACKHAUL_DOWN, REMOTE_END_DOWN, CORE_NODE_DOWN))
#: Roots in a pool: the pool is away, a node of it failed, or pods on it did.
_OF_POOLS = (_Width.POOL, _Width.NODE, _Width.PODS)
#: Symptoms at stations that lost their configuration, or whose central unit did; or whose function is down.
_WITH_THE_CONFIGURATION = LINK_CAUSES | {ALL_LINKS_DOWN, CELL_OFF_AIR, CONFIGURATION_DRIFT}
_WITH_THE_POD = _WITH_THE_CONFIGURATION | {CONFIGURATION_LOST}
#: Roots at the far ends of core links, which have nothing to do with the power of a station.
_FAR_ENDS = frozenset((CORE_NODE_DOWN, REMOTE_END_DOWN))
#: Symptoms at a station if the transport network fails.
_OF_TRANSPORT = LINK_CAUSES | {UNREACHABLE, ALL_LINKS_DOWN}
#: Those of them that a station reports while it is fed.
_OF_LINKS = LINK_CAUSES | {ALL_LINKS_DOWN}


#: Symptoms of a node's lost clock: holdover, and what follows when that ends (fault 18 of o-ran-fm).
_OF_CLOCK = HOLDOVER_CAUSES | {"o-ran-fault-18", CELL_OFF_AIR}
#: Fault of the port to a radio unit that takes the unit's cells away (29 of o-ran-fm: its transceiver failed). More bit
#: errors (21) take none away: they may stand for weeks, and a cell that is lost meanwhile has its own cause.
_OF_FRONTHAUL = "o-ran-fault-29"


def _width(alarm: Alarm) -> _Width:
    if alarm.object_class is ObjectClass.POOL and alarm.probable_cause == UNREACHABLE:
        return _Width.POOL
    if alarm.probable_cause in (FUNCTION_DOWN, FUNCTION_UNSEEN):
        return _Width.ROUTER
    if alarm.probable_cause == UNREACHABLE and alarm.object_class in (ObjectClass.ROUTER, ObjectClass.FUNCTION):
        return _Width.ROUTER
    if alarm.probable_cause == _OF_FRONTHAUL and alarm.cells:
        return _Width.FRONTHAUL
    if alarm.object_class is ObjectClass.RADIO_UNIT and alarm.cells:
        return _Width.RADIO_UNIT
    if alarm.probable_cause not in _CAUSES and _is_out_of_service(alarm):
        return _Width.STATION
    return _CAUSES.get(alarm.probable_cause, _Width.NOTHING)


def _is_out_of_service(alarm: Alarm) -> bool:
    """Whether a station as a whole says that it can't serve: critical (X.733 §8.1.2.3), as without a licence."""
    listed = alarm.source in (AlarmSource.ORAN_FM, AlarmSource.ALARM_LIST)
    return listed and alarm.object_class is ObjectClass.STATION and alarm.severity is PerceivedSeverity.CRITICAL


def may_be_root(alarm: Alarm) -> bool:
    """Whether other alarms may follow from it."""
    return _width(alarm) is not _Width.NOTHING


class Explained(NamedTuple):
    """What explains an alarm.

    Attributes:
        root: The alarm that it follows from; None if it is a root itself.
        late: Roots that explain alarms like this one, and began only after it: it is no symptom of these.
    """

    root: Alarm | None
    late: tuple[Alarm, ...] = ()


def no_root_of(found: Iterable[Alarm]) -> frozenset[str]:
    """Probable causes whose alarms are root of none of these, wherever they stand: they reach no further."""
    narrowest = max(map(_width, found), default=_Width.BACKHAUL)
    return frozenset(cause for cause, width in _CAUSES.items() if width >= narrowest) - {BACKHAUL_DOWN}


class Fed(NamedTuple):
    """When the last check of a station saw that it still has power; None where it saw nothing of that.

    Attributes:
        serving: A cell of it was on air: radio units have power, and all else.
        working: A cell was on air or a core link was up: the base station has power.
    """

    serving: datetime | None = None
    working: datetime | None = None


_NOT_SEEN = Fed()


def fed_at(health: Health) -> Fed:
    """When a check saw that a station still has power."""
    serving = health.at if health.reachable and any(health.cells.values()) else None
    links = health.reachable and any(link.up for link in health.links)
    return Fed(serving, serving or (health.at if links else None))


class Roots:
    """Standing alarms that may be roots, by where their symptoms may be and by how far they reach.

    An alarm is compared with the wider ones that reach it, and with no others: thousands may stand.

    Args:
        network: The network, which says how devices are connected.
        roots: Standing alarms; those that can't be roots are passed over.
        stations: Devices of the alarms for which roots are sought.
        fed: When checks last saw that a station still has power, by station.
    """

    def __init__(
        self,
        network: Network,
        roots: Iterable[Alarm],
        stations: Iterable[str],
        fed: Mapping[str, Fed] = MappingProxyType({}),
    ) -> None:
        self._network = network
        self._fed = fed
        self._by_id = dict[str, Alarm]()
        self._reaching: defaultdict[tuple[str, str], defaultdict[_Width, list[Alarm]]]
        self._reaching = defaultdict(lambda: defaultdict(list))
        asked = frozenset(stations)
        for root in roots:
            self._by_id[root.id] = root
            width, within = _width(root), reach(network, root)
            named = {"station": within.devices & asked, "tenant": within.tenants, "probable_cause": within.causes}
            for field, names in named.items() if width is not _Width.NOTHING else ():
                for name in names:
                    self._reaching[field, name][width].append(root)

    def __contains__(self, alarm_id: str) -> bool:
        return alarm_id in self._by_id

    def above(self, alarm: Alarm) -> Iterable[Alarm]:
        """All from which an alarm may follow by its place and cause, in no order."""
        return {one.id: one for one in self._within_reach(alarm) if self._covers(one, alarm)}.values()

    def _within_reach(self, alarm: Alarm) -> Iterator[Alarm]:
        below = _width(alarm)
        for field in ("station", "tenant", "probable_cause"):
            by_width = self._reaching.get((field, getattr(alarm, field)))
            for width, roots in by_width.items() if by_width else ():
                if width < below or width is below is _Width.BACKHAUL:
                    yield from roots

    def _covers(self, root: Alarm, alarm: Alarm) -> bool:
        width = _width(root)
        if alarm.probable_cause == PLMN_MISSING and width is not _Width.DRIFT:
            return False  # whatever else failed took nothing out of the configuration
        covers = root.id != alarm.id and _COVERS[width](self._network, root, alarm)
        return covers and not self._fails_by_itself(root, alarm)

    def _fails_by_itself(self, root: Alarm, alarm: Alarm) -> bool:
        """Whether something failed while the battery still fed it, so that it does not follow from lost power.

        It is known of radio units and cells while another cell serves, and of core links while anything of the station
        works. What was found so once stays so, also when the battery is empty. A unit that says that it lacks power is
        believed. Of a station that can't be reached nobody can tell.
        """
        if not _may_outlast(root, alarm):
            return False
        found_so = bool(alarm.incident) and root.raised < alarm.raised and not self._is_by_power(alarm.root)
        fed = self._fed.get(alarm.station, _NOT_SEEN)
        seen = fed.serving if _is_radio(alarm) else fed.working
        return found_so or (seen is not None and seen >= alarm.raised)

    def is_parted(self, alarm: Alarm, root: Alarm | None) -> bool:
        """Whether an alarm that followed from lost power until now turns out to have had another cause all along.

        It failed while it was still fed, or most stations lost the same far end of a core link.

        Args:
            alarm: With its root so far.
            root: What it follows from now.
        """
        before = self._by_id.get(alarm.root)
        if before is None or before.probable_cause not in POWER_CAUSES:
            return False
        return root.probable_cause in _FAR_ENDS if root else self._fails_by_itself(before, alarm)

    def _is_by_power(self, root: str) -> bool:
        """Whether an alarm with this root follows from lost power, or may: what is narrower was chosen without it."""
        return bool(root) and (root not in self._by_id or _width(self._by_id[root]) <= _Width.POWER)


def explained(network: Network, alarm: Alarm, roots: Roots) -> Explained:
    """What an alarm follows from: the widest root; of equally wide ones, the one that began nearest to it in time.

    A root of which all tenants are told that are told of the alarm goes before one of which they are not.

    Args:
        network: The network, which says how devices are connected.
        alarm: A standing alarm.
        roots: Standing alarms that may be roots (``may_be_root``), sought for its station too.
    """
    above = sorted(roots.above(alarm), key=lambda one: _order(network, alarm, one))
    late = tuple(one for one in above if _stood_before(alarm, one, roots))
    too_late = {one.id for one in late}
    return Explained(next((one for one in above if one.id not in too_late), None), late)


def _stood_before(alarm: Alarm, root: Alarm, roots: Roots) -> bool:
    """Whether an alarm stood by itself before a root began, so that it does not follow from it.

    One that follows from it already stays. One whose own root is over stands by itself since now.
    """
    if alarm.root and (alarm.root == root.id or alarm.root not in roots):
        return False
    return began(root) - _by_itself_since(alarm) > lead(root, alarm)


def lead(root: Alarm, alarm: Alarm) -> timedelta:
    """How long before a root its symptom may be seen."""
    cut = root.source is AlarmSource.CHECK and root.probable_cause == BACKHAUL_DOWN
    return SKEW if cut and alarm.probable_cause != BACKHAUL_DOWN else WINDOW


def began(alarm: Alarm) -> datetime:
    """When the fault of an alarm began: as its source saw it."""
    return alarm.seen or alarm.raised


def _by_itself_since(alarm: Alarm) -> datetime:
    """Since when it is known that nothing else explains an alarm."""
    since = unheard_until(alarm) or began(alarm)
    return max(since, alarm.released) if alarm.released else since


def unheard_until(alarm: Alarm) -> datetime | None:
    """When a core link was heard of that had gone down long before; None for all others.

    Of the time before it is not known what kept it down: what kept its station from being heard, such as a cut that is
    over now, took the link down as well, and its root began later.
    """
    unheard = alarm.probable_cause in _OF_LINKS and alarm.raised - began(alarm) > WINDOW
    return alarm.raised if unheard else None


def _order(network: Network, alarm: Alarm, root: Alarm) -> tuple[object, ...]:
    """What is told to all tenants of the alarm first, then the widest, the nearest to the core, the nearest in time.

    So no tenant can tell by what its alarm follows from whether a root stands that it is not told of.
    """
    depth = len(network.backhaul_from(root.object)) if root.probable_cause == BACKHAUL_DOWN else 0
    return (not is_told_with(alarm, root), _width(root), depth, abs(began(root) - _by_itself_since(alarm)), root.order)


class Reach(NamedTuple):
    """Where symptoms of a root may be.

    Attributes:
        devices: Stations, routers, functions and pools.
        tenants: Tenants whose alarms may follow, at any device.
        causes: Probable causes that may follow, at any device.
    """

    devices: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()


def reach(network: Network, root: Alarm) -> Reach:
    """Where symptoms of a root may be."""
    if root.probable_cause == REMOTE_END_DOWN:
        behind = frozenset(tenant for tenant, _ in network.remote_ends.get(root.object, ()))
        return Reach(tenants=behind, causes=frozenset((ALL_LINKS_DOWN,)))
    if root.probable_cause == CORE_NODE_DOWN:
        return Reach(tenants=frozenset((root.tenant,)))
    if root.probable_cause == BACKHAUL_DOWN:
        return Reach(network.devices_below.get(root.object, frozenset()), causes=frozenset((BACKHAUL_DOWN,)))
    if _width(root) in _OF_POOLS:
        functions = (*root.functions, *root.degraded)
        return Reach(frozenset({root.station, *functions, *_behind_all(network, functions)}))
    if _width(root) in (_Width.ROUTER, _Width.PORT, _Width.CONFIGURATION) and network.manages(root.station):
        return Reach(frozenset(network.stations_behind(root.station)))
    return Reach(frozenset((root.station,)))


def _cut(network: Network, root: Alarm, alarm: Alarm) -> bool:
    if alarm.probable_cause == BACKHAUL_DOWN:
        return root.object in network.backhaul_from(alarm.object)[1:]
    return alarm.probable_cause in _OF_TRANSPORT and alarm.station in network.devices_below.get(root.object, ())


def _lost_remote_end(network: Network, root: Alarm, alarm: Alarm) -> bool:
    behind = network.remote_ends.get(root.object, frozenset())
    if alarm.probable_cause == ALL_LINKS_DOWN:
        known = [network.tenant_by_id[name] for name in alarm.tenants if name in network.tenant_by_id]
        return bool(known) and behind >= {(tenant.id, link) for tenant in known for link in tenant.far_ends}
    return alarm.probable_cause in LINK_CAUSES | {CORE_NODE_DOWN} and (alarm.tenant, core_node_in(alarm)) in behind


def _lost_end(_: Network, root: Alarm, alarm: Alarm) -> bool:
    of_link = alarm.probable_cause in LINK_CAUSES
    return of_link and alarm.tenant == root.tenant and core_node_in(alarm) == root.object


def _is_radio(alarm: Alarm) -> bool:
    return alarm.object_class in (ObjectClass.CELL, ObjectClass.RADIO_UNIT)


def _may_outlast(root: Alarm, alarm: Alarm) -> bool:
    """Whether a battery may have fed what failed: links outlast a failed power unit, too."""
    if alarm.probable_cause in _OF_LINKS:
        return root.probable_cause in POWER_CAUSES
    return root.probable_cause in SUPPLY_CAUSES and _is_radio(alarm) and alarm.probable_cause not in POWER_CAUSES


def _without_power(_: Network, root: Alarm, alarm: Alarm) -> bool:
    return root.station == alarm.station and (_is_radio(alarm) or alarm.probable_cause in _OF_TRANSPORT)


def _without_mains(network: Network, root: Alarm, alarm: Alarm) -> bool:
    """As without power; and the battery, and units that find no power, follow from lost mains."""
    here = root.station == alarm.station and alarm.probable_cause in POWER_CAUSES
    return here or _without_power(network, root, alarm)


def _behind_all(network: Network, functions: Iterable[str]) -> set[str]:
    """Stations that depend on functions, and the endpoints of central units."""
    return {station for name in functions if network.manages(name) for station in network.stations_behind(name)}


def _in_pool(network: Network, root: Alarm, alarm: Alarm) -> bool:
    """Whether it is about affected functions, their stations, or functions for which the pool has no room."""
    if root.probable_cause == PTP_LOST:
        timed = (*root.functions, *root.degraded)
        return alarm.probable_cause in _OF_CLOCK and alarm.station in _behind_all(network, timed)
    if alarm.station == root.station:
        here = alarm.probable_cause == HARDWARE_ALARM and alarm.object == root.object
        return root.probable_cause == NODE_LOST and (here or alarm.probable_cause in (POOL_FULL, POOL_NEARLY_FULL))
    if alarm.station in (*root.functions, *root.degraded):
        return alarm.probable_cause in (FUNCTION_DOWN, FUNCTION_UNSEEN, FUNCTION_DEGRADED, UNREACHABLE)
    # A station may have lived in a lost pod although other pods of its function are ready.
    lost = (*root.functions, *root.degraded) if alarm.probable_cause == CONFIGURATION_LOST else root.functions
    return alarm.probable_cause in {UNREACHABLE, *_WITH_THE_POD} and alarm.station in _behind_all(network, lost)


def _behind(network: Network, root: Alarm, alarm: Alarm) -> bool:
    there = network.stations_behind(root.station) if network.manages(root.station) else ()
    # With the pod of a function, its stations lose their configuration.
    also = _WITH_THE_POD if root.object_class is ObjectClass.FUNCTION else frozenset()
    return alarm.probable_cause in {UNREACHABLE, *also} and alarm.station in there


def _behind_port(network: Network, root: Alarm, alarm: Alarm) -> bool:
    there = network.stations_behind(root.station) if network.manages(root.station) else ()
    return alarm.probable_cause == ALL_LINKS_DOWN and alarm.station in there


def _without_configuration(network: Network, root: Alarm, alarm: Alarm) -> bool:
    there = network.stations_behind(root.station) if network.manages(root.station) else ()
    return alarm.probable_cause in _WITH_THE_CONFIGURATION and alarm.station in there


def _cut_off(_: Network, root: Alarm, alarm: Alarm) -> bool:
    return root.station == alarm.station and alarm.probable_cause in LINK_CAUSES


def _out_of_service(_: Network, root: Alarm, alarm: Alarm) -> bool:
    return root.station == alarm.station and alarm.object_class is ObjectClass.CELL


def _without_unit(_: Network, root: Alarm, alarm: Alarm) -> bool:
    return alarm.object_class is ObjectClass.CELL and _serves_no_other(root, alarm)


def _drifted(_: Network, root: Alarm, alarm: Alarm) -> bool:
    return root.station == alarm.station and alarm.probable_cause == PLMN_MISSING


def _without_fronthaul(network: Network, root: Alarm, alarm: Alarm) -> bool:
    unit = alarm.probable_cause == RADIO_UNIT_LOST and _serves_no_other(root, alarm)
    return unit or _without_unit(network, root, alarm)


def _serves_no_other(root: Alarm, alarm: Alarm) -> bool:
    """Whether all cells of an alarm are among those of a root at the same station."""
    return root.station == alarm.station and bool(alarm.cells) and set(alarm.cells) <= set(root.cells)


_COVERS: Mapping[_Width, Callable[[Network, Alarm, Alarm], bool]] = {
    _Width.BACKHAUL: _cut,
    _Width.REMOTE_END: _lost_remote_end,
    _Width.CORE_NODE: _lost_end,
    _Width.MAINS: _without_mains,
    _Width.POWER: _without_power,
    **dict.fromkeys(_OF_POOLS, _in_pool),
    _Width.ROUTER: _behind,
    _Width.PORT: _behind_port,
    _Width.CONFIGURATION: _without_configuration,
    _Width.TRANSPORT: _cut_off,
    _Width.STATION: _out_of_service,
    _Width.FRONTHAUL: _without_fronthaul,
    _Width.RADIO_UNIT: _without_unit,
    _Width.DRIFT: _drifted,
}
