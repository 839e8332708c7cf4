"""The listener process: receives notifications of stations, reads each station, and reports alarms."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

import structlog
from lxml import etree

from controller.assurance.checker import Checker
from controller.assurance.measured_faults import MeasuredFaults
from controller.assurance.station_alarms import report_of
from controller.bootstrap import parts
from controller.drivers.netconf.active_alarms import ALARM_NOTIF, decode_alarm
from controller.drivers.protocols import CHANGED, Devices, Notification
from controller.drivers.registry import target_of
from controller.drivers.target import DeviceTarget
from controller.listener.checks import Checks
from controller.listener.floods import Floods
from controller.listener.subscriptions import Subscriptions
from controller.models.alarm import LONGEST_BODY, AlarmSource, AlertRefusal
from controller.models.errors import StoreError
from controller.models.metrics import Observations
from controller.models.network import DeviceKind, Network
from controller.models.process import ProcessRole
from controller.models.settings import Settings
from controller.observe.presence import Presence
from controller.observe.rounds import Rounds
from controller.observe.watchdog import watched
from controller.ports.clock import Clock
from controller.ports.queue import Wakeups
from controller.store import AsyncStore

log = structlog.get_logger()

_CONFIG_CHANGE = "netconf-config-change"
#: Seconds between two reads of which stations are adopted, and two rounds of checks.
_FOLLOW, _CHECK = 2.0, 0.5
#: Seconds between two checks whether new measurements are there.
_MEASURED = 60.0


class Listener:
    """Subscribes to every adopted station, and checks each one regularly and after its notifications.

    Args:
        health_interval: Seconds between two regular checks of a station.
        notified_alarms: Whether o-ran-fm notifications become alarms; if not, they are a reason to check.
        worth: See ``Checks``.
        measured: Judges the counters of stations; None where nothing is collected.
        observations: Measurements of the process's own work.

    Attributes:
        checks: When each station is read.
    """

    def __init__(
        self,
        store: AsyncStore,
        devices: Devices,
        checker: Checker,
        clock: Clock,
        target_of: Callable[[Network, str], DeviceTarget],
        wakeups: Wakeups,
        *,
        health_interval: float,
        notified_alarms: bool = True,
        worth: Callable[[str], bool] = lambda station: True,
        measured: MeasuredFaults | None = None,
        observations: Observations | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._notified_alarms = notified_alarms
        self._checker = checker
        self._measured = measured
        self._rounds = Rounds(clock, observations)
        self._floods = Floods(clock)
        #: Devices that are followed, with their kinds.
        self._followed: Mapping[str, DeviceKind] | None = None
        self.checks = Checks(store, checker, clock, health_interval, worth)
        self._subscriptions = Subscriptions(store, devices, clock, target_of, self._take, self.checks.poke)

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until ``stop``."""
        self._rounds.start("follow", self._follow, _FOLLOW)
        self._rounds.start("begin checks", self.checks.begin, _CHECK)
        self._rounds.start("record checks", self.checks.record, _CHECK)
        if self._measured is not None:
            self._rounds.start("judge measurements", self._measured.round, _MEASURED)
        await stop.wait()
        await self._rounds.stop()
        await self._subscriptions.close()
        await self.checks.close()

    def late(self) -> Collection[str]:
        """Names of rounds that have not succeeded for too long."""
        return self._rounds.late

    async def _follow(self) -> None:
        records = await self._store.devices.find()
        adopted = [station for station, record in records.items() if record.adopted is not None]
        network = (await self._store.networks.get())[1] if adopted else None
        kinds = {one: network.kind_of(one) for one in adopted} if network is not None else {}
        if self._followed == kinds:
            return
        self._followed = kinds
        self.checks.follow(adopted)
        self._subscriptions.follow([one for one, kind in kinds.items() if kind.rules.notifies])

    async def _take(self, notification: Notification) -> None:
        station = notification.station
        if notification.name == ALARM_NOTIF:
            self.checks.poke(station)
            if self._notified_alarms:
                await self._report(notification)
        elif notification.name == CHANGED or notification.name.endswith(f"}}{_CONFIG_CHANGE}"):
            self.checks.poke(station)

    async def _report(self, notification: Notification) -> None:
        """Make an alarm of a notification, unless its station notifies too much: then a check finds what stands."""
        station, at = notification.station, self._clock.now()
        room, beyond = self._floods.take(station)
        if not room and not beyond:
            return
        refused = {AlertRefusal.TOO_MANY.value: beyond} if beyond else {}
        try:
            if not room:
                log.warning("notification.flood", station=station)
                await self._store.alarms.report_all([], refused)
                return
            ledger = await self._store.ledger.find([station])
            report = report_of(station, decode_alarm(notification.content), at, ledger.get(station, {}))
            words = await asyncio.to_thread(_words, notification, at)
            report = report.model_copy(update={"source_time": notification.at, "body": words})
            (alarm,) = await self._store.alarms.take_told([report], (), refused)
        except StoreError as error:
            # Not lost: the notification causes a check, which finds the alarm in the station's list.
            log.warning("alarm.not_recorded", station=station, reason=error.message)
            return
        if alarm is None:
            log.warning("notification.one_fault_too_many", station=station, cause=report.probable_cause)
            return
        self._wakeups.wake_scheduler()
        log.info("alarm.notified", alarm=alarm.id, station=station, cause=alarm.probable_cause)


def _words(notification: Notification, at: datetime) -> str:
    """What was notified, in words that are equal where it is the same; of long ones the begin, and a digest of all."""
    words = f"{(notification.at or at).isoformat()} {etree.tostring(notification.content, encoding='unicode')}"
    if len(words) <= LONGEST_BODY:
        return words
    end = f" … sha256:{hashlib.sha256(words.encode()).hexdigest()}"
    return words[: LONGEST_BODY - len(end)] + end


async def listen(settings: Settings, name: str, stop: asyncio.Event) -> None:
    """Run the listener process until ``stop``."""
    async with parts(settings, ProcessRole.LISTENER) as made, watched(made.clock):
        await made.take_calls(ProcessRole.LISTENER)
        listener = Listener(
            made.loop_store,
            made.devices,
            made.checker(),
            made.clock,
            target_of,
            made.wakeups,
            health_interval=settings.health_interval,
            notified_alarms=AlarmSource.ORAN_FM in settings.sources,
            measured=made.measured_faults(),
            observations=made.observations,
        )
        presence = Presence(
            made.loop_store,
            ProcessRole.LISTENER,
            name,
            sessions=made.sessions,
            late=listener.late,
            observations=made.observations,
        )
        async with presence.shown(made.clock):
            await listener.run(stop)
