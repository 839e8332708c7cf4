"""Calls of the store that are one where many wait (rows of the journal, ends of jobs, readings), or that go first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.models.errors import MinkaError
from controller.models.network import Network
from controller.models.run import JournalEntry
from controller.ports.store import Claim, JobResult, Store


@dataclass(frozen=True, slots=True)
class Journalling:
    """``Store.journal``, or ``Store.begin`` for the ``first`` row, as a method for ``StoreLoop.call``."""

    entry: JournalEntry
    claim: Claim
    first: bool = False

    def __call__(self, store: Store) -> None:
        """Carry it out alone."""
        (store.begin if self.first else store.journal)(self.entry, self.claim)

    @staticmethod
    def together(store: Store, calls: Sequence[Journalling]) -> list[MinkaError | None]:
        """Carry out many."""
        return store.journal_all(calls)


@dataclass(frozen=True, slots=True)
class JournalReading:
    """``Store.journal_of`` as a method for ``StoreLoop.call``."""

    transaction: str

    def __call__(self, store: Store) -> list[JournalEntry]:
        """Carry it out alone."""
        return store.journal_of(self.transaction)

    @staticmethod
    def together(store: Store, calls: Sequence[JournalReading]) -> list[list[JournalEntry]]:
        """Carry out many."""
        found = store.journals_of({call.transaction for call in calls})
        return [found[call.transaction] for call in calls]


@dataclass(frozen=True, slots=True)
class Finishing:
    """``Store.finish`` as a method for ``StoreLoop.call``."""

    claim: Claim
    result: JobResult

    def __call__(self, store: Store) -> None:
        """Carry it out alone."""
        store.finish(self.claim, self.result)

    @staticmethod
    def together(store: Store, calls: Sequence[Finishing]) -> list[MinkaError | None]:
        """Carry out many."""
        return store.finish_all(calls)


@dataclass(frozen=True, slots=True)
class NetworkReading:
    """``Store.network`` of the current version as a method for ``StoreLoop.call``."""

    def __call__(self, store: Store) -> tuple[str, Network]:
        """Carry it out alone."""
        return store.network()

    @staticmethod
    def together(store: Store, calls: Sequence[NetworkReading]) -> list[tuple[str, Network]]:
        """Carry out many."""
        return [store.network()] * len(calls)


@dataclass(frozen=True, slots=True)
class Beating:
    """``Store.heartbeat`` as a method for ``StoreLoop.call``: it goes before all that waits."""

    incarnation: str
    sessions: int
    late: str = ""

    def __call__(self, store: Store) -> None:
        """Carry it out."""
        store.heartbeat(self.incarnation, self.sessions, self.late)
