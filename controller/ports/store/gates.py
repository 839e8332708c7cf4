"""Gates: which devices are prepared there, what was decided about them, and how waves soak."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from controller.models.run import Decision, GateChoice, JournalEntry
from controller.ports.store.claims import Claim
from controller.ports.store.repository import M_co, Repository, method


@dataclass(frozen=True, slots=True)
class Soak:
    """The state of a wave's soak.

    Attributes:
        pending: Jobs of the wave that have neither ended nor passed.
        failed: The first failure, as station and reason; empty if there is none.
    """

    pending: int
    failed: str


class Gates(Repository[M_co], Protocol[M_co]):
    """Decisions about devices that are at a gate together."""

    @method
    def arrive(self, claim: Claim, gate: int, entry: JournalEntry | None = None) -> bool:
        """Put on record that a claim's device is at a gate, with the journal row that says so.

        A second arrival changes nothing. Returns whether all devices of its unit (or wave, by the run's policy) have
        arrived.

        Raises:
            LeaseLostError: As ``Journal.append``.
        """
        ...

    @method
    def leave(self, claim: Claim, gate: int) -> Decision | None:
        """Leave a gate, unless it was decided: then stay, and return the decision.

        Raises:
            LeaseLostError: As ``Journal.append``.
        """
        ...

    @method
    def goes_last(self, claim: Claim) -> bool:
        """Whether a job whose device can't revert by itself has to go after others of its group.

        It need not if its unit has an order of its own, or if all others are prepared or done.
        """
        ...

    @method
    def decisions(self, waves: Iterable[tuple[str, int]]) -> list[Decision]:
        """Decisions about waves, each given as run and number."""
        ...

    @method
    def soak(self, claim: Claim, position: int) -> Soak:
        """The state of the soak of a job's wave, whose decisions are the steps at ``position``.

        After a failure, or when none is pending, jobs that wait for the soak are woken; a failure ends the run. Devices
        that come later in the job's unit may begin: the job waits for them.
        """
        ...


def decision_for(unit: str, round: int, gate: int | None, decisions: Iterable[Decision]) -> Decision | None:
    """The decision for a job at a gate, from the decisions of its wave; its unit's decisions go before the wave's.

    A group that was cancelled at one gate is also cancelled at all later ones, and before it reached any. A postponed
    group is decided again; a cancel holds in all later rounds.
    """
    known = [decision for decision in decisions if decision.unit in ("", unit)]
    for decision in known:
        if decision.choice is GateChoice.CANCEL and decision.round < round:
            return decision
    mine = [decision for decision in known if decision.round == round]
    here = [decision for decision in mine if decision.gate == gate] if gate is not None else []
    for choice in (GateChoice.CANCEL, GateChoice.POSTPONE):
        if against := [decision for decision in (here or mine) if decision.choice is choice]:
            return against[0]
    return next(iter(here), None)
