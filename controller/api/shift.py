"""The report of a shift: what whoever comes next has to know, as the caller sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Protocol, TypeVar

from pydantic import AwareDatetime

from controller.access.disclosure import TenantAlarm, TenantIncident, TenantRun
from controller.access.shift_report import ShiftColumn
from controller.access.timeline import UNREADABLE, TimelineEntry, joined
from controller.api.services import Body
from controller.api.views import AlarmView, IncidentView, RunView, View
from controller.intent.impact import Sharing
from controller.intent.lost_service import owes
from controller.intent.shifts import Period
from controller.models.alarm import REMEDIATION_STOPPED, AlarmFilter, PerceivedSeverity
from controller.models.announced_work import AnnouncedWork
from controller.models.enums import RunState
from controller.models.errors import InputError
from controller.models.incident import IncidentFilter, IncidentState, Loss
from controller.models.many import first_names
from controller.models.network import Network
from controller.models.people import Person
from controller.models.rule import RuleMode
from controller.models.run import AuditRow
from controller.models.scalars import HOST
from controller.models.statement import Value
from controller.models.waiting import warning_name
from controller.performance.statements import local
from controller.store import AuditQuery, Page

T = TypeVar("T")
_Incident = IncidentView | TenantIncident
Row = tuple[Value, ...]
#: A row of what changed, after the time by which it is sorted.
_Act = tuple[datetime, Value, Value, Value, Value, Value, Value, Value]

#: Longest time that a report covers; and how long before it planned work was announced, and runs began, at most.
LONGEST, _BEFORE = timedelta(days=31), timedelta(days=31)
#: Most rows of a sheet; rows that are read together; and most that are looked at.
_MOST, _TOGETHER, _MOST_READ = 500, 500, 20_000
#: Most rows that are alike in a part; one more row stands for all others.
_ALIKE = 10
#: What changed beside runs, by the actions of the audit trail.
_CHANGES = (
    *("network.saved", "definitions.*", "rule.*", "switch.*", "hold.*", "freeze.*", "warning.*"),
    *("run.overridden", "station.adopted", "station.retired", "record.*"),
)
#: Parameters of playbooks that name cells of their stations.
_CELLS = ("cell", "cells")
_EVERYWHERE = "the whole network"
_ACTIVE = tuple(state for state in RunState if not state.terminal)


class ShiftSheet(Body):
    """A part of the report.

    Attributes:
        more: Number of rows that are not shown.
        grouped: How many objects the rows of several stand for, beyond one for each of these rows.
        severities: Of incidents and alarms: the number of each severity, the worst first, with those not shown.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    more: int = 0
    grouped: int = 0
    severities: dict[str, int] = {}


class ShiftReport(Body):
    """What opened, closed, stands, is in force, is shelved, waits, was promised and changed.

    Attributes:
        side: Whose view it is: ``host``, or a tenant.
        timezone: Time zone of the network, in which its rows give times, with their offset.
        local: Begin and end in that zone.
        sheets: Its parts by name; a tenant gets those about itself.
    """

    network: str
    side: str
    timezone: str
    begin: AwareDatetime
    end: AwareDatetime
    local: tuple[str, str]
    sheets: dict[str, ShiftSheet]


def _detail(row: AuditRow, name: str) -> str:
    """A detail of an act; empty where the trail has none, as it has no empty ones."""
    return str(row.detail.get(name, ""))


def shift_report(seen: View, who: Person, period: Period) -> ShiftReport:
    """The report for a caller.

    Raises:
        InputError: So much happened in that time that no report of it would be read.
    """
    return _Report(seen, who, seen.network()[1], *period).made()


class _Report:
    """A report under construction. What the view gives is what its caller may see."""

    def __init__(self, seen: View, who: Person, network: Network, begin: datetime, end: datetime) -> None:
        self._seen, self._who, self._network = seen, who, network
        self._begin, self._end = begin, end
        self._host = not who.tenant
        changed = IncidentFilter(states=(IncidentState.OPEN, IncidentState.CLOSED), since=begin)
        standing = IncidentFilter(states=(IncidentState.OPEN,))
        # Those that stand come first, by rank for the host; a tenant has no ranks.
        still = self._incidents(standing)
        found = [*(still if self._host else sorted(still, key=_gravity)), *self._incidents(changed)]
        self._found = list({one.id: one for one in found}.values())
        self._of_late = self._recent(lambda page: self._seen.runs(page, None), lambda run: run.created)

    def _incidents(self, like: IncidentFilter) -> list[_Incident]:
        return _every(lambda page: self._seen.incidents(page, like))

    def made(self) -> ShiftReport:
        """The report."""
        sheets = {"opened": self._opened(), "closed": self._closed(), "open": self._open()}
        in_force = self._in_force() if self._host else self._in_force_for(self._who.tenant)
        sheets["force"] = _cut(
            "In force",
            (ShiftColumn.WHAT, ShiftColumn.WHERE, ShiftColumn.UNTIL, ShiftColumn.BY, ShiftColumn.REASON),
            in_force,
        )
        if self._host:
            sheets["shelved"] = self._shelved()
        sheets |= {"waiting": self._waiting(), "promised": self._promised(), "changed": self._changed()}
        header = self._network.header
        return ShiftReport(
            network=header.name,
            side=self._who.side,
            timezone=header.timezone,
            begin=self._begin,
            end=self._end,
            local=(self._at(self._begin), self._at(self._end)),
            sheets=sheets,
        )

    def _at(self, moment: datetime | None) -> str:
        return local(moment, self._network.zone)

    def _in(self, moment: datetime | None) -> bool:
        return moment is not None and self._begin <= moment < self._end

    # ------------------------------------------------------------------ incidents

    def _opened(self) -> ShiftSheet:
        found = sorted((one for one in self._found if self._in(one.opened)), key=_gravity)
        return self._sheet("Opened", (ShiftColumn.OPENED, ShiftColumn.STATE), found, self._since, self._state_of)

    def _closed(self) -> ShiftSheet:
        found = (one for one in sorted(self._found, key=_gravity) if self._in(one.closed))
        return self._sheet("Closed", (ShiftColumn.OPENED, ShiftColumn.CLOSED, ShiftColumn.MINUTES), found, self._lasted)

    def _open(self) -> ShiftSheet:
        """Incidents that stand at the end of the shift, also those of earlier shifts."""
        return self._sheet(
            "Still open", (ShiftColumn.OPENED, ShiftColumn.STATE), self._standing(), self._since, self._state_of
        )

    def _standing(self) -> list[_Incident]:
        return [one for one in self._found if one.opened < self._end and self._is_left(one)]

    def _is_left(self, one: _Incident) -> bool:
        """Whether an incident was not over at the end of the shift."""
        return one.closed is None or one.closed >= self._end

    def _state_of(self, one: _Incident) -> str:
        """The state of an incident at the end of the shift."""
        if one.closed is not None and self._is_left(one):
            return f"{IncidentState.OPEN}, closed since"
        correlating = isinstance(one, IncidentView) and one.correlating
        return f"{one.state}, still correlating" if correlating else str(one.state)

    def _sheet(
        self,
        title: str,
        columns: Sequence[ShiftColumn],
        found: Iterable[_Incident],
        told: Callable[[Sequence[_Incident]], Row],
        state: Callable[[_Incident], str] = lambda _: "",
    ) -> ShiftSheet:
        """Incidents, with columns of their own before those about their effect.

        Those that are alike in severity, cause, state and owner are few rows, however many they are: a storm has
        thousands of them.

        Args:
            title: Of the part.
            columns: Its own columns.
            found: Its incidents, in order.
            told: The values of its own columns for some of them that are alike.
            state: What else has to be alike.
        """
        own = (ShiftColumn.TENANTS, ShiftColumn.OWNER) if self._host else ()
        every = list(found)
        groups = _alike(every, lambda one: (one.severity, _place_of(_named(one))[1], state(one), *_own_of(one)[1:]))
        made = [(*_fault_of(some), *told(some), *self._effect_of(some), *_owned(some)) for some in groups]
        sheet = _cut(
            title,
            (
                ShiftColumn.INCIDENT,
                ShiftColumn.SEVERITY,
                ShiftColumn.WHERE,
                ShiftColumn.CAUSE,
                *columns,
                ShiftColumn.CELLS,
                ShiftColumn.PEOPLE,
                *own,
            ),
            made,
        )
        left = sum(map(len, groups)) - len(groups)
        return sheet.model_copy(update={"severities": _severities(every), "grouped": left})

    def _since(self, some: Sequence[_Incident]) -> Row:
        return self._span([one.opened for one in some]), self._state_of(some[0])

    def _lasted(self, some: Sequence[_Incident]) -> Row:
        times = [(one.opened, one.closed) for one in some if one.closed is not None]
        longest = max(round((closed - opened).total_seconds() / 60) for opened, closed in times)
        return self._span([opened for opened, _ in times]), self._span([closed for _, closed in times]), longest

    def _span(self, times: Sequence[datetime]) -> str:
        """A time, or the first and last of several."""
        first, last = self._at(min(times)), self._at(max(times))
        return first if first == last else f"{first} to {last}"

    def _effect_of(self, some: Sequence[_Incident]) -> Row:
        """Number of affected cells, and the people around them."""
        if len(some) == 1:
            return len(some[0].cells), some[0].people
        cells = {cell for one in some for cell in one.cells}
        return len(cells), self._network.people_at(cells)

    # ------------------------------------------------------------------ what goes on

    def _in_force(self) -> Iterator[Row]:
        """What binds or acts by itself at the end of the shift: holds, freezes, repair, and rules that need no yes."""
        bounds = self._seen.bounds(self._end)
        yield self._repair()
        for hold in bounds.holds:
            yield "hold", hold.target, self._at(hold.until) or "it is lifted", hold.by, hold.reason
        for one in bounds.freezes:
            what = warning_name(one.warning) if one.warning else "freeze"
            when = "" if one.begins <= self._end else f", from {self._at(one.begins)}"
            yield f"{what}{when}", one.target, self._at(one.ends), one.by, one.reason
        for rule, scope, row in self._modes():
            if _detail(row, "mode") == RuleMode.AUTO and bounds.digests.get(rule) == _detail(row, "digest"):
                where = scope or _EVERYWHERE
                yield f"rule {rule} acts by itself", where, "it is set otherwise", row.actor, _detail(row, "reason")

    def _in_force_for(self, tenant: str) -> Iterator[Row]:
        """What binds a tenant and the host towards it: work on its own core, and its agreements."""
        for one in self._own_works():
            if one.begins <= self._end:
                nodes = ", ".join(one.nodes) or "all its core nodes"
                yield "announced work: no repair of what follows", nodes, self._at(one.over), one.by, one.reason
        for agreement in self._network.agreements_of(tenant, self._network.day(self._end)):
            cells = sum(1 for _ in self._network.cells_of(agreement))
            last = agreement.validity.end
            until = f"{last}, that day included" if last else "it is ended"
            yield f"agreement {agreement.id}", f"{cells} cell{'' if cells == 1 else 's'}", until, "", ""

    def _repair(self) -> Row:
        """Whether repair was on at the end of the shift, by the last time that somebody set it."""
        wanted = AuditQuery(action="switch.set", object=REMEDIATION_STOPPED, until=self._end)
        for row in self._seen.audit_rows(Page(limit=1), wanted)[1]:
            what = "repair is stopped" if _detail(row, "on") == "on" else "repair is on"
            return what, _EVERYWHERE, "it is set otherwise", row.actor, _detail(row, "reason")
        return "repair is on", _EVERYWHERE, "", "", "nobody has stopped it"

    def _modes(self) -> Iterator[tuple[str, str, AuditRow]]:
        """The acts that set the modes of rules in force at the end of the shift: rule, scope and act."""
        wanted = AuditQuery(action="rule.mode-set", until=self._end)
        last: dict[tuple[str, str], AuditRow] = {}
        for row in _every(lambda page: self._seen.audit_rows(page, wanted)):  # the newest first
            last.setdefault((row.object, _detail(row, "scope")), row)
        for (rule, scope), row in sorted(last.items(), key=lambda one: one[0]):
            yield rule, scope, row

    def _shelved(self) -> ShiftSheet:
        all_of_them = _every(lambda page: self._seen.alarms(page, AlarmFilter(shelved=True)))
        found = [one for one in sorted(all_of_them, key=_gravity) if isinstance(one, AlarmView)]
        rows = (
            (
                one.id,
                one.severity.value,
                *_place_of(one),
                self._at(one.shelved_until),
                one.shelved_by,
                one.shelved_reason,
            )
            for one in found
        )
        sheet = _cut(
            "Shelved now",
            (
                ShiftColumn.ALARM,
                ShiftColumn.SEVERITY,
                ShiftColumn.WHERE,
                ShiftColumn.CAUSE,
                ShiftColumn.UNTIL,
                ShiftColumn.BY,
                ShiftColumn.REASON,
            ),
            rows,
        )
        return sheet.model_copy(update={"severities": _severities(found)})

    def _waiting(self) -> ShiftSheet:
        asked = ((one.what, one.of, self._at(one.since), one.who, one.devices) for one in self._seen.asked(self._who))
        rows = [*self._waits(), *asked]
        return _cut(
            "Waiting now",
            (ShiftColumn.WHAT, ShiftColumn.OF, ShiftColumn.SINCE, ShiftColumn.WAY_OUT, ShiftColumn.DEVICES),
            rows,
        )

    def _waits(self) -> Iterator[Row]:
        for run in _every(lambda page: self._seen.runs(page, _ACTIVE)):
            for wait in run.waits_for if isinstance(run, RunView) else ():
                yield wait.what, f"run {run.id} {run.procedure}", self._at(wait.since), wait.who, wait.stations or "all"

    # ------------------------------------------------------------------ what was said

    def _promised(self) -> ShiftSheet:
        rows = [*self._restored(), *self._planned(), *self._works(), *self._said()]
        return _cut("Promised", (ShiftColumn.TO, ShiftColumn.WHAT, ShiftColumn.WHEN, ShiftColumn.ABOUT), rows)

    def _restored(self) -> Iterator[Row]:
        """Until when service has to be restored; what is alike is few rows, as with incidents."""
        for some in _alike(list(self._owed()), lambda one: one[:2]):
            (to, what, _, _), dues = some[0], [due for _, _, due, _ in some]
            yield to, what, self._span(dues), _several("incidents", [about for _, _, _, about in some])

    def _owed(self) -> Iterator[tuple[str, str, datetime, str]]:
        """To whom, what, when and by which incident: by agreements of those who lost it, to whom the host owes it."""
        agreements = self._seen.agreements()
        sharing = Sharing(self._network, self._network.day(self._end))
        in_force = {one.id: one for one in sharing.in_force}
        for one in self._standing():
            for agreement in agreements:
                loss = self._loss_of(one, agreement.tenant)
                held = in_force.get(agreement.agreement)
                if not loss or not held or not owes(held, _cause_of(one)):
                    continue
                if not sharing.reached_by(held).isdisjoint(loss.cells):
                    due = loss.since + timedelta(hours=agreement.restore_hours)
                    late = ", which is over" if due < self._end else ""
                    yield agreement.tenant, f"service is restored ({agreement.agreement}){late}", due, one.id

    def _loss_of(self, one: _Incident, tenant: str) -> Loss | None:
        return one.losing.get(tenant) if isinstance(one, IncidentView) else one.losing

    def _planned(self) -> Iterator[Row]:
        """Work of which tenants were notified by the end of the shift, and that neither began nor ended by then."""
        over = {run.id for run in self._of_late if run.state.terminal and (run.finished or run.created) <= self._end}
        for one in self._seen.planned_work(self._end):
            if one.at < self._end and one.begins is not None and one.run not in over:
                yield one.tenant, one.text, self._at(one.begins), f"run {one.run}"

    def _works(self) -> Iterator[Row]:
        """Work of tenants on their own cores that is not over."""
        for one in self._own_works():
            nodes = ", ".join(one.nodes) or "all its core nodes"
            what = f"{one.tenant} works on {nodes} until {self._at(one.ends)}: {one.reason}"
            yield HOST, what, self._at(one.begins), one.id

    def _own_works(self) -> Iterator[AnnouncedWork]:
        """Work on cores that was announced by the end of the shift, and was not over then."""
        found = self._recent(self._seen.works, lambda one: one.created)
        return (one for one in found if one.created < self._end < one.over)

    def _said(self) -> Iterator[Row]:
        """Comments of the host to tenants, and of tenants."""
        for one in self._seen.said(self._begin, self._end):
            if one.to or one.side != HOST:
                yield ", ".join(one.to) or HOST, f"{one.by}: {one.text}", self._at(one.at), one.about

    # ------------------------------------------------------------------ what was done

    def _changed(self) -> ShiftSheet:
        rows = sorted([*self._runs(), *self._acts()], key=lambda row: row[0])
        return _cut(
            "Changed",
            (
                ShiftColumn.AT,
                ShiftColumn.LAST,
                ShiftColumn.WHO,
                ShiftColumn.WHAT,
                ShiftColumn.SET,
                ShiftColumn.OF,
                ShiftColumn.WHY,
            ),
            (row[1:] for row in rows),
        )

    def _runs(self) -> Iterator[_Act]:
        runs = (run for run in self._of_late if run.created < self._end)
        during = [run for run in runs if run.finished is None or run.finished >= self._begin]
        for number, run in enumerate(sorted(during, key=lambda run: run.started or run.created)):
            counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(run.counts.items()))
            who, why = (run.requested_by, _why(run)) if isinstance(run, RunView) else ("", "")
            at, what = run.started or run.created, f"run {run.id} {run.procedure} {run.state}"
            of = "; ".join(filter(None, (self._places_of(run) if number < _MOST else "", counts)))
            yield at, self._at(at), self._at(run.finished) or "not over", who, what, "", of, why

    def _places_of(self, run: RunView | TenantRun) -> str:
        """The stations of a run, or the cells that it was asked to change, in short."""
        stations = list(dict.fromkeys(job.station for job in self._seen.jobs(run.id)))
        asked = [run.parameters.get(name) for name in _CELLS] if isinstance(run, RunView) else []
        given = [cell for one in asked for cell in (one if isinstance(one, list) else [one])]
        cells = [cell for cell in given if isinstance(cell, str)]
        known = self._network.cell_by_name
        return first_names([f"{at}/{cell}" for at in stations for cell in cells if (at, cell) in known] or stations)

    def _acts(self) -> Iterator[_Act]:
        """Rows of the audit trail; those that are alike are one."""
        rows = []
        for action in _CHANGES:
            wanted = AuditQuery(action=action, since=self._begin, until=self._end)
            rows += _every(lambda page, wanted=wanted: self._seen.audit_rows(page, wanted))  # type: ignore[misc]
        plain = (row.model_dump(mode="json") for row in sorted(rows, key=lambda row: (row.at or self._begin, row.id)))
        for one in joined(plain, {}):
            if not one.at:
                yield self._begin, UNREADABLE, "", "", one.action, "", one.what, ""
                continue
            at, until = datetime.fromisoformat(one.at), datetime.fromisoformat(one.until)
            last = self._at(until) if until != at else ""
            yield at, self._at(at), last, one.actor, one.action, self._set(one), one.what, one.words

    def _set(self, one: TimelineEntry) -> str:
        """The value that an act has set, in words."""
        sets = one.sets
        match one.action:
            case "switch.set":
                states = ("repair resumed", "repair stopped") if REMEDIATION_STOPPED in one.objects else ("off", "on")
                return states[sets["on"] == "on"]
            case "rule.mode-set":
                return f"{sets['mode']} in {sets['scope'] or _EVERYWHERE}"
            case "hold.put":
                return f"until {self._time(sets['until'])}" if sets["until"] else "until it is lifted"
            case "freeze.put":
                return f"{self._time(sets['begins'])} to {self._time(sets['ends'])}"
        return ""

    def _time(self, text: str) -> str:
        """A time of the audit trail, in local time."""
        return self._at(datetime.fromisoformat(text))

    def _recent(self, read: Callable[[Page], tuple[int, Sequence[T]]], at: Callable[[T], datetime]) -> list[T]:
        """The newest objects, back to those of long before the shift, as far as one report reads."""
        oldest = self._begin - _BEFORE
        newest = islice(takewhile(lambda one: at(one) >= oldest, _listed(read)), _MOST_READ)
        return list(newest)


def _listed(read: Callable[[Page], tuple[int, Sequence[T]]]) -> Iterator[T]:
    """The objects of a list, page by page."""
    number, total = 0, 1
    while number < total:
        total, page = read(Page(limit=_TOGETHER, offset=number))
        if not page:
            return
        yield from page
        number += len(page)


def _every(read: Callable[[Page], tuple[int, Sequence[T]]]) -> list[T]:
    """All objects of a list that is limited to the time of the report.

    Raises:
        InputError: There are too many.
    """
    found = list(islice(_listed(read), _MOST_READ + 1))
    if len(found) > _MOST_READ:
        raise InputError(f"more than {_MOST_READ:,} objects belong into this report: ask for a shorter time")
    return found


def _cut(title: str, columns: Sequence[ShiftColumn], rows: Iterable[Row]) -> ShiftSheet:
    every = list(rows)
    return ShiftSheet(title=title, columns=tuple(columns), rows=tuple(every[:_MOST]), more=max(0, len(every) - _MOST))


class _Grave(Protocol):
    @property
    def severity(self) -> PerceivedSeverity: ...


_WORST_FIRST = list(PerceivedSeverity)


def _gravity(one: _Grave) -> int:
    return _WORST_FIRST.index(one.severity)


def _severities(found: Iterable[_Grave]) -> dict[str, int]:
    """Number of each severity, the worst first."""
    counted = Counter(one.severity for one in found)
    return {one.value: counted[one] for one in _WORST_FIRST if counted[one]}


def _alike(found: Sequence[T], by: Callable[[T], object]) -> list[Sequence[T]]:
    """Objects one by one, but for those beyond the first ones that are alike: these come together, after these."""
    first: list[Sequence[T]] = []
    number, rest = Counter[object](), dict[object, list[T]]()
    for one in found:
        kind = by(one)
        number[kind] += 1
        if number[kind] <= _ALIKE:
            first.append([one])
            continue
        if kind not in rest:
            first.append(rest.setdefault(kind, []))
        rest[kind].append(one)
    return first


def _why(run: RunView) -> str:
    """Why a run was asked for, and why it begins nothing more."""
    return "; ".join(filter(None, (run.reason, f"stopped: {run.halted}" if run.stopped else "")))


def _several(what: str, names: Sequence[str]) -> str:
    """One name, or how many there are, with the first ones."""
    return names[0] if len(names) == 1 else f"{len(names)} {what}: {first_names(names)}"


def _named(one: _Incident) -> IncidentView | TenantAlarm:
    """What names the place and cause of an incident."""
    return one if isinstance(one, IncidentView) else one.root


def _fault_of(some: Sequence[_Incident]) -> Row:
    """Incident, severity, place and cause; of some that are alike in severity and cause, the first places."""
    places = [_place_of(_named(one)) for one in some]
    where = _several("places", list(dict.fromkeys(where for where, _ in places)))
    return _several("incidents", [one.id for one in some]), some[0].severity.value, where, places[0][1]


def _place_of(one: object) -> tuple[str, str]:
    """Where and what failed."""
    station, about = getattr(one, "station", ""), getattr(one, "object", "").rpartition("/")[2]
    cause, specific = getattr(one, "probable_cause", ""), getattr(one, "specific_problem", "")
    where = station if about == "station" and station else " ".join(filter(None, (station, about)))
    return where, f"{cause} ({specific})" if specific and specific != about else cause


def _cause_of(one: _Incident) -> str:
    return one.probable_cause if isinstance(one, IncidentView) else one.root.probable_cause


def _own_of(one: _Incident) -> Row:
    """What only the host sees."""
    return (", ".join(one.tenants), one.owner) if isinstance(one, IncidentView) else ()


def _owned(some: Sequence[_Incident]) -> Row:
    """The same, of some with the same owner."""
    if len(some) == 1 or not isinstance(some[0], IncidentView):
        return _own_of(some[0])
    tenants = {tenant for one in some if isinstance(one, IncidentView) for tenant in one.tenants}
    return ", ".join(sorted(tenants)), some[0].owner
