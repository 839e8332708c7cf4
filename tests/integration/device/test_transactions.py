"""The steps of a transaction, the same on netconfd and on a simulated station."""

from __future__ import annotations

import asyncio

import pytest

from controller.drivers.devices import AllDevices
from controller.drivers.protocols import DeviceSession, startup
from controller.models.behaviour import FollowUp
from controller.models.errors import DeviceBusyError, DeviceRefusedError
from tests.integration.device.conftest import Device
from tests.integration.device.edits import cell, cell_path, function, function_path, rename
from tests.support.secrets import LocalSecrets
from tests.support.sessions import StationSession, to_station


async def name_of(session: DeviceSession, station: str) -> object:
    """The eNBName in running, None without an ENBFunction."""
    return (await session.read()).tree.get(function_path(station), {}).get("eNBName")


async def prepare(session: StationSession, station: str, persist: str, timeout: int = 60) -> None:
    """Lock, discard, edit and commit, confirmed: the function and its cell, under the name ``first``."""
    await session.lock()
    await session.discard()
    await session.edit([*function(station), *cell(station)])
    await session.commit_confirmed(persist, timeout)


async def test_both_offer_a_safe_commit(device: Device) -> None:
    async with to_station(device.devices, device.target) as session:
        assert session.capabilities.safe_commit
        assert int(session.session_id) > 0


async def test_confirmed_commit_follow_up_and_confirm(device: Device) -> None:
    station = device.target.device
    async with to_station(device.devices, device.target) as session:
        assert cell_path(station) not in (await session.read()).tree
        await prepare(session, station, "token-1")
        seen = await session.read()
        assert seen.tree[cell_path(station)]["tac"] == "16013"
        assert seen.unknown == ()
        await session.edit([rename(station, "first", "second")])
        await session.commit_confirmed("token-1", 60, follow_up=FollowUp.BOTH)
        assert await name_of(session, station) == "second"
        await session.confirm("token-1")
        assert await name_of(session, station) == "second"
        assert await session.read_candidate() == (await session.read()).tree
        assert startup(session) is None
        await session.unlock()
    # Confirmed: no token is pending any more.
    async with to_station(device.devices, device.target) as session:
        with pytest.raises(DeviceRefusedError):
            await session.cancel("token-1")
        assert await name_of(session, station) == "second"


async def test_cancel_goes_back_to_before_the_first(device: Device) -> None:
    station = device.target.device
    async with to_station(device.devices, device.target) as session:
        before = (await session.read()).tree
        await prepare(session, station, "token-2")
        await session.edit([rename(station, "first", "second")])
        await session.commit_confirmed("token-2", 60, follow_up=FollowUp.BOTH)
        await session.cancel("token-2")
        assert (await session.read()).tree == before
        await session.unlock()


async def test_the_timer_reverts_and_the_confirm_is_refused(device: Device) -> None:
    station = device.target.device
    async with to_station(device.devices, device.target) as session:
        await prepare(session, station, "token-3", timeout=3)
        assert await name_of(session, station) == "first"
        for _ in range(10):
            # netconfd's timers run only when it hears nothing for a second.
            await asyncio.sleep(1.5)
            if await name_of(session, station) is None:
                break
        assert await name_of(session, station) is None
        with pytest.raises(DeviceRefusedError):
            await session.confirm("token-3")
        await session.unlock()


@pytest.mark.parametrize("ending", ["confirm", "cancel"])
async def test_another_session_ends_it_by_token(device: Device, ending: str) -> None:
    station = device.target.device
    async with to_station(device.devices, device.target) as session:
        await prepare(session, station, "token-4")
        await session.abandon()
    async with to_station(device.devices, device.target) as session:
        assert await name_of(session, station) == "first"
        if ending == "confirm":
            await session.confirm("token-4")
            assert await name_of(session, station) == "first"
        else:
            await session.cancel("token-4")
            assert await name_of(session, station) is None
        await session.lock()
        await session.unlock()


async def test_a_wrong_token_is_refused_and_changes_nothing(device: Device) -> None:
    station = device.target.device
    async with to_station(device.devices, device.target) as session:
        await prepare(session, station, "token-5")
        with pytest.raises(DeviceRefusedError):
            await session.confirm("another")
        with pytest.raises(DeviceRefusedError):
            await session.cancel("another")
        assert await name_of(session, station) == "first"
        await session.cancel("token-5")
        await session.unlock()


async def test_a_foreign_lock_is_busy_and_names_its_holder(device: Device) -> None:
    others = AllDevices(LocalSecrets())
    async with to_station(device.devices, device.target) as session, to_station(others, device.target) as other:
        await other.lock()
        with pytest.raises(DeviceBusyError) as denied:
            await session.lock()
        assert denied.value.holder == other.session_id
        with pytest.raises(DeviceBusyError):
            await session.edit(function(device.target.device))
        await session.kill(other.session_id)
        await session.lock()
        await session.unlock()
    await others.close()


async def test_what_the_device_refuses_is_named_and_leaves_no_trace(device: Device) -> None:
    station = device.target.device
    async with to_station(device.devices, device.target) as session:
        await session.lock()
        before = await session.read_candidate()
        await session.edit(function(station))
        with pytest.raises(DeviceRefusedError, match="pci"):
            await session.edit(cell(station, pci="9999"))
        with pytest.raises(DeviceRefusedError, match="data-exists"):
            await session.edit(function(station))
        await session.discard()
        assert await session.read_candidate() == before
        await session.unlock()


async def test_a_plain_commit_and_what_it_leaves(device: Device) -> None:
    station = device.target.device
    async with device.devices.session(device.target) as session:
        await session.edit(function(station))
        await session.commit()
        assert await name_of(session, station) == "first"
