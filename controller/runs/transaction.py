"""One change on one device, as a transaction that survives lost replies, dead workers and lying devices.

The steps are those of ARCHITECTURE.md ("One job, step by step"). The journal row that names an act is on
record before the act. Whoever continues (this process after a lost session, another one after a take-over)
starts by reading what the device and the journal say, so there is one way to recover, not two.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from controller.models.errors import (
    AuthenticationError,
    DeviceBusyError,
    DeviceRefusedError,
    HostKeyError,
    SessionLostError,
    UnreachableError,
)
from controller.models.plan import Change, WaitFor
from controller.models.run import JournalEntry, Outcome, Step
from controller.nrm.apply import apply_edits
from controller.nrm.fingerprint import differences, matches
from controller.nrm.profiles import link_up, on_air, root_spec
from controller.nrm.tree import Tree
from controller.ports.clock import Clock
from controller.ports.devices import Devices, DeviceSession, DeviceTarget, Observed
from controller.ports.store import Claim, JobResult
from controller.runs.effects import effects
from controller.runs.record import Record

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a transaction tries, in seconds.

    Attributes:
        confirm_budget: Left on the device's timer at least when a confirm is sent.
        busy: Trying for a lock that another session holds.
        retry: Between attempts to reach a device that carries something of ours.
        unresolved: After the device's own deadline, before such a device is given up as diverged.
        beginnings: Fresh attempts of a transaction, each only after read-back proved nothing happened.
    """

    confirm_budget: float = 5.0
    busy: float = 10.0
    retry: float = 1.0
    unresolved: float = 120.0
    beginnings: int = 3


class Transaction:
    """Brings one claim to its result."""

    def __init__(
        self,
        claim: Claim,
        target: DeviceTarget,
        devices: Devices,
        record: Record,
        clock: Clock,
        patience: Patience = Patience(),
    ) -> None:
        self._change: Change = claim.change
        self._strategy = claim.run.strategy
        self._id = claim.transaction
        self._target = target
        self._devices = devices
        self._record = record
        self._clock = clock
        self._patience = patience
        self._root = root_spec(target.profiles)
        self._log = log.bind(station=target.station, run=claim.run.id, transaction=claim.transaction)

    async def run(self) -> JobResult:
        """Work until the outcome is known.

        Raises:
            LeaseLostError: Another worker owns the device; nothing more was sent to it.
        """
        await self._record.load()
        give_up = self._clock.monotonic() + self._strategy.confirm_timeout + self._patience.unresolved
        while True:
            try:
                async with self._devices.session(self._target) as session:
                    return await self._work(session)
            except (HostKeyError, AuthenticationError) as error:
                return self._unreached(Outcome.FAILED_SAFE, error.message)
            except (UnreachableError, DeviceBusyError) as error:
                if self._record.mark is None:
                    return JobResult(Outcome.DEFERRED, error.message)
                reason = error.message
            except SessionLostError as error:
                if self._record.mark is None and self._record.beginnings >= self._patience.beginnings:
                    return JobResult(Outcome.FAILED_SAFE, f"{error.message} Nothing was committed.")
                reason = error.message
            if self._clock.monotonic() > give_up:
                return self._unreached(Outcome.DEFERRED, reason)
            self._log.warning("transaction.interrupted", reason=reason)
            await self._clock.sleep(self._patience.retry)

    def _unreached(self, outcome: Outcome, reason: str) -> JobResult:
        """End without a session: pessimistic where the device may carry something of ours."""
        if self._record.mark is None:
            return JobResult(outcome, reason)
        return JobResult(Outcome.DIVERGED, f"{reason} What the device carries could not be read back.")

    # ------------------------------------------------------------- one session

    async def _work(self, session: DeviceSession) -> JobResult:
        past = self._record.sessions
        mark = self._record.mark
        await self._record.write(Step.OPENED, session=session.session_id)
        await self._lock(session, past)
        await session.discard()
        observed = await session.read()
        if mark is not None:
            result = await self._recover(session, observed, mark)
            if result is not None:
                return result
            observed = await session.read()
        return await self._fresh(session, observed)

    async def _lock(self, session: DeviceSession, past: frozenset[str]) -> None:
        """Lock, killing only sessions that our own journal names."""
        end = self._clock.monotonic() + self._patience.busy
        while True:
            try:
                await session.lock()
                break
            except DeviceBusyError as busy:
                if busy.holder in past and busy.holder != session.session_id:
                    self._record.check()
                    await session.kill(busy.holder)
                elif self._clock.monotonic() > end:
                    raise
                await self._clock.sleep(0.2 + random.random() * 0.3)  # noqa: S311 - jitter
        await self._record.write(Step.LOCKED, session=session.session_id)

    async def _fresh(self, session: DeviceSession, observed: Observed) -> JobResult:
        """Begin: the device carries nothing of ours yet."""
        if not matches(self._root, observed.tree, self._change.fingerprint):
            await session.unlock()
            if effects(self._change.phases).after_holds(observed.tree):
                return self._success(Outcome.UNCHANGED, "the station carries this already")
            return JobResult(
                Outcome.REFUSED, "the station changed since the plan was made (fingerprint): plan again and look"
            )
        await self._record.write(Step.READ)
        if session.capabilities.safe_commit:
            return await self._confirmed(session, observed)
        return await self._stored_inverse(session, observed)

    # ------------------------------------------------------- confirmed commit

    async def _confirmed(self, session: DeviceSession, observed: Observed) -> JobResult:
        """All phases under one persist token, then the decision."""
        persist = f"minka-{self._id}-{self._record.beginnings}"
        deadline = self._clock.now() + timedelta(seconds=self._strategy.confirm_timeout)
        expected: Tree = observed.tree
        for index, phase in enumerate(self._change.phases):
            await self._record.write(Step.EDITING, phase=index)
            self._record.check()
            try:
                await session.edit(phase.edits)
                expected = apply_edits(self._root, expected, phase.edits)
                await self._record.write(Step.COMMITTING, phase=index, persist=persist, deadline=deadline)
                self._record.check()
                left = math.ceil((deadline - self._clock.now()).total_seconds())
                await session.commit_confirmed(persist, max(1, left), follows=index > 0)
            except DeviceRefusedError as error:
                return await self._take_back(session, error.message)
            seen = await session.read()
            wrong = self._differences(seen.tree, expected)
            if wrong:
                return await self._take_back(session, f"the station answered ok but carries something else: {wrong}")
            await self._record.write(Step.PREPARED, phase=index, persist=persist, deadline=deadline)
            unmet = await self._wait(session, phase.wait, observed)
            if unmet:
                return await self._take_back(session, unmet)
        return await self._gate(session, expected, observed)

    async def _gate(self, session: DeviceSession, expected: Tree, before: Observed | None) -> JobResult:
        """Checks, then confirm or take back."""
        unmet = await self._wait(session, self._change.checks, before)
        if unmet:
            return await self._take_back(session, unmet)
        seen = await session.read()
        foreign = self._differences(seen.tree, expected)
        if foreign:
            return await self._take_back(session, f"somebody else changed the station meanwhile: {foreign}")
        last = self._record.persist
        if last is None or last.deadline is None:
            return await self._verified(session)
        left = (last.deadline - self._clock.now()).total_seconds()
        if left < self._patience.confirm_budget:
            return await self._take_back(session, f"only {left:.0f} s were left to confirm")
        await self._record.write(
            Step.CONFIRMING, phase=last.phase, persist=last.persist, deadline=last.deadline, session=session.session_id
        )
        return await self._confirm(session, last.persist)

    async def _confirm(self, session: DeviceSession, persist: str) -> JobResult:
        self._record.check()
        try:
            await session.confirm(persist)
        except DeviceRefusedError as error:
            # No such pending commit: it was confirmed before, or it reverted. The device's tree tells.
            self._log.warning("transaction.confirm_refused", reason=error.message)
        return await self._verified(session)

    async def _verified(self, session: DeviceSession) -> JobResult:
        """The last read: an ok proves nothing."""
        seen = await session.read()
        whole = effects(self._change.phases)
        if whole.after_holds(seen.tree):
            await session.copy_to_startup()
            await session.unlock()
            return self._success(Outcome.SUCCEEDED)
        await session.unlock()
        if whole.before_holds(seen.tree):
            return JobResult(Outcome.ROLLED_BACK, "the station reverted by itself before the confirm reached it")
        return JobResult(Outcome.DIVERGED, "after the confirm the station carries neither the old nor the new state")

    # --------------------------------------------------------- stored inverse

    async def _stored_inverse(self, session: DeviceSession, observed: Observed) -> JobResult:
        """For devices without a trustworthy confirmed commit: the plan's inverse takes the change back."""
        expected: Tree = observed.tree
        for index, phase in enumerate(self._change.phases):
            await self._record.write(Step.COMMITTING, phase=index)
            self._record.check()
            try:
                await session.edit(phase.edits)
                await session.commit()
            except DeviceRefusedError as error:
                return await self._take_back(session, error.message)
            expected = apply_edits(self._root, expected, phase.edits)
            wrong = self._differences((await session.read()).tree, expected)
            if wrong:
                return await self._take_back(session, f"the station answered ok but carries something else: {wrong}")
            await self._record.write(Step.PREPARED, phase=index)
            unmet = await self._wait(session, phase.wait, observed)
            if unmet:
                return await self._take_back(session, unmet)
        return await self._gate(session, expected, observed)

    # ------------------------------------------------------ recover, take back

    async def _recover(self, session: DeviceSession, observed: Observed, mark: JournalEntry) -> JobResult | None:
        """Continue from what device and journal say; None means begin afresh."""
        whole = effects(self._change.phases)
        last_phase = mark.phase == len(self._change.phases) - 1
        self._log.info("transaction.recover", step=mark.step, phase=mark.phase)
        if await session.read_candidate() != observed.tree:
            raise SessionLostError("The candidate could not be brought back to running.")
        if mark.step is Step.CONFIRMING:
            if whole.after_holds(observed.tree):
                return await self._confirm(session, mark.persist)
            if whole.before_holds(observed.tree):
                await session.unlock()
                return JobResult(Outcome.ROLLED_BACK, "the station reverted by itself before the confirm reached it")
        elif mark.step in (Step.COMMITTING, Step.PREPARED) and last_phase and whole.after_holds(observed.tree):
            return await self._gate(session, observed.tree, None)
        result = await self._take_back(session, mark.detail or "interrupted, and taken back")
        decided = mark.step in (Step.CANCELLING, Step.REVERTING, Step.CONFIRMING)
        clean = result.outcome in (Outcome.ROLLED_BACK, Outcome.FAILED_SAFE)
        if decided or not clean or self._record.beginnings >= self._patience.beginnings:
            return result
        await self._lock(session, frozenset())
        await session.discard()
        return None

    async def _take_back(self, session: DeviceSession, reason: str) -> JobResult:
        """Cancel the pending commit, or apply the inverse, and read back."""
        self._log.warning("transaction.take_back", reason=reason)
        await session.discard()
        mark = self._record.mark
        if mark is not None and mark.persist:
            await self._record.write(
                Step.CANCELLING, phase=mark.phase, persist=mark.persist, deadline=mark.deadline, detail=reason
            )
            self._record.check()
            try:
                await session.cancel(mark.persist)
            except DeviceRefusedError as error:
                self._log.info("transaction.cancel_refused", reason=error.message)
        result = await self._restored(session, mark, reason)
        await session.unlock()
        return result

    async def _restored(self, session: DeviceSession, mark: JournalEntry | None, reason: str) -> JobResult:
        """Read back; where something of ours is left, apply the stored inverse of what is."""
        committed = mark is not None and (mark.step is not Step.COMMITTING or mark.phase > 0)
        done = Outcome.ROLLED_BACK if committed else Outcome.FAILED_SAFE
        seen = await session.read()
        upto = len(self._change.phases) if mark is None else mark.phase + 1
        for count in range(upto, 0, -1):
            if effects(self._change.phases[:count]).before_holds(seen.tree):
                return JobResult(done, reason)
            phase = self._change.phases[count - 1]
            if not effects([phase]).after_holds(seen.tree):
                continue
            await self._record.write(Step.REVERTING, phase=count - 1, detail=reason)
            self._record.check()
            try:
                await session.edit(phase.inverse)
                await session.commit()
            except DeviceRefusedError as error:
                return JobResult(Outcome.DIVERGED, f"{reason}; taking it back was refused: {error.message}")
            done = Outcome.ROLLED_BACK
            seen = await session.read()
        if effects(self._change.phases[:upto]).before_holds(seen.tree):
            return JobResult(done, reason)
        return JobResult(Outcome.DIVERGED, f"{reason}; the station could not be brought back to its old state")

    # ------------------------------------------------------------------ checks

    async def _wait(self, session: DeviceSession, conditions: Sequence[WaitFor], before: Observed | None) -> str:
        """Wait until all conditions hold; the unmet ones in words, or an empty string.

        A core link that was down before and that the change does not edit is not this change's fault.
        """
        wanted = [wait for wait in conditions if not (before and self._was_down(wait, before))]
        end = self._clock.monotonic() + self._strategy.check_timeout
        pause = 0.1
        while wanted:
            observed = await session.read()
            wanted = [wait for wait in wanted if not _holds(wait, observed)]
            if not wanted:
                break
            if self._clock.monotonic() > end:
                names = ", ".join(f"{wait.kind} {wait.path}" for wait in wanted)
                return f"not reached within {self._strategy.check_timeout} s: {names}"
            await self._clock.sleep(pause)
            pause = min(2.0, pause * 1.6)
        return ""

    def _was_down(self, wait: WaitFor, before: Observed) -> bool:
        edited = any(edit.path == wait.path for phase in self._change.phases for edit in phase.edits)
        return wait.kind == "link-up" and not edited and wait.path in before.tree and not link_up(before, wait.path)

    def _differences(self, seen: Tree, expected: Tree) -> str:
        """Where two trees differ within what the change edits and checks, in words."""
        return ", ".join(differences(self._root, seen, expected, self._change.fingerprint.paths)[:3])

    def _success(self, outcome: Outcome, detail: str = "") -> JobResult:
        return JobResult(outcome, detail, gained=self._change.gained, lost=self._change.lost, applied=True)


def _holds(wait: WaitFor, observed: Observed) -> bool:
    if wait.kind == "link-up":
        return link_up(observed, wait.path)
    return on_air(observed, wait.path) is (wait.kind == "cell-on-air")
