"""What a plan is made from besides network and intent: what is known of each station, and what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.models.network import Snssai
from controller.models.run import LedgerEntry
from controller.nrm.tree import Observed, Path


@dataclass(frozen=True, slots=True)
class StationView:
    """What is known of one station.

    Attributes:
        observed: What the station says of itself, None if it could not be read.
        adopted: Whether it is ours to change; else it is observed only.
        ledger: Nodes that we adopted or applied there.
        unreachable: Why it could not be read, empty if it was.
        retired: Since when it is out of service, None while it is not.
    """

    observed: Observed | None
    adopted: bool
    ledger: Mapping[Path, LedgerEntry] = field(default_factory=dict)
    unreachable: str = ""
    retired: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """What a plan may bring, change or remove; all else stays as the station has it.

    Attributes:
        tenant: Nodes of this tenant alone.
        snssai: Of these only entries for this slice, and what they stand in.
    """

    tenant: str
    snssai: Snssai | None = None


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the requester asked for and allows.

    Attributes:
        selector: Words that chose the stations; kept in the plan for the record.
        remove: Owner → number of nodes that may be removed on all stations together: exactly as many
            as the plan finds. Owners are tenants or ``host``; what is not named is not removed.
        max_share: Share of the network's stations that a plan may touch without naming their number.
        expect_stations: The number of stations that the requester expects to touch.
        held: Stations (``PE-CUS-0042``) and cells (``PE-CUS-0042/1``) under a hold.
        skip_held: Whether stations under a hold are left out, and not planned all the same to wait for its end.
        automatic: Whether no person asked: holds and locks that are not ours keep stations out.
        limit: The part of what is wanted that the plan is about; None for all of it.
    """

    selector: str = ""
    remove: Mapping[str, int] = field(default_factory=dict)
    max_share: float = 0.5
    expect_stations: int | None = None
    held: frozenset[str] = frozenset()
    skip_held: bool = False
    automatic: bool = False
    limit: Limit | None = None
