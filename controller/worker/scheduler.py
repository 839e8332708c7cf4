"""The scheduler process: moves runs on, rings again, drives remediation, and tells tenants of planned work."""

from __future__ import annotations

import asyncio

from controller.bootstrap import Role, parts
from controller.models.settings import Settings
from controller.observe.rounds import repeat

#: Seconds between two sweeps; between two looks at open alarms; between two rounds of notices to tenants.
_SWEEP, _REMEDIATE, _NOTICES = 5.0, 1.0, 2.0


async def schedule(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop``. Several schedulers may run: every decision is a compare-and-set.

    Raises:
        InputError: A remediation rule is wrong; nothing is started.
        StoreError: The database is unreachable, at the start.
    """
    async with parts(settings) as made:
        await made.take_calls(Role.SCHEDULER)
        sweeper, remediator, notices = made.sweeper(), made.remediator(), made.notices()
        loops = [
            asyncio.create_task(repeat("sweep", sweeper.sweep, made.clock, _SWEEP)),
            asyncio.create_task(repeat("remediation", remediator.step, made.clock, _REMEDIATE)),
            asyncio.create_task(repeat("notices", notices.step, made.clock, _NOTICES)),
        ]
        await stop.wait()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await remediator.settle()
