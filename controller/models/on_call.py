"""Calls: messages to who is on call on a side, about escalations; and hand-overs from one contact to another."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.alarm import PAGE
from controller.models.scalars import Noun


class Call(Noun):
    """A message to the contact on call on a side, about an escalation; on record before it is sent.

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
    attempts: int = 0
    claimed: bool = False
    sent: AwareDatetime | None = None
    acknowledged: AwareDatetime | None = None
    acknowledged_by: str = ""

    @property
    def key(self) -> str:
        """Key of all attempts, by which the receiver recognises a repetition."""
        return f"call-{self.alarm}-{self.escalation}-{self.side}-{self.number}"

    @property
    def receiver(self) -> str:
        """Who gets it."""
        return f"{self.side}/{self.contact}"

    @property
    def about(self) -> str:
        """The alarm that it is about: a receiver gets what is about the same in order."""
        return self.alarm


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
