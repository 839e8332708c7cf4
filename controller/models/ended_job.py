"""What ended jobs left on their stations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import assert_never

from controller.models.plan import Change
from controller.models.run import FoundState, LedgerBefore, Outcome

#: A time before all records.
EVER = datetime(1970, 1, 1, tzinfo=UTC)


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
            case FoundState.LATE:
                return replace(self, outcome=Outcome.DIVERGED)
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
