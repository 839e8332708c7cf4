"""Software management, resets and supervision, as a NETCONF client sees them."""

from __future__ import annotations

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.equipment.software import WRONG_VERSION
from simulators.station import StationSettings
from tests.unit.simulators.equipment.stations import SETTLED, alarm_ids, lively
from tests.unit.simulators.netconf.bench import Client

SW = "urn:o-ran:software-management:1.0"
OPS = "urn:o-ran:operations:1.0"
SUP = "urn:o-ran:supervision:1.0"
EQUIPMENT = "urn:minka:equipment"
SUBSCRIBE = '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
IMAGE = "sftp://minka@10.0.0.1/images/station-24.3.0.zip"


@pytest.fixture
async def client(clock: VirtualClock) -> Client:
    found = await Client(lively(clock, StationSettings(boot_seconds=60))).greeted()
    await found.ok(SUBSCRIBE)
    return found


async def call(client: Client, operation: str, **parameters: str) -> tuple[str | None, str | None]:
    content = "".join(
        f"<{name.replace('_', '-')}>{value}</{name.replace('_', '-')}>" for name, value in parameters.items()
    )
    reply = await client.rpc(f'<{operation} xmlns="{SW}">{content}</{operation}>')
    return reply.findtext(f"{{{SW}}}status"), reply.findtext(f"{{{SW}}}error-message")


async def event(client: Client, clock: VirtualClock) -> tuple[str, str | None]:
    clock.advance(30)
    await client.receive()
    (message,) = client.inbox
    client.inbox.clear()
    return etree.QName(message[1]).localname, message[1].findtext(f"{{{SW}}}status")


async def slots(client: Client) -> dict[str | None, tuple[str | None, ...]]:
    data = await client.data(f'<get><filter><software-inventory xmlns="{SW}"/></filter></get>')
    names = ("status", "active", "running", "build-version")
    return {
        slot.findtext(f"{{{SW}}}name"): tuple(slot.findtext(f"{{{SW}}}{name}") for name in names)
        for slot in data.iter(f"{{{SW}}}software-slot")
    }


async def install(client: Client, clock: VirtualClock) -> None:
    assert await call(client, "software-download", remote_file_path=IMAGE) == ("STARTED", None)
    assert await event(client, clock) == ("download-event", "COMPLETED")
    assert await call(client, "software-install", slot_name="slot-b") == ("STARTED", None)
    assert (await slots(client))["slot-b"][0] == "INVALID"
    assert await event(client, clock) == ("install-event", "COMPLETED")
    assert (await slots(client))["slot-b"] == ("VALID", "false", "false", "24.3.0")


async def activate(client: Client, clock: VirtualClock) -> None:
    assert await call(client, "software-activate", slot_name="slot-b") == ("STARTED", None)
    assert await event(client, clock) == ("activation-event", "COMPLETED")


async def version(client: Client) -> str | None:
    return (await client.data("<get/>")).findtext(".//{*}swVersion")


async def test_upgrade_from_download_to_reset(client: Client, clock: VirtualClock) -> None:
    await install(client, clock)
    await activate(client, clock)
    assert (await slots(client))["slot-b"][1:3] == ("true", "false")
    assert await version(client) == "24.2.1"
    await client.ok(f'<reset xmlns="{OPS}"/>')
    station = client.station
    assert not client.wire.aborted, "the reply comes first"
    clock.advance(2)
    assert client.wire.aborted
    clock.advance(60 + SETTLED)
    again = await Client(station).greeted()
    assert (await slots(again))["slot-b"] == ("VALID", "true", "true", "24.3.0")
    assert (await slots(again))["slot-a"][1:3] == ("false", "false")
    assert await version(again) == "24.3.0"
    data = await again.data("<get/>")
    assert data.findtext(f".//{{{OPS}}}restart-cause") == "MPLANE-TRIGGERED-RESTART"
    assert station.summary()["cells_on_air"] == 1


async def test_install_needs_a_slot_that_is_neither_active_nor_running(client: Client, clock: VirtualClock) -> None:
    assert await call(client, "software-download", remote_file_path=IMAGE) == ("STARTED", None)
    await event(client, clock)
    for slot, words in (("slot-a", "active or running"), ("slot-factory", "no slot"), ("slot-z", "no slot")):
        status, message = await call(client, "software-install", slot_name=slot)
        assert status == "FAILED"
        assert words in (message or "")
    status, message = await call(client, "software-install", slot_name="slot-b", file_names="other.zip")
    assert (status, message) == ("FAILED", "not downloaded: other.zip")


async def test_only_valid_slots_are_activated(client: Client) -> None:
    status, message = await call(client, "software-activate", slot_name="slot-b")
    assert (status, "no valid slot" in (message or "")) == ("FAILED", True)


async def test_download_needs_a_server(client: Client) -> None:
    assert (await call(client, "software-download", remote_file_path="image.zip"))[0] == "FAILED"
    tag, info = await client.error(f'<software-download xmlns="{SW}"/>')
    assert (tag, info) == ("missing-element", {"bad-element": "remote-file-path"})


async def test_failed_download(client: Client, clock: VirtualClock) -> None:
    client.station.equipment.begin_fault("download-fails")
    assert await call(client, "software-download", remote_file_path=IMAGE) == ("STARTED", None)
    assert await event(client, clock) == ("download-event", "FILE_NOT_FOUND")
    assert (await call(client, "software-install", slot_name="slot-b"))[0] == "FAILED"


@pytest.mark.parametrize(
    ("fault", "status"), [("wrong-checksum", "INTEGRITY_ERROR"), ("install-fails", "APPLICATION_ERROR")]
)
async def test_failed_installation_leaves_an_invalid_slot(
    client: Client, clock: VirtualClock, fault: str, status: str
) -> None:
    client.station.equipment.begin_fault(fault)
    await call(client, "software-download", remote_file_path=IMAGE)
    await event(client, clock)
    await call(client, "software-install", slot_name="slot-b")
    assert await event(client, clock) == ("install-event", status)
    assert (await slots(client))["slot-b"][0] == "INVALID"
    assert (await call(client, "software-activate", slot_name="slot-b"))[0] == "FAILED"
    assert client.station.summary()["network_faults"] == 0


async def test_failed_activation(client: Client, clock: VirtualClock) -> None:
    await install(client, clock)
    client.station.equipment.begin_fault("activation-fails")
    await call(client, "software-activate", slot_name="slot-b")
    assert await event(client, clock) == ("activation-event", "APPLICATION_ERROR")
    assert (await slots(client))["slot-a"][1] == "true"


async def test_build_that_does_not_start_is_left(client: Client, clock: VirtualClock) -> None:
    await install(client, clock)
    await activate(client, clock)
    station = client.station
    station.equipment.begin_fault("boot-fails")
    station.restart()
    clock.advance(61)
    again = await Client(station).greeted()
    assert await version(again) == "24.2.1"
    assert (await slots(again))["slot-a"][1:3] == ("true", "true")


async def test_restart_loses_what_was_under_way(client: Client, clock: VirtualClock) -> None:
    await call(client, "software-download", remote_file_path=IMAGE)
    station = client.station
    station.restart()
    clock.advance(100)
    again = await Client(station).greeted()
    assert (await call(again, "software-install", slot_name="slot-b"))[0] == "FAILED"


async def test_wrong_software_is_cured_by_activating_another_slot(client: Client, clock: VirtualClock) -> None:
    await install(client, clock)
    station = client.station
    station.equipment.begin_fault("wrong-software")
    assert await version(await Client(station).greeted()) == WRONG_VERSION
    assert alarm_ids(station) == [1004]
    station.restart()
    clock.advance(61)
    assert alarm_ids(station) == [1004], "the same build again"
    again = await Client(station).greeted()
    await again.ok(SUBSCRIBE)
    await activate(again, clock)
    station.restart()
    clock.advance(61 + SETTLED)
    assert alarm_ids(station) == []


class TestSupervision:
    async def reset(self, client: Client, interval: int = 60, guard: int = 10) -> str | None:
        reply = await client.rpc(
            f'<supervision-watchdog-reset xmlns="{SUP}">'
            f"<supervision-notification-interval>{interval}</supervision-notification-interval>"
            f"<guard-timer-overhead>{guard}</guard-timer-overhead></supervision-watchdog-reset>"
        )
        return reply.findtext(f"{{{SUP}}}next-update-at")

    async def test_radio_goes_off_when_nobody_resets_it_and_comes_back(
        self, client: Client, clock: VirtualClock
    ) -> None:
        station = client.station
        assert await self.reset(client) == "2026-01-01T00:01:02Z"
        clock.advance(60)
        await client.receive()
        assert [etree.QName(m[1]).localname for m in client.inbox] == ["supervision-notification"]
        client.inbox.clear()
        await self.reset(client)
        clock.advance(69)
        assert station.summary()["cells_on_air"] == 1
        clock.advance(1)
        assert station.summary()["cells_on_air"] == 0
        assert station.equipment.supervision.state == "LOST"
        await self.reset(await Client(station).greeted())
        clock.advance(SETTLED)
        assert station.summary()["cells_on_air"] == 1

    async def test_unsupervised_stations_go_on(self, client: Client, clock: VirtualClock) -> None:
        clock.advance(10_000)
        assert client.station.summary()["cells_on_air"] == 1
        assert client.station.equipment.supervision.state == "OFF"

    async def test_restart_ends_supervision(self, client: Client, clock: VirtualClock) -> None:
        station = client.station
        await self.reset(client)
        station.restart()
        clock.advance(1000)
        assert (station.equipment.supervision.state, station.summary()["cells_on_air"]) == ("OFF", 1)

    async def test_intervals_are_numbers(self, client: Client) -> None:
        tag, _ = await client.error(
            f'<supervision-watchdog-reset xmlns="{SUP}"><guard-timer-overhead>soon</guard-timer-overhead>'
            "</supervision-watchdog-reset>"
        )
        assert tag == "invalid-value"


async def test_equipment_shows_what_is_wrong(client: Client, clock: VirtualClock) -> None:
    station = client.station

    async def shown(name: str) -> str | None:
        data = await client.data(f'<get><filter><equipment xmlns="{EQUIPMENT}"/></filter></get>')
        return data.findtext(f".//{{{EQUIPMENT}}}{name}")

    assert [await shown(n) for n in ("sync-state", "power-source", "battery-charge", "licence")] == [
        *("LOCKED", "MAINS", "100", "VALID")
    ]
    for fault in ("sync-lost", "mains-failure", "licence-gone"):
        station.equipment.begin_fault(fault)
    client.inbox.clear()
    await client.receive()
    client.inbox.clear()
    assert [await shown(n) for n in ("sync-state", "power-source", "licence")] == ["HOLDOVER", "BATTERY", "MISSING"]
    clock.advance(600)
    await client.receive()
    client.inbox.clear()
    charge = int(await shown("battery-charge") or 0)
    assert 85 < charge < 100
    await client.ok(f'<reload-licence xmlns="{EQUIPMENT}"/>')
    before = await shown("last-restart")
    assert before
    clock.advance(2)
    await client.ok(f'<reset-unit xmlns="{EQUIPMENT}"><name>ru-1</name></reset-unit>')
    assert str(await shown("last-restart")) > before
    tag, _ = await client.error(f'<reset-unit xmlns="{EQUIPMENT}"><name>ru-5</name></reset-unit>')
    assert tag == "invalid-value"
