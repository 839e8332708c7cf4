"""What sessions offer beside reading and editing, and who does without it."""

from __future__ import annotations

import pytest

from controller.models.equipment import Equipment
from controller.ports.clock import VirtualClock
from controller.ports.devices import elements_beside, equipped, managed_elements, measuring
from controller.ports.fake_devices import FakeDevices, FakeSession, FakeStationSession
from controller.ports.targets.netconf import NetconfTarget
from controller.runs.planning.planner import Planner
from controller.store import open_store
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import InstantStore

TARGET = NetconfTarget("S1", samples.PROFILES, "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")


@pytest.fixture
def devices() -> FakeDevices:
    devices = FakeDevices(VirtualClock())
    devices.add("S1", samples.PROFILES, {"/ManagedElement[S1]": {}}).elements = ("other",)
    return devices


@pytest.mark.parametrize(("kind", "more"), [(FakeSession, False), (FakeStationSession, True)])
async def test_a_session_offers_what_its_kind_has(devices: FakeDevices, kind: type[FakeSession], more: bool) -> None:
    devices["S1"].sessions_of = kind
    async with devices.session(TARGET) as session:
        offered = [ask(session) is not None for ask in (equipped, measuring, managed_elements)]
        assert offered == [more, more, more]
        assert len(await elements_beside(session)) == more


async def test_nobody_asks_a_device_for_what_its_kind_has_not(devices: FakeDevices) -> None:
    clock = VirtualClock()
    network = samples.network()
    with_store = open_store("sqlite://", clock)
    planner = Planner(InstantStore(with_store), devices, clock, lambda _network, _device: TARGET)
    assert (await planner.equipment(network, "S1")).restarted is not None
    devices["S1"].sessions_of = FakeSession
    assert await planner.equipment(network, "S1") == Equipment()
    assert await planner.measurements(network, "S1") == ()
    with_store.close()
