"""Alarms of base stations that tell them in the AlarmList alone: provisioned, raised, cleared, and told to tenants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from controller.models.alarm import Alarm, AlarmSource, AlarmState
from simulators.datastore import Path as InstancePath
from simulators.equipment.alarms import Alarm as StationAlarm
from simulators.fleet.push import ves_event
from simulators.netconf.profiles import PROFILES
from tests.integration.alarms.system import LTE, NR, LocalSystem, open_system, until
from tests.integration.alarms.test_tenants_told import SHARED, TENANTS

#: Fault → probable cause and object of the alarm that its record makes.
TOLD = {
    "vswr": ("3gpp-transmitter-problem", "/ManagedElement[{}]/RadioUnit[ru-1]"),
    "sync-lost": ("3gpp-timing-problem", "station"),
    "fan": ("3gpp-cooling-fan-failure", "station"),
    "mains-failure": ("mains-lost", "station"),
    "power-supply": ("3gpp-power-supply-failure", "station"),
    "licence-gone": ("3gpp-licence-missing", "station"),
    "wrong-software": ("3gpp-software-error", "station"),
}


def _vendor(profile: str, *stations: str) -> Callable[[LocalSystem], None]:
    def prepare(system: LocalSystem) -> None:
        for station in stations:
            system.fleet.stations[station].change_profile(PROFILES[profile])

    return prepare


def _standing(system: LocalSystem, station: str) -> set[tuple[str, str]]:
    return {(one.probable_cause, one.object) for one in system.alarms(station) if one.cleared is None}


async def test_what_a_list_tells_is_raised_cleared_and_reported_though_nobody_listened(tmp_path: Path) -> None:
    prepare = _vendor("alarm-list-only", LTE, NR)
    async with open_system(tmp_path, interval=0.5, before_adoption=prepare) as system:
        for station in (LTE, NR):
            assert "<AlarmList><id>1</id><attributes><administrativeState>UNLOCKED<" in system.running(station)
            for fault in TOLD:
                system.fleet.stations[station].equipment.begin_fault(fault)
        system.listen()
        wanted = {at: {(cause, what.format(at)) for cause, what in TOLD.values()} for at in (LTE, NR)}

        async def raised() -> bool:
            return all(wanted[at] <= _standing(system, at) for at in wanted)

        await until("all faults are raised", raised)
        for station, tenants in SHARED.items():
            alarms = [one for one in system.alarms(station) if (one.probable_cause, one.object) in wanted[station]]
            assert {one.source for one in alarms} == {AlarmSource.ALARM_LIST}
            assert {one.tenants for one in alarms} == {tenants}
            # Nobody hears that they end.
            system.fleet.stations[station].server.drop_sessions()
            system.fleet.stations[station].equipment.faults.clear()

        async def over() -> bool:
            return not any(_standing(system, at) for at in wanted)

        await until("all faults are over", over)
        assert all(_once(system.alarms(at)) for at in wanted)
        for station in wanted:
            records = tuple(system.fleet.stations[station].equipment.alarms.records)
            assert all(record.cleared for record in records), "they stay in the list, and are no alarms"
            assert len(records) >= len(TOLD)
        for tenant in TENANTS:
            told = {one.station for one in system.alarms() if tenant in one.tenants}
            assert told == {station for station, tenants in SHARED.items() if tenant in tenants}


def _once(alarms: list[Alarm]) -> bool:
    problems = [(one.object, one.tenant, one.probable_cause, one.specific_problem) for one in alarms]
    return len(problems) == len(set(problems))


async def test_a_list_that_is_locked_clears_nothing(tmp_path: Path) -> None:
    async with open_system(tmp_path, interval=0.5, before_adoption=_vendor("alarm-list-only", NR)) as system:
        station = system.fleet.stations[NR]
        station.equipment.begin_fault("fan")
        system.listen()
        alarm = await system.ended(NR, AlarmState.RAISED)
        station.overwrite(station.running.with_leaf(_list_of(NR), "administrativeState", "LOCKED"))
        station.equipment.faults.clear()
        reads = system.store.healths.find([NR])[NR].at

        async def read_on() -> bool:
            return (system.store.healths.find([NR])[NR].at - reads).total_seconds() > 2

        await until("the station is read again", read_on)
        assert system.store.alarms.get(alarm.id).cleared is None
        station.overwrite(station.running.with_leaf(_list_of(NR), "administrativeState", "UNLOCKED"))

        async def cleared() -> bool:
            return system.store.alarms.get(alarm.id).cleared is not None

        await until("the fault is over", cleared)


def _list_of(station: str) -> InstancePath:
    return ("ManagedElement", station), ("AlarmList", "1"), "attributes"


async def test_a_fault_that_a_station_tells_in_both_ways_is_one_alarm(tmp_path: Path) -> None:
    async with open_system(tmp_path, interval=0.5, profile="alarms-twice") as system:
        system.listen()
        await system.observed()
        for fault in TOLD:
            system.fleet.stations[LTE].equipment.begin_fault(fault)

        async def raised() -> bool:
            return len(system.alarms(LTE)) >= len(TOLD)

        await until("all faults are raised", raised)
        (before,) = system.store.healths.find([LTE]).values()

        async def read_on() -> bool:
            return (system.store.healths.find([LTE])[LTE].at - before.at).total_seconds() > 2

        await until("the station is read again", read_on)
        said = [one.text for one in system.alarms(LTE) if not one.object.startswith("/")]
        assert len(said) == len(set(said)) >= len(TOLD) - 1


async def test_a_list_that_a_restart_builds_anew_tells_of_the_same_alarms(tmp_path: Path) -> None:
    async with open_system(tmp_path, interval=0.5, profile="alarm-list-rebuilt") as system:
        station = system.fleet.stations[NR]
        for fault in ("wrong-software", "fan"):
            station.equipment.begin_fault(fault)
        system.listen()
        wanted = {("3gpp-software-error", "station"), ("3gpp-cooling-fan-failure", "station")}

        async def raised() -> bool:
            return _standing(system, NR) == wanted

        await until("both are raised", raised)
        station.equipment.faults.end(next(iter(station.equipment.faults)))
        station.restart()
        (record,) = station.equipment.alarms.records
        assert (record.id, record.alarm.problem) == ("a-000001", "fan broken"), "it has the other one's id now"

        async def told() -> bool:
            return _standing(system, NR) == {("3gpp-cooling-fan-failure", "station")}

        await until("the one that is over is cleared", told)
        assert [one.probable_cause for one in system.alarms(NR)].count("3gpp-cooling-fan-failure") == 1


async def test_a_station_that_locks_its_list_again_is_left_as_it_was(tmp_path: Path) -> None:
    async with open_system(tmp_path, profile="alarm-list-locked", apply=False) as system:
        with pytest.raises(AssertionError, match=r"AlarmList\[1\] administrativeState: LOCKED instead of UNLOCKED"):
            await system.provision()
        assert "EUtranCellFDD" not in system.running(LTE)


async def test_an_acknowledgement_goes_to_the_station_and_one_at_the_station_is_read_back(tmp_path: Path) -> None:
    async with (
        open_system(tmp_path, interval=0.5, before_adoption=_vendor("alarm-list-only", NR)) as system,
        system.client() as client,
    ):
        equipment = system.fleet.stations[NR].equipment
        fault = equipment.begin_fault("fan")
        system.listen()
        alarm = await system.ended(NR, AlarmState.RAISED)
        said = (await client.post(f"/v1/alarms/{alarm.id}/acknowledge")).json()
        assert (said["alarm"]["id"], bool(said["run"])) == (alarm.id, True)
        who = said["alarm"]["acknowledged_by"]

        async def told() -> bool:
            return all(record.acknowledged for record in equipment.alarms.records)

        await until("the station shows it", told)
        assert f"<ackUserId>{who}</ackUserId>" in system.running(NR)
        again = (await client.post(f"/v1/alarms/{alarm.id}/acknowledge")).json()
        assert (again["run"], again["alarm"]["acknowledged"]) == ("", said["alarm"]["acknowledged"])
        equipment.faults.end(fault)
        await system.ended(NR, AlarmState.CLEARED)
        assert not list(equipment.alarms.records), "it was acknowledged and is over"

        equipment.begin_fault("licence-gone")

        async def raised() -> bool:
            return ("3gpp-licence-missing", "station") in _standing(system, NR)

        await until("another one is raised", raised)
        (alarm,) = (one for one in system.alarms(NR) if one.probable_cause == "3gpp-licence-missing")
        for record in equipment.alarms.records:
            _acknowledge_at(system, record.id)

        async def read_back() -> bool:
            return system.store.alarms.get(alarm.id).acknowledged_by == "technician"

        await until("the acknowledgement at the station is read back", read_back)


def _acknowledge_at(system: LocalSystem, record: str) -> None:
    text = (
        f'<ManagedElement xmlns="urn:3gpp:sa5:_3gpp-common-managed-element"><id>{NR}</id>'
        "<AlarmList><id>1</id><attributes>"
        f"<alarmRecords><alarmId>{record}</alarmId><ackUserId>technician</ackUserId><ackState>ACKNOWLEDGED</ackState>"
        "</alarmRecords></attributes></AlarmList></ManagedElement>"
    )
    system.fleet.stations[NR].datastores.foreign_edit(etree.fromstring(text))


async def test_a_fault_by_ves_and_in_the_list_is_one_alarm(tmp_path: Path) -> None:
    async with open_system(tmp_path, interval=0.5, before_adoption=_vendor("alarm-list-only", LTE)) as system:
        events: list[Any] = []

        def tell(station: str, alarm: StationAlarm, raised: bool, when: datetime, number: int = 1) -> None:
            events.append(ves_event(station, alarm, raised, when, len(events)))

        system.fleet.listen(alarms=tell)
        faults = ("vswr", "sync-lost")
        for fault in faults:
            system.fleet.stations[LTE].equipment.begin_fault(fault)
        wanted = {(cause, what.format(LTE)) for cause, what in (TOLD[fault] for fault in faults)}
        async with system.client() as client:
            assert (await client.post("/eventListener/v7", json=events[0])).status_code == 202
            system.listen()

            async def raised() -> bool:
                return wanted <= _standing(system, LTE)

            await until("both faults are raised", raised)
            batch = {"eventList": [one["event"] for one in events]}
            assert (await client.post("/eventListener/v7/eventBatch", json=batch)).status_code == 202
            told = [one for one in system.alarms(LTE) if (one.probable_cause, one.object) in wanted]
            assert {one.source for one in told} == {AlarmSource.ALARM_LIST}, "what the list says too is the list's"
            assert all(one.count >= 2 for one in told)
            assert len(told) == 2
