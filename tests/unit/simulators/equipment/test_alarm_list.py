"""The 3GPP AlarmList: locked unless somebody unlocks it; records leave once cleared and acknowledged."""

from __future__ import annotations

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.netconf.profiles import PROFILES
from simulators.station import Station
from tests.unit.simulators.netconf.bench import ME, Client, edit

ALARM_LIST = etree.XML(f'<filter><ManagedElement xmlns="{ME}"><AlarmList/></ManagedElement></filter>')
Record = dict[str, str | None]


def config(content: str) -> str:
    return (
        f'<ManagedElement xmlns="{ME}"><id>T-LTE-1</id><AlarmList><id>1</id><attributes>{content}</attributes>'
        "</AlarmList></ManagedElement>"
    )


@pytest.fixture
async def client(station: Station) -> Client:
    return await Client(station).greeted()


async def speaking(station: Station, profile: str) -> Client:
    """A client of the station with another vendor's software."""
    station.change_profile(PROFILES[profile])
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
    station.equipment.begin_fault("fan")
    assert await records(client) == []


async def test_unlocked_list_holds_what_is_active(client: Client, station: Station, clock: VirtualClock) -> None:
    station.equipment.begin_fault("fan")
    clock.advance(60)
    await write(client, UNLOCK)
    (record,) = await records(client)
    assert record == {
        "alarmId": "a-000001",
        "objectInstance": "ManagedElement=T-LTE-1",
        "notificationId": "1",
        "alarmRaisedTime": "2026-01-01T00:00:02Z",
        "alarmType": "EQUIPMENT_ALARM",
        "probableCause": "coolingFanFailure",
        "specificProblem": "fan broken",
        "perceivedSeverity": "MINOR",
        "additionalText": "fan broken",
        "ackState": "UNACKNOWLEDGED",
        "proposedRepairActions": "replace the fan",
    }
    station.equipment.begin_fault("licence-gone")
    assert {(record["objectInstance"], record["specificProblem"]) for record in await records(client)} == {
        ("ManagedElement=T-LTE-1", "fan broken"),
        ("ManagedElement=T-LTE-1", "licence missing"),
        ("ManagedElement=T-LTE-1,ENBFunction=1,EUtranCellFDD=1", "cell is out of service"),
    }


async def test_radio_units_tell_their_faults_and_the_base_station_what_follows(
    client: Client, station: Station
) -> None:
    await write(client, UNLOCK)
    station.equipment.begin_fault("vswr")
    assert await records(client) == []
    station.equipment.begin_fault("sfp")
    (record,) = await records(client)
    assert record["specificProblem"] == "cell is out of service"
    assert {alarm.fault_id for alarm in station.equipment.alarms.notified} == {9, 29}


async def test_station_that_tells_all_twice(station: Station) -> None:
    client = await speaking(station, "alarms-twice")
    await write(client, UNLOCK)
    station.equipment.begin_fault("vswr")
    station.equipment.begin_fault("fan")
    assert [record["specificProblem"] for record in await records(client)] == ["VSWR above limit", "fan broken"]
    assert [alarm.fault_id for alarm in station.equipment.alarms.notified] == [9, 5]


async def test_cleared_record_stays_until_it_is_acknowledged(
    client: Client, station: Station, clock: VirtualClock
) -> None:
    await write(client, UNLOCK)
    station.equipment.begin_fault("fan")
    station.equipment.faults.clear()
    (record,) = await records(client)
    assert (record["perceivedSeverity"], record["ackState"]) == ("CLEARED", "UNACKNOWLEDGED")
    assert (record["alarmClearedTime"], record["notificationId"]) == ("2026-01-01T00:00:02Z", "2")
    await write(client, "<alarmRecords><alarmId>a-000001</alarmId><ackState>ACKNOWLEDGED</ackState></alarmRecords>")
    clock.advance(0)
    assert await records(client) == []
    assert "alarmRecords" not in station.datastores.running.to_text()


ACKNOWLEDGE = (
    "<alarmRecords><alarmId>a-000001</alarmId><ackUserId>ana</ackUserId><ackSystemId>minka</ackSystemId>"
    "<ackState>ACKNOWLEDGED</ackState></alarmRecords>"
)


async def test_acknowledged_record_stays_until_it_is_cleared(
    client: Client, station: Station, clock: VirtualClock
) -> None:
    await write(client, UNLOCK)
    station.equipment.begin_fault("fan")
    clock.advance(60)
    await write(client, ACKNOWLEDGE)
    (record,) = await records(client)
    assert (record["perceivedSeverity"], record["ackState"], record["ackTime"]) == (
        *("MINOR", "ACKNOWLEDGED"),
        "2026-01-01T00:01:02Z",
    )
    assert (record["ackUserId"], record["ackSystemId"], record["notificationId"]) == ("ana", "minka", "2")
    assert await modified(client) == "2026-01-01T00:01:02Z"
    await write(client, ACKNOWLEDGE.replace("ACKNOWLEDGED", "UNACKNOWLEDGED"))
    assert [record["ackState"] for record in await records(client)] == ["UNACKNOWLEDGED"]
    await write(client, ACKNOWLEDGE)
    clock.advance(60)
    station.equipment.faults.clear()
    clock.advance(0)
    assert await records(client) == []
    assert await modified(client) == "2026-01-01T00:02:02Z"


async def modified(client: Client) -> str | None:
    return (await client.data("<get/>")).findtext(f".//{{{ME}}}AlarmList/{{{ME}}}attributes/{{{ME}}}lastModification")


async def test_what_happens_while_nobody_is_connected_is_recorded(
    client: Client, station: Station, clock: VirtualClock
) -> None:
    await write(client, UNLOCK)
    await client.ok("<close-session/>")
    station.equipment.begin_fault("fan")
    station.equipment.faults.clear()
    (record,) = await records(await Client(station).greeted())
    assert (record["specificProblem"], record["perceivedSeverity"]) == ("fan broken", "CLEARED")


CLEAR = ACKNOWLEDGE.replace("ackState>", "perceivedSeverity>").replace("ACKNOWLEDGED", "CLEARED")


async def test_managers_do_not_clear_alarms(client: Client) -> None:
    assert (await client.error(edit(config(CLEAR))))[0] == "operation-not-supported"


async def test_locking_freezes_the_list(client: Client, station: Station, clock: VirtualClock) -> None:
    await write(client, UNLOCK)
    station.equipment.begin_fault("wrong-software")
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
    (found,) = [r for r in station.equipment.alarms.records if r.alarm.fault_id == 1006]
    assert (found.to_state()["specificProblem"], found.changed) == ("mains lost", clock.now())


async def test_station_without_alarm_list_tells_all_by_o_ran_fm(station: Station) -> None:
    client = await speaking(station, "oran-fm-only")
    assert all("FmUnderManagedElement" not in name for name in station.server.capabilities)
    assert "AlarmList" not in etree.tostring(await client.data("<get/>")).decode()
    assert (await client.error(edit(config(UNLOCK))))[0] == "unknown-element"
    station.equipment.begin_fault("fan")
    assert [alarm.fault_id for alarm in station.equipment.alarms.notified] == [5]
    again = await speaking(station, "standard")
    assert await records(again) == []


async def test_station_without_o_ran_fm_lists_all(station: Station) -> None:
    client = await speaking(station, "alarm-list-only")
    assert not any(name.startswith("urn:o-ran:fm") for name in station.server.capabilities)
    await write(client, UNLOCK)
    station.equipment.begin_fault("vswr", "ru-1")
    (record,) = await records(client)
    assert (record["objectInstance"], record["probableCause"]) == (
        "ManagedElement=T-LTE-1,RadioUnit=ru-1",
        "transmitterProblem",
    )
    assert "active-alarm-list" not in etree.tostring(await client.data("<get/>")).decode()


async def test_list_that_locks_itself_stays_empty(station: Station, clock: VirtualClock) -> None:
    client = await speaking(station, "alarm-list-locked")
    await write(client, UNLOCK)
    station.equipment.begin_fault("fan")
    clock.advance(0)
    assert await records(client) == []
    assert UNLOCK not in station.datastores.running.to_text(filter=ALARM_LIST)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("standard", {("a-000001", "4", "UNACKNOWLEDGED"), ("a-000002", "3", "ACKNOWLEDGED")}),
        ("alarm-list-rebuilt", {("a-000001", "1", "UNACKNOWLEDGED")}),
    ],
)
async def test_list_is_kept_over_a_restart_or_rebuilt(
    station: Station, profile: str, expected: set[tuple[str, str, str]]
) -> None:
    client = await speaking(station, profile)
    await write(client, UNLOCK)
    first = station.equipment.begin_fault("wrong-software")
    station.equipment.begin_fault("fan")
    await write(client, ACKNOWLEDGE.replace("000001", "000002"))
    station.equipment.faults.end(first)
    station.restart()
    found = await records(await Client(station).greeted())
    assert {(one["alarmId"], one["notificationId"], one["ackState"]) for one in found} == expected
