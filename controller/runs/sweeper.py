"""The sweeper: moves runs on, declares workers dead, wakes workers again. Every worker and the scheduler have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from controller.models.errors import MinkaError, StoreError
from controller.models.run import Job, Run
from controller.ports.clock import Clock
from controller.ports.queue import Wakeups
from controller.ports.store import AsyncStore, Clearances, Transition
from controller.runs.approval.clearance import clearances
from controller.runs.rollout.transitions import decide

log = structlog.get_logger()

#: Seconds without a heartbeat, on the observer's own clock, after which a worker is declared dead. More than
#: twice ``loop.BELIEF``, so that a worker has stopped believing in its leases before others take them.
DEAD_AFTER = 15.0
#: Seconds without one after which we see whether anybody could have written it.
_DOUBT = 5.0
#: Seconds that count at most between two reads of the counters: what held us up may have held up all others too.
_GAP = 6.0
#: Seconds after which all that jobs may do is compared with the record, whoever wrote there last.
_COMPARE = 15.0


class Sweeper:
    """Checks everything that should make progress.

    Args:
        by: Who decides, for the record.
        reminds: Whether each round wakes workers again for every active run: the scheduler's does; a worker
            reads the database by itself.
    """

    def __init__(
        self,
        store: AsyncStore,
        wakeups: Wakeups,
        clock: Clock,
        *,
        by: Callable[[], str] = lambda: "scheduler",
        reminds: bool = False,
    ) -> None:
        self._store = store
        self._wakeups = wakeups
        self._clock = clock
        self._by = by
        self._reminds = reminds
        #: By incarnation its counter, and for how many seconds it has stood still while sweeps went on.
        self._still: dict[str, tuple[int, float]] = {}
        self._latest = clock.monotonic()
        self._cleared: dict[str, Clearances] = {}
        self._compared = float("-inf")

    async def sweep(self) -> None:
        """One round; a database that is down is logged and met again next round."""
        try:
            await self._declare_dead()
            active = await self._store.runs.active()
            # Before any of them is moved on: no job becomes claimable that was not checked.
            if active:
                self._cleared = await self._clear()
        except StoreError as error:
            log.warning("sweeper.store_unavailable", reason=error.message)
            self._still = {}  # nobody else could write either
            return
        for run_id in active:
            await self.advance(run_id)
            if self._reminds:
                self._wakeups.wake_workers(run_id)

    async def advance(self, run_id: str) -> None:
        """Move one run on as far as it goes; one that can't be moved never keeps the others from it."""
        try:
            while (moved := await self._store.runs.advance(run_id, self._decide, self._by())) is not None:
                self._announce(run_id, moved)
        except MinkaError as error:
            log.warning("run.not_moved", run=run_id, reason=error.message)
        except Exception:
            log.exception("run.bug", run=run_id)

    async def _clear(self) -> dict[str, Clearances]:
        now = self._clock.now()
        since = self._clock.monotonic()
        if since - self._compared >= _COMPARE:
            # Another process may have written what holds no more, and died: what we said ourselves would never change.
            self._cleared, self._compared = {}, since
        return await self._store.approvals.reassess(lambda standing: clearances(standing, now), self._cleared)

    def _decide(self, run: Run, jobs: Sequence[Job]) -> Transition | None:
        return decide(run, jobs, self._clock.now())

    def _announce(self, run_id: str, moved: Transition) -> None:
        log.info("run.moved", run=run_id, state=moved.state, wave=moved.wave, reason=moved.reason)
        if moved.wave is not None or moved.ready:
            self._wakeups.wake_workers(run_id)

    async def _declare_dead(self) -> None:
        """Declare incarnations dead whose counter stood still for too long on this process's own clock.

        Only time counts in which they could beat: not that in which the database kept us waiting, and none before it
        last refused to be read or written.
        """
        passed = min(self._clock.monotonic() - self._latest, _GAP)
        if any(still + passed > _DOUBT for _, still in self._still.values()):
            await self._store.status.check_writable()
        living = await self._store.processes.alive()
        self._latest = self._clock.monotonic()
        known, self._still = self._still, {}
        for one in living:
            counter, still = known.get(one.id, (None, 0.0))
            self._still[one.id] = (one.counter, still + passed if counter == one.counter else 0.0)
        for incarnation, (counter, still) in self._still.items():
            if still > DEAD_AFTER:
                await self._declare_one_dead(incarnation, counter)

    async def _declare_one_dead(self, incarnation: str, counter: int) -> None:
        if await self._store.processes.declare_dead(incarnation, counter):
            log.warning("worker.declared_dead", incarnation=incarnation)
