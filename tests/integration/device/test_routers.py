"""Sessions to simulated routers: edits read back, refusals, lies, drops, host keys, and the reload that guards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from controller.drivers.cli.target import CliTarget
from controller.drivers.devices import AllDevices
from controller.drivers.protocols import confirmed_commit
from controller.models.errors import (
    AuthenticationError,
    DeviceRefusedError,
    HostKeyError,
    HostKeyUnreadableError,
    SessionLostError,
    UnreachableError,
)
from controller.models.facts import RouterFact, TransportFact
from controller.models.plan import Edit, Op
from controller.nrm.profiles import render_routing
from controller.nrm.tree import Tree
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import EventKind
from simulators.network import read_network
from simulators.routers.factory import Provisioning
from simulators.routers.faults import RouterFault, RouterFaultKind
from simulators.routers.router import Router, RouterSettings
from tests.support.secrets import LocalSecrets
from tests.support.sessions import to_router

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
NAME = "R-OLLANTA"
OWN = RouterFact(NAME, "GigabitEthernet0/0/0", "", "GigabitEthernet0/0/1")
ANDES = TransportFact(NAME, "andes", 101, "10.99.0.2/30", ("10.41.0.0/22",), ("andes",))
CONDOR = TransportFact(NAME, "condor", 102, "10.99.0.2/30", ("10.42.0.0/22",), ("condor",))
DEFAULT = f"/Router[{NAME}]/Route[0.0.0.0%2F0,10.98.0.2]"


def wanted(*transports: TransportFact) -> Tree:
    return render_routing(("cisco_ios",), (OWN, transports)).tree


def creates(before: Tree, after: Tree) -> list[Edit]:
    return [
        Edit(op=Op.CREATE, path=path, after=dict(leaves), owners=("andes",))
        for path, leaves in after.items()
        if path not in before
    ]


@pytest.fixture
async def fleet(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    async with Fleet(read_network(TINY), FleetSettings(only=["T-LTE-1"], routers=Provisioning.BARE)) as fleet:
        yield fleet


@pytest.fixture
def router(fleet: Fleet) -> Router:
    return fleet.routers[NAME]


def target_at(fleet: Fleet) -> CliTarget:
    at = fleet.router_endpoint(NAME)
    credential = "device"
    return CliTarget(NAME, ("cisco_ios",), at.address, at.port, at.host_key, "minka", credential)


@pytest.fixture
def target(fleet: Fleet) -> CliTarget:
    return target_at(fleet)


@pytest.fixture
async def devices() -> AsyncIterator[AllDevices]:
    devices = AllDevices(LocalSecrets(enable="env:ENABLE"), rpc_timeout=20, connect_timeout=20)
    yield devices
    await devices.close()


async def bring(devices: AllDevices, target: CliTarget, *transports: TransportFact) -> Tree:
    """Type what the tenants need; what the router says afterwards."""
    async with devices.session(target) as session:
        seen = (await session.read()).tree
        await session.edit(creates(seen, {**seen, **wanted(*transports)}))
        await session.commit()
        return (await session.read()).tree


async def test_a_tenant_is_typed_read_back_and_saved(devices: AllDevices, target: CliTarget, router: Router) -> None:
    async with to_router(devices, target) as session:
        assert not session.capabilities.safe_commit
        before = await session.read()
        assert before.unknown == ()
        after = {**before.tree, **wanted(ANDES, CONDOR)}
        await session.edit(creates(before.tree, after))
        assert (await session.read()).tree == before.tree
        await session.commit()
        assert (await session.read()).tree == after
        assert router.running != router.startup
        await session.copy_to_startup()
    assert router.running == router.startup
    assert router.carries(101, *addresses("10.99.0.1", "10.41.0.1"))
    async with devices.session(target) as session:
        await session.read()
        gone = [path for path in wanted(CONDOR) if path not in before.tree and path.count("/") == 2]
        await session.edit([Edit(op=Op.DELETE, path=path, owners=("condor",)) for path in gone])
        await session.commit()
        assert (await session.read()).tree == {**before.tree, **wanted(ANDES)}


async def test_the_hosts_way_to_other_stations_is_carried_as_a_tenants(
    devices: AllDevices, target: CliTarget, router: Router
) -> None:
    """X2 and Xn in a VRF of their own; without it the router has no way there."""
    ends = addresses("10.99.0.1", "10.99.4.1")
    await bring(devices, target, ANDES)
    assert not router.carries(900, *ends)
    await bring(
        devices, target, ANDES, TransportFact(NAME, "host-900", 900, "10.99.0.2/30", ("10.99.4.1/32",), ("host",))
    )
    assert router.carries(900, *ends)
    assert not router.carries(900, *addresses("10.99.0.1", "10.99.4.2"))


def addresses(*texts: str) -> tuple[int, int]:
    from ipaddress import IPv4Address

    first, second = (int(IPv4Address(text)) for text in texts)
    return first, second


@pytest.mark.parametrize("kind", [RouterFaultKind.REFUSE_LINE, RouterFaultKind.REFUSE_LINE_PLAINLY])
async def test_a_refused_line_is_reported_and_no_further_one_sent(
    devices: AllDevices, target: CliTarget, router: Router, kind: RouterFaultKind
) -> None:
    router.faults.inject(RouterFault(kind, line=7))
    with pytest.raises(DeviceRefusedError, match=r"refused 'description andes'.*rejected"):
        await bring(devices, target, ANDES)
    assert "andes" in router.running.vrfs
    assert not router.running.routes[1:]
    # Configuration mode was left: the next session reads at once.
    async with devices.session(target) as session:
        assert f"/Router[{NAME}]/Vrf[andes]" in (await session.read()).tree


@pytest.mark.parametrize("kind", [RouterFaultKind.LOG_LINES, RouterFaultKind.GARBAGE])
async def test_noise_is_no_refusal(
    devices: AllDevices, target: CliTarget, router: Router, kind: RouterFaultKind
) -> None:
    router.faults.inject(RouterFault(kind, command="show running-config", count=3))
    router.faults.inject(RouterFault(kind, line=3))
    seen = await bring(devices, target, ANDES)
    assert {path: seen[path] for path in wanted(ANDES)} == wanted(ANDES)


async def test_a_new_name_under_way_confuses_nobody(devices: AllDevices, target: CliTarget, router: Router) -> None:
    async with devices.session(target) as session:
        seen = (await session.read()).tree
        router.foreign_edit(["hostname LLAMA"])
        await session.edit(creates(seen, {**seen, **wanted(ANDES)}))
        await session.commit()
        assert set(wanted(ANDES)) <= set((await session.read()).tree)


async def test_a_swallowed_line_shows_when_read_back(devices: AllDevices, target: CliTarget, router: Router) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.SWALLOW_LINE, command="ip route"))
    seen = await bring(devices, target, ANDES)
    assert [path for path in wanted(ANDES) if path not in seen] == [
        f"/Router[{NAME}]/Vrf[andes]/Route[10.41.0.0%2F22,169.254.0.1]"
    ]


@pytest.mark.parametrize("kind", [RouterFaultKind.SAVE_FAILS_SILENTLY, RouterFaultKind.SAVE_LIES])
async def test_a_save_that_does_not_save_is_reported(
    devices: AllDevices, target: CliTarget, router: Router, kind: RouterFaultKind
) -> None:
    await bring(devices, target, ANDES)
    router.faults.inject(RouterFault(kind))
    async with to_router(devices, target) as session:
        with pytest.raises(DeviceRefusedError, match="saved its configuration"):
            await session.copy_to_startup()


@pytest.mark.parametrize("kind", [RouterFaultKind.DROP_BEFORE, RouterFaultKind.DROP_AFTER, RouterFaultKind.HANG])
async def test_a_session_that_ends_is_lost(fleet: Fleet, target: CliTarget, kind: RouterFaultKind) -> None:
    impatient = AllDevices(LocalSecrets(), rpc_timeout=3, connect_timeout=20)
    router = fleet.routers[NAME]
    router.faults.inject(RouterFault(kind, command="vrf definition"))
    try:
        with pytest.raises(SessionLostError):
            await bring(impatient, target, ANDES)
        assert ("andes" in router.running.vrfs) is (kind is not RouterFaultKind.DROP_BEFORE)
        assert await bring(impatient, target, CONDOR)
    finally:
        await impatient.close()


async def test_another_host_key_gets_no_password(devices: AllDevices, target: CliTarget, router: Router) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.CHANGED_HOST_KEY, count=None))
    for _ in range(2):
        with pytest.raises(HostKeyError) as caught:
            await bring(devices, target, ANDES)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
    assert not router.history.events(EventKind.SESSION_OPENED)
    assert not router.history.events(EventKind.AUTHENTICATION_FAILED)
    wrong = replace(target, host_key="ssh-rsa AAAA")
    with pytest.raises(HostKeyUnreadableError, match="can't be read"):
        await bring(devices, wrong, ANDES)


async def test_a_wrong_password_and_a_missing_one(
    devices: AllDevices, target: CliTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "wr0ng-secret")
    with pytest.raises(AuthenticationError) as caught:
        await bring(devices, target, ANDES)
    assert "wr0ng-secret" not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(AuthenticationError, match="no credential 'nowhere'"):
        await bring(devices, replace(target, credential="nowhere"), ANDES)


async def test_a_router_that_refuses_sessions(devices: AllDevices, target: CliTarget, router: Router) -> None:
    router.faults.inject(RouterFault(RouterFaultKind.REFUSE_SESSIONS))
    with pytest.raises(UnreachableError):
        await bring(devices, target, ANDES)


async def test_enable_with_a_secret(monkeypatch: pytest.MonkeyPatch, devices: AllDevices) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    monkeypatch.setenv("ENABLE", "s3cret")
    settings = RouterSettings(enable_password="s3cret")
    async with Fleet(
        read_network(TINY), FleetSettings(only=["T-LTE-1"], routers=Provisioning.BARE, router=settings)
    ) as fleet:
        target = replace(target_at(fleet), enable_credential="enable")
        assert set(wanted(ANDES)) <= set(await bring(devices, target, ANDES))


async def test_one_session_a_router(devices: AllDevices, target: CliTarget, router: Router) -> None:
    most = 0

    async def read() -> None:
        nonlocal most
        async with devices.session(target) as session:
            await session.read()
            most = max(most, devices.counts["in-use"])

    await asyncio.gather(*(read() for _ in range(3)))
    assert most == 1


# ------------------------------------------------------------------- the way to the router


UPLINK = f"/Router[{NAME}]/Port[GigabitEthernet0%2F0%2F0]"
MOVED = {"before": {"address": "10.98.0.1/30"}, "after": {"address": "10.98.0.9/30"}}
CUTS = {
    "uplink": Edit(op=Op.MERGE, path=UPLINK, after={"shutdown": "true"}, owners=("host",)),
    "management": Edit(op=Op.MERGE, path=UPLINK, owners=("host",), **MOVED),
    "routes": Edit(op=Op.DELETE, path=DEFAULT, owners=("host",)),
}


@pytest.mark.parametrize("kind", CUTS)
async def test_what_cuts_the_way_comes_back_by_a_reload(
    devices: AllDevices, target: CliTarget, router: Router, kind: str
) -> None:
    before = router.running

    async def cut_off() -> None:
        while router.reachable:
            await asyncio.sleep(0.02)
        assert router.reload is not None
        assert router.reload.reason == "minka-x-1"
        router.restart()
        router._up_again()

    async def cut() -> None:
        async with to_router(devices, target) as session:
            await session.read()
            await session.edit([CUTS[kind]])
            await session.commit_confirmed("minka-x-1", 60)

    waiting = asyncio.create_task(cut_off())
    with pytest.raises(SessionLostError):
        await cut()
    await asyncio.wait_for(waiting, 20)
    async with to_router(devices, target) as session:
        assert DEFAULT in (await session.read()).tree
        assert router.running == before
        with pytest.raises(DeviceRefusedError, match="no reload of ours"):
            await session.confirm("minka-x-1")


def other_default() -> list[Edit]:
    path = f"/Router[{NAME}]/Route[0.0.0.0%2F0,10.98.0.6]"
    return [Edit(op=Op.CREATE, path=path, after={"distance": "250"}, owners=("host",))]


async def test_a_confirm_cancels_the_reload_from_a_new_connection(
    devices: AllDevices, target: CliTarget, router: Router
) -> None:
    async with to_router(devices, target) as session:
        await session.read()
        await session.edit(other_default())
        await session.commit_confirmed("minka-x-1", 120)
        assert router.reload is not None
        opened = len(router.history.events(EventKind.SESSION_OPENED))
        await session.confirm("minka-x-1")
        assert router.reload is None
        assert len(router.history.events(EventKind.SESSION_OPENED)) == opened + 1
        with pytest.raises(DeviceRefusedError, match="no reload of ours"):
            await session.confirm("minka-x-1")
        await session.copy_to_startup()
    assert router.running == router.startup
    assert len(router.running.routes) == 2


@pytest.mark.parametrize("ends", ["well", "aside", "lost"])
async def test_a_reload_that_would_change_nothing_is_cancelled_as_the_session_ends_well(
    devices: AllDevices, target: CliTarget, router: Router, ends: str
) -> None:
    """Whoever only looks aside cancels none, and nor does a transaction that goes on in another session."""
    before = router.running
    router.faults.inject(RouterFault(RouterFaultKind.REFUSE_LINE, command="ip route"))
    lost = pytest.raises(ZeroDivisionError) if ends == "lost" else nullcontext()
    with lost:
        async with devices.aside(target) if ends == "aside" else devices.session(target) as session:
            await session.read()
            await session.edit(other_default())
            with pytest.raises(DeviceRefusedError):
                await confirmed_commit(session).commit_confirmed("minka-x-1", 120)
            assert router.reload is not None
            if ends == "lost":
                raise ZeroDivisionError
    assert (router.reload is None) is (ends == "well")
    assert router.running == before


async def test_a_cancel_goes_back_without_a_reload(devices: AllDevices, target: CliTarget, router: Router) -> None:
    before = router.running
    async with to_router(devices, target) as session:
        await session.read()
        await session.edit(other_default())
        await session.commit_confirmed("minka-x-1", 120)
        await session.cancel("minka-x-1")
        with pytest.raises(DeviceRefusedError, match="no reload of ours"):
            await session.cancel("minka-x-1")
    assert router.running == before
    assert router.reload is None
    assert not router.history.events(EventKind.RESTARTED)


async def test_nothing_is_timed_over_unsaved_changes(devices: AllDevices, target: CliTarget, router: Router) -> None:
    router.foreign_edit(["hostname LLAMA"])
    async with to_router(devices, target) as session:
        await session.read()
        await session.edit(other_default())
        with pytest.raises(DeviceRefusedError, match="unsaved changes"):
            await session.commit_confirmed("minka-x-1", 120)
    assert router.reload is None
    assert len(router.running.routes) == 1


async def test_the_interface_that_we_come_by_is_not_touched(
    devices: AllDevices, target: CliTarget, router: Router
) -> None:
    router.foreign_edit(
        [
            *("vrf definition andes", "address-family ipv4", "interface gi0/0/1.5", "encap dot1q 5"),
            *("vrf forwarding andes", "ip address 127.0.0.1 255.255.255.0"),
        ]
    )
    async with devices.session(target) as session:
        await session.read()
        path = f"/Router[{NAME}]/SubInterface[GigabitEthernet0%2F0%2F1.5]"
        await session.edit([Edit(op=Op.DELETE, path=path, owners=("andes",))])
        with pytest.raises(DeviceRefusedError, match="that Minka connects to"):
            await session.commit()
    assert "GigabitEthernet0/0/1.5" in router.running.interfaces
