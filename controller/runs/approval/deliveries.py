"""Sends what is on record for people: each one is claimed, posted, and marked as sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import structlog

from controller.models.errors import MinkaError
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds until the next try after the first one that was not taken; doubles up to the second.
_RETRY = (1.0, 60.0)
#: Seconds that somebody's claim may stand without an end, on our own monotonic clock, before we take it over: twice
#: what a call takes at most.
_CLAIM = 60.0


class Item(Protocol):
    """Something that is to be sent once: an escalation, or a notice to one contact."""

    @property
    def key(self) -> str:
        """The same for each attempt."""
        ...

    @property
    def attempts(self) -> int:
        """How often somebody began to send it."""
        ...

    @property
    def claimed(self) -> bool:
        """Whether somebody began and did not say yet how it ended."""
        ...


I = TypeVar("I", bound=Item)  # noqa: E741 - an item


class Outbox(Protocol[I]):
    """What is to be sent, on record (``controller.ports.store``: ``Escalations``, ``Notices``)."""

    async def pending(self) -> list[I]:
        """What nobody took yet, oldest first."""
        ...

    async def claim(self, seen: I, /) -> I | None:
        """Claim one before it is sent; None if somebody else claimed or sent it since it was seen."""
        ...

    async def release(self, claimed: I, why: str = "", /) -> None:
        """Give a claim back: it was not taken; why, where that is to be on record."""
        ...

    async def delivered(self, claimed: I, /) -> None:
        """Put on record that it was taken."""
        ...


class Deliveries(Generic[I]):
    """Sends what is in an outbox, each by one of all schedulers.

    Who dies between claim and end leaves the claim; another takes it over later and posts again under the same
    key, since a message that comes twice is better than one that never comes.

    Args:
        outbox: What is to be sent.
        post: Sends one; raises MinkaError where nobody took it: it is tried again.
        clock: Source of time.
    """

    def __init__(self, outbox: Outbox[I], post: Callable[[I], Awaitable[None]], clock: Clock) -> None:
        self._outbox = outbox
        self._send = post
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        #: Why it was not taken the last time: the same is said once.
        self._reasons: dict[str, str] = {}
        #: Claims of others: which one, and since when it was seen.
        self._claims: dict[str, tuple[int, float]] = {}
        #: Posted, and not yet on record as such.
        self._posted: dict[str, I] = {}

    async def step(self) -> None:
        """Begin to post what is due.

        Raises:
            StoreError: The database is away; the next round tries again.
        """
        waiting = await self._outbox.pending()
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
        for memory in (self._due, self._failures, self._reasons, self._claims, self._posted):
            for key in memory.keys() - known:
                del memory[key]

    def _is_abandoned(self, one: I, now: float) -> bool:
        """Whether a claim stood for so long that its claimant must be dead."""
        attempts, since = self._claims.get(one.key, (-1, now))
        if attempts != one.attempts:
            self._claims[one.key] = (one.attempts, now)
            return False
        return now - since >= _CLAIM

    async def _attend(self, one: I) -> None:
        try:
            await self._deliver(one)
            self._failures.pop(one.key, None)
        except MinkaError as error:
            self._wait(one)
            self._say(one, error)
        except Exception:
            self._wait(one)
            log.exception("delivery.bug", key=one.key)
        finally:
            del self._tasks[one.key]

    def _say(self, one: I, error: MinkaError) -> str:
        """Log why it was not taken, unless that was so the last time, and return it."""
        if self._reasons.get(one.key) == error.message:
            return ""
        self._reasons[one.key] = error.message
        log.warning("delivery.failed", key=one.key, code=error.code, reason=error.message)
        return error.message

    def _wait(self, one: I) -> None:
        failures = self._failures[one.key] = self._failures.get(one.key, 0) + 1
        self._due[one.key] = self._clock.monotonic() + min(_RETRY[1], _RETRY[0] * 2.0 ** (failures - 1))

    async def _deliver(self, one: I) -> None:
        claimed = self._posted.get(one.key) or await self._post(one)
        if claimed is not None:
            await self._outbox.delivered(claimed)

    async def _post(self, one: I) -> I | None:
        """Claim it and send it; None if somebody else does. Raises MinkaError where nobody took it."""
        claimed = await self._outbox.claim(one)
        if claimed is None:
            return None
        try:
            await self._send(one)
        except MinkaError as error:
            await self._outbox.release(claimed, self._say(one, error))
            raise
        self._posted[one.key] = claimed
        return claimed
