"""The same station as a fake in memory, as a simulated station over SSH, and as Debian's netconfd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.fake import FakeDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import Devices
from controller.ports.clock import VirtualClock
from simulators.fleet.fleet import Fleet
from simulators.network import SimulatedNetwork, StationRecord
from tests.integration.device.edits import element_path, managed_element
from tests.support.netconfd import Netconfd, netconfd
from tests.support.secrets import LocalSecrets

PROFILES = ("lte-28658",)
NETCONFD = pytest.param("netconfd", marks=pytest.mark.needs("netconfd", "sshd"))


@dataclass(frozen=True)
class Station:
    """A station that carries its ManagedElement and nothing else.

    Attributes:
        others: Another way to it, with sessions of its own.
        wait: Lets seconds pass, in its own time.
    """

    kind: str
    target: NetconfTarget
    devices: Devices
    others: Devices
    wait: Callable[[float], Awaitable[None]]


@pytest.fixture(scope="module")
def netconfd_server() -> Iterator[Netconfd]:
    with netconfd() as server:
        yield server


@pytest.fixture(params=["fake", "simulator", NETCONFD])
async def station(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Station]:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    name = f"S-{uuid4().hex[:8]}"
    if request.param == "fake":
        clock = VirtualClock()
        fakes = FakeDevices(clock)
        fakes.add(name, PROFILES, {element_path(name): {"priorityLabel": "1"}})
        target = NetconfTarget(name, PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")
        yield Station("fake", target, fakes, fakes, clock.advance)
        return
    real = [AllDevices(LocalSecrets(), rpc_timeout=10, connect_timeout=10) for _ in range(2)]
    try:
        if request.param == "simulator":
            record = StationRecord(name, "site", PROFILES, "10.0.0.1", ("1",))
            async with Fleet(SimulatedNetwork("test", (record,), (), {})) as fleet:
                at = fleet.endpoint(name)
                target = NetconfTarget(name, PROFILES, at.address, at.port, at.host_key, "minka", "device")
                yield Station("simulator", target, real[0], real[1], asyncio.sleep)
        else:
            server: Netconfd = request.getfixturevalue("netconfd_server")
            target = server.target(name, PROFILES)
            async with real[0].session(target) as session:
                await session.edit([managed_element(name)])
                await session.commit()
            yield Station("netconfd", target, real[0], real[1], asyncio.sleep)
    finally:
        for each in real:
            await each.close()
