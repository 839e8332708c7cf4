"""Guards: all that says no to an automatic repair, each by its name and with its reason, in one ordered list.

They are asked before a repair is planned, again once its station was read, and once more in the transaction that begins
its run. A guard says nothing of what is not known yet: that of a lock nothing before the station was read, that of a
warning nothing before it is known whether the repair interrupts service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.models.alarm import CONFIGURATION_DRIFT, LINK_CAUSES, REMEDIATION_STOPPED, Alarm, AlarmState
from controller.models.health import Health, ServiceState
from controller.models.network import Network
from controller.models.run import Holds
from controller.ports.store import PreparedRun, Store
from controller.remediation.rules import Rule
from controller.runs.approval.clearance import freeze_on, places_of


@dataclass(frozen=True, slots=True)
class Refusal:
    """A guard's no.

    Attributes:
        guard: The guard that says it, a key of ``GUARDS``.
        reason: Why, for people.
        until: When that ends by itself, None where it is not known.
        final: Whether waiting ends nothing, so that people are asked.
    """

    guard: str
    reason: str
    until: datetime | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair that a rule is about to begin, as far as it is known.

    Attributes:
        alarm: What it is for.
        rule: Which rule asks for it.
        health: What the station said of itself just now, None before it was read.
        run: The run that would be begun, None before it was prepared.
    """

    alarm: Alarm
    rule: Rule
    health: Health | None = None
    run: PreparedRun | None = None

    @property
    def key(self) -> str:
        """The object that repairs are counted for."""
        part = f":{self.alarm.specific_problem}" if self.alarm.specific_problem else ""
        return f"{self.alarm.station}:{self.alarm.object}{part}"

    @property
    def interrupts(self) -> bool:
        """Whether its run is known to interrupt service."""
        terms = None if self.run is None else self.run.constraints
        return terms is not None and any(group.interrupts for group in terms.groups)


@dataclass(frozen=True, slots=True)
class Ask:
    """What guards are asked: a repair, the record, and the time."""

    repair: Repair
    store: Store
    now: datetime

    @property
    def network(self) -> Network:
        """The current network."""
        return self.store.networks.get()[1]

    @property
    def site(self) -> str:
        """Site of the alarm's device, an empty string where it has left the network files."""
        network, station = self.network, self.repair.alarm.station
        return network.site_of(station) if network.manages(station) else ""


@dataclass(frozen=True, slots=True)
class _No:
    reason: str
    until: datetime | None = None
    final: bool = False


def refusal(store: Store, repair: Repair, now: datetime) -> Refusal | None:
    """The first guard's no to a repair, None where none says no; to be asked in a transaction."""
    ask = Ask(repair, store, now)
    said = ((name, guard(ask)) for name, guard in GUARDS.items())
    return next((Refusal(name, no.reason, no.until, no.final) for name, no in said if no is not None), None)


# ------------------------------------------------------------------ all of Minka


def _stopped(ask: Ask) -> _No | None:
    state = ask.store.switches.get(REMEDIATION_STOPPED)
    return _No(f"automatic repair is stopped by {state.by}{state.reason and ': '}{state.reason}") if state.on else None


def _record(ask: Ask) -> _No | None:
    doubt = ask.store.integrity.check().doubt
    return _No(f"the record is in doubt (minka record show): {doubt}") if doubt else None


# --------------------------------------------------------------------- the place


def _symptom(ask: Ask) -> _No | None:
    root = ask.store.alarms.get(ask.repair.alarm.id).root
    return _No(f"it follows from alarm {root}, whose fault has to end") if root else None


def _announced(ask: Ask) -> _No | None:
    work = ask.store.works.on(ask.repair.alarm)
    if work is None:
        return None
    return _No(f"announced work {work.id} of {work.tenant} until {work.over:%Y-%m-%d %H:%M} UTC", work.over)


def _hold(ask: Ask) -> _No | None:
    hold = Holds(ask.store.holds.find(ask.now)).on(ask.repair.alarm.station, ask.site)
    return _No(f"hold on {hold.target} by {hold.by}", hold.until) if hold else None


def _freeze(ask: Ask) -> _No | None:
    """A public warning binds only what interrupts, which is known once the run is prepared."""
    alarm, network = ask.repair.alarm, ask.network
    places = places_of(network, alarm.station) if network.manages(alarm.station) else ("network",)
    freezes = ask.store.freezes.find(ask.now)
    freeze = freeze_on({f"tenant:{alarm.tenant}", *places}, freezes, ask.now, interrupts=ask.repair.interrupts)
    return _No(f"{freeze.name} until {freeze.ends:%Y-%m-%d %H:%M} UTC", freeze.ends) if freeze else None


def _busy(ask: Ask) -> _No | None:
    busy = ask.store.claims.busy([ask.repair.alarm.station])
    return _No("a job works on the station") if busy else None


# ------------------------------------------------------------------- how often


def _settle(ask: Ask) -> _No | None:
    alarm, guards = ask.repair.alarm, ask.repair.rule.guards
    settled = (alarm.released or alarm.raised) + timedelta(seconds=guards.settle_seconds)
    return _No(f"it has to stand for {guards.settle_seconds:g} s", settled) if ask.now < settled else None


def _attempts(ask: Ask) -> _No | None:
    guards = ask.repair.rule.guards
    since = ask.now - timedelta(seconds=guards.cool_down_seconds)
    earlier = ask.store.repairs.count(ask.repair.rule.name, ask.repair.key, since)
    if earlier < guards.attempts:
        return None
    return _No(f"it is back after {earlier} repairs: does something else write there?", final=True)


# ------------------------------------------------------- what the station says


def _unreachable(ask: Ask) -> _No | None:
    health = ask.repair.health
    return _No(f"the station can't be read ({health.reason})") if health and not health.reachable else None


def _lock(ask: Ask) -> _No | None:
    """A lock that is not ours: whoever locked it may be working there."""
    health = ask.repair.health
    if health is None:
        return None
    if health.locked:
        return _No(f"somebody else locked cell {', '.join(health.locked)}")
    locked = any(link.path == ask.repair.alarm.object and link.locked for link in health.links)
    return _No("somebody locked the link") if locked else None


def _drift(ask: Ask) -> _No | None:
    """For a core link, the drift of its station or router that is repaired first.

    None is waited for where people were asked to see to the drift, nor for longer than a repair takes.
    """
    alarm, health = ask.repair.alarm, ask.repair.health
    patient = ask.now - alarm.raised <= timedelta(seconds=ask.repair.rule.verify_seconds)
    if health is None or alarm.probable_cause not in LINK_CAUSES or not patient:
        return None
    routers = ask.network.routers_at.get(ask.site, ())
    standing = ask.store.alarms.standing([alarm.station, *routers])
    drifts = {one.station: one.state for one in standing if one.probable_cause == CONFIGURATION_DRIFT}
    if health.drift and drifts.get(alarm.station) is not AlarmState.ESCALATED:
        return _No("the configuration drifted, which is repaired first")
    waited = [router for router in routers if drifts.get(router, AlarmState.ESCALATED) is not AlarmState.ESCALATED]
    return _No(f"the configuration of {waited[0]} drifted, which is repaired first") if waited else None


def _unknown(ask: Ask) -> _No | None:
    """No repair could be verified."""
    links = ask.repair.health.links if ask.repair.health else ()
    if any(link.path == ask.repair.alarm.object and link.state is ServiceState.UNKNOWN for link in links):
        return _No("no repair could be planned: the station does not report whether the link is up", final=True)
    return None


#: All guards, in the order in which they are asked. Which one says no first decides the reason, and nothing else.
GUARDS: Mapping[str, Callable[[Ask], _No | None]] = {
    "stopped": _stopped,
    "record": _record,
    "symptom": _symptom,
    "announced": _announced,
    "hold": _hold,
    "freeze": _freeze,
    "busy": _busy,
    "settle": _settle,
    "attempts": _attempts,
    "unreachable": _unreachable,
    "lock": _lock,
    "drift": _drift,
    "unknown": _unknown,
}
