"""Health of a station as last seen: what is on air, which core links are up, what drifted."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.network import Noun


class LinkHealth(Noun):
    """One core link. ``path`` is its entry in the device tree."""

    path: str
    tenant: str
    kind: str
    up: bool


class Health(Noun):
    """State of one station at one time.

    Attributes:
        cells: On air (UNLOCKED, ENABLED and ACTIVE) by cell id.
        locked: Cells whose administrative state is LOCKED or SHUTTINGDOWN, sorted.
        drift: Number of managed nodes that differ from what was last applied.
    """

    station: str
    at: AwareDatetime
    reachable: bool
    cells: dict[str, bool] = {}
    locked: tuple[str, ...] = ()
    links: tuple[LinkHealth, ...] = ()
    drift: int = 0
