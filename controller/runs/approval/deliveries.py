"""Sends messages to people: each one on record is claimed, posted, and marked as sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import structlog

from controller.models.errors import MinkaError
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds until the next try after the first failed one; doubles up to the second value.
_RETRY = (1.0, 60.0)
#: Seconds after which a claim without an end is taken over, on our own monotonic clock: twice the longest call.
_CLAIM = 60.0


class Item(Protocol):
    """A message that is to be sent once: an escalation, or a notice to one contact."""

    @property
    def key(self) -> str:
        """Key of all attempts."""
        ...

    @property
    def attempts(self) -> int:
        """How often sending began."""
        ...

    @property
    def claimed(self) -> bool:
        """Whether an attempt to send it is under way."""
        ...


I = TypeVar("I", bound=Item)  # noqa: E741 - an item


class Outbox(Protocol[I]):
    """Messages to be sent, on record (``controller.ports.store``: ``Escalations``, ``Notices``)."""

    async def pending(self) -> list[I]:
        """Messages that are not delivered, oldest first."""
        ...

    async def claim(self, seen: I, /) -> I | None:
        """Claim one before it is sent; None if somebody else claimed or sent it since it was seen."""
        ...

    async def release(self, claimed: I, why: str = "", /) -> None:
        """Give a claim back, with the reason if that is kept on record."""
        ...

    async def delivered(self, claimed: I, /) -> None:
        """Put on record that it was delivered."""
        ...


class Deliveries(Generic[I]):
    """Sends the messages of an outbox; each is sent by one of all schedulers.

    If a scheduler dies after its claim, another one takes the claim over later and posts again under the same key,
    since a message that comes twice is better than one that never comes.

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
        #: The last reason why each was not delivered, so that the same is logged once.
        self._reasons: dict[str, str] = {}
        #: Claims of others: the attempt, and when it was first seen.
        self._claims: dict[str, tuple[int, float]] = {}
        #: Messages posted, but not on record as such yet.
        self._posted: dict[str, I] = {}

    async def step(self) -> None:
        """Begin to post all that is due.

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
        """Wait for posts under way."""
        await asyncio.gather(*self._tasks.values())

    def _forget_all_but(self, known: set[str]) -> None:
        for memory in (self._due, self._failures, self._reasons, self._claims, self._posted):
            for key in memory.keys() - known:
                del memory[key]

    def _is_abandoned(self, one: I, now: float) -> bool:
        """Whether a claim has lasted so long that its claimant must be dead."""
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
        """Log and return why it was not delivered; the same reason is logged once."""
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
        """Claim it and send it; None if somebody else does. Raises MinkaError if it was not accepted."""
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
