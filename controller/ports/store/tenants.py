"""What is on record about one tenant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from controller.access.disclosure import TenantPlanHead
from controller.models.alarm import AlarmFilter, ToldAlarm
from controller.models.incident import IncidentFilter
from controller.models.plan import Plan
from controller.models.run import AuditRow, Job, Run
from controller.ports.store.audit import EVERYTHING, AuditQuery
from controller.ports.store.repository import M_co, Page, Repository, method


class Tenants(Repository[M_co], Protocol[M_co]):
    """Plans, runs, alarms and audit rows that concern a tenant. Nothing else can be found here."""

    @method
    def plans(self, tenant: str, page: Page) -> tuple[int, list[TenantPlanHead]]:
        """Total and one page of plans that touch or interrupt the tenant, newest first."""
        ...

    @method
    def plan(self, tenant: str, handle: str) -> Plan:
        """The whole plan that this tenant knows by this name. Raises NotFoundError."""
        ...

    @method
    def handles(self, tenant: str, plans: Iterable[str]) -> dict[str, str]:
        """The tenant's names of plans, by the plans' ids; plans that don't concern it are absent."""
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
    def alarms(
        self, tenant: str, page: Page, like: AlarmFilter | None = None, *, newest: bool = False
    ) -> tuple[int, list[ToldAlarm]]:
        """Total and one page of alarms that concern or concerned a tenant, as it is told of them.

        Those that stand come before those that are over, by their severity, the gravest first; then the newest come
        first. ``newest`` orders all by that alone.
        The filter finds only stations and objects that are disclosed to it.
        """
        ...

    @method
    def alarm(self, tenant: str, alarm_id: str) -> ToldAlarm:
        """An alarm that concerns or concerned a tenant, as it is told of it. Raises NotFoundError."""
        ...

    @method
    def incidents(
        self, tenant: str, page: Page, like: IncidentFilter | None = None
    ) -> tuple[int, list[tuple[str, list[ToldAlarm]]]]:
        """Total and one page of incidents with alarms that concern or concerned a tenant, newest first, each with them.

        Their states, too, follow from these alarms alone. Of the filter, states, stations, causes and ``since`` apply.
        """
        ...

    @method
    def incident(self, tenant: str, incident_id: str) -> list[ToldAlarm]:
        """Alarms of an incident that concern or concerned a tenant, oldest first. Raises NotFoundError without any."""
        ...

    @method
    def incident_alarms(self, tenant: str, incidents: Iterable[str]) -> dict[str, list[ToldAlarm]]:
        """Alarms that concern or concerned a tenant, by incident, oldest first; incidents without any are absent."""
        ...

    @method
    def work(self, tenant: str, begin: datetime, end: datetime) -> list[tuple[str, Job]]:
        """Jobs under way between two times that touch or interrupt a tenant, each with its run's procedure."""
        ...

    @method
    def audit(
        self, tenant: str, acts: Iterable[str], page: Page, wanted: AuditQuery = EVERYTHING
    ) -> tuple[int, list[tuple[AuditRow, bool]]]:
        """Total and one page of the tenant's wanted audit rows, newest first, and whether its own people acted.

        A row's id is its number among the tenant's rows. All other actors appear as ``host``. The filter does not find
        the object of a job that ended, since its id would reveal something of others.

        The tenant's rows are all acts of its people, and the named acts of others on its runs and their jobs.
        """
        ...
