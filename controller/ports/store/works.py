"""Work that tenants announce on their own cores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from controller.models.alarm import Alarm
from controller.models.announced_work import AnnouncedWork
from controller.ports.store.repository import M_co, Page, Repository, method


class Works(Repository[M_co], Protocol[M_co]):
    """Announced work."""

    @method
    def announce(
        self,
        tenant: str,
        nodes: Mapping[str, str],
        begins: datetime,
        ends: datetime,
        by: str,
        reason: str,
    ) -> AnnouncedWork:
        """Put work on record; ``nodes`` has the ids of the core links by node.

        Raises:
            ConflictError: The tenant has announced too much already.
        """
        ...

    @method
    def cancel(self, work: str, tenant: str, actor: str) -> None:
        """End a tenant's work now, or call it off. Raises NotFoundError where it has none of that id that is not over.

        The part until now stays on record as announced work.
        """
        ...

    @method
    def page(self, page: Page, tenant: str | None = None) -> tuple[int, list[AnnouncedWork]]:
        """Total and one page of all works ever announced, newest first; only those of one tenant if named."""
        ...

    @method
    def during(self, since: datetime, until: datetime, tenant: str | None = None) -> list[AnnouncedWork]:
        """Work under way at some time between ``since`` and ``until``, by its begin.

        ``controller.models.announced_work.intervals`` turns works into the times of one core link.
        """
        ...

    @method
    def on(self, alarm: Alarm) -> AnnouncedWork | None:
        """Announced work under way now that explains an alarm; None if there is none."""
        ...
