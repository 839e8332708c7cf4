"""Health of a device from one read, and reports for the alarm list from two reads in a row. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple, assert_never

from controller.drivers.cli.codec import ports_without_signal
from controller.drivers.protocols import Observed
from controller.intent.impact import object_class_of
from controller.models.alarm import (
    ALARM_LIST_CROWDED,
    ALL_LINKS_DOWN,
    CELL_OFF_AIR,
    CELL_UNSTABLE,
    CONFIGURATION_DRIFT,
    CONFIGURATION_LOST,
    CORE_LINK_DOWN,
    DIVERGED,
    FUNCTION_CRASH_LOOPING,
    FUNCTION_DEGRADED,
    FUNCTION_DOWN,
    FUNCTION_TWICE,
    FUNCTION_UNSEEN,
    HARDWARE_ALARM,
    IMS_UNREACHABLE,
    LINK_CAUSES,
    MAINS_LOST,
    NODE_LOST,
    NODE_PRESSURE,
    ON_BATTERY,
    PLMN_MISSING,
    POOL_CAUSES,
    POOL_FULL,
    POOL_NEARLY_FULL,
    PORT_DOWN,
    PTP_LOST,
    RADIO_UNIT_LOST,
    STATE_UNKNOWN,
    UNREACHABLE,
    USER_PLANE_DOWN,
    Alarm,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.cloud import ClusterState, HardwareAlarm, NodeReady, NodeState
from controller.models.device_kinds import DEFAULT_KIND
from controller.models.equipment import UnitState
from controller.models.errors import AuthenticationError, HostKeyError, NothingToldError, NotPermittedError
from controller.models.facts import LinkKind
from controller.models.health import (
    OBSERVED_AFTER,
    Health,
    LinkFault,
    LinkHealth,
    MissingPlmn,
    Refusal,
    ServiceState,
)
from controller.models.many import first_names
from controller.models.network import HOST, DeviceKind, ExternalInput, Rat
from controller.models.run import LedgerEntry
from controller.models.untrusted import natural
from controller.nrm.profiles import (
    CellEntry,
    administrative_state,
    broadcast_plmn,
    cell_of,
    cell_state,
    cells,
    is_unlocked,
    link_locked,
    link_state,
    links,
    odd_state,
    plmn_lists,
    rat_of,
)
from controller.nrm.profiles.function import deployment_path, placed_at, why_not_ready
from controller.nrm.tree import Path, is_below, parent, step
from controller.plan import pools_of, ready_on, serving_on

#: Reasons of a failed read that are not only a matter of connectivity.
_REASONS = (HostKeyError.code, AuthenticationError.code, NotPermittedError.code)
#: Causes that are known without reading the station; then all.
_WITHOUT_READING = frozenset((UNREACHABLE, *_REASONS))
OWN_CAUSES = _WITHOUT_READING | LINK_CAUSES | {ALL_LINKS_DOWN, CELL_OFF_AIR, CONFIGURATION_DRIFT, ALARM_LIST_CROWDED}
OWN_CAUSES |= {
    CELL_UNSTABLE,
    CONFIGURATION_LOST,
    FUNCTION_DEGRADED,
    FUNCTION_DOWN,
    FUNCTION_TWICE,
    FUNCTION_UNSEEN,
    PLMN_MISSING,
    PORT_DOWN,
    RADIO_UNIT_LOST,
    STATE_UNKNOWN,
} | POOL_CAUSES
#: Cleared alarms that a station's list may keep: lists are limited, and read each time.
_MOST_OVER = 200
#: Reason for an adopted station that was not checked yet.
NOT_CHECKED = "not-checked"
#: Faults of o-ran-fm on the way to a radio unit: optical link, transceiver, interface unit (o-ran-alarm-id).
_OF_FRONTHAUL = (21, 29, 30)
#: What is wrong with the power of a site, by probable cause.
_SUPPLY_TEXTS = {MAINS_LOST: "the mains are lost", ON_BATTERY: "the site runs on its battery"}
#: So many outages of a cell within so long make an alarm, though each is too short for one. Checks may see the end of
#: an outage so much later than it was.
_REPEATS, _WITHIN, _SEEN_LATE = 3, timedelta(hours=1), timedelta(minutes=1)
#: Times of stations may be rounded down to a whole second.
ROUNDED = timedelta(seconds=1)
#: Object of drift and unreachability: the device as a whole (``Health.device``).
STATION = ObjectClass.STATION.value

#: Whether links of a kind carry a tenant's packets, by counters (``controller.assurance.traffic``).
Traffic = Callable[[str, Rat | None], ServiceState]
#: Object and probable cause of a fault on one station.
FaultKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Fault:
    severity: PerceivedSeverity
    text: str
    tenant: str = ""
    functions: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()


def health_of(
    station: str,
    observed: Observed,
    ledger: Mapping[Path, LedgerEntry],
    drift: int,
    at: datetime,
    device: DeviceKind = DEFAULT_KIND,
    traffic: Traffic | None = None,
    before: Health | None = None,
    raised: Mapping[FaultKey, datetime] = MappingProxyType({}),
    *,
    silent: bool = False,
    inputs: Iterable[ExternalInput] = (),
    units: Iterable[UnitState] | None = (),
) -> Health:
    """Cells on air, core links up and drift, as the station reports them.

    ``before`` is its health as it was read last, which knows since when cells are off air and links down. ``raised``
    are times at which the station raised alarms of these, by its own clock. ``silent`` is whether nothing that depends
    on a function is known to serve. ``inputs`` are external inputs that tell of the power of its site. ``units`` are
    its radio units without a sign of life; None where it was not asked, or does not say.

    Core links are those of the ledger, whether the station still has them or not; others belong to nobody known.
    Where a station does not tell the state of its user plane, ``traffic`` says whether it carries something.
    """
    carries = traffic or _nothing_known
    entries = cells(observed.tree)
    states = {entry.path: cell_state(observed, entry.path) for entry in entries}

    def since(wrong: FaultKey) -> datetime:
        return reported_between(before, raised.get(wrong), at) or at

    off_air = {
        entry.path: (before.off_air if before else {}).get(entry.path) or since((entry.path, CELL_OFF_AIR))
        for entry in entries
        if states[entry.path] is ServiceState.DOWN and entry.path in ledger and _should_serve(observed, entry)
    }
    locked = {e.cell for e in entries if e.path in ledger and administrative_state(observed.tree, e.path) != "UNLOCKED"}
    # What a station lost, as a virtual one does with its pod, comes back in the state that people left it in.
    gone = {e.cell for e in cells({path: {} for path in ledger}) if e.path not in observed.tree}
    locked |= gone.intersection(before.locked if before else ())
    links_before = {link.path: link for link in before.links} if before else {}

    def as_seen(link: LinkHealth) -> LinkHealth:
        state = state_or_traffic(observed, link.path, LinkKind(link.kind), link.tenant, carries)
        wrong = link.path, link_cause(LinkKind(link.kind))
        known = links_before.get(link.path, link)
        down = (known.since or since(wrong)) if state is ServiceState.DOWN else None
        locked = link_locked(observed.tree, link.path)
        missing = link.path not in observed.tree
        odd = odd_state(observed, link.path) if state is ServiceState.UNKNOWN else ""
        told = {"state": state, "missing": missing, "odd": odd, "locked": locked, "since": down}
        seen = link.model_copy(update=told)
        return seen.model_copy(update={"fault": seen.fault_after(known.fault)})

    own = tuple(map(as_seen, _links(ledger)))
    faults = {(path, CELL_OFF_AIR): begun for path, begun in off_air.items()}
    faults |= {(link.path, link_cause(LinkKind(link.kind))): link.since for link in own if link.since}
    own_parts = _parts_of(device, station, observed, ledger, before, silent=silent)
    function = own_parts.function
    return Health(
        station=station,
        at=at,
        reachable=True,
        read=at,
        cells={entry.cell: states[entry.path] for entry in entries},
        odd={
            entry.cell: said
            for entry in entries
            if states[entry.path] is ServiceState.UNKNOWN and (said := odd_state(observed, entry.path))
        },
        off_air=off_air,
        locked=tuple(sorted(locked)),
        gone=tuple(sorted(gone)),
        links=own,
        recent_outages=_recent_outages(before, off_air, states, at),
        lasted=_lasted(before, faults, raised, at),
        ports_down=own_parts.ports_down,
        over=sum(one.severity is PerceivedSeverity.CLEARED for one in observed.records or ()),
        drift=drift,
        missing=_missing(observed, ledger),
        plmns=plmn_lists(observed.tree),
        device=device,
        function=function.faults,
        unknown=(*function.unknown, *((RADIO_UNIT_LOST,) if units is None and off_air else ())),
        placed=own_parts.placed,
        cluster=observed.cluster,
        supply=_supply(observed, inputs),
        units=_lost_units(observed, units or (), states, off_air),
    )


def _missing(observed: Observed, ledger: Mapping[Path, LedgerEntry]) -> tuple[MissingPlmn, ...]:
    """PLMNs of ours that cells lack, with the tenants that own them; another slice of a PLMN is the same PLMN."""
    gone = {path for path in ledger if path not in observed.tree and cell_of(path) and broadcast_plmn(path)}
    if not gone:
        return ()
    there = {(parent(path), broadcast_plmn(path)) for path in observed.tree if cell_of(path)}
    found = {
        (cell_of(path), broadcast_plmn(path), owner): path
        for path in sorted(gone, reverse=True)
        if (parent(path), broadcast_plmn(path)) not in there
        for owner in ledger[path].owners
        if owner != HOST
    }
    return tuple(MissingPlmn(*key, path) for key, path in sorted(found.items()))


def _lost_units(
    observed: Observed, silent: Iterable[UnitState], states: Mapping[Path, ServiceState], off_air: Container[Path]
) -> dict[str, tuple[str, ...]]:
    """Radio units that are lost, by name, with their cells: all of them are off air, one of which should serve.

    A unit whose fronthaul has a fault, by an alarm of its port, may be well.
    """
    stands = (alarm for alarm in observed.alarms if alarm.severity is not PerceivedSeverity.CLEARED)
    cut = {alarm.source for alarm in stands if natural(alarm.fault) in _OF_FRONTHAUL}
    found = {}
    for unit in silent:
        there = {path: state for path, state in states.items() if cell_of(path) in unit.cells}
        dark = bool(there) and all(state is ServiceState.DOWN for state in there.values())
        if dark and unit.name not in cut and any(path in off_air for path in there):
            found[unit.name] = tuple(sorted(map(cell_of, there)))
    return found


def _supply(observed: Observed, inputs: Iterable[ExternalInput]) -> dict[str, str]:
    """What external inputs tell of the site's power, by probable cause: in words, or that all is well (empty).

    A cause of which no input tells anything is missing; that of two inputs holds if either says so.
    """
    told: dict[str, str] = {}
    for one in inputs:
        is_open = observed.inputs.get(one.input)
        if is_open is None:
            continue
        holds = is_open is (one.when == "open")
        text = f"external input {one.input} is {one.when}: {_SUPPLY_TEXTS[one.cause]}" if holds else ""
        told[one.cause] = told.get(one.cause) or text
    return told


def _recent_outages(
    before: Health | None, off_air: Collection[Path], states: Mapping[Path, ServiceState], at: datetime
) -> dict[Path, tuple[tuple[datetime, datetime], ...]]:
    """Outages of cells in the last hour that are over."""
    if before is None:
        return {}
    over = {path: since for path, since in before.off_air.items() if path not in off_air and states.get(path)}
    found = {}
    for path in {**before.recent_outages, **over}:
        times = [*before.recent_outages.get(path, ()), *([(over[path], at)] if path in over else ())]
        if kept := tuple((since, until) for since, until in times if until > at - _WITHIN):
            found[path] = kept
    return found


def _lasted(
    before: Health | None, faults: Mapping[FaultKey, datetime], raised: Mapping[FaultKey, datetime], at: datetime
) -> dict[str, datetime]:
    """Faults that the station's list has kept since the last read, if nobody could read it for long, or got no answer.

    The list has to have had them at that read: with the same time, so that they did not end in between.
    """
    if before is None or before.read is None or (before.was_read and at - before.at <= OBSERVED_AFTER):
        return {}
    return {
        wrong[0]: before.read
        for wrong, since in faults.items()
        if since <= before.read and wrong in raised and abs(raised[wrong] - since) <= ROUNDED
    }


def _ports_down(observed: Observed, ledger: Mapping[Path, LedgerEntry], before: Health | None) -> tuple[Path, ...]:
    return ports_without_signal(observed, ledger, before.ports_down if before else ())


def _placed(
    name: str, observed: Observed, ledger: Mapping[Path, LedgerEntry], before: Health | None
) -> dict[str, datetime]:
    """When a function came to each of its pools, by pool; without pools that do not say so."""
    dark, known = _dark(name, observed, ledger), before.placed if before else {}
    times = {
        pool: known.get(pool) if pool in dark else placed_at(observed, deployment_path(name, pool))
        for pool in pools_of(ledger)
    }
    return {pool: at for pool, at in times.items() if at is not None}


def _dark(name: str, observed: Observed, ledger: Mapping[Path, LedgerEntry]) -> frozenset[str]:
    """Pools of a function that could not be read: whether it is there, and serves, nobody knows."""
    return frozenset(pool for pool in pools_of(ledger) if observed.unseen(deployment_path(name, pool)))


class _FunctionState(NamedTuple):
    """Faults of a function, in words by probable cause; and causes of which nobody knows whether they hold."""

    faults: dict[str, str] = {}
    unknown: tuple[str, ...] = ()


class _Parts(NamedTuple):
    """Parts of a health that only one kind of device has."""

    function: _FunctionState = _FunctionState()
    placed: dict[str, datetime] = {}
    ports_down: tuple[Path, ...] = ()


def _parts_of(
    kind: DeviceKind,
    device: str,
    observed: Observed,
    ledger: Mapping[Path, LedgerEntry],
    before: Health | None,
    *,
    silent: bool,
) -> _Parts:
    match kind:
        case DeviceKind.ROUTER:
            return _Parts(ports_down=_ports_down(observed, ledger, before))
        case DeviceKind.FUNCTION:
            state = _function(device, observed, ledger, silent=silent)
            return _Parts(function=state, placed=_placed(device, observed, ledger, before))
        case DeviceKind.STATION | DeviceKind.POOL:
            return _Parts()
        case _:
            assert_never(kind)


def _reasons(name: str, observed: Observed, pools: Iterable[str]) -> str:
    return "; ".join(f"{pool}: {why_not_ready(observed, deployment_path(name, pool))}" for pool in pools)


def _unseen(name: str, reasons: str, *, serves: bool, silent: bool) -> _FunctionState:
    """A function that is ready nowhere where it can be seen; where it can't, it may be."""
    if serves:
        return _FunctionState(unknown=(FUNCTION_DEGRADED, FUNCTION_TWICE))
    text = f"nobody knows whether {name} serves, and nothing that depends on it is known to; {reasons}"
    return _FunctionState({FUNCTION_UNSEEN: text} if silent else {}, (FUNCTION_DOWN, FUNCTION_DEGRADED, FUNCTION_TWICE))


def _function(name: str, observed: Observed, ledger: Mapping[Path, LedgerEntry], *, silent: bool) -> _FunctionState:
    """Whether a function is ready nowhere, or runs twice since a pool came back that it had left.

    Where that pool came back without it, the record still has both.
    One of which some replicas are ready serves. On a pool that can't be read it may be ready, or run a second time.
    """
    pools, dark = pools_of(ledger), _dark(name, observed, ledger)
    ready = ready_on(name, observed, pools)
    there = [pool for pool in pools if deployment_path(name, pool) in observed.tree]
    if pools and not ready:
        serves, reasons = bool(serving_on(name, observed, pools)), _reasons(name, observed, pools)
        if dark:
            return _unseen(name, reasons, serves=serves, silent=silent)
        if serves:
            text = f"{name} serves with fewer replicas than it should; {reasons}"
            return _FunctionState({FUNCTION_DEGRADED: text})
        return _FunctionState({FUNCTION_DOWN: f"{name} is ready nowhere; {reasons}"})
    if len(there) > 1:
        return _FunctionState({FUNCTION_TWICE: f"{name} runs on {', '.join(there)}"})
    gone = [pool for pool in pools if pool not in there and pool not in dark]
    text = f"{name} runs on {', '.join(there)}, and is on record on {', '.join(gone)} too, where it is gone"
    return _FunctionState({FUNCTION_TWICE: text} if gone else {}, (FUNCTION_TWICE,) if dark else ())


def reported_between(before: Health | None, reported: datetime | None, at: datetime) -> datetime | None:
    """A station's time of a change, if it lies between the reads before and after; otherwise None.

    So a wrong clock of a station moves the begin or end of an outage by no more than the time between two checks.
    """
    if reported is None or before is None or before.read is None:
        return None
    return max(reported, before.read) if before.read - ROUNDED < reported <= at else None


def state_or_traffic(observed: Observed, path: Path, kind: LinkKind, tenant: str, traffic: Traffic) -> ServiceState:
    """Whether a core link works: as its station reports, or on the user plane by its traffic."""
    state = link_state(observed, path)
    return traffic(tenant, rat_of(path)) if state is ServiceState.UNKNOWN and kind.user_plane else state


def _nothing_known(_tenant: str, _rat: Rat | None) -> ServiceState:
    return ServiceState.UNKNOWN


def _should_serve(observed: Observed, cell: CellEntry) -> bool:
    """Whether a cell is unlocked and has a PLMN to broadcast; otherwise it is off air without a fault."""
    inside = (path for path in observed.tree if is_below(path, cell.path))
    return is_unlocked(observed.tree, cell.path) and any(broadcast_plmn(path) for path in inside)


def unread(
    station: str,
    ledger: Mapping[Path, LedgerEntry],
    before: Health | None,
    at: datetime,
    reason: str,
    device: DeviceKind = DEFAULT_KIND,
    said: str = "",
    refusal: Refusal | Literal[""] = "",
) -> Health:
    """Health of a station that can't be read: all its cells and core links exist, in unknown state.

    They are those of the ledger, so that they are known even if the station was never read, and cells that are not
    ours as seen before. What people locked, what is wrong with links, and what drifted, is as seen before.
    """
    known = before or Health(station=station, at=at, reachable=False)
    ours = (entry.cell for entry in cells({path: {} for path in ledger}))
    known_links = {link.path: link for link in known.links}

    def as_before(link: LinkHealth) -> LinkHealth:
        seen = known_links.get(link.path, link)
        return link.model_copy(update={"locked": seen.locked, "fault": seen.fault, "since": seen.since})

    return known.model_copy(
        update={
            "at": at,
            "reachable": False,
            "changing": False,
            "lasted": {},
            "reason": reason,
            "refusal": refusal,
            "said": said if device.rules.faults_hidden else "",
            "device": device,
            "cells": dict.fromkeys((*known.cells, *ours), ServiceState.UNKNOWN),
            "odd": {},
            "links": tuple(map(as_before, _links(ledger))),
        }
    )


def answering(before: Health, at: datetime) -> Health:
    """Health of a device that could not be reached, and answers again while a job changes it: no more is known."""
    told = {"at": at, "reachable": True, "changing": True, "reason": "", "refusal": "", "said": "", "lasted": {}}
    return before.model_copy(update=told)


def _links(ledger: Mapping[Path, LedgerEntry]) -> Iterator[LinkHealth]:
    """Our core links, without reported states."""
    for link in links({path: {} for path in ledger}):
        tenant = tenant_of(ledger[link.path])
        yield LinkHealth(path=link.path, tenant=tenant, kind=link.kind, state=ServiceState.UNKNOWN)


def tenant_of(entry: LedgerEntry) -> str:
    """The tenant that owns a node; empty for the host or several tenants."""
    owner = entry.owners[0] if len(entry.owners) == 1 else HOST
    return "" if owner == HOST else owner


def link_cause(kind: LinkKind) -> str:
    """Cause of a core link that is down: nobody can attach, or attached users get no packets."""
    return USER_PLANE_DOWN if kind.user_plane else CORE_LINK_DOWN


def wrongs(health: Health) -> dict[FaultKey, _Fault]:
    """Faults on a station, by object and probable cause. A locked or unknown link is no fault."""
    if health.changing:
        return {}
    if not health.reachable:
        if health.reason in _REASONS:
            shown = health.device.rules.identity
            text = f"the {health.device} shows another {shown} than the network files vouch for"
            text = text if health.reason == HostKeyError.code else health.silence
            return {(health.device, health.reason): _Fault(PerceivedSeverity.CRITICAL, health.said or text)}
        text = f"the {health.device} can't be reached{health.unreached and ': '}{health.unreached}"
        if health.reason == NothingToldError.code:
            text = f"the {health.device} answers, and tells nothing of itself, so nothing of it was read"
        there = _still_here(health.cluster) if health.cluster else ()
        return {(health.device, UNREACHABLE): _Fault(PerceivedSeverity.MAJOR, health.said or text, functions=there)}
    found = {
        (link.path, link_cause(LinkKind(link.kind))): _Fault(PerceivedSeverity.MAJOR, _down(link), link.tenant)
        for link in health.links
        if link.state is ServiceState.DOWN and not link.locked
    }
    if _cut_off(health.links):
        text = "all core links are down, of all tenants: what they have in common failed"
        found[health.device, ALL_LINKS_DOWN] = _Fault(PerceivedSeverity.CRITICAL, text)
    found |= _of_radio(health)
    found |= _unstable(health)
    for path in health.ports_down:
        text = f"port {step(path)[1][0]} gets no signal, and nobody shut it"
        found[path, PORT_DOWN] = _Fault(PerceivedSeverity.MAJOR, text)
    if health.drift:
        found |= _of_configuration(health)
    found |= {
        (health.device, cause): _Fault(PerceivedSeverity.MAJOR, text) for cause, text in health.supply.items() if text
    }
    for cause, text in health.function.items():
        severity = PerceivedSeverity.CRITICAL if cause == FUNCTION_DOWN else PerceivedSeverity.MAJOR
        found[health.device, cause] = _Fault(severity, text)
    if health.cluster is not None:
        found |= _in_cluster(health.cluster, health.device, health.reserve, health.at)
    return found | _of_management(health)


def _of_management(health: Health) -> dict[FaultKey, _Fault]:
    """Faults of what a station tells, and not of its service: states in unknown words, a crowded list of alarms."""
    found: dict[FaultKey, _Fault] = {}
    if odd := [*health.odd.values(), *(link.odd for link in health.links if link.odd)]:
        text = f"it tells states in words that no specification has, {len(odd)} in all: {first_names(sorted(set(odd)))}"
        found[health.device, STATE_UNKNOWN] = _Fault(PerceivedSeverity.WARNING, text)
    if health.over > _MOST_OVER:
        text = f"its list keeps {health.over} alarms that are over and that nobody acknowledged"
        found[health.device, ALARM_LIST_CROWDED] = _Fault(PerceivedSeverity.WARNING, text)
    return found


def _of_radio(health: Health) -> dict[FaultKey, _Fault]:
    """Cells off air, and lost radio units."""
    critical, found = PerceivedSeverity.CRITICAL, {}
    for path in health.off_air:
        found[path, CELL_OFF_AIR] = _Fault(critical, f"cell {cell_of(path)} is unlocked and off air")
    for unit, there in health.units.items():
        text = f"radio unit {unit} gives no sign of life, and its cells are off air: {', '.join(there)}"
        found[unit, RADIO_UNIT_LOST] = _Fault(critical, text, cells=there)
    return found


def _unstable(health: Health) -> dict[FaultKey, _Fault]:
    """The fault of cells that go off air again and again."""
    found = {}
    for path, times in health.recent_outages.items():
        recent = [until for _, until in times if until > health.at - _WITHIN]
        if len(recent) >= _REPEATS:
            text = f"cell {cell_of(path)} went off air {len(recent)} times in an hour, each time for a short time"
            found[path, CELL_UNSTABLE] = _Fault(PerceivedSeverity.MAJOR, text)
    return found


def _of_configuration(health: Health) -> dict[FaultKey, _Fault]:
    """Faults that nodes differ from what was applied, PLMNs among them, or that all of it is lost.

    A PLMN that a locked cell lacks takes no service away.
    """
    if health.lost:
        text = f"it has lost all that was applied to it ({health.drift} managed nodes), as its function has a new pod"
        return {(health.device, CONFIGURATION_LOST): _Fault(PerceivedSeverity.CRITICAL, text)}
    text = f"{health.drift} managed nodes differ from what was applied"
    found: dict[FaultKey, _Fault] = {(health.device, CONFIGURATION_DRIFT): _Fault(PerceivedSeverity.WARNING, text)}
    for cell, plmn, tenant, path in health.missing:
        if cell in health.locked:
            continue
        severity, text = PerceivedSeverity.MAJOR, f"cell {cell} does not have PLMN {plmn} any more"
        if cell in health.gone:
            severity, text = PerceivedSeverity.CRITICAL, f"cell {cell} is gone from its station, with PLMN {plmn}"
        found[path, PLMN_MISSING] = _Fault(severity, text, tenant)
    return found


def _in_cluster(cluster: ClusterState, pool: str, reserve: str, at: datetime) -> dict[FaultKey, _Fault]:
    """Faults in a pool."""
    found = {}
    for node in cluster.nodes:
        # If people took an empty node out of use, they know of it.
        if node.ready is not NodeReady.READY and (node.functions or not node.cordoned):
            there = _still_here(cluster, node.functions)
            text = f"node {node.id} is {node.ready}{_because(node.reason)}; it had {_listed(there)}"
            found[node.id, NODE_LOST] = _of_pods(cluster, there, text)
        elif node.pressures:
            text = f"node {node.id} has {', '.join(node.pressures)}: its cluster evicts pods from it"
            found[node.id, NODE_PRESSURE] = _Fault(PerceivedSeverity.WARNING, text)
        if node.clock is False and node.timed:
            text = f"the clock of node {node.id} does not follow PTP, which is needed by {_listed(node.timed)}"
            timed = {name for one in cluster.nodes if one is not node and _keeps_time(one) for name in one.functions}
            hit, kept = (tuple(name for name in node.timed if (name in timed) is there) for there in (False, True))
            found[node.id, PTP_LOST] = _Fault(PerceivedSeverity.MAJOR, text, functions=hit, degraded=kept)
    for function, said in cluster.crashing_at(at).items():
        text = f"a container of {function} crashes again and again: {said}"
        found[function, FUNCTION_CRASH_LOOPING] = _of_pods(cluster, [function], text)
    if cluster.waiting:
        text = f"no node takes pods of {_listed(cluster.waiting)}: {next(iter(cluster.waiting.values()))}"
        found[pool, POOL_FULL] = _of_pods(cluster, cluster.waiting, text)
    found |= _of_hardware(cluster, pool)
    if reserve:
        found[pool, POOL_NEARLY_FULL] = _Fault(PerceivedSeverity.WARNING, reserve)
    return found


def _still_here(cluster: ClusterState, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Functions of a pool, or some of them, but those that count as on another one by now."""
    among = cluster.functions if names is None else names
    return tuple(name for name in among if name not in cluster.elsewhere)


def _of_pods(cluster: ClusterState, functions: Iterable[str], text: str) -> _Fault:
    """A fault of functions' pods: functions without another ready pod are affected."""
    names = sorted(functions)
    hit = tuple(name for name in names if name in cluster.down)
    severity = PerceivedSeverity.CRITICAL if hit else PerceivedSeverity.MAJOR
    return _Fault(severity, text, functions=hit, degraded=tuple(name for name in names if name not in hit))


def _keeps_time(node: NodeState) -> bool:
    """Whether pods run on the node, and its clock is not known to be lost."""
    return node.ready is NodeReady.READY and node.clock is not False


def _of_hardware(cluster: ClusterState, pool: str) -> dict[FaultKey, _Fault]:
    """Faults in the O2 IMS of a pool: one for each node, however many alarms it has."""
    if cluster.hardware is None:
        text = f"its O2 IMS does not answer: {cluster.ims}"
        return {(pool, IMS_UNREACHABLE): _Fault(PerceivedSeverity.WARNING, text)}
    said: dict[str, list[HardwareAlarm]] = {}
    for one in cluster.hardware:
        said.setdefault(one.node, []).append(one)
    return {
        (node, HARDWARE_ALARM): _Fault(
            PerceivedSeverity.of(alarms[0].severity), "; ".join(dict.fromkeys(one.text for one in alarms))[:500]
        )
        for node, alarms in said.items()
    }


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _listed(functions: Collection[str]) -> str:
    return first_names(sorted(functions), 5) or "no function"


def _cut_off(links: Collection[LinkHealth]) -> bool:
    """Whether all core links of several tenants are down: then no single core failed."""
    tenants = {link.tenant for link in links if link.tenant}
    return len(tenants) > 1 and all(link.state is ServiceState.DOWN and not link.locked for link in links)


def _down(link: LinkHealth) -> str:
    way = f"; it goes through security gateway {link.tunnel}" if link.tunnel else ""
    return f"{link.kind} link of {link.tenant or 'the host'} is down{way}"


def reports_of(
    before: Health | None,
    now: Health,
    standing: Collection[FaultKey],
    settle: float = 0,
    cleared: Mapping[FaultKey, datetime] = MappingProxyType({}),
    ended: Collection[FaultKey] = (),
    told: Collection[FaultKey] = (),
) -> tuple[AlarmReport, ...]:
    """Reports for the alarm list that follow from two reads in a row.

    What is wrong is reported when both reads saw it, since a change under way passes through states
    that one read may catch; what is well again is reported as cleared at once. A station that can't
    be read says nothing of its links and its configuration, and one that does not tell the state of
    a link or cell neither raises nor clears its alarm. ``standing`` are alarms of the station that were
    raised and not cleared yet, ``settle`` the seconds that a cell has to come on air, ``cleared`` the times at which
    the station cleared its own alarms of what was wrong, by its clock, ``ended`` faults that are over although no
    state is reported (``returned``), ``told`` those of which only others told so far: it is reported that they are so.
    """
    found = wrongs(now)
    lasting = {wrong for wrong in found if before and wrong in wrongs(before) and _settled(now, wrong, settle)}
    raised = [
        _report(now, wrong, found[wrong]).model_copy(update={"seen": _seen(before, now, wrong)})
        for wrong in found
        if wrong in lasting and (wrong not in standing or wrong in told)
    ]
    over = [
        _report(now, wrong, _Fault(PerceivedSeverity.CLEARED, "")).model_copy(
            update={"seen": reported_between(before, _ended(now, wrong, cleared), now.at)}
        )
        for wrong in standing
        if _is_well(now, wrong, found, ended)
    ]
    return (*raised, *over)


def renewed(before: Health | None, now: Health, standing: Iterable[Alarm]) -> Iterator[AlarmReport]:
    """Reports that other functions suffer than alarms of a pool that stand name, by two reads in a row.

    Also, by two checks in a row, for another reason that a station which calls home is refused than its alarm names;
    and that a PLMN is missing with its cell, or without it, otherwise than its alarm says.

    The fault is the same, so the alarm is: only what it says of it changes, as by ``notifyChangedAlarmGeneral``
    (TS 28.532).
    """
    if before is not None and now.refusal and now.refusal == before.refusal:
        yield from _of_refusal(now, standing)
    if before is not None:
        yield from _of_cells(before, now, standing)
    if now.cluster is None or before is None:
        return
    found, earlier = wrongs(now), wrongs(before)
    for alarm in standing:
        wrong = alarm.object, alarm.probable_cause
        fault = found.get(wrong)
        if fault is None or alarm.specific_problem or alarm.tenant != fault.tenant:
            continue
        named = fault.functions, fault.degraded
        lasts = wrong in earlier and (earlier[wrong].functions, earlier[wrong].degraded) == named
        if lasts and named != (alarm.functions, alarm.degraded):
            yield _report(now, wrong, fault)


def _of_cells(before: Health, now: Health, standing: Iterable[Alarm]) -> Iterator[AlarmReport]:
    found = {wrong: fault for wrong, fault in wrongs(now).items() if wrong[1] == PLMN_MISSING}
    earlier = wrongs(before) if found else {}
    for alarm in standing:
        wrong = alarm.object, alarm.probable_cause
        fault = found.get(wrong)
        if fault is not None and earlier.get(wrong) == fault and alarm.severity is not fault.severity:
            yield _report(now, wrong, fault)


def _of_refusal(now: Health, standing: Iterable[Alarm]) -> Iterator[AlarmReport]:
    found = wrongs(now)
    for alarm in standing:
        wrong = alarm.object, alarm.probable_cause
        if alarm.probable_cause == UNREACHABLE and wrong in found and alarm.text != found[wrong].text:
            yield _report(now, wrong, found[wrong])


def as_grave(now: Health, standing: Iterable[Alarm]) -> Iterator[AlarmReport]:
    """Reports that the station diverged, where that is more or less severe than what its cells show.

    A cell of the alarm that is off the air, whether locked, gone or failed, makes it critical (X.733: service is lost);
    it is major again once all of them are known to serve.
    """
    for alarm in standing:
        if alarm.probable_cause != DIVERGED or alarm.source is not AlarmSource.CHECK or not now.was_read:
            continue
        named = [name for station, _, name in (cell.partition("/") for cell in alarm.cells) if station == now.station]
        states = [ServiceState.DOWN if one in now.gone else now.cells.get(one, ServiceState.UNKNOWN) for one in named]
        if not named:
            continue
        if ServiceState.DOWN in states:
            severity = PerceivedSeverity.CRITICAL
        elif all(state is ServiceState.UP for state in states):
            severity = PerceivedSeverity.MAJOR
        else:
            continue
        if severity is not alarm.severity:
            said = {name: getattr(alarm, name) for name in ("station", "object", "object_class", "text", "cells")}
            yield AlarmReport(**said, probable_cause=DIVERGED, severity=severity, source=AlarmSource.CHECK, at=now.at)


def _seen(before: Health | None, now: Health, wrong: FaultKey) -> datetime | None:
    """When it began: as the station reported, or else the first check that saw it."""
    what, cause = wrong
    if cause == CELL_OFF_AIR:
        return now.off_air[what]
    links = [link.since for link in now.links if link.since and (link.path == what or cause == ALL_LINKS_DOWN)]
    return max(links) if links else before.at if before else None


def _ended(now: Health, wrong: FaultKey, cleared: Mapping[FaultKey, datetime]) -> datetime | None:
    """When a fault ended, if the station reported that."""
    if wrong[1] != ALL_LINKS_DOWN:
        return cleared.get(wrong)
    up = [cleared.get((link.path, link_cause(LinkKind(link.kind)))) for link in now.links if link.up]
    known = [at for at in up if at is not None]
    return min(known) if known and len(known) == len(up) else None


def _settled(now: Health, wrong: FaultKey, settle: float) -> bool:
    """Whether a fault had the time that it needs to end by itself: a cell comes on air only slowly.

    Outages that were long enough for an alarm of their own make no other one.
    """
    what, cause = wrong
    if cause == CELL_UNSTABLE:
        longest = timedelta(seconds=settle) + _SEEN_LATE
        short = (until for since, until in now.recent_outages[what] if until - since < longest)
        return sum(until > now.at - _WITHIN for until in short) >= _REPEATS
    return cause != CELL_OFF_AIR or now.at - now.off_air[what] >= timedelta(seconds=settle)


def returned(before: Health | None, now: Health) -> frozenset[FaultKey]:
    """Faults that were nothing but the absence of core links which the station has again, whatever their state."""
    gone = {link.path for link in before.links if link.fault is LinkFault.VANISHED} if before and now.was_read else ()
    back = [link for link in now.links if link.path in gone and not link.missing]
    of_all = {(now.device, ALL_LINKS_DOWN)} if back else set()
    return frozenset(of_all | {(link.path, link_cause(LinkKind(link.kind))) for link in back})


def _is_well(now: Health, wrong: FaultKey, found: Mapping[FaultKey, _Fault], ended: Collection[FaultKey]) -> bool:
    if wrong in found:
        return False
    if now.was_read and wrong not in ended and is_unknown(now, wrong):
        return False
    _, cause = wrong
    return cause in (OWN_CAUSES | now.supply.keys() if now.was_read else _WITHOUT_READING)


def is_unknown(now: Health, wrong: FaultKey) -> bool:
    """Whether a device does not report the state of the faulty core link, cell, server or function."""
    what, cause = wrong
    if cause in now.unknown:
        return True
    if cause == ALL_LINKS_DOWN:
        return ServiceState.any_of(link.state for link in now.links) is ServiceState.UNKNOWN
    if cause == HARDWARE_ALARM:
        return now.cluster is None or now.cluster.hardware is None
    if cause == PTP_LOST:
        return any(node.id == what and node.clock is None for node in (now.cluster.nodes if now.cluster else ()))
    if cause in LINK_CAUSES:
        return any(link.path == what and link.state is ServiceState.UNKNOWN for link in now.links)
    of_cell = now.cells.values() if what == now.device else [now.cells.get(cell_of(what))]
    return cause == CELL_OFF_AIR and set(of_cell) == {ServiceState.UNKNOWN}


def as_told(report: AlarmReport, health: Health | None) -> AlarmReport:
    """What another system reports of what our own checks look for, held against the last check of the device.

    Whatever was wrong at that check, the check says since when. So the report begins no earlier, unless the device
    does not tell the state of its object: money is paid by it, and rests on no time that somebody else names.
    """
    if report.probable_cause not in OWN_CAUSES:
        return report
    if health is None:
        return report.model_copy(update={"unread": True})
    untold = health.was_read and is_unknown(health, (report.object, report.probable_cause))
    clears = report.severity is PerceivedSeverity.CLEARED
    at = report.at if untold or clears or health.read is None else max(report.at, health.read)
    return report.model_copy(update={"at": at, "unread": untold or not health.was_read})


def _report(health: Health, wrong: FaultKey, fault: _Fault) -> AlarmReport:
    return AlarmReport(
        station=health.station,
        object=wrong[0],
        object_class=_class_of(health, wrong),
        tenant=fault.tenant,
        functions=fault.functions,
        degraded=fault.degraded,
        probable_cause=wrong[1],
        severity=fault.severity,
        text=fault.text,
        source=AlarmSource.CHECK,
        at=health.at,
        cells=tuple(f"{health.station}/{cell}" for cell in fault.cells),
    )


def _class_of(health: Health, wrong: FaultKey) -> ObjectClass:
    """Class of a fault's object, also after the fault ended, when only the name is known."""
    what, cause = wrong
    if what == health.device:
        return ObjectClass.of_device(health.device)
    if cause == PORT_DOWN:
        return ObjectClass.PORT
    if cause == RADIO_UNIT_LOST:
        return ObjectClass.RADIO_UNIT
    if cause == PLMN_MISSING:
        return ObjectClass.CELL
    if cause in POOL_CAUSES:
        return ObjectClass.FUNCTION if cause == FUNCTION_CRASH_LOOPING else ObjectClass.NODE
    return object_class_of(None, health.station, what)
