"""Sends messages to people: each one on record is claimed, posted, and marked as sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import structlog

from controller.models.errors import MessageRefusedError, MinkaError, NotTakenError, StoreError
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds until the next try after the first failed one; doubles up to the second value.
_RETRY = (1.0, 60.0)
#: Posts that are under way at once to one receiver: one that never answers takes no more.
_AT_ONCE = 20
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

    @property
    def receiver(self) -> str:
        """Who gets it."""
        ...

    @property
    def about(self) -> str:
        """What it is about: a receiver gets messages about the same one after another."""
        ...


#: Messages about the same to one receiver: its name, and what they are about.
_Matter = tuple[str, str]
#: What fails by itself: a message, or (with a word for how) a receiver.
_Name = str | tuple[str, str]
#: A receiver that takes nothing, and one that answers and refuses some messages.
_AWAY, _REFUSES = "away", "refuses"
I = TypeVar("I", bound=Item)  # noqa: E741 - an item


class Outbox(Protocol[I]):
    """Messages to be sent, on record (``controller.store``: ``Escalations``, ``Notices``)."""

    async def pending(self) -> list[I]:
        """Messages that are not delivered, in the order in which they are to be sent, as many as may be now.

        What is about the same comes in order of time.
        """
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

    What is about the same goes to a receiver one after another, so that it reads things in the order in which they
    happened. A message that it refuses for its content does not hold up those after it.

    Args:
        outbox: What is to be sent.
        post: Sends one; raises MinkaError where nobody took it: it is tried again. With NotTakenError the receiver
            gets nothing else for a while either; with MessageRefusedError only this message waits.
        clock: Source of time.
    """

    def __init__(self, outbox: Outbox[I], post: Callable[[I], Awaitable[None]], clock: Clock) -> None:
        self._outbox = outbox
        self._send = post
        self._clock = clock
        self._tasks: dict[_Matter, asyncio.Task[None]] = {}
        #: When messages and receivers are tried again, and how often each failed.
        self._due: dict[_Name, float] = {}
        self._failures: dict[_Name, int] = {}
        #: The last reason why each was not delivered, so that the same is logged once.
        self._reasons: dict[str, str] = {}
        #: Messages that were refused for their content.
        self._refused: set[str] = set()
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
        self._forget_all_but(waiting)
        matters: dict[_Matter, list[I]] = {}
        for one in waiting:
            matters.setdefault((one.receiver, one.about), []).append(one)
        under_way = Counter(receiver for receiver, _ in self._tasks)
        for matter, messages in matters.items():
            if matter in self._tasks or under_way[matter[0]] >= _AT_ONCE:
                continue
            if ready := self._ready(messages):
                under_way[matter[0]] += 1
                self._tasks[matter] = asyncio.create_task(self._attend(matter, ready))

    async def settle(self) -> None:
        """Wait for posts under way."""
        await asyncio.gather(*self._tasks.values())

    def _forget_all_but(self, waiting: Sequence[I]) -> None:
        known: set[_Name] = {one.key for one in waiting}
        known |= {(how, one.receiver) for one in waiting for how in (_AWAY, _REFUSES)}
        self._refused &= known
        memories: tuple[dict[Any, Any], ...] = (self._due, self._failures, self._reasons, self._claims, self._posted)
        for memory in memories:
            for name in memory.keys() - known:
                del memory[name]

    def _ready(self, messages: Sequence[I]) -> list[I]:
        """Those of messages about the same that may be sent now, in order: none after one that still has to wait."""
        now, ready = self._clock.monotonic(), []
        for one in messages:
            if one.key in self._posted or self._is_free(one, now):
                ready.append(one)
            elif one.key not in self._refused:
                break
        return ready

    def _is_free(self, one: I, now: float) -> bool:
        if one.claimed and not self._is_abandoned(one, now):
            return False
        names: list[_Name] = [one.key, (_AWAY, one.receiver)]
        if one.attempts:
            names.append((_REFUSES, one.receiver))
        return all(self._due.get(name, now) <= now for name in names)

    def _is_abandoned(self, one: I, now: float) -> bool:
        """Whether a claim has lasted so long that its claimant must be dead."""
        attempts, since = self._claims.get(one.key, (-1, now))
        if attempts != one.attempts:
            self._claims[one.key] = (one.attempts, now)
            return False
        return now - since >= _CLAIM

    async def _attend(self, matter: _Matter, messages: Sequence[I]) -> None:
        try:
            for one in messages:
                if not await self._sent_or_refused(one):
                    break
        finally:
            del self._tasks[matter]

    async def _sent_or_refused(self, one: I) -> bool:
        """Send one; whether what comes after it may be sent, too."""
        try:
            return await self._deliver(one)
        except (NotTakenError, StoreError) as error:
            refused = isinstance(error, MessageRefusedError)
            self._say(one, error)
        except MinkaError as error:
            # Such as a contact that is not in the network files any more: that holds up nothing else.
            refused = True
            self._say(one, error)
        except Exception:
            refused = True
            log.exception("delivery.bug", key=one.key)
        self._wait(one.key)
        if refused:
            self._refused.add(one.key)
            self._wait((_REFUSES, one.receiver))
        else:
            self._refused.discard(one.key)
        return refused

    def _say(self, one: I, error: MinkaError) -> str:
        """Log and return why it was not delivered; the same reason is logged once."""
        if self._reasons.get(one.key) == error.message:
            return ""
        self._reasons[one.key] = error.message
        log.warning("delivery.failed", key=one.key, code=error.code, reason=error.message)
        return error.message

    def _wait(self, name: _Name) -> None:
        """Try it again later. Failures of posts to one receiver that were under way at once count once."""
        now = self._clock.monotonic()
        if self._due.get(name, now) > now:
            return
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        self._due[name] = now + min(_RETRY[1], _RETRY[0] * 2.0 ** (failures - 1))

    async def _deliver(self, one: I) -> bool:
        """Send it and put that on record; False if somebody else does."""
        claimed = self._posted.get(one.key) or await self._post(one)
        if claimed is None:
            return False
        await self._outbox.delivered(claimed)
        self._failures.pop(one.key, None)
        return True

    async def _post(self, one: I) -> I | None:
        """Claim it and send it; None if somebody else does. Raises MinkaError if it was not accepted."""
        claimed = await self._outbox.claim(one)
        if claimed is None:
            return None
        try:
            await self._send(one)
        except MinkaError as error:
            if isinstance(error, NotTakenError) and not isinstance(error, MessageRefusedError):
                self._wait((_AWAY, one.receiver))
            await self._outbox.release(claimed, self._say(one, error))
            raise
        except Exception:
            # A bug: nothing is under way any more, so that the next try need not wait until the claim is abandoned.
            await self._outbox.release(claimed)
            raise
        for how in (_AWAY, _REFUSES):
            self._failures.pop((how, one.receiver), None)
            self._due.pop((how, one.receiver), None)
        self._posted[one.key] = claimed
        return claimed
