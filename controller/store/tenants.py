"""What concerns one tenant, for its people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, case, exists, false, func, or_, select

from controller.access import disclosure
from controller.access.disclosure import TenantPlanHead
from controller.models.alarm import Alarm, AlarmFilter
from controller.models.errors import NotFoundError
from controller.models.incident import IncidentFilter, IncidentState
from controller.models.plan import Plan
from controller.models.run import AuditRow, Job, Run
from controller.models.scalars import HOST
from controller.ports.store import EVERYTHING, AuditQuery, Page, Sync, Tenants
from controller.store import audit_chain, device_trail
from controller.store.alarms import STANDING, alarm_tenants, alarms, as_alarm, conditions
from controller.store.audit_chain import audit
from controller.store.incident_rows import incident_alarms
from controller.store.involvement import plan_tenants, run_tenants
from controller.store.people import users
from controller.store.plans import load_plan
from controller.store.repository import SqlRepository, reads
from controller.store.run_rows import as_job, as_runs, jobs, runs
from controller.store.transaction import Tx

_OF_TENANT = and_(alarm_tenants.c.alarm == alarms.c.id, alarm_tenants.c.tenant == bindparam("of_tenant"))
#: Alarms that concern a tenant, with when they changed for it; and in order. Who follows them asks twice a second.
_ALARMS = select(alarms, alarm_tenants.c.changed.label("told")).join(alarm_tenants, _OF_TENANT)
_IN_ORDER = _ALARMS.order_by(alarms.c.number)
_ALARM = _ALARMS.where(alarms.c.id == bindparam("alarm"))
_MERGED = (
    _IN_ORDER.join(incident_alarms, incident_alarms.c.alarm == alarms.c.id)
    .distinct()
    .where(incident_alarms.c.merged_from == bindparam("incident"))
)


class SqlTenants(SqlRepository, Tenants[Sync]):
    """Repository of what concerns a tenant."""

    @reads
    def plans(self, tx: Tx, tenant: str, page: Page) -> tuple[int, list[TenantPlanHead]]:
        first = func.min(plan_tenants.c.number)
        columns = (plan_tenants.c.handle, plan_tenants.c.created, plan_tenants.c.stations)
        own = select(*columns).where(plan_tenants.c.tenant == tenant).group_by(*columns)
        newest = own.order_by(first.desc()).limit(page.limit).offset(page.offset)
        heads = [TenantPlanHead(id=r.handle, created=r.created, stations=r.stations) for r in tx.execute(newest)]
        return _count(tx, own), heads

    @reads
    def plan(self, tx: Tx, tenant: str, handle: str) -> Plan:
        known = and_(plan_tenants.c.handle == handle, plan_tenants.c.tenant == tenant)
        newest = select(plan_tenants).where(known).order_by(plan_tenants.c.number.desc()).limit(1)
        row = tx.execute(newest).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no plan {handle}")
        # The time of the newest plan of this name would tell that one changed for somebody else.
        return load_plan(tx, row.plan).model_copy(update={"created": row.created})

    @reads
    def handles(self, tx: Tx, tenant: str, plans: Iterable[str]) -> dict[str, str]:
        own = select(plan_tenants.c.plan, plan_tenants.c.handle).where(plan_tenants.c.tenant == tenant)
        return {row.plan: row.handle for row in tx.rows(own, plan_tenants.c.plan, plans)}

    @reads
    def runs(self, tx: Tx, tenant: str, page: Page | None = None) -> tuple[int, list[tuple[Run, list[Job]]]]:
        own = select(runs).where(runs.c.id.in_(select(run_tenants.c.run).where(run_tenants.c.tenant == tenant)))
        newest = own.order_by(runs.c.number.desc())
        if page is not None:
            newest = newest.limit(page.limit).offset(page.offset)
        found = as_runs(tx, tx.execute(newest).all())
        its_jobs = _jobs_of(tx, tenant, [run.id for run in found])
        return _count(tx, own), [(run, its_jobs[run.id]) for run in found]

    @reads
    def run(self, tx: Tx, tenant: str, run_id: str) -> tuple[Run, list[Job]]:
        own = _jobs_of(tx, tenant, [run_id])[run_id]
        if not own:
            raise NotFoundError(f"there is no run {run_id}")
        return as_runs(tx, tx.execute(select(runs).where(runs.c.id == run_id)).all())[0], own

    @reads
    def alarms(self, tx: Tx, tenant: str, page: Page, like: AlarmFilter | None = None) -> tuple[int, list[Alarm]]:
        wanted = like or AlarmFilter()
        own = _ALARMS.where(*conditions(wanted, tx.now, alarm_tenants.c.changed))
        if wanted.objects:
            own = own.where(alarms.c.object_class.in_(disclosure.OBJECTS))
        newest = own.order_by(alarms.c.number.desc()).limit(page.limit).offset(page.offset)
        of = {"of_tenant": tenant}
        return _count(tx, own, of), [_told(row) for row in tx.execute(newest, of)]

    @reads
    def alarm(self, tx: Tx, tenant: str, alarm_id: str) -> Alarm:
        row = tx.execute(_ALARM, {"of_tenant": tenant, "alarm": alarm_id}).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no alarm {alarm_id}")
        return _told(row)

    @reads
    def incidents(
        self, tx: Tx, tenant: str, page: Page, like: IncidentFilter | None = None
    ) -> tuple[int, list[tuple[str, list[Alarm]]]]:
        wanted = like or IncidentFilter()
        about = conditions(AlarmFilter(stations=wanted.stations, causes=wanted.causes), tx.now)
        grouped = _incidents(wanted.states)
        if about:
            grouped = grouped.where(alarms.c.incident.in_(_ALARMS.where(*about).with_only_columns(alarms.c.incident)))
        if wanted.since is not None:
            grouped = grouped.having(func.max(alarm_tenants.c.changed) >= wanted.since)
        newest = grouped.order_by(func.min(alarms.c.number).desc()).limit(page.limit).offset(page.offset)
        of = {"of_tenant": tenant}
        names = [row.incident for row in tx.execute(newest, of)]
        parts = _alarms_in(tx, tenant, names)
        return _count(tx, grouped, of), [(name, parts[name]) for name in names]

    @reads
    def incident(self, tx: Tx, tenant: str, incident_id: str) -> list[Alarm]:
        found = _alarms_in(tx, tenant, [incident_id]).get(incident_id)
        if not found:  # it may be part of another one
            rows = tx.execute(_MERGED, {"of_tenant": tenant, "incident": incident_id})
            found = [_told(row) for row in rows] if incident_id else []
        if not found:
            raise NotFoundError(f"there is no incident {incident_id}")
        return found

    @reads
    def incident_alarms(self, tx: Tx, tenant: str, incidents: Iterable[str]) -> dict[str, list[Alarm]]:
        return _alarms_in(tx, tenant, incidents)

    @reads
    def work(self, tx: Tx, tenant: str, begin: datetime, end: datetime) -> list[tuple[str, Job]]:
        here = and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station)
        query = select(jobs, runs.c.procedure).join(runs, runs.c.id == jobs.c.run)
        query = query.join(run_tenants, and_(here, run_tenants.c.tenant == tenant)).order_by(jobs.c.started, jobs.c.id)
        during = and_(jobs.c.started < end, or_(jobs.c.finished.is_(None), jobs.c.finished > begin))
        return [(row.procedure, as_job(row)) for row in tx.execute(query.where(during))]

    @reads
    def audit(
        self, tx: Tx, tenant: str, acts: Iterable[str], page: Page, wanted: AuditQuery = EVERYTHING
    ) -> tuple[int, list[tuple[AuditRow, bool]]]:
        its_own = exists().where(users.c.name == audit.c.actor, users.c.tenant == tenant, users.c.sided <= audit.c.at)
        concerned = run_tenants.c.tenant == tenant
        its_runs = select(run_tenants.c.run).where(concerned)
        its_jobs = select(jobs.c.id).join(
            run_tenants, and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station, concerned)
        )
        done_to = audit.c.object
        number = func.row_number().over(order_by=audit.c.id).label("number")
        every = select(audit, its_own.label("own"), number).where(
            or_(
                its_own,
                and_(audit.c.action.in_(list(acts)), or_(done_to.in_(its_runs), done_to.in_(its_jobs))),
            )
        )
        rows = every.subquery()
        seen = rows.c
        chosen = audit_chain.matching(seen, replace(wanted, actor=None))
        if wanted.actor is not None:
            chosen.append(~seen.own if wanted.actor == HOST else and_(seen.own, seen.actor == wanted.actor))
        if wanted.object is not None:
            chosen.append(seen.action != disclosure.JOB_FINISHED)
        if wanted.device is not None:
            chosen.append(device_trail.about_for(seen, wanted.device, wanted.places, tenant))
        own = select(rows).where(*chosen)
        newest = own.order_by(seen.id.desc()).limit(page.limit).offset(page.offset)
        found = [
            (audit_chain.as_noun(row).model_copy(update={"id": row.number}), bool(row.own))
            for row in tx.execute(newest)
        ]
        return _count(tx, own), found


@cache
def _incidents(states: tuple[IncidentState, ...]) -> Select[Any]:
    """Incidents with alarms that concern a tenant, in some states; in all if there are none."""
    stands = func.max(case((STANDING, 1), else_=0))
    known = {IncidentState.OPEN: stands == 1, IncidentState.CLOSED: stands == 0}
    grouped = _ALARMS.with_only_columns(alarms.c.incident).where(alarms.c.incident != "").group_by(alarms.c.incident)
    return grouped.having(or_(false(), *(known[one] for one in states if one in known))) if states else grouped


def _told(row: Row[Any]) -> Alarm:
    """An alarm that changed when it changed for the tenant."""
    return as_alarm(row).model_copy(update={"changed": row.told})


def _alarms_in(tx: Tx, tenant: str, incidents: Iterable[str]) -> dict[str, list[Alarm]]:
    """Alarms of incidents that concern a tenant, oldest first."""
    found: dict[str, list[Alarm]] = defaultdict(list)
    for row in tx.rows(_IN_ORDER, alarms.c.incident, set(incidents) - {""}, of_tenant=tenant):
        found[row.incident].append(_told(row))
    return dict(found)


def _count(tx: Tx, query: Select[Any], of: dict[str, str] | None = None) -> int:
    return int(tx.execute(select(func.count()).select_from(query.subquery()), of).scalar_one())


def _jobs_of(tx: Tx, tenant: str, run_ids: Iterable[str]) -> dict[str, list[Job]]:
    """Jobs of runs on the stations where the runs concern the tenant, by run, in the order of stations."""
    here = and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station)
    query = select(jobs).join(run_tenants, and_(here, run_tenants.c.tenant == tenant)).order_by(jobs.c.station)
    found: dict[str, list[Job]] = defaultdict(list)
    for row in tx.rows(query, jobs.c.run, run_ids):
        found[row.run].append(as_job(row))
    return found
