"""X.731 states: locking, shutting down, strict stations, restarts."""

from __future__ import annotations

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.history import EventKind
from simulators.netconf.profiles import PROFILES
from simulators.station import Station, StationSettings
from tests.unit.simulators.equipment.stations import SETTLED, alarm_ids, cell_states, lively, set_cell
from tests.unit.simulators.netconf.bench import Client, edit, within_enb


def test_cell_on_air_says_so(station: Station) -> None:
    assert cell_states(station) == {
        "administrativeState": "UNLOCKED",
        "operationalState": "ENABLED",
        "cellState": "ACTIVE",
        "usageState": "ACTIVE",
        "availabilityStatus": None,
    }


def test_locked_cell_is_idle_and_able(station: Station) -> None:
    set_cell(station, administrativeState="LOCKED")
    states = cell_states(station)
    assert (states["operationalState"], states["cellState"], states["usageState"]) == ("ENABLED", "IDLE", "IDLE")


def test_cell_that_shuts_down_serves_its_users_and_is_locked_when_they_left(
    station: Station, clock: VirtualClock
) -> None:
    before = station.revision
    set_cell(station, administrativeState="SHUTTINGDOWN")
    assert cell_states(station)["cellState"] == "ACTIVE"
    clock.advance(3)
    assert station.summary()["cells_on_air"] == 1
    clock.advance(600)
    states = cell_states(station)
    assert (states["administrativeState"], states["cellState"]) == ("LOCKED", "IDLE")
    assert station.history.counts[EventKind.SHUT_DOWN] == 1
    assert station.revision == before + 2


def test_unlocking_ends_a_shutdown(station: Station, clock: VirtualClock) -> None:
    set_cell(station, administrativeState="SHUTTINGDOWN")
    clock.advance(2)
    set_cell(station, administrativeState="UNLOCKED")
    assert station.summary()["cells_on_air"] == 1
    clock.advance(1000)
    assert cell_states(station)["administrativeState"] == "UNLOCKED"


def test_locked_cell_has_nothing_to_shut_down(station: Station, clock: VirtualClock) -> None:
    set_cell(station, administrativeState="LOCKED")
    set_cell(station, administrativeState="SHUTTINGDOWN")
    clock.advance(2)
    assert station.summary()["cells_on_air"] == 0


STRICT = StationSettings(profile=PROFILES["strict"])


def pci(value: int, state: str = "") -> str:
    administrative = f"<administrativeState>{state}</administrativeState>" if state else ""
    return within_enb(
        f"<EUtranCellFDD><id>1</id><attributes>{administrative}<pci>{value}</pci></attributes></EUtranCellFDD>"
    )


class TestStrictStations:
    @pytest.fixture
    async def client(self, clock: VirtualClock) -> Client:
        return await Client(lively(clock, STRICT)).greeted()

    @pytest.mark.parametrize("leaf", ["<pci>12</pci>", "<tac>102</tac>", "<earfcnDl>9400</earfcnDl>"])
    async def test_refuse_to_change_the_carrier_of_an_unlocked_cell(self, client: Client, leaf: str) -> None:
        content = f"<EUtranCellFDD><id>1</id><attributes>{leaf}</attributes></EUtranCellFDD>"
        tag, _ = await client.error(edit(within_enb(content)))
        assert tag == "in-use"

    async def test_take_it_locked(self, client: Client) -> None:
        for config in (pci(11, "LOCKED"), pci(12), pci(12, "UNLOCKED")):
            await client.ok(edit(config))
            await client.ok("<commit/>")

    async def test_take_a_change_that_locks(self, client: Client) -> None:
        await client.ok(edit(pci(12, "LOCKED")))
        await client.ok("<commit/>")

    async def test_refuse_to_unlock_in_the_same_commit(self, client: Client) -> None:
        for config in (pci(11, "LOCKED"), pci(12), pci(12, "UNLOCKED")):
            await client.ok(edit(config))
        tag, _ = await client.error("<commit/>")
        assert tag == "in-use"

    async def test_take_other_changes(self, client: Client) -> None:
        label = within_enb("<EUtranCellFDD><id>1</id><attributes><userLabel>x</userLabel></attributes></EUtranCellFDD>")
        await client.ok(edit(label))
        await client.ok("<commit/>")

    async def test_roll_back_all_the_same(self, client: Client, clock: VirtualClock) -> None:
        await client.ok(edit(pci(12, "LOCKED")))
        await client.ok("<commit><confirmed/><confirm-timeout>30</confirm-timeout></commit>")
        clock.advance(31)
        station = client.station
        assert b"<pci>11</pci>" in etree.tostring(station.datastores.running.to_xml()[0])


def test_ordinary_stations_take_it_with_an_interruption(station: Station, clock: VirtualClock) -> None:
    set_cell(station, pci="12")
    assert station.summary()["cells_on_air"] == 0
    clock.advance(SETTLED)
    assert station.summary()["cells_on_air"] == 1


async def test_restart_takes_a_while(clock: VirtualClock) -> None:
    station = lively(clock, StationSettings(boot_seconds=90))
    client = await Client(station).greeted()
    station.restart()
    assert client.wire.aborted
    assert (station.summary()["up"], station.summary()["cells_on_air"]) == (False, 0)
    clock.advance(89)
    assert not station.summary()["up"]
    clock.advance(1)
    assert (station.summary()["up"], station.summary()["cells_on_air"]) == (True, 0)
    clock.advance(SETTLED)
    assert (station.summary()["cells_on_air"], station.summary()["links_up"]) == (1, 4)
    assert alarm_ids(station) == []
    assert station.history.counts[EventKind.UP_AGAIN] == 1
