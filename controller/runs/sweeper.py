"""The sweeper moves runs on, declares workers dead and wakes workers. Every worker and the scheduler have one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from controller.models.errors import MinkaError, StoreError
from controller.models.run import Job, Run
from controller.ports.clock import Clock
from controller.ports.queue import Wakeups
from controller.runs.approval.clearance import clearances
from controller.runs.rollout.transitions import decide
from controller.store import AsyncStore, Clearances, Transition

log = structlog.get_logger()

#: Seconds without a heartbeat, on the observer's own clock, after which a worker is declared dead. More than
#: twice ``loop.BELIEF``, so that a worker has stopped believing in its leases before others take them.
DEAD_AFTER = 15.0
#: Seconds without a heartbeat after which we check whether the database accepts writes at all.
_DOUBT = 5.0
#: Most seconds that count between two reads of the counters: what delayed us may have delayed all others too.
_GAP = 6.0
#: Seconds after which all clearances are compared with the record, even if we wrote them ourselves.
_COMPARE = 15.0


class Sweeper:
    """Checks everything that has to make progress.

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
        #: Counter by incarnation, and for how many seconds of sweeps it has not changed.
        self._still: dict[str, tuple[int, float]] = {}
        self._latest = clock.monotonic()
        self._cleared: dict[str, Clearances] = {}
        self._compared = float("-inf")

    async def sweep(self) -> None:
        """One round; a database failure is logged, and the next round tries again."""
        try:
            await self._declare_dead()
            active = await self._store.runs.active()
            # Before any run is moved on, so that no job becomes claimable without a check.
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
        """Move one run on as far as it goes; a run that can't be moved never delays the others."""
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
            # Another process may have written an outdated clearance and died; comparing with our own last result would
            # miss that.
            self._cleared, self._compared = {}, since
        return await self._store.approvals.reassess(lambda standing: clearances(standing, now), self._cleared)

    def _decide(self, run: Run, jobs: Sequence[Job]) -> Transition | None:
        return decide(run, jobs, self._clock.now())

    def _announce(self, run_id: str, moved: Transition) -> None:
        log.info("run.moved", run=run_id, state=moved.state, wave=moved.wave, reason=moved.reason)
        if moved.wave is not None or moved.ready:
            self._wakeups.wake_workers(run_id)

    async def _declare_dead(self) -> None:
        """Declare incarnations dead whose counter has not changed for too long on this process's own clock.

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
