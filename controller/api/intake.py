"""Intake of reports from alarm sources: bounds memory, and lets calls that come together share a transaction.

A call without room is refused with 503, so that the source sends it again and memory stays bounded.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from controller.intent.folding import in_pieces
from controller.models.alarm import Alarm, AlarmReport
from controller.models.errors import StoreError
from controller.models.metrics import Observations

_MIB = 2**20
#: Puts reports on record, all or none, with the number of refused alerts by reason (``Services.take_reports``).
ReportSink = Callable[[Sequence[AlarmReport], Mapping[str, int], Collection[str]], list[Alarm | None]]


@dataclass(slots=True)
class _Call:
    """The reports of one call; ``begun`` is set when its transaction begins, ``taken`` holds the resulting alarms."""

    reports: Sequence[AlarmReport]
    refused: Mapping[str, int]
    real: Collection[str]
    begun: asyncio.Future[None] = field(default_factory=asyncio.Future)
    taken: asyncio.Future[list[Alarm | None]] = field(default_factory=asyncio.Future)


class Intake:
    """Room for bodies under way, turns to read them, and one transaction for all calls that wait.

    A transaction costs much more than a report, and only one at a time may raise alarms. So while one transaction runs,
    the reports of further calls gather, and the next transaction takes them together. Calls that name different tenants
    take turns: in a storm of one tenant's alarms, a call of another tenant waits only for the transaction under way and
    for its own.

    Args:
        room: Bytes of bodies of all calls under way at once.
        at_once: Calls that are read at once.
        patience: Seconds that a call waits for its turn, and again for its transaction to begin.
        most: Reports of several calls in one transaction; a call with more gets its own transaction.
        longest: Reports of one call in one transaction; of a call with more, pieces are taken in one after the other,
            between those of other calls.
        observations: Gets the duration of calls.
    """

    def __init__(
        self,
        room: int = 64 * _MIB,
        at_once: int = 4,
        patience: float = 10.0,
        most: int = 100,
        longest: int = 300,
        observations: Observations | None = None,
    ) -> None:
        self._room = room
        self._turns = asyncio.Semaphore(at_once)
        self._patience = patience
        self._most = most
        self._longest = longest
        self._observations = observations or Observations()
        #: Waiting calls by the tenants that they name; the group whose turn is next comes first.
        self._waiting: dict[frozenset[str], deque[_Call]] = {}
        self._task: asyncio.Task[None] | None = None

    def take(self, size: int) -> None:
        """Take room for a part of a body. Raises HTTPException 503 if there is none."""
        if size > self._room:
            raise HTTPException(503, "alarm sources send too much at once: send it again")
        self._room -= size

    def give(self, size: int) -> None:
        """Give room back."""
        self._room += size

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it in the block. Raises HTTPException 503 if none comes in time."""
        try:
            async with asyncio.timeout(self._patience):
                await self._turns.acquire()
        except TimeoutError as error:
            raise _crowded() from error
        try:
            yield
        finally:
            self._turns.release()

    async def report(
        self, take: ReportSink, reports: Sequence[AlarmReport], refused: Mapping[str, int], real: Collection[str]
    ) -> list[Alarm | None]:
        """Put a call's reports on record, together with those of other calls; returns the resulting alarms in order.

        A report of one fault too many becomes None; ``real`` has faults that are never too many
        (``controller.intent.folding.admitted``). Once all pieces of a long call are on record, it is answered: a call
        that fails comes again, and what of it is on record already changes nothing then.

        Raises:
            HTTPException: 503 if other calls take too long; nothing of a call in one piece is then on record.
            StoreError: The database is away.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        if len(reports) <= self._longest:
            taken = await self._report(take, reports, refused, real)
        else:
            taken = [None] * len(reports)
            for places in await run_in_threadpool(in_pieces, reports, self._longest):
                some = await self._report(take, [reports[place] for place in places], {}, real)
                for place, alarm in zip(places, some, strict=True):
                    taken[place] = alarm
            if refused:
                await self._report(take, [], refused, real)
        self._observations.took("minka_intake_duration_seconds", loop.time() - began)
        return taken

    async def _report(
        self, take: ReportSink, reports: Sequence[AlarmReport], refused: Mapping[str, int], real: Collection[str]
    ) -> list[Alarm | None]:
        """Put a piece on record, as ``report``."""
        call = _Call(reports, refused, real)
        self._waiting.setdefault(frozenset(one.tenant for one in reports), deque()).append(call)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._take_in(take))
        try:
            async with asyncio.timeout(self._patience):
                await call.begun
        except TimeoutError as error:
            raise _crowded() from error
        return await call.taken

    async def _take_in(self, take: ReportSink) -> None:
        while calls := self._next():
            try:
                await _together(take, calls)
            except StoreError as error:
                for call in calls:
                    _end(call, error)
            except Exception as error:  # noqa: BLE001 - whose report it was is found out below
                if len(calls) == 1:
                    _end(calls[0], error)
                else:  # a wrong report must not fail the other calls
                    await self._one_by_one(take, calls)

    async def _one_by_one(self, take: ReportSink, calls: Sequence[_Call]) -> None:
        for call in calls:
            try:
                await _together(take, [call])
            except Exception as error:  # noqa: BLE001 - the call's own
                _end(call, error)

    def _next(self) -> list[_Call]:
        """The calls for the next transaction, without those that gave up."""
        found, room = list[_Call](), self._most
        while self._waiting:
            group, calls = next(iter(self._waiting.items()))
            if found and len(calls[0].reports) > room:
                return found
            call = calls.popleft()
            del self._waiting[group]
            if calls:
                self._waiting[group] = calls
            if not call.begun.done():
                call.begun.set_result(None)
                found.append(call)
                room -= len(call.reports)
        return found


async def _together(take: ReportSink, calls: Sequence[_Call]) -> None:
    refused: Counter[str] = Counter()
    for call in calls:
        refused.update(call.refused)
    real = {fault for call in calls for fault in call.real}
    taken = iter(await run_in_threadpool(take, [report for call in calls for report in call.reports], refused, real))
    for call in calls:
        alarms = [next(taken) for _ in call.reports]
        if not call.taken.done():  # the caller disconnected
            call.taken.set_result(alarms)


def _end(call: _Call, error: Exception) -> None:
    if not call.taken.done():
        call.taken.set_exception(error)


def _crowded() -> HTTPException:
    return HTTPException(503, "alarms of other calls are being taken in: send it again")
