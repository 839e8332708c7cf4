"""Calls to who is on call, and hand-overs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from controller.models.alarm import Escalation
from controller.models.on_call import Call, HandOver
from controller.ports.store.repository import M_co, Page, Repository, method


class Calls(Repository[M_co], Protocol[M_co]):
    """Calls about escalations, on the side of the host and of tenants."""

    @method
    def begin(self, one: Escalation, first: Sequence[Call]) -> None:
        """Put the first calls of an escalation on record; a side that has one already gets no other.

        Calls of earlier escalations of the alarm on these sides are followed by no more. With a call of the host, the
        escalation counts as delivered: from now on its calls are.
        """
        ...

    @method
    def due(self) -> list[Call]:
        """Calls that the next one is to follow now: the gravest first, then those that wait for the longest time."""
        ...

    @method
    def follow(self, before: Call, after: Call | None, why: str = "") -> bool:
        """Put the call on record that follows another one; False if somebody else did, or acknowledged it meanwhile.

        Args:
            before: The call as it was seen.
            after: What follows; None if nothing does.
            why: With None, why nobody is left to call; empty if nobody has to be called any more.
        """
        ...

    @method
    def postpone(self, before: Call, until: datetime) -> None:
        """Let the next call wait, unless somebody made it meanwhile."""
        ...

    @method
    def acknowledge(self, alarm_id: str, side: str, by: str) -> list[Call]:
        """Acknowledge all calls of a side for an alarm: nobody else is called. Returns them, the oldest first.

        The first acknowledgement stays on record.
        """
        ...

    @method
    def acknowledge_incident(self, incident: str, by: str) -> None:
        """Acknowledge the calls of the host for all alarms of an incident."""
        ...

    @method
    def page(self, page: Page, side: str | None = None, *, unacknowledged: bool = False) -> tuple[int, list[Call]]:
        """Total and one page of calls, newest first; of all sides that nobody acknowledged, the gravest first.

        Args:
            page: Which part.
            side: Only those of this side.
            unacknowledged: Only the last call of each escalation that nobody acknowledged, while its alarm stands.
        """
        ...

    @method
    def hand_over(self, side: str, contact: str, to: str, until: datetime, *, by: str, reason: str) -> HandOver:
        """Let one contact get the calls for another, in place of an earlier hand-over.

        Raises:
            ConflictError: The side handed over too often today.
        """
        ...

    @method
    def end_hand_over(self, hand_over: str, side: str, *, by: str) -> None:
        """End a hand-over of a side now. Raises NotFoundError where it has none of that id in force."""
        ...

    @method
    def hand_overs(self, at: datetime) -> list[HandOver]:
        """Hand-overs in force at a time, the oldest first."""
        ...

    @method
    def pending(self) -> list[Call]:
        """Calls of the last day that are not delivered, the gravest first; the first ones of each contact.

        Without those that somebody acknowledged, and later ones whose alarm is over.
        """
        ...

    @method
    def claim(self, seen: Call) -> Call | None:
        """Claim a call before it is sent, as ``Escalations.claim`` does."""
        ...

    @method
    def release(self, claimed: Call, why: str = "") -> None:
        """Give a claim back, with the reason why it was not delivered. A claim that somebody else took over stays."""
        ...

    @method
    def delivered(self, claimed: Call) -> None:
        """Put on record that it was delivered."""
        ...
