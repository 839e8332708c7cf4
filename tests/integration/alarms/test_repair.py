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
from tests.integration.alarms.system import LTE, LocalSystem, open_system, rules, until


async def test_a_broken_core_link_is_notified_repaired_and_proven(notified: LocalSystem) -> None:
    notified.listen()
    notified.remediate()
    await notified.observed()
    assert notified.devices.counts["subscribed"] == len(notified.fleet.stations)
    notified.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    alarm = await notified.ended(LTE, AlarmState.REPAIRED)
    assert alarm.source is AlarmSource.ORAN_FM
    assert (alarm.tenant, alarm.probable_cause) == ("condor", "core-link-down")
    assert alarm.object.endswith("/EP_S1C[condor-condor-mme-1]")
    run = notified.store.runs.get(alarm.run)
    assert (run.cause, run.requested_by, run.state) == (f"alarm:{alarm.id}", "rule:core-link-down", RunState.SUCCEEDED)
    (change,) = notified.store.plans.get(run.plan).changes
    assert (change.station, change.touched) == (LTE, ("condor",))
    assert notified.fleet.stations[LTE].summary()["links_up"] == notified.fleet.stations[LTE].summary()["links"]
    assert [a.id for a in notified.alarms()] == [alarm.id], "one fault, one alarm"


async def test_a_foreign_edit_is_drift_and_brought_back(system: LocalSystem) -> None:
    before = system.running(LTE)
    system.listen()
    system.remediate()
    await system.observed()
    system.change(LTE, pci="99", tac="777")
    alarm = await system.ended(LTE, AlarmState.REPAIRED)
    assert (alarm.source, alarm.probable_cause) == (AlarmSource.CHECK, "configuration-drift")
    assert system.running(LTE) == before
    assert system.runs_for_alarms() == 1


@pytest.mark.parametrize(
    ("deleted", "severity"),
    [
        pytest.param("<EUtranCellFDD {} ><id>1</id></EUtranCellFDD>", "CRITICAL", id="cell"),
        pytest.param(
            "<EUtranCellFDD><id>1</id><attributes><plmnIdList {}><mcc>999</mcc><mnc>01</mnc></plmnIdList></attributes>"
            "</EUtranCellFDD>",
            "MAJOR",
            id="PLMN",
        ),
    ],
)
async def test_what_a_foreign_client_deletes_of_a_tenant_is_told_to_it_and_put_back(
    system: LocalSystem, deleted: str, severity: str
) -> None:
    before = system.running(LTE)
    system.listen()
    await system.observed()
    system.edit(LTE, deleted.format('xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="delete"'))

    async def told() -> bool:
        return len(system.alarms(LTE)) > 1

    await until("the missing PLMN is an alarm", told)
    drift, *missing = sorted(system.alarms(LTE), key=lambda one: bool(one.root))
    assert drift.probable_cause == "configuration-drift"
    assert {(one.probable_cause, one.severity.value, one.root) for one in missing} == {
        ("plmn-missing", severity, drift.id)
    }
    assert system.store.incidents.get(drift.incident).tenants == (), "the host alone is told of it"
    assert len({one.incident for one in (drift, *missing)}) == 1 + len(missing)
    for alarm in missing:
        incident = system.store.incidents.get(alarm.incident)
        assert (incident.cells, incident.severity.value) == ((f"{LTE}/1",), severity)
        lost = system.store.incidents.losses([alarm.id])
        assert {tenant: one.cells for tenant, one in lost.items()} == {alarm.tenant: (f"{LTE}/1",)}
        assert incident.tenants == (alarm.tenant,)
        assert incident.people > 0
    system.remediate()

    async def repaired() -> bool:
        return all(one.cleared is not None for one in system.alarms(LTE))

    await until("the repair of the drift clears both", repaired)
    assert system.running(LTE) == before
    assert [system.store.alarms.get(one.id).run for one in (drift, *missing)][1:] == [""] * len(missing)


async def test_a_displaced_primary_plmn_keeps_no_repair_back_and_people_hear_what_puts_it_first(
    system: LocalSystem,
) -> None:
    people = FakeNotifier()
    before = system.running(LTE)
    system.edit(
        LTE,
        '<EUtranCellFDD><id>1</id><attributes><tac>777</tac><plmnIdList xmlns:yang="urn:ietf:params:xml:ns:yang:1" '
        'yang:insert="first"><mcc>999</mcc><mnc>02</mnc></plmnIdList></attributes></EUtranCellFDD>',
    )
    system.listen()
    system.remediate(people, rules(verify=2))
    alarm = await system.ended(LTE, AlarmState.ESCALATED)
    assert alarm.probable_cause == "configuration-drift"
    assert "succeeded, yet the alarm stands" in alarm.note
    assert "primary PLMN: 999-02 instead of 999-01; change-primary-plmn puts it first" in alarm.note
    assert "777" not in system.running(LTE)
    assert system.running(LTE) != before, "the order of the list stays"
    assert system.runs_for_alarms() == 1


async def test_a_node_that_drifts_again_after_its_repair_is_left_alone_and_people_are_asked(
    system: LocalSystem,
) -> None:
    people = FakeNotifier()
    system.listen()
    system.remediate(people)
    await system.observed()
    system.change(LTE, tac="777")
    first = await system.ended(LTE, AlarmState.REPAIRED)
    system.change(LTE, tac="777")
    second = await system.ended(LTE, AlarmState.ESCALATED)
    assert second.id != first.id
    assert "777" in system.running(LTE)
    assert system.runs_for_alarms() == 1
    await asyncio.sleep(3)
    assert [alarm.id for alarm, _ in people.sent] == [second.id], "people are told once"
    assert len(system.alarms()) == 2, "what people know of is not raised again"
    # A person repairs it; only then a next fault is a new one.
    system.change(LTE, tac="101")

    async def cleared() -> bool:
        return system.store.alarms.get(second.id).cleared is not None

    await until("the escalated alarm is cleared", cleared)
    assert system.store.alarms.get(second.id).state is AlarmState.ESCALATED


async def test_a_lock_is_no_drift_and_holds_all_repairs_of_its_station(system: LocalSystem) -> None:
    system.listen()
    system.remediate()
    await system.observed()
    system.change(LTE, administrativeState="LOCKED")
    await asyncio.sleep(3)
    assert system.alarms() == []
    system.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    await system.ended(LTE, AlarmState.RAISED)
    await until("the alarm says why it waits", lambda: _note(system, "somebody locked cell 1 outside of Minka"))
    assert "<administrativeState>LOCKED" in system.running(LTE)
    assert system.runs_for_alarms() == 0
    system.change(LTE, administrativeState="UNLOCKED")
    await system.ended(LTE, AlarmState.REPAIRED)


async def test_a_hold_on_one_cell_binds_the_station(system: LocalSystem) -> None:
    system.listen()
    system.remediate()
    await system.observed()
    hold = system.store.holds.add(f"{LTE}/2", "ana", "rigger on the mast", None)
    system.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    await system.ended(LTE, AlarmState.RAISED)
    await until("the alarm says why it waits", lambda: _note(system, f"hold on {LTE}/2 by ana"))
    assert system.runs_for_alarms() == 0
    system.store.holds.end(hold.id, "ana")
    await system.ended(LTE, AlarmState.REPAIRED)


async def test_the_kill_switch_stops_repairs(system: LocalSystem) -> None:
    system.listen()
    system.remediate()
    await system.observed()
    system.store.switches.set(REMEDIATION_STOPPED, True, "ana")
    system.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    system.change("T-LTE-2", tac="777")
    await until("the alarm says why it waits", lambda: _note(system, "automatic repair is stopped by ana"))
    await system.ended("T-LTE-2", AlarmState.RAISED)
    assert system.runs_for_alarms() == 0
    system.store.switches.set(REMEDIATION_STOPPED, False, "ana")
    await system.ended(LTE, AlarmState.REPAIRED)
    await system.ended("T-LTE-2", AlarmState.REPAIRED)


async def test_two_schedulers_start_one_repair(system: LocalSystem) -> None:
    system.listen()
    await system.observed()
    system.remediate()
    system.remediate()
    # Another core node each: three links to one are a core node that is down.
    links = {"T-LTE-1": "andes-andes-mme-1", "T-LTE-2": "andes-andes-mme-2", "T-BOTH-1": "condor-condor-mme-1"}
    for station, link in links.items():
        system.fleet.stations[station].equipment.break_link(link)
    for station in links:
        await system.ended(station, AlarmState.REPAIRED)
    assert system.runs_for_alarms() == 3
    assert len(system.alarms()) == 3


async def test_a_link_that_heals_by_itself_needs_no_repair(system: LocalSystem) -> None:
    system.listen()
    system.remediate(chosen=rules(settle=30))
    await system.observed()
    system.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    await system.ended(LTE, AlarmState.RAISED)
    system.fleet.stations[LTE].equipment.restore_link("condor")
    await system.ended(LTE, AlarmState.CLEARED)
    assert system.runs_for_alarms() == 0


async def test_an_alarm_that_outlives_its_repair_is_escalated(system: LocalSystem) -> None:
    people = FakeNotifier()
    await _report_by_alertmanager(system)
    system.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    system.remediate(people, rules(verify=1))
    # No listener runs, so nobody clears it.
    alarm = await system.ended(LTE, AlarmState.ESCALATED)
    assert system.store.runs.get(alarm.run).state is RunState.SUCCEEDED
    assert re.search(r"succeeded, yet the alarm stands", alarm.note)
    await system.told()
    assert len(people.sent) == 1


async def test_an_alarm_about_a_healthy_object_is_escalated_not_repaired(system: LocalSystem) -> None:
    people = FakeNotifier()
    await _report_by_alertmanager(system)
    system.remediate(people, rules(verify=1))
    alarm = await system.ended(LTE, AlarmState.ESCALATED)
    assert system.runs_for_alarms() == 0
    assert "reports no fault" in alarm.note


async def test_an_unreachable_station_is_an_alarm_but_no_drift(system: LocalSystem) -> None:
    system.listen()
    system.remediate()
    await system.observed()
    station = system.fleet.stations[LTE]
    _refuse_sessions(system)
    await system.ended(LTE, AlarmState.ESCALATED)
    assert [alarm.probable_cause for alarm in system.alarms()] == ["station-unreachable"]
    assert system.store.healths.find([LTE])[LTE].reachable is False
    station.faults.clear()

    async def cleared() -> bool:
        return all(alarm.cleared is not None for alarm in system.alarms(LTE))

    await until("the alarm is cleared", cleared)
    assert system.runs_for_alarms() == 0


async def test_a_changed_host_key_is_an_alarm_of_its_own(system: LocalSystem) -> None:
    system.listen()
    await system.observed()
    station = system.fleet.stations[LTE]
    station.faults.inject(Fault(FaultKind.CHANGED_HOST_KEY, count=None))
    station.restart()
    alarm = await system.ended(LTE, AlarmState.RAISED)
    assert (alarm.probable_cause, alarm.severity) == ("host-key-changed", "CRITICAL")


async def test_what_was_loaded_and_not_applied_is_neither_drift_nor_repaired(system: LocalSystem) -> None:
    digest, network = system.store.networks.get()
    cells = tuple(cell.model_copy(update={"pci": cell.pci + 100}) for cell in network.cells)
    system.store.networks.save(network.model_copy(update={"cells": cells}), "f" * 64, "ana")
    before = system.running(LTE)
    system.listen()
    system.remediate()
    await system.observed()
    system.change(LTE, tac="777")
    await system.ended(LTE, AlarmState.REPAIRED)
    assert system.running(LTE) == before
    assert system.store.devices.find([LTE])[LTE].network_digest == digest


async def test_what_adoption_found_different_is_neither_drift_nor_repaired(tmp_path: Path) -> None:
    async with open_system(tmp_path, before_adoption=_build_by_hand, apply=False) as system:
        system.listen()
        system.remediate()

        async def seen() -> bool:
            return len(system.store.healths.find()) == len(system.fleet.stations)

        await until("all stations are seen", seen)
        await asyncio.sleep(5)
        assert system.alarms() == []
        assert "<pci>99</pci>" in system.running(LTE)
        assert system.store.healths.find([LTE])[LTE].drift == 0


async def test_a_station_under_a_job_is_left_alone(system: LocalSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    await _report_by_alertmanager(system)
    system.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    remediator = system.remediator()
    monkeypatch.setattr(system.store.claims, "busy", lambda _stations: frozenset({LTE}))
    await asyncio.sleep(0.3)
    await remediator.step()
    await remediator.settle()
    assert system.alarms()[0].note == "waits: a job works on the station"
    assert system.runs_for_alarms() == 0


async def test_a_scheduler_killed_before_the_commit_leaves_no_half_repair(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _report_by_alertmanager(system)
    system.fleet.stations[LTE].equipment.break_link("condor-condor-mme-1")
    await asyncio.sleep(0.3)

    def die(*_args: object, **_options: object) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr(system.store.alarms, "move", die)
    remediator = system.remediator()
    await remediator.step()
    await remediator.settle()
    assert system.runs_for_alarms() == 0, "a run without its alarm's state must not exist"
    assert system.store.repairs.count("core-link-down", f"{LTE}:{_LINK}", system.clock.now() - timedelta(hours=1)) == 0
    monkeypatch.undo()
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", "minka-sim")
    other = system.remediator()
    await other.step()
    await other.settle()
    assert system.runs_for_alarms() == 1
    assert system.alarms()[0].state is AlarmState.REPAIRING


_LINK = f"/ManagedElement[{LTE}]/ENBFunction[1]/EP_S1C[condor-condor-mme-1]"


def _build_by_hand(system: LocalSystem) -> None:
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
    system.edit(LTE, f"<attributes>{attributes}</attributes>{cell}")


async def _note(system: LocalSystem, words: str) -> bool:
    return any(alarm.note == f"waits: {words}" for alarm in system.alarms(LTE))


async def _report_by_alertmanager(system: LocalSystem) -> None:
    alert = {
        "status": "firing",
        "labels": {"alertname": "x", "station": LTE, "object": _LINK, "probable_cause": "core-link-down"},
        "startsAt": system.clock.now().isoformat(),
    }
    async with system.client() as client:
        answer = await client.post("/v1/webhooks/alertmanager", json={"version": "4", "alerts": [alert]})
    assert answer.status_code == 200, answer.text


def _refuse_sessions(system: LocalSystem) -> None:
    station = system.fleet.stations[LTE]
    station.faults.inject(Fault(FaultKind.REFUSE_SESSIONS, count=None))
    station.restart()
