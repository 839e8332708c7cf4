"""The fake devices keep the promises of RFC 6241, since the transaction engine is tested against them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from controller.drivers.fake import RUNNING_ONLY, FakeDevice, FakeDevices, Fault, FaultKind
from controller.drivers.netconf.target import NetconfTarget
from controller.models.behaviour import FollowUp
from controller.models.errors import (
    DeviceBusyError,
    DeviceRefusedError,
    FileGoneError,
    HostKeyError,
    OversizedError,
    SessionLostError,
    UnreachableError,
)
from controller.models.plan import Edit, Op
from controller.nrm.tree import Tree
from controller.ports.clock import VirtualClock
from tests.support.sessions import StationSession, to_station

ENB = "/ManagedElement[S1]/ENBFunction[1]"
CELL = f"{ENB}/EUtranCellFDD[1]"
LINK = f"{ENB}/EP_S1C[claro-mme]"
TREE: Tree = {
    "/ManagedElement[S1]": {},
    ENB: {"eNBId": "1"},
    CELL: {"tac": "7", "administrativeState": "UNLOCKED"},
    f"{CELL}/plmnIdList[716,06]": {},
    LINK: {"remoteAddress": "10.0.0.1"},
    f"{LINK}/localAddress[10.1.1.1,6]": {},
}
PLMN = f"{CELL}/plmnIdList[716,10]"
ADD = (Edit(op=Op.CREATE, path=PLMN, owners=("claro",)),)
TARGET = NetconfTarget("S1", ("lte-28658",), "127.0.0.1", 830, "ssh-ed25519 AAAA", "minka", "device")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def devices(clock: VirtualClock) -> FakeDevices:
    return FakeDevices(clock)


@pytest.fixture
def device(devices: FakeDevices) -> FakeDevice:
    return devices.add("S1", ("lte-28658",), TREE)


def session(devices: FakeDevices) -> AbstractAsyncContextManager[StationSession]:
    return to_station(devices, TARGET)


async def test_edits_reach_running_only_by_commit(devices: FakeDevices, device: FakeDevice) -> None:
    async with session(devices) as s:
        await s.lock()
        await s.edit(ADD)
        assert PLMN in await s.read_candidate()
        assert PLMN not in (await s.read()).tree
        await s.commit()
        assert PLMN in (await s.read()).tree
    assert len(device.history) == 2


async def test_session_end_discards_and_unlocks(devices: FakeDevices, device: FakeDevice) -> None:
    async with session(devices) as s:
        await s.lock()
        await s.edit(ADD)
    assert device.lock_holder == ""
    assert PLMN not in device.candidate


async def test_foreign_lock_names_its_holder_and_bars_edits(devices: FakeDevices, device: FakeDevice) -> None:
    async with session(devices) as mine, session(devices) as other:
        await other.lock()
        with pytest.raises(DeviceBusyError) as busy:
            await mine.lock()
        assert busy.value.holder == other.session_id
        with pytest.raises(DeviceBusyError):
            await mine.edit(ADD)
        await mine.kill(other.session_id)
        await mine.lock()
        with pytest.raises(SessionLostError):
            await other.read()


async def test_timer_reverts_at_the_deadline_of_the_last_commit(
    devices: FakeDevices, device: FakeDevice, clock: VirtualClock
) -> None:
    async with session(devices) as s:
        await s.edit(ADD)
        await s.commit_confirmed("p", 10)
        await clock.advance(9)
        await s.edit((Edit(op=Op.MERGE, path=PLMN, after={"cellReservedForOperatorUse": "true"}, owners=("claro",)),))
        await s.commit_confirmed("p", 10, follow_up=FollowUp.BOTH)
        await clock.advance(9.9)
        assert PLMN in device.running
        await clock.advance(0.1)
        assert device.running == TREE
        with pytest.raises(DeviceRefusedError):
            await s.confirm("p")


async def test_confirm_needs_the_token_and_outlives_the_deadline(
    devices: FakeDevices, device: FakeDevice, clock: VirtualClock
) -> None:
    async with session(devices) as s:
        await s.edit(ADD)
        await s.commit_confirmed("p", 10)
    async with session(devices) as s:
        with pytest.raises(DeviceRefusedError):
            await s.confirm("q")
        with pytest.raises(DeviceBusyError, match="in-use"):
            await s.commit()
        with pytest.raises(DeviceBusyError, match="in-use"):
            await s.commit_confirmed("q", 10)
        await s.confirm("p")
    await clock.advance(11)
    assert PLMN in device.running


async def test_a_lock_of_running_alone_keeps_back_commits_and_no_edits(
    devices: FakeDevices, device: FakeDevice
) -> None:
    device.running_lock = "77"
    async with session(devices) as s:
        await s.lock()
        await s.edit(ADD)
        for commit in (s.commit(), s.commit_confirmed("p", 10), s.confirm("p"), s.cancel("p")):
            with pytest.raises(DeviceBusyError, match="session 77 holds running"):
                await commit
    assert device.running == TREE


async def test_cancel_brings_back_what_was(devices: FakeDevices, device: FakeDevice) -> None:
    async with session(devices) as s:
        await s.edit(ADD)
        await s.commit_confirmed("p", 10)
        await s.cancel("p")
    assert device.running == TREE
    assert not device.pending


async def test_a_confirming_commit_commits_the_candidate_too(devices: FakeDevices, device: FakeDevice) -> None:
    async with session(devices) as s:
        await s.edit(ADD)
        await s.commit_confirmed("p", 10)
        await s.edit((Edit(op=Op.DELETE, path=LINK, owners=("claro",)),))
        await s.confirm("p")
    assert LINK not in device.running


async def test_state_follows_configuration(devices: FakeDevices, device: FakeDevice, clock: VirtualClock) -> None:
    device.on_air_after = 5
    assert device.observe().state[CELL] == {"operationalState": "ENABLED", "cellState": "ACTIVE"}
    assert device.observe().state[LINK] == {"operationalState": "ENABLED"}
    lock = Edit(op=Op.MERGE, path=CELL, after={"administrativeState": "LOCKED"}, owners=("host",))
    unlock = Edit(op=Op.MERGE, path=CELL, after={"administrativeState": "UNLOCKED"}, owners=("host",))
    device.foreign_edit([lock])
    assert device.observe().state[CELL]["cellState"] == "IDLE"
    device.foreign_edit([unlock])
    assert device.observe().state[CELL]["cellState"] == "INACTIVE"
    await clock.advance(5)
    assert device.observe().state[CELL]["cellState"] == "ACTIVE"
    device.foreign_edit([Edit(op=Op.DELETE, path=f"{LINK}/localAddress[10.1.1.1,6]", owners=("claro",))])
    await clock.advance(5)
    assert device.observe().state[LINK]["operationalState"] == "DISABLED"


async def test_carrier_changes_on_a_locked_cell_only(devices: FakeDevices, device: FakeDevice) -> None:
    move = Edit(op=Op.MERGE, path=CELL, after={"tac": "8"}, owners=("host",))
    async with session(devices) as s:
        with pytest.raises(DeviceRefusedError):
            await s.edit([move])
        device.foreign_edit([Edit(op=Op.MERGE, path=CELL, after={"administrativeState": "LOCKED"}, owners=("host",))])
        await s.discard()
        await s.edit([move])
        with pytest.raises(DeviceRefusedError):
            await s.edit([Edit(op=Op.MERGE, path=ENB, after={"eNBId": "2"}, owners=("host",))])


async def test_a_station_without_candidate_edits_running(devices: FakeDevices) -> None:
    device = devices.add("S1", ("lte-28658",), TREE, RUNNING_ONLY)
    async with session(devices) as s:
        await s.edit(ADD)
        assert PLMN in device.running
        assert PLMN not in device.startup
        await s.copy_to_startup()
        with pytest.raises(DeviceRefusedError):
            await s.commit_confirmed("p", 10)
    assert PLMN in device.startup


@pytest.mark.parametrize(
    ("wrong", "error", "done", "held"),
    [
        (FaultKind.DROP_BEFORE, SessionLostError, False, False),
        (FaultKind.DROP_AFTER, SessionLostError, True, False),
        (FaultKind.LOSE_REPLY, SessionLostError, True, True),
        (FaultKind.REFUSE, DeviceRefusedError, False, False),
        (FaultKind.LIE, None, False, False),
    ],
)
async def test_scripted_faults(
    devices: FakeDevices, device: FakeDevice, wrong: FaultKind, error: type[Exception] | None, done: bool, held: bool
) -> None:
    device.faults.append(Fault("commit_confirmed", wrong))

    async def work() -> None:
        async with session(devices) as s:
            await s.lock()
            await s.edit(ADD)
            await s.commit_confirmed("p", 10)

    if error:
        with pytest.raises(error):
            await work()
    else:
        await work()
    assert (PLMN in device.running) is done
    assert (device.lock_holder == "1") is held


async def test_faults_skip_and_spend_themselves_and_act(devices: FakeDevices, device: FakeDevice) -> None:
    tac = Edit(op=Op.CREATE, path=f"{CELL}/plmnIdList[999,99]", owners=("host",))
    device.faults.append(Fault("read", act=lambda: device.foreign_edit([tac]), skip=1))
    async with session(devices) as s:
        assert tac.path not in (await s.read()).tree
        assert tac.path in (await s.read()).tree
        assert tac.path in (await s.read()).tree
    assert len(device.history) == 2


async def test_a_reboot_reverts_and_ends_sessions(devices: FakeDevices, device: FakeDevice) -> None:
    async with session(devices) as s:
        await s.edit(ADD)
        await s.commit_confirmed("p", 10)
        device.reboot()
        assert device.running == TREE
        with pytest.raises(SessionLostError):
            await s.read()


async def test_unreachable_and_changed_host_key(devices: FakeDevices, device: FakeDevice) -> None:
    device.host_key = "ssh-ed25519 BBBB"
    with pytest.raises(HostKeyError):
        async with session(devices):
            pass
    device.unreachable = "no route"
    with pytest.raises(UnreachableError):
        async with session(devices):
            pass
    assert device.log == []


async def test_files_are_bounded_and_go_wrong_as_scripted(devices: FakeDevices, device: FakeDevice) -> None:
    target = replace(TARGET, folder="/pm")
    with pytest.raises(DeviceRefusedError, match="serves no files"):
        async with devices.files(target):
            pass
    device.files = {"A2.xml": b"two", "A1.xml": b"one"}
    device.file_errors["A2.xml"] = SessionLostError("gone")
    async with devices.files(target) as files:
        assert [one.name for one in await files.list(2)] == ["A1.xml", "A2.xml"]
        assert await files.fetch("A1.xml", 3) == b"one"
        with pytest.raises(OversizedError):
            await files.fetch("A1.xml", 2)
        with pytest.raises(OversizedError):
            await files.list(1)
        with pytest.raises(FileGoneError):
            await files.fetch("A0.xml", 3)
        with pytest.raises(SessionLostError):
            await files.fetch("A2.xml", 3)
    assert device.fetched == ["A1.xml"]
