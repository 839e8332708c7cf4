"""Gates on record: which devices stand prepared, and what was decided for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from controller.models.run import Decision, GateVerdict, JournalEntry

if TYPE_CHECKING:
    from controller.ports.store import Claim


class GateRecords(Protocol):
    """Part of ``Store``: what devices that stand at a gate together are told."""

    def stand(self, claim: Claim, gate: int, entry: JournalEntry | None = None) -> bool:
        """Put on record that a claim's device stands at a gate, with the journal row that says so.

        Standing there again changes nothing. Returns whether nobody of its unit (or wave, as the run's
        policy says) is still on the way to the gate.

        Raises:
            LeaseLostError: As ``Store.journal``.
        """
        ...

    def leave(self, claim: Claim, gate: int) -> Decision | None:
        """Step back from a gate, unless it was decided: then return the decision and stay.

        Raises:
            LeaseLostError: As ``Store.journal``.
        """
        ...

    def goes_last(self, claim: Claim) -> bool:
        """Whether a job whose device can't revert by itself has to go after others of its group.

        It has not where its unit has an order of its own, and where all others stand prepared or are done.
        """
        ...

    def decisions(self, waves: Iterable[tuple[str, int]]) -> list[Decision]:
        """What was decided in waves, each a run and a number."""
        ...


def decision_for(unit: str, round: int, gate: int | None, decisions: Iterable[Decision]) -> Decision | None:
    """What a job hears at a gate, from the decisions of its wave; a unit's own go before its wave's.

    A group that was cancelled at one gate is cancelled at all that follow, and before it came to any. A group that was
    postponed is decided anew; but what was cancelled meanwhile is so in all rounds.
    """
    known = [decision for decision in decisions if decision.unit in ("", unit)]
    for decision in known:
        if decision.verdict is GateVerdict.CANCEL and decision.round < round:
            return decision
    mine = [decision for decision in known if decision.round == round]
    here = [decision for decision in mine if decision.gate == gate] if gate is not None else []
    for verdict in (GateVerdict.CANCEL, GateVerdict.POSTPONE):
        if against := [decision for decision in (here or mine) if decision.verdict is verdict]:
            return against[0]
    return next(iter(here), None)
