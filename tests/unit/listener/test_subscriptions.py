from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import datetime
from typing import Any, cast

from lxml import etree

from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import Devices, Notification
from controller.drivers.target import DeviceTarget
from controller.listener.subscriptions import Subscriptions
from controller.models.errors import UnreachableError
from controller.models.network import Network
from controller.ports.clock import VirtualClock
from controller.store import open_store
from tests.support.quick_stores import DirectStore
from tests.support.records import make_network


class FakeDevices:
    """Stations that notify once and then end the session, or refuse it, or stay silent."""

    def __init__(self, clock: VirtualClock, *, silent: bool = False, broken: type[Exception] | None = None) -> None:
        self.clock, self.silent, self.broken = clock, silent, broken
        self.opened: list[tuple[float, str]] = []

    async def notifications(
        self, target: DeviceTarget, since: datetime | None = None, listening: Callable[[], None] | None = None
    ) -> AsyncIterator[Notification]:
        assert since is None
        self.opened.append((self.clock.monotonic(), target.device))
        if self.broken:
            raise self.broken
        if listening is not None:
            listening()
        while self.silent:
            await self.clock.sleep(1000)
        yield Notification(target.device, None, "{x}alarm", etree.Element("{x}alarm"))
        raise UnreachableError


def target_of(_: Network, station: str) -> DeviceTarget:
    return NetconfTarget(station, (), "127.0.0.1", 830, "", "", "")


async def follow(devices: FakeDevices, clock: VirtualClock, count: int, seconds: float) -> tuple[list[str], list[str]]:
    """Stations heard and stations whose notifications may be missing."""
    heard: list[str] = []
    lost: list[str] = []

    async def hear(notification: Notification) -> None:
        heard.append(notification.station)

    with closing(open_store("sqlite://", clock)) as store:
        digest, network = make_network()
        store.networks.save(network, digest, "ana")
        made = Subscriptions(
            cast("Any", DirectStore(store)), cast("Devices", devices), clock, target_of, hear, lost.append
        )
        made.follow([f"S{number}" for number in range(count)])
        await clock.advance(seconds)
        await made.close()
    return heard, lost


async def test_many_subscriptions_are_opened_gradually() -> None:
    clock = VirtualClock()
    devices = FakeDevices(clock, silent=True)
    await follow(devices, clock, 500, 20)
    per_second = Counter(int(at + 1e-6) for at, _ in devices.opened)
    assert len(devices.opened) == 500
    assert max(per_second.values()) <= 51


async def test_a_lost_subscription_is_taken_up_again_ever_more_slowly() -> None:
    clock = VirtualClock()
    devices = FakeDevices(clock)
    heard, lost = await follow(devices, clock, 1, 300)
    gaps = [round(b[0] - a[0]) for a, b in zip(devices.opened, devices.opened[1:], strict=False)]
    assert gaps[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert heard == ["S0"] * len(devices.opened)
    assert len(lost) == 2 * len(devices.opened) - 1, "at each loss, and once each other one stands"


async def test_a_bug_ends_no_subscription_for_good() -> None:
    clock = VirtualClock()
    devices = FakeDevices(clock, broken=RuntimeError)
    _, lost = await follow(devices, clock, 2, 10)
    assert Counter(lost) == {"S0": 4, "S1": 4}
