"""What the routes work with, and how they get at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from controller.api.intake import Intake
from controller.api.readings import Readings
from controller.api.unauthenticated import UnauthenticatedRequests
from controller.models.alarm import Alarm, AlarmReport
from controller.models.credentials import LOOPBACK_ONLY, Credentials
from controller.models.settings import Settings
from controller.nrm.tree import Observed
from controller.observe.exposition import Asked
from controller.ports.clock import Clock
from controller.ports.devices import Devices
from controller.ports.queue import Wakeups
from controller.ports.store import Page
from controller.runs.planning.importer import Importer
from controller.runs.planning.planner import Planner
from controller.store import SqlStore

if TYPE_CHECKING:
    from controller.api.oidc import Provider

Item = TypeVar("Item")

#: Seconds for which a tenant gets the same reading of a station again, and between two reads for followers.
STATION_SECONDS, LOOK_SECONDS = 10.0, 0.5
#: Offset that no list reaches, and every database takes.
_FARTHEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the API."""

    settings: Settings
    store: SqlStore
    devices: Devices
    planner: Planner
    importer: Importer
    wakeups: Wakeups
    clock: Clock
    exposition: Callable[[Asked], bytes]
    credentials: Credentials = LOOPBACK_ONLY
    #: Why the secret of a name is not there; empty if it is.
    missing_secret: Callable[[str], str] = lambda _name: ""
    provider: Provider | None = None
    unauthenticated: UnauthenticatedRequests = field(default_factory=UnauthenticatedRequests)
    #: Stations read for tenants, each by itself: none learns what another one reads.
    stations: Readings[Observed] = field(default_factory=lambda: Readings(STATION_SECONDS))
    intake: Intake = field(default_factory=Intake)
    #: What followers are sent, by who they are and what they follow.
    followed: Readings[Any] = field(default_factory=lambda: Readings(LOOK_SECONDS, rest=10))

    def take_reports(self, reports: Sequence[AlarmReport], refused: Mapping[str, int]) -> list[Alarm]:
        """Put reports on record, all or none, with how many alerts were refused, by why; then wake the scheduler."""
        taken = self.store.alarms.report_all(reports, refused)
        if taken:
            self.wakeups.wake_scheduler()
        return taken


# What routes depend on are coroutine functions unless they block: for another function FastAPI takes a thread, which
# costs more than most of them do.


async def services(request: Request) -> Services:
    """The app's services."""
    found: Services = request.app.state.services
    return found


async def page(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: Annotated[int, Query(ge=0, le=_FARTHEST)] = 0
) -> Page:
    """Pagination parameters."""
    return Page(limit, offset)


Backend = Annotated[Services, Depends(services)]
Paging = Annotated[Page, Depends(page)]


class Body(BaseModel):
    """Base of request and answer bodies: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


#: Contractual reasons in a body: what lets the host take service away without the tenants' approval.
Contracts: Any = Field(
    default=(), max_length=100, description="Clauses of agreements that let the host reduce service."
)


class Listing(Body, Generic[Item]):
    """One page of a list: how many there are in all, and the offset of the next page or null."""

    count: int
    next: int | None
    results: list[Item]


def listing(total: int, items: Sequence[Item], asked: Page) -> Listing[Item]:
    """One page of a list whose store pages itself."""
    following = asked.offset + len(items)
    return Listing(count=total, next=following if following < total else None, results=list(items))


def cut(items: Sequence[Item], asked: Page) -> Listing[Item]:
    """One page of a list that is there as a whole."""
    return listing(len(items), items[asked.offset : asked.offset + asked.limit], asked)
