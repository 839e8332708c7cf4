"""What concerns one tenant, for its people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, exists, false, func, or_, select
from sqlalchemy.sql.expression import ColumnCollection

from controller.access import disclosure
from controller.access.disclosure import TenantPlanHead
from controller.models.alarm import AlarmFilter, AlarmState, PerceivedSeverity, ToldAlarm
from controller.models.errors import NotFoundError
from controller.models.incident import IncidentFilter, IncidentState
from controller.models.plan import Plan
from controller.models.run import AuditRow, Job, Run
from controller.models.scalars import HOST
from controller.store.alarms.alarm_rows import alarm_tenants, alarms, stands
from controller.store.alarms.alarms import conditions
from controller.store.alarms.concerns import CONCERNS, as_told, told_alarms
from controller.store.alarms.incident_rows import incident_alarms
from controller.store.audit import device_trail
from controller.store.database import audit_chain
from controller.store.database.audit_chain import EVERYTHING, AuditQuery, audit
from controller.store.database.outbox import gravity
from controller.store.database.repository import M_co, Page, Repository, reads
from controller.store.database.transaction import Tx
from controller.store.jobs.involvement import run_tenants
from controller.store.jobs.run_rows import as_job, as_runs, jobs, runs
from controller.store.network.planned import plan_tenants
from controller.store.network.plans import load_plan
from controller.store.people.people import users

#: Place of alarms that are over: behind all that stand.
_OVER = len(PerceivedSeverity)


class Tenants(Repository[M_co]):
    """Plans, runs, alarms and audit rows that concern a tenant. Nothing else can be found here."""

    @reads
    def plans(self, tx: Tx, tenant: str, page: Page) -> tuple[int, list[TenantPlanHead]]:
        """Total and one page of plans that touch or interrupt the tenant, newest first."""
        first = func.min(plan_tenants.c.number)
        columns = (plan_tenants.c.handle, plan_tenants.c.created, plan_tenants.c.stations)
        own = select(*columns).where(plan_tenants.c.tenant == tenant).group_by(*columns)
        newest = own.order_by(first.desc()).limit(page.limit).offset(page.offset)
        heads = [TenantPlanHead(id=r.handle, created=r.created, stations=r.stations) for r in tx.execute(newest)]
        return _count(tx, own), heads

    @reads
    def plan(self, tx: Tx, tenant: str, handle: str) -> Plan:
        """The whole plan that this tenant knows by this name. Raises NotFoundError."""
        known = and_(plan_tenants.c.handle == handle, plan_tenants.c.tenant == tenant)
        newest = select(plan_tenants).where(known).order_by(plan_tenants.c.number.desc()).limit(1)
        row = tx.execute(newest).one_or_none()
        if row is None:
            raise NotFoundError.of("plan", handle)
        # The time of the newest plan of this name would tell that one changed for somebody else.
        return load_plan(tx, row.plan).model_copy(update={"created": row.created})

    @reads
    def handles(self, tx: Tx, tenant: str, plans: Iterable[str]) -> dict[str, str]:
        """The tenant's names of plans, by the plans' ids; plans that don't concern it are absent."""
        own = select(plan_tenants.c.plan, plan_tenants.c.handle).where(plan_tenants.c.tenant == tenant)
        return {row.plan: row.handle for row in tx.rows(own, plan_tenants.c.plan, plans)}

    @reads
    def runs(self, tx: Tx, tenant: str, page: Page | None = None) -> tuple[int, list[tuple[Run, list[Job]]]]:
        """Total and one page (or all) of runs that touch or interrupt the tenant, newest first, with those jobs."""
        own = select(runs).where(runs.c.id.in_(select(run_tenants.c.run).where(run_tenants.c.tenant == tenant)))
        newest = own.order_by(runs.c.number.desc())
        if page is not None:
            newest = newest.limit(page.limit).offset(page.offset)
        found = as_runs(tx, tx.execute(newest).all())
        its_jobs = _jobs_of(tx, tenant, [run.id for run in found])
        return _count(tx, own), [(run, its_jobs[run.id]) for run in found]

    @reads
    def run(self, tx: Tx, tenant: str, run_id: str) -> tuple[Run, list[Job]]:
        """A run with the jobs that touch or interrupt the tenant. Raises NotFoundError if there is none."""
        own = _jobs_of(tx, tenant, [run_id])[run_id]
        if not own:
            raise NotFoundError.of("run", run_id)
        return as_runs(tx, tx.execute(select(runs).where(runs.c.id == run_id)).all())[0], own

    @reads
    def alarms(
        self, tx: Tx, tenant: str, page: Page, like: AlarmFilter | None = None, *, newest: bool = False
    ) -> tuple[int, list[ToldAlarm]]:
        """Total and one page of alarms that concern or concerned a tenant, as it is told of them.

        Those that stand come before those that are over, by their severity, the gravest first; then the newest come
        first. ``newest`` orders all by that alone.
        The filter finds only stations and objects that are disclosed to it.
        """
        told = told_alarms(tenant).subquery()
        own = select(told).where(*_conditions(told, like or AlarmFilter(), tx.now))
        now = and_(stands(told.c), told.c.until.is_(None))
        found = own if newest else own.order_by(case((now, gravity(told.c.severity)), else_=_OVER))
        found = found.order_by(told.c.number.desc()).limit(page.limit).offset(page.offset)
        return _count(tx, own), [as_told(row) for row in tx.execute(found)]

    @reads
    def alarm(self, tx: Tx, tenant: str, alarm_id: str) -> ToldAlarm:
        """An alarm that concerns or concerned a tenant, as it is told of it. Raises NotFoundError."""
        row = tx.execute(told_alarms(tenant).where(alarms.c.id == alarm_id)).one_or_none()
        if row is None:
            raise NotFoundError.of("alarm", alarm_id)
        return as_told(row)

    @reads
    def find(self, tx: Tx, tenant: str, alarm_ids: Iterable[str]) -> list[ToldAlarm]:
        """Those of these alarms that concern or concerned a tenant, as it is told of them."""
        return [as_told(row) for row in tx.rows(told_alarms(tenant), alarms.c.id, alarm_ids)]

    @reads
    def incidents(
        self, tx: Tx, tenant: str, page: Page, like: IncidentFilter | None = None
    ) -> tuple[int, list[tuple[str, list[ToldAlarm]]]]:
        """Total and one page of incidents with alarms that concern or concerned a tenant, newest first, each with them.

        Their states, too, follow from these alarms alone. Of the filter, states, stations, causes and ``since`` apply.
        """
        wanted = like or IncidentFilter()
        told, about = told_alarms(tenant).subquery("told"), told_alarms(tenant).subquery("about")
        stood = and_(stands(told.c), told.c.until.is_(None))
        first, standing = func.min(told.c.number), func.max(case((stood, 1), else_=0))
        states = {IncidentState.OPEN: standing == 1, IncidentState.CLOSED: standing == 0}
        asked = [states[state] for state in wanted.states if state in states]
        like_alarms = AlarmFilter(stations=wanted.stations, causes=wanted.causes)
        alike = select(about.c.incident).where(*_conditions(about, like_alarms, tx.now))
        grouped = select(told.c.incident).where(told.c.incident.in_(alike), told.c.incident != "")
        grouped = grouped.group_by(told.c.incident)
        if wanted.states:
            grouped = grouped.having(or_(false(), *asked))
        if wanted.since is not None:
            grouped = grouped.having(func.max(told.c.changed) >= wanted.since)
        newest = grouped.order_by(first.desc()).limit(page.limit).offset(page.offset)
        names = [row.incident for row in tx.execute(newest)]
        parts = _alarms_in(tx, tenant, names)
        return _count(tx, grouped), [(name, parts[name]) for name in names]

    @reads
    def incident(self, tx: Tx, tenant: str, incident_id: str) -> list[ToldAlarm]:
        """Alarms of an incident that concern or concerned a tenant, oldest first. Raises NotFoundError without any."""
        found = _alarms_in(tx, tenant, [incident_id]).get(incident_id)
        if not found:  # it may be part of another one
            told = told_alarms(tenant).subquery()
            meanwhile = or_(told.c.until.is_(None), incident_alarms.c.since < told.c.until)
            moved = and_(incident_alarms.c.alarm == told.c.id, meanwhile)
            query = select(told).join(incident_alarms, moved).order_by(told.c.number).distinct()
            rows = tx.execute(query.where(incident_alarms.c.merged_from == incident_id))
            found = [as_told(row) for row in rows] if incident_id else []
        if not found:
            raise NotFoundError.of("incident", incident_id)
        return found

    @reads
    def incident_alarms(self, tx: Tx, tenant: str, incidents: Iterable[str]) -> dict[str, list[ToldAlarm]]:
        """Alarms that concern or concerned a tenant, by incident, oldest first; incidents without any are absent."""
        return _alarms_in(tx, tenant, incidents)

    @reads
    def work(self, tx: Tx, tenant: str, begin: datetime, end: datetime) -> list[tuple[str, Job]]:
        """Jobs under way between two times that touch or interrupt a tenant, each with its run's procedure."""
        here = and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station)
        query = select(jobs, runs.c.procedure).join(runs, runs.c.id == jobs.c.run)
        query = query.join(run_tenants, and_(here, run_tenants.c.tenant == tenant)).order_by(jobs.c.started, jobs.c.id)
        during = and_(jobs.c.started < end, or_(jobs.c.finished.is_(None), jobs.c.finished > begin))
        return [(row.procedure, as_job(row)) for row in tx.execute(query.where(during))]

    @reads
    def audit(
        self, tx: Tx, tenant: str, acts: Iterable[str], page: Page, wanted: AuditQuery = EVERYTHING
    ) -> tuple[int, list[tuple[AuditRow, bool]]]:
        """Total and one page of the tenant's wanted audit rows, newest first, and whether its own people acted.

        A row's id is its number among the tenant's rows. All other actors appear as ``host``. The filter finds objects
        as they are disclosed to the tenant.

        The tenant's rows are all acts of its people, and the named acts of others on its runs and their jobs. What is
        done to a run that has no job of the tenant under way is not about the tenant, nor is the end of jobs of others.
        So it reads the same of a run that is cancelled, refused or void before its own jobs begin, whoever did that.
        """
        its_own = exists().where(users.c.name == audit.c.actor, users.c.tenant == tenant, users.c.sided <= audit.c.at)
        concerned = run_tenants.c.tenant == tenant
        its_runs = select(run_tenants.c.run).where(concerned)
        its_jobs = select(jobs.c.id).join(
            run_tenants, and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station, concerned)
        )
        done_to = audit.c.object
        going_on = exists().where(
            and_(jobs.c.run == done_to, jobs.c.started <= audit.c.at),
            or_(jobs.c.finished.is_(None), jobs.c.finished >= audit.c.at),
            and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station, concerned),
        )
        among_ended = exists().where(
            and_(jobs.c.run == done_to, jobs.c.started.is_(None), jobs.c.finished == audit.c.at),
            and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station, concerned),
        )
        on_runs = and_(
            done_to.in_(its_runs),
            or_(audit.c.action != disclosure.CANCELLED, going_on),
            or_(audit.c.action != disclosure.JOBS_ENDED, among_ended),
        )
        in_its_place = select(run_tenants.c.run + f" {tenant}").where(concerned)
        number = func.row_number().over(order_by=audit.c.id).label("number")
        every = select(audit, its_own.label("own"), number).where(
            audit_chain.NUMBERED,
            or_(
                its_own,
                and_(audit.c.action.in_(list(acts)), or_(on_runs, done_to.in_(its_jobs))),
                and_(audit.c.action.in_(disclosure.DONE_FOR_TENANT), done_to.in_(in_its_place)),
                and_(audit.c.action.in_(disclosure.FREEZE_ACTS), done_to == f"tenant:{tenant}"),
            ),
        )
        rows = every.subquery()
        seen = rows.c
        chosen = audit_chain.matching(seen, replace(wanted, actor=None, object=None))
        if wanted.actor is not None:
            chosen.append(~seen.own if wanted.actor == HOST else and_(seen.own, seen.actor == wanted.actor))
        if wanted.object is not None:
            chosen.append(audit_chain.is_named(_told_object(seen, tenant), wanted.object))
        if wanted.device is not None:
            chosen.append(device_trail.about_for(seen, wanted.device, wanted.places, tenant))
        own = select(rows).where(*chosen)
        newest = own.with_only_columns(seen.id, seen.number, seen.own).order_by(seen.id.desc())
        rows_found = tx.execute(newest.limit(page.limit).offset(page.offset)).all()
        acts_found = audit_chain.nouns(tx.connection, [row.id for row in rows_found])
        found = [
            (act.model_copy(update={"id": row.number}), bool(row.own))
            for act, row in zip(acts_found, rows_found, strict=True)
        ]
        return _count(tx, own), found


def _told_object(seen: ColumnCollection[str, Any], tenant: str) -> ColumnElement[str]:
    """The object of an audit row as ``disclosure.visible_act`` tells it."""
    of_job = select(jobs.c.run + " " + jobs.c.station).where(jobs.c.id == seen.object).scalar_subquery()
    in_its_place = and_(seen.action.in_(disclosure.DONE_FOR_TENANT), ~seen.own)
    return case(
        (seen.action == disclosure.JOB_FINISHED, of_job),
        (in_its_place, func.replace(seen.object, f" {tenant}", "")),
        else_=seen.object,
    )


def _conditions(told: Subquery, like: AlarmFilter, now: datetime) -> list[ColumnElement[bool]]:
    """Conditions of a filter of alarms as a tenant is told of them: it finds none by what is not disclosed."""
    found = conditions(like, now, told.c)
    if like.stations:
        found.append(told.c.there)
    if like.objects:
        found.append(told.c.named)
    if like.standing:
        found.append(told.c.until.is_(None))
    elif like.leaves_out_ended:
        found.append(or_(told.c.state != AlarmState.ESCALATED.value, told.c.until.is_(None)))
    return found


def _alarms_in(tx: Tx, tenant: str, incidents: Iterable[str]) -> dict[str, list[ToldAlarm]]:
    """Alarms of incidents that concern or concerned a tenant, oldest first."""
    names = set(incidents) - {""}
    of_now, of_then = (told_alarms(tenant).where(still) for still in (CONCERNS, ~CONCERNS))
    rows = [*tx.rows(of_now, alarms.c.incident, names), *tx.rows(of_then, alarm_tenants.c.incident, names)]
    found: dict[str, list[ToldAlarm]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.number):
        found[row.incident].append(as_told(row))
    return dict(found)


def _count(tx: Tx, query: Select[Any]) -> int:
    return int(tx.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def _jobs_of(tx: Tx, tenant: str, run_ids: Iterable[str]) -> dict[str, list[Job]]:
    """Jobs of runs on the stations where the runs concern the tenant, by run, in the order of stations."""
    here = and_(run_tenants.c.run == jobs.c.run, run_tenants.c.station == jobs.c.station)
    query = select(jobs).join(run_tenants, and_(here, run_tenants.c.tenant == tenant)).order_by(jobs.c.station)
    found: dict[str, list[Job]] = defaultdict(list)
    for row in tx.rows(query, jobs.c.run, run_ids):
        found[row.run].append(as_job(row))
    return found
