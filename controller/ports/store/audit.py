"""The audit trail, and doubts about the record as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.audit import AuditAnchor, AuditBreak
from controller.models.enums import RecordChoice
from controller.models.record import CarriedNodes, RecordState
from controller.models.run import AuditRow
from controller.ports.store.repository import M_co, Page, Repository, method


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows of the audit trail are wanted; None for any.

    Attributes:
        actor: Who did it.
        action: What was done; with ``*`` at its end, all that begins so.
        object: To what; likewise.
        since: Not before.
        until: Before.
    """

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since: datetime | None = None
    until: datetime | None = None


#: All of it.
EVERYTHING = AuditQuery()


class Audit(Repository[M_co], Protocol[M_co]):
    """The audit trail: a hash chain of what was done by whom."""

    @method
    def append(self, actor: str, action: str, target: str, detail: Mapping[str, str] | None = None) -> None:
        """Append an audit row of its own, for acts that change no other state."""
        ...

    @method
    def page(self, page: Page, wanted: AuditQuery = EVERYTHING) -> tuple[int, list[AuditRow]]:
        """Total and one page of the audit rows that are wanted, newest first."""
        ...

    @method
    def verify(self) -> AuditBreak | None:
        """The first audit row that was changed, removed or cut off; None if the chain is whole."""
        ...

    @method
    def verify_anchors(self, anchors: Iterable[AuditAnchor]) -> AuditBreak | None:
        """The first audit row that is missing, or another one than was anchored; None if all are there.

        Anchors from before a person's decision that an older record is right are passed over.
        """
        ...

    @method
    def head(self) -> AuditAnchor:
        """The newest audit row, to be published outside of the database."""
        ...

    @method
    def newest_key(self) -> str:
        """Id of the key that the newest audit row is signed with; empty where there is none."""
        ...

    @method
    def deny(self, actor: str, side: str, permission: str, asked: str, times: int = 1) -> None:
        """Put on record that somebody asked for what is not theirs.

        Of what one caller on one side was denied for want of one permission within an hour, the first 20 calls get an
        audit row each. The others are counted, and get one row with their number, the last of what was asked, and its
        time, once the hour is over.

        Args:
            actor: Who asked.
            side: The tenant whose person that is; empty for the host's.
            permission: What the request needed; empty where that is not the point.
            asked: What was asked for.
            times: Requests that this call is about.
        """
        ...

    @method
    def sum_up_denials(self) -> None:
        """Write the rows of counts whose hour is over; nothing where there are none. Any process may, at any time."""
        ...


class Integrity(Repository[M_co], Protocol[M_co]):
    """While the record is in doubt no run is accepted or moved on to another wave, and no job is claimed or begun."""

    @method
    def check(self) -> RecordState:
        """Compare the record with what is known outside of the database; a doubt goes on record with its alarm."""
        ...

    @method
    def check_fences(self, carried: Mapping[str, int]) -> RecordState:
        """Compare it with what adopted stations carry: the fence under which each was changed last.

        A station that carries a later one was changed by a record that was newer than this one.
        """
        ...

    @method
    def check_drift(self, stations: Collection[str]) -> RecordState:
        """Doubt the record since stations that were as applied at their last check are not, at the first check since.

        A few are foreign edits; as many as ``SURPRISING`` are changes of a newer record.
        """
        ...

    @method
    def decide(
        self,
        choice: RecordChoice,
        actor: str,
        reason: str,
        carried: Sequence[CarriedNodes] = (),
        unread: Sequence[str] = (),
    ) -> RecordState:
        """End all doubts as a person says.

        Args:
            choice: Which is right.
            actor: Who says so.
            reason: Why, for the audit trail.
            carried: What stations carry, for the ledger.
            unread: Stations that could not be read: each gets a hold, so that nothing is repaired there meanwhile.

        Raises:
            ConflictError: Nothing is in doubt.
        """
        ...
