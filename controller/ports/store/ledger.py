"""The ledger: which nodes are ours, which were, and what ended jobs left on their stations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol, assert_never

from controller.models.plan import Change
from controller.models.run import FoundState, LedgerBefore, LedgerEntry, Outcome
from controller.ports.store.repository import M_co, Repository, method

#: A time before all records.
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LedgerState:
    """An earlier ledger of one station; ``missing`` says why it is not known."""

    ledger: Mapping[str, LedgerEntry]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class EndedJob:
    """What one ended job left on its station.

    Attributes:
        procedure: Procedure of its run: ``apply``, or a playbook's name.
        cause: Cause of its run: ``person``, or ``alarm:<id>``.
        changes: Its changes in order, without those taken back within the job.
        unsure: Changes after these of which nobody knows how much the device carries: the job diverged.
        beyond: Whether it diverged in more than its changes: nodes are gone though nobody asked, or an operation such
            as a restart has an unknown end.
        before: Ledger entries before the job.
        undoes: The run that the job's run undoes; empty for all others.
        started: When a worker first took it; None where that is not on record.
        found: The state in which a later reading found its device, where nobody could read that back at its end.
        found_at: When that reading began.
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
    unsure: tuple[Change, ...] = ()
    beyond: bool = False
    started: datetime | None = None
    found: FoundState | None = None
    found_at: datetime | None = None

    @property
    def changed(self) -> bool:
        """Whether its station may be another than before it."""
        return bool(self.changes or self.unsure) or self.outcome is Outcome.DIVERGED

    @property
    def known(self) -> datetime:
        """When it was known what the job left there, as far as it is."""
        return self.found_at or self.finished

    def as_found(self) -> EndedJob:
        """The job with what it is now known to have left there; its own end stays on record as it was."""
        match self.found:
            case None:
                return self
            case FoundState.PLANNED:
                made = (*self.changes, *self.unsure)
                return replace(self, outcome=Outcome.SUCCEEDED, changes=made, unsure=())
            case FoundState.BEFORE:
                nothing = LedgerBefore()
                return replace(self, outcome=Outcome.ROLLED_BACK, changes=(), unsure=(), before=nothing)
            case _:
                assert_never(self.found)


def changed_since(ended: Iterable[EndedJob], undo: Change) -> str:
    """Who changed a station after its undo was planned, in words; empty if the undo still holds.

    What the device carries does not tell: a later run may have taken the change back, and another one made it again.

    Args:
        ended: Ended jobs of the station, oldest first.
        undo: The change that takes a run back there (``Change.as_of``).
    """
    at = undo.as_of
    later = [one for one in ended if at is not None and one.known > at and one.changed]
    if not later:
        return ""
    named = f"run {later[-1].run} ({later[-1].procedure})"
    return f"{named} changed {undo.station} after the undo was planned: make a new plan with minka undo"


class Ledger(Repository[M_co], Protocol[M_co]):
    """Entries of nodes that are ours."""

    @method
    def find(self, stations: Iterable[str] | None = None) -> dict[str, dict[str, LedgerEntry]]:
        """Ledger entries by station and path."""
        ...

    @method
    def paths(self, stations: Iterable[str]) -> dict[str, list[str]]:
        """Paths of ledger entries by station, without their content, which is much larger."""
        ...

    @method
    def nodes(self, nodes: Collection[tuple[str, str]]) -> dict[tuple[str, str], LedgerEntry]:
        """Ledger entries of nodes, by station and path, with one statement; unknown nodes are absent."""
        ...

    @method
    def saying(self, value: str) -> dict[str, dict[str, LedgerEntry]]:
        """Ledger entries with a leaf of this value, of all stations, by station and path."""
        ...

    @method
    def versions(self, stations: Iterable[str]) -> dict[str, int]:
        """A number by station that grows with each change of its ledger; stations without entries are absent."""
        ...

    @method
    def as_of(self, stations: Iterable[str], *, run: str = "", at: datetime | None = None) -> dict[str, LedgerState]:
        """Each station's ledger as it was before a run's job there, or at a time. The last 100 changes are kept."""
        ...

    @method
    def ended_jobs(self, stations: Iterable[str], since: datetime) -> list[EndedJob]:
        """Jobs on the stations that ended since then, or of which it was found out since what they left; oldest first.

        Each is as it is known now (``EndedJob.as_found``).
        """
        ...
