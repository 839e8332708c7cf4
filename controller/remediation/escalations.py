"""Sends escalations: each one on record is claimed, posted, and marked as sent."""

from __future__ import annotations

import asyncio

import structlog

from controller.models.alarm import Escalation
from controller.models.errors import MinkaError
from controller.ports.clock import Clock
from controller.ports.notifier import Notifier
from controller.ports.store import AsyncStore

log = structlog.get_logger()

#: Seconds until the next try after the first one that was not taken; doubles up to the second.
_RETRY = (1.0, 60.0)
#: Seconds that somebody's claim may stand without an end, on our own monotonic clock, before we take it over: twice
#: what a call takes at most.
_CLAIM = 60.0


class Escalations:
    """Posts escalations of all schedulers, each by one of them.

    Who dies between claim and end leaves the claim; another takes it over later and posts again under the same
    key, since people who hear twice are better than people who never hear.
    """

    def __init__(self, store: AsyncStore, notifier: Notifier, clock: Clock) -> None:
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        #: Claims of others: which one, and since when it was seen.
        self._claims: dict[str, tuple[int, float]] = {}
        #: Posted, and not yet on record as such.
        self._posted: dict[str, Escalation] = {}

    async def step(self) -> None:
        """Begin to post what is due.

        Raises:
            StoreError: The database is away; the next round looks again.
        """
        waiting = await self._store.escalations.pending()
        self._forget_all_but({one.key for one in waiting})
        now = self._clock.monotonic()
        for one in waiting:
            free = one.key in self._posted or not one.claimed or self._is_abandoned(one, now)
            if free and one.key not in self._tasks and self._due.get(one.key, now) <= now:
                self._tasks[one.key] = asyncio.create_task(self._attend(one))

    async def settle(self) -> None:
        """Wait for the posts that were begun."""
        await asyncio.gather(*self._tasks.values())

    def _forget_all_but(self, known: set[str]) -> None:
        for memory in (self._due, self._failures, self._claims, self._posted):
            for key in memory.keys() - known:
                del memory[key]

    def _is_abandoned(self, one: Escalation, now: float) -> bool:
        """Whether a claim stood for so long that its claimant must be dead."""
        attempts, since = self._claims.get(one.key, (-1, now))
        if attempts != one.attempts:
            self._claims[one.key] = (one.attempts, now)
            return False
        return now - since >= _CLAIM

    async def _attend(self, one: Escalation) -> None:
        try:
            await self._tell(one)
            self._failures.pop(one.key, None)
        except MinkaError as error:
            self._wait(one)
            log.warning("escalation.failed", alarm=one.alarm, code=error.code, reason=error.message)
        except Exception:
            self._wait(one)
            log.exception("escalation.bug", alarm=one.alarm)
        finally:
            del self._tasks[one.key]

    def _wait(self, one: Escalation) -> None:
        failures = self._failures[one.key] = self._failures.get(one.key, 0) + 1
        self._due[one.key] = self._clock.monotonic() + min(_RETRY[1], _RETRY[0] * 2.0 ** (failures - 1))

    async def _tell(self, one: Escalation) -> None:
        claimed = self._posted.get(one.key) or await self._post(one)
        if claimed is not None:
            await self._store.escalations.delivered(claimed)

    async def _post(self, one: Escalation) -> Escalation | None:
        """Claim it and tell people; None if somebody else does. Raises MinkaError where nobody took it."""
        claimed = await self._store.escalations.claim(one)
        if claimed is None:
            return None
        alarm = await self._store.alarms.get(one.alarm)
        try:
            await self._notifier.escalate(alarm, one.reason, one.key)
        except MinkaError:
            await self._store.escalations.release(claimed)
            raise
        self._posted[one.key] = claimed
        return claimed
