"""What is on record of one tenant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from controller.access.disclosure import TenantPlanHead
from controller.models.alarm import Alarm, AlarmFilter
from controller.models.incident import IncidentFilter
from controller.models.plan import Plan
from controller.models.run import AuditRow, Job, Run
from controller.ports.store.audit import EVERYTHING, AuditQuery
from controller.ports.store.repository import M_co, Page, Repository, method


class Tenants(Repository[M_co], Protocol[M_co]):
    """Plans, runs, alarms and audit rows that concern a tenant. What does not concern it is not found."""

    @method
    def plans(self, tenant: str, page: Page) -> tuple[int, list[TenantPlanHead]]:
        """Total and one page of plans that touch or interrupt the tenant, newest first."""
        ...

    @method
    def plan(self, tenant: str, handle: str) -> Plan:
        """The plan that this tenant knows by this name, whole. Raises NotFoundError."""
        ...

    @method
    def handles(self, tenant: str, plans: Iterable[str]) -> dict[str, str]:
        """The tenant's names of plans, by their ids; plans that don't concern it are absent."""
        ...

    @method
    def runs(self, tenant: str, page: Page | None = None) -> tuple[int, list[tuple[Run, list[Job]]]]:
        """Total and one page (or all) of runs that touch or interrupt the tenant, newest first, with those jobs."""
        ...

    @method
    def run(self, tenant: str, run_id: str) -> tuple[Run, list[Job]]:
        """A run with the jobs that touch or interrupt the tenant. Raises NotFoundError if there is none."""
        ...

    @method
    def alarms(self, tenant: str, page: Page, like: AlarmFilter | None = None) -> tuple[int, list[Alarm]]:
        """Total and one page of alarms that concern a tenant, newest first.

        Objects are asked for only where tenants see them: cells and core links.
        """
        ...

    @method
    def alarm(self, tenant: str, alarm_id: str) -> Alarm:
        """An alarm that concerns a tenant. Raises NotFoundError."""
        ...

    @method
    def incidents(
        self, tenant: str, page: Page, like: IncidentFilter | None = None
    ) -> tuple[int, list[tuple[str, list[Alarm]]]]:
        """Total and one page of incidents with alarms that concern a tenant, newest first, each with these alarms.

        Their states, too, are those of these alarms alone; of a filter states, stations, causes and ``since`` count.
        """
        ...

    @method
    def incident(self, tenant: str, incident_id: str) -> list[Alarm]:
        """Alarms of an incident that concern a tenant, oldest first. Raises NotFoundError if there are none."""
        ...

    @method
    def incident_alarms(self, tenant: str, incidents: Iterable[str]) -> dict[str, list[Alarm]]:
        """Alarms that concern a tenant of incidents by id, oldest first; incidents without any are absent."""
        ...

    @method
    def work(self, tenant: str, begin: datetime, end: datetime) -> list[tuple[str, Job]]:
        """Jobs that touch or interrupt a tenant and were under way between two times, each with its run's procedure."""
        ...

    @method
    def audit(
        self, tenant: str, acts: Iterable[str], page: Page, wanted: AuditQuery = EVERYTHING
    ) -> tuple[int, list[tuple[AuditRow, bool]]]:
        """Total and one page of the tenant's audit rows that are wanted, newest first, and whether its people did it.

        A row's id is its number among the tenant's. Others who act are one, ``host``; the object of a job that ended is
        not asked for, since its id tells of others.

        They are all that its people did, and those of the named acts that were done to its runs and their jobs.
        """
        ...
