"""Incidents: alarms with one root, as people see them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from controller.intent.outages import Era, Outages
from controller.models.alarm import Alarm
from controller.models.incident import AgreementMinutes, Incident, IncidentFilter, Rank, TenantMinutes
from controller.models.run import AuditRow
from controller.ports.store.repository import M_co, Page, Repository, method


class Incidents(Repository[M_co], Protocol[M_co]):
    """Faults with all that follows from them. They open, grow, merge and close with their alarms (``Alarms``)."""

    @method
    def get(self, incident_id: str) -> Incident:
        """An incident by id, also one that is part of another by now. Raises NotFoundError."""
        ...

    @method
    def page(self, page: Page, like: IncidentFilter | None = None) -> tuple[int, list[Incident]]:
        """Total and one page of incidents, newest first; those that became part of another only where asked for."""
        ...

    @method
    def open(self) -> list[Incident]:
        """All that are open, oldest first."""
        ...

    @method
    def alarms(self, incident_id: str) -> list[Alarm]:
        """Alarms that are part of it or were, in the order in which they became so. Raises NotFoundError."""
        ...

    @method
    def timeline(self, incident_id: str) -> list[AuditRow]:
        """What the audit trail says of it, oldest first. Raises NotFoundError.

        That is of the incident, of those that merged into it, of its alarms and of the runs that repair these; of many
        alarms the first.
        """
        ...

    @method
    def minutes(self, incident_id: str, tenant: str | None = None) -> tuple[TenantMinutes, ...]:
        """Minutes without service that it cost each tenant so far, or one of them. Raises NotFoundError."""
        ...

    @method
    def agreements(self, tenant: str | None = None) -> tuple[AgreementMinutes, ...]:
        """What agreements in force lost this month, of what they allow; those of all tenants or of one."""
        ...

    @method
    def eras(self, begin: datetime, end: datetime) -> list[Era]:
        """Who shared which cells under which agreements from one time to another, in order; none without a network."""
        ...

    @method
    def outages(self, begin: datetime, end: datetime) -> Outages | None:
        """What alarms took away from one time to another, as far as that has passed; None without a network."""
        ...

    @method
    def ranks(self) -> dict[str, Rank]:
        """Which of the open incidents comes first, by id. What agreements lost is as it was a minute ago at most."""
        ...

    @method
    def acknowledge(self, incident_id: str, by: str) -> Incident:
        """Put on record that people know of it: who said so first, and when, stays. Raises NotFoundError."""
        ...

    @method
    def take(self, incident_id: str, by: str) -> Incident:
        """Put on record who sees to it from now on, whoever did before. Raises NotFoundError."""
        ...

    @method
    def hand_back(self, incident_id: str, by: str) -> Incident:
        """Put on record that nobody sees to it any more. Raises NotFoundError."""
        ...

    @method
    def unsettled(self) -> list[str]:
        """Ids of alarms that outlived their root for so long that they are to have incidents of their own."""
        ...

    @method
    def settle(self) -> None:
        """Give these alarms incidents of their own."""
        ...
