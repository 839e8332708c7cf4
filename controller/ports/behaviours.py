"""The part of the store that knows how servers behave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from controller.models.behaviour import Behaviour

if TYPE_CHECKING:
    from controller.ports.store import Claim


class BehaviourRecords(Protocol):
    """What was learned of servers, by software version."""

    def behaviour(self, software: str) -> Behaviour | None:
        """What was learned of a software version; None where nothing was."""
        ...

    def learn(self, software: str, behaviour: Behaviour, claim: Claim) -> None:
        """Keep what a transaction learned; what was known before stays. Raises LeaseLostError."""
        ...
