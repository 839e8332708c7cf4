"""Readings of stations that many jobs ask for at the same time: who comes while one is under way shares it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from controller.models.network import Network

T = TypeVar("T")

#: Reads something of a station of a network.
Reader = Callable[[Network, str], Awaitable[T]]


class Readings:
    """What is being read, by how and of which station; the jobs of a wave look at their neighbours in one order."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[Reader[Any], str], tuple[Network, asyncio.Future[Any]]] = {}

    async def share(self, network: Network, station: str, read: Reader[T]) -> T:
        """A reading that is under way, else a new one.

        Args:
            network: Where the station is.
            station: Its id.
            read: Makes the reading.

        Raises:
            DeviceError: The station could not be read.
        """
        key = read, station
        of, reading = self._under_way.get(key, (None, None))
        if reading is None or of is not network:
            reading = asyncio.ensure_future(read(network, station))
            self._under_way[key] = network, reading
            reading.add_done_callback(lambda ended: self._forget(key, ended))
        # Who gives up waiting does not end it for the others.
        result: T = await asyncio.shield(reading)
        return result

    def _forget(self, key: tuple[Reader[Any], str], ended: asyncio.Future[Any]) -> None:
        if self._under_way.get(key, (None, None))[1] is ended:
            del self._under_way[key]
        if not ended.cancelled():
            ended.exception()  # heard, also where everybody who waited has left
