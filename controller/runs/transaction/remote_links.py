"""Core links of the stations behind a device, watched until its change is confirmed.

A router has no core links; the stations of its site show whether a tenant's packets arrive. A check of such a link
names the station before the path. Sessions to the router show these links as states of the router, so the device
transaction waits for them like for any other, and takes the change back if they stay down. The checks belong to the
change, so they apply to a step, to its undo, and to the undo of its run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from controller.drivers.protocols import Devices, DeviceSession
from controller.drivers.target import DeviceTarget
from controller.models.errors import DeviceError
from controller.models.health import ServiceState
from controller.models.network import Network
from controller.models.plan import Change, Edit
from controller.nrm.profiles import leaf_of, link_state, links
from controller.nrm.schema import LeafRole
from controller.nrm.tree import Leaves, Observed, Path
from controller.ports.clock import Clock

#: Seconds for which a link must be up without a break: a link that lost its path needs a while to notice.
STEADY = 15.0
#: State of a link that is up, but not for so long yet, or not since the last edit.
_RISING = "RISING"


def watching(
    devices: Devices,
    change: Change,
    network: Network,
    target_of: Callable[[Network, str], DeviceTarget],
    clock: Clock,
    patience: float,
) -> Devices:
    """Devices whose sessions also show the links of the stations behind them that the change's checks name.

    Args:
        devices: Opens the sessions, to the device as to the stations.
        change: Names the links.
        network: Where the stations are.
        target_of: How one of them is reached.
        clock: All time.
        patience: Seconds that the checks wait; links are given half of it at most to notice a way that is lost.
    """
    watched = [check for check in change.checks if check.behind]
    if not watched:
        return devices
    # No session watches a station that has left the files meanwhile: its links stay down, and the change is taken back.
    stations = sorted({check.behind for check in watched})
    targets = [target_of(network, station) for station in stations if network.manages(station)]
    return cast(
        "Devices", _Watching(devices, targets, [check.path for check in watched], clock, min(STEADY, patience / 2))
    )


def state_behind(path: Path, seen: Observed) -> ServiceState:
    """Whether a link behind a device was up at that read, steadily or not yet."""
    if seen.state.get(path, {}).get(leaf_of(path, LeafRole.OPERATIONAL_STATE)) == _RISING:
        return ServiceState.UP
    return link_state(seen, path)


def steady_behind(path: Path, seen: Observed) -> ServiceState:
    """Whether a link behind a device was up steadily at that read; it is not yet while it rises."""
    if seen.state.get(path, {}).get(leaf_of(path, LeafRole.OPERATIONAL_STATE)) == _RISING:
        return ServiceState.DOWN
    return link_state(seen, path)


class _Watching:
    def __init__(
        self, devices: Devices, targets: Sequence[DeviceTarget], links: Sequence[Path], clock: Clock, steady: float
    ) -> None:
        self._devices = devices
        self._targets = targets
        self._links = links
        self._clock = clock
        self._steady = steady
        self._since: dict[Path, float] = {}

    @asynccontextmanager
    async def session(self, target: DeviceTarget) -> AsyncIterator[DeviceSession]:
        async with self._devices.session(target) as session:
            yield cast("DeviceSession", _Watched(session, self))

    def forget(self) -> None:
        """Forget links that were up: they still have to notice the edit that follows."""
        self._since.clear()

    async def links(self) -> Mapping[Path, Leaves]:
        """States of the links: enabled, or rising to that; without links that their station does not report.

        A station that can't be read counts as having no link up.
        """
        states: dict[Path, ServiceState] = {}
        for found in await asyncio.gather(*(self._states(target) for target in self._targets)):
            states |= found
        now = self._clock.monotonic()
        up = [path for path, state in states.items() if state is ServiceState.UP]
        self._since = {path: self._since.get(path, now) for path in up}
        reported = (path for path in self._links if states.get(path) is not ServiceState.UNKNOWN)
        leaves = {path: {leaf_of(path, LeafRole.OPERATIONAL_STATE): self._word(path, now)} for path in reported}
        return {path: leaves.get(path, {}) for path in self._links}

    def _word(self, path: Path, now: float) -> str:
        if path not in self._since:
            return "DISABLED"
        return "ENABLED" if now - self._since[path] >= self._steady else _RISING

    async def _states(self, target: DeviceTarget) -> dict[Path, ServiceState]:
        try:
            # At a gate, the station's own job keeps its session until the job of the changed device is there, too.
            async with self._devices.aside(target) as session:
                observed = await session.read()
        except DeviceError:
            return {}
        found = {f"{target.device}{link.path}": link_state(observed, link.path) for link in links(observed.tree)}
        return {path: state for path, state in found.items() if path in self._links}


class _Watched:
    """A session that also reads the links behind its device."""

    def __init__(self, session: DeviceSession, watching: _Watching) -> None:
        self._session = session
        self._watching = watching

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def edit(self, edits: Sequence[Edit]) -> None:
        self._watching.forget()
        await self._session.edit(edits)

    async def read(self) -> Observed:
        observed = await self._session.read()
        return replace(observed, state={**observed.state, **await self._watching.links()})
