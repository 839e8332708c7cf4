"""What transactions rely on, held against the fake, the simulators and netconfd alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.drivers.protocols import DeviceSession
from controller.models.behaviour import FollowUp
from controller.models.equipment import Equipment, Operation, OperationKind
from controller.models.errors import DeviceBusyError, DeviceRefusedError, HostKeyError, SessionLostError
from controller.nrm.tree import Tree
from tests.contract.devices.conftest import Station
from tests.integration.device.edits import cell, cell_path, function, function_path, rename
from tests.support.sessions import StationSession, to_station


async def tree(session: DeviceSession) -> Tree:
    return (await session.read()).tree


async def name_of(session: DeviceSession, station: Station) -> object:
    return (await tree(session)).get(function_path(station.target.device), {}).get("eNBName")


async def commit(session: StationSession, station: Station, persist: str, timeout: int = 60) -> None:
    """Lock, edit and commit, until confirmed."""
    await session.lock()
    await session.discard()
    await session.edit([*function(station.target.device), *cell(station.target.device)])
    await session.commit_confirmed(persist, timeout)


async def test_a_safe_commit_is_offered_and_ids_differ(station: Station) -> None:
    async with to_station(station.devices, station.target) as one, to_station(station.others, station.target) as other:
        assert one.capabilities.safe_commit
        assert one.session_id != other.session_id


async def test_a_second_confirm_is_refused_after_the_first_counted(station: Station) -> None:
    """What tells a confirm that counted from one that was answered ok and forgotten."""
    async with to_station(station.devices, station.target) as session:
        await commit(session, station, "once")
        await session.confirm("once")
        with pytest.raises(DeviceRefusedError):
            await session.confirm("once")
        with pytest.raises(DeviceRefusedError):
            await session.cancel("once")
        assert await name_of(session, station) == "first"
        await session.unlock()


async def test_a_follow_up_goes_on_and_a_cancel_goes_all_the_way_back(station: Station) -> None:
    async with to_station(station.devices, station.target) as session:
        before = await tree(session)
        await commit(session, station, "both")
        await session.edit([rename(station.target.device, "first", "second")])
        await session.commit_confirmed("both", 60, follow_up=FollowUp.BOTH)
        assert await name_of(session, station) == "second"
        await session.cancel("both")
        assert await tree(session) == before
        with pytest.raises(DeviceRefusedError):
            await session.cancel("both")
        await session.unlock()


async def test_a_token_outlives_its_session(station: Station) -> None:
    async with to_station(station.devices, station.target) as session:
        await commit(session, station, "kept")
        await session.abandon()
    async with to_station(station.others, station.target) as session:
        assert await name_of(session, station) == "first"
        await session.discard()
        assert await session.read_candidate() == await tree(session)
        await session.confirm("kept")
        with pytest.raises(DeviceRefusedError):
            await session.confirm("kept")
        assert await name_of(session, station) == "first"


async def test_an_abandoned_session_leaves_neither_edits_nor_locks(station: Station) -> None:
    async with to_station(station.devices, station.target) as session:
        await session.lock()
        untouched = await session.read_candidate()
        await session.edit(function(station.target.device))
        await session.abandon()
        with pytest.raises(SessionLostError):
            await session.read()
    await station.wait(0.3)
    async with to_station(station.others, station.target) as session:
        await session.lock()
        await session.discard()
        assert await session.read_candidate() == untouched
        await session.unlock()


async def test_the_timer_reverts(station: Station) -> None:
    async with to_station(station.devices, station.target) as session:
        before = await tree(session)
        await commit(session, station, "late", timeout=2)
        assert await tree(session) != before
        # netconfd's timers need quiet.
        await station.wait(5)
        assert await tree(session) == before
        with pytest.raises(DeviceRefusedError):
            await session.confirm("late")
        assert await tree(session) == before
        await session.unlock()


async def test_a_lock_is_denied_by_name_and_freed_by_kill(station: Station) -> None:
    async with (
        to_station(station.devices, station.target) as session,
        to_station(station.others, station.target) as other,
    ):
        await other.lock()
        with pytest.raises(DeviceBusyError) as denied:
            await session.lock()
        assert denied.value.holder == other.session_id
        with pytest.raises(DeviceBusyError):
            await session.edit(function(station.target.device))
        await session.kill(other.session_id)
        await session.lock()
        with pytest.raises(DeviceRefusedError):
            await session.kill(other.session_id)
        with pytest.raises(SessionLostError):
            await other.read()
        await session.unlock()


async def test_the_wrong_token_neither_confirms_nor_cancels(station: Station) -> None:
    async with to_station(station.devices, station.target) as session:
        await commit(session, station, "right")
        for attempt in (session.confirm, session.cancel):
            with pytest.raises(DeviceRefusedError):
                await attempt("wrong")
        assert await name_of(session, station) == "first"
        await session.cancel("right")
        await session.unlock()


async def test_a_refused_edit_leaves_running_alone_and_discards(station: Station) -> None:
    async with to_station(station.devices, station.target) as session:
        before = await tree(session)
        await session.lock()
        await session.edit(function(station.target.device))
        with pytest.raises(DeviceRefusedError, match="data-exists"):
            await session.edit(function(station.target.device))
        await session.discard()
        assert await session.read_candidate() == before == await tree(session)
        await session.unlock()


async def test_values_read_back_as_they_were_sent(station: Station) -> None:
    async with to_station(station.devices, station.target) as session:
        await commit(session, station, "read")
        seen = (await tree(session))[cell_path(station.target.device)]
        assert (seen["tac"], seen["pci"]) == ("16013", "315")
        # At its default: not reported, or dropped when read.
        assert "administrativeState" not in seen
        await session.cancel("read")
        await session.unlock()


async def test_another_host_key_is_refused(station: Station) -> None:
    if station.kind == "fake":
        device = station.devices[station.target.device]  # type: ignore[index]
        device.host_key = "ssh-ed25519 BBBB"
        target = station.target
    else:
        other_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYv2B6jWVgPqkUIEW3tisvC5RAZh5hGhOUvlKq6xGCe"
        target = replace(station.target, host_key=other_key)
    with pytest.raises(HostKeyError):
        async with station.devices.session(target):
            raise AssertionError


async def test_operations_show_in_what_the_station_says_of_itself(station: Station) -> None:
    if station.kind == "netconfd":
        async with to_station(station.devices, station.target) as session:
            assert await session.equipment() == Equipment(), "it has no such modules"
            with pytest.raises(DeviceRefusedError):
                await session.operate(Operation(kind=OperationKind.RELOAD_LICENCE, seconds=60))
        return
    async with to_station(station.devices, station.target) as session:
        before = await session.equipment()
        assert before.running is not None
        assert before.restarted is not None
        assert await session.operate(Operation(kind=OperationKind.ACTIVATE, subject="slot-b", seconds=60)) != ""
        with pytest.raises(DeviceRefusedError):
            await session.operate(Operation(kind=OperationKind.RESET_UNIT, subject="ru-9", seconds=60))
