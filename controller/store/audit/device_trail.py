"""Which rows of the audit trail concern a device: those about it, and about runs, jobs, alarms and plans with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, String, and_, cast, or_, select, union
from sqlalchemy.sql.expression import ColumnCollection

from controller.store.alarms.alarm_rows import alarm_tenants, alarms
from controller.store.alarms.incident_rows import incident_alarms
from controller.store.database.audit_chain import audit_devices
from controller.store.jobs.involvement import run_tenants
from controller.store.jobs.questions import questions
from controller.store.jobs.run_rows import jobs
from controller.store.jobs.steps import steps
from controller.store.network.plans import changes
from controller.store.runs.run_constraints import notices


def about(columns: ColumnCollection[str, Any], device: str, places: Collection[str]) -> ColumnElement[bool]:
    """Rows that concern a device, for the host.

    Args:
        columns: Columns of the trail.
        device: Its id.
        places: Targets of holds and freezes that bind it beside its own id, as in ``site:cusco-12``.
    """
    return or_(
        _itself(columns, device, places),
        columns.object.in_(_objects_with(device)),
        columns.id.in_(select(audit_devices.c.row).where(audit_devices.c.device == device)),
    )


def about_for(
    columns: ColumnCollection[str, Any], device: str, places: Collection[str], tenant: str
) -> ColumnElement[bool]:
    """Rows that concern a device, of those that a tenant sees: its runs, jobs and alarms there are its own only."""
    there = and_(run_tenants.c.station == device, run_tenants.c.tenant == tenant)
    its_jobs = select(jobs.c.id).join(run_tenants, and_(there, run_tenants.c.run == jobs.c.run))
    its_alarms = select(alarms.c.id).join(
        alarm_tenants, and_(alarm_tenants.c.alarm == alarms.c.id, alarm_tenants.c.tenant == tenant)
    )
    its_alarms = its_alarms.where(alarms.c.station == device)
    names = union(
        select(run_tenants.c.run).where(there),
        its_jobs.where(jobs.c.station == device),
        its_alarms,
        _incidents_of(its_alarms),
    )
    return or_(_itself(columns, device, places), columns.object.in_(select(names.subquery())))


def _itself(columns: ColumnCollection[str, Any], device: str, places: Iterable[str]) -> ColumnElement[bool]:
    """Rows about the device, its cells, what binds it, and requests for it that were denied."""
    asked = f" /v1/devices/{device}"
    return or_(
        columns.object.in_((device, *places)),
        columns.object.startswith(f"{device}/", autoescape=True),
        columns.object.endswith(asked, autoescape=True),
        columns.object.contains(f"{asked}/", autoescape=True),
    )


def _objects_with(device: str) -> Select[Any]:
    """Ids of all that the device has part in."""
    its_runs, its_jobs = (select(column).where(jobs.c.station == device) for column in (jobs.c.run, jobs.c.id))
    its_alarms = select(alarms.c.id).where(alarms.c.station == device)
    its_incidents = _incidents_of(its_alarms)
    ids: CompoundSelect[Any] = union(
        its_runs,
        its_jobs,
        select(steps.c.job + "." + cast(steps.c.position, String)).where(steps.c.job.in_(its_jobs)),
        select(questions.c.id).where(questions.c.station == device),
        its_alarms,
        its_incidents,
        select(notices.c.id).where(or_(notices.c.run.in_(its_runs), notices.c.incident.in_(its_incidents))),
        select(changes.c.plan).where(changes.c.station == device),
    )
    return select(ids.subquery())


def _incidents_of(its_alarms: Select[Any]) -> Select[Any]:
    """Incidents that alarms are or were part of."""
    return select(incident_alarms.c.incident).where(incident_alarms.c.alarm.in_(its_alarms))
