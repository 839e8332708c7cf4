"""Gates: which devices stand prepared, and what was decided for them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import and_, func, or_, select, true, update

from controller.models.run import Decision, JobState, JournalEntry, Policy
from controller.ports.gates import decision_for
from controller.ports.store import Claim
from controller.store.decisions import load_decisions
from controller.store.journals import append, check_lease
from controller.store.tables import jobs, runs
from controller.store.transaction import Transactions, Tx, reads, writes


class GateRecords(Transactions):
    """Devices at gates."""

    @writes
    def stand(self, tx: Tx, claim: Claim, gate: int, entry: JournalEntry | None = None) -> bool:
        """See ``GateRecords.stand``."""
        if entry is None:
            check_lease(tx, claim)
        else:
            append(tx, entry, claim)
        until = None if entry is None else entry.deadline
        # A device that has nothing to prepare stands there too, and one that has prepared keeps its timer.
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
        """See ``GateRecords.leave``."""
        # Whoever decides holds this lock.
        tx.execute(select(runs.c.id).where(runs.c.id == claim.run.id).with_for_update(key_share=True))
        check_lease(tx, claim)
        known = load_decisions(tx, [(claim.run.id, claim.job.wave)])
        decided = decision_for(claim.job.unit, claim.job.round, gate, known)
        if decided is None:
            tx.execute(update(jobs).where(jobs.c.id == claim.job.id).values(gate=None, gate_until=None))
        return decided

    @reads
    def goes_last(self, tx: Tx, claim: Claim) -> bool:
        """See ``GateRecords.goes_last``."""
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
        """See ``GateRecords.decisions``."""
        return load_decisions(tx, waves)
