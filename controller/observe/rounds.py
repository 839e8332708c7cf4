"""Loops that continue after a failed round, and report when rounds no longer succeed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from controller.models.errors import MinkaError
from controller.models.metrics import Observations
from controller.ports.clock import Clock

log = structlog.get_logger()

#: Seconds beyond its own interval after which a round that has not succeeded is late.
_PATIENCE = 30.0


async def repeat(
    name: str,
    work: Callable[[], Awaitable[None]],
    clock: Clock,
    seconds: float,
    through: Callable[[], None] = lambda: None,
    wake: asyncio.Event | None = None,
) -> None:
    """Do ``work`` again and again, ``seconds`` apart, until cancelled.

    ``through`` is called after each round without an error. Where ``wake`` is set, the next round begins at once.

    An error is logged and the next round tries again, also after a bug: it must not stop the other rounds.
    """
    while True:
        try:
            await work()
            through()
        except MinkaError as error:
            log.warning("round.failed", round=name, code=error.code, reason=error.message)
        except Exception:
            log.exception("round.bug", round=name)
        if wake is None:
            await clock.sleep(seconds)
        else:
            await _sleep_until(wake, clock, seconds)


async def _sleep_until(wake: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Sleep, unless it is woken."""
    waits = {asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(wake.wait())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
    wake.clear()


class Rounds:
    """The loops of one process.

    Args:
        clock: Source of time.
        observations: Gets the duration of each round, and the time of the last success.
    """

    def __init__(self, clock: Clock, observations: Observations | None = None) -> None:
        self._clock = clock
        self._observations = observations or Observations()
        self._tasks: list[asyncio.Task[None]] = []
        #: By loop: when it is late.
        self._late_at: dict[str, float] = {}

    def start(
        self, name: str, work: Callable[[], Awaitable[None]], seconds: float, wake: asyncio.Event | None = None
    ) -> None:
        """Begin to ``repeat`` work."""

        def through() -> None:
            self._late_at[name] = self._clock.monotonic() + seconds + _PATIENCE
            self._observations.state("minka_round_success_timestamp_seconds", self._clock.now().timestamp(), name)

        async def timed() -> None:
            began = self._clock.monotonic()
            try:
                await work()
            finally:
                self._observations.took("minka_round_duration_seconds", self._clock.monotonic() - began, name)

        through()
        self._tasks.append(asyncio.create_task(repeat(name, timed, self._clock, seconds, through, wake)))

    @property
    def late(self) -> tuple[str, ...]:
        """Names of loops without a successful round for too long."""
        now = self._clock.monotonic()
        return tuple(name for name, at in self._late_at.items() if now > at)

    async def stop(self) -> None:
        """End all loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
