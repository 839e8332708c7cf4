"""The audit trail, and doubts about the record as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.audit import AuditAnchor, AuditBreak, PublishedHead
from controller.models.enums import RecordChoice
from controller.models.evidence import Extension
from controller.models.record import CarriedNodes, RecordState
from controller.models.run import AuditRow
from controller.models.signed_note import PublicKey
from controller.ports.store.repository import M_co, Page, Repository, method


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows of the audit trail are wanted; None for any.

    Attributes:
        actor: Who did it.
        action: What was done; a ``*`` at the end stands for any ending.
        object: To what; likewise.
        device: Which device they concern: by itself, by its runs, jobs, alarms, plans and notices, or by what binds it.
        places: Targets of holds and freezes that bind the device beside its id, as in ``site:cusco-12``.
        since: Not before.
        until: Before.
    """

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    device: str | None = None
    places: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


#: All rows.
EVERYTHING = AuditQuery()


class Audit(Repository[M_co], Protocol[M_co]):
    """The audit trail: a hash chain of who did what."""

    @method
    def append(
        self,
        actor: str,
        action: str,
        target: str,
        detail: Mapping[str, str] | None = None,
        about: Iterable[str] = (),
    ) -> None:
        """Append an audit row of its own, for an act that changes no other state.

        Args:
            actor: Who did it.
            action: What was done.
            target: To what.
            detail: How, for people.
            about: Devices that it concerns beside its target.
        """
        ...

    @method
    def page(self, page: Page, wanted: AuditQuery = EVERYTHING) -> tuple[int, list[AuditRow]]:
        """Total and one page of the wanted audit rows, newest first."""
        ...

    @method
    def verify(self) -> AuditBreak | None:
        """The first audit row that was changed, removed or cut off; None if the chain is whole."""
        ...

    @method
    def verify_anchors(self, anchors: Iterable[AuditAnchor]) -> AuditBreak | None:
        """The first audit row that is missing or differs from its anchor; None if all match.

        Ignores anchors from before a person's decision that an older record is right.
        """
        ...

    @method
    def head(self) -> AuditAnchor:
        """The newest audit row, to be published outside of the database."""
        ...

    @method
    def newest_key(self) -> str:
        """Id of the key that signs the newest audit row; empty if there is none."""
        ...

    @method
    def deny(self, actor: str, side: str, permission: str, asked: str, times: int = 1) -> None:
        """Put on record that somebody asked for something without permission.

        Within an hour, the first 20 denials of one caller for one permission get an audit row each. The others are
        counted. After the hour they get one row with their number, the last request, and its time.

        Args:
            actor: Who asked.
            side: The tenant whose person that is; empty for the host's.
            permission: The permission that the request needed; empty if permissions were not the reason.
            asked: The request.
            times: Number of requests that this call reports.
        """
        ...

    @method
    def sum_up_denials(self) -> None:
        """Write the rows of counts whose hour is over. Any process may call this at any time."""
        ...


class TrailLog(Repository[M_co], Protocol[M_co]):
    """The log of the audit trail, whose signed heads others keep to see that later ones extend them."""

    @method
    def grow(self) -> bool:
        """Add rows of the trail that are not in the log, some whole tiles of them. False once no whole one is left."""
        ...

    @method
    def publish(self) -> PublishedHead | None:
        """Publish a signed head of the whole log; None if the day (UTC) has one, or nothing is to be signed.

        Raises:
            ConflictError: The key that signs is missing.
        """
        ...

    @method
    def heads(self, page: Page) -> tuple[int, list[PublishedHead]]:
        """Total and one page of published heads, newest first."""
        ...

    @method
    def extension(self, earlier: int) -> Extension:
        """The newest head, with the proof that its log extends the one that had ``earlier`` leaves.

        Raises:
            ConflictError: No head of that size is on record.
        """
        ...

    @method
    def public_keys(self) -> list[PublicKey]:
        """Public keys of all that was signed, in the order of their first use."""
        ...

    @method
    def verify(self) -> AuditBreak | None:
        """The first rows of the trail, or the first head, that don't fit what was published; None if all do."""
        ...


class Integrity(Repository[M_co], Protocol[M_co]):
    """Doubts about the record. During a doubt no run is accepted, no wave opens, and no job is claimed or begun."""

    @method
    def check(self) -> RecordState:
        """Compare the record with what is known outside of the database; a doubt goes on record, with an alarm."""
        ...

    @method
    def check_fences(self, carried: Mapping[str, int]) -> RecordState:
        """Compare the record with adopted stations: the fence under which each was last changed.

        A station with a later fence was changed by a newer record than this one.
        """
        ...

    @method
    def check_drift(self, matched: Mapping[str, datetime]) -> RecordState:
        """Doubt the record if many stations that matched it at their last check suddenly differ.

        A few of them are foreign edits; ``SURPRISING`` or more are changes of a newer record. What came about before
        a person's last decision is decided: a station whose last check is older does not count.

        Args:
            matched: When each was last checked, by the record.
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
        read: datetime | None = None,
    ) -> RecordState:
        """End all doubts by a person's decision.

        Args:
            choice: Which record is right.
            actor: Who decides.
            reason: Why, for the audit trail.
            carried: Nodes that stations carry, for the ledger.
            unread: Stations that could not be read: each gets a hold, so that nothing is repaired there meanwhile.
            read: When the first station was read; now by default.

        Raises:
            ConflictError: Nothing is in doubt; or a station that differs was read before the record ``settles``, and so
                may carry a commit that nobody confirms.
        """
        ...
