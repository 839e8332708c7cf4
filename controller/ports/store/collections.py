"""Which stations' performance data is collected, when, and by which worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from controller.models.collection import Collection
from controller.ports.store.repository import M_co, Repository, method


class Collections(Repository[M_co], Protocol[M_co]):
    """Collections of stations. A worker takes each one for a while; then any worker may take it again."""

    @method
    def follow(self, stations: Mapping[str, datetime]) -> None:
        """Collect from these stations and no others; new ones are due first at the given times."""
        ...

    @method
    def hurry(self, stations: Iterable[str]) -> list[str]:
        """Make stations due now, some seconds after their last collection at the earliest; returns those that were not.

        A collection under way is followed by another one. A station of which files are left waits for its turn.
        """
        ...

    @method
    def take(self, holder: str, limit: int, lease: timedelta) -> list[Collection]:
        """Take due collections for a worker, which has them alone during the lease; those due longest come first."""
        ...

    @method
    def finish(self, ends: Iterable[Collection], counts: Mapping[tuple[str, str], int]) -> list[str]:
        """Put on record how collections ended, and add up what they brought, by kind and reason.

        Args:
            ends: The collections as they are from now on, with the holder that took them.
            counts: Numbers to add to the figures.

        Returns:
            Stations whose collection another worker has taken by then; they stay unchanged.
        """
        ...

    @method
    def release(self, holder: str) -> None:
        """Let others take the collections that a stopping worker has not finished."""
        ...

    @method
    def waiting(self) -> int:
        """The number of collections that are due, and that no worker has."""
        ...

    @method
    def find(self, stations: Iterable[str] | None = None) -> dict[str, Collection]:
        """Collections by station; all if no stations are given."""
        ...
