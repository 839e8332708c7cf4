"""What our own check says where others raised alarms of several tenants on one object, and keeps of what was read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controller.assurance.checker import _Basis, _own_reports
from controller.assurance.health import STATION
from controller.models.alarm import CONFIGURATION_DRIFT, Alarm, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.health import Health
from controller.nrm.profiles import plmn_lists
from controller.nrm.tree import Observed, parent

AT = datetime(2026, 1, 1, tzinfo=UTC)


def seen(drift: int) -> Health:
    return Health(station="A", at=AT, reachable=True, drift=drift)


def alarm(tenant: str) -> Alarm:
    return Alarm(
        id=f"a-{tenant}",
        station="A",
        object=STATION,
        tenant=tenant,
        probable_cause=CONFIGURATION_DRIFT,
        specific_problem="",
        severity=PerceivedSeverity.WARNING,
        text="",
        source=AlarmSource.ALERTMANAGER,
        state=AlarmState.RAISED,
        raised=AT,
        changed=AT,
    )


def said(drift: int, *tenants: str) -> list[tuple[str, str]]:
    found = _own_reports(seen(drift), seen(drift), [alarm(tenant) for tenant in tenants])
    return [(report.tenant, report.severity.value) for report in found]


def test_what_is_well_clears_the_alarm_of_each_tenant() -> None:
    assert said(0, "", "claro", "entel") == [("", "CLEARED"), ("claro", "CLEARED"), ("entel", "CLEARED")]


def test_a_tenants_alarm_hides_no_fault_of_the_station() -> None:
    assert said(2, "claro") == [("", "WARNING")]
    assert said(2, "", "claro") == []


def test_the_same_nodes_in_another_order_are_judged_anew() -> None:
    """They are equal, but the first PLMN of a cell is its primary one."""
    cell = "/ManagedElement[S1]/ENBFunction[1]/EUtranCellFDD[1]"
    paths = ["/ManagedElement[S1]", parent(cell), cell, f"{cell}/plmnIdList[716,06]", f"{cell}/plmnIdList[716,15]"]
    before = Observed({path: {} for path in paths})
    after = Observed({path: {} for path in (*paths[:3], *reversed(paths[3:]))})
    assert before == after
    basis = _Basis(before, 0, "d", (), frozenset(), (), False, None)
    assert basis.stays(replace(basis, observed=Observed({path: {} for path in paths})))
    assert not basis.stays(replace(basis, observed=after))
    assert not basis.stays(replace(basis, ledger=1))


def test_of_several_plmns_without_an_order_none_has_a_position() -> None:
    cell = "/ManagedElement[S1]/ENBFunction[1]/EUtranCellTDD[1]"
    listed, own = f"{cell}/plmnIdList[716,06]", [f"{cell}/cellAccessInfoList[716,{n}]" for n in (15, 17)]
    assert plmn_lists({listed: {}, own[0]: {}}) == {"1": ("716-06", "716-15")}
    assert plmn_lists({listed: {}, own[0]: {}, own[1]: {}}) == {"1": ("716-06",)}


@pytest.mark.parametrize(("number", "known"), [(6, 6), (7, 0)])
def test_a_cell_with_more_plmns_than_it_can_broadcast_has_no_positions(number: int, known: int) -> None:
    cell = "/ManagedElement[S1]/ENBFunction[1]/EUtranCellTDD[1]"
    found = plmn_lists({f"{cell}/plmnIdList[716,{one:02}]": {} for one in range(number)})
    assert found == {"1": tuple(f"716-{one:02}" for one in range(known))}
