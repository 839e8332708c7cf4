"""Readings that many jobs ask for are made once while they are under way."""

from __future__ import annotations

import asyncio
from typing import cast

from controller.models.errors import SessionLostError
from controller.models.network import Network
from controller.playbook.engine.context import Readings

HERE, THERE = cast("Network", object()), cast("Network", object())


class Stations:
    """Counts how often each is read; each reading waits until it is let go."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.gone = False
        self.go = asyncio.Event()

    async def kpis(self, _network: Network, station: str) -> str:
        self.read.append(station)
        await self.go.wait()
        if self.gone:
            raise SessionLostError(f"{station} hung up")
        return f"kpis of {station}"

    async def units(self, _network: Network, station: str) -> str:
        await self.go.wait()
        return f"units of {station}"


async def test_jobs_share_a_reading_that_is_under_way() -> None:
    stations, readings = Stations(), Readings()
    asking = [asyncio.create_task(readings.share(HERE, name, stations.kpis)) for name in ("A", "B", "A", "A")]
    units = asyncio.create_task(readings.share(HERE, "A", stations.units))
    await asyncio.sleep(0)
    asking[0].cancel()  # who asked first leaves, and the others don't
    await asyncio.sleep(0)
    stations.go.set()
    assert await asyncio.gather(*asking[1:]) == ["kpis of B", "kpis of A", "kpis of A"]
    assert await units == "units of A"
    assert stations.read == ["A", "B"]
    await readings.share(HERE, "A", stations.kpis)
    assert stations.read == ["A", "B", "A"]  # what is over is not what is now


async def test_other_network_files_are_another_station() -> None:
    stations, readings = Stations(), Readings()
    asking = [asyncio.create_task(readings.share(network, "A", stations.kpis)) for network in (HERE, THERE, THERE)]
    await asyncio.sleep(0)
    stations.go.set()
    await asyncio.gather(*asking)
    assert stations.read == ["A", "A"]


async def test_all_who_wait_hear_of_a_failure_and_who_comes_later_tries_again() -> None:
    stations, readings = Stations(), Readings()
    stations.gone = True
    asking = [asyncio.create_task(readings.share(HERE, "A", stations.kpis)) for _ in range(2)]
    await asyncio.sleep(0)
    stations.go.set()
    assert [type(said) for said in await asyncio.gather(*asking, return_exceptions=True)] == [SessionLostError] * 2
    stations.gone = False
    assert await readings.share(HERE, "A", stations.kpis) == "kpis of A"
