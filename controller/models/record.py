"""Whether the database is the newest record that is known, and what a person decides if it is not."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.network import Noun
from controller.models.plan import LedgerNode


class RecordState(Noun):
    """What is known of the record.

    Attributes:
        epoch: Number of the last decision, 0 before any.
        doubt: Why nothing is begun on stations until a person has decided; empty while nothing is in doubt.
        since: Since when.
    """

    epoch: int
    doubt: str = ""
    since: AwareDatetime | None = None


#: Stations that carry something else than they did, after a start, from which on it is no matter of foreign edits.
SURPRISING = 3


class CarriedNodes(Noun):
    """What an adopted station carries of what the network files and the ledger know, in the words of the ledger.

    Attributes:
        nodes: Nodes that the ledger is to hold it to.
        lost: Paths of the ledger that it does not carry.
    """

    station: str
    nodes: tuple[LedgerNode, ...] = ()
    lost: tuple[str, ...] = ()
