"""Core links of the stations behind a device: watched while its change is not confirmed yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from controller.drivers.fake import FakeDevice, FakeDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import Devices
from controller.drivers.target import DeviceTarget
from controller.models.health import ServiceState
from controller.models.network import Network
from controller.models.plan import Change, Edit, Op, WaitFor
from controller.nrm.tree import Observed
from controller.ports.clock import VirtualClock
from controller.runs.transaction.remote_links import STEADY, state_behind, watching
from tests.support.records import make_change
from tests.support.sessions import StationSession, to_station
from tests.unit.plan import samples

NETWORK = samples.network()
LINK = samples.LTE.replace("S1", "S2") + "/EP_S1C[alfa-mme]"
OTHER = samples.LTE.replace("S1", "S2") + "/EP_S1C[beta-mme]"
#: Of the station behind, as the change of the device before it names it.
BEHIND = f"S2{LINK}"
NOTHING = Edit(op=Op.MERGE, path="/ManagedElement[S1]", after={"userLabel": "x"}, owners=("host",))


def target(_network: Network, station: str) -> DeviceTarget:
    return NetconfTarget(station, samples.PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")


def change(*checks: WaitFor) -> Change:
    return make_change("S1").model_copy(update={"checks": checks})


CHECK = WaitFor(kind="link-up", path=BEHIND, tenant="alfa")


@dataclass
class Bench:
    """S1 is what is changed, and S2 the station behind it."""

    clock: VirtualClock
    devices: FakeDevices

    @property
    def station(self) -> FakeDevice:
        return self.devices["S2"]

    @asynccontextmanager
    async def watched(self, patience: float = 120, network: Network = NETWORK) -> AsyncIterator[StationSession]:
        seen = watching(self.devices, change(CHECK), network, target, self.clock, patience)
        async with to_station(seen, target(NETWORK, "S1")) as session:
            yield session


@pytest.fixture
def bench() -> Bench:
    clock = VirtualClock()
    devices = FakeDevices(clock)
    for station in ("S1", "S2"):
        devices.add(station, samples.PROFILES, samples.carrying(NETWORK, station).tree)
    return Bench(clock, devices)


def word(seen: Observed) -> str | None:
    """What is told of the link behind."""
    value = seen.state[BEHIND].get("operationalState")
    return None if value is None else str(value)


def test_a_change_that_names_no_link_behind_is_watched_by_nothing(bench: Bench) -> None:
    own = WaitFor(kind="link-up", path=LINK, tenant="alfa")
    devices: Devices = bench.devices
    assert watching(devices, change(own), NETWORK, target, bench.clock, 60) is devices


async def test_a_link_is_up_once_it_was_up_for_long_enough(bench: Bench) -> None:
    async with bench.watched() as session:
        first = await session.read()
        assert word(first) == "RISING"
        assert state_behind(BEHIND, first) is ServiceState.UP
        assert BEHIND in first.state
        assert f"S2{OTHER}" not in first.state
        assert samples.LTE_CELL in first.tree, "the device itself is told as it is"
        bench.clock.pause(STEADY - 1)
        assert word(await session.read()) == "RISING"
        bench.clock.pause(1)
        assert word(await session.read()) == "ENABLED"
        # Whoever goes down for a moment begins again, and so do all after an edit.
        bench.station.broken_links = {LINK}
        down = await session.read()
        assert (word(down), state_behind(BEHIND, down)) == ("DISABLED", ServiceState.DOWN)
        bench.station.broken_links = set()
        assert word(await session.read()) == "RISING"
        bench.clock.pause(STEADY)
        assert word(await session.read()) == "ENABLED"
        await session.lock()
        await session.edit([NOTHING])
        assert word(await session.read()) == "RISING"


async def test_little_patience_leaves_half_of_it_to_notice_a_way_that_is_lost(bench: Bench) -> None:
    async with bench.watched(patience=10) as session:
        await session.read()
        bench.clock.pause(4)
        assert word(await session.read()) == "RISING"
        bench.clock.pause(1)
        assert word(await session.read()) == "ENABLED"


async def test_links_of_a_station_that_nobody_reads_are_down(bench: Bench) -> None:
    async with bench.watched() as session:
        bench.station.unreachable = "no route"
        assert word(await session.read()) == "DISABLED"
    elsewhere = NETWORK.model_copy(update={"stations": NETWORK.stations[:1]})
    gone = Network.model_validate({**elsewhere.model_dump(), "cells": [], "endpoints": [], "agreements": []})
    bench.station.unreachable = ""
    async with bench.watched(network=gone) as session:
        assert word(await session.read()) == "DISABLED"
