"""The scheduler process: moves runs on, rings again, and drives remediation."""

from __future__ import annotations

import asyncio

import structlog

from controller.bootstrap import parts
from controller.models.errors import MinkaError
from controller.models.settings import Settings
from controller.ports.clock import Clock
from controller.remediation.remediator import Remediator
from controller.runs.sweeper import Sweeper

log = structlog.get_logger()

#: Seconds between two sweeps; and between two looks at open alarms.
_SWEEP, _REMEDIATE = 5.0, 1.0


async def schedule(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop``. Several schedulers may run: every decision is a compare-and-set.

    Raises:
        InputError: A remediation rule is wrong; nothing is started.
    """
    async with parts(settings) as made:
        remediator = made.remediator()
        tasks = [
            asyncio.create_task(_sweep(made.sweeper(), made.clock)),
            asyncio.create_task(_remediate(remediator, made.clock)),
            asyncio.create_task(stop.wait()),
        ]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for task in done:
            task.result()


async def _sweep(sweeper: Sweeper, clock: Clock) -> None:
    while True:
        await sweeper.sweep()
        await clock.sleep(_SWEEP)


async def _remediate(remediator: Remediator, clock: Clock) -> None:
    while True:
        try:
            await remediator.step()
        except MinkaError as error:
            log.warning("remediation.round_failed", reason=error.message)
        await clock.sleep(_REMEDIATE)
