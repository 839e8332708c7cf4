"""Where the fault of an alarm may be, if what is known can't tell places apart. Pure.

Of a device that can't be reached, its own equipment may have failed, or a link on its way to the core. A link works
where a device behind it works; where none does, the links one above the other look the same. So do a cut node of the
backhaul and the link above it, if nothing else hangs there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from controller.models.alarm import ALL_LINKS_DOWN, BACKHAUL_DOWN, UNREACHABLE, Alarm, ObjectClass
from controller.models.incident import Suspect
from controller.models.network import Network

#: Causes at a device after which its way to the core may be cut.
MAY_BE_CUT = frozenset((ALL_LINKS_DOWN, UNREACHABLE))


def suspects(network: Network, alarm: Alarm, works: Callable[[Collection[str]], bool]) -> tuple[Suspect, ...]:
    """Places where the fault of an alarm may be, the nearest to the device first; empty for faults that have one place.

    Args:
        network: The network, which says how devices are connected.
        alarm: A standing alarm.
        works: Whether one of these devices was seen to work at any time since the alarm began.
    """
    if alarm.probable_cause == BACKHAUL_DOWN and alarm.object in network.backhaul_by_id:
        return tuple(_links(network, alarm.object, works))
    if alarm.probable_cause not in MAY_BE_CUT or not network.manages(alarm.station):
        return ()
    site = network.site_by_id.get(network.site_of(alarm.station))
    if site is None or site.backhaul not in network.backhaul_by_id or alarm.object_class is ObjectClass.FUNCTION:
        return ()
    node = site.backhaul
    here = _here(alarm.station, site.id, node)
    beside = {*network.stations_at.get(site.id, ()), *network.routers_at.get(site.id, ())} - {alarm.station}
    if works(beside):
        return (here,)
    tells = f"{node} has no signal from {site.id} although the site has power; with signal it is the equipment there"
    link = Suspect(kind=ObjectClass.BACKHAUL, name=site.id, above=node, tells=tells)
    if works(network.devices_below[node] - beside - {alarm.station}):
        return (here, link)
    return (here, link, *_links(network, node, works))


def _here(station: str, site: str, node: str) -> Suspect:
    tells = f"{node} has signal from {site}; without signal it is the link, or the site has no power"
    return Suspect(kind=ObjectClass.STATION, name=station, tells=tells)


def _links(network: Network, node: str, works: Callable[[Collection[str]], bool]) -> Iterator[Suspect]:
    """Links above a node below which nothing works, up to the first one that has a device that works behind it."""
    for below in network.backhaul_from(node):
        parent = network.backhaul_by_id[below].parent or ""
        tells = f"{below} itself does not answer" + (f" while {parent} does" if parent else "")
        tells += f"; if it answers, the link above {below} works, and the fault is below"
        yield Suspect(kind=ObjectClass.BACKHAUL, name=below, above=parent, tells=tells)
        if not parent or works(network.devices_below[parent] - network.devices_below[below]):
            return
