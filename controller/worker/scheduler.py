"""The scheduler process: moves runs on, rings again, drives remediation, tells tenants of planned work.

It also sums up what people were denied.
"""

from __future__ import annotations

import asyncio

from controller.bootstrap import Role, parts
from controller.models.settings import Settings
from controller.observe.rounds import repeat

#: Seconds between two sweeps; between two looks at open alarms; between two rounds of notices to tenants; between two
#: looks for denials to sum up.
_SWEEP, _REMEDIATE, _NOTICES, _DENIALS = 5.0, 1.0, 2.0, 60.0


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
            asyncio.create_task(repeat("denials", made.sum_up_denials, made.clock, _DENIALS)),
        ]
        await stop.wait()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await remediator.settle()
