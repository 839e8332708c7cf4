"""What sessions offer beside reading and editing, and who does without it."""

from __future__ import annotations

import pytest

from controller.drivers.cli.devices import CliSession
from controller.drivers.fake import (
    RUNNING_ONLY,
    FakeDevices,
    FakeEquippedSession,
    FakeGuardedSession,
    FakeSession,
    FakeStationSession,
)
from controller.drivers.kubernetes.session import CloudSession
from controller.drivers.netconf.session import NetconfSession
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.protocols import (
    Candidate,
    ConfirmedCommit,
    Equipped,
    Locks,
    ManagedElements,
    Measuring,
    Startup,
    confirmed_commit,
    elements_beside,
    equipped,
    locks,
    managed_elements,
    measuring,
    read_candidate,
    session_id,
    startup,
)
from controller.models.equipment import Equipment
from controller.models.errors import DeviceRefusedError
from controller.ports.clock import VirtualClock
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


PROTOCOLS: tuple[type, ...] = (ConfirmedCommit, Locks, Candidate, Startup, Equipped, Measuring, ManagedElements)
#: What a session of each kind offers.
KINDS: dict[type, set[type]] = {
    NetconfSession: set(PROTOCOLS),
    CliSession: {ConfirmedCommit, Startup},
    CloudSession: {Equipped},
    FakeStationSession: set(PROTOCOLS),
    FakeGuardedSession: {ConfirmedCommit, Startup},
    FakeEquippedSession: {Equipped},
    FakeSession: set(),
}


def methods_of(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_no_method_that_it_could_only_refuse_or_leave_undone(kind: type) -> None:
    for protocol in PROTOCOLS:
        there = methods_of(protocol) & set(dir(kind))
        assert there == (methods_of(protocol) if protocol in KINDS[kind] else set()), protocol


@pytest.mark.parametrize("kind", [FakeSession, FakeEquippedSession, FakeGuardedSession, FakeStationSession])
async def test_a_session_offers_what_its_kind_has(devices: FakeDevices, kind: type[FakeSession]) -> None:
    device = devices["S1"]
    device.sessions_of, device.capabilities, offers = kind, RUNNING_ONLY, KINDS[kind]
    ways = {Locks: locks, Startup: startup, Equipped: equipped, Measuring: measuring, ManagedElements: managed_elements}
    async with devices.session(TARGET) as session:
        assert {protocol for protocol, ask in ways.items() if ask(session) is not None} == offers & ways.keys()
        if ConfirmedCommit in offers:
            assert confirmed_commit(session) is not None
        else:
            with pytest.raises(DeviceRefusedError, match=r"^the device has no confirmed commit$"):
                confirmed_commit(session)
        assert len(await elements_beside(session)) == (ManagedElements in offers)
        assert bool(session_id(session)) is (Locks in offers)
        assert await read_candidate(session) == device.running
        assert device.log == ["1 read_candidate" if Candidate in offers else "1 read"]


async def test_a_device_without_a_startup_configuration_is_not_asked_to_copy_it(devices: FakeDevices) -> None:
    """Its kind may have one all the same."""
    async with devices.session(TARGET) as session:
        assert not session.capabilities.startup
        assert startup(session) is None


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
