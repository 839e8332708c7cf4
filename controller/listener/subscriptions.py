"""Permanent sessions: one subscription for each station, renewed whenever it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial

import structlog

from controller.drivers.protocols import Devices, Notification
from controller.drivers.target import DeviceTarget
from controller.models.errors import MinkaError
from controller.models.network import Network
from controller.ports.clock import Clock
from controller.store import AsyncStore

log = structlog.get_logger()

#: Subscriptions begun in a second: thousands of SSH handshakes at once would starve all other work.
_PER_SECOND = 50
#: Seconds before a lost subscription is tried again, at first and at most.
_RETRY = (1.0, 60.0)


class Subscriptions:
    """Subscribes to stations and passes on their notifications.

    Args:
        take: Called with each notification.
        missed: Called with the station whenever notifications may have been missed: when a subscription is lost, and
            again when a new one replaces it.
    """

    def __init__(
        self,
        store: AsyncStore,
        devices: Devices,
        clock: Clock,
        target_of: Callable[[Network, str], DeviceTarget],
        take: Callable[[Notification], Awaitable[None]],
        missed: Callable[[str], None],
    ) -> None:
        self._store = store
        self._devices = devices
        self._clock = clock
        self._target_of = target_of
        self._take = take
        self._missed = missed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turnstile = asyncio.Lock()

    def follow(self, stations: Collection[str]) -> None:
        """Follow these stations and no others."""
        for station in sorted(set(stations) - self._tasks.keys()):
            self._tasks[station] = asyncio.create_task(self._keep(station))
        for station in self._tasks.keys() - set(stations):
            self._tasks.pop(station).cancel()

    async def close(self) -> None:
        """End all subscriptions."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, station: str) -> None:
        wait, again = _RETRY[0], False
        while True:
            async with self._turnstile:
                await self._clock.sleep(1 / _PER_SECOND)
            begun = self._clock.monotonic()
            try:
                await self._subscribe(station, again=again)
            except MinkaError as error:
                log.info("subscription.lost", station=station, code=error.code, reason=error.message)
            except Exception:
                log.exception("subscription.bug", station=station)
            again = True
            self._missed(station)
            if self._clock.monotonic() - begun > _RETRY[1]:
                wait = _RETRY[0]
            await self._clock.sleep(wait)
            wait = min(_RETRY[1], wait * 2)

    async def _subscribe(self, station: str, *, again: bool) -> None:
        _, network = await self._store.networks.get()
        # Events before the subscription stands are not notified.
        standing = partial(self._missed, station) if again else None
        async for notification in self._devices.notifications(self._target_of(network, station), None, standing):
            await self._take(notification)
