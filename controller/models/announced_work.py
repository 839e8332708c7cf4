"""Work that a tenant announces on its own core: faults that it causes are no faults of the network."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import AwareDatetime

from controller.models.scalars import Noun

#: An interval of time; its end is excluded.
Interval = tuple[datetime, datetime]


class AnnouncedWork(Noun):
    """Work of a tenant on nodes of its own core, announced before it begins.

    Attributes:
        nodes: Ids of its MMEs, S-GWs, AMFs and UPFs, sorted; empty for all of them.
        links: Ids of the core links to these nodes, sorted; empty for all of the tenant's.
        by: Who announced it, one of the tenant's people.
        cancelled: When the tenant ended it early or cancelled it; None if it did not.
    """

    id: str
    tenant: str
    nodes: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    begins: AwareDatetime
    ends: AwareDatetime
    by: str
    reason: str
    created: AwareDatetime
    cancelled: AwareDatetime | None = None

    @property
    def over(self) -> datetime:
        """When it ends or ended."""
        return self.ends if self.cancelled is None else min(self.ends, self.cancelled)

    def covers(self, tenant: str, link: str) -> bool:
        """Whether it affects the remote end of a tenant's core link."""
        return bool(link) and tenant == self.tenant and (not self.nodes or link in self.links)


def intervals(works: Iterable[AnnouncedWork], tenant: str, link: str) -> list[Interval]:
    """When works were under way at the remote end of a tenant's core link: sorted, merged intervals."""
    found: list[Interval] = []
    for begins, over in sorted((one.begins, one.over) for one in works if one.covers(tenant, link)):
        if found and begins <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], over)
        elif begins < over:
            found.append((begins, over))
    return found
