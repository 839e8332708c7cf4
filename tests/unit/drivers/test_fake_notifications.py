"""The fake's notifications behave as the port says: what comes is yielded, and the end is an error."""

from __future__ import annotations

import asyncio

import pytest
from lxml import etree

from controller.drivers.fake import FakeDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import Devices
from controller.models.errors import SessionLostError, UnreachableError
from controller.ports.clock import VirtualClock

TARGET = NetconfTarget("S", ("lte-28658",), "a", 830, "k", "u", "device")


async def test_what_comes_is_yielded_and_the_end_is_an_error() -> None:
    clock = VirtualClock()
    fakes = FakeDevices(clock)
    fakes.add("S", ("lte-28658",), {})
    port: Devices = fakes
    stream = port.notifications(TARGET)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    fakes.notify("S", etree.Element("{urn:x}alarm"))
    notification = await waiting
    assert (notification.station, notification.name, notification.at) == ("S", "{urn:x}alarm", clock.now())
    fakes.end_notifications("S")
    with pytest.raises(SessionLostError):
        await anext(stream)


async def test_an_unknown_station_is_unreachable() -> None:
    with pytest.raises(UnreachableError):
        await anext(FakeDevices(VirtualClock()).notifications(TARGET))
