"""How much of what alarm sources send is taken in at once: more is told to come again, and never fills the memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException

_MIB = 2**20


class Intake:
    """Room for bodies that are under way, and turns to fold what they hold.

    Args:
        room: Bytes of bodies of all calls under way at once.
        at_once: Calls whose alarms are folded at once; the database takes them one after the other anyway.
        patience: Seconds that a call waits for its turn.
    """

    def __init__(self, room: int = 64 * _MIB, at_once: int = 4, patience: float = 10.0) -> None:
        self._room = room
        self._turns = asyncio.Semaphore(at_once)
        self._patience = patience

    def take(self, size: int) -> None:
        """Take room for a part of a body. Raises HTTPException 503 where there is none."""
        if size > self._room:
            raise HTTPException(503, "too much is being sent by alarm sources at once: send it again")
        self._room -= size

    def give(self, size: int) -> None:
        """Give room back."""
        self._room += size

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it. Raises HTTPException 503 where none comes."""
        try:
            async with asyncio.timeout(self._patience):
                await self._turns.acquire()
        except TimeoutError as error:
            raise HTTPException(503, "alarms of other calls are being taken in: send it again") from error
        try:
            yield
        finally:
            self._turns.release()
