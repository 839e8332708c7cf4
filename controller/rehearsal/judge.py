"""Judges the acts of a day by what really happened on the twin."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from controller.models.network import Network
from controller.models.sharing import ActionClass, Consent
from controller.rehearsal.day import Day
from controller.rehearsal.people import Told, told_of
from controller.rehearsal.play import DAY_BEGINS, Stage
from controller.rehearsal.truth import Act, Attempt, StruckFault
from simulators.equipment.configuration import unit_of
from simulators.equipment.fault_kinds import NETWORK_FAULTS, Remedy

#: Seconds in which the same remedy is not tried twice at the same place.
COOL_DOWN = 3600.0
#: Remedies that interrupt service that still works.
_INTERRUPTS = frozenset({Remedy.RESTART, Remedy.RESET_UNIT})
#: Minutes at one station by which a tenant may lose more than without any repair, since cells need time to settle.
_SAME = 0.1


@dataclass(frozen=True, slots=True)
class WrongAttempt:
    """A repair that should not have been tried, and why."""

    at: float
    station: str
    what: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlayedDay:
    """The result of a day.

    Attributes:
        way: Who answered: ``nothing``, ``script``, ``guarded``, ``minka``.
        incidents: Causes that struck; ``curable`` those that something from afar cures, ``cured`` those that it cured.
        visits: Faults that a technician had to go for, or would have to.
        minutes: Without service, by tenant.
        causes: The same minutes by cause and tenant; see ``Outages.causes``.
        acts: Edits and operations that stations took.
        by_kind: Incidents, curable and cured ones by kind of fault.
        rules: By rule, alarms that its runs cured, and that they did not.
        told: When people knew of what no repair ended, by kind of fault; nothing where nobody told them.
        attempts: Groups of them.
    """

    way: str
    incidents: int
    curable: int
    cured: int
    visits: int
    minutes: Mapping[str, float]
    acts: int
    attempts: int
    wrong: tuple[WrongAttempt, ...]
    by_kind: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    rules: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    causes: Mapping[tuple[str, str], float] = field(default_factory=dict)
    told: Mapping[str, tuple[Told, ...]] = field(default_factory=dict)

    @property
    def lost(self) -> float:
        """Minutes without service of all tenants."""
        return sum(self.minutes.values())

    @property
    def by_cause(self) -> dict[str, dict[str, float]]:
        """The minutes of each cause by tenant, the cause with the most of them first."""
        found: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for (cause, tenant), minutes in sorted(self.causes.items()):
            found[cause][tenant] = minutes
        return dict(sorted(found.items(), key=lambda one: -sum(one[1].values())))

    def to_json(self) -> dict[str, Any]:
        """As JSON carries it."""
        return {
            "way": self.way,
            "incidents": self.incidents,
            "curable": self.curable,
            "cured": self.cured,
            "visits": self.visits,
            "minutes": {tenant: round(minutes, 1) for tenant, minutes in sorted(self.minutes.items())},
            "minutes_by_cause": {
                cause: {tenant: round(minutes, 1) for tenant, minutes in of.items()}
                for cause, of in self.by_cause.items()
            },
            "acts": self.acts,
            "attempts": self.attempts,
            "wrong": [
                {"at": round(one.at), "station": one.station, "what": one.what, "why": list(one.why)}
                for one in self.wrong
            ],
            "by_kind": {
                kind: dict(zip(("incidents", "curable", "cured"), counts, strict=True))
                for kind, counts in sorted(self.by_kind.items())
            },
            "told": {kind: _told_json(told) for kind, told in sorted(self.told.items())},
            "rules": {name: {"cured": good, "failed": bad} for name, (good, bad) in sorted(self.rules.items())},
        }


def judged(
    way: str, stage: Stage, day: Day, network: Network, nothing: Mapping[tuple[str, str], float] | None = None
) -> PlayedDay:
    """The result of a day. ``nothing`` has the minutes without any repair."""
    minutes = stage.outages.minutes()
    causes: defaultdict[str, list[StruckFault]] = defaultdict(list)
    for one in stage.watch.struck:
        causes[one.cause].append(one)
    by_kind: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for members in causes.values():
        counts = by_kind[members[0].kind]
        counts["all"] += 1
        if any(one.curable for one in members):
            counts["curable"] += 1
            counts["cured"] += all(one.how == "remedy" for one in members)
    tenants: defaultdict[str, float] = defaultdict(float)
    for (_, tenant), lost in minutes.items():
        tenants[tenant] += lost
    return PlayedDay(
        way=way,
        incidents=len(causes),
        curable=sum(counts["curable"] for counts in by_kind.values()),
        cured=sum(counts["cured"] for counts in by_kind.values()),
        visits=sum(map(_needs_visit, stage.watch.struck)),
        minutes=dict(tenants),
        acts=stage.watch.edits,
        attempts=len(stage.watch.attempts),
        wrong=tuple(_wrongs(stage, day, network, minutes, nothing)),
        by_kind={kind: (c["all"], c["curable"], c["cured"]) for kind, c in by_kind.items()},
        rules=stage.rules,
        causes=stage.outages.causes(),
        told=_told(stage, causes.values()),
    )


def _told(stage: Stage, causes: Iterable[Sequence[StruckFault]]) -> dict[str, tuple[Told, ...]]:
    found: defaultdict[str, tuple[Told, ...]] = defaultdict(tuple)
    left = [members for members in causes if any(one.how != "remedy" for one in members)]
    for members in left if stage.words else ():
        found[members[0].kind] += (told_of(members, stage.words, stage.network, stage.outages.end),)
    return dict(found)


def median_of(seconds: Iterable[float | None]) -> float | None:
    """The middle one of those that are known, of which half came sooner; None without any."""
    known = [one for one in seconds if one is not None]
    return median(known) if known else None


def _told_json(told: Sequence[Told]) -> dict[str, Any]:
    by_what = {"alarm": [one.alarm for one in told], "called": [one.called for one in told]}
    return {"incidents": len(told)} | {
        what: {"incidents": sum(one is not None for one in seconds), "median_seconds": median_of(seconds)}
        for what, seconds in by_what.items()
    }


def sum_of(days: Sequence[PlayedDay]) -> PlayedDay:
    """Several days that were answered in one way, as if they were one."""
    minutes: Counter[str] = Counter()
    causes: Counter[tuple[str, str]] = Counter()
    kinds: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
    rules: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
    told: defaultdict[str, tuple[Told, ...]] = defaultdict(tuple)
    for day in days:
        minutes.update(day.minutes)
        causes.update(day.causes)
        for kind, counts in day.by_kind.items():
            kinds[kind].append(counts)
        for rule, found in day.rules.items():
            rules[rule].append(found)
        for kind, words in day.told.items():
            told[kind] += words
    return PlayedDay(
        way=days[0].way,
        incidents=sum(day.incidents for day in days),
        curable=sum(day.curable for day in days),
        cured=sum(day.cured for day in days),
        visits=sum(day.visits for day in days),
        minutes=minutes,
        acts=sum(day.acts for day in days),
        attempts=sum(day.attempts for day in days),
        wrong=tuple(one for day in days for one in day.wrong),
        by_kind={kind: _added(of) for kind, of in kinds.items()},
        rules={rule: _added(of) for rule, of in rules.items()},
        causes=causes,
        told=dict(told),
    )


def _added(counts: Iterable[tuple[int, ...]]) -> Any:
    return tuple(map(sum, zip(*counts, strict=True)))


def _needs_visit(one: StruckFault) -> bool:
    ends = one.fault is None or one.fault.lasts is not None
    software = one.fault is not None and not one.fault.kind.cures
    return one.how == "visit" or (one.ended is None and not software and (not ends or one.before is not None))


def _wrongs(
    stage: Stage,
    day: Day,
    network: Network,
    minutes: Mapping[tuple[str, str], float],
    nothing: Mapping[tuple[str, str], float] | None,
) -> Iterator[WrongAttempt]:
    earlier: list[Attempt] = []
    latest = {attempt.station: attempt for attempt in stage.watch.attempts}
    records = {record.id: record for record in stage.network.stations}
    for attempt in stage.watch.attempts:
        at = attempt.at - DAY_BEGINS
        why = [
            *_elsewhere(attempt),
            *(
                f"under a {one.kind}"
                for one in day.stops
                if _binds(one.kind, attempt) and one.binds(records[attempt.station], at)
            ),
            *_without_consent(network, attempt),
            *_again(attempt, earlier),
            *_on_battery(attempt),
        ]
        if nothing is not None and latest[attempt.station] is attempt:
            why += _harmed(attempt.station, minutes, nothing)
        earlier.append(attempt)
        if why:
            what = ", ".join(sorted(attempt.remedies)) or "edit"
            yield WrongAttempt(at, attempt.station, what, tuple(why))
    if nothing is not None:
        yield from _neighbours_harmed(latest, minutes, nothing)


def _neighbours_harmed(
    attempts: Mapping[str, Attempt], minutes: Mapping[tuple[str, str], float], nothing: Mapping[tuple[str, str], float]
) -> Iterator[WrongAttempt]:
    """Yields stations that lost more than without any repair, though nobody worked there."""
    last = max((attempt.at for attempt in attempts.values()), default=DAY_BEGINS) - DAY_BEGINS
    for station in sorted({name for name, _ in minutes} - attempts.keys()):
        if why := tuple(_harmed(station, minutes, nothing)):
            yield WrongAttempt(last, station, "acts elsewhere", why)


def _binds(kind: str, attempt: Attempt) -> bool:
    """Whether a restriction binds an attempt: a public warning only binds what interrupts service."""
    return kind != "warning" or (bool(attempt.remedies & _INTERRUPTS) and bool(attempt.serving))


def _elsewhere(attempt: Attempt) -> Iterator[str]:
    """Yields the error that nothing that stood when a remedy was applied is of a kind that it may cure there.

    Each act is judged by its own moment: what one act cured is no reason for the next one.
    """
    wrong = [act for act in attempt.acts if act.remedies and not any(_fits(one, act) for one in act.open)]
    for act in wrong[:1]:
        there = ", ".join(sorted({one.kind for one in act.open})) or "nothing"
        yield f"root elsewhere (at the station: {there})"
    if not attempt.remedies and not any(one.before is not None for act in attempt.acts for one in act.open):
        yield "root elsewhere (the configuration was right)"


def _fits(one: StruckFault, act: Act) -> bool:
    kind = NETWORK_FAULTS.get(one.kind)
    if kind is None:
        return False
    cures = {cure.by for cure in kind.cures} & act.remedies
    whole = act.remedies & {Remedy.RESTART, Remedy.RELOAD_LICENCE}
    return bool(cures & whole) or (
        bool(cures) and bool({one.target, unit_of(one.target)} & act.targets or not one.target)
    )


def _without_consent(network: Network, attempt: Attempt) -> Iterator[str]:
    """Nobody votes in a rehearsal, so only a standing consent counts."""
    if not attempt.remedies & (_INTERRUPTS | {Remedy.LOCK_UNLOCK}):
        return
    for tenant in sorted(attempt.serving):
        if any(_asks(network, tenant, attempt.station)):
            yield f"without consent of {tenant}"


def _asks(network: Network, tenant: str, station: str) -> Iterator[bool]:
    for agreement in network.agreements_of(tenant):
        if any(cell.station == station for cell in network.cells_of(agreement, [station])):
            yield agreement.consent_to(ActionClass.INTERRUPT) is not Consent.STANDING


def _again(attempt: Attempt, earlier: Sequence[Attempt]) -> Iterator[str]:
    for before in earlier:
        same = before.station == attempt.station and before.remedies & attempt.remedies
        if same and (before.targets & attempt.targets or not attempt.targets) and attempt.at - before.last < COOL_DOWN:
            yield "repeated within the cool-down"
            return


def _on_battery(attempt: Attempt) -> Iterator[str]:
    acts = (act for act in attempt.acts if act.remedies & _INTERRUPTS)
    if any(one.kind == "mains-failure" for act in acts for one in act.open):
        yield "on battery"


def _harmed(
    station: str, minutes: Mapping[tuple[str, str], float], nothing: Mapping[tuple[str, str], float]
) -> Iterator[str]:
    for (name, tenant), lost in sorted(minutes.items()):
        if name == station and lost > nothing.get((name, tenant), 0.0) + _SAME:
            yield f"{lost - nothing.get((name, tenant), 0.0):.1f} more minutes for {tenant}"
