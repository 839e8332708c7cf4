"""Who is on call: bodies of answers, and who is called at a time."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime

from controller.api.services import Body
from controller.models.alarm import PAGE, TICKET, PerceivedSeverity
from controller.models.on_call import HandOver
from controller.remediation.on_call import on_call
from controller.remediation.schedule import Duty, OnCall, Schedule, strange_contacts
from controller.store import Store

#: Severities that an escalation may have.
_SEVERITIES = tuple(one for one in PerceivedSeverity if one is not PerceivedSeverity.CLEARED)


class DutyNow(Body):
    """A duty at a time: for which severities it answers pages and tickets then, and whom it calls in which order.

    ``called`` has contacts as they hand over; one is called ``calls`` times, each ``repeat_minutes`` after the call
    before, and then the next one, until somebody acknowledges. Without ``repeat_minutes`` there is one call.
    """

    duty: str
    pages: tuple[PerceivedSeverity, ...]
    tickets: tuple[PerceivedSeverity, ...]
    called: tuple[str, ...]
    repeat_minutes: int | None
    calls: int


class SideOnCall(Body):
    """Who is on call on a side at a time, the hand-overs that are in force then, and the schedule.

    ``warnings`` has contacts of the schedule that the network files do not have: they are passed over.
    """

    side: str
    at: AwareDatetime
    now: tuple[DutyNow, ...]
    hand_overs: tuple[HandOver, ...]
    schedule: Schedule
    warnings: tuple[str, ...]


def on_call_at(store: Store, at: datetime, side: str | None = None) -> list[SideOnCall]:
    """Who is on call at a time on each side that has a schedule; of one side if named."""
    found = on_call(store, at)
    return [_side(one, name, at) for name, one in sorted(found.items()) if side in (None, name)]


def _side(who: OnCall, side: str, at: datetime) -> SideOnCall:
    duties = [_now(who, duty, at) for duty in who.schedule.on_call]
    return SideOnCall(
        side=side,
        at=at,
        now=tuple(one for one in duties if one.pages or one.tickets),
        hand_overs=tuple(who.hand_overs.values()),
        schedule=who.schedule,
        warnings=tuple(strange_contacts(who.schedule, who.contacts)),
    )


def _now(who: OnCall, duty: Duty, at: datetime) -> DutyNow:
    def answered(kind: str) -> tuple[PerceivedSeverity, ...]:
        return tuple(one for one in _SEVERITIES if who.duty(at, one, kind) is duty)

    return DutyNow(
        duty=duty.name,
        pages=answered(PAGE),
        tickets=answered(TICKET),
        called=tuple(dict.fromkeys(filter(None, who.order(duty)))),
        repeat_minutes=duty.repeat_minutes,
        calls=duty.calls,
    )
