"""Calls: messages to who is on call on a side, about escalations; and hand-overs from one contact to another."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.alarm import PAGE, PerceivedSeverity
from controller.models.approval import GatheredCause, GatheredPlaces
from controller.models.scalars import Noun


class Call(Noun):
    """A call of the contact on call on a side, about an escalation; on record before it is sent.

    Attributes:
        alarm: Id of the alarm.
        escalation: Number of the escalation among those of the alarm.
        side: The host, or a tenant.
        number: Its number among the calls of the escalation on this side, from 1.
        kind: ``page`` or ``ticket``, as the escalation.
        duty: Name of the duty of the schedule by which it is made.
        place: Position of the duty's contact that it is for, from 0: a later one is called where nobody acknowledges.
        nth: Its number among the calls of that position, from 1.
        contact: Id of the contact of the network files that gets it.
        instead_of: The contact of the schedule who handed over to that one; empty if nobody did.
        at: When it was made.
        next: When the next call follows, unless somebody acknowledges; None if none follows this one.
        used_up: Whether all contacts were called, as often as the schedule says, and nobody acknowledged.
        message: Id of the message that it is part of; empty until it is gathered.
        attempts: How often sending began.
        claimed: Whether an attempt to send it is under way.
        sent: When the contact's mail server or webhook took it; None if it did not yet.
        acknowledged: When somebody of the side acknowledged it; None if nobody did.
    """

    alarm: str
    escalation: int
    side: str
    number: int
    kind: str = PAGE
    duty: str
    place: int
    nth: int
    contact: str
    instead_of: str = ""
    at: AwareDatetime
    next: AwareDatetime | None = None
    used_up: bool = False
    message: str = ""
    attempts: int = 0
    claimed: bool = False
    sent: AwareDatetime | None = None
    acknowledged: AwareDatetime | None = None
    acknowledged_by: str = ""

    @property
    def key(self) -> str:
        """Its name among all calls; the id of its message where that is this call alone."""
        return f"call-{self.alarm}-{self.escalation}-{self.side}-{self.number}"


class ToldCall(Noun):
    """A call as its contact is told of it in a message; attributes as of ``Call``, and ``id``, its name among all."""

    side: str
    duty: str
    number: int
    contact: str
    instead_of: str
    id: str
    at: AwareDatetime

    @classmethod
    def of(cls, call: Call) -> ToldCall:
        """What is told of a call."""
        said = {name: getattr(call, name) for name in cls.model_fields if name != "id"}
        return cls(id=call.key, **said)


class CallMessage(Noun):
    """A message on its way to a contact on call: one call, or several that were due to it together.

    Attributes:
        message: Its id: the key of its call, or an id of its own where it lists several.
        call: Its call; the gravest of several.
        attempts: How often sending began.
        claimed: Whether an attempt to send it is under way.
    """

    message: str
    call: Call
    attempts: int = 0
    claimed: bool = False

    @property
    def key(self) -> str:
        """Key of all attempts, by which the receiver recognises a repetition."""
        return self.message

    @property
    def lists(self) -> bool:
        """Whether it lists several calls."""
        return self.message != self.call.key

    @property
    def receiver(self) -> str:
        """Who gets it: a contact by pages and by tickets, so that no page waits for a ticket."""
        return f"{self.call.side}/{self.call.contact}/{self.call.kind}"

    @property
    def about(self) -> str:
        """What it is about: the alarm, or calls of many; a receiver gets what is about the same in order."""
        return self.message if self.lists else self.call.alarm


class CalledAlarm(Noun):
    """An alarm in a message that lists several calls; for a tenant as the tenant is told of it.

    Attributes:
        number: Number of the call among those of the escalation on this side.
        reason: Why people are called; empty for a tenant.
        tenants: Tenants whom the alarm concerns; empty for a tenant.
    """

    alarm: str
    incident: str
    what: str
    severity: PerceivedSeverity
    station: str
    object: str
    cells: tuple[str, ...] = ()
    since: AwareDatetime
    number: int
    duty: str
    instead_of: str = ""
    reason: str = ""
    tenants: tuple[str, ...] = ()


class GatheredCalls(Noun):
    """A message to a contact on call that lists several calls of its side.

    Attributes:
        id: Id of the message, by which all of it is acknowledged.
        side: The host, or a tenant.
        contact: Id of the contact that gets it.
        severity: The worst of all.
        places: Where all of them are.
        causes: The alarms by cause, the gravest first.
        incidents: Ids of all incidents, the gravest first.
        alarms: Ids of all alarms, the gravest first.
        first: The first of these alarms.
        more: How many it does not repeat.
        listing: The command that lists all calls.
        text: All of it for people.
    """

    id: str
    side: str
    contact: str
    severity: PerceivedSeverity | None
    places: GatheredPlaces
    causes: tuple[GatheredCause, ...]
    incidents: tuple[str, ...]
    alarms: tuple[str, ...]
    first: tuple[CalledAlarm, ...]
    more: int = 0
    listing: str
    text: str


class HandOver(Noun):
    """Until when calls for one contact of a side go to another.

    Attributes:
        id: Its id, as in ``o-1f2e3d4c``.
        contact: The contact that hands over.
        to: The contact that gets its calls.
        since: When it began.
        until: When it ends; the time of a newer one of the same contact, where that is earlier.
        by: Who decided it, and why (``reason``).
    """

    id: str
    side: str
    contact: str
    to: str
    since: AwareDatetime
    until: AwareDatetime
    by: str
    reason: str
