"""Stations in virtual time whose cells are on air and whose links are up."""

from __future__ import annotations

import pytest

from simulators.clock import VirtualClock
from simulators.station import Station
from tests.unit.simulators.equipment.stations import lively


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def station(clock: VirtualClock) -> Station:
    return lively(clock)
