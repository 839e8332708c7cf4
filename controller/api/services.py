"""The services of routes, and pages of lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import structlog
from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from controller.api.drafts import Drafts
from controller.api.intake import Intake
from controller.api.readings import Readings
from controller.drivers.protocols import Devices
from controller.models.alarm import Alarm, AlarmReport
from controller.models.credentials import LOOPBACK_ONLY, Credentials
from controller.models.errors import StoreError
from controller.models.settings import Settings
from controller.nrm.tree import Observed
from controller.observe.exposition import ScrapeScope
from controller.ports.clock import Clock
from controller.ports.queue import Wakeups
from controller.ports.webhook import Webhook
from controller.runs.planning.importer import Importer
from controller.runs.planning.planner import Planner
from controller.store import Page, Store

if TYPE_CHECKING:
    from controller.api.oidc import Provider

log = structlog.get_logger()

Item = TypeVar("Item")

#: Seconds during which a tenant gets the same reading of a station, and between two reads for followers.
STATION_SECONDS, FOLLOW_SECONDS = 10.0, 0.5
#: An offset beyond any list that every database accepts.
_FARTHEST = 2**31 - 1
#: The actor of unauthenticated requests on the audit trail; a user's name can't contain a blank.
UNAUTHENTICATED = "an unauthenticated caller"
#: Least seconds between two writes.
_PAUSE = 10.0


class UnauthenticatedRequests:
    """Counts requests without a valid token, and puts the counts on record from time to time.

    Anybody can send any number of them, so no request waits for the database or makes it write. A process that is
    killed loses the counts of the last ten seconds.
    """

    def __init__(self) -> None:
        self._count = 0
        self._asked = ""
        self._writing: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()

    def refused(self, asked: str, store: Store, clock: Clock) -> None:
        """Count a request; the first is put on record at once, later ones together after a while."""
        self._count += 1
        self._asked = asked
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_on(store, clock))

    async def settle(self, store: Store) -> None:
        """Put the remaining counts on record, and stop."""
        async with self._one:
            if self._writing is not None:
                self._writing.cancel()
        await self._write(store)

    async def _write_on(self, store: Store, clock: Clock) -> None:
        while self._count:
            await self._write(store)
            await clock.sleep(_PAUSE)

    async def _write(self, store: Store) -> None:
        async with self._one:
            count, self._count = self._count, 0
            if not count:
                return
            try:
                await run_in_threadpool(store.audit.deny, UNAUTHENTICATED, "", "", self._asked, count)
            except StoreError as error:
                self._count += count
                log.warning("api.denials_unwritten", count=self._count, reason=error.message)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the API."""

    settings: Settings
    store: Store
    devices: Devices
    planner: Planner
    importer: Importer
    wakeups: Wakeups
    clock: Clock
    exposition: Callable[[ScrapeScope], bytes]
    credentials: Credentials = LOOPBACK_ONLY
    #: Channels to people besides the webhook, by name: what a dry run says of messages goes by them.
    channels: Mapping[str, Webhook] = field(default_factory=dict)
    #: Why the secret of a name is missing; empty if it is there.
    missing_secret: Callable[[str], str] = lambda _name: ""
    provider: Provider | None = None
    unauthenticated: UnauthenticatedRequests = field(default_factory=UnauthenticatedRequests)
    #: Readings of stations, one for each tenant, so that no tenant learns what another reads.
    stations: Readings[Observed] = field(default_factory=lambda: Readings(STATION_SECONDS))
    intake: Intake = field(default_factory=Intake)
    #: Events for followers, by side and subject.
    followed: Readings[Any] = field(default_factory=lambda: Readings(FOLLOW_SECONDS, rest=10))
    drafts: Drafts = field(default_factory=Drafts)

    def take_reports(
        self, reports: Sequence[AlarmReport], refused: Mapping[str, int], real: Collection[str]
    ) -> list[Alarm | None]:
        """Put reports on record (``Alarms.take_told``), with the number of refused alerts; then wake the scheduler."""
        taken = self.store.alarms.take_told(reports, real, refused)
        if any(taken):
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


#: Contractual reasons in a body, by which the host may reduce service without the tenants' approval.
Contracts: Any = Field(
    default=(), max_length=100, description="Clauses of agreements that let the host reduce service."
)


class Listing(Body, Generic[Item]):
    """One page of a list, with the total and the offset of the next page or null."""

    count: int
    next: int | None
    results: list[Item]


def listing(total: int, items: Sequence[Item], asked: Page) -> Listing[Item]:
    """One page of a list whose store pages itself."""
    following = asked.offset + len(items)
    return Listing(count=total, next=following if following < total else None, results=list(items))


def cut(items: Sequence[Item], asked: Page) -> Listing[Item]:
    """One page of a complete list."""
    return listing(len(items), items[asked.offset : asked.offset + asked.limit], asked)
