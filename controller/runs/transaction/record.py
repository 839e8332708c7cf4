"""The record of a device transaction: the journal that it writes before every act, and its lease."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from controller.models.alarm import REMEDIATION_STOPPED
from controller.models.behaviour import Behaviour, Server
from controller.models.errors import LeaseLostError, NotClearedError, RepairStoppedError
from controller.models.plan import Change
from controller.models.run import EDITING_STEPS, JournalEntry, JournalStep
from controller.nrm.tree import Path
from controller.ports.clock import Clock
from controller.runs.transaction.gates import Gate
from controller.store import AsyncStore, Claim, changed_since

#: Whether this worker may still rely on its leases, because its heartbeat is on record. In doubt it waits for the next.
Alive = Callable[[], Awaitable[bool]]

#: Seconds for which an answer that automatic repair is not stopped remains valid.
_FRESH = 1.0
#: Steps after which the device may carry something of ours.
_MARKS = (
    JournalStep.COMMITTING,
    JournalStep.UNSEEN,
    JournalStep.PREPARED,
    JournalStep.GATED,
    JournalStep.CONFIRMING,
    JournalStep.CANCELLING,
    JournalStep.REVERTING,
)


async def always() -> bool:
    """For callers that only read, and for tests."""
    return True


class Record:
    """Journal and lease of one claim.

    Args:
        alive: See ``Alive``.
        first: Whether the job has changed nothing yet: then it begins only if it may (windows, freezes, holds). Later
            only a hold keeps it back.
        masked: A text as it may go on record; devices may repeat a secret of the run in any answer.
    """

    def __init__(
        self,
        claim: Claim,
        store: AsyncStore,
        clock: Clock,
        alive: Alive,
        *,
        first: bool = True,
        masked: Callable[[str], str] = str,
    ) -> None:
        self._masked = masked
        self._first = first
        self._claim = claim
        self._store = store
        self._clock = clock
        self._alive = alive
        #: When the record was last asked whether repair is stopped, while an automatic repair has sent nothing.
        self._asked: float | None = None
        self._rows: list[JournalEntry] = []

    async def load(self) -> None:
        """Read what earlier workers wrote about this transaction."""
        self._rows = await self._store.journal.find(self._claim.transaction)

    async def write(
        self,
        step: JournalStep,
        *,
        phase: int = 0,
        persist: str = "",
        deadline: datetime | None = None,
        session: str = "",
        detail: str = "",
        carried: tuple[Path, ...] = (),
        excused: tuple[str, ...] = (),
        decided: bool = False,
        gate: Gate | None = None,
    ) -> None:
        """Write one row; it is on record when this returns.

        Args:
            step: What is done next.
            phase: See ``JournalEntry``, as for what follows.
            persist: Token of the confirmed commit.
            deadline: Its end.
            session: NETCONF session id.
            detail: For people.
            carried: See ``JournalEntry``.
            excused: See ``JournalEntry``.
            decided: Whether it follows from a decision: that is carried out, whatever windows and holds say.
            gate: Where the device stands from now on.

        Raises:
            LeaseLostError: Another worker owns the device.
            NotClearedError: It would be the job's beginning, and the job may not begin now; or it would begin a further
                transaction under a hold.
            RepairStoppedError: It would be the beginning of an automatic repair, and these are stopped.
        """
        entry = JournalEntry(
            transaction=self._claim.transaction,
            job=self._claim.job.id,
            station=self._claim.job.station,
            seq=len(self._rows),
            at=self._clock.now(),
            step=step,
            phase=phase,
            persist=persist,
            deadline=deadline,
            session=session,
            detail=self._masked(detail),
            carried=carried,
            excused=tuple(map(self._masked, excused)),
        )
        begins = (
            step in (JournalStep.PROBING, JournalStep.READ) or (step is JournalStep.OPERATING and phase == 0)
        ) and not decided
        if gate is not None:
            await gate.stand(entry)
        elif begins and self._first and self._claim.run.automatic:
            await self._begin_repair(entry)
        else:
            first, further = begins and self._first, begins and not self._first
            await self._store.journal.append(entry, self._claim, begins=first, further=further)
        self._rows.append(entry)

    async def _begin_repair(self, entry: JournalEntry) -> None:
        """Write the row after which an automatic repair acts, unless repair is stopped."""
        self._asked = self._clock.monotonic()
        try:
            await self._store.journal.append(entry, self._claim, begins=True)
        except RepairStoppedError as error:
            error.sent = _operated(self._rows)
            raise

    async def check(self) -> None:
        """Called directly before every mutating RPC.

        The first one of an automatic repair relies on a switch that was read just now: a record that answered late may
        have been asked before somebody stopped all repair.

        Raises:
            LeaseLostError: This worker's own deadline has passed: others may hold it for dead.
            RepairStoppedError: It would be the first one of an automatic repair, and these are stopped.
        """
        while True:
            if not await self._alive():
                raise LeaseLostError
            if self._asked is None or self._clock.monotonic() - self._asked <= _FRESH:
                break
            self._asked = self._clock.monotonic()
            state = await self._store.switches.get(REMEDIATION_STOPPED)
            if state.on:
                raise RepairStoppedError(state.stops, sent=_operated(self._rows[:-1]))
        self._asked = None

    async def check_generation(self, generation: int) -> None:
        """Called with the generation that the device carries, before anything is sent to it.

        Raises:
            NotClearedError: A newer record than ours changed it: nothing is begun until a person has decided.
        """
        if generation > self._claim.fence:
            station = self._claim.job.station
            state = await self._store.integrity.check_fences({station: generation})
            raise NotClearedError(f"{station} may not be worked on now: the record is in doubt: {state.doubt}")

    async def edited_earlier(self) -> tuple[Change, int] | None:
        """What an ended job edited last on the device, and the phase: see ``Journal.edited_earlier``."""
        return await self._store.journal.edited_earlier(self._claim.job.station)

    async def changed_since(self, undo: Change) -> str:
        """Which job changed the station after an undo was planned, in words; empty if none did. See ``Change.as_of``.

        The lease is ours, so no other job can end there any more.
        """
        if undo.as_of is None:
            return ""
        return changed_since(await self._store.runs.ended_jobs([undo.station], undo.as_of), undo)

    async def ours(self, session: str) -> bool:
        """Whether a NETCONF session may be one of ours that was lost while it held the device's lock."""
        station = self._claim.job.station
        return session in await self._store.journal.lock_sessions(station)

    async def behaviour(self, server: Server) -> Behaviour | None:
        """The recorded behaviour of a server; None if there is none."""
        return await self._store.behaviours.get(server)

    async def learn(self, server: Server, behaviour: Behaviour) -> Behaviour:
        """Put a behaviour on record, and return it as it stands there. Raises LeaseLostError."""
        told = behaviour.model_copy(update={"reason": self._masked(behaviour.reason)})
        await self._store.behaviours.learn(server, told, self._claim)
        return told

    async def forget_behaviour(self) -> None:
        """Forget how the station's server behaves: it is about to run other software. Raises LeaseLostError."""
        await self._store.behaviours.forget(self._claim)

    @property
    def mark(self) -> JournalEntry | None:
        """The last row after which the device may carry something of ours, or None."""
        for row in reversed(self._rows):
            if row.step is JournalStep.READ:
                return None
            if row.step in _MARKS:
                return row
        return None

    def last(self, step: JournalStep, phase: int) -> JournalEntry | None:
        """The newest row of a step of a phase, or None."""
        return next((row for row in reversed(self._rows) if (row.step, row.phase) == (step, phase)), None)

    def count(self, step: JournalStep, phase: int) -> int:
        """How often a step of a phase was taken."""
        return sum((row.step, row.phase) == (step, phase) for row in self._rows)

    @property
    def probe(self) -> JournalEntry | None:
        """The row of an empty confirmed commit that may still be pending, or None."""
        last = next((row for row in reversed(self._rows) if row.step in (JournalStep.PROBING, JournalStep.READ)), None)
        return last if last is not None and last.step is JournalStep.PROBING else None

    @property
    def edited(self) -> JournalEntry | None:
        """The row of the last edit since the newest beginning, or None."""
        return next((row for row in reversed(self._rows[self._begun :]) if row.step in EDITING_STEPS), None)

    @property
    def committed(self) -> bool:
        """Whether a commit of the newest beginning was seen on the device."""
        return any(row.step is JournalStep.PREPARED for row in self._rows[self._begun :])

    @property
    def unseen(self) -> bool:
        """Whether the device answered ok to a commit of the newest beginning, and carried nothing of it after that."""
        return any(row.step is JournalStep.UNSEEN for row in self._rows[self._begun :])

    @property
    def excused(self) -> tuple[str, ...]:
        """Faults that were there at each beginning (see ``checks.excused``): an earlier one may have caused them."""
        found = [frozenset(row.excused) for row in self._rows if row.step is JournalStep.READ]
        return tuple(sorted(frozenset.intersection(*found))) if found else ()

    @property
    def carried(self) -> tuple[Path, ...]:
        """What the device carried when the transaction first began; empty before."""
        return next((row.carried for row in self._rows if row.step is JournalStep.READ), ())

    @property
    def beginnings(self) -> int:
        """How often the transaction began from the start."""
        return sum(row.step is JournalStep.READ for row in self._rows)

    @property
    def _begun(self) -> int:
        """Index of the newest beginning among the rows; 0 if there is none."""
        return max((index for index, row in enumerate(self._rows) if row.step is JournalStep.READ), default=0)


def _operated(rows: Sequence[JournalEntry]) -> bool:
    """Whether an operation was sent after one of these rows."""
    return any(row.step is JournalStep.OPERATING for row in rows)
