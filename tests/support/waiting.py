"""Waiting in a test for what its loop brings about by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: Seconds in which it has come about, on a busy machine.
_PATIENCE = 60


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(_PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)
