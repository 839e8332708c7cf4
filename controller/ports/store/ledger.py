"""The ledger: which nodes are ours, which were, and what ended jobs left on their stations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.plan import Change
from controller.models.run import LedgerBefore, LedgerEntry, Outcome
from controller.ports.store.repository import M_co, Repository, method


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The ledger of one station as it was; ``missing`` says why there is none."""

    ledger: Mapping[str, LedgerEntry]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class EndedJob:
    """What one ended job left on its station.

    Attributes:
        procedure: The run's: ``apply``, or a playbook's name.
        cause: The run's: ``person``, or ``alarm:<id>``.
        changes: In order, those taken back within the job left out.
        before: What the ledger said before.
        undoes: The run that the job's own run takes back, empty for all others.
    """

    run: str
    procedure: str
    cause: str
    job: str
    station: str
    finished: datetime
    outcome: Outcome
    changes: tuple[Change, ...]
    before: LedgerBefore
    undoes: str = ""


class Ledger(Repository[M_co], Protocol[M_co]):
    """Nodes that are ours."""

    @method
    def find(self, stations: Iterable[str] | None = None) -> dict[str, dict[str, LedgerEntry]]:
        """Ledger entries by station and path."""
        ...

    @method
    def paths(self, stations: Iterable[str]) -> dict[str, list[str]]:
        """Paths of ledger entries by station, without what they hold: of many devices that is much less."""
        ...

    @method
    def nodes(self, nodes: Collection[tuple[str, str]]) -> dict[tuple[str, str], LedgerEntry]:
        """Ledger entries of nodes, by station and path, with one statement; others are absent."""
        ...

    @method
    def saying(self, value: str) -> dict[str, dict[str, LedgerEntry]]:
        """Ledger entries of all stations with a leaf of this value, by station and path."""
        ...

    @method
    def versions(self, stations: Iterable[str]) -> dict[str, int]:
        """A number by station that grows with each change of its ledger; stations without any are absent."""
        ...

    @method
    def as_of(self, stations: Iterable[str], *, run: str = "", at: datetime | None = None) -> dict[str, LedgerState]:
        """Each station's ledger as it was before a run's job there, or at a time. Kept are its last 100 changes."""
        ...

    @method
    def ended_jobs(self, stations: Iterable[str], since: datetime) -> list[EndedJob]:
        """Jobs on the stations that ended since then, oldest first."""
        ...
