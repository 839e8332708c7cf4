"""Approvals, freezes, overrides and notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    RunConstraints,
    Vote,
    VoteChoice,
)
from controller.models.people import Person
from controller.models.run import Hold, Run
from controller.ports.store.repository import M_co, Page, Repository, method


@dataclass(frozen=True, slots=True)
class ClearanceInput:
    """All that the clearance of a run follows from, as it is on record.

    Attributes:
        requester: Who asked for the run.
        seconds: What a station needs of a window: the run's confirm time-out.
        constraints: What it was accepted under.
        votes: What people said to its subject.
        notified: When each tenant was notified of it.
        override: Who lets it work in spite of windows and freezes, if anybody.
        holds: In force.
        freezes: In force or to come.
        begun: Stations whose unit or wave was begun, and is decided as a whole: they may go on until the window closes.
        away: When stations that were away or busy are tried again.
        owed: Stations whose function was begun: they are brought back, whatever else forbids to begin, but for holds.
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


#: Clearances by station.
Clearances = Mapping[str, Clearance]


Assess = Callable[[ClearanceInput], Clearances]


class Approvals(Repository[M_co], Protocol[M_co]):
    """What people say to runs, and what may be done in consequence."""

    @method
    def reassess(self, assess: Assess, seen: Mapping[str, Clearances]) -> dict[str, Clearances]:
        """Let ``assess`` judge each active run that has constraints, and keep on its jobs what it says.

        One at a time, whatever the number of processes, so that what a job says is never older than what it follows
        from. ``assess`` must be pure; where it fails, the run's jobs are blocked.

        Args:
            assess: What follows from a run's standing.
            seen: What this method returned last; runs of which the same is to be said are not assessed again.

        Returns:
            What was said of each run.
        """
        ...

    @method
    def standing(self, run_id: str, tenant: str = "") -> ClearanceInput | None:
        """What the clearance of a run follows from; None without constraints, or where the tenant has no part."""
        ...

    @method
    def standings(self, tenant: str = "") -> list[tuple[Run, ClearanceInput]]:
        """Active runs that have constraints, those that concern a tenant if one is named, oldest first."""
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
        """Keep what a person says to a subject, instead of what that person said before.

        A rejection turns active runs of the subject into ``cancelling``.

        Args:
            subject: What people approve: ``RunConstraints.subject``; of a plan a tenant's people its name for them.
            person: Who says it.
            choice: What is said.
            reason: Why.
            about: Plan or run, for the audit trail.
            contracts: Contractual reasons.
        """
        ...

    @method
    def votes(self, subject: str) -> list[Vote]:
        """What people said to a subject, the last of each person, in order of time."""
        ...

    @method
    def override(self, run_id: str, by: str, reason: str) -> Override:
        """Let a run work in spite of windows and freezes. Raises NotFoundError.

        The first reason stays while the person who gave it may override.
        """
        ...


class Freezes(Repository[M_co], Protocol[M_co]):
    """Times in which nothing may be changed."""

    @method
    def add(self, target: str, begins: datetime, ends: datetime, by: str, reason: str) -> Freeze:
        """Put a freeze."""
        ...

    @method
    def end(self, freeze_id: str, actor: str) -> None:
        """Lift a freeze. Raises NotFoundError."""
        ...

    @method
    def warn(
        self, warning: str, targets: Sequence[str], begins: datetime, ends: datetime, by: str, reason: str
    ) -> list[Freeze]:
        """Put the freezes of a public warning, in place of those that it had; the same again changes nothing."""
        ...

    @method
    def end_warning(self, warning: str, actor: str) -> None:
        """Lift the freezes of a public warning. Raises NotFoundError where there are none."""
        ...

    @method
    def find(self, at: datetime) -> list[Freeze]:
        """Freezes in force or to come, in the order of their beginnings."""
        ...


class Notices(Repository[M_co], Protocol[M_co]):
    """Notices to tenants about runs, and to all sides about incidents."""

    @method
    def page(self, page: Page, tenant: str | None = None) -> tuple[int, list[Notice]]:
        """Total and one page of notices, newest first; those of one tenant if named."""
        ...

    @method
    def write(self) -> None:
        """Put notices to sides on record: runs that began or ended, incidents that began, grew or are over."""
        ...

    @method
    def address(self, *, webhook: bool) -> None:
        """Settle who gets the notices of which that is not settled: the contacts of their side.

        Args:
            webhook: Whether there is one that passes all of them on. One that is set up later gets no earlier ones.
        """
        ...

    @method
    def pending(self) -> list[Delivery]:
        """Deliveries of the last day that nobody took yet, oldest first; of each contact the first ones."""
        ...

    @method
    def claim(self, seen: Delivery) -> Delivery | None:
        """Claim one before it is sent, as ``Escalations.claim`` does."""
        ...

    @method
    def release(self, claimed: Delivery, why: str = "") -> None:
        """Give a claim back: it was not taken; why goes on record. One that somebody else took over stays."""
        ...

    @method
    def delivered(self, claimed: Delivery) -> None:
        """Put on record that it was taken."""
        ...
