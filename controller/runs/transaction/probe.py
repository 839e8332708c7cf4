"""Behaviour of a server: known from the record, or learned by an empty commit.

An empty confirmed commit, one that follows it up, and a cancel change nothing on a correct server. So a probe tries
them under the lock before the first change that relies on them, at each station once for the identity and software
that it has (``Server``). Servers that are known to misbehave are not probed (``Capabilities.trustworthy``). Of the
stations of a process that announce the same software, few are probed at once before it is known to do no harm
(``Findings``).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

import structlog

from controller.drivers.protocols import Capabilities, ConfirmedCommit, DeviceSession, Observed, confirmed_commit
from controller.drivers.target import DeviceTarget
from controller.models.behaviour import UNTRUSTED, Behaviour, FollowUp, Server
from controller.models.errors import DeviceRefusedError
from controller.models.run import JournalStep
from controller.ports.clock import Clock
from controller.runs.transaction.record import Record

log = structlog.get_logger()

#: Timers of the empty confirmed commits of a transaction's first and second probe, in seconds. A server that loses the
#: session at each, or answers after its timer, is left alone.
_TIMERS = (10, 30)
#: Seconds by which a server may be late to end a confirmed commit.
_LAG = 3.0
#: Behaviour as long as nothing is learned of a server: it may have been the network.
_UNLEARNED = Behaviour(
    follow_up=None,
    cancels=False,
    reason="it lost the session at an empty confirmed commit, or answered after its timer",
)
#: Seconds after which a probe no longer keeps others waiting.
_TURN = 30.0
#: Most software versions of which it is kept how many probes went well.
_VERSIONS = 1024


def server_of(target: DeviceTarget, capabilities: Capabilities, seen: Observed) -> Server | None:
    """The server of a station, by what it is accepted by and what it announces; None if it announces nothing."""
    if not capabilities.software:
        return None
    # The ManagedElement at the top of the tree has its release.
    releases = (str(leaves.get("swVersion", "")) for path, leaves in seen.state.items() if path.rfind("/") == 0)
    # What was learned without a confirmed commit to rely on says nothing of one.
    offered = "" if capabilities.safe_commit else "no confirmed commit"
    software = ":".join(filter(None, (capabilities.software, next(releases, ""), offered)))
    return Server(target.device, target.identity, software)


async def learn_no_places(session: DeviceSession, target: DeviceTarget, record: Record, seen: Observed) -> None:
    """Put on record that a server appends what an edit puts elsewhere into a list in order, or refuses it.

    Later plans then append, and say so.
    """
    server = server_of(target, session.capabilities, seen)
    known = await record.behaviour(server) if server is not None else None
    if known is None and not session.capabilities.safe_commit:
        known = UNTRUSTED
    # A server whose confirmed commit was not tried yet has to be tried first: what is on record is not tried again.
    if server is not None and known is not None and known.places:
        await record.learn(server, known.model_copy(update={"places": False}))


async def cancel_probe(session: DeviceSession, record: Record) -> None:
    """Cancel an interrupted probe; if that fails, there is none any more, or its timer ends it."""
    begun = record.probe
    if begun is None:
        return
    await record.check()
    try:
        await confirmed_commit(session).cancel(begun.persist)
    except DeviceRefusedError as refused:
        log.info("transaction.probe_not_cancelled", reason=refused.message)


@dataclass(eq=False, slots=True)
class _Turn:
    """One station that is to be probed.

    Attributes:
        may: Done once it may be: empty, or the station where a probe did harm meanwhile.
        over: Ends the wait of others for it.
    """

    may: asyncio.Future[str]
    over: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Version:
    """Stations that announce the same software: who is probed, who waits, and how many probes went well."""

    well: int = 0
    under_way: set[_Turn] = field(default_factory=set)
    waiting: deque[_Turn] = field(default_factory=deque)


class Findings:
    """The order of a process's probes at stations that announce the same software.

    Each station is probed itself, so no station's result decides how another one is driven. At most as many are probed
    at once as went well before, and one. That bounds the damage of software whose cancel does harm; whoever waits when
    that shows is left alone.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._versions: OrderedDict[str, _Version] = OrderedDict()

    @asynccontextmanager
    async def turn(self, software: str) -> AsyncIterator[str]:
        """Wait until a station that announces this may be probed.

        Yields:
            Empty if it may be probed now; else the station where a probe did harm while this one waited.
        """
        version = self._versions.setdefault(software, _Version())
        self._versions.move_to_end(software)
        turn = _Turn(asyncio.get_running_loop().create_future())
        version.waiting.append(turn)
        try:
            self._let_begin(version)
            yield await turn.may
        finally:
            if turn.over is not None:
                turn.over.cancel()
            version.under_way.discard(turn)
            if turn in version.waiting:
                version.waiting.remove(turn)
            self._let_begin(version)
            self._make_room()

    def went_well(self, software: str) -> None:
        """A probe did no harm: one more may be under way at once."""
        self._versions[software].well += 1

    def did_harm(self, software: str, station: str) -> None:
        """A probe did harm: whoever waits is left alone, and others come one at a time again."""
        version = self._versions[software]
        version.well = 0
        while version.waiting:
            turn = version.waiting.popleft()
            if not turn.may.done():
                turn.may.set_result(station)

    def _let_begin(self, version: _Version) -> None:
        while version.waiting and len(version.under_way) <= version.well:
            turn = version.waiting.popleft()
            if not turn.may.done():
                version.under_way.add(turn)
                turn.may.set_result("")
        if version.waiting:
            for turn in version.under_way:
                turn.over = turn.over or asyncio.create_task(self._end(version, turn))

    async def _end(self, version: _Version, turn: _Turn) -> None:
        """Let another station begin in place of one that takes too long."""
        await self._clock.sleep(_TURN)
        version.under_way.discard(turn)
        self._let_begin(version)

    def _make_room(self) -> None:
        """Forget versions that nobody is about, the oldest first: a station may announce whatever it likes."""
        idle = (name for name, one in self._versions.items() if not (one.under_way or one.waiting))
        for name in list(islice(idle, max(0, len(self._versions) - _VERSIONS))):
            del self._versions[name]


class Probe:
    """Finds out how the server of one transaction behaves.

    Attributes:
        harm: Damage that the probe did to the station, in words; empty if there is none.
        withheld: Why the station was not probed and is not to be changed now, in words; empty if it may be.
    """

    def __init__(
        self, target: DeviceTarget, record: Record, clock: Clock, findings: Findings, transaction: str
    ) -> None:
        self._target = target
        self._record = record
        self._clock = clock
        self._findings = findings
        self._id = transaction
        self.harm = ""
        self.withheld = ""

    async def behaviour(self, session: DeviceSession, seen: Observed) -> Behaviour:
        """The behaviour of the server, learned now if it is not on record. The session holds the lock.

        Args:
            session: A session to it.
            seen: What it carries.
        """
        server = server_of(self._target, session.capabilities, seen)
        if server is None:
            return Behaviour()
        await cancel_probe(session, self._record)
        known = await self._record.behaviour(server)
        if known is not None or not session.capabilities.safe_commit:
            return known or Behaviour()
        if self._tried() >= len(_TIMERS):
            return _UNLEARNED
        async with self._findings.turn(server.software) as harmed:
            if harmed:
                self.withheld = (
                    f"an empty confirmed commit did harm to {harmed}, which announces the same software, so nothing "
                    "was tried here: see to that station, then make a new plan"
                )
                return Behaviour()
            found = None
            while found is None and self._tried() < len(_TIMERS):
                found = await self._tried_out(session, seen, server)
            return found or _UNLEARNED

    def _tried(self) -> int:
        return self._record.count(JournalStep.PROBING, 0)

    async def _tried_out(self, session: DeviceSession, seen: Observed, server: Server) -> Behaviour | None:
        """What a probe revealed, put on record; None if its answers came too late to tell."""
        found = await self._learned(session)
        await session.discard()
        if (await session.read()).tree != seen.tree:
            name = session.capabilities.software
            self.harm = (
                "an empty confirmed commit and its cancel changed what the station carries "
                f"(stations whose software is {name} are changed without one if MINKA_UNTRUSTED_SOFTWARE names it)"
            )
            found = Behaviour(follow_up=None, cancels=False, reason=self.harm)
            self._findings.did_harm(server.software, server.station)
        elif found is not None:
            self._findings.went_well(server.software)
        if found is None:
            return None
        found = await self._record.learn(server, found)
        log.info("transaction.learned", **server._asdict(), follow_up=found.follow_up, reason=found.reason)
        return found

    async def _learned(self, session: DeviceSession) -> Behaviour | None:
        """The answers to an empty confirmed commit, its follow-up and its cancel.

        None if one of them came when the timer may have ended the commit before: a refusal is then no behaviour, and
        nor is an ok, since ``persist`` alone begins another commit where none is pending.
        """
        attempt = self._tried()
        timer = _TIMERS[attempt]
        token = f"minka-{self._id}-probe-{attempt}"
        await self._record.write(
            JournalStep.PROBING, persist=token, deadline=self._clock.now() + timedelta(seconds=timer)
        )
        await self._record.check()
        sent = self._clock.monotonic()
        try:
            guarded = confirmed_commit(session)
            await guarded.commit_confirmed(token, timer)
        except DeviceRefusedError as refused:
            return Behaviour(follow_up=None, cancels=False, reason=refused.message)
        answered = self._clock.monotonic()
        follow_up, reason = await self._follow_up(guarded, token, timer)
        in_time = self._clock.monotonic() < sent + timer
        await self._record.check()
        try:
            await guarded.cancel(token)
        except DeviceRefusedError as refused:
            # An accepted follow-up has set the timer again.
            began = sent if follow_up is None else answered
            in_time = in_time and self._clock.monotonic() < began + timer
            found = Behaviour(follow_up=follow_up, cancels=False, reason=refused.message)
            # Its timer has to end it.
            await self._clock.sleep(timer + _LAG)
        else:
            found = Behaviour(follow_up=follow_up, reason=reason)
        return found if in_time else None

    async def _follow_up(self, guarded: ConfirmedCommit, token: str, timer: int) -> tuple[FollowUp | None, str]:
        """The form that the server accepts; or None, with its answer to the last one."""
        said = ""
        for form in FollowUp:
            await self._record.check()
            try:
                await guarded.commit_confirmed(token, timer, form)
            except DeviceRefusedError as refused:
                said = refused.message
            else:
                return form, ""
        return None, said
