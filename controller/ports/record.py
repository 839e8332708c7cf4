"""Doubts about the record itself; a part of ``Store``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from controller.models.record import Carried, RecordState
from controller.models.words import RecordChoice


class RecordGuard(Protocol):
    """While the record is in doubt no run is accepted or moved on to another wave, and no job is claimed or begun."""

    def judge_record(self) -> RecordState:
        """Compare the record with what is known outside of the database; a doubt goes on record with its alarm."""
        ...

    def doubt_record(self, carried: Mapping[str, int]) -> RecordState:
        """Compare it with what adopted stations carry: the fence under which each was changed last.

        A station that carries a later one was changed by a record that was newer than this one.
        """
        ...

    def doubt_drift(self, stations: Collection[str]) -> RecordState:
        """Doubt the record since stations that were as applied when it last looked are not, at the first look since.

        A few are foreign edits; as many as ``SURPRISING`` are changes of a newer record.
        """
        ...

    def decide_record(
        self, choice: RecordChoice, actor: str, reason: str, carried: Sequence[Carried] = (), unread: Sequence[str] = ()
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
