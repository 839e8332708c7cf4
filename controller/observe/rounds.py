"""Loops that go on, whatever one of their rounds meets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from controller.models.errors import MinkaError
from controller.ports.clock import Clock

log = structlog.get_logger()


async def repeat(name: str, work: Callable[[], Awaitable[None]], clock: Clock, seconds: float) -> None:
    """Do ``work`` again and again, ``seconds`` apart, until cancelled.

    A database or a device that is away is logged and met again in the next round, and so is a bug:
    it must not stop what is not concerned.
    """
    while True:
        try:
            await work()
        except MinkaError as error:
            log.warning("round.failed", round=name, code=error.code, reason=error.message)
        except Exception:
            log.exception("round.bug", round=name)
        await clock.sleep(seconds)
