"""Whether the database is the newest known record, and a person's decision if it is not."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from controller.models.network import Noun
from controller.models.plan import LedgerNode


class Writable(StrEnum):
    """Whether the database takes writes, as far as a process knows."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class RecordState(Noun):
    """State of the record.

    Attributes:
        epoch: Number of the last decision; 0 before the first.
        doubt: Why nothing begins on stations until a person decides; empty if nothing is in doubt.
        since: Since when it is in doubt.
        settles: When the last commit that the record may not know of is confirmed or taken back by its timer. What
            stations carry beyond the record may be such a commit until then.
    """

    epoch: int
    doubt: str = ""
    since: AwareDatetime | None = None
    settles: AwareDatetime | None = None


#: Number of stations that suddenly differ after a start from which foreign edits are no explanation.
SURPRISING = 3


class CarriedNodes(Noun):
    """Managed nodes that an adopted station carries, in the form of the ledger.

    Attributes:
        nodes: Nodes for the ledger.
        lost: Paths in the ledger that it does not carry.
    """

    station: str
    nodes: tuple[LedgerNode, ...] = ()
    lost: tuple[str, ...] = ()
