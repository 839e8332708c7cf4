"""Behaviour of servers where standards leave room or are violated; learned at each station for itself."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from controller.models.network import Noun


class FollowUp(StrEnum):
    """How a server expects a following confirmed commit to refer to the pending one (RFC 6241 §8.4.5.1)."""

    BOTH = "persist and persist-id"
    PERSIST_ID = "persist-id"
    PERSIST = "persist"


class Server(NamedTuple):
    """The server of one station, as Minka accepted it.

    A behaviour counts for exactly this one: what a station says of its software is its own word, and easily copied.

    Attributes:
        station: Its id.
        identity: Digest of that by which it is accepted: its host key, or its certificate and authority.
        software: What it announces of itself: modules and release.
    """

    station: str
    identity: str
    software: str


class Behaviour(Noun):
    """What an empty confirmed commit, and edits that name places, revealed about one server.

    Attributes:
        follow_up: How it accepts a further confirmed commit with the same token; None if it accepts none.
        cancels: Whether it accepts a confirmed commit and can cancel it; otherwise that is no safety net.
        reason: Its answer if it does not, for people.
        places: Whether it puts a new entry of a list in order where an edit says (RFC 7950 §7.8.6); else it appends it.
    """

    follow_up: FollowUp | None = FollowUp.BOTH
    cancels: bool = True
    reason: str = ""
    places: bool = True

    def guards(self, phases: int) -> bool:
        """Whether its confirmed commit can be the safety net of a change with this number of phases."""
        return self.cancels and (phases <= 1 or self.follow_up is not None)


#: Of a server whose confirmed commit did nothing wrong so far; of one without a confirmed commit to rely on.
TRUSTED, UNTRUSTED = Behaviour(), Behaviour(follow_up=None, cancels=False)
