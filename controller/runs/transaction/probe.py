"""Behaviour of a server: known from the record, or learned by an empty commit.

An empty confirmed commit, one that follows it up, and a cancel change nothing on a correct server. So a probe tries
them under the lock before the first change that relies on them, once for each software version. Servers that are known
to misbehave are not probed (``Capabilities.trustworthy``). Of the transactions of a process that begin together, one
probes and the others wait for the result (``Findings``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from controller.models.behaviour import Behaviour, FollowUp
from controller.models.errors import DeviceRefusedError
from controller.models.run import JournalStep
from controller.ports.clock import Clock
from controller.ports.devices import Capabilities, DeviceSession, Observed
from controller.runs.transaction.record import Record

log = structlog.get_logger()

#: Timer of the empty confirmed commit in seconds, and by how much a server may be late to end it.
_TIMER, _LAG = 10, 3.0
#: Most probes of a transaction: a server that loses the session at each is left alone.
_MOST = 2
#: Seconds for which others wait for the transaction that probes; then the next of them does it.
_TURN = 30.0


def software_of(capabilities: Capabilities, seen: Observed) -> str:
    """The name of a server's software; empty if there is nothing to learn about it."""
    if not (capabilities.software and capabilities.safe_commit):
        return ""
    # The ManagedElement at the top of the tree has its release.
    releases = (str(leaves.get("swVersion", "")) for path, leaves in seen.state.items() if path.rfind("/") == 0)
    return ":".join(filter(None, (capabilities.software, next(releases, ""))))


async def cancel_probe(session: DeviceSession, record: Record) -> None:
    """Cancel an interrupted probe; if that fails, there is none any more, or its timer ends it."""
    begun = record.probe
    if begun is None:
        return
    await record.check()
    try:
        await session.cancel(begun.persist)
    except DeviceRefusedError as refused:
        log.info("transaction.probe_not_cancelled", reason=refused.message)


@dataclass(slots=True)
class _Turn:
    """One probe; ``found`` is None if it failed. ``over`` ends the wait of the others."""

    found: asyncio.Future[Behaviour | None]
    over: asyncio.Task[None] | None = None


class Findings:
    """Behaviour of servers that transactions of one process find out: for each software version one at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turns: dict[str, _Turn] = {}

    async def shared(self, software: str, find_out: Callable[[], Awaitable[Behaviour | None]]) -> Behaviour | None:
        """The result of the transaction that probes; without one, or if it finds nothing in time, that of ``find_out``.

        Returns:
            None where ``find_out`` returned that. It may raise anything: then it is the next one's turn.
        """
        while (turn := self._turns.get(software)) is not None:
            turn.over = turn.over or asyncio.create_task(self._clock.sleep(_TURN))
            either: set[asyncio.Future[Any]] = {turn.found, turn.over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if turn.found.done() and (found := turn.found.result()) is not None:
                return found
            self._end(software, turn)
        turn = self._turns[software] = _Turn(asyncio.get_running_loop().create_future())
        try:
            found = await find_out()
            turn.found.set_result(found)
            return found
        finally:
            self._end(software, turn)
            if not turn.found.done():
                turn.found.set_result(None)
            if turn.over is not None:
                turn.over.cancel()

    def _end(self, software: str, turn: _Turn) -> None:
        """Let another transaction begin, if none has begun since."""
        if self._turns.get(software) is turn:
            del self._turns[software]


class Probe:
    """Finds out how the server of one transaction behaves.

    Attributes:
        harm: Damage that the probe did to the station, in words; empty if there is none.
    """

    def __init__(self, record: Record, clock: Clock, findings: Findings, transaction: str) -> None:
        self._record = record
        self._clock = clock
        self._findings = findings
        self._id = transaction
        self.harm = ""

    async def behaviour(self, session: DeviceSession, seen: Observed) -> Behaviour:
        """The behaviour of the server, learned now if it is not on record. The session holds the lock.

        Args:
            session: A session to it.
            seen: What it carries.
        """
        software = software_of(session.capabilities, seen)
        if not software:
            return Behaviour()
        await cancel_probe(session, self._record)

        async def find_out() -> Behaviour | None:
            known = await self._record.behaviour(software)
            if known is None and self._record.count(JournalStep.PROBING, 0) < _MOST:
                return await self._tried_out(session, seen, software)
            return known

        found = await self._findings.shared(software, find_out)
        return found or Behaviour(
            follow_up=None, cancels=False, reason="it lost the session at an empty confirmed commit"
        )

    async def _tried_out(self, session: DeviceSession, seen: Observed, software: str) -> Behaviour:
        found = await self._learned(session)
        await session.discard()
        if (await session.read()).tree != seen.tree:
            self.harm = "an empty confirmed commit and its cancel changed what the station carries"
            found = Behaviour(follow_up=None, cancels=False, reason=self.harm)
        found = await self._record.learn(software, found)
        log.info("transaction.learned", software=software, follow_up=found.follow_up, reason=found.reason)
        return found

    async def _learned(self, session: DeviceSession) -> Behaviour:
        deadline = self._clock.now() + timedelta(seconds=_TIMER)
        token = f"minka-{self._id}-probe-{self._record.count(JournalStep.PROBING, 0)}"
        await self._record.write(JournalStep.PROBING, persist=token, deadline=deadline)
        await self._record.check()
        try:
            await session.commit_confirmed(token, _TIMER)
        except DeviceRefusedError as refused:
            return Behaviour(follow_up=None, cancels=False, reason=refused.message)
        follow_up, reason = await self._follow_up(session, token)
        await self._record.check()
        try:
            await session.cancel(token)
        except DeviceRefusedError as refused:
            # Its timer has to end it.
            await self._clock.sleep(_TIMER + _LAG)
            return Behaviour(follow_up=follow_up, cancels=False, reason=refused.message)
        return Behaviour(follow_up=follow_up, reason=reason)

    async def _follow_up(self, session: DeviceSession, token: str) -> tuple[FollowUp | None, str]:
        """The form that the server accepts; or None, with its answer to the last one."""
        said = ""
        for form in FollowUp:
            await self._record.check()
            try:
                await session.commit_confirmed(token, _TIMER, form)
            except DeviceRefusedError as refused:
                said = refused.message
            else:
                return form, ""
        return None, said
