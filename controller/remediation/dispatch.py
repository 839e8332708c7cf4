"""Makes dispatch packs for alarms, from the record and the network files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from controller.intent.impact import deadline_of
from controller.intent.roots import began
from controller.intent.suspects import MAY_BE_CUT, suspects
from controller.models.alarm import (
    ALL_LINKS_DOWN,
    BACKHAUL_DOWN,
    CELL_OFF_AIR,
    HARDWARE_ALARM,
    HOLDOVER_CAUSES,
    NODE_LOST,
    PORT_DOWN,
    POWER_UNIT_CAUSES,
    PTP_LOST,
    RADIO_UNIT_LOST,
    SUPPLY_CAUSES,
    UNREACHABLE,
    Alarm,
    AlarmState,
    ObjectClass,
)
from controller.models.dispatch import DispatchLink, DispatchPack, DispatchSite, LinkEnd, StandingAlarm, TriedRepair
from controller.models.health import Health
from controller.models.incident import Suspect
from controller.models.network import BackhaulNode, Network, Site
from controller.store import Store

#: Parts to take along, by probable cause: o-ran-fm faults have the numbers of o-ran-alarm-id, alarms of an AlarmList
#: the probable causes of X.733.
_PARTS: Mapping[str, str] = {
    **dict.fromkeys(
        ("o-ran-fault-1", "o-ran-fault-2", "3gpp-temperature-unacceptable"), "fan, filter, air conditioning"
    ),
    **dict.fromkeys(("o-ran-fault-5", "o-ran-fault-6", "3gpp-cooling-fan-failure"), "fan"),
    **dict.fromkeys(("o-ran-fault-8", "o-ran-fault-9"), "antenna, feeder, jumpers and connectors (VSWR), filter"),
    **dict.fromkeys(("o-ran-fault-15", "o-ran-fault-25"), "the unit itself"),
    **dict.fromkeys(
        ("o-ran-fault-17", "o-ran-fault-18", "3gpp-timing-problem"), "GNSS antenna and its cable, time source"
    ),
    **dict.fromkeys(("o-ran-fault-19", "o-ran-fault-20", "o-ran-fault-27"), "radio unit"),
    **dict.fromkeys(("o-ran-fault-21", "o-ran-fault-29"), "SFP module, fibre of the fronthaul"),
    **dict.fromkeys(("o-ran-fault-28", RADIO_UNIT_LOST), "SFP module, fibre of the fronthaul, radio unit"),
    "o-ran-fault-30": "interface unit",
    **dict.fromkeys(SUPPLY_CAUSES, "generator and fuel, batteries, rectifier"),
    **dict.fromkeys(POWER_UNIT_CAUSES, "power supply unit, rectifier, fuses and breakers"),
    "3gpp-loss-of-signal": "SFP module, fibre, radio unit",
    "3gpp-transmitter-problem": "antenna, feeder, jumpers and connectors (VSWR), radio unit",
    ALL_LINKS_DOWN: "router of the site, its port and cable",
    UNREACHABLE: "power, router of the site, baseband unit",
    CELL_OFF_AIR: "radio unit, its fronthaul",
    PORT_DOWN: "SFP module, fibre or cable of the port, the device at its other end",
    BACKHAUL_DOWN: "link and node of the backhaul",
    NODE_LOST: "server, its power and its switch",
    PTP_LOST: "grandmaster clock and its antenna, switches on the way to the server",
    HARDWARE_ALARM: "part of the server that the alarm names",
}


#: Causes at a station that serves on with what it has in reserve, for a time.
_ON_RESERVE = SUPPLY_CAUSES | HOLDOVER_CAUSES
#: Devices whose health is looked up at once.
_AT_ONCE = 50
#: Most alarms of a pack; most sites at a node of the backhaul.
_MOST_STANDING, _MOST_SITES = 200, 3


def dispatch_pack(store: Store, alarm_id: str, now: datetime) -> DispatchPack:
    """The pack of an alarm, in a transaction. Raises NotFoundError where there is no such alarm."""
    alarm, (_, network) = store.alarms.get(alarm_id), store.networks.get()
    site = network.site_of(alarm.station) if network.manages(alarm.station) else ""
    there = {*network.stations_at.get(site, ()), *network.routers_at.get(site, ())} or {alarm.station}
    placed = store.alarms.standing(there) if alarm.station else store.incidents.alarms(alarm.incident)
    standing = [one for one in placed if one.cleared is None]
    targets = {f"site:{site}", *there}
    holds = [one for one in store.holds.find(now) if one.target in targets or one.target.partition("/")[0] in there]
    places = suspects_of(store, network, alarm)
    dark = alarm.probable_cause in _ON_RESERVE and _is_dark(network, alarm.station, standing)
    until = None if dark else deadline_of(network, alarm)
    lost = store.incidents.losses([one.id for one in standing])
    return DispatchPack(
        alarm=alarm.id,
        incident=alarm.incident,
        station=alarm.station,
        place=_place(network, site),
        timezone=_timezone(network, alarm, site),
        link=_link(network, alarm, site, places),
        suspects=places,
        unit=alarm.object.rpartition("/")[2] or alarm.object,
        object_class=alarm.object_class,
        slot=alarm.specific_problem or alarm.object,
        probable_cause=alarm.probable_cause,
        severity=alarm.severity,
        text=alarm.text,
        since=alarm.raised,
        until=until,
        is_over=until is not None and until <= now,
        dark=dark,
        part=_PARTS.get(
            alarm.probable_cause, "the unit itself" if alarm.object_class is ObjectClass.RADIO_UNIT else ""
        ),
        tried=tuple(_tried(store, alarm)),
        standing=tuple(map(_standing, standing[:_MOST_STANDING])),
        standing_in_all=len(standing),
        without_service={tenant: loss.cells for tenant, loss in lost.items()},
        in_force=tuple(f"{one.target} by {one.by}: {one.reason}" for one in holds),
        holds=tuple(_commands(site, alarm, holds=bool(holds))),
    )


def _is_dark(network: Network, station: str, standing: Iterable[Alarm]) -> bool:
    """Whether a station is not known to serve: it can't be reached, or all that it serves with is down."""
    mine = [one for one in standing if one.station == station]
    off = {cell for one in mine if one.probable_cause == CELL_OFF_AIR for cell in one.cells}
    cells = {cell.name for cell in network.cells_by_station.get(station, ())}
    return any(one.probable_cause in MAY_BE_CUT for one in mine) or (bool(cells) and off >= cells)


def suspects_of(store: Store, network: Network, alarm: Alarm) -> tuple[Suspect, ...]:
    """Places where the fault of an alarm that stands may be (``controller.intent.suspects``), by the last checks."""
    if alarm.cleared is not None:
        return ()

    def works(devices: Collection[str]) -> bool:
        ordered = sorted(devices)
        for first in range(0, len(ordered), _AT_ONCE):
            seen = store.healths.find(ordered[first : first + _AT_ONCE]).values()
            if any(_works(one, alarm) for one in seen):
                return True
        return False

    return suspects(network, alarm, works)


def _works(seen: Health, alarm: Alarm) -> bool:
    """Whether a device was seen to work at any time since an alarm began, though it may have been lost since then.

    After lost core links, one of its own has to work now: of a device that can't be read, they are not known.
    """
    links = alarm.probable_cause != ALL_LINKS_DOWN or any(link.up for link in seen.links)
    answered = seen.at if seen.reachable else seen.read
    return answered is not None and answered > began(alarm) and links


def _timezone(network: Network, alarm: Alarm, site_id: str) -> str:
    """The time zone of the site, or of those at a node of the backhaul; else that of the network."""
    sites = [network.site_by_id[site_id]] if site_id in network.site_by_id else _sites_at(network, alarm.object)
    regions = {one.id: one for one in network.regions}
    zones = (regions[one.region].timezone for one in sites if one.region in regions)
    return next(filter(None, zones), network.header.timezone)


def _link(network: Network, alarm: Alarm, site_id: str, places: Collection[Suspect] = ()) -> DispatchLink | None:
    """The link towards the core of a node that is lost, or of a site that has lost all its links.

    None where a device behind it works.
    """
    links = [one for one in places if one.kind is ObjectClass.BACKHAUL]
    if places and not links:
        return None
    nodes, site = network.backhaul_by_id, network.site_by_id.get(site_id)
    if alarm.probable_cause == BACKHAUL_DOWN and (node := nodes.get(alarm.object)) is not None:
        near, kind, above, route = _end(network, node), node.kind, node.parent, node.route
    elif alarm.probable_cause in MAY_BE_CUT and site is not None and site.backhaul in nodes:
        near = LinkEnd(name=site.id, latitude=site.latitude, longitude=site.longitude)
        kind, above, route = nodes[site.backhaul].kind, site.backhaul, None
    else:
        return None
    far = nodes.get(above or "")
    ends = (near, *([_end(network, far)] if far else []))
    return DispatchLink(kind=kind, ends=ends, route=route or "", sure=len(places) < 2)


def _end(network: Network, node: BackhaulNode) -> LinkEnd:
    known = node.latitude is not None
    sites = () if known else _sites_at(network, node.id)[:_MOST_SITES]
    places = tuple(place for site in sites if (place := _place(network, site.id)) is not None)
    return LinkEnd(name=node.id, latitude=node.latitude, longitude=node.longitude, sites=places)


def _sites_at(network: Network, node: str) -> list[Site]:
    """Sites that hang on a node of the backhaul itself."""
    return [site for site in network.sites if site.backhaul == node]


def _place(network: Network, site_id: str) -> DispatchSite | None:
    site = network.site_by_id.get(site_id)
    if site is None:
        return None
    return DispatchSite(
        site=site.id,
        name=site.name,
        region=site.region,
        latitude=site.latitude,
        longitude=site.longitude,
        people=site.population,
        access=site.access or "",
        power=site.power or "",
    )


def _tried(store: Store, alarm: Alarm) -> Iterable[TriedRepair]:
    proposals = [one for one in store.rules.of_alarm(alarm.id) if one.run or one.reason]
    for one in proposals:
        outcome = store.runs.get(one.run).state.value if one.run else one.state.value
        yield TriedRepair(playbook=one.playbook, run=one.run, outcome=outcome, reason=one.reason, at=one.at)
    if alarm.run and alarm.run not in {one.run for one in proposals}:
        run = store.runs.get(alarm.run)
        yield TriedRepair(playbook=run.procedure, run=run.id, outcome=run.state.value, reason="", at=run.created)


def _standing(alarm: Alarm) -> StandingAlarm:
    return StandingAlarm(
        id=alarm.id,
        station=alarm.station,
        object=alarm.object,
        probable_cause=alarm.probable_cause,
        severity=alarm.severity,
        raised=alarm.raised,
    )


def _commands(site: str, alarm: Alarm, *, holds: bool) -> Iterable[str]:
    """Commands that protect a person on the mast: nothing may transmit or restart there."""
    target = f"site:{site}" if site else alarm.station
    if not holds and target:
        yield f"minka hold put {target} --reason '{alarm.id}: a person is on site'"
    if alarm.state is AlarmState.REPAIRING:
        yield f"minka cancel {alarm.run}"
