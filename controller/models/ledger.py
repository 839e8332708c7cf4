"""What the ledger said before it changed."""

from __future__ import annotations

from controller.models.network import Noun
from controller.models.run import LedgerEntry


class LedgerBefore(Noun):
    """One station's ledger before a change, of the changed nodes only.

    Attributes:
        entries: Nodes that were in it, as they were.
        absent: Paths that were not.
    """

    entries: tuple[LedgerEntry, ...] = ()
    absent: tuple[str, ...] = ()
