"""Which stations' performance data is collected, when, and by which worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from controller.models.collection import Collection
from controller.ports.store.repository import M_co, Repository, method


class Collections(Repository[M_co], Protocol[M_co]):
    """Collections of stations; each is one worker's for a while, and then again for the taking."""

    @method
    def follow(self, stations: Mapping[str, datetime]) -> None:
        """Collect from these stations and no others; those that are new are due first at the times given."""
        ...

    @method
    def hurry(self, stations: Iterable[str]) -> list[str]:
        """Make followed stations due now; those that were not. A collection under way is followed by another one."""
        ...

    @method
    def take(self, holder: str, limit: int, lease: timedelta) -> list[Collection]:
        """Some collections that are due, for a worker alone as long as the lease; the longest due first."""
        ...

    @method
    def finish(self, ends: Iterable[Collection], counts: Mapping[tuple[str, str], int]) -> list[str]:
        """Put on record how collections went, and count what they brought, by kind and reason.

        Args:
            ends: As they are from now on, with the holder under whom they were taken.
            counts: Go onto the figures.

        Returns:
            Stations whose collection was another worker's by then: of these nothing changes.
        """
        ...

    @method
    def release(self, holder: str) -> None:
        """Let others take what a worker that ends has not finished."""
        ...

    @method
    def waiting(self) -> int:
        """How many are due and nobody's."""
        ...

    @method
    def find(self, stations: Iterable[str] | None = None) -> dict[str, Collection]:
        """Collections by station; of all where none are named."""
        ...
