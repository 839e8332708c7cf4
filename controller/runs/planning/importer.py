"""Imports live stations: reads them all, and has ``controller.plan.network_import`` make network files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from controller.drivers.protocols import Devices, Observed, elements_beside
from controller.drivers.registry import target_at
from controller.inventory.access import in_rows, ways
from controller.inventory.frame import Frame
from controller.models.errors import DeviceError, DeviceRefusedError, InputError
from controller.models.network import Endpoint
from controller.nrm.profiles import PROFILES
from controller.nrm.tree import with_unknown
from controller.plan.network_import import ImportedNetwork, import_network
from controller.ports.clock import Clock
from controller.store import AsyncStore

log = structlog.get_logger()

#: Stations that are read at the same time.
_PARALLEL = 500


class Importer:
    """Makes network files from stations, which it only reads."""

    def __init__(self, store: AsyncStore, devices: Devices, clock: Clock) -> None:
        self._store = store
        self._devices = devices
        self._clock = clock

    async def import_network(self, frame: Frame, actor: str) -> ImportedNetwork:
        """Network files from live stations, which are only read; see ``controller.plan.network_import``.

        Their addresses and credentials are put on record first, since each gets a secret of ours.
        """
        network = frame.network
        for row in in_rows(ways(frame.endpoints, network.header.management)):
            await self._store.audit.append(actor, "network.import_begun", network.header.id, row.detail, row.about)
        observed = await self._observe(frame)
        today = network.day(self._clock.now())
        made = await asyncio.to_thread(import_network, frame, observed, today)
        counts = {"asked": str(len(observed)), "found": str(len(made.network.stations))}
        await self._store.audit.append(actor, "network.imported", network.header.id, counts)
        return made

    async def _observe(self, frame: Frame) -> dict[str, Observed | str]:
        """What the stations of an import report, or why they could not be read."""
        gate = asyncio.Semaphore(_PARALLEL)

        async def observed(endpoint: Endpoint) -> Observed | str:
            async with gate:
                try:
                    return await self._read_unknown(frame, endpoint)
                except (DeviceError, InputError) as error:
                    return error.message

        found = await asyncio.gather(*(observed(endpoint) for endpoint in frame.endpoints))
        return {endpoint.station: seen for endpoint, seen in zip(frame.endpoints, found, strict=True)}

    async def _read_unknown(self, frame: Frame, endpoint: Endpoint) -> Observed:
        """Read a station of unknown profile: with all profiles, or one by one if the station refuses that."""
        names = tuple(PROFILES)
        for profiles in (names, *((name,) for name in names[:-1])):
            try:
                return await self._read(frame, endpoint, profiles)
            except DeviceRefusedError as refused:
                log.info("import.profiles_refused", station=endpoint.station, profiles=profiles, error=refused.message)
        return await self._read(frame, endpoint, names[-1:])

    async def _read(self, frame: Frame, endpoint: Endpoint, profiles: Sequence[str]) -> Observed:
        target = target_at(endpoint, frame.network.header.management, profiles)
        async with self._devices.session(target) as session:
            return with_unknown(await session.read(), await elements_beside(session))
