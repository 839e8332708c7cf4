"""Modes of rules, and what rules proposed for alarms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from controller.models.alarm import Alarm
from controller.models.rule import Figures, Proposal, ProposalState, RuleGrant, RuleMode
from controller.ports.store.repository import M_co, Page, Repository, method


class Rules(Repository[M_co], Protocol[M_co]):
    """What rules may do, proposed and did."""

    @method
    def grants(self) -> list[RuleGrant]:
        """Modes in force, by rule and scope; a rule without one is in the mode of its file."""
        ...

    @method
    def set_mode(self, rule: str, scope: str, mode: RuleMode, *, by: str, reason: str, digest: str) -> RuleGrant:
        """Set the mode of a rule in a scope."""
        ...

    @method
    def propose(self, proposal: Proposal) -> Proposal:
        """Put on record what a rule proposes."""
        ...

    @method
    def of_alarm(self, alarm_id: str) -> list[Proposal]:
        """What rules proposed for an alarm, oldest first."""
        ...

    @method
    def get(self, proposal_id: str) -> Proposal:
        """One proposal. Raises NotFoundError."""
        ...

    @method
    def page(
        self, page: Page, states: Iterable[ProposalState] = (), rule: str = "", alarm: str = ""
    ) -> tuple[int, list[Proposal]]:
        """Proposals, newest first, of states, rule and alarm that are named; how many there are in all."""
        ...

    @method
    def answer(self, proposal_id: str, *, yes: bool, by: str, reason: str) -> Proposal:
        """What a person says to a proposal that asks.

        Raises:
            NotFoundError: There is no such proposal.
            ConflictError: It does not ask (any more), or the alarm is another than the one that was asked about.
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
        """What becomes of a proposal, in which nothing stands in the way any more; None if its state is another now."""
        ...

    @method
    def during(self, alarm: Alarm) -> Proposal | None:
        """The repair for another alarm that worked on its station, or was being verified, when an alarm was raised."""
        ...

    @method
    def figures(self, rule: str, scope: str | None = None, since: datetime | None = None) -> Figures:
        """What is on record of a rule; of its repairs those that began since then, and by its mode in this scope."""
        ...
