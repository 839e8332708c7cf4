"""The worker's loop: claims jobs from the database and runs hundreds of device transactions at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog

from controller.models.errors import (
    BUG,
    LeaseLostError,
    MinkaError,
    NotClearedError,
    NotFoundError,
    OutOfTurnError,
    StoreError,
)
from controller.models.metrics import Observations
from controller.models.run import Outcome
from controller.ports.queue import Wakeups
from controller.runs.procedures import Suspension, Tools
from controller.runs.rollout.group_decisions import LAST
from controller.runs.sweeper import Sweeper
from controller.store import Async, Claim, Claims, JobResult

log = structlog.get_logger()

#: Seconds after its last recorded heartbeat during which a worker relies on its leases.
BELIEF = 6.0
_HEARTBEAT = 1.5
_POLL = 1.0
#: Pause between two rounds over all runs, as a multiple of the last round's time: it reads all jobs of active runs.
_REST = 10.0
_LONGEST_REST = 5.0
#: Seconds between two rounds over runs that may go on.
_BREATH = 0.05
#: Claims of one job after which it is given up instead of tried again (a job that kills its workers).
_MAX_ATTEMPTS = 5


class WorkerLoop:
    """One process's loop.

    Args:
        capacity: Device transactions at once.
        sessions: Number of open sessions of this process, for the figures.
        observations: What this process measures of its own work.
    """

    def __init__(
        self,
        name: str,
        tools: Tools,
        wakeups: Wakeups,
        *,
        capacity: int = 2000,
        sessions: Callable[[], int] = lambda: 0,
        observations: Observations | None = None,
    ) -> None:
        self._name = name
        self._sessions = sessions
        self._observations = observations or Observations()
        self._tools = tools
        self._capacity = capacity
        self._sweeper = Sweeper(tools.store, wakeups, tools.clock, by=lambda: self._incarnation)
        self._incarnation = ""
        self._last_beat = float("-inf")
        #: By job and fence: after this worker was declared dead, the same job may come back with a newer lease.
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}
        # A claim whose answer was lost may have been committed: then read first which jobs we hold.
        self._uncertain = False
        self._work = asyncio.Event()
        #: Runs that may go on: jobs of theirs ended, or a group is complete at its gate.
        self._moved: set[str] = set()
        self._sweeps = asyncio.Event()
        tools.gates.on_complete = self._may_go_on
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_round = 0.0
        #: Whether the next heartbeat will be on record.
        self._next_beat: asyncio.Future[bool]

    @property
    def idle(self) -> bool:
        """Whether no job is under way here."""
        return not self._running and not self._moved

    def wake(self, run_id: str) -> None:
        """Ask for work of a run now. May be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung, run_id)

    def _rung(self, run_id: str) -> None:
        self._work.set()
        if not any(key[0].startswith(f"{run_id}.") for key in self._running):
            self._next_round = 0.0  # it may have to begin; jobs under way here wake it all the time
            self._sweeps.set()

    def _may_go_on(self, run_id: str) -> None:
        self._moved.add(run_id)
        self._sweeps.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop``; then claim no more jobs, and let running transactions end.

        They can't if the database is away: then they are cut off, and others recover them.

        Raises:
            Exception: The heartbeat or the sweeper failed by an error of ours. What runs is cut off, for
                others to recover: a worker that does not show its life has no leases.
        """
        self._loop = asyncio.get_running_loop()
        self._next_beat = self._loop.create_future()
        await self._register()
        stopper = asyncio.create_task(self._until(stop))
        keepers = {stopper, asyncio.create_task(self._beat(stop)), asyncio.create_task(self._sweep())}
        try:
            done, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*keepers, *self._running.values()):
                task.cancel()
            await asyncio.gather(*keepers, *self._running.values(), return_exceptions=True)
        incarnation = self._incarnation
        with suppress(StoreError):
            await self._tools.store.processes.end(incarnation)

    async def _until(self, stop: asyncio.Event) -> None:
        """Claim until ``stop``, then wait for running jobs."""
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._claim()
                await self._first_of(self._work, _POLL, stopped)
        finally:
            stopped.cancel()
        while self._running:
            await asyncio.wait(self._running.values())

    async def _first_of(self, event: asyncio.Event, seconds: float, *others: asyncio.Task[bool]) -> None:
        """Wait for an event (which is cleared then), for a time, or for the end of another task."""
        timer = asyncio.create_task(self._tools.clock.sleep(seconds))
        awake = asyncio.create_task(event.wait())
        try:
            await asyncio.wait({timer, awake, *others}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            awake.cancel()
        event.clear()

    # ------------------------------------------------------------------- claims

    async def _claim(self) -> None:
        # Jobs at a gate do nothing. If they counted, a group larger than this could never be complete there.
        room = self._capacity - len(self._running) + len(self._tools.gates.waiting)
        if room <= 0 or not self._alive(self._incarnation):
            return
        incarnation = self._incarnation
        # If an answer is lost while we ask, that must not be overlooked.
        uncertain, self._uncertain = self._uncertain, False
        try:
            record = self._tools.store.claims
            claims = await (record.find(incarnation) if uncertain else record.take(incarnation, room))
        except (StoreError, LeaseLostError) as error:
            log.warning("worker.no_claims", reason=error.message)
            self._uncertain = True
            return
        for claim in claims:
            key = (claim.job.id, claim.fence)
            if key not in self._running:
                task = asyncio.create_task(self._job(claim))
                self._running[key] = task
                task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: tuple[str, int], _task: asyncio.Task[None]) -> None:
        self._running.pop(key, None)
        # Claim many at a time: asking for one job costs as much as asking for a hundred.
        if self._capacity - len(self._running) >= self._capacity // 10:
            self._work.set()

    async def _job(self, claim: Claim) -> None:
        try:
            result = await self._recorded(claim)
        except LeaseLostError:
            log.warning("job.lease_lost", job=claim.job.id, station=claim.job.station)
            # If only our own time ran out (a stalled process), the job is still ours on record: take it up again.
            self._uncertain = True
            return
        if isinstance(result, NotClearedError):
            log.info("job.put_back", job=claim.job.id, station=claim.job.station, reason=result.message)
            return
        if isinstance(result, Suspension):
            log.info("job.rests", job=claim.job.id, station=claim.job.station, until=result.until, reason=result.reason)
            return
        log.info(
            "job.finished", job=claim.job.id, station=claim.job.station, outcome=result.outcome, detail=result.detail
        )
        # From here on no longer under way: of several jobs that end at the same moment, the last one moves the run on.
        self._running.pop((claim.job.id, claim.fence), None)
        if not result.outcome.good or not self._works_on(claim):
            self._may_go_on(claim.run.id)

    def _works_on(self, claim: Claim) -> bool:
        """Whether other jobs of the run are under way here: then one that ended well does not decide anything yet."""
        jobs, own = f"{claim.run.id}.", (claim.job.id, claim.fence)
        return any(key != own and key[0].startswith(jobs) for key in self._running)

    async def _recorded(self, claim: Claim) -> JobResult | NotClearedError | Suspension:
        """Do the work, and put the result on record; waits while the database is away.

        Working again after a ``StoreError`` is a take-over from ourselves: it starts by reading back. A job that may
        not begin any more is put back.
        """
        result: JobResult | NotClearedError | Suspension | None = None
        while True:
            try:
                result = result or await self._result(claim)
                await record_end(self._tools.store.claims, claim, result)
                return result
            except StoreError as error:
                log.warning("job.waits_for_store", job=claim.job.id, reason=error.message)
                await self._tools.clock.sleep(_POLL)

    async def _result(self, claim: Claim) -> JobResult | NotClearedError | Suspension:
        if claim.job.attempts > _MAX_ATTEMPTS:
            return await self._give_up(claim, f"given up after {claim.job.attempts - 1} attempts that ended its worker")
        try:
            work = self._tools.procedure_of(claim.run).work
            return await work(claim, self._tools, lambda: self._believes(claim.incarnation))
        except (LeaseLostError, StoreError):
            raise
        except NotClearedError as error:
            return error
        except MinkaError as error:
            return await self._give_up(claim, error.message)
        except Exception:
            log.exception("job.bug", job=claim.job.id, station=claim.job.station)
            return await self._give_up(claim, BUG)

    async def _give_up(self, claim: Claim, reason: str) -> JobResult:
        """End a job that can't go on: safe if it never touched the device, otherwise diverged."""
        try:
            touched = await self._tools.procedure_of(claim.run).touched(claim, self._tools)
        except NotFoundError:
            touched = claim.recovers  # nothing this worker knows: only an earlier one can have begun
        return JobResult(Outcome.DIVERGED if touched else Outcome.FAILED_SAFE, reason, unread=touched)

    # ---------------------------------------------------------- life, progress

    def _alive(self, incarnation: str) -> bool:
        recent = self._tools.clock.monotonic() - self._last_beat < BELIEF
        return recent and incarnation == self._incarnation

    async def _believes(self, incarnation: str) -> bool:
        """Whether the incarnation's leases still hold. A worker that lost time waits for its next heartbeat."""
        while not self._alive(incarnation):
            if incarnation != self._incarnation or not await asyncio.shield(self._next_beat):
                return False
        return True

    async def _register(self) -> None:
        begun = self._tools.clock.monotonic()
        self._incarnation = await self._tools.store.processes.register(self._name)
        self._last_beat = begun

    async def _beat(self, stop: asyncio.Event) -> None:
        """Send heartbeats; a worker that was declared dead comes back as a new incarnation without leases."""
        while not stop.is_set() or self._alive(self._incarnation):
            await self._tools.clock.sleep(_HEARTBEAT)
            try:
                await self._beat_once()
            except StoreError as error:
                log.warning("worker.store_unavailable", reason=error.message)
                self._report_beat(False)
            else:
                self._report_beat(True)

    def _report_beat(self, beaten: bool) -> None:
        awaited, self._next_beat = self._next_beat, asyncio.get_running_loop().create_future()
        awaited.set_result(beaten)

    async def _beat_once(self) -> None:
        begun = self._tools.clock.monotonic()
        try:
            observed = self._observations.encoded()
            await self._tools.store.processes.heartbeat(self._incarnation, self._sessions(), observed=observed)
            self._last_beat = begun
        except LeaseLostError:
            log.warning("worker.was_declared_dead", incarnation=self._incarnation)
            # The workers that hold the devices now must not meet our sessions there.
            for task in self._running.values():
                task.cancel()
            self._observations.begin_anew()
            await self._register()

    async def _sweep(self) -> None:
        """Move runs on as their jobs end, and check all runs once in a while."""
        while True:
            moved = tuple(self._moved)
            self._moved.clear()
            for run_id in moved:
                await self._sweeper.advance(run_id)
            due = (begun := self._tools.clock.monotonic()) >= self._next_round
            if due:
                await self._sweeper.sweep()
                ended = self._tools.clock.monotonic()
                self._swept(ended - begun)
                self._next_round = ended + min(max(_POLL, _REST * (ended - begun)), _LONGEST_REST)
            if moved or due:
                self._work.set()
            # Jobs that end at about the same time are handled together.
            await self._tools.clock.sleep(_BREATH)
            await self._first_of(self._sweeps, self._next_round - self._tools.clock.monotonic())

    def _swept(self, seconds: float) -> None:
        self._observations.took("minka_round_duration_seconds", seconds, "sweep")
        now = self._tools.clock.now().timestamp()
        self._observations.state("minka_round_success_timestamp_seconds", now, "sweep")


async def record_end(claims: Claims[Async], claim: Claim, result: JobResult | NotClearedError | Suspension) -> None:
    """Put the end of a job on record, or give the job back."""
    if isinstance(result, NotClearedError):
        rank = LAST if isinstance(result, OutOfTurnError) else None
        await claims.release(claim, result.message, keep_transaction=False, rank=rank)
    elif isinstance(result, Suspension):
        await claims.release(claim, result.reason, keep_transaction=True, until=result.until)
    else:
        await claims.finish(claim, result)
