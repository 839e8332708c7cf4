"""Modes of rules, and what rules proposed for alarms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from controller.models.alarm import Alarm
from controller.models.rule import Figures, Proposal, ProposalState, RuleGrant, RuleMode
from controller.ports.store.repository import M_co, Page, Repository, method


class Rules(Repository[M_co], Protocol[M_co]):
    """Modes of rules, and their proposals and repairs."""

    @method
    def grants(self) -> list[RuleGrant]:
        """Modes in force, by rule and scope; a rule without one has the mode in its file."""
        ...

    @method
    def set_mode(self, rule: str, scope: str, mode: RuleMode, *, by: str, reason: str, digest: str) -> RuleGrant:
        """Set the mode of a rule in a scope."""
        ...

    @method
    def propose(self, proposal: Proposal) -> Proposal:
        """Put a proposal of a rule on record."""
        ...

    @method
    def of_alarm(self, alarm_id: str) -> list[Proposal]:
        """Proposals of rules for an alarm, oldest first."""
        ...

    @method
    def get(self, proposal_id: str) -> Proposal:
        """One proposal. Raises NotFoundError."""
        ...

    @method
    def page(
        self, page: Page, states: Iterable[ProposalState] = (), rule: str = "", alarm: str = ""
    ) -> tuple[int, list[Proposal]]:
        """Total and one page of proposals, newest first; only those of the states, rule and alarm that are named."""
        ...

    @method
    def answer(self, proposal_id: str, *, yes: bool, by: str, reason: str) -> Proposal:
        """Put a person's answer to a proposal on record.

        Raises:
            NotFoundError: There is no such proposal.
            ConflictError: It does not ask (any more), or the alarm is not the one that it asked about.
        """
        ...

    @method
    def move(
        self,
        seen: Proposal,
        state: ProposalState,
        *,
        reason: str = "",
        run: str = "",
        before: tuple[str, ...] = (),
        after: tuple[str, ...] | None = None,
    ) -> Proposal | None:
        """Move a proposal to another state, and remove its objections; None if its state is not as ``seen``."""
        ...

    @method
    def during(self, alarm: Alarm) -> Proposal | None:
        """The repair for another alarm that was working on the station, or being verified, when an alarm was raised."""
        ...

    @method
    def figures(self, rule: str, scope: str | None = None, since: datetime | None = None) -> Figures:
        """Figures of a rule on record; of its repairs only those since ``since``, by its mode in this scope."""
        ...
