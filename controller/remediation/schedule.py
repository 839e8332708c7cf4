"""Schedules of who is on call: one YAML file for each side, in the folder ``oncall`` of the rules. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from controller.inventory.parse import FORMS
from controller.inventory.source import Entry, Report
from controller.inventory.yaml_tree import read_yaml
from controller.models.alarm import PAGE, TICKET, PerceivedSeverity
from controller.models.definitions import DefinitionKind, Definitions
from controller.models.on_call import Call, HandOver
from controller.models.scalars import HOST, Identifier, Noun
from controller.playbook.language.library import report_form
from controller.store import Store

#: Days as a schedule names them, in the order of ``date.weekday``.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
#: Most positions of a duty, and most calls of each.
_MOST_CONTACTS, _MOST_CALLS = 10, 20
#: What a duty may be limited to.
_LIMITS = ("days", "hours", "severities", "kinds")


def _hours(text: object) -> object:
    if not isinstance(text, str) or not _HOURS.fullmatch(text):
        raise ValueError("has to be two times of the day, as in 22:00-06:00")
    begin, _, end = text.partition("-")
    if begin == end:
        raise ValueError("begins when it ends: leave it out for the whole day")
    return text


#: Two times of the day in the network's time zone; where the second is the earlier one, it is of the next day.
Hours = Annotated[str, BeforeValidator(_hours), Field(json_schema_extra={"pattern": f"^{_HOURS.pattern}$"})]


class Duty(Noun):
    """Who is called, at some hours, for some escalations; an empty list, and no hours, stand for all.

    Attributes:
        name: Its name within the schedule.
        days: Days on which it begins.
        hours: From when until when, in the network's time zone.
        severities: Severities of the alarm with all that follows from it.
        kinds: Kinds of escalations.
        contacts: Ids of contacts of the side, in the network files: the first is on call; where nobody acknowledges,
            the next one is called.
        repeat_minutes: Minutes until the next call where nobody acknowledges; without it there is one call.
        calls: Calls of each contact before the next one gets them.
    """

    name: Identifier
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    hours: Hours | None = None
    severities: tuple[PerceivedSeverity, ...] = ()
    kinds: tuple[Literal["page", "ticket"], ...] = ()
    contacts: tuple[Identifier, ...] = Field(min_length=1, max_length=_MOST_CONTACTS)
    repeat_minutes: int | None = Field(default=None, ge=1, le=1440)
    calls: int = Field(default=2, ge=1, le=_MOST_CALLS)

    @model_validator(mode="after")
    def _hands_over(self) -> Self:
        if self.repeat_minutes is None and len(self.contacts) > 1:
            raise ValueError("several contacts need repeat_minutes: after it the next one is called")
        return self

    @property
    def limits(self) -> tuple[str, ...]:
        """What it is limited to, by the names of the fields."""
        return tuple(name for name in _LIMITS if getattr(self, name))

    def answers(self, severity: PerceivedSeverity, kind: str) -> bool:
        """Whether it is for such escalations."""
        return (not self.severities or severity in self.severities) and (not self.kinds or kind in self.kinds)

    def holds(self, local: datetime) -> bool:
        """Whether it is the time of this duty, in the network's time zone."""
        today, yesterday = self._begins(local.weekday()), self._begins(local.weekday() - 1)
        if self.hours is None:
            return today
        now = f"{local:%H:%M}"
        begin, _, end = self.hours.partition("-")
        if begin < end:
            return today and begin <= now < end
        return (today and now >= begin) or (yesterday and now < end)

    def _begins(self, weekday: int) -> bool:
        return not self.days or DAYS[weekday] in self.days


class Schedule(Noun):
    """Who is on call on one side.

    Attributes:
        side: ``host``, or the id of a tenant.
        on_call: Of the duties that answer an escalation, the first one counts.
    """

    side: Identifier
    description: str = ""
    on_call: tuple[Duty, ...] = Field(min_length=1, max_length=100)

    def duty(self, local: datetime, severity: PerceivedSeverity, kind: str) -> Duty | None:
        """The duty that answers an escalation at a time of the network's time zone; None if there is none."""
        return next((one for one in self.on_call if one.answers(severity, kind) and one.holds(local)), None)


# ------------------------------------------------------------------------------ files


def parse_schedules(files: Mapping[str, str], report: Report) -> tuple[tuple[Schedule, Entry], ...]:
    """The valid schedules of files, by side, each with its entry; problems of all others are reported.

    Of two schedules of the same side, the first is valid.

    Args:
        files: Content by path.
        report: Collects problems.
    """
    found: dict[str, tuple[Schedule, Entry]] = {}
    for path, text in sorted(files.items()):
        before = len(report.problems)
        read = _parse(path, text, report)
        if read is None:
            continue
        _check(*read, {side: entry.file for side, (_, entry) in found.items()}, report)
        if len(report.problems) == before:
            found[read[0].side] = read
    return tuple(found[side] for side in sorted(found))


def _parse(path: str, text: str, report: Report) -> tuple[Schedule, Entry] | None:
    before = len(report.problems)
    node = read_yaml(text, path, report)
    if node is None:
        if len(report.problems) == before:
            report.file(path, 0, "the file is empty", "delete it, or write a schedule")
        return None
    entry = Entry("schedule", path, node.line, "schedule", node.plain(), node)
    try:
        return Schedule.model_validate(entry.data), entry
    except ValidationError as error:
        found = report_form(Schedule, entry, error, report, FORMS)
    return None if found.meant is None else (found.meant, found.entry)


def _check(schedule: Schedule, entry: Entry, files: Mapping[str, str], report: Report) -> None:
    """Report names that stand twice, duties that are never asked, and hours in which the host has nobody on call."""
    if schedule.side in files:
        message = f"{files[schedule.side]} is the schedule of {schedule.side} already"
        report.entry(entry, ("side",), message, expected="one file for each side")
    names: set[str] = set()
    for number, duty in enumerate(schedule.on_call):
        if duty.name in names:
            report.entry(
                entry,
                ("on_call", number, "name"),
                f"another duty is called {duty.name!r}",
                expected="a name of its own",
            )
        names.add(duty.name)
        if not duty.limits and number < len(schedule.on_call) - 1:
            message = "answers everything at all times, so that no duty after it is ever asked"
            report.entry(entry, ("on_call", number), message, expected="put it last")
    last = schedule.on_call[-1]
    if schedule.side == HOST and last.limits:
        where = ("on_call", len(schedule.on_call) - 1, last.limits[0])
        message = (
            "the last duty of the host is for all that no other duty answers, or somebody's escalation calls nobody"
        )
        report.entry(entry, where, message, expected=f"a last duty without {', '.join(_LIMITS)}")


@lru_cache(maxsize=2)
def schedules_of(definitions: Definitions) -> Mapping[str, Schedule]:
    """The valid schedules of a version of the definitions, by side."""
    found = parse_schedules(definitions.files.of(DefinitionKind.ON_CALL), Report())
    return {schedule.side: schedule for schedule, _ in found}


def schedules_in_force(store: Store) -> Mapping[str, Schedule]:
    """The schedules that are in force, by side. Raises NotFoundError before any definitions were put in force."""
    return schedules_of(store.definitions.get())


# -------------------------------------------------------------------------- who is called


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who can be called on a side, and for whom others are called.

    Attributes:
        schedule: The side's schedule.
        contacts: Ids of the side's contacts in the network files.
        hand_overs: Those in force, by the contact that handed over.
        local: Turns a time into one of the network's time zone.
    """

    schedule: Schedule
    contacts: Collection[str]
    hand_overs: Mapping[str, HandOver]
    local: Callable[[datetime], datetime]

    def duty(self, at: datetime, severity: PerceivedSeverity, kind: str) -> Duty | None:
        """The duty that answers an escalation at a time; None if there is none."""
        return self.schedule.duty(self.local(at), severity, kind)

    def reached(self, contact: str) -> str:
        """The contact that gets the calls for one of the schedule; empty where the network files have none of these."""
        seen = {contact}
        while (over := self.hand_overs.get(contact)) is not None and over.to not in seen and over.to in self.contacts:
            contact = over.to
            seen.add(contact)
        return contact if contact in self.contacts else ""

    def order(self, duty: Duty) -> tuple[str, ...]:
        """The contacts that a duty's calls go to, in their order; empty for those that can't be called."""
        return tuple(map(self.reached, duty.contacts))


def follow(who: OnCall, severity: PerceivedSeverity, first: Call, before: Call | None, now: datetime) -> Call | None:
    """The call that is made now for an escalation; None if nobody is left to call.

    Args:
        who: Who can be called on the side.
        severity: How grave the alarm was when people were told.
        first: Which escalation, on which side: a call of which nothing else is read.
        before: The call before it; None if there is none.
        now: The time.
    """
    duty = who.duty(now, severity, first.kind)
    if duty is None:
        return None
    place, nth = 0, 1
    if before is not None and before.duty == duty.name:
        if duty.repeat_minutes is None:
            return None
        place, nth = (before.place, before.nth + 1) if before.nth < duty.calls else (before.place + 1, 1)
    order = who.order(duty)
    free = next((one for one in range(place, len(order)) if order[one]), None)
    if free is None:
        return None
    return first.model_copy(
        update={
            "number": 1 if before is None else before.number + 1,
            "duty": duty.name,
            "place": free,
            "nth": nth if free == place else 1,
            "contact": order[free],
            "instead_of": "" if order[free] == duty.contacts[free] else duty.contacts[free],
            "at": now,
            "next": None if duty.repeat_minutes is None else now + timedelta(minutes=duty.repeat_minutes),
        }
    )


def strange_contacts(schedule: Schedule, contacts: Collection[str]) -> Sequence[str]:
    """Warnings of contacts of a schedule that the network files do not have, in words."""
    known = ", ".join(sorted(contacts)) or "none"
    return [
        f"duty {duty.name}: contact {one!r} is not in the network files of {schedule.side}, and is passed over: {known}"
        for duty in schedule.on_call
        for one in duty.contacts
        if one not in contacts
    ]


#: Kinds of escalations, for who shows a schedule.
KINDS = (PAGE, TICKET)
