"""Which alarm is part of which incident; how incidents open, grow, merge, split and close; their ranks. Pure.

An incident is a root with all that follows from it. An alarm that follows from a root is part of the root's incident;
if it had an incident of its own, that one merges into the root's. When a root is over, most of its symptoms end soon
after. Those that still stand after a while split off into an incident of their own, and a narrower cut of the backhaul
does so at once. A fault that comes back soon after it was over is the same incident: it flaps.

An incident is told to tenants as a whole: an alarm has an incident of its own where some of its tenants are not told of
its root, as of drift, which concerns the host alone.

All lost core nodes of a tenant are one incident, and so are all core links of a tenant that are down at a station,
although none of these alarms follows from another.

Equal alarms and networks give equal incidents, in whatever order alarms came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.intent.impact import core_node_in, is_told_with
from controller.intent.roots import began
from controller.models.alarm import (
    BACKHAUL_DOWN,
    CORE_LINK_DOWN,
    CORE_NODE_DOWN,
    FAULT,
    LINK_CAUSES,
    REMOTE_END_DOWN,
    Alarm,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.enums import APART
from controller.models.incident import AgreementMinutes, Incident, Rank
from controller.models.many import first_names
from controller.models.network import Network

#: A fault that comes back within this time after its incident was over is the same incident.
QUIET = timedelta(minutes=10)
#: Symptoms that outlive their root stay in the root's incident for this time, since most end soon after it.
SETTLES = timedelta(minutes=5)
#: Except those that Minka takes for a fault of their own, which do not end with the wider one that hid them: nodes of
#: the backhaul below which nothing answers.
OWN_FAULTS = frozenset((BACKHAUL_DOWN,))
#: Roots that Minka takes for the fault of core links, by what most of the stations that were asked tell.
BLAMED = frozenset((CORE_NODE_DOWN, REMOTE_END_DOWN))
#: Fields that an incident takes from its root, which may later be another alarm of the same fault.
OF_ROOT = ("object", "object_class", "probable_cause", "specific_problem")
#: Alarms that a note names at most.
_NAMED = 8


class Part(NamedTuple):
    """An alarm that became part of an incident."""

    alarm: str
    incident: str
    since: datetime


class Stay(NamedTuple):
    """A time in which an alarm was part of an incident; ``until`` is None while it still is."""

    number: int
    alarm: Alarm
    since: datetime
    until: datetime | None


class Decision(NamedTuple):
    """A decision about an incident, with its reason, for the audit trail."""

    incident: str
    action: str
    detail: dict[str, str]


@dataclass(slots=True)
class Outcome:
    """Changes for the record.

    Attributes:
        incidents: New or changed incidents, as they are now, by id.
        left: Alarms that left their incident, and when.
        merged: Incidents that became part of another one, together with all their alarms.
        joined: Alarms that joined an incident.
        decisions: In order.
    """

    incidents: dict[str, Incident] = field(default_factory=dict)
    left: dict[str, datetime] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    joined: list[Part] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecordedIncidents:
    """The relevant part of the record before.

    Attributes:
        belongs: The incident of each alarm, by id, for alarms that are part of one.
        incidents: These incidents by id, and the newest one of each fault of the alarms.
        roots: Standing alarms from which others may follow, by id, as they are now.
    """

    belongs: Mapping[str, str]
    incidents: Mapping[str, Incident]
    roots: Mapping[str, Alarm]


def sort_out(alarms: Iterable[Alarm], known: RecordedIncidents, at: datetime) -> Outcome:
    """Work out the incidents of alarms that were raised or cleared, or whose root changed.

    Args:
        alarms: Those alarms, as they are now.
        known: The record before.
        at: Now.
    """
    work = _Work(known, at)
    ordered = sorted(alarms, key=lambda one: (one.root != "", one.order))
    for alarm in ordered:
        if alarm.cleared is not None:
            work.leave(alarm, alarm.ended or alarm.cleared)
    for alarm in ordered:
        if alarm.cleared is None:
            work.place(alarm)
    return work.done()


def has_settled(alarm: Alarm, incident: Incident, at: datetime) -> bool:
    """Whether an alarm that stands in an incident has to have one of its own: it outlived its root for long enough."""
    if alarm.released is None or fault_of(alarm) == fault_of(incident) or incident.root == alarm.id:
        return False
    return alarm.probable_cause in OWN_FAULTS or at - alarm.released >= SETTLES


#: Why an alarm gets an incident of its own: its root is over and it is not, or never was its root.
OUTLIVED, WAS_FED = "it outlived its root", "it failed while its station was still fed: its cause is not the lost power"


def split_off(
    due: Iterable[Alarm], symptoms: Iterable[Alarm], known: RecordedIncidents, at: datetime, why: str = OUTLIVED
) -> Outcome:
    """Give alarms that outlived their roots, or do not follow from them, incidents of their own.

    Args:
        due: Alarms whose time in the root's incident is over.
        symptoms: Alarms that follow from one of them, and move with it.
        known: The record before.
        at: Now.
        why: The reason, for the audit trail.
    """
    work = _Work(known, at)
    follow: dict[str, list[Alarm]] = defaultdict(list)
    for alarm in symptoms:
        follow[alarm.root].append(alarm)
    for alarm in sorted(due, key=lambda one: one.order):
        work.split(alarm, sorted(follow[alarm.id], key=lambda one: one.order), why)
    return work.done()


def cleared_of_blame(stays: Sequence[Stay], network: Network, at: datetime) -> Iterator[tuple[Alarm, list[Stay]]]:
    """Remote ends that did not take the core links of their incident, each with the times of these links.

    Such an end works, as stations tell, and most of the links that were down in its time have stayed down: they have
    faults of their own. Where most came back with it, it was lost, and a link that stays down has another fault since.
    An end that is no longer in the network files was never seen to work.

    Args:
        stays: Times of the alarms of one incident, those of remote ends and core links at least.
        network: The current network.
        at: Now.
    """
    last = {one.alarm.id: one for one in sorted(stays, key=lambda one: one.since) if one.alarm.probable_cause in BLAMED}
    for end in last.values():
        if end.until is None or at - end.until < SETTLES or not _is_asked_about(network, end.alarm):
            continue
        taken = [one for one in stays if _is_blamed_for(end, one)]
        stayed = [one for one in taken if one.until is None or one.until - end.until >= SETTLES]
        if 2 * len(stayed) > len(taken):
            yield end.alarm, taken


def _is_asked_about(network: Network, end: Alarm) -> bool:
    """Whether stations tell of a remote end, and not somebody else."""
    tenant = network.tenant_by_id.get(end.tenant)
    known = end.object in (tenant.far_ends if tenant else network.remote_ends)
    return known and end.source is AlarmSource.CHECK


def _is_blamed_for(end: Stay, link: Stay) -> bool:
    """Whether the time of a core link is put down to a remote end, whose fault is over."""
    if link.alarm.probable_cause not in LINK_CAUSES or end.until is None:
        return False
    at_once = link.since < end.until and (link.until is None or link.until > end.since)
    return at_once and is_at_end(end.alarm, link.alarm)


def is_at_end(end: Alarm, alarm: Alarm) -> bool:
    """Whether an alarm of an incident is about what is behind this end: of a core node, the links to it."""
    if end.probable_cause == REMOTE_END_DOWN:
        return True
    return end.tenant == alarm.tenant and end.object == core_node_in(alarm)


def root_beside(alarm: Alarm, roots: Mapping[str, Alarm]) -> Alarm | None:
    """The standing alarm that an alarm follows from and whose incident it is part of; None if it has one of its own.

    From an incident with another root, a tenant could tell that an alarm stands of which it is not told.
    """
    root = roots.get(alarm.root)
    return root if root is not None and is_told_with(alarm, root) else None


def kept_apart(alarm: Alarm, root: Alarm, own: str, other: str) -> tuple[Decision, Decision]:
    """For both incidents: an alarm is no part of the incident of a root that explains alarms like it.

    It stood before, so it has a cause of its own; or not all of its tenants are told of the root that it follows from.

    Args:
        alarm: The alarm.
        root: The root.
        own: Incident of the alarm.
        other: Incident of the root.
    """
    what, where = f"{alarm.probable_cause} of {alarm.station or alarm.object}", root.station or root.object
    if alarm.root == root.id:
        why = f"{what} follows from {root.probable_cause} of {where}, of which not all of its tenants are told"
    else:
        why = f"{what} stood {_earlier(alarm, root)} before {root.probable_cause} of {where} began"
        why += ": it has a cause of its own"
    return (
        Decision(own, APART, {"beside": other, "root": root.id, "why": why}),
        Decision(other, APART, {"beside": own, "root": alarm.id, "why": why}),
    )


def _earlier(alarm: Alarm, root: Alarm) -> str:
    """How long an alarm stood before a root began, in words."""
    hours, minutes = divmod(round((began(root) - began(alarm)).total_seconds() / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


class _Work:
    """An outcome under construction."""

    def __init__(self, known: RecordedIncidents, at: datetime) -> None:
        self._at = at
        self._roots = known.roots
        self._belongs = dict(known.belongs)
        self._parts: dict[str, set[str]] = defaultdict(set)
        for alarm, incident in known.belongs.items():
            self._parts[incident].add(alarm)
        self._incidents = dict(known.incidents)
        self._newest: dict[tuple[str, ...], str] = {}
        for one in known.incidents.values():
            self._newest[fault_of(one)] = max(one.id, self._newest.get(fault_of(one), ""), key=self._age)
        self._grown: dict[str, list[Alarm]] = defaultdict(list)
        self._onward: dict[str, str] = {}
        self._outcome = Outcome()

    def place(self, alarm: Alarm) -> None:
        """Find the incident of a standing alarm."""
        if root_beside(alarm, self._roots) is not None:
            self._follow(alarm)
        elif alarm.id not in self._belongs:
            self._join(alarm, self._own(alarm), _began(alarm))
        # An alarm whose root is over, or is another one that it has no incident with, stays there for a while.

    def leave(self, alarm: Alarm, at: datetime) -> None:
        """Take an alarm out of its incident."""
        incident = self._belongs.pop(alarm.id, "")
        if incident:
            self._parts[incident].discard(alarm.id)
            self._outcome.left[alarm.id] = at
            self._change(incident, standing=self._incidents[incident].standing - 1)

    def split(self, alarm: Alarm, symptoms: Sequence[Alarm], why: str) -> None:
        """Give an alarm and its symptoms an incident of their own."""
        before = self._belongs.get(alarm.id, "")
        own = self._own(alarm, before)
        if own == before:  # that of other alarms of the same fault
            return
        self._decide(own, "split", {"before": before, "why": why})
        for one in (alarm, *symptoms):
            if self._belongs.get(one.id) == before:
                self.leave(one, self._at)
                self._onward[before] = own
                self._join(one, own, self._at, noted=one is not alarm)

    def done(self) -> Outcome:
        """The finished outcome."""
        for incident, alarms in self._grown.items():
            if incident not in self._outcome.merged:
                names = first_names([alarm.id for alarm in alarms], _NAMED)
                self._decide(incident, "grew", {"alarms": names, "why": _causes(alarms)})
        for name, one in list(self._outcome.incidents.items()):
            if one.standing == 0 and one.closed is None and not one.merged_into:
                self._change(name, closed=self._at)
                onward = self._onward.get(name, "")
                left = f"; what is left is part of incident {onward}" if onward else ""
                self._decide(name, "closed", {"into": onward, "why": f"none of its alarms stands{left}"})
        parts = (part._replace(incident=self._belongs[part.alarm]) for part in self._outcome.joined)
        return replace(self._outcome, joined=list(parts))

    def _follow(self, alarm: Alarm) -> None:
        """Move an alarm to the incident of its root, together with its own incident."""
        top = alarm
        while (above := root_beside(top, self._roots)) is not None:
            top = above
        target = self._belongs.get(top.id) or self._incident_of(top)
        before = self._belongs.get(alarm.id, "")
        if before == target:
            return
        if before and self._goes_along(before, alarm):
            self._merge(before, target, top)
            return
        self.leave(alarm, self._at)
        if before:
            self._onward[before] = target
        self._join(alarm, target, self._at if before else _began(alarm))

    def _goes_along(self, incident: str, alarm: Alarm) -> bool:
        """Whether an incident moves with an alarm of it: with its root, or with the last of a tenant's core links."""
        one = self._incidents[incident]
        if one.probable_cause in LINK_CAUSES:
            return fault_of(one) == fault_of(alarm) and one.standing == 1
        return one.root == alarm.id

    def _incident_of(self, top: Alarm) -> str:
        incident = self._own(top)
        self._join(top, incident, _began(top))
        return incident

    def _merge(self, incident: str, target: str, root: Alarm) -> None:
        """Merge an incident with all of its alarms into another."""
        one, into = self._incidents[incident], self._incidents[target]
        self._outcome.merged[incident] = target
        parts = self._parts.pop(incident, set())
        self._parts[target] |= parts
        self._belongs |= dict.fromkeys(parts, target)
        self._change(target, standing=into.standing + one.standing, opened=min(into.opened, one.opened))
        self._change(incident, standing=0, merged_into=target)
        why = f"{one.probable_cause} follows from {root.probable_cause} of {root.object}"
        self._decide(incident, "merged", {"into": target, "root": root.id, "why": why})

    def _own(self, alarm: Alarm, before: str = "") -> str:
        """The incident that has an alarm as its root: a recent one of the same fault, or a new one."""
        fault = fault_of(alarm)
        earlier = self._incidents.get(self._newest.get(fault, ""))
        if earlier is None or not self._is_same(earlier, alarm, before):
            return self._open(alarm)
        if earlier.closed is None and not earlier.merged_into and earlier.object != alarm.object:
            return earlier.id  # another node of the same core, another link of the same tenant
        again = {"root": alarm.id, "closed": None, "merged_into": ""} | {name: getattr(alarm, name) for name in OF_ROOT}
        if before:
            self._change(earlier.id, **again)
            return earlier.id
        self._change(earlier.id, flaps=earlier.flaps + 1, **again)
        why = f"the same fault came again within {QUIET.seconds // 60} min"
        self._decide(earlier.id, "reopened", {"root": alarm.id, "flaps": str(earlier.flaps + 1), "why": why})
        return earlier.id

    def _is_same(self, earlier: Incident, alarm: Alarm, before: str) -> bool:
        """Whether the newest incident of an alarm's fault is also that of the alarm."""
        if earlier.root == alarm.id or (earlier.merged_into and earlier.merged_into == before):
            return True
        quiet = earlier.closed is None or self._at - earlier.closed <= QUIET
        return quiet and not earlier.merged_into

    def _open(self, alarm: Alarm) -> str:
        name = f"i-{alarm.id.removeprefix('a-')}"
        what = {field: getattr(alarm, field) for field in (*FAULT, "object_class")}
        new = Incident(id=name, root=alarm.id, opened=alarm.raised, changed=self._at, **what)
        self._incidents[name] = self._outcome.incidents[name] = new
        self._newest[fault_of(alarm)] = name
        why = "no alarm that stands explains it"
        detail = {"root": alarm.id, "cause": alarm.probable_cause, "station": alarm.station, "object": alarm.object}
        self._decide(name, "opened", {**detail, "why": why})
        return name

    def _join(self, alarm: Alarm, incident: str, since: datetime, *, noted: bool = True) -> None:
        self._belongs[alarm.id] = incident
        self._parts[incident].add(alarm.id)
        self._outcome.joined.append(Part(alarm.id, incident, since))
        self._change(incident, standing=self._incidents[incident].standing + 1)
        if noted and self._incidents[incident].root != alarm.id:
            self._grown[incident].append(alarm)

    def _change(self, incident: str, **fields: object) -> None:
        changed = self._incidents[incident].model_copy(update={"changed": self._at, **fields})
        self._incidents[incident] = self._outcome.incidents[incident] = changed

    def _decide(self, incident: str, action: str, detail: dict[str, str]) -> None:
        self._outcome.decisions.append(Decision(incident, f"incident.{action}", detail))

    def _age(self, incident: str) -> tuple[datetime, str]:
        one = self._incidents.get(incident)
        return (datetime.min.replace(tzinfo=self._at.tzinfo), "") if one is None else (one.opened, one.id)


def fault_of(one: Incident | Alarm) -> tuple[str, ...]:
    """Key of a fault that has an incident of its own.

    All core nodes of a tenant share one key, and so do all core links of a tenant at a station.
    """
    if one.probable_cause == CORE_NODE_DOWN:
        return ("", "", one.tenant, CORE_NODE_DOWN, "")
    if one.probable_cause in LINK_CAUSES and one.tenant:
        return (one.station, "", one.tenant, CORE_LINK_DOWN, "")
    return tuple(getattr(one, name) for name in FAULT)


def _began(alarm: Alarm) -> datetime:
    """When the fault of an alarm began that was just raised, or came back."""
    return alarm.seen or alarm.changed


def _causes(alarms: Iterable[Alarm]) -> str:
    """Why alarms are part of an incident: their causes, and their roots."""
    roots = sorted({alarm.root for alarm in alarms} - {""})
    causes = ", ".join(sorted({alarm.probable_cause for alarm in alarms}))
    return f"{causes} follows from {first_names(roots, _NAMED)}" if roots else f"{causes} has failed as well"


def path_of(network: Network, incident: Incident) -> tuple[str, ...]:
    """The path from the core to the failed object, and on to the affected sites, stations and cells."""
    return (*_above(network, incident), *_below(network, incident))


def _above(network: Network, incident: Incident) -> Iterator[str]:
    what = f"{incident.probable_cause}: {incident.object.rpartition('/')[2]}"
    if incident.object_class is ObjectClass.BACKHAUL:
        yield from reversed(network.backhaul_from(incident.object)[1:])
        yield f"{what} (root)"
    elif network.manages(incident.station):
        yield from reversed(network.backhaul_above(incident.station))
        yield network.site_of(incident.station)
        yield f"{incident.station} {what} (root)"
    else:
        yield f"{what} (root)"


def _below(network: Network, incident: Incident) -> Iterator[str]:
    stations = {cell.partition("/")[0] for cell in incident.cells}
    sites = {network.site_of(station) for station in stations if network.manages(station)}
    for names, noun in ((sites, "site"), (stations - {incident.station}, "station"), (incident.cells, "cell")):
        if names:
            yield f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


#: The gravest first.
_SEVERITIES = list(PerceivedSeverity)
#: Used share of an agreement's allowance from which it is at risk.
AT_RISK = 0.8


class _Risk(NamedTuple):
    """How close an agreement is to being violated, with words for it."""

    share: float
    words: str


def ranked(
    incidents: Sequence[Incident],
    agreements: Iterable[AgreementMinutes],
    at: datetime,
    people_at: Callable[[Iterable[str]], int],
    reaches: Callable[[str, Iterable[str]], bool],
) -> dict[str, Rank]:
    """The rank of each open incident by id: contracts at risk first, then people who lose service now, or may.

    Severity, all people, tenants and age follow in this order. Those at cells of which nobody knows whether they serve
    (``Incident.silent``) count as those who lose it.

    An agreement is at risk if an incident takes service away from its tenant in a cell that it reaches, and the month's
    minutes or the time to restore service are nearly used up.

    Args:
        incidents: Open incidents.
        agreements: Minutes that agreements lost this month.
        at: Now.
        people_at: Population at cells.
        reaches: Whether an agreement, by its id, reaches one of these cells.
    """
    by_tenant: dict[str, list[AgreementMinutes]] = {}
    for agreement in agreements:
        by_tenant.setdefault(agreement.tenant, []).append(agreement)

    def reached(one: Incident) -> list[AgreementMinutes]:
        losses = one.losing.items()
        return [a for tenant, loss in losses for a in by_tenant.get(tenant, ()) if reaches(a.agreement, loss.cells)]

    risks = {one.id: _worst(one, reached(one), at) for one in incidents}
    without = {one.id: people_at({cell for loss in one.losing.values() for cell in loss.cells}) for one in incidents}
    silent = {one.id: people_at(one.silent) if one.silent else 0 for one in incidents}
    ordered = sorted(incidents, key=lambda one: _order(one, risks[one.id], max(without[one.id], silent[one.id])))
    return {
        one.id: Rank(number, _because(one, risks[one.id], without[one.id], silent[one.id]))
        for number, one in enumerate(ordered, 1)
    }


def _order(one: Incident, risk: _Risk, without: int) -> tuple[object, ...]:
    percent = round(risk.share * 100) if risk.share >= AT_RISK else 0
    severity = _SEVERITIES.index(one.severity)
    return (-percent, -without, severity, -one.people, -len(one.tenants), one.opened, one.id)


def _worst(one: Incident, agreements: Iterable[AgreementMinutes], at: datetime) -> _Risk:
    risks = [_Risk(0.0, "")]
    for a in agreements:
        # An incident may stand for days, as on a battery, before it takes service away from anybody.
        hours = (at - one.losing[a.tenant].since).total_seconds() / 3600
        risks.append(_Risk(a.share, f"SLA of {a.tenant} at {a.share:.0%}".replace("%", " %")))
        if (share := hours / a.restore_hours) >= AT_RISK:
            risks.append(_Risk(share, f"{hours:.0f} of {a.restore_hours:g} h in which to restore {a.tenant}"))
    return max(risks, key=lambda risk: (risk.share, risk.words))


def _because(one: Incident, risk: _Risk, without: int, silent: int) -> str:
    people = f"{one.people:,} people" if one.people != 1 else "1 person"
    tenants = f"{len(one.tenants)} tenant{'' if len(one.tenants) == 1 else 's'}"
    lose = f"{without:,} without service" if without else ""
    may = f"{silent:,} may be without service" if silent > without else ""
    return ", ".join(filter(None, (people, lose, may, tenants, risk.words)))
