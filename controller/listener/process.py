"""The listener's loop: one subscription a station, and a health check whenever there is a reason for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from controller.assurance.checker import Checker
from controller.bootstrap import parts
from controller.device import target_of
from controller.listener.oran_fm import ALARM_NOTIF, report_of
from controller.models.errors import LeaseLostError, MinkaError
from controller.models.network import Network
from controller.models.settings import Settings
from controller.ports.clock import Clock
from controller.ports.devices import Devices, DeviceTarget, Notification
from controller.ports.store import StoreLoop

log = structlog.get_logger()

_CONFIG_CHANGE = "netconf-config-change"
#: Seconds between two looks at which stations are adopted, and between a reason for a check and the check.
_ROUND = 2.0
#: Seconds before a lost subscription is tried again, at first and at most.
_RETRY = (1.0, 60.0)


class Listener:
    """Subscribes to every adopted station and keeps their health.

    Args:
        health_interval: Seconds between two checks of a station without another reason.
        sessions: Number of open sessions of this process, for the figures.
    """

    def __init__(
        self,
        store: StoreLoop,
        devices: Devices,
        checker: Checker,
        clock: Clock,
        target_of: Callable[[Network, str], DeviceTarget],
        *,
        health_interval: float,
        sessions: Callable[[], int],
    ) -> None:
        self._store = store
        self._devices = devices
        self._checker = checker
        self._clock = clock
        self._target_of = target_of
        self._interval = health_interval
        self._sessions = sessions
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until ``stop``."""
        incarnation = await self._store.call(lambda store: store.register_worker("listener"))
        try:
            while not stop.is_set():
                try:
                    await self._beat(incarnation)
                    await self._round()
                except LeaseLostError:
                    incarnation = await self._store.call(lambda store: store.register_worker("listener"))
                except MinkaError as error:
                    log.warning("listener.round_failed", reason=error.message)
                await self._clock.sleep(_ROUND)
        finally:
            for task in self._subscriptions.values():
                task.cancel()
            await asyncio.gather(*self._subscriptions.values(), return_exceptions=True)

    async def _beat(self, incarnation: str) -> None:
        await self._store.call(lambda store: store.heartbeat(incarnation, self._sessions()))

    async def _round(self) -> None:
        """Follow the adopted stations, check those that are due."""
        records = await self._store.call(lambda store: store.devices())
        adopted = {station for station, record in records.items() if record.adopted is not None}
        for station in adopted - self._subscriptions.keys():
            self._subscriptions[station] = asyncio.create_task(self._follow(station))
        for station in self._subscriptions.keys() - adopted:
            self._subscriptions.pop(station).cancel()
        now = self._clock.monotonic()
        due = sorted(station for station in adopted if self._due.get(station, now) <= now)
        if due:
            checked = await self._checker.check(due)
            for station in due:
                health = checked.get(station)
                lasting = health is not None and not (health.drift or any(not link.up for link in health.links))
                self._due[station] = now + (self._interval if lasting else _ROUND)

    async def _follow(self, station: str) -> None:
        """One station's subscription, taken up again whenever it is lost."""
        wait = _RETRY[0]
        while True:
            try:
                _, network = await self._store.call(lambda store: store.network())
                target = self._target_of(network, station)
                async for notification in self._devices.notifications(target):
                    wait = _RETRY[0]
                    await self._take(notification)
            except MinkaError as error:
                log.info("listener.subscription_lost", station=station, reason=error.message)
            # What happened meanwhile was not heard: look.
            self._due[station] = self._clock.monotonic()
            await self._clock.sleep(wait)
            wait = min(_RETRY[1], wait * 2)

    async def _take(self, notification: Notification) -> None:
        station = notification.station
        if notification.name == ALARM_NOTIF:
            ledger = await self._store.call(lambda store: store.ledger([station]))
            report = report_of(
                station, notification.content, notification.at or self._clock.now(), ledger.get(station, {}).items()
            )
            alarm = await self._store.call(lambda store: store.report_alarm(report))
            log.info("alarm.notified", alarm=alarm.id, station=station, cause=alarm.probable_cause)
            self._due[station] = self._clock.monotonic()
        elif notification.name.endswith(f"}}{_CONFIG_CHANGE}"):
            self._due[station] = self._clock.monotonic()


async def listen(settings: Settings, stop: asyncio.Event) -> None:
    """The listener process, until ``stop``."""
    async with parts(settings) as made:
        listener = Listener(
            made.loop_store,
            made.devices,
            made.checker(),
            made.clock,
            target_of,
            health_interval=settings.health_interval,
            sessions=made.sessions,
        )
        await listener.run(stop)
