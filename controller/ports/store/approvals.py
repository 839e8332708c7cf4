"""Approvals, freezes, overrides and notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from controller.models.approval import (
    Clearance,
    Contract,
    Delivery,
    Freeze,
    Notice,
    Override,
    Requirement,
    RunConstraints,
    Vote,
    VoteChoice,
)
from controller.models.people import Person
from controller.models.run import Hold, Run
from controller.ports.store.repository import M_co, Page, Repository, method


@dataclass(frozen=True, slots=True)
class ClearanceInput:
    """All data on record that the clearance of a run follows from.

    Attributes:
        requester: Who asked for the run.
        seconds: Time that a station needs within a window: the run's confirm time-out.
        constraints: The constraints under which it was accepted.
        votes: Votes on its subject.
        notified: When each tenant was notified of it.
        override: The override that lets it work in spite of windows and freezes, if there is one.
        holds: Holds in force.
        freezes: Freezes in force or to come.
        begun: Stations whose unit or wave is decided as a whole and has begun: they may go on until the window closes.
        away: When stations that were away or busy are tried again.
        owed: Stations whose function was begun: they are brought back, whatever forbids work to begin, except a hold.
        over: Stations whose work has ended, or never begins since their part of the plan is void.
        unanswered: Approvals that are missing, and that fewer users may give now than are needed.
    """

    requester: str
    seconds: float
    constraints: RunConstraints
    votes: tuple[Vote, ...] = ()
    notified: Mapping[str, datetime] = field(default_factory=dict)
    override: Override | None = None
    holds: tuple[Hold, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    begun: frozenset[str] = frozenset()
    away: Mapping[str, datetime] = field(default_factory=dict)
    owed: frozenset[str] = frozenset()
    over: frozenset[str] = frozenset()
    unanswered: frozenset[Requirement] = frozenset()

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Approvals and notices that count now: nobody is asked for work that is over."""
        return self.constraints.needed_without(self.over) if self.over else self.constraints.requirements


#: Clearances by station.
Clearances = Mapping[str, Clearance]


Assess = Callable[[ClearanceInput], Clearances]


class Approvals(Repository[M_co], Protocol[M_co]):
    """Votes of people on runs, and what runs may do in consequence."""

    @method
    def reassess(self, assess: Assess, seen: Mapping[str, Clearances]) -> dict[str, Clearances]:
        """Let ``assess`` judge each active run with constraints, and keep the result on its jobs.

        Only one process at a time does this, so that the clearance of a job is never older than the data it follows
        from. ``assess`` must be pure; if it fails, the run's jobs are blocked.

        Args:
            assess: Works out clearances from a run's input.
            seen: The last result of this method; runs whose input did not change are not assessed again.

        Returns:
            Clearances of each run.
        """
        ...

    @method
    def standing(self, run_id: str, tenant: str = "") -> ClearanceInput | None:
        """The input for the clearance of a run; None if it has no constraints, or does not concern the tenant."""
        ...

    @method
    def standings(self, tenant: str = "") -> list[tuple[Run, ClearanceInput]]:
        """Active runs with constraints, oldest first; only those that concern a tenant if one is named."""
        ...

    @method
    def vote(
        self,
        subject: str,
        person: Person,
        choice: VoteChoice,
        reason: str,
        about: str,
        contracts: tuple[Contract, ...] = (),
    ) -> Vote:
        """Keep a person's vote on a subject, in place of an earlier one.

        A yes counts for one run: one to a plan goes to the oldest run of it that is under way, or else to the next one
        that is accepted, and is spent by it. A no to a plan, or to a run of it, stands against the plan until its
        person says yes to that, and turns active runs of the plan into ``cancelling``; that of a tenant only those
        whose part with the tenant has not ended.

        Args:
            subject: ``RunConstraints.subject`` of a run on record, or of a plan its digest; a tenant's people vote on
                their name of a plan.
            person: Who votes.
            choice: The vote.
            reason: Why.
            about: Plan or run, for the audit trail.
            contracts: Contractual reasons.
        """
        ...

    @method
    def unanswerable(self, requirements: Iterable[Requirement], requester: str) -> frozenset[Requirement]:
        """Approvals that fewer users may give now than are needed; of the host's own, ``requester`` is none of them."""
        ...

    @method
    def votes(self, subject: str) -> list[Vote]:
        """The last vote of each person on a subject, in order of time."""
        ...

    @method
    def override(self, run_id: str, by: str, reason: str) -> Override:
        """Let a run work in spite of windows and freezes. Raises NotFoundError.

        The first reason stays while the person who gave it may override.
        """
        ...


class Freezes(Repository[M_co], Protocol[M_co]):
    """Times in which nothing may change."""

    @method
    def add(self, target: str, begins: datetime, ends: datetime, by: str, reason: str) -> Freeze:
        """Put a freeze."""
        ...

    @method
    def end(self, freeze_id: str, actor: str) -> None:
        """End a freeze now. Raises NotFoundError."""
        ...

    @method
    def warn(
        self, warning: str, targets: Sequence[str], begins: datetime, ends: datetime, by: str, reason: str
    ) -> list[Freeze]:
        """Set the freezes of a public warning, in place of its earlier ones; equal ones change nothing."""
        ...

    @method
    def end_warning(self, warning: str, actor: str) -> None:
        """End the freezes of a public warning. Raises NotFoundError if it has none."""
        ...

    @method
    def find(self, at: datetime) -> list[Freeze]:
        """Freezes in force or to come, in the order of their begins."""
        ...


class Notices(Repository[M_co], Protocol[M_co]):
    """Notices to tenants about runs, and to all sides about incidents."""

    @method
    def page(self, page: Page, tenant: str | None = None) -> tuple[int, list[Notice]]:
        """Total and one page of notices, newest first; those of one tenant if named."""
        ...

    @method
    def write(self) -> None:
        """Put notices to sides on record: of runs that began or ended, of incidents that began, grew or ended."""
        ...

    @method
    def address(self, *, webhook: bool) -> None:
        """Settle the recipients of new notices, the contacts of their side, and gather those that are due together.

        All notices of incidents that wait for a receiver become one message (``Delivery``), unless one of these is on
        its way there: what comes meanwhile is gathered once that is sent. After a message the next one waits for a time
        (``INTERVAL``), but for what is graver than all that the receiver was told in it. A notice of another kind is a
        message by itself, at once.

        Args:
            webhook: Whether the webhook of the settings also gets them. One that is set up later gets no earlier
                notices.
        """
        ...

    @method
    def pending(self) -> list[Delivery]:
        """Messages of the last day that are open, in the order in which they go; the first ones of each contact.

        The gravest first, by the gravest open notice of an incident, whose older ones go before it. What is about
        incidents, and what is about anything else, take turns.
        """
        ...

    @method
    def gathered(self, one: Delivery) -> list[Notice]:
        """The notices of a message, in the order in which they were written."""
        ...

    @method
    def refuse(self, seen: Delivery, why: str) -> None:
        """Put on record that a receiver refuses a message for its content, and why.

        One that lists several is sent in two halves from then on, so that in the end only what it refuses waits.

        Args:
            seen: The message as it was before it was claimed for the attempt that was refused.
            why: The reason, for people.
        """
        ...

    @method
    def claim(self, seen: Delivery) -> Delivery | None:
        """Claim a delivery before it is sent, as ``Escalations.claim`` does."""
        ...

    @method
    def release(self, claimed: Delivery, why: str = "") -> None:
        """Give a claim back, with the reason why it was not delivered. A claim that somebody else took over stays."""
        ...

    @method
    def delivered(self, claimed: Delivery) -> None:
        """Put on record that it was delivered."""
        ...
