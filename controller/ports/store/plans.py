"""Plans on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.models.plan import Plan
from controller.ports.store.repository import M_co, Page, Repository, method


@dataclass(frozen=True, slots=True)
class PlanHead:
    """A plan in a list: what it is about, and its numbers of stations and findings."""

    id: str
    created: datetime
    network_digest: str
    selector: str
    stations: int
    unchanged: int
    unplanned: int
    findings: int


class Plans(Repository[M_co], Protocol[M_co]):
    """Plans, which never change."""

    @method
    def save(self, plan: Plan, actor: str) -> None:
        """Keep a plan; an equal plan changes nothing."""
        ...

    @method
    def get(self, plan_id: str) -> Plan:
        """A plan by id. Raises NotFoundError."""
        ...

    @method
    def page(self, page: Page) -> tuple[int, list[PlanHead]]:
        """Total and one page of plans without their changes, newest first."""
        ...
