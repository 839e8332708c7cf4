"""Health of a station as last seen: what is on air, which core links are up, what drifted."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.network import Noun


class LinkHealth(Noun):
    """One core link of ours.

    Attributes:
        path: Its entry in the device tree.
        up: Whether it works; one that vanished from the station does not.
        locked: Whether somebody locked it: it is not up then, and that is no fault.
    """

    path: str
    tenant: str
    kind: str
    up: bool
    locked: bool = False


class Health(Noun):
    """State of one station at one time.

    Attributes:
        reason: Code of the error that kept us from reading it (``controller.models.errors``), empty where
            it was read.
        cells: On air (UNLOCKED, ENABLED and ACTIVE) by cell id.
        locked: Cells of ours whose administrative state is LOCKED or SHUTTINGDOWN, sorted.
        drift: Number of managed nodes that differ from what was last applied.
    """

    station: str
    at: AwareDatetime
    reachable: bool
    reason: str = ""
    cells: dict[str, bool] = {}
    locked: tuple[str, ...] = ()
    links: tuple[LinkHealth, ...] = ()
    drift: int = 0
