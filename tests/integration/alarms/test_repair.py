"""From a fault on a station to repaired or escalated, on the real path but for processes."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest

from controller.models.alarm import REMEDIATION_STOPPED, AlarmSource, AlarmState
from controller.models.run import RunState
from controller.ports.notifier import FakeNotifier
from simulators.netconf.faults import Fault, FaultKind
from tests.integration.alarms.house import LTE, House, open_house, rules, until


async def test_a_broken_core_link_is_notified_repaired_and_proven(house: House) -> None:
    house.listen()
    house.remediate()
    await house.observed()
    assert house.devices.counts["subscribed"] == len(house.fleet.stations)
    house.fleet.stations[LTE].equipment.break_link("condor")
    alarm = await house.ended(LTE, AlarmState.REPAIRED)
    assert alarm.source is AlarmSource.ORAN_FM
    assert (alarm.tenant, alarm.probable_cause) == ("condor", "core-link-down")
    assert alarm.object.endswith("/EP_S1C[condor-condor-mme-1]")
    run = house.store.runs.get(alarm.run)
    assert (run.cause, run.requested_by, run.state) == (f"alarm:{alarm.id}", "rule:core-link-down", RunState.SUCCEEDED)
    (change,) = house.store.plans.get(run.plan).changes
    assert (change.station, change.touched) == (LTE, ("condor",))
    assert house.fleet.stations[LTE].summary()["links_up"] == house.fleet.stations[LTE].summary()["links"]
    assert [a.id for a in house.alarms()] == [alarm.id], "one fault, one alarm"


async def test_a_foreign_edit_is_drift_and_brought_back(house: House) -> None:
    before = house.running(LTE)
    house.listen()
    house.remediate()
    await house.observed()
    house.change(LTE, pci="99", tac="777")
    alarm = await house.ended(LTE, AlarmState.REPAIRED)
    assert (alarm.source, alarm.probable_cause) == (AlarmSource.CHECK, "configuration-drift")
    assert house.running(LTE) == before
    assert house.runs_for_alarms() == 1


async def test_a_node_that_drifts_again_after_its_repair_is_left_alone_and_people_are_asked(house: House) -> None:
    people = FakeNotifier()
    house.listen()
    house.remediate(people)
    await house.observed()
    house.change(LTE, tac="777")
    first = await house.ended(LTE, AlarmState.REPAIRED)
    house.change(LTE, tac="777")
    second = await house.ended(LTE, AlarmState.ESCALATED)
    assert second.id != first.id
    assert "777" in house.running(LTE)
    assert house.runs_for_alarms() == 1
    await asyncio.sleep(3)
    assert [alarm.id for alarm, _ in people.sent] == [second.id], "people are told once"
    assert len(house.alarms()) == 2, "what people know of is not raised anew"
    # A person repairs it; only then a next fault is a new one.
    house.change(LTE, tac="101")

    async def cleared() -> bool:
        return house.store.alarms.get(second.id).cleared is not None

    await until("the escalated alarm is cleared", cleared)
    assert house.store.alarms.get(second.id).state is AlarmState.ESCALATED


async def test_a_lock_is_no_drift_and_holds_all_repairs_of_its_station(house: House) -> None:
    house.listen()
    house.remediate()
    await house.observed()
    house.change(LTE, administrativeState="LOCKED")
    await asyncio.sleep(3)
    assert house.alarms() == []
    house.fleet.stations[LTE].equipment.break_link("condor")
    await house.ended(LTE, AlarmState.RAISED)
    await until("the alarm says why it waits", lambda: _note(house, "somebody else locked cell 1"))
    assert "<administrativeState>LOCKED" in house.running(LTE)
    assert house.runs_for_alarms() == 0
    house.change(LTE, administrativeState="UNLOCKED")
    await house.ended(LTE, AlarmState.REPAIRED)


async def test_a_hold_on_one_cell_binds_the_station(house: House) -> None:
    house.listen()
    house.remediate()
    await house.observed()
    hold = house.store.holds.add(f"{LTE}/2", "ana", "rigger on the mast", None)
    house.fleet.stations[LTE].equipment.break_link("condor")
    await house.ended(LTE, AlarmState.RAISED)
    await until("the alarm says why it waits", lambda: _note(house, f"hold on {LTE}/2 by ana"))
    assert house.runs_for_alarms() == 0
    house.store.holds.end(hold.id, "ana")
    await house.ended(LTE, AlarmState.REPAIRED)


async def test_the_kill_switch_stops_repairs(house: House) -> None:
    house.listen()
    house.remediate()
    await house.observed()
    house.store.switches.set(REMEDIATION_STOPPED, True, "ana")
    house.fleet.stations[LTE].equipment.break_link("condor")
    house.change("T-LTE-2", tac="777")
    await until("the alarm says why it waits", lambda: _note(house, "automatic repair is stopped by ana"))
    await house.ended("T-LTE-2", AlarmState.RAISED)
    assert house.runs_for_alarms() == 0
    house.store.switches.set(REMEDIATION_STOPPED, False, "ana")
    await house.ended(LTE, AlarmState.REPAIRED)
    await house.ended("T-LTE-2", AlarmState.REPAIRED)


async def test_two_schedulers_start_one_repair(house: House) -> None:
    house.listen()
    await house.observed()
    house.remediate()
    house.remediate()
    for station in ("T-LTE-1", "T-LTE-2", "T-BOTH-1"):
        house.fleet.stations[station].equipment.break_link("andes-andes-mme-1")
    for station in ("T-LTE-1", "T-LTE-2", "T-BOTH-1"):
        await house.ended(station, AlarmState.REPAIRED)
    assert house.runs_for_alarms() == 3
    assert len(house.alarms()) == 3


async def test_a_link_that_heals_by_itself_needs_no_repair(house: House) -> None:
    house.listen()
    house.remediate(chosen=rules(settle=30))
    await house.observed()
    house.fleet.stations[LTE].equipment.break_link("condor")
    await house.ended(LTE, AlarmState.RAISED)
    house.fleet.stations[LTE].equipment.restore_link("condor")
    await house.ended(LTE, AlarmState.CLEARED)
    assert house.runs_for_alarms() == 0


async def test_an_alarm_that_outlives_its_repair_is_escalated(house: House) -> None:
    people = FakeNotifier()
    await _report_by_alertmanager(house)
    house.fleet.stations[LTE].equipment.break_link("condor")
    house.remediate(people, rules(verify=1))
    # No listener runs, so nobody clears it.
    alarm = await house.ended(LTE, AlarmState.ESCALATED)
    assert house.store.runs.get(alarm.run).state is RunState.SUCCEEDED
    assert re.search(r"succeeded, yet the alarm stands", alarm.note)
    await house.told()
    assert len(people.sent) == 1


async def test_an_alarm_about_a_healthy_object_is_escalated_not_repaired(house: House) -> None:
    people = FakeNotifier()
    await _report_by_alertmanager(house)
    house.remediate(people, rules(verify=1))
    alarm = await house.ended(LTE, AlarmState.ESCALATED)
    assert house.runs_for_alarms() == 0
    assert "nothing is wrong" in alarm.note


async def test_an_unreachable_station_is_an_alarm_but_no_drift(house: House) -> None:
    house.listen()
    house.remediate()
    await house.observed()
    station = house.fleet.stations[LTE]
    _refuse_sessions(house)
    await house.ended(LTE, AlarmState.RAISED)
    assert [alarm.probable_cause for alarm in house.alarms()] == ["station-unreachable"]
    assert house.store.healths.find([LTE])[LTE].reachable is False
    station.faults.clear()
    await house.ended(LTE, AlarmState.CLEARED)
    assert house.runs_for_alarms() == 0


async def test_a_changed_host_key_is_an_alarm_of_its_own(house: House) -> None:
    house.listen()
    await house.observed()
    station = house.fleet.stations[LTE]
    station.faults.inject(Fault(FaultKind.CHANGED_HOST_KEY, count=None))
    station.restart()
    alarm = await house.ended(LTE, AlarmState.RAISED)
    assert (alarm.probable_cause, alarm.severity) == ("host-key-changed", "CRITICAL")


async def test_what_was_loaded_and_not_applied_is_neither_drift_nor_repaired(house: House) -> None:
    digest, network = house.store.networks.get()
    cells = tuple(cell.model_copy(update={"pci": cell.pci + 100}) for cell in network.cells)
    house.store.networks.save(network.model_copy(update={"cells": cells}), "f" * 64, "ana")
    before = house.running(LTE)
    house.listen()
    house.remediate()
    await house.observed()
    house.change(LTE, tac="777")
    await house.ended(LTE, AlarmState.REPAIRED)
    assert house.running(LTE) == before
    assert house.store.devices.find([LTE])[LTE].network_digest == digest


async def test_what_adoption_found_different_is_neither_drift_nor_repaired(tmp_path: Path) -> None:
    async with open_house(tmp_path, before_adoption=_build_by_hand, apply=False) as house:
        house.listen()
        house.remediate()

        async def seen() -> bool:
            return len(house.store.healths.find()) == len(house.fleet.stations)

        await until("all stations are seen", seen)
        await asyncio.sleep(5)
        assert house.alarms() == []
        assert "<pci>99</pci>" in house.running(LTE)
        assert house.store.healths.find([LTE])[LTE].drift == 0


async def test_a_station_under_a_job_is_left_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await _report_by_alertmanager(house)
    house.fleet.stations[LTE].equipment.break_link("condor")
    remediator = house.remediator()
    monkeypatch.setattr(house.store.claims, "busy", lambda _stations: frozenset({LTE}))
    await asyncio.sleep(0.3)
    await remediator.step()
    await remediator.settle()
    assert house.alarms()[0].note == "waits: a job works on the station"
    assert house.runs_for_alarms() == 0


async def test_a_scheduler_killed_before_the_commit_leaves_no_half_repair(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _report_by_alertmanager(house)
    house.fleet.stations[LTE].equipment.break_link("condor")
    await asyncio.sleep(0.3)

    def die(*_args: object, **_options: object) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr(house.store.alarms, "move", die)
    remediator = house.remediator()
    await remediator.step()
    await remediator.settle()
    assert house.runs_for_alarms() == 0, "a run without its alarm's state must not exist"
    assert house.store.repairs.count("core-link-down", f"{LTE}:{_LINK}", house.clock.now() - timedelta(hours=1)) == 0
    monkeypatch.undo()
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    other = house.remediator()
    await other.step()
    await other.settle()
    assert house.runs_for_alarms() == 1
    assert house.alarms()[0].state is AlarmState.REPAIRING


_LINK = f"/ManagedElement[{LTE}]/ENBFunction[1]/EP_S1C[condor-condor-mme-1]"


def _build_by_hand(house: House) -> None:
    """A station that was there before Minka: one of its cells, with another PCI than the files say."""
    plmn = "<mcc>999</mcc><mnc>01</mnc>"
    cell = (
        f"<EUtranCellFDD><id>1</id><attributes><priorityLabel>1</priorityLabel><cellLocalId>1</cellLocalId>"
        f"<plmnIdList>{plmn}</plmnIdList><tac>101</tac><pci>99</pci><earfcnDl>9410</earfcnDl>"
        f"<earfcnUl>27410</earfcnUl><dlChannelBandwidth>10</dlChannelBandwidth>"
        f"<ulChannelBandwidth>10</ulChannelBandwidth><administrativeState>UNLOCKED</administrativeState>"
        f"</attributes></EUtranCellFDD>"
    )
    attributes = (
        f"<priorityLabel>1</priorityLabel><eNBId>1001</eNBId><eNBIdLength>20</eNBIdLength><pLMNId>{plmn}</pLMNId>"
    )
    house.edit(LTE, f"<attributes>{attributes}</attributes>{cell}")


async def _note(house: House, words: str) -> bool:
    return any(alarm.note == f"waits: {words}" for alarm in house.alarms(LTE))


async def _report_by_alertmanager(house: House) -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": "x", "station": LTE, "object": _LINK, "probable_cause": "core-link-down"},
        "startsAt": house.clock.now().isoformat(),
    }
    async with house.client() as client:
        answer = await client.post("/v1/webhooks/alertmanager", json={"version": "4", "alerts": [alert]})
    assert answer.status_code == 200, answer.text


def _refuse_sessions(house: House) -> None:
    station = house.fleet.stations[LTE]
    station.faults.inject(Fault(FaultKind.REFUSE_SESSIONS, count=None))
    station.restart()
