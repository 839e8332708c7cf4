"""Incidents: a root alarm with all that follows from it, for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from controller.intent.agreed_terms import Era
from controller.intent.brief_outages import ListRead
from controller.intent.outages import Outages
from controller.models.alarm import Alarm
from controller.models.incident import AgreementMinutes, Incident, IncidentFilter, Loss, Rank, TenantMinutes
from controller.models.run import AuditRow
from controller.ports.store.repository import M_co, Page, Repository, method


class Incidents(Repository[M_co], Protocol[M_co]):
    """Incidents. They open, grow, merge and close with their alarms (``Alarms``)."""

    @method
    def get(self, incident_id: str) -> Incident:
        """An incident by id, also one that was merged into another. Raises NotFoundError."""
        ...

    @method
    def page(self, page: Page, like: IncidentFilter | None = None) -> tuple[int, list[Incident]]:
        """Total and one page of incidents, newest first; merged ones only if asked for."""
        ...

    @method
    def open(self) -> list[Incident]:
        """All open incidents, oldest first."""
        ...

    @method
    def correlating(self) -> frozenset[str]:
        """Ids of open incidents of which not all alarms are known yet, since roots are still being worked out.

        These are the incidents of alarms that are still to be placed, and while there are such alarms, those of roots
        from which they may follow.
        """
        ...

    @method
    def alarms(self, incident_id: str) -> list[Alarm]:
        """Alarms that are or were part of it, in the order in which they joined it. Raises NotFoundError."""
        ...

    @method
    def chattering(self, incident_ids: Collection[str]) -> list[str]:
        """Those of incidents whose fault came again so often that people have to know of it, and do not yet."""
        ...

    @method
    def timeline(self, incident_id: str) -> list[AuditRow]:
        """Its rows of the audit trail, oldest first. Raises NotFoundError.

        These are rows about the incident, incidents merged into it, its first alarms, and runs that repair them.
        """
        ...

    @method
    def minutes(self, incident_id: str, tenant: str | None = None) -> tuple[TenantMinutes, ...]:
        """Minutes without service that it has cost each tenant, or one of them. Raises NotFoundError."""
        ...

    @method
    def losing(self, incident_ids: Collection[str], tenant: str) -> dict[str, Loss]:
        """Service that alarms of incidents take away from a tenant now, by incident; by what concerns it alone."""
        ...

    @method
    def losses(self, alarm_ids: Collection[str]) -> dict[str, Loss]:
        """Service that these alarms take away now, by tenant."""
        ...

    @method
    def agreements(self, tenant: str | None = None) -> tuple[AgreementMinutes, ...]:
        """Minutes that agreements in force lost this month, and may lose; of all tenants or of one.

        They are as they were counted last (``count_agreements``); none before they were counted in this month.
        """
        ...

    @method
    def count_agreements(self) -> None:
        """Count what agreements lost this month, and put it on record. It takes long, and no transaction."""
        ...

    @method
    def eras(self, begin: datetime, end: datetime) -> list[Era]:
        """Who shared which cells under which agreements between two times, in order; empty if no network was loaded."""
        ...

    @method
    def outages(self, begin: datetime, end: datetime) -> Outages | None:
        """Service that alarms took away between two times, and outages that stations listed; until now at most.

        None if no network is loaded.
        """
        ...

    @method
    def note_listed(self, reads: Sequence[ListRead]) -> None:
        """Keep what lists of stations told of outages that are over: not of time in which Minka changed the station.

        Of a station that tells of very many in a day, the later ones are not kept.
        """
        ...

    @method
    def ranks(self) -> dict[str, Rank]:
        """The order of open incidents, by id. Minutes that agreements lost are those counted last."""
        ...

    @method
    def acknowledge(self, incident_id: str, by: str) -> Incident:
        """Put on record that people know of it; the first acknowledgement stays. Raises NotFoundError."""
        ...

    @method
    def take(self, incident_id: str, by: str) -> Incident:
        """Put on record who works on it from now on, in place of anybody before. Raises NotFoundError."""
        ...

    @method
    def hand_back(self, incident_id: str, by: str) -> Incident:
        """Put on record that nobody works on it any more. Raises NotFoundError."""
        ...

    @method
    def unsettled(self) -> list[str]:
        """Ids of alarms that outlived their root for so long that they need incidents of their own."""
        ...

    @method
    def settle(self) -> None:
        """Give these alarms incidents of their own."""
        ...
