"""Gates: which devices stand prepared, what was decided for them, and how waves soak."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from controller.models.run import Decision, GateChoice, JournalEntry
from controller.ports.store.claims import Claim
from controller.ports.store.repository import M_co, Repository, method


@dataclass(frozen=True, slots=True)
class Soak:
    """How the soak of a wave stands.

    Attributes:
        pending: Jobs of the wave that have neither ended nor passed.
        failed: What failed first, by station and in words, or an empty string.
    """

    pending: int
    failed: str


class Gates(Repository[M_co], Protocol[M_co]):
    """What is decided for devices that stand at a gate together."""

    @method
    def arrive(self, claim: Claim, gate: int, entry: JournalEntry | None = None) -> bool:
        """Put on record that a claim's device stands at a gate, with the journal row that says so.

        Standing there again changes nothing. Returns whether nobody of its unit (or wave, as the run's
        policy says) is still on the way to the gate.

        Raises:
            LeaseLostError: As ``Journal.append``.
        """
        ...

    @method
    def leave(self, claim: Claim, gate: int) -> Decision | None:
        """Step back from a gate, unless it was decided: then return the decision and stay.

        Raises:
            LeaseLostError: As ``Journal.append``.
        """
        ...

    @method
    def goes_last(self, claim: Claim) -> bool:
        """Whether a job whose device can't revert by itself has to go after others of its group.

        It has not where its unit has an order of its own, and where all others stand prepared or are done.
        """
        ...

    @method
    def decisions(self, waves: Iterable[tuple[str, int]]) -> list[Decision]:
        """What was decided in waves, each a run and a number."""
        ...

    @method
    def soak(self, claim: Claim, position: int) -> Soak:
        """How the wave of a job stands whose decisions are the steps at ``position``.

        With a failure, or none pending, those who wait for it are woken; a failure is the end of the run. Devices that
        come behind it in its unit may begin: it waits for them, and they for no more of it.
        """
        ...


def decision_for(unit: str, round: int, gate: int | None, decisions: Iterable[Decision]) -> Decision | None:
    """What a job learns at a gate, from the decisions of its wave; a unit's own go before its wave's.

    A group that was cancelled at one gate is cancelled at all that follow, and before it came to any. A group that was
    postponed is decided again; but what was cancelled meanwhile is so in all rounds.
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
