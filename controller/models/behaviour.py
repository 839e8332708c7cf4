"""How servers behave where standards leave room or are violated: learned once for each software version."""

from __future__ import annotations

from enum import StrEnum

from controller.models.network import Noun


class FollowUp(StrEnum):
    """How a server wants a confirmed commit named that follows up a pending one (RFC 6241 §8.4.5.1)."""

    BOTH = "persist and persist-id"
    PERSIST_ID = "persist-id"
    PERSIST = "persist"


class Behaviour(Noun):
    """What an empty confirmed commit showed of one software version.

    Attributes:
        follow_up: How it takes a further confirmed commit under the same token; None where it takes none.
        cancels: Whether it takes a confirmed commit and cancels it: without that it is no safety net.
        reason: What it said to the contrary, for people.
    """

    follow_up: FollowUp | None = FollowUp.BOTH
    cancels: bool = True
    reason: str = ""

    def guards(self, phases: int) -> bool:
        """Whether its confirmed commit can be the safety net of a change of so many phases."""
        return self.cancels and (phases <= 1 or self.follow_up is not None)
