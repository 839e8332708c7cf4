"""What our own check says where others raised alarms of several tenants on one object."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.assurance.checker import _own_reports
from controller.assurance.health import STATION
from controller.models.alarm import CONFIGURATION_DRIFT, Alarm, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.health import Health

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
