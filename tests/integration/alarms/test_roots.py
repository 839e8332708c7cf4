"""What stations have in common and has failed is one root: no device is touched for what follows from it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from controller.models.alarm import Alarm, AlarmState, ObjectClass
from controller.ports.store import Page
from controller.store import incident_rows
from simulators.connections import Outage
from tests.integration.alarms.system import LocalSystem, open_system, rules, until


def _standing(system: LocalSystem) -> list[Alarm]:
    return [alarm for alarm in system.store.alarms.standing() if alarm.cleared is None]


async def test_a_tenants_lost_core_touches_no_device_and_no_other_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_rows, "HOLD_OFF", timedelta())
    async with open_system(tmp_path, interval=1.0) as system:
        system.listen()
        await system.observed()
        system.remediate(chosen=rules(settle=8))
        before = {station: system.running(station) for station in system.fleet.stations}
        faults = [one.equipment.begin_fault("core-link-down", "andes") for one in system.fleet.stations.values()]

        # Three stations lost MMEs and S-GWs, two of them AMF and UPF.
        lost = ["andes-andes-amf-1", "andes-andes-mme-1", "andes-andes-mme-2", "andes-andes-upf-1", "andes-s1u"]

        async def understood() -> bool:
            found = _standing(system)
            links = [alarm for alarm in found if alarm.object_class is ObjectClass.CORE_LINK]
            return len(links) == 13 and sorted(alarm.object for alarm in found if not alarm.root) == lost

        await until("all links follow from what they have in common", understood)
        found = {alarm.id: alarm for alarm in _standing(system)}
        assert {alarm.tenant for alarm in found.values()} == {"andes"}
        roots = {alarm.object: alarm for alarm in found.values() if not alarm.root}
        assert {alarm.probable_cause for alarm in roots.values()} == {"core-node-down"}
        (incident,) = system.store.incidents.open()
        assert (incident.standing, incident.tenants) == (18, ("andes",))
        system.store.notices.write()
        told = {one.incident for one in system.store.notices.page(Page(limit=1000), "andes")[1]}
        assert {alarm.incident for alarm in roots.values()} <= told
        assert not any(one.incident for one in system.store.notices.page(Page(limit=1000), "condor")[1])

        async def explained() -> bool:
            links = [alarm for alarm in _standing(system) if alarm.root]
            return len(links) == 13 and all("it follows from alarm" in alarm.note for alarm in links)

        await until("each link's repair waits for the core", explained)  # longer than a link has to settle
        for station, fault in zip(system.fleet.stations.values(), faults, strict=True):
            station.equipment.faults.end(fault)

        async def over() -> bool:
            return not _standing(system)

        await until("all is well", over)
        assert {alarm.state for alarm in system.alarms()} == {AlarmState.CLEARED}
        assert system.runs_for_alarms() == 0
        assert {station: system.running(station) for station in system.fleet.stations} == before


async def test_a_cut_backhaul_is_one_root(tmp_path: Path) -> None:
    async with open_system(tmp_path, interval=1.0) as system:
        system.listen()
        await system.observed()
        system.fleet.transport.cut("hill", Outage.REFUSAL)

        async def cut() -> bool:
            dark = [alarm for alarm in _standing(system) if alarm.probable_cause == "station-unreachable"]
            return len(dark) == 2 and all(alarm.root for alarm in dark)

        await until("both stations follow from the cut", cut)
        (root,) = [alarm for alarm in _standing(system) if not alarm.root]
        assert (root.probable_cause, root.object, root.object_class) == ("backhaul-down", "hill", ObjectClass.BACKHAUL)
        assert {name.partition("/")[0] for name in root.cells} == {"T-LTE-2", "T-BOTH-1"}
        assert root.tenants == ("andes", "condor", "vicuna")
        seen = system.store.tenants.alarms("vicuna", Page(limit=100))[1]
        assert {alarm.probable_cause for alarm in seen} == {"station-unreachable", "backhaul-down"}
        async with system.client() as client:
            shown = (await client.get(f"/v1/alarms/{root.id}")).json()
            alone = (await client.get("/v1/alarms", params={"roots": True, "state": "raised"})).json()
            (incident,) = (await client.get("/v1/incidents")).json()["results"]
        assert (incident["id"], incident["standing"], incident["losing"]) == (root.incident, 3, {})
        assert (shown["symptoms"], [one["id"] for one in alone["results"]]) == (2, [root.id])
        system.fleet.transport.restore("hill")

        async def over() -> bool:
            return not _standing(system)

        await until("all is well", over)
