"""Acts of steps: what they do to a device, and how they end: by themselves, cut off, or with an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from controller.models.errors import DeviceError, InputError, MinkaError, Retry, UnreachableError
from controller.models.network import Network
from controller.models.run import JournalStep, Outcome
from controller.models.step import StepRecord
from controller.playbook.engine.operations import operate
from controller.playbook.language.registry import Unmet
from controller.ports.clock import Clock
from controller.ports.store import Claim, JobResult
from controller.runs.poller import Poller
from controller.runs.procedures import Tools
from controller.runs.transaction.gates import Gate
from controller.runs.transaction.record import Record

T = TypeVar("T")

#: What is said of an act that a person cut.
CUT = Unmet("cancelled by a person", Outcome.CANCELLED)


async def act(
    claim: Claim, row: StepRecord, network: Network, gate: Gate | None, tools: Tools, record: Record
) -> JobResult:
    """The device transaction of a step that has its change on record, or its operations."""
    if row.operations:
        target = tools.target_of(network, claim.job.station)
        result = await operate(row.operations, target, tools.devices, record, tools.clock, tools.patience)
    else:
        result = await tools.transact(claim, network, record, gate)
    await record.write(JournalStep.FINISHED, detail=result.outcome)
    return result


async def bounded(
    acting: Awaitable[T],
    clock: Clock,
    timeout: float | None,  # noqa: ASYNC109 - kept by the Clock
    cancelled: Poller[str, bool],
    run: str,
) -> T | Unmet:
    """What an act says, unless its time is over or its run is cancelled before."""
    act = asyncio.ensure_future(acting)
    cut = asyncio.ensure_future(cancelled.wait(run))
    others: set[asyncio.Future[Any]] = {cut}
    if timeout is not None:
        others.add(asyncio.ensure_future(clock.sleep(timeout)))
    try:
        await asyncio.wait({act, *others}, return_when=asyncio.FIRST_COMPLETED)
        if act.done():
            return act.result()
        # A record that is away is for whoever writes next.
        return CUT if cut.done() and cut.result() else Unmet(f"not done within {timeout:g} s")
    finally:
        for future in (act, *others):
            future.cancel()
        await asyncio.gather(act, *others, return_exceptions=True)


def outcome_of(error: MinkaError) -> Outcome:
    """How a step ends whose action raised this: nothing was sent to the station."""
    if isinstance(error, InputError):
        return Outcome.REFUSED
    if isinstance(error, UnreachableError):
        return Outcome.DEFERRED
    if isinstance(error, DeviceError) and error.retry is not Retry.NEVER:
        return Outcome.DEFERRED
    return Outcome.FAILED_SAFE
