"""What stations have in common and has failed is one root: no device is touched for what follows from it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from controller.access.timeline import neighbours_of, parts_of
from controller.assurance import common_faults
from controller.intent import roots
from controller.models.alarm import Alarm, AlarmState, ObjectClass
from controller.store import Page
from controller.store.alarms import incident_rows
from controller.store.incidents import incident_notices
from simulators.connections import Outage
from tests.integration.alarms.system import LocalSystem, open_system, rules, until


def _standing(system: LocalSystem) -> list[Alarm]:
    return [alarm for alarm in system.store.alarms.standing() if alarm.cleared is None]


async def test_a_tenants_lost_core_touches_no_device_and_no_other_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_rows, "HOLD_OFF", timedelta())
    monkeypatch.setattr(incident_notices, "HOLD_OFF", timedelta())
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
        lost_nodes = {alarm.object: alarm for alarm in found.values() if not alarm.root}
        assert {alarm.probable_cause for alarm in lost_nodes.values()} == {"core-node-down"}
        (incident,) = system.store.incidents.open()
        assert (incident.standing, incident.tenants) == (18, ("andes",))
        system.store.notices.write()
        told = {one.incident for one in system.store.notices.page(Page(limit=1000), "andes")[1]}
        assert {alarm.incident for alarm in lost_nodes.values()} <= told
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
        assert (incident["id"], incident["standing"]) == (root.incident, 3)
        assert incident["losing"].keys() == set(root.tenants), "what is cut off serves nobody"
        assert {cell for loss in incident["losing"].values() for cell in loss["cells"]} <= set(root.cells)
        assert (shown["symptoms"], [one["id"] for one in alone["results"]]) == (2, [root.id])
        system.fleet.transport.restore("hill")

        async def over() -> bool:
            return not _standing(system)

        await until("all is well", over)


async def test_a_station_that_was_dark_before_a_cut_keeps_its_own_incident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roots, "SKEW", timedelta())
    monkeypatch.setattr(common_faults, "SKEW", timedelta())
    async with open_system(tmp_path, interval=1.0) as system:
        system.listen()
        await system.observed()
        system.fleet.transport.connections["T-LTE-2"].cut(Outage.REFUSAL)

        async def dark() -> bool:
            return [alarm.station for alarm in _standing(system)] == ["T-LTE-2"]

        await until("one station is dark", dark)
        (own,) = system.store.incidents.open()

        raised = next(alarm.raised for alarm in _standing(system))

        async def seen_well() -> bool:
            read = [one.read for one in system.store.healths.find(system.fleet.stations).values()]
            return sum(at is not None and at > raised for at in read) == len(system.fleet.stations) - 1

        await until("the others were read since", seen_well)
        # Its site has nothing else; another site at the same node answers.
        async with system.client() as client:
            alone = (await client.get(f"/v1/incidents/{own.id}")).json()
            pack = (await client.get(f"/v1/incidents/{own.id}/dispatch")).json()
        assert [place["name"] for place in alone["suspects"]] == ["T-LTE-2", "pisac"]
        assert pack["suspects"] == alone["suspects"]
        system.fleet.transport.cut("hub", Outage.REFUSAL)

        async def cut() -> bool:
            return sum(bool(alarm.root) for alarm in _standing(system)) >= 3

        await until("the others follow from the cut", cut)
        apart = {one.id: one for one in system.store.incidents.open()}
        assert apart[own.id].standing == 1
        (whole,) = [one for one in apart.values() if one.id != own.id]
        assert (whole.probable_cause, whole.object) == ("backhaul-down", "hub")
        assert "T-LTE-2" not in {alarm.station for alarm in system.store.incidents.alarms(whole.id)}
        async with system.client() as client:
            for one, other in ((own.id, whole.id), (whole.id, own.id)):
                story = (await client.get(f"/v1/incidents/{one}")).json()
                (beside,) = neighbours_of(story)
                assert beside.startswith(f"{other}: station-unreachable of T-LTE-2 stood ")


async def test_a_cut_within_a_bigger_cut_is_not_over_until_it_is_repaired_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_rows, "HOLD_OFF", timedelta())
    monkeypatch.setattr(incident_notices, "HOLD_OFF", timedelta())
    async with open_system(tmp_path, interval=1.0) as system:
        system.listen()
        await system.observed()

        def told(incident: str) -> list[str]:
            found = [
                one for one in system.store.notices.page(Page(limit=1000), "vicuna")[1] if one.incident == incident
            ]
            return [one.kind.value.removeprefix("incident-") for one in reversed(found)]

        def root_at(node: str) -> Alarm | None:
            return next((alarm for alarm in _standing(system) if alarm.object == node), None)

        system.fleet.transport.cut("hill", Outage.REFUSAL)

        async def small_cut() -> bool:
            return root_at("hill") is not None

        await until("the small cut is found", small_cut)
        system.store.notices.write()
        hill = root_at("hill")
        assert hill is not None
        assert told(hill.incident) == ["raised"]
        system.fleet.transport.cut("hub", Outage.REFUSAL)

        async def big_cut() -> bool:
            hub, below = root_at("hub"), root_at("hill")
            return hub is not None and below is not None and below.root == hub.id

        await until("the small cut is part of the big one", big_cut)
        system.store.notices.write()
        hub = root_at("hub")
        assert hub is not None
        assert (told(hill.incident)[-1], told(hub.incident)) == ("continued", ["raised"])
        async with system.client() as client:
            merged = (await client.get(f"/v1/incidents/{hill.incident}")).json()
            whole = (await client.get(f"/v1/incidents/{hub.incident}")).json()
        assert (merged["state"], merged["merged_into"], merged["closed"]) == ("merged", hub.incident, None)
        assert hill.incident in parts_of(whole)
        system.fleet.transport.restore("hub")

        async def rest() -> bool:
            system.store.incidents.settle()
            return [one.id for one in system.store.incidents.open()] == [hill.incident]

        await until("the small cut goes on by itself", rest)
        system.store.notices.write()
        assert (told(hill.incident)[-1], told(hub.incident)[-1]) == ("updated", "continued")
        assert "cleared" not in told(hill.incident)
        system.fleet.transport.restore("hill")

        async def over() -> bool:
            return not _standing(system)

        await until("all is well", over)
        system.store.notices.write()
        assert told(hill.incident)[-1] == "cleared"
        assert "cleared" not in told(hub.incident)
