"""Stations that hang on routers, and both on the backhaul: what a cut, a reload and a wrong line do to them."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncssh
import pytest

from simulators.clock import VirtualClock
from simulators.connections import Outage
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.fleet.transport import UnknownNodeError
from simulators.history import EventKind
from simulators.network import read_network
from simulators.routers.factory import Provisioning
from tests.integration.simulators.client import netconf
from tests.support.waiting import until
from tests.unit.simulators.netconf.bench import edit, enb, link

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
#: One station behind a router below the hub, one without a router below the hill, which hangs on the hub.
NEAR, FAR, ROUTER = "T-LTE-1", "T-LTE-2", "R-OLLANTA"
LOCAL = {NEAR: "10.99.0.1", FAR: "10.99.0.2"}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def linked(fleet: Fleet) -> Fleet:
    """Both stations have a link to the first tenant."""
    for station, local in LOCAL.items():
        async with netconf(fleet.endpoint(station)) as client:
            config = edit(enb(link("mme", local=local), station))
            assert "<ok/>" in await client.rpc(config)
            assert "<ok/>" in await client.rpc("<commit/>")
    return fleet


@pytest.fixture
async def fleet(clock: VirtualClock) -> AsyncIterator[Fleet]:
    async with Fleet(read_network(TINY), FleetSettings(routers=Provisioning.PROVISIONED), clock=clock) as fleet:
        await linked(fleet)
        clock.advance(2)
        yield fleet


def links_up(fleet: Fleet) -> dict[str, int]:
    return {station: fleet.stations[station].summary()["links_up"] for station in (NEAR, FAR)}


async def test_links_come_up_over_the_router(fleet: Fleet, clock: VirtualClock) -> None:
    assert links_up(fleet) == {NEAR: 1, FAR: 1}
    router = fleet.routers[ROUTER]
    router.foreign_edit(["interface gi0/0/1.101", "shutdown"])
    assert links_up(fleet) == {NEAR: 0, FAR: 1}
    (alarm,) = fleet.stations[NEAR].equipment.alarms.active
    assert "core link" in alarm.text
    router.foreign_edit(["interface gi0/0/1.101", "no shutdown"])
    assert links_up(fleet) == {NEAR: 0, FAR: 1}
    clock.advance(2)
    assert links_up(fleet) == {NEAR: 1, FAR: 1}
    assert not list(fleet.stations[NEAR].equipment.alarms.active)


async def test_a_bare_router_must_be_provisioned_first(clock: VirtualClock) -> None:
    async with Fleet(read_network(TINY), FleetSettings(routers=Provisioning.BARE), clock=clock) as fleet:
        await linked(fleet)
        clock.advance(2)
        assert links_up(fleet) == {NEAR: 0, FAR: 1}
        fleet.routers[ROUTER].foreign_edit(
            [
                *("vrf definition andes", "address-family ipv4"),
                *(
                    "interface gi0/0/1.101",
                    "encap dot1q 101",
                    "vrf forwarding andes",
                    "ip addr 10.99.0.2 255.255.255.252",
                ),
                *(
                    "interface gi0/0/0.101",
                    "encap dot1q 101",
                    "vrf forwarding andes",
                    "ip addr 169.254.0.2 255.255.255.252",
                ),
                "ip route vrf andes 10.41.0.0 255.255.0.0 169.254.0.1",
            ]
        )
        clock.advance(2)
        assert links_up(fleet) == {NEAR: 1, FAR: 1}


async def test_without_routers_the_station_alone_decides(clock: VirtualClock) -> None:
    async with Fleet(read_network(TINY), clock=clock) as fleet:
        await linked(fleet)
        clock.advance(2)
        assert links_up(fleet) == {NEAR: 1, FAR: 1}
        assert not fleet.routers


async def test_a_cut_takes_all_below_it_off_the_net(fleet: Fleet, clock: VirtualClock) -> None:
    async with netconf(fleet.endpoint(FAR)) as far, netconf(fleet.endpoint(NEAR)) as near:
        fleet.transport.cut("hill")
        assert links_up(fleet) == {NEAR: 1, FAR: 0}
        assert fleet.transport.off_net() == ["T-BOTH-1", FAR]
        await until(lambda: not fleet.stations[FAR].server.sessions)
        assert "<data" in await near.rpc("<get-config><source><running/></source></get-config>")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(far.rpc("<get/>"), 0.2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), netconf(fleet.endpoint(FAR)):
                pass
        clock.advance(60)
        fleet.transport.restore("hill")
        with pytest.raises((asyncssh.Error, OSError, EOFError, AssertionError)):
            await asyncio.wait_for(far.rpc("<get/>"), 5)
    clock.advance(2)
    assert links_up(fleet) == {NEAR: 1, FAR: 1}
    kinds = [event.kind for event in fleet.stations[FAR].history.events()]
    assert kinds.index(EventKind.ALARM_RAISED) < kinds.index(EventKind.ALARM_CLEARED)
    async with netconf(fleet.endpoint(FAR)) as client:
        assert "<data" in await client.rpc("<get/>")


async def test_a_cut_above_counts_for_all_and_outlasts_one_below(fleet: Fleet, clock: VirtualClock) -> None:
    fleet.transport.cut("hill", Outage.REFUSAL)
    fleet.transport.cut("hub")
    assert len(fleet.transport.off_net()) == len(fleet.stations) + 1
    fleet.transport.restore("hill")
    assert links_up(fleet) == {NEAR: 0, FAR: 0}
    fleet.transport.restore("hub")
    assert not fleet.transport.off_net()
    clock.advance(2)
    assert links_up(fleet) == {NEAR: 1, FAR: 1}
    with pytest.raises(UnknownNodeError):
        fleet.transport.cut("nowhere")


async def test_a_refusing_cut_resets_connections(fleet: Fleet) -> None:
    async with netconf(fleet.endpoint(FAR)) as far:
        fleet.transport.cut("hill", Outage.REFUSAL)
        with pytest.raises((asyncssh.Error, OSError, EOFError, AssertionError)):
            await asyncio.wait_for(far.rpc("<get/>"), 5)
    with pytest.raises((asyncssh.Error, OSError)):
        async with asyncio.timeout(5), netconf(fleet.endpoint(FAR)):
            pass


async def test_a_reloading_router_takes_its_stations_with_it(fleet: Fleet, clock: VirtualClock) -> None:
    router = fleet.routers[ROUTER]
    router.restart()
    assert fleet.transport.off_net() == [ROUTER, NEAR]
    assert links_up(fleet) == {NEAR: 0, FAR: 1}
    clock.advance(router.settings.reload_seconds)
    clock.advance(2)
    assert not fleet.transport.off_net()
    assert links_up(fleet) == {NEAR: 1, FAR: 1}


async def test_who_cuts_himself_off_is_saved_by_the_planned_reload(fleet: Fleet, clock: VirtualClock) -> None:
    router, endpoint = fleet.routers[ROUTER], fleet.router_endpoint(ROUTER)
    known = asyncssh.import_known_hosts(f"[{endpoint.address}]:{endpoint.port} {endpoint.host_key}\n")

    def connect() -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
        return asyncssh.connect(
            endpoint.address, endpoint.port, username="minka", password="minka-sim", known_hosts=known, config=None
        )

    async with connect() as client:
        process = await client.create_process(term_type="vt100", encoding="utf-8")
        process.stdin.write("reload in 2\n\nconf t\ninterface gi0/0/0\nshutdown\n")
        async with asyncio.timeout(60):
            while router.reachable:
                await asyncio.sleep(0.01)
        assert fleet.transport.off_net() == [ROUTER]
        await until(lambda: not router.sessions)
        clock.advance(120)
        assert router.reloading
        clock.advance(router.settings.reload_seconds)
    assert not fleet.transport.off_net()
    async with connect() as client:
        result = await client.run("show ip interface brief")
        assert "10.98.0.1" in str(result.stdout)


async def test_routers_are_written_down(fleet: Fleet, tmp_path: Path) -> None:
    fleet.write_routers(tmp_path / "routers.csv")
    with (tmp_path / "routers.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["id"] == ROUTER
    assert row["site"] == "ollanta"
    assert row["host_key"].startswith("ssh-ed25519 ")
    assert int(row["port"]) == fleet.router_endpoint(ROUTER).port
