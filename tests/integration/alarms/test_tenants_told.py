"""Each fault of a simulated station, and what each tenant of the network is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from controller.access.tenant_scope import tenant_scope
from controller.assurance import health
from controller.listener import checks
from controller.models.alarm import Alarm
from controller.store import Page
from controller.store.alarms import incident_rows
from controller.store.incidents import incident_notices
from simulators.equipment.fault_kinds import NETWORK_FAULTS, NetworkFaultKind, Place
from tests.integration.alarms.system import LTE, NR, LocalSystem, until

#: Who has cells on the LTE station (T-LTE-1), and on the NR station (T-NR-1): vicuna's agreement is for Puno only.
SHARED: Mapping[str, tuple[str, ...]] = {LTE: ("andes", "condor"), NR: ("andes", "condor", "vicuna")}
TENANTS = ("andes", "condor", "vicuna")
#: Faults that raise no alarm of a service: nobody at the station knows of them, or they wait for an operation.
SILENT = {
    *("sleeping-cell", "configuration-reverted"),
    *("download-fails", "wrong-checksum", "install-fails", "activation-fails", "boot-fails"),
}


def _cells(system: LocalSystem, station: str) -> set[str]:
    return {cell.name for cell in system.store.networks.get()[1].cells_by_station[station]}


def _standing(system: LocalSystem, tenant: str) -> dict[str, Alarm]:
    """Alarms that a tenant sees and that stand, by id."""
    found = system.store.tenants.alarms(tenant, Page(limit=1000))[1]
    return {alarm.id: alarm for alarm in found if alarm.cleared is None}


async def test_each_fault_is_reported_to_the_tenants_that_it_concerns_and_to_no_other(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_rows, "HOLD_OFF", timedelta())
    monkeypatch.setattr(incident_notices, "HOLD_OFF", timedelta())
    # Soon is sooner here: one fault after the other waits for looks at a station.
    monkeypatch.setattr(checks, "_SOON", 0.3)
    # One fault after the other would make cells unstable, and that stands for an hour.
    monkeypatch.setattr(health, "_REPEATS", 1000)
    system.listen()
    await system.observed()
    for station in SHARED:
        for kind in NETWORK_FAULTS.values():
            if kind.name not in SILENT:
                await _break(system, station, kind)
    for tenant in TENANTS:
        _told_of_its_own(system, tenant)


async def _break(system: LocalSystem, station: str, kind: NetworkFaultKind) -> None:
    """Let a fault begin and end: whom it concerns sees it meanwhile, and nobody else does."""
    equipment, target = system.fleet.stations[station].equipment, "condor" if kind.place is Place.TENANT else ""
    concerned = (target,) if target else SHARED[station]
    fault = equipment.begin_fault(kind.name, target)

    async def told() -> bool:
        return all(_standing(system, tenant) for tenant in concerned)

    await until(f"{kind.name} of {station} is told to {concerned}", told)
    for tenant in TENANTS:
        seen = _standing(system, tenant).values()
        assert bool(seen) is (tenant in concerned), (kind.name, tenant)
        assert all(alarm.cells and set(alarm.cells) <= _cells(system, station) for alarm in seen), (kind.name, seen)
        # What is shared concerns all who share it.
        assert all(alarm.tenants == concerned for alarm in seen if not alarm.tenant), (kind.name, seen)
    system.store.notices.write()
    equipment.faults.end(fault)

    async def over() -> bool:
        return not any(_standing(system, tenant) for tenant in TENANTS)

    await until(f"{kind.name} of {station} is over", over)
    system.store.notices.write()


def _told_of_its_own(system: LocalSystem, tenant: str) -> None:
    """A tenant has notices of its incidents when they began and were over, and none of others'."""
    total, alarms = system.store.tenants.alarms(tenant, Page(limit=1000))
    assert total == len(alarms) > 0
    notices = [one for one in system.store.notices.page(Page(limit=1000), tenant)[1] if one.incident]
    raised, cleared = (
        {one.incident for one in notices if one.kind == kind} for kind in ("incident-raised", "incident-cleared")
    )
    assert raised == cleared
    merged = {one.merged_into for one in map(system.store.incidents.get, raised)} - {""}
    assert raised | merged <= {alarm.incident for alarm in alarms} | raised
    assert len(raised) > len(NETWORK_FAULTS) / 3
    stations = set(tenant_scope(*system.store.networks.get(), tenant).cells)
    assert {station for one in notices for station in one.stations} <= stations
