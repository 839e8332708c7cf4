"""Devices to work on: Debian's netconfd behind OpenSSH, and stations of the simulated fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.target import NetconfTarget
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.network import SimulatedNetwork, StationRecord
from tests.integration.device.edits import managed_element
from tests.support.netconfd import Netconfd, netconfd
from tests.support.secrets import LocalSecrets

PASSWORD = "minka-sim"


@pytest.fixture(scope="module")
def netconfd_server() -> Iterator[Netconfd]:
    with netconfd() as server:
        yield server


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", PASSWORD)


@pytest.fixture
async def devices() -> AsyncIterator[AllDevices]:
    pool = AllDevices(LocalSecrets(), rpc_timeout=10, connect_timeout=10)
    yield pool
    await pool.close()


def fleet_of(count: int, settings: FleetSettings | None = None) -> Fleet:
    """LTE stations S-0, S-1 … without tenants."""
    stations = tuple(StationRecord(f"S-{n}", "site", ("lte-28658",), "10.0.0.1", ("1",)) for n in range(count))
    return Fleet(SimulatedNetwork("test", stations, (), {}), settings)


def target_in(fleet: Fleet, station: str, credential: str = "device") -> NetconfTarget:
    """How the controller reaches a simulated station."""
    endpoint = fleet.endpoint(station)
    return NetconfTarget(
        station, ("lte-28658",), endpoint.address, endpoint.port, endpoint.host_key, "minka", credential
    )


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with fleet_of(3) as running:
        yield running


@dataclass(frozen=True)
class Device:
    """A device with a ManagedElement and nothing in it, and the pool to reach it with."""

    devices: AllDevices
    target: NetconfTarget
    kind: str


@pytest.fixture(params=[pytest.param("netconfd", marks=pytest.mark.needs("netconfd", "sshd")), "simulator"])
async def device(request: pytest.FixtureRequest, devices: AllDevices) -> AsyncIterator[Device]:
    if request.param == "simulator":
        async with fleet_of(1) as running:
            yield Device(devices, target_in(running, "S-0"), "simulator")
        return
    server: Netconfd = request.getfixturevalue("netconfd_server")
    target = server.target(f"S-{uuid4().hex[:8]}")
    async with devices.session(target) as session:
        await session.edit([managed_element(target.device)])
        await session.commit()
    yield Device(devices, target, "netconfd")
