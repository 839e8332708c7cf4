"""Drafts of statements for those who read: worked out in a process of their own, since they cost seconds of CPU."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from anyio import CapacityLimiter, to_process

from controller.api.readings import Readings
from controller.api.statements import draft
from controller.bootstrap import open_database
from controller.models.statement import Month, Statement, StatementKind
from controller.ports.clock import Clock

#: Seconds for which a draft serves all who ask for it; one that took long serves ten times as long.
_SERVES, _REST = 60.0, 10.0
#: Drafts at once in this process: one of the host's, and one of all tenants'.
_AT_ONCE = 2
#: Priority of the processes (setpriority(2)): alarms and stations come first.
_NICE = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which draft: ``side`` asks for it, empty for the host."""

    side: str
    kind: StatementKind
    tenant: str
    month: Month


class Drafts:
    """Works drafts out, the same one once for all who ask meanwhile. Belongs to one loop.

    A tenant has one draft under way at most, and so have all tenants together, in the order in which they asked: one
    with many questions keeps no other waiting for more than one of them.
    """

    def __init__(self) -> None:
        self._made: Readings[Statement] = Readings(_SERVES, _REST)
        self._sides: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(1))
        self._tenants = asyncio.Semaphore(1)
        self._processes = CapacityLimiter(_AT_ONCE)

    async def get(self, wanted: Wanted, database: str, clock: Clock) -> Statement:
        """The draft from the record of a URL. Raises what ``controller.api.statements.draft`` raises."""
        return await self._made.get(wanted, clock, partial(self._make, wanted, database, clock))

    async def _make(self, wanted: Wanted, database: str, clock: Clock) -> Statement:
        async with self._sides[wanted.side], self._tenants if wanted.side else nullcontext():
            return await to_process.run_sync(_drafted, database, clock.now(), wanted, limiter=self._processes)


def _drafted(database: str, now: datetime, wanted: Wanted) -> Statement:
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with closing(open_database(database, "draft")) as store:
        made = draft(store, now, wanted.kind, wanted.tenant, wanted.month)
    return made.model_copy(update={"drafted": now})
