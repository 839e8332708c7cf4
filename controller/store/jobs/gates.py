"""Gates: which devices are prepared there, and what was decided about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Select, and_, exists, func, or_, select, true, update

from controller.models.claim import Claim
from controller.models.run import Decision, JobState, JournalEntry, Policy
from controller.models.step import StepState
from controller.models.stopping import StopCode, StopReason
from controller.store.database.repository import M_co, Repository, reads, writes
from controller.store.database.transaction import Tx
from controller.store.jobs.decisions import decision_for, load_decisions
from controller.store.jobs.journal import append_row
from controller.store.jobs.run_rows import jobs, load_run, packed_stop, runs
from controller.store.jobs.steps import steps
from controller.store.network.leases import check_lease


@dataclass(frozen=True, slots=True)
class Soak:
    """The state of a wave's soak.

    Attributes:
        pending: Jobs of the wave that have neither ended nor passed.
        failed: The first failure, as station and reason; empty if there is none.
    """

    pending: int
    failed: str


class Gates(Repository[M_co]):
    """Decisions about devices that are at a gate together."""

    @writes
    def arrive(self, tx: Tx, claim: Claim, gate: int, entry: JournalEntry | None = None) -> bool:
        """Put on record that a claim's device is at a gate, with the journal row that says so.

        A second arrival changes nothing. Returns whether all devices of its unit (or wave, by the run's policy) have
        arrived.

        Raises:
            LeaseLostError: As ``Journal.append``.
        """
        if entry is None:
            check_lease(tx, claim)
        else:
            append_row(tx, entry, claim)
        until = None if entry is None else entry.deadline
        # A device that has nothing to prepare arrives too; one that is prepared keeps its timer.
        here = and_(jobs.c.id == claim.job.id, true() if entry else jobs.c.gate.is_distinct_from(gate))
        tx.execute(update(jobs).where(here).values(gate=gate, gate_until=until))
        group = and_(jobs.c.run == claim.job.run, jobs.c.wave == claim.job.wave)
        if claim.run.strategy.policy is Policy.UNIT:
            group = and_(group, jobs.c.unit == claim.job.unit)
        under_way = and_(jobs.c.state != JobState.DONE.value, or_(jobs.c.gate.is_(None), jobs.c.gate < gate))
        group = and_(group, jobs.c.round == claim.job.round)
        return not tx.execute(select(func.count()).select_from(jobs).where(group, under_way)).scalar_one()

    @writes
    def leave(self, tx: Tx, claim: Claim, gate: int) -> Decision | None:
        """Leave a gate, unless it was decided: then stay, and return the decision.

        Raises:
            LeaseLostError: As ``Journal.append``.
        """
        # The process that decides holds this lock.
        tx.execute(select(runs.c.id).where(runs.c.id == claim.run.id).with_for_update(key_share=True))
        check_lease(tx, claim)
        known = load_decisions(tx, [(claim.run.id, claim.job.wave)])
        decided = decision_for(claim.job.unit, claim.job.round, gate, known)
        if decided is None:
            tx.execute(update(jobs).where(jobs.c.id == claim.job.id).values(gate=None, gate_until=None))
        return decided

    @reads
    def goes_last(self, tx: Tx, claim: Claim) -> bool:
        """Whether a job whose device can't revert by itself has to go after others of its group.

        It need not if its unit has an order of its own, or if all others are prepared or done.
        """
        wave = and_(jobs.c.run == claim.job.run, jobs.c.wave == claim.job.wave, jobs.c.id != claim.job.id)
        unit = jobs.c.unit == claim.job.unit
        if claim.job.rank or tx.execute(select(jobs.c.id).where(wave, unit, jobs.c.rank != 0).limit(1)).first():
            return False
        group = unit if claim.run.strategy.policy is Policy.UNIT else true()
        under_way = and_(jobs.c.state != JobState.DONE.value, jobs.c.gate.is_(None), jobs.c.rank == 0)
        under_way = and_(under_way, jobs.c.round == claim.job.round)
        return tx.execute(select(jobs.c.id).where(wave, group, under_way).limit(1)).first() is not None

    @reads
    def decisions(self, tx: Tx, waves: Iterable[tuple[str, int]]) -> list[Decision]:
        """Decisions about waves, each given as run and number."""
        return load_decisions(tx, waves)

    @writes
    def soak(self, tx: Tx, claim: Claim, position: int) -> Soak:
        """The state of the soak of a job's wave, whose decisions are the steps at ``position``.

        After a failure, or when none is pending, jobs that wait for the soak are woken; a failure ends the run. Devices
        that come later in the job's unit may begin: the job waits for them.
        """
        load_run(tx, claim.run.id, lock=True)
        _let_others_follow(tx, claim, position)
        wave = and_(jobs.c.run == claim.run.id, jobs.c.wave == claim.job.wave)
        judged = and_(steps.c.job == jobs.c.id, steps.c.position == position, ~steps.c.undo)
        said = exists().where(judged, steps.c.state.in_([StepState.DONE.value, StepState.FAILED.value]))
        waiting = select(func.count()).where(
            wave, jobs.c.state != JobState.DONE.value, ~said, jobs.c.unit.not_in(_late(claim))
        )
        failed = select(jobs.c.station, steps.c.detail).join(steps, judged)
        first = tx.execute(
            failed.where(wave, steps.c.state == StepState.FAILED.value).order_by(steps.c.finished, jobs.c.id).limit(1)
        ).one_or_none()
        pending = int(tx.execute(waiting).scalar_one())
        if first is not None or not pending:
            tx.execute(update(jobs).where(wave, jobs.c.rests.is_not(None)).values(rests=None))
        detail = "" if first is None else f"{first.station}: {first.detail}"
        if first is not None and claim.run.stopped is None:
            # On record with the step that is acted upon: the run stops, whatever failures its strategy accepts.
            why = StopReason(code=StopCode.SOAK, subject=first.station, because=first.detail)
            going = update(runs).where(runs.c.id == claim.run.id, runs.c.stopped == "")
            tx.execute(going.values(stopped=packed_stop(why)))
        return Soak(pending, detail)


_MATE = jobs.alias()
_BEHIND = exists().where(
    _MATE.c.run == jobs.c.run,
    _MATE.c.wave == jobs.c.wave,
    _MATE.c.unit == jobs.c.unit,
    _MATE.c.rank > jobs.c.rank,
    _MATE.c.state == JobState.WAITING.value,
)


def _let_others_follow(tx: Tx, claim: Claim, position: int) -> None:
    """Count a job as at its gate where other devices of its unit come after it: the wave ends only with them."""
    mine = and_(jobs.c.id == claim.job.id, jobs.c.gate.is_(None), _BEHIND)
    tx.execute(update(jobs).where(mine).values(gate=position))


def _late(claim: Claim) -> Select[tuple[str]]:
    """Units of a job's wave with a device that was away and is tried again: the wave does not wait for them."""
    wave = and_(jobs.c.run == claim.run.id, jobs.c.wave == claim.job.wave)
    return select(jobs.c.unit).where(wave, jobs.c.deferred.is_not(None), jobs.c.state != JobState.DONE.value)
