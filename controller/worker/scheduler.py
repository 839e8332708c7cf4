"""The scheduler process: moves runs on, rings again, and drives remediation."""

from __future__ import annotations

import asyncio

from controller.bootstrap import Role, parts
from controller.models.settings import Settings
from controller.observe.rounds import repeat

#: Seconds between two sweeps; and between two looks at open alarms.
_SWEEP, _REMEDIATE = 5.0, 1.0


async def schedule(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop``. Several schedulers may run: every decision is a compare-and-set.

    Raises:
        InputError: A remediation rule is wrong; nothing is started.
        StoreError: The database is unreachable, at the start.
    """
    async with parts(settings) as made:
        await made.take_calls(Role.SCHEDULER)
        sweeper, remediator = made.sweeper(), made.remediator()
        loops = [
            asyncio.create_task(repeat("sweep", sweeper.sweep, made.clock, _SWEEP)),
            asyncio.create_task(repeat("remediation", remediator.step, made.clock, _REMEDIATE)),
        ]
        await stop.wait()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await remediator.settle()
