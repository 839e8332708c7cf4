"""Loops that go on, whatever one of their rounds meets, and say when they no longer come through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from controller.models.errors import MinkaError
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds beside its own interval in which a round comes through; after them it is late.
_PATIENCE = 30.0


async def repeat(
    name: str,
    work: Callable[[], Awaitable[None]],
    clock: Clock,
    seconds: float,
    through: Callable[[], None] = lambda: None,
) -> None:
    """Do ``work`` again and again, ``seconds`` apart, until cancelled; ``through`` hears of each time without an error.

    A database or a device that is away is logged and met again in the next round, and so is a bug:
    it must not stop what is not concerned.
    """
    while True:
        try:
            await work()
            through()
        except MinkaError as error:
            log.warning("round.failed", round=name, code=error.code, reason=error.message)
        except Exception:
            log.exception("round.bug", round=name)
        await clock.sleep(seconds)


class Rounds:
    """The loops of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        #: By loop: when it is late.
        self._late_at: dict[str, float] = {}

    def start(self, name: str, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Begin to ``repeat`` work."""

        def through() -> None:
            self._late_at[name] = self._clock.monotonic() + seconds + _PATIENCE

        through()
        self._tasks.append(asyncio.create_task(repeat(name, work, self._clock, seconds, through)))

    @property
    def late(self) -> tuple[str, ...]:
        """Names of loops none of whose rounds has come through for too long."""
        now = self._clock.monotonic()
        return tuple(name for name, at in self._late_at.items() if now > at)

    async def stop(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
