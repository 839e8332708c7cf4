"""Guards: all that can say no to an automatic repair, each with its name and reason, in one ordered list.

They are asked before a repair is planned, again once its station was read, and once more in the transaction that begins
its run. A guard says nothing of what is not known yet: that of a lock nothing before the station was read, that of a
warning nothing before it is known whether the repair interrupts service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any

from controller.intent.impact import core_node_in, deadline_of
from controller.intent.incidents import fault_of
from controller.models.alarm import (
    CONFIGURATION_DRIFT,
    CONFIGURATION_LOST,
    FUNCTION_DOWN,
    FUNCTION_UNSEEN,
    LINK_CAUSES,
    POWER_CAUSES,
    REMEDIATION_STOPPED,
    SUPPLY_CAUSES,
    Alarm,
    AlarmState,
    is_worse,
)
from controller.models.health import Health, ServiceState
from controller.models.incident import worst
from controller.models.network import Network
from controller.models.rule import EVERYWHERE, RuleMode
from controller.models.run import ALARM, Holds, Run
from controller.models.settings import Settings
from controller.models.sharing import Consent
from controller.models.waiting import WaitCode, codes_of
from controller.playbook.engine.reach import reach, refusals
from controller.remediation.gravity import Rank, dark_at, gravity, ranks
from controller.remediation.rules import Match, Rule, Rung
from controller.runs.approval.clearance import clearances, freeze_on, places_of
from controller.runs.procedures import NO_DISTURBANCE, Disturbance
from controller.store import ClearanceInput, PreparedRun, StartedRepair, Store
from controller.store.lock_holders import LockHolder, lock_holders

#: Time over which repairs are counted.
_HOUR = timedelta(hours=1)
#: What takes all cells of a virtual station off the air, and those of all others if it is that of a central unit.
_WITHOUT_CELLS = frozenset((FUNCTION_DOWN, FUNCTION_UNSEEN, CONFIGURATION_LOST))
#: How long it takes to work out what alarms follow from.
_SOON = timedelta(seconds=1)
#: How far back it is looked up who locked something.
_REMEMBERED = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be repaired, where a rule does not say so; see ``controller.remediation.rules.RuleGuards``."""

    per_device: int = Settings.model_fields["repairs_per_device"].default
    per_site: int = Settings.model_fields["repairs_per_site"].default
    per_region: int = Settings.model_fields["repairs_per_region"].default
    per_tenant: int = Settings.model_fields["repairs_per_tenant"].default
    share: float = Settings.model_fields["repair_share"].default

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those of the settings."""
        return cls(
            settings.repairs_per_device,
            settings.repairs_per_site,
            settings.repairs_per_region,
            settings.repairs_per_tenant,
            settings.repair_share,
        )


#: What says no where no guard does: its playbook can't be run, as its parameters or what it finds don't fit.
PLAN = "plan"
#: What says a final no about one rung of the ladder alone, so that the next one follows.
OF_RUNG = frozenset(("reach", "consent", "unknown", PLAN))
#: Guards that say no only for a while at first: the alarm has to stand, and its root has to be known.
SETTLE, CORRELATION = "settle", "correlation"
#: Guards by which an alarm is in hand: it may end by itself, people know of it, or what works there already is for it.
#: By any other guard nobody acts, though the service be down, so that people are called to what is critical.
IN_HAND = frozenset(
    (
        *(SETTLE, CORRELATION, "over", "symptom", "together", "announced", "shelved"),
        *("flapping", "busy", "drift", "unit"),
    )
)
#: Guards whose end shows as a change of the alarm, so that nobody has to poll for it.
ENDS_WITH_ALARM = frozenset(("over", "symptom"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A guard's no.

    Attributes:
        guard: The guard that says it, a key of ``GUARDS``; or ``PLAN``.
        reason: Why, for people.
        until: When that ends by itself, None where it is not known.
        final: Whether waiting ends nothing, so that people are asked.
        waits: What the repair waits for if it is not final.
    """

    guard: str
    reason: str
    until: datetime | None = None
    final: bool = False
    waits: tuple[WaitCode, ...] = (WaitCode.OTHER,)


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair that a rule is about to begin, as far as it is known.

    Attributes:
        alarm: What it is for.
        rule: Which rule asks for it.
        rung: Which rung of its ladder it is.
        mode: The mode in which the rule is.
        scope: The scope in which that was set.
        given: Parameters of the rung's playbook.
        same_fault: Other alarms of the same fault, for which its run works as well.
        health: What the station said of itself just now, None before it was read.
        run: The run that would be begun, None before it was prepared.
        disturbance: What it is known to do without the run.
        on_battery: Whether the station itself says that it runs on its battery, with an alarm or without.
        limits: How much may be repaired, where the rule does not say so.
    """

    alarm: Alarm
    rule: Rule
    rung: int = 0
    mode: RuleMode = RuleMode.AUTO
    scope: str = EVERYWHERE
    given: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = Limits()
    same_fault: tuple[Alarm, ...] = ()
    health: Health | None = None
    run: PreparedRun | None = None
    disturbance: Disturbance = NO_DISTURBANCE
    on_battery: bool = False

    @property
    def key(self) -> str:
        """Key by which repairs are counted: the object, or the fault if it has several."""
        if self.rule.answers_faults:
            return ":".join(filter(None, fault_of(self.alarm)))
        part = f":{self.alarm.specific_problem}" if self.alarm.specific_problem else ""
        return f"{self.alarm.station}:{self.alarm.object}{part}"

    @property
    def interrupts(self) -> bool:
        """Whether its run is known to take something off the air, whether or not anybody is served there."""
        terms = None if self.run is None else self.run.constraints
        planned = terms is not None and (bool(terms.spared) or any(group.takes_off_air for group in terms.groups))
        return self.disturbance.interrupts or self.disturbance.restarts or planned

    @property
    def restarts(self) -> bool:
        """Whether its run is known to restart the device or a unit of it, whether or not anybody is served there."""
        return self.disturbance.restarts or (self.run is not None and self.run.restarts)


@dataclass(frozen=True, slots=True)
class GuardInput:
    """Input of guards: a repair, its alarm as it is now, the record, the current network, and the time."""

    repair: Repair
    alarm: Alarm
    store: Store
    network: Network
    now: datetime

    @property
    def device(self) -> str:
        """The alarm's device."""
        return self.alarm.station

    @property
    def same_fault(self) -> list[Alarm]:
        """Other alarms of the fault that the repair works for too, as they are now."""
        return of_fault(self.store, self.repair.rule, self.alarm, self.network, self.now)

    @property
    def is_patient(self) -> bool:
        """Whether it still waits for the repair of another fault, at most as long as a repair takes."""
        return self.is_patient_since(self.alarm.raised)

    def is_patient_since(self, begin: datetime) -> bool:
        """Whether the alarm has stood no longer than a repair takes since a time: a freeze may have gone before."""
        since = max(begin, self.alarm.raised)
        return self.now - since <= timedelta(seconds=self.repair.rule.verify.within_seconds)

    @property
    def site(self) -> str:
        """Site of the alarm's device; empty if the device has left the network files."""
        return self.network.site_of(self.device) if self.network.manages(self.device) else ""


@dataclass(frozen=True, slots=True)
class _Denial:
    reason: str
    until: datetime | None = None
    final: bool = False
    waits: tuple[WaitCode, ...] = (WaitCode.OTHER,)


def refusal(store: Store, repair: Repair, now: datetime) -> Refusal | None:
    """The first guard's no to a repair; None if there is none. To be called in a transaction.

    A rung that only notifies people does nothing to a device, so guards of acts on devices do not apply to it.
    Once its run is known, it waits for other transactions that are about to begin a repair, so that two see each other.
    """
    if repair.run is not None:
        store.repairs.alone()
    ask = GuardInput(repair, store.alarms.get(repair.alarm.id), store, store.networks.get()[1], now)
    tells = repair.rule.ladder[repair.rung].people
    said = ((name, guard(ask)) for name, guard in GUARDS.items() if not (tells and name in _OF_ACTS))
    return next((Refusal(name, no.reason, no.until, no.final, no.waits) for name, no in said if no is not None), None)


def of_fault(store: Store, rule: Rule, alarm: Alarm, network: Network, now: datetime) -> list[Alarm]:
    """Other standing alarms of the fault that a rule answers and nobody works on, oldest first."""
    if not rule.answers_faults:
        return []
    return [
        one
        for one in sorted(store.alarms.standing([alarm.station]), key=attrgetter("order"))
        if one.id != alarm.id
        and fault_of(one) == fault_of(alarm)
        and one.state in (AlarmState.RAISED, AlarmState.ESCALATED)
        and one.cleared is None
        and (rule.match.follows or not one.root)
        and rule.match.fits(one, network)
        and not one.is_shelved(now)
        and store.works.on(one) is None
    ]


# ------------------------------------------------------------------ all of Minka


def _stopped(ask: GuardInput) -> _Denial | None:
    state = ask.store.switches.get(REMEDIATION_STOPPED)
    return _Denial(state.stops, waits=(WaitCode.STOP,)) if state.on else None


def _record(ask: GuardInput) -> _Denial | None:
    doubt = ask.store.integrity.check().doubt
    return _Denial(f"the record is in doubt (minka record show): {doubt}") if doubt else None


# ------------------------------------------------------------------- the alarm


def _over(ask: GuardInput) -> _Denial | None:
    return _Denial("its source says that it is over") if ask.alarm.cleared is not None else None


def _symptom(ask: GuardInput) -> _Denial | None:
    root = "" if ask.repair.rule.match.follows else ask.alarm.root
    return _Denial(follows_from(root)) if root else None


def _correlation(ask: GuardInput) -> _Denial | None:
    known = ask.repair.rule.match.follows or ask.store.alarms.is_correlated(ask.alarm.id)
    return None if known else _Denial("its root is being worked out", ask.now + _SOON)


def follows_from(root: str) -> str:
    """Why an alarm that follows from another is not repaired."""
    return f"it follows from alarm {root}, whose fault has to end"


def _together(ask: GuardInput) -> _Denial | None:
    """One run repairs all that one fault affected: the alarm that was raised first begins it, or tells why not."""
    first = min(
        (one for one in ask.same_fault if one.state is ask.alarm.state), key=attrgetter("order"), default=ask.alarm
    )
    if ask.alarm.order <= first.order:
        return None
    return _Denial(f"alarm {first.id} of the same fault was raised first, and says what is done about both")


def _announced(ask: GuardInput) -> _Denial | None:
    work = ask.store.works.on(ask.alarm)
    if work is None:
        return None
    reason = f"announced work {work.id} of {work.tenant} until {work.over:%Y-%m-%d %H:%M} UTC"
    return _Denial(reason, work.over, waits=(WaitCode.WORK,))


def _shelved(ask: GuardInput) -> _Denial | None:
    if not ask.alarm.is_shelved(ask.now):
        return None
    return _Denial(f"shelved by {ask.alarm.shelved_by}", ask.alarm.shelved_until, waits=(WaitCode.SHELVING,))


def _settle(ask: GuardInput) -> _Denial | None:
    """The fault has to stand by itself, counted from the last alarm, or the end of its root, announced work or run."""
    if (dark := dark_at(ask.store, ask.alarm, ask.now)) is not None:
        # The time in which it might have ended by itself is over.
        return _Denial("it is being found out whether a cut explains its silence", dark) if ask.now < dark else None
    seconds = settle_seconds(ask.repair.rule, ask.alarm, ask.network)
    times = (time for one in (ask.alarm, *ask.same_fault) for time in (one.raised, one.released))
    since = max(filter(None, (*times, ask.store.runs.left(ask.device), _work_over(ask))))
    settled = since + timedelta(seconds=seconds)
    return _Denial(has_to_stand(seconds), settled) if ask.now < settled else None


def settle_seconds(rule: Rule, alarm: Alarm, network: Network) -> float:
    """How long an alarm has to stand; if a station serves for a limited time only, at most half of that."""
    until = deadline_of(network, alarm)
    seconds = rule.guards.settle_seconds
    return seconds if until is None else min(seconds, (until - alarm.raised).total_seconds() / 2)


def _work_over(ask: GuardInput) -> datetime | None:
    """The end of the last announced work that explained the fault, since a core needs a moment to come back."""
    alarm = ask.alarm
    link = core_node_in(alarm) if alarm.tenant else ""
    works = ask.store.works.during(alarm.raised, ask.now, alarm.tenant) if link else ()
    return max((one.over for one in works if one.covers(alarm.tenant, link) and one.over <= ask.now), default=None)


def has_to_stand(seconds: float) -> str:
    """Why an alarm that was just raised is not repaired."""
    return f"it has to stand for {seconds:g} s"


def _flapping(ask: GuardInput) -> _Denial | None:
    """A flapping fault has to stand longer each time; in the end people take over.

    An incident is escalated once, not at each return, unless one is graver than what people were told of. A rung that
    only notifies people is no repair.
    """
    alarm, repair = ask.alarm, ask.repair
    if repair.rung or alarm.root or not alarm.incident:
        return None
    incident = ask.store.incidents.get(alarm.incident)
    if fault_of(incident) != fault_of(alarm) or not incident.flaps:
        return None
    notifies = repair.rule.ladder[0].people
    if incident.flapping:
        again = f"incident {incident.id} flaps: the same fault came again {incident.flaps} times"
        its = ask.store.incidents.alarms(incident.id)
        told = [one for one in its if one.escalated or ask.store.escalations.worst(one.id)]
        if told and _is_known(ask, told):
            return _Denial(f"{again}, and people were notified of it")
        return None if notifies else _Denial(again, final=True)
    settled = alarm.raised + timedelta(seconds=repair.rule.guards.settle_seconds * (1 + incident.flaps))
    if notifies or ask.now >= settled:
        return None
    return _Denial(f"it came again soon after it was over, so it has to stand until {settled:%H:%M:%S} UTC", settled)


def _is_known(ask: GuardInput, told: Iterable[Alarm]) -> bool:
    """Whether people know how grave an alarm is, by what they were told of earlier ones of its incident."""
    severities = [known for one in told if (known := ask.store.escalations.worst(one.id)) is not None]
    return not severities or not is_worse(gravity(ask.store, ask.alarm, ask.now), worst(severities))


# --------------------------------------------------------------------- the place


def _loop(ask: GuardInput) -> _Denial | None:
    """A fault that a repair may have caused starts no other repair, since two rules could work against each other."""
    other = ask.store.rules.during(ask.alarm)
    if other is None:
        return None
    reason = f"it was raised while run {other.run} of rule {other.rule} worked there, or was being verified"
    return _Denial(
        reason if other.ended is None else f"{reason}: no repair follows from a repair", final=bool(other.ended)
    )


def _hold(ask: GuardInput) -> _Denial | None:
    hold = Holds(ask.store.holds.find(ask.now)).on(ask.device, ask.site, ask.network.bound_by(ask.device))
    return _Denial(f"hold on {hold.target} by {hold.by}", hold.until, waits=(WaitCode.HOLD,)) if hold else None


def _freeze(ask: GuardInput) -> _Denial | None:
    """A public warning binds only work that interrupts or restarts, which is known after the run is prepared."""
    alarm, network = ask.alarm, ask.network
    places = places_of(network, alarm.station) if network.manages(alarm.station) else ("network",)
    freezes = ask.store.freezes.find(ask.now)
    freeze = freeze_on({f"tenant:{alarm.tenant}", *places}, freezes, ask.now, interrupts=ask.repair.interrupts)
    if freeze is None:
        return None
    reason = f"{freeze.name} until {freeze.ends:%Y-%m-%d %H:%M} UTC"
    return _Denial(reason, freeze.ends, waits=(freeze.as_reason("").code,))


def _busy(ask: GuardInput) -> _Denial | None:
    """A fault during a run, there or at a function of the station, or in a planned window, belongs to that run.

    Where the run soaks or waits for longer than a repair takes, people are asked. What belongs to a fault that is being
    repaired waits for the end of that: before then nobody knows whether the repair lasts.
    """
    if run := ask.store.repairs.going_on(ask.repair.rule.name, ask.repair.key):
        return _Denial(f"run {run} repairs the same fault")
    here = "the station" if ask.network.has_cells(ask.device) else ask.device
    functions = ask.network.functions_of(ask.device)
    for one, name in ((ask.device, here), *((function, function) for function in functions)):
        if run := ask.store.runs.under_way(one, ask.now):
            known = ask.store.runs.get(run)
            patient = ask.is_patient_since(known.started or known.created)
            waits = () if patient else ask.store.runs.waits([run]).get(run, ())
            still = f", and waits: {waits[0].what}" if waits else ""
            return _Denial(f"run {run} works on {name}{still}", final=bool(waits))
    return _Denial(f"a job works on {here}") if ask.store.claims.busy([ask.device, *functions]) else None


def _battery(ask: GuardInput) -> _Denial | None:
    """A device that is restarted on battery, or with a faulty power unit, may not come back.

    What interrupts service otherwise ends as it does on the mains: a core link that is made anew, a cell that is locked
    and unlocked. That of a station that still serves is repaired as elsewhere.
    """
    if not ask.repair.restarts:
        return None
    standing = ask.store.alarms.standing([ask.device])
    power = [one for one in standing if one.probable_cause in POWER_CAUSES and one.cleared is None]
    first = min(power, key=attrgetter("order"), default=None)
    if first is None and not ask.repair.on_battery:
        return None
    site = ask.network.site_by_id.get(ask.site)
    since = f" since {first.raised:%Y-%m-%d %H:%M} UTC" if first else ", and has no alarm of it"
    until = deadline_of(ask.network, first) if first else None
    lasts = f", which lasts until about {until:%H:%M}" if until else ""
    fed = f" (its site: {site.power})" if site is not None and site.power else ""
    if first is not None and first.probable_cause not in SUPPLY_CAUSES and not ask.repair.on_battery:
        return _Denial(f"the station has a problem with its power ({first.probable_cause}){since}{fed}")
    return _Denial(f"the station runs on its battery{since}{lasts}{fed}")


# ------------------------------------------------------------------- how often


def _attempts(ask: GuardInput) -> _Denial | None:
    guards = ask.repair.rule.guards
    if ask.repair.rung:  # the next rung belongs to the attempt
        return None
    since = ask.now - timedelta(seconds=guards.cool_down_seconds)
    earlier = ask.store.repairs.count(ask.repair.rule.name, ask.repair.key, since)
    if earlier >= guards.attempts:
        drifts = ask.alarm.probable_cause == CONFIGURATION_DRIFT
        hint = "does something else write there?" if drifts else "they did not last"
        return _Denial(f"it is back after {earlier} repairs: {hint}", final=True)
    if of_root := ask.store.repairs.count_for_root(ask.alarm.id, since):
        return _Denial(f"it outlived its root, for which there were {of_root} repairs already", final=True)
    return None


def _rate(ask: GuardInput) -> _Denial | None:
    """Repairs by all rules within an hour: of the device, at its site, in its region, and for a tenant."""
    guards, limits, network = ask.repair.rule.guards, ask.repair.limits, ask.network
    recent = ask.store.repairs.since(ask.now - _HOUR)
    place = {one.station: _place(network, one.station) for one in recent}
    site, region = _place(network, ask.device)
    counted: list[tuple[str, int, list[StartedRepair]]] = [
        (ask.device, guards.per_device or limits.per_device, [one for one in recent if one.station == ask.device]),
    ]
    if site:
        at_site, in_region = ([one for one in recent if place[one.station][n] == (site, region)[n]] for n in (0, 1))
        counted.append((f"site {site}", guards.per_site or limits.per_site, at_site))
        counted.append((f"region {region}", guards.per_region or limits.per_region, in_region))
    for tenant in ask.alarm.tenants:
        theirs = [one for one in recent if tenant in one.tenants]
        counted.append((f"tenant {tenant}", guards.per_tenant or limits.per_tenant, theirs))
    for what, most, found in counted:
        if len(found) >= most:
            return _Denial(f"{len(found)} repairs of {what} began within an hour", found[-most].at + _HOUR)
    return None


def _share(ask: GuardInput) -> _Denial | None:
    """Stations of the region that are under repair now. Of those that wait for that, the gravest goes first."""
    region = _place(ask.network, ask.device)[1]
    known = {one for one in ask.store.alarms.under_repair() if _place(ask.network, one)[1] == region}
    under = known - {ask.device}
    if not region or not (under or ask.store.alarms.waiting(WaitCode.SHARE)):
        return None
    percent = ask.repair.rule.guards.share or ask.repair.limits.share
    stations = sum(ask.network.region_of(one.id) == region for one in ask.network.stations)
    if (left := max(1, int(stations * percent / 100)) - len(under)) > 0:
        return None if ask.device in known else _behind(ask, region, known, left)
    may = f"{percent:g} % may be (at least one): the next repair begins when one of these is over"
    how = "`share` of the rule, or MINKA_REPAIR_SHARE, lets more begin at once"
    of = f"{len(under)} of {stations} stations of region {region} are under repair"
    return _Denial(f"{of} (minka alarms list --state repairing), and {may}; {how}", waits=(WaitCode.SHARE,))


def _behind(ask: GuardInput, region: str, under: Collection[str], left: int) -> _Denial | None:
    """That stations with graver faults wait for all that is left of a region's share."""
    line = in_line(ask.store, ask.network, ask.now, ask.alarm).get(region, [])
    first: dict[str, Alarm] = {}
    for one in line[: [one.id for one in line].index(ask.alarm.id)]:
        if one.station not in (*under, ask.device):
            first.setdefault(one.station, one)
    if len(first) < left:
        return None
    faults = ", ".join(f"{one.id} at {name}" for name, one in islice(first.items(), left))
    return _Denial(f"a graver fault of region {region} is repaired first ({faults})", waits=(WaitCode.SHARE,))


def in_line(store: Store, network: Network, now: datetime, *more: Alarm) -> dict[str, list[Alarm]]:
    """Alarms that wait for a share of their region, by region; and these, whatever they wait for.

    The gravest goes first. Among equals these go first whose tenants had the fewest repairs in the region lately, so
    that no tenant's storm keeps others waiting; then by people, cells and age.
    """
    every = {one.id: one for one in (*store.alarms.waiting(WaitCode.SHARE), *more)}
    rank_of = ranks(store, list(every.values()), network)
    had = Counter((_place(network, one.station)[1], one.tenants) for one in store.repairs.since(now - _HOUR))
    found: dict[str, list[Alarm]] = {}
    for one in every.values():
        found.setdefault(_place(network, one.station)[1], []).append(one)

    def turn(one: Alarm) -> tuple[int, bool, int, Rank]:
        rank, region = rank_of[one.id], _place(network, one.station)[1]
        return rank.severity, rank.told, had[region, one.tenants], rank

    return {region: sorted(those, key=turn) for region, those in found.items()}


def _place(network: Network, device: str) -> tuple[str, str]:
    """Site and region of a device; empty if it has left the network files."""
    return (network.site_of(device), network.region_of(device)) if network.manages(device) else ("", "")


# ----------------------------------------------------------- what the run would do


def _reach(ask: GuardInput) -> _Denial | None:
    """The number of devices that the run may touch."""
    run = ask.repair.run
    if run is None:
        return None
    stations = sorted({job.station for job in run.jobs})
    plan = None if run.plan.is_empty else run.plan
    reached = reach(ask.network, stations, plan, ask.store.ledger.find(stations))
    found = refusals(ask.repair.rule.guards, reached)
    return _Denial("; ".join(found), final=True) if found else None


def _consent(ask: GuardInput) -> _Denial | None:
    """All interrupted tenants agreed beforehand; tenants without service were not asked if our last check says so."""
    terms, health = None if ask.repair.run is None else ask.repair.run.constraints, ask.repair.health
    health = health and health.with_sleepers(ask.store.alarms.standing([ask.device]))
    if terms is not None and not ask.repair.rule.guards.interrupts and any(one.interrupts for one in terms.groups):
        return _Denial("it would interrupt somebody, and its rule only works where nobody is served", final=True)
    if terms is not None and (needed := [one for one in terms.requirements if one.consent is not Consent.NOTICE]):
        return _Denial(f"it needs people's consent: {', '.join(one.as_reason.words for one in needed)}", final=True)
    spared = terms.spared.get(ask.device, ()) if terms is not None and health is not None else ()
    back = [f"{cell} serves {tenant}" for cell, tenant in spared if health and health.serves(cell, tenant)]
    return _Denial(f"{', '.join(back)} again, whose consent was not asked") if back else None


def _window(ask: GuardInput) -> _Denial | None:
    """Windows, freezes and holds of all devices of the run; the run itself asks for approvals."""
    run = ask.repair.run
    if run is None or run.constraints is None:
        return None
    standing = ClearanceInput(
        requester="",
        seconds=run.strategy.timer(),
        constraints=run.constraints.model_copy(update={"requirements": ()}),
        holds=tuple(ask.store.holds.find(ask.now)),
        freezes=tuple(ask.store.freezes.find(ask.now)),
    )
    shut = [one for one in clearances(standing, ask.now).values() if one.reasons]
    return _Denial(shut[0].blocked, shut[0].until, waits=codes_of(shut[0].reasons)) if shut else None


# ------------------------------------------------------- what the station says


def _unreachable(ask: GuardInput) -> _Denial | None:
    health = ask.repair.health
    return _Denial(f"the station can't be read ({health.reason})") if health and not health.reachable else None


def _lock(ask: GuardInput) -> _Denial | None:
    """A lock, whoever asked for it: somebody may be working there."""
    health = ask.repair.health
    if health is None:
        return None
    locked = any(link.path == ask.alarm.object and link.locked for link in health.links)
    if not health.locked and not locked:
        return None
    cells, links = health.locked, () if health.locked else (ask.alarm.object,)
    # No transaction waits for long: a lock of a month ago has been seen by somebody.
    ours = lock_holders(ask.store, ask.device, ask.now - _REMEMBERED, cells=cells, links=links)
    names = {cell: f"cell {cell}" for cell in cells} | dict.fromkeys(links, "the link")
    return _Denial("; ".join((ours.get(one) or LockHolder(name=name)).words for one, name in names.items()))


def _drift(ask: GuardInput) -> _Denial | None:
    """For a core link, drift of its station or router, which is repaired first.

    It does not wait if people were asked to look at the drift, nor for longer than a repair takes.
    """
    alarm, health = ask.alarm, ask.repair.health
    if health is None or alarm.probable_cause not in LINK_CAUSES or not ask.is_patient:
        return None
    routers = ask.network.routers_at.get(ask.site, ())
    standing = ask.store.alarms.standing([alarm.station, *routers])
    drifts = {one.station: one.state for one in standing if one.probable_cause == CONFIGURATION_DRIFT}
    if health.drift and drifts.get(alarm.station) is not AlarmState.ESCALATED:
        return _Denial("the configuration drifted, which is repaired first")
    waited = [router for router in routers if drifts.get(router, AlarmState.ESCALATED) is not AlarmState.ESCALATED]
    return _Denial(f"the configuration of {waited[0]} drifted, which is repaired first") if waited else None


def _unit(ask: GuardInput) -> _Denial | None:
    """For a virtual station, a central unit that is down: its cells come on air with that unit.

    It does not wait if people were asked to look at it, nor for longer than a repair takes.
    """
    network = ask.network
    if ask.alarm.probable_cause not in _WITHOUT_CELLS or not ask.is_patient:
        return None
    inside = network.stations_in.get(ask.device, (ask.device,))
    units = {unit for station in inside for unit in network.units_above.get(station, ())}
    standing = ask.store.alarms.standing(sorted(units | {network.central_units[unit] for unit in units}))
    down = [one for one in standing if one.probable_cause in _WITHOUT_CELLS and one.state is not AlarmState.ESCALATED]
    first = min((one for one in down if one.cleared is None), key=attrgetter("order"), default=None)
    return _Denial(f"its central unit {first.station} is repaired first") if first else None


def _unknown(ask: GuardInput) -> _Denial | None:
    """Without knowledge of the station, no repair could be verified."""
    links = ask.repair.health.links if ask.repair.health else ()
    if any(link.path == ask.alarm.object and link.state is ServiceState.UNKNOWN for link in links):
        return _Denial("no repair could be planned: the station does not report whether the link is up", final=True)
    return None


def forbids(store: Store, run: Run, disturbance: Disturbance, now: datetime) -> str:
    """Why a rule's run may not act for the first time now (``controller.runs.procedures.Forbids``); empty if it may."""
    alarm = store.alarms.get(run.cause.removeprefix(ALARM))
    repair = Repair(alarm, _of(run, alarm), disturbance=disturbance)
    ask = GuardInput(repair, alarm, store, store.networks.get()[1], now)
    started = store.repairs.of_run(run.id)
    # A rule may answer symptoms, but a root that changed since then is news to it.
    elsewhere = _symptom(ask) if started is not None and alarm.root != started.root else None
    said = (elsewhere, *(GUARDS[name](ask) for name in _AT_START))
    return next((no.reason for no in said if no is not None), "")


def _of(run: Run, alarm: Alarm) -> Rule:
    """The rule of a run, as far as a worker knows it; the guards here need none of its numbers."""
    name = run.requested_by.removeprefix("rule:")
    match, ladder = Match(causes=(alarm.probable_cause,)), (Rung(playbook=run.procedure),)
    return Rule(name=name, description="", match=match, ladder=ladder)


#: Guards of acts on devices, whoever acts.
_OF_ACTS = frozenset(("stopped", "record", "loop", "hold", "freeze", "rate", "share"))
#: Guards that are asked again before a repair's run changes a device, since it may have waited for people.
_AT_START = ("stopped", "over", "announced", "freeze", "battery")
#: All guards in the order in which they are asked; it decides which reason is given. Those by which an alarm is in hand
#: come first, as far as they need no reading of the station: what is in hand for one of them calls nobody.
GUARDS: Mapping[str, Callable[[GuardInput], _Denial | None]] = {
    "over": _over,
    "symptom": _symptom,
    CORRELATION: _correlation,
    "together": _together,
    "announced": _announced,
    "shelved": _shelved,
    SETTLE: _settle,
    "flapping": _flapping,
    "busy": _busy,
    "stopped": _stopped,
    "record": _record,
    "loop": _loop,
    "hold": _hold,
    "freeze": _freeze,
    "battery": _battery,
    "attempts": _attempts,
    "reach": _reach,
    "consent": _consent,
    "window": _window,
    "rate": _rate,
    "share": _share,
    "unreachable": _unreachable,
    "lock": _lock,
    "drift": _drift,
    "unit": _unit,
    "unknown": _unknown,
}
