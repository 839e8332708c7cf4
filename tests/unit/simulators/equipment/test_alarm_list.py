"""The 3GPP AlarmList: locked unless somebody unlocks it; records leave once cleared and acknowledged."""

from __future__ import annotations

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.station import Station
from tests.unit.simulators.netconf.bench import ME, Client, edit

Record = dict[str, str | None]


def config(content: str) -> str:
    return (
        f'<ManagedElement xmlns="{ME}"><id>T-LTE-1</id><AlarmList><id>1</id><attributes>{content}</attributes>'
        "</AlarmList></ManagedElement>"
    )


@pytest.fixture
async def client(station: Station) -> Client:
    return await Client(station).greeted()


async def write(client: Client, content: str) -> None:
    await client.ok(edit(config(content)))
    await client.ok("<commit/>")


async def records(client: Client) -> list[Record]:
    data = await client.data(f'<get><filter><ManagedElement xmlns="{ME}"><AlarmList/></ManagedElement></filter></get>')
    attributes = data.find(f".//{{{ME}}}AlarmList/{{{ME}}}attributes")
    assert attributes is not None
    found = [
        {etree.QName(leaf).localname: leaf.text for leaf in record}
        for record in attributes.iterchildren(f"{{{ME}}}alarmRecords")
    ]
    assert attributes.findtext(f"{{{ME}}}numOfAlarmRecords") == str(len(found))
    return found


UNLOCK = "<administrativeState>UNLOCKED</administrativeState>"


async def test_locked_list_is_not_updated(client: Client, station: Station) -> None:
    station.equipment.begin_fault("vswr")
    assert await records(client) == []


async def test_unlocked_list_holds_what_is_active(client: Client, station: Station, clock: VirtualClock) -> None:
    station.equipment.begin_fault("vswr")
    await write(client, UNLOCK)
    (record,) = await records(client)
    assert record == {
        "alarmId": "a-000001",
        "objectInstance": "ManagedElement=T-LTE-1,ENBFunction=1,EUtranCellFDD=1",
        "notificationId": "1",
        "alarmRaisedTime": "2026-01-01T00:00:02Z",
        "alarmType": "EQUIPMENT_ALARM",
        "probableCause": "transmitterProblem",
        "specificProblem": "9 ru-1",
        "perceivedSeverity": "MAJOR",
        "additionalText": "VSWR above limit",
        "ackState": "UNACKNOWLEDGED",
        "proposedRepairActions": "visit antenna and feeder",
    }
    station.equipment.begin_fault("fan")
    assert [record["specificProblem"] for record in await records(client)] == ["9 ru-1", "5 fan-1"]


async def test_cleared_record_stays_until_it_is_acknowledged(
    client: Client, station: Station, clock: VirtualClock
) -> None:
    await write(client, UNLOCK)
    station.equipment.begin_fault("vswr")
    station.equipment.faults.clear()
    (record,) = await records(client)
    assert (record["perceivedSeverity"], record["ackState"]) == ("CLEARED", "UNACKNOWLEDGED")
    await write(client, "<alarmRecords><alarmId>a-000001</alarmId><ackState>ACKNOWLEDGED</ackState></alarmRecords>")
    clock.advance(0)
    assert await records(client) == []
    assert "alarmRecords" not in station.datastores.running.to_text()


async def test_acknowledged_record_stays_until_it_is_cleared(
    client: Client, station: Station, clock: VirtualClock
) -> None:
    await write(client, UNLOCK)
    station.equipment.begin_fault("vswr")
    await write(client, "<alarmRecords><alarmId>a-000001</alarmId><ackState>ACKNOWLEDGED</ackState></alarmRecords>")
    clock.advance(0)
    (record,) = await records(client)
    assert (record["perceivedSeverity"], record["ackState"]) == ("MAJOR", "ACKNOWLEDGED")
    station.equipment.faults.clear()
    clock.advance(0)
    assert await records(client) == []


async def test_locking_freezes_the_list(client: Client, station: Station, clock: VirtualClock) -> None:
    await write(client, UNLOCK)
    station.equipment.begin_fault("vswr")
    await write(client, UNLOCK.replace("UNLOCKED", "LOCKED"))
    station.equipment.faults.clear()
    station.equipment.begin_fault("fan")
    assert [record["perceivedSeverity"] for record in await records(client)] == ["MAJOR"]
    await write(client, UNLOCK)
    assert [record["perceivedSeverity"] for record in await records(client)] == ["CLEARED", "MINOR"]


async def test_changed_severity_is_one_record(client: Client, station: Station, clock: VirtualClock) -> None:
    await write(client, UNLOCK)
    trouble = station.equipment.begin_fault("mains-failure", seed="3")
    assert trouble.lasts is not None
    clock.advance(min(trouble.begins[1], trouble.lasts - 1))
    found = [r for r in station.equipment.alarms.records if r.alarm.fault_id == 26]
    assert len(found) == 1
