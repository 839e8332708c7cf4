"""Health of a station as last seen: what is on air, which core links are up, what drifted."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import AwareDatetime

from controller.models.alarm import SLEEPING_CELL, Alarm
from controller.models.cloud import ClusterState
from controller.models.network import DeviceKind, Noun


class ServiceState(StrEnum):
    """Whether a cell or a core link serves, as far as its station tells.

    What a station does not tell is unknown: it is no fault, nothing repairs it, checks say that it was not checked.
    """

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        """Whether it is known to serve."""
        return self is ServiceState.UP

    @classmethod
    def of(cls, value: object, good: str) -> ServiceState:
        """From the value of a state leaf, None where the station does not tell it; ``good`` is the one that serves."""
        if value is None:
            return cls.UNKNOWN
        return cls.UP if value == good else cls.DOWN

    @property
    def opposite(self) -> ServiceState:
        """Down for up, and up for down."""
        return {ServiceState.UP: ServiceState.DOWN, ServiceState.DOWN: ServiceState.UP}.get(self, self)

    @classmethod
    def any_of(cls, states: Iterable[ServiceState]) -> ServiceState:
        """Up if any is, down if all are."""
        found = set(states)
        return next((state for state in (cls.UP, cls.UNKNOWN) if state in found), cls.DOWN)


class LinkHealth(Noun):
    """One core link of ours.

    Attributes:
        path: Its entry in the device tree.
        state: Whether it works; one that vanished from the station does not.
        locked: Whether somebody locked it: it is not up then, and that is no fault.
        tunnel: Address of the security gateway that its packets go through, an empty string where there is none.
        since: Since when it has been down, as ``Health.off_air`` says it; None where it is not known to be down.
    """

    path: str
    tenant: str
    kind: str
    state: ServiceState
    locked: bool = False
    tunnel: str = ""
    since: AwareDatetime | None = None

    @property
    def up(self) -> bool:
        """Whether it is known to work."""
        return self.state is ServiceState.UP


class Health(Noun):
    """State of one station at one time.

    Where it can't be read, all its cells and core links are unknown, and what else there is is what was seen last.

    Attributes:
        at: When it was checked.
        read: When it was last read; None if it never was.
        reason: Code of the error that kept us from reading it (``controller.models.errors``), empty where
            it was read.
        cells: Whether it is on air (UNLOCKED, ENABLED and ACTIVE) by cell id.
        locked: Cells of ours whose administrative state is LOCKED or SHUTTINGDOWN, sorted.
        off_air: Cells of ours by path, unlocked and with a PLMN to broadcast, that are known to be off air, and since
            when: as the station says, where that lies between two checks, else as they were first seen so.
        ports_down: Ports of a router by path, that carry interfaces of ours, are not shut, and get no signal.
        over: Number of alarms that are over and that its list keeps, since nobody acknowledged them.
        drift: Number of managed nodes that differ from what was last applied.
        lost: Whether it is a virtual station that has nothing of that any more, as its function has a new pod.
        device: What it is, as alarms of the device as a whole name it.
        function: What is wrong with a function, in words by probable cause.
        placed: When a function came to each pool that it is on, by pool, as these say.
        cluster: Nodes and pods of a pool; None of all else.
        reserve: Why a pool can't lose the nodes any more that it is to bear the loss of; empty where it can.
    """

    station: str
    at: AwareDatetime
    reachable: bool
    read: AwareDatetime | None = None
    reason: str = ""
    cells: dict[str, ServiceState] = {}
    locked: tuple[str, ...] = ()
    links: tuple[LinkHealth, ...] = ()
    off_air: dict[str, AwareDatetime] = {}
    ports_down: tuple[str, ...] = ()
    over: int = 0
    drift: int = 0
    lost: bool = False
    device: DeviceKind = DeviceKind.STATION
    function: dict[str, str] = {}
    placed: dict[str, AwareDatetime] = {}
    cluster: ClusterState | None = None
    reserve: str = ""

    def serves(self, cell: str, tenant: str) -> bool:
        """Whether a tenant gets service from a cell, or may: what is not reported counts as service.

        It gets none from a cell that is off air, nor where its core links are all down, and those that nobody has
        alone, nor from a station that has lost its configuration.
        """
        links = [link for link in self.links if link.tenant in ("", tenant)]
        cut = any(link.tenant for link in links) and all(link.state is ServiceState.DOWN for link in links)
        return self.cells.get(cell) is not ServiceState.DOWN and not (cut or self.lost)

    def with_sleepers(self, alarms: Iterable[Alarm]) -> Health:
        """The same, where cells that sleep serve nobody whatever the station says: alarms that stand tell of them."""
        asleep = (one for one in alarms if one.probable_cause == SLEEPING_CELL and one.cleared is None)
        names = {cell.partition("/")[2] for one in asleep for cell in one.cells}
        return self.model_copy(update={"cells": self.cells | dict.fromkeys(names, ServiceState.DOWN)})

    @property
    def reporting_cells(self) -> frozenset[str]:
        """Ids of cells whose state the station reports."""
        return frozenset(cell for cell, state in self.cells.items() if state is not ServiceState.UNKNOWN)
