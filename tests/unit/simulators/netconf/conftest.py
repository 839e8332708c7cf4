"""One station in virtual time with two clients."""

from __future__ import annotations

import pytest

from simulators.clock import VirtualClock
from simulators.station import Station
from tests.unit.simulators.netconf.bench import Client, make_station


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def station(clock: VirtualClock) -> Station:
    return make_station(clock)


@pytest.fixture
async def client(station: Station) -> Client:
    return await Client(station).greeted()


@pytest.fixture
async def other(station: Station, client: Client) -> Client:
    return await Client(station, user="other").greeted()
